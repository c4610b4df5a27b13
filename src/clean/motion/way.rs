//! How long a way is, by fixes that err and by what they say of speed and course.
//!
//! ```text
//! fix ─▶ Kalman filter (place, velocity) ─▶ smoothed back over the last few ─▶ curve through places and velocities ─▶ metres
//! ```
//! Straight lines from fix to fix are too long where positions waver (between high buildings, before a red light), and too
//! short where they cut corners. So places and velocities are filtered with the model of a velocity that changes at random
//! (Bar-Shalom, Li and Kirubarajan, *Estimation with Applications to Tracking and Navigation*, 2001, section 6.2.2), by the
//! more the faster it goes: who turns at speed changes it by much, who stands by nothing. Each is smoothed by the [`LAG`] fixes
//! behind it (Rauch, Tung and Striebel, 1965), and what is measured is the cubic curve (Hermite) that leaves and reaches each
//! place with its velocity, and what such a velocity makes the way longer by that no fix tells of. Between fixes near in time
//! it is the speed itself, which errs less there than places do. Where no velocity is told, or none that goes with the places,
//! the filter finds one in the places before and behind, and between fixes near in time it is the line.
//!
//! Never looks at what a stop is; that is the caller's.

use std::num::NonZeroU16;

use super::moment::Moment;
use crate::domain::geodesy::Position;
use crate::domain::time::Timestamp;
use curve::{between, by_places_m, difference, length, turns_m};
use estimate::{Estimate, VELOCITY_MPS};
pub(super) use speeds::Speeds;

mod curve;
mod estimate;
mod row;
mod speeds;

/// Fixes by which those before them are smoothed.
pub(super) const LAG: usize = 3;
/// Between fixes so near in time, half is by the speed that is told, between nearer ones most of it; and where their places
/// are as they were told.
const BY_SPEED_S: f64 = 4.0;
const BY_SPEED_RAW_S: f64 = 12.0;
/// Where no velocity is told, places alone tell it: so near in time they err by more than the way bends, and half is the line.
const BY_LINE_S: f64 = 4.0;
/// Nothing more is known after this long than after longer: squares of it fit into 32 bits.
const LONGEST_S: f64 = 864_000.0;
const LEAST_ACCURACY_M: f64 = 3.0;
const NO_ACCURACY_M: f64 = 10.0;
/// Of a row: 1e-7°.
const UNITS_A_DEGREE: f64 = 1e7;

type Metres = [f64; 2];

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Way {
    /// Up to `settled`.
    metres: f64,
    last: Timestamp,
    /// Of the last fix, which everything here is relative to.
    here: Position,
    /// Metres of the way to the next one, where that is known.
    next_m: Option<NonZeroU16>,
    /// Whether the last one was far from where it should be.
    is_astray: bool,
    /// Whether velocities are told, and believed.
    steers: bool,
    speeds: Speeds,
    /// Place and velocity of the last one that is smoothed for good.
    settled: [f32; 4],
    held: Vec<Estimate>,
}

/// One of which nothing is known.
impl Default for Way {
    fn default() -> Self {
        Self {
            metres: 0.0,
            last: Timestamp::MIN,
            here: Position { lat: 0.0, lon: 0.0 },
            next_m: None,
            is_astray: false,
            steers: false,
            speeds: Speeds::default(),
            settled: [0.0; 4],
            held: Vec::new(),
        }
    }
}

impl Way {
    /// From where something was then, how sure that is, how fast it may have gone (a deviation), and how far it had come.
    pub fn begin(place: Position, sure_m: f64, goes_mps: f64, since: Timestamp, metres: f64) -> Self {
        let sure = [(sure_m * sure_m) as f32, 0.0, (goes_mps * goes_mps) as f32];
        let stands = Estimate { sure, ..Estimate::default() };
        // As a row holds it.
        let [lat, lon] =
            [place.lat, place.lon].map(|degrees| (degrees * UNITS_A_DEGREE).round() / UNITS_A_DEGREE);
        Self { metres, last: since, here: Position { lat, lon }, held: vec![stands], ..Self::default() }
    }

    /// Metres from its last fix to the next one, where that is known.
    pub fn whose_next_is(self, next_m: Option<NonZeroU16>) -> Self {
        Self { next_m, ..self }
    }

    /// It has begun.
    pub fn is_known(&self) -> bool {
        !self.held.is_empty()
    }

    /// Its last fix.
    pub fn last(&self) -> (Position, Timestamp) {
        (self.here, self.last)
    }

    /// Goes on to a fix, later than those before.
    pub fn goes(&mut self, to: &Moment) {
        let position = to.place.position();
        let straight = self.here.offset_m(position);
        self.carry(straight, position);
        let after = to.place.at.since(self.last).as_secs_f64().min(LONGEST_S);
        if self.is_known() {
            self.speeds.hears(straight, after, to);
        }
        let velocity = to.velocity().filter(|_| self.speeds.hold());
        let Some(before) = self.held.last() else {
            *self = Self::begin(position, accuracy_m(to), VELOCITY_MPS, to.place.at, self.metres);
            return;
        };
        // It was where it stood until then, and may have set out since: how fast it was says nothing of how far it came.
        let sets_out = (before.after == 0.0 && after < BY_SPEED_S).then(|| length(straight).round() as u16);
        let mut now = before.after(after, before.changes(after, velocity));
        if let Some(velocity) = velocity {
            now.hears_velocity(velocity);
        }
        let doubts = velocity.is_some() && !self.is_astray;
        self.is_astray = now.hears_position(accuracy_m(to), doubts);
        self.steers = velocity.is_some();
        now.way_m = std::mem::replace(&mut self.next_m, to.way_m).or(sets_out.and_then(NonZeroU16::new));
        self.last = to.place.at;
        self.held.reserve_exact(1);
        self.held.push(now);
        if self.held.len() > LAG + 1 {
            self.settle_one();
        }
    }

    /// Up to the last fix but so many; those that are smoothed for good are in it.
    pub fn metres_but(&self, last: usize) -> f64 {
        let smoothed = self.smoothed();
        let held = &smoothed[..self.held.len().saturating_sub(last)];
        let pieces = held.windows(2).map(|ends| self.piece_m(ends[0], ends[1]));
        self.metres + self.first_piece_m(held.first()) + pieces.sum::<f64>()
    }

    fn settle_one(&mut self) {
        let first = self.smoothed()[0];
        self.metres += self.first_piece_m(Some(&first));
        let Estimate { at: [east, north], goes: [goes_east, goes_north], .. } = first;
        self.settled = [east, north, goes_east, goes_north];
        self.held.remove(0);
    }

    /// From the last one that is smoothed for good, where there is one.
    fn first_piece_m(&self, to: Option<&Estimate>) -> f64 {
        let Some(to) = to.filter(|to| to.after > 0.0) else { return 0.0 };
        let [east, north, goes_east, goes_north] = self.settled;
        let from = Estimate { at: [east, north], goes: [goes_east, goes_north], ..Estimate::default() };
        self.piece_m(from, *to)
    }

    fn piece_m(&self, from: Estimate, to: Estimate) -> f64 {
        if let Some(metres) = to.way_m {
            return metres.get().into();
        }
        let straight = difference(to.at, from.at);
        let carried = [from, to].map(|end| end.goes.map(|goes| f64::from(goes * to.after)));
        let (after, changes) = (f64::from(to.after), f64::from(to.changes));
        if !self.steers {
            return by_places_m(straight, carried, after, BY_LINE_S);
        }
        let metres = between(straight, carried, after, BY_SPEED_S);
        metres + turns_m(metres, carried, after, changes)
    }

    /// Each that is held by all behind it.
    fn smoothed(&self) -> [Estimate; LAG + 2] {
        let mut smoothed = [Estimate::default(); LAG + 2];
        let count = self.held.len().min(LAG + 2);
        smoothed[..count].copy_from_slice(&self.held[..count]);
        for nth in (1..count).rev() {
            smoothed[nth - 1] = smoothed[nth - 1].smoothed_by(&smoothed[nth]);
        }
        smoothed
    }

    /// From now on everything is relative to a place that lies there.
    fn carry(&mut self, [east, north]: Metres, here: Position) {
        let (east, north) = (east as f32, north as f32);
        for held in &mut self.held {
            held.at = [held.at[0] - east, held.at[1] - north];
        }
        self.settled[0] -= east;
        self.settled[1] -= north;
        self.here = here;
    }
}

fn accuracy_m(moment: &Moment) -> f64 {
    moment.place.accuracy_m().unwrap_or(NO_ACCURACY_M).max(LEAST_ACCURACY_M)
}

/// From one fix to another, by what they say; `hold`: of speeds that go with the places.
pub(super) fn between_m(from: &Moment, to: &Moment, hold: bool) -> f64 {
    let straight = from.place.position().offset_m(to.place.position());
    let after = to.place.at.since(from.place.at).as_secs_f64();
    match from.velocity().zip(to.velocity()).filter(|_| hold) {
        Some((leaves, arrives)) => between(
            straight,
            [leaves, arrives].map(|goes| goes.map(|mps| mps * after)),
            after,
            BY_SPEED_RAW_S,
        ),
        None => length(straight),
    }
}

#[cfg(test)]
mod tests;
