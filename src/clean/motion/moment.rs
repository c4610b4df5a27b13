//! A fix as motion looks at it: where it was and when, its speed, its course, its ignition and its odometer, in 36 bytes.

use std::num::NonZeroU16;

use serde::de::Error as _;
use serde::{Deserializer, Serializer};

use crate::clean::packed;
use crate::clean::place::Place;
use crate::domain::readings::Fix;

const BYTES: usize = 36;
/// Nothing was told.
const UNKNOWN: u16 = u16::MAX;
const NO_ODOMETER: u32 = u32::MAX;
const CM: f64 = 100.0;
/// Hundredths of a degree of a course.
const COURSE_UNITS: f64 = 100.0;
/// Slower than this, what is told of speed and course is that it stands.
const STANDS_MPS: f64 = 0.5;

#[derive(Clone, Copy, PartialEq, Debug)]
pub(in crate::clean) struct Moment {
    pub place: Place,
    /// Centimetres a second.
    pub(super) speed: u16,
    pub(super) course: u16,
    /// Metres of the way to the next one, where others lay between.
    pub way_m: Option<NonZeroU16>,
    pub ignition: Option<bool>,
    /// Whole metres.
    pub odometer_m: Option<u32>,
    /// It came behind a newer one.
    pub is_late: bool,
}

impl Moment {
    pub fn of(fix: &Fix) -> Self {
        let units = |value: Option<f64>, unit: f64| {
            value
                .filter(|value| value.is_finite() && *value >= 0.0)
                .map_or(UNKNOWN, |value| (value * unit).round().min(f64::from(UNKNOWN - 1)) as u16)
        };
        Self {
            place: Place::of(fix),
            speed: units(fix.speed_mps, CM),
            course: units(fix.course_deg, COURSE_UNITS),
            way_m: None,
            ignition: fix.ignition,
            odometer_m: odometer_m(fix),
            is_late: false,
        }
    }

    /// A place of which no more is remembered.
    pub fn at(place: Place) -> Self {
        Self {
            place,
            speed: UNKNOWN,
            course: UNKNOWN,
            way_m: None,
            ignition: None,
            odometer_m: None,
            is_late: false,
        }
    }

    pub fn speed_mps(&self) -> Option<f64> {
        (self.speed != UNKNOWN).then(|| f64::from(self.speed) / CM)
    }

    /// Metres a second to the east and the north. Receivers that know no course tell zero.
    pub fn velocity(&self) -> Option<[f64; 2]> {
        let speed = self.speed_mps()?;
        if speed < STANDS_MPS {
            return Some([0.0; 2]);
        }
        let told = self.course != UNKNOWN && self.course != 0;
        let (sin, cos) = (f64::from(self.course) / COURSE_UNITS).to_radians().sin_cos();
        told.then_some([speed * sin, speed * cos])
    }

    fn bytes(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..24].copy_from_slice(&self.place.bytes());
        bytes[24..26].copy_from_slice(&self.speed.to_be_bytes());
        bytes[26..28].copy_from_slice(&self.course.to_be_bytes());
        bytes[28..30].copy_from_slice(&self.way_m.map_or(0, NonZeroU16::get).to_be_bytes());
        bytes[30] = self.ignition.map_or(2, u8::from);
        bytes[31] = u8::from(self.is_late);
        bytes[32..].copy_from_slice(&self.odometer_m.unwrap_or(NO_ODOMETER).to_be_bytes());
        bytes
    }

    fn read(bytes: &[u8; BYTES]) -> Self {
        let (place, rest) = bytes.split_first_chunk().expect("36 are more than 24");
        let [a, b, c, d, e, f, ignition, is_late, metres @ ..] =
            *rest.first_chunk::<12>().expect("12 are left");
        let metres = u32::from_be_bytes(metres);
        Self {
            place: Place::read(place),
            speed: u16::from_be_bytes([a, b]),
            course: u16::from_be_bytes([c, d]),
            way_m: NonZeroU16::new(u16::from_be_bytes([e, f])),
            ignition: (ignition < 2).then_some(ignition == 1),
            odometer_m: (metres != NO_ODOMETER).then_some(metres),
            is_late: is_late != 0,
        }
    }
}

/// In whole metres, where it can be one.
pub(super) fn odometer_m(fix: &Fix) -> Option<u32> {
    let metres = fix.odometer_m?.round();
    (0.0..f64::from(NO_ODOMETER)).contains(&metres).then_some(metres as u32)
}

pub(super) fn serialize<S: Serializer>(moments: &[Moment], serializer: S) -> Result<S::Ok, S::Error> {
    let bytes: Vec<[u8; BYTES]> = moments.iter().map(Moment::bytes).collect();
    packed::serialize_alike(bytes.as_flattened(), BYTES as u8, serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Moment>, D::Error> {
    let bytes = packed::deserialize(deserializer)?;
    let (moments, []) = bytes.as_chunks() else { return Err(D::Error::custom("half a moment")) };
    Ok(moments.iter().map(Moment::read).collect())
}
