//! A way in its tracker's row.

use std::num::NonZeroU16;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::estimate::Estimate;
use super::speeds::Speeds;
use super::{LAG, UNITS_A_DEGREE, Way};
use crate::clean::packed;
use crate::domain::geodesy::Position;
use crate::domain::time::Timestamp;

/// Bytes of a row before its estimates, and of each of them.
pub(super) const HEAD: usize = 51;
pub(super) const EACH: usize = 38;
/// Flags of a row.
const ASTRAY_FLAG: u8 = 1;
const STEERS_FLAG: u8 = 2;
/// It holds how much velocities may have changed, and what became of speeds; those of earlier builds do not.
pub(super) const WHOLE_FLAG: u8 = 4;

impl Way {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let units = |degrees: f64| ((degrees * UNITS_A_DEGREE).round() as i32).to_be_bytes();
        let mut bytes = Vec::with_capacity(HEAD + EACH * self.held.len());
        bytes.extend(self.metres.to_be_bytes());
        bytes.extend(self.last.as_micros().to_be_bytes());
        bytes.extend([units(self.here.lat), units(self.here.lon)].as_flattened());
        bytes.extend(metres_of(self.next_m));
        let flag = |is_so: bool, flag: u8| if is_so { flag } else { 0 };
        bytes.push(flag(self.is_astray, ASTRAY_FLAG) | flag(self.steers, STEERS_FLAG) | WHOLE_FLAG);
        let Speeds { told_m, gone_m } = self.speeds;
        let numbers = self.settled.into_iter().chain([told_m, gone_m]);
        bytes.extend(numbers.flat_map(f32::to_be_bytes));
        for Estimate { after, way_m, changes, at: [a, b], goes: [c, d], sure: [e, f, g] } in &self.held {
            bytes.extend([after, a, b, c, d, e, f, g].into_iter().flat_map(|number| number.to_be_bytes()));
            bytes.extend(metres_of(*way_m));
            bytes.extend(changes.to_be_bytes());
        }
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let metres = f64::from_be_bytes(taken(&mut rest)?);
        let last = Timestamp::from_micros(i64::from_be_bytes(taken(&mut rest)?));
        let [lat, lon] = [taken(&mut rest)?, taken(&mut rest)?]
            .map(|units| f64::from(i32::from_be_bytes(units)) / UNITS_A_DEGREE);
        let next_m = NonZeroU16::new(u16::from_be_bytes(taken(&mut rest)?));
        let [flags] = taken(&mut rest)?;
        let is_whole = flags & WHOLE_FLAG != 0;
        let mut settled = [0.0; 4];
        for number in &mut settled {
            *number = f32::from_be_bytes(taken(&mut rest)?);
        }
        let mut speeds = Speeds::default();
        if is_whole {
            speeds.told_m = f32::from_be_bytes(taken(&mut rest)?);
            speeds.gone_m = f32::from_be_bytes(taken(&mut rest)?);
        }
        let mut held = Vec::new();
        while !rest.is_empty() && held.len() <= LAG {
            held.push(Estimate::read(&mut rest, is_whole)?);
        }
        let here = Position { lat, lon };
        Some(Self {
            metres,
            last,
            here,
            next_m,
            is_astray: flags & ASTRAY_FLAG != 0,
            steers: flags & STEERS_FLAG != 0,
            speeds,
            settled,
            held,
        })
    }
}

impl Estimate {
    fn read(rest: &mut &[u8], is_whole: bool) -> Option<Self> {
        let mut numbers = [0.0; 8];
        for number in &mut numbers {
            *number = f32::from_be_bytes(taken(rest)?);
        }
        let way_m = NonZeroU16::new(u16::from_be_bytes(taken(rest)?));
        let [after, a, b, c, d, e, f, g] = numbers;
        let changes = match is_whole {
            true => f32::from_be_bytes(taken(rest)?),
            false => Self::default().changes(after.into(), None) as f32,
        };
        Some(Self { after, way_m, changes, at: [a, b], goes: [c, d], sure: [e, f, g] })
    }
}

fn metres_of(metres: Option<NonZeroU16>) -> [u8; 2] {
    metres.map_or(0, NonZeroU16::get).to_be_bytes()
}

fn taken<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, others) = rest.split_first_chunk()?;
    *rest = others;
    Some(*first)
}

impl Serialize for Way {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        packed::serialize_alike(&self.bytes(), EACH as u8, serializer)
    }
}

impl<'de> Deserialize<'de> for Way {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&packed::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("no way"))
    }
}
