//! What a message that is not understood says of how to read it, and what is passed over.

use super::*;

const LIVE: &str = "time = \"t\"\ntime_format = \"unix\"\n";

#[track_caller]
fn said(mapping: &Mapping, payload: &str) -> String {
    match of(mapping, payload, None) {
        Err(error) => error.message,
        Ok(decoded) => decoded.faults[0].message.clone(),
    }
}

#[test]
fn a_mistake_in_the_mapping_says_what_to_write() {
    let dotted = mapping(&format!(
        "device = \"d\"\n{LIVE}latitude = \"position.latitude\"\nlongitude = \"position.longitude\""
    ));
    let flat = r#"{"d":"a","t":1,"position.latitude":1,"position.longitude":2}"#;
    assert!(said(&dotted, flat).contains("write `/position.latitude`"), "{}", said(&dotted, flat));
    let mended = mapping(&format!(
        "device = \"d\"\n{LIVE}latitude = \"/position.latitude\"\nlongitude = \"/position.longitude\""
    ));
    assert_eq!(fixes(&mended, flat, None)[0].position.lat, 1.0);
    let other = r#"{"d":"a","t":1,"latitude":1}"#;
    assert!(said(&dotted, other).ends_with("no `position.latitude`"), "{}", said(&dotted, other));

    let plain =
        mapping(&format!("{LIVE}latitude = \"la\"\nlongitude = \"lo\"\nspeed = \"v\"\nspeed_unit = \"m/s\""));
    let place = |lat: f64, lon: f64| {
        let payload = format!(r#"{{"t":1,"la":{lat},"lo":{lon}}}"#);
        of(&plain, &payload, Some("a")).unwrap().faults[0].message.clone()
    };
    assert!(place(535_500_000.0, 99_900_000.0).contains("coordinate_unit"));
    assert!(place(139.7, 35.6).contains("in each other's place"));
    assert!(place(91.0, 200.0).ends_with("is no place on Earth"));
    assert!(said(&plain, r#"{"t":1,"la":1,"lo":2}"#).contains("nothing names the device"));
    assert!(said(&plain, "53.55").contains("comes in one message"));
    assert!(said(&plain, "53.55,9.99").starts_with("not JSON: "));
    let speed = of(&plain, r#"{"t":1,"la":1,"lo":2,"v":"12 km/h"}"#, Some("a")).unwrap();
    assert!(speed.faults[0].message.contains("`12 km/h`"), "{}", speed.faults[0].message);
}

#[test]
fn a_switch_may_be_a_word() {
    let text = format!(
        "{LIVE}device = \"d\"\nlatitude = \"la\"\nlongitude = \"lo\"\nignition = \"i\"\ntext_numbers = true"
    );
    for (word, expected) in [("ON", true), ("off", false), ("Yes", true), ("no", false), ("1", true)] {
        let payload = format!(r#"{{"d":"a","t":1,"la":1,"lo":2,"i":"{word}"}}"#);
        assert_eq!(fixes(&mapping(&text), &payload, None)[0].ignition, Some(expected), "{word}");
    }
}

/// gpsd tells of satellites, and of itself, by the same way as of positions.
#[test]
fn messages_of_other_kinds_are_passed_over() {
    let text = format!(
        "{LIVE}kind = \"class\"\nkinds = [\"TPV\", \"3\"]\nlatitude = \"lat\"\nlongitude = \"lon\"\nbattery = \"b\""
    );
    let read = |payload: &str| of(&mapping(&text), payload, Some("van")).unwrap();
    for kind in [r#""TPV""#, "3"] {
        let decoded = read(&format!(r#"{{"class":{kind},"t":1,"lat":1,"lon":2}}"#));
        assert!(matches!(&decoded.readings[..], [Reading::Fix(_)]), "{kind}: {decoded:?}");
    }
    for payload in [r#"{"class":"SKY","satellites":[]}"#, r#"{"satellites":[]}"#, r#"{"class":null}"#] {
        let decoded = read(payload);
        assert!(
            matches!(&decoded.readings[..], [Reading::Note(note)] if note.says == Says::Nothing),
            "{payload}: {decoded:?}"
        );
    }
    // One of the kind that is wanted is held to what it should have.
    assert_eq!(read(r#"{"class":"TPV","lat":1,"lon":2}"#).faults[0].reason, "missing");
}
