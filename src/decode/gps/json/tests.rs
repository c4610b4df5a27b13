use super::*;
use crate::config::{PRESETS, parse_mapping};
use proptest::prelude::*;

mod hints;
mod places;
mod presets;
mod times;

const MAPPING: &str = r#"
device = "id"
latitude = "pos.lat"
longitude = "pos.lon"
time = "ts"
time_format = "unix-ms"
valid = "ok"
accuracy = "acc"
altitude = "alt"
speed = "v"
speed_unit = "km/h"
course = "dir"
battery = "bat"
ignition = "ign"
"#;

const LOOSE: &str = "device = \"d\"\ntime = \"t\"\ntime_format = \"unix\"\nbattery = \"bat\"\n";

fn mapping(text: &str) -> Mapping {
    parse_mapping(text).unwrap_or_else(|error| panic!("{error}"))
}

fn preset(name: &str) -> Mapping {
    mapping(&format!("preset = \"{name}\""))
}

fn message(payload: &[u8]) -> Message<'_> {
    Message::new("t", payload, Timestamp::default())
}

/// Readings and faults; the error where there is nothing but one.
fn of(mapping: &Mapping, payload: &str, named: Option<&str>) -> Result<Decoded, DecodeError> {
    let mut out = Decoded::default();
    decode(mapping, message(payload.as_bytes()), named.map(DeviceId::new).as_ref(), &mut out)?;
    Ok(out)
}

fn fixes(mapping: &Mapping, payload: &str, named: Option<&str>) -> Vec<Fix> {
    let decoded = of(mapping, payload, named).unwrap();
    assert_eq!(decoded.faults, []);
    let fix = |reading| match reading {
        Reading::Fix(fix) => fix,
        other => panic!("{other:?} instead of a fix"),
    };
    decoded.readings.into_iter().map(fix).collect()
}

/// The one fault of a message with nothing else in it.
fn reason(mapping: &Mapping, payload: &str) -> &'static str {
    match of(mapping, payload, None) {
        Err(error) => error.reason,
        Ok(Decoded { readings, faults }) => {
            assert!(readings.is_empty() && faults.len() == 1, "{payload} gave {readings:?} and {faults:?}");
            faults[0].reason
        }
    }
}

const WHOLE: &str = r#"{"id":"truck-7","pos":{"lat":52.5163,"lon":13.3777},"ts":1700000000500,"ok":true,
    "acc":12,"alt":34,"v":36,"dir":270,"bat":88,"ign":1}"#;

#[test]
fn every_field_is_read_from_its_place_in_base_units() {
    let found = fixes(&mapping(MAPPING), WHOLE, None);
    let [fix] = &found[..] else { panic!("{found:?}") };
    assert_eq!(fix.device.as_str(), "truck-7");
    assert_eq!(fix.observed_at, Timestamp::parse("2023-11-14T22:13:20.5Z").unwrap());
    assert_eq!((fix.position.lat, fix.position.lon), (52.5163, 13.3777));
    assert_eq!((fix.accuracy_m, fix.altitude_m, fix.speed_mps), (Some(12.0), Some(34.0), Some(10.0)));
    assert_eq!((fix.course_deg, fix.battery_percent, fix.ignition), (Some(270.0), Some(88.0), Some(true)));
}

#[test]
fn speeds_have_their_units() {
    let payload = r#"{"d":"a","la":1,"lo":2,"t":1,"v":100}"#;
    for (unit, mps) in [("m/s", 100.0), ("km/h", 27.777_777), ("knots", 51.444_444), ("mph", 44.704)] {
        let text = format!(
            "device = \"d\"\nlatitude = \"la\"\nlongitude = \"lo\"\ntime = \"t\"\ntime_format = \"unix\"\n\
             speed = \"v\"\nspeed_unit = \"{unit}\""
        );
        let speed = fixes(&mapping(&text), payload, None)[0].speed_mps.unwrap();
        assert!((speed - mps).abs() < 1e-5, "{unit}: {speed}");
    }
}

#[test]
fn odometers_have_their_units() {
    for (unit, value, metres) in [
        ("m", "1500.5", Some(1500.5)),
        ("km", "1500.5", Some(1_500_500.0)),
        ("miles", "100", Some(160_934.4)),
        // More than any shows, or none.
        ("km", "1e9", None),
        ("m", "-1", None),
        ("m", "null", None),
    ] {
        let text = format!(
            "device = \"d\"\nlatitude = \"la\"\nlongitude = \"lo\"\ntime = \"t\"\ntime_format = \"unix\"\n\
             odometer = \"o\"\nodometer_unit = \"{unit}\""
        );
        let payload = format!(r#"{{"d":"a","la":1,"lo":2,"t":1,"o":{value}}}"#);
        assert_eq!(fixes(&mapping(&text), &payload, None)[0].odometer_m, metres, "{value} {unit}");
    }
}

#[test]
fn batteries_are_told_in_percent_or_as_a_fraction() {
    for (unit, value, percent) in [
        ("", "0.88", Some(0.88)),
        ("battery_unit = \"%\"", "88", Some(88.0)),
        ("battery_unit = \"fraction\"", "0.5", Some(50.0)),
        ("battery_unit = \"fraction\"", "1", Some(100.0)),
        ("battery_unit = \"fraction\"", "88", None),
    ] {
        let text = format!("{LOOSE}latitude = \"la\"\nlongitude = \"lo\"\n{unit}");
        let payload = format!(r#"{{"d":"a","la":1,"lo":2,"t":1,"bat":{value}}}"#);
        assert_eq!(fixes(&mapping(&text), &payload, None)[0].battery_percent, percent, "{value} {unit}");
    }
}

#[test]
fn times_have_their_formats() {
    let time = |format: &str, value: &str| {
        let text = format!(
            "device = \"d\"\nlatitude = \"la\"\nlongitude = \"lo\"\ntime = \"t\"\ntime_format = \"{format}\""
        );
        let payload = format!(r#"{{"d":"a","la":1,"lo":2,"t":{value}}}"#);
        match of(&mapping(&text), &payload, None).unwrap() {
            Decoded { readings, faults } if faults.is_empty() => match &readings[..] {
                [Reading::Fix(fix)] => fix.observed_at.to_string(),
                other => panic!("{other:?}"),
            },
            Decoded { faults, .. } => faults[0].reason.to_owned(),
        }
    };
    for (format, value, expected) in [
        ("rfc3339", "\"2026-05-01T06:00:00Z\"", "2026-05-01T06:00:00Z"),
        ("rfc3339", "\"2026-05-01T08:00:00.250+02:00\"", "2026-05-01T06:00:00.25Z"),
        ("rfc3339", "\"2026-05-01 08:00\"", "time"),
        ("rfc3339", "\"yesterday\"", "time"),
        ("rfc3339", "\"1969-12-31T23:59:59Z\"", "time"),
        ("rfc3339", "1700000000", "type"),
        ("unix", "1700000000", "2023-11-14T22:13:20Z"),
        ("unix", "1700000000.25", "2023-11-14T22:13:20.25Z"),
        ("unix", "1.7e9", "2023-11-14T22:13:20Z"),
        // Milliseconds, mistaken for seconds.
        ("unix", "1700000000000", "time"),
        ("unix", "-1", "time"),
        ("unix", "1e308", "time"),
        ("unix", "18446744073709551615", "time"),
        ("unix", "9223372036854775807", "time"),
        ("unix", "\"1700000000\"", "type"),
        ("unix-ms", "1700000000250", "2023-11-14T22:13:20.25Z"),
        ("unix-ms", "1700000000000.5", "2023-11-14T22:13:20.0005Z"),
    ] {
        assert_eq!(time(format, value), expected, "{format} {value}");
    }
}

#[test]
fn numbers_may_be_text_where_the_mapping_says_so() {
    let mapping = mapping(&format!("{MAPPING}\ntext_numbers = true"));
    let as_text = r#"{"id":"truck-7","pos":{"lat":"52.5","lon":" -13.25 "},"ts":"1700000000500","v":"36","ok":"1",
        "ign":"False","acc":""}"#;
    let fix = &fixes(&mapping, as_text, None)[0];
    assert_eq!((fix.position.lat, fix.position.lon, fix.speed_mps), (52.5, -13.25, Some(10.0)));
    assert_eq!(fix.observed_at, Timestamp::parse("2023-11-14T22:13:20.5Z").unwrap());
    assert_eq!((fix.ignition, fix.accuracy_m), (Some(false), None));
    // Numbers go on being numbers, and it is the same fix.
    let told = |payload: &str| fixes(&mapping, payload, None)[0].digest;
    assert_eq!(told(&as_text.replace("\"52.5\"", "52.5").replace("\"36\"", "36")), fix.digest);
    for (from, to, reason) in [
        ("52.5", "52,5", "type"),
        ("52.5", "NaN", "type"),
        ("52.5", "inf", "type"),
        ("52.5", "1e999", "type"),
        ("52.5", "0x34", "type"),
        ("52.5", "91", "range"),
        ("52.5", "", "missing"),
        ("1700000000500", "2023-11-14T22:13:20Z", "type"),
        ("\"1\"", "\"perhaps\"", "type"),
    ] {
        let decoded = of(&mapping, &as_text.replace(from, to), None).unwrap();
        assert_eq!(decoded.faults[0].reason, reason, "{from} {to}");
    }
    // Nothing where both should be: no position, and a sign of life.
    let nowhere = as_text.replace("52.5", "").replace(" -13.25 ", "");
    let decoded = of(&mapping, &nowhere, None).unwrap();
    assert!(
        matches!(&decoded.readings[..], [Reading::Note(note)] if note.says == Says::NoFix),
        "{decoded:?}"
    );
}

#[test]
fn bad_input_has_a_reason() {
    let mapping = mapping(MAPPING);
    let with = |key: &str, value: &str| {
        let mut document: Value = serde_json::from_str(WHOLE).unwrap();
        let value = serde_json::from_str(value).unwrap();
        match key.split_once('.') {
            Some((outer, inner)) => document[outer][inner] = value,
            None => document[key] = value,
        }
        document.to_string()
    };
    for (key, value, expected) in [
        ("pos.lat", "91", "range"),
        ("pos.lon", "-180.5", "range"),
        ("pos.lat", "1e308", "range"),
        ("pos.lat", "\"52.5\"", "type"),
        ("pos.lat", "[52.5]", "type"),
        ("pos.lat", "null", "missing"),
        ("pos", "17", "missing"),
        ("ts", "null", "missing"),
        ("ts", "{}", "type"),
        ("v", "\"fast\"", "type"),
        ("ign", "\"on\"", "type"),
        ("ign", "2", "type"),
        ("ok", "\"yes\"", "type"),
        ("id", "null", "missing"),
        ("id", "\"\"", "device"),
        ("id", "\"a\\u0000b\"", "device"),
        ("id", "1.5", "type"),
        ("id", "[\"truck\"]", "type"),
    ] {
        assert_eq!(reason(&mapping, &with(key, value)), expected, "{key} {value}");
    }
    for (payload, expected) in [
        ("", "empty"),
        ("hello", "json"),
        ("{\"pos\":{\"lat\":NaN}}", "json"),
        ("{\"pos\":1e999}", "json"),
        ("{\"pos\":1", "json"),
        ("17", "type"),
        ("null", "type"),
        ("{}", "missing"),
        ("[[]]", "missing"),
    ] {
        assert_eq!(reason(&mapping, payload), expected, "{payload}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(reason(&mapping, &deep), "depth");
    let crowd = format!("[{}1]", "1,".repeat(MOST_FIXES));
    assert_eq!(reason(&mapping, &crowd), "too-many");
    let mut out = Decoded::default();
    let utf8 = decode(&mapping, message(b"{\"id\":\"\xff\"}"), None, &mut out).unwrap_err();
    assert_eq!((utf8.reason, utf8.offset), ("utf-8", 7));
}

#[test]
fn what_cannot_be_measured_is_absent_and_the_fix_stands() {
    let payload = r#"{"id":7,"pos":{"lat":1,"lon":2},"ts":1,"acc":0,"alt":1e308,"v":-1,"dir":361,"bat":101}"#;
    let found = fixes(&mapping(MAPPING), payload, None);
    let fix = &found[0];
    assert_eq!(fix.device.as_str(), "7", "a number is a name as well");
    assert_eq!((fix.accuracy_m, fix.altitude_m, fix.speed_mps), (None, None, None));
    assert_eq!((fix.course_deg, fix.battery_percent, fix.ignition), (None, None, None));
}

#[test]
fn one_bad_element_costs_no_other() {
    let mapping = mapping(MAPPING);
    let element = |lat: &str| format!(r#"{{"id":"a","pos":{{"lat":{lat},"lon":2}},"ts":1}}"#);
    let payload = format!("[{},{},17,{}]", element("1"), element("91"), element("2"));
    let decoded = of(&mapping, &payload, None).unwrap();
    let lats: Vec<f64> = decoded
        .readings
        .iter()
        .map(|reading| match reading {
            Reading::Fix(fix) => fix.position.lat,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(lats, [1.0, 2.0]);
    let faults: Vec<_> = decoded.faults.iter().map(|fault| (fault.reason, &fault.message[..17])).collect();
    assert_eq!(faults, [("range", "fix 2 of the mess"), ("type", "fix 3 of the mess")]);
}

#[test]
fn a_fix_is_known_again_in_another_message() {
    let mapping = mapping(MAPPING);
    let element = |ts: u32, lat: u32| format!(r#"{{"id":"a","pos":{{"lat":{lat},"lon":2}},"ts":{ts}}}"#);
    let batch = fixes(&mapping, &format!("[{},{}]", element(1, 1), element(2, 2)), None);
    let again = fixes(&mapping, &element(2, 2), None);
    assert_eq!(batch[1].digest, again[0].digest);
    assert_ne!(batch[0].digest, batch[1].digest);
    let elsewhere = fixes(&mapping, &element(2, 3), None);
    assert_ne!(again[0].digest, elsewhere[0].digest);
}

#[test]
fn whom_it_is_of_is_told_by_topic_key_or_field_and_all_agree() {
    let by_field = mapping(MAPPING);
    assert_eq!(fixes(&by_field, WHOLE, Some("truck-7"))[0].device.as_str(), "truck-7");
    let decoded = of(&by_field, WHOLE, Some("truck-8")).unwrap();
    assert_eq!(decoded.faults[0].reason, "topic-mismatch");
    assert!(decoded.readings.is_empty());
    let anonymous = WHOLE.replace("\"id\":\"truck-7\",", "");
    assert_eq!(fixes(&by_field, &anonymous, Some("truck-8"))[0].device.as_str(), "truck-8");
    let by_key = preset("thingsboard");
    let payload = r#"{"van 1":[{"ts":1,"values":{"latitude":1,"longitude":2}}]}"#;
    assert_eq!(fixes(&by_key, payload, Some("van 1"))[0].device.as_str(), "van 1");
    assert_eq!(of(&by_key, payload, Some("van 2")).unwrap().faults[0].reason, "topic-mismatch");
}

#[test]
fn what_clients_send_around_the_text_is_passed_over() {
    let found = |payload: &str| fixes(&mapping(MAPPING), payload, None).len();
    assert_eq!(found(&format!("{WHOLE}\0")), 1);
    assert_eq!(found(&format!("\u{feff}{WHOLE}\0\0")), 1);
    assert_eq!(reason(&mapping(MAPPING), "\0"), "empty");
    assert_eq!(reason(&mapping(MAPPING), &format!("\0{WHOLE}")), "json");
}

#[test]
fn fixes_lie_where_the_path_leads() {
    let element = |lat: u32| format!(r#"{{"lat":{lat},"lon":0,"ts":1}}"#);
    let (one, two, three) = (element(1), element(2), element(3));
    let text = |fixes: &str| {
        format!(
            "{fixes}\ndevice = [\"name\", \"$.id\"]\nlatitude = \"lat\"\nlongitude = \"lon\"\ntime = \"ts\"\n\
             time_format = \"unix\""
        )
    };
    for (path, payload, expected) in [
        ("", one.clone(), vec![("g", 1.0)]),
        (
            "fixes = \"data.points\"",
            format!(r#"{{"data":{{"points":[{one},{two}]}}}}"#),
            vec![("g", 1.0), ("g", 2.0)],
        ),
        (
            "fixes = \"a.*.p\"",
            format!(r#"{{"a":[{{"p":{one}}},{{"p":[{two},{three}]}}]}}"#),
            vec![("g", 1.0), ("g", 2.0), ("g", 3.0)],
        ),
        ("fixes = [\"no\", \"$\"]", one.clone(), vec![("g", 1.0)]),
        ("fixes = \"/odd.key/x~1y\"", format!(r#"{{"odd.key":{{"x/y":[{one}]}}}}"#), vec![("g", 1.0)]),
        (
            "fixes = \"cars.{device}\"",
            format!(r#"{{"cars":{{"a":[{one}],"b":{two}}}}}"#),
            vec![("a", 1.0), ("b", 2.0)],
        ),
        ("fixes = \"none\"", "{\"none\":[]}".to_owned(), vec![]),
    ] {
        let named_by_key = path.contains("{device}");
        let id = if named_by_key { "" } else { ",\"id\":\"g\"" };
        let payload = format!("{}{id}}}", &payload[..payload.len() - 1]);
        let found = fixes(&mapping(&text(path)), &payload, None);
        let found: Vec<_> = found.iter().map(|fix| (fix.device.as_str(), fix.position.lat)).collect();
        assert_eq!(found, expected, "{path} {payload}");
    }
    assert_eq!(of(&mapping(&text("fixes = \"none\"")), "{}", None).unwrap_err().reason, "missing");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9:TZ-]{0,12}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        "pos|lat|lon|ts|id|ok|v|values|latitude|longitude|features|geometry|coordinates",
        "[a-z]{0,3}"
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(key.clone(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn bytes_never_panic(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut out = Decoded::default();
        if let Err(error) = decode(&mapping(MAPPING), message(&payload), None, &mut out) {
            prop_assert!(error.offset <= payload.len() && out.readings.is_empty() && out.faults.is_empty());
        }
    }

    /// Every element that the path leads to is a reading or a fault.
    #[test]
    fn any_document_is_accounted_for(document in any_json(), which in 0..4usize) {
        let mapping = match which {
            0 => mapping(MAPPING),
            nth => preset(PRESETS[nth - 1].0),
        };
        let paths = if mapping.fixes.is_empty() { vec![FixesPath::default()] } else { mapping.fixes.clone() };
        let there = paths.iter().find_map(|path| path.find(&document)).map(|found| found.len());
        match (of(&mapping, &document.to_string(), Some("d")), there) {
            (Ok(Decoded { readings, faults }), Some(there)) => prop_assert_eq!(readings.len() + faults.len(), there),
            (Err(error), None) => prop_assert_eq!(error.reason, "missing"),
            (decoded, there) => prop_assert!(false, "{decoded:?} of {there:?}"),
        }
    }

    #[test]
    fn any_place_comes_through(lat in -90.0f64..=90.0, lon in -180.0f64..=180.0, ts in 0..=253_402_300_799_999i64) {
        let payload = format!(r#"{{"id":"a","pos":{{"lat":{lat},"lon":{lon}}},"ts":{ts}}}"#);
        let found = fixes(&mapping(MAPPING), &payload, None);
        prop_assert_eq!((found[0].position.lat, found[0].position.lon), (lat, lon));
        prop_assert_eq!(found[0].observed_at, Timestamp::from_micros(ts * 1000));
    }

    #[test]
    fn any_path_is_one_or_is_refused(written in "[$./*{}a-c~0-9]{0,10}", document in any_json()) {
        if let Ok(path) = Path::parse(&written) {
            prop_assert!(path.find(&document, &document).is_none_or(|found| !found.is_null()));
        }
        if let Ok(path) = FixesPath::parse(&written) {
            let named = path.find(&document).into_iter().flatten().any(|(device, _)| device.is_some());
            prop_assert!(!named || path.names_device());
        }
    }
}
