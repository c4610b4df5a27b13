//! Strange codes and devices fill no memory: what is remembered is bounded, and what nobody was told of goes
//! in its time.

use super::*;
use crate::domain::state::StateKind;

fn strange(nth: u32) -> Epc {
    Epc::from_hex(&format!("e2000000000000000000{nth:08x}")).unwrap()
}

fn read(epc: Epc, antenna: Antenna, observed: i64) -> Reading {
    let Some(Reading::Tag(read)) = Step::Read("00", antenna, observed, observed).reading() else {
        unreachable!("a read")
    };
    Reading::Tag(TagRead { epc, ..read })
}

fn flood(cleaner: &mut Cleaner, antenna: Antenna, from: i64, count: u32, out: &mut Cleaned) {
    for nth in 0..count {
        let ms = from + i64::from(nth);
        cleaner.reading(read(strange(nth), antenna, ms), &"reader".into(), at(ms), out);
    }
}

fn limited(max_tags: usize) -> (Cleaner, Cleaned) {
    let mut cleaner = Cleaner::new(&rules(), &IntakeConfig { max_tags, ..intake() });
    let mut out = Cleaned::default();
    run(&mut cleaner, &[Step::Up(0), Step::Connected(0)], &mut out);
    out = Cleaned::default();
    (cleaner, out)
}

#[test]
fn a_new_tag_beyond_the_limit_is_set_aside_and_a_known_one_goes_on() {
    for antenna in [1, 2, 4] {
        let (mut cleaner, mut out) = limited(10);
        flood(&mut cleaner, antenna, 1000, 500, &mut out);
        assert_eq!(cleaner.tags, 10);
        assert_eq!((out.used, out.filtered.clone()), (10, vec![(crate::clean::TOO_MANY_TAGS, 490)]));
        // Known: used, and at the presence points enough for an arrival.
        cleaner.reading(read(strange(3), antenna, 1600), &"reader".into(), at(1600), &mut out);
        assert_eq!(out.used, 11);
        let arrived = out.sightings.iter().any(|sighting| matches!(sighting.what, Seen::Presence { .. }));
        assert_eq!(arrived, antenna != 2);
    }
}

#[test]
fn the_limit_holds_for_all_read_points_together_and_after_a_restart() {
    let (mut cleaner, mut out) = limited(10);
    flood(&mut cleaner, 1, 1000, 6, &mut out);
    flood(&mut cleaner, 2, 1100, 6, &mut out);
    assert_eq!((cleaner.tags, out.used), (10, 10));
    let rows = rows_of(&mut cleaner);
    let mut again = Cleaner::new(&rules(), &IntakeConfig { max_tags: 10, ..intake() });
    let rows = rows.into_iter().filter_map(|row| Some((row.kind, row.key, row.value?)));
    again.restore(rows).unwrap();
    assert_eq!(again.tags, 10);
    again.set_rules(&rules());
    assert_eq!(again.tags, 10);
    let mut fewer = rules();
    fewer.read_points.retain(|point| point.name != "dock".into());
    again.set_rules(&fewer);
    assert_eq!(again.tags, 6);
}

#[test]
fn there_is_room_again_when_what_was_heard_has_fallen_silent() {
    let (mut cleaner, mut out) = limited(10);
    flood(&mut cleaner, 1, 1000, 20, &mut out);
    assert_eq!(cleaner.tags, 10);
    run(&mut cleaner, &[Step::Tick(60_000)], &mut out);
    assert_eq!(cleaner.tags, 0);
    out = Cleaned::default();
    run(&mut cleaner, &[Step::Read("07", 1, 60_100, 60_200)], &mut out);
    assert_eq!((out.used, out.filtered), (1, vec![]));
}

/// The rack hears only with its reference tag, which is not there.
#[test]
fn candidates_of_a_read_point_that_does_not_hear_go_all_the_same() {
    let (mut cleaner, mut out) = limited(1000);
    flood(&mut cleaner, 4, 1000, 100, &mut out);
    // Enough reads for a presence: that one was told, and stays until it is known to be gone.
    cleaner.reading(read(strange(7), 4, 1200), &"reader".into(), at(1200), &mut out);
    assert_eq!(cleaner.tags, 100);
    run(&mut cleaner, &[Step::Read("07", 1, 10_000, 10_100)], &mut out);
    cleaner.tick(at(10_200), &mut out);
    assert_eq!(cleaner.points.iter().map(|point| point.windows.len()).sum::<usize>(), cleaner.tags);
    assert_eq!(cleaner.tags, 2, "the present one, and the one just heard elsewhere");
    let windows: Vec<_> =
        rows_of(&mut cleaner).into_iter().filter(|row| row.kind == StateKind::TagWindow).collect();
    assert_eq!(windows.len(), 2, "{windows:?}");
}

#[test]
fn candidates_of_a_source_that_is_gone_go_by_our_clock() {
    let (mut cleaner, mut out) = limited(1000);
    flood(&mut cleaner, 4, 1000, 100, &mut out);
    run(&mut cleaner, &[Step::Down(1200)], &mut out);
    assert_eq!(cleaner.tags, 100);
    let deadline = cleaner.next_deadline().expect("something is to be forgotten");
    assert!(deadline > at(3_600_000) && deadline < at(3_700_000), "{deadline}");
    run(&mut cleaner, &[Step::Tick(3_700_000)], &mut out);
    assert_eq!((cleaner.tags, cleaner.next_deadline()), (0, None));
    assert!(out.sightings.iter().all(|sighting| !matches!(sighting.what, Seen::Presence { .. })));
}

#[test]
fn a_new_tracker_beyond_the_limit_is_set_aside_and_a_known_one_goes_on() {
    let mut cleaner = Cleaner::new(&rules(), &IntakeConfig { max_trackers: 3, ..intake() });
    let mut out = Cleaned::default();
    for (nth, ms) in (0..10).zip(0..) {
        let fix = Fix { device: format!("a/{nth}").as_str().into(), ..fix(ms, 50.0) };
        cleaner.reading(Reading::Fix(fix), &"broker".into(), at(ms), &mut out);
    }
    assert_eq!((out.used, out.filtered.clone()), (3, vec![(crate::clean::TOO_MANY_TRACKERS, 7)]));
    let known = Fix { device: "a/1".into(), ..fix(2000, 50.0) };
    cleaner.reading(Reading::Fix(known), &"broker".into(), at(2000), &mut out);
    assert_eq!((out.used, cleaner.remembered().trackers), (4, 3));
}
