//! Two read points that hear the same tag, each for a zone of its own: which of them has it.

use super::*;
use crate::domain::sightings::PresenceChange;

/// A read: when, where (antenna 1 is the crib's, 5 the shelf's, 9 the yard's), and how strong.
type Heard = (i64, Antenna, Option<f32>);

/// The crib and the shelf, of readers of their own.
fn two_zones() -> Rules {
    let mut rules = rules_with_shelf();
    for (point, source, zone_name) in [(0, "reader", "crib"), (3, "other", "shelf")] {
        let point = &mut rules.read_points[point];
        point.antennas.truncate(1);
        point.antennas[0].source = source.into();
        point.hearing_timeout = seconds(60);
        if let ReadPointKind::Presence { zone, lost_after, lost_after_min, .. } = &mut point.kind {
            *zone = zone_name.into();
            (*lost_after, *lost_after_min) = (seconds(60), seconds(5));
        }
    }
    rules
}

/// And the yard, of another.
fn three_zones() -> Rules {
    let mut rules = two_zones();
    let mut yard = rules.read_points[3].clone();
    yard.name = "yard".into();
    (yard.antennas[0].source, yard.antennas[0].antenna) = ("third".into(), 9);
    if let ReadPointKind::Presence { zone, .. } = &mut yard.kind {
        *zone = "yard".into();
    }
    rules.read_points.push(yard);
    rules
}

struct Hall {
    cleaner: Cleaner,
    out: Cleaned,
    told: usize,
}

impl Hall {
    fn new(rules: &Rules) -> Self {
        let mut hall = Self { cleaner: Cleaner::new(rules, &intake()), out: Cleaned::default(), told: 0 };
        ["reader", "other", "third"].iter().for_each(|source| hall.link(source, 0, UP));
        hall
    }

    fn link(&mut self, source: &str, ms: i64, state: LinkState) {
        let is_up = matches!(state, LinkState::Up { .. });
        self.cleaner.link(&LinkChange { source: source.into(), at: at(ms), state }, &mut self.out);
        if is_up {
            let kind = ReaderEventKind::Connected;
            let event = ReaderEvent { source: source.into(), time: DeviceTime::Utc(at(ms)), kind };
            self.cleaner.reading(Reading::Reader(event), &source.into(), at(ms), &mut self.out);
        }
    }

    /// What is told of the tag: when in ms, what, where, and whether it is beside.
    fn hear(&mut self, mut heard: Vec<Heard>) -> Vec<(i64, PresenceChange, String, bool)> {
        heard.sort_by_key(|(ms, ..)| *ms);
        for (ms, antenna, dbm) in heard {
            self.read("01", (ms, antenna, dbm), ms);
        }
        self.news().into_iter().map(|(ms, change, place, beside, _)| (ms, change, place, beside)).collect()
    }

    fn read(&mut self, tag: &str, (ms, antenna, dbm): Heard, received: i64) {
        let Some(Reading::Tag(read)) = Step::Read("01", antenna, ms - READER_LEAD_MS, ms).reading() else {
            panic!("a read")
        };
        let source: SourceId = match antenna {
            1 => "reader",
            5 => "other",
            _ => "third",
        }
        .into();
        // A report of two reads: one is no presence.
        let read =
            TagRead { epc: epc(tag), source: source.clone(), seen_count: 2, peak_rssi_dbm: dbm, ..read };
        self.cleaner.tick(at(received), &mut self.out);
        self.cleaner.reading(Reading::Tag(read), &source, at(received), &mut self.out);
    }

    fn news(&mut self) -> Vec<(i64, PresenceChange, String, bool, Option<f32>)> {
        let new = &self.out.sightings[self.told..];
        self.told = self.out.sightings.len();
        let told = new.iter().filter_map(|sighting| match &sighting.what {
            Seen::Presence { epc: tag, read_point, change, beside, weighed, .. }
                if *tag == epc("01") && *change != PresenceChange::Refreshed =>
            {
                let ms = (sighting.observed_at.as_micros() - at(0).as_micros()) / 1000;
                let silent = weighed.as_ref().map(|weighed| weighed.silent_s);
                Some((ms, *change, read_point.to_string(), *beside, silent))
            }
            _ => None,
        });
        told.collect()
    }
}

const UP: LinkState = LinkState::Up { replaying: false };

fn down() -> LinkState {
    LinkState::Down { reason: "cut".into() }
}

/// Four reads a second, from then until then.
fn reads(antenna: Antenna, (from, to): (i64, i64), dbm: impl Fn(i64) -> f32) -> Vec<Heard> {
    (from..to).step_by(250).map(|ms| (ms, antenna, Some(dbm(ms)))).collect()
}

fn steady(dbm: f32) -> impl Fn(i64) -> f32 {
    move |_| dbm
}

use PresenceChange::{Arrived, Departed, Moved};

#[test]
fn what_is_heard_elsewhere_and_weaker_stays_where_it_is_and_moves_once_it_is_heard_better() {
    let mut hall = Hall::new(&two_zones());
    let mut heard = reads(1, (1000, 30_000), steady(-50.0));
    heard.extend(reads(5, (5000, 30_000), steady(-65.0)));
    let told = hall.hear(heard);
    assert_eq!(told, [(1000, Arrived, "crib".into(), false), (5000, Arrived, "shelf".into(), true)]);
    // It is carried over.
    let mut heard = reads(1, (30_000, 60_000), steady(-68.0));
    heard.extend(reads(5, (30_000, 60_000), steady(-52.0)));
    let told = hall.hear(heard);
    let [(ms, Moved, place, false)] = &told[..] else { panic!("{told:?}") };
    assert!((31_000..34_000).contains(ms) && place == "shelf", "{told:?}");
    // Whoever had it goes on hearing it, and so does not get it back.
    assert_eq!(hall.hear(reads(1, (60_000, 61_000), steady(-60.0))), []);
}

#[test]
fn what_lies_between_two_zones_does_not_flap() {
    let mut hall = Hall::new(&two_zones());
    let wave = |ms: i64, turned: f64| -60.0 + 3.0 * ((ms as f64 / 3000.0 + turned).sin() as f32);
    let mut heard = reads(1, (1000, 600_000), |ms| wave(ms, 0.0));
    heard.extend(reads(5, (2000, 600_000), |ms| wave(ms, 3.0)));
    let told = hall.hear(heard);
    assert_eq!(told, [(1000, Arrived, "crib".into(), false), (2000, Arrived, "shelf".into(), true)]);
}

/// Both hear it much better than where it was.
#[test]
fn of_several_that_hear_it_beside_the_best_takes_it() {
    for (shelf, yard, best) in [(-52.0, -53.0, "shelf"), (-53.0, -52.0, "yard")] {
        let mut hall = Hall::new(&three_zones());
        let at = |dbm: [f32; 3], span| {
            [1, 5, 9].into_iter().zip(dbm).flat_map(move |(antenna, dbm)| reads(antenna, span, steady(dbm)))
        };
        hall.hear(at([-50.0, -75.0, -75.0], (1000, 60_000)).collect());
        let told = hall.hear(at([-75.0, shelf, yard], (60_000, 90_000)).collect());
        let [(_, Moved, place, false)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(place, best);
    }
}

/// It lies in a null of the antenna that is near.
#[test]
fn what_is_heard_restlessly_is_nearer_than_it_seems() {
    let mut hall = Hall::new(&two_zones());
    let mut heard = reads(1, (1000, 120_000), steady(-60.0));
    heard.extend(reads(5, (2000, 120_000), |ms| [-54.0, -62.0][(ms / 250 % 2) as usize]));
    let told = hall.hear(heard);
    let moved = |told: &(i64, PresenceChange, String, bool)| told.1 == Moved && told.2 == "shelf";
    assert!(told.iter().any(moved), "{told:?}");
    // As strong, and still.
    let mut hall = Hall::new(&two_zones());
    let mut heard = reads(1, (1000, 120_000), steady(-60.0));
    heard.extend(reads(5, (2000, 120_000), steady(-56.0)));
    assert!(!hall.hear(heard).iter().any(moved));
}

#[test]
fn silence_says_more_where_it_is_newly_heard_elsewhere_than_where_nothing_changed() {
    let moved_after_s = |heard_there_since| {
        let mut hall = Hall::new(&two_zones());
        let mut heard: Vec<Heard> = (1000..120_000).step_by(1000).map(|ms| (ms, 1, Some(-50.0))).collect();
        heard.extend(reads(5, (heard_there_since, 120_000), steady(-70.0)));
        hall.hear(heard);
        for ms in (120_000..150_000).step_by(250) {
            hall.read("02", (ms, 1, Some(-60.0)), ms);
            hall.read("01", (ms, 5, Some(-70.0)), ms);
        }
        let moved = hall.news().into_iter().find(|(_, change, ..)| *change == Moved);
        moved.map(|(ms, ..)| (ms - 119_000) / 1000)
    };
    assert_eq!(moved_after_s(120_000), Some(4));
    assert_eq!(moved_after_s(2000), Some(10));
}

#[test]
fn silence_of_who_has_it_decides_where_it_listens() {
    for (listens, moves) in [(true, true), (false, false)] {
        let mut hall = Hall::new(&two_zones());
        let mut heard = reads(1, (1000, 120_000), steady(-50.0));
        heard.extend(reads(5, (2000, 120_000), steady(-54.0)));
        hall.hear(heard);
        if !listens {
            hall.link("reader", 120_000, down());
        }
        for ms in (120_000..140_000).step_by(250) {
            // It hears others.
            if listens {
                hall.read("02", (ms, 1, Some(-60.0)), ms);
            }
            hall.read("01", (ms, 5, Some(-54.0)), ms);
        }
        let told = hall.news();
        let moved = |(_, change, place, ..): &(i64, PresenceChange, String, bool, Option<f32>)| {
            *change == Moved && place == "shelf"
        };
        assert_eq!(told.iter().any(moved), moves, "{told:?}");
    }
}

#[test]
fn what_comes_up_elsewhere_while_its_read_point_is_deaf_is_there() {
    let mut hall = Hall::new(&two_zones());
    hall.hear(reads(1, (1000, 60_000), steady(-50.0)));
    hall.link("reader", 60_000, down());
    let told = hall.hear(reads(5, (70_000, 71_000), steady(-70.0)));
    assert_eq!(told, [(70_000, Arrived, "shelf".into(), false)]);
    // It is back, and hears nothing of it: that it left is told, beside.
    hall.link("reader", 80_000, UP);
    for ms in (80_000..200_000).step_by(500) {
        hall.read("02", (ms, 1, Some(-60.0)), ms);
        hall.read("01", (ms, 5, Some(-70.0)), ms);
    }
    let told = hall.news();
    assert!(matches!(&told[..], [(_, Departed, place, true, _)] if place == "crib"), "{told:?}");
}

#[test]
fn readers_that_tell_no_signal_are_told_apart_by_silence() {
    let mut hall = Hall::new(&two_zones());
    let without = |heard: Vec<Heard>| heard.into_iter().map(|(ms, antenna, _)| (ms, antenna, None)).collect();
    let mut heard: Vec<Heard> = reads(1, (1000, 120_000), steady(0.0));
    heard.extend(reads(5, (2000, 120_000), steady(0.0)));
    let told = hall.hear(without(heard));
    assert_eq!(told, [(1000, Arrived, "crib".into(), false), (2000, Arrived, "shelf".into(), true)]);
    let told = hall.hear(without(reads(5, (120_000, 180_000), steady(0.0))));
    assert!(matches!(told.first(), Some((_, Moved, place, false)) if place == "shelf"), "{told:?}");
}

#[test]
fn read_points_of_one_zone_have_it_both() {
    let mut rules = two_zones();
    if let ReadPointKind::Presence { zone, .. } = &mut rules.read_points[3].kind {
        *zone = "crib".into();
    }
    let mut hall = Hall::new(&rules);
    let mut heard = reads(1, (1000, 30_000), steady(-70.0));
    heard.extend(reads(5, (5000, 30_000), steady(-50.0)));
    let told = hall.hear(heard);
    assert_eq!(told, [(1000, Arrived, "crib".into(), false), (5000, Arrived, "shelf".into(), false)]);
}

/// Who holds its reads back for some seconds, as readers that report now and then do.
#[test]
fn what_comes_behind_newer_reads_takes_nothing_from_what_is_known() {
    let mut hall = Hall::new(&two_zones());
    let late = |ms: i64| ms + 8000;
    for ms in (1000..60_000).step_by(250) {
        hall.read("01", (ms, 1, Some(-60.0)), ms);
        if (10_000..30_000).contains(&ms) && ms % 10_000 == 9750 {
            // Stronger, but older than what the crib has heard.
            (ms - 9750..ms - 5000)
                .step_by(250)
                .for_each(|ms| hall.read("01", (ms, 5, Some(-40.0)), late(ms)));
        }
    }
    let told = hall.news();
    let places: Vec<_> =
        told.iter().map(|(_, change, place, beside, _)| (*change, place.as_str(), *beside)).collect();
    assert!(
        !places.contains(&(Moved, "shelf", false)) && places.contains(&(Arrived, "shelf", true)),
        "{told:?}"
    );
}

#[test]
fn whoever_has_it_no_longer_leaves_it_to_who_hears_it_still() {
    let mut hall = Hall::new(&two_zones());
    let mut heard = reads(1, (1000, 60_000), steady(-50.0));
    heard.extend(reads(5, (2000, 60_000), steady(-80.0)));
    hall.hear(heard);
    for ms in (60_000..200_000).step_by(500) {
        hall.read("02", (ms, 1, Some(-60.0)), ms);
        hall.read("01", (ms, 5, Some(-80.0)), ms);
    }
    let told = hall.news();
    let places: Vec<_> =
        told.iter().map(|(_, change, place, beside, _)| (*change, place.as_str(), *beside)).collect();
    assert!(
        places == [(Moved, "shelf", false), (Departed, "crib", true)]
            || places == [(Departed, "crib", false), (Moved, "shelf", false)],
        "{told:?}"
    );
}
