//! Where a message has its position, in which form, and what it is where it has none.

use super::*;

#[test]
fn a_position_of_null_is_none_and_a_sign_of_life() {
    let mapping = mapping(
        "device = \"d\"\nlatitude = \"pos.lat\"\nlongitude = \"pos.lon\"\ntime = \"t\"\ntime_format = \"unix\"",
    );
    for pos in [r#"{"lat":null,"lon":null}"#, "null"] {
        let decoded = of(&mapping, &format!(r#"{{"d":"x","t":1,"pos":{pos}}}"#), None).unwrap();
        let [Reading::Note(note)] = &decoded.readings[..] else { panic!("{decoded:?}") };
        assert_eq!((note.device.as_str(), note.says), ("x", Says::NoFix));
    }
    // Half of one, or none where a mapping looks for it, is a mistake.
    for pos in [r#"{"lat":null,"lon":1}"#, r#"{"lat":null}"#, "{}", "7"] {
        let wrong = of(&mapping, &format!(r#"{{"d":"x","t":1,"pos":{pos}}}"#), None);
        let reason = wrong.map_or_else(|error| error.reason, |decoded| decoded.faults[0].reason);
        assert_eq!(reason, "missing", "{pos}");
    }
}

#[test]
fn a_fix_that_is_not_valid_is_a_sign_of_life() {
    let payload = WHOLE.replace("\"ok\":true", "\"ok\":false");
    let decoded = of(&mapping(MAPPING), &payload, None).unwrap();
    let [Reading::Note(note)] = &decoded.readings[..] else { panic!("{decoded:?}") };
    assert_eq!((note.device.as_str(), note.says), ("truck-7", Says::NoFix));
    assert_eq!(note.observed_at, Timestamp::parse("2023-11-14T22:13:20.5Z"));
    // What else it says holds all the same.
    let Reading::Fix(fix) = &of(&mapping(MAPPING), WHOLE, None).unwrap().readings[0] else { panic!() };
    let vitals = Vitals { battery_percent: fix.battery_percent, ignition: fix.ignition };
    assert!(vitals.battery_percent.is_some() && vitals.ignition.is_some());
    assert_eq!(note.vitals, vitals);
    // A count of satellites, or of dimensions; the status of an RMC.
    let counts = [("0", false), ("1", true), ("7", true), ("-1", true), ("\"x\"", false)];
    for (count, is_fix) in counts.into_iter().chain([("\"A\"", true), ("\"V\"", false)]) {
        let decoded = of(&mapping(MAPPING), &WHOLE.replace("\"ok\":true", &format!("\"ok\":{count}")), None);
        assert_eq!(matches!(decoded.unwrap().readings[..], [Reading::Fix(_)]), is_fix, "{count}");
    }
    let void = of(&mapping(MAPPING), &WHOLE.replace("\"ok\":true", "\"ok\":\"V\""), None).unwrap();
    assert!(void.faults.is_empty() && void.readings.len() == 1, "{void:?}");
}

#[test]
fn a_message_without_a_position_is_a_sign_of_life_where_the_mapping_says_so() {
    let text = format!("{LOOSE}latitude = \"la\"\nlongitude = \"lo\"\n");
    let optional = mapping(&format!("{text}position_optional = true"));
    let payload = r#"{"d":"x","t":7,"bat":80}"#;
    let decoded = of(&optional, payload, None).unwrap();
    let [Reading::Note(note)] = &decoded.readings[..] else { panic!("{decoded:?}") };
    assert_eq!((note.says, note.vitals.battery_percent), (Says::NoFix, Some(80.0)));
    assert_eq!(note.observed_at, Some(Timestamp::from_secs(7)));
    assert_eq!(reason(&mapping(&text), payload), "missing");
    // Half of one is a mistake, and so is what has no time.
    assert_eq!(reason(&optional, r#"{"d":"x","t":7,"la":1}"#), "missing");
    assert_eq!(reason(&optional, r#"{"d":"x","bat":80}"#), "missing");
}

#[test]
fn a_position_may_be_one_text() {
    let by_text = mapping(&format!("{LOOSE}position = \"s.latlng\""));
    let found = fixes(&by_text, r#"{"d":"x","t":1,"s":{"latlng":"54.714500, -25.2420"}}"#, None);
    assert_eq!(found[0].position, Position { lat: 54.7145, lon: -25.242 });
    for (latlng, expected) in [
        ("\"54.7\"", "type"),
        ("\"54.7;25\"", "type"),
        ("\"54,7,25,2\"", "type"),
        ("\"nan,1\"", "type"),
        ("[54.7, 25.2]", "type"),
        ("\"91,0\"", "range"),
    ] {
        assert_eq!(reason(&by_text, &format!(r#"{{"d":"x","t":1,"s":{{"latlng":{latlng}}}}}"#)), expected);
    }
    assert_eq!(reason(&by_text, r#"{"d":"x","t":1,"s":{}}"#), "missing");
    let nowhere = of(&by_text, r#"{"d":"x","t":1,"s":{"latlng":null}}"#, None).unwrap();
    assert!(matches!(&nowhere.readings[..], [Reading::Note(note)] if note.says == Says::NoFix));
}

#[test]
fn coordinates_may_be_whole_numbers() {
    for (unit, lat) in [("1e-7 deg", "525163000"), ("1e-6 deg", "52516300"), ("deg", "52.5163")] {
        let text = format!("{LOOSE}latitude = \"la\"\nlongitude = \"lo\"\ncoordinate_unit = \"{unit}\"");
        let found = fixes(&mapping(&text), &format!(r#"{{"d":"x","t":1,"la":{lat},"lo":0}}"#), None);
        assert!((found[0].position.lat - 52.5163).abs() < 1e-9, "{unit}");
    }
}
