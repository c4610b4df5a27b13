//! Behaviour of the stage, a table a behaviour.

use super::*;
use Step::{Antenna as Cable, Connected, Down, Fix as At, Read, Replaying, Sample as Value, Tick, Up};

/// Runs the steps and compares the sightings' lines, and that the books balance.
fn check(steps: &[Step], expect: &[&str]) {
    let mut cleaner = Cleaner::new(&rules(), &intake());
    let mut out = Cleaned::default();
    run(&mut cleaner, steps, &mut out);
    let lines: Vec<_> = out.sightings.iter().map(line).collect();
    assert_eq!(lines, expect, "{steps:#?}");
    let readings = steps.iter().filter(|step| step.reading().is_some()).count() as u64;
    assert_eq!(out.used + out.filtered.iter().map(|(_, count)| count).sum::<u64>(), readings);
}

const UP: &str = "0 link up live (connected)";

/// Reads of a tag every 250 ms.
fn stay(tag: &'static str, antenna: Antenna, from: i64, to: i64) -> Vec<Step> {
    let times = (from..to).step_by(250);
    times.map(|ms| Read(tag, antenna, ms, ms + 20)).collect()
}

#[test]
fn a_tag_arrives_is_refreshed_and_departs() {
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(stay("01", 1, 1000, 40_000));
    steps.extend(stay("02", 1, 40_000, 60_000));
    check(
        &steps,
        &[
            UP,
            "1000 crib hears",
            "1000 01 Arrived crib",
            "31250 01 Refreshed crib",
            "40000 02 Arrived crib",
            "39750 01 Departed crib",
        ],
    );
}

#[test]
fn one_read_is_no_presence() {
    check(
        &[Up(0), Connected(0), Read("01", 1, 1000, 1010), Tick(20_000)],
        &[UP, "1000 crib hears", "1000 reader/1 is silent (Traffic)", "11000 crib is deaf"],
    );
}

#[test]
fn silence_is_no_evidence_while_the_link_is_down() {
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(stay("01", 1, 1000, 3000));
    steps.extend([Down(4000), Tick(100_000), Up(200_000), Connected(200_000)]);
    steps.extend(stay("02", 1, 200_500, 208_000));
    check(
        &steps,
        &[
            UP,
            "1000 crib hears",
            "1000 01 Arrived crib",
            "4000 link down - (cut)",
            "4000 crib is deaf",
            "200000 link up live (connected)",
            "200500 crib hears",
            "200500 02 Arrived crib",
            // Its full time again, from when the crib hears.
            "2750 01 Departed crib",
        ],
    );
}

#[test]
fn silence_of_all_is_deafness_before_it_is_departure() {
    let mut rules = rules();
    rules.read_points[0].hearing_timeout = seconds(3);
    let mut cleaner = Cleaner::new(&rules, &intake());
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(stay("01", 1, 1000, 3000));
    steps.push(Tick(1_000_000));
    let mut out = Cleaned::default();
    run(&mut cleaner, &steps, &mut out);
    let lines: Vec<_> = out.sightings.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            UP,
            "1000 crib hears",
            "1000 01 Arrived crib",
            "2750 reader/1 is silent (Traffic)",
            "5750 crib is deaf"
        ]
    );
}

#[test]
fn what_was_held_is_judged_by_its_own_time() {
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(stay("01", 1, 1000, 3000));
    steps.extend([Down(3100), Replaying(100_000), Connected(100_000)]);
    // The reader went on reading: tag 1 until 20 s, tag 2 all the time.
    for ms in (3_500..99_000).step_by(500) {
        if ms < 20_000 {
            steps.push(Read("01", 1, ms, 100_050));
        }
        steps.push(Read("02", 1, ms, 100_050));
    }
    steps.push(Tick(102_000));
    check(
        &steps,
        &[
            UP,
            "1000 crib hears",
            "1000 01 Arrived crib",
            "3100 link down - (cut)",
            "3100 crib is deaf",
            "100000 link up - (connected, catching up)",
            "3500 02 Arrived crib",
            "19500 01 Departed crib",
            "34000 02 Refreshed crib",
            "64000 02 Refreshed crib",
            "94000 02 Refreshed crib",
            "100050 link up live (caught up)",
            "100050 crib hears",
        ],
    );
}

#[test]
fn what_passed_while_it_was_held_is_told_before_nothing_is_held_any_more() {
    let mut steps = vec![Up(0), Connected(0), Down(100), Replaying(100_000), Connected(100_000)];
    let mut reads = stay("01", 3, 51_000, 53_000);
    reads.extend(stay("01", 2, 52_900, 55_000));
    reads.push(Read("02", 1, 99_950, 100_050));
    reads.sort_by_key(|read| if let Read(_, _, observed, _) = read { *observed } else { 0 });
    for read in reads {
        if let Read(tag, antenna, observed, _) = read {
            steps.push(Read(tag, antenna, observed, 100_050));
        }
    }
    steps.push(Tick(130_000));
    let mut cleaner = Cleaner::new(&rules(), &intake());
    let mut out = Cleaned::default();
    run(&mut cleaner, &steps, &mut out);
    let lines: Vec<_> = out.sightings.iter().map(line).collect();
    let place = |what: &str| lines.iter().position(|line| line.contains(what));
    let (passes, caught_up) = (place("passes dock In"), place("caught up"));
    assert!(passes.is_some() && caught_up.is_some() && passes < caught_up, "{lines:#?}");
}

#[test]
fn a_passage_has_its_direction_and_comes_once() {
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(stay("01", 3, 1000, 3000));
    steps.extend(stay("01", 2, 2900, 5000));
    steps.sort_by_key(Step::at);
    steps.push(Tick(60_000));
    check(&steps, &[UP, "1000 dock hears", "3200 01 passes dock In", "14900 dock is deaf"]);
}

#[test]
fn a_tag_on_one_side_does_not_pass() {
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(stay("01", 3, 1000, 3000));
    steps.push(Tick(10_000));
    check(&steps, &[UP, "1000 dock hears"]);
}

#[test]
fn a_reference_tag_is_the_only_hearing_and_no_presence() {
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(stay("01", 4, 1000, 3000));
    steps.extend(stay("ee", 4, 3000, 12_000));
    steps.extend(stay("ee", 1, 12_000, 13_000));
    check(
        &steps,
        &[
            UP,
            "1000 01 Arrived rack",
            "3000 rack hears",
            // Deaf until 3 s: its time counts from there.
            "2750 01 Departed rack",
            "12000 crib hears",
        ],
    );
}

#[test]
fn a_cut_antenna_deafens_its_read_point() {
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(stay("01", 1, 1000, 2000));
    steps.extend([
        Cable(1, false, 3000),
        Tick(60_000),
        Cable(1, true, 61_000),
        Read("02", 1, 62_000, 62_010),
    ]);
    steps.extend(stay("02", 1, 62_250, 69_000));
    check(
        &steps,
        &[
            UP,
            "1000 crib hears",
            "1000 01 Arrived crib",
            "3000 reader/1 is silent (Disconnected)",
            "3000 crib is deaf",
            "61000 reader/1 hears again",
            "62000 crib hears",
            "62000 02 Arrived crib",
            "1750 01 Departed crib",
        ],
    );
}

#[test]
fn an_antenna_that_nothing_uses_is_counted() {
    let mut cleaner = Cleaner::new(&rules(), &intake());
    let mut out = Cleaned::default();
    run(&mut cleaner, &[Up(0), Connected(0), Read("01", 9, 10, 20)], &mut out);
    assert_eq!((out.used, out.filtered), (1, vec![("unassigned-antenna", 1)]));
}

#[test]
fn fixes_enter_and_leave_and_late_ones_do_not() {
    check(
        &[
            At(0, 100, 50.01),
            At(10_000, 10_100, 50.009),
            At(5_000, 12_000, 50.0),
            At(20_000, 20_100, 50.0),
            At(30_000, 30_100, 50.0),
            At(30_000, 30_200, 50.0),
        ],
        &["0 truck lives", "0 fix 50.01", "10000 fix 50.009", "5000 fix 50 late", "30000 fix 50"],
    );
}

#[test]
fn samples_make_episodes() {
    check(
        &[
            Value(0, 5.0),
            Value(1000, 9.0),
            Value(6000, 9.0),
            Value(11_000, 10.0),
            Value(12_000, f64::NAN),
            Value(13_000, 7.0),
            Value(18_000, 7.0),
        ],
        &[
            "0 sample Some(5.0)",
            "1000 sample Some(9.0)",
            "6000 sample Some(9.0)",
            "11000 sample Some(10.0)",
            "11000 hi began",
            "12000 NoCommunication",
            "12000 sample None",
            "13000 Good",
            "13000 sample Some(7.0)",
            "18000 hi ended, 10",
        ],
    );
}

#[test]
fn windows_of_tags_that_are_gone_are_forgotten() {
    let mut cleaner = Cleaner::new(&rules(), &intake());
    let mut out = Cleaned::default();
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(stay("01", 1, 1000, 2000));
    steps.extend(stay("02", 2, 2000, 3000));
    steps.extend(stay("03", 1, 3000, 30_000));
    run(&mut cleaner, &steps, &mut out);
    let windows: Vec<_> = cleaner.points.iter().map(|point| point.windows.len()).collect();
    assert_eq!(windows, [1, 0, 0]);
}

#[test]
fn new_rules_keep_what_still_exists() {
    let mut cleaner = Cleaner::new(&rules(), &intake());
    let mut out = Cleaned::default();
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(stay("01", 1, 1000, 2000));
    steps.extend(stay("02", 4, 2000, 3000));
    run(&mut cleaner, &steps, &mut out);
    assert!(!rows_of(&mut cleaner).is_empty());
    let mut fewer = rules();
    fewer.read_points.pop();
    fewer.read_points.swap(0, 1);
    cleaner.set_rules(&fewer);
    let rows = rows_of(&mut cleaner);
    let gone: Vec<_> = rows.iter().map(|row| (row.key.as_str(), row.value.is_some())).collect();
    assert_eq!(gone, [("rack/3014000000000000000002", false), ("rack", false)]);
    out = Cleaned::default();
    run(&mut cleaner, &stay("03", 1, 3000, 9000), &mut out);
    let lines: Vec<_> = out.sightings.iter().map(line).collect();
    assert_eq!(lines, ["3000 03 Arrived crib", "1750 01 Departed crib"]);
}
