//! Presence of one tag at one read point: enough reads within a time make it present, silence while
//! the read point hears makes it gone (GS1 ALE's observed count and lost timeout).
//!
//! ```text
//! candidate ──observed_reads within observed_within──▶ present ──silence for its window──▶ (gone)
//! ```
//! The window is the same for every tag, or learned for each (`habit.rs`).
//! Never judges whether the silence was heard: its read point does.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::habit::Habit;
use super::level::{Level, Unrest};
use super::rows::micros;
use super::rules::PresenceRule;
use crate::domain::time::Timestamp;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Presence {
    #[serde(with = "micros")]
    pub last: Timestamp,
    stage: Stage,
    /// The antennas that heard it since the last word of it, and those that the last words named.
    #[serde(default, skip_serializing_if = "HeardBy::is_empty")]
    heard: HeardBy,
    #[serde(default, skip_serializing_if = "HeardBy::is_empty")]
    named: HeardBy,
    #[serde(default, skip_serializing_if = "Level::is_unknown")]
    pub level: Level,
    /// A read point of another zone hears it better.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beside: bool,
}

/// Antennas of one read point, a bit each; those beyond the last bit share it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct HeardBy(u16);

impl HeardBy {
    /// How many have a bit of their own, or share the last.
    pub const EARS: usize = 16;

    pub fn ear(nth: usize) -> Self {
        Self(1 << nth.min(Self::EARS - 1))
    }

    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Stage {
    /// Reads that may still make a presence, in order of time, each with its count; no more entries
    /// than the reads that are needed.
    #[expect(clippy::box_collection, reason = "candidates are few, and a window is one line of cache")]
    Candidate(Box<Vec<(i64, u32)>>),
    Present {
        #[serde(with = "micros")]
        refreshed: Timestamp,
        #[serde(default, skip_serializing_if = "Habit::is_unknown")]
        habit: Habit,
        #[serde(default, skip_serializing_if = "Unrest::is_usual")]
        unrest: Unrest,
    },
}

/// One report: its first and last read, and how many there were.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reads {
    pub first: Timestamp,
    pub last: Timestamp,
    pub count: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Told {
    Arrived { first: Timestamp, by: HeardBy },
    Refreshed { last: Timestamp, by: HeardBy },
}

impl Told {
    pub fn is_new(self) -> bool {
        matches!(self, Self::Arrived { .. })
    }
}

/// How many times as long as usual the window is taken to be, where somebody has set it.
const FIXED_PACES: f32 = 14.0;
/// Gaps between its reads, half a second or more each.
const STEADY: u32 = 30;
/// Where another zone's read point has a tag, it is weighed no more often than once in this.
const WEIGHED_EVERY_US: i64 = 1_000_000;

impl Presence {
    pub fn new(at: Timestamp) -> Self {
        let (heard, named, level) = Default::default();
        Self { last: at, stage: Stage::Candidate(Box::default()), heard, named, level, beside: false }
    }

    pub fn is_present(&self) -> bool {
        matches!(self.stage, Stage::Present { .. })
    }

    /// The antennas that heard it of late.
    pub fn heard_by(&self) -> HeardBy {
        HeardBy(self.heard.0 | self.named.0)
    }

    /// `ear`: the antenna that heard it, where there are several. `heard_since`: since when its silence counts.
    pub fn read(
        &mut self,
        reads: Reads,
        (ear, peak_dbm): (HeardBy, Option<f32>),
        rule: &PresenceRule,
        heard_since: Option<Timestamp>,
    ) -> Option<Told> {
        let before = self.last;
        self.last = before.max(reads.last);
        self.heard.0 |= ear.0;
        let after = self.last.since(before);
        let off_db = self.level.hear(peak_dbm, after);
        match &mut self.stage {
            Stage::Present { refreshed, habit, unrest } => {
                if let Some(off_db) = off_db {
                    unrest.hear(off_db, after);
                }
                if let (Some(pace), Some(since)) = (&rule.pace, heard_since) {
                    habit.learn(pace, before.max(since), (reads.first, reads.last, reads.count));
                }
                let due = self.last.since(*refreshed) >= rule.refresh;
                // An antenna that nobody knows of yet: what hangs on it is to be known before it is cut off.
                let new = ear.0 & !self.named.0 != 0;
                if !(due || new) || self.last <= *refreshed {
                    return None;
                }
                *refreshed = self.last;
                let by = std::mem::take(&mut self.heard);
                self.named.0 = if due { by.0 } else { self.named.0 | by.0 };
                Some(Told::Refreshed { last: self.last, by })
            }
            Stage::Candidate(seen) => {
                let first = gather(seen, reads, rule)?;
                let (habit, unrest) = Default::default();
                self.stage = Stage::Present { refreshed: self.last, habit, unrest };
                let by = std::mem::take(&mut self.heard);
                self.named = by;
                Some(Told::Arrived { first, by })
            }
        }
    }

    /// What it was told just now, if anything, is to be weighed against the read point that has it. `before`: its
    /// last read until then.
    pub fn is_weighed(&self, told: Option<Told>, before: Timestamp) -> bool {
        let second = |at: Timestamp| at.as_micros().div_euclid(WEIGHED_EVERY_US);
        let is_new = told.is_some_and(Told::is_new);
        self.is_present() && (is_new || self.beside && second(before) < second(self.last))
    }

    /// Told out of turn: that it goes on being heard.
    pub fn refresh(&mut self) -> HeardBy {
        let by = std::mem::take(&mut self.heard);
        if let Stage::Present { refreshed, .. } = &mut self.stage {
            *refreshed = self.last;
            self.named.0 |= by.0;
        }
        by
    }

    /// How strongly it is heard, to be compared with how it is heard elsewhere.
    pub fn strength_dbm(&self) -> Option<f32> {
        match self.stage {
            Stage::Present { unrest, .. } => unrest.above(self.level),
            Stage::Candidate(_) => self.level.dbm(),
        }
    }

    /// It has been heard here for long.
    pub fn is_steady(&self) -> bool {
        matches!(self.stage, Stage::Present { habit, .. } if habit.gaps() >= STEADY)
    }

    /// How many times as long as is usual between two reads a silence from then until then is.
    pub fn paces(&self, rule: &PresenceRule, (since, until): (Timestamp, Timestamp)) -> f32 {
        let silence = until.since(since);
        match (&self.stage, &rule.pace) {
            (Stage::Present { habit, .. }, Some(pace)) => habit.paces(pace, silence),
            _ => silence.as_secs_f32() / rule.lost_after.as_secs_f32().max(1e-3) * FIXED_PACES,
        }
    }

    /// Until when silence says nothing yet, the read point having heard since `heard_since`.
    pub fn deadline(&self, rule: &PresenceRule, heard_since: Option<Timestamp>) -> Timestamp {
        match self.stage {
            Stage::Candidate(_) => self.last + rule.observed_within.max(Duration::from_millis(1)),
            Stage::Present { habit, .. } => {
                let window = rule.pace.as_ref().map_or(rule.lost_after, |pace| habit.window(pace));
                self.last.max(heard_since.unwrap_or(self.last)) + window
            }
        }
    }
}

/// Adds reads, and returns the first of the earliest window that holds enough of them.
fn gather(seen: &mut Vec<(i64, u32)>, reads: Reads, rule: &PresenceRule) -> Option<Timestamp> {
    let needed = rule.observed_reads.max(1);
    add(seen, reads.first, 1);
    if reads.count > 1 {
        add(seen, reads.last, reads.count - 1);
    }
    let within = i64::try_from(rule.observed_within.as_micros()).unwrap_or(i64::MAX);
    let newest = seen.last().map_or(0, |(at, _)| *at);
    let enough = |from: usize| {
        let until = seen[from].0.saturating_add(within);
        let counts = seen[from..].iter().take_while(|(at, _)| *at <= until).map(|(_, count)| *count);
        counts.fold(0_u32, u32::saturating_add) >= needed
    };
    if let Some(from) = (0..seen.len()).find(|from| enough(*from)) {
        return Some(Timestamp::from_micros(seen[from].0));
    }
    seen.retain(|(at, _)| at.saturating_add(within) >= newest);
    None
}

fn add(seen: &mut Vec<(i64, u32)>, at: Timestamp, count: u32) {
    let micros = at.as_micros();
    match seen.binary_search_by_key(&micros, |(at, _)| *at) {
        Ok(found) => seen[found].1 = seen[found].1.saturating_add(count),
        Err(place) => seen.insert(place, (micros, count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: PresenceRule = PresenceRule {
        zone: 0,
        observed_reads: 3,
        observed_within: Duration::from_secs(2),
        lost_after: Duration::from_secs(5),
        pace: None,
        refresh: Duration::from_secs(10),
    };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis * 1000)
    }

    /// Reads as (first, last, count) in ms → the time of arrival in ms.
    fn check(reports: &[(i64, i64, u32)], expect: Option<i64>) {
        let mut presence = Presence::new(at(reports[0].0));
        let mut arrived = None;
        for (first, last, count) in reports {
            let reads = Reads { first: at(*first), last: at(*last), count: *count };
            if let Some(Told::Arrived { first, .. }) =
                presence.read(reads, (HeardBy::default(), None), &RULE, None)
            {
                arrived = Some(first.as_micros() / 1000);
            }
        }
        assert_eq!(arrived, expect, "{reports:?}");
    }

    #[test]
    fn enough_reads_within_the_time_arrive_at_the_first_of_them() {
        check(&[(0, 0, 1), (900, 900, 1), (1_900, 1_900, 1)], Some(0));
        check(&[(0, 0, 1), (1_500, 1_500, 1), (2_500, 2_500, 1)], None);
        check(&[(0, 0, 1), (1_500, 1_500, 1), (2_500, 2_500, 1), (3_000, 3_000, 1)], Some(1_500));
        check(&[(100, 400, 3)], Some(100));
        check(&[(0, 4_000, 3)], None);
        // Out of order, all the same.
        check(&[(900, 900, 1), (1_900, 1_900, 1), (0, 0, 1)], Some(0));
    }

    #[test]
    fn what_goes_on_is_refreshed_no_more_often_than_told() {
        let mut presence = Presence::new(at(0));
        let told: Vec<_> = (0..40)
            .filter_map(|second| {
                let now = at(second * 1000);
                presence.read(
                    Reads { first: now, last: now, count: 3 },
                    (HeardBy::default(), None),
                    &RULE,
                    None,
                )
            })
            .collect();
        let by = HeardBy::default();
        let refreshed = |seconds: i64| Told::Refreshed { last: at(seconds * 1000), by };
        assert_eq!(told, [Told::Arrived { first: at(0), by }, refreshed(10), refreshed(20), refreshed(30)]);
    }

    #[test]
    fn its_row_has_all_of_it() {
        let mut presence = Presence::new(at(0));
        for (second, dbm) in [(0, -60.0), (1, -50.0), (2, -70.0)] {
            let reads = Reads { first: at(second * 1000), last: at(second * 1000), count: 3 };
            presence.read(reads, (HeardBy::ear(1), Some(dbm)), &RULE, None);
        }
        let row = serde_json::to_string(&presence).unwrap();
        assert_eq!(serde_json::from_str::<Presence>(&row).unwrap(), presence);
        assert!(row.contains("unrest"), "{row}");
        // One of a version that did not know of it.
        let known = row.split_once(",\"unrest\"").unwrap();
        let older =
            format!("{}{}", known.0, known.1.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit()));
        assert!(serde_json::from_str::<Presence>(&older).is_ok(), "{older}");
    }

    #[test]
    fn silence_counts_from_when_it_was_heard() {
        let mut presence = Presence::new(at(0));
        presence.read(Reads { first: at(0), last: at(0), count: 3 }, (HeardBy::default(), None), &RULE, None);
        assert_eq!(presence.deadline(&RULE, None), at(5_000));
        assert_eq!(presence.deadline(&RULE, Some(at(60_000))), at(65_000));
    }

    #[test]
    fn an_antenna_that_hears_it_anew_is_told_at_once_and_then_with_the_refresh() {
        let mut presence = Presence::new(at(0));
        let mut read = |second: i64, ear: usize| {
            let now = at(second * 1000);
            let told = presence.read(
                Reads { first: now, last: now, count: 3 },
                (HeardBy::ear(ear), None),
                &RULE,
                None,
            );
            told.map(|told| match told {
                Told::Arrived { by, .. } | Told::Refreshed { by, .. } => by.0,
            })
        };
        assert_eq!(
            (read(0, 0), read(1, 0), read(2, 1), read(3, 1), read(4, 0)),
            (Some(1), None, Some(3), None, None)
        );
        assert_eq!(read(12, 1), Some(3), "both heard it since");
        assert_eq!((read(22, 0), read(23, 1)), (Some(1), Some(2)));
    }
}
