//! A fleet on roads: where its vehicles truly are, what their trackers make of it, and when that arrives.
//!
//! ```text
//! scenario (TOML) + seed → town, fences ─ driving ─▶ true places ─ receiver, network ─▶ fixes, in order of arrival
//!                                                        └─────────────▶ truth: visits to fences, drives
//! ```
//! Time is virtual: a run is computed, and the same scenario and seed give the same run. Every value that is taken as
//! given is in `parameters.rs`, with where it comes from. Knows nothing of the daemon.

mod driving;
mod fences;
mod parameters;
mod receiver;
mod roads;
mod scenario;
#[cfg(test)]
mod tests;
mod trackers;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use driving::Drive;
pub use fences::{Fence, Shape, degrees};
pub use roads::Place;
pub use scenario::{Driving, Fences, Scenario, Trackers};

use driving::{Log, Queue};
use roads::{Roads, Sky};

/// How finely the truth is looked at: at 70 km/h, five metres.
const LOOKS_S: f64 = 0.25;
/// How far from a fence's edge those stand that only stand.
const BESIDE_M: f64 = 40.0;

/// One message of one tracker.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Fix {
    pub vehicle: usize,
    /// By the tracker's clock, microseconds of the run.
    pub at_us: i64,
    pub arrives_us: i64,
    pub place: Place,
    /// By what the receiver knows of itself.
    pub accuracy_m: f64,
    /// Where it tells of it.
    pub told_accuracy_m: Option<f64>,
    /// Speed (m/s) and course (degrees), where it tells.
    pub velocity: Option<(f64, f64)>,
    /// Where it tells.
    pub ignition: Option<bool>,
}

/// One stay in one fence.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Visit {
    pub vehicle: usize,
    pub fence: usize,
    pub from_us: i64,
    /// None: it is still there at the end.
    pub until_us: Option<i64>,
    /// Fixes of it that lie inside by more than their accuracy, as the tracker knew it.
    pub deep_fixes: usize,
}

/// What happened, what was heard of it, and what is true.
pub struct Run {
    pub duration_us: i64,
    pub fences: Vec<Fence>,
    /// In order of arrival.
    pub fixes: Vec<Fix>,
    pub visits: Vec<Visit>,
    /// Of each vehicle.
    pub drives: Vec<Vec<Drive>>,
}

impl Scenario {
    /// Acts the scenario out.
    pub fn run(&self, seed: u64) -> Run {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let roads = Roads::new(self.side, &mut dice);
        let customers: Vec<usize> =
            (0..self.fences.customers).map(|_| dice.random_range(0..roads.crossings.len())).collect();
        let fences = self.fences(&roads, &customers, &mut dice);
        let mut run = Run {
            duration_us: micros(self.hours * 3600.0),
            fences,
            fixes: Vec::new(),
            visits: Vec::new(),
            drives: Vec::new(),
        };
        for vehicle in 0..self.vehicles {
            let mut dice = ChaCha8Rng::seed_from_u64(seed ^ ((vehicle as u64 + 1) << 32));
            let log = self.acts(&roads, &customers, &run.fences, &mut dice);
            let fixes = trackers::fixes(self, vehicle, &log, &mut dice);
            run.visits.extend(visits(vehicle, &log, &run.fences, &fixes, self.hours * 3600.0));
            run.fixes.extend(fixes);
            run.drives.push(log.drives);
        }
        run.fixes.sort_by_key(|fix| (fix.arrives_us, fix.vehicle, fix.at_us));
        run
    }

    fn fences(&self, roads: &Roads, customers: &[usize], dice: &mut ChaCha8Rng) -> Vec<Fence> {
        let own = &self.fences;
        let at_customers = customers.iter().enumerate().map(|(nth, at)| (format!("customer-{nth}"), *at));
        let mut fences: Vec<Fence> = at_customers
            .map(|(name, at)| Fence::drawn(name, roads.crossings[at], own, own.reach_m, dice))
            .collect();
        for nth in 0..own.by_the_road {
            let at = roads.crossings[dice.random_range(0..roads.crossings.len())];
            let beside = Place {
                x: at.x + dice.random_range(-150.0..150.0),
                y: at.y + dice.random_range(-150.0..150.0),
            };
            fences.push(Fence::drawn(format!("road-{nth}"), beside, own, own.reach_m, dice));
        }
        fences
    }

    fn acts(&self, roads: &Roads, customers: &[usize], fences: &[Fence], dice: &mut ChaCha8Rng) -> Log {
        let driving = &self.driving;
        let ends_s = self.hours * 3600.0;
        if driving.stands {
            let fence = &fences[dice.random_range(0..fences.len())];
            let (middle, reach) = fence.around();
            let side = reach + BESIDE_M;
            let place = loop {
                let place = Place {
                    x: middle.x + dice.random_range(-side..side),
                    y: middle.y + dice.random_range(-side..side),
                };
                if fence.depth(place).abs() <= BESIDE_M {
                    break place;
                }
            };
            let sky = if dice.random_bool(driving.indoors) { Sky::Indoors } else { Sky::Open };
            let mut log = Log::new(place, sky);
            log.stand(ends_s, sky);
            return log;
        }
        let depot = customers[0];
        let mut at = depot;
        let mut log = Log::new(roads.crossings[depot], Sky::Open);
        let mut day_s = 0.0;
        while log.until_s() < ends_s {
            let begins = day_s + dice.random_range(driving.begins_h[0]..driving.begins_h[1]) * 3600.0;
            log.stand((begins - log.until_s()).max(60.0), Sky::Open);
            while log.until_s() < day_s + driving.ends_h * 3600.0 {
                let next = customers[dice.random_range(1..customers.len())];
                if next == at {
                    continue;
                }
                let queue = driving.queue(dice);
                log.drive(roads, &roads.way(at, next), queue, dice);
                at = next;
                let sky = if dice.random_bool(driving.indoors) { Sky::Indoors } else { Sky::Open };
                log.stand(dice.random_range(driving.stop_s[0]..driving.stop_s[1]), sky);
            }
            if at != depot {
                log.drive(roads, &roads.way(at, depot), None, dice);
                at = depot;
            }
            day_s += 24.0 * 3600.0;
        }
        log
    }
}

impl Driving {
    /// Whether there is a queue where a drive goes to.
    fn queue(&self, dice: &mut ChaCha8Rng) -> Option<Queue> {
        let is_queued = self.queues > 0.0 && dice.random_bool(self.queues);
        is_queued.then(|| Queue {
            length_m: dice.random_range(self.queue_m[0]..self.queue_m[1]),
            up_m: self.queue_up_m,
            waits_s: self.queue_waits_s,
        })
    }
}

/// Stays of one vehicle in fences up to `ends_s`, by where it truly was.
fn visits(vehicle: usize, log: &Log, fences: &[Fence], fixes: &[Fix], ends_s: f64) -> Vec<Visit> {
    let around: Vec<(Place, f64)> = fences.iter().map(Fence::around).collect();
    let mut open: Vec<Option<f64>> = vec![None; fences.len()];
    let mut visits = Vec::new();
    let mut look = |at_s: f64, place: Place, visits: &mut Vec<Visit>| {
        for (fence, (middle, reach)) in around.iter().enumerate() {
            let near = (place.x - middle.x).abs() <= *reach && (place.y - middle.y).abs() <= *reach;
            let is_inside = near && fences[fence].depth(place) > 0.0;
            match (open[fence], is_inside) {
                (None, true) => open[fence] = Some(at_s),
                (Some(from_s), false) => {
                    open[fence] = None;
                    visits.push(visit(vehicle, fence, from_s, Some(at_s)));
                }
                (None, false) | (Some(_), true) => {}
            }
        }
    };
    for stretch in log.stretches.iter().take_while(|stretch| stretch.from_s < ends_s) {
        let looks = if stretch.length_m() > 0.0 {
            ((stretch.until_s - stretch.from_s) / LOOKS_S).ceil() as usize
        } else {
            1
        };
        for nth in 0..looks {
            let at_s = stretch.from_s + nth as f64 * LOOKS_S;
            if at_s < ends_s {
                look(at_s, log.state(at_s).place, &mut visits);
            }
        }
    }
    for (fence, from_s) in open.into_iter().enumerate().filter_map(|(fence, from)| Some((fence, from?))) {
        visits.push(visit(vehicle, fence, from_s, None));
    }
    for visit in &mut visits {
        let fence = &fences[visit.fence];
        let during =
            |fix: &&Fix| fix.at_us >= visit.from_us && visit.until_us.is_none_or(|until| fix.at_us < until);
        let mut deep: Vec<i64> = fixes
            .iter()
            .filter(during)
            .filter(|fix| fence.depth(fix.place) > fix.accuracy_m)
            .map(|fix| fix.at_us)
            .collect();
        deep.sort_unstable();
        deep.dedup();
        visit.deep_fixes = deep.len();
    }
    visits
}

fn visit(vehicle: usize, fence: usize, from_s: f64, until_s: Option<f64>) -> Visit {
    Visit { vehicle, fence, from_us: micros(from_s), until_us: until_s.map(micros), deep_fixes: 0 }
}

fn micros(seconds: f64) -> i64 {
    (seconds * 1e6) as i64
}
