//! Where something stands, to those who ask where it is: by all of its fixes there rather than by the last.
//!
//! ```text
//!                     ┌─ no further from the middle than it is vague ─▶ there: the middle, and how sure that is
//! fix of what stands ─┼─ further, and nothing says that it moves ─────▶ astray: an error that lasts for a while, or a push
//!                     └─ on its way, as far as one goes to leave, ────▶ where the fix says
//!                        or surer than all before
//! ```
//! The first few fixes of a place say how vague it is by what they say of themselves.

use super::moment::Moment;
use super::{Moves, STANDS_MPS, Stationary, doubt, rolls};
use crate::config::TrackerRules;
use crate::domain::geodesy::Position;
use crate::domain::readings::Fix;
use crate::domain::time::Timestamp;

/// After so many fixes the middle of a place is worth more than one of them; and a fix belongs to it that is no further
/// away than so many times what it is vague by.
pub(super) const STEADY_FIXES: u8 = 4;
pub(super) const EXPLAINED: f64 = 2.0;
/// A fix that is surer than the middle by this factor is believed rather than that.
const SURER: f64 = 1.5;

/// What a fix is to the place where its tracker stands.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(in crate::clean) enum Stands {
    /// It is there, as far as it can be known: the middle of the fixes there, and how sure that is.
    There(Stand),
    /// It is further away than it is vague, and nothing says that it moves: it errs, or was moved without a word. It had come
    /// to rest by then.
    Astray { rested: Timestamp },
}

/// Where something stands, and when it had come to rest there.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(in crate::clean) struct Stand {
    pub middle: Position,
    /// The middle of so many fixes is surer than each of them by the root of their number.
    pub sure_m: f64,
    pub rested: Timestamp,
    /// After so few fixes that each of them says as much.
    pub is_young: bool,
}

impl Moves {
    /// What a fix is to the place where it stands; `None` where it does not, and where the fix itself says where it is.
    pub(in crate::clean) fn stands_at(&self, fix: &Fix, rules: &TrackerRules) -> Option<Stands> {
        let Self::Standing(standing) = self else { return None };
        standing.holds(&Moment::of(fix), rules)
    }
}

impl Stationary {
    fn holds(&self, here: &Moment, rules: &TrackerRules) -> Option<Stands> {
        let Self { since, middle, weight, ref last, ref leaving, .. } = *self;
        let vague = self.vague_m(&here.place, rules);
        let is_known = weight >= STEADY_FIXES;
        let sure_m = vague.max(self.vague_m(last, rules)) / f64::from(weight).sqrt();
        let explained_m = EXPLAINED * if is_known { vague } else { vague.hypot(sure_m) };
        let from_m = middle.distance_m(here.place.position());
        let rested = since + rules.stop_after;
        let moves = here.speed_mps().is_some_and(|speed| speed >= STANDS_MPS);
        if from_m <= explained_m {
            let leaves = if is_known { leaving.is_some() && rolls(here) && from_m > vague } else { moves };
            // Out of doors again, before it leaves: such a fix says more than all before it.
            let is_surer = vague * SURER <= sure_m;
            return (!leaves && !is_surer).then_some(Stands::There(Stand {
                middle,
                sure_m,
                rested,
                is_young: !is_known,
            }));
        }
        let is_near = from_m - vague <= rules.trip_after_m * doubt(here);
        (is_known && leaving.is_none() && is_near && !moves).then_some(Stands::Astray { rested })
    }
}
