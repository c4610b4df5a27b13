//! Sentences as a broker's messages bring them.

use super::super::*;
use crate::decode::gps::message::Message;
use crate::domain::readings::{Reading, Says};

fn checked(sentence: &str) -> String {
    let sum = sentence.bytes().fold(0, |sum, byte| sum ^ byte);
    format!("${sentence}*{sum:02X}\r\n")
}

fn of(sentences: &[&str]) -> Result<Decoded, DecodeError> {
    let payload: String = sentences.iter().map(|sentence| checked(sentence)).collect();
    of_text(&payload)
}

fn of_text(payload: &str) -> Result<Decoded, DecodeError> {
    let mut out = Decoded::default();
    decode(sent(payload, 0), &"truck".into(), dating(false), &mut Dated::new(9), &mut out).map(|()| out)
}

fn sent(payload: &str, second: i64) -> Message<'_> {
    Message::new("gps/truck/nmea", payload.as_bytes(), Timestamp::from_secs(second))
}

fn dating(by_receipt: bool) -> Dating {
    Dating { not_before: Timestamp::parse("2025-01-01T00:00:00Z").unwrap(), by_receipt }
}

const GGA: &str = "GPGGA,235958,5230.98,N,01322.66,E,1,09,1.2,,M,,M,,";
const GLL: &str = "GPGLL,5230.98,N,01322.66,E,235958,A";
const VOID: &str = "GPGGA,235958,,,,,0,00,,,M,,M,,";

/// What a reading is, or the reason why there is none.
fn says(decoded: Result<Decoded, DecodeError>) -> Vec<String> {
    let decoded = decoded.unwrap();
    let of = |reading: &Reading| match reading {
        Reading::Fix(fix) => fix.observed_at.to_string(),
        Reading::Note(note) => format!("{:?}", note.says),
        other => panic!("{other:?}"),
    };
    let faults = decoded.faults.iter().map(|fault| fault.reason.to_owned());
    decoded.readings.iter().map(of).chain(faults).collect()
}

#[test]
fn an_epoch_is_one_fix_and_its_finest_position() {
    let decoded = of(&[
        "GPRMC,060000,A,5230.98,N,01322.66,E,19.438445,270.0,010526,,",
        "GPGGA,060000,5230.9780,N,01322.6620,E,1,09,1.2,34.5,M,,M,,",
        "GPRMC,060001,A,5230.98,N,01322.66,E,0.0,,010526,,",
    ])
    .unwrap();
    let [Reading::Fix(one), Reading::Fix(two)] = &decoded.readings[..] else { panic!("{decoded:?}") };
    assert_eq!(one.device.as_str(), "truck");
    assert_eq!(one.observed_at.to_string(), "2026-05-01T06:00:00Z");
    assert_eq!(one.position, Position { lat: 52.0 + 30.978 / 60.0, lon: 13.0 + 22.662 / 60.0 });
    assert!((one.speed_mps.unwrap() - 10.0).abs() < 1e-6);
    assert_eq!((one.course_deg, one.altitude_m, one.accuracy_m), (Some(270.0), Some(34.5), Some(6.0)));
    assert_eq!(two.observed_at.to_string(), "2026-05-01T06:00:01Z");
    assert_eq!(two.accuracy_m, None);
}

#[test]
fn a_week_that_rolled_over_is_this_one() {
    let decoded = of(&["GPRMC,060000,A,5230.98,N,01322.66,E,0,,140906,,"]).unwrap();
    assert!(
        matches!(&decoded.readings[..], [Reading::Fix(fix)] if fix.observed_at.to_string() == "2026-04-30T06:00:00Z")
    );
}

#[test]
fn no_position_is_a_sign_of_life_also_where_one_is_called_void() {
    let decoded = of(&[
        "GPRMC,060000,V,,,,,,,010526,,",
        "GPGGA,060001,5230.98,N,01322.66,E,1,09,1.2,,M,,M,,",
        "GPRMC,060001,V,,,,,,,010526,,",
    ])
    .unwrap();
    let says: Vec<_> = decoded
        .readings
        .iter()
        .map(|reading| match reading {
            Reading::Note(note) => (note.says, note.observed_at.map(|at| at.to_string())),
            other => panic!("{other:?}"),
        })
        .collect();
    // A position has no day of one that is void.
    let at = "2026-05-01T06:00:00Z".to_owned();
    assert_eq!(says, [(Says::NoFix, Some(at)), (Says::NoFix, None)]);
}

#[test]
fn what_is_wrong_costs_nothing_else_and_has_its_place() {
    let good = checked("GPRMC,060000,A,5230.98,N,01322.66,E,0,,010526,,");
    let decoded = of_text(&format!("{good}$GPRMC,06*00\r\n")).unwrap();
    assert_eq!((decoded.readings.len(), decoded.faults.len()), (1, 1));
    assert_eq!((decoded.faults[0].reason, decoded.faults[0].offset), ("checksum", good.len() + 10));
    let undated = of(&["GPGGA,060000,5230.98,N,01322.66,E,1,09,1.2,,M,,M,,"]).unwrap();
    assert_eq!(undated.faults[0].reason, "date");
    assert_eq!(of_text(" \r\n").unwrap_err().reason, "empty");
    assert_eq!(of_text("# a remark\r\n").unwrap_err().reason, "no-sentence");
}

#[test]
fn sentences_of_other_things_are_a_sign_of_life() {
    for sentence in ["GPGSV,1,1,00", "GPVTG,270.0,T,,M,10.0,N,18.5,K", "GNGSA,A,3,01,,,,,,,,,,,,1.5,1.2,0.9"]
    {
        let decoded = of(&[sentence]).unwrap();
        assert!(
            matches!(&decoded.readings[..], [Reading::Note(note)] if note.says == Says::Lives),
            "{sentence}"
        );
        assert!(decoded.faults.is_empty());
    }
}

/// Ten a second in one message, and the sentence that names the day behind them.
#[test]
fn a_day_holds_for_what_comes_before_it_in_a_message() {
    let times = |sentences: &[&str]| -> Vec<String> {
        let readings = of(sentences).unwrap().readings;
        readings
            .iter()
            .map(|reading| match reading {
                Reading::Fix(fix) => fix.observed_at.to_string(),
                other => panic!("{other:?}"),
            })
            .collect()
    };
    let gga = |time: &str| format!("GPGGA,{time},5230.98,N,01322.66,E,1,09,1.2,,M,,M,,");
    let rmc = |time: &str, date: &str| format!("GPRMC,{time},A,5230.98,N,01322.66,E,0,,{date},,");
    let (one, two, three) = (gga("235959.800"), gga("235959.900"), rmc("000000.000", "010526"));
    assert_eq!(
        times(&[&one, &two, &three]),
        ["2026-04-30T23:59:59.8Z", "2026-04-30T23:59:59.9Z", "2026-05-01T00:00:00Z"]
    );
    let (one, two) = (gga("060000.500"), rmc("060000.900", "140906"));
    assert_eq!(
        times(&[&one, &two]),
        ["2026-04-30T06:00:00.5Z", "2026-04-30T06:00:00.9Z"],
        "of a week that rolled over"
    );
}

/// A sentence a message, as what reads a port line by line sends them.
#[test]
fn a_sentence_without_a_date_says_nothing_new_beside_one_that_has_it() {
    let rmc = checked("GPRMC,235958,A,5230.98,N,01322.66,E,0,,300426,,");
    let mut dated = Dated::new(1);
    let mut told = |device: &str, payload: &str, second: i64| {
        let mut out = Decoded::default();
        let decoded = decode(sent(payload, second), &device.into(), dating(false), &mut dated, &mut out);
        says(decoded.map(|()| out))
    };
    assert_eq!(told("truck", &checked(GGA), 0), ["date"]);
    assert_eq!(told("truck", &rmc, 1), ["2026-04-30T23:59:58Z"]);
    for sentence in [GGA, GLL] {
        assert_eq!(told("truck", &checked(sentence), 3601), ["Lives"], "{sentence}");
    }
    assert_eq!(told("truck", &checked(VOID), 2), ["NoFix"]);
    assert_eq!(told("truck", &format!("{}{rmc}", checked(GGA)), 3), ["2026-04-30T23:59:58Z"]);
    assert_eq!(told("truck", &checked(GGA), 3604), ["date"], "too long ago");
    // Another is remembered once the first may be forgotten.
    for (device, second, expected) in [("van", 3603, "date"), ("van", 3604, "Lives")] {
        told(device, &rmc, second);
        assert_eq!(told(device, &checked(GGA), second), [expected], "{second}");
    }
}

#[test]
fn a_day_that_nobody_names_may_be_that_of_its_receipt() {
    let told = |time: &str, received: &str, retained: bool| {
        let payload = checked(&GGA.replace("235958", time));
        let received = Timestamp::parse(received).unwrap();
        let message = Message { received, retained, ..sent(&payload, 0) };
        let mut out = Decoded::default();
        let decoded = decode(message, &"truck".into(), dating(true), &mut Dated::new(9), &mut out);
        says(decoded.map(|()| out))
    };
    for (time, received, expected) in [
        ("235958", "2026-04-30T23:59:59Z", "2026-04-30T23:59:58Z"),
        ("235958", "2026-05-01T00:00:01Z", "2026-04-30T23:59:58Z"),
        ("000001", "2026-04-30T23:59:59Z", "2026-05-01T00:00:01Z"),
        ("120000", "2026-05-01T23:59:59Z", "2026-05-01T12:00:00Z"),
    ] {
        assert_eq!(told(time, received, false), [expected], "{received}");
    }
    assert_eq!(told("120000", "2026-05-01T12:00:00Z", true), ["date"], "kept since nobody knows when");
}
