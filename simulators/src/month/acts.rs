//! What people do in their working hours: take things and bring them back, tell it or forget to.

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rand::RngExt;

use super::truth::Entry;
use super::world::{DAY, Event, HOUR, MINUTE, Month, Place, SECOND, What, instant, us};

/// Why an exit is told late: its reader cannot reach us.
pub const HELD_BACK: &str = "held back";
/// Tries to find something that nobody is busy with.
const TRIES: usize = 50;

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Act {
    /// Somebody at this site does this with something.
    CheckOut(usize),
    Move(usize),
    Borrow(usize),
    TakeUnready(usize),
    Release(usize),
    /// Something goes to another site, and not by a vehicle of ours.
    SendOver(usize),
    /// Carried through a door of that zone.
    Out(usize, usize),
    In(usize, usize),
    CheckIn(usize),
    /// Is over: somebody else can have it.
    Done(usize),
}

impl Month {
    pub(super) fn plan_acts(&mut self) {
        let habits = self.company.scenario.habits;
        for site in 0..self.company.scenario.sites.len() {
            let assets =
                self.company.things.iter().filter(|t| self.company.zones[t.zone].site == site).count();
            let days = self.company.scenario.sites[site].work_days.len().max(1) as f64;
            let per_day = assets as f64 / 30.0 * 7.0 / days;
            for (from, to) in self.shifts(site) {
                for (rate, act) in [
                    (habits.checkouts, Act::CheckOut(site)),
                    (habits.moves, Act::Move(site)),
                    (habits.borrows, Act::Borrow(site)),
                    (habits.takes_unready, Act::TakeUnready(site)),
                ] {
                    for _ in 0..self.how_many(rate * per_day) {
                        let at = self.rng.random_range(from..to);
                        self.queue.put(at, Event::Act(act));
                    }
                }
                self.plan_hauls(site, (from, to), per_day);
            }
        }
    }

    /// About so many: the fraction is drawn.
    pub(super) fn how_many(&mut self, mean: f64) -> usize {
        mean as usize + usize::from(self.rng.random_bool(mean.fract()))
    }

    /// The shifts of a site, from the first to the last day.
    fn shifts(&self, site: usize) -> Vec<(i64, i64)> {
        let site = &self.company.scenario.sites[site];
        let Ok(timezone) = TimeZone::get(&site.timezone) else { return Vec::new() };
        let first = self.company.scenario.start.to_zoned(timezone.clone()).date();
        let dates =
            (-1..=i64::from(self.company.scenario.days)).filter_map(|day| first.checked_add(day.days()).ok());
        let works = |date: &Date| site.work_days.contains(&date.weekday().to_monday_one_offset());
        let shifts = dates.filter(works).filter_map(|date| {
            let from = wall(date, site.work_from, &timezone)?;
            let ends = if site.work_to > site.work_from { date } else { date.tomorrow().ok()? };
            Some((from.max(self.starts + HOUR), wall(ends, site.work_to, &timezone)?))
        });
        shifts.filter(|(from, to)| from < to).collect()
    }

    pub(super) fn is_working_hour(&self, site: usize) -> bool {
        let site = &self.company.scenario.sites[site];
        let Ok(timezone) = TimeZone::get(&site.timezone) else { return false };
        let wall = instant(self.now).to_zoned(timezone);
        let hour = f64::from(wall.hour()) + f64::from(wall.minute()) / 60.0;
        let today = site.work_days.contains(&wall.weekday().to_monday_one_offset());
        let within = if site.work_to > site.work_from {
            (site.work_from..site.work_to).contains(&hour)
        } else {
            hour >= site.work_from || hour < site.work_to
        };
        today && within
    }

    pub(super) fn act(&mut self, act: Act) {
        match act {
            Act::CheckOut(site) => self.check_out(site),
            Act::Move(site) => self.move_on(site),
            Act::Borrow(site) => self.borrow(site),
            Act::TakeUnready(site) => self.take_unready(site),
            Act::Release(thing) => self.release(thing),
            Act::SendOver(site) => self.send_over(site),
            Act::Out(thing, zone) => self.carry_when_open(thing, zone, false),
            Act::In(thing, zone) => self.carry_when_open(thing, zone, true),
            Act::CheckIn(thing) => self.check_in(thing),
            Act::Done(thing) => self.things[thing].busy = false,
        }
    }

    fn check_out(&mut self, site: usize) {
        let habits = self.company.scenario.habits;
        let Some(thing) = self.pick(Some(site)).filter(|_| self.daemon_up) else { return };
        let home = self.company.things[thing].zone;
        let due = self.between(habits.due_h, HOUR);
        let due_us = self.now + due;
        let holder = format!("P-{:03}", self.rng.random_range(1..=200));
        let asset = self.company.things[thing].id.clone();
        self.tell(What::CheckOut { asset, holder, due_us });
        self.took(thing, due_us);
        self.things[thing].busy = true;
        let leaves = self.now + self.rng.random_range(2 * MINUTE..10 * MINUTE);
        self.later(leaves, Act::Out(thing, home));
        if self.rng.random_bool(habits.never_returned) {
            return;
        }
        let back = if self.rng.random_bool(habits.late) {
            due_us + self.between(habits.late_h, HOUR)
        } else {
            self.now + (due as f64 * self.rng.random_range(0.6..0.99)) as i64
        };
        let back = back.max(leaves + 30 * MINUTE);
        self.later(back, Act::In(thing, home));
        let tidy = back + self.rng.random_range(2 * MINUTE..20 * MINUTE);
        if !self.rng.random_bool(habits.forgets_check_in) {
            self.later(tidy, Act::CheckIn(thing));
        }
        self.later(tidy + HOUR, Act::Done(thing));
    }

    fn check_in(&mut self, thing: usize) {
        if self.daemon_up {
            let asset = self.company.things[thing].id.clone();
            self.tell(What::CheckIn { asset });
            self.checked_in(thing);
        }
    }

    fn move_on(&mut self, site: usize) {
        let Some(thing) = self.pick(Some(site)) else { return };
        let home = self.company.things[thing].zone;
        let others: Vec<usize> = (0..self.company.zones.len())
            .filter(|zone| *zone != home && self.company.zones[*zone].site == site)
            .filter(|zone| !self.company.zones[*zone].doors.is_empty())
            .collect();
        self.take_to(thing, &others, 5 * MINUTE, self.company.scenario.habits.move_days);
    }

    fn send_over(&mut self, site: usize) {
        let Some(thing) = self.pick(Some(site)) else { return };
        let home = self.company.things[thing].zone;
        let mut others = self.zones_elsewhere(site);
        others.retain(|zone| *zone != home);
        let road = self.rng.random_range(2 * HOUR..5 * HOUR);
        self.take_to(thing, &others, road, self.company.scenario.hauls.days);
    }

    /// To one of these zones, by a way that takes so long, and back after some days.
    fn take_to(&mut self, thing: usize, others: &[usize], road: i64, days: [f64; 2]) {
        if others.is_empty() {
            return;
        }
        let home = self.company.things[thing].zone;
        let there = others[self.rng.random_range(0..others.len())];
        self.things[thing].busy = true;
        let back = self.now + self.between(days, DAY).max(HOUR).max(2 * road);
        self.later(self.now, Act::Out(thing, home));
        self.later(self.now + road, Act::In(thing, there));
        self.later(back, Act::Out(thing, there));
        self.later(back + road, Act::In(thing, home));
        self.later(back + road + HOUR, Act::Done(thing));
    }

    fn take_unready(&mut self, site: usize) {
        let Some(thing) = self.pick(Some(site)).filter(|_| self.daemon_up) else { return };
        let asset = self.company.things[thing].id.clone();
        self.tell(What::Quarantine { asset });
        let until = self.borrow_this(thing, true);
        self.later(until, Act::Release(thing));
    }

    fn release(&mut self, thing: usize) {
        if !self.daemon_up {
            return self.later(self.now + HOUR, Act::Release(thing));
        }
        let asset = self.company.things[thing].id.clone();
        self.tell(What::Release { asset });
        self.things[thing].busy = false;
    }

    fn borrow(&mut self, site: usize) {
        let Some(thing) = self.pick(Some(site)) else { return };
        let until = self.borrow_this(thing, false);
        self.later(until, Act::Done(thing));
    }

    /// Takes it out without a word, and gives when it is long back.
    fn borrow_this(&mut self, thing: usize, unready: bool) -> i64 {
        let home = self.company.things[thing].zone;
        self.things[thing].busy = true;
        let back = self.now + self.between(self.company.scenario.habits.borrow_h, HOUR).max(30 * MINUTE);
        let exit = self.carry(thing, home, false);
        self.truths.taken_unready.extend(exit.filter(|_| unready));
        self.later(back, Act::In(thing, home));
        back + HOUR
    }

    /// Who wants out, or has not come out yet, waits until the vehicle at the door has gone.
    fn carry_when_open(&mut self, thing: usize, zone: usize, inward: bool) {
        let doors = &self.company.zones[zone].doors;
        let is_shut = |door: &usize| self.is_shut(*door, self.now, self.now + MINUTE);
        let wait = match self.things[thing].place {
            Place::Zone(here) if !inward => here == zone && doors.iter().all(is_shut),
            Place::Zone(here) => here != zone,
            Place::Away => false,
        };
        if wait && !doors.is_empty() {
            let act = if inward { Act::In(thing, zone) } else { Act::Out(thing, zone) };
            return self.later(self.now + 5 * MINUTE, act);
        }
        self.carry(thing, zone, inward);
    }

    /// Through a door of that zone. Gives the exit that the door hears, and notes it where nobody said a word.
    fn carry(&mut self, thing: usize, zone: usize, inward: bool) -> Option<Entry> {
        let doors = &self.company.zones[zone].doors;
        let is_there = self.things[thing].place == Place::Zone(zone);
        if doors.is_empty() || inward == is_there {
            return None;
        }
        let open = doors.iter().filter(|door| !self.is_shut(**door, self.now, self.now + MINUTE));
        let open: Vec<usize> = open.copied().collect();
        let doors = if open.is_empty() { doors } else { &open };
        let door = doors[self.rng.random_range(0..doors.len())];
        if inward {
            self.pass_door(thing, door, true);
            return None;
        }
        self.takes_out(thing, door).1
    }

    /// Out through a door. Gives when it is in it, and the exit.
    pub(super) fn takes_out(&mut self, thing: usize, door: usize) -> (i64, Option<Entry>) {
        let device = &self.devices[self.company.doors[door].reader];
        let hears = device.powered && device.cut.is_empty() && !self.things[thing].tags.is_empty();
        let why = if device.reaches_us() { "told at once" } else { HELD_BACK };
        let at_us = self.pass_door(thing, door, false);
        let subject = self.company.things[thing].id.clone();
        let exit = Entry { subject, why, from_us: self.now, to_us: None };
        let exit = hears.then_some(exit);
        if self.things[thing].seen.out.is_none() {
            self.truths.borrowed.extend(exit.clone());
        }
        (at_us, exit)
    }

    pub(super) fn later(&mut self, at: i64, act: Act) {
        self.queue.put(at, Event::Act(act));
    }

    /// Something that is at home, and nobody is busy with.
    pub(super) fn pick(&mut self, site: Option<usize>) -> Option<usize> {
        for _ in 0..TRIES {
            if self.things.is_empty() {
                return None;
            }
            let thing = self.rng.random_range(0..self.things.len());
            let home = self.company.things[thing].zone;
            let state = &self.things[thing];
            let there = site.is_none_or(|site| self.company.zones[home].site == site);
            let free =
                !state.busy && state.seen.out.is_none() && !state.tags.is_empty() && self.gets_out(home);
            if there && free && state.place == Place::Zone(home) {
                return Some(thing);
            }
        }
        None
    }

    /// Whether no vehicle has its doors now or soon.
    fn gets_out(&self, zone: usize) -> bool {
        let doors = &self.company.zones[zone].doors;
        doors.is_empty() || doors.iter().any(|door| !self.is_shut(*door, self.now, self.now + 11 * MINUTE))
    }

    pub(super) fn between(&mut self, [least, most]: [f64; 2], unit: i64) -> i64 {
        let drawn = if most > least { self.rng.random_range(least..most) } else { least };
        us(drawn * (unit / SECOND) as f64)
    }
}

fn wall(date: Date, hours: f64, timezone: &TimeZone) -> Option<i64> {
    let minutes = (hours * 60.0) as i64;
    let wall = date.at(0, 0, 0, 0).checked_add(minutes.minutes()).ok()?;
    Some(timezone.to_ambiguous_timestamp(wall).compatible().ok()?.as_microsecond())
}
