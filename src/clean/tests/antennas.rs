//! One antenna of several: its own hearing, its own silence.

use super::*;
use Step::{Antenna as Cable, AntennaState as State, Connected, Down, Read, Tick, Up};

/// Every second a read of tag 1 by antenna 5 and of tag 2 by antenna 6, each up to its own end, in seconds.
fn shelf(from: i64, until_5: i64, until_6: i64) -> Vec<Step> {
    (from..until_5.max(until_6))
        .flat_map(|second| {
            let at = second * 1000;
            let five = (second < until_5).then_some(Read("01", 5, at, at + 20));
            five.into_iter().chain((second < until_6).then_some(Read("02", 6, at + 100, at + 120)))
        })
        .collect()
}

/// What is said of the hearing of antennas.
fn said(steps: &[Step]) -> Vec<String> {
    said_by(&rules_with_shelf(), steps)
}

fn said_by(rules: &Rules, steps: &[Step]) -> Vec<String> {
    let mut cleaner = Cleaner::new(rules, &intake());
    let mut out = Cleaned::default();
    run(&mut cleaner, steps, &mut out);
    let lines = out.sightings.iter().map(line);
    lines
        .filter(|line| line.contains("shelf#") || line.contains("reader/") || line.contains("door#"))
        .collect()
}

const BOTH_HEAR: [&str; 2] = ["0 shelf#5 hears", "100 shelf#6 hears"];

#[test]
fn one_that_hears_nothing_while_others_do_is_deaf_since_it_last_heard() {
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(shelf(0, 40, 20));
    let told = said(&steps);
    assert_eq!(told[..2], BOTH_HEAR);
    assert_eq!(told[2..], ["19100 shelf#6 is deaf", "19100 reader/6 is silent (Traffic)"]);
    steps.push(Read("02", 6, 40_500, 40_520));
    let told = said(&steps);
    assert_eq!(told[4..], ["40500 shelf#6 hears", "40500 reader/6 hears again"]);
}

#[test]
fn what_hears_a_tag_is_told_with_it() {
    let mut cleaner = Cleaner::new(&rules_with_shelf(), &intake());
    let mut out = Cleaned::default();
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(shelf(0, 4, 4));
    steps.push(Read("01", 6, 5000, 5020));
    run(&mut cleaner, &steps, &mut out);
    let heard = out.sightings.iter().filter_map(|sighting| match &sighting.what {
        Seen::Presence { epc: heard, change, ears, .. } if *heard == epc("01") => {
            Some((*change, ears.iter().map(|ear| ear.to_string()).collect::<Vec<_>>().join(" ")))
        }
        _ => None,
    });
    use crate::domain::sightings::PresenceChange::{Arrived, Refreshed};
    let expect = [(Arrived, "shelf#5".to_owned()), (Refreshed, "shelf#5 shelf#6".to_owned())];
    assert_eq!(heard.collect::<Vec<_>>(), expect);
}

#[test]
fn what_its_reader_calls_disconnected_is_deaf_at_once_and_the_others_hear_on() {
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(shelf(0, 5, 5));
    steps.push(Cable(6, false, 5000));
    steps.extend(shelf(6, 60, 0));
    let told = said(&steps);
    assert_eq!(told[2..], ["5000 shelf#6 is deaf", "5000 reader/6 is silent (Disconnected)"]);
    steps.push(Cable(6, true, 60_000));
    assert_eq!(said(&steps)[4..], ["60000 reader/6 hears again"]);
}

#[test]
fn what_its_reader_answers_of_an_antenna_is_news_where_it_is_not_as_it_was_known_to_be() {
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(shelf(0, 40, 20));
    // It is connected, and deaf: what it was.
    steps.extend([State(6, true, 40_000), State(5, true, 40_000)]);
    let told = said(&steps);
    assert_eq!(told[2..], ["19100 shelf#6 is deaf", "19100 reader/6 is silent (Traffic)"]);
    steps.extend([State(5, false, 41_000), State(5, false, 42_000)]);
    let told = said(&steps);
    assert_eq!(told[4..], ["41000 shelf#5 is deaf", "41000 reader/5 is silent (Disconnected)"]);
    // Of before it came back.
    steps.extend([Down(43_000), Up(60_000), State(5, true, 60_100)]);
    assert_eq!(said(&steps).last().map(String::as_str), Some("60100 reader/5 hears again"));
}

#[test]
fn a_slow_antenna_is_given_the_time_that_it_usually_takes() {
    let mut rules = rules_with_shelf();
    if let ReadPointKind::Presence { lost_after, .. } = &mut rules.read_points[3].kind {
        *lost_after = seconds(60);
    }
    let mut steps = vec![Up(0), Connected(0)];
    // A read each twelve seconds is slower than the hearing timeout of ten; four times that is 48.
    steps.extend((0..20).map(|nth| Read("02", 6, nth * 12_000, nth * 12_000 + 20)));
    steps.extend((1..290).map(|second| Read("01", 5, second * 1000, second * 1000 + 20)));
    steps.sort_by_key(Step::at);
    let told = said_by(&rules, &steps);
    let of_six: Vec<_> = told.iter().filter(|line| line.contains('6')).collect();
    assert_eq!(of_six, ["0 shelf#6 hears", "228000 shelf#6 is deaf", "228000 reader/6 is silent (Traffic)"]);
}

#[test]
fn a_silence_that_lasts_is_taken_for_nothing_to_hear() {
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(shelf(0, 130, 20));
    assert_eq!(said(&steps)[4..], ["119100 shelf#6 hears"]);
    // An interruption of the link begins the wait anew.
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(shelf(0, 60, 20));
    steps.extend([Down(60_000), Up(61_000), Connected(61_000)]);
    steps.extend(shelf(62, 150, 0));
    let told = said(&steps);
    assert!(told[4..].iter().all(|line| !line.contains("shelf#6 hears")), "{told:?}");
}

#[test]
fn the_reference_tag_says_which_antenna_is_cut_off() {
    let mut rules = rules_with_shelf();
    // The dock's antennas (2 and 3) both see a tag of this code.
    rules.read_points[1].reference_tag = Some(epc("dd"));
    let mut steps = vec![Up(0), Connected(0)];
    for second in 0..60 {
        let at = second * 1000;
        steps.push(Read("dd", 2, at, at + 20));
        steps.extend((second < 30).then_some(Read("dd", 3, at + 100, at + 120)));
    }
    steps.push(Tick(61_000));
    assert_eq!(said_by(&rules, &steps), ["29100 reader/3 is silent (Reference)"]);
}

#[test]
fn what_is_silent_is_said_again_when_its_reader_is_back_unless_it_was_heard_meanwhile() {
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(shelf(0, 40, 20));
    steps.push(Down(40_000));
    let mut heard = steps.clone();
    steps.extend([Up(41_000), Connected(41_000), Tick(41_100)]);
    let told = said(&steps);
    assert!(told.contains(&"40000 shelf#5 is deaf".to_owned()), "{told:?}");
    assert_eq!(
        told.iter().filter(|line| *line == "19100 reader/6 is silent (Traffic)").count(),
        2,
        "{told:?}"
    );
    // The reader held what antenna 6 heard after its cable was mended.
    heard.extend([Step::Replaying(50_000), Connected(50_000), Read("02", 6, 45_000, 50_050)]);
    heard.extend([Read("02", 6, 49_000, 50_100), Tick(60_000)]);
    let told = said(&heard);
    assert!(told.contains(&"50100 reader/6 hears again".to_owned()), "{told:?}");
}

#[test]
fn an_antenna_that_was_mended_while_nobody_was_told_hears_again() {
    let mut rules = rules_with_shelf();
    // The reference tag lies before the other antenna of the shelf.
    rules.read_points.last_mut().unwrap().reference_tag = Some(epc("dd"));
    let reference = |from: i64, to: i64| (from..to).map(|at| Read("dd", 5, at * 1000, at * 1000 + 20));
    let mut steps = vec![Up(0), Connected(0), Read("01", 6, 500, 510)];
    steps.extend(reference(1, 4));
    steps.push(Cable(6, false, 4000));
    // What it read before it was cut off is told after it.
    steps.push(Read("01", 6, 3900, 4100));
    steps.extend(reference(5, 9));
    let before = steps.len();
    steps.extend([Down(9000), Up(20_000), Connected(20_000)]);
    steps.extend(reference(21, 24));
    steps.push(Read("02", 6, 24_500, 24_510));
    steps.extend(reference(25, 60));
    assert_eq!(said_by(&rules, &steps[..before]).last().unwrap(), "4000 reader/6 is silent (Disconnected)");
    let mut cleaner = Cleaner::new(&rules, &intake());
    let mut out = Cleaned::default();
    run(&mut cleaner, &steps, &mut out);
    let told: Vec<String> = out.sightings.iter().map(line).collect();
    let of_all: Vec<&String> = told.iter().filter(|line| line.contains(" shelf ")).collect();
    assert_eq!(of_all, ["1000 shelf hears", "4000 shelf is deaf", "24500 shelf hears"]);
}

#[test]
fn an_antenna_of_a_door_that_was_mended_while_nobody_was_told_can_be_cut_off_again() {
    let steps = [
        Up(0),
        Connected(0),
        Read("01", 3, 1000, 1020),
        Cable(3, false, 2000),
        Read("01", 3, 60_000, 60_020),
        Cable(3, false, 90_000),
    ];
    let told = said(&steps);
    assert_eq!(
        told,
        [
            "2000 reader/3 is silent (Disconnected)",
            "60000 reader/3 hears again",
            "90000 reader/3 is silent (Disconnected)"
        ]
    );
}

#[test]
fn while_an_antenna_is_cut_off_what_the_others_hear_comes_and_goes() {
    let rules = rules_with_shelf();
    let mut with_reference = rules_with_shelf();
    with_reference.read_points.last_mut().unwrap().reference_tag = Some(epc("dd"));
    let presences = |rules: &Rules, steps: &[Step]| {
        let mut cleaner = Cleaner::new(rules, &intake());
        let mut out = Cleaned::default();
        run(&mut cleaner, steps, &mut out);
        let lines = out.sightings.iter().map(line);
        lines.filter(|line| line.contains("Arrived") || line.contains("Departed")).collect::<Vec<_>>()
    };
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(shelf(0, 10, 10));
    steps.push(Cable(6, false, 10_000));
    // Both tags are taken away; a third one is laid before the antenna that hears.
    steps.extend((11..40).map(|second| Read("03", 5, second * 1000, second * 1000 + 20)));
    let before =
        ["0 01 Arrived shelf", "100 02 Arrived shelf", "11000 03 Arrived shelf", "9000 01 Departed shelf"];
    assert_eq!(presences(&rules, &steps), before);
    // So it is where the reference tag lies before the antenna that is cut off.
    let mut referred = vec![Up(0), Connected(0)];
    referred.extend(shelf(0, 100, 10));
    referred.extend((0..10).map(|second| Read("dd", 6, second * 1000 + 200, second * 1000 + 220)));
    referred.push(Cable(6, false, 10_000));
    referred.extend((100..120).map(|second| Read("03", 5, second * 1000, second * 1000 + 20)));
    referred.sort_by_key(Step::at);
    let told = presences(&with_reference, &referred);
    assert_eq!(told[2..], ["100000 03 Arrived shelf", "99000 01 Departed shelf"]);
    // Connected again, it has its full time to hear what lies there.
    steps.push(Cable(6, true, 40_000));
    steps.extend((40..60).map(|second| Read("03", 5, second * 1000 + 50, second * 1000 + 70)));
    assert_eq!(presences(&rules, &steps)[4..], ["9100 02 Departed shelf"]);
}

/// Tag 1 lay before antenna 5 and tag 2 before 6; the rows aged, the read point's antennas became others, and 6 was
/// cut off while `hearing` went on.
fn gone_after(
    age: impl Fn(&mut serde_json::Value),
    hearing: u16,
    change: impl Fn(&mut Vec<AntennaConfig>),
) -> Vec<String> {
    let rules = rules_with_shelf();
    let mut other = rules.clone();
    change(&mut other.read_points.last_mut().unwrap().antennas);
    let mut steps = vec![Up(0), Connected(0)];
    steps.extend(shelf(0, 10, 10));
    let mut cleaner = Cleaner::new(&rules, &intake());
    run(&mut cleaner, &steps, &mut Cleaned::default());
    let mut rows = Vec::new();
    cleaner.take_dirty(&mut rows);
    let aged = |row: Vec<u8>| {
        let mut row = serde_json::from_slice(&row).unwrap();
        age(&mut row);
        serde_json::to_vec(&row).unwrap()
    };
    let rows = rows.into_iter().filter_map(|row| Some((row.kind, row.key, aged(row.value?))));
    let mut after = Cleaner::new(&other, &intake());
    after.restore(rows).unwrap();
    let mut steps = vec![Up(20_000), Connected(20_000), Cable(6, false, 20_010)];
    let read = |second: i64| Read("03", hearing, second * 1000 + 20, second * 1000 + 30);
    steps.extend((20..60).map(read));
    let mut out = Cleaned::default();
    run(&mut after, &steps, &mut out);
    out.sightings.iter().map(line).filter(|line| line.contains("Departed")).collect()
}

fn antenna_7() -> AntennaConfig {
    AntennaConfig { source: "reader".into(), antenna: 7, inside: true }
}

#[test]
fn what_an_antenna_heard_is_its_own_wherever_the_rules_put_it() {
    let gone = gone_after(
        |_| (),
        5,
        |antennas| {
            antennas.reverse();
            antennas.insert(0, antenna_7());
        },
    );
    assert_eq!(gone, ["9000 01 Departed shelf"], "what 6 heard stays, what 5 heard goes");
}

#[test]
fn an_antenna_that_comes_for_another_did_not_hear_what_that_one_heard() {
    let gone = gone_after(
        |_| (),
        7,
        |antennas| {
            let place = antennas.iter().position(|antenna| antenna.antenna == 5).unwrap();
            antennas[place] = antenna_7();
        },
    );
    assert!(gone.is_empty(), "7 hears nothing of what lay before 5; 6 may: {gone:?}");
}

#[test]
fn rows_of_the_first_builds_have_the_antennas_alone() {
    let as_it_was = |row: &mut serde_json::Value| {
        if let Some(antennas) = row.get_mut("antennas") {
            *antennas = antennas["ears"].take();
        }
    };
    assert_eq!(gone_after(as_it_was, 5, |_| ()), ["9000 01 Departed shelf"]);
}
