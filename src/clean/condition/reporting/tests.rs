//! A swinging door against what it promises: no good sample is further from the lines than the bound.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clean::condition::SensorPoint;

const WITHIN: f64 = 0.5;
const HEARTBEAT: Duration = Duration::from_secs(120);

fn checks(reporting: Reporting) -> PointChecks {
    PointChecks { reporting, heartbeat: HEARTBEAT, ..PointChecks::default() }
}

fn door() -> PointChecks {
    checks(Reporting::SwingingDoor { within: WITHIN })
}

fn point() -> SensorPoint {
    SensorPoint::new("d".into(), "p".into(), Arc::from([]))
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_micros(millis * 1000)
}

fn sample(millis: i64, value: f64, quality: Quality) -> Sample {
    let value = (quality != Quality::NoCommunication).then_some(value);
    Sample { device: "d".into(), point: "p".into(), observed_at: at(millis), value, text: None, quality }
}

/// What is told of a sample, and whether it is late.
fn take(point: &mut SensorPoint, sample: Sample, checks: &PointChecks) -> (Vec<Sample>, bool) {
    let mut seen = Vec::new();
    let late = point.take(sample, checks, &mut seen);
    (samples(seen), late)
}

fn samples(seen: Vec<Seen>) -> Vec<Sample> {
    let sample = |seen| if let Seen::Sample(sample) = seen { Some(sample) } else { None };
    seen.into_iter().filter_map(sample).collect()
}

/// How far the lines through what was told are from a sample.
fn error(told: &[Sample], of: &Sample) -> f64 {
    let value = of.value.unwrap();
    let ends = |pair: &[Sample]| {
        let [from, to] = [&pair[0], &pair[1]];
        let spans = from.observed_at <= of.observed_at && of.observed_at <= to.observed_at;
        let good = from.quality == Quality::Good && to.quality == Quality::Good;
        let (start, end) = from.value.zip(to.value).filter(|_| spans && good)?;
        let length = to.observed_at.since(from.observed_at).as_secs_f64();
        let part = of.observed_at.since(from.observed_at).as_secs_f64();
        let on_line = if length == 0.0 { end } else { start + (end - start) * part / length };
        Some((on_line - value).abs())
    };
    let is_it = |told: &&Sample| (told.observed_at, told.quality) == (of.observed_at, Quality::Good);
    let itself = told.iter().filter(is_it).filter_map(|told| Some((told.value? - value).abs()));
    told.windows(2).filter_map(ends).chain(itself).fold(f64::INFINITY, f64::min)
}

/// Of a sample: the time since the one before it (negative: it comes late), its value, its quality.
fn step() -> impl Strategy<Value = (i64, f64, Quality)> {
    let passed = prop_oneof![8 => 1..30_000i64, 1 => Just(0), 1 => 30_000..400_000i64, 1 => -60_000..0i64];
    let value = prop_oneof![6 => -2.0..2.0, 2 => -0.2..0.2, 1 => -1e6..1e6, 1 => Just(1e12)];
    let quality = prop_oneof![
        20 => Just(Quality::Good),
        1 => Just(Quality::NoCommunication),
        1 => Just(Quality::EngineeringUnitsExceeded)
    ];
    (passed, value, quality)
}

/// The steps as samples: values wander, for what jumps at every sample cannot be compressed.
fn walk(steps: &[(i64, f64, Quality)]) -> Vec<Sample> {
    let (mut now, mut value) = (1_000_000, 20.0);
    let taken = steps.iter().map(|(passed, change, quality)| {
        now += *passed.max(&0);
        value += change / 4.0;
        // What is far off is so once.
        let said = if change.abs() > 1e5 { *change } else { value };
        if change.abs() > 1e5 {
            value -= change / 4.0;
        }
        sample(now + passed.min(&0), said, *quality)
    });
    taken.collect()
}

/// All that is told of samples, and of those that came in time; what waits at the end is told too. `restarts`: after
/// these the row is written and read back.
fn run(taken: &[Sample], checks: &PointChecks, restarts: &[usize]) -> (Vec<Sample>, Vec<(Sample, bool)>) {
    run_with(taken, checks, restarts, restart)
}

fn restart(point: &mut SensorPoint) {
    let row = serde_json::to_vec(point).unwrap();
    assert!(row.len() < 800, "however much waits, the row has {} bytes", row.len());
    *point = serde_json::from_slice(&row).unwrap();
    point.restored(Arc::from([]));
}

/// Something happens behind some of the samples.
fn run_with(
    taken: &[Sample],
    checks: &PointChecks,
    behind: &[usize],
    happens: impl Fn(&mut SensorPoint),
) -> (Vec<Sample>, Vec<(Sample, bool)>) {
    let mut point = point();
    let (mut told, mut came) = (Vec::new(), Vec::new());
    for (place, sample) in taken.iter().enumerate() {
        let (now_told, late) = take(&mut point, sample.clone(), checks);
        came.push((sample.clone(), late));
        if late {
            assert_eq!(now_told, std::slice::from_ref(sample), "what is late is told as it comes");
        } else {
            told.extend(now_told);
        }
        if behind.contains(&place) {
            happens(&mut point);
        }
    }
    let mut seen = Vec::new();
    point.let_go(&mut seen);
    told.extend(samples(seen));
    (told, came)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_good_sample_is_further_from_the_lines_than_the_bound(
        steps in proptest::collection::vec(step(), 1..120),
        restarts in proptest::collection::vec(0..120usize, 0..4),
    ) {
        let taken = walk(&steps);
        let (told, came) = run(&taken, &door(), &restarts);
        for (sample, _) in came.iter().filter(|(sample, late)| !late && sample.quality == Quality::Good) {
            // Sums of floating point numbers are rounded: a few parts in 10^16 of the values.
            let largest = told.iter().filter_map(|told| told.value).fold(1.0, |most: f64, it| most.max(it.abs()));
            let error = error(&told, sample);
            prop_assert!(error <= WITHIN + 1e-14 * largest, "{error} at {sample:?} of {told:#?}");
        }
        prop_assert!(told.is_sorted_by_key(|told| told.observed_at), "{told:#?}");
        prop_assert!(told.iter().all(|told| taken.contains(told)), "what is told was measured");
    }

    /// Between two samples that were told there is no third, where they are further apart than a heartbeat.
    #[test]
    fn no_line_is_longer_than_a_heartbeat(steps in proptest::collection::vec(step(), 1..120)) {
        let (told, came) = run(&walk(&steps), &door(), &[]);
        let good = told.windows(2).filter(|pair| pair.iter().all(|told| told.quality == Quality::Good));
        for pair in good.filter(|pair| pair[1].observed_at.since(pair[0].observed_at) > HEARTBEAT) {
            let between = came.iter().filter(|(sample, late)| {
                !late && pair[0].observed_at < sample.observed_at && sample.observed_at < pair[1].observed_at
            });
            prop_assert_eq!(between.count(), 0, "{:?}", pair);
        }
    }

    /// As soon as the quality is another, that sample is told, and before it the last one of the old quality.
    #[test]
    fn a_change_of_quality_ends_a_line_at_once(steps in proptest::collection::vec(step(), 1..120)) {
        let taken = walk(&steps);
        let mut point = point();
        let mut before: Option<Sample> = None;
        let mut told = Vec::new();
        for sample in &taken {
            let (now_told, late) = take(&mut point, sample.clone(), &door());
            if late {
                continue;
            }
            let changed = before.as_ref().is_some_and(|before| before.quality != sample.quality);
            let (first, rest) = (now_told.first().cloned(), now_told.len());
            told.extend(now_told);
            if changed {
                prop_assert!(told.ends_with(std::slice::from_ref(sample)), "{:?}", sample);
                let ended = before.as_ref().filter(|before| before.quality == Quality::Good);
                if let Some(ended) = ended {
                    prop_assert!(told.contains(ended), "{ended:?}, of {rest}: {first:?}");
                }
            }
            before = Some(sample.clone());
        }
    }

    /// It is as if the connection had been lost: what was alike is forgotten. What a door holds back is not.
    #[test]
    fn a_restart_at_any_sample_is_a_loss_of_the_connection(
        steps in proptest::collection::vec(step(), 1..80),
        restarts in proptest::collection::vec(0..80usize, 1..20),
    ) {
        let taken = walk(&steps);
        for checks in [door(), checks(Reporting::Exception { deadband: WITHIN })] {
            let lost = run_with(&taken, &checks, &restarts, |point| point.heard_by(point.connection + 1));
            prop_assert_eq!(run(&taken, &checks, &restarts), lost);
        }
        let good: Vec<Sample> = taken.into_iter().filter(|sample| sample.quality == Quality::Good).collect();
        prop_assert_eq!(run(&good, &door(), &restarts).0, run(&good, &door(), &[]).0);
    }

    /// The rule may be changed at any time: what had come until then is within its bound.
    #[test]
    fn a_rule_that_changes_leaves_nothing_out(
        steps in proptest::collection::vec(step(), 2..80),
        change in any::<proptest::sample::Index>(),
        to_door in any::<bool>(),
    ) {
        let taken: Vec<Sample> = walk(&steps);
        let change = change.index(taken.len());
        let exact = checks(Reporting::Exception { deadband: 0.0 });
        let rules = if to_door { [exact, door()] } else { [door(), exact] };
        let mut point = point();
        let (mut told, mut came) = (Vec::new(), Vec::new());
        for (place, sample) in taken.iter().enumerate() {
            let (now_told, late) = take(&mut point, sample.clone(), &rules[usize::from(place >= change)]);
            if !late {
                told.extend(now_told);
                came.extend((sample.quality == Quality::Good).then_some(sample));
            }
        }
        let mut seen = Vec::new();
        point.let_go(&mut seen);
        told.extend(samples(seen));
        let largest = told.iter().filter_map(|told| told.value).fold(1.0, |most: f64, it| most.max(it.abs()));
        for sample in came {
            prop_assert!(error(&told, sample) <= WITHIN + 1e-14 * largest, "{sample:?} of {told:#?}");
        }
    }
}

/// A row is written for what is told, and for what a door holds back.
#[test]
fn what_is_alike_costs_no_write() {
    for (checks, writes) in [(checks(Reporting::Exception { deadband: WITHIN }), 3), (door(), 60)] {
        let mut point = point();
        let written = (0..60).filter(|second| {
            // The first, and one that leaves the deadband with the one before it.
            let value = if *second == 30 { 20.0 + 10.0 * WITHIN } else { 20.0 };
            take(&mut point, sample(second * 1000, value, Quality::Good), &checks);
            std::mem::take(&mut point.dirty)
        });
        assert_eq!(written.count(), writes);
    }
}

/// Seconds that are told of values a second apart.
fn told_of(checks: &PointChecks, values: impl IntoIterator<Item = f64>) -> Vec<i64> {
    let taken: Vec<Sample> =
        (0..).zip(values).map(|(second, value)| sample(second * 1000, value, Quality::Good)).collect();
    let mut point = point();
    let told = taken.iter().flat_map(|sample| take(&mut point, sample.clone(), checks).0);
    told.map(|told| told.observed_at.as_micros() / 1_000_000).collect()
}

#[test]
fn a_ramp_is_two_samples_a_heartbeat_and_by_exception_it_is_many() {
    let ramp = || (0..=240).map(|second| f64::from(second) * 0.1);
    assert_eq!(told_of(&door(), ramp()), [0, 120, 240]);
    let by_exception = told_of(&checks(Reporting::Exception { deadband: WITHIN }), ramp());
    assert!(by_exception.len() > 40, "{by_exception:?}");
}

#[test]
fn a_line_ends_at_the_sample_before_the_one_that_it_does_not_reach() {
    let corner = (0..=20).map(|second| if second <= 10 { 0.0 } else { f64::from(second - 10) });
    assert_eq!(told_of(&door(), corner), [0, 10]);
    let spike = [0.0, 0.1, 0.0, 9.0, 0.0, 0.1];
    assert_eq!(told_of(&door(), spike), [0, 2, 3, 4]);
    // What no number can measure any more is told.
    let beyond = [f64::MAX, -f64::MAX, f64::MAX, f64::MIN_POSITIVE, 0.0, f64::MIN_POSITIVE];
    assert_eq!(told_of(&door(), beyond), [0, 1, 2, 3]);
}

/// A row of a build that knew no doors.
#[test]
fn an_older_row_is_read() {
    let row = r#"{"device":"d","point":"p","last":{"at":1000000,"value":"1.5","quality":"good"},
        "held":{"at":2000000,"value":"1.5","quality":"good"},"judged":2000000,"limits":[]}"#;
    let mut point: SensorPoint = serde_json::from_str(row).unwrap();
    let (told, late) = take(&mut point, sample(3000, 1.5, Quality::Good), &door());
    assert!(!late);
    assert_eq!(
        told.iter().map(|told| told.observed_at).collect::<Vec<_>>(),
        [at(2000)],
        "what it held is told"
    );
}
