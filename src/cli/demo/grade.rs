//! What was recorded, held against what really happened: by natural key (who, what, where) and time.
//!
//! A truth is matched with at most one record and the other way round, nearest in time first. What is
//! left over is *missed* or *spurious*. *Duplicated* are records alike in key and time; *lost* is what
//! the devices emitted and the books do not have, and what the books themselves do not account for.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tallyman_simulators::Truth;
use tallyman_simulators::truth::{Change, Crossing, Direction};

use crate::domain::alerts::{AlertTransition, Rule};
use crate::domain::events::EventBody;
use crate::domain::sightings::{self, Episode, FenceChange};
use crate::domain::time::Timestamp;

/// The kinds that are graded, as the report names them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Passage,
    Geofence,
    Condition,
    Ghost,
    Overdue,
    /// A vehicle at a door.
    Docked,
    /// Something in a vehicle.
    Carried,
}

const KINDS: usize = 7;

impl Kind {
    /// How far a record may lie from its truth. A ghost and an overdue return are told when a patience
    /// has run out, which depends on the class: there only the order in time counts.
    fn tolerance(self) -> Duration {
        match self {
            Self::Passage | Self::Carried | Self::Condition => Duration::from_secs(5),
            Self::Geofence | Self::Docked => Duration::from_secs(10),
            Self::Ghost | Self::Overdue => Duration::from_secs(120),
        }
    }
}

/// One thing that happened, or was said to have.
#[derive(Clone, PartialEq, Debug)]
pub struct Fact {
    pub kind: Kind,
    /// Who, what and where.
    pub key: String,
    pub at: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Counts {
    pub passages: usize,
    pub geofences: usize,
    pub conditions: usize,
    pub ghosts: usize,
    pub overdues: usize,
    /// Vehicles that came to a door or left it.
    pub docked: usize,
    /// Assets that came into a vehicle or out of it.
    pub carried: usize,
}

impl Counts {
    fn of(mut count: impl FnMut(Kind) -> usize) -> Self {
        Self {
            passages: count(Kind::Passage),
            geofences: count(Kind::Geofence),
            conditions: count(Kind::Condition),
            ghosts: count(Kind::Ghost),
            overdues: count(Kind::Overdue),
            docked: count(Kind::Docked),
            carried: count(Kind::Carried),
        }
    }

    #[cfg(test)]
    fn total(&self) -> usize {
        rows(self).iter().map(|(_, count)| count).sum()
    }
}

/// The outcome of a match, with what did not match in words.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Grade {
    pub truth: Counts,
    pub recorded: Counts,
    pub missed: Counts,
    pub spurious: Counts,
    pub duplicated: usize,
    pub remarks: Vec<String>,
}

/// `device_of`: the device behind a vehicle's name.
pub fn fact_of_truth(truth: &Truth, device_of: impl Fn(&str) -> String) -> Option<Fact> {
    let (kind, key, at) = match truth {
        Truth::Passage { asset, portal, direction, at } => {
            let direction = match direction {
                Direction::In => "in",
                Direction::Out => "out",
            };
            (Kind::Passage, format!("{asset} {direction} through {portal}"), at)
        }
        Truth::Geofence { device, fence, change, at } => {
            let change = match change {
                Crossing::Entered => "entered",
                Crossing::Exited => "exited",
            };
            (Kind::Geofence, format!("{} {change} {fence}", device_of(device)), at)
        }
        Truth::Condition { device, point, limit, change, at } => {
            let change = match change {
                Change::Began => "began",
                Change::Ended => "ended",
            };
            (Kind::Condition, format!("{device}/{point} {limit} {change}"), at)
        }
        Truth::Docked { vehicle, door, change, at } => {
            (Kind::Docked, docked(vehicle, door, *change == Change::Began), at)
        }
        Truth::Carried { asset, vehicle, change, at } => {
            (Kind::Carried, carried(asset, vehicle, *change == Change::Began), at)
        }
        Truth::Ghost { asset, gone_at } => (Kind::Ghost, asset.clone(), gone_at),
        Truth::Overdue { asset, due_at } => (Kind::Overdue, asset.clone(), due_at),
        Truth::Outage { .. } | Truth::Output { .. } | Truth::Read { .. } | Truth::Fix { .. } => return None,
    };
    Some(Fact { kind, key, at: Timestamp::from_micros(at.as_microsecond()) })
}

fn docked(vehicle: &str, door: &str, begins: bool) -> String {
    format!("{vehicle} {} {door}", if begins { "comes to" } else { "leaves" })
}

fn carried(asset: &str, vehicle: &str, begins: bool) -> String {
    format!("{asset} {} {vehicle}", if begins { "into" } else { "out of" })
}

/// `subject` and `observed_at` are the event's; passages count for registered assets only.
pub fn fact_of_event(subject: &str, observed_at: Timestamp, body: &EventBody) -> Option<Fact> {
    let asset = subject.strip_prefix("asset:").unwrap_or(subject);
    let (kind, key, at) = match body {
        EventBody::Passage { direction, portal, .. } => {
            let direction = match direction {
                sightings::Direction::In => "in",
                sightings::Direction::Out => "out",
            };
            (Kind::Passage, format!("{asset} {direction} through {portal}"), observed_at)
        }
        EventBody::Geofence { change, fence, fix, .. } => {
            let change = match change {
                FenceChange::Entered => "entered",
                FenceChange::Exited => "exited",
                // The truth has comings and goings.
                FenceChange::Dwelt => return None,
            };
            (Kind::Geofence, format!("{} {change} {fence}", fix.device), observed_at)
        }
        EventBody::Condition { device, point, limit, episode, .. } => {
            let (change, at) = match episode {
                Episode::Began { began_at, .. } => ("began", *began_at),
                Episode::Ended { .. } => ("ended", observed_at),
            };
            (Kind::Condition, format!("{device}/{point} {limit} {change}"), at)
        }
        EventBody::Docked { door, .. } => (Kind::Docked, docked(asset, door.as_str(), true), observed_at),
        EventBody::Undocked { door, .. } => (Kind::Docked, docked(asset, door.as_str(), false), observed_at),
        EventBody::Loaded { vehicle, .. } => {
            (Kind::Carried, carried(asset, vehicle.as_str(), true), observed_at)
        }
        EventBody::Unloaded { vehicle, .. } => {
            (Kind::Carried, carried(asset, vehicle.as_str(), false), observed_at)
        }
        EventBody::Alert { transition: AlertTransition::Fired, alert } => match alert.key.rule {
            Rule::Ghost => (Kind::Ghost, alert.key.subject.clone(), observed_at),
            Rule::OverdueReturn => (Kind::Overdue, alert.key.subject.clone(), observed_at),
            _ => return None,
        },
        _ => return None,
    };
    Some(Fact { kind, key, at })
}

/// Of one key.
#[derive(Default)]
struct Times {
    truths: Vec<Timestamp>,
    records: Vec<Timestamp>,
}

/// Matches records with truths.
pub fn grade(truth: &[Fact], recorded: &[Fact]) -> Grade {
    let mut grade = Grade {
        truth: Counts::of(|kind| truth.iter().filter(|fact| fact.kind == kind).count()),
        recorded: Counts::of(|kind| recorded.iter().filter(|fact| fact.kind == kind).count()),
        ..Grade::default()
    };
    let mut by_key = BTreeMap::<(Kind, &str), Times>::new();
    for fact in truth {
        by_key.entry((fact.kind, &fact.key)).or_default().truths.push(fact.at);
    }
    for fact in recorded {
        by_key.entry((fact.kind, &fact.key)).or_default().records.push(fact.at);
    }
    let mut missed = BTreeMap::<Kind, usize>::new();
    let mut spurious = BTreeMap::<Kind, usize>::new();
    for ((kind, key), Times { mut truths, mut records }) in by_key {
        records.sort_unstable();
        grade.duplicated += records.windows(2).filter(|pair| pair[0] == pair[1]).count();
        match_nearest(&mut truths, &mut records, kind.tolerance());
        *missed.entry(kind).or_default() += truths.len();
        *spurious.entry(kind).or_default() += records.len();
        grade.remarks.extend(truths.iter().map(|at| format!("missed {kind:?}: {key} at {at}")));
        grade.remarks.extend(records.iter().map(|at| format!("spurious {kind:?}: {key} at {at}")));
    }
    grade.missed = Counts::of(|kind| missed.get(&kind).copied().unwrap_or(0));
    grade.spurious = Counts::of(|kind| spurious.get(&kind).copied().unwrap_or(0));
    grade
}

/// Removes pairs, nearest first, until none lies within `tolerance`.
fn match_nearest(truths: &mut Vec<Timestamp>, records: &mut Vec<Timestamp>, tolerance: Duration) {
    loop {
        let pairs = truths.iter().enumerate().flat_map(|(t, truth)| {
            records
                .iter()
                .enumerate()
                .map(move |(r, record)| (record.micros_after(*truth).unsigned_abs(), t, r))
        });
        let Some((distance, t, r)) = pairs.min() else { return };
        if u128::from(distance) > tolerance.as_micros() {
            return;
        }
        truths.swap_remove(t);
        records.swap_remove(r);
    }
}

/// The kinds' names in the report's order, for tables.
pub fn rows(counts: &Counts) -> [(&'static str, usize); KINDS] {
    [
        ("passages", counts.passages),
        ("geofences", counts.geofences),
        ("conditions", counts.conditions),
        ("ghosts", counts.ghosts),
        ("overdues", counts.overdues),
        ("at doors", counts.docked),
        ("in vehicles", counts.carried),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(kind: Kind, key: &str, second: i64) -> Fact {
        Fact { kind, key: key.into(), at: Timestamp::from_secs(second) }
    }

    #[test]
    fn each_truth_has_one_record() {
        let truth = [fact(Kind::Passage, "a", 10), fact(Kind::Passage, "a", 14), fact(Kind::Ghost, "b", 0)];
        let grade = grade(&truth, &[fact(Kind::Passage, "a", 13), fact(Kind::Passage, "a", 11)]);
        assert_eq!((grade.missed.passages, grade.spurious.passages), (0, 0));
        assert_eq!(grade.missed.ghosts, 1);
    }

    #[test]
    fn a_double_is_both_duplicated_and_spurious() {
        let twice = [fact(Kind::Geofence, "t", 5), fact(Kind::Geofence, "t", 5)];
        let grade = grade(&[fact(Kind::Geofence, "t", 5)], &twice);
        assert_eq!((grade.duplicated, grade.spurious.geofences, grade.missed.geofences), (1, 1, 0));
    }

    #[test]
    fn another_key_or_another_time_does_not_match() {
        let truth = [fact(Kind::Passage, "a in", 10)];
        assert_eq!(grade(&truth, &[fact(Kind::Passage, "a out", 10)]).missed.total(), 1);
        assert_eq!(grade(&truth, &[fact(Kind::Passage, "a in", 16)]).spurious.total(), 1);
    }
}
