//! What is inside, how far the edge is, and where a way crosses, against slow and simple ways to find the same.

use proptest::prelude::*;

use super::*;
use crate::domain::geodesy::Path;

mod depth;
mod found;
mod joined;

fn at(lat: f64, lon: f64) -> Position {
    Position { lat, lon: short_way(lon) }
}

/// A ring around a centre, by radii in metres at even angles.
fn star(centre: Position, radii: &[f64]) -> Vec<Position> {
    let step = std::f64::consts::TAU / radii.len() as f64;
    let corner = |(nth, radius): (usize, &f64)| {
        let angle = step * nth as f64;
        let north = angle.sin() * radius / METRES_PER_DEGREE;
        let east = angle.cos() * radius / METRES_PER_DEGREE / centre.lat.to_radians().cos();
        at(centre.lat + north, centre.lon + east)
    };
    radii.iter().enumerate().map(corner).collect()
}

/// By how much the direction to the corners turns in all: a whole turn inside, nothing outside.
fn turns_around(ring: &[Position], here: Position) -> bool {
    let direction = |corner: &Position| (corner.lat - here.lat).atan2(short_way(corner.lon - here.lon));
    let next = ring.iter().cycle().skip(1);
    let turned: f64 = ring
        .iter()
        .zip(next)
        .map(|(a, b)| {
            let step = direction(b) - direction(a);
            step - (step / std::f64::consts::TAU).round() * std::f64::consts::TAU
        })
        .sum();
    turned.abs() > std::f64::consts::PI
}

/// Great-circle metres to the nearest of many positions along the edges.
fn nearest_m(ring: &[Position], here: Position, closed: bool) -> f64 {
    let last = if closed { ring.len() } else { ring.len() - 1 };
    let along = (0..last).flat_map(|nth| {
        (0..=300).map(move |part| ring[nth].towards(ring[(nth + 1) % ring.len()], f64::from(part) / 300.0))
    });
    along.map(|edge| edge.distance_m(here)).fold(f64::INFINITY, f64::min)
}

fn centres() -> impl Strategy<Value = Position> {
    prop_oneof![
        Just(at(53.5, 10.0)),
        Just(at(-17.0, 179.9995)),
        Just(at(65.0, -179.9999)),
        Just(at(0.0, 0.0)),
        (-70.0..70.0, -180.0..180.0).prop_map(|(lat, lon)| at(lat, lon)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn polygons_with_holes_hold_what_turns_around_it_says(
        centre in centres(),
        radii in prop::collection::vec(300.0..2000.0, 3..40),
        hole in prop::collection::vec(20.0..60.0, 3..9),
        points in prop::collection::vec((-2500.0..2500.0, -2500.0..2500.0), 12),
    ) {
        // The hole stays inside of the narrowest place, which for three corners is half a radius wide.
        let (outer, hole) = (star(centre, &radii), star(centre, &hole));
        let shape = Shape::polygon(&[vec![outer.clone(), hole.clone()]]).unwrap();
        for (north, east) in points {
            let here = at(
                centre.lat + north / METRES_PER_DEGREE,
                centre.lon + east / METRES_PER_DEGREE / centre.lat.to_radians().cos(),
            );
            let inside = turns_around(&outer, here) && !turns_around(&hole, here);
            let edge = nearest_m(&outer, here, true).min(nearest_m(&hole, here, true));
            let told = shape.distance_m(here, 10_000.0);
            // The samples along the edges are up to 14 m apart, and the plane is one.
            let tolerance = 7.0 + edge * 0.01;
            prop_assert!((told.abs() - edge).abs() <= tolerance, "{told} and {edge}");
            if edge > tolerance {
                prop_assert_eq!(told < 0.0, inside);
            }
            for reach in [5.0, 100.0] {
                let near = shape.distance_m(here, reach);
                prop_assert_eq!(near < 0.0, told < 0.0);
                prop_assert!(near.abs() >= told.abs().min(reach), "{near} for {told} within {reach}");
                if told.abs() <= reach {
                    prop_assert!((near - told).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn corridors_hold_what_is_near_their_line(
        centre in centres(),
        radii in prop::collection::vec(300.0..2000.0, 2..20),
        buffer in 5.0..200.0,
        points in prop::collection::vec((-2500.0..2500.0, -2500.0..2500.0), 12),
    ) {
        let line = star(centre, &radii);
        let shape = Shape::corridor(std::slice::from_ref(&line), buffer).unwrap();
        for (north, east) in points {
            let here = at(
                centre.lat + north / METRES_PER_DEGREE,
                centre.lon + east / METRES_PER_DEGREE / centre.lat.to_radians().cos(),
            );
            let edge = nearest_m(&line, here, false) - buffer;
            let told = shape.distance_m(here, 10_000.0);
            prop_assert!((told - edge).abs() <= 7.0 + edge.abs() * 0.01, "{told} and {edge}");
        }
    }

    #[test]
    fn every_part_of_the_map_that_holds_some_of_it_touches_it(
        centre in centres(),
        radii in prop::collection::vec(300.0..60_000.0, 3..20),
        size in prop_oneof![Just(10.0), Just(0.5), Just(0.01)],
    ) {
        let ring = star(centre, &radii);
        let shapes = [
            Shape::polygon(&[vec![ring.clone()]]).unwrap(),
            Shape::corridor(std::slice::from_ref(&ring), 250.0).unwrap(),
            Shape::circle(centre, radii[0]),
        ];
        for shape in shapes {
            for here in ring.iter().map(|corner| centre.towards(*corner, 0.7)).chain(ring.iter().copied()) {
                if shape.distance_m(here, 1.0) <= 0.0 {
                    let (south, west) = ((here.lat / size).floor() * size, (here.lon / size).floor() * size);
                    prop_assert!(shape.touches(south, west, size), "{here:?}");
                }
            }
        }
    }

    #[test]
    fn a_way_through_is_found_where_small_steps_find_it(
        centre in centres(),
        radii in prop::collection::vec(200.0..900.0, 3..12),
        from in (1000.0..3000.0, 0.0..std::f64::consts::TAU),
        to in (1000.0..3000.0, 0.0..std::f64::consts::TAU),
    ) {
        let shape = Shape::polygon(&[vec![star(centre, &radii)]]).unwrap();
        let place = |(radius, angle): (f64, f64)| at(
            centre.lat + angle.sin() * radius / METRES_PER_DEGREE,
            centre.lon + angle.cos() * radius / METRES_PER_DEGREE / centre.lat.to_radians().cos(),
        );
        let (from, to, margin) = (place(from), place(to), 20.0);
        let length = from.distance_m(to);
        let inside = |part: f64| shape.distance_m(from.towards(to, part), length);
        let deepest = (0..=3000).map(|step| inside(f64::from(step) / 3000.0)).fold(f64::MAX, f64::min);
        match shape.crossed(&Path::straight(from, to), margin) {
            Some(crossing) => {
                prop_assert!(deepest <= 1.5 - margin, "{deepest}");
                prop_assert!(crossing.enters <= crossing.leaves);
                for edge in [crossing.enters, crossing.leaves] {
                    prop_assert!(inside(edge).abs() < 3.0, "{} at {edge}", inside(edge));
                }
            }
            None => prop_assert!(deepest > -margin - 1.5, "{deepest}"),
        }
    }
}

fn square(south: f64, west: f64, size: f64) -> Vec<Position> {
    let corners = [(0.0, 0.0), (0.0, size), (size, size), (size, 0.0)];
    corners.map(|(north, east)| at(south + north, west + east)).to_vec()
}

#[test]
fn what_was_cut_along_the_antimeridian_has_no_edge_there() {
    let west = vec![at(10.0, 179.9), at(10.0, 180.0), at(10.1, 180.0), at(10.1, 179.9)];
    let east = vec![at(10.0, -180.0), at(10.0, -179.9), at(10.1, -179.9), at(10.1, -180.0)];
    let whole = vec![at(10.0, 179.9), at(10.0, -179.9), at(10.1, -179.9), at(10.1, 179.9)];
    for polygons in [vec![vec![west], vec![east]], vec![vec![whole]]] {
        let shape = Shape::polygon(&polygons).unwrap();
        for lon in [180.0, -180.0, 179.99, -179.99] {
            let distance = shape.distance_m(Position { lat: 10.05, lon }, 100_000.0);
            assert!((-5600.0..-5400.0).contains(&distance), "{distance} at {lon}");
        }
        assert!(shape.distance_m(at(10.05, 0.0), 100.0) > 0.0);
    }
}

#[test]
fn what_is_no_area_is_told_as_what_it_is() {
    let check = |rings: Rings, expect: &str| {
        let error = Shape::polygon(&[rings]).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    check(vec![vec![at(1.0, 1.0), at(1.0, 2.0), at(1.0, 1.0)]], "2 positions");
    check(vec![vec![at(1.0, 1.0), at(1.0, 2.0), at(1.0, 3.0)]], "no area");
    for last in [1.0, 1.2] {
        let bow = vec![at(0.0, 0.0), at(1.0, 1.0), at(1.0, 0.0), at(0.0, last)];
        check(vec![bow], "edges cross near latitude 0.5");
    }
    let belt = [(0.0, -180.0), (0.0, 180.0), (10.0, 180.0), (10.0, -180.0), (0.0, -180.0)];
    check(
        vec![belt.map(|(lat, lon)| Position { lat, lon }).to_vec()],
        "from longitude -180 to 180, which are one",
    );
    check(vec![square(0.0, 0.0, 1.0), square(2.0, 2.0, 0.1)], "a hole lies outside");
    check(vec![square(0.0, 0.0, 1.0), square(0.5, 0.5, 1.0)], "edges cross");
    let round = [0.0, 90.0, 180.0, -90.0].map(|lon| at(80.0, lon)).to_vec();
    check(vec![round], "round a pole");
    check(vec![vec![at(89.5, 0.0), at(89.5, 1.0), at(89.9, 0.5)]], "pole");
    let far = vec![at(0.0, 0.0), at(1.0, 180.0), at(2.0, 0.0)];
    check(vec![far], "half round");
    check(vec![(0..20_001).map(|nth| at(f64::from(nth) * 1e-4, 1.0)).collect()], "20001 positions");
    let line = Shape::corridor(&[vec![at(1.0, 1.0), at(1.0, 1.0)]], 5.0);
    assert_eq!(line.unwrap_err(), ShapeError::NoLine);
    let round = Shape::corridor(&[[180.0, -180.0].map(|lon| Position { lat: 1.0, lon }).to_vec()], 5.0);
    assert_eq!(round.unwrap_err(), ShapeError::OneMeridian(180.0, -180.0));
}

#[test]
fn a_way_crosses_where_it_leads_through_and_as_far_as_it_goes() {
    let shape = Shape::circle(at(50.0, 8.0), 100.0);
    let north = |metres: f64| at(50.0 + metres / METRES_PER_DEGREE, 8.0);
    let found = shape.crossed(&Path::straight(north(-500.0), north(500.0)), 20.0).unwrap();
    assert!((found.enters - 0.4).abs() < 0.002 && (found.leaves - 0.6).abs() < 0.002, "{found:?}");
    let found = shape.crossed(&Path::straight(north(-500.0), north(0.0)), 20.0).unwrap();
    assert!((found.enters - 0.8).abs() < 0.002 && found.leaves >= 1.0, "{found:?}");
    let found = shape.crossed(&Path::straight(north(-95.0), north(305.0)), 20.0).unwrap();
    assert!(found.enters < 0.003 && (found.leaves - 195.0 / 400.0).abs() < 0.003, "{found:?}");
    assert_eq!(shape.crossed(&Path::straight(north(-500.0), north(-90.0)), 20.0), None);
    assert_eq!(shape.crossed(&Path::straight(north(200.0), north(500.0)), 20.0), None);
    let beside = |lat: f64| at(lat, 8.0 + 90.0 / METRES_PER_DEGREE / 50.0_f64.to_radians().cos());
    assert_eq!(
        shape.crossed(&Path::straight(beside(49.99), beside(50.01)), 20.0),
        None,
        "10 m inside of the edge"
    );
    assert!(shape.crossed(&Path::straight(beside(49.99), beside(50.01)), 5.0).is_some());
}

#[test]
fn a_hole_is_all_inside_and_there_once() {
    let (yard, hole) = (square(0.0, 0.0, 1.0), square(0.3, 0.3, 0.2));
    for second in [hole.clone(), square(0.35, 0.35, 0.1), square(0.2, 0.2, 0.4)] {
        let error = Shape::polygon(&[vec![yard.clone(), hole.clone(), second]]).unwrap_err();
        assert!(matches!(error, ShapeError::HolesOverlap { .. }), "{error}");
    }
    // By its first corner alone it touches the yard; by all of them, at a bay of it.
    let spike = vec![at(0.5, 1.0), at(0.2, 1.5), at(0.8, 1.5)];
    let horseshoe =
        [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.2), (0.0, 1.0)].map(|(lat, lon)| at(lat, lon));
    let bay = vec![at(1.0, 1.0), at(0.5, 0.2), at(0.0, 1.0)];
    for (outer, hole) in [(yard.clone(), spike), (horseshoe.to_vec(), bay)] {
        let error = Shape::polygon(&[vec![outer, hole]]).unwrap_err();
        assert!(matches!(error, ShapeError::HoleOutside { .. }), "{error}");
    }
    let quarters =
        [(0.0, 0.0), (0.0, 0.5), (0.5, 0.0), (0.5, 0.5)].map(|(south, west)| square(south, west, 0.5));
    let mut turned = yard.clone();
    turned.reverse();
    for holes in [vec![yard.clone()], vec![turned], quarters.to_vec()] {
        let nothing = [vec![yard.clone()], holes].concat();
        for polygons in [vec![nothing.clone()], vec![vec![square(5.0, 5.0, 1.0)], nothing]] {
            let error = Shape::polygon(&polygons).unwrap_err();
            assert!(matches!(error, ShapeError::NothingLeft { lat: 0.5, lon: 0.5 }), "{error}");
        }
    }
    let two = Shape::polygon(&[vec![yard, hole, square(0.5, 0.5, 0.2)]]).unwrap();
    assert!(
        [0.4, 0.6].iter().all(|side| two.distance_m(at(*side, *side), 1.0) > 0.0),
        "they touch in a corner"
    );
}

#[test]
fn a_polygon_within_another_is_refused_and_an_island_in_a_hole_is_not() {
    let (yard, within) = (square(0.0, 0.0, 1.0), square(0.3, 0.3, 0.2));
    for polygons in [
        [vec![yard.clone()], vec![within.clone()]],
        [vec![within.clone()], vec![yard.clone()]],
        [vec![yard.clone()], vec![yard.clone()]],
    ] {
        let error = Shape::polygon(&polygons).unwrap_err();
        assert!(matches!(error, ShapeError::Overlap { .. }), "{error}");
    }
    let beside = square(0.0, 0.5, 1.0);
    assert!(matches!(Shape::polygon(&[vec![yard.clone()], vec![beside]]), Err(ShapeError::Overlap { .. })));
    let arms =
        [(0.0, 0.0), (1.0, 0.0), (1.0, 0.2), (0.2, 0.2), (0.2, 0.8), (1.0, 0.8), (1.0, 1.0), (0.0, 1.0)];
    let arms = arms.map(|(lat, lon)| at(lat, lon)).to_vec();
    for (west, overlaps) in [(0.05, true), (0.45, false), (0.85, true)] {
        let shape = Shape::polygon(&[vec![arms.clone()], vec![square(0.45, west, 0.1)]]);
        assert_eq!(matches!(shape, Err(ShapeError::Overlap { .. })), overlaps, "from longitude {west}");
    }
    let island = Shape::polygon(&[vec![yard.clone(), square(0.2, 0.2, 0.4)], vec![within]]).unwrap();
    assert!(island.distance_m(at(0.4, 0.4), 1.0) < 0.0);
    assert!(island.distance_m(at(0.25, 0.25), 1.0) > 0.0);
    let neighbour = square(0.0, 1.0, 1.0);
    assert!(Shape::polygon(&[vec![yard], vec![neighbour]]).is_ok(), "they share an edge");
}
