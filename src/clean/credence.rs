//! Whether a sensor can be believed: what never moves is dead, and what moves faster than the thing itself can
//! is a spike. Such a value is uncertain: it is kept, and limits do not judge it.
//!
//! A step that stays is believed once enough values in a row agree with one another: the thing was replaced, or
//! the sensor moved.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rows::{exact, micros};
use crate::config::PointChecks;
use crate::domain::time::Timestamp;

/// Values in a row that agree with one another make a step believed.
const CONFIRMATIONS: u32 = 3;

/// What is remembered of one point; part of its row.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Credence {
    /// The value that it has had since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    steady: Option<Mark>,
    /// The last one that was no spike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    firm: Option<Mark>,
    /// The last of those that do not fit it, and how many in a row agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    astray: Option<(Mark, u32)>,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Mark {
    #[serde(with = "exact")]
    value: f64,
    #[serde(with = "micros")]
    at: Timestamp,
}

impl Credence {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a good value, no older than the last one, is believed.
    pub fn believes(&mut self, checks: &PointChecks, value: f64, at: Timestamp) -> bool {
        let here = Mark { value, at };
        let moves = checks.flat_after.is_none_or(|after| self.moves(here, after));
        let fits = checks.max_per_second.is_none_or(|most| self.fits(here, most));
        moves && fits
    }

    /// For a while nobody knew its value: it may have moved.
    pub fn interrupted(&mut self) {
        self.steady = None;
    }

    fn moves(&mut self, here: Mark, after: Duration) -> bool {
        let since = self.steady.filter(|mark| mark.value == here.value).unwrap_or(here);
        self.steady = Some(since);
        here.at.since(since.at) < after
    }

    fn fits(&mut self, here: Mark, most: f64) -> bool {
        let agrees = |before: Mark| {
            let seconds = here.at.since(before.at).as_secs_f64();
            (here.value - before.value).abs() <= most * seconds
        };
        let Some(firm) = self.firm else {
            self.firm = Some(here);
            return true;
        };
        let in_a_row = match self.astray {
            Some((before, count)) if agrees(before) => count + 1,
            _ => 1,
        };
        let believed = agrees(firm) || in_a_row >= CONFIRMATIONS;
        (self.firm, self.astray) =
            if believed { (Some(here), None) } else { (Some(firm), Some((here, in_a_row))) };
        believed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds and values that are not believed.
    fn doubted(checks: &PointChecks, samples: &[(i64, f64)]) -> Vec<i64> {
        let mut credence = Credence::default();
        let believed =
            |(second, value): &(i64, f64)| !credence.believes(checks, *value, Timestamp::from_secs(*second));
        samples.iter().copied().filter(believed).map(|(second, _)| second).collect()
    }

    #[test]
    fn what_never_moves_is_dead_and_lives_when_it_moves() {
        let checks = PointChecks { flat_after: Some(Duration::from_secs(30)), ..PointChecks::default() };
        let samples = [(0, 4.0), (10, 4.1), (20, 4.1), (39, 4.1), (40, 4.1), (50, 4.1), (60, 4.2), (70, 4.1)];
        assert_eq!(doubted(&checks, &samples), [40, 50]);
        assert!(doubted(&PointChecks::default(), &samples).is_empty());
    }

    #[test]
    fn while_nothing_is_known_of_it_nothing_stands_still() {
        let checks = PointChecks { flat_after: Some(Duration::from_secs(30)), ..PointChecks::default() };
        let mut credence = Credence::default();
        assert!(credence.believes(&checks, 4.1, Timestamp::from_secs(0)));
        credence.interrupted();
        assert!(credence.believes(&checks, 4.1, Timestamp::from_secs(40)));
        assert!(!credence.believes(&checks, 4.1, Timestamp::from_secs(70)));
    }

    #[test]
    fn a_spike_is_not_believed_and_a_step_that_stays_is() {
        let checks = PointChecks { max_per_second: Some(0.1), ..PointChecks::default() };
        assert_eq!(
            doubted(&checks, &[(0, 4.0), (10, 5.0), (20, 40.0), (30, 5.5), (40, -9.0), (50, 6.0)]),
            [20, 40]
        );
        // The third of the new level is believed, and from then on so is what follows.
        let step = [(0, 4.0), (10, 30.0), (20, 30.5), (30, 30.2), (40, 30.0), (50, 4.0)];
        assert_eq!(doubted(&checks, &step), [10, 20, 50]);
        // Two spikes of different kinds do not confirm one another.
        assert_eq!(doubted(&checks, &[(0, 4.0), (1, 30.0), (2, -30.0), (3, 30.0), (4, 4.1)]), [1, 2, 3]);
        // After a long silence anything may be.
        assert!(doubted(&checks, &[(0, 4.0), (3600, 30.0)]).is_empty());
    }
}
