//! Who comes to which door, and what they do there.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Planner, Whereabouts, pick, poisson};
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
            ArrivalKind::Returns(asset) => self.passage(door, at_s, vec![asset], Direction::In, &inside, rng),
            ArrivalKind::Passage => {
                let direction = if rng.random_bool(0.5) { Direction::In } else { Direction::Out };
                let (from, to) =
                    if direction == Direction::In { (outside, inside) } else { (inside, outside) };
                let group = [1, 1, 1, 2, 3][rng.random_range(0..5usize)];
                let mut here = self.at_home(&from, at_s);
                let mut assets = Vec::new();
                while assets.len() < group
                    && let Some(asset) = pick(&here, rng)
                {
                    here.retain(|other| *other != asset);
                    assets.push(asset);
                }
                self.passage(door, at_s, assets, direction, &to, rng);
            }
            ArrivalKind::TurnedBack => self.turned_back(door, at_s, [&outside, &inside], rng),
            ArrivalKind::Stray => self.stray(door, at_s, [&outside, &inside], rng),
        }
    }

    fn passage(
        &mut self,
        door: Door,
        at_s: f64,
        assets: Vec<usize>,
        direction: Direction,
        to: &str,
        rng: &mut ChaCha8Rng,
    ) {
        let speed_mps = rng.random_range(SPEEDS_MPS);
        let seed = rng.random();
        let over_s = at_s + passage_takes_s(assets.len(), speed_mps);
        let settled_s = over_s + self.timing().passage_settle_s;
        let Some(settled_s) = self.noticed(Device::Reader(door.reader), at_s, settled_s) else { return };
        for asset in &assets {
            self.whereabouts[*asset] = Some(Whereabouts { zone: to.to_owned(), free_s: settled_s + 1.0 });
        }
        if !assets.is_empty() {
            self.push(at_s, settled_s, Happening::Passage { door, assets, direction, speed_mps, seed });
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
