//! Straight edges on a plane of degrees.

use super::ShapeError;
use super::plane::{Flat, Rect, scale_at};
use super::tree::{Placed, Tree, around};
use crate::domain::geodesy::{Position, short_way};

/// Distances to edges and to the boxes around them are rounded by less than this, even half round the Earth.
const ROUNDING_M: f64 = 1e-6;

pub(super) type Edge = [Flat; 2];

impl Placed for Edge {
    fn bounds(&self) -> Rect {
        let [a, b] = self;
        Rect { south: a.y.min(b.y), north: a.y.max(b.y), west: a.x.min(b.x), east: a.x.max(b.x) }
    }
}

/// The edges of a ring. Its first longitude is taken near `reference`, the others go on from there.
pub(super) fn ring(positions: &[Position], reference: f64) -> Result<Vec<Edge>, ShapeError> {
    let mut corners = chain(positions, reference)?;
    if corners.len() > 1 && positions.first() == positions.last() {
        // Closed in writing: where it comes back to itself a whole turn away, it went round a pole.
        let (first, last) = (corners[0], corners[corners.len() - 1]);
        if (first.x - last.x).abs() > 180.0 {
            return Err(ShapeError::RoundPole);
        }
        corners.pop();
    }
    if corners.len() < 3 {
        return Err(round_the_earth(positions).unwrap_or(ShapeError::TooFew(corners.len())));
    }
    let (first, last) = (corners[0], corners[corners.len() - 1]);
    if (first.x - last.x).abs() >= 180.0 {
        return Err(ShapeError::RoundPole);
    }
    let next = corners.iter().cycle().skip(1);
    let edges: Vec<Edge> = corners.iter().zip(next).map(|(a, b)| [*a, *b]).collect();
    // A square centimetre is nothing that anybody meant.
    if size_m(&edges).0 < 1e-4 {
        let crossing = Edges::new(edges).self_crossing();
        return Err(crossing.map_or(ShapeError::NoArea, ShapeError::crossing));
    }
    Ok(edges)
}

/// Square metres within a ring, and metres around it.
pub(super) fn size_m(ring: &[Edge]) -> (f64, f64) {
    let scale = scale_at(around(ring).centre().y);
    let length = ring.iter().map(|[a, b]| ((b.x - a.x) * scale[0]).hypot((b.y - a.y) * scale[1])).sum();
    (square_degrees(ring) * scale[0] * scale[1], length)
}

pub(super) fn square_degrees(ring: &[Edge]) -> f64 {
    let middle = around(ring).centre();
    let twice: f64 = ring
        .iter()
        .map(|[a, b]| (a.x - middle.x) * (b.y - middle.y) - (b.x - middle.x) * (a.y - middle.y))
        .sum();
    (twice / 2.0).abs()
}

/// The edges of a line.
pub(super) fn line(positions: &[Position], reference: f64) -> Result<Vec<Edge>, ShapeError> {
    let corners = chain(positions, reference)?;
    if corners.len() < 2 {
        return Err(round_the_earth(positions).unwrap_or(ShapeError::NoLine));
    }
    Ok(corners.windows(2).map(|pair| [pair[0], pair[1]]).collect())
}

/// Where an edge is meant to go round the whole Earth, its two ends are one place.
fn round_the_earth(positions: &[Position]) -> Option<ShapeError> {
    let lons = positions.windows(2).map(|pair| [pair[0].lon, pair[1].lon]);
    lons.filter(|[from, to]| (to - from).abs() >= 360.0)
        .map(|[from, to]| ShapeError::OneMeridian(from, to))
        .next()
}

/// Each position after the one before, the short way round; none twice in a row.
fn chain(positions: &[Position], reference: f64) -> Result<Vec<Flat>, ShapeError> {
    let mut corners: Vec<Flat> = Vec::with_capacity(positions.len());
    for position in positions {
        let from = corners.last().map_or(reference, |last| last.x);
        let step = short_way(position.lon - from);
        if !corners.is_empty() && step.abs() >= 180.0 {
            return Err(ShapeError::HalfRound(short_way(from), position.lon));
        }
        // Whole turns are added, so that what is written alike is alike to the bit.
        let turns = ((from + step - position.lon) / 360.0).round();
        let at = Flat { x: position.lon + turns * 360.0, y: position.lat };
        if corners.last() != Some(&at) {
            corners.push(at);
        }
    }
    Ok(corners)
}

/// Without edges that are there twice: where a polygon was cut in two, along the antimeridian for instance, the
/// seam is no edge of it.
pub(super) fn without_seams(edges: Vec<Edge>) -> Vec<Edge> {
    let key = |[a, b]: &Edge| {
        let (a, b) = ((a.x, a.y), (b.x, b.y));
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        [low.0, low.1, high.0, high.1].map(f64::to_bits)
    };
    let mut keyed: Vec<([u64; 4], Edge)> = edges.into_iter().map(|edge| (key(&edge), edge)).collect();
    keyed.sort_by_key(|(key, _)| *key);
    let single = keyed.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() % 2 == 1);
    single.map(|same| same[0].1).collect()
}

#[derive(Clone, Debug)]
pub(super) struct Edges(Tree<Edge>);

impl Placed for Edges {
    fn bounds(&self) -> Rect {
        self.0.bounds()
    }
}

impl Edges {
    pub fn new(edges: Vec<Edge>) -> Self {
        Self(Tree::new(edges))
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn len(&self) -> usize {
        self.all().len()
    }

    pub fn all(&self) -> &[Edge] {
        self.0.all()
    }

    /// Whether a ray from there to the east crosses an odd number of edges.
    pub fn encloses(&self, at: Flat) -> bool {
        self.east_of(at).filter(|edge| crosses(edge, at.y).is_some_and(|x| at.x < x)).count() % 2 == 1
    }

    /// Edges that a ray to the east may cross, and some more.
    pub fn east_of(&self, at: Flat) -> impl Iterator<Item = &Edge> {
        self.0.find(move |part| part.south <= at.y && at.y <= part.north && at.x <= part.east)
    }

    /// The longitudes at which edges cross a latitude, from west to east: from each other one to the next is inside.
    pub fn crossings(&self, y: f64) -> Vec<f64> {
        let edges = self.0.find(move |part| part.south <= y && y <= part.north);
        let mut crossings: Vec<f64> = edges.filter_map(|edge| crosses(edge, y)).collect();
        crossings.sort_by(f64::total_cmp);
        crossings
    }

    /// Metres to the nearest edge; no edge within `reach_m`: infinite, or what was met on the way.
    pub fn distance_m(&self, at: Flat, reach_m: f64) -> f64 {
        self.nearest(at, reach_m).map_or(f64::INFINITY, |(distance, _)| distance)
    }

    /// The nearest edge and metres to it; no edge within `reach_m`: none, or one that was met on the way.
    pub fn nearest(&self, at: Flat, reach_m: f64) -> Option<(f64, &Edge)> {
        let scale = scale_at(at.y);
        let to_box = |part: &Rect| part.distance_m(at, scale) - ROUNDING_M;
        self.0.nearest(reach_m, to_box, |edge| to_edge(at, edge, scale))
    }

    /// Whether any edge comes into a part of the plane.
    pub fn cross(&self, part: &Rect) -> bool {
        self.0.within(*part).any(|edge| enters(edge, part))
    }

    /// Where two edges cross that do not merely touch.
    pub fn self_crossing(&self) -> Option<Flat> {
        self.0
            .all()
            .iter()
            .find_map(|edge| self.0.within(edge.bounds()).find_map(|other| crossing(edge, other)))
    }
}

/// The longitude at which an edge crosses a latitude, its lower end being on it and its upper one not.
fn crosses([a, b]: &Edge, y: f64) -> Option<f64> {
    ((a.y > y) != (b.y > y)).then(|| a.x + (y - a.y) / (b.y - a.y) * (b.x - a.x))
}

/// Metres from a place to an edge, on a plane of so many metres a degree.
pub(super) fn to_edge(at: Flat, edge: &Edge, scale: [f64; 2]) -> f64 {
    nearest_on(at, edge, scale).0
}

/// How far an edge is from a place, on a plane of so many units a degree, and how far along it, 0 to 1, that is.
pub(super) fn nearest_on(at: Flat, [a, b]: &Edge, scale: [f64; 2]) -> (f64, f64) {
    let (ax, ay) = ((a.x - at.x) * scale[0], (a.y - at.y) * scale[1]);
    let (bx, by) = ((b.x - at.x) * scale[0], (b.y - at.y) * scale[1]);
    let (dx, dy) = (bx - ax, by - ay);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 { (-(ax * dx + ay * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    ((ax + along * dx).hypot(ay + along * dy), along)
}

/// Clips an edge by the four sides (Liang and Barsky); what is left of it lies in the part.
pub(super) fn enters([a, b]: &Edge, part: &Rect) -> bool {
    let (dx, dy) = (b.x - a.x, b.y - a.y);
    let (mut from, mut to) = (0.0_f64, 1.0_f64);
    let sides =
        [(-dx, a.x - part.west), (dx, part.east - a.x), (-dy, a.y - part.south), (dy, part.north - a.y)];
    for (step, room) in sides {
        if step == 0.0 {
            if room < 0.0 {
                return false;
            }
            continue;
        }
        let at = room / step;
        if step < 0.0 {
            from = from.max(at);
        } else {
            to = to.min(at);
        }
    }
    from <= to
}

pub(super) fn crossing(one: &Edge, other: &Edge) -> Option<Flat> {
    let side = |[a, b]: &Edge, at: &Flat| (b.x - a.x) * (at.y - a.y) - (b.y - a.y) * (at.x - a.x);
    let (a, b) = (side(one, &other[0]), side(one, &other[1]));
    let (c, d) = (side(other, &one[0]), side(other, &one[1]));
    let opposite = |a: f64, b: f64| (a > 0.0 && b < 0.0) || (a < 0.0 && b > 0.0);
    (opposite(a, b) && opposite(c, d)).then(|| {
        let along = a / (a - b);
        let [from, to] = other;
        Flat { x: from.x + along * (to.x - from.x), y: from.y + along * (to.y - from.y) }
    })
}
