//! Polygons drawn along one another: no seam is left between them, and elsewhere all is where it was drawn.

use super::super::edges::{Edge, ring};
use super::super::joined::{TOUCHING_DEG, joined};
use super::depth::{frame, turned};
use super::*;

/// Metres from a place to the edge of a frame, negative inside.
fn from_frame([x, y]: [f64; 2], width: f64, height: f64) -> f64 {
    let (east, north) = ((x - width / 2.0).abs() - width / 2.0, (y - height / 2.0).abs() - height / 2.0);
    if east.max(north) <= 0.0 { east.max(north) } else { east.max(0.0).hypot(north.max(0.0)) }
}

/// Polygons by their corners in metres are as one of 100 m by 50 m, however they lie on the map.
fn check_frame(polygons: &[Vec<[f64; 2]>]) {
    for by in [0.0, 0.3, 2.0] {
        let rings: Vec<Rings> = polygons.iter().map(|corners| vec![turned(corners, by)]).collect();
        let shape = Shape::polygon(&rings).unwrap();
        for spot in
            (0..=24 * 14).map(|nth| [-10.0 + f64::from(nth % 24) * 5.0, -10.0 + f64::from(nth / 24) * 5.0])
        {
            let (told, is) =
                (shape.distance_m(turned(&[spot], by)[0], 1000.0), from_frame(spot, 100.0, 50.0));
            assert!(
                (told - is).abs() < 0.12,
                "{told} m at {spot:?}, and {is} m drawn as one, turned by {by}"
            );
        }
        assert!((24.4..25.2).contains(&shape.depth_m()), "{} m deep", shape.depth_m());
    }
}

#[test]
fn a_seam_is_no_edge_where_only_one_of_two_has_a_corner_on_it() {
    let west = frame(0.0, 0.0, 60.0, 50.0).to_vec();
    let corner_more = [[60.0, 0.0], [100.0, 0.0], [100.0, 50.0], [60.0, 50.0], [60.0, 20.0]];
    check_frame(&[west.clone(), corner_more.to_vec()]);
    check_frame(&[corner_more.to_vec(), west.clone()]);
    check_frame(&[west, frame(60.0, 0.0, 40.0, 30.0).to_vec(), frame(60.0, 30.0, 40.0, 20.0).to_vec()]);
}

#[test]
fn a_seam_is_no_edge_where_two_overlap_or_gape_by_a_centimetre() {
    for by in [-0.05, -0.01, 0.01, 0.05] {
        let (west, from) = (frame(0.0, 0.0, 60.0, 50.0).to_vec(), 60.0 + by);
        check_frame(&[west.clone(), vec![[from, 0.0], [100.0, 0.0], [100.0, 50.0], [from, 50.0]]]);
        // A wedge, a corner more, and one a little further out than its neighbour.
        let wedge = [[60.0, 0.0], [100.0, 0.0], [100.0, 50.0], [from, 50.0]];
        check_frame(&[west.clone(), wedge.to_vec()]);
        let corner_more = [[from, -by], [100.0, 0.0], [100.0, 50.0], [from, 50.0 + by], [60.0, 20.0]];
        check_frame(&[west, corner_more.to_vec()]);
        // One beside two, with the gap between those as well.
        let east = [[60.0, 0.0], [100.0, 0.0], [100.0, 50.0], [60.0, 50.0]];
        let south = frame(0.0, 0.0, 60.0 - by, 25.0).to_vec();
        let north = [[0.0, 25.0 + by], [60.0 - by, 25.0 + by], [60.0 - by, 50.0], [0.0, 50.0]];
        check_frame(&[south, north.to_vec(), east.to_vec()]);
    }
}

#[test]
fn an_overlap_or_a_gap_of_half_a_metre_is_what_was_drawn() {
    let two = |from: f64| {
        let east = [[from, 0.0], [100.0, 0.0], [100.0, 50.0], [from, 50.0]];
        [vec![turned(&frame(0.0, 0.0, 60.0, 50.0), 0.3)], vec![turned(&east, 0.3)]]
    };
    assert!(Shape::polygon(&two(59.5)).is_err());
    let gap = Shape::polygon(&two(60.5)).unwrap();
    assert!(gap.distance_m(turned(&[[60.25, 20.0]], 0.3)[0], 10.0) > 0.2);
}

#[test]
fn an_island_fills_the_hole_that_it_was_cut_from_but_for_its_corners() {
    let hole = frame(40.0, 15.0, 30.0, 20.0);
    let island = [[40.01, 15.0], [55.0, 15.01], [70.0, 15.0], [70.0, 35.01], [40.0, 35.0]];
    let rings = [&frame(0.0, 0.0, 100.0, 50.0), &hole].map(|ring| turned(ring, 0.3)).to_vec();
    let shape = Shape::polygon(&[rings.clone(), vec![turned(&island, 0.3)]]).unwrap();
    let edge_m = |spot| shape.distance_m(turned(&[spot], 0.3)[0], 100.0);
    assert!((edge_m([55.0, 25.0]) + 25.0).abs() < 0.1, "{} m", edge_m([55.0, 25.0]));
    let empty = Shape::polygon(&[rings]).unwrap();
    assert!((empty.distance_m(turned(&[[55.0, 25.0]], 0.3)[0], 100.0) - 10.0).abs() < 0.1);
}

fn in_order(edges: &[Edge]) -> Vec<[[u64; 2]; 2]> {
    let bits = |at: Flat| [at.x, at.y].map(f64::to_bits);
    let mut all: Vec<_> =
        edges.iter().map(|[a, b]| [bits(*a).min(bits(*b)), bits(*a).max(bits(*b))]).collect();
    all.sort_unstable();
    all
}

#[test]
fn what_has_no_other_polygon_near_it_is_to_the_bit_as_it_was_drawn() {
    // A kerb drawn every two centimetres, a slit of three, and a hole that is as near to the edge.
    let kerb = (0..100).map(|nth| [f64::from(nth) * 0.02, f64::from(nth % 3) * 0.01]);
    let rest =
        [[50.0, 0.0], [50.0, 40.0], [50.03, 40.0], [50.03, 0.0], [100.0, 0.0], [100.0, 50.0], [0.0, 50.0]];
    let yard = turned(&kerb.chain(rest).collect::<Vec<_>>(), 0.3);
    let hole = turned(&frame(50.06, 20.0, 9.0, 9.0), 0.3);
    let far = turned(&frame(100.5, 0.0, 9.0, 9.0), 0.3);
    let alone = |rings: &[Vec<Position>]| -> Vec<Edge> {
        rings.iter().flat_map(|positions| ring(positions, 9.0).unwrap()).collect()
    };
    let (first, second) = (alone(&[yard.clone(), hole.clone()]), alone(std::slice::from_ref(&far)));
    let both = joined(&[first.clone(), second.clone()]);
    assert_eq!(
        both.iter().map(|edges| in_order(edges)).collect::<Vec<_>>(),
        [in_order(&first), in_order(&second)]
    );
    for (polygons, drawn) in [
        (vec![vec![yard.clone(), hole.clone()]], first.clone()),
        (vec![vec![yard, hole], vec![far]], [first, second].concat()),
    ] {
        let Form::Polygon(edges) = Shape::polygon(&polygons).unwrap().form else { panic!("a polygon") };
        assert_eq!(in_order(edges.all()), in_order(&drawn));
    }
}

/// Courses of bricks of 8 m by 4 m, each course half a brick further on; corners off by some centimetres.
fn wall(courses: usize, bricks: usize, off: &mut impl FnMut() -> f64) -> Vec<Vec<[f64; 2]>> {
    let long = bricks as f64 * 8.0;
    let course = |nth: usize| {
        let shift = if nth.is_multiple_of(2) { 0.0 } else { -4.0 };
        let ends = (0..=bricks + nth % 2).map(move |end| (end as f64 * 8.0 + shift).clamp(0.0, long));
        let ends: Vec<f64> = ends.collect();
        let south = nth as f64 * 4.0;
        ends.windows(2).map(|pair| frame(pair[0], south, pair[1] - pair[0], 4.0).to_vec()).collect::<Vec<_>>()
    };
    let mut all: Vec<Vec<[f64; 2]>> = (0..courses).flat_map(course).collect();
    all.iter_mut().flatten().flatten().for_each(|metres| *metres += off());
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_wall_of_bricks_is_one_area_whatever_each_corner_is_off_by(
        off in prop::collection::vec(-0.02..0.02, 400),
        by in 0.0..std::f64::consts::TAU,
        spots in prop::collection::vec((-10.0..58.0, -10.0..34.0), 40),
    ) {
        let mut off = off.into_iter().cycle();
        let bricks = wall(6, 6, &mut || off.next().unwrap());
        let rings: Vec<Rings> = bricks.iter().map(|corners| vec![turned(corners, by)]).collect();
        let shape = Shape::polygon(&rings).unwrap();
        for (x, y) in spots {
            let told = shape.distance_m(turned(&[[x, y]], by)[0], 1000.0);
            let is = from_frame([x, y], 48.0, 24.0);
            prop_assert!((told - is).abs() < 0.16, "{told} m at {x}, {y}, and {is} m drawn as one");
        }
    }

    #[test]
    fn nothing_is_inside_or_outside_by_more_than_a_seam(
        radii in prop::collection::vec(30.0..60.0, 3..60),
        parts in prop::collection::vec((0.2..0.8, -0.02..0.02), 60),
        spots in prop::collection::vec((-150.0..150.0, -150.0..150.0), 60),
    ) {
        // A star, and what is left of a frame around it: with its corners elsewhere, and a few centimetres off.
        let inner = star(at(51.0, 9.0), &radii);
        let more = inner.iter().zip(inner.iter().cycle().skip(1)).zip(&parts).flat_map(|((from, to), (part, off))| {
            let hit = from.towards(*to, *part).moved_m([*off, off / 2.0]);
            [from.moved_m([off / 2.0, -*off]), hit]
        });
        let around = turned(&frame(-100.0, -100.0, 200.0, 200.0), 0.0);
        let polygons = [vec![inner.clone()], vec![around.clone(), more.collect()]];
        let shape = Shape::polygon(&polygons);
        prop_assume!(shape.is_ok());
        let shape = shape.unwrap();
        for (x, y) in spots {
            let here = at(51.0, 9.0).moved_m([x, y]);
            let (told, is) = (shape.distance_m(here, 1000.0), from_frame([x + 100.0, y + 100.0], 200.0, 200.0));
            prop_assert!((told - is).abs() < 0.2, "{told} m at {x}, {y}, and {is} m drawn as one");
        }
    }
}

#[test]
fn five_thousand_bricks_are_one_area_of_as_many_edges_as_there_are_around_it() {
    let mut turn = 0_u32;
    let mut off = || {
        turn = turn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(turn >> 16) / 65_536.0 - 0.5) * 0.04
    };
    let bricks = wall(70, 70, &mut off);
    assert!((19_000..=20_000).contains(&(bricks.len() * 4)), "{} edges", bricks.len() * 4);
    let rings: Vec<Rings> = bricks.iter().map(|corners| vec![turned(corners, 0.3)]).collect();
    let Form::Polygon(edges) = Shape::polygon(&rings).unwrap().form else { panic!("a polygon") };
    // Along two sides one for each brick, and at the ends of courses one for each of these.
    assert!((280..=290).contains(&edges.len()), "{} edges", edges.len());
    let corners: Vec<Edge> = rings.iter().flat_map(|rings| ring(&rings[0], 9.0).unwrap()).collect();
    let nearest =
        |at: &Flat| corners.iter().map(|[a, _]| (a.x - at.x).hypot(a.y - at.y)).fold(f64::MAX, f64::min);
    assert!(edges.all().iter().flatten().all(|end| nearest(end) <= TOUCHING_DEG));
}
