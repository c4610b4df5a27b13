//! What is no message, or none of a tracker: set aside with its reason, and of no consequence to others.

use super::*;

fn reason(broker: &mut Broker, kind: &str, payload: &[u8]) -> String {
    broker.says(kind, payload).join(" ")
}

#[test]
fn each_fault_has_its_reason() {
    let long_name = "x".repeat(300);
    let whole = payload(2, 10, &[told(1, 10, 50.1), told(2, 10, 8.1)]);
    let text = metric(10, &[number(2, 1), bytes(15, b"50.1")]);
    let template = metric(10, &[number(2, 1), number(4, 19), bytes(18, &[])]);
    let data_set = metric(10, &[number(2, 1), number(4, 16), bytes(17, &[])]);
    let mistyped = metric(10, &[number(2, 1), number(4, 11), double(1.0)]);
    let late = metric(0, &[number(2, 1), number(3, u64::MAX), double(1.0)]);
    let compressed = [payload(2, 10, &[]), bytes(4, b"SPBV1.0_COMPRESSED"), bytes(5, &[1])].concat();
    for (payload, expected) in [
        (Vec::new(), "empty"),
        (whole[..whole.len() - 1].to_vec(), "truncated"),
        (whole[..20].to_vec(), "truncated"),
        (vec![0x12, 0xff, 0xff, 0xff, 0xff, 0x0f], "truncated"),
        (vec![0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], "truncated"),
        (vec![0xff; 12], "protobuf"),
        (vec![0x00, 0x01], "protobuf"),
        (vec![0x0b], "protobuf"),
        (bytes(1, b"time"), "protobuf"),
        (number(2, 7), "protobuf"),
        (bytes(2, &bytes(13, b"12345678")), "protobuf"),
        (bytes(2, &bytes(1, b"\xff\xfe")), "utf-8"),
        (number(3, 2), "missing"),
        (number(1, u64::MAX), "time"),
        (payload(2, 10, &[told(1, 10, 91.0)]), "range"),
        (payload(2, 10, &[told(1, 10, f64::NAN)]), "range"),
        (payload(2, 10, &[told(2, 10, 1e308)]), "range"),
        (payload(2, 10, &[told(7, 10, 50.0)]), "unknown-alias"),
        (payload(2, 10, &[metric(10, &[double(50.0)])]), "unknown-alias"),
        (payload(2, 10, &[text]), "type"),
        (payload(2, 10, &[template]), "type"),
        (payload(2, 10, &[data_set]), "type"),
        (payload(2, 10, &[mistyped]), "type"),
        (payload(2, 10, &[late]), "time"),
        (compressed, "compressed"),
    ] {
        let mut broker = Broker::born();
        assert_eq!(reason(&mut broker, "DDATA", &payload), expected, "{}", hex::encode(&payload));
        // Nobody else is concerned, and with its next whole message it is itself again.
        let next = self::payload(3, 20, &[told(1, 20, 50.2), told(2, 20, 8.2)]);
        assert_eq!(reason(&mut broker, "DDATA", &next), "20 50.2 8.2", "{}", hex::encode(&payload));
    }
    let mut broker = Broker::new();
    for (topic, expected) in [
        ("spBv1.0/fleet/NDATA", "topic"),
        ("spBv1.0/fleet/NDATA/truck/gps", "topic"),
        ("spBv1.0/fleet/DDATA/truck", "topic"),
        ("spBv1.0/fleet/DDATA/truck/gps/more", "topic"),
        ("spBv1.0/fleet/HELLO/truck", "topic"),
        ("spBv1.0//NDATA/truck", "topic"),
        ("spBv1.0/fleet/NDATA/", "topic"),
        ("spBv1.0/fleet/NDATA/tr#ck", "topic"),
        ("spAv1.0/fleet/NDATA/truck", "topic"),
        ("spBv1.0/STATE/", "topic"),
        ("spBv1.0/fleet/NDATA/tr\u{1}ck", "device"),
        (&format!("spBv1.0/fleet/NDATA/{long_name}"), "device"),
        ("spBv1.0/fleet/NDATA/stranger", "no-birth"),
        ("spBv1.0/fleet/DBIRTH/stranger/gps", "no-birth"),
        ("spBv1.0/fleet/DDEATH/stranger/gps", "no-birth"),
    ] {
        assert_eq!(broker.send_to(topic, &whole, false).unwrap_err().reason, expected, "{topic}");
    }
}

#[test]
fn a_birth_that_is_none_leaves_no_aliases_behind() {
    let twice = [named("lat", 1, 10, 50.0), named("lon", 1, 10, 8.0)];
    let nameless = [named("lat", 1, 10, 50.0), told(2, 10, 8.0)];
    for (birth, expected) in [
        (payload(2, 10, &twice), "alias"),
        (payload(2, 10, &nameless), "metric"),
        (vec![0x12, 0x7f], "truncated"),
    ] {
        let mut broker = Broker::born();
        assert_eq!(reason(&mut broker, "DBIRTH", &birth), expected);
        assert_eq!(reason(&mut broker, "DDATA", &payload(3, 20, &[told(1, 20, 50.2)])), "no-birth");
        let mut broker = Broker::born();
        assert_eq!(reason(&mut broker, "NBIRTH", &birth), expected);
        assert_eq!(reason(&mut broker, "DDATA", &payload(3, 20, &[told(1, 20, 50.2)])), "no-birth");
        assert_eq!(broker.nodes.count(), 0);
    }
}

#[test]
fn one_coordinate_makes_no_tracker() {
    let mut broker = Broker::new();
    assert_eq!(
        reason(&mut broker, "NBIRTH", &payload(0, 0, &[named("lon", 1, 0, 8.0)])),
        "nbirth Nothing missing"
    );
    assert_eq!(reason(&mut broker, "NDATA", &payload(1, 10, &[told(1, 10, 8.1)])), "ndata Nothing");
}

#[test]
fn what_is_wrong_with_one_part_costs_no_other() {
    let mut broker = Broker::born();
    let speed = metric(10, &[number(2, 3), bytes(15, b"fast")]);
    let parts = [told(1, 10, 50.1), told(2, 10, 8.1), speed, told(77, 10, 1.0)];
    assert_eq!(reason(&mut broker, "DDATA", &payload(2, 10, &parts)), "10 50.1 8.1 type unknown-alias");
    let held = [past(1, 11, 91.0), past(2, 11, 8.1), past(1, 12, 50.2), past(2, 12, 8.2)];
    assert_eq!(reason(&mut broker, "DDATA", &payload(3, 20, &held)), "12 50.2 8.2 range");
}

#[test]
fn metrics_are_bounded() {
    let many = payload(2, 10, &vec![Vec::new(); MOST_METRICS + 1]);
    assert_eq!(reason(&mut Broker::born(), "DDATA", &many), "too-many");
}

#[test]
fn edge_nodes_and_devices_are_bounded_and_the_dead_give_way() {
    let mut broker = Broker::new();
    let intake = IntakeConfig { max_trackers: 3, ..IntakeConfig::default() };
    broker.nodes = Nodes::new(&intake);
    let birth = |id: u64| payload(0, 0, &[bd_seq(id)]);
    for node in ["a", "b", "c"] {
        broker.send_to(&format!("spBv1.0/g/NBIRTH/{node}"), &birth(1), false).unwrap();
    }
    let refused = |broker: &mut Broker, topic: &str| {
        broker.send_to(topic, &birth(1), false).err().map(|error| error.reason)
    };
    assert_eq!(refused(&mut broker, "spBv1.0/g/NBIRTH/d"), Some("too-many-trackers"));
    assert_eq!(refused(&mut broker, "spBv1.0/g/DBIRTH/a/x"), Some("too-many-trackers"));
    // Whoever is there already may be born again.
    assert_eq!(refused(&mut broker, "spBv1.0/g/NBIRTH/b"), None);
    broker.send_to("spBv1.0/g/NDEATH/c", &bytes(2, &bd_seq(1)), false).unwrap();
    assert_eq!(refused(&mut broker, "spBv1.0/g/DBIRTH/a/x"), None);
    assert_eq!(broker.nodes.count(), 3);
    broker.received += 8 * 86_400;
    assert_eq!(refused(&mut broker, "spBv1.0/g/NBIRTH/e"), None);
    assert_eq!(broker.nodes.count(), 1);
}

#[test]
fn coordinates_that_look_like_whole_numbers_say_how_to_read_them() {
    let faults = Broker::born().send("DDATA", &payload(2, 10, &[told(1, 10, 525_163_000.0)])).unwrap_err();
    assert!(
        faults.reason == "range" && faults.message.contains("`coordinate_unit = \"1e-7 deg\"`"),
        "{faults:?}"
    );
}

#[test]
fn a_birth_with_coordinates_that_nobody_mapped_says_what_they_are_called() {
    let mut broker = Broker::new();
    broker.send("NBIRTH", &payload(0, 0, &[bd_seq(7)])).unwrap();
    let mut born = |first: &str, second: &str| {
        let birth = payload(1, 0, &[named(first, 1, 0, 50.0), named(second, 2, 0, 8.0)]);
        broker.send("DBIRTH", &birth).unwrap().faults
    };
    for (lat, lon) in [
        ("Vehicle/GpsLatitude", "Vehicle/GpsLongitude"),
        ("gps_lat", "gps_lng"),
        ("LAT 1", "LON 1"),
        ("LatitudeDeg", "LongitudeDeg"),
    ] {
        let faults = born(lat, lon);
        let asked = format!("`latitude = {lat:?}` and `longitude = {lon:?}`");
        assert!(faults[0].reason == "missing" && faults[0].message.contains(&asked), "{faults:?}");
    }
    let long = "x".repeat(100);
    for (first, second) in
        [("Flat", "Colon"), ("Latitude", "Speed"), (&*format!("{long} lat"), &format!("{long} lon"))]
    {
        assert!(born(first, second).is_empty(), "{first} {second}");
    }
}
