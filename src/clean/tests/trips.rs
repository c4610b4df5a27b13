//! A trip is over where nothing more comes of it, and nobody was silent who could not be heard.

use std::collections::BTreeSet;

use super::*;
use crate::domain::readings::{Note, Says, Vitals};

const MINUTE_MS: i64 = 60_000;

/// Stands for five minutes, drives for ten and stands: at its third fix there it is silent, after it has said this of
/// its ignition.
fn arrives(cleaner: &mut Cleaner, ignition: Option<bool>, out: &mut Cleaned) {
    for minute in 0..=17 {
        let lat = 50.1 + (minute.clamp(5, 15) - 5) as f64 * 0.005;
        let fix = Fix { ignition: ignition.filter(|_| minute > 15), ..fix(minute * MINUTE_MS, lat) };
        cleaner.reading(Reading::Fix(fix), &"broker".into(), at(minute * MINUTE_MS), out);
    }
}

fn link(cleaner: &mut Cleaner, minute: i64, state: LinkState, out: &mut Cleaned) {
    cleaner.link(&LinkChange { source: "broker".into(), at: at(minute * MINUTE_MS), state }, out);
}

fn up() -> LinkState {
    LinkState::Up { replaying: false }
}

/// What was told of trips, and when, in minutes.
fn trips(out: &Cleaned) -> Vec<(String, i64)> {
    let motions = out.sightings.iter().filter(|sighting| matches!(sighting.what, Seen::Motion { .. }));
    motions.map(|sighting| (line(sighting), sighting.received_at.micros_after(at(0)) / 60_000_000)).collect()
}

const STOPPED: &str = "900000 Stopped";

#[test]
fn a_trip_is_over_where_nothing_more_comes() {
    for (ignition, told_at) in [(Some(false), 18), (Some(true), 137), (None, 137)] {
        let (mut cleaner, mut out) = (Cleaner::new(&rules(), &intake()), Cleaned::default());
        link(&mut cleaner, -60, up(), &mut out);
        arrives(&mut cleaner, ignition, &mut out);
        run(&mut cleaner, &[Step::Tick((told_at - 1) * MINUTE_MS)], &mut out);
        assert_eq!(trips(&out).len(), 1, "it set out: {ignition:?}");
        let mut cleaner = restarted(&mut cleaner);
        link(&mut cleaner, -60, up(), &mut out);
        run(&mut cleaner, &[Step::Tick(told_at * MINUTE_MS)], &mut out);
        assert_eq!(trips(&out)[1..], [(STOPPED.to_owned(), told_at)], "{ignition:?}");
        // The next morning it is where it was: nothing more is told of that trip.
        let morning = Step::Fix(600 * MINUTE_MS, 600 * MINUTE_MS, 50.15);
        run(&mut cleaner, &[morning, Step::Tick(900 * MINUTE_MS)], &mut out);
        assert_eq!(trips(&out).len(), 2);
    }
}

/// In an underground garage it says so without knowing where it is.
#[test]
fn an_engine_that_is_off_ends_a_trip_also_without_a_fix() {
    let cases = [(Some(false), 18), (Some(true), 137), (None, 137)];
    for ((ignition, told_at), restarts) in cases.into_iter().flat_map(|case| [(case, false), (case, true)]) {
        let (mut cleaner, mut out) = (Cleaner::new(&rules(), &intake()), Cleaned::default());
        link(&mut cleaner, -60, up(), &mut out);
        arrives(&mut cleaner, None, &mut out);
        let vitals = Vitals { battery_percent: Some(50.0), ignition };
        let (kind, says, observed_at) = ("no-fix".to_owned(), Says::NoFix, Some(at(17 * MINUTE_MS + 1)));
        let device = fix(0, 0.0).device;
        let note = Note { device, kind, says, vitals, observed_at, retained: false };
        cleaner.reading(Reading::Note(note), &"broker".into(), at(17 * MINUTE_MS + 1), &mut out);
        if restarts {
            cleaner = restarted(&mut cleaner);
            link(&mut cleaner, -60, up(), &mut out);
        }
        run(&mut cleaner, &[Step::Tick((told_at - 1) * MINUTE_MS)], &mut out);
        assert_eq!(trips(&out).len(), 1, "it set out: {ignition:?}");
        run(&mut cleaner, &[Step::Tick(told_at * MINUTE_MS)], &mut out);
        assert_eq!(trips(&out)[1..], [(STOPPED.to_owned(), told_at)], "{ignition:?}");
    }
}

#[test]
fn what_was_told_afterwards_goes_on_with_its_trip() {
    let (mut cleaner, mut out) = (Cleaner::new(&rules(), &intake()), Cleaned::default());
    link(&mut cleaner, -60, up(), &mut out);
    // Away for more than an hour, and all of it comes then, in order.
    for minute in 0..=100 {
        let lat = 50.1 + (minute.max(5) - 5) as f64 * 0.005;
        let received = if minute > 20 { 90 } else { minute }.max(minute);
        run(&mut cleaner, &[Step::Fix(minute * MINUTE_MS, received * MINUTE_MS + minute, lat)], &mut out);
    }
    assert_eq!(trips(&out).len(), 1, "{:?}", trips(&out));
}

#[test]
fn no_trip_is_over_while_its_source_is_away() {
    let (mut cleaner, mut out) = (Cleaner::new(&rules(), &intake()), Cleaned::default());
    link(&mut cleaner, -60, up(), &mut out);
    arrives(&mut cleaner, None, &mut out);
    link(&mut cleaner, 30, LinkState::Down { reason: "cut".into() }, &mut out);
    run(&mut cleaner, &[Step::Tick(290 * MINUTE_MS)], &mut out);
    link(&mut cleaner, 300, up(), &mut out);
    run(&mut cleaner, &[Step::Tick(419 * MINUTE_MS)], &mut out);
    assert_eq!(trips(&out).len(), 1);
    run(&mut cleaner, &[Step::Tick(421 * MINUTE_MS)], &mut out);
    assert_eq!(trips(&out)[1..], [(STOPPED.to_owned(), 420)]);
}

fn restarted(cleaner: &mut Cleaner) -> Cleaner {
    let rows = rows_of(cleaner).into_iter().filter_map(|row| Some((row.kind, row.key, row.value?)));
    let mut again = Cleaner::new(&rules(), &intake());
    again.restore(rows).unwrap();
    again
}

/// By the minute: it stands at 50.1, drives from the fifth to the 15th minute, stands until the 40th, drives back until
/// the 50th, and stands.
fn there_and_back(minute: i64) -> f64 {
    let way = if minute < 30 { minute.clamp(5, 15) - 5 } else { 50 - minute.clamp(40, 50) };
    50.1 + way as f64 * 0.005
}

/// Heard in order but for these minutes, whose fixes come in this order behind that of the last.
fn told_where(away: std::ops::RangeInclusive<i64>, order: &[i64]) -> Vec<Sighting> {
    let (mut cleaner, mut out) = (Cleaner::new(&rules(), &intake()), Cleaned::default());
    link(&mut cleaner, -60, up(), &mut out);
    let back = *away.end() + 1;
    let live = (0..=70).filter(|minute| !away.contains(minute));
    let mut steps: Vec<Step> = Vec::new();
    for minute in live {
        steps.push(Step::Fix(minute * MINUTE_MS, minute * MINUTE_MS, there_and_back(minute)));
        if minute == back {
            let late = order.iter().zip(1..).map(|(minute, nth)| {
                Step::Fix(minute * MINUTE_MS, back * MINUTE_MS + nth * 200, there_and_back(*minute))
            });
            steps.extend(late);
        }
    }
    steps.push(Step::Tick(80 * MINUTE_MS));
    run_with_restarts(&mut cleaner, &steps, &mut out);
    out.sightings.retain(|sighting| matches!(sighting.what, Seen::Motion { .. }));
    out.sightings
}

/// A restart before every seventh step.
fn run_with_restarts(cleaner: &mut Cleaner, steps: &[Step], out: &mut Cleaned) {
    let mut kept = std::collections::BTreeMap::new();
    for steps in steps.chunks(7) {
        run(cleaner, steps, out);
        for row in rows_of(cleaner) {
            match row.value {
                Some(value) => drop(kept.insert((row.kind, row.key), value)),
                None => drop(kept.remove(&(row.kind, row.key))),
            }
        }
        let rows = kept
            .iter()
            .map(|((kind, key), value): (&(_, String), _)| (*kind, key.clone(), Vec::clone(value)));
        *cleaner = Cleaner::new(&rules(), &intake());
        cleaner.restore(rows).unwrap();
        link(cleaner, -60, up(), out);
    }
}

/// Begin, end (minutes) and length of each trip, and how many changes were told.
fn trips_of(told: &[Sighting]) -> (Vec<(i64, i64, f64)>, usize) {
    let minute = |at_time: Timestamp| at_time.micros_after(at(0)) / 60_000_000;
    let trips = told.iter().filter_map(|sighting| match &sighting.what {
        Seen::Motion { motion, .. } => motion.trip.as_ref(),
        _ => None,
    });
    let trips = trips.map(|trip| (minute(trip.started_at), minute(trip.ended_at), trip.distance_m));
    (trips.collect(), told.len())
}

#[test]
fn trips_whose_fixes_come_behind_newer_ones_are_told_whole_and_once() {
    let (in_order, count) = trips_of(&told_where(100..=100, &[]));
    let times: Vec<_> = in_order.iter().map(|(from, until, _)| (*from, *until)).collect();
    assert_eq!((times, count), (vec![(5, 15), (40, 50)], 4));
    // In the middle of the first; from there into the second; the whole of the second with the stops beside it, as
    // it stands then where it stood before.
    for away in [8..=12, 8..=44, 20..=44, 3..=60, 12..=60] {
        let newest_first: Vec<i64> = away.clone().rev().collect();
        let oldest_first: Vec<i64> = away.clone().collect();
        let middle = oldest_first.len() / 2;
        let shuffled = [&newest_first[middle..], &oldest_first[middle..]].concat();
        for order in [newest_first, oldest_first, shuffled] {
            let (trips, count) = trips_of(&told_where(away.clone(), &order));
            assert_eq!(count, 4, "{away:?} {trips:?}");
            for ((from, until, metres), (then_from, then_until, then_metres)) in trips.iter().zip(&in_order) {
                assert_eq!((from, until), (then_from, then_until), "{away:?}");
                assert!(
                    (metres - then_metres).abs() < then_metres * 0.01,
                    "{away:?}: {metres}, {then_metres}"
                );
            }
        }
    }
}

#[test]
fn where_nothing_late_comes_what_a_gap_hides_is_told_soon() {
    let (mut cleaner, mut out) = (Cleaner::new(&rules(), &intake()), Cleaned::default());
    link(&mut cleaner, -60, up(), &mut out);
    let heard = (0..=8)
        .chain(20..=20)
        .map(|minute| Step::Fix(minute * MINUTE_MS, minute * MINUTE_MS, there_and_back(minute)));
    run(&mut cleaner, &heard.collect::<Vec<_>>(), &mut out);
    assert_eq!(trips(&out), [("300000 Moving".to_owned(), 8)]);
    let standing =
        (21..=24).map(|minute| Step::Fix(minute * MINUTE_MS, minute * MINUTE_MS, there_and_back(minute)));
    run(&mut cleaner, &standing.collect::<Vec<_>>(), &mut out);
    assert_eq!(trips(&out)[1..], [("1200000 Stopped".to_owned(), 23)]);
}

#[test]
fn nothing_that_a_gap_hides_is_told_while_the_source_is_away() {
    let (mut cleaner, mut out) = (Cleaner::new(&rules(), &intake()), Cleaned::default());
    link(&mut cleaner, -60, up(), &mut out);
    let fix = |minute: i64, received: i64| Step::Fix(minute * MINUTE_MS, received, there_and_back(minute));
    let heard: Vec<Step> = (0..=8).map(|minute| fix(minute, minute * MINUTE_MS)).collect();
    run(&mut cleaner, &heard, &mut out);
    // The newest came through, and then the line was cut.
    run(&mut cleaner, &[fix(20, 20 * MINUTE_MS)], &mut out);
    link(&mut cleaner, 20, LinkState::Down { reason: "cut".into() }, &mut out);
    run(&mut cleaner, &[Step::Tick(40 * MINUTE_MS)], &mut out);
    link(&mut cleaner, 45, up(), &mut out);
    let late = (9..=19).rev().map(|minute| fix(minute, 45 * MINUTE_MS + 20 - minute));
    run(&mut cleaner, &late.collect::<Vec<_>>(), &mut out);
    assert_eq!(trips(&out).len(), 1);
    run(&mut cleaner, &[Step::Tick(47 * MINUTE_MS)], &mut out);
    assert_eq!(trips(&out)[1..], [("900000 Stopped".to_owned(), 45)]);
}

/// Two brokers carry it, and the first is cut after what it brought up to then.
fn by_two_brokers(first: &[i64], cut: i64, other: &[i64]) -> Vec<(String, i64)> {
    let (mut cleaner, mut out) = (Cleaner::new(&rules(), &intake()), Cleaned::default());
    link(&mut cleaner, -60, up(), &mut out);
    cleaner.link(&LinkChange { source: "other".into(), at: at(-60), state: up() }, &mut out);
    let mut by = |cleaner: &mut Cleaner, source: &str, minute: i64, received: i64| {
        cleaner.tick(at(received), &mut out);
        let fix = fix(minute * MINUTE_MS, there_and_back(minute));
        cleaner.reading(Reading::Fix(fix), &source.into(), at(received), &mut out);
    };
    for minute in other.iter().filter(|minute| **minute < cut) {
        by(&mut cleaner, "other", *minute, minute * MINUTE_MS);
    }
    for minute in first {
        by(&mut cleaner, "broker", *minute, cut.min(*minute.max(&(cut - 1))) * MINUTE_MS + 1000 + minute);
    }
    link(&mut cleaner, cut, LinkState::Down { reason: "cut".into() }, &mut Cleaned::default());
    for minute in other.iter().filter(|minute| **minute >= cut) {
        by(&mut cleaner, "other", *minute, minute * MINUTE_MS);
    }
    trips(&out)
}

#[test]
fn nothing_waits_for_a_broker_that_another_has_taken_the_place_of() {
    let first: Vec<i64> = (0..=8).chain(20..=20).collect();
    let told = by_two_brokers(&first, 20, &[21, 22, 23, 24]);
    let changes: Vec<&str> = told.iter().map(|(change, _)| change.as_str()).collect();
    assert_eq!(changes, ["300000 Moving", "1200000 Stopped"]);
}

/// Late fixes wait for one broker, and a trip behind a gap for another: each is told with its own.
#[test]
fn what_waits_for_one_broker_keeps_nothing_back_that_waits_for_another() {
    let told = by_two_brokers(&[4], 9, &[0, 1, 2, 6, 7, 8, 20, 21, 22, 23, 24]);
    assert_eq!(told.last().map(|(change, _)| change.as_str()), Some("1200000 Stopped"), "{told:?}");
}

#[test]
fn late_fixes_of_two_gaps_tell_the_trips_in_both_in_whatever_order_they_come() {
    // There and back in the first gap; in the second it sets out again.
    let lat = |minute: i64| there_and_back(if minute < 60 { minute } else { minute - 60 });
    let told =
        |late: &[i64]| {
            let (mut cleaner, mut out) = (Cleaner::new(&rules(), &intake()), Cleaned::default());
            link(&mut cleaner, -60, up(), &mut out);
            let mut steps = Vec::new();
            for minute in (0..140).filter(|minute| !late.contains(minute)) {
                // Out of reach up to the 80th minute, and then all of it within seconds.
                let received = if late.is_empty() || minute < 3 { minute } else { minute.max(80) };
                steps.push(Step::Fix(minute * MINUTE_MS, received * MINUTE_MS + minute, lat(minute)));
                if minute == 80 {
                    let late = late.iter().zip(1..);
                    let received = 80 * MINUTE_MS + 100;
                    steps.extend(late.map(|(minute, nth)| {
                        Step::Fix(minute * MINUTE_MS, received + nth * 50, lat(*minute))
                    }));
                }
            }
            steps.push(Step::Tick(150 * MINUTE_MS));
            run_with_restarts(&mut cleaner, &steps, &mut out);
            out.sightings.retain(|sighting| matches!(sighting.what, Seen::Motion { .. }));
            let (trips, count) = trips_of(&out.sightings);
            (trips.iter().map(|(from, until, _)| (*from, *until)).collect::<Vec<_>>(), count)
        };
    let in_order = told(&[]);
    assert_eq!(in_order, (vec![(5, 15), (40, 50), (65, 75), (100, 110)], 8));
    let [first, second]: [Vec<i64>; 2] = [(3..60).collect(), (63..80).collect()];
    let reversed = [&second, &first].map(|gap| gap.iter().rev().copied().collect::<Vec<_>>()).concat();
    for late in [[&first[..], &second].concat(), [&second[..], &first].concat(), reversed] {
        assert_eq!(told(&late), in_order, "{late:?}");
    }
}

/// Two days of a tracker that tells every two minutes, in order and at once: nothing is left out of that.
#[test]
fn what_comes_in_order_is_told_by_all_of_it_however_much_it_is() {
    let told = |at_once: bool| {
        let (mut cleaner, mut out) = (Cleaner::new(&rules(), &intake()), Cleaned::default());
        link(&mut cleaner, -60, up(), &mut out);
        let steps = (0..1440_i64).map(|nth| {
            // Half an hour out, faster and slower, six minutes there, half an hour back, and six minutes at home.
            let part = nth % 36;
            let (way, drives) =
                if part < 18 { (part.min(15), part < 15) } else { (33 - part.min(33), part < 33) };
            let way = way as f64 + if drives { 0.4 * (nth as f64).sin() } else { 0.0 };
            let minute = nth * 2;
            let received = if at_once && nth > 0 { 2880 * MINUTE_MS + nth } else { minute * MINUTE_MS };
            Step::Fix(minute * MINUTE_MS, received, 50.1 + way * 0.005)
        });
        let steps: Vec<Step> = steps.chain([Step::Tick(2890 * MINUTE_MS)]).collect();
        run_with_restarts(&mut cleaner, &steps, &mut out);
        out.sightings.retain(|sighting| matches!(sighting.what, Seen::Motion { .. }));
        trips_of(&out.sightings)
    };
    let (live, at_once) = (told(false), told(true));
    assert!(live.1 > 100, "{}", live.1);
    assert_eq!(at_once, live);
}

/// A broker is renamed, or its trackers moved to another, while one is on its way.
#[test]
fn a_trip_that_came_by_what_is_no_more_is_over_once_all_else_has_been_live_for_as_long() {
    let mut of_others = rules();
    of_others.tracker_sources = BTreeSet::from(["fleet".into(), "yard".into()]);
    let (mut cleaner, mut out) = (Cleaner::new(&rules(), &intake()), Cleaned::default());
    link(&mut cleaner, -60, up(), &mut out);
    arrives(&mut cleaner, None, &mut out);
    let mut other = restarted(&mut cleaner);
    other.set_rules(&of_others);
    let link = |minute: i64, source: &str, cleaner: &mut Cleaner, out: &mut Cleaned| {
        cleaner.link(&LinkChange { source: source.into(), at: at(minute * MINUTE_MS), state: up() }, out);
    };
    link(20, "fleet", &mut other, &mut out);
    run(&mut other, &[Step::Tick(300 * MINUTE_MS)], &mut out);
    assert_eq!(trips(&out).len(), 1, "what came by the other one may come yet");
    link(300, "yard", &mut other, &mut out);
    run(&mut other, &[Step::Tick(419 * MINUTE_MS)], &mut out);
    assert_eq!(trips(&out).len(), 1);
    run(&mut other, &[Step::Tick(421 * MINUTE_MS)], &mut out);
    assert_eq!(trips(&out)[1..], [(STOPPED.to_owned(), 420)]);
}
