//! Whether a tracker moves or stands: trips and stops.
//!
//! ```text
//!            further than trip_after_m, by fixes that confirm it
//! standing ─────────────────────────────────────────────────────▶ moving
//!     ▲                                                              │
//!     └──── within stop_within_m for stop_after; or a gap ───────────┘
//! ```
//! A parked receiver's position wanders by tens of metres, and comes back: the place where it stands follows it
//! slowly, and only what stays away from there has left. What a tracker says of its speed and ignition makes it
//! harder to leave, and never decides alone. A trip began with the last fix at the place, and ended with the first
//! at the next one; where nothing more comes of it, that is told when nothing did for long enough. Its length leaves out steps shorter than what positions waver.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::place::{self, Place};
use super::rows::micros;
use crate::config::TrackerRules;
use crate::domain::geodesy::Position;
use crate::domain::motion::{Motion, MotionChange, Trip};
use crate::domain::readings::Fix;
use crate::domain::time::Timestamp;

/// Fixes away from the place that confirm that it was left, and over how long.
const LEAVING_FIXES: u8 = 3;
const LEAVING_FOR: Duration = Duration::from_secs(20);
/// Further away by this factor nothing needs to be confirmed over time.
const FAR: f64 = 3.0;
/// Who says that the engine is off, or that it does not move, is asked to be further away by these factors.
const OFF: f64 = 2.0;
const STILL: f64 = 1.5;
const STILL_MPS: f64 = 0.5;
/// The place follows new fixes by no less than a share of this.
const MOST_WEIGHT: u8 = 20;
/// Fixes nearer to one another in time err alike: the place follows the first of them alone. If it followed all of one a
/// second, it would follow a slow drive.
const ERR_ALIKE: Duration = Duration::from_secs(30);
/// After so many fixes the middle of a place is worth more than one of them; and a fix belongs to it that is no further
/// away than so many times what it is vague by.
const STEADY_FIXES: u8 = 4;
const EXPLAINED: f64 = 2.0;
/// Faster than this is driving.
const CRAWL_MPS: f64 = 2.0;
/// Where there is no network, what happens is told afterwards, in order: silence alone ends a trip after so many gaps, while
/// a fix behind one gap ends it at once.
const SILENT_GAPS: u32 = 2;
/// Steps of a trip's length.
const STEP_M: f64 = 30.0;

/// What a tracker does, by its fixes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) enum Moves {
    Standing(Stationary),
    /// Apart, because most stand.
    Moving(Box<Moving>),
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Stationary {
    #[serde(with = "micros")]
    since: Timestamp,
    /// The middle of its fixes here.
    middle: Position,
    weight: u8,
    /// The last fix that it followed; not in rows of the first builds.
    #[serde(with = "micros", default = "long_ago")]
    followed: Timestamp,
    /// The last fix here.
    #[serde(with = "place::row")]
    last: Place,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leaving: Option<Box<Leaving>>,
}

/// Fixes in a row that are away.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Leaving {
    #[serde(with = "place::row")]
    first: Place,
    #[serde(with = "place::row")]
    last: Place,
    metres: f64,
    count: u8,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Moving {
    #[serde(with = "micros")]
    started_at: Timestamp,
    start: Position,
    /// Up to `counted`.
    metres: f64,
    #[serde(with = "place::row")]
    counted: Place,
    #[serde(with = "place::row")]
    last: Place,
    /// Where it may be coming to rest, and how far it had come then.
    #[serde(with = "place::row")]
    rest: Place,
    metres_to_rest: f64,
    /// Its last fix said that the engine is off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    off: bool,
}

/// A change with the time at which it happened.
pub(super) type Told = (Timestamp, Motion);

impl Moves {
    pub fn begin(fix: &Fix) -> Self {
        Self::Standing(Stationary::at(Place::of(fix)))
    }

    /// Where a fix is that is no further from where it stands than it is vague, and how sure that is: the middle of the
    /// fixes there, surer by the root of their number.
    pub fn steadied(&self, fix: &Fix, rules: &TrackerRules) -> Option<(Position, f64)> {
        let Self::Standing(Stationary { middle, weight, leaving: None, .. }) = self else { return None };
        let vague = vague_m(&Place::of(fix), rules);
        let explained = middle.distance_m(fix.position) <= vague * EXPLAINED;
        (*weight >= STEADY_FIXES && explained).then(|| (*middle, vague / f64::from(*weight).sqrt()))
    }

    /// Whether it stands, and has since then or before.
    pub fn stood_since(&self, at: Timestamp) -> bool {
        matches!(self, Self::Standing(Stationary { since, .. }) if *since <= at)
    }

    pub fn stands(&self) -> bool {
        matches!(self, Self::Standing(_))
    }

    /// When its trip is over where nothing more comes of it, and how long nothing must have come until then. With the
    /// engine off it has nothing more to say; else it may be driving where there is no network.
    pub fn stop_due(&self, rules: &TrackerRules) -> Option<(Timestamp, Duration)> {
        let Self::Moving(moving) = self else { return None };
        Some(match moving.off {
            true => (moving.rest.at + rules.stop_after, rules.stop_after),
            false => (moving.last.at + rules.trip_gap * SILENT_GAPS, rules.trip_gap * SILENT_GAPS),
        })
    }

    /// That moment has come.
    pub fn stop(&mut self) -> Option<Told> {
        let Self::Moving(moving) = self else { return None };
        let (told, rest) = (moving.ended(), moving.rest);
        *self = Self::Standing(Stationary::at(rest));
        Some(told)
    }

    /// An accepted fix, later than those before.
    pub fn take(&mut self, fix: &Fix, rules: &TrackerRules, told: &mut Vec<Told>) {
        let here = Place::of(fix);
        if let Self::Moving(moving) = self {
            // Nothing was heard for long, or it has been at rest for long enough.
            let silent = here.at.since(moving.last.at) >= rules.trip_gap;
            moving.off = fix.ignition == Some(false);
            if !silent && !moving.rests(here, rules) {
                return;
            }
            told.push(moving.ended());
            let mut standing = Stationary::at(moving.rest);
            if !silent {
                standing.stays(here);
            }
            *self = Self::Standing(standing);
            if !silent {
                return;
            }
        }
        if let Self::Standing(standing) = self
            && let Some(moving) = standing.leaves(fix, here, rules)
        {
            let (since, position) = (standing.since, standing.middle);
            let motion = Motion { change: MotionChange::Moving, position, since: Some(since), trip: None };
            told.push((moving.started_at, motion));
            *self = Self::Moving(Box::new(moving));
        }
    }
}

impl Stationary {
    fn at(place: Place) -> Self {
        let (since, middle) = (place.at, place.position());
        Self { since, middle, weight: 1, followed: since, last: place, leaving: None }
    }

    /// A fix that belongs to the place.
    fn stays(&mut self, here: Place) {
        if here.at.since(self.followed) >= ERR_ALIKE {
            self.weight = (self.weight + 1).min(MOST_WEIGHT);
            self.middle = self.middle.towards(here.position(), 1.0 / f64::from(self.weight));
            self.followed = here.at;
        }
        self.last = here;
        self.leaving = None;
    }

    fn leaves(&mut self, fix: &Fix, here: Place, rules: &TrackerRules) -> Option<Moving> {
        let still = fix.speed_mps.is_some_and(|speed| speed < STILL_MPS);
        let doubt = if fix.ignition == Some(false) {
            OFF
        } else if still {
            STILL
        } else {
            1.0
        };
        let away = self.middle.distance_m(here.position()) - vague_m(&here, rules);
        if away <= rules.trip_after_m * doubt {
            self.stays(here);
            return None;
        }
        let before = self.leaving.take();
        let leaving = match before {
            None => {
                let metres = self.middle.distance_m(here.position());
                Box::new(Leaving { first: here, last: here, metres, count: 1 })
            }
            Some(mut leaving) => {
                leaving.metres += leaving.last.position().distance_m(here.position());
                leaving.last = here;
                leaving.count = leaving.count.saturating_add(1);
                leaving
            }
        };
        let long = here.at.since(leaving.first.at) >= LEAVING_FOR || away > rules.trip_after_m * doubt * FAR;
        if leaving.count < LEAVING_FIXES || !long {
            self.leaving = Some(leaving);
            return None;
        }
        Some(Moving {
            started_at: self.last.at,
            start: self.middle,
            metres: leaving.metres,
            counted: here,
            last: here,
            rest: here,
            metres_to_rest: leaving.metres,
            off: false,
        })
    }
}

impl Moving {
    /// Takes a fix up; whether it has been at rest for long enough.
    fn rests(&mut self, here: Place, rules: &TrackerRules) -> bool {
        let step = self.counted.position().distance_m(here.position());
        if step >= STEP_M.max(vague_m(&here, rules)) {
            self.metres += step;
            self.counted = here;
        }
        let vague = vague_m(&here, rules);
        let since_last = here.at.since(self.last.at).as_secs_f64();
        let drives = self.last.position().distance_m(here.position()) - vague > CRAWL_MPS * since_last;
        self.last = here;
        let away = self.rest.position().distance_m(here.position()) - vague;
        // Who still drives has not come to rest, however near.
        if drives || away > rules.stop_within_m {
            let rest = self.counted.position().distance_m(here.position());
            self.comes_to(here, rest);
            return false;
        }
        here.at.since(self.rest.at) >= rules.stop_after
    }

    fn comes_to(&mut self, rest: Place, metres: f64) {
        self.rest = rest;
        self.metres_to_rest = self.metres + metres;
    }

    fn ended(&self) -> Told {
        let end = self.rest.position();
        let trip = Trip {
            started_at: self.started_at,
            ended_at: self.rest.at,
            start: self.start,
            end,
            distance_m: self.metres_to_rest.round(),
        };
        let motion = Motion { change: MotionChange::Stopped, position: end, since: None, trip: Some(trip) };
        (self.rest.at, motion)
    }
}

fn long_ago() -> Timestamp {
    Timestamp::MIN
}

fn vague_m(place: &Place, rules: &TrackerRules) -> f64 {
    place.accuracy_m().unwrap_or(0.0).max(rules.least_accuracy_m)
}

#[cfg(test)]
mod tests;
