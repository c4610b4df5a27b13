//! How fast a value moves: by how much it changed over a window, a minute.
//!
//! A window is compared end to end, so noise weighs the less the longer it is. What is asked for must be known for that
//! long: in the first minutes, and after a gap longer than the window, nothing is said.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mark::Mark;
use crate::domain::time::Timestamp;

/// Values kept of the longest window: where one begins is known to within this part of it.
const PARTS: u32 = 64;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Trend {
    /// Oldest first.
    marks: VecDeque<Mark>,
}

impl Trend {
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// The change to this value over the window before it, a minute.
    pub fn per_minute(&self, value: f64, at: Timestamp, over: Duration) -> Option<f64> {
        let begin = self.marks.iter().rev().find(|mark| at.since(mark.at) >= over)?;
        let between = at.since(begin.at);
        (between <= over.saturating_mul(2)).then(|| (value - begin.value) / (between.as_secs_f64() / 60.0))
    }

    /// Remembers a value, for windows up to `longest`. Returns whether there is anything new to remember.
    pub fn note(&mut self, value: f64, at: Timestamp, longest: Duration) -> bool {
        if self.marks.back().is_some_and(|last| at.since(last.at) < longest / PARTS) {
            return false;
        }
        self.marks.push_back(Mark { value, at });
        // The second one begins the window as well: the first is not needed any more.
        while self.marks.get(1).is_some_and(|second| at.since(second.at) >= longest) {
            self.marks.pop_front();
        }
        true
    }

    pub fn clear(&mut self) {
        self.marks.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVER: Duration = Duration::from_secs(300);

    #[test]
    fn a_window_is_compared_end_to_end_once_it_is_known() {
        let mut trend = Trend::default();
        let mut rates = Vec::new();
        for minute in 0..10 {
            let (value, at) = (f64::from(minute * minute), Timestamp::from_secs(i64::from(minute) * 60));
            rates.push(trend.per_minute(value, at, OVER));
            trend.note(value, at, OVER);
        }
        let expected =
            [5, 6, 7, 8, 9].map(|minute: i32| Some(f64::from(minute * minute - (minute - 5).pow(2)) / 5.0));
        assert_eq!(rates[..5], [None; 5]);
        assert_eq!(rates[5..], expected);
        let late = Timestamp::from_secs(9 * 60 + 601);
        assert_eq!(trend.per_minute(0.0, late, OVER), None, "over a gap of two windows nothing is known");
    }

    #[test]
    fn however_often_a_value_comes_few_are_kept_and_the_rate_is_that_of_all() {
        let mut trend = Trend::default();
        for tenth in 0..100_000_i64 {
            let (value, at) = (tenth as f64, Timestamp::from_micros(tenth * 100_000));
            if let Some(rate) = trend.per_minute(value, at, OVER) {
                assert!((rate - 600.0).abs() < 1e-6, "{rate}");
            }
            trend.note(value, at, OVER);
            assert!(trend.marks.len() <= PARTS as usize + 2, "{}", trend.marks.len());
        }
    }
}
