//! Drawing a plan: who passes which door when, what fails, what is stolen, and what is not back in time.
//!
//! Nothing is planned that could not be noticed before emission ends; nothing happens to a thing while
//! another thing happens to it.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::happening::{Device, Door, Event, Happening, passage_takes_s};
use super::plant::{Checkout, Plant, ReadPointKind};
use super::road::Leg;
use crate::faults::Fault;
use crate::scenario::{FaultKind, FaultPlan, Scenario, Timing};
use crate::truth::Direction;

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
    /// By asset: the zone it is in, from when on something may happen to it; `None`: out, gone or standing.
    whereabouts: Vec<Option<Whereabouts>>,
    /// Reads of standing assets: the door, whether inside.
    pub standing: Vec<(Door, usize)>,
    windows: Vec<Window>,
}

#[derive(Clone, Debug)]
struct Whereabouts {
    zone: String,
    free_s: f64,
}

/// When a device is not to be trusted, or late.
#[derive(Clone, Copy, Debug)]
struct Window {
    device: Device,
    from_s: f64,
    to_s: f64,
    /// What is sensed meanwhile comes later; otherwise it does not come, or comes wrong.
    only_late: bool,
}

/// A passage that somebody else asked for.
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

impl<'a> Planner<'a> {
    pub fn new(scenario: &'a Scenario, plant: Plant, seed: u64, ends_s: f64) -> Self {
        let whereabouts = plant
            .assets
            .iter()
            .map(|asset| asset.home_zone.clone().map(|zone| Whereabouts { zone, free_s: 0.0 }))
            .collect();
        let (events, standing, windows) = (Vec::new(), Vec::new(), Vec::new());
        let mut planner = Self { scenario, plant, ends_s, seed, events, whereabouts, standing, windows };
        planner.failures();
        planner.standing();
        let returns = planner.checkouts();
        planner.thefts();
        planner.doors(returns);
        planner.cold_rooms();
        planner.trucks();
        planner.events.sort_by(|one, other| one.begins_s.total_cmp(&other.begins_s));
        planner
    }

    fn timing(&self) -> Timing {
        self.scenario.timing
    }

    fn rng(&self, what: &str) -> ChaCha8Rng {
        super::rng(self.seed, what)
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
        let here = |place: &Option<Whereabouts>| {
            place.as_ref().is_some_and(|place| place.zone == zone && place.free_s <= now_s)
        };
        (0..self.whereabouts.len()).filter(|asset| here(&self.whereabouts[*asset])).collect()
    }

    // ---- what fails ------------------------------------------------------------------------------

    fn device(&self, name: &str) -> Option<Device> {
        let reader = self.plant.readers.iter().position(|reader| reader.name == name).map(Device::Reader);
        let truck = || self.plant.trackers.iter().position(|tracker| tracker.name == name).map(Device::Truck);
        let room = || self.plant.modbus.iter().position(|device| device.name == name).map(Device::Room);
        reader.or_else(truck).or_else(room)
    }

    fn failures(&mut self) {
        for outage in &self.scenario.outages {
            let Some(device) = self.device(&outage.source) else { continue };
            for from_s in self.in_every_chapter(outage.at) {
                let happening =
                    Happening::Outage { device, source: outage.source.clone(), to_s: from_s + outage.for_s };
                self.fail(
                    Window { device, from_s, to_s: from_s + outage.for_s, only_late: false },
                    happening,
                );
            }
        }
        for plan in &self.scenario.faults {
            let Some(device) = self.device(&plan.device) else { continue };
            let fault = fault(plan);
            for from_s in self.in_every_chapter(plan.at) {
                let to_s = from_s + plan.for_s;
                let window = Window { device, from_s, to_s, only_late: only_late(plan.kind, device) };
                self.fail(window, Happening::Fault { device, fault, to_s });
            }
        }
    }

    fn fail(&mut self, window: Window, happening: Happening) {
        let settled_s = window.to_s + self.timing().reconnect_s;
        if settled_s <= self.ends_s {
            self.windows.push(window);
            self.push(window.from_s, settled_s, happening);
        }
    }

    /// By when something between the two times on a device is noticed; `None` where it cannot be.
    fn noticed(&self, device: Device, from_s: f64, settled_s: f64) -> Option<f64> {
        let reconnect_s = self.timing().reconnect_s;
        let mut settled = settled_s;
        for window in self.windows.iter().filter(|window| window.device == device) {
            let clear_s = window.to_s + reconnect_s;
            if from_s > clear_s || settled < window.from_s {
                continue;
            }
            if !window.only_late {
                return None;
            }
            settled = settled.max(clear_s);
        }
        (settled <= self.ends_s).then_some(settled)
    }

    // ---- cribs, checkouts ------------------------------------------------------------------------

    fn standing(&mut self) {
        let mut rng = self.rng("standing");
        for index in 0..self.scenario.doors.len() {
            let door = self.door(index);
            for _ in 0..self.scenario.doors[index].standing {
                let here = self.at_home(&self.scenario.doors[index].inside, 0.0);
                if let Some(asset) = pick(&here, &mut rng) {
                    self.whereabouts[asset] = None;
                    self.standing.push((door, asset));
                }
            }
        }
    }

    /// Makes the checkouts; gives back when which asset returns through which door.
    fn checkouts(&mut self) -> Vec<(f64, usize, usize)> {
        let mut rng = self.rng("checkouts");
        let mut through_doors = Vec::new();
        let chapter = self.timing().chapter_s.min(self.ends_s);
        for group in &self.scenario.checkouts {
            for share in &group.overdue {
                let Some(asset) = self.check_out(&group.zone, &mut rng) else { continue };
                self.overdue(asset, share * chapter, &mut rng);
            }
            for share in &group.returned {
                let Some(asset) = self.check_out(&group.zone, &mut rng) else { continue };
                let at_s = share * chapter;
                match self.scenario.cribs.iter().position(|crib| crib.zone == group.zone) {
                    Some(crib) => self.return_to_crib(crib, asset, at_s, &mut rng),
                    None => {
                        through_doors.extend(self.return_through_door(asset, &group.zone, at_s, &mut rng))
                    }
                }
            }
            for _ in 0..group.out {
                if let Some(asset) = self.check_out(&group.zone, &mut rng) {
                    self.due(asset, self.ends_s + MUCH_LATER_S, false, &mut rng);
                }
            }
        }
        through_doors
    }

    fn check_out(&mut self, zone: &str, rng: &mut ChaCha8Rng) -> Option<usize> {
        let asset = pick(&self.at_home(zone, 0.0), rng)?;
        self.whereabouts[asset] = None;
        Some(asset)
    }

    fn due(&mut self, asset: usize, due_s: f64, returns: bool, rng: &mut ChaCha8Rng) {
        let holder = HOLDERS[rng.random_range(0..HOLDERS.len())].to_owned();
        let asset = self.plant.assets[asset].id.clone();
        self.plant.checkouts.push(Checkout { asset, holder, due_s, returns });
    }

    fn overdue(&mut self, asset: usize, due_s: f64, rng: &mut ChaCha8Rng) {
        let class = self.class_of(asset);
        let settled_s = due_s + class.1.unwrap_or(0.0) + self.timing().overdue_settle_s;
        if settled_s > self.ends_s {
            return self.due(asset, self.ends_s + MUCH_LATER_S, false, rng);
        }
        self.due(asset, due_s, false, rng);
        self.push((due_s - DUE_SOON_S).max(0.0), settled_s, Happening::Overdue { asset, due_s });
    }

    fn return_to_crib(&mut self, crib: usize, asset: usize, at_s: f64, rng: &mut ChaCha8Rng) {
        let reader = Device::Reader(self.reader(&self.scenario.cribs[crib].reader));
        let Some(settled_s) = self.noticed(reader, at_s, at_s + self.timing().passage_settle_s + 3.0) else {
            return self.due(asset, self.ends_s + MUCH_LATER_S, false, rng);
        };
        self.due(asset, settled_s + 3.0, true, rng);
        let begins_s = (settled_s + 3.0 - DUE_SOON_S).clamp(0.0, at_s);
        self.push(begins_s, settled_s, Happening::Return { crib, asset, at_s });
    }

    /// When, through which door, which asset.
    fn return_through_door(
        &mut self,
        asset: usize,
        zone: &str,
        at_s: f64,
        rng: &mut ChaCha8Rng,
    ) -> Option<(f64, usize, usize)> {
        let doors: Vec<usize> =
            (0..self.scenario.doors.len()).filter(|door| self.scenario.doors[*door].inside == zone).collect();
        let slowest_s = passage_takes_s(1, SPEEDS_MPS.start) + self.timing().passage_settle_s;
        let open = |door: &usize| {
            let reader = Device::Reader(self.door(*door).reader);
            self.noticed(reader, at_s, at_s + slowest_s).map(|settled_s| (*door, settled_s))
        };
        let Some((door, settled_s)) = doors.iter().find_map(open) else {
            self.due(asset, self.ends_s + MUCH_LATER_S, false, rng);
            return None;
        };
        self.due(asset, settled_s + DUE_SOON_S, true, rng);
        Some((at_s, door, asset))
    }

    fn class_of(&self, asset: usize) -> (Option<f64>, Option<f64>) {
        let name = &self.plant.assets[asset].class;
        let class = self.plant.classes.iter().find(|class| class.name == *name);
        class.map_or((None, None), |class| (class.ghost_after_s, class.overdue_grace_s))
    }

    fn thefts(&mut self) {
        let mut rng = self.rng("thefts");
        for theft in &self.scenario.thefts {
            let Some(crib) = self.scenario.cribs.iter().find(|crib| crib.name == theft.crib) else {
                continue;
            };
            let reader = Device::Reader(self.reader(&crib.reader));
            let times: Vec<f64> = theft.at.iter().flat_map(|share| self.in_every_chapter(*share)).collect();
            for at_s in times {
                let here = self.at_home(&crib.zone, at_s);
                let Some(asset) = pick(&here, &mut rng) else { continue };
                let Some(ghost_after_s) = self.class_of(asset).0 else { continue };
                let settled_s = at_s + ghost_after_s + self.timing().ghost_settle_s;
                if let Some(settled_s) = self.noticed(reader, at_s, settled_s) {
                    self.whereabouts[asset] = None;
                    self.push(at_s, settled_s, Happening::Theft { asset });
                }
            }
        }
    }

    /// Tags in cribs from the beginning: the crib, the asset.
    pub fn in_cribs(&self) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (crib, place) in self.scenario.cribs.iter().enumerate() {
            let stolen = self.events.iter().filter_map(|event| match event.happening {
                Happening::Theft { asset } => Some(asset),
                _ => None,
            });
            let at_home = |asset: &usize| self.plant.assets[*asset].home_zone.as_ref() == Some(&place.zone);
            let mut here: Vec<usize> = self.at_home(&place.zone, f64::MAX);
            here.extend(stolen.filter(at_home));
            here.sort_unstable();
            found.extend(here.into_iter().map(|asset| (crib, asset)));
        }
        found
    }

    // ---- doors -----------------------------------------------------------------------------------

    fn reader(&self, name: &str) -> usize {
        self.plant.readers.iter().position(|reader| reader.name == name).unwrap_or_default()
    }

    /// The read point and the reader of the scenario's door.
    fn door(&self, index: usize) -> Door {
        let door = &self.scenario.doors[index];
        let is_it = |kind: &ReadPointKind| matches!(kind, ReadPointKind::Portal { .. });
        let point =
            self.plant.read_points.iter().position(|point| is_it(&point.kind) && point.name == door.name);
        Door { point: point.unwrap_or_default(), reader: self.reader(&door.reader) }
    }

    fn doors(&mut self, returns: Vec<(f64, usize, usize)>) {
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

    // ---- cold rooms and trucks -------------------------------------------------------------------

    fn cold_rooms(&mut self) {
        for (index, room) in self.scenario.cold_rooms.iter().enumerate() {
            let wanted: Vec<f64> =
                room.excursions.iter().flat_map(|share| self.in_every_chapter(*share)).collect();
            let mut rng = self.rng(&format!("cold room {}", room.name));
            let openings = poisson(room.openings_per_minute, self.ends_s, &mut rng);
            let noticed = |from_s, settled_s| self.noticed(Device::Room(index), from_s, settled_s);
            let events = super::cold::openings(index, room, self.timing(), &wanted, &openings, noticed);
            self.events.extend(events);
        }
    }

    fn trucks(&mut self) {
        for (truck, plan) in self.scenario.trucks.iter().enumerate() {
            let mut departs_s = plan.route[0].dwell_s;
            let mut at = 0;
            loop {
                let next = (at + 1) % plan.route.len();
                let (from, to) = (plan.route[at], plan.route[next]);
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
                self.push(leg.departs_s, settled_s, Happening::Drive { truck, leg });
            }
        }
    }
}

/// Walking pace to a brisk forklift.
const SPEEDS_MPS: std::ops::Range<f64> = 1.4..2.6;

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

fn fault(plan: &FaultPlan) -> Fault {
    match plan.kind {
        FaultKind::Silent => Fault::Silent,
        FaultKind::Slow => {
            Fault::Slow { delay: std::time::Duration::from_millis(plan.delay_ms.unwrap_or_default()) }
        }
        FaultKind::Garbage => Fault::Garbage,
        FaultKind::Truncated => Fault::Truncated,
        FaultKind::Duplicate => Fault::Duplicate,
        FaultKind::ClockJump => Fault::ClockJump { by_us: (plan.by_s.unwrap_or_default() * 1e6) as i64 },
        FaultKind::Disconnect => Fault::Disconnect,
        FaultKind::Refuse => Fault::Refuse,
        FaultKind::Exception => Fault::Exception { code: plan.code.unwrap_or(4) },
        FaultKind::WrongTransaction => Fault::WrongTransaction,
    }
}

/// Whether what a device senses during the fault still arrives, only later. A polled device keeps nothing.
fn only_late(kind: FaultKind, device: Device) -> bool {
    match (kind, device) {
        (FaultKind::ClockJump, _) => false,
        (FaultKind::Slow | FaultKind::Duplicate | FaultKind::Refuse, _) => true,
        (FaultKind::Garbage | FaultKind::Truncated, Device::Truck(_)) => false,
        (_, Device::Room(_)) => false,
        _ => true,
    }
}
