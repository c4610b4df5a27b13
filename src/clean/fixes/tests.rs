//! What becomes of single fixes, and of a tracker's row.

use super::*;
use crate::clean::TrackerStatus;
use crate::clean::clock::tests::{RULES as CLOCK, at};
use crate::clean::redelivery::CHUNK;

fn fix(second: i64, lat: f64) -> Fix {
    Fix {
        accuracy_m: Some(5.0),
        ..Fix::bare("truck".into(), at(second), Position { lat, lon: 8.0 }, Digest(second as u64))
    }
}

/// Each fix, received when it says, and what becomes of it: a reason, `late` or `ok`.
fn check(fixes: &[(Fix, &str)]) {
    let fences = FenceIndex::new(&[]);
    let tracker = TrackerRules { max_accuracy_m: 500.0, ..TrackerRules::default() };
    let horizon = Duration::from_secs(86_400);
    let via = "broker".into();
    let rules = FixRules { clock: &CLOCK, horizon, tracker: &tracker, fences: &fences, via: &via };
    let mut tracker = Tracker::default();
    let mut now = at(0);
    for (number, (fix, expect)) in fixes.iter().enumerate() {
        now = now.max(fix.observed_at.min(at(10_000)));
        let said = match tracker.take(fix.clone(), now, &rules) {
            Err(reason) => reason,
            Ok(accepted) if accepted.late => "late",
            Ok(_) => "ok",
        };
        assert_eq!(said, *expect, "fix {number}");
    }
}

/// The row of one that drives, with a full chunk: SQLite keeps 1,002 bytes of a row, with its
/// key, in the page of its neighbours.
#[test]
fn a_row_needs_no_page_of_its_own() {
    let rules = TrackerRules::default();
    let fences = FenceIndex::new(&[]);
    let (horizon, via) = (Duration::from_secs(86_400), "broker".into());
    let rules = FixRules { clock: &CLOCK, horizon, tracker: &rules, fences: &fences, via: &via };
    for (every, knows) in [(60, false), (1, true)] {
        let mut tracker = Tracker::default();
        for nth in 0..10 * CHUNK as i64 {
            let fix = fix(nth * every, 50.123_456_7 + nth as f64 * every as f64 * 0.000_123_4);
            let speed = knows.then_some(13.7);
            let fix = Fix { speed_mps: speed, course_deg: speed.map(|_| 359.9), odometer_m: speed, ..fix };
            let now = fix.observed_at;
            tracker.take(fix, now, &rules).unwrap();
        }
        assert_eq!(tracker.stands(), Some(false));
        let row = serde_json::to_vec(&tracker.row()).unwrap();
        assert!((700..920).contains(&row.len()), "{} bytes: {}", row.len(), String::from_utf8_lossy(&row));
    }
}

#[test]
fn a_message_delivered_again_is_a_duplicate_whatever_came_between() {
    check(&[
        (fix(0, 50.0), "ok"),
        (fix(0, 50.0), "duplicate"),
        (fix(60, 50.001), "ok"),
        (fix(0, 50.0), "duplicate"),
    ]);
}

#[test]
fn older_and_retained_fixes_are_late() {
    let retained = Fix { retained: true, ..fix(120, 50.0) };
    check(&[(fix(60, 50.0), "ok"), (fix(30, 50.0), "late"), (retained, "late"), (fix(90, 50.0), "ok")]);
}

#[test]
fn fixes_that_cannot_be_are_set_aside() {
    let null = Fix { position: Position { lat: 0.0, lon: 0.0 }, ..fix(1, 0.0) };
    let vague = Fix { accuracy_m: Some(501.0), ..fix(2, 50.0) };
    check(&[(null, "null-island"), (vague, "inaccurate"), (fix(3, 50.0), "ok")]);
}

#[test]
fn a_jump_is_believed_once_confirmed() {
    check(&[
        (fix(0, 50.0), "ok"),
        (fix(10, 51.0), "impossible-jump"),
        (fix(20, 50.0), "ok"),
        (fix(30, 51.0), "impossible-jump"),
        (fix(40, 52.0), "impossible-jump"),
        (fix(50, 52.001), "impossible-jump"),
        (fix(60, 52.002), "ok"),
        (fix(70, 52.003), "ok"),
    ]);
}

#[test]
fn what_accuracy_explains_is_no_jump() {
    let vague = |second, lat| Fix { accuracy_m: Some(400.0), ..fix(second, lat) };
    check(&[(vague(0, 50.0), "ok"), (vague(1, 50.007), "ok"), (fix(2, 50.02), "impossible-jump")]);
}

#[test]
fn a_clock_ahead_is_set_aside_until_it_is_seen_to_go_as_ours() {
    let ahead = |second: i64| fix(10_000 + 7200 + second, 50.0);
    check(&[
        (fix(10_000, 50.0), "ok"),
        (ahead(1), "clock-ahead"),
        (ahead(11), "clock-ahead"),
        // All of them are received in the same second: how old they are is not known.
        (ahead(21), "clock-ahead"),
    ]);
}

#[test]
fn a_row_brings_it_back() {
    let fences = FenceIndex::new(&[]);
    let rules = FixRules {
        clock: &CLOCK,
        horizon: Duration::from_secs(86_400),
        tracker: &TrackerRules::default(),
        fences: &fences,
        via: &"broker".into(),
    };
    let mut tracker = Tracker::default();
    let odd = Fix { speed_mps: Some(0.1 + 0.2), ..fix(0, 50.123_456_789_012_34) };
    assert!(tracker.take(odd, at(0), &rules).is_ok());
    assert!(tracker.take(fix(10, 60.0), at(10), &rules).is_err());
    let json = serde_json::to_vec(&tracker.row()).unwrap();
    let mut back = Tracker::restore(serde_json::from_slice(&json).unwrap(), Vec::new());
    assert_eq!((&back.last, &back.jump), (&tracker.last, &tracker.jump));
    assert_eq!(back.take(fix(0, 50.123_456_789_012_34), at(20), &rules).err(), Some(DUPLICATE));
}

/// What whoever looks for a tracker is told, and what a restart keeps of it.
#[test]
fn why_a_position_is_none_is_known_until_one_counts() {
    let (rules, fences) = (TrackerRules::default(), FenceIndex::new(&[]));
    let (horizon, via) = (Duration::from_secs(86_400), "broker".into());
    let rules = FixRules { clock: &CLOCK, horizon, tracker: &rules, fences: &fences, via: &via };
    let mut tracker = Tracker::default();
    let mut status = |fix: Fix| {
        let now = fix.observed_at;
        tracker.take(fix, now, &rules).ok();
        let row = serde_json::to_vec(&tracker.row()).unwrap();
        tracker = Tracker::restore(serde_json::from_slice(&row).unwrap(), Vec::new());
        assert_eq!(serde_json::to_vec(&tracker.row()).unwrap(), row);
        let status = TrackerStatus::of_row("truck", &row).unwrap();
        (status.heard_at, status.position_at, status.refused)
    };
    let vague = Fix { accuracy_m: Some(5000.0), ..fix(0, 50.0) };
    assert_eq!(status(vague), (at(0), None, Some(INACCURATE.to_owned())));
    assert_eq!(status(fix(60, 50.0)), (at(60), Some(at(60)), None));
    assert_eq!(status(fix(60, 50.0)).2, None, "the same again");
    let far = status(fix(61, 51.0));
    assert_eq!(far, (at(61), Some(at(60)), Some(IMPOSSIBLE_JUMP.to_owned())));
}
