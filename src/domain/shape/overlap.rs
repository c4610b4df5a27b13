//! What the edges of polygons do not show where none cross: that one lies within another, that holes do, or that a hole
//! lies outside. What is inside of two would count as outside.

use super::ShapeError;
use super::edges::{Edge, Edges, square_degrees};
use super::joined::TOUCHING_DEG;
use super::plane::Flat;
use super::tree::{Placed, Tree};
use crate::domain::geodesy::short_way;

/// Holes that leave less of their polygon leave nothing that anybody meant: areas are rounded.
const LEAST_LEFT: f64 = 1e-6;

/// Polygons, each as the edges of all its rings. One in a hole of another, as an island, lies outside of it.
pub(super) fn check_apart(polygons: &[Vec<Edge>]) -> Result<(), ShapeError> {
    let shared = shared(polygons.iter().cloned());
    shared.map_or(Ok(()), |(lat, lon)| Err(ShapeError::Overlap { lat, lon }))
}

/// An outer ring and its holes, whose edges cross none. On the outer ring is inside of it: a hole may touch it.
pub(super) fn check_holes(rings: &[Vec<Edge>]) -> Result<(), ShapeError> {
    let Some((ring, holes)) = rings.split_first().filter(|(_, holes)| !holes.is_empty()) else {
        return Ok(());
    };
    let outer = Edges::new(ring.clone());
    let middle = |[a, b]: &Edge| Flat { x: f64::midpoint(a.x, b.x), y: f64::midpoint(a.y, b.y) };
    let mut places = holes.iter().flatten().flat_map(|edge| [edge[0], middle(edge)]);
    if let Some(at) = places.find(|at| !outer.encloses(*at) && outer.distance_m(*at, 1.0) >= 0.5) {
        return Err(ShapeError::HoleOutside { lat: at.y, lon: short_way(at.x) });
    }
    if let Some((lat, lon)) = shared(holes.iter().cloned()) {
        return Err(ShapeError::HolesOverlap { lat, lon });
    }
    let (all, taken) = (square_degrees(ring), holes.iter().map(|hole| square_degrees(hole)).sum::<f64>());
    if all - taken < all * LEAST_LEFT {
        let at = outer.bounds().centre();
        return Err(ShapeError::NothingLeft { lat: at.y, lon: short_way(at.x) });
    }
    Ok(())
}

/// Latitude and longitude of a place inside of two.
fn shared(polygons: impl Iterator<Item = Vec<Edge>>) -> Option<(f64, f64)> {
    let polygons = Tree::new(polygons.map(Edges::new).collect());
    polygons.all().iter().find_map(|one| {
        // At the middle of the other they are compared when that one has its turn.
        let y = one.bounds().centre().y;
        let inside = one.crossings(y);
        let mut shared = beside(&polygons, one).filter_map(|other| inside_both(&inside, &other.crossings(y)));
        shared.next().map(|x| (y, short_way(x)))
    })
}

/// The others whose boxes overlap that of one.
pub(super) fn beside<'a>(polygons: &'a Tree<Edges>, one: &'a Edges) -> impl Iterator<Item = &'a Edges> {
    polygons.within(one.bounds()).filter(move |other| !std::ptr::eq(one, *other))
}

/// A place within one of the intervals of each. Both are in order from west to east.
fn inside_both(mut one: &[f64], mut other: &[f64]) -> Option<f64> {
    while let ([west, east, one_further @ ..], [from, to, other_further @ ..]) = (one, other) {
        let (begins, ends) = (west.max(*from), east.min(*to));
        if ends - begins > TOUCHING_DEG {
            return Some(f64::midpoint(begins, ends));
        }
        if east < to {
            one = one_further;
        } else {
            other = other_further;
        }
    }
    None
}
