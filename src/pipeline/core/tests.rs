//! The three pure stages as one machine: grouping, restarts and poison change nothing of what is recorded.

use std::path::Path;

use super::*;
use crate::config;
use crate::domain::frames::LinkState;
use crate::domain::frames::TooLong;
use crate::journal::Cut;

mod antennas;
mod arrivals;
mod formats;
mod limits;
mod live;
mod memory;
mod sparkplug;

const CONFIG: &str = r#"
node = "test"

[[site]]
name = "north"
timezone = "Europe/Berlin"

[[fence]]
name = "depot"
center = { lat = 52.0, lon = 13.0 }
radius_m = 200
hysteresis_m = 10

[[broker]]
name = "fleet"
site = "north"
address = "127.0.0.1:1883"
client_id = "test"

[[broker.topic]]
filter = "owntracks/+/+"
format = "owntracks"

[[broker.topic]]
topic = "fleet/{device}/position"
format = "json"
[broker.topic.mapping]
device = "id"
latitude = "lat"
longitude = "lon"
time = "ts"
time_format = "unix"

[[broker.topic]]
filter = "fleet/#"
format = "json"
mapping = { preset = "thingsboard" }

[[broker.topic]]
topic = "home/{device}/attributes"
format = "json"
mapping = { latitude = "lat", longitude = "lon", time_format = "none" }

[[broker.topic]]
topic = "gps/{device}"
format = "nmea"

[[nmea]]
name = "receiver"
address = "127.0.0.1:1"
device = "crane"

[[teltonika]]
name = "trackers"
listen = "127.0.0.1:0"
"#;

const NOON: i64 = 1_767_268_800;

fn configuration() -> Config {
    config::parse(CONFIG, Path::new("."), &|_| None).unwrap()
}

fn core(state: Vec<(StateKind, String, Vec<u8>)>) -> Core {
    let mut core = Core::new(&configuration(), state).unwrap();
    core.started(None, Timestamp::from_secs(NOON));
    core.intake(Intake::Link(LinkChange {
        source: "fleet".into(),
        at: Timestamp::from_secs(NOON),
        state: LinkState::Up { replaying: false },
    }));
    core
}

fn message(nth: u64, payload: &str) -> Intake {
    Intake::Frame(Frame {
        source: "fleet".into(),
        received_at: Timestamp::from_secs(NOON + nth as i64),
        payload: Payload::Mqtt {
            topic: "owntracks/fleet/truck".into(),
            payload: payload.into(),
            retained: false,
            redelivered: false,
        },
        ack: Some(AckToken { generation: 1, ordinal: nth, packet_id: nth as u16, bytes: 0 }),
    })
}

/// A truck that drives into the depot and out of it again.
fn fix(nth: u64) -> Intake {
    let lat = 51.99 + 0.0005 * nth as f64;
    let tst = NOON + nth as i64;
    message(nth, &format!(r#"{{"_type":"location","lat":{lat},"lon":13.0,"tst":{tst},"acc":5}}"#))
}

fn book(core: &Core) -> &Book {
    &core.books[&SourceId::from("fleet")]
}

fn rows(groups: &[Group]) -> Vec<(StateKind, String, Vec<u8>)> {
    let mut rows = BTreeMap::new();
    for row in groups.iter().flat_map(|group| &group.batch.state) {
        rows.insert((row.kind, row.key.clone()), row.value.clone());
    }
    rows.into_iter().filter_map(|((kind, key), value)| Some((kind, key, value?))).collect()
}

fn events(groups: &[Group]) -> Vec<String> {
    let events = groups.iter().flat_map(|group| &group.batch.events);
    events.map(|event| format!("{} {:?}", event.id, event.body)).collect()
}

#[test]
fn how_inputs_are_grouped_changes_nothing() {
    let recorded = |group_of: u64| {
        let mut core = core(Vec::new());
        let mut groups = Vec::new();
        for nth in 1..=60 {
            core.intake(fix(nth));
            if nth % group_of == 0 {
                groups.push(core.take_group());
            }
        }
        groups.push(core.take_group());
        (events(&groups), rows(&groups))
    };
    let one_by_one = recorded(1);
    assert!(one_by_one.0.iter().filter(|event| event.contains("Geofence")).count() == 2, "in and out");
    assert_eq!(one_by_one, recorded(7));
    assert_eq!(one_by_one, recorded(100));
}

#[test]
fn what_is_delivered_again_after_a_restart_counts_once() {
    let mut first = core(Vec::new());
    (1..=30).for_each(|nth| first.intake(fix(nth)));
    let before = first.take_group();
    let mut second = core(rows(std::slice::from_ref(&before)));
    (20..=60).for_each(|nth| second.intake(fix(nth)));
    let after = second.take_group();

    assert_eq!(after.acks.len(), 41, "what was recorded before is acknowledged all the same");
    assert_eq!(book(&second).filtered["duplicate"], 11);
    assert!(book(&second).balances());
    let kinds = |groups: &[Group], kind| events(groups).iter().filter(|event| event.contains(kind)).count();
    let all = [before, after];
    assert_eq!((kinds(&all, "Fix(Fix"), kinds(&all, "Geofence")), (60, 2));
}

#[test]
fn poison_is_kept_whole_counted_and_acknowledged() {
    let mut core = core(Vec::new());
    core.intake(message(1, "{\"_type\":\"location\",\"lat\":91}"));
    core.intake(fix(2));
    let group = core.take_group();
    let [letter] = &group.batch.dead_letters[..] else { panic!("{:?}", group.batch.dead_letters) };
    assert_eq!(letter.payload, b"{\"_type\":\"location\",\"lat\":91}");
    assert_eq!(group.acks.iter().map(|(_, token)| token.ordinal).collect::<Vec<_>>(), [1, 2]);
    let book = book(&core);
    assert_eq!((book.frames, book.decoded, book.dead_letters, book.used), (2, 1, 1, 1));
    assert!(book.balances());
}

#[test]
fn a_fix_from_the_future_is_set_aside_whole() {
    let mut core = core(Vec::new());
    let tst = NOON + 86_400;
    core.intake(message(1, &format!(r#"{{"_type":"location","lat":52,"lon":13,"tst":{tst}}}"#)));
    let group = core.take_group();
    assert_eq!(group.batch.dead_letters[0].reason, clean::CLOCK_AHEAD);
    assert_eq!(book(&core).filtered[clean::CLOCK_AHEAD], 1);
    assert!(book(&core).balances());
}

#[test]
fn a_replayed_letter_goes_with_what_came_of_it() {
    let mut core = core(Vec::new());
    let Intake::Frame(Frame { payload: Payload::Mqtt { topic, payload, .. }, received_at, .. }) = fix(5)
    else {
        unreachable!("a fix is an MQTT message")
    };
    core.replay(StoredDeadLetter {
        id: 77,
        source: "fleet".into(),
        received_at,
        recorded_at: received_at,
        reason: "range".into(),
        detail: String::new(),
        protocol: "mqtt".into(),
        topic: Some(topic),
        payload,
        cut: None,
    });
    let group = core.take_group();
    assert_eq!(group.batch.replayed, [77]);
    assert!(group.batch.events.iter().any(|event| matches!(event.body, EventBody::Fix(_))));
    assert!(group.acks.is_empty());
}

#[test]
fn what_a_source_dropped_is_in_the_books() {
    let mut core = core(Vec::new());
    core.intake(Intake::Dropped { source: "fleet".into(), reason: "queue-full", count: 3 });
    assert_eq!(book(&core).frames, 3);
    assert!(book(&core).balances());
}

fn letter(protocol: &str, id: u64) -> StoredDeadLetter {
    StoredDeadLetter {
        id,
        source: "cold".to_owned(),
        received_at: Timestamp::from_secs(1_780_000_000),
        recorded_at: Timestamp::from_secs(1_780_000_001),
        reason: "no-decoder".to_owned(),
        detail: String::new(),
        protocol: protocol.to_owned(),
        topic: None,
        payload: b"whole".to_vec(),
        cut: None,
    }
}

#[test]
fn a_letter_that_cannot_be_put_back_comes_back_as_a_new_one_and_is_in_the_books() {
    let mut core = core(Vec::new());
    core.replay(letter("modbus", 7));
    core.replay(letter("llrp", 8));
    let batch = core.take_group().batch;
    assert_eq!(batch.replayed, [7, 8]);
    let reasons: Vec<_> = batch.dead_letters.iter().map(|letter| letter.reason.as_str()).collect();
    assert_eq!(reasons, ["not-replayable", "no-decoder"]);
    assert!(batch.dead_letters.iter().all(|letter| letter.payload == b"whole"));
    let book = &core.books[&SourceId::from("cold")];
    assert_eq!((book.frames, book.dead_letters, book.balances()), (2, 2, true));
}

/// With MQTT 3.1.1 it comes again with each connection.
#[test]
fn a_retained_message_that_does_not_decode_is_one_letter() {
    let mut core = core(Vec::new());
    let mut letters = |nth: u64, payload: &str, of_the_broker: bool| {
        let mut intake = message(nth, payload);
        if let Intake::Frame(Frame { payload: Payload::Mqtt { retained, .. }, .. }) = &mut intake {
            *retained = of_the_broker;
        }
        core.intake(intake);
        let group = core.take_group();
        assert_eq!(group.acks.len(), 1);
        assert!(book(&core).balances());
        group.batch.dead_letters.len()
    };
    let told = [("a", true), ("a", true), ("b", true), ("a", false), ("a", false), ("b", true)];
    let told = (1..).zip(told).map(|(nth, (payload, retained))| letters(nth, payload, retained));
    assert_eq!(told.collect::<Vec<_>>(), [1, 0, 1, 1, 1, 0], "what a tracker sends itself is told each time");
    assert_eq!((book(&core).frames, book(&core).dead_letters), (6, 4));
}

#[test]
fn new_words_of_an_open_alert_are_told_downstream_though_they_are_no_event() {
    let mut core = core(Vec::new());
    let problem = |problem: &str| Health {
        rule: crate::domain::alerts::Rule::Journal,
        subject: "space".to_owned(),
        site: None,
        problem: Some(problem.to_owned()),
    };
    core.health(problem("80 % full"), Timestamp::from_secs(NOON + 1));
    let summaries = |group: &Group| -> Vec<String> {
        let space = group.alerts.iter().filter(|alert| alert.key.subject == "space");
        space.map(|alert| alert.summary.clone()).collect()
    };
    assert_eq!(summaries(&core.take_group()).last().map(String::as_str), Some("80 % full"));
    core.health(problem("90 % full"), Timestamp::from_secs(NOON + 2));
    let group = core.take_group();
    assert_eq!(summaries(&group), ["90 % full"]);
    assert!(!group.batch.events.iter().any(|event| matches!(event.body, EventBody::Alert { .. })));
}

/// What memory had no room for is known by its event's id, which the journal holds once.
#[test]
fn what_is_delivered_again_after_memory_let_go_of_it_makes_the_same_event() {
    let mut config = configuration();
    config.intake.redelivery_memory = 0;
    let mut core = Core::new(&config, Vec::new()).unwrap();
    (1..=200).for_each(|nth| core.intake(fix(nth)));
    let first = core.take_group();
    core.intake(match (fix(3), message(300, "")) {
        (Intake::Frame(again), Intake::Frame(later)) => {
            Intake::Frame(Frame { received_at: later.received_at, ..again })
        }
        _ => unreachable!(),
    });
    let again = core.take_group();
    let [event] = &again.batch.events[..] else { panic!("{:?}", again.batch.events) };
    assert!(event.late);
    assert!(first.batch.events.iter().any(|before| before.id == event.id && !before.late));
    assert!(book(&core).balances());
}

fn long(kept: usize, bytes: u64) -> Intake {
    let message = TooLong { kept: vec![b'x'; kept], bytes, sha256: [7; 32] };
    let payload = Payload::TooLong { topic: "owntracks/fleet/truck".into(), message };
    let ack = Some(AckToken { generation: 1, ordinal: 0, packet_id: 3, bytes: 0 });
    Intake::Frame(Frame { source: "fleet".into(), received_at: Timestamp::from_secs(NOON), payload, ack })
}

#[test]
fn a_message_that_is_too_long_becomes_a_letter_that_says_how_much_of_it_is_kept() {
    let mut core = core(Vec::new());
    core.intake(long(300_000, 300_000));
    core.intake(long(300_000, 20_000_000));
    let group = core.take_group();
    let [whole, cut] = &group.batch.dead_letters[..] else { panic!("two letters") };
    assert_eq!((whole.payload.len(), whole.cut, whole.reason.as_str()), (300_000, None, "too-long"));
    assert!(whole.detail.contains("kept whole"), "{}", whole.detail);
    assert_eq!(cut.cut, Some(Cut { full_bytes: 20_000_000, sha256: [7; 32] }));
    assert!(cut.detail.contains("20000000 bytes") && cut.detail.contains(&"07".repeat(32)), "{}", cut.detail);
    assert_eq!(group.acks.len(), 2);
    assert!(book(&core).balances());
}

/// A whole one can be put back once the limit was raised; of a cut one nothing can be made.
#[test]
fn a_letter_that_was_too_long_is_put_back_where_it_fits_now() {
    let Intake::Frame(Frame { payload: Payload::Mqtt { payload, .. }, .. }) = fix(5) else { unreachable!() };
    let padded = [payload, vec![b' '; 300_000]].concat();
    let letter = |cut| StoredDeadLetter {
        source: "fleet".into(),
        received_at: Timestamp::from_secs(NOON + 5),
        topic: Some("owntracks/fleet/truck".into()),
        payload: padded.clone(),
        cut,
        ..letter("mqtt", 9)
    };
    let cut = Cut { full_bytes: 20_000_000, sha256: [7; 32] };
    let replayed = |core: &mut Core, cut| {
        core.replay(letter(cut));
        let batch = core.take_group().batch;
        assert_eq!(batch.replayed, [9]);
        let fixes = batch.events.iter().filter(|event| matches!(event.body, EventBody::Fix(_))).count();
        let letters = batch.dead_letters.into_iter().map(|letter| (letter.protocol, letter.cut)).collect();
        (fixes, letters)
    };
    let mut core = core(Vec::new());
    assert_eq!(replayed(&mut core, None), (0, vec![("mqtt", None)]));
    core.max_payload = 1 << 20;
    assert_eq!(replayed(&mut core, Some(cut)), (0, vec![("mqtt", Some(cut))]));
    assert_eq!(replayed(&mut core, None), (1, vec![]));
}
