//! Documents that others define.

use super::*;

/// As Traccar 6 sends it, shortened by fields that nothing is read from.
const TRACCAR: &str = r#"{"position":{"id":123,"attributes":{"batteryLevel":81,"ignition":true,"motion":true,
    "distance":10.3,"odometer":1234567,"hdop":0.8,"sat":11},"deviceId":4,"protocol":"teltonika",
    "serverTime":"2026-05-01T06:00:02.000+00:00","deviceTime":"2026-05-01T06:00:00.000+00:00",
    "fixTime":"2026-05-01T06:00:00.000+00:00","outdated":false,"valid":true,"latitude":52.5163,"longitude":13.3777,
    "altitude":34.0,"speed":19.438445,"course":270.0,"address":null,"accuracy":0.0,"network":null},
    "device":{"id":4,"attributes":{},"name":"Truck 7","uniqueId":"356307042441013","status":"online"}}"#;

#[test]
fn traccar_s_forwarded_positions() {
    let found = fixes(&preset("traccar"), TRACCAR, None);
    let fix = &found[0];
    assert_eq!(fix.device.as_str(), "356307042441013");
    assert_eq!(fix.observed_at.to_string(), "2026-05-01T06:00:00Z");
    assert_eq!((fix.position.lat, fix.position.lon), (52.5163, 13.3777));
    assert!((fix.speed_mps.unwrap() - 10.0).abs() < 1e-6, "{:?} from knots", fix.speed_mps);
    assert_eq!((fix.accuracy_m, fix.altitude_m, fix.course_deg), (None, Some(34.0), Some(270.0)));
    assert_eq!((fix.battery_percent, fix.ignition), (Some(81.0), Some(true)));
    assert_eq!(fix.odometer_m, Some(1_234_567.0));
    let lost = TRACCAR.replace("\"valid\":true", "\"valid\":false");
    assert!(matches!(of(&preset("traccar"), &lost, None).unwrap().readings[..], [Reading::Note(_)]));
}

/// A message without a position comes with the last one.
#[test]
fn what_traccar_tells_again_is_no_fix_and_its_attributes_are_new() {
    let again = TRACCAR.replace("\"outdated\":false", "\"outdated\":true").replace("81", "9");
    let again = again.replace("\"deviceTime\":\"2026-05-01T06:00:00", "\"deviceTime\":\"2026-05-01T07:30:00");
    let decoded = of(&preset("traccar"), &again, None).unwrap();
    let [Reading::Note(note)] = &decoded.readings[..] else { panic!("{decoded:?}") };
    assert_eq!((note.says, note.vitals.battery_percent), (Says::NoFix, Some(9.0)));
    assert_eq!(note.observed_at, Timestamp::parse("2026-05-01T07:30:00Z"));
}

#[test]
fn thingsboard_s_gateway_telemetry() {
    let payload = r#"{"Device A":[{"ts":1483228800000,"values":{"latitude":1.5,"longitude":2.5}},
        {"ts":1483228801000,"values":{"latitude":1.6,"longitude":2.6,"speed":42}}],
        "Device B":[{"ts":1483228800000,"values":{"temperature":42}}]}"#;
    let decoded = of(&preset("thingsboard"), payload, None).unwrap();
    // A thermometer has no place.
    assert!(matches!(&decoded.readings[..], [Reading::Fix(_), Reading::Fix(_), Reading::Note(_)]));
    let half = payload.replace("temperature", "latitude");
    let decoded = of(&preset("thingsboard"), &half, None).unwrap();
    assert!(decoded.faults[0].message.starts_with("fix 3 of the message: the longitude is missing"));
    // What its values mean else is written beside the preset.
    let more = mapping("preset = \"thingsboard\"\nspeed = \"values.speed\"\nspeed_unit = \"km/h\"");
    let decoded = of(&more, payload, None).unwrap();
    assert!(matches!(&decoded.readings[1], Reading::Fix(fix) if fix.speed_mps == Some(42.0 / 3.6)));
}

#[test]
fn geojson_features_and_collections_of_them() {
    let feature = r#"{"type":"Feature","geometry":{"type":"Point","coordinates":[13.3777,52.5163,34]},
        "properties":{"timestamp":"2026-05-01T06:00:00Z","device_id":"phone","speed":4,"horizontal_accuracy":5}}"#;
    let collection = format!(r#"{{"type":"FeatureCollection","features":[{feature},{feature}]}}"#);
    for (payload, count) in [(feature, 1), (&collection, 2)] {
        let found = fixes(&preset("geojson"), payload, None);
        assert_eq!(found.len(), count);
        let fix = &found[0];
        assert_eq!((fix.position.lat, fix.position.lon, fix.altitude_m), (52.5163, 13.3777, Some(34.0)));
        assert_eq!((fix.device.as_str(), fix.speed_mps, fix.accuracy_m), ("phone", Some(4.0), Some(5.0)));
    }
    let line = feature.replace("[13.3777,52.5163,34]", "[[13.3,52.5],[13.4,52.6]]");
    assert_eq!(reason(&preset("geojson"), &line), "type");
}

#[test]
fn presets_are_mappings_that_could_be_written_by_hand() {
    for (name, text) in PRESETS {
        assert_eq!(preset(name), mapping(text), "{name}");
    }
}
