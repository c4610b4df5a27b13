//! Positions and distances on the Earth, as a sphere of 6,371,008.8 m (IUGG mean radius): within
//! 0.5 % of the ellipsoid, well inside a tracker's own error.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// Nearer to a pole than half a degree a degree of longitude counts as it does there.
const LEAST_COS: f64 = 0.01;

/// WGS 84, degrees.
#[derive(Clone, Copy, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct Position {
    pub lat: f64,
    pub lon: f64,
}

/// A difference of longitudes, the short way round: from -180 to 180. Also a longitude beyond that, as people write it.
pub fn short_way(degrees: f64) -> f64 {
    degrees - (degrees / 360.0).round() * 360.0
}

/// The least speed that explains two positions so far apart in time, given how uncertain each of them is, in metres.
/// Fixes tell their time in whole seconds.
pub fn least_speed_mps(from: (Position, Option<f64>), to: (Position, Option<f64>), span: Duration) -> f64 {
    let uncertain = from.1.unwrap_or(0.0).max(0.0) + to.1.unwrap_or(0.0).max(0.0);
    let apart = (from.0.distance_m(to.0) - uncertain).max(0.0);
    apart / span.max(Duration::from_secs(1)).as_secs_f64()
}

impl Position {
    /// `None` unless both are finite, |lat| ≤ 90 and |lon| ≤ 180.
    pub fn new(lat: f64, lon: f64) -> Option<Self> {
        let valid = lat.is_finite() && lon.is_finite() && lat.abs() <= 90.0 && lon.abs() <= 180.0;
        valid.then_some(Self { lat, lon })
    }

    /// Great-circle distance in metres (haversine).
    pub fn distance_m(self, other: Self) -> f64 {
        let (lat_a, lat_b) = (self.lat.to_radians(), other.lat.to_radians());
        let half_lat = ((lat_b - lat_a) / 2.0).sin();
        let half_lon = ((other.lon - self.lon).to_radians() / 2.0).sin();
        let chord = half_lat * half_lat + lat_a.cos() * lat_b.cos() * half_lon * half_lon;
        2.0 * EARTH_RADIUS_M * chord.sqrt().min(1.0).asin()
    }

    /// Where another lies from here, in metres east and north; near one another the Earth is flat.
    pub fn offset_m(self, other: Self) -> [f64; 2] {
        let a_degree = EARTH_RADIUS_M.to_radians();
        let east = short_way(other.lon - self.lon) * self.lat.to_radians().cos();
        [east * a_degree, (other.lat - self.lat) * a_degree]
    }

    /// So many metres east and north of here, as [`Self::offset_m`] has them; not beyond a pole.
    pub fn moved_m(self, [east, north]: [f64; 2]) -> Self {
        let a_degree = EARTH_RADIUS_M.to_radians();
        let lon = self.lon + east / a_degree / self.lat.to_radians().cos().max(LEAST_COS);
        Self { lat: (self.lat + north / a_degree).clamp(-90.0, 90.0), lon: short_way(lon) }
    }

    /// A part of the straight way to another, the short way round the Earth.
    pub fn towards(self, other: Self, part: f64) -> Self {
        let lon = self.lon + short_way(other.lon - self.lon) * part;
        Self { lat: self.lat + (other.lat - self.lat) * part, lon: short_way(lon) }
    }
}

/// A way over the ground: straight, or round one corner.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Path {
    from: Position,
    to: Position,
    /// With its share of the length.
    corner: Option<(Position, f64)>,
    length_m: f64,
}

impl Path {
    pub fn straight(from: Position, to: Position) -> Self {
        Self { from, to, corner: None, length_m: from.distance_m(to) }
    }

    pub fn round(from: Position, corner: Position, to: Position) -> Self {
        let (first, second) = (from.distance_m(corner), corner.distance_m(to));
        let length_m = first + second;
        if length_m <= 0.0 {
            return Self::straight(from, to);
        }
        Self { from, to, corner: Some((corner, first / length_m)), length_m }
    }

    /// A way that has not begun.
    pub fn point(at: Position) -> Self {
        Self { from: at, to: at, corner: None, length_m: 0.0 }
    }

    pub fn length_m(&self) -> f64 {
        self.length_m
    }

    /// Behind a part of its length.
    pub fn at(&self, part: f64) -> Position {
        match self.corner {
            None => self.from.towards(self.to, part),
            Some((corner, share)) if part < share => self.from.towards(corner, part / share),
            Some((corner, share)) if share < 1.0 => corner.towards(self.to, (part - share) / (1.0 - share)),
            Some((corner, _)) => corner,
        }
    }

    /// Its straight lines.
    pub fn legs(&self) -> impl Iterator<Item = (Position, Position)> {
        let first = (self.from, self.corner.map_or(self.to, |(corner, _)| corner));
        let second = self.corner.map(|(corner, _)| (corner, self.to));
        std::iter::once(first).chain(second)
    }
}
