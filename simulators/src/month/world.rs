//! The month itself: takes the next happening from the queue until there is something to tell the daemon.

use std::collections::{BTreeSet, VecDeque};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::company::{Codes, Company};
use super::devices::{Device, Say};
use super::hauls::{Haul, Trip};
use super::observer::Seen;
use super::queue::Queue;
use super::scenario::Scenario;
use super::truth::{Entry, Truths};
use crate::clock::micros;

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// One thing that reaches the daemon, and when, in microseconds since 1970. In order of time.
#[derive(Clone, PartialEq, Debug)]
pub struct Input {
    pub at_us: i64,
    pub what: What,
}

#[derive(Clone, PartialEq, Debug)]
pub enum What {
    /// A whole LLRP message.
    Llrp {
        reader: String,
        bytes: Vec<u8>,
    },
    Mqtt {
        broker: String,
        topic: String,
        payload: Vec<u8>,
    },
    /// A connection came up; what was held follows.
    Up {
        source: String,
    },
    Down {
        source: String,
    },
    CheckOut {
        asset: String,
        holder: String,
        due_us: i64,
    },
    CheckIn {
        asset: String,
    },
    Quarantine {
        asset: String,
    },
    Release {
        asset: String,
    },
    /// This tag is on that asset now, in place of another.
    Commission {
        asset: String,
        epc: [u8; 12],
        replaces: [u8; 12],
    },
    /// The daemon is switched off, or killed: what it has committed is what it has.
    Stop,
    Start,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Event {
    Round(usize),
    Reference(usize),
    /// An asset is put on the shelf of the zone where it is.
    Shelved(usize),
    Say(usize, Vec<Say>),
    /// A passage is over.
    Passed {
        thing: usize,
        door: usize,
        inward: bool,
    },
    Fix(usize),
    Act(super::acts::Act),
    Misfortune(super::luck::Misfortune),
    /// A connection that failed is noticed.
    Noticed(usize),
    Connect(usize),
    Haul(Haul),
}

/// Where an asset really is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Zone(usize),
    Away,
}

#[derive(Clone, Debug)]
pub(super) struct Thing {
    pub place: Place,
    pub antenna: u16,
    /// Codes that still answer.
    pub tags: Vec<[u8; 12]>,
    /// Somebody is doing something with it, or it is lost.
    pub busy: bool,
    pub seen: Seen,
    /// Its newest entry among those that were in a vehicle.
    pub aboard: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct VehicleState {
    pub flat: bool,
    pub phase: f64,
    /// Of its last fix.
    pub fix_second: i64,
    pub trip: Option<usize>,
    /// The newest of its stays.
    pub stay: Option<usize>,
}

pub struct Month {
    pub(super) company: Company,
    pub(super) now: i64,
    pub(super) starts: i64,
    pub(super) ends: i64,
    pub(super) queue: Queue<Event>,
    pub(super) rng: ChaCha8Rng,
    pub(super) codes: Codes,
    pub(super) devices: Vec<Device>,
    pub(super) things: Vec<Thing>,
    /// Assets on each shelf.
    pub(super) shelved: Vec<BTreeSet<usize>>,
    pub(super) strangers: Vec<(usize, [u8; 12])>,
    pub(super) vehicles: Vec<VehicleState>,
    pub(super) trips: Vec<Trip>,
    /// When a vehicle has which door.
    pub(super) shut: Vec<Vec<(i64, i64)>>,
    pub(super) daemon_up: bool,
    pub(super) truths: Truths,
    pub(super) out: VecDeque<Input>,
}

impl Month {
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut codes = Codes::default();
        let company = Company::new(scenario, &mut codes, &mut rng);
        let starts = scenario.start.as_microsecond();
        let readers = company.readers.iter().map(|reader| Device::new(reader.name.clone(), true));
        let brokers = (0..scenario.sites.len()).map(|site| Device::new(company.broker(site), false));
        let mut devices: Vec<Device> = readers.chain(brokers).collect();
        for shelf in &company.shelves {
            devices[shelf.reader].antennas = shelf.antennas;
        }
        let mut month = Self {
            now: starts,
            starts,
            ends: starts + i64::from(scenario.days) * DAY,
            queue: Queue::default(),
            rng,
            codes,
            devices,
            things: Vec::new(),
            shelved: vec![BTreeSet::new(); company.shelves.len()],
            strangers: Vec::new(),
            vehicles: vec![VehicleState::default(); company.vehicles.len()],
            trips: Vec::new(),
            shut: vec![Vec::new(); company.doors.len()],
            daemon_up: false,
            truths: Truths::default(),
            out: VecDeque::new(),
            company,
        };
        month.put_things();
        month.begin();
        month.plan_acts();
        month.plan_misfortunes();
        month
    }

    pub fn company(&self) -> &Company {
        &self.company
    }

    pub fn starts_us(&self) -> i64 {
        self.starts
    }

    pub fn ends_us(&self) -> i64 {
        self.ends
    }

    /// What really happened. To be asked when nothing comes any more.
    pub fn finish(mut self) -> Truths {
        self.now = self.ends;
        for device in 0..self.devices.len() {
            self.stop_working(device);
        }
        self.truths.working.sort_by_key(|working| working.from_us);
        self.truths
    }

    fn put_things(&mut self) {
        use rand::RngExt;
        for (index, thing) in self.company.things.iter().enumerate() {
            let shelf = self.company.zones[thing.zone].shelf;
            let antennas = shelf.map_or(1, |shelf| self.company.shelves[shelf].antennas);
            self.things.push(Thing {
                place: Place::Zone(thing.zone),
                antenna: self.rng.random_range(1..=antennas),
                tags: thing.tags.clone(),
                busy: false,
                seen: Seen::default(),
                aboard: None,
            });
            if let Some(shelf) = shelf {
                self.shelved[shelf].insert(index);
            }
        }
    }

    fn begin(&mut self) {
        use rand::RngExt;
        self.start_daemon();
        let listening = self.company.scenario.listening;
        for shelf in 0..self.company.shelves.len() {
            let first = self.rng.random_range(60.0..60.0 + listening.read_every_s);
            self.queue.put(self.starts + us(first), Event::Round(shelf));
            let first = self.rng.random_range(30.0..30.0 + listening.reference_every_s);
            self.queue.put(self.starts + us(first), Event::Reference(shelf));
        }
        for door in 0..self.company.doors.len() {
            if self.company.doors[door].reference.is_some() {
                self.queue.put(self.starts + 30 * SECOND, Event::Haul(Haul::Reference(door)));
            }
        }
        for vehicle in 0..self.vehicles.len() {
            let first = self.rng.random_range(60.0..600.0);
            self.queue.put(self.starts + us(first), Event::Fix(vehicle));
        }
    }

    pub(super) fn start_daemon(&mut self) {
        use rand::RngExt;
        self.daemon_up = true;
        self.tell(What::Start);
        for device in 0..self.devices.len() {
            let soon = self.rng.random_range(SECOND..15 * SECOND);
            self.queue.put(self.now + soon, Event::Connect(device));
        }
    }

    /// Nobody listens for that long.
    pub(super) fn stop_daemon(&mut self, for_us: i64, why: &'static str) {
        self.daemon_up = false;
        self.tell(What::Stop);
        for device in 0..self.devices.len() {
            self.stop_working(device);
            self.devices[device].connected = false;
        }
        let to_us = Some(self.now + for_us);
        let subject = "daemon".to_owned();
        self.truths.daemon_off.push(Entry { subject, why, from_us: self.now, to_us });
    }

    pub(super) fn tell(&mut self, what: What) {
        self.out.push_back(Input { at_us: self.now, what });
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Round(shelf) => self.round(shelf),
            Event::Reference(shelf) => self.reference(shelf),
            Event::Shelved(thing) => self.read_alone(thing),
            Event::Say(device, says) => self.say(device, says),
            Event::Passed { thing, door, inward } => self.passed(thing, door, inward),
            Event::Fix(vehicle) => self.fix(vehicle),
            Event::Act(act) => self.act(act),
            Event::Misfortune(misfortune) => self.suffer(misfortune),
            Event::Noticed(device) => self.notice(device),
            Event::Connect(device) => self.connect(device),
            Event::Haul(haul) => self.haul(haul),
        }
    }

    /// Is put down or taken away.
    pub(super) fn place(&mut self, thing: usize, place: Place) {
        let shelf_of = |company: &Company, place| match place {
            Place::Zone(zone) => company.zones[zone].shelf,
            Place::Away => None,
        };
        if let Some(shelf) = shelf_of(&self.company, self.things[thing].place) {
            self.shelved[shelf].remove(&thing);
        }
        self.things[thing].place = place;
        if let Some(shelf) = shelf_of(&self.company, place) {
            use rand::RngExt;
            self.shelved[shelf].insert(thing);
            self.things[thing].antenna = self.rng.random_range(1..=self.company.shelves[shelf].antennas);
        }
    }
}

impl Iterator for Month {
    type Item = Input;

    fn next(&mut self) -> Option<Input> {
        loop {
            if let Some(input) = self.out.pop_front() {
                return Some(input);
            }
            let (at, event) = self.queue.pop()?;
            if at >= self.ends {
                return None;
            }
            self.now = at;
            self.happen(event);
        }
    }
}

/// Seconds to microseconds.
pub(super) fn us(seconds: f64) -> i64 {
    (seconds * 1e6) as i64
}

pub(super) fn instant(at_us: i64) -> jiff::Timestamp {
    micros(at_us)
}
