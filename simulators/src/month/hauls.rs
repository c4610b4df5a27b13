//! Movements between sites: by a vehicle of the company, which stands at a door at either end, or by somebody else's.
//!
//! ```text
//! a ring around its site ──▶ at a door: loaded ──▶ the road ──▶ at a door of the other site: unloaded ──▶ the ring
//! ```
//! A door is nobody else's from some time before a vehicle comes until some time after it has gone.

use rand::RngExt;
use rand::seq::SliceRandom;

use super::acts::Act;
use super::company::Docks;
use super::truth::{Aboard, Stay};
use super::world::{DAY, Event, HOUR, MINUTE, Month, Place, SECOND, us};
use crate::dice::normal;

const SHUT: i64 = 10 * MINUTE;
/// Between two tries to find a vehicle and a door.
const AGAIN: i64 = 30 * MINUTE;
/// A tracker tells that it has come to a stop, that its engine was started, and that it drives again.
const STOPPED: i64 = 5 * SECOND;
const STARTS: i64 = 5 * SECOND;
const DRIVES: i64 = 60 * SECOND;
/// The tag of a vehicle in its bay is read this often.
const BAY_READ: i64 = 20 * SECOND;
const NOISE_M: f64 = 4.0;
const DEGREE_M: f64 = 111_195.0;

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Haul {
    /// From this site to another one.
    Begin(usize),
    /// These things, from a zone to another one.
    Back(Vec<usize>, usize, usize),
    Arrive(usize, usize),
    Carry(usize, usize, usize),
    Leave(usize, usize),
    Over(usize),
    /// Beside those that are due anyway.
    Fix(usize),
    /// The vehicle's tag in its bay.
    Bay(usize),
    /// The tag that is fixed there.
    Reference(usize),
}

/// A vehicle's way from one door to another.
#[derive(Clone, Debug)]
pub(super) struct Trip {
    vehicle: usize,
    stops: [Stop; 2],
    things: Vec<usize>,
    legs: [Leg; 3],
    /// Home, of what was away.
    back: bool,
}

/// From when to when, where from and where to.
type Leg = (i64, i64, (f64, f64), (f64, f64));

#[derive(Clone, Copy, Debug)]
struct Stop {
    door: usize,
    arrives: i64,
    leaves: i64,
    stay: Option<usize>,
}

impl Month {
    /// Of one shift of a site, at which there are so many assets times days of a month.
    pub(super) fn plan_hauls(&mut self, site: usize, (from, to): (i64, i64), per_day: f64) {
        let hauls = self.company.scenario.hauls;
        if hauls.per_asset <= 0.0 {
            return;
        }
        let load = (hauls.load[0] + hauls.load[1]) as f64 / 2.0;
        let all = hauls.per_asset * per_day;
        for _ in 0..self.how_many(all * hauls.by_vehicle / load) {
            let at = self.rng.random_range(from..to);
            self.queue.put(at, Event::Haul(Haul::Begin(site)));
        }
        for _ in 0..self.how_many(all * (1.0 - hauls.by_vehicle)) {
            let at = self.rng.random_range(from..to);
            self.later(at, Act::SendOver(site));
        }
    }

    pub(super) fn haul(&mut self, haul: Haul) {
        match haul {
            Haul::Begin(site) => self.begin_haul(site),
            Haul::Back(things, from, to) => {
                let open = self.is_working_hour(self.company.zones[from].site);
                if !(open && self.send(&things, from, to, true)) {
                    self.queue.put(self.now + AGAIN, Event::Haul(Haul::Back(things, from, to)));
                }
            }
            Haul::Arrive(trip, stop) => self.arrive(trip, stop),
            Haul::Carry(trip, stop, thing) => self.carry_aboard(trip, stop, thing),
            Haul::Leave(trip, stop) => self.leave(trip, stop),
            Haul::Over(trip) => self.trip_over(trip),
            Haul::Fix(vehicle) => self.send_fix(vehicle),
            Haul::Bay(trip) => self.read_in_bay(trip),
            Haul::Reference(door) => self.reference_in_bay(door),
        }
    }

    fn begin_haul(&mut self, site: usize) {
        let zones: Vec<usize> = self.zones_with_docks(|at| at == site);
        let others = self.zones_elsewhere(site);
        if zones.is_empty() || others.is_empty() {
            return;
        }
        let from = zones[self.rng.random_range(0..zones.len())];
        let to = others[self.rng.random_range(0..others.len())];
        let [least, most] = self.company.scenario.hauls.load;
        let count = self.rng.random_range(least..=most);
        let mut things: Vec<usize> =
            (0..self.things.len()).filter(|thing| self.is_free(*thing, from)).collect();
        things.shuffle(&mut self.rng);
        things.truncate(count);
        if from != to && !things.is_empty() {
            self.send(&things, from, to, false);
        }
    }

    fn zones_with_docks(&self, of: impl Fn(usize) -> bool) -> Vec<usize> {
        let zones = self.company.zones.iter().enumerate();
        let docks = zones.filter(|(_, zone)| zone.docks != Docks::None && of(zone.site));
        docks.map(|(index, _)| index).collect()
    }

    /// At other sites; where there is one site only, there.
    pub(super) fn zones_elsewhere(&self, site: usize) -> Vec<usize> {
        let alone = self.company.scenario.sites.len() == 1;
        self.zones_with_docks(|at| at != site || alone)
    }

    fn is_free(&self, thing: usize, zone: usize) -> bool {
        let state = &self.things[thing];
        let at_home = self.company.things[thing].zone == zone && state.place == Place::Zone(zone);
        at_home && !state.busy && state.seen.out.is_none() && !state.tags.is_empty()
    }

    /// Whether there is a vehicle, and a door at either end.
    fn send(&mut self, things: &[usize], from: usize, to: usize, back: bool) -> bool {
        let site = self.company.zones[from].site;
        let mut idle: Vec<usize> =
            (0..self.vehicles.len()).filter(|vehicle| self.vehicles[*vehicle].trip.is_none()).collect();
        let of_site = |vehicle: &usize| self.company.vehicles[*vehicle].site == site;
        if idle.iter().any(of_site) {
            idle.retain(of_site);
        }
        if idle.is_empty() {
            return false;
        }
        let vehicle = idle[self.rng.random_range(0..idle.len())];
        let speed = self.company.scenario.hauls.kmh / 3.6;
        let start = self.ring(vehicle);
        let doors = [from, to].map(|zone| self.company.zones[zone].doors[0]);
        let places = doors.map(|door| self.company.doors[door].place);
        let drive = |from, to| us(distance_m(from, to) / speed).max(2 * MINUTE);
        let handling = 5 * MINUTE + things.len() as i64 * MINUTE;
        let [first, second] = [0, 1].map(|_| handling + self.rng.random_range(2 * MINUTE..20 * MINUTE));
        // Nobody who is about to take something out is taken by surprise.
        let departs = self.now + 2 * SHUT;
        let arrives = departs + drive(start, places[0]);
        let leaves = arrives + first;
        let comes = leaves + drive(places[0], places[1]);
        let goes = comes + second;
        let over = goes + drive(places[1], start);
        let stops = [(doors[0], arrives, leaves), (doors[1], comes, goes)];
        if stops.iter().any(|(door, from, to)| self.is_shut(*door, from - SHUT, to + SHUT)) {
            return false;
        }
        let stops = stops.map(|(door, arrives, leaves)| Stop { door, arrives, leaves, stay: None });
        let legs = [
            (departs, arrives, start, places[0]),
            (leaves, comes, places[0], places[1]),
            (goes, over, places[1], start),
        ];
        let trip = self.trips.len();
        self.trips.push(Trip { vehicle, stops, things: things.to_vec(), legs, back });
        self.vehicles[vehicle].trip = Some(trip);
        things.iter().for_each(|thing| self.things[*thing].busy = true);
        for (index, stop) in stops.into_iter().enumerate() {
            self.shut[stop.door].push((stop.arrives - SHUT, stop.leaves + SHUT));
            self.queue.put(stop.arrives, Event::Haul(Haul::Arrive(trip, index)));
            self.queue.put(stop.leaves, Event::Haul(Haul::Leave(trip, index)));
        }
        self.queue.put(over, Event::Haul(Haul::Over(trip)));
        true
    }

    /// Whether a vehicle has that door some time between.
    pub(super) fn is_shut(&self, door: usize, from: i64, to: i64) -> bool {
        self.shut[door].iter().any(|(begins, ends)| *begins <= to && from <= *ends)
    }

    fn arrive(&mut self, trip: usize, stop: usize) {
        let Trip { vehicle, stops, things, .. } = self.trips[trip].clone();
        let Stop { door, arrives, leaves, .. } = stops[stop];
        self.trips[trip].stops[stop].stay = Some(self.truths.stays.len());
        self.truths.stays.push(Stay {
            vehicle: self.company.vehicles[vehicle].id.clone(),
            door: self.company.doors[door].name.clone(),
            from_us: arrives,
            until_us: leaves,
            ..Stay::default()
        });
        self.vehicles[vehicle].stay = self.trips[trip].stops[stop].stay;
        for at in [arrives + STOPPED, leaves - STARTS] {
            self.queue.put(at, Event::Haul(Haul::Fix(vehicle)));
        }
        if self.company.zones[self.company.doors[door].zone].docks == Docks::Tag {
            self.queue.put(arrives + STOPPED, Event::Haul(Haul::Bay(trip)));
        }
        let mut at = arrives + self.rng.random_range(2 * MINUTE..4 * MINUTE);
        for thing in things {
            self.queue.put(at, Event::Haul(Haul::Carry(trip, stop, thing)));
            at += self.rng.random_range(20 * SECOND..MINUTE);
        }
    }

    fn carry_aboard(&mut self, trip: usize, stop: usize, thing: usize) {
        let Trip { vehicle, stops, .. } = &self.trips[trip];
        let (vehicle, Stop { door, stay, .. }) = (*vehicle, stops[stop]);
        let Some(stay) = stay else { return };
        if stop == 1 {
            let at_us = self.pass_door(thing, door, true);
            if let Some(aboard) = self.things[thing].aboard {
                self.truths.aboard[aboard].until_us = Some(at_us);
            }
            return;
        }
        let (at_us, _) = self.takes_out(thing, door);
        self.things[thing].aboard = Some(self.truths.aboard.len());
        self.truths.aboard.push(Aboard {
            asset: self.company.things[thing].id.clone(),
            vehicle: self.company.vehicles[vehicle].id.clone(),
            stay,
            really: true,
            from_us: at_us,
            ..Aboard::default()
        });
    }

    fn leave(&mut self, trip: usize, stop: usize) {
        let vehicle = self.trips[trip].vehicle;
        self.queue.put(self.now + DRIVES, Event::Haul(Haul::Fix(vehicle)));
        if stop == 0 {
            return;
        }
        let Trip { things, stops, back, .. } = self.trips[trip].clone();
        let zone = |stop: usize| self.company.doors[stops[stop].door].zone;
        let (from, to) = (zone(0), zone(1));
        if back {
            things.iter().for_each(|thing| self.later(self.now + HOUR, Act::Done(*thing)));
        } else {
            let days = self.between(self.company.scenario.hauls.days, DAY).max(HOUR);
            self.queue.put(self.now + days, Event::Haul(Haul::Back(things, to, from)));
        }
    }

    fn trip_over(&mut self, trip: usize) {
        let vehicle = self.trips[trip].vehicle;
        self.vehicles[vehicle].trip = None;
    }

    fn read_in_bay(&mut self, trip: usize) {
        let Trip { vehicle, stops, .. } = &self.trips[trip];
        let standing = stops.iter().find(|stop| (stop.arrives..stop.leaves).contains(&self.now));
        let (vehicle, Some(Stop { door, stay, .. })) = (*vehicle, standing.copied()) else { return };
        let device = self.company.doors[door].reader;
        let code = self.company.vehicles[vehicle].tag;
        if let (true, Some(code)) = (self.devices[device].powered, code) {
            self.say_in_bay(device, code, stay);
        }
        self.queue.put(self.now + BAY_READ, Event::Haul(Haul::Bay(trip)));
    }

    fn reference_in_bay(&mut self, door: usize) {
        let device = self.company.doors[door].reader;
        if let (true, Some(code)) = (self.devices[device].powered, self.company.doors[door].reference) {
            self.say_in_bay(device, code, None);
        }
        let every = us(self.company.scenario.listening.reference_every_s);
        self.queue.put(self.now + every, Event::Haul(Haul::Reference(door)));
    }

    /// Where a vehicle is when it has nothing to carry.
    fn ring(&self, vehicle: usize) -> (f64, f64) {
        let (site, phase) = (self.company.vehicles[vehicle].site, self.vehicles[vehicle].phase);
        (52.0 + 0.1 * phase.sin(), 9.0 + site as f64 + 0.1 * phase.cos())
    }

    /// Where it is, by its receiver.
    pub(super) fn position(&mut self, vehicle: usize) -> (f64, f64) {
        let Some(trip) = self.vehicles[vehicle].trip else { return self.ring(vehicle) };
        let legs = self.trips[trip].legs;
        let leg = legs.iter().rev().find(|leg| leg.0 <= self.now).unwrap_or(&legs[0]);
        let share = ((self.now - leg.0) as f64 / (leg.1 - leg.0) as f64).clamp(0.0, 1.0);
        let (lat, lon) = (leg.2.0 + share * (leg.3.0 - leg.2.0), leg.2.1 + share * (leg.3.1 - leg.2.1));
        let (north, east) = (NOISE_M * normal(&mut self.rng), NOISE_M * normal(&mut self.rng));
        let lat = lat + north / DEGREE_M;
        (lat, lon + east / (DEGREE_M * lat.to_radians().cos()))
    }
}

fn distance_m(from: (f64, f64), to: (f64, f64)) -> f64 {
    let east = (to.1 - from.1) * DEGREE_M * ((from.0 + to.0) / 2.0).to_radians().cos();
    east.hypot((to.0 - from.0) * DEGREE_M)
}
