//! Where a tracker was and when, in 24 bytes: a position to a centimetre.

use serde::de::Error as _;
use serde::{Deserializer, Serializer};

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
    /// Something between it and the next one was dropped.
    pub has_more_after: bool,
    /// A number for the fences that it is inside of; 0: none.
    pub inside: u32,
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
            has_more_after: false,
            inside: 0,
        }
    }

    pub fn position(&self) -> Position {
        Position { lat: f64::from(self.lat) / UNITS_A_DEGREE, lon: f64::from(self.lon) / UNITS_A_DEGREE }
    }

    pub fn accuracy_m(&self) -> Option<f64> {
        (self.accuracy != UNKNOWN).then(|| f64::from(self.accuracy) / 10.0)
    }

    /// What is left of the fix that it was made of.
    pub fn fix(&self, device: &DeviceId) -> Fix {
        let [at, lat, lon] = [self.at.as_micros(), self.lat.into(), self.lon.into()].map(i64::to_be_bytes);
        Fix {
            accuracy_m: self.accuracy_m(),
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
        bytes[19] = u8::from(self.has_more_after);
        bytes[20..].copy_from_slice(&self.inside.to_be_bytes());
        bytes
    }

    pub fn read(bytes: &[u8; BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = *bytes;
        let [i, j, k, l, m, n, o, p, accuracy, y, count, more, inside @ ..] = rest;
        Self {
            at: Timestamp::from_micros(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
            lat: i32::from_be_bytes([i, j, k, l]),
            lon: i32::from_be_bytes([m, n, o, p]),
            accuracy: u16::from_be_bytes([accuracy, y]),
            count,
            has_more_after: more != 0,
            inside: u32::from_be_bytes(inside),
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
