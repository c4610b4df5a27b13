//! Values that nobody reads any more.

use super::*;
use crate::config::{LimitConfig, LimitKind, PointChecks, Reporting};
use crate::domain::alerts::Severity;
use crate::domain::readings::Quality;
use crate::domain::state::StateKind;

/// `temperature` of the cold room goes stale after a minute.
fn stale_after_a_minute() -> Rules {
    let checks = PointChecks {
        stale_after: Some(Duration::from_secs(60)),
        reporting: Reporting::Exception { deadband: 1.0 },
        ..PointChecks::default()
    };
    Rules { checks: [((COLD.into(), "temperature".into()), checks)].into(), ..rules() }
}

const COLD: &str = "cold-room";

fn sample(second: i64, value: Option<f64>) -> Reading {
    let quality = if value.is_some() { Quality::Good } else { Quality::NoCommunication };
    let (device, point) = (COLD.into(), "temperature".into());
    Reading::Sample(Sample { device, point, observed_at: at(second * 1000), value, text: None, quality })
}

/// Samples (second, value) of the source `cold`, then the clock, each second in turn or at once → what is told.
fn told(
    cleaner: &mut Cleaner,
    samples: &[(i64, Option<f64>)],
    ticks: impl IntoIterator<Item = i64>,
) -> Vec<String> {
    let mut out = Cleaned::default();
    for (second, value) in samples {
        cleaner.reading(sample(*second, *value), &"cold".into(), at(second * 1000), &mut out);
    }
    ticks.into_iter().for_each(|second| cleaner.tick(at(second * 1000), &mut out));
    lines(&out)
}

fn lines(out: &Cleaned) -> Vec<String> {
    let line = |sighting: &Sighting| {
        let second = sighting.observed_at.since(at(0)).as_secs();
        match &sighting.what {
            Seen::Sample(sample) => format!("{second} {:?}", sample.value),
            Seen::Quality { quality, .. } => format!("{second} {quality:?} of {}", sighting.source),
            other => format!("{other:?}"),
        }
    };
    out.sightings.iter().map(line).collect()
}

#[test]
fn a_value_that_is_not_read_goes_stale_when_it_is_due_however_the_clock_comes() {
    for ticks in [vec![69, 70, 71, 500], vec![500]] {
        let mut cleaner = Cleaner::new(&stale_after_a_minute(), &intake());
        let found = told(&mut cleaner, &[(0, Some(5.0)), (10, Some(5.5))], ticks);
        assert_eq!(
            found,
            ["0 Some(5.0)", "10 Some(5.5)", "70 Stale of cold"],
            "what was held back is told with it"
        );
        assert_eq!((cleaner.stale_points(), cleaner.next_deadline()), (1, None));
        let found = told(&mut cleaner, &[(600, Some(5.5))], []);
        assert_eq!(found, ["600 Good of cold", "600 Some(5.5)"]);
        assert_eq!(cleaner.stale_points(), 0);
        assert_eq!(told(&mut cleaner, &[], [660]), ["660 Stale of cold"], "and once more");
    }
}

#[test]
fn what_is_read_is_not_stale_and_what_is_bad_stays_bad() {
    let mut cleaner = Cleaner::new(&stale_after_a_minute(), &intake());
    for minute in 0..60 {
        let (second, value) = (minute * 59, Some(5.0));
        let found = told(&mut cleaner, &[(second, value)], [second]);
        assert!(found.iter().all(|line| line.ends_with("Some(5.0)")), "{found:?}");
    }
    let bad = ["3500 NoCommunication of cold", "3481 Some(5.0)", "3500 None"];
    assert_eq!(told(&mut cleaner, &[(3500, None)], [5000]), bad);
    assert_eq!(cleaner.stale_points(), 0);
}

/// The journal was full, and we threw away what the device said.
#[test]
fn while_we_throw_answers_away_nothing_goes_stale() {
    let mut cleaner = Cleaner::new(&stale_after_a_minute(), &intake());
    told(&mut cleaner, &[(0, Some(5.0))], []);
    cleaner.dropped(&"cold".into());
    assert!(told(&mut cleaner, &[], [60, 100]).is_empty());
    cleaner.dropped(&"elsewhere".into());
    assert_eq!(told(&mut cleaner, &[], [120]), ["120 Stale of cold"]);
}

#[test]
fn after_a_restart_what_should_be_read_has_its_time_and_what_nobody_reads_is_stale_at_once() {
    let mut cleaner = Cleaner::new(&stale_after_a_minute(), &intake());
    told(&mut cleaner, &[(0, Some(5.0))], []);
    let rows: Vec<_> =
        rows_of(&mut cleaner).into_iter().filter_map(|row| Some((row.kind, row.key, row.value?))).collect();
    let restarted = |rules: &Rules| {
        let mut cleaner = Cleaner::new(rules, &intake());
        cleaner.restore(rows.clone().into_iter()).unwrap();
        let mut out = Cleaned::default();
        cleaner.started(at(1_000_000), &mut out);
        (lines(&out), cleaner)
    };
    let (at_once, mut cleaner) = restarted(&stale_after_a_minute());
    assert!(at_once.is_empty(), "{at_once:?}");
    assert!(told(&mut cleaner, &[], [1059]).is_empty());
    assert_eq!(told(&mut cleaner, &[], [1060]), ["1060 Stale of cold-room"]);
    let again = rows_of(&mut cleaner);
    assert!(
        again.iter().any(|row| row.kind == StateKind::SensorPoint),
        "it is told once, also over a restart"
    );
    let (at_once, _) = restarted(&rules());
    assert_eq!(at_once, ["1000 Stale of cold-room"]);
}

/// Whoever takes out a limit, or the point itself, does not leave an excursion open for ever.
#[test]
fn an_excursion_over_a_limit_that_is_no_more_ends_with_it() {
    let limited = || {
        let limit = LimitConfig {
            device: COLD.into(),
            point: "temperature".into(),
            name: "hi".into(),
            kind: LimitKind::High,
            threshold: 8.0,
            deadband: 0.5,
            on_delay: Duration::ZERO,
            off_delay: Duration::ZERO,
            severity: Severity::Warning,
        };
        Rules { limits: vec![limit], ..stale_after_a_minute() }
    };
    let exceeded = || {
        let mut cleaner = Cleaner::new(&limited(), &intake());
        let found = told(&mut cleaner, &[(0, Some(9.0)), (10, Some(11.0)), (20, Some(10.0))], []);
        assert_eq!(found.iter().filter(|line| line.contains("Began")).count(), 1, "{found:?}");
        cleaner
    };
    let ended = |found: &[String]| -> Vec<String> {
        found.iter().filter(|line| line.contains("Ended")).cloned().collect()
    };
    // While it runs: with the next tick, once.
    let mut cleaner = exceeded();
    cleaner.set_rules(&stale_after_a_minute());
    assert_eq!(cleaner.next_deadline(), Some(Timestamp::MIN));
    let told_of = ended(&told(&mut cleaner, &[], [21, 22]));
    assert!(told_of.len() == 1 && told_of[0].contains("peak: 11.0"), "{told_of:?}");
    assert!(ended(&told(&mut cleaner, &[(30, Some(5.0))], [31])).is_empty());
    // With the next sample, now, though that one is late.
    let (mut cleaner, mut out) = (exceeded(), Cleaned::default());
    cleaner.set_rules(&stale_after_a_minute());
    cleaner.reading(sample(15, Some(9.0)), &"cold".into(), at(25_000), &mut out);
    let said: Vec<_> = out.sightings.iter().map(|said| (said.observed_at, said.late)).collect();
    assert_eq!(said, [(at(25_000), false), (at(15_000), true)]);
    // Put back before the tick: as if nothing had been.
    let mut cleaner = exceeded();
    cleaner.set_rules(&stale_after_a_minute());
    cleaner.set_rules(&limited());
    assert!(ended(&told(&mut cleaner, &[], [21])).is_empty());
    assert_eq!(ended(&told(&mut cleaner, &[(30, Some(5.0))], [])).len(), 1);
    // Over a restart: the limit, as soon as its point is read; the point, at once.
    for (rules, samples) in [(stale_after_a_minute(), &[(40, Some(10.0))][..]), (rules(), &[])] {
        let mut before = exceeded();
        let rows = rows_of(&mut before).into_iter().filter_map(|row| Some((row.kind, row.key, row.value?)));
        let mut cleaner = Cleaner::new(&Rules { limits: vec![], ..rules }, &intake());
        cleaner.restore(rows).unwrap();
        cleaner.started(at(35_000), &mut Cleaned::default());
        cleaner.follow_class(&COLD.into(), &[]);
        let told_of = ended(&told(&mut cleaner, samples, [41]));
        assert!(told_of.len() == 1 && told_of[0].contains("peak: 11.0"), "{told_of:?}");
    }
}
