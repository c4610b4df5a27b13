//! Light barriers, from the reader's word to the passage that it is kept with.

use super::*;
use crate::domain::sightings::{BeamsEvidence, BeamsSay, Passage};

/// Times that inputs change: port, high, ms. Inward, as somebody walks.
const INWARD: [(u16, bool, i64); 4] = [(1, true, 1600), (2, true, 2000), (1, false, 2300), (2, false, 2700)];

/// A tag that is heard outside, and then inside, from a moment on.
fn comes_in(tag: &'static str, from: i64) -> Vec<Step> {
    let read = |nth: i64| {
        let (ms, antenna) = (from + nth * 100, if nth < 20 { 3 } else { 2 });
        Step::Read(tag, antenna, ms, ms + 50)
    };
    (0..40).map(read).collect()
}

fn inputs(from: i64, changes: &[(u16, bool, i64)]) -> Vec<Step> {
    changes.iter().map(|(port, high, ms)| Step::Input(*port, *high, from + ms, from + ms + 50)).collect()
}

/// What is said of tags that pass, once all is quiet.
fn passages(mut steps: Vec<Step>) -> Vec<Passage> {
    let mut cleaner = Cleaner::new(&rules(), &intake());
    let mut out = Cleaned::default();
    steps.sort_by_key(Step::at);
    let last = steps.last().map_or(0, |step| step.at().micros_after(at(0)) / 1000);
    run(&mut cleaner, &[Step::Up(-100_000), Step::Connected(-100_000)], &mut out);
    run(&mut cleaner, &steps, &mut out);
    run(&mut cleaner, &[Step::Tick(last + 60_000)], &mut out);
    let passed = |sighting: Sighting| match sighting.what {
        Seen::Passage(passage) => Some(passage),
        _ => None,
    };
    out.sightings.into_iter().filter_map(passed).collect()
}

fn beams(passages: &[Passage]) -> Option<&BeamsEvidence> {
    assert_eq!(passages.len(), 1, "{passages:?}");
    passages[0].evidence.beams.as_ref()
}

#[test]
fn what_the_beams_say_goes_with_the_passage_in_our_time() {
    let told = passages([comes_in("01", 0), inputs(0, &INWARD)].concat());
    let beams = beams(&told).expect("they were heard");
    assert_eq!(beams.say, BeamsSay::Inward);
    let broken: Vec<_> = beams.broken.iter().map(|one| (one.inside, one.broken_at, one.free_at)).collect();
    let outer = (Some(false), at(1600), Some(at(2300)));
    assert_eq!(broken, [outer, (Some(true), at(2000), Some(at(2700)))]);
    assert!(told[0].confidence > beams.antennas_alone, "{told:?}");
    let alone = passages(comes_in("01", 0));
    assert_eq!(self::beams(&alone), None, "beams that were never heard say nothing");
    assert_eq!(alone[0].confidence, beams.antennas_alone);
}

#[test]
fn beams_that_work_and_saw_nothing_or_the_other_way_make_it_less_likely() {
    let confidence = |changes: &[(u16, bool, i64)]| {
        // Somebody went through a while before.
        let told = passages([inputs(-60_000, &INWARD), comes_in("01", 0), inputs(0, changes)].concat());
        told.first().map_or(0.0, |passage| passage.confidence)
    };
    let outward = INWARD.map(|(port, high, ms)| (3 - port, high, ms));
    let turned = [(1, true, 1600), (2, true, 2000), (2, false, 2300), (1, false, 2700)];
    let [with, against, back, nothing] = [&INWARD[..], &outward[..], &turned[..], &[]].map(confidence);
    assert!(with > back && with > against && with > nothing, "{with} {back} {against} {nothing}");
    assert!(nothing < 0.95, "{nothing}");
}

/// A person walks past a pallet that stands there, again and again.
#[test]
fn nothing_passes_because_a_beam_was_broken() {
    let reads =
        (0..1200).map(|nth| Step::Read("01", if nth % 3 == 0 { 2 } else { 3 }, nth * 50, nth * 50 + 50));
    let walks = (0..6).flat_map(|nth| inputs(nth * 9_000, &INWARD));
    assert_eq!(passages(reads.chain(walks).collect()), []);
}

/// Dead beams must not keep passages from being told.
#[test]
fn what_passes_is_told_again_once_beams_have_missed_a_few() {
    let loads: Vec<Step> =
        (0..6).flat_map(|nth| comes_in(["01", "02", "03"][nth % 3], nth as i64 * 80_000)).collect();
    let told = passages([inputs(-60_000, &INWARD), loads].concat());
    let late = told.iter().rev().take(3).map(|passage| passage.confidence);
    assert!(
        told.len() >= 5 && late.clone().all(|confidence| confidence > 0.9),
        "{:?}",
        late.collect::<Vec<_>>()
    );
    assert_eq!(told.last().and_then(|passage| passage.evidence.beams.clone()), None);
}

/// Whoever stood in the door when the connection was lost is gone when it is back, which nobody was told.
#[test]
fn how_beams_stand_is_asked_when_the_reader_is_back() {
    let lost = [(1, true, -30_000), (2, true, -29_800)];
    let back = |states: [bool; 2]| {
        let mut steps = vec![Step::Down(-29_000), Step::Up(-3_000), Step::Connected(-3_000)];
        steps.extend([Step::InputState(1, states[0], -2_900), Step::InputState(2, states[1], -2_900)]);
        let told = passages([inputs(0, &lost), steps, comes_in("01", 0), inputs(0, &INWARD)].concat());
        beams(&told).map(|beams| (beams.say, beams.broken.len()))
    };
    assert_eq!(back([false, false]), Some((BeamsSay::Inward, 2)));
    assert_eq!(back([true, true]), None, "something stands in both until they are free again");
}

/// A reader tells what it held in an order of its own: events first.
#[test]
fn what_was_held_is_judged_with_what_the_beams_told_then() {
    let mut cleaner = Cleaner::new(&rules(), &intake());
    let mut out = Cleaned::default();
    let mut steps = vec![Step::Replaying(100_000), Step::Connected(100_000)];
    steps.extend(INWARD.map(|(port, high, ms)| Step::Input(port, high, ms, 100_010)));
    steps.extend(comes_in("01", 0).into_iter().map(|step| match step {
        Step::Read(tag, antenna, observed, _) => Step::Read(tag, antenna, observed, 100_020),
        step => step,
    }));
    steps.push(Step::Tick(110_000));
    run(&mut cleaner, &steps, &mut out);
    run(&mut cleaner, &[Step::Tick(140_000)], &mut out);
    let passed = out.sightings.iter().find_map(|sighting| match &sighting.what {
        Seen::Passage(passage) => passage.evidence.beams.as_ref().map(|beams| beams.say),
        _ => None,
    });
    assert_eq!(passed, Some(BeamsSay::Inward), "{:?}", out.sightings);
}
