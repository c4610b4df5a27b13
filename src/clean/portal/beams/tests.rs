//! What beams make of what stands in them, by edges written as `o`uter and `i`nner: upper case broken, lower case free.

use super::runs::Run;
use super::*;
use crate::domain::sightings::{BeamsSay, Direction};

const BOTH: [bool; 2] = [true; 2];

fn at(ms: i64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + ms * 1000)
}

/// Each letter is a fifth of a second.
fn heard(beams: &mut Beams, from_ms: i64, letters: &str) {
    for (nth, letter) in letters.chars().enumerate().filter(|(_, letter)| *letter != ' ') {
        let (inside, broken) = (letter.eq_ignore_ascii_case(&'i'), letter.is_uppercase());
        beams.note(at(from_ms + nth as i64 * 200), inside, broken, true);
    }
}

/// Beams that were walked through a minute ago.
fn in_use() -> Beams {
    let mut beams = Beams::default();
    heard(&mut beams, -60_000, "OIoi");
    beams
}

fn run(letters: &str) -> Run {
    let mut beams = Beams::default();
    heard(&mut beams, 0, letters);
    let runs: Vec<Run> = beams.near(at(0)).collect();
    assert_eq!(runs.len(), 1, "{letters}: {runs:?}");
    runs[0]
}

fn says(beams: &Beams, ms: i64, way: Direction) -> Option<BeamsSay> {
    beams.story(at(ms), way, BOTH).map(|story| beams.evidence(story, 0.5, at(ms), BOTH).say)
}

#[test]
fn steps_through_both_tell_a_way_and_gaps_and_hesitation_do_not_matter() {
    let cases = [
        ("OIoi", 4),
        ("IOio", -4),
        // A pallet, a gap, and the forklift behind it.
        ("OIoOiIoi", 4),
        // Backs off a little within the door, and goes on.
        ("OIoOIoi", 4),
        // Turns back, from before the second beam and from within both.
        ("Oo", 0),
        ("OIio", 0),
        ("IOoi", 0),
        // Somebody who fits between them, either way, and as far as the second one.
        ("Oo Ii", 4),
        ("IiOo", -4),
        ("Oo  I", 3),
    ];
    for (letters, steps) in cases {
        assert_eq!(run(letters).steps, steps, "{letters}");
    }
    assert_eq!(run("OI").until, None);
    let mut beams = Beams::default();
    heard(&mut beams, 0, "Oo            Ii");
    let two: Vec<i32> = beams.near(at(1500)).map(|run| run.steps).collect();
    assert_eq!(two, [0, 0], "two people, each at one of them");
}

/// Of three that break one each in turn, those two are one that are closest.
#[test]
fn who_is_past_a_beam_is_soon_at_the_other() {
    let mut beams = in_use();
    heard(&mut beams, 0, "Oo       IiOo");
    assert_eq!(says(&beams, 2_000, Direction::Out), Some(BeamsSay::Outward));
    let mut beams = in_use();
    heard(&mut beams, 0, "OoIi       Oo");
    assert_eq!(says(&beams, 600, Direction::In), Some(BeamsSay::Inward));
}

/// Somebody stood in both, or in none, when the connection was lost, and it is otherwise when it is back.
#[test]
fn how_beams_stand_ends_what_nobody_heard_the_end_of() {
    let mut beams = in_use();
    heard(&mut beams, 0, "OI");
    beams.stands(at(9_000), false, false);
    beams.stands(at(9_000), true, false);
    heard(&mut beams, 14_000, "IOio");
    assert_eq!(says(&beams, 14_400, Direction::Out), Some(BeamsSay::Outward));
    beams.stands(at(20_000), true, true);
    assert_eq!(beams.near(at(20_000)).last().map(|run| (run.from, run.until)), Some((at(20_000), None)));
}

/// An answer that was on its way when a beam was broken, and one that says what is known.
#[test]
fn how_beams_stand_does_not_undo_what_they_told_just_before() {
    let mut beams = in_use();
    heard(&mut beams, 0, "O");
    let before = beams.clone();
    beams.stands(at(50), false, false);
    beams.stands(at(5_000), false, true);
    beams.stands(at(5_000), true, false);
    assert_eq!(beams, before);
}

#[test]
fn a_word_that_is_told_twice_or_in_another_order_is_the_same() {
    let edges = [(false, true, 0), (true, true, 200), (false, false, 400), (true, false, 600)];
    let told = |order: &[usize]| {
        let mut beams = in_use();
        for (inside, broken, ms) in order.iter().map(|nth| edges[*nth]) {
            beams.note(at(ms), inside, broken, true);
        }
        beams
    };
    assert_eq!(told(&[3, 1, 0, 2, 2, 0]), told(&[0, 1, 2, 3]));
    assert_eq!(says(&told(&[2, 3, 1, 0]), 400, Direction::In), Some(BeamsSay::Inward));
}

#[test]
fn what_both_tell_at_once_has_no_order() {
    let mut beams = in_use();
    for (inside, broken, ms) in [(false, true, 0), (true, true, 0), (false, false, 400), (true, false, 400)] {
        beams.note(at(ms), inside, broken, true);
    }
    assert_eq!(says(&beams, 200, Direction::In), Some(BeamsSay::Something));
}

#[test]
fn silence_says_something_of_beams_that_work_and_of_no_others() {
    assert_eq!(says(&Beams::default(), 0, Direction::In), None, "never heard");
    let mut beams = in_use();
    assert_eq!(says(&beams, 0, Direction::In), Some(BeamsSay::Nothing));
    assert_eq!(says(&beams, -70_000, Direction::In), None, "before they were heard");
    beams.lost();
    assert_eq!(says(&beams, 0, Direction::In), None, "the reader is gone");
    heard(&mut beams, 5_000, "OIoi");
    assert_eq!(says(&beams, 0, Direction::In), None, "of the time without it nothing is known");
    assert_eq!(says(&beams, 20_000, Direction::In), Some(BeamsSay::Nothing));
    let told = says(&beams, 5_400, Direction::In);
    assert_eq!(told, Some(BeamsSay::Inward), "what was told is told, whatever was lost");
}

#[test]
fn what_the_reader_held_is_believed_and_proves_nothing_by_its_absence() {
    let mut beams = Beams::default();
    for (inside, broken, ms) in [(false, true, 0), (true, true, 200), (false, false, 400), (true, false, 600)]
    {
        beams.note(at(ms), inside, broken, false);
    }
    assert_eq!(says(&beams, 300, Direction::In), Some(BeamsSay::Inward));
    assert_eq!(says(&beams, 20_000, Direction::In), None);
}

#[test]
fn beams_that_see_nothing_of_what_passes_are_dead_until_they_are_heard() {
    let mut beams = in_use();
    let doubted = |beams: &Beams, ms| {
        let story = beams.story(at(ms), Direction::In, BOTH);
        story.map_or(0.95, |story| story.weigh(0.95, false))
    };
    assert!(doubted(&beams, 0) < 0.7, "{}", doubted(&beams, 0));
    // Twenty tags of one load are one piece of news.
    (0..20).for_each(|nth| beams.passed(at(nth * 10), BOTH));
    assert!(beams.works[0] > 0.3 && beams.works[1] > 0.3, "{:?}", beams.works);
    beams.passed(at(8_000), BOTH);
    beams.passed(at(16_000), BOTH);
    assert_eq!(doubted(&beams, 20_000), 0.95, "{:?}", beams.works);
    heard(&mut beams, 30_000, "OIoi");
    assert!(doubted(&beams, 40_000) < 0.7);
    // And those that see what passes stay as they are.
    beams.passed(at(30_400), BOTH);
    assert_eq!(beams.works, [SURELY; 2]);
}

/// Of a beam that works beside one that does not, no order is made.
#[test]
fn a_dead_beam_leaves_the_other_one_alone() {
    let mut beams = Beams::default();
    heard(&mut beams, -60_000, "Oo");
    heard(&mut beams, 0, "O o");
    assert_eq!(says(&beams, 200, Direction::In), Some(BeamsSay::Something), "no word of the inner one");
    let mut beams = in_use();
    heard(&mut beams, 0, "O o");
    assert_eq!(says(&beams, 200, Direction::In), Some(BeamsSay::TurnedBack));
}

#[test]
fn what_stands_in_a_beam_says_nothing_of_what_passes_later() {
    let mut beams = in_use();
    heard(&mut beams, 0, "O");
    assert_eq!(says(&beams, 40_000, Direction::In), None);
}

#[test]
fn a_way_counts_for_it_the_other_way_against_it_and_silence_most() {
    let mut beams = in_use();
    heard(&mut beams, 0, "OIoi");
    let weigh = |ms, way| beams.story(at(ms), way, BOTH).unwrap().weigh(0.5, false);
    let (with, against) = (weigh(400, Direction::In), weigh(400, Direction::Out));
    assert!(with > 0.6 && against < 0.4, "{with} {against}");
    assert!(weigh(-20_000, Direction::In) < 0.2);
    // What the antennas hold for all but impossible does not become a passage.
    let story = beams.story(at(400), Direction::In, BOTH).unwrap();
    assert!(story.weigh(0.01, false) < 0.5 && story.weigh(0.01, true) < 0.5);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut beams = in_use();
    for nth in 0..2000 {
        heard(&mut beams, nth * 20, if nth % 2 == 0 { "O" } else { "o" });
    }
    assert_eq!(beams.edges.len(), MOST);
    assert_eq!(says(&beams, 0, Direction::In), None, "of what is forgotten nothing is known");
    heard(&mut beams, 500_000, "O");
    assert_eq!(beams.edges.len(), 1);
    // Our clock is set back by a day.
    heard(&mut beams, -86_400_000, "oOIoi");
    assert_eq!(says(&beams, -86_400_000, Direction::In), Some(BeamsSay::Inward));
}

#[test]
fn a_row_is_read_back_as_it_was() {
    let mut beams = in_use();
    heard(&mut beams, 0, "OIo");
    beams.passed(at(400), BOTH);
    let text = serde_json::to_string(&beams).unwrap();
    assert_eq!(serde_json::from_str::<Beams>(&text).unwrap(), beams, "{text}");
}
