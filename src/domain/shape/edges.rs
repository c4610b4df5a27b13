//! Straight edges on a plane of degrees, kept in rows by latitude, so that what is asked of a few of them does not
//! cost all of them.

use super::ShapeError;
use crate::domain::geodesy::{EARTH_RADIUS_M, Position, short_way};

pub(super) const METRES_PER_DEGREE: f64 = EARTH_RADIUS_M * std::f64::consts::PI / 180.0;
/// Edges in a row, on average, where there are many; and rows at most.
const EDGES_A_ROW: usize = 4;
const MOST_ROWS: usize = 2048;

/// Degrees east (it may be beyond 180) and north.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Flat {
    pub x: f64,
    pub y: f64,
}

pub(super) type Edge = [Flat; 2];

/// A part of the plane.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Rect {
    pub south: f64,
    pub north: f64,
    pub west: f64,
    pub east: f64,
}

impl Rect {
    pub fn around(at: Flat, half_x: f64, half_y: f64) -> Self {
        Self { south: at.y - half_y, north: at.y + half_y, west: at.x - half_x, east: at.x + half_x }
    }

    pub fn centre(&self) -> Flat {
        Flat { x: f64::midpoint(self.west, self.east), y: f64::midpoint(self.south, self.north) }
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.south <= other.north
            && other.south <= self.north
            && self.west <= other.east
            && other.west <= self.east
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
        return Err(ShapeError::TooFew(corners.len()));
    }
    let (first, last) = (corners[0], corners[corners.len() - 1]);
    if (first.x - last.x).abs() >= 180.0 {
        return Err(ShapeError::RoundPole);
    }
    let next = corners.iter().cycle().skip(1);
    let edges: Vec<Edge> = corners.iter().zip(next).map(|(a, b)| [*a, *b]).collect();
    // A square centimetre is nothing that anybody meant.
    if size_m(&edges).0 < 1e-4 {
        return Err(ShapeError::NoArea);
    }
    Ok(edges)
}

/// Square metres within a ring, and metres around it.
pub(super) fn size_m(ring: &[Edge]) -> (f64, f64) {
    let middle = bounds(ring).centre();
    let scale = [METRES_PER_DEGREE * middle.y.to_radians().cos(), METRES_PER_DEGREE];
    let twice: f64 = ring
        .iter()
        .map(|[a, b]| (a.x - middle.x) * (b.y - middle.y) - (b.x - middle.x) * (a.y - middle.y))
        .sum();
    let length = ring.iter().map(|[a, b]| ((b.x - a.x) * scale[0]).hypot((b.y - a.y) * scale[1])).sum();
    ((twice / 2.0 * scale[0] * scale[1]).abs(), length)
}

/// The edges of a line.
pub(super) fn line(positions: &[Position], reference: f64) -> Result<Vec<Edge>, ShapeError> {
    let corners = chain(positions, reference)?;
    if corners.len() < 2 {
        return Err(ShapeError::NoLine);
    }
    Ok(corners.windows(2).map(|pair| [pair[0], pair[1]]).collect())
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
pub(super) struct Edges {
    edges: Vec<Edge>,
    bounds: Rect,
    row_height: f64,
    /// Where each row begins in `in_rows`, and after the last one where it ends.
    starts: Vec<u32>,
    in_rows: Vec<u32>,
}

impl Edges {
    pub fn new(edges: Vec<Edge>) -> Self {
        let bounds = bounds(&edges);
        let count = (edges.len() / EDGES_A_ROW).clamp(1, MOST_ROWS);
        let row_height = ((bounds.north - bounds.south) / count as f64).max(1e-9);
        let mut edges =
            Self { edges, bounds, row_height, starts: Vec::with_capacity(count + 1), in_rows: Vec::new() };
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); count];
        for (number, [a, b]) in (0..).zip(&edges.edges) {
            let (first, last) = (edges.row(a.y.min(b.y), count), edges.row(a.y.max(b.y), count));
            rows[first..=last].iter_mut().for_each(|row| row.push(number));
        }
        for row in rows {
            edges.starts.push(edges.in_rows.len() as u32);
            edges.in_rows.extend(row);
        }
        edges.starts.push(edges.in_rows.len() as u32);
        edges
    }

    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    pub fn len(&self) -> usize {
        self.edges.len()
    }

    pub fn bounds(&self) -> Rect {
        self.bounds
    }

    fn row(&self, y: f64, count: usize) -> usize {
        (((y - self.bounds.south) / self.row_height).max(0.0) as usize).min(count - 1)
    }

    /// Edges that may come as far south or north, some of them more than once.
    fn between(&self, south: f64, north: f64) -> impl Iterator<Item = &Edge> {
        let count = self.starts.len() - 1;
        let is_outside = south > self.bounds.north || north < self.bounds.south;
        let (first, last) = (self.row(south, count), self.row(north, count));
        let span = if is_outside { 0..0 } else { self.starts[first]..self.starts[last + 1] };
        self.in_rows[span.start as usize..span.end as usize].iter().map(|edge| &self.edges[*edge as usize])
    }

    /// Whether a ray from there crosses an odd number of edges.
    pub fn encloses(&self, at: Flat) -> bool {
        let mut inside = false;
        for [a, b] in self.between(at.y, at.y) {
            if (a.y > at.y) != (b.y > at.y) && at.x < a.x + (at.y - a.y) / (b.y - a.y) * (b.x - a.x) {
                inside = !inside;
            }
        }
        inside
    }

    /// The longitudes at which edges cross a latitude, from west to east: from each other one to the next is inside.
    pub fn crossings(&self, y: f64) -> Vec<f64> {
        let edges = self.between(y, y).filter(|[a, b]| (a.y > y) != (b.y > y));
        let mut crossings: Vec<f64> =
            edges.map(|[a, b]| a.x + (y - a.y) / (b.y - a.y) * (b.x - a.x)).collect();
        crossings.sort_by(f64::total_cmp);
        crossings
    }

    /// Metres to the nearest edge; no edge within `reach_m`: infinite, or what was met on the way.
    pub fn distance_m(&self, at: Flat, reach_m: f64) -> f64 {
        let reach = (reach_m / METRES_PER_DEGREE).min(360.0);
        let scale = [METRES_PER_DEGREE * at.y.to_radians().cos(), METRES_PER_DEGREE];
        let near = self.between(at.y - reach, at.y + reach);
        near.map(|edge| to_edge(at, edge, scale)).fold(f64::INFINITY, f64::min)
    }

    /// Whether any edge comes into a part of the plane.
    pub fn cross(&self, part: &Rect) -> bool {
        self.between(part.south, part.north).any(|edge| enters(edge, part))
    }

    /// Where two edges cross that do not merely touch.
    pub fn self_crossing(&self) -> Option<Flat> {
        self.starts.windows(2).find_map(|span| {
            let row = &self.in_rows[span[0] as usize..span[1] as usize];
            (0..row.len()).find_map(|first| {
                let edge = &self.edges[row[first] as usize];
                row[first + 1..].iter().find_map(|other| crossing(edge, &self.edges[*other as usize]))
            })
        })
    }
}

fn bounds(edges: &[Edge]) -> Rect {
    let none = Rect { south: f64::MAX, north: f64::MIN, west: f64::MAX, east: f64::MIN };
    edges.iter().flatten().fold(none, |so_far, at| Rect {
        south: so_far.south.min(at.y),
        north: so_far.north.max(at.y),
        west: so_far.west.min(at.x),
        east: so_far.east.max(at.x),
    })
}

fn to_edge(at: Flat, [a, b]: &Edge, scale: [f64; 2]) -> f64 {
    let (ax, ay) = ((a.x - at.x) * scale[0], (a.y - at.y) * scale[1]);
    let (bx, by) = ((b.x - at.x) * scale[0], (b.y - at.y) * scale[1]);
    let (dx, dy) = (bx - ax, by - ay);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 { (-(ax * dx + ay * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    (ax + along * dx).hypot(ay + along * dy)
}

/// Clips an edge by the four sides (Liang and Barsky); what is left of it lies in the part.
fn enters([a, b]: &Edge, part: &Rect) -> bool {
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

fn crossing(one: &Edge, other: &Edge) -> Option<Flat> {
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
