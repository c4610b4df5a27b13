//! What stands, and was moved by less than sets it out: a trailer from one bay to the next.
//!
//! One fix that is away errs, most likely, and says how much fixes err here. Several that agree with one another, and not
//! with those before, say that it stands there now: they are no errors, and after a while the place is theirs.

use serde::{Deserialize, Serialize};

use super::middle::MOST_WEIGHT;
use super::stand::{EXPLAINED, STEADY_FIXES};
use super::{Stationary, vague_m};
use crate::clean::place::Place;
use crate::clean::rows::micros;
use crate::config::TrackerRules;
use crate::domain::geodesy::Position;
use crate::domain::time::Timestamp;

/// Errors that last do so for some minutes: who stands beside its place for so many times `stop_after` was moved.
const MOVED_FOR: u32 = 3;

/// Fixes in a row that are away from the place, and at one.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Beside {
    #[serde(with = "micros")]
    since: Timestamp,
    middle: Position,
    count: u8,
}

impl Stationary {
    /// Whether a fix agrees with those before it that are away from the place, and is no error.
    pub(super) fn is_beside(&mut self, here: &Place, rules: &TrackerRules) -> bool {
        let from_m = self.middle.distance_m(here.position());
        if self.weight < STEADY_FIXES || from_m <= EXPLAINED * self.vague_m(here, rules) {
            self.beside = None;
            return false;
        }
        let agrees = |beside: &&mut Box<Beside>| {
            beside.middle.distance_m(here.position()) <= EXPLAINED * vague_m(here, rules)
        };
        let Some(beside) = self.beside.as_mut().filter(agrees) else {
            self.beside = Some(Box::new(Beside { since: here.at, middle: here.position(), count: 1 }));
            return false;
        };
        beside.count = beside.count.saturating_add(1);
        beside.middle = beside.middle.towards(here.position(), 1.0 / f64::from(beside.count));
        let is_moved = here.at.since(beside.since) >= rules.stop_after * MOVED_FOR;
        if is_moved && beside.count >= STEADY_FIXES {
            (self.middle, self.weight) = (beside.middle, beside.count.min(MOST_WEIGHT));
            self.beside = None;
        }
        true
    }
}
