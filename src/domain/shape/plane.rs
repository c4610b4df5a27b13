//! A plane of degrees: places on it, and parts of it.

use crate::domain::geodesy::EARTH_RADIUS_M;

pub(super) const METRES_PER_DEGREE: f64 = EARTH_RADIUS_M * std::f64::consts::PI / 180.0;

/// Degrees east (it may be beyond 180) and north.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Flat {
    pub x: f64,
    pub y: f64,
}

/// A part of the plane.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Rect {
    pub south: f64,
    pub north: f64,
    pub west: f64,
    pub east: f64,
}

impl Rect {
    /// What holds nothing, and overlaps nothing.
    pub const NOTHING: Self = Self { south: f64::MAX, north: f64::MIN, west: f64::MAX, east: f64::MIN };

    pub fn centre(&self) -> Flat {
        Flat { x: f64::midpoint(self.west, self.east), y: f64::midpoint(self.south, self.north) }
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.south <= other.north
            && other.south <= self.north
            && self.west <= other.east
            && other.west <= self.east
    }

    /// The least that holds both.
    pub fn and(&self, other: &Self) -> Self {
        Self {
            south: self.south.min(other.south),
            north: self.north.max(other.north),
            west: self.west.min(other.west),
            east: self.east.max(other.east),
        }
    }

    /// Degrees from a corner to the opposite one, along two sides.
    pub fn half_girth(&self) -> f64 {
        (self.east - self.west) + (self.north - self.south)
    }

    /// Larger by so many metres on each side, and rather more.
    pub fn grown(&self, metres: f64) -> Self {
        let by_lat = metres / METRES_PER_DEGREE * 1.01;
        let furthest = self.south.abs().max(self.north.abs()) + by_lat;
        let by_lon = if furthest >= 89.9 { 180.0 } else { by_lat / furthest.to_radians().cos() };
        Self {
            south: self.south - by_lat,
            north: self.north + by_lat,
            west: self.west - by_lon,
            east: self.east + by_lon,
        }
    }

    /// From a place to the nearest of it, on a plane of so many metres a degree; 0 inside.
    pub fn distance_m(&self, at: Flat, scale: [f64; 2]) -> f64 {
        let east = (self.west - at.x).max(at.x - self.east).max(0.0) * scale[0];
        let north = (self.south - at.y).max(at.y - self.north).max(0.0) * scale[1];
        (east * east + north * north).sqrt()
    }
}

/// Metres a degree of longitude and of latitude, on a plane that touches the Earth at a latitude.
pub(super) fn scale_at(lat: f64) -> [f64; 2] {
    [METRES_PER_DEGREE * lat.to_radians().cos(), METRES_PER_DEGREE]
}
