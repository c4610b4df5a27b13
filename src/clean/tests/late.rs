//! Fixes that come after newer ones: what they reveal is told once, with its own times, whatever order they come in.

use proptest::prelude::*;

use super::*;
use crate::domain::state::StateKind;

const MINUTE_MS: i64 = 60_000;
const YARD: f64 = 50.0;
const ROAD: f64 = 50.01;

/// A tracker on the road, silent from its tenth to its hundredth minute.
fn before_and_after() -> Vec<Step> {
    let minutes = (0..=10).chain(100..=104);
    minutes.map(|minute| Step::Fix(minute * MINUTE_MS, minute * MINUTE_MS, ROAD)).collect()
}

/// What lay between: in the yard from the 40th minute, on the road again from the 50th; received in this order.
fn between(order: impl IntoIterator<Item = i64>) -> Vec<Step> {
    let place = |minute: i64| if (40..50).contains(&minute) { YARD } else { ROAD };
    let fix = |(nth, minute): (i64, i64)| {
        // Told by the second, so that no message is like another.
        Step::Fix(minute * MINUTE_MS, 104 * MINUTE_MS + 100 * (nth + 1), place(minute))
    };
    (0..).zip(order).map(fix).collect()
}

fn fences(out: &Cleaned) -> Vec<String> {
    out.sightings.iter().filter(|sighting| matches!(sighting.what, Seen::Fence { .. })).map(line).collect()
}

fn told_of(steps: &[Step]) -> Vec<String> {
    let (mut cleaner, mut out) = (Cleaner::new(&rules(), &intake()), Cleaned::default());
    run(&mut cleaner, steps, &mut out);
    run(&mut cleaner, &[Step::Tick(200 * MINUTE_MS)], &mut out);
    fences(&out)
}

const VISIT: [&str; 2] = ["2400000 Entered yard late", "3000000 Exited yard late"];

#[test]
fn a_burst_reveals_a_visit_once_it_has_settled() {
    let (mut cleaner, mut out) = (Cleaner::new(&rules(), &intake()), Cleaned::default());
    run(&mut cleaner, &[Step::Up(0)], &mut out);
    run(&mut cleaner, &before_and_after(), &mut out);
    run(&mut cleaner, &between(30..60), &mut out);
    assert_eq!(fences(&out), [""; 0], "more may come");
    let late = out.sightings.iter().filter(|sighting| sighting.late && matches!(sighting.what, Seen::Fix(_)));
    assert_eq!(late.count(), 30, "kept, and marked");
    run(&mut cleaner, &[Step::Tick(105 * MINUTE_MS)], &mut out);
    assert_eq!(fences(&out), VISIT);
    // A second burst of the same visit: told already.
    let again = [41, 42, 43].map(|minute| Step::Fix(minute * MINUTE_MS + 7000, 106 * MINUTE_MS, YARD));
    run(&mut cleaner, &again, &mut out);
    run(&mut cleaner, &[Step::Tick(200 * MINUTE_MS)], &mut out);
    assert_eq!(fences(&out), VISIT);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_order_of_a_burst_makes_no_difference(order in Just((30..60).collect::<Vec<i64>>()).prop_shuffle()) {
        let steps = [before_and_after(), between(order)].concat();
        prop_assert_eq!(told_of(&steps), VISIT);
    }
}

#[test]
fn a_burst_longer_than_what_may_wait_is_told_all_the_same() {
    // Every tenth second: 540 fixes, of which a tracker holds 64.
    let place = |second: i64| if (2400..3000).contains(&second) { YARD } else { ROAD };
    let fix = |second: i64| Step::Fix(second * 1000, 104 * MINUTE_MS + 1, place(second));
    for order in [(60..600).collect::<Vec<i64>>(), (60..600).rev().collect()] {
        let burst = order.into_iter().map(|nth| fix(nth * 10));
        let steps: Vec<Step> = before_and_after().into_iter().chain(burst).collect();
        assert_eq!(told_of(&steps), VISIT);
    }
}

#[test]
fn one_fix_that_was_overtaken_makes_the_visit_that_it_confirms() {
    let in_order = [(0, ROAD), (1, ROAD), (3, YARD), (4, ROAD), (5, ROAD)];
    let mut steps: Vec<Step> =
        in_order.map(|(minute, lat)| Step::Fix(minute * MINUTE_MS, minute * MINUTE_MS, lat)).to_vec();
    assert_eq!(told_of(&steps), [""; 0], "one fix confirms nothing");
    steps.push(Step::Fix(2 * MINUTE_MS, 5 * MINUTE_MS + 1, YARD));
    assert_eq!(told_of(&steps), ["120000 Entered yard late", "240000 Exited yard late"]);
}

#[test]
fn what_was_told_in_order_is_not_told_again() {
    let live = |(minute, lat): (i64, f64)| Step::Fix(minute * MINUTE_MS, minute * MINUTE_MS, lat);
    let mut steps: Vec<Step> = [(0, ROAD), (2, YARD), (4, YARD), (6, ROAD), (8, ROAD)].map(live).to_vec();
    let told = told_of(&steps);
    assert_eq!(told, ["120000 Entered yard", "360000 Exited yard"]);
    // Late ones inside of that visit, and outside of it: it stays one visit.
    for (minute, lat) in [(3, YARD), (5, YARD), (1, YARD), (7, ROAD)] {
        steps.push(Step::Fix(minute * MINUTE_MS, 8 * MINUTE_MS + minute, lat));
    }
    assert_eq!(told_of(&steps), told);
    // Still inside: the visit has no end yet, and late fixes make no other of it.
    let mut inside: Vec<Step> = [(0, ROAD), (2, YARD), (6, YARD)].map(live).to_vec();
    inside.extend([3, 4, 5].map(|minute| Step::Fix(minute * MINUTE_MS, 6 * MINUTE_MS + minute, YARD)));
    assert_eq!(told_of(&inside), ["120000 Entered yard"]);
}

#[test]
fn where_more_came_in_order_than_is_remembered_nothing_is_revealed() {
    // Every minute one, all day on the road: two stray fixes of the morning are no visit.
    let mut steps: Vec<Step> =
        (0..600).map(|minute| Step::Fix(minute * MINUTE_MS, minute * MINUTE_MS, ROAD)).collect();
    steps.extend([100, 101].map(|minute| Step::Fix(minute * MINUTE_MS + 30_000, 600 * MINUTE_MS, YARD)));
    assert_eq!(told_of(&steps), [""; 0]);
}

#[test]
fn nothing_is_revealed_of_what_is_older_than_the_window() {
    let mut rules = rules();
    rules.tracker.late_within = seconds(50 * 60);
    let (mut cleaner, mut out) = (Cleaner::new(&rules, &intake()), Cleaned::default());
    run(&mut cleaner, &[before_and_after(), between(30..60)].concat(), &mut out);
    run(&mut cleaner, &[Step::Tick(200 * MINUTE_MS)], &mut out);
    assert_eq!(fences(&out), [""; 0]);
}

#[test]
fn positions_that_cannot_be_reached_reveal_nothing() {
    let mut steps = before_and_after();
    // 1.1 km in a second, there and back.
    steps.extend(
        [(30_000, ROAD), (31_000, YARD), (32_000, ROAD)]
            .map(|(ms, lat)| Step::Fix(20 * MINUTE_MS + ms, 104 * MINUTE_MS + 1, lat)),
    );
    let sure = Rules {
        fences: rules().fences.into_iter().map(|fence| FenceConfig { confirmations: 1, ..fence }).collect(),
        ..rules()
    };
    let (mut cleaner, mut out) = (Cleaner::new(&sure, &intake()), Cleaned::default());
    run(&mut cleaner, &steps, &mut out);
    run(&mut cleaner, &[Step::Tick(200 * MINUTE_MS)], &mut out);
    assert_eq!(fences(&out), [""; 0]);
}

#[test]
fn a_restart_between_any_two_makes_no_difference() {
    let steps = [before_and_after(), between((30..60).rev()), vec![Step::Tick(106 * MINUTE_MS)]].concat();
    let mut rows = std::collections::BTreeMap::new();
    let mut told = Vec::new();
    for step in &steps {
        let (mut cleaner, mut out) = (Cleaner::new(&rules(), &intake()), Cleaned::default());
        let state = rows.iter().map(|((kind, key), value): (&(StateKind, String), &Vec<u8>)| {
            (*kind, key.clone(), value.clone())
        });
        cleaner.restore(state).unwrap();
        run(&mut cleaner, std::slice::from_ref(step), &mut out);
        told.extend(fences(&out));
        for row in rows_of(&mut cleaner) {
            match row.value {
                Some(value) => drop(rows.insert((row.kind, row.key), value)),
                None => drop(rows.remove(&(row.kind, row.key))),
            }
        }
    }
    assert_eq!(told, VISIT);
}
