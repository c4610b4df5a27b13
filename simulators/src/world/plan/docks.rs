//! Vehicles at doors: when which one is in whose bay, and what becomes of what is brought out there meanwhile.

use super::{Place, Planner};
use crate::truth::{Crossing, Direction};
use crate::world::happening::{Device, passage_takes_s};
use crate::world::road::Leg;

/// Behind the fence's line, until it can be told that a vehicle is gone: so long, and some fixes.
const GONE_S: f64 = 3.0;
const GONE_FIXES: f64 = 3.0;
/// Between what is brought in and what is brought out.
const PAUSE_S: f64 = 1.0;

/// A vehicle in the bay of a door.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay {
    truck: usize,
    /// Of the scenario.
    pub door: usize,
    /// When it is on the line of the bay's fence.
    from_s: f64,
    until_s: f64,
    /// When it stands still at this door.
    stands: Option<(f64, f64)>,
    loads: usize,
}

/// Where somebody who goes out through a door finds himself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outside {
    /// In front of the door.
    Open,
    /// In a vehicle.
    In(usize),
    /// Nobody could say: one comes or goes, its tracker is not to be trusted, or there are two.
    Unclear,
}

impl Planner<'_> {
    /// A truck drives to one of its way points: it leaves one bay and comes to another.
    pub(super) fn drives(&mut self, truck: usize, to: usize, leg: &Leg) {
        for stay in self.open_stays(truck) {
            if let Some(stands) = &mut stay.stands {
                stands.1 = leg.departs_s;
            }
        }
        for (at_s, fence, change) in &leg.crossings {
            let Some(zone) = self.plant.fences[*fence].zone.clone() else { continue };
            for door in 0..self.scenario.doors.len() {
                if self.scenario.doors[door].bay.as_ref() != Some(&zone) {
                    continue;
                }
                match change {
                    Crossing::Entered => {
                        let until_s = f64::INFINITY;
                        self.stays.push(Stay { truck, door, from_s: *at_s, until_s, stands: None, loads: 0 });
                    }
                    Crossing::Exited => {
                        let left = self.open_stays(truck).find(|stay| stay.door == door);
                        left.into_iter().for_each(|stay| stay.until_s = *at_s);
                    }
                }
            }
        }
        let there = &self.scenario.trucks[truck].route[to];
        let is_there = |stay: &&mut Stay| there.door.as_ref() == Some(&self.scenario.doors[stay.door].name);
        let open = self.stays.iter_mut().filter(|stay| stay.truck == truck && stay.until_s.is_infinite());
        for stay in open.filter(is_there) {
            (stay.stands, stay.loads) = (Some((leg.arrives_s, f64::INFINITY)), there.loads);
        }
    }

    fn open_stays(&mut self, truck: usize) -> impl Iterator<Item = &mut Stay> {
        self.stays.iter_mut().filter(move |stay| stay.truck == truck && stay.until_s.is_infinite())
    }

    /// When which vehicle is ready at its door.
    pub(super) fn docked(&self) -> Vec<(f64, usize)> {
        let ready = |stay: &Stay| Some(stay.stands?.0 + self.scenario.trucks[stay.truck].fix_every_s);
        let stays = self.stays.iter().enumerate();
        stays.filter_map(|(index, stay)| Some((ready(stay)?, index))).collect()
    }

    /// What is in it is brought in, all at once; then others are brought out.
    pub(super) fn served(&mut self, stay: usize, at_s: f64, rng: &mut rand_chacha::ChaCha8Rng) {
        let Stay { truck, door: index, loads, .. } = self.stays[stay];
        let (door, plan) = (self.door(index), &self.scenario.doors[index]);
        let cargo = self.at(&Place::Truck(truck), at_s);
        let mut then_s = at_s;
        if !cargo.is_empty() {
            then_s += passage_takes_s(cargo.len(), super::doors::SPEEDS_MPS.start) + PAUSE_S;
            let inside = Place::Zone(plan.inside.clone());
            self.passage(door, at_s, cargo, (Direction::In, Some(truck)), inside, rng);
        }
        let assets = self.some_of(&Place::Zone(plan.inside.clone()), at_s, loads, rng);
        self.brought_out(index, then_s, assets, rng);
    }

    /// Where those are who go out through a door between two times, of which is told by a third.
    pub(super) fn outside(&self, door: usize, [begins_s, over_s, settled_s]: [f64; 3]) -> Outside {
        let mut found = Outside::Open;
        for stay in self.stays.iter().filter(|stay| stay.door == door) {
            let gone_s = GONE_S + GONE_FIXES * self.scenario.trucks[stay.truck].fix_every_s;
            if settled_s < stay.from_s || begins_s > stay.until_s + gone_s {
                continue;
            }
            let stands = stay.stands.is_some_and(|(from_s, to_s)| from_s <= begins_s && over_s <= to_s);
            let sure = self.noticed(Device::Truck(stay.truck), stay.from_s, settled_s) == Some(settled_s);
            if found != Outside::Open || !stands || !sure {
                return Outside::Unclear;
            }
            found = Outside::In(stay.truck);
        }
        found
    }
}
