//! Values that nobody reads any more.

use super::*;
use crate::config::{PointChecks, Reporting};
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
