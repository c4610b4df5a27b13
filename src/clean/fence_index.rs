//! Which fences a fix may concern, however many there are elsewhere.
//!
//! The map is divided into cells of 12 sizes. A fence lies in few of them, smaller ones the closer they follow it, so
//! that a long corridor is not looked at wherever its bounding box is. A position lies in one cell of each
//! size; what is looked up for it does not depend on the number of fences.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::config::FenceConfig;
use crate::domain::geodesy::{Path, Position, short_way};
use crate::domain::ids::FenceId;
use crate::domain::shape::Shape;

/// Cells of the first size, halved with each further one: 0.0055°, some 600 m, at last.
const LARGEST_DEG: f64 = 11.25;
const SIZES: u8 = 12;
/// Cells around the Earth, of the first size.
const AROUND: i32 = 32;
/// A fence lies in about so many cells at most; one as large as a continent in more.
const CELLS: usize = 24;
/// A first cover has at most so many; then its cells are divided.
const FIRST_CELLS: i32 = 4;

/// Size, row from the south, column from the west.
type Cell = (u8, i32, i32);

#[derive(Default)]
pub(super) struct FenceIndex {
    /// By name.
    fences: Vec<Arc<FenceConfig>>,
    cells: HashMap<Cell, Vec<u32>>,
    /// Sizes that some fence has cells of.
    sizes: Vec<u8>,
}

impl FenceIndex {
    pub fn new(fences: &[FenceConfig]) -> Self {
        let mut fences: Vec<_> = fences.iter().map(|fence| Arc::new(fence.clone())).collect();
        fences.sort_by(|a, b| a.name.cmp(&b.name));
        fences.dedup_by(|a, b| a.name == b.name);
        let mut index = Self { fences, ..Self::default() };
        for (number, fence) in (0..).zip(&index.fences) {
            for cell in cover(&fence.shape) {
                index.cells.entry(cell).or_default().push(number);
            }
        }
        let used = |size: &u8| index.cells.keys().any(|cell| cell.0 == *size);
        index.sizes = (0..SIZES).filter(used).collect();
        index
    }

    pub fn get(&self, name: &FenceId) -> Option<&FenceConfig> {
        let at = self.fences.binary_search_by(|fence| fence.name.cmp(name)).ok()?;
        Some(&self.fences[at])
    }

    /// Fences that somebody on this way may be inside of, by name.
    pub fn along(&self, way: &Path) -> impl Iterator<Item = &FenceConfig> {
        let mut found: SmallVec<[u32; 16]> = SmallVec::new();
        for size in &self.sizes {
            for (from, to) in way.legs() {
                each_cell(*size, from, to, |cell| {
                    found.extend(self.cells.get(&cell).into_iter().flatten().copied());
                });
            }
        }
        found.sort_unstable();
        found.dedup();
        found.into_iter().map(|number| &*self.fences[number as usize])
    }
}

fn degrees(size: u8) -> f64 {
    LARGEST_DEG / f64::from(1_u32 << size)
}

/// Columns go round the Earth.
fn cell(size: u8, row: i32, column: i32) -> Cell {
    (size, row, column.rem_euclid(AROUND << size))
}

/// Row by row the cells that the way leads through.
fn each_cell(size: u8, from: Position, to: Position, mut each: impl FnMut(Cell)) {
    let across = degrees(size);
    let number = |degrees: f64| (degrees / across).floor() as i32;
    let (x, dx) = (from.lon, short_way(to.lon - from.lon));
    let (y, dy) = (from.lat, to.lat - from.lat);
    for row in number(y.min(y + dy))..=number(y.max(y + dy)) {
        let part = |edge: i32| {
            let at = if dy == 0.0 { 0.0 } else { (f64::from(edge) * across - y) / dy };
            at.clamp(0.0, 1.0)
        };
        let (begin, end) = if dy == 0.0 { (0.0, 1.0) } else { (part(row), part(row + 1)) };
        let (west, east) = (x + dx * begin.min(end), x + dx * begin.max(end));
        for column in number(west.min(east))..=number(west.max(east)) {
            each(cell(size, row, column));
        }
    }
}

/// Cells that hold all of an area: few large ones first, divided while there is room for more.
fn cover(shape: &Shape) -> Vec<Cell> {
    let [south, north, west, east] = shape.bounds();
    let span = |size: u8| {
        let number = |degrees: f64| (degrees / self::degrees(size)).floor() as i32;
        (number(south)..=number(north), number(west)..=number(east).min(number(west) + (AROUND << size) - 1))
    };
    let count = |size: u8| {
        let (rows, columns) = span(size);
        rows.count().saturating_mul(columns.count()) as u64
    };
    let first = (0..SIZES).rev().find(|size| count(*size) <= FIRST_CELLS as u64).unwrap_or(0);
    let touches = |size: u8, row: i32, column: i32| {
        let across = degrees(size);
        shape.touches(f64::from(row) * across, f64::from(column) * across, across)
    };
    let (rows, columns) = span(first);
    let all = rows.flat_map(|row| columns.clone().map(move |column| (row, column)));
    let mut open: VecDeque<Cell> = all
        .filter(|(row, column)| touches(first, *row, *column))
        .map(|(row, column)| (first, row, column))
        .collect();
    while let Some((size, row, column)) = open.front().copied() {
        let parts =
            [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(up, right)| (size + 1, row * 2 + up, column * 2 + right));
        if size + 1 >= SIZES || open.len() + parts.len() - 1 > CELLS {
            break;
        }
        open.pop_front();
        open.extend(parts.into_iter().filter(|(size, row, column)| touches(*size, *row, *column)));
    }
    open.into_iter().map(|(size, row, column)| cell(size, row, column)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    fn at(lat: f64, lon: f64) -> Position {
        Position { lat: lat.clamp(-90.0, 90.0), lon: short_way(lon) }
    }

    fn beside(from: Position, north_m: f64, east_m: f64) -> Position {
        from.moved_m([east_m, north_m])
    }

    /// Circles, triangles and corridors of every size about a few places, one of them on the antimeridian.
    fn fences() -> Vec<FenceConfig> {
        let mut fences = Vec::new();
        let places =
            [(0.0, 0.0), (51.5, -0.1), (-33.9, 151.2), (10.0, 179.999), (10.0, -179.999), (80.0, 20.0)];
        for (place, (lat, lon)) in places.into_iter().enumerate() {
            for size in [50.0, 900.0, 5_000.0, 80_000.0, 500_000.0] {
                let (centre, far) = (at(lat, lon), beside(at(lat, lon), size, size * 0.8));
                let triangle = vec![centre, beside(centre, size, 0.0), beside(centre, 0.0, size)];
                let shapes = [
                    Shape::circle(centre, size),
                    Shape::polygon(&[vec![triangle]]).unwrap(),
                    Shape::corridor(&[vec![centre, far]], size / 10.0).unwrap(),
                ];
                for (kind, shape) in shapes.into_iter().enumerate() {
                    fences.push(FenceConfig::new(format!("{place}-{size}-{kind}"), shape));
                }
            }
        }
        fences.push(FenceConfig::new("pole", Shape::circle(at(88.9, 20.0), 300_000.0)));
        fences
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn the_cells_find_what_a_search_of_all_finds(
            place in 0..6_usize,
            size in prop_oneof![Just(60.0), Just(1_000.0), Just(6_000.0), Just(100_000.0)],
            from in (-1.5..1.5, -1.5..1.5),
            step in (-0.5..0.5, -0.5..0.5),
        ) {
            static ALL: LazyLock<(Vec<FenceConfig>, FenceIndex)> = LazyLock::new(|| {
                let fences = fences();
                let index = FenceIndex::new(&fences);
                (fences, index)
            });
            let (fences, index) = &*ALL;
            let places = [(0.0, 0.0), (51.5, -0.1), (-33.9, 151.2), (10.0, 179.999), (10.0, -179.999), (80.0, 20.0)];
            let from = beside(at(places[place].0, places[place].1), from.0 * size, from.1 * size);
            let to = beside(from, step.0 * size, step.1 * size);
            let near: Vec<_> = index.along(&Path::straight(from, to)).map(|fence| &fence.name).collect();
            let here: Vec<_> = index.along(&Path::point(to)).map(|fence| &fence.name).collect();
            for fence in fences {
                let inside = |part: f64| fence.shape.distance_m(from.towards(to, part), 1.0) <= 0.0;
                if (0..=50).any(|part| inside(f64::from(part) / 50.0)) {
                    prop_assert!(near.contains(&&fence.name), "{} on {from:?} to {to:?}", fence.name);
                }
                if inside(1.0) {
                    prop_assert!(here.contains(&&fence.name), "{} at {to:?}", fence.name);
                }
            }
        }
    }

    #[test]
    fn what_is_far_away_is_not_looked_at() {
        let fences = fences();
        let index = FenceIndex::new(&fences);
        assert_eq!(index.along(&Path::point(at(-60.0, 100.0))).count(), 0);
        // A corridor across a country is not looked at beside its line, though within its bounding box.
        let road = Shape::corridor(&[vec![at(48.0, 7.0), at(54.0, 13.0)]], 100.0).unwrap();
        let index = FenceIndex::new(&[FenceConfig::new("road", road)]);
        assert_eq!(index.along(&Path::point(at(49.0, 12.0))).count(), 0);
        assert_eq!(index.along(&Path::point(at(51.0, 10.0))).count(), 1);
    }

    #[test]
    fn a_fence_lies_in_few_cells() {
        for fence in fences() {
            let cells = cover(&fence.shape).len();
            let most = if fence.name.as_str() == "pole" { 64 } else { CELLS };
            assert!((1..=most).contains(&cells), "{} in {cells}", fence.name);
        }
    }
}
