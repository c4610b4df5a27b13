//! Drawing a plan: who passes which door when, what fails, what is stolen, and what is not back in time.
//!
//! Nothing is planned that could not be noticed before emission ends; nothing happens to a thing while
//! another thing happens to it.

mod custody;
mod docks;
mod doors;
mod failures;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use self::docks::Stay;
use self::failures::Window;
use super::happening::{Device, Door, Event, Happening};
use super::plant::Plant;
use super::road::Leg;
use crate::scenario::{Scenario, Timing};

/// Somebody who is not due before everything is over.
const MUCH_LATER_S: f64 = 3600.0;
/// An early end leaves this much time for what is due soon.
const DUE_SOON_S: f64 = 20.0;
const HOLDERS: [&str; 6] = ["A. Kowalska", "B. Lindner", "C. Nowak", "D. Okafor", "line 2", "maintenance"];

pub(super) struct Planner<'a> {
    pub scenario: &'a Scenario,
    pub plant: Plant,
    pub ends_s: f64,
    pub seed: u64,
    pub events: Vec<Event>,
    /// By asset: where it is, from when on something may happen to it; `None`: out, gone or standing.
    whereabouts: Vec<Option<Whereabouts>>,
    /// Reads of standing assets: the door, whether inside.
    pub standing: Vec<(Door, usize)>,
    windows: Vec<Window>,
    stays: Vec<Stay>,
}

#[derive(Clone, Debug)]
struct Whereabouts {
    place: Place,
    free_s: f64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Place {
    Zone(String),
    /// An index into the trackers.
    Truck(usize),
}

impl<'a> Planner<'a> {
    pub fn new(scenario: &'a Scenario, plant: Plant, seed: u64, ends_s: f64) -> Self {
        let whereabouts = plant
            .assets
            .iter()
            .map(|asset| {
                asset.home_zone.clone().map(|zone| Whereabouts { place: Place::Zone(zone), free_s: 0.0 })
            })
            .collect();
        let (events, standing, windows, stays) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut planner =
            Self { scenario, plant, ends_s, seed, events, whereabouts, standing, windows, stays };
        planner.failures();
        planner.trucks();
        planner.standing();
        let returns = planner.checkouts();
        planner.thefts();
        planner.doors(returns);
        planner.cold_rooms();
        planner.events.sort_by(|one, other| one.begins_s.total_cmp(&other.begins_s));
        planner
    }

    fn timing(&self) -> Timing {
        self.scenario.timing
    }

    fn rng(&self, what: &str) -> ChaCha8Rng {
        crate::world::rng(self.seed, what)
    }

    /// The times of something that happens at `share` of every chapter.
    fn in_every_chapter(&self, share: f64) -> Vec<f64> {
        let chapter = self.timing().chapter_s.min(self.ends_s);
        let chapters = if chapter > 0.0 { (self.ends_s / chapter) as usize } else { 0 };
        (0..chapters).map(|number| (number as f64 + share) * chapter).collect()
    }

    fn push(&mut self, begins_s: f64, settled_s: f64, happening: Happening) {
        self.events.push(Event { begins_s, settled_s, happening });
    }

    /// Where the crib asset's home is, if anything may happen to it.
    fn at_home(&self, zone: &str, now_s: f64) -> Vec<usize> {
        self.at(&Place::Zone(zone.to_owned()), now_s)
    }

    /// What is there, if anything may happen to it.
    fn at(&self, place: &Place, now_s: f64) -> Vec<usize> {
        let here = |asset: &Option<Whereabouts>| {
            asset.as_ref().is_some_and(|asset| asset.place == *place && asset.free_s <= now_s)
        };
        (0..self.whereabouts.len()).filter(|asset| here(&self.whereabouts[*asset])).collect()
    }

    fn cold_rooms(&mut self) {
        for (index, room) in self.scenario.cold_rooms.iter().enumerate() {
            let wanted: Vec<f64> =
                room.excursions.iter().flat_map(|share| self.in_every_chapter(*share)).collect();
            let mut rng = self.rng(&format!("cold room {}", room.name));
            let openings = poisson(room.openings_per_minute, self.ends_s, &mut rng);
            let noticed = |from_s, settled_s| self.noticed(Device::Room(index), from_s, settled_s);
            let events =
                crate::world::cold::openings(index, room, self.timing(), &wanted, &openings, noticed);
            self.events.extend(events);
        }
    }

    fn trucks(&mut self) {
        for (truck, plan) in self.scenario.trucks.iter().enumerate() {
            let mut departs_s = plan.route[0].dwell_s;
            let mut at = 0;
            loop {
                let next = (at + 1) % plan.route.len();
                let (from, to) = (&plan.route[at], &plan.route[next]);
                let leg = Leg::new(from, to, departs_s, plan.speed_mps, &self.plant.fences);
                let last_s = leg.crossings.last().map_or(leg.departs_s, |crossing| crossing.0);
                let settle_s = last_s + self.timing().fence_settle_s;
                if leg.departs_s >= self.ends_s || settle_s > self.ends_s {
                    break;
                }
                let Some(settled_s) = self.noticed(Device::Truck(truck), departs_s, settle_s) else {
                    departs_s += 1.0;
                    continue;
                };
                at = next;
                departs_s = leg.arrives_s + to.dwell_s.max(0.1);
                self.drives(truck, next, &leg);
                self.push(leg.departs_s, settled_s, Happening::Drive { truck, leg });
            }
        }
    }
}

fn pick(from: &[usize], rng: &mut ChaCha8Rng) -> Option<usize> {
    if from.is_empty() { None } else { Some(from[rng.random_range(0..from.len())]) }
}

/// Times at which something happens that happens so often on average. The first one is soon.
fn poisson(per_minute: f64, until_s: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut times = Vec::new();
    if per_minute <= 0.0 {
        return times;
    }
    let mut at = rng.random_range(0.5..1.5);
    while at < until_s {
        times.push(at);
        at += (-(1.0 - rng.random::<f64>()).ln() * 60.0 / per_minute).max(0.2);
    }
    times
}
