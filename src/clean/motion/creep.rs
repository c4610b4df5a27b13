//! Who moves up a little again and again: a truck in a queue, a machine at a crawl.
//!
//! ```text
//! fixes at a place ─┬─ to and fro ──▶ they err around one place, and its middle is theirs
//!                   └─ ever onward ─▶ it creeps: it has not come to rest, and its middle would lag behind it
//! ```
//! How far it has come says little, for errors that last carry a fix as far under a roof. But they lead back: what errs takes
//! steps in all directions, and of a few of them the sum is rarely as long as they are one after the other.

use serde::{Deserialize, Serialize};

use super::{Stationary, vague_m};
use crate::clean::place::Place;
use crate::config::TrackerRules;
use crate::domain::geodesy::Position;

/// A step leads by no less than such a share of what a fix there is vague by.
const STEP: f64 = 0.5;
/// Fixes, and steps among them, that say whether it creeps.
const FIXES: u8 = 5;
const STEPS: u8 = 2;
/// So far from where it began, as a share of its steps, is what has not come to rest; what counts as standing is taken to creep
/// where it is so far; and who is nearer than that begins again.
const STRAIGHT: f64 = 0.8;
const ONWARD: f64 = 0.6;
const BENT: f64 = 0.5;
/// And further by this factor than a fix is vague there; for its trip to go on, than it says that it is.
const CREPT: f64 = 2.0;
const GOES_ON: f64 = 1.5;
/// After so many fixes without a step it creeps no more, unless more steps led there; and after so many it begins again.
const PAUSES: u8 = 2;
const RESTS: u8 = 12;

/// Without the names of its parts.
type Row = (f64, f64, [f32; 2], f32, [u8; 3]);

/// Steps at a place, among fixes that follow one another after a while.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(into = "Row", from = "Row")]
pub(super) struct Creep {
    /// Where it began; not known before the first of the fixes.
    first: Position,
    /// From there to where the last step led, metres to the east and the north; and how long all of them are.
    gone: [f32; 2],
    metres: f32,
    fixes: u8,
    steps: u8,
    /// Fixes since the last step.
    pauses: u8,
}

impl Default for Creep {
    fn default() -> Self {
        let first = Position { lat: 0.0, lon: 0.0 };
        Self { first, gone: [0.0; 2], metres: 0.0, fixes: 0, steps: 0, pauses: 0 }
    }
}

impl Stationary {
    /// Takes up a fix here; whether those up to it lead onward.
    pub(super) fn creeps_to(&mut self, here: &Place, rules: &TrackerRules) -> bool {
        let vague = self.vague_m(here, rules);
        self.creep.goes(self.middle, here.position(), STEP * vague);
        let pauses = if self.creep.steps > STEPS { RESTS } else { PAUSES };
        let creeps = self.has_crept(ONWARD, pauses, CREPT * vague);
        if self.creep.is_over() {
            self.creep = Creep::default();
        }
        creeps
    }

    /// Whether its fixes here led straight on, up to now.
    pub(super) fn creeps(&self, rules: &TrackerRules) -> bool {
        self.has_crept(STRAIGHT, PAUSES, GOES_ON * vague_m(&self.last, rules))
    }

    fn has_crept(&self, share: f64, pauses: u8, beyond_m: f64) -> bool {
        let creep = &self.creep;
        let is_known = creep.fixes >= FIXES && creep.steps >= STEPS && creep.pauses <= pauses;
        is_known && creep.share() >= share && creep.gone_m() > beyond_m
    }
}

impl Creep {
    fn goes(&mut self, began: Position, here: Position, least_m: f64) {
        if self.fixes == 0 {
            self.first = began;
        }
        let to = self.first.offset_m(here).map(|metres| metres as f32);
        let step_m = (to[0] - self.gone[0]).hypot(to[1] - self.gone[1]);
        (self.fixes, self.pauses) = (self.fixes.saturating_add(1), self.pauses.saturating_add(1));
        if f64::from(step_m) >= least_m {
            (self.gone, self.metres) = (to, self.metres + step_m);
            (self.steps, self.pauses) = (self.steps.saturating_add(1), 0);
        }
    }

    fn gone_m(&self) -> f64 {
        self.gone[0].hypot(self.gone[1]).into()
    }

    fn share(&self) -> f64 {
        self.gone_m() / f64::from(self.metres).max(f64::MIN_POSITIVE)
    }

    fn is_over(&self) -> bool {
        self.pauses >= RESTS || self.fixes >= FIXES && self.steps > 0 && self.share() < BENT
    }
}

impl From<Creep> for Row {
    fn from(Creep { first, gone, metres, fixes, steps, pauses }: Creep) -> Self {
        (first.lat, first.lon, gone, metres, [fixes, steps, pauses])
    }
}

impl From<Row> for Creep {
    fn from((lat, lon, gone, metres, [fixes, steps, pauses]): Row) -> Self {
        Self { first: Position { lat, lon }, gone, metres, fixes, steps, pauses }
    }
}

#[cfg(test)]
mod tests;
