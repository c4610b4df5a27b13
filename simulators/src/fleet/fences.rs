//! Fences of a town, as the configuration gets them and as they truly lie.

use std::f64::consts::TAU;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::parameters::EARTH_M;
use super::roads::Place;
use super::scenario::Fences;
use crate::scenario_file::Range;

/// Where the town's middle lies.
const MIDDLE: (f64, f64) = (52.0, 13.0);

#[derive(Clone, PartialEq, Debug)]
pub struct Fence {
    pub name: String,
    pub shape: Shape,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Shape {
    Circle {
        centre: Place,
        radius_m: f64,
    },
    /// Its corners in order, the first not repeated.
    Polygon(Vec<Place>),
}

/// Latitude and longitude.
pub fn degrees(place: Place) -> (f64, f64) {
    let metres = EARTH_M.to_radians();
    let lat = MIDDLE.0 + place.y / metres;
    (lat, MIDDLE.1 + place.x / (metres * MIDDLE.0.to_radians().cos()))
}

impl Fence {
    pub fn drawn(
        name: String,
        around: Place,
        fences: &Fences,
        reach_m: Range,
        dice: &mut ChaCha8Rng,
    ) -> Self {
        let reach = dice.random_range(reach_m[0]..reach_m[1]);
        if !dice.random_bool(fences.polygons) {
            return Self { name, shape: Shape::Circle { centre: around, radius_m: reach } };
        }
        let corners = dice.random_range(4..9_usize);
        let first = dice.random_range(0.0..TAU);
        let polygon = (0..corners).map(|nth| {
            let way = first + TAU * nth as f64 / corners as f64;
            let far = reach * dice.random_range(0.8..1.3);
            Place { x: around.x + far * way.cos(), y: around.y + far * way.sin() }
        });
        Self { name, shape: Shape::Polygon(polygon.collect()) }
    }

    /// How far inside a place lies; negative: outside.
    pub fn depth(&self, place: Place) -> f64 {
        match &self.shape {
            Shape::Circle { centre, radius_m } => radius_m - centre.distance(place),
            Shape::Polygon(corners) => {
                let edges = || corners.iter().zip(corners.iter().cycle().skip(1));
                let crossed = edges().filter(|(one, other)| {
                    (one.y > place.y) != (other.y > place.y)
                        && place.x < one.x + (place.y - one.y) / (other.y - one.y) * (other.x - one.x)
                });
                let is_inside = crossed.count() % 2 == 1;
                let beside = edges().map(|(one, other)| beside(*one, *other, place));
                let distance = beside.fold(f64::MAX, f64::min);
                if is_inside { distance } else { -distance }
            }
        }
    }

    /// A circle that holds all of it.
    pub fn around(&self) -> (Place, f64) {
        match &self.shape {
            Shape::Circle { centre, radius_m } => (*centre, *radius_m),
            Shape::Polygon(corners) => {
                let count = corners.len() as f64;
                let x = corners.iter().map(|corner| corner.x).sum::<f64>() / count;
                let y = corners.iter().map(|corner| corner.y).sum::<f64>() / count;
                let middle = Place { x, y };
                (middle, corners.iter().map(|corner| middle.distance(*corner)).fold(0.0, f64::max))
            }
        }
    }
}

/// Distance of a place from a line between two others.
fn beside(one: Place, other: Place, place: Place) -> f64 {
    let (dx, dy) = (other.x - one.x, other.y - one.y);
    let length = dx * dx + dy * dy;
    let share = if length > 0.0 { ((place.x - one.x) * dx + (place.y - one.y) * dy) / length } else { 0.0 };
    one.towards(other, share.clamp(0.0, 1.0)).distance(place)
}
