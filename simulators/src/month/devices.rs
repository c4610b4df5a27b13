//! Readers and brokers: what they say, hold back, lose and send afterwards; and when a shelf reader works.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;

use super::company::Company;
use super::truth::Working;
use super::wire;
use super::world::{Event, MINUTE, Month, Place, SECOND, What, instant, us};
use crate::llrp::TagObservation;
use crate::mqtt::owntracks::Location;
use crate::world::portal;

/// A connection that fails without a word is noticed after this long (three keepalives).
const NOTICED: i64 = 30 * SECOND;
/// Reads of a door are reported this often.
const DOOR_REPORT: i64 = SECOND / 2;

/// What a device has to tell.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Say {
    /// A read; `shelved`: of an asset, on this shelf.
    Read { observation: TagObservation, shelved: Option<(usize, usize)> },
    /// Of a vehicle's tag in its bay.
    Bay { observation: TagObservation, stay: Option<usize> },
    /// Nothing on the wire: the reads of a passage have all been told.
    Passed { thing: usize, door: usize, inward: bool, at_us: i64 },
    Fix {
        topic: String,
        payload: Vec<u8>,
        /// The stay of which it says something, whether that goes on, and when it was so.
        stay: Option<(usize, bool, i64)>,
    },
}

#[derive(Debug)]
pub(super) struct Device {
    pub name: String,
    pub is_reader: bool,
    pub powered: bool,
    pub networked: bool,
    /// As the daemon has been told.
    pub connected: bool,
    pub cut: BTreeSet<u16>,
    held: Vec<Say>,
    /// Something passes its door until then.
    pub busy_until: i64,
    /// Of each antenna of a shelf, from 1; of anything else as a whole, at 0.
    working_since: BTreeMap<u16, i64>,
    /// Of a shelf: each works or not by itself.
    pub antennas: u16,
    messages: u32,
    last_read: i64,
}

impl Device {
    pub fn new(name: String, is_reader: bool) -> Self {
        Self {
            name,
            is_reader,
            powered: true,
            networked: true,
            connected: false,
            cut: BTreeSet::new(),
            held: Vec::new(),
            busy_until: 0,
            working_since: BTreeMap::new(),
            antennas: 0,
            messages: 0,
            last_read: 0,
        }
    }

    /// What hears: a shelf's antenna where it has several, else the device.
    pub fn ear(&self, antenna: u16) -> String {
        if self.antennas > 1 { format!("{}#{antenna}", self.name) } else { self.name.clone() }
    }

    /// Its parts that work or not by themselves.
    fn parts(&self) -> std::ops::RangeInclusive<u16> {
        if self.antennas > 1 { 1..=self.antennas } else { 0..=0 }
    }

    fn works(&self, part: u16) -> bool {
        let cut = if part == 0 { !self.cut.is_empty() } else { self.cut.contains(&part) };
        self.reaches_us() && !cut
    }

    pub fn reaches_us(&self) -> bool {
        self.connected && self.powered && self.networked
    }
}

impl Month {
    /// Everything on a shelf is read once.
    pub(super) fn round(&mut self, shelf: usize) {
        let listening = self.company.scenario.listening;
        let device = self.company.shelves[shelf].reader;
        if self.devices[device].powered {
            let mut says = Vec::new();
            for thing in self.shelved[shelf].iter().copied().collect::<Vec<_>>() {
                self.hear(thing, shelf, listening.miss, &mut says);
            }
            // Strangers lie before the first antenna.
            let strangers =
                if self.devices[device].cut.contains(&1) { Vec::new() } else { self.strangers.clone() };
            for (_, code) in strangers.into_iter().filter(|(at, _)| *at == shelf) {
                says.push(self.read(device, 1, code, None));
            }
            self.say(device, says);
        }
        let next = us(listening.read_every_s * self.rng.random_range(0.95..1.05));
        self.queue.put(self.now + next, Event::Round(shelf));
    }

    /// An asset that has just been put on its shelf.
    pub(super) fn read_alone(&mut self, thing: usize) {
        let Place::Zone(zone) = self.things[thing].place else { return };
        let Some(shelf) = self.company.zones[zone].shelf else { return };
        let device = self.company.shelves[shelf].reader;
        if self.devices[device].powered {
            let mut says = Vec::new();
            self.hear(thing, shelf, 0.0, &mut says);
            self.say(device, says);
        }
    }

    fn hear(&mut self, thing: usize, shelf: usize, miss: f64, says: &mut Vec<Say>) {
        let device = self.company.shelves[shelf].reader;
        let antenna = self.things[thing].antenna;
        if self.devices[device].cut.contains(&antenna) {
            return;
        }
        for code in self.things[thing].tags.clone() {
            if !self.rng.random_bool(miss) {
                says.push(self.read(device, antenna, code, Some((thing, shelf))));
            }
        }
    }

    pub(super) fn reference(&mut self, shelf: usize) {
        let (device, code) = (self.company.shelves[shelf].reader, self.company.shelves[shelf].reference);
        if self.devices[device].powered && !self.devices[device].cut.contains(&1) {
            let read = self.read(device, 1, code, None);
            self.say(device, vec![read]);
        }
        let every = self.company.scenario.listening.reference_every_s;
        self.queue.put(self.now + us(every), Event::Reference(shelf));
    }

    fn read(&mut self, device: usize, antenna: u16, code: [u8; 12], shelved: Option<(usize, usize)>) -> Say {
        let device = &mut self.devices[device];
        device.last_read = self.now.max(device.last_read + 1);
        let observation = TagObservation {
            antenna,
            epc: code.to_vec(),
            rssi_dbm: -58,
            at: instant(device.last_read),
            count: 3,
        };
        Say::Read { observation, shelved }
    }

    pub(super) fn say_in_bay(&mut self, device: usize, code: [u8; 12], stay: Option<usize>) {
        if let Say::Read { observation, .. } = self.read(device, Company::BAY_ANTENNA, code, None) {
            self.say(device, vec![Say::Bay { observation, stay }]);
        }
    }

    /// An asset goes through a door. Gives when it is in it.
    pub(super) fn pass_door(&mut self, thing: usize, door: usize, inward: bool) -> i64 {
        if !inward {
            // On its way to the door it is no longer on the shelf.
            self.place(thing, Place::Away);
        }
        let device = self.company.doors[door].reader;
        let hears = self.devices[device].powered && self.devices[device].cut.is_empty();
        let speed = self.rng.random_range(1.0..1.8);
        let mut reads = Vec::new();
        if hears {
            for code in self.things[thing].tags.clone() {
                let walk = portal::pass(inward, speed, &mut self.rng);
                reads.extend(walk.into_iter().map(|read| (self.now + us(read.at_s), read, code)));
            }
        }
        reads.sort_by_key(|(at, ..)| *at);
        let through = self.now + us(2.0 * portal::REACH_M / speed);
        let mut chunk = Vec::new();
        let mut until = self.now + DOOR_REPORT;
        for (at, read, code) in reads {
            while at >= until {
                self.report_later(device, until, &mut chunk);
                until += DOOR_REPORT;
            }
            let observation = TagObservation {
                antenna: read.antenna,
                epc: code.to_vec(),
                rssi_dbm: read.rssi_dbm,
                at: instant(at),
                count: 1,
            };
            chunk.push(Say::Read { observation, shelved: None });
        }
        let over = until.max(through) + 1;
        self.report_later(device, until, &mut chunk);
        let at_us = self.now + (through - self.now) / 2;
        if hears && !self.things[thing].tags.is_empty() {
            let passed = Say::Passed { thing, door, inward, at_us };
            self.queue.put(over, Event::Say(device, vec![passed]));
            let device = &mut self.devices[device];
            device.busy_until = device.busy_until.max(over + 5 * SECOND);
        }
        self.queue.put(over, Event::Passed { thing, door, inward });
        at_us
    }

    fn report_later(&mut self, device: usize, at: i64, says: &mut Vec<Say>) {
        if !says.is_empty() {
            self.queue.put(at, Event::Say(device, std::mem::take(says)));
        }
    }

    pub(super) fn passed(&mut self, thing: usize, door: usize, inward: bool) {
        let zone = self.company.doors[door].zone;
        if inward {
            self.place(thing, Place::Zone(zone));
            let shelved = self.now + self.rng.random_range(5 * SECOND..30 * SECOND);
            self.queue.put(shelved, Event::Shelved(thing));
        }
        self.left_or_came(thing, inward);
    }

    pub(super) fn fix(&mut self, vehicle: usize) {
        let site = self.company.vehicles[vehicle].site;
        let prefix = self.company.vehicles[vehicle].id.split('-').next().unwrap_or_default().to_owned();
        let group = self.company.scenario.vehicles.iter().find(|group| group.prefix == prefix);
        let (moving, parked) =
            group.map_or((300.0, 1800.0), |group| (group.fix_every_s, group.parked_every_s));
        let works = self.is_working_hour(site);
        let hauls = self.vehicles[vehicle].trip.is_some();
        if works && !hauls && !self.vehicles[vehicle].flat {
            self.vehicles[vehicle].phase += moving / 1800.0;
        }
        self.send_fix(vehicle);
        let next = if works || hauls { moving } else { parked } * self.rng.random_range(0.9..1.1);
        self.queue.put(self.now + us(next), Event::Fix(vehicle));
    }

    pub(super) fn send_fix(&mut self, vehicle: usize) {
        // None says two things of one second.
        let second = self.now / SECOND;
        let last = std::mem::replace(&mut self.vehicles[vehicle].fix_second, second);
        if self.vehicles[vehicle].flat || last == second {
            return;
        }
        let (lat, lon) = self.position(vehicle);
        let tracker = self.company.vehicles[vehicle].tracker.clone();
        let mut fix = Location::new("vn", lat, lon, self.now / SECOND);
        fix.acc = 8;
        let payload = fix.to_json();
        let stay = self.vehicles[vehicle].stay;
        let stay = stay.map(|stay| (stay, self.now <= self.truths.stays[stay].until_us, self.now));
        let broker = self.company.readers.len() + self.company.vehicles[vehicle].site;
        self.say(broker, vec![Say::Fix { topic: format!("owntracks/{tracker}"), payload, stay }]);
    }

    /// A device tells something: now, later, or never.
    pub(super) fn say(&mut self, device: usize, says: Vec<Say>) {
        if says.is_empty() {
            return;
        }
        if self.devices[device].reaches_us() {
            self.put_out(device, says);
        } else if self.devices[device].powered || !self.devices[device].is_reader {
            let limit = self.company.scenario.listening.buffer_reads;
            let held = &mut self.devices[device].held;
            if held.len() + says.len() <= limit {
                held.extend(says);
            }
        }
    }

    fn put_out(&mut self, device: usize, says: Vec<Say>) {
        let mut reads = Vec::new();
        let mut sensed = Vec::new();
        for say in says {
            match say {
                Say::Read { observation, shelved } => {
                    let at_us = observation.at.as_microsecond();
                    sensed.extend(shelved.map(|(thing, shelf)| (thing, shelf, at_us)));
                    reads.push(observation);
                }
                Say::Passed { thing, door, inward, at_us } => {
                    self.report(device, &mut reads);
                    self.sensed_passing(thing, door, inward, at_us);
                }
                Say::Bay { observation, stay } => {
                    let at_us = observation.at.as_microsecond();
                    reads.push(observation);
                    self.heard_in_bay(stay, at_us);
                }
                Say::Fix { topic, payload, stay } => {
                    self.heard_of_stay(stay);
                    let broker = self.devices[device].name.clone();
                    self.tell(What::Mqtt { broker, topic, payload });
                }
            }
        }
        self.report(device, &mut reads);
        for (thing, shelf, at_us) in sensed {
            self.sensed_on_shelf(thing, shelf, at_us);
        }
    }

    fn report(&mut self, device: usize, reads: &mut Vec<TagObservation>) {
        for chunk in std::mem::take(reads).chunks(wire::REPORT_READS) {
            let bytes = wire::report(self.message(device), chunk);
            self.tell(What::Llrp { reader: self.devices[device].name.clone(), bytes });
        }
    }

    fn message(&mut self, device: usize) -> u32 {
        self.devices[device].messages += 1;
        self.devices[device].messages
    }

    /// An antenna cable is cut or mended; `told`: the reader notices.
    pub(super) fn antenna(&mut self, device: usize, antenna: u16, connected: bool, told: bool) {
        let cut = &mut self.devices[device].cut;
        if connected {
            cut.remove(&antenna)
        } else {
            cut.insert(antenna)
        };
        if told && self.devices[device].reaches_us() {
            let bytes = wire::antenna(self.message(device), instant(self.now), antenna, connected);
            self.tell(What::Llrp { reader: self.devices[device].name.clone(), bytes });
        }
        self.review_working(device);
    }

    pub(super) fn fail(&mut self, device: usize, power: bool) {
        let failing = &mut self.devices[device];
        if power {
            failing.powered = false;
            if failing.is_reader {
                failing.held.clear();
            }
        } else {
            failing.networked = false;
        }
        self.stop_working(device);
        self.queue.put(self.now + NOTICED, Event::Noticed(device));
    }

    pub(super) fn restore(&mut self, device: usize, power: bool) {
        let restored = &mut self.devices[device];
        if power {
            restored.powered = true;
        } else {
            restored.networked = true;
        }
        let soon = self.rng.random_range(SECOND..MINUTE);
        self.queue.put(self.now + soon, Event::Connect(device));
    }

    pub(super) fn notice(&mut self, device: usize) {
        let failed = &mut self.devices[device];
        if failed.connected && !(failed.powered && failed.networked) {
            failed.connected = false;
            let source = failed.name.clone();
            self.tell(What::Down { source });
        }
    }

    pub(super) fn connect(&mut self, device: usize) {
        let name = self.devices[device].name.clone();
        let able = self.devices[device].powered && self.devices[device].networked && self.daemon_up;
        if !able {
            return;
        }
        if !self.devices[device].connected {
            self.devices[device].connected = true;
            self.tell(What::Up { source: name.clone() });
            if self.devices[device].is_reader {
                let bytes = wire::connected(self.message(device), instant(self.now));
                self.tell(What::Llrp { reader: name, bytes });
            }
        }
        let held = std::mem::take(&mut self.devices[device].held);
        self.put_out(device, held);
        self.review_working(device);
    }

    fn review_working(&mut self, device: usize) {
        for part in self.devices[device].parts() {
            if self.devices[device].works(part) {
                let now = self.now;
                self.devices[device].working_since.entry(part).or_insert(now);
            } else {
                self.part_stops(device, part);
            }
        }
    }

    pub(super) fn stop_working(&mut self, device: usize) {
        for part in self.devices[device].parts() {
            self.part_stops(device, part);
        }
    }

    fn part_stops(&mut self, device: usize, part: u16) {
        if let Some(from_us) = self.devices[device].working_since.remove(&part) {
            let source = self.devices[device].ear(part);
            self.truths.working.push(Working { source, from_us, to_us: self.now });
        }
    }

    /// For how long what hears before that antenna has worked since then.
    pub(super) fn worked_us(&self, device: usize, antenna: u16, from_us: i64) -> i64 {
        let part = if self.devices[device].antennas > 1 { antenna } else { 0 };
        let running = self.devices[device].working_since.get(&part);
        let running = running.map_or(0, |since| self.now - since.max(&from_us));
        self.truths.worked_us(&self.devices[device].ear(antenna), from_us, self.now) + running.max(0)
    }
}
