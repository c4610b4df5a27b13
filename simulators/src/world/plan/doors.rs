//! Who comes to which door, and what they do there.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::docks::Outside;
use super::{Place, Planner, Whereabouts, pick, poisson};
use crate::truth::Direction;
use crate::world::happening::{Device, Door, Happening, passage_takes_s};
use crate::world::plant::ReadPointKind;

/// Walking pace to a brisk forklift.
pub(super) const SPEEDS_MPS: std::ops::Range<f64> = 1.4..2.6;

/// Somebody comes to a door.
struct Arrival {
    at_s: f64,
    door: usize,
    kind: ArrivalKind,
}

enum ArrivalKind {
    Passage,
    Returns(usize),
    TurnedBack,
    Stray,
    /// A vehicle is ready at the door: which of its stays.
    Docked(usize),
}

impl Planner<'_> {
    pub(super) fn reader(&self, name: &str) -> usize {
        self.plant.readers.iter().position(|reader| reader.name == name).unwrap_or_default()
    }

    /// The read point and the reader of the scenario's door.
    pub(super) fn door(&self, index: usize) -> Door {
        let door = &self.scenario.doors[index];
        let is_it = |kind: &ReadPointKind| matches!(kind, ReadPointKind::Portal { .. });
        let point =
            self.plant.read_points.iter().position(|point| is_it(&point.kind) && point.name == door.name);
        Door { point: point.unwrap_or_default(), reader: self.reader(&door.reader) }
    }

    pub(super) fn doors(&mut self, returns: Vec<(f64, usize, usize)>) {
        let mut rng = self.rng("doors");
        let mut arrivals: Vec<Arrival> = returns
            .into_iter()
            .map(|(at_s, door, asset)| Arrival { at_s, door, kind: ArrivalKind::Returns(asset) })
            .collect();
        for (door, plan) in self.scenario.doors.iter().enumerate() {
            for (per_minute, kind) in [
                (plan.passages_per_minute, (|| ArrivalKind::Passage) as fn() -> ArrivalKind),
                (plan.turned_back_per_minute, || ArrivalKind::TurnedBack),
                (plan.strays_per_minute, || ArrivalKind::Stray),
            ] {
                let times = poisson(per_minute, self.ends_s, &mut rng);
                arrivals.extend(times.into_iter().map(|at_s| Arrival { at_s, door, kind: kind() }));
            }
        }
        let docked = self.docked().into_iter();
        arrivals.extend(docked.map(|(at_s, stay)| {
            let door = self.stays[stay].door;
            Arrival { at_s, door, kind: ArrivalKind::Docked(stay) }
        }));
        arrivals.sort_by(|one, other| one.at_s.total_cmp(&other.at_s));
        for arrival in arrivals {
            self.arrive(arrival, &mut rng);
        }
    }

    fn arrive(&mut self, arrival: Arrival, rng: &mut ChaCha8Rng) {
        let Arrival { at_s, door: index, kind } = arrival;
        let door = self.door(index);
        let plan = &self.scenario.doors[index];
        let (inside, outside) = (plan.inside.clone(), plan.outside.clone());
        match kind {
            ArrivalKind::Returns(asset) => {
                self.passage(door, at_s, vec![asset], (Direction::In, None), Place::Zone(inside), rng);
            }
            ArrivalKind::Docked(stay) => self.served(stay, at_s, rng),
            ArrivalKind::Passage => {
                let inward = rng.random_bool(0.5);
                let group = [1, 1, 1, 2, 3][rng.random_range(0..5usize)];
                let from = Place::Zone(if inward { outside } else { inside.clone() });
                let assets = self.some_of(&from, at_s, group, rng);
                if inward {
                    self.passage(door, at_s, assets, (Direction::In, None), Place::Zone(inside), rng);
                } else {
                    self.brought_out(index, at_s, assets, rng);
                }
            }
            ArrivalKind::TurnedBack => self.turned_back(door, at_s, [&outside, &inside], rng),
            ArrivalKind::Stray => self.stray(door, at_s, [&outside, &inside], rng),
        }
    }

    /// So many of those that are there.
    pub(super) fn some_of(&self, from: &Place, at_s: f64, count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
        let mut here = self.at(from, at_s);
        let mut assets = Vec::new();
        while assets.len() < count
            && let Some(asset) = pick(&here, rng)
        {
            here.retain(|other| *other != asset);
            assets.push(asset);
        }
        assets
    }

    /// Out through a door, and into the vehicle that stands there.
    pub(super) fn brought_out(&mut self, index: usize, at_s: f64, assets: Vec<usize>, rng: &mut ChaCha8Rng) {
        let door = self.door(index);
        let over_s = at_s + passage_takes_s(assets.len(), SPEEDS_MPS.start);
        let settled_s = over_s + self.timing().passage_settle_s;
        let reader = Device::Reader(door.reader);
        let Some(settled_s) = self.noticed(reader, at_s, settled_s) else { return };
        let (vehicle, to) = match self.outside(index, [at_s, over_s, settled_s]) {
            Outside::Open => (None, Place::Zone(self.scenario.doors[index].outside.clone())),
            Outside::In(truck) => (Some(truck), Place::Truck(truck)),
            Outside::Unclear => return,
        };
        self.passage(door, at_s, assets, (Direction::Out, vehicle), to, rng);
    }

    pub(super) fn passage(
        &mut self,
        door: Door,
        at_s: f64,
        assets: Vec<usize>,
        (direction, vehicle): (Direction, Option<usize>),
        to: Place,
        rng: &mut ChaCha8Rng,
    ) {
        let speed_mps = rng.random_range(SPEEDS_MPS);
        let seed = rng.random();
        let over_s = at_s + passage_takes_s(assets.len(), speed_mps);
        let settled_s = over_s + self.timing().passage_settle_s;
        let Some(settled_s) = self.noticed(Device::Reader(door.reader), at_s, settled_s) else { return };
        for asset in &assets {
            self.whereabouts[*asset] = Some(Whereabouts { place: to.clone(), free_s: settled_s + 1.0 });
        }
        if !assets.is_empty() {
            let happening = Happening::Passage { door, assets, direction, vehicle, speed_mps, seed };
            self.push(at_s, settled_s, happening);
        }
    }

    fn turned_back(&mut self, door: Door, at_s: f64, zones: [&str; 2], rng: &mut ChaCha8Rng) {
        let from_inside = rng.random_bool(0.5);
        let (speed_mps, seed) = (rng.random_range(SPEEDS_MPS), rng.random());
        let here = self.at_home(zones[usize::from(from_inside)], at_s);
        let Some(asset) = pick(&here, rng) else { return };
        let settled_s = at_s + passage_takes_s(1, speed_mps) + self.timing().passage_settle_s;
        let Some(settled_s) = self.noticed(Device::Reader(door.reader), at_s, settled_s) else { return };
        self.busy(asset, settled_s);
        self.push(at_s, settled_s, Happening::TurnedBack { door, asset, from_inside, speed_mps, seed });
    }

    fn stray(&mut self, door: Door, at_s: f64, zones: [&str; 2], rng: &mut ChaCha8Rng) {
        let inside = rng.random_bool(0.5);
        let seed = rng.random();
        let here = self.at_home(zones[usize::from(inside)], at_s);
        let Some(asset) = pick(&here, rng) else { return };
        let settled_s = at_s + 2.0 + self.timing().passage_settle_s;
        let Some(settled_s) = self.noticed(Device::Reader(door.reader), at_s, settled_s) else { return };
        self.busy(asset, settled_s);
        self.push(at_s, settled_s, Happening::Stray { door, asset, inside, seed });
    }

    fn busy(&mut self, asset: usize, until_s: f64) {
        if let Some(place) = self.whereabouts[asset].as_mut() {
            place.free_s = until_s + 1.0;
        }
    }
}
