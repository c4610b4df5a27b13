//! Whether the speeds that something tells go with the places where it was.

use serde::{Deserialize, Serialize};

use super::curve::length;
use super::{Metres, accuracy_m};
use crate::clean::motion::moment::Moment;

/// Speeds are compared with places between fixes no further apart in time than this, and surer than this, while it goes
/// faster than this by either of the two.
const COMPARED_S: f64 = 20.0;
const COMPARED_M: f64 = 25.0;
const COMPARED_MPS: f64 = 5.0;
/// Over how many metres, and by how much they may differ and that is no other unit, beside so many metres.
const COMPARED_OVER_M: f32 = 4000.0;
const ALIKE: f32 = 0.6;
const ALIKE_M: f32 = 100.0;
/// One place astray says little: no more than so many times what is told, and this speed.
const ASTRAY: f64 = 3.0;
const ASTRAY_MPS: f64 = 10.0;

/// How far something went by the speeds that are told, and by where it was.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(in crate::clean::motion) struct Speeds {
    pub told_m: f32,
    pub gone_m: f32,
}

impl Speeds {
    /// It is so many metres and seconds further on.
    pub fn hears(&mut self, straight: Metres, seconds: f64, to: &Moment) {
        let Some(speed) = to.speed_mps().filter(|_| 0.0 < seconds && seconds <= COMPARED_S) else { return };
        let (accuracy, fast, told) = (accuracy_m(to), COMPARED_MPS * seconds, speed * seconds);
        // Who stands between high buildings wavers by metres a second.
        let gone = length(straight) - if told < fast { accuracy } else { 0.0 };
        if accuracy > COMPARED_M || told.max(gone) < fast {
            return;
        }
        self.told_m += told as f32;
        self.gone_m += gone.min(ASTRAY * told + ASTRAY_MPS * seconds) as f32;
        if self.told_m + self.gone_m > COMPARED_OVER_M {
            (self.told_m, self.gone_m) = (self.told_m / 2.0, self.gone_m / 2.0);
        }
    }

    /// They are in metres a second, and not always zero.
    pub fn hold(&self) -> bool {
        let Self { told_m, gone_m } = *self;
        told_m.min(gone_m) + ALIKE_M >= told_m.max(gone_m) * ALIKE
    }

    pub fn are_unknown(&self) -> bool {
        *self == Self::default()
    }
}
