//! Whether a sensor can be believed: what never moves is dead, and what moves faster than the thing itself can
//! is a spike. Such a value is uncertain: it is kept, and limits do not judge it.
//!
//! A step that stays is believed once enough values in a row agree with one another: the thing was replaced, or
//! the sensor moved. Where a value that stands still is no good, the new one must have moved too: an input whose wire
//! has come off jumps to the end of its range and stays there. So must one after a silence, where the change would have
//! taken longer than a minute.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mark::Mark;
use super::rows::{exact, maybe_micros};
use crate::config::{MaxChange, PointChecks};
use crate::domain::time::Timestamp;

/// Values in a row that agree with one another make a step believed.
const CONFIRMATIONS: u32 = 3;
/// Sums of decimal steps are not exact.
const ROUNDING: f64 = 1.0 + 1e-6;
/// Of a change in a silence, which may have taken as long, this much is believed at once.
const AT_ONCE_S: f64 = 60.0;

/// What is remembered of one point; part of its row.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Credence {
    /// The value that it has, and for how long it is known to have had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stands: Option<Stands>,
    /// The last one that was no spike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    firm: Option<Mark>,
    /// The last of those that do not fit it, and how many in a row agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    astray: Option<(Mark, u32)>,
    /// Those were not all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    moved: bool,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Stands {
    #[serde(with = "exact")]
    value: f64,
    /// Time between values that followed one another.
    known: Duration,
    /// The last of them; none where something came in between: nobody knows what it was meanwhile.
    #[serde(with = "maybe_micros", default)]
    last: Option<Timestamp>,
}

impl Credence {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a good value, no older than the last one, is believed.
    pub fn believes(&mut self, checks: &PointChecks, value: f64, at: Timestamp) -> bool {
        let here = Mark { value, at };
        let was_silent = self.stands.is_some_and(|stands| stands.last.is_none());
        if checks.flat_after.is_some_and(|after| !self.moves(here, after)) {
            // Where a dead sensor stood says nothing of where the value is when it lives again.
            (self.firm, self.astray, self.moved) = (None, None, false);
            return false;
        }
        let Some(most) = checks.max_change else { return true };
        self.fits(here, most, checks.flat_after.map(|_| was_silent))
    }

    /// For a while nobody knows its value: that time does not count, and what was found does.
    pub fn interrupted(&mut self) {
        if let Some(stands) = &mut self.stands {
            stands.last = None;
        }
    }

    fn moves(&mut self, here: Mark, after: Duration) -> bool {
        let before = self.stands.filter(|stands| stands.value == here.value);
        let known = before.map_or(Duration::ZERO, |stands| {
            stands.known + stands.last.map_or(Duration::ZERO, |last| here.at.since(last))
        });
        self.stands = Some(Stands { value: here.value, known, last: Some(here.at) });
        known < after
    }

    /// `must_move`: a value that stands still is no good; and whether there was a silence before this one.
    fn fits(&mut self, here: Mark, most: MaxChange, must_move: Option<bool>) -> bool {
        // A step more: where between two steps a value was, nobody is told.
        let within = |before: Mark, seconds: f64| {
            (here.value - before.value).abs() <= most.per_second * seconds + most.step * ROUNDING
        };
        let agrees = |before: Mark| within(before, here.at.since(before.at).as_secs_f64());
        let Some(firm) = self.firm else {
            self.firm = Some(here);
            return true;
        };
        let (in_a_row, moved) = match self.astray {
            Some((before, count)) if agrees(before) => (count + 1, self.moved || here.value != before.value),
            _ => (1, false),
        };
        let stands_still = must_move.is_some() && in_a_row > 1 && !moved;
        let is_possible = agrees(firm) && (must_move != Some(true) || within(firm, AT_ONCE_S));
        let believed = !stands_still && (is_possible || in_a_row >= CONFIRMATIONS);
        (self.firm, self.astray, self.moved) = match believed {
            true => (Some(here), None, false),
            false => (Some(firm), Some((here, in_a_row)), moved),
        };
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
    fn time_in_which_nothing_is_known_does_not_count_and_takes_nothing_back() {
        let checks = PointChecks { flat_after: Some(Duration::from_secs(30)), ..PointChecks::default() };
        let mut credence = Credence::default();
        let mut believes = |second, interrupted| {
            if interrupted {
                credence.interrupted();
            }
            credence.believes(&checks, 4.1, Timestamp::from_secs(second))
        };
        assert!(believes(0, false) && believes(20, false));
        assert!(believes(1000, true), "20 s are known");
        assert!(!believes(1010, false), "and 30");
        assert!(!believes(2000, true), "one poll that is lost revives no dead sensor");
    }

    /// It stood at 4 while the room went to 9: the first value that moves is the room's.
    #[test]
    fn a_dead_sensor_that_lives_again_is_believed_at_once() {
        let max_change = Some(MaxChange { per_second: 0.1, step: 0.0 });
        let flat_after = Some(Duration::from_secs(30));
        let checks = PointChecks { flat_after, max_change, ..PointChecks::default() };
        let samples =
            [(0, 4.0), (10, 4.0), (20, 4.0), (30, 4.0), (40, 4.0), (50, 9.0), (60, 9.1), (70, 40.0)];
        assert_eq!(doubted(&checks, &samples), [30, 40, 70]);
    }

    /// A wire comes off: the input jumps to the end of its range and says that for ever.
    #[test]
    fn what_jumps_and_stands_still_there_is_not_believed_however_long_it_does() {
        let max_change = Some(MaxChange { per_second: 0.1, step: 0.1 });
        let flat_after = Some(Duration::from_secs(3600));
        let checks = PointChecks { flat_after, max_change, ..PointChecks::default() };
        let mut samples = vec![(0, 4.0), (10, 4.1)];
        samples.extend((2..200).map(|tenth| (tenth * 10, 85.0)));
        let broken: Vec<i64> = (2..200).map(|tenth| tenth * 10).collect();
        assert_eq!(doubted(&checks, &samples), broken, "after 810 s it might have got there");
        // Mended before it counts as dead, it is believed at once.
        samples.push((2000, 4.3));
        assert_eq!(doubted(&checks, &samples), broken);
        // One that was carried elsewhere moves there.
        let carried = [(0, 4.0), (10, 30.0), (20, 30.0), (30, 30.1), (40, 30.1), (50, 30.1)];
        assert_eq!(doubted(&checks, &carried), [10, 20]);
        let moves_only = PointChecks { flat_after: None, ..checks };
        assert_eq!(doubted(&moves_only, &samples[..7]), [20, 30], "nobody said that it must move");
    }

    #[test]
    fn what_changed_much_in_a_silence_is_believed_when_it_moves() {
        let max_change = Some(MaxChange { per_second: 0.1, step: 0.1 });
        let flat_after = Some(Duration::from_secs(3600));
        let checks = PointChecks { flat_after, max_change, ..PointChecks::default() };
        for (values, believed) in [
            ([30.0, 30.1, 30.1], [false, true, true]),
            ([30.0, 30.0, 30.0], [false, false, false]),
            ([10.0, 10.0, 10.0], [true, true, true]),
        ] {
            let mut credence = Credence::default();
            assert!(credence.believes(&checks, 4.0, Timestamp::from_secs(0)));
            credence.interrupted();
            let found = [600, 610, 620].map(Timestamp::from_secs);
            let found: Vec<bool> = values
                .into_iter()
                .zip(found)
                .map(|(value, at)| credence.believes(&checks, value, at))
                .collect();
            assert_eq!(found, believed, "{values:?}");
        }
    }

    #[test]
    fn a_step_in_which_a_sensor_tells_is_no_jump() {
        let most = MaxChange { per_second: 5.0 / 60.0, step: 0.1 };
        let checks = PointChecks { max_change: Some(most), ..PointChecks::default() };
        assert!(doubted(&checks, &[(0, 4.0), (1, 4.1), (2, 4.2), (3, 4.1)]).is_empty(), "a digit a second");
        assert_eq!(doubted(&checks, &[(0, 4.0), (1, 4.3)]), [1]);
    }

    #[test]
    fn a_spike_is_not_believed_and_a_step_that_stays_is() {
        let checks = PointChecks {
            max_change: Some(MaxChange { per_second: 0.1, step: 0.0 }),
            ..PointChecks::default()
        };
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
