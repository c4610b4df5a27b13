//! What a receiver makes of a place: an error that is about the same for a while, and its own word on it.

use std::f64::consts::TAU;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::parameters::{
    CANYON_M, CANYON_MPS, CANYON_WANDERS_S, COLD_S, COLD_TIMES, INDOORS_M, INDOORS_MPS, INDOORS_WANDERS_S,
    NOISE_M, OPEN_M, OPEN_MPS, OPEN_WANDERS_S, OUTLIER_M, OUTLIER_SAYS_M, OUTLIERS, SAYS_CANYON, SAYS_OPEN,
};
use super::roads::{Place, Sky};
use crate::dice::normal;

/// Radius of 68 % of an error, in its deviation of one axis (two axes, Rayleigh).
const RADIUS: f64 = 1.51;

/// Deviations of its error, in those of the sky above it: unit processes, so that a change of sky changes the size at
/// once and not the direction.
#[derive(Clone, Copy, Debug)]
pub struct Receiver {
    error: [f64; 2],
    at_s: f64,
    cold_until_s: f64,
}

impl Receiver {
    pub fn new(dice: &mut ChaCha8Rng) -> Self {
        Self { error: [normal(dice), normal(dice)], at_s: 0.0, cold_until_s: 0.0 }
    }

    /// It was switched on, and has a first fix at that time.
    pub fn begins(&mut self, at_s: f64) {
        self.cold_until_s = at_s + COLD_S;
    }

    /// A fix, and the accuracy that it says; `None` where nothing is heard.
    pub fn fix(&mut self, place: Place, sky: Sky, at_s: f64, dice: &mut ChaCha8Rng) -> Option<(Place, f64)> {
        let (deviation, wanders_s, says) = match sky {
            Sky::Open => (OPEN_M, OPEN_WANDERS_S, SAYS_OPEN),
            Sky::Canyon => (CANYON_M, CANYON_WANDERS_S, SAYS_CANYON),
            Sky::Indoors => (INDOORS_M, INDOORS_WANDERS_S, SAYS_OPEN),
            Sky::None => return None,
        };
        let kept = (-(at_s - self.at_s).max(0.0) / wanders_s).exp();
        self.at_s = at_s;
        for axis in &mut self.error {
            *axis = *axis * kept + normal(dice) * (1.0 - kept * kept).sqrt();
        }
        let cold = if at_s < self.cold_until_s { COLD_TIMES } else { 1.0 };
        let size = deviation * cold;
        let noise = [normal(dice) * NOISE_M, normal(dice) * NOISE_M];
        let found = Place {
            x: place.x + self.error[0] * size + noise[0],
            y: place.y + self.error[1] * size + noise[1],
        };
        if sky == Sky::Canyon && dice.random_bool(OUTLIERS) {
            let (far, way) = (dice.random_range(OUTLIER_M[0]..OUTLIER_M[1]), dice.random_range(0.0..TAU));
            let reflected = Place { x: found.x + far * way.cos(), y: found.y + far * way.sin() };
            return Some((reflected, OUTLIER_SAYS_M));
        }
        let accuracy = size * RADIUS * dice.random_range(says[0]..says[1]);
        Some((found, accuracy.max(2.0).round()))
    }

    /// Speed and course that it tells, of true ones.
    pub fn velocity(
        &self,
        (speed_mps, course_deg): (f64, f64),
        sky: Sky,
        dice: &mut ChaCha8Rng,
    ) -> (f64, f64) {
        let deviation = match sky {
            Sky::Open | Sky::None => OPEN_MPS,
            Sky::Canyon => CANYON_MPS,
            Sky::Indoors => INDOORS_MPS,
        };
        let (sin, cos) = course_deg.to_radians().sin_cos();
        let [east, north] = [sin, cos].map(|share| speed_mps * share + normal(dice) * deviation);
        (east.hypot(north), east.atan2(north).to_degrees().rem_euclid(360.0))
    }
}
