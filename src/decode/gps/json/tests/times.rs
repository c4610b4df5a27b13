//! When a fix was, in which form, and by whose clock.

use super::*;

#[test]
fn a_time_in_another_format_says_which() {
    for (format, time, hint) in [
        ("rfc3339", "1795952185", "time_format = \"unix\""),
        ("rfc3339", "1795952185123", "time_format = \"unix-ms\""),
        ("rfc3339", "\"1795952185\"", "time_format = \"unix\""),
        ("rfc3339", "\"29.11.2026 15:40\"", "is not written as"),
        ("rfc3339", "\"1969-11-29T15:40:00Z\"", "is no time from 1970 on"),
        ("rfc3339", "\"2026-11-29 15:40:00\"", "needs `Z` or `+01:00`, or the mapping a `time_zone`"),
        ("unix", "1795952185123", "time_format = \"unix-ms\""),
        ("unix", "\"2026-11-29T14:40:00Z\"", "time_format = \"rfc3339\""),
        ("unix", "\"1795952185\"", "`text_numbers = true` takes these in text"),
        ("unix-ms", "\"1795952185123\"", "`text_numbers = true` takes these in text"),
        ("unix-ms", "1795952185", "time_format = \"unix\""),
        ("unix-ms", "1795952185.5", "time_format = \"unix\""),
        ("unix", "1795952185123456", "time_format = \"unix-us\""),
        ("unix-ms", "1795952185123456789", "time_format = \"unix-ns\""),
        ("unix-us", "1795952185", "time_format = \"unix\""),
        ("unix-us", "1795952185123", "time_format = \"unix-ms\""),
        ("unix-ns", "1795952185123.5", "time_format = \"unix-ms\""),
        ("unix-ns", "1795952185123456", "time_format = \"unix-us\""),
    ] {
        let text = LOOSE.replace("unix", format) + "latitude = \"la\"\nlongitude = \"lo\"";
        let wrong = of(&mapping(&text), &format!(r#"{{"d":"x","t":{time},"la":1,"lo":2}}"#), None);
        let said = wrong.map_or_else(|error| error.message, |decoded| decoded.faults[0].message.clone());
        assert!(said.contains(hint), "{format} {time}: {said}");
    }
}

#[test]
fn counts_of_each_unit_are_the_same_time() {
    for (format, told) in [
        ("unix", "1795952185.123456"),
        ("unix-ms", "1795952185123.456"),
        ("unix-us", "1795952185123456"),
        ("unix-us", "1795952185123456.2"),
        ("unix-ns", "1795952185123456789"),
        ("unix-ns", "1795952185123456789.0"),
    ] {
        let text = LOOSE.replace("unix", format) + "latitude = \"la\"\nlongitude = \"lo\"";
        let found = fixes(&mapping(&text), &format!(r#"{{"d":"x","t":{told},"la":1,"lo":2}}"#), None);
        let off = found[0].observed_at.micros_after(Timestamp::from_micros(1_795_952_185_123_456));
        assert!(off.abs() <= 1, "{format} {told}: {off} µs off");
    }
}

#[test]
fn a_time_in_text_is_exact_and_may_begin_with_zeros() {
    let text = LOOSE.replace("\"unix\"", "\"unix-ms\"\ntext_numbers = true")
        + "latitude = \"la\"\nlongitude = \"lo\"";
    for told in ["1795952185123", "01795952185123", "1795952185123.0"] {
        let found = fixes(&mapping(&text), &format!(r#"{{"d":"x","t":"{told}","la":1,"lo":2}}"#), None);
        assert_eq!(found[0].observed_at, Timestamp::from_micros(1_795_952_185_123_000), "{told}");
    }
}

#[test]
fn what_tells_no_time_was_observed_when_it_came() {
    let text = "device = \"d\"\nlatitude = \"la\"\nlongitude = \"lo\"\ntime_format = \"none\"";
    let mapping = mapping(text);
    let payload = br#"{"d":"a","la":1,"lo":2}"#;
    let at = |message: Message<'_>| {
        let mut out = Decoded::default();
        decode(&mapping, message, None, &mut out).unwrap();
        out.readings.remove(0)
    };
    let sent = |second| Message::new("t", payload, Timestamp::from_secs(second));
    let (Reading::Fix(one), Reading::Fix(two)) = (at(sent(7)), at(sent(9))) else { panic!("no fixes") };
    assert_eq!((one.observed_at, one.clockless), (Timestamp::from_secs(7), true));
    assert_eq!((two.observed_at, two.digest), (Timestamp::from_secs(9), one.digest));
    assert!(!one.redelivered);
    let again = at(Message { redelivered: true, ..sent(9) });
    assert!(matches!(again, Reading::Fix(fix) if fix.redelivered));
    // Of what a broker kept nobody knows since when.
    let kept = at(Message { retained: true, ..sent(9) });
    let Reading::Note(kept) = kept else { panic!("{kept:?}") };
    assert_eq!((kept.says, kept.observed_at, kept.retained), (Says::NoFix, None, true));
}

#[test]
fn a_time_may_be_of_one_zone() {
    let text = LOOSE.replace("\"unix\"", "\"rfc3339\"\ntime_zone = \"Europe/Berlin\"");
    let mapping = mapping(&(text + "latitude = \"la\"\nlongitude = \"lo\""));
    for (told, expected) in [
        ("2026-11-29 15:40:00", Some("2026-11-29T14:40:00Z")),
        ("2026-11-29T15:40:00.25", Some("2026-11-29T14:40:00.25Z")),
        ("20261129154000", Some("2026-11-29T14:40:00Z")),
        ("20261129T154000", Some("2026-11-29T14:40:00Z")),
        // What says where it is that time is taken at its word.
        ("2026-11-29T15:40:00Z", Some("2026-11-29T15:40:00Z")),
        // The clocks are put back, and forward: the first of two, and what the clock would have shown.
        ("2026-10-25 02:30:00", Some("2026-10-25T00:30:00Z")),
        ("2026-03-29 02:30:00", Some("2026-03-29T01:30:00Z")),
        ("2026-11-29", None),
        ("20261329154000", None),
        ("1969-11-29 15:40:00", None),
    ] {
        let decoded = of(&mapping, &format!(r#"{{"d":"x","t":"{told}","la":1,"lo":2}}"#), None).unwrap();
        let times: Vec<String> = decoded
            .readings
            .iter()
            .map(|reading| match reading {
                Reading::Fix(fix) => fix.observed_at.to_string(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(times, expected.into_iter().collect::<Vec<_>>(), "{told}");
        assert_eq!(decoded.faults.len(), usize::from(expected.is_none()), "{told}");
    }
}
