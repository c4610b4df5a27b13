use super::*;
use proptest::prelude::*;

const TOPIC: &str = "owntracks/jane/phone";

fn one(topic: &str, payload: &[u8]) -> Result<Reading, DecodeError> {
    let mut out = Vec::new();
    decode(topic, payload, false, &mut out)?;
    assert_eq!(out.len(), 1);
    Ok(out.remove(0))
}

fn reason(payload: &str) -> &'static str {
    match one(TOPIC, payload.as_bytes()) {
        Ok(reading) => panic!("{payload} gave {reading:?}"),
        Err(error) => error.reason,
    }
}

fn fix_of(payload: &str) -> Fix {
    match one(TOPIC, payload.as_bytes()) {
        Ok(Reading::Fix(fix)) => fix,
        other => panic!("{payload} gave {other:?}"),
    }
}

#[test]
fn a_location_is_a_fix_in_base_units() {
    let payload = r#"{"_type":"location","lat":52.5163,"lon":13.3777,"tst":1700000000,"acc":12,"alt":34,
        "cog":270,"vel":36,"batt":88,"bs":1,"conn":"m","t":"u","tid":"jp","inregions":["home"],
        "topic":"owntracks/jane/phone","created_at":1700000003}"#;
    let fix = fix_of(payload);
    assert_eq!(fix.device.as_str(), "jane/phone");
    assert_eq!(fix.observed_at, Timestamp::parse("2023-11-14T22:13:20Z").unwrap());
    assert_eq!((fix.position.lat, fix.position.lon), (52.5163, 13.3777));
    assert_eq!((fix.accuracy_m, fix.altitude_m), (Some(12.0), Some(34.0)));
    assert_eq!((fix.course_deg, fix.battery_percent), (Some(270.0), Some(88.0)));
    assert_eq!(fix.speed_mps, Some(10.0));
    assert_eq!(fix.digest, Digest::of(payload.as_bytes()));
    assert!(!fix.retained);
}

#[test]
fn what_senders_leave_out_stays_absent() {
    let fix = fix_of(r#"{"_type":"location","lat":0,"lon":0,"tst":1,"vel":null}"#);
    assert_eq!((fix.position.lat, fix.position.lon), (0.0, 0.0));
    assert_eq!((fix.accuracy_m, fix.speed_mps, fix.course_deg), (None, None, None));
}

/// As devices that are no phones write them.
#[test]
fn numbers_may_be_text_and_a_time_may_have_a_fraction() {
    let fix = fix_of(
        r#"{"_type":"location","lat":"52.5","lon":" 13.4","tst":"1700000000","acc":"","batt":"88","vel":"36"}"#,
    );
    assert_eq!((fix.position.lat, fix.position.lon), (52.5, 13.4));
    assert_eq!((fix.accuracy_m, fix.battery_percent, fix.speed_mps), (None, Some(88.0), Some(10.0)));
    assert_eq!(fix.observed_at, Timestamp::from_secs(1_700_000_000));
    let fix = fix_of(r#"{"_type":"location","lat":1,"lon":1,"tst":1700000000.25}"#);
    assert_eq!(fix.observed_at, Timestamp::from_micros(1_700_000_000_250_000));
    let wrong = one(TOPIC, br#"{"_type":"location","lat":1,"lon":1,"tst":"today"}"#).unwrap_err();
    assert!(wrong.message.contains("\"today\", expected a number"), "{}", wrong.message);
}

#[test]
fn unknown_marks_of_phones_are_absent() {
    let fix = fix_of(
        r#"{"_type":"location","lat":1,"lon":1,"tst":1,"vel":-1,"cog":-1,"acc":-1,"batt":-1,"alt":1e308}"#,
    );
    assert_eq!((fix.speed_mps, fix.course_deg, fix.accuracy_m), (None, None, None));
    assert_eq!((fix.battery_percent, fix.altitude_m), (None, None));
}

#[test]
fn the_broker_s_retained_mark_is_passed_on() {
    let mut out = Vec::new();
    decode(TOPIC, br#"{"_type":"location","lat":1,"lon":1,"tst":1}"#, true, &mut out).unwrap();
    assert!(matches!(&out[..], [Reading::Fix(fix)] if fix.retained));
}

#[test]
fn devices_of_topics() {
    for (topic, device) in [
        ("owntracks/jane/phone", Some("jane/phone")),
        ("owntracks/jane/phone/event", Some("jane/phone")),
        ("owntracks/jane/phone/waypoint", Some("jane/phone")),
        ("site/1/owntracks/jane/phone", Some("jane/phone")),
        ("site/1/owntracks/jane/phone/info", Some("jane/phone")),
        ("owntracks/jane/event", Some("jane/event")),
        ("site/owntracks/jane/status", Some("jane/status")),
        ("owntracks/jane", None),
        ("owntracks", None),
        ("", None),
        ("owntracks//phone", None),
        ("owntracks/jane/", None),
        ("owntracks/jane//event", None),
        ("/jane/phone", Some("jane/phone")),
    ] {
        assert_eq!(device_of(topic), device, "{topic}");
    }
    assert_eq!(one("owntracks/jane", b"{}").unwrap_err().reason, "topic");
}

#[test]
fn other_types_are_notes_whatever_their_other_keys_hold() {
    for payload in [
        r#"{"_type":"lwt","tst":1700000000}"#,
        r#"{"_type":"transition","lat":1,"lon":2,"tst":1,"wtst":1,"event":"enter","desc":"home"}"#,
        r#"{"_type":"waypoints","waypoints":[{"_type":"waypoint","lat":"x"}]}"#,
        r#"{"_type":"status","lat":{"a":[]},"tst":"never"}"#,
        r#"{"_type":"card","face":"iVBORw0KGgo=","name":"Jane"}"#,
    ] {
        assert!(matches!(one(TOPIC, payload.as_bytes()), Ok(Reading::Note(_))), "{payload}");
    }
}

fn note_of(topic: &str, payload: &str) -> Note {
    match one(topic, payload.as_bytes()) {
        Ok(Reading::Note(note)) => note,
        other => panic!("{payload} gave {other:?}"),
    }
}

/// Every type of the booklet that is no position.
#[test]
fn of_each_type_it_is_known_whose_word_it_is() {
    for (says, kinds) in [
        (
            Says::Lives,
            &["beacon", "dump", "request", "status", "steps", "transition", "waypoint", "waypoints"][..],
        ),
        (Says::Nothing, &["card", "cmd", "configuration"]),
        (Says::Gone, &["lwt"]),
    ] {
        for kind in kinds {
            let note =
                note_of("owntracks/jane/phone/event", &format!(r#"{{"_type":"{kind}","tst":1700000000}}"#));
            assert_eq!((note.device.as_str(), note.kind.as_str(), note.says), ("jane/phone", *kind, says));
            // A last will has the time at which the connection began that is lost now.
            let time = (says != Says::Gone).then(|| Timestamp::from_secs(1_700_000_000));
            assert_eq!(note.observed_at, time, "{kind}");
        }
    }
    assert_eq!(note_of(TOPIC, r#"{"_type":"status","tst":-5}"#).observed_at, None);
    let encrypted = one(TOPIC, br#"{"_type":"encrypted","data":"AAAA"}"#).unwrap_err();
    assert!(encrypted.message.contains("TLS"), "{encrypted}");
}

#[test]
fn a_topic_that_names_the_device_in_its_own_way() {
    let of = |written: &str, topic: &str, payload: &str| {
        let pattern = TopicPattern::parse(written).unwrap();
        let device = DeviceId::new(pattern.device(topic).unwrap());
        let mut out = Vec::new();
        let message = Message::new(topic, payload.as_bytes(), Timestamp::default());
        decode_of(message, Some((device, &pattern)), &mut out).map_err(|error| error.reason)?;
        match out.remove(0) {
            Reading::Fix(fix) => Ok(fix.device.to_string()),
            other => panic!("{other:?}"),
        }
    };
    let location = |own: &str| format!(r#"{{"_type":"location","lat":1,"lon":1,"tst":1{own}}}"#);
    let own = |topic: &str| location(&format!(r#","topic":"{topic}""#));
    let written = "phones/{device}/now";
    assert_eq!(of(written, "phones/jane/now", &location("")), Ok("jane".into()));
    assert_eq!(of(written, "phones/jane/now", &own("phones/jane/now")), Ok("jane".into()));
    assert_eq!(of(written, "phones/jane/now", &own("phones/john/now")), Err("topic-mismatch"));
    assert_eq!(of(written, "phones/jane/now", &own("owntracks/x/jane")), Err("topic-mismatch"));
    let written = "owntracks/{user}/{device}/event";
    assert_eq!(of(written, "owntracks/j/p/event", &own("owntracks/j/p")), Ok("j/p".into()));
    assert_eq!(of(written, "owntracks/j/p/event", &own("owntracks/j/q")), Err("topic-mismatch"));
}

#[test]
fn bad_input_has_a_reason() {
    for (payload, expected) in [
        ("", "empty"),
        ("hello", "json"),
        (r#"{"_type":"location","lat":NaN,"lon":1,"tst":1}"#, "json"),
        (r#"{"_type":"location","lat":1,"lon":1,"tst":1} x"#, "json"),
        (r#"{"_type":"location","lat":1,"lon":1,"tst":1"#, "json"),
        (r#"{"_type":"location","lat":1,"lat":2,"lon":1,"tst":1}"#, "type"),
        (r#"{"_type":"location","lat":"x","lon":1,"tst":1}"#, "type"),
        (r#"{"_type":"location","lat":true,"lon":1,"tst":1}"#, "type"),
        (r#"{"_type":"location","lat":"nan","lon":1,"tst":1}"#, "type"),
        (r#"{"_type":"location","lat":1,"lon":[1],"tst":1}"#, "type"),
        (r#"{"_type":"location","lat":1,"lon":1,"tst":""}"#, "missing"),
        (r#"{"_type":7}"#, "type"),
        ("[]", "type"),
        (r#"["location",null,1,1,1]"#, "type"),
        ("17", "type"),
        ("{}", "missing"),
        (r#"{"_type":"location","lat":1,"lon":1}"#, "missing"),
        (r#"{"_type":"location","lat":1,"tst":1}"#, "missing"),
        (r#"{"_type":"location","lat":91,"lon":1,"tst":1}"#, "range"),
        (r#"{"_type":"location","lat":1,"lon":-180.5,"tst":1}"#, "range"),
        (r#"{"_type":"location","lat":1e308,"lon":1,"tst":1}"#, "range"),
        (r#"{"_type":"location","lat":1,"lon":1,"tst":-1}"#, "time"),
        (r#"{"_type":"location","lat":1,"lon":1,"tst":1700000000000}"#, "time"),
        (r#"{"_type":"encrypted","data":"AAAA"}"#, "encrypted"),
        (r#"{"_type":"surprise"}"#, "unknown-type"),
        (r#"{"_type":"location","lat":1,"lon":1,"tst":1,"topic":"owntracks/john/phone"}"#, "topic-mismatch"),
        (r#"{"_type":"location","lat":1,"lon":1,"tst":1,"topic":"nonsense"}"#, "topic-mismatch"),
        (r#"{"_type":"lwt","topic":"owntracks/john/phone"}"#, "topic-mismatch"),
    ] {
        assert_eq!(reason(payload), expected, "{payload}");
    }
}

#[test]
fn offsets_point_into_the_payload() {
    let utf8 = one(TOPIC, b"{\"_type\":\"loc\xff\"}").unwrap_err();
    assert_eq!((utf8.reason, utf8.offset), ("utf-8", 13));
    let json = one(TOPIC, b"{\n \"lat\": ?}").unwrap_err();
    assert_eq!((json.reason, json.offset), ("json", 10));
}

#[test]
fn nesting_and_size_are_survived() {
    let deep = format!(
        r#"{{"_type":"location","lat":1,"lon":1,"tst":1,"x":{}{}}}"#,
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    // Either answer is right; what must not happen is an overflow of the stack.
    assert!(matches!(one(TOPIC, deep.as_bytes()), Ok(Reading::Fix(_)) | Err(_)));
    assert_eq!(reason(&"[".repeat(200_000)), "type");
    let long = format!(r#"{{"_type":"{}"}}"#, "é".repeat(1_000_000));
    let error = one(TOPIC, long.as_bytes()).unwrap_err();
    assert!(error.reason == "unknown-type" && error.message.len() < 200);
}

proptest! {
    #[test]
    fn never_panics(topic in ".{0,40}", payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut out = Vec::new();
        let answer = decode(&topic, &payload, false, &mut out);
        prop_assert_eq!(answer.is_ok(), out.len() == 1);
    }

    #[test]
    fn a_broken_location_never_panics_and_its_offset_lies_inside(cut in 0usize..90, at in 0usize..90, byte: u8) {
        let mut payload = br#"{"_type":"location","lat":52.5163,"lon":13.3777,"tst":1700000000,"topic":"o/jane/phone"}"#.to_vec();
        if let Some(spot) = payload.get_mut(at) {
            *spot = byte;
        }
        payload.truncate(cut);
        let mut out = Vec::new();
        if let Err(error) = decode(TOPIC, &payload, false, &mut out) {
            prop_assert!(error.offset <= payload.len());
        }
    }

    #[test]
    fn any_place_and_time_come_through(lat in -90.0f64..=90.0, lon in -180.0f64..=180.0, tst in 0..=LAST_TST) {
        let fix = fix_of(&format!(r#"{{"tst":{tst},"lon":{lon},"lat":{lat},"_type":"location"}}"#));
        // The JSON reader may be off by the last bit: a tenth of a micrometre on the ground.
        prop_assert!((fix.position.lat - lat).abs() < 1e-12 && (fix.position.lon - lon).abs() < 1e-12);
        prop_assert_eq!(fix.observed_at, Timestamp::from_secs(tst));
    }
}
