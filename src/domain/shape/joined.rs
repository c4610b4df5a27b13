//! Polygons that are drawn along one another, side by side: their seam is made one line to the bit, so that it cancels.
//!
//! Neighbours out of a survey or a drawing program seldom share a border to the bit: one has a corner where the other's
//! edge goes straight on, or they overlap or gape by a centimetre. A seam left standing is an edge in the middle of a
//! yard, and a strip along it where nothing is far enough inside. So corners that lie along another polygon become one
//! where they are near each other, and an edge that goes by such a corner goes through it, whosever it is, as snap
//! rounding does it. A corner goes no further than `TOUCHING_DEG`, and an edge bends no further; where no other polygon
//! is near, nothing does.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::edges::{Edge, nearest_on};
use super::plane::{Flat, Rect};
use super::tree::{Placed, Tree};

/// Polygons that are drawn along one another's edges overlap or gape by no more than this, some 11 cm.
pub(super) const TOUCHING_DEG: f64 = 1e-6;

/// What is alike to the bit.
type Bits = [u64; 2];

/// Where a corner is, of one polygon or several, of which `of` is the first.
#[derive(Clone, Copy)]
struct Corner {
    at: Flat,
    number: usize,
    of: usize,
}

impl Placed for Corner {
    fn bounds(&self) -> Rect {
        near(self.at, 0.0)
    }
}

/// An edge of a polygon.
struct Side {
    edge: Edge,
    number: usize,
    of: usize,
}

impl Placed for Side {
    fn bounds(&self) -> Rect {
        self.edge.bounds()
    }
}

/// A corner that the edge of a number goes through, and how far along it lies.
struct Through {
    number: usize,
    along: f64,
    at: Flat,
}

/// The edges of each polygon as they are where seams are one line. They make no rings in a row any more.
pub(super) fn joined(polygons: &[Vec<Edge>]) -> Vec<Vec<Edge>> {
    let corners = corners(polygons);
    let moved = moved(&corners, &sides(polygons, |at| at));
    let sides = sides(polygons, |at| moved.get(&bits(at)).copied().unwrap_or(at));
    let stays = corners.iter().filter(|corner| !moved.contains_key(&bits(corner.at)));
    let mut through: Vec<Through> = stays.flat_map(|corner| passing(corner, &sides)).collect();
    through.sort_by(|a, b| (a.number.cmp(&b.number)).then(a.along.total_cmp(&b.along)));

    let mut joined = vec![Vec::new(); polygons.len()];
    for Side { edge, number, of } in sides.all() {
        let first = through.partition_point(|one| one.number < *number);
        let on_it = through[first..].iter().take_while(|one| one.number == *number);
        let [mut from, to] = upward(*edge);
        for at in on_it.map(|one| one.at).chain([to]) {
            joined[*of].push([from, at]);
            from = at;
        }
    }
    joined
}

/// Each once, those of the first polygon before those of the next.
fn corners(polygons: &[Vec<Edge>]) -> Vec<Corner> {
    // Round a ring each corner begins one edge.
    let begin = |(of, edges): (usize, &Vec<Edge>)| -> Vec<(Bits, usize)> {
        edges.iter().map(|[at, _]| (bits(*at), of)).collect()
    };
    let mut all: Vec<(Bits, usize)> = polygons.iter().enumerate().flat_map(begin).collect();
    all.sort_unstable();
    all.dedup_by_key(|(bits, _)| *bits);
    all.sort_by_key(|(_, of)| *of);
    let corner = |(number, (bits, of)): (usize, (Bits, usize))| {
        let [x, y] = bits.map(f64::from_bits);
        Corner { at: Flat { x, y }, number, of }
    };
    all.into_iter().enumerate().map(corner).collect()
}

fn sides(polygons: &[Vec<Edge>], place: impl Fn(Flat) -> Flat) -> Tree<Side> {
    let edges = polygons.iter().enumerate().flat_map(|(of, edges)| edges.iter().map(move |edge| (of, edge)));
    let placed = edges.map(|(of, edge)| (of, edge.map(&place))).filter(|(_, [a, b])| a != b);
    Tree::new(placed.enumerate().map(|(number, (of, edge))| Side { edge, number, of }).collect())
}

/// Corners that go to the nearest one that stays. Those that stay are never moved, so nothing wanders from neighbour to
/// neighbour.
fn moved(corners: &[Corner], sides: &Tree<Side>) -> BTreeMap<Bits, Flat> {
    let touching =
        Tree::new(corners.iter().filter(|corner| !beside(corner, sides).is_empty()).copied().collect());
    let mut in_order: Vec<&Corner> = touching.all().iter().collect();
    in_order.sort_by_key(|corner| corner.number);
    let mut stays = vec![false; corners.len()];
    let mut moved = BTreeMap::new();
    for corner in in_order {
        let others = touching.within(near(corner.at, TOUCHING_DEG)).filter(|other| stays[other.number]);
        let away = others.map(|other| (apart(corner.at, other.at), other.at));
        let nearest = away.filter(|(away, _)| *away <= TOUCHING_DEG).min_by(|a, b| a.0.total_cmp(&b.0));
        match nearest {
            Some((_, at)) => {
                moved.insert(bits(corner.at), at);
            }
            None => stays[corner.number] = true,
        }
    }
    moved
}

/// The edges that go by a corner which lies along another polygon, and how far along them it is. Those of its own
/// polygon are among them: an edge goes through the same corners in each polygon that has it.
fn beside<'a>(corner: &Corner, sides: &'a Tree<Side>) -> SmallVec<[(f64, &'a Side); 8]> {
    let to_side = |side: &'a Side| {
        let (away, along) = nearest_on(corner.at, &upward(side.edge), [1.0, 1.0]);
        (away <= TOUCHING_DEG).then_some((along, side))
    };
    let mut beside: SmallVec<[(f64, &Side); 8]> =
        sides.within(near(corner.at, TOUCHING_DEG)).filter_map(to_side).collect();
    if beside.iter().all(|(_, side)| side.of == corner.of) {
        beside.clear();
    }
    beside
}

/// The edges that are to go through a corner, and have no end there.
fn passing<'a>(corner: &'a Corner, sides: &'a Tree<Side>) -> impl Iterator<Item = Through> + 'a {
    let at = corner.at;
    let between =
        move |(along, side): &(f64, &Side)| *along > 0.0 && *along < 1.0 && !side.edge.contains(&at);
    let passing = beside(corner, sides).into_iter().filter(between);
    passing.map(move |(along, side)| Through { number: side.number, along, at })
}

/// From the same end in both polygons that have it, for what is rounded to be rounded alike.
fn upward([a, b]: Edge) -> Edge {
    if (a.x, a.y) <= (b.x, b.y) { [a, b] } else { [b, a] }
}

fn near(at: Flat, by: f64) -> Rect {
    Rect { south: at.y - by, north: at.y + by, west: at.x - by, east: at.x + by }
}

fn apart(a: Flat, b: Flat) -> f64 {
    (b.x - a.x).hypot(b.y - a.y)
}

fn bits(at: Flat) -> Bits {
    [at.x, at.y].map(f64::to_bits)
}
