//! Samples in, episodes and qualities out.

use super::*;
use crate::config::{MaxChange, Reporting};
use crate::domain::alerts::Severity;
use crate::domain::sightings::Measure;

fn limit(kind: LimitKind, threshold: f64) -> LimitConfig {
    LimitConfig {
        device: "cold-room".into(),
        point: "temperature".into(),
        name: "limit".into(),
        kind,
        threshold,
        deadband: 1.0,
        on_delay: Duration::from_secs(10),
        off_delay: Duration::from_secs(5),
        severity: Severity::Warning,
    }
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

/// Samples (second, value; NaN is bad quality) → what is said, as words.
fn check(limit: LimitConfig, samples: &[(i64, f64)], expect: &[&str]) {
    let mut point = SensorPoint::new("cold-room".into(), "temperature".into(), Arc::from([limit]));
    let mut said = Vec::new();
    for (second, value) in samples {
        let (value, quality) = match value.is_nan() {
            true => (None, Quality::NoCommunication),
            false => (Some(*value), Quality::Good),
        };
        let (device, name) = (point.device.clone(), point.point.clone());
        let observed_at = at(*second);
        let sample = Sample { device, point: name, observed_at, value, text: None, quality };
        let mut seen = Vec::new();
        point.take(sample, &PointChecks::default(), &mut seen);
        said.extend(seen.iter().filter_map(|seen| words(*second, seen)));
    }
    assert_eq!(said, expect, "{samples:?}");
}

fn words(second: i64, seen: &Seen) -> Option<String> {
    let seconds = |at: Timestamp| at.as_micros() / 1_000_000;
    match seen {
        Seen::Condition(ConditionChange { change: Episode::Began { began_at, value, .. }, .. }) => {
            Some(format!("{second}: began {} at {value}", seconds(*began_at)))
        }
        Seen::Condition(ConditionChange {
            change: Episode::Ended { began_at, peak, peak_at, .. }, ..
        }) => Some(format!("{second}: ended {}, {peak} at {}", seconds(*began_at), seconds(*peak_at))),
        Seen::Quality { quality: Quality::Good, .. } => Some(format!("{second}: good")),
        Seen::Quality { .. } => Some(format!("{second}: bad")),
        _ => None,
    }
}

#[test]
fn an_excursion_is_one_episode_with_its_peak() {
    check(
        limit(LimitKind::High, 8.0),
        &[(0, 7.0), (5, 9.0), (10, 10.0), (15, 9.5), (20, 12.0), (25, 7.5), (30, 6.9), (34, 6.0), (35, 6.0)],
        &["15: began 5 at 9.5", "35: ended 5, 12 at 20"],
    );
}

#[test]
fn a_low_limit_is_the_mirror_image() {
    check(
        limit(LimitKind::Low, 2.0),
        &[(0, 1.5), (10, 1.0), (20, 2.5), (25, 3.0), (30, 3.5)],
        &["10: began 0 at 1", "30: ended 0, 1 at 10"],
    );
}

#[test]
fn what_comes_back_within_a_delay_is_nothing() {
    check(limit(LimitKind::High, 8.0), &[(0, 9.0), (9, 9.0), (10, 8.0), (11, 9.0), (20, 9.0)], &[]);
    check(
        limit(LimitKind::High, 8.0),
        &[(0, 9.0), (10, 9.0), (11, 6.0), (15, 7.5), (16, 6.0), (20, 6.0), (21, 6.0)],
        &["10: began 0 at 9", "21: ended 0, 9 at 0"],
    );
}

#[test]
fn bad_quality_neither_begins_nor_ends() {
    let bad = f64::NAN;
    check(
        limit(LimitKind::High, 8.0),
        &[(0, 9.0), (10, bad), (11, bad), (12, 9.0), (13, bad), (60, bad), (61, 6.0), (66, 6.0)],
        &["10: bad", "12: good", "12: began 0 at 9", "13: bad", "61: good", "66: ended 0, 9 at 0"],
    );
}

/// The times of the samples that are said, each in the second in which it is said.
fn said_of(checks: PointChecks, values: impl IntoIterator<Item = f64>) -> Vec<(i64, i64)> {
    let mut point = SensorPoint::new("d".into(), "p".into(), Arc::from([]));
    let mut said = Vec::new();
    for (second, value) in (0..).zip(values) {
        let (device, name) = (point.device.clone(), point.point.clone());
        let (value, observed_at) = (Some(value), at(second));
        let quality = Quality::Good;
        let sample = Sample { device, point: name, observed_at, value, text: None, quality };
        let mut seen = Vec::new();
        assert!(!point.take(sample, &checks, &mut seen));
        said.extend(seen.iter().filter_map(|seen| match seen {
            Seen::Sample(sample) => Some((second, sample.observed_at.as_micros() / 1_000_000)),
            _ => None,
        }));
    }
    said
}

#[test]
fn samples_are_said_by_exception_and_before_a_change_the_one_before_it() {
    let values = (0..150).map(|second| if second < 20 { 1.0 } else { 2.0 });
    let said = said_of(PointChecks::default(), values);
    assert_eq!(said, [(0, 0), (20, 19), (20, 20), (80, 80), (140, 140)]);
    let every = said_of(PointChecks::default(), (0..4).map(f64::from));
    assert_eq!(every, [(0, 0), (1, 1), (2, 2), (3, 3)], "nothing was held back");
}

#[test]
fn changes_within_the_deadband_are_not_said() {
    let checks = PointChecks { reporting: Reporting::Exception { deadband: 0.5 }, ..PointChecks::default() };
    let said = said_of(checks, [1.0, 1.25, 1.5, 0.75, 1.75, 2.0, 3.0]);
    assert_eq!(said, [(0, 0), (4, 3), (4, 4), (6, 5), (6, 6)]);
}

#[test]
fn a_value_that_is_not_believed_moves_no_limit() {
    let rules = Arc::from([limit(LimitKind::High, 8.0)]);
    let mut point = SensorPoint::new("cold-room".into(), "temperature".into(), rules);
    let checks =
        PointChecks { max_change: Some(MaxChange { per_second: 0.1, step: 0.0 }), ..PointChecks::default() };
    let mut told = Vec::new();
    for (second, value) in [(0, 4.0), (10, 40.0), (20, 5.0), (30, 5.5)] {
        let (device, name) = (point.device.clone(), point.point.clone());
        let (observed_at, value, quality) = (at(second), Some(value), Quality::Good);
        let sample = Sample { device, point: name, observed_at, value, text: None, quality };
        let mut seen = Vec::new();
        point.take(sample, &checks, &mut seen);
        told.extend(seen.iter().filter_map(|seen| words(second, seen)));
    }
    assert_eq!(told, ["10: bad", "20: good"]);
}

#[test]
fn an_older_sample_is_late_and_moves_nothing() {
    let mut point = SensorPoint::new("d".into(), "p".into(), Arc::from([limit(LimitKind::High, 8.0)]));
    let sample = |second, value| Sample {
        device: "d".into(),
        point: "p".into(),
        observed_at: at(second),
        value: Some(value),
        text: None,
        quality: Quality::Good,
    };
    let mut seen = Vec::new();
    assert!(!point.take(sample(10, 7.0), &PointChecks::default(), &mut seen));
    let before = point.clone();
    assert!(point.take(sample(5, 9.0), &PointChecks::default(), &mut seen));
    assert_eq!((point.last, point.judged, point.limits), (before.last, before.judged, before.limits));
}

/// Samples a minute apart → the episodes, with how long they were over.
fn episodes(limit: LimitConfig, values: &[f64]) -> Vec<Episode> {
    let mut point = SensorPoint::new("cold-room".into(), "temperature".into(), Arc::from([limit]));
    let mut seen = Vec::new();
    for (minute, value) in (0..).zip(values) {
        let good = value.is_finite();
        let quality = if good { Quality::Good } else { Quality::NoCommunication };
        let (device, name) = (point.device.clone(), point.point.clone());
        let observed_at = at(minute * 60);
        let value = good.then_some(*value);
        let sample = Sample { device, point: name, observed_at, value, text: None, quality };
        point.take(sample, &PointChecks::default(), &mut seen);
    }
    let episode = |seen: &Seen| match seen {
        Seen::Condition(ConditionChange { change, .. }) => Some(*change),
        _ => None,
    };
    seen.iter().filter_map(episode).collect()
}

#[test]
fn a_rate_is_over_its_limit_however_low_the_value_is() {
    const OVER: Duration = Duration::from_secs(180);
    let rule = |kind| LimitConfig {
        deadband: 0.2,
        on_delay: Duration::ZERO,
        off_delay: Duration::ZERO,
        ..limit(kind, 1.0)
    };
    // 0.5 a minute, then 2, then none.
    let rises = [-20.0, -19.5, -19.0, -18.5, -16.5, -14.5, -12.5, -12.5, -12.5, -12.5, -12.5];
    let told = |episodes: &[Episode]| match episodes {
        [
            Episode::Began { began_at, value, threshold, measure },
            Episode::Ended { peak, peak_at, measure: of, over_s, .. },
        ] => {
            assert_eq!((measure, *threshold), (of, 1.0));
            let minute = |at: &Timestamp| at.as_micros() / 60_000_000;
            (minute(began_at), *value, *peak, minute(peak_at), *over_s, *measure)
        }
        other => panic!("{other:?}"),
    };
    // Over three minutes: 1.0 in the fourth, 1.5, 2.0 in the sixth, then 1.33, 0.67.
    let expected = (5, 1.5, 2.0, 6, Some(180.0));
    let (began, value, peak, peak_at, over, measure) =
        told(&episodes(rule(LimitKind::Rise { over: OVER }), &rises));
    assert_eq!(((began, value, peak, peak_at, over), measure), (expected, Measure::Rise));
    let falls = rises.map(|value| -value);
    let (began, value, peak, peak_at, over, measure) =
        told(&episodes(rule(LimitKind::Fall { over: OVER }), &falls));
    assert_eq!(((began, value, peak, peak_at, over), measure), (expected, Measure::Fall));
    assert!(episodes(rule(LimitKind::Fall { over: OVER }), &rises).is_empty());
    // One wrong value is a rise of a third of it over the window, and one that fails tells nothing.
    assert!(
        episodes(rule(LimitKind::Rise { over: OVER }), &[0.0, 0.0, 0.0, 2.9, 0.0, f64::NAN, 2.9, 0.0])
            .is_empty()
    );
}

#[test]
fn time_over_is_what_was_seen_to_be_over() {
    let rule = LimitConfig {
        on_delay: Duration::from_secs(60),
        off_delay: Duration::from_secs(120),
        ..limit(LimitKind::High, 8.0)
    };
    let over = |values: &[f64]| match episodes(rule.clone(), values)[..] {
        [Episode::Began { .. }, Episode::Ended { over_s, .. }] => over_s.unwrap(),
        ref other => panic!("{other:?}"),
    };
    assert_eq!(over(&[9.0, 9.0, 9.0, 5.0, 5.0, 5.0]), 180.0, "a value holds until the next");
    assert_eq!(over(&[9.0, 9.0, 7.5, 7.5, 9.0, 5.0, 5.0, 5.0]), 180.0, "within the deadband it is not over");
    assert_eq!(
        over(&[9.0, 9.0, f64::NAN, f64::NAN, 9.0, 5.0, 5.0, 5.0]),
        120.0,
        "what nobody saw does not count"
    );
}

/// A good sample; what is told of it.
fn take(point: &mut SensorPoint, second: i64, value: f64, checks: &PointChecks) -> Vec<Seen> {
    let (device, name) = (point.device.clone(), point.point.clone());
    let (observed_at, value, quality) = (at(second), Some(value), Quality::Good);
    let sample = Sample { device, point: name, observed_at, value, text: None, quality };
    let mut seen = Vec::new();
    point.take(sample, checks, &mut seen);
    seen
}

/// An excursion of a minute, and another minute behind a gap that `meanwhile` makes; a value that would be dead after five.
fn over_with_a_gap(meanwhile: impl Fn(&mut SensorPoint)) -> (f64, Vec<Quality>) {
    let rule = LimitConfig { off_delay: Duration::ZERO, ..limit(LimitKind::High, 8.0) };
    let checks = PointChecks {
        stale_after: Some(Duration::from_secs(60)),
        flat_after: Some(Duration::from_secs(300)),
        ..PointChecks::default()
    };
    let mut point = SensorPoint::new("cold-room".into(), "temperature".into(), Arc::from([rule]));
    let mut seen = Vec::new();
    for second in [0, 20, 40, 60] {
        seen.extend(take(&mut point, second, 9.0, &checks));
    }
    meanwhile(&mut point);
    for (second, value) in [(3600, 9.0), (3620, 9.0), (3640, 9.0), (3660, 5.0)] {
        seen.extend(take(&mut point, second, value, &checks));
    }
    let over = seen.iter().find_map(|seen| match seen {
        Seen::Condition(ConditionChange { change: Episode::Ended { over_s, .. }, .. }) => *over_s,
        _ => None,
    });
    let quality = |seen: &Seen| match seen {
        Seen::Quality { quality, .. } => Some(*quality),
        _ => None,
    };
    (over.unwrap(), seen.iter().filter_map(quality).collect())
}

#[test]
fn what_passes_while_we_are_away_or_set_our_clock_is_neither_over_nor_flat() {
    let unseen = (120.0, Vec::new());
    assert_eq!(over_with_a_gap(|_| {}), unseen, "longer than a value stands");
    let restart = |point: &mut SensorPoint| {
        let rules = point.rules.clone();
        *point = serde_json::from_slice(&serde_json::to_vec(point).unwrap()).unwrap();
        point.restored(rules);
    };
    assert_eq!(over_with_a_gap(restart), unseen);
}

#[test]
fn a_restart_or_another_connection_within_a_few_polls_is_a_gap_too() {
    let rule =
        LimitConfig { off_delay: Duration::ZERO, on_delay: Duration::ZERO, ..limit(LimitKind::High, 8.0) };
    let rules: Arc<[LimitConfig]> = Arc::from([rule]);
    let mut point = SensorPoint::new("cold-room".into(), "temperature".into(), rules.clone());
    let checks = PointChecks::default();
    take(&mut point, 0, 9.0, &checks);
    take(&mut point, 10, 9.5, &checks);
    point = serde_json::from_slice(&serde_json::to_vec(&point).unwrap()).unwrap();
    point.restored(rules);
    point.heard_by(1);
    take(&mut point, 40, 9.0, &checks);
    let seen = take(&mut point, 50, 5.0, &checks);
    let over = |seen: &Seen| match seen {
        Seen::Condition(ConditionChange { change: Episode::Ended { over_s, .. }, .. }) => *over_s,
        _ => None,
    };
    assert_eq!(seen.iter().find_map(over), Some(20.0), "ten seconds before it, ten behind it");
}
