use serde_json::{Value, json};

use super::*;

fn objects(protocol: Protocol, bytes: &[u8]) -> Vec<Value> {
    objects_of(&args(protocol), bytes)
}

fn args(protocol: Protocol) -> DecodeArgs {
    let (file, company_prefixes) = (PathBuf::new(), Vec::new());
    let (preset, mapping, topic) = (None, None, None);
    DecodeArgs {
        protocol,
        file,
        company_prefixes,
        filter: 0,
        pattern: None,
        preset,
        mapping,
        topic,
        metrics: None,
        not_before: None,
    }
}

fn objects_of(args: &DecodeArgs, bytes: &[u8]) -> Vec<Value> {
    let mut lines = Lines(Vec::new());
    decode(args, bytes, &mut lines).unwrap();
    let text = String::from_utf8(lines.0).unwrap();
    text.lines().map(|line| serde_json::from_str(line).expect("a line is one object")).collect()
}

fn hex(text: &str) -> Vec<u8> {
    ::hex::decode(text.replace(' ', "")).unwrap()
}

const KEEPALIVE: &str = "043e 0000000a 00000007";
/// One tag report: code, antenna, RSSI, first seen.
const REPORT: &str =
    "043d 00000029 00000008 00f0001f 8d3000abcdef00000000000003 810001 86d0 820005a9e4bef862e0";

fn capture(parts: &[&str]) -> Vec<u8> {
    parts.iter().flat_map(|part| hex(part)).collect()
}

#[test]
fn a_message_is_an_object_with_every_field_by_its_name() {
    let objects = objects(Protocol::Llrp, &capture(&[KEEPALIVE, REPORT]));
    assert_eq!(objects[0], json!({"message": "KEEPALIVE", "type": 62, "version": 1, "id": 7}));
    let time = "2020-07-08T02:20:05.140192Z";
    let report = json!({
        "message": "RO_ACCESS_REPORT", "type": 61, "version": 1, "id": 8,
        "TagReportData": [{
            "epc": "3000abcdef00000000000003",
            "time": time,
            "EPC_96": {"EPC": "3000abcdef00000000000003"},
            "AntennaID": 1,
            "PeakRSSI": -48,
            "FirstSeenTimestampUTC": {"Microseconds": 1_594_174_805_140_192_u64, "time": time},
        }],
    });
    assert_eq!(objects[1], report);
    assert_eq!(objects.len(), 2);
}

#[test]
fn fields_keep_the_order_of_the_wire() {
    let mut lines = Lines(Vec::new());
    decode(&args(Protocol::Llrp), &hex(REPORT), &mut lines).unwrap();
    let text = String::from_utf8(lines.0).unwrap();
    let places: Vec<_> = ["message", "EPC_96", "AntennaID", "PeakRSSI", "FirstSeen"]
        .map(|name| text.find(name).unwrap())
        .into();
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn garbage_between_messages_costs_nothing_else() {
    let objects = objects(Protocol::Llrp, &capture(&["deadbeef00", KEEPALIVE, "ffff", REPORT, "0400"]));
    let names: Vec<_> = objects.iter().map(|object| object["message"].as_str()).collect();
    assert_eq!(names, [None, Some("KEEPALIVE"), None, Some("RO_ACCESS_REPORT"), None]);
    let places: Vec<_> = [0, 2, 4].map(|at| (&objects[at]["offset"], &objects[at]["skipped"])).into();
    assert_eq!(places, [(&json!(0), &json!(5)), (&json!(15), &json!(2)), (&json!(58), &json!(2))]);
    assert!([0, 2, 4].iter().all(|at| objects[*at]["error"].is_string()), "{objects:?}");
}

#[test]
fn a_message_with_a_fault_inside_is_skipped_by_its_length() {
    let broken = REPORT.replace("86d0", "d0d0");
    let objects = objects(Protocol::Llrp, &capture(&[&broken, KEEPALIVE]));
    assert_eq!(objects[0]["reason"], "unknown-tv");
    assert_eq!(objects[0]["offset"], 30);
    assert_eq!(objects[0]["message"], "RO_ACCESS_REPORT");
    assert_eq!(objects[0]["skipped"], 41);
    assert_eq!(objects[1]["message"], "KEEPALIVE");
}

#[test]
fn a_length_that_lies_does_not_take_the_next_message_with_it() {
    let cut = &hex(REPORT)[..30];
    let long = REPORT.replace("00000029", "000000ff");
    let objects = objects(Protocol::Llrp, &[cut, &capture(&[KEEPALIVE, &long, KEEPALIVE])].concat());
    let messages: Vec<_> = objects.iter().filter(|object| object["error"].is_null()).collect();
    assert_eq!(messages.len(), 2, "{objects:?}");
    assert!(messages.iter().all(|message| message["message"] == "KEEPALIVE"));
    assert_eq!(objects.len(), 4);
}

#[test]
fn messages_and_parameters_that_nobody_knows_are_shown_as_bytes() {
    let unknown = "0484 0000000c 00000001 beef";
    let parameter = "043d 00000012 00000002 03e7 0008 01020304";
    let objects = objects(Protocol::Llrp, &capture(&[unknown, parameter]));
    assert_eq!(objects[0]["message"], "UNKNOWN");
    assert_eq!((&objects[0]["type"], &objects[0]["Data"]), (&json!(132), &json!("beef")));
    assert_eq!(objects[1]["Unknown"], json!([{"type": 999, "Data": "01020304"}]));
}

#[test]
fn codes_are_named_or_said_to_be_nothing() {
    let objects = objects(Protocol::Epc, b"3074257BF7194E4000001A85\r\n\n  e2003412\nxyz\n");
    let named = json!({
        "epc": "3074257bf7194e4000001a85", "scheme": "sgtin-96",
        "uri": "urn:epc:id:sgtin:0614141.812345.6789",
        "tag_uri": "urn:epc:tag:sgtin-96:3.0614141.812345.6789",
        "digital_link": "https://id.gs1.org/01/80614141123458/21/6789",
        "element_string": "(01)80614141123458(21)6789", "check_digit": "8",
        "filter": "3", "company_prefix": "0614141", "item_reference": "812345", "serial": "6789",
    });
    assert_eq!(objects[0], named);
    assert_eq!(
        (&objects[1]["epc"], &objects[1]["reason"], &objects[1]["offset"]),
        (&json!("e2003412"), &json!("unknown-header"), &json!(29))
    );
    assert_eq!((&objects[2]["reason"], &objects[2]["offset"]), (&json!("text"), &json!(38)));
    assert_eq!(objects.len(), 3);
}

#[test]
fn a_name_is_as_good_as_a_code() {
    let names = b"urn:epc:tag:sgtin-96:3.0614141.812345.6789
urn:epc:id:sgtin:0614141.812345.6789
https://example.com/shop/01/80614141123458/21/6789
(01)80614141123458(21)6789
(01)80614141123457(21)6789
urn:epc:raw:96.x3074257BF7194E4000001A85\n";
    let args = DecodeArgs { company_prefixes: vec!["0614141".into()], filter: 3, ..args(Protocol::Epc) };
    let with_prefix = objects_of(&args, names);
    for nth in [0, 1, 2, 3, 5] {
        assert_eq!(with_prefix[nth]["epc"], "3074257bf7194e4000001a85", "{nth}");
    }
    assert_eq!((&with_prefix[4]["reason"], &with_prefix[4]["offset"]), (&json!("check-digit"), &json!(158)));
    assert!(with_prefix[4]["error"].as_str().unwrap().ends_with("is 8"), "{}", with_prefix[4]);
    // Without the prefix it is the code that needs none.
    let without = objects(Protocol::Epc, names);
    assert_eq!(without[2]["scheme"], "sgtin+");
    assert_eq!(without[2]["digital_link"], with_prefix[2]["digital_link"]);
    assert_eq!(without[2]["gtin"], "80614141123458");
    assert!(without[2]["tag_uri"].is_null());
}

#[test]
fn payloads_of_trackers_with_and_without_a_topic() {
    let location = r#"{"_type":"location","lat":52.5,"lon":13.4,"tst":1700000000,"acc":5,"vel":36}"#;
    let text = format!(
        "owntracks/ann/phone {location}\n{location}\nowntracks/bob/van\t{{\"_type\":\"lwt\",\"tst\":1}}\n  nonsense\n"
    );
    let objects = objects(Protocol::OwnTracks, text.as_bytes());
    let fix = json!({
        "type": "location", "device": "ann/phone", "time": "2023-11-14T22:13:20Z",
        "lat": 52.5, "lon": 13.4, "accuracy_m": 5.0, "speed_mps": 10.0,
    });
    assert_eq!(objects[0], fix);
    assert_eq!(objects[1]["device"], "unknown/unknown");
    assert_eq!(objects[2], json!({"type": "lwt", "device": "bob/van"}));
    assert!(objects[3]["error"].is_string() && objects[3]["offset"].is_u64());
    assert_eq!(objects.len(), 4);
}

/// Names of people and groups have blanks, and files that Windows wrote begin with a byte order mark.
#[test]
fn topics_with_blanks_are_told_from_their_payloads() {
    let location = r#"{"_type":"location","lat":52.5,"lon":13.4,"tst":1700000000,"m":[1, 2]}"#;
    let text = format!("\u{feff}owntracks/jane doe/my phone {location}\n");
    let found = objects(Protocol::OwnTracks, text.as_bytes());
    assert_eq!(found[0]["device"], "jane doe/my phone");
    let sparkplug = "spBv1.0/My Group/NBIRTH/Edge Node 1 0880a0d6c0b533\n";
    let found = objects(Protocol::SparkplugB, sparkplug.as_bytes());
    assert_eq!(
        (&found[0]["topic"], &found[0]["type"]),
        (&json!("spBv1.0/My Group/NBIRTH/Edge Node 1"), &json!("payload"))
    );
}

#[test]
fn json_goes_on_to_the_line_in_which_it_ends() {
    let by_preset = DecodeArgs { preset: Some(preset("traccar").unwrap()), ..args(Protocol::Json) };
    let payload = |nth: u32| {
        let time = "2026-05-01T06:00:00Z";
        json!({"device": {"uniqueId": nth.to_string()},
            "position": {"latitude": 52.5, "longitude": 13.4, "fixTime": time, "valid": true}})
    };
    let indented = |nth| serde_json::to_string_pretty(&payload(nth)).unwrap();
    let cut = &indented(3)[..indented(3).len() - 2];
    for line_end in ["\n", "\r\n"] {
        let lines = [
            indented(1),
            format!("fleet/two trucks {}", indented(2)),
            payload(7).to_string(),
            // Neither what is cut nor what is none takes what follows with it.
            r#"{"device": {"uniqueId": "8"},"#.to_owned(),
            payload(4).to_string(),
            "[\n".to_owned(),
            payload(5).to_string(),
            format!("{} {{", indented(9)),
            payload(6).to_string(),
            cut.to_owned(),
        ];
        let text = lines.join("\n").replace('\n', line_end);
        let found = objects_of(&by_preset, text.as_bytes());
        let devices: Vec<_> = found.iter().filter_map(|object| object["device"].as_str()).collect();
        assert_eq!(devices, ["1", "2", "7", "4", "5", "6"], "{found:#?}");
        let faults: Vec<_> = found.iter().filter_map(|object| object["offset"].as_u64()).collect();
        assert!(faults.is_sorted());
        let eighth = text.find(r#"{"device": {"uniqueId": "8"},"#).unwrap() as u64;
        assert!((eighth..eighth + 40).contains(&faults[0]), "{faults:?} of {eighth}");
    }
    let location = json!({"_type": "location", "lat": 52.5, "lon": 13.4, "tst": 1_700_000_000});
    let text = format!("owntracks/ann/phone {location:#}\n{location:#}");
    let found = objects(Protocol::OwnTracks, text.as_bytes());
    let devices: Vec<_> = found.iter().map(|object| &object["device"]).collect();
    assert_eq!(devices, ["ann/phone", "unknown/unknown"]);
}

#[test]
fn json_of_trackers_by_a_preset_or_a_mapping_of_its_own() {
    let payload =
        r#"{"van":[{"ts":1700000000000,"values":{"latitude":52.5,"longitude":13.4}},{"ts":"now"}]}"#;
    let text = format!("{payload}\nnonsense\n  []");
    let by_preset = DecodeArgs { preset: Some(preset("thingsboard").unwrap()), ..args(Protocol::Json) };
    let found = objects_of(&by_preset, text.as_bytes());
    let fix =
        json!({"type": "fix", "device": "van", "time": "2023-11-14T22:13:20Z", "lat": 52.5, "lon": 13.4});
    assert_eq!(found[0], fix);
    assert_eq!((&found[1]["reason"], &found[1]["offset"]), (&json!("type"), &json!(0)));
    assert_eq!((&found[2]["reason"], &found[2]["offset"]), (&json!("json"), &json!(payload.len() + 2)));
    assert_eq!(found[3]["reason"], "missing");
    assert_eq!(found.len(), 4);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mapping.toml");
    let text =
        "latitude = \"la\"\nlongitude = \"lo\"\ntime = \"t\"\ntime_format = \"unix\"\nignition = \"i\"\n";
    std::fs::write(&file, text).unwrap();
    let mapping = mapping_file(file.to_str().unwrap()).unwrap();
    let topic = topic("fleet/{device}/position").unwrap();
    let by_file = DecodeArgs { mapping: Some(mapping), topic: Some(topic), ..args(Protocol::Json) };
    let line = r#"fleet/truck-7/position {"la":1,"lo":2,"t":1,"i":true}"#;
    let found = objects_of(&by_file, format!("{line}\nelsewhere {{}}").as_bytes());
    assert_eq!((&found[0]["device"], &found[0]["ignition"]), (&json!("truck-7"), &json!(true)));
    assert_eq!(found[1]["reason"], "no-topic");
    std::fs::write(&file, "latitude = 7\n").unwrap();
    assert!(mapping_file(file.to_str().unwrap()).unwrap_err().contains("latitude: 7: wrong type"));
    assert!(preset("nobody").unwrap_err().contains("traccar"));
}

#[test]
fn serial_frames_are_objects_and_what_is_between_them_has_its_place() {
    let tag = "AA02220011C9340030751FEB705C5904E3D50D703A76EFDD";
    let found = objects(Protocol::R200, &capture(&["0102", tag, "AA02220011C9", "AA0127000100", "29DD"]));
    assert_eq!(
        found[1],
        json!({"type": "tag", "epc": "30751feb705c5904e3d50d70", "antenna": 1, "rssi_dbm": -55.0,
            "pc": "3400", "crc": "3a76"})
    );
    assert_eq!(
        found[0],
        json!({"error": "2 bytes that are no frame", "reason": "garbage", "offset": 0, "bytes": "0102"})
    );
    assert_eq!((&found[2]["offset"], &found[2]["bytes"]), (&json!(26), &json!("aa02220011c9")));
    assert_eq!(found[3], json!({"type": "answer"}));
    assert_eq!(found.len(), 4);
    let found = objects(Protocol::Line, b"E28011606000020000000001,2,-50\nhello\n");
    assert_eq!((&found[0]["epc"], &found[0]["antenna"]), (&json!("e28011606000020000000001"), &json!(2)));
    assert_eq!((&found[1]["reason"], &found[1]["offset"]), (&json!("no-match"), &json!(31)));
}

#[test]
fn sentences_are_fixes_and_what_is_none_keeps_its_text() {
    let text = b"# a remark\n$GPGGA,132820.60,4134.49821229,N,09345.03351845,W,2,09,1.0,278.020,M,-31.442,M,7.6,0133*7E\r\n\
$GPRMC,132820.60,A,4134.49821229,N,09345.03351845,W,3.252,92.308,180320,11.5985,E,D*1A\r\n\
$GPRMC,132820.70,A,4134.498\r\n$GPGGA,,,,,,0,,,,,,,,*66\r\n";
    let found = objects(Protocol::Nmea, text);
    assert_eq!((&found[0]["reason"], &found[0]["offset"]), (&json!("truncated"), &json!(218)));
    assert_eq!(found[0]["text"], "$GPRMC,132820.70,A,4134.498");
    let fix = json!({
        "type": "fix", "time": "2020-03-18T13:28:20.6Z", "lat": 41.0 + 34.498_212_29 / 60.0,
        "lon": -(93.0 + 45.033_518_45 / 60.0), "altitude_m": 278.02, "speed_mps": 3.252 * (1852.0 / 3600.0),
        "course_deg": 92.308, "hdop": 1.0, "satellites": 9, "quality": "differential",
    });
    assert_eq!(found[1], fix);
    assert_eq!(found[2], json!({"type": "no-fix"}));
    assert_eq!(found.len(), 3);
    let not_before = Timestamp::parse("2030-01-01T00:00:00Z");
    let later = objects_of(&DecodeArgs { not_before, ..args(Protocol::Nmea) }, text);
    assert_eq!(later[1]["time"], "2039-11-02T13:28:20.6Z");
    let without_date = objects(Protocol::Nmea, text.split_inclusive(|byte| *byte == b'\n').nth(1).unwrap());
    assert_eq!(
        (&without_date[0]["time_of_day"], &without_date[0]["time"]),
        (&json!("13:28:20.6"), &Value::Null)
    );
}

#[test]
fn packets_of_trackers_are_read_as_bytes_and_as_digits() {
    let login = "000F333536333037303432343431303133";
    let packet = "000000000000004A8E010000016B412CEE000100000000000000000000000000000000010005000100010100010011001D0001\
        0010015E2C880002000B000000003544C87A000E000000001DD7E06A00000100002994";
    let text = format!("{login}\n{packet}\nFF\n{}", packet.replace("2994", "2995"));
    let found = objects(Protocol::Teltonika, text.as_bytes());
    assert_eq!(found[0], json!({"type": "login", "imei": "356307042441013"}));
    let record = json!({
        "type": "no-fix", "imei": "356307042441013", "time": "2019-06-10T11:36:32Z", "lat": 0.0, "lon": 0.0,
        "altitude_m": 0.0, "course_deg": 0.0, "speed_mps": 0.0, "satellites": 0, "priority": 1, "event": 1,
        "odometer_m": 22_949_000,
        "io": [{"id": 1, "value": 1}, {"id": 17, "value": 29}, {"id": 16, "value": 22_949_000},
            {"id": 11, "value": 893_700_218}, {"id": 14, "value": 500_686_954}],
    });
    assert_eq!(found[1], record);
    assert_eq!(found[2], json!({"type": "ping"}));
    assert_eq!((&found[3]["reason"], &found[3]["offset"]), (&json!("crc"), &json!(17 + 86 + 1)));
    assert_eq!(found.len(), 4);
    assert_eq!(objects(Protocol::Teltonika, &hex(&text.replace('\n', ""))), found);
    // As `mosquitto_sub -F '%t %x'` writes them.
    let behind_topics = format!("gps/van 7/avl {login}\r\n2026-05-01T06:00:00Z gps/b {packet}\n");
    assert_eq!(objects(Protocol::Teltonika, behind_topics.as_bytes()), found[..2]);
    let in_pairs = packet
        .replace(' ', "")
        .as_bytes()
        .chunks(2)
        .fold(String::new(), |text, pair| text + std::str::from_utf8(pair).unwrap() + " ");
    assert_eq!(objects(Protocol::Teltonika, in_pairs.as_bytes()).len(), 1);
    let no_digits = objects(Protocol::Teltonika, format!("{login}\nhello\n").as_bytes());
    assert!(no_digits.iter().any(|object| object["reason"].is_string()), "{no_digits:?}");
    let odd = objects(Protocol::Teltonika, format!("{login}0").as_bytes());
    assert_eq!((&odd[1]["reason"], &odd[1]["offset"]), (&json!("hex"), &json!(17)));
}

#[test]
fn payloads_of_edge_nodes_are_shown_whole_and_what_of_trackers_is_in_them() {
    let peers = include_str!("../../../tests/sparkplug/peers.txt");
    let lines: Vec<&str> = peers.lines().collect();
    let found = objects(Protocol::SparkplugB, format!("{peers}spBv1.0/fleet/NDATA/truck-7 12f\n").as_bytes());
    let topic = "spBv1.0/fleet/NBIRTH/truck-7";
    let time = "2026-01-01T12:00:00Z";
    let metrics = json!([
        {"name": "bdSeq", "time": time, "datatype": "Int64", "value": 41},
        {"name": "Node Control/Rebirth", "time": time, "datatype": "Boolean", "value": false},
    ]);
    assert_eq!(
        found[0],
        json!({"type": "payload", "topic": topic, "time": time, "seq": 0, "metrics": metrics})
    );
    assert_eq!(found[1], json!({"type": "nbirth", "device": "fleet/truck-7", "time": time}));
    let metric = |nth: usize| &found[2]["metrics"][nth];
    assert_eq!(metric(3)["value"], -7);
    assert_eq!((&metric(7)["datatype"], &metric(7)["value"]), (&json!("Int16Array"), &json!("0100feff0300")));
    assert_eq!(metric(9)["null"], true);
    let fix = json!({
        "type": "location", "device": "fleet/truck-7/gps", "time": time, "lat": 52.5, "lon": 13.25, "altitude_m": 34.5,
    });
    assert_eq!(found[3], fix);
    let last = &found[found.len() - 1];
    assert_eq!((&last["reason"], &last["offset"]), (&json!("hex"), &json!(peers.len())));
    assert_eq!(found.iter().filter(|object| object["type"] == "location").count(), 7);
    // One payload, bytes as they came.
    let whole = hex(lines[2].split_once(' ').unwrap().1);
    let alone = objects(Protocol::SparkplugB, &whole);
    assert_eq!(
        (&alone[0]["metrics"][0]["alias"], &alone[0]["metrics"][0]["value"]),
        (&json!(1), &json!(52.501))
    );
    let cut = objects(Protocol::SparkplugB, &whole[..whole.len() - 1]);
    assert_eq!(
        (&cut[0]["reason"], &cut[0]["offset"], cut.len()),
        (&json!("truncated"), &json!(whole.len() - 1), 1)
    );
}
