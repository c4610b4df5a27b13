//! The metrics of one message that tell something of a position, put together by what belongs together.
//!
//! ```text
//! latitude, longitude, speed             → one update
//! latitude, longitude, latitude, …       → told more than once: an update for each time
//! ```
//! What is historical is kept apart from what is not, and comes before it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::mapping::Part;
use crate::decode::gps::within;
use crate::domain::ids::Digest;
use crate::domain::readings::Vitals;
use crate::domain::time::Timestamp;

/// A node that reads its tracker metric by metric takes the coordinates of one place no further apart than this.
const ONE_MOMENT: Duration = Duration::from_millis(100);

/// One metric's word.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Heard {
    pub part: Part,
    /// When the value was taken.
    pub at: Timestamp,
    pub value: Told,
    pub is_historical: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Told {
    /// In the unit of a fix; 1 and 0 for true and false.
    Number(f64),
    Time(Timestamp),
    /// The time, which was not understood.
    Unread,
    /// It has no value.
    Nothing,
}

/// What was told of one moment.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Update {
    pub is_historical: bool,
    /// The newest of its coordinates', or of all where it has none.
    pub at: Timestamp,
    pub parts: BTreeMap<Part, (Timestamp, Told)>,
}

impl Update {
    pub fn has(&self, part: Part) -> bool {
        self.parts.contains_key(&part)
    }

    pub fn has_coordinate(&self) -> bool {
        self.has(Part::Latitude) || self.has(Part::Longitude)
    }

    /// The tracker's own word on when it was there.
    pub fn time(&self) -> Option<Timestamp> {
        match self.parts.get(&Part::Time)?.1 {
            Told::Time(time) => Some(time),
            Told::Number(_) | Told::Unread | Told::Nothing => None,
        }
    }

    /// It tells its own time, and nobody understands it.
    pub fn is_of_unread_time(&self) -> bool {
        matches!(self.parts.get(&Part::Time), Some((_, Told::Unread)))
    }

    /// What is said here of the battery and the ignition, and before that.
    pub fn vitals(&self, before: Vitals) -> Vitals {
        let number = |part| match self.parts.get(&part)?.1 {
            Told::Number(number) => Some(number),
            Told::Time(_) | Told::Unread | Told::Nothing => None,
        };
        let battery = within(number(Part::Battery), 0.0, 100.0);
        Vitals {
            battery_percent: battery.or(before.battery_percent),
            ignition: number(Part::Ignition).map(|on| on != 0.0).or(before.ignition),
        }
    }

    /// One coordinate each, taken one behind the other.
    fn is_half_of(&self, next: &Self) -> bool {
        let has = |update: &Self| [Part::Latitude, Part::Longitude].map(|part| update.has(part));
        let is_pair =
            matches!((has(self), has(next)), ([true, false], [false, true]) | ([false, true], [true, false]));
        let is_told_twice = next.parts.keys().any(|part| self.has(*part));
        is_pair && !is_told_twice && next.at.since(self.at) <= ONE_MOMENT
    }

    fn complete(&mut self, rest: Self) {
        self.at = rest.at;
        self.parts.extend(rest.parts);
    }

    fn of(heard: &[Heard]) -> Option<Self> {
        let is_coordinate = |heard: &&Heard| matches!(heard.part, Part::Latitude | Part::Longitude);
        let newest = heard.iter().filter(is_coordinate).map(|heard| heard.at).max();
        let at = newest.or_else(|| heard.iter().map(|heard| heard.at).max())?;
        let parts = heard.iter().map(|heard| (heard.part, (heard.at, heard.value))).collect();
        Some(Self { is_historical: heard.first()?.is_historical, at, parts })
    }
}

/// Oldest first, what is historical before the rest.
pub(super) fn updates(heard: Vec<Heard>) -> Vec<Update> {
    let (past, present): (Vec<_>, Vec<_>) = heard.into_iter().partition(|heard| heard.is_historical);
    [past, present].into_iter().flat_map(split).collect()
}

fn split(heard: Vec<Heard>) -> Vec<Update> {
    let is_told_once =
        Part::ALL.iter().all(|part| heard.iter().filter(|heard| heard.part == *part).count() <= 1);
    if is_told_once {
        return Update::of(&heard).into_iter().collect();
    }
    let mut by_time: BTreeMap<Timestamp, Vec<Heard>> = BTreeMap::new();
    for heard in heard {
        by_time.entry(heard.at).or_default().push(heard);
    }
    let mut updates: Vec<Update> = Vec::new();
    for update in by_time.into_values().filter_map(|heard| Update::of(&heard)) {
        match updates.last_mut().filter(|last| last.is_half_of(&update)) {
            Some(last) => last.complete(update),
            None => updates.push(update),
        }
    }
    updates
}

/// A place at a time is one fix, in whatever messages it is told: BIRTHs tell again what is known, and a message that
/// is delivered again must be known by what it said alone, however much was told since.
pub(super) fn digest(at: Timestamp, lat: f64, lon: f64) -> Digest {
    let words = [at.as_micros() as u64, lat.to_bits(), lon.to_bits()];
    Digest::of(&words.map(u64::to_be_bytes).concat())
}
