//! Who could know what: follows what the devices delivered, and says from it and from the world who is lost,
//! and whose return could be sensed.

use super::company::Docks;
use super::truth::{Aboard, Lost, Out};
use super::world::{MINUTE, Month, Place, us};
use crate::scenario::Coverage;

/// A vehicle's tag that is not heard for so long has left its bay, or will be told to have when its reader hears again.
const BAY_SILENCE: i64 = 5 * MINUTE;

/// What was delivered of an asset.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    known: Known,
    known_at: i64,
    /// Its open entries in the truth.
    pub lost: Option<usize>,
    pub out: Option<usize>,
    /// When it really left home, since the checkout, and before which antenna it lay; and whether that could be
    /// known.
    left: Option<(i64, u16)>,
    noticed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Known {
    #[default]
    Unknown,
    /// In a zone, and heard on its shelf.
    On(usize),
    /// It passed a door.
    Passed,
}

impl Month {
    pub(super) fn sensed_on_shelf(&mut self, thing: usize, shelf: usize, at_us: i64) {
        let zone = self.company.shelves[shelf].zone;
        let home = self.company.things[thing].zone == zone;
        let seen = &mut self.things[thing].seen;
        if at_us >= seen.known_at {
            (seen.known, seen.known_at) = (Known::On(zone), at_us);
        }
        if let Some((left_at, antenna)) = seen.left.filter(|(left_at, _)| home && at_us > *left_at)
            && seen.out.is_some()
        {
            let listening = self.company.scenario.listening;
            let to_notice = us(listening.lost_after_s + listening.read_every_s) + 5 * MINUTE;
            let reader = self.company.shelves[shelf].reader;
            let noticed =
                self.things[thing].seen.noticed || self.worked_us(reader, antenna, left_at) >= to_notice;
            self.close(thing, at_us, !noticed);
        }
        self.seen_elsewhere(thing, at_us);
        self.review(thing, "");
    }

    pub(super) fn sensed_passing(&mut self, thing: usize, door: usize, inward: bool, at_us: i64) {
        let home = self.company.things[thing].zone == self.company.doors[door].zone;
        let seen = &mut self.things[thing].seen;
        if at_us >= seen.known_at {
            (seen.known, seen.known_at) = (Known::Passed, at_us);
        }
        if inward && home && seen.left.is_some_and(|(left_at, _)| at_us > left_at) {
            self.close(thing, at_us, false);
        } else if !inward {
            self.things[thing].seen.noticed = true;
        }
        self.seen_boarding(thing, door, inward, at_us);
        self.review(thing, "");
    }

    /// The reads of a passage: of the one by which it came into its vehicle, or of one that shows it elsewhere.
    fn seen_boarding(&mut self, thing: usize, door: usize, inward: bool, at_us: i64) {
        let boards = |entry: &Aboard| entry.really && !inward && entry.from_us == at_us;
        if let Some(entry) = self.things[thing].aboard.map(|aboard| &mut self.truths.aboard[aboard])
            && boards(entry)
        {
            entry.told_us = Some(self.now);
            return;
        }
        self.seen_elsewhere(thing, at_us);
        if inward {
            return;
        }
        let since = |aboard: usize| self.truths.aboard[aboard].from_us;
        if self.things[thing].aboard.is_some_and(|aboard| since(aboard) > at_us) {
            // What was held back of an earlier way out changes nothing of where it went since.
            return;
        }
        let name = &self.company.doors[door].name;
        let thought = self.truths.stays.iter().rposition(|stay| {
            stay.door == *name && stay.until_us < at_us && stay.known_us.is_some() && stay.gone_us.is_none()
        });
        if let Some(stay) = thought {
            self.things[thing].aboard = Some(self.truths.aboard.len());
            self.truths.aboard.push(Aboard {
                asset: self.company.things[thing].id.clone(),
                vehicle: self.truths.stays[stay].vehicle.clone(),
                stay,
                really: false,
                from_us: at_us,
                told_us: Some(self.now),
                until_us: Some(at_us),
                ended_us: None,
            });
        }
    }

    fn seen_elsewhere(&mut self, thing: usize, at_us: i64) {
        let now = self.now;
        if let Some(entry) = self.things[thing].aboard.map(|aboard| &mut self.truths.aboard[aboard])
            && at_us > entry.from_us
        {
            entry.ended_us.get_or_insert(now);
        }
    }

    /// A fix was delivered: of whether a vehicle stands at its door, the second one tells.
    pub(super) fn heard_of_stay(&mut self, stay: Option<(usize, bool, i64)>) {
        let Some((stay, goes_on, at_us)) = stay else { return };
        let stay = &mut self.truths.stays[stay];
        let way = usize::from(!goes_on);
        stay.heard[way] += 1;
        let by_fence = self.company.docks_of(&stay.door) == Docks::Fence;
        if by_fence && goes_on {
            stay.seen_us.get_or_insert(at_us);
        }
        if by_fence && stay.heard[way] == 2 {
            let told = if goes_on { &mut stay.known_us } else { &mut stay.gone_us };
            told.get_or_insert(self.now);
        }
    }

    /// A read of a vehicle's tag in its bay was delivered. By its silence it is told to be gone.
    pub(super) fn heard_in_bay(&mut self, stay: Option<usize>, at_us: i64) {
        let Some(stay) = stay else { return };
        let stay = &mut self.truths.stays[stay];
        stay.known_us.get_or_insert(self.now);
        stay.seen_us.get_or_insert(at_us);
        stay.gone_us = Some(self.now + BAY_SILENCE);
    }

    /// It really went out of its home, or into a zone.
    pub(super) fn left_or_came(&mut self, thing: usize, inward: bool) {
        if !inward {
            self.things[thing].seen.left = Some((self.now, self.things[thing].antenna));
        }
        self.review(thing, "passed a door that did not hear it");
    }

    pub(super) fn took(&mut self, thing: usize, due_us: i64) {
        let class = &self.company.scenario.classes[self.company.things[thing].class];
        let site = self.company.zones[self.company.things[thing].zone].site;
        let out = Out {
            asset: self.company.things[thing].id.clone(),
            site: self.company.scenario.sites[site].name.clone(),
            at_us: self.now,
            overdue_at_us: due_us + us(class.overdue_grace_s),
            closed_us: None,
            returned_us: None,
            unknowable: false,
        };
        let seen = &mut self.things[thing].seen;
        (seen.out, seen.left, seen.noticed) = (Some(self.truths.out.len()), None, false);
        self.truths.out.push(out);
        self.review(thing, "");
    }

    pub(super) fn checked_in(&mut self, thing: usize) {
        self.close(thing, self.now, false);
        self.review(thing, "");
    }

    fn close(&mut self, thing: usize, returned_us: i64, unknowable: bool) {
        let seen = &mut self.things[thing].seen;
        seen.left = None;
        if let Some(out) = seen.out.take() {
            self.truths.out[out].closed_us = Some(self.now);
            self.truths.out[out].returned_us = Some(returned_us);
            self.truths.out[out].unknowable = unknowable;
        }
    }

    /// Opens or closes the entry that says that it is lost.
    pub(super) fn review(&mut self, thing: usize, why: &'static str) {
        let state = &self.things[thing];
        let class = &self.company.scenario.classes[self.company.things[thing].class];
        let missing = match state.seen.known {
            Known::On(zone) => {
                let there = state.place == Place::Zone(zone) && !state.tags.is_empty();
                let watched = self.company.zones[zone].coverage == Coverage::Continuous;
                (watched && !there && class.ghost_after_s.is_some() && state.seen.out.is_none())
                    .then_some(zone)
            }
            Known::Unknown | Known::Passed => None,
        };
        let now = self.now;
        match (missing, state.seen.lost) {
            (Some(zone), None) => self.open_lost(thing, zone, why),
            (None, Some(lost)) => {
                self.truths.lost[lost].until_us = Some(now);
                self.things[thing].seen.lost = None;
            }
            _ => {}
        }
    }

    fn open_lost(&mut self, thing: usize, zone: usize, why: &'static str) {
        let Some(shelf) = self.company.zones[zone].shelf else { return };
        let class = &self.company.scenario.classes[self.company.things[thing].class];
        self.things[thing].seen.lost = Some(self.truths.lost.len());
        self.truths.lost.push(Lost {
            asset: self.company.things[thing].id.clone(),
            class: class.name.clone(),
            zone: self.company.zones[zone].name.clone(),
            source: self.devices[self.company.shelves[shelf].reader].ear(self.things[thing].antenna),
            why,
            since_us: self.now,
            until_us: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario::Scenario;
    use super::super::truth::Stay;
    use super::*;

    /// Its reader held back that it went out on Saturday, when a vehicle had stood there of whose going nothing tells;
    /// it went out again on Monday, into another.
    #[test]
    fn an_earlier_way_out_that_is_told_later_takes_nothing_out_of_its_vehicle() {
        const SATURDAY: i64 = 10;
        const MONDAY: i64 = 30;
        let scenario = Scenario::parse(include_str!("../../scenarios/week.toml")).unwrap();
        let mut month = Month::new(&scenario, 1);
        let door = 0;
        let stay = |vehicle: &str, from_us, gone_us| Stay {
            vehicle: vehicle.to_owned(),
            door: month.company.doors[door].name.clone(),
            from_us,
            until_us: from_us + 5,
            known_us: Some(from_us + 1),
            gone_us,
            ..Stay::default()
        };
        month.truths.stays = vec![stay("LV-1", 1, None), stay("VN-1", 28, Some(40))];
        let aboard = |from_us| Aboard { stay: 1, really: true, from_us, ..Aboard::default() };
        month.truths.aboard = vec![aboard(MONDAY)];
        month.things[0].aboard = Some(0);
        month.seen_boarding(0, door, false, SATURDAY);
        assert_eq!((month.things[0].aboard, month.truths.aboard.len()), (Some(0), 1));
        month.seen_boarding(0, door, false, MONDAY);
        assert!(month.truths.aboard[0].told_us.is_some());
        month.seen_boarding(0, door, false, MONDAY + 20);
        assert_eq!(month.things[0].aboard, Some(1), "a later one is thought to have gone with the first");
    }
}
