//! Whatever comes in: it is accounted for, presence alternates, and a crash after any commit gives
//! what a mere loss of the links at that moment would have given.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::domain::sightings::PresenceChange;
use crate::domain::state::StateKind;

const TAGS: [&str; 4] = ["01", "02", "03", "ee"];
const SOURCES: [&str; 3] = ["broker", "cold", "reader"];

/// Steps at growing times; what they say is not always plausible.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kinds = (0..100_u8, 0..4_usize, 1..8_u16, 0..3_000_i64, -20.0..20.0_f64);
    prop::collection::vec((1..1500_i64, kinds), 1..120).prop_map(|steps| {
        let mut now = 0;
        steps
            .into_iter()
            .map(|(later, (kind, tag, antenna, lag, value))| {
                now += later;
                match kind {
                    0..=1 => Step::Up(now),
                    2 => Step::Replaying(now),
                    3..=4 => Step::Down(now),
                    5..=14 => Step::Tick(now),
                    15 => Step::Connected(now),
                    16 => Step::Antenna(antenna, lag % 2 == 0, now),
                    17..=20 => Step::Fix(now - lag * 2, now, 50.0 + value.round() / 8000.0),
                    21..=22 => Step::Fix(now + lag * 400, now, 50.0),
                    23..=30 => Step::Sample(now, (value * 2.0).round() / 2.0),
                    31 => Step::Read(TAGS[tag], antenna, now + lag * 200, now),
                    32..=35 => Step::Read(TAGS[tag], antenna, now - lag * 20, now),
                    36..=42 => Step::Input(1 + antenna % 3, tag % 2 == 0, now - lag / 4, now),
                    _ => Step::Read(TAGS[tag], antenna, now - lag / 4, now),
                }
            })
            .collect()
    })
}

/// The shelf learns its tags' windows, and is a zone beside the crib's.
fn rules_that_learn() -> Rules {
    let mut rules = rules_with_shelf();
    if let ReadPointKind::Presence { lost_after_min, zone, .. } = &mut rules.read_points[3].kind {
        *lost_after_min = seconds(1);
        *zone = "shelf".into();
    }
    rules
}

type Journal = BTreeMap<(StateKind, String), Vec<u8>>;

fn commit(cleaner: &mut Cleaner, journal: &mut Journal) {
    for row in rows_of(cleaner) {
        match row.value {
            Some(value) => journal.insert((row.kind, row.key), value),
            None => journal.remove(&(row.kind, row.key)),
        };
    }
}

fn restored(journal: &Journal) -> Cleaner {
    let mut cleaner = Cleaner::new(&rules_that_learn(), &intake());
    let rows = journal.iter().map(|((kind, key), value)| (*kind, key.clone(), value.clone()));
    cleaner.restore(rows).unwrap();
    cleaner
}

fn links(cleaner: &mut Cleaner, at: Timestamp, state: &LinkState) {
    for source in SOURCES {
        let change = LinkChange { source: source.into(), at, state: state.clone() };
        cleaner.link(&change, &mut Cleaned::default());
    }
}

/// Runs the first of these, crashes, and runs the others: with a cleaner that only lost its links, and with one that was
/// restored. What they say, and what they write.
fn after_crash(steps: &[Step], crash: usize) -> [(Cleaned, Journal); 2] {
    let (before, after) = steps.split_at(crash.min(steps.len()));
    let mut journal = Journal::new();
    let mut cleaner = Cleaner::new(&rules_that_learn(), &intake());
    for step in before {
        run(&mut cleaner, std::slice::from_ref(step), &mut Cleaned::default());
        commit(&mut cleaner, &mut journal);
    }
    let again = restored(&journal);
    let now = before.last().map_or(at(0), Step::at);
    let down = LinkState::Down { reason: "crash".into() };
    [cleaner, again].map(|mut cleaner| {
        links(&mut cleaner, now, &down);
        links(&mut cleaner, now, &LinkState::Up { replaying: crash.is_multiple_of(2) });
        let (mut out, mut journal) = (Cleaned::default(), journal.clone());
        for step in after {
            cleaner.tick(step.at(), &mut out);
            step.run(&mut cleaner, &mut out);
        }
        commit(&mut cleaner, &mut journal);
        (out, journal)
    })
}

/// An antenna that was cut off hears again, and then the link is lost.
#[test]
fn since_when_an_antenna_hears_is_forgotten_with_its_link() {
    let mut steps =
        vec![Step::Up(1), Step::Antenna(5, false, 9), Step::Read("01", 5, 48, 48), Step::Down(56)];
    steps.extend([57, 58, 269].map(|now| Step::Read("03", 5, now, now)));
    let [lost, crashed] = after_crash(&steps, 3);
    assert_eq!(lost, crashed);
    assert!(lost.1.values().any(|row| String::from_utf8_lossy(row).contains("present")), "{lost:?}");
}

/// A tag that an antenna heard which was cut off since, and connected again while the link was away.
#[test]
fn when_an_antenna_was_connected_again_is_known_after_a_crash() {
    let mut steps =
        vec![Step::Read("01", 5, 1, 1), Step::Up(2), Step::Read("01", 5, -30_017, 3), Step::Down(15)];
    steps.extend([Step::Antenna(6, false, 32), Step::Down(33), Step::Read("02", 6, 5625, 5625)]);
    steps.push(Step::Read("01", 1, 14_226, 5626));
    let crash = steps.len();
    steps.extend([Step::Read("01", 6, 5632, 5632), Step::Up(5633)]);
    // Up and replaying after the crash, as the number of steps before it is even.
    assert!(crash.is_multiple_of(2));
    let [lost, crashed] = after_crash(&steps, crash);
    assert_eq!(lost, crashed);
}

/// A late fix comes while its source catches up, after others that wait: they are judged when nothing late has come for
/// long enough after it, however much later the next step is.
#[test]
fn when_late_fixes_are_judged_does_not_depend_on_when_it_is_looked_at() {
    let mut steps = vec![Step::Fix(97_201, 1, 50.0), Step::Up(2), Step::Fix(7, 7, 50.0), Step::Up(8)];
    steps.extend([Step::Fix(309_042, 8_642, 50.0), Step::Up(9_866), Step::Fix(15_215, 18_831, 49.999_75)]);
    steps.extend([
        Step::Down(21_279),
        Step::Fix(23_558, 25_552, 50.001_125),
        Step::Fix(990_218, 27_018, 50.0),
    ]);
    let crash = steps.len();
    steps.extend([
        Step::Read("02", 7, 27_728, 28_458),
        Step::Read("01", 4, 29_304, 29_709),
        Step::Fix(26_639, 30_007, 49.999_25),
    ]);
    steps.extend([Step::Read("03", 5, 59_241, 59_325), Step::Read("ee", 3, 60_347, 60_750)]);
    assert!(crash.is_multiple_of(2));
    let [lost, crashed] = after_crash(&steps, crash);
    assert!(lost.0.sightings.iter().any(|seen| matches!(seen.what, Seen::Fence { .. })), "{lost:?}");
    assert_eq!(lost, crashed);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_crash_is_a_loss_of_the_links(steps in steps(), crash in 0..120_usize) {
        let [lost, crashed] = after_crash(&steps, crash);
        prop_assert_eq!(lost.0, crashed.0);
        prop_assert_eq!(lost.1, crashed.1);
    }

    #[test]
    fn every_reading_is_accounted_for_and_presence_alternates(steps in steps()) {
        let mut cleaner = Cleaner::new(&rules_that_learn(), &intake());
        let mut out = Cleaned::default();
        run(&mut cleaner, &steps, &mut out);
        let readings = steps.iter().filter(|step| step.reading().is_some()).count() as u64;
        prop_assert_eq!(out.used + out.filtered.iter().map(|(_, count)| count).sum::<u64>(), readings);
        let mut present = BTreeSet::new();
        let mut hearing = BTreeSet::new();
        for sighting in &out.sightings {
            match &sighting.what {
                Seen::Presence { epc, read_point, change, .. } => {
                    let key = (*epc, read_point.clone());
                    let as_it_should = match change {
                        PresenceChange::Arrived => present.insert(key),
                        PresenceChange::Refreshed | PresenceChange::Moved => present.contains(&key),
                        PresenceChange::Departed => present.remove(&key),
                    };
                    prop_assert!(as_it_should, "{}", line(sighting));
                }
                Seen::Hearing { read_point, hearing: true } => {
                    prop_assert!(hearing.insert(read_point.clone()), "{}", line(sighting));
                }
                Seen::Hearing { read_point, hearing: false } => {
                    prop_assert!(hearing.remove(read_point), "{}", line(sighting));
                }
                _ => {}
            }
        }
    }

    #[test]
    fn any_times_at_all_are_survived(
        times in prop::collection::vec((any::<i64>(), any::<i64>(), any::<u64>(), any::<u16>()), 1..40),
    ) {
        let mut cleaner = Cleaner::new(&rules_that_learn(), &intake());
        let mut out = Cleaned::default();
        Step::Up(0).run(&mut cleaner, &mut out);
        for (told, received, uptime, count) in times {
            let (told, received) = (Timestamp::from_micros(told), Timestamp::from_micros(received));
            let read = |first_seen, last_seen| Reading::Tag(TagRead {
                source: "reader".into(),
                antenna: 1 + count % 4,
                epc: epc("01"),
                first_seen,
                last_seen,
                seen_count: count,
                peak_rssi_dbm: Some(f32::from_bits(uptime as u32)),
                pc: None,
                crc: None, doppler_hz: None, phase_deg: None, channel: None });
            let source = "reader".into();
            cleaner.reading(read(DeviceTime::Utc(received), DeviceTime::Utc(told)), &source, received, &mut out);
            cleaner.reading(read(DeviceTime::Uptime(uptime), DeviceTime::None), &source, received, &mut out);
            cleaner.reading(read(DeviceTime::None, DeviceTime::None), &source, received, &mut out);
            let fix = Fix { observed_at: told, ..fix(0, f64::from_bits(uptime)) };
            cleaner.reading(Reading::Fix(fix), &source, received, &mut out);
            cleaner.tick(received, &mut out);
            let mut journal = Journal::new();
            commit(&mut cleaner, &mut journal);
        }
    }
}

/// Between two words of a reader more may be coming in than two seconds of silence.
#[test]
fn a_replay_goes_on_while_its_source_says_so() {
    let mut cleaner = Cleaner::new(&rules(), &intake());
    let mut out = Cleaned::default();
    let catching_up = |cleaner: &Cleaner| cleaner.is_catching_up(&"reader".into());
    run(&mut cleaner, &[Step::Replaying(0), Step::Replaying(1500), Step::Tick(3400)], &mut out);
    assert!(catching_up(&cleaner));
    run(&mut cleaner, &[Step::Tick(3500)], &mut out);
    assert!(!catching_up(&cleaner));
    run(&mut cleaner, &[Step::Replaying(4000)], &mut out);
    assert!(!catching_up(&cleaner), "it had ended");
    run(&mut cleaner, &[Step::Down(5000), Step::Replaying(6000)], &mut out);
    assert!(catching_up(&cleaner));
}

/// What keeps it away may change: the cable first, then somebody else's session.
#[test]
fn why_a_source_is_away_is_told_when_it_changes() {
    let mut cleaner = Cleaner::new(&rules(), &intake());
    let mut out = Cleaned::default();
    let down = |reason: &str| LinkState::Down { reason: reason.to_owned() };
    let up = LinkState::Up { replaying: false };
    let states =
        [down("refused"), down("refused"), down("busy"), up, down("busy"), down("busy"), down("cut")];
    for (second, state) in states.into_iter().enumerate() {
        let at = at(1000 * second as i64);
        cleaner.link(&LinkChange { source: "reader".into(), at, state }, &mut out);
    }
    let told = out.sightings.iter().filter_map(|sighting| match &sighting.what {
        Seen::Link { up, reason, .. } => Some((*up, reason.as_str())),
        _ => None,
    });
    let expected =
        [(false, "refused"), (false, "busy"), (true, "connected"), (false, "busy"), (false, "cut")];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}
