//! What trackers may cost: strangers are forgotten, the memory of messages is bounded, and nothing of it is
//! left behind in the journal.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde_json::json;

use super::*;
use crate::clean::fixes::TrackerRow;
use crate::clean::packed;
use crate::clean::{DUPLICATE, NO_FIX, TOO_MANY_TRACKERS};
use crate::domain::ids::DeviceId;
use crate::domain::readings::{Note, Says, Vitals};
use crate::domain::state::StateKind;

const HOUR_MS: i64 = 3_600_000;

/// A stage and the rows that it has written.
struct Rig {
    cleaner: Cleaner,
    rows: BTreeMap<(StateKind, String), Vec<u8>>,
    out: Cleaned,
}

impl Rig {
    fn new(intake: &IntakeConfig) -> Self {
        let cleaner = Cleaner::new(&rules(), intake);
        Self { cleaner, rows: BTreeMap::new(), out: Cleaned::default() }
    }

    /// A fix of that device; devices with an `r` are on the register. `true` where it was used.
    fn fix(&mut self, device: &str, ms: i64) -> bool {
        self.fix_received(device, ms, ms)
    }

    fn fix_received(&mut self, device: &str, observed: i64, received: i64) -> bool {
        let fix = Fix { device: device.into(), ..fix(observed, 50.0) };
        let known = |device: &DeviceId| device.as_str().starts_with('r');
        self.cleaner.tend_trackers(&fix.device, at(received), known);
        let used = self.out.used;
        self.cleaner.reading(Reading::Fix(fix), &"broker".into(), at(received), &mut self.out);
        self.out.used > used
    }

    fn commit(&mut self) {
        for row in rows_of(&mut self.cleaner) {
            match row.value {
                Some(value) => drop(self.rows.insert((row.kind, row.key), value)),
                None => drop(self.rows.remove(&(row.kind, row.key))),
            }
        }
    }

    fn rows_about(&self, device: &str) -> usize {
        let of = |key: &str| key == device || key.split('#').next() == Some(device);
        self.rows.keys().filter(|(_, key)| of(key)).count()
    }

    fn restarted(mut self, intake: &IntakeConfig) -> Self {
        self.commit();
        let mut again = Self::new(intake);
        let rows = self.rows.iter().map(|((kind, key), value)| (*kind, key.clone(), value.clone()));
        again.cleaner.restore(rows).unwrap();
        again.rows = self.rows;
        again
    }
}

fn limits(max_trackers: usize) -> IntakeConfig {
    IntakeConfig { max_trackers, forget_trackers_after: seconds(86_400), ..intake() }
}

#[test]
fn a_stranger_that_falls_silent_is_forgotten_with_its_rows_and_one_on_the_register_is_not() {
    let mut rig = Rig::new(&limits(1000));
    (0..200).for_each(|ms| assert!(rig.fix("a/stranger", ms)));
    assert!(rig.fix("r/known", 300));
    rig.commit();
    assert!(rig.rows_about("a/stranger") > 2, "a row and chunks");

    // Exactly a day is not longer than a day.
    (0..2).for_each(|nth| assert!(rig.fix("r/busy", 24 * HOUR_MS + nth)));
    assert_eq!(rig.cleaner.remembered().forgotten, 0);
    (0..2).for_each(|nth| assert!(rig.fix("r/busy", 25 * HOUR_MS + nth)));
    rig.commit();
    assert_eq!((rig.cleaner.remembered().forgotten, rig.cleaner.remembered().trackers), (1, 2));
    assert_eq!((rig.rows_about("a/stranger"), rig.rows_about("r/known")), (0, 1));
    assert_eq!(rig.cleaner.remembered().redelivery_bytes, 0);
}

#[test]
fn a_hostile_fleet_does_not_fill_the_table_for_ever() {
    let mut rig = Rig::new(&limits(500));
    for nth in 0..2000 {
        rig.fix(&format!("a/{nth}"), nth);
    }
    assert_eq!(rig.cleaner.remembered().trackers, 500);
    assert_eq!(rig.out.filtered, [(crate::clean::TOO_MANY_TRACKERS, 1500)]);
    // A new stranger waits until others have been silent for a day; the hand needs a few fixes to come round.
    assert!(!rig.fix("b/new", 23 * HOUR_MS));
    let taken = (0..500 / 64 + 1).any(|nth| rig.fix("b/new", 25 * HOUR_MS + nth));
    assert!(taken);
    for nth in 0..500 {
        rig.fix("b/new", 26 * HOUR_MS + nth);
    }
    assert_eq!(rig.cleaner.remembered().trackers, 1, "the fleet is forgotten");
}

#[test]
fn who_is_on_the_register_finds_room_among_strangers_and_strangers_none_among_those() {
    let mut rig = Rig::new(&limits(10));
    (0..10).for_each(|nth| assert!(rig.fix(&format!("a/{nth}"), nth)));
    for nth in 0..10 {
        assert!(rig.fix(&format!("r/{nth}"), 100 + nth), "{nth}");
    }
    assert_eq!((rig.cleaner.remembered().trackers, rig.cleaner.remembered().forgotten), (10, 10));
    assert!(!rig.fix("a/new", 48 * HOUR_MS), "however long they were silent");
    assert!(rig.fix("r/3", 48 * HOUR_MS + 1));
}

#[test]
fn a_restart_does_not_make_a_stranger_younger() {
    let mut rig = Rig::new(&limits(10));
    assert!(rig.fix("a/stranger", 0));
    assert!(rig.fix("r/busy", 20 * HOUR_MS));
    let mut rig = rig.restarted(&limits(10));
    assert!(rig.fix("r/busy", 25 * HOUR_MS));
    assert_eq!(rig.cleaner.remembered().forgotten, 1);
}

#[test]
fn a_row_that_does_not_say_when_it_was_heard_counts_from_its_newest_message() {
    let mut rig = Rig::new(&limits(10));
    assert!(rig.fix("a/stranger", 0));
    rig.commit();
    let key = (StateKind::Tracker, "a/stranger".to_owned());
    let row: BTreeMap<String, IgnoredAny> = packed::read(key.0, &key.1, &rig.rows[&key]).unwrap();
    assert!(row.contains_key("s") && !row.contains_key("heard"));
    let mut rig = rig.restarted(&limits(10));
    assert!(rig.fix("r/busy", 23 * HOUR_MS));
    assert_eq!(rig.cleaner.remembered().forgotten, 0);
    assert!(rig.fix("r/busy", 25 * HOUR_MS));
    assert_eq!(rig.cleaner.remembered().forgotten, 1);
}

/// 40 trackers with 1,000 messages each do not fit into 64 KiB: the newest of each and as many of the others as
/// fit are known again, before and after a restart; the rest comes as late, and no row of it is left.
#[test]
fn the_memory_of_messages_is_bounded_and_the_oldest_go_first() {
    let intake = IntakeConfig { redelivery_memory: 64 << 10, ..limits(1000) };
    let mut rig = Rig::new(&intake);
    for nth in 0..1000 {
        for device in 0..40 {
            assert!(rig.fix(&format!("r/{device}"), nth * 1000));
        }
        rig.commit();
    }
    let check = |rig: &mut Rig| {
        let remembered = rig.cleaner.remembered();
        assert!(remembered.redelivery_bytes > 60 << 10 && remembered.redelivery_bytes <= 64 << 10);
        let chunks = rig.rows.keys().filter(|(kind, _)| *kind == StateKind::TrackerSeen).count();
        assert!((140..220).contains(&chunks), "{chunks} rows");
        for device in 0..40 {
            assert!(!rig.fix_received(&format!("r/{device}"), 999_000, 1_000_000));
            assert!(!rig.fix_received(&format!("r/{device}"), 950_000, 1_000_000));
        }
        assert_eq!(rig.out.filtered, [(DUPLICATE, 80)]);
    };
    check(&mut rig);
    assert!(rig.cleaner.remembered().evicted > 500);
    let mut rig = rig.restarted(&intake);
    check(&mut rig);
    let said = rig.out.sightings.len();
    assert!(rig.fix_received("r/7", 0, 1_000_000));
    let moves = |sighting: &Sighting| !sighting.late && !matches!(sighting.what, Seen::Heard { .. });
    assert!(!rig.out.sightings[said..].iter().any(moves), "it moves nothing");

    let smaller = IntakeConfig { redelivery_memory: 8 << 10, ..intake };
    let mut rig = rig.restarted(&smaller);
    rig.commit();
    assert!(rig.cleaner.remembered().redelivery_bytes <= 8 << 10);
    assert!(rig.rows.keys().filter(|(kind, _)| *kind == StateKind::TrackerSeen).count() < 28);
}

/// The order of eviction is kept in a queue that must not outgrow what it orders.
#[test]
fn chunks_that_expire_leave_nothing_behind() {
    let intake = IntakeConfig { redelivery_horizon: seconds(60), ..limits(1000) };
    let mut rig = Rig::new(&intake);
    // One that is silent stands before all others for ever.
    (0..100).for_each(|ms| assert!(rig.fix("r/silent", ms)));
    (0..50_000).for_each(|second| assert!(rig.fix("r/busy", second * 1000)));
    assert!(rig.cleaner.trackers.budget.places() < 200);
    assert!(rig.cleaner.remembered().redelivery_bytes < 10 << 10);
    assert_eq!(rig.cleaner.remembered().evicted, 0);
}

/// What is no position, one line each: the time received in ms, whom it is of, what it says, when it was sent.
fn note(device: &str, says: Says, told: Option<i64>, retained: bool) -> Reading {
    let (kind, observed_at) = ("note".to_owned(), told.map(at));
    let vitals = Vitals::default();
    Reading::Note(Note { device: device.into(), kind, says, vitals, observed_at, retained })
}

/// The newest word of the battery counts, whichever message it came with.
#[test]
fn what_a_tracker_says_of_itself_without_a_fix_is_news_where_nothing_newer_was_said() {
    let mut rig = Rig::new(&limits(1000));
    let says = |rig: &mut Rig, told: Option<i64>, received: i64, retained: bool, percent: f64| {
        let vitals = Vitals { battery_percent: Some(percent), ignition: None };
        let (kind, says, observed_at) = ("no-fix".to_owned(), Says::NoFix, told.map(at));
        let note = Note { device: "truck".into(), kind, says, vitals, observed_at, retained };
        rig.cleaner.reading(Reading::Note(note), &"broker".into(), at(received), &mut rig.out);
        let told: Vec<_> = rig.out.sightings.drain(..).map(|sighting| line(&sighting)).collect();
        told.into_iter().filter(|line| line.contains('%')).collect::<Vec<_>>()
    };
    assert_eq!(says(&mut rig, Some(10_000), 11_000, false, 9.0), ["10000 Some(9.0) % None"]);
    // Older, which a burst may bring, or retained; the same once more is the same.
    assert!(says(&mut rig, Some(5000), 12_000, false, 20.0).is_empty());
    assert!(says(&mut rig, Some(13_000), 13_000, true, 20.0).is_empty());
    assert_eq!(says(&mut rig, Some(10_000), 14_000, false, 9.0).len(), 1);
    // By a fix it was newer; a message without a time is of when it came; none is of the future.
    let fix = Fix { device: "truck".into(), ..fix(20_000, 50.1) };
    rig.cleaner.reading(Reading::Fix(fix), &"broker".into(), at(21_000), &mut rig.out);
    rig.out = Cleaned::default();
    assert!(says(&mut rig, Some(19_000), 22_000, false, 20.0).is_empty());
    assert_eq!(says(&mut rig, None, 23_000, false, 8.0), ["23000 Some(8.0) % None"]);
    assert_eq!(says(&mut rig, Some(99_000), 24_000, false, 7.0), ["24000 Some(7.0) % None"]);
    let mut rig = rig.restarted(&limits(1000));
    assert!(says(&mut rig, Some(23_500), 25_000, false, 20.0).is_empty(), "also behind a restart");
}

#[test]
fn what_is_no_position_says_whether_a_tracker_lives() {
    let mut rig = Rig::new(&limits(1000));
    let up = LinkState::Up { replaying: false };
    rig.cleaner.link(&LinkChange { source: "broker".into(), at: at(0), state: up }, &mut rig.out);
    rig.out = Cleaned::default();
    for (received, reading, said, filtered) in [
        (1000, note("truck", Says::Nothing, None, false), vec![], None),
        (2000, note("truck", Says::Lives, Some(1000), true), vec![], None),
        (3000, note("truck", Says::Lives, Some(1000), false), vec!["3000 truck lives"], None),
        // Said at most once a minute.
        (4000, note("truck", Says::NoFix, Some(4000), false), vec![], Some(NO_FIX)),
        (5000, note("truck", Says::NoFix, None, true), vec![], Some(NO_FIX)),
        (6000, note("truck", Says::Gone, None, true), vec![], None),
        (7000, note("truck", Says::Gone, None, false), vec!["7000 truck is gone"], None),
        // Back again, so that it is news.
        (8000, note("truck", Says::NoFix, None, false), vec!["8000 truck lives"], Some(NO_FIX)),
        (9000, note("other", Says::Gone, None, false), vec!["9000 other is gone"], None),
    ] {
        rig.cleaner.reading(reading, &"broker".into(), at(received), &mut rig.out);
        let lines: Vec<_> = rig.out.sightings.drain(..).map(|sighting| line(&sighting)).collect();
        assert_eq!(lines, said, "{received}");
        let reasons: Vec<_> = rig.out.filtered.drain(..).map(|(reason, _)| reason).collect();
        assert_eq!(reasons, Vec::from_iter(filtered), "{received}");
        assert_eq!(std::mem::take(&mut rig.out.used), u64::from(filtered.is_none()));
    }
    assert_eq!(rig.cleaner.remembered().trackers, 1, "who is only told to be gone is not remembered");
    let full = &mut Rig::new(&limits(0));
    full.cleaner.reading(note("truck", Says::Lives, None, false), &"broker".into(), at(0), &mut full.out);
    assert_eq!(full.out.filtered, [(TOO_MANY_TRACKERS, 1)]);
}

/// Trackers that move and visit, so that everything that one may hold is full: their newest messages, the fixes and visits
/// that late ones are judged by, a trip; then as many late fixes as may wait. Beside what the budget counts, that is a
/// kibibyte each, and two and a half while such a burst waits, which it does for `MOST_BURSTS` of them at a time.
#[test]
fn a_tracker_takes_a_kibibyte_and_while_a_burst_of_it_waits_two_and_a_half() {
    const TRACKERS: usize = 500;
    let intake = limits(TRACKERS);
    let (mut cleaner, mut out) = (Cleaner::new(&rules(), &intake), Cleaned::default());
    let source = SourceId::from("broker");
    let give = |cleaner: &mut Cleaner, out: &mut Cleaned, observed: i64, received: i64, lat: f64| {
        for tracker in 0..TRACKERS {
            let device = format!("r/fleet/truck-{tracker:06}").into();
            let fix = Fix { device, ..fix(observed, lat) };
            cleaner.reading(Reading::Fix(fix), &source, at(received), out);
            out.sightings.clear();
        }
        drop(rows_of(cleaner));
    };
    let held = allocation_counter::measure(|| {
        for minute in 0..191 {
            // Twenty minutes on the road, ten in the yard.
            let lat = if minute % 30 < 20 { 50.01 } else { 50.0 };
            give(&mut cleaner, &mut out, minute * 60_000, minute * 60_000, lat);
        }
        out = Cleaned::default();
    });
    let beside = held.bytes_current - i64::try_from(cleaner.remembered().redelivery_bytes).unwrap();
    let each = beside / TRACKERS as i64;
    assert!(cleaner.remembered().redelivery_bytes > 0);
    assert!((600..=1024).contains(&each), "{each} bytes");

    let budget = cleaner.remembered().redelivery_bytes;
    let burst = allocation_counter::measure(|| {
        for nth in 1..=60 {
            // Each tells something else than the one before, so that none are merged.
            let lat = if nth % 2 == 0 { 50.01 } else { 50.0 };
            give(&mut cleaner, &mut out, 189 * 60_000 + nth * 900, 190 * 60_000 + nth, lat);
        }
        out = Cleaned::default();
    });
    let more = burst.bytes_current - i64::try_from(cleaner.remembered().redelivery_bytes - budget).unwrap();
    let waiting = each + more / TRACKERS as i64;
    assert!((2048..=2656).contains(&waiting), "{waiting} bytes while a burst waits, {each} else");
}

#[test]
fn a_clock_that_is_wrong_is_told_once_it_is_sure_and_again_when_it_is_right() {
    let day = 24 * HOUR_MS;
    let mut rig = Rig::new(&intake());
    let mut told: Vec<(i64, i64)> = Vec::new();
    let mut says = |rig: &mut Rig, received: i64, ahead_ms: i64| {
        rig.fix_received("r/van", received + ahead_ms, received);
        let clocks =
            std::mem::take(&mut rig.out).sightings.into_iter().filter_map(|sighting| match sighting.what {
                Seen::Clock { ahead_us, .. } => Some((received / 1000, ahead_us / 1_000_000)),
                _ => None,
            });
        told.extend(clocks);
    };
    says(&mut rig, 0, 0);
    (1..10).for_each(|nth| says(&mut rig, nth * 10_000, day + nth));
    rig = rig.restarted(&intake());
    (10..20).for_each(|nth| says(&mut rig, nth * 10_000, nth));
    // A receiver whose weeks have rolled over is years behind.
    (20..30).for_each(|nth| says(&mut rig, nth * 10_000, -7168 * day));
    // What it kept for a while is nothing of the kind.
    (30..40).for_each(|nth| says(&mut rig, nth * 10_000, nth - 2 * day));
    // Set back by two hours it tells of places as old ones.
    (40..120).for_each(|nth| says(&mut rig, nth * 10_000, -2 * HOUR_MS));
    says(&mut rig, 1_210_000, 0);
    let by_then = [(30, 86_400), (120, 0), (220, -7168 * 86_400), (300, 0)];
    assert_eq!(told, [&by_then[..], &[(1000, -7200), (1210, 0)]].concat());
}

/// The same for those whose trips are held: on the road, away for an hour, and back with the newest first.
#[test]
fn while_trips_of_an_outage_are_held_a_tracker_takes_less_than_seven_kibibytes() {
    const TRACKERS: usize = 200;
    let intake = limits(TRACKERS);
    let (mut cleaner, mut out) = (Cleaner::new(&rules(), &intake), Cleaned::default());
    let source = SourceId::from("broker");
    let give = |cleaner: &mut Cleaner, out: &mut Cleaned, second: i64, received: i64| {
        for tracker in 0..TRACKERS {
            let device = format!("r/fleet/truck-{tracker:06}").into();
            let driven =
                Fix { device, speed_mps: Some(11.0), ..fix(second * 1000, 50.1 + second as f64 * 1e-4) };
            cleaner.reading(Reading::Fix(driven), &source, at(received), out);
            out.sightings.clear();
        }
        drop(rows_of(cleaner));
    };
    let burst = allocation_counter::measure(|| {
        (0..30).for_each(|nth| give(&mut cleaner, &mut out, nth * 10, nth * 10_000));
        for nth in 0..330 {
            give(&mut cleaner, &mut out, (360 - nth) * 10, 3_600_000 + nth * 50);
        }
        out = Cleaned::default();
    });
    let beside = burst.bytes_current - i64::try_from(cleaner.remembered().redelivery_bytes).unwrap();
    let each = beside / TRACKERS as i64;
    assert!((4096..7168).contains(&each), "{each} bytes");
}

/// So that SQLite writes it where it is; with each message it would else be a few bytes longer, and with a full chunk shorter.
#[test]
fn the_row_of_one_that_drives_hardly_ever_changes_its_length() {
    let mut rig = Rig::new(&IntakeConfig::default());
    let key = (StateKind::Tracker, "r".to_owned());
    let mut lengths = Vec::new();
    for second in 0..200 {
        let fix = Fix {
            device: "r".into(),
            speed_mps: Some(14.0),
            ..fix(second * 1000, 50.0 + second as f64 * 1e-4)
        };
        rig.cleaner.reading(Reading::Fix(fix), &"broker".into(), at(second * 1000), &mut rig.out);
        rig.commit();
        lengths.push(rig.rows[&key].len());
    }
    // Until it drives for sure more is remembered of it. How far a chunk is filled does not show.
    let drives = &lengths[48..];
    let changes = drives.windows(2).filter(|two| two[0] != two[1]).count();
    assert!(changes <= 2, "{changes}: {lengths:?}");
    assert!(drives.iter().all(|length| *length < 700 - key.1.len()), "{lengths:?}");
}

/// As a build wrote it that wrote JSON, of one that drives; its fence as a row of another tracker has it.
const OLDER: &str = concat!(
    r#"{"clock":{"lead_us":0},"last":{"at":1795885302000000,"lat":"50.001","lon":"8.0395","accuracy":"5"},"#,
    r#""fences":[{"fence":"depot","inside":true,"since":1795884908000000}],"#,
    r#""seen":"~AAZhWSDT0MAABmFZIXupgAAGYVkr0s+A1KYmMHkaoJPdwd1jxYW/Zg","next_chunk":16,"alive":1795885267000000,"#,
    r#""late":{"kept":"^GAD+BmFZIT6ggP8dzYwQBMqrWAYyAeBzQkDABBgA4BDHwMAcaADgMUJAwAQ4AOAXzsDADegA","#,
    r#""floor":1795885298000000},"#,
    r#""moves":{"Moving":{"started_at":1795884908000000,"start":{"lat":50.001,"lon":8.0},"#,
    r#""way":"^JgMfQKXXoDb+BmFZIXupgP8dzYwQBMq6+HwEweS29PhA5La1pf/XoDZE2pvXQv+Az15EKYAdDL8nmTLKuvhAn+B3Ebb0Qf+1Pz7"#,
    r#"2TGLlQP9a5S6b13thlsF/zz8BxQAAAFgBgAEAAAAAHvWBqCsAAAAA","#,
    r#""rest":"~AAZhWSF7qYAdzYwQBMq6+AAyAQAAAAAA","metres_to_rest":2828.5,"since_rest":1,"rolls":true}},"via":"fleet"}   "#,
);

#[test]
fn a_row_of_a_build_that_wrote_json_says_what_one_of_ours_does() {
    let older: TrackerRow<'_> = packed::read(StateKind::Tracker, "truck", OLDER.as_bytes()).unwrap();
    let ours = packed::row(StateKind::Tracker, "truck", &older, 0).value.unwrap();
    assert!(ours.len() < OLDER.len() * 3 / 4, "{}", ours.len());
    let again: TrackerRow<'_> = packed::read(StateKind::Tracker, "truck", &ours).unwrap();
    let [older, again] = [&older, &again].map(|row| serde_json::to_value(row).unwrap());
    assert_eq!(older, again);
    // What had a longer name has not become what a row without it says.
    let says = |path: &str| again.pointer(path).unwrap_or_else(|| panic!("{path}: {again}")).clone();
    assert_eq!(says("/l"), json!({"t": 1_795_885_302_000_000_i64, "y": "50.001", "x": "8.0395", "r": "5"}));
    assert_eq!(says("/fences/0"), json!({"f": "depot", "i": true, "s": 1_795_884_908_000_000_i64}));
    assert_eq!(
        [says("/n"), says("/a"), says("/v")],
        [json!(16), json!(1_795_885_267_000_000_i64), json!("fleet")]
    );
    assert_eq!(says("/t/f"), json!(1_795_885_298_000_000_i64));
    let moving = ["t", "m", "n", "rolls"].map(|name| says(&format!("/m/M/{name}")));
    assert_eq!(moving, [json!(1_795_884_908_000_000_i64), json!(2828.5), json!(1), json!(true)]);
    for packed in ["/s", "/t/k", "/m/M/w", "/m/M/r"] {
        let bytes = says(packed).as_str().unwrap().to_owned();
        assert!(OLDER.contains(&bytes), "{packed}: {bytes}");
    }
}
