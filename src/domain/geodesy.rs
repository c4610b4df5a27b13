//! Positions and distances on the Earth, as a sphere of 6,371,008.8 m (IUGG mean radius): within
//! 0.5 % of the ellipsoid, well inside a tracker's own error.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const EARTH_RADIUS_M: f64 = 6_371_008.8;

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

    /// A part of the straight way to another, the short way round the Earth.
    pub fn towards(self, other: Self, part: f64) -> Self {
        let lon = self.lon + short_way(other.lon - self.lon) * part;
        Self { lat: self.lat + (other.lat - self.lat) * part, lon: short_way(lon) }
    }
}
