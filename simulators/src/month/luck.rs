//! Bad luck: thefts, lost tags, dead batteries, outages, cut cables, a daemon that is switched off or killed.

use rand::RngExt;

use super::truth::{Entry, Stranger};
use super::world::{DAY, Event, HOUR, MINUTE, Month, Place, SECOND, What, us};

/// Why something is lost, of most of what one zone had.
pub const MASS_THEFT: &str = "mass theft";
/// Of an antenna that is cut off while its reader calls it connected.
pub const UNNOTICED: &str = "antenna, unnoticed";

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Misfortune {
    Theft,
    /// Most of what is in a zone, at once.
    MassTheft,
    Recovered(usize),
    LostTag,
    NewTag(usize),
    SecondTag,
    FlatBattery,
    Charged(usize),
    Stranger,
    StrangerGone([u8; 12]),
    Fails {
        device: usize,
        power: bool,
        for_us: i64,
    },
    Restored {
        device: usize,
        power: bool,
    },
    Cut {
        device: usize,
        antenna: u16,
        for_us: i64,
        told: bool,
    },
    Mended {
        device: usize,
        antenna: u16,
        told: bool,
    },
    Stop {
        for_us: i64,
        why: &'static str,
    },
    Start,
}

impl Month {
    pub(super) fn plan_misfortunes(&mut self) {
        let months = f64::from(self.company.scenario.days) / 30.0;
        let losses = self.company.scenario.losses;
        for (rate, misfortune) in [
            (losses.thefts, Misfortune::Theft),
            (losses.mass_thefts, Misfortune::MassTheft),
            (losses.lost_tags, Misfortune::LostTag),
            (losses.second_tags, Misfortune::SecondTag),
            (losses.tracker_batteries, Misfortune::FlatBattery),
            (losses.strangers, Misfortune::Stranger),
            (self.company.scenario.daemon.kills, Misfortune::Stop { for_us: 5 * SECOND, why: "killed" }),
        ] {
            for _ in 0..self.how_many(rate * months) {
                self.someday(misfortune);
            }
        }
        for off in self.company.scenario.daemon.off.clone() {
            let (at, for_us) = (us(off.from_day * 86_400.0), us(off.for_h * 3600.0));
            let stop = Misfortune::Stop { for_us, why: "switched off" };
            self.queue.put(self.starts + at, Event::Misfortune(stop));
        }
        for device in 0..self.devices.len() {
            self.plan_outages(device, months);
        }
    }

    fn plan_outages(&mut self, device: usize, months: f64) {
        let outages = self.company.scenario.outages;
        for _ in 0..self.how_many(outages.power * months) {
            let for_us = self.between(outages.power_h, HOUR);
            self.someday(Misfortune::Fails { device, power: true, for_us });
        }
        for _ in 0..self.how_many(outages.network * months) {
            let for_us = self.between(outages.network_h, HOUR);
            self.someday(Misfortune::Fails { device, power: false, for_us });
        }
        if !self.devices[device].is_reader {
            return;
        }
        let shelf = self.company.shelves.iter().find(|shelf| shelf.reader == device);
        let antennas = shelf.map_or(2, |shelf| shelf.antennas);
        for _ in 0..self.how_many(outages.cuts * months) {
            let antenna = self.rng.random_range(1..=antennas);
            let (for_us, told) =
                (self.between(outages.cut_h, HOUR), self.rng.random_bool(outages.cuts_reported));
            self.someday(Misfortune::Cut { device, antenna, for_us, told });
        }
    }

    fn someday(&mut self, misfortune: Misfortune) {
        let at = self.rng.random_range(self.starts + 2 * HOUR..self.ends);
        self.queue.put(at, Event::Misfortune(misfortune));
    }

    fn after(&mut self, for_us: i64, misfortune: Misfortune) {
        self.queue.put(self.now + for_us, Event::Misfortune(misfortune));
    }

    pub(super) fn suffer(&mut self, misfortune: Misfortune) {
        match misfortune {
            Misfortune::Theft => self.theft(),
            Misfortune::MassTheft => self.mass_theft(),
            Misfortune::Recovered(thing) => {
                self.place(thing, Place::Zone(self.company.things[thing].zone));
                self.review(thing, "");
                self.queue.put(self.now + 5 * SECOND, Event::Shelved(thing));
                self.things[thing].busy = false;
            }
            Misfortune::LostTag => self.lose_tags(),
            Misfortune::NewTag(thing) => self.new_tag(thing),
            Misfortune::SecondTag => self.lose_second_tag(),
            Misfortune::FlatBattery => self.flat_battery(),
            Misfortune::Charged(vehicle) => self.vehicles[vehicle].flat = false,
            Misfortune::Stranger => self.stranger(),
            Misfortune::StrangerGone(code) => self.strangers.retain(|(_, known)| *known != code),
            Misfortune::Fails { device, power, for_us } => self.device_fails(device, power, for_us),
            Misfortune::Restored { device, power } => self.restore(device, power),
            Misfortune::Cut { device, antenna, for_us, told } => self.cut(device, antenna, for_us, told),
            Misfortune::Mended { device, antenna, told } => self.antenna(device, antenna, true, told),
            Misfortune::Stop { for_us, why } => self.stop(for_us, why),
            Misfortune::Start => self.start_daemon(),
        }
    }

    fn theft(&mut self) {
        let losses = self.company.scenario.losses;
        let Some(thing) = self.pick(None) else { return };
        self.things[thing].busy = true;
        self.place(thing, Place::Away);
        self.review(thing, "stolen");
        if self.rng.random_bool(losses.recovered) {
            let found = self.between(losses.found_days, DAY);
            self.after(found, Misfortune::Recovered(thing));
        }
    }

    fn mass_theft(&mut self) {
        let zones: Vec<usize> =
            (0..self.company.zones.len()).filter(|zone| self.company.zones[*zone].shelf.is_some()).collect();
        if zones.is_empty() {
            return;
        }
        let zone = zones[self.rng.random_range(0..zones.len())];
        let share = self.company.scenario.losses.mass_share;
        for thing in 0..self.things.len() {
            let state = &self.things[thing];
            let free = !state.busy && state.seen.out.is_none() && !state.tags.is_empty();
            if free && state.place == Place::Zone(zone) && self.rng.random_bool(share) {
                self.things[thing].busy = true;
                self.place(thing, Place::Away);
                self.review(thing, MASS_THEFT);
            }
        }
    }

    fn lose_tags(&mut self) {
        let Some(thing) = self.pick(None) else { return };
        self.things[thing].busy = true;
        self.things[thing].tags.clear();
        self.review(thing, "tag lost");
        let found = self.between(self.company.scenario.losses.found_days, DAY);
        self.after(found, Misfortune::NewTag(thing));
    }

    fn new_tag(&mut self, thing: usize) {
        if !self.daemon_up {
            return self.after(HOUR, Misfortune::NewTag(thing));
        }
        let (epc, replaces) = (self.codes.next(), self.company.things[thing].tags[0]);
        self.company.things[thing].tags[0] = epc;
        let asset = self.company.things[thing].id.clone();
        self.tell(What::Commission { asset, epc, replaces });
        self.things[thing].tags = vec![epc];
        self.review(thing, "");
        self.queue.put(self.now + 10 * SECOND, Event::Shelved(thing));
        self.things[thing].busy = false;
    }

    fn lose_second_tag(&mut self) {
        for _ in 0..50 {
            let Some(thing) = self.pick(None) else { return };
            if self.things[thing].tags.len() > 1 {
                self.things[thing].tags.pop();
                let subject = self.company.things[thing].id.clone();
                let why = "one of two tags";
                self.truths.second_tags.push(Entry { subject, why, from_us: self.now, to_us: None });
                return;
            }
        }
    }

    fn flat_battery(&mut self) {
        let well: Vec<usize> = (0..self.vehicles.len()).filter(|v| !self.vehicles[*v].flat).collect();
        if well.is_empty() {
            return;
        }
        let vehicle = well[self.rng.random_range(0..well.len())];
        self.vehicles[vehicle].flat = true;
        let found = self.between(self.company.scenario.losses.found_days, DAY);
        let (subject, why) = (self.company.vehicles[vehicle].tracker.clone(), "battery");
        let to_us = Some(self.now + found);
        self.truths.dead_trackers.push(Entry { subject, why, from_us: self.now, to_us });
        self.after(found, Misfortune::Charged(vehicle));
    }

    fn stranger(&mut self) {
        if self.company.shelves.is_empty() {
            return;
        }
        let (shelf, code) = (self.rng.random_range(0..self.company.shelves.len()), self.codes.next());
        self.strangers.push((shelf, code));
        let stays = self.rng.random_range(4 * HOUR..2 * DAY);
        let epc = code.iter().map(|byte| format!("{byte:02x}")).collect();
        let source = self.devices[self.company.shelves[shelf].reader].ear(1);
        let (from_us, to_us) = (self.now, self.now + stays);
        self.truths.strangers.push(Stranger { epc, source, from_us, to_us });
        self.after(stays, Misfortune::StrangerGone(code));
    }

    fn device_fails(&mut self, device: usize, power: bool, for_us: i64) {
        let state = &self.devices[device];
        if !(state.powered && state.networked) {
            return;
        }
        // Who is in the door just now is let through.
        if state.busy_until > self.now {
            let wait = state.busy_until - self.now + SECOND;
            return self.after(wait, Misfortune::Fails { device, power, for_us });
        }
        self.fail(device, power);
        let why = if power { "power" } else { "network" };
        self.note_outage(self.devices[device].name.clone(), why, for_us);
        self.after(for_us.max(SECOND), Misfortune::Restored { device, power });
    }

    fn cut(&mut self, device: usize, antenna: u16, for_us: i64, told: bool) {
        let state = &self.devices[device];
        if state.cut.contains(&antenna) {
            return;
        }
        if state.busy_until > self.now {
            let wait = state.busy_until - self.now + SECOND;
            return self.after(wait, Misfortune::Cut { device, antenna, for_us, told });
        }
        self.antenna(device, antenna, false, told);
        let subject = format!("{}/{antenna}", self.devices[device].name);
        self.note_outage(subject, if told { "antenna" } else { UNNOTICED }, for_us);
        self.after(for_us.max(MINUTE), Misfortune::Mended { device, antenna, told });
    }

    fn note_outage(&mut self, subject: String, why: &'static str, for_us: i64) {
        let to_us = Some(self.now + for_us);
        self.truths.outages.push(Entry { subject, why, from_us: self.now, to_us });
    }

    fn stop(&mut self, for_us: i64, why: &'static str) {
        if self.daemon_up {
            self.stop_daemon(for_us, why);
            self.after(for_us, Misfortune::Start);
        }
    }
}
