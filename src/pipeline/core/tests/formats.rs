//! Topics of several formats through the whole machine: each message to its decoder, the books balanced.

use super::*;

/// What became of one message on a topic.
struct Sent {
    group: Group,
    book: Book,
}

fn send(core: &mut Core, topic: &str, payload: &str) -> Sent {
    core.intake(Intake::Frame(Frame {
        source: "fleet".into(),
        received_at: Timestamp::from_secs(NOON + 100),
        payload: Payload::Mqtt {
            topic: topic.into(),
            payload: payload.into(),
            retained: false,
            redelivered: false,
        },
        ack: Some(AckToken { generation: 1, ordinal: 0, packet_id: 1, bytes: 0 }),
    }));
    let book = book(core).clone();
    assert!(book.balances(), "{book:?}");
    Sent { group: core.take_group(), book }
}

impl Sent {
    /// Devices and latitudes of the fixes.
    fn fixes(&self) -> Vec<(String, f64)> {
        let of = |event: &crate::domain::events::Event| match &event.body {
            EventBody::Fix(fix) => Some((fix.device.to_string(), fix.position.lat)),
            _ => None,
        };
        self.group.batch.events.iter().filter_map(of).collect()
    }

    fn letters(&self) -> Vec<(&str, &str)> {
        let letters = self.group.batch.dead_letters.iter();
        letters.map(|letter| (letter.reason.as_str(), letter.detail.as_str())).collect()
    }
}

fn position(second: i64, lat: f64) -> String {
    format!(r#"{{"lat":{lat},"lon":13.0,"ts":{}}}"#, NOON + second)
}

fn sentence(second: u8) -> String {
    let text = format!("GPRMC,1200{second:02},A,5230.98,N,01322.66,E,0,,010126,,");
    let sum = text.bytes().fold(0, |sum, byte| sum ^ byte);
    format!("${text}*{sum:02X}\r\n")
}

#[test]
fn a_topic_has_its_format_and_the_first_that_takes_it_reads_it() {
    let mut core = core(Vec::new());
    let sent = send(&mut core, "fleet/truck-7/position", &position(1, 52.0));
    assert_eq!(sent.fixes(), [("truck-7".to_owned(), 52.0)]);
    let telemetry =
        format!(r#"{{"truck-8":[{{"ts":{}000,"values":{{"latitude":53,"longitude":13}}}}]}}"#, NOON + 1);
    assert_eq!(send(&mut core, "fleet/gateway", &telemetry).fixes(), [("truck-8".to_owned(), 53.0)]);
    assert_eq!(send(&mut core, "gps/truck-9", &sentence(1)).fixes()[0].0, "truck-9");
    let sent = send(&mut core, "elsewhere", "{}");
    assert_eq!((sent.letters()[0].0, sent.group.acks.len()), ("no-topic", 1));
    assert_eq!(send(&mut core, "fleet//position", &position(2, 52.0)).letters()[0].0, "topic");
    assert_eq!(core.books[&SourceId::from("fleet")].dead_letters, 2);
}

#[test]
fn who_writes_to_one_topic_moves_nobody_else_s_tracker() {
    let mut core = core(Vec::new());
    let payload = position(1, 52.0).replace('{', r#"{"id":"truck-8","#);
    let sent = send(&mut core, "fleet/truck-7/position", &payload);
    assert_eq!(sent.fixes(), []);
    assert_eq!(sent.letters(), [("topic-mismatch", "it is of `truck-7`, and names `truck-8` at byte 0")]);
    assert_eq!((sent.book.dead_letters, sent.book.readings), (1, 0));
}

#[test]
fn one_bad_element_is_kept_with_its_message_and_costs_no_other() {
    let mut core = core(Vec::new());
    let payload = format!("[{},{},{}]", position(1, 52.0), position(2, 91.0), position(3, 52.0001));
    let sent = send(&mut core, "fleet/truck-7/position", &payload);
    assert_eq!(sent.fixes().len(), 2);
    let [letter] = &sent.group.batch.dead_letters[..] else { panic!("{:?}", sent.letters()) };
    assert_eq!((letter.reason.as_str(), &letter.payload[..]), ("range", payload.as_bytes()));
    assert!(
        letter.detail.contains("fix 2 of the message")
            && letter.detail.ends_with("the rest of the message stands")
    );
    let book = &sent.book;
    assert_eq!((book.frames, book.decoded, book.dead_letters), (1, 1, 0));
    assert_eq!((book.readings, book.used, book.filtered["range"]), (3, 2, 1));

    // Put back, with the same fault, nothing counts twice.
    let sent = send(&mut core, "fleet/truck-7/position", &payload);
    assert_eq!((sent.fixes().len(), sent.book.filtered["duplicate"], sent.book.filtered["range"]), (0, 2, 2));
    // The same fixes in a message of another cut are known as well.
    let sent = send(&mut core, "fleet/truck-7/position", &position(3, 52.0001));
    assert_eq!((sent.fixes().len(), sent.book.filtered["duplicate"]), (0, 3));
    assert!(sent.letters().is_empty());
}

#[test]
fn where_nothing_of_a_message_stands_it_is_one_dead_letter() {
    let mut core = core(Vec::new());
    let sent = send(&mut core, "fleet/truck-7/position", &format!("[{},17]", position(2, 91.0)));
    assert_eq!((sent.letters().len(), sent.letters()[0].0), (1, "range"));
    assert_eq!((sent.book.dead_letters, sent.book.decoded, sent.book.readings), (1, 0, 0));
}

#[test]
fn a_receiver_without_a_fix_is_counted_and_lives() {
    let mut core = core(Vec::new());
    let sum = "GPRMC,120001,V,,,,,,,010126,,".bytes().fold(0, |sum, byte| sum ^ byte);
    let sent = send(&mut core, "gps/truck-9", &format!("$GPRMC,120001,V,,,,,,,010126,,*{sum:02X}"));
    assert!(sent.fixes().is_empty() && sent.letters().is_empty());
    assert_eq!((sent.book.readings, sent.book.filtered["no-fix"]), (1, 1));
}

fn take(core: &mut Core, source: &str, payload: Payload) -> Group {
    let received_at = Timestamp::from_secs(NOON + 100);
    core.intake(Intake::Frame(Frame { source: source.into(), received_at, payload, ack: None }));
    assert!(core.books[&SourceId::from(source)].balances());
    core.take_group()
}

/// As the journal gives it back.
fn stored(letter: &crate::journal::DeadLetter) -> StoredDeadLetter {
    StoredDeadLetter {
        id: 1,
        source: letter.source.to_string(),
        received_at: letter.received_at,
        recorded_at: letter.received_at,
        reason: letter.reason.clone(),
        detail: letter.detail.clone(),
        protocol: letter.protocol.to_owned(),
        topic: letter.topic.clone(),
        payload: letter.payload.clone(),
        cut: None,
    }
}

#[test]
fn lines_and_packets_are_kept_whole_and_can_be_put_back() {
    let mut core = core(Vec::new());
    let lines = format!("{}$GPRMC,1200*00\r\n", sentence(1)).into_bytes();
    let group = take(&mut core, "receiver", Payload::Nmea { lines: lines.clone(), flow: Flow::Paused });
    assert_eq!(group.batch.events.iter().filter(|event| matches!(event.body, EventBody::Fix(_))).count(), 1);
    let [letter] = &group.batch.dead_letters[..] else { panic!("{:?}", group.batch.dead_letters) };
    assert_eq!((letter.protocol, letter.reason.as_str(), &letter.payload), ("nmea", "checksum", &lines));
    core.replay(stored(letter));
    let group = core.take_group();
    assert!(!group.batch.events.iter().any(|event| matches!(event.body, EventBody::Fix(_))), "known again");
    assert_eq!((group.batch.replayed.len(), group.batch.dead_letters.len()), (1, 1));

    let packet = |imei: &str| {
        let bytes = b"no packet".to_vec();
        Payload::Teltonika { imei: imei.into(), bytes, fault: Some("garbage") }
    };
    let group = take(&mut core, "trackers", packet("356307042441013"));
    let [letter] = &group.batch.dead_letters[..] else { panic!("{:?}", group.batch.dead_letters) };
    assert_eq!((letter.protocol, letter.topic.as_deref()), ("teltonika", Some("356307042441013")));
    let again = take(&mut core, "trackers", packet("356307042441013"));
    assert_eq!(again.batch.dead_letters.len(), 0, "it sends it until it is accepted");
    assert_eq!(take(&mut core, "trackers", packet("356307042441014")).batch.dead_letters.len(), 1);
    core.replay(stored(letter));
    let again = core.take_group().batch.dead_letters;
    assert_eq!((again[0].reason.as_str(), again[0].topic.as_deref()), ("preamble", Some("356307042441013")));
    for source in ["receiver", "trackers"] {
        assert!(core.books[&SourceId::from(source)].balances());
    }
    let (book, kept_before) = (&core.books[&SourceId::from("trackers")], "kept-before".to_owned());
    assert_eq!((book.frames, book.dead_letters, book.dropped.get(&kept_before)), (4, 3, Some(&1)));
}

/// One that says nothing but what cannot be is no reading and no silence.
#[test]
fn a_receiver_s_frame_of_faults_alone_is_a_dead_letter() {
    let mut core = core(Vec::new());
    let lines = b"\x80\x80\x80\n$GPRMC,1200*00\r\n".to_vec();
    take(&mut core, "receiver", Payload::Nmea { lines, flow: Flow::Running });
    let book = &core.books[&SourceId::from("receiver")];
    assert_eq!((book.frames, book.dead_letters, book.readings), (1, 1, 0));
    // A pause behind it says nothing.
    take(&mut core, "receiver", Payload::Nmea { lines: Vec::new(), flow: Flow::Paused });
    let book = &core.books[&SourceId::from("receiver")];
    assert_eq!((book.frames, book.decoded, book.dead_letters), (2, 1, 1));
}

/// A line may be quiet for a moment amid the sentences of a moment.
#[test]
fn what_comes_behind_a_pause_of_a_moment_that_was_told_is_no_other_fix() {
    let mut core = core(Vec::new());
    let gga = |second: u8| {
        let text = format!("GPGGA,1200{second:02},5230.98,N,01322.66,E,1,09,1.2,,M,,M,,");
        let sum = text.bytes().fold(0, |sum, byte| sum ^ byte);
        format!("${text}*{sum:02X}\r\n").into_bytes()
    };
    let mut fixes = |lines: Vec<u8>| {
        let group = take(&mut core, "receiver", Payload::Nmea { lines, flow: Flow::Paused });
        assert!(group.batch.dead_letters.is_empty());
        group.batch.events.iter().filter(|event| matches!(event.body, EventBody::Fix(_))).count()
    };
    for (lines, expected) in
        [(sentence(1).into_bytes(), 1), (gga(1), 0), (gga(2), 1), (sentence(2).into_bytes(), 0)]
    {
        assert_eq!(fixes(lines.clone()), expected, "{}", String::from_utf8_lossy(&lines));
    }
}

/// Who has no clock says the same for as long as he stands; that a message comes again, its broker says.
#[test]
fn without_a_clock_a_message_that_comes_again_counts_once() {
    let mut core = core(Vec::new());
    let mut fixes = |second: i64, lat: f64, retained: bool, redelivered: bool| {
        let payload = format!(r#"{{"lat":{lat},"lon":13}}"#).into_bytes();
        let topic = "home/van/attributes".into();
        core.intake(Intake::Frame(Frame {
            source: "fleet".into(),
            received_at: Timestamp::from_secs(NOON + second),
            payload: Payload::Mqtt { topic, payload, retained, redelivered },
            ack: None,
        }));
        assert!(core.books[&SourceId::from("fleet")].balances());
        let events = core.take_group().batch.events;
        let of = |event: &crate::domain::events::Event| match &event.body {
            EventBody::Fix(fix) => Some((fix.observed_at, fix.clockless, event.late)),
            _ => None,
        };
        events.iter().filter_map(of).collect::<Vec<_>>()
    };
    let at = |second: i64| vec![(Timestamp::from_secs(NOON + second), true, false)];
    assert_eq!(fixes(1, 52.0, false, false), at(1));
    assert_eq!(fixes(2, 52.0, false, false), at(2), "it stands");
    assert_eq!(fixes(3, 52.0001, false, false), at(3));
    assert_eq!(fixes(4, 52.0, false, true), [], "the second once more");
    assert_eq!(fixes(5, 52.0001, false, true), [], "the third once more");
    assert_eq!(fixes(6, 52.0002, false, true), at(6), "that did not come the first time");
    assert_eq!(fixes(7, 52.0002, true, false), [], "the broker's");
}
