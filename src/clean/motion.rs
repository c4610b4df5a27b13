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
//! at the next one; where nothing more comes of it, that is told when nothing did for long enough. It is as long as
//! its [`way`] from the middle of the one place to that of the other. What happened where it could not be heard is told
//! when that is [`held`] together.

use std::num::NonZeroU16;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::place::{self, Place};
use super::rows::micros;
use crate::config::TrackerRules;
use crate::domain::geodesy::Position;
use crate::domain::motion::{Motion, MotionChange};
use crate::domain::readings::Fix;
use crate::domain::time::Timestamp;
use beside::Beside;
use creep::Creep;
pub(super) use held::Held;
pub(super) use moment::Moment;
pub(super) use stand::{Stand, Stands};
use way::{LAG, Way};

mod beside;
mod creep;
mod held;
mod middle;
mod moment;
mod stand;
mod trip;
mod way;

/// Fixes away from the place that confirm that it was left, and over how long.
pub(super) const LEAVING_FIXES: u8 = 3;
const LEAVING_FOR: Duration = Duration::from_secs(20);
/// Fixes that say that it rolls, after which it is no longer harder to leave; and fixes away from the place that confirm it
/// where it has come to rest since.
const LEAVING_ROLLS: u8 = 2;
const RESTED_FIXES: u8 = 2;
/// Further away by this factor nothing needs to be confirmed over time.
const FAR: f64 = 3.0;
/// Who says that the engine is off, or that it does not move, is asked to be further away by these factors.
const OFF: f64 = 2.0;
const STILL: f64 = 1.5;
const STILL_MPS: f64 = 0.5;
/// Fixes nearer to one another in time err alike: the place follows the first of them alone. If it followed all of one a
/// second, it would follow a slow drive.
pub(super) const ERR_ALIKE: Duration = Duration::from_secs(30);
/// Faster than this is driving.
const CRAWL_MPS: f64 = 2.0;
/// Who says that it goes faster than this has not come to rest, and is not at the place any more; the speeds of receivers
/// between high buildings waver by less.
pub(super) const ROLLS_MPS: f64 = 3.0;
/// Who says that it goes slower than this, is at the place where it comes to rest.
pub(super) const STANDS_MPS: f64 = 1.0;
/// How fast it may go at the last fix before it was seen to have left; it may just have set out.
const GOES_MPS: f64 = 10.0;
/// The fix after one that rolls comes so soon that it is rather the first at the place.
const ROLLS_FOR: Duration = Duration::from_secs(60);
/// Where there is no network, what happens is told afterwards, in order: silence alone ends a trip after so many gaps, while
/// a fix behind one gap ends it at once.
const SILENT_GAPS: u32 = 2;

/// What a tracker does, by its fixes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) enum Moves {
    #[serde(rename = "S", alias = "Standing")]
    Standing(Stationary),
    /// Apart, because most stand.
    #[serde(rename = "M", alias = "Moving")]
    Moving(Box<Moving>),
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Stationary {
    #[serde(with = "micros")]
    since: Timestamp,
    /// The middle of its fixes here.
    middle: Position,
    weight: u8,
    /// How far its fixes here are from the middle, squared, in what they say of themselves: 1 where they say what is true.
    #[serde(rename = "e", default, skip_serializing_if = "is_zero")]
    errs: f32,
    /// What its fixes here say of themselves, metres; 0: not known, in rows of earlier builds.
    #[serde(rename = "v", default, skip_serializing_if = "is_zero")]
    says_m: f32,
    /// The last fix that it followed; not in rows of the first builds.
    #[serde(with = "micros", default = "long_ago")]
    followed: Timestamp,
    /// The last fix here, and metres of the way from there to the next one where others lay between.
    #[serde(with = "place::row")]
    last: Place,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_m: Option<NonZeroU16>,
    /// What its odometer showed last here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    odometer_m: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leaving: Option<Box<Leaving>>,
    /// Where it may be instead.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    beside: Option<Box<Beside>>,
    /// Whether it moves up again and again.
    #[serde(rename = "c", default, skip_serializing_if = "is_zero")]
    creep: Creep,
}

/// Fixes in a row that are away, or on their way.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Leaving {
    /// The first that is away.
    #[serde(with = "micros", default = "long_ago")]
    since: Timestamp,
    /// Of those that are away.
    count: u8,
    /// Of those that said that they roll.
    #[serde(default)]
    rolled: u8,
    /// What they are if it has left. Rows of the first builds had places instead.
    #[serde(default)]
    moving: Option<Moving>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Moving {
    #[serde(rename = "t", alias = "started_at", with = "micros")]
    started_at: Timestamp,
    #[serde(rename = "s", alias = "start")]
    start: Position,
    /// Unknown in rows of the first builds.
    #[serde(rename = "w", alias = "way", default)]
    way: Way,
    /// Where it may be coming to rest, and how far it had come then.
    #[serde(rename = "r", alias = "rest", with = "place::row")]
    rest: Place,
    #[serde(rename = "m", alias = "metres_to_rest", default, skip_serializing_if = "is_zero")]
    metres_to_rest: f64,
    /// Fixes since then.
    #[serde(rename = "n", alias = "since_rest", default, skip_serializing_if = "is_zero")]
    since_rest: u8,
    /// It still rolled there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    rolls: bool,
    /// By those of its fixes since then that are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<Stationary>,
    /// What its odometer showed before it set out, and where it may be coming to rest.
    #[serde(default, skip_serializing_if = "is_zero")]
    odometer_m: [Option<u32>; 2],
    /// Its last fix said that the engine is off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    off: bool,
    /// And goes on all the same: on a ferry, a train, a tow truck.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    carried: bool,
}

impl Default for Leaving {
    fn default() -> Self {
        Self { since: long_ago(), count: 0, rolled: 0, moving: None }
    }
}

/// Whether what moves has been at rest for long enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rests {
    Not,
    /// Up to this fix, and with it.
    Here,
    /// Before this fix, which is elsewhere or on its way there.
    Until,
}

/// What has left, when it was away first, and whether it has come to rest since.
struct Left {
    moving: Moving,
    away_at: Timestamp,
    rests: Rests,
}

/// A change with the time at which it happened.
pub(super) type Told = (Timestamp, Motion);

impl Moves {
    pub fn begin(fix: &Fix) -> Self {
        Self::Standing(Stationary::at(Place::of(fix), moment::odometer_m(fix)))
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
        Some(match moving.off && !moving.carried {
            true => (moving.rest.at + rules.stop_after, rules.stop_after),
            false => (moving.last().1 + rules.trip_gap * SILENT_GAPS, rules.trip_gap * SILENT_GAPS),
        })
    }

    /// It said of its engine, and not where it is.
    pub fn engine(&mut self, is_on: bool) {
        if let Self::Moving(moving) = self {
            moving.off = !is_on;
        }
    }

    /// That moment has come.
    pub fn stop(&mut self) -> Option<Told> {
        let Self::Moving(moving) = self else { return None };
        let (told, place) = moving.ended();
        *self = Self::Standing(place);
        Some(told)
    }

    /// When its last fix was.
    pub fn last_at(&self) -> Timestamp {
        self.last().1
    }

    /// Its last fix.
    fn last(&self) -> (Position, Timestamp) {
        match self {
            Self::Standing(Stationary { last, leaving, .. }) => {
                let leaving = leaving.as_ref().and_then(|leaving| leaving.moving.as_ref());
                leaving.map_or((last.position(), last.at), Moving::last)
            }
            Self::Moving(moving) => moving.last(),
        }
    }

    /// An accepted fix, later than those before.
    pub fn take(&mut self, here: &Moment, rules: &TrackerRules, told: &mut Vec<Told>) {
        if let Self::Moving(moving) = self {
            // Nothing was heard for long, or it has been at rest for long enough.
            let silent = here.place.at.since(moving.last().1) >= rules.trip_gap;
            moving.engine_at(here, rules);
            let rests = if silent { Rests::Until } else { moving.rests(here, rules) };
            if rests == Rests::Not {
                return;
            }
            let (ended, place) = moving.ended();
            told.push(ended);
            *self = Self::Standing(place);
            if rests == Rests::Here {
                return;
            }
        }
        if let Self::Standing(standing) = self
            && let Some(Left { moving, away_at, rests }) = standing.leaves(here, rules)
        {
            let (since, left_by) = (Some(standing.since), Some(away_at));
            let (change, position) = (MotionChange::Moving, standing.middle);
            let motion = Motion { change, position, since, left_by, trip: None };
            told.push((moving.started_at, motion));
            if rests == Rests::Not {
                *self = Self::Moving(Box::new(Moving { off: here.ignition == Some(false), ..moving }));
                return;
            }
            // It came to rest while that was confirmed.
            let (ended, place) = moving.ended();
            told.push(ended);
            *self = Self::Standing(place);
            if rests == Rests::Until {
                self.take(here, rules, told);
            }
        }
    }
}

impl Stationary {
    fn at(place: Place, odometer_m: Option<u32>) -> Self {
        let (since, middle) = (place.at, place.position());
        Self {
            since,
            middle,
            weight: 1,
            errs: 0.0,
            says_m: 0.0,
            followed: since,
            last: place,
            next_m: None,
            odometer_m,
            leaving: None,
            beside: None,
            creep: Creep::default(),
        }
    }

    /// A fix that belongs to the place.
    fn stays(&mut self, Moment { place: here, odometer_m, way_m, .. }: Moment, rules: &TrackerRules) {
        self.odometer_m = odometer_m.or(self.odometer_m);
        if here.at.since(self.followed) >= ERR_ALIKE {
            let creeps = self.creeps_to(&here, rules);
            if !self.is_beside(&here, rules) && !creeps {
                self.follow(&here, rules);
            }
            self.followed = here.at;
        }
        (self.last, self.next_m) = (here, way_m);
        self.leaving = None;
    }

    fn leaves(&mut self, here: &Moment, rules: &TrackerRules) -> Option<Left> {
        let away = self.middle.distance_m(here.place.position()) - vague_m(&here.place, rules);
        let before = self.leaving.take();
        let rolled = before.as_ref().map_or(0, |leaving| leaving.rolled);
        // Who was seen to roll has come here.
        let leaves_at = rules.trip_after_m * if rolled >= LEAVING_ROLLS { 1.0 } else { doubt(here) };
        let is_away = away > leaves_at;
        let is_leaving = is_away || rolls(here) && away > 0.0;
        if !is_leaving {
            self.stays(*here, rules);
            return None;
        }
        let mut leaving = before.unwrap_or_default();
        let at = here.place.at;
        let rests = match &mut leaving.moving {
            Some(moving) => moving.rests(here, rules),
            None => {
                leaving.moving = Some(self.sets_out(here, rules));
                Rests::Not
            }
        };
        leaving.rolled = leaving.rolled.saturating_add(u8::from(rolls(here)));
        if !is_away {
            leaving.count = 0;
        } else {
            leaving.since = if leaving.count == 0 { at } else { leaving.since };
            leaving.count = leaving.count.saturating_add(here.place.count);
        }
        let (far, away_at) = (away > leaves_at * FAR, leaving.since);
        let long = far || at.since(away_at) >= LEAVING_FOR;
        let has_left = match rests {
            Rests::Not => leaving.count >= LEAVING_FIXES && long,
            Rests::Here => leaving.count >= RESTED_FIXES,
            // Two places, and this one is not near.
            Rests::Until => leaving.count >= RESTED_FIXES && far,
        };
        if has_left {
            return leaving.moving.map(|moving| Left { moving, away_at, rests });
        }
        if rests == Rests::Until {
            // It has been somewhere for long that nothing confirms: this is where it is now.
            let (moving, count) = (Some(self.sets_out(here, rules)), u8::from(is_away));
            *leaving = Leaving { since: at, count, rolled: u8::from(rolls(here)), moving };
        }
        self.leaving = Some(leaving);
        None
    }

    /// On its way to here, if it has left.
    fn sets_out(&self, here: &Moment, rules: &TrackerRules) -> Moving {
        let gone_m = self.middle.distance_m(self.last.position());
        let vague = vague_m(&self.last, rules);
        // The last that was counted for the place may have been on its way.
        let (from, sure_m, metres) = match gone_m > vague {
            true => (self.last.position(), vague, gone_m),
            false => (self.middle, vague / f64::from(self.weight).sqrt(), 0.0),
        };
        let way = Way::begin(from, sure_m, GOES_MPS, self.last.at, metres).whose_next_is(self.next_m);
        let mut moving = Moving {
            started_at: self.last.at,
            start: self.middle,
            way,
            rest: here.place,
            metres_to_rest: 0.0,
            since_rest: 0,
            rolls: false,
            place: None,
            odometer_m: [self.odometer_m, None],
            off: false,
            carried: false,
        };
        moving.way.goes(here);
        moving.comes_to(here);
        moving
    }
}

impl Moving {
    fn last(&self) -> (Position, Timestamp) {
        if self.way.is_known() { self.way.last() } else { (self.rest.position(), self.rest.at) }
    }

    /// What a fix says of the engine.
    fn engine_at(&mut self, here: &Moment, rules: &TrackerRules) {
        let (last, _) = self.last();
        let goes = last.distance_m(here.place.position()) > rules.stop_within_m + vague_m(&here.place, rules);
        let is_off = here.ignition == Some(false);
        (self.off, self.carried) = (is_off, self.off && is_off && goes);
    }

    /// Takes a fix up; whether it has been at rest for long enough.
    fn rests(&mut self, here: &Moment, rules: &TrackerRules) -> Rests {
        if !self.way.is_known() {
            let (place, sure_m) = (self.rest.position(), vague_m(&self.rest, rules));
            self.way = Way::begin(place, sure_m, GOES_MPS, self.rest.at, self.metres_to_rest);
        }
        let ((last, last_at), vague) = (self.way.last(), vague_m(&here.place, rules));
        let (at, position) = (here.place.at, here.place.position());
        let from_rest_m = self.rest.position().distance_m(position);
        let away = from_rest_m - vague.hypot(vague_m(&self.rest, rules));
        // However slowly it came from there, it had been there for long enough before.
        let comes_for = Duration::from_secs_f64(from_rest_m / CRAWL_MPS);
        let had_rested = at.since(self.rest.at) >= rules.stop_after + comes_for;
        let crawls_m = CRAWL_MPS * at.since(last_at).as_secs_f64();
        // Who still drives has not come to rest, however near.
        let drives = rolls(here) || last.distance_m(position) - vague > crawls_m;
        let is_gone = drives || away > rules.stop_within_m;
        if is_gone && had_rested {
            return Rests::Until;
        }
        self.way.goes(here);
        let arrives = self.rolls && at.since(self.rest.at) <= ROLLS_FOR;
        if is_gone || arrives {
            self.comes_to(here);
            return Rests::Not;
        }
        self.since_rest = self.since_rest.saturating_add(1);
        // The first few fixes behind it say how it came there.
        if usize::from(self.since_rest) <= LAG {
            self.metres_to_rest = self.way.metres_but(self.since_rest.into());
        }
        match &mut self.place {
            Some(place) => place.stays(*here, rules),
            None => self.place = Some(Stationary::at(here.place, here.odometer_m)),
        }
        if !self.has_rested(rules) {
            return Rests::Not;
        }
        if self.place.as_ref().is_some_and(|place| place.creeps(rules)) {
            self.comes_to(here);
            return Rests::Not;
        }
        Rests::Here
    }

    fn has_rested(&self, rules: &TrackerRules) -> bool {
        self.place.is_some() && self.last().1.since(self.rest.at) >= rules.stop_after
    }

    fn comes_to(&mut self, here: &Moment) {
        self.rest = here.place;
        self.odometer_m[1] = here.odometer_m;
        self.since_rest = 0;
        self.rolls = rolls(here);
        self.place = here
            .speed_mps()
            .is_some_and(|speed| speed < STANDS_MPS)
            .then(|| Stationary::at(here.place, here.odometer_m));
    }
}

/// How much further away it must be to have left, by what it says of itself.
fn doubt(here: &Moment) -> f64 {
    match (here.ignition, here.speed_mps()) {
        (Some(false), _) => OFF,
        (_, Some(speed)) if speed < STILL_MPS => STILL,
        _ => 1.0,
    }
}

fn rolls(here: &Moment) -> bool {
    here.speed_mps().is_some_and(|speed| speed >= ROLLS_MPS)
}

fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

fn long_ago() -> Timestamp {
    Timestamp::MIN
}

fn vague_m(place: &Place, rules: &TrackerRules) -> f64 {
    place.accuracy_m().unwrap_or(0.0).max(rules.least_accuracy_m)
}

#[cfg(test)]
mod tests;
