use serde_json::{Value, json};

use super::*;
use crate::domain::ids::EventId;
use crate::track::tests_rules as rules;

#[test]
fn ids_of_published_events() {
    // Events and ids of the public examples of EPCIS 2.0's hash algorithm (sensor data, cases 1 and 3).
    let element = |minute: &str, temperature: f64, humidity: f64, speed: f64, light: f64| {
        json!({
            "sensorMetadata": {
                "time": format!("2019-04-02T14:{minute}:00.000+01:00"), "deviceID": "urn:epc:id:giai:4000001.111",
                "deviceMetadata": "https://id.gs1.org/8004/4000001111",
                "rawData": "https://id.gs1.org/8004/401234599999",
            },
            "sensorReport": [
                { "type": "https://gs1.org/voc/MT-Temperature", "value": temperature, "uom": "CEL" },
                { "type": "https://gs1.org/voc/MT-Humidity", "value": humidity, "uom": "A93" },
                { "type": "https://gs1.org/voc/MT-Speed", "value": speed, "uom": "KMH" },
                { "type": "https://gs1.org/voc/MT-Illuminance", "value": light, "uom": "LUX" },
            ],
        })
    };
    let carried = json!({
        "type": "ObjectEvent", "eventTime": "2019-04-02T15:00:00.000+01:00", "eventTimeZoneOffset": "+01:00",
        "epcList": ["urn:epc:id:sgtin:4012345.011111.9876"], "action": "OBSERVE", "bizStep": "inspecting",
        "readPoint": { "id": "urn:epc:id:sgln:4012345.00005.0" },
        "sensorElementList": [
            element("55", 26.2, 12.2, 162.0, 802.0),
            element("05", 26.0, 12.1, 160.0, 800.0),
            element("35", 26.1, 12.2, 161.0, 801.0),
        ],
    });
    assert_eq!(
        event_id(&carried),
        "ni:///sha-256;c67fba7fdb544937cf4cfa19dc03d6511351056b39010bec67889877347de96a?ver=CBV2.0",
        "{}",
        pre_hash(&carried)
    );
    let stored = json!({
        "type": "ObjectEvent", "eventTime": "2019-04-02T15:00:00.000+01:00", "eventTimeZoneOffset": "+01:00",
        "action": "OBSERVE", "bizStep": "inspecting", "epcList": [],
        "readPoint": { "id": "urn:epc:id:sgln:4012345.00005.0" },
        "sensorElementList": [{
            "sensorMetadata": {
                "startTime": "2019-04-01T15:00:00.000+01:00", "endTime": "2019-04-02T14:59:59.999+01:00",
            },
            "sensorReport": [
                { "type": "https://gs1.org/voc/MT-Temperature", "minValue": 12.4, "maxValue": 13.8, "uom": "CEL" },
                { "type": "https://gs1.org/voc/MT-Humidity", "minValue": 69.2, "maxValue": 72.5, "uom": "A93" },
            ],
        }],
    });
    assert_eq!(
        event_id(&stored),
        "ni:///sha-256;a412ec2a65c12db6fedf948a83b7f157e507cc8487705728596894383ec0ae5d?ver=CBV2.0",
        "{}",
        pre_hash(&stored)
    );
}

#[test]
fn keys_as_digital_links() {
    for (urn, link) in [
        ("urn:epc:id:sgtin:0614141.107346.2017", "01/10614141073464/21/2017"),
        ("urn:epc:id:sgtin:4012345.011111.9876", "01/04012345111118/21/9876"),
        ("urn:epc:id:sscc:0614141.1234567890", "00/106141412345678908"),
        ("urn:epc:id:sgln:0614141.07346.1234", "414/0614141073467/254/1234"),
        ("urn:epc:id:sgln:4012345.00005.0", "414/4012345000054"),
        ("urn:epc:id:grai:0614141.12345.400", "8003/00614141123452400"),
        ("urn:epc:id:giai:4000001.111", "8004/4000001111"),
        ("urn:epc:id:giai:4000001.1.1a", "8004/40000011.1a"),
    ] {
        assert_eq!(digital_link(urn), Some(format!("https://id.gs1.org/{link}")), "{urn}");
    }
    for other in ["urn:epc:id:gid:1.2.3", "urn:epc:raw:96.x30", "https://example.com/x", "urn:epc:id:sgtin:1"]
    {
        assert_eq!(digital_link(other), None, "{other}");
    }
}

fn stored(kind: &str, subject: &str, body: Value) -> StoredEvent {
    let at = Timestamp::parse("2026-05-01T06:00:00.1234Z").unwrap();
    StoredEvent {
        seq: 7,
        id: EventId([0; 16]),
        version: 1,
        kind: kind.into(),
        site: Some("hq".into()),
        subject: subject.into(),
        source: "r1".into(),
        observed_at: at,
        received_at: at,
        recorded_at: at,
        late: false,
        confidence: None,
        body: body.to_string().into(),
    }
}

fn translate(kind: &str, subject: &str, body: Value) -> Option<Value> {
    let event = Translator::new(&rules(), "https://id.example.com/").translate(&stored(kind, subject, body));
    assert!(event.is_none() || KINDS.contains(&kind), "an export does not ask for `{kind}`");
    event
}

/// The shape that the JSON Schema of EPCIS 2.0 demands of an `ObjectEvent`.
fn assert_valid(event: &Value) {
    let allowed = [
        "type",
        "action",
        "bizStep",
        "epcList",
        "readPoint",
        "bizLocation",
        "sensorElementList",
        "eventTime",
        "recordTime",
        "eventTimeZoneOffset",
        "eventID",
    ];
    let fields = event.as_object().unwrap();
    assert!(fields.keys().all(|name| allowed.contains(&name.as_str())), "{event}");
    for needed in ["type", "action", "eventTime", "eventTimeZoneOffset", "epcList"] {
        assert!(fields.contains_key(needed), "{needed} of {event}");
    }
    assert!(Timestamp::parse(event["eventTime"].as_str().unwrap()).is_some());
    let is_uri = |value: &Value| value.as_str().is_some_and(|text| text.contains(':') && !text.contains(' '));
    assert!(event["epcList"].as_array().unwrap().iter().all(is_uri), "{event}");
    for place in ["readPoint", "bizLocation"] {
        assert!(event.get(place).is_none_or(|place| is_uri(&place["id"])), "{event}");
    }
    assert_eq!(event["eventID"], json!(event_id(event)));
}

fn passage(direction: &str, from: Option<&str>, to: Option<&str>) -> Value {
    let at = "2026-05-01T06:00:00Z";
    json!({
        "kind": "passage", "direction": direction, "epc": "3034257bf7194e4000001a85", "portal": "dock 1",
        "from": from, "to": to, "evidence": { "started_at": at, "ended_at": at, "antennas": [] },
    })
}

#[test]
fn passages_by_their_direction() {
    for (direction, from, to, step) in [
        ("in", None, Some("crib"), "arriving"),
        ("out", Some("crib"), None, "departing"),
        ("out", Some("crib"), Some("yard"), "entering_exiting"),
        ("in", Some("yard"), Some("crib"), "entering_exiting"),
    ] {
        let event = translate("passage", "asset:T1", passage(direction, from, to)).unwrap();
        assert_valid(&event);
        assert_eq!(event["bizStep"], step);
        assert_eq!(event["epcList"], json!(["urn:epc:id:sgtin:0614141.812345.6789"]));
        assert_eq!(event["readPoint"]["id"], "https://id.example.com/loc/dock%201");
        let zone = to.map(|zone| json!({ "id": format!("https://id.example.com/loc/{zone}") }));
        assert_eq!(event.get("bizLocation"), zone.as_ref());
        assert_eq!(event["eventTime"], "2026-05-01T06:00:00.123Z");
        assert_eq!(event["eventTimeZoneOffset"], "+02:00");
    }
}

#[test]
fn of_whoever_carries_a_badge_partners_read_nothing() {
    let body = || passage("out", Some("hall"), None);
    assert!(translate("passage", "asset:FL-07", body()).is_some());
    assert!(translate("passage", "person:P-7", body()).is_none());
}

#[test]
fn presence_counts_and_conditions() {
    let presence = |change: &str, epc: &str| json!({ "kind": "presence", "change": change, "epc": epc, "read_point": "CRIB", "zone": "crib" });
    let event = translate("presence", "tag:0102", presence("arrived", "0102")).unwrap();
    assert_valid(&event);
    assert_eq!((&event["bizStep"], &event["epcList"]), (&json!("storing"), &json!(["urn:epc:raw:16.x0102"])));
    assert_eq!(translate("presence", "tag:0102", presence("departed", "0102")), None);

    let counted = |standing: &str| json!({ "kind": "counted", "audit": "A", "standing": standing, "zone": "crib", "how": "by hand" });
    let event = translate("counted", "asset:T 1", counted("found")).unwrap();
    assert_valid(&event);
    assert_eq!(event["bizStep"], "cycle_counting");
    assert_eq!(event["epcList"], json!(["https://id.example.com/obj/T%201"]));
    assert_eq!(translate("counted", "asset:T1", counted("missing")), None);

    let began = json!({ "began": { "began_at": "2026-05-01T05:59:00Z", "value": 9.0, "threshold": 8.0 } });
    let mut body = json!({ "kind": "condition", "device": "cold-1", "point": "temp", "limit": "hi" });
    body.as_object_mut().unwrap().extend(began.as_object().unwrap().clone());
    let mut exposed = body.clone();
    let event = translate("condition", "device:cold-1", body).unwrap();
    assert_valid(&event);
    assert_eq!(event["bizStep"], "sensor_reporting");
    let report = json!([{
        "type": "Temperature", "exception": "ALARM_CONDITION", "value": 9.0, "uom": "CEL",
    }]);
    assert_eq!(event["sensorElementList"][0]["sensorReport"], report);
    assert_eq!(event["epcList"], json!([]));
    exposed["exposed"] = json!(["P 1", "P2"]);
    let event = translate("condition", "device:cold-1", exposed).unwrap();
    assert_valid(&event);
    assert_eq!(
        event["epcList"],
        json!(["https://id.example.com/obj/P%201", "https://id.example.com/obj/P2"])
    );
    assert_eq!(translate("gap", "node", json!({ "kind": "link", "up": true, "reason": "" })), None);
}

/// The id is the one that the standard's reference implementation gives (epcis-event-hash-generator 1.9.4).
#[test]
fn what_is_loaded_is_aggregated_with_its_vehicle() {
    let body = |kind: &str| json!({ "kind": kind, "vehicle": "TR-07", "how": "passed dock 1 out" });
    let event = translate("loaded", "asset:T 1", body("loaded")).unwrap();
    assert_eq!((&event["type"], &event["action"]), (&json!("AggregationEvent"), &json!("ADD")));
    assert_eq!(event["bizStep"], "loading");
    assert_eq!(event["parentID"], "https://id.example.com/obj/TR-07");
    assert_eq!(event["childEPCs"], json!(["https://id.example.com/obj/T%201"]));
    assert_eq!(
        event["eventID"],
        "ni:///sha-256;ef6bc3ce64d46eb9f66057f2a0b41333da69abd718a36ec3978070cd8cd91eac?ver=CBV2.0"
    );
    let event = translate("unloaded", "asset:T1", body("unloaded")).unwrap();
    assert_eq!((&event["action"], &event["bizStep"]), (&json!("DELETE"), &json!("unloading")));
}

#[test]
fn the_same_event_has_the_same_id_whenever_it_is_exported() {
    let event = |base: &str, recorded: &str| {
        let mut event = stored("passage", "asset:T1", passage("in", None, Some("crib")));
        event.recorded_at = Timestamp::parse(recorded).unwrap();
        Translator::new(&rules(), base).translate(&event).unwrap()["eventID"].clone()
    };
    let first = event("https://a.example", "2026-05-01T06:00:00Z");
    assert_eq!(first, event("https://a.example/", "2026-06-01T06:00:00Z"));
    assert_ne!(first, event("https://b.example", "2026-05-01T06:00:00Z"));
}
