//! Where a tracker was and when, in 24 bytes: a position to a centimetre.

use serde::de::Error as _;
use serde::{Deserializer, Serializer};

use super::motion::{ROLLS_MPS, STANDS_MPS};
use super::packed;
use crate::domain::geodesy::{self, Position};
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::readings::Fix;
use crate::domain::time::Timestamp;

const UNITS_A_DEGREE: f64 = 1e7;
/// Bytes of a place in a row.
const BYTES: usize = 24;
/// No accuracy was told.
const UNKNOWN: u16 = u16::MAX;

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Place {
    pub at: Timestamp,
    lat: i32,
    lon: i32,
    /// Decimetres.
    accuracy: u16,
    /// For how many fixes it stands.
    pub count: u8,
    /// A number for the fences that it is inside of; 0: none.
    pub inside: u32,
    /// Whether something between it and the next one was dropped ([`MORE_AFTER`]); above that, what it said of its speed.
    flags: u8,
}

const MORE_AFTER: u8 = 1;
const PACE_SHIFT: u32 = 1;

/// How fast it goes, as far as it matters to whether it stands where it stood.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Pace {
    Untold,
    Stands,
    Rolls,
    Drives,
}

impl Pace {
    const ALL: [Self; 4] = [Self::Untold, Self::Stands, Self::Rolls, Self::Drives];

    fn of(speed_mps: Option<f64>) -> Self {
        match speed_mps {
            None => Self::Untold,
            Some(..STANDS_MPS) => Self::Stands,
            Some(..ROLLS_MPS) => Self::Rolls,
            Some(_) => Self::Drives,
        }
    }

    fn speed_mps(self) -> Option<f64> {
        match self {
            Self::Untold => None,
            Self::Stands => Some(0.0),
            Self::Rolls => Some(STANDS_MPS),
            Self::Drives => Some(ROLLS_MPS),
        }
    }
}

impl Place {
    pub fn of(fix: &Fix) -> Self {
        let units = |degrees: f64| (degrees * UNITS_A_DEGREE).round() as i32;
        // Rather vaguer than surer.
        let accuracy =
            fix.accuracy_m.map_or(UNKNOWN, |metres| (metres.max(0.0) * 10.0).ceil().min(65_534.0) as u16);
        Self {
            at: fix.observed_at,
            lat: units(fix.position.lat),
            lon: units(fix.position.lon),
            accuracy,
            count: 1,
            inside: 0,
            flags: (Pace::of(fix.speed_mps) as u8) << PACE_SHIFT,
        }
    }

    pub fn position(&self) -> Position {
        Position { lat: f64::from(self.lat) / UNITS_A_DEGREE, lon: f64::from(self.lon) / UNITS_A_DEGREE }
    }

    /// Something between it and the next one was dropped.
    pub fn has_more_after(&self) -> bool {
        self.flags & MORE_AFTER != 0
    }

    pub fn note_more_after(&mut self) {
        self.flags |= MORE_AFTER;
    }

    fn pace(&self) -> Pace {
        Pace::ALL[usize::from(self.flags >> PACE_SHIFT) % Pace::ALL.len()]
    }

    pub fn accuracy_m(&self) -> Option<f64> {
        (self.accuracy != UNKNOWN).then(|| f64::from(self.accuracy) / 10.0)
    }

    /// What is left of the fix that it was made of.
    pub fn fix(&self, device: &DeviceId) -> Fix {
        let [at, lat, lon] = [self.at.as_micros(), self.lat.into(), self.lon.into()].map(i64::to_be_bytes);
        Fix {
            accuracy_m: self.accuracy_m(),
            speed_mps: self.pace().speed_mps(),
            ..Fix::bare(device.clone(), self.at, self.position(), Digest::of(&[at, lat, lon].concat()))
        }
    }

    /// How far it is from where two others, before and after it, have it at its time.
    pub fn beside_m(&self, before: &Self, after: &Self) -> f64 {
        let span = |to: &Self| to.at.since(before.at).as_secs_f64();
        let part = span(self) / span(after).max(f64::MIN_POSITIVE);
        before.position().towards(after.position(), part).distance_m(self.position())
    }

    /// The least speed from here to there, given how vague both are.
    pub fn speed_to(&self, other: &Self) -> f64 {
        let span = self.at.since(other.at).max(other.at.since(self.at));
        let [from, to] = [self, other].map(|place| (place.position(), place.accuracy_m()));
        geodesy::least_speed_mps(from, to, span)
    }

    pub fn bytes(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&self.at.as_micros().to_be_bytes());
        bytes[8..12].copy_from_slice(&self.lat.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.lon.to_be_bytes());
        bytes[16..18].copy_from_slice(&self.accuracy.to_be_bytes());
        bytes[18] = self.count;
        bytes[19] = self.flags;
        bytes[20..].copy_from_slice(&self.inside.to_be_bytes());
        bytes
    }

    pub fn read(bytes: &[u8; BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = *bytes;
        let [i, j, k, l, m, n, o, p, accuracy, y, count, flags, inside @ ..] = rest;
        Self {
            at: Timestamp::from_micros(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
            lat: i32::from_be_bytes([i, j, k, l]),
            lon: i32::from_be_bytes([m, n, o, p]),
            accuracy: u16::from_be_bytes([accuracy, y]),
            count,
            inside: u32::from_be_bytes(inside),
            flags,
        }
    }
}

/// A place in a row.
pub(super) mod row {
    use super::*;

    pub fn serialize<S: Serializer>(place: &Place, serializer: S) -> Result<S::Ok, S::Error> {
        packed::serialize(&place.bytes(), serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Place, D::Error> {
        let places = rows::deserialize(deserializer)?;
        places.first().copied().ok_or_else(|| D::Error::custom("no place"))
    }
}

/// Places in a row.
pub(super) mod rows {
    use super::*;

    pub fn serialize<S: Serializer>(places: &[Place], serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<[u8; BYTES]> = places.iter().map(Place::bytes).collect();
        packed::serialize_alike(bytes.as_flattened(), BYTES as u8, serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Place>, D::Error> {
        let bytes = packed::deserialize(deserializer)?;
        let (places, []) = bytes.as_chunks() else { return Err(D::Error::custom("half a place")) };
        Ok(places.iter().map(Place::read).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_keeps_whether_it_goes() {
        let bare = Fix::bare("t".into(), Timestamp::FIRST, Position { lat: 50.0, lon: 8.0 }, Digest(0));
        for (speed_mps, kept) in [
            (None, None),
            (Some(0.9), Some(0.0)),
            (Some(1.0), Some(1.0)),
            (Some(2.9), Some(1.0)),
            (Some(3.0), Some(3.0)),
            (Some(40.0), Some(3.0)),
        ] {
            for has_more_after in [false, true] {
                let mut place = Place::of(&Fix { speed_mps, ..bare.clone() });
                if has_more_after {
                    place.note_more_after();
                }
                let read = Place::read(&place.bytes());
                assert_eq!((read, read.has_more_after()), (place, has_more_after));
                assert_eq!(read.fix(&"t".into()).speed_mps, kept);
            }
        }
    }
}
