//! A window that is learned for each tag: who leaves is told sooner where it was well read, and nobody flaps.

use super::*;
use crate::domain::sightings::PresenceChange;
use Step::{Connected, Down, Read, Tick, Up};

const MINUTE: i64 = 60_000;

/// The crib learns, between one second and two minutes.
fn learning() -> Rules {
    let mut rules = rules();
    let crib = &mut rules.read_points[0];
    crib.hearing_timeout = seconds(600);
    if let ReadPointKind::Presence { lost_after, lost_after_min, observed_within, .. } = &mut crib.kind {
        (*lost_after_min, *lost_after, *observed_within) = (seconds(1), seconds(120), seconds(20));
    }
    rules
}

/// Reads of a tag every so often, from and to a time.
fn stays(tag: &'static str, every: i64, from: i64, to: i64) -> Vec<Step> {
    (from..to).step_by(every as usize).map(|ms| Read(tag, 1, ms, ms + 20)).collect()
}

/// Who left, and how long after its last read that was known.
fn leavings(mut steps: Vec<Step>) -> Vec<(String, i64)> {
    steps.sort_by_key(Step::at);
    let mut cleaner = Cleaner::new(&learning(), &intake());
    let mut out = Cleaned::default();
    run(&mut cleaner, &steps, &mut out);
    let left = out.sightings.iter().filter_map(|sighting| match &sighting.what {
        Seen::Presence { epc, change: PresenceChange::Departed, .. } => {
            let known_after = sighting.received_at.micros_after(sighting.observed_at) / 1000;
            Some((epc.to_string()[20..].to_owned(), known_after))
        }
        _ => None,
    });
    left.collect()
}

#[test]
fn what_is_well_read_is_told_to_have_left_sooner() {
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(stays("01", 250, 1000, 20 * MINUTE));
    steps.extend(stays("02", 9000, 1000, 20 * MINUTE));
    steps.extend(stays("03", 500, 1000, 25 * MINUTE));
    let left = leavings(steps);
    let names: Vec<_> = left.iter().map(|(tag, _)| tag.as_str()).collect();
    assert_eq!(names, ["01", "02"], "once each: {left:?}");
    assert!(left[0].1 < 5_500 && left[1].1 > 45_000 && left[1].1 <= 121_000, "{left:?}");
}

#[test]
fn of_what_has_just_come_nothing_is_known_and_it_has_the_longest_time() {
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(stays("01", 250, 1000, 3000));
    steps.extend(stays("03", 500, 1000, 4 * MINUTE));
    let left = leavings(steps);
    assert!(left.len() == 1 && left[0].1 > 70_000, "{left:?}");
}

#[test]
fn a_silence_that_nobody_could_hear_is_not_learned() {
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(stays("01", 250, 1000, 20 * MINUTE));
    steps.extend(stays("03", 500, 1000, 20 * MINUTE));
    steps.extend([Down(20 * MINUTE), Tick(30 * MINUTE), Up(40 * MINUTE), Connected(40 * MINUTE)]);
    steps.extend(stays("01", 250, 40 * MINUTE + 500, 40 * MINUTE + 3000));
    steps.extend(stays("03", 500, 40 * MINUTE + 500, 42 * MINUTE));
    let left = leavings(steps);
    assert!(left.len() == 1 && left[0].0 == "01" && left[0].1 < 5_500, "{left:?}");
}

#[test]
fn rows_of_builds_that_learned_nothing_are_read_and_written_as_they_were() {
    let row = r#"{"presence":{"last":1700000000000000,"stage":{"present":{"refreshed":1700000000000000}}}}"#;
    let window: super::super::windows::Window = serde_json::from_str(row).unwrap();
    assert_eq!(serde_json::to_string(&window).unwrap(), row);
}
