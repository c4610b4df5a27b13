//! Where a way leads through an area.

use super::Shape;
use crate::domain::geodesy::Path;

/// Steps along the way are at least this long, and its ends are found this exactly.
const STEP_M: f64 = 1.0;
/// More steps than this are not made: the way keeps close to the edge, and says nothing for certain.
const MOST_STEPS: usize = 512;

/// Parts of the way, 0 to 1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Crossing {
    pub enters: f64,
    pub leaves: f64,
}

impl Shape {
    /// The first stretch inside of a way that comes at least `margin_m` inside of the edge there. Where it begins or ends inside,
    /// so does that stretch.
    pub fn crossed(&self, way: &Path, margin_m: f64) -> Option<Crossing> {
        let length = way.length_m();
        if length < STEP_M {
            return None;
        }
        let at = |part: f64| self.distance_m(way.at(part), length);
        // As far as the edge is away, the way cannot be inside: so far one may go at once.
        let (mut part, mut outside, mut steps) = (0.0, 0.0, 0);
        let deep = loop {
            let distance = at(part);
            if distance <= -margin_m {
                break part;
            }
            if distance > 0.0 {
                outside = part;
            }
            part += (distance + margin_m).max(STEP_M) / length;
            steps += 1;
            if part >= 1.0 || steps > MOST_STEPS {
                return None;
            }
        };
        let (mut part, mut inside) = (deep, deep);
        let out = loop {
            let distance = at(part);
            if distance > 0.0 {
                break part;
            }
            if steps > MOST_STEPS {
                return None;
            }
            inside = part;
            if part >= 1.0 {
                break 1.0;
            }
            part = (part + (-distance).max(STEP_M) / length).min(1.0);
            steps += 1;
        };
        let edge = |outside: f64, inside: f64| {
            let (mut outside, mut inside) = (outside, inside);
            while (outside - inside).abs() * length > STEP_M {
                let middle = f64::midpoint(outside, inside);
                if at(middle) > 0.0 {
                    outside = middle;
                } else {
                    inside = middle;
                }
            }
            inside
        };
        Some(Crossing { enters: edge(outside, deep), leaves: edge(out, inside) })
    }
}
