//! A trip is over where nothing more comes of it, and nobody was silent who could not be heard.

use super::*;

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
