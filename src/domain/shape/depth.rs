//! How far inside of the edge one can be: at the pole of inaccessibility, as geographers call it.
//!
//! Branch and bound, as Mapbox's polylabel does it. The box around an area is halved across its longer side, and the halves
//! again, the most promising first. What a part of it may hold at most is known from its middle and from one or two edges
//! near it; a part that cannot be deeper than the deepest middle so far, or not by enough to matter, is left.

use std::collections::BinaryHeap;

use super::edges::{Edge, Edges, to_edge};
use super::plane::{Flat, METRES_PER_DEGREE, Rect};
use super::tree::Placed;

/// What is told is less than what is true by no more than this share of it.
pub(super) const EXACT: f64 = 0.02;
/// Parts looked at, at most: thousands of narrow strips, each as deep as the others, would take more.
pub(super) const MOST_PARTS: usize = 6000;

/// Metres, and how many parts were looked at. A depth of `least` is known to be there.
pub(super) fn find(edges: &Edges, least: f64) -> (f64, usize) {
    let mut parts = vec![edges.bounds()];
    let (mut deepest, mut looked_at) = (least, 0);
    // By what a part may hold at most; the bits of positive numbers are in their order.
    let mut open = BinaryHeap::from([(f64::INFINITY.to_bits(), 0)]);
    while let Some((most, number)) = open.pop() {
        if f64::from_bits(most) <= deepest * (1.0 + EXACT) || looked_at >= MOST_PARTS {
            break;
        }
        for part in halves(parts[number]) {
            looked_at += 1;
            let middle = part.centre();
            let Some((distance, edge)) = edges.nearest(middle, f64::MAX) else { continue };
            let here = if edges.encloses(middle) { distance } else { -distance };
            deepest = deepest.max(here);
            let enough = deepest * (1.0 + EXACT);
            let most = most_by_middle(&part, here);
            if most <= enough {
                continue;
            }
            let most = most.min(most_by_edges(edges, &part, edge));
            if most > enough {
                open.push((most.to_bits(), parts.len()));
                parts.push(part);
            }
        }
    }
    (deepest, looked_at)
}

fn halves(part: Rect) -> [Rect; 2] {
    let Flat { x, y } = part.centre();
    let longest = longest(&part);
    if (part.east - part.west) * longest > part.north - part.south {
        [Rect { east: x, ..part }, Rect { west: x, ..part }]
    } else {
        [Rect { north: y, ..part }, Rect { south: y, ..part }]
    }
}

/// No place lies deeper than the middle by more than half the diagonal.
fn most_by_middle(part: &Rect, middle_m: f64) -> f64 {
    let diagonal = f64::hypot((part.east - part.west) * longest(part), part.north - part.south);
    middle_m + diagonal / 2.0 * METRES_PER_DEGREE
}

/// A place is no further from the nearer of two edges than their distances are on average, and that is most in a corner:
/// the distance from a straight edge is convex. The edges are the one nearest to the middle, and the one nearest to the
/// corner that is furthest from it. Between the two sides of a road the average is the same everywhere, half its width.
fn most_by_edges(edges: &Edges, part: &Rect, edge: &Edge) -> f64 {
    let scale = [METRES_PER_DEGREE * longest(part), METRES_PER_DEGREE];
    let corners =
        [(part.west, part.south), (part.west, part.north), (part.east, part.south), (part.east, part.north)]
            .map(|(x, y)| Flat { x, y });
    let from_one = corners.map(|corner| to_edge(corner, edge, scale));
    let furthest = (0..4).max_by(|a, b| from_one[*a].total_cmp(&from_one[*b])).unwrap_or(0);
    let most = from_one[furthest];
    let Some((_, other)) = edges.nearest(corners[furthest], f64::MAX) else { return most };
    let halfway =
        corners.iter().zip(from_one).map(|(corner, one)| f64::midpoint(one, to_edge(*corner, other, scale)));
    halfway.fold(0.0, f64::max).min(most)
}

/// A degree of longitude beside one of latitude, where in a part it is longest: nearest to the equator.
fn longest(part: &Rect) -> f64 {
    let is_on_equator = part.south < 0.0 && part.north > 0.0;
    let nearest = if is_on_equator { 0.0 } else { part.south.abs().min(part.north.abs()) };
    nearest.to_radians().cos()
}
