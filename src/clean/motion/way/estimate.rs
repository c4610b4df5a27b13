//! Place and velocity at one fix: a Kalman filter of both, and its smoothing backwards.

use std::num::NonZeroU16;

use super::Metres;
use super::curve::length;

/// How much a velocity changes, in m²/s³ for each second between two fixes (the longer that is, the more of speeding up,
/// braking and turning is in it), of at least and at most so many seconds.
const CHANGES: f64 = 0.1;
const CHANGES_FOR_S: [f64; 2] = [10.0, 600.0];
/// That is at this speed; it grows with the square, to so many times as much.
const STEADY_MPS: f64 = 7.0;
const MOST_CHANGES: f64 = 2.0;
/// The least of it, where it stood both times. In so many seconds it may have gone somewhere and come to rest again, and the
/// velocity is what it always is; with the fourth power of the time, for in a third of it nothing of that can have been.
const LEAST_CHANGES: f64 = 0.02;
const GOES_WITHIN_S: f64 = 25.0;
/// Deviation of a velocity that is told, of one axis: under open sky a tenth of a metre a second, between houses more.
pub(super) const VELOCITY_MPS: f64 = 0.7;
/// Deviation of a position, of one axis, beside the accuracy that is told. That is the radius of 68 %, which is 1.5
/// deviations; but errors last, and receivers between high buildings over-state themselves.
const POSITION: f64 = 1.5;
/// A position further than so many deviations from where it should be is believed that much less, where its velocity is
/// told. The second in a row is believed, and what led there is not.
const ASTRAY: f64 = 5.0;

/// Where something is by all fixes so far, east and north of the last one, how fast it goes, and how sure that is of each
/// axis (variances of place, of both, of velocity).
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Estimate {
    /// Seconds since the one before, and metres from there, where they are known.
    pub after: f32,
    pub way_m: Option<NonZeroU16>,
    /// How much its velocity may have changed since then, m²/s³.
    pub changes: f32,
    pub at: [f32; 2],
    pub goes: [f32; 2],
    pub sure: [f32; 3],
}

impl Estimate {
    /// How much its velocity may change until one that is heard so many seconds later, m²/s³.
    pub fn changes(&self, seconds: f64, velocity: Option<Metres>) -> f64 {
        let [least_s, most_s] = CHANGES_FOR_S;
        let times = velocity.map_or(1.0, |velocity| {
            let fastest = length(velocity).max(length(self.goes.map(f64::from)));
            let least = (seconds / GOES_WITHIN_S).powi(4).clamp(LEAST_CHANGES, MOST_CHANGES);
            (fastest / STEADY_MPS).powi(2).clamp(least, MOST_CHANGES)
        });
        CHANGES * seconds.clamp(least_s, most_s) * times
    }

    /// So many seconds later, before anything is heard then.
    pub fn after(&self, seconds: f64, changes: f64) -> Self {
        let [place, both, velocity] = self.sure.map(f64::from);
        let sure = [
            place + 2.0 * seconds * both + seconds * seconds * velocity + changes * seconds.powi(3) / 3.0,
            both + seconds * velocity + changes * seconds * seconds / 2.0,
            velocity + changes * seconds,
        ];
        let at = [0, 1].map(|axis| self.at[axis] + self.goes[axis] * seconds as f32);
        Self {
            after: seconds as f32,
            way_m: None,
            changes: changes as f32,
            at,
            goes: self.goes,
            sure: sure.map(|sure| sure as f32),
        }
    }

    pub fn hears_velocity(&mut self, velocity: Metres) {
        let [place, both, own] = self.sure;
        let all = own + VELOCITY_MPS.powi(2) as f32;
        let off = [0, 1].map(|axis| velocity[axis] as f32 - self.goes[axis]);
        self.corrected(off, [both / all, own / all]);
        let left = 1.0 - own / all;
        self.sure = [place - both * both / all, both * left, own * left];
    }

    /// That it is at the last fix, which is so sure. Whether that was far from where it should be, if it is doubted at all.
    pub fn hears_position(&mut self, accuracy_m: f64, doubts: bool) -> bool {
        let [place, both, velocity] = self.sure;
        let off = self.at.map(|metres| -metres);
        let squared = off[0] * off[0] + off[1] * off[1];
        let mut unsure = (accuracy_m * POSITION).powi(2) as f32;
        let deviations = (squared / (place + unsure)).sqrt();
        let is_astray = doubts && deviations > ASTRAY as f32;
        if is_astray {
            unsure = squared * deviations / ASTRAY as f32;
        }
        let all = place + unsure;
        self.corrected(off, [place / all, both / all]);
        let left = unsure / all;
        self.sure = [place * left, both * left, velocity - both * both / all];
        is_astray
    }

    fn corrected(&mut self, off: [f32; 2], [place, velocity]: [f32; 2]) {
        for (axis, off) in off.into_iter().enumerate() {
            self.at[axis] += place * off;
            self.goes[axis] += velocity * off;
        }
    }

    /// By what the next one is known to be.
    pub fn smoothed_by(&self, next: &Self) -> Self {
        let ahead = self.after(next.after.into(), next.changes.into());
        let seconds = f64::from(next.after);
        let [place, both, velocity] = self.sure.map(f64::from);
        let [far, cross, fast] = ahead.sure.map(f64::from);
        let scale = 1.0 / (far * fast - cross * cross).max(f64::MIN_POSITIVE);
        let gain = |a: f64, b: f64| [(a * fast - b * cross) * scale, (b * far - a * cross) * scale];
        let of_place = gain(place + seconds * both, both).map(|gain| gain as f32);
        let of_velocity = gain(both + seconds * velocity, velocity).map(|gain| gain as f32);
        let mut smoothed = *self;
        for axis in 0..2 {
            let off = [next.at[axis] - ahead.at[axis], next.goes[axis] - ahead.goes[axis]];
            smoothed.at[axis] += of_place[0] * off[0] + of_place[1] * off[1];
            smoothed.goes[axis] += of_velocity[0] * off[0] + of_velocity[1] * off[1];
        }
        smoothed
    }
}
