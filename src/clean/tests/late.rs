//! Fixes that come after newer ones: what they reveal is told once, with its own times, whatever order they come in.

use proptest::prelude::*;

use super::bursts::shuttle;
use super::*;
use crate::domain::state::StateKind;

pub(super) const MINUTE_MS: i64 = 60_000;
pub(super) const YARD: f64 = 50.0;
pub(super) const ROAD: f64 = 50.01;

/// A tracker on the road, silent from its tenth to its hundredth minute.
fn before_and_after() -> Vec<Step> {
    let minutes = (0..=10).chain(100..=104);
    minutes.map(|minute| Step::Fix(minute * MINUTE_MS, minute * MINUTE_MS, ROAD)).collect()
}

/// What lay between: in the yard from the 40th minute, on the road again from the 50th; received in this order.
fn between(order: impl IntoIterator<Item = i64>) -> Vec<Step> {
    let place = |minute: i64| if (40..50).contains(&minute) { YARD } else { ROAD };
    let fix = |(nth, minute): (i64, i64)| {
        // One after the other, behind the last in order.
        Step::Fix(minute * MINUTE_MS, 104 * MINUTE_MS + 100 * (nth + 1), place(minute))
    };
    (0..).zip(order).map(fix).collect()
}

fn fences(out: &Cleaned) -> Vec<String> {
    out.sightings.iter().filter(|sighting| matches!(sighting.what, Seen::Fence { .. })).map(line).collect()
}

/// The trackers' broker came or went.
fn link(cleaner: &mut Cleaner, ms: i64, up: bool, out: &mut Cleaned) {
    let down = || LinkState::Down { reason: "cut".into() };
    let state = if up { LinkState::Up { replaying: false } } else { down() };
    cleaner.link(&LinkChange { source: "broker".into(), at: at(ms), state }, out);
}

pub(super) fn connected(rules: &Rules) -> (Cleaner, Cleaned) {
    let (mut cleaner, mut out) = (Cleaner::new(rules, &intake()), Cleaned::default());
    link(&mut cleaner, 0, true, &mut out);
    (cleaner, out)
}

fn told_of(steps: &[Step]) -> Vec<String> {
    told_by(&rules(), steps)
}

pub(super) fn told_by(rules: &Rules, steps: &[Step]) -> Vec<String> {
    let (mut cleaner, mut out) = connected(rules);
    run(&mut cleaner, steps, &mut out);
    run(&mut cleaner, &[Step::Tick(2880 * MINUTE_MS)], &mut out);
    fences(&out)
}

/// By when it was, whether it was told late or not.
pub(super) fn told_by_time(rules: &Rules, steps: &[Step]) -> Vec<String> {
    let mut told: Vec<String> =
        told_by(rules, steps).iter().map(|line| line.trim_end_matches(" late").to_owned()).collect();
    told.sort_by_key(|line| line.split(' ').next().and_then(|ms| ms.parse::<i64>().ok()));
    told
}

const VISIT: [&str; 2] = ["2400000 Entered yard late", "3000000 Exited yard late"];

#[test]
fn a_burst_reveals_a_visit_once_it_has_settled() {
    let (mut cleaner, mut out) = connected(&rules());
    run(&mut cleaner, &[Step::Up(0)], &mut out);
    run(&mut cleaner, &before_and_after(), &mut out);
    run(&mut cleaner, &between(30..60), &mut out);
    assert_eq!(fences(&out), [""; 0], "more may come");
    let late =
        out.sightings.iter().filter(|sighting| sighting.late && matches!(sighting.what, Seen::Fix { .. }));
    assert_eq!(late.count(), 30, "kept, and marked");
    run(&mut cleaner, &[Step::Tick(105 * MINUTE_MS)], &mut out);
    assert_eq!(fences(&out), VISIT);
    // A second burst of the same visit: told already.
    let again = [41, 42, 43].map(|minute| Step::Fix(minute * MINUTE_MS + 7000, 106 * MINUTE_MS, YARD));
    run(&mut cleaner, &again, &mut out);
    run(&mut cleaner, &[Step::Tick(200 * MINUTE_MS)], &mut out);
    assert_eq!(fences(&out), VISIT);
}

/// What late fixes say of when it was in a fence, whether it was told or not.
#[test]
fn when_it_was_in_a_fence_is_said_by_late_fixes_also_where_that_was_told() {
    let stays = |steps: &[Step]| {
        let (mut cleaner, mut out) = connected(&rules());
        run(&mut cleaner, steps, &mut out);
        run(&mut cleaner, &[Step::Tick(2880 * MINUTE_MS)], &mut out);
        let stays = out.sightings.iter().filter(|sighting| matches!(sighting.what, Seen::Stayed { .. }));
        stays.map(line).collect::<Vec<_>>()
    };
    let burst = [before_and_after(), between((30..60).rev())].concat();
    assert_eq!(stays(&burst), ["3000000 stayed in yard Some(2400) to Some(3000) late"]);
    // It is in the yard still, and came earlier than was seen.
    let live = |(minute, lat): (i64, f64)| Step::Fix(minute * MINUTE_MS, minute * MINUTE_MS, lat);
    let mut inside: Vec<Step> = [(0, ROAD), (60, YARD), (61, YARD), (62, YARD)].map(live).to_vec();
    inside.extend([40, 41, 42].map(|minute| Step::Fix(minute * MINUTE_MS, 62 * MINUTE_MS + minute, YARD)));
    assert_eq!(stays(&inside), ["2400000 stayed in yard Some(2400) to None late"]);
    // It was seen elsewhere first, and had left earlier.
    let mut left: Vec<Step> =
        [(0, YARD), (1, YARD), (2, YARD), (60, ROAD), (61, ROAD), (62, ROAD)].map(live).to_vec();
    left.extend([40, 41, 42].map(|minute| Step::Fix(minute * MINUTE_MS, 62 * MINUTE_MS + minute, ROAD)));
    let said = stays(&left);
    assert!(matches!(&said[..], [one] if one.ends_with("to Some(2400) late")), "{said:?}");
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
    // Every tenth second: 540 fixes, of which a tracker holds 127.
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
    let (mut cleaner, mut out) = connected(&rules);
    run(&mut cleaner, &[before_and_after(), between(30..60)].concat(), &mut out);
    run(&mut cleaner, &[Step::Tick(200 * MINUTE_MS)], &mut out);
    assert_eq!(fences(&out), [""; 0]);
    assert_eq!(cleaner.remembered().unjudged, 24, "all but the six that are not too old");
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
    assert_eq!(told_by(&sure, &steps), [""; 0]);
}

/// The same, by a daemon that starts again after so many steps each time.
fn told_across_restarts(steps: &[Step], every: usize) -> Vec<String> {
    let mut rows = std::collections::BTreeMap::new();
    let mut told = Vec::new();
    for steps in steps.chunks(every) {
        let (mut cleaner, mut out) = (Cleaner::new(&rules(), &intake()), Cleaned::default());
        let state = rows.iter().map(|((kind, key), value): (&(StateKind, String), &Vec<u8>)| {
            (*kind, key.clone(), value.clone())
        });
        cleaner.restore(state).unwrap();
        link(&mut cleaner, steps[0].at().micros_after(at(MINUTE_MS)) / 1000, true, &mut out);
        run(&mut cleaner, steps, &mut out);
        told.extend(fences(&out));
        for row in rows_of(&mut cleaner) {
            match row.value {
                Some(value) => drop(rows.insert((row.kind, row.key), value)),
                None => drop(rows.remove(&(row.kind, row.key))),
            }
        }
    }
    told
}

#[test]
fn a_restart_between_any_two_makes_no_difference() {
    let steps = [before_and_after(), between((30..60).rev()), vec![Step::Tick(106 * MINUTE_MS)]].concat();
    assert_eq!(told_across_restarts(&steps, 1), VISIT);
    // And of a burst that is told in parts.
    let (fixes, ends) = (shuttle(16, 30), 1600 * MINUTE_MS);
    let (backlog, newest) = fixes.split_at(fixes.len() - 5);
    let began = (1..6).rev().map(|nth| Step::Fix(nth * -MINUTE_MS, nth * -MINUTE_MS, ROAD));
    let burst = newest.iter().chain(backlog).map(|(ms, lat)| Step::Fix(*ms, ends, *lat));
    let steps: Vec<Step> = began.chain(burst).chain([Step::Tick(ends + MINUTE_MS)]).collect();
    let told = told_across_restarts(&steps, 7);
    assert_eq!((told.len(), told), (32, told_of(&steps)));
}

/// In order until the tenth minute; away until the hundredth, in the yard from the 40th on; then the newest first.
fn newest_first() -> Vec<Step> {
    let received = 100 * MINUTE_MS;
    let road = (0..=10).map(|minute| Step::Fix(minute * MINUTE_MS, minute * MINUTE_MS, ROAD));
    let place = |minute: i64| if minute >= 40 { YARD } else { ROAD };
    let away = (30..=100)
        .rev()
        .map(|minute| Step::Fix(minute * MINUTE_MS, received + 100 * (100 - minute), place(minute)));
    road.chain(away).collect()
}

fn live(minute: i64, lat: f64) -> Step {
    Step::Fix(minute * MINUTE_MS, minute * MINUTE_MS, lat)
}

#[test]
fn a_visit_that_goes_on_began_when_late_fixes_say_so() {
    let entered = "2400000 Entered yard";
    assert_eq!(told_of(&newest_first()), [entered], "it is there now, so it is no late word");
    let stays = [newest_first(), vec![live(102, YARD), live(103, YARD)]].concat();
    assert_eq!(told_of(&stays), [entered]);
    let leaves = [newest_first(), vec![live(102, ROAD), live(103, ROAD)]].concat();
    assert_eq!(told_of(&leaves), [entered, "6120000 Exited yard"]);
    // Confirmed by the next ones before the burst has settled.
    let at_once = |lat| [101, 102].map(|nth| Step::Fix(nth * MINUTE_MS, 100 * MINUTE_MS + 7000 + nth, lat));
    assert_eq!(told_of(&[newest_first(), at_once(YARD).to_vec()].concat()), [entered]);
    // Gone again by then: nothing in order said that it was there.
    let over = ["2400000 Entered yard late", "6060000 Exited yard late"];
    assert_eq!(told_of(&[newest_first(), at_once(ROAD).to_vec()].concat()), over);
}

#[test]
fn a_visit_that_is_over_and_began_when_late_fixes_say_so_is_the_one_that_was_told() {
    // So much comes in order after it that no more than its first fix is kept.
    let place = |minute: i64| if (100..102).contains(&minute) { YARD } else { ROAD };
    let in_order: Vec<Step> =
        [0, 10].into_iter().chain(100..112).map(|minute| live(minute, place(minute))).collect();
    let told = ["6000000 Entered yard", "6120000 Exited yard"];
    assert_eq!(told_of(&in_order), told);
    let late = |minutes: std::ops::Range<i64>, lat| -> Vec<Step> {
        minutes.map(|minute| Step::Fix(minute * MINUTE_MS, 111 * MINUTE_MS + minute, lat)).collect()
    };
    assert_eq!(told_of(&[in_order.clone(), late(40..100, YARD)].concat()), told);
    // One before it is another.
    let both = [in_order, late(40..50, YARD), late(50..100, ROAD)].concat();
    assert_eq!(told_of(&both), [&told[..], &VISIT].concat());
}

#[test]
fn a_visit_that_was_thought_to_go_on_ended_when_late_fixes_say_so() {
    let inside = [(0, ROAD), (2, YARD), (4, YARD)].map(|(minute, lat)| live(minute, lat)).to_vec();
    let late = |minute: i64, lat| Step::Fix(minute * MINUTE_MS, 100 * MINUTE_MS + 1000, lat);
    let away = [live(100, ROAD), late(60, ROAD), late(50, ROAD), late(30, YARD)];
    let told = ["120000 Entered yard", "3000000 Exited yard"];
    assert_eq!(told_of(&[inside.clone(), away.to_vec()].concat()), told);
    // It came back meanwhile: what it is in now is another visit, and where it is stays as it was.
    let back = [live(100, YARD), late(80, YARD), late(60, ROAD), late(50, ROAD), late(30, YARD)];
    let twice = [told[0], "3000000 Exited yard late", "4800000 Entered yard late"];
    assert_eq!(told_of(&[inside, back.to_vec()].concat()), twice);
}

#[test]
fn a_visit_is_not_inferred_and_told_late_as_well() {
    const BEYOND: f64 = 49.99;
    let fix = |second: i64, received: i64, lat| Step::Fix(second * 1000, received * 1000, lat);
    let passes = [fix(0, 0, ROAD), fix(120, 120, BEYOND)];
    let late = [fix(20, 200, YARD), fix(30, 201, YARD)];
    // The way is crossed in its middle; it was there much earlier.
    let inferred = [passes.to_vec(), vec![fix(180, 180, BEYOND)]].concat();
    let told = ["54618 Entered yard (inferred)", "65395 Exited yard (inferred)"];
    assert_eq!(told_of(&inferred), told);
    assert_eq!(told_of(&[inferred, late.to_vec()].concat()), told);
    // The other way round.
    let late_first =
        [passes.to_vec(), late.to_vec(), vec![Step::Tick(240_000), fix(250, 250, BEYOND)]].concat();
    assert_eq!(told_of(&late_first), ["20000 Entered yard", "120000 Exited yard"]);
}

#[test]
fn what_jumped_was_not_on_the_way() {
    const BEYOND: f64 = 49.99;
    for times in [[10, 20, 30, 40, 50], [10, 20, 35, 45, 55]] {
        let fix = |second: i64, lat| Step::Fix(second * 1000, second * 1000, lat);
        let steps = [vec![fix(0, ROAD)], times.map(|second| fix(second, BEYOND)).to_vec()].concat();
        assert_eq!(told_of(&steps), [""; 0]);
    }
}

#[test]
fn a_longer_silence_before_does_not_hide_what_a_burst_is_judged_by() {
    let mut steps = before_and_after();
    let received = |nth: i64| 150 * MINUTE_MS + nth * 1000;
    let live = |nth: i64| Step::Fix(received(nth), received(nth), ROAD);
    // In the yard from the 120th to the 130th minute; each of a burst that comes the newest first beside a live one.
    let away = (115..140).rev().zip(1..).flat_map(|(minute, nth)| {
        let place = if (120..130).contains(&minute) { YARD } else { ROAD };
        [Step::Fix(minute * MINUTE_MS, received(nth), place), live(nth)]
    });
    steps.push(live(0));
    steps.extend(away);
    assert_eq!(told_of(&steps), ["7200000 Entered yard late", "7800000 Exited yard late"]);
}

#[test]
fn nothing_settles_while_the_source_is_away() {
    let (mut cleaner, mut out) = connected(&rules());
    run(&mut cleaner, &before_and_after(), &mut out);
    let burst = between(30..60);
    run(&mut cleaner, &burst[..15], &mut out);
    link(&mut cleaner, 104 * MINUTE_MS + 5000, false, &mut out);
    run(&mut cleaner, &[Step::Tick(200 * MINUTE_MS)], &mut out);
    link(&mut cleaner, 200 * MINUTE_MS, true, &mut out);
    let rest = (45..60).map(|minute: i64| {
        Step::Fix(minute * MINUTE_MS, 200 * MINUTE_MS + 20_000, if minute < 50 { YARD } else { ROAD })
    });
    let rest: Vec<Step> = rest.collect();
    run(&mut cleaner, &rest, &mut out);
    assert_eq!(fences(&out), [""; 0]);
    run(&mut cleaner, &[Step::Tick(201 * MINUTE_MS)], &mut out);
    assert_eq!(fences(&out), VISIT);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// In, out, or too near the edge to say; a fence that wants more fixes than one.
    #[test]
    fn what_comes_late_is_told_as_if_it_had_come_in_order(
        places in proptest::collection::vec(prop_oneof![Just(YARD), Just(ROAD), Just(50.0009)], 1..40),
        order in any::<prop::sample::Index>(),
        (confirmations, confirmations_of) in prop_oneof![Just((1, 1)), Just((2, 2)), Just((2, 3)), Just((3, 5))],
    ) {
        let mut rules = rules();
        rules.fences[0].confirmations = confirmations;
        rules.fences[0].confirmations_of = confirmations_of;
        let away: Vec<(i64, f64)> = (2..).zip(places.iter().copied()).collect();
        let after = (100..105).map(|minute| live(minute, ROAD));
        let (begins, ends): (Vec<Step>, Vec<Step>) = ((0..2).map(|minute| live(minute, ROAD)).collect(), after.collect());
        let in_order = away.iter().map(|(minute, lat)| live(*minute, *lat)).collect();
        let expected = told_by(&rules, &[begins.clone(), in_order, ends[..3].to_vec()].concat());
        let mut late: Vec<Step> = away
            .iter()
            .map(|(minute, lat)| Step::Fix(minute * MINUTE_MS, 102 * MINUTE_MS + 1, *lat))
            .collect();
        let turn = order.index(late.len());
        late.rotate_left(turn);
        let told = told_by(&rules, &[begins, ends[..3].to_vec(), late, ends[3..].to_vec()].concat());
        let told: Vec<&str> = told.iter().map(|line| line.trim_end_matches(" late")).collect();
        prop_assert_eq!(told, expected);
    }
}

/// Three of five fixes are wanted, and eight go by until it is sure that it was there and has gone on: more than are kept
/// for late ones.
#[test]
fn what_is_inferred_is_told_also_where_many_fixes_went_by_until_it_was_sure() {
    let mut rules = rules();
    rules.fences[0].confirmations = 3;
    rules.fences[0].confirmations_of = 5;
    let near = 50.0009;
    let places = [YARD, near, near, near, near, YARD, YARD, YARD, ROAD, YARD, ROAD, ROAD, ROAD];
    let away = || (2..).zip(places);
    let ends: Vec<Step> = (100..105).map(|minute| live(minute, ROAD)).collect();
    let begins = [live(1, ROAD)].to_vec();
    let in_order = away().map(|(minute, lat)| live(minute, lat)).collect();
    let told = told_by(&rules, &[begins.clone(), in_order, ends[..3].to_vec()].concat());
    assert_eq!(told, ["480000 Entered yard (inferred)", "780000 Exited yard (inferred)"]);
    let late = away().map(|(minute, lat)| Step::Fix(minute * MINUTE_MS, 102 * MINUTE_MS + 1, lat)).collect();
    let told = told_by(&rules, &[begins, ends[..3].to_vec(), late, ends[3..].to_vec()].concat());
    assert_eq!(told, ["480000 Entered yard (inferred) late", "780000 Exited yard (inferred) late"]);
}
