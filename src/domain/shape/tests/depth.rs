//! How deep areas are, where that is known, and against a grid of places.

use super::super::depth::{EXACT, MOST_PARTS, find};
use super::super::edges::{Edge, ring};
use super::*;

/// Corners in metres east and north, turned, on the map.
pub(super) fn turned(corners: &[[f64; 2]], by: f64) -> Vec<Position> {
    let (sin, cos) = by.sin_cos();
    let place = |[x, y]: &[f64; 2]| at(51.0, 9.0).moved_m([x * cos - y * sin, x * sin + y * cos]);
    corners.iter().map(place).collect()
}

pub(super) fn frame(west: f64, south: f64, width: f64, height: f64) -> [[f64; 2]; 4] {
    [[west, south], [west + width, south], [west + width, south + height], [west, south + height]]
}

/// The back of it 40 m wide, its teeth 2 m.
fn comb(teeth: u32) -> Vec<[f64; 2]> {
    let tooth = |nth: u32| {
        let west = f64::from(nth) * 4.0 + 1.0;
        [[west, 0.0], [west, 30.0], [west + 2.0, 30.0], [west + 2.0, 0.0]]
    };
    let east = f64::from(teeth) * 4.0;
    let back = [[east, 0.0], [east, -40.0], [0.0, -40.0], [0.0, 0.0]];
    (0..teeth).flat_map(tooth).chain(back).collect()
}

#[test]
fn depth_is_how_far_from_the_edge_one_can_be() {
    let check = |rings: &[&[[f64; 2]]], depth: f64| {
        for by in [0.0, 0.3, 2.0] {
            let rings = rings.iter().map(|ring| turned(ring, by)).collect();
            let found = Shape::polygon(&[rings]).unwrap().depth_m();
            // Where the edges are a degree of longitude is not as long as at the corner they were measured from.
            assert!(
                (depth * 0.979..=depth * 1.001).contains(&found),
                "{found} m for {depth} m, turned by {by}"
            );
        }
    };
    // Of a corner of even width, as of the frame: from its outer sides as far as from its inner corner.
    let corner = std::f64::consts::SQRT_2 / (1.0 + std::f64::consts::SQRT_2);
    check(&[&frame(0.0, 0.0, 100.0, 100.0)], 50.0);
    check(&[&frame(0.0, 0.0, 30.0, 400.0)], 15.0);
    check(
        &[&[[0.0, 0.0], [100.0, 0.0], [100.0, 30.0], [30.0, 30.0], [30.0, 100.0], [0.0, 100.0]]],
        30.0 * corner,
    );
    check(&[&frame(0.0, 0.0, 100.0, 100.0), &frame(10.0, 10.0, 80.0, 80.0)], 10.0 * corner);
    // A yard of 120 m, from which a road of 7 m leads away for 10 km.
    let road = [[120.0, 120.0], [63.5, 120.0], [63.5, 10_120.0], [56.5, 10_120.0], [56.5, 120.0]];
    check(&[&[&[[0.0, 120.0], [0.0, 0.0], [120.0, 0.0]], road.as_slice()].concat()], 60.0);
    check(&[&comb(200)], 20.0125);
}

#[test]
fn of_polygons_far_apart_the_deepest_counts() {
    let yards =
        [vec![square(0.0, 0.0, 0.001)], vec![square(60.0, 40.0, 0.002)], vec![square(0.0, 5.0, 0.003)]];
    let depth = Shape::polygon(&yards).unwrap().depth_m() / METRES_PER_DEGREE;
    assert!((0.00147..=0.0015).contains(&depth), "{depth}°");
}

#[test]
fn a_few_edges_take_few_looks_and_many_not_without_end() {
    let looks = |polygons: &[Vec<Position>]| {
        let edges: Vec<Edge> = polygons.iter().flat_map(|corners| ring(corners, 9.0).unwrap()).collect();
        find(&Edges::new(edges), 1e-3).1
    };
    let round = star(at(51.0, 9.0), &[300.0; 24]);
    for few in
        [turned(&frame(0.0, 0.0, 100.0, 100.0), 0.3), turned(&frame(0.0, 0.0, 400.0, 30.0), 0.4), round]
    {
        let looks = looks(&[few]);
        assert!(looks <= 300, "{looks}");
    }
    let bay = |nth: u32| turned(&frame(f64::from(nth % 50) * 2.6, f64::from(nth / 50) * 11.0, 2.5, 5.0), 0.3);
    let bays: Vec<_> = (0..1000).map(bay).collect();
    let looks = looks(&bays);
    assert!(looks <= MOST_PARTS + 1, "{looks}");
}

/// The deepest of places on a grid, and how far any place is from one of them.
fn on_a_grid(shape: &Shape) -> (f64, f64) {
    const STEPS: u32 = 60;
    let [south, north, west, east] = shape.bounds();
    let part = |from: f64, to: f64, nth: u32| from + (to - from) * (f64::from(nth) + 0.5) / f64::from(STEPS);
    let places =
        (0..STEPS * STEPS).map(|nth| at(part(south, north, nth / STEPS), part(west, east, nth % STEPS)));
    let deepest = places.map(|place| -shape.distance_m(place, f64::MAX)).fold(0.0, f64::max);
    let longest = if south < 0.0 && north > 0.0 { 0.0 } else { south.abs().min(north.abs()) };
    let across = f64::hypot((east - west) * longest.to_radians().cos(), north - south) * METRES_PER_DEGREE;
    (deepest, across / f64::from(STEPS) / 2.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_place_on_a_grid_is_much_deeper(
        centre in centres(),
        radii in prop::collection::vec(0.1..1.0, 3..40),
        size in prop_oneof![Just(100.0), Just(2000.0), Just(400_000.0)],
    ) {
        let radii: Vec<f64> = radii.into_iter().map(|radius| radius * size).collect();
        let shape = Shape::polygon(&[vec![star(centre, &radii)]]).unwrap();
        let ((deepest, apart), depth) = (on_a_grid(&shape), shape.depth_m());
        prop_assert!(depth * (1.0 + EXACT) >= deepest, "{depth} m, and {deepest} m on the grid");
        prop_assert!(depth <= deepest * 1.05 + apart * 1.05, "{depth} m, and {deepest} m on the grid");
    }
}
