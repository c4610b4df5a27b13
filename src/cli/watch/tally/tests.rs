//! Counting, with reads as the daemon tells them.

use std::time::Duration;

use super::*;
use crate::domain::ids::ReadPointId;

pub fn at(millis: u64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000) + Duration::from_millis(millis)
}

pub fn here(antenna: Antenna, epc: &str, rssi_dbm: f32, millis: u64) -> ReadTold {
    ReadTold {
        received_at: at(millis),
        reader: SourceId::new("dock-reader"),
        antenna,
        epc: epc.to_owned(),
        rssi_dbm: Some(rssi_dbm),
        count: 1,
        held: false,
        here: true,
        read_point: Some(ReadPointId::new("dock3")),
    }
}

pub fn there(place: &str, epc: &str, rssi_dbm: f32, millis: u64) -> ReadTold {
    let read_point = Some(ReadPointId::new(place));
    ReadTold { here: false, read_point, ..here(7, epc, rssi_dbm, millis) }
}

fn ear(antenna: Antenna) -> Ear {
    (SourceId::new("dock-reader"), antenna)
}

fn tally(reads: &[ReadTold]) -> Tally {
    let mut tally = Tally::default();
    reads.iter().for_each(|read| tally.read(read));
    tally
}

#[test]
fn antennas_count_reads_tags_and_levels() {
    let folded = ReadTold { count: 3, ..here(1, "aa", -50.0, 200) };
    let unheard = ReadTold { rssi_dbm: None, ..here(1, "cc", 0.0, 300) };
    let tally = tally(&[
        here(1, "aa", -60.0, 0),
        here(1, "bb", -70.0, 100),
        folded,
        unheard,
        here(2, "aa", -40.0, 400),
    ]);
    let first = &tally.antenna(&ear(1)).unwrap().levels;
    assert_eq!((first.reads, tally.tags_of(&ear(1)), tally.reads), (6, 3, 7));
    assert_eq!(
        (first.weakest_dbm, first.mean_dbm(), first.strongest_dbm),
        (Some(-70.0), Some(-60.0), Some(-50.0))
    );
    assert_eq!(tally.tags_of(&ear(2)), 1);
    assert!(tally.antenna(&ear(3)).is_none());
    let (epc, best) = tally.tags(at(1000)).into_iter().find(|(epc, _)| *epc == "aa").unwrap();
    assert_eq!((epc, best.best.clone(), best.here.reads), ("aa", Some(ear(2)), 5));
}

#[test]
fn a_tag_is_theirs_where_it_is_clearly_louder_there() {
    for (dbm, expected) in
        [(-46.9, Whose::Theirs), (-47.0, Whose::Unclear), (-53.0, Whose::Unclear), (-53.1, Whose::Ours)]
    {
        let tally =
            tally(&[here(1, "aa", -50.0, 0), there("dock2", "aa", dbm, 10), there("dock4", "aa", -80.0, 20)]);
        let (_, tag) = tally.tags(at(1000))[0];
        assert_eq!(tag.whose(), expected, "{dbm}");
        assert_eq!(tally.count(expected), 1);
        assert_eq!(tally.reads, 1, "what others hear is not counted here");
    }
    assert_eq!(tally(&[here(1, "aa", -80.0, 0)]).count(Whose::Ours), 1, "nobody else hears it");
}

#[test]
fn readers_that_tell_no_signal_are_compared_by_reads() {
    let quiet = |read: ReadTold, count| ReadTold { rssi_dbm: None, count, ..read };
    for (count, expected) in [(9, Whose::Theirs), (8, Whose::Unclear), (2, Whose::Unclear), (1, Whose::Ours)]
    {
        let reads = [quiet(here(1, "aa", 0.0, 0), 4), quiet(there("dock2", "aa", 0.0, 0), count)];
        assert_eq!(tally(&reads).count(expected), 1, "{count}");
    }
}

#[test]
fn neighbours_say_what_they_hear_of_here_and_which_tag_is_closest() {
    let tally = tally(&[
        here(1, "aa", -50.0, 0),
        here(1, "bb", -60.0, 0),
        there("dock2", "aa", -70.0, 10),
        there("dock2", "bb", -52.0, 20),
        there("dock2", "bb", -90.0, 30),
        ReadTold { read_point: None, ..there("", "aa", -65.0, 40) },
    ]);
    let neighbours = tally.neighbours();
    let dock2 = &neighbours["dock2"];
    assert_eq!((dock2.tags, dock2.reads, dock2.theirs, dock2.closest), (2, 3, 1, Some((8.0, "bb"))));
    assert_eq!(neighbours["dock-reader antenna 7, of no read point"].closest, Some((-15.0, "aa")));
    let order: Vec<&str> = tally.tags(at(1000)).into_iter().map(|(epc, _)| epc).collect();
    assert_eq!(order, ["bb", "aa"], "cross-reads come first");
}

#[test]
fn what_is_heard_just_now_comes_first_the_loudest_of_it_and_stays_there() {
    let mut tally =
        tally(&[here(1, "gone", -30.0, 0), here(1, "far", -70.0, 5000), here(1, "hand", -40.0, 4500)]);
    let order =
        |tally: &Tally| tally.tags(at(5500)).into_iter().map(|(epc, _)| epc.to_owned()).collect::<Vec<_>>();
    assert_eq!(order(&tally), ["hand", "far", "gone"]);
    tally.read(&here(1, "far", -72.0, 5400));
    assert_eq!(order(&tally), ["hand", "far", "gone"]);
    assert_eq!(tally.tags_here(), 3);
}

#[test]
fn rates_are_of_full_seconds_and_levels_of_now() {
    let mut tally = Tally::default();
    for millis in (0..2000).step_by(100) {
        tally.read(&here(1, "aa", -50.0 - millis as f32 / 100.0, millis));
    }
    let heard = |tally: &Tally, millis| {
        let antenna = tally.antenna(&ear(1)).unwrap();
        (tally.rate_of(antenna, at(millis)), antenna.now_dbm(at(millis)))
    };
    assert_eq!(heard(&tally, 1950), (10.0, Some(-50.0)), "a whole second, though less is under way");
    assert_eq!(heard(&tally, 2500), (10.0, Some(-60.0)));
    assert_eq!(heard(&tally, 4500), (5.0, None), "20 in 4 seconds, the last of them silent");
    assert_eq!(heard(&tally, 9500), (0.0, None));
    // A second takes the place of one long past.
    tally.read(&here(1, "aa", -40.0, 10_000));
    assert_eq!(heard(&tally, 11_000), (0.25, Some(-40.0)));
    assert_eq!(tally.rate(at(11_000)), 0.25);
}

#[test]
fn what_a_reader_held_says_nothing_of_now() {
    let tally = tally(&[ReadTold { held: true, ..here(1, "aa", -50.0, 0) }]);
    assert_eq!((tally.held, tally.reads, tally.tags(at(1000)).len()), (1, 0, 0));
}

#[test]
fn tags_are_bounded_and_their_reads_counted_all_the_same() {
    let mut tally = Tally::default();
    for number in 0..=MOST_TAGS {
        tally.read(&here(1, &number.to_string(), -50.0, 0));
    }
    assert_eq!((tally.tags(at(1000)).len(), tally.reads), (MOST_TAGS, MOST_TAGS as u64 + 1));
}
