//! What the simulators draw beside even numbers.

use std::f64::consts::TAU;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A standard normal number (Box and Muller 1958).
pub fn normal(dice: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (dice.random_range(f64::MIN_POSITIVE..1.0), dice.random());
    (-2.0 * u.ln()).sqrt() * (TAU * v).cos()
}
