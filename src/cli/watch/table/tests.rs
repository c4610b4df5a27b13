//! The table as people see it.

use super::*;
use crate::cli::watch::tally::tests::{at, here, there};
use crate::domain::ids::{ReadPointId, SourceId};
use crate::web::walk::{Ear, ReadTold, ReaderTold};

fn about() -> About {
    let reader = SourceId::new("dock-reader");
    let ear = |antenna, side: &str| Ear { reader: reader.clone(), antenna, side: Some(side.to_owned()) };
    About {
        read_point: ReadPointId::new("dock3"),
        kind: "portal".to_owned(),
        antennas: vec![ear(1, "inside"), ear(2, "outside")],
        reference_tag: Some("ee".to_owned()),
        readers: vec![ReaderTold { reader: reader.clone(), up: true, reason: "connected".to_owned() }],
    }
}

fn text(about: &About, tally: &Tally, tags: usize, width: usize) -> String {
    let assets = BTreeMap::from([("aa".to_owned(), Some("FL-07".to_owned())), ("bb".to_owned(), None)]);
    let view =
        View { about, tally, assets: &assets, now: at(2000), length: Duration::from_secs(72), tags, width };
    view.lines().into_iter().map(|(_, line)| line.trim_end().to_owned() + "\n").collect()
}

#[test]
fn who_hears_what_and_who_else() {
    let mut tally = Tally::default();
    for read in [
        here(1, "aa", -44.4, 0),
        here(1, "aa", -60.0, 1500),
        here(1, "bb", -69.0, 1600),
        here(1, "cc", -55.0, 1700),
        here(1, "ee", -50.0, 1800),
        there("dock2", "bb", -48.0, 1900),
        there("dock2", "aa", -61.0, 1900),
        there("dock4", "cc", -55.2, 1900),
        ReadTold { held: true, ..here(1, "aa", -50.0, 0) },
    ] {
        tally.read(&read);
    }
    let expected = "\
dock3 (portal)   1 min 12 s   5 reads, 2 a second   4 tags

  ANTENNA        SIDE     READS  /S  TAGS  NOW                STRONGEST  MEAN  WEAKEST
  dock-reader 1  inside       5   2     4  -50 ██████····           -44   -56      -69
  dock-reader 2  outside      0            nothing heard yet

  TAG               READS  STRONGEST  AT             ELSEWHERE
! bb                    1        -69  dock-reader 1  dock2 -48: 21 dB LOUDER, 1 read
? cc                    1        -55  dock-reader 1  dock4 -55: as loud, 1 read
  aa FL-07              2        -44  dock-reader 1  dock2 -61: 17 dB weaker, 1 read
  ee reference tag      1        -50  dock-reader 1

  WHO ELSE HEARS THEM  READS  TAGS  LOUDER THERE  CLOSEST
  dock2                    2     2             1  21 dB LOUDER, bb
  dock4                    1     1             0  as loud, cc

! 1 cross-read tag: heard here, and clearly louder elsewhere. Less power here, or an antenna turned away
? 1 unclear tag: about as loud elsewhere. Whose it is hangs on how it is held
  1 read of before, which a reader had held, not counted
";
    assert_eq!(text(&about(), &tally, 10, 120), expected);
    assert!(text(&about(), &tally, 3, 120).contains("  and 1 more\n"));
}

#[test]
fn where_there_is_little_room_codes_are_told_by_their_end() {
    let mut tally = Tally::default();
    tally.read(&here(1, "3034257bf7194e4000001a07", -50.0, 0));
    let narrow = text(&about(), &tally, 3, 100);
    assert!(narrow.contains("\n  …00001a07      1") && !narrow.contains("WEAKEST"), "{narrow}");
    assert!(text(&about(), &tally, 3, 120).contains("\n  3034257bf7194e4000001a07      1"));
}

/// On a telephone or a handheld: nothing that matters is cut off.
#[test]
fn on_a_small_terminal_what_matters_stays() {
    let mut tally = Tally::default();
    for read in [
        here(1, "3034257bf7194e4000001a07", -50.0, 1500),
        here(1, "3034257bf7194e4000001a07", -44.0, 1600),
        there("dock2", "3034257bf7194e4000001a07", -36.0, 1900),
    ] {
        tally.read(&read);
    }
    let narrow = text(&about(), &tally, 3, 60);
    let expected = "\
  ANTENNA        SIDE     READS  /S  TAGS  NOW  PEAK
  dock-reader 1  inside       2   2     1  -44   -44
  dock-reader 2  outside      0            -

  TAG        READS  PEAK  ELSEWHERE
! …00001a07      2   -44  dock2 -36: 8 dB LOUDER, 1 read
";
    assert!(narrow.contains(expected), "{narrow}");
    assert!(expected.lines().all(|line| line.chars().count() < 60));
}

#[test]
fn a_reader_that_is_away_and_reads_that_were_missed_are_said() {
    let mut about = about();
    about.readers[0] =
        ReaderTold { up: false, reason: "failed to connect".to_owned(), ..about.readers[0].clone() };
    let mut tally = Tally::default();
    tally.missed = 3;
    let text = text(&about, &tally, 3, 120);
    assert!(text.contains("\n  reader dock-reader is DOWN: failed to connect\n"), "{text}");
    assert!(text.contains("3 reads came too fast to be told"), "{text}");
    assert!(!text.contains("TAG  "), "{text}");
    assert!(text.starts_with("dock3 (portal)   1 min 12 s   0 reads, 0 a second   0 tags\n"), "{text}");
}
