//! What the tree of edges finds, against a look at each of them; and how many it looks at.

use std::cell::Cell;

use super::super::edges::{Edge, Edges, crossing, enters, ring, to_edge};
use super::super::overlap;
use super::super::plane::scale_at;
use super::super::tree::{Placed, Tree};
use super::*;

/// Edges that lie on one another's ends and sides now and then, as on a grid, or never.
fn places() -> impl Strategy<Value = Flat> {
    let numbers = || prop_oneof![(0..12).prop_map(f64::from), 0.0..12.0];
    (numbers(), numbers()).prop_map(|(x, y)| Flat { x, y })
}

fn edges() -> impl Strategy<Value = Vec<Edge>> {
    let short = (places(), -0.5..0.5, -0.5..0.5)
        .prop_map(|(from, east, north)| [from, Flat { x: from.x + east, y: from.y + north }]);
    let long = (places(), places()).prop_map(|(from, to)| [from, to]);
    prop::collection::vec(prop_oneof![4 => short, 1 => long], 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_tree_finds_what_a_look_at_each_edge_finds(
        all in edges(),
        spots in prop::collection::vec((places(), places()), 20),
        reach_m in prop_oneof![Just(0.0), 1.0..100_000.0, Just(f64::MAX)],
    ) {
        let tree = Edges::new(all.clone());
        for (at, to) in spots {
            let crosses = |[a, b]: &&Edge| (a.y > at.y) != (b.y > at.y);
            let x = |[a, b]: &Edge| a.x + (at.y - a.y) / (b.y - a.y) * (b.x - a.x);
            let mut crossings: Vec<f64> = all.iter().filter(crosses).map(x).collect();
            crossings.sort_by(f64::total_cmp);
            prop_assert_eq!(tree.encloses(at), crossings.iter().filter(|x| at.x < **x).count() % 2 == 1);
            prop_assert_eq!(tree.crossings(at.y), crossings);

            let nearest = all.iter().map(|edge| to_edge(at, edge, scale_at(at.y))).fold(f64::INFINITY, f64::min);
            let found = tree.distance_m(at, reach_m);
            prop_assert!(found == nearest || (nearest > reach_m && found >= nearest), "{found} for {nearest}");

            let part = [at, to].bounds();
            prop_assert_eq!(tree.cross(&part), all.iter().any(|edge| enters(edge, &part)));
        }
    }

    #[test]
    fn edges_cross_where_two_of_them_do(all in edges(), count in 2..40_usize) {
        let some = &all[..count.min(all.len())];
        let is_crossed = some.iter().any(|one| some.iter().any(|other| crossing(one, other).is_some()));
        prop_assert_eq!(Edges::new(some.to_vec()).self_crossing().is_some(), is_crossed);
    }
}

/// Teeth of 400 to 500 m towards the north, 2 m wide and as far apart.
fn comb(teeth: usize) -> Vec<Edge> {
    let place = |east: f64, north: f64| at(51.0, 9.0).moved_m([east, north]);
    let tooth = |nth: usize| {
        let (west, long) = (nth as f64 * 4.0, 400.0 + (nth * 37 % 101) as f64);
        [place(west, 0.0), place(west, long), place(west + 2.0, long), place(west + 2.0, 0.0)]
    };
    let back = [place(teeth as f64 * 4.0, -10.0), place(0.0, -10.0)];
    ring(&(0..teeth).flat_map(tooth).chain(back).collect::<Vec<_>>(), 9.0).unwrap()
}

#[test]
fn of_long_edges_side_by_side_few_are_looked_at() {
    let comb = comb(1000);
    let (edges, tree) = (Edges::new(comb.clone()), Tree::new(comb.clone()));
    // In the tooth before the last ten, whose sides a ray to the east crosses.
    let spot = at(51.0, 9.0).moved_m([989.0 * 4.0 + 1.0, 250.0]);
    let spot = Flat { x: spot.lon, y: spot.lat };
    assert!(edges.encloses(spot));
    assert!(edges.east_of(spot).count() <= 100, "{} edges", edges.east_of(spot).count());

    let (looked_at, scale) = (Cell::new(0), scale_at(spot.y));
    let to_box = |part: &Rect| {
        looked_at.set(looked_at.get() + 1);
        part.distance_m(spot, scale)
    };
    let (nearest, _) = tree.nearest(f64::MAX, to_box, |edge| to_edge(spot, edge, scale)).unwrap();
    assert!(
        (nearest - 1.0).abs() < 0.01 && looked_at.get() <= 150,
        "{nearest} m, in {} looks",
        looked_at.get()
    );

    let wanted = |edge: &Edge| {
        let around = edge.bounds();
        tree.find(move |part| part.overlaps(&around)).count()
    };
    let compared: usize = comb.iter().map(wanted).sum();
    assert!(compared <= comb.len() * 100, "{compared} pairs of {} edges", comb.len());
}

#[test]
fn of_a_thousand_bays_those_beside_one_another_are_compared() {
    let bay = |nth: u32| {
        let [east, north] = [f64::from(nth % 50) * 2.5, f64::from(nth / 50) * 5.0];
        let corners = [[0.0, 0.0], [2.5, 0.0], [2.5, 5.0], [0.0, 5.0]];
        corners.map(|[x, y]| at(51.0, 9.0).moved_m([east + x, north + y])).to_vec()
    };
    let bays: Vec<Edges> = (0..1000).map(|nth| Edges::new(ring(&bay(nth), 9.0).unwrap())).collect();
    let bays = Tree::new(bays);
    let compared: usize = bays.all().iter().map(|one| overlap::beside(&bays, one).count()).sum();
    assert!(compared <= 8 * 1000, "{compared} pairs");
    let lot = Shape::polygon(&(0..1000).map(|nth| vec![bay(nth)]).collect::<Vec<_>>());
    assert!(lot.is_ok_and(|lot| lot.distance_m(at(51.0, 9.0).moved_m([1.0, 1.0]), 10.0) < 0.0));
}
