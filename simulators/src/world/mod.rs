//! A company and what happens to it: planned from a scenario and a seed, then acted out on real sockets.

mod any_reader;
mod cold;
mod conductor;
pub mod happening;
mod plan;
pub mod plant;
pub mod portal;
mod presence;
mod road;
pub mod running;
pub mod script;

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use self::happening::{Event, Happening};
use self::plan::Planner;
use self::plant::{INSIDE, OUTSIDE, Plant, ReadPointKind};
use self::presence::{Place, Staying};
use self::road::Vehicle;
use self::script::{Background, Script};
use crate::scenario::Scenario;
use crate::truth::fnv1a;

/// A plan: the same for the same scenario, seed and length.
#[derive(Clone, Debug)]
pub struct World {
    scenario: Scenario,
    seed: u64,
    plant: Plant,
    events: Vec<Event>,
    in_cribs: Vec<(usize, usize)>,
    standing: Vec<(happening::Door, usize)>,
    ends_s: f64,
}

/// A source of chance for one purpose: what one purpose draws does not move another's.
pub(crate) fn rng(seed: u64, purpose: &str) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed ^ fnv1a(purpose.as_bytes()))
}

impl World {
    /// Plans everything that is to happen within `emit_for`.
    pub fn plan(scenario: &Scenario, seed: u64, emit_for: Duration) -> Self {
        let plant = Plant::build(scenario, &mut rng(seed, "plant"));
        let planner = Planner::new(scenario, plant, seed, emit_for.as_secs_f64());
        let in_cribs = planner.in_cribs();
        Self {
            scenario: scenario.clone(),
            seed,
            in_cribs,
            plant: planner.plant,
            events: planner.events,
            standing: planner.standing,
            ends_s: planner.ends_s,
        }
    }

    pub fn plant(&self) -> &Plant {
        &self.plant
    }

    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// What is to happen, in order of its beginning.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    pub fn emit_for(&self) -> Duration {
        Duration::from_secs_f64(self.ends_s)
    }

    /// Every act in order of time, from the beginning.
    pub fn script(&self) -> Script {
        let background = Background {
            cribs: self.cribs(),
            staying: self.staying(),
            vehicles: self.vehicles(),
            seed: self.seed,
        };
        Script::new(self.plant.clone(), self.events.clone(), background, self.ends_s)
    }

    fn reader(&self, name: &str) -> usize {
        self.plant.readers.iter().position(|reader| reader.name == name).unwrap_or_default()
    }

    fn cribs(&self) -> Vec<Place> {
        let places = self.scenario.cribs.iter().map(|crib| Place {
            reader: self.reader(&crib.reader),
            antennas: crib.antennas,
            read_hz: crib.read_hz,
            miss: crib.miss,
        });
        places.collect()
    }

    fn staying(&self) -> Vec<(Option<usize>, Staying)> {
        let places = self.cribs();
        let mut staying = Vec::new();
        for point in &self.plant.read_points {
            if let ReadPointKind::Presence { reference_tag, .. } = &point.kind {
                let code = code_of(reference_tag);
                let rng = rng(self.seed, reference_tag);
                staying.push((None, Staying::reference(self.reader(&point.reader), code, rng)));
            }
        }
        for (crib, asset) in &self.in_cribs {
            for code in &self.plant.assets[*asset].codes {
                let rng = rng(self.seed, &plant::hex(code));
                staying.push((Some(*asset), Staying::tag(&places[*crib], *code, 0.0, rng)));
            }
        }
        staying.extend(self.standing_at_doors());
        staying
    }

    /// Assets near a door, read by its inside antenna, and by the other one as often as the scenario says.
    fn standing_at_doors(&self) -> Vec<(Option<usize>, Staying)> {
        let mut standing = Vec::new();
        for (door, asset) in &self.standing {
            let point = &self.plant.read_points[door.point];
            let plan = self.scenario.doors.iter().find(|plan| plan.name == point.name);
            let cross_share = plan.map_or(0.0, |plan| plan.standing_cross_share);
            for code in &self.plant.assets[*asset].codes {
                let rng = rng(self.seed, &format!("standing {}", plant::hex(code)));
                standing.push((
                    Some(*asset),
                    Staying::at_door(door.reader, *code, [INSIDE, OUTSIDE], cross_share, rng),
                ));
            }
        }
        standing
    }

    fn vehicles(&self) -> Vec<Vehicle> {
        let vehicles = self.scenario.trucks.iter().enumerate().map(|(index, truck)| {
            let rng = rng(self.seed, &format!("truck {}", truck.name));
            Vehicle::parked(index, &truck.route[0], truck.noise_m, truck.fix_every_s, rng)
        });
        vehicles.collect()
    }

    /// How many of each kind of truth the plan holds, for those who want to say so beforehand.
    pub fn count(&self, wanted: impl Fn(&Happening) -> bool) -> usize {
        self.events.iter().filter(|event| wanted(&event.happening)).count()
    }
}

fn code_of(hex: &str) -> [u8; 12] {
    let mut code = [0; 12];
    for (byte, digits) in code.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        *byte = u8::from_str_radix(digits, 16).unwrap_or_default();
    }
    code
}

#[cfg(test)]
mod tests;
