//! BIRTHs, DATA, deaths, and what is missing or comes twice between them.

use super::*;

#[test]
fn a_part_is_completed_with_what_was_told_before() {
    let mut broker = Broker::born();
    assert_eq!(broker.says("DDATA", &payload(2, 10, &[told(1, 10, 50.1)])), ["10 50.1 8"]);
    assert_eq!(
        broker.says("DDATA", &payload(3, 20, &[told(2, 20, 8.1), told(3, 20, 72.0)])),
        ["20 50.1 8.1"]
    );
    assert_eq!(broker.says("DDATA", &payload(4, 30, &[told(3, 30, 0.0)])), ["ddata Lives"]);
    let out = broker.send("DDATA", &payload(5, 40, &[told(1, 40, 50.2)])).unwrap();
    assert_eq!((shown(&out), fix_of(&out).speed_mps), (vec!["40 50.2 8.1".to_owned()], Some(0.0)));
    assert_eq!(broker.says("DDATA", &payload(6, 50, &[told(9, 50, 900.0)])), ["ddata Lives"]);
}

#[test]
fn the_metric_s_time_counts_before_the_payload_s_and_the_tracker_s_own_before_both() {
    let mut broker = Broker::born();
    assert_eq!(
        broker.says("DDATA", &payload(2, 100, &[told(1, 10, 50.1), told(2, 12, 8.1)])),
        ["12 50.1 8.1"]
    );
    let timeless = [&number(2, 1)[..], &double(50.2)].concat();
    assert_eq!(broker.says("DDATA", &payload(3, 101, &[timeless])), ["101 50.2 8.1"]);
    let mut birth = vec![named("lat", 1, 200, 50.0), named("lon", 2, 200, 8.0)];
    birth.push(metric(200, &[bytes(1, b"utc"), number(2, 3), number(4, 13), number(11, millis(150))]));
    assert_eq!(broker.says("DBIRTH", &payload(4, 200, &birth)), ["150 50 8"]);
    // A time is of what it came with alone.
    assert_eq!(broker.says("DDATA", &payload(5, 210, &[told(1, 210, 50.1)])), ["210 50.1 8"]);
    let time = metric(220, &[number(2, 3), number(11, millis(215))]);
    assert_eq!(broker.says("DDATA", &payload(6, 220, &[told(1, 220, 50.2), time])), ["215 50.2 8"]);
}

#[test]
fn what_is_historical_is_a_fix_of_its_own_time_and_changes_nothing_else() {
    let mut broker = Broker::born();
    assert_eq!(
        broker.says("DDATA", &payload(2, 100, &[told(1, 100, 50.5), told(2, 100, 8.5)])),
        ["100 50.5 8.5"]
    );
    let held = [past(1, 10, 50.1), past(1, 20, 50.2), past(2, 10, 8.1), past(2, 20, 8.2), past(1, 30, 50.3)];
    assert_eq!(broker.says("DDATA", &payload(3, 101, &held)), ["10 50.1 8.1", "20 50.2 8.2", "30 50.3 8.2"]);
    assert_eq!(broker.says("DDATA", &payload(4, 110, &[told(2, 110, 8.6)])), ["110 50.5 8.6"]);
    // Between the historical ones and what is known since: the last before it counts.
    assert_eq!(broker.says("DDATA", &payload(5, 120, &[past(2, 40, 8.4)])), ["40 50.3 8.4"]);
}

#[test]
fn what_is_told_of_the_past_is_not_completed_with_what_was_told_later() {
    let mut broker = Broker::new();
    broker.send("NBIRTH", &payload(0, 100, &[bd_seq(7)])).unwrap();
    let born = [named("lat", 1, 100, 50.0), named("lon", 2, 100, 8.0)];
    assert_eq!(broker.says("DBIRTH", &payload(1, 100, &born)), ["100 50 8"]);
    assert_eq!(broker.says("DDATA", &payload(2, 101, &[past(1, 50, 49.0)])), ["incomplete"]);
}

#[test]
fn a_tracker_that_knows_no_position_says_so() {
    let mut broker = Broker::born();
    let null = |alias| metric(10, &[number(2, alias), number(7, 1)]);
    assert_eq!(broker.says("DDATA", &payload(2, 10, &[null(1), null(2)])), ["ddata NoFix"]);
    assert_eq!(broker.says("DDATA", &payload(3, 20, &[told(1, 20, 50.2)])), ["ddata NoFix"]);
    assert_eq!(broker.says("DDATA", &payload(4, 30, &[told(2, 30, 8.2)])), ["30 50.2 8.2"]);
    let mut birth = vec![named("lat", 1, 40, 50.0), named("lon", 2, 40, 8.0)];
    birth.push(metric(40, &[bytes(1, b"fix"), number(2, 3), number(4, 5), number(10, 0)]));
    assert_eq!(broker.says("DBIRTH", &payload(5, 40, &birth)), ["dbirth NoFix"]);
    let satellites = metric(50, &[number(2, 3), number(10, 7)]);
    assert_eq!(broker.says("DDATA", &payload(6, 50, &[satellites, told(1, 50, 50.1)])), ["50 50.1 8"]);
}

/// A gateway that has lost its receiver says the last position over again.
#[test]
fn a_value_that_is_said_not_to_hold_is_none() {
    let mut broker = Broker::born();
    let of = |quality: &[u8], alias, second, value| {
        let properties =
            [bytes(1, b"Quality"), bytes(2, &[number(1, 3), quality.to_vec()].concat())].concat();
        metric(second, &[number(2, alias), bytes(9, &properties), double(value)])
    };
    let (good, bad, stale) = (number(3, 192), number(3, 0), number(3, 500));
    let mut says = |seq: u64, quality: &[u8]| {
        let second = seq as i64 * 10;
        let both = [of(quality, 1, second, 50.5), of(quality, 2, second, 8.5)];
        broker.says("DDATA", &payload(seq, second, &both))
    };
    assert_eq!(says(2, &good), ["20 50.5 8.5"]);
    assert_eq!(says(3, &stale), ["ddata NoFix"]);
    assert_eq!(says(4, &bad), ["ddata NoFix"]);
    assert_eq!(says(5, &[]), ["50 50.5 8.5"], "a quality without a value says nothing");
    let other =
        [bytes(1, b"unit"), bytes(1, b"Quality"), bytes(2, &bytes(8, b"deg")), bytes(2, &bad)].concat();
    let beside = metric(60, &[number(2, 1), bytes(9, &other), double(50.1)]);
    assert_eq!(broker.says("DDATA", &payload(6, 60, &[beside])), ["ddata NoFix"]);
}

/// Nothing is dated by the node's clock where the tracker has one of its own.
#[test]
fn a_position_whose_own_time_is_not_understood_is_none() {
    let mut broker = Broker::born();
    let mut birth = vec![named("lat", 1, 0, 50.0), named("lon", 2, 0, 8.0)];
    birth.push(metric(
        0,
        &[bytes(1, b"utc"), number(2, 3), number(4, 12), bytes(15, b"2026-01-01T12:00:00Z")],
    ));
    assert_eq!(broker.says("DBIRTH", &payload(2, 0, &birth)), ["0 50 8"]);
    let local = metric(10, &[number(2, 3), bytes(15, b"2026-01-01 13:00:09")]);
    let wrong =
        broker.send("DDATA", &payload(3, 10, &[told(1, 10, 50.1), told(2, 10, 8.1), local])).unwrap_err();
    assert_eq!(wrong.message, "the time (`utc`) is text, not one such as 2026-05-01T06:00:00Z");
    // Where it is all the same is known.
    assert_eq!(broker.says("DDATA", &payload(4, 20, &[told(1, 20, 50.2)])), ["20 50.2 8.1"]);
}

#[test]
fn seconds_are_not_taken_for_milliseconds() {
    let mut broker = Broker::born();
    let mut birth = vec![named("lat", 1, 0, 50.0), named("lon", 2, 0, 8.0)];
    birth.push(metric(0, &[bytes(1, b"utc"), number(2, 3), number(4, 7), number(10, NOON as u64)]));
    let born = broker.send("DBIRTH", &payload(2, 0, &birth)).unwrap_err();
    assert_eq!(
        born.message,
        "the time (`utc`) is a number that it cannot be; it looks like seconds: `time_format = \"unix\"`"
    );
    let seconds = [number(3, NOON as u64), number(2, 1), double(50.1)].concat();
    let wrong = broker.send("DDATA", &payload(3, 10, &[seconds])).unwrap_err();
    assert_eq!(wrong.message, format!("{NOON} is no time in milliseconds; it looks like seconds"));
    let of_payload = [number(1, NOON as u64), bytes(2, &told(1, 10, 50.1)), number(3, 4)].concat();
    assert_eq!(broker.says("DDATA", &of_payload), ["time"]);
}

/// By exception: where it stands still it tells its battery alone.
#[test]
fn what_a_parked_tracker_says_of_itself_is_told_without_a_fix() {
    let mut broker = Broker::born();
    let metrics = [
        named("lat", 1, 0, 50.0),
        named("lon", 2, 0, 8.0),
        named("bat", 4, 0, 80.0),
        named("ign", 5, 0, 1.0),
    ];
    let birth = payload(2, 0, &metrics);
    assert!(matches!(broker.send("DBIRTH", &birth).unwrap().readings[..], [Reading::Fix(_)]));
    let mut vitals = |seq, metrics: &[Vec<u8>]| match &broker
        .send("DDATA", &payload(seq, 9, metrics))
        .unwrap()
        .readings[..]
    {
        [Reading::Note(note)] => (note.vitals.battery_percent, note.vitals.ignition),
        other => panic!("{other:?}"),
    };
    assert_eq!(vitals(3, &[told(4, 5, 12.0)]), (Some(12.0), None));
    assert_eq!(vitals(4, &[told(5, 6, 0.0)]), (None, Some(false)));
    assert_eq!(vitals(5, &[past(4, 1, 90.0)]), (None, None), "what was is not what is");
}

/// A node that reads metric by metric tells the two of one place at two times.
#[test]
fn coordinates_taken_one_behind_the_other_are_one_place() {
    let mut broker = Broker::born();
    let told = |alias: u64, ms: u64, value: f64| {
        [number(3, millis(10) + ms), number(2, alias), double(value)].concat()
    };
    let two = [told(1, 0, 52.60), told(2, 2, 13.30), told(1, 1000, 52.61), told(2, 1002, 13.31)];
    assert_eq!(broker.says("DDATA", &payload(2, 11, &two)), ["10 52.6 13.3", "11 52.61 13.31"]);
    // What lies further apart was told for itself.
    let apart = [told(1, 2000, 52.7), told(2, 2500, 13.4), told(1, 3000, 52.8)];
    assert_eq!(
        broker.says("DDATA", &payload(3, 14, &apart)),
        ["12 52.7 13.31", "12 52.7 13.4", "13 52.8 13.4"]
    );
}

#[test]
fn a_gap_costs_what_cannot_be_completed_and_nothing_else() {
    let mut broker = Broker::born();
    assert_eq!(broker.says("DDATA", &payload(4, 10, &[told(1, 10, 50.1)])), ["incomplete"]);
    let out = broker.send("DDATA", &payload(5, 20, &[told(1, 20, 50.2), told(2, 20, 8.2)])).unwrap();
    assert_eq!((shown(&out), fix_of(&out).speed_mps), (vec!["20 50.2 8.2".to_owned()], None));
    assert_eq!(broker.says("DDATA", &payload(6, 30, &[told(2, 30, 8.3)])), ["30 50.2 8.3"]);
    // A gap of the node is one of all its devices, whoever's message is missing.
    assert_eq!(broker.says("NDATA", &payload(8, 40, &[])), ["ndata Nothing"]);
    assert_eq!(broker.says("DDATA", &payload(9, 50, &[told(2, 50, 8.5)])), ["incomplete"]);
}

#[test]
fn numbers_begin_anew_after_255() {
    let mut broker = Broker::born();
    for nth in 2..600 {
        let told = [told(1 + nth % 2, nth as i64, 1.0)];
        let said = broker.says("DDATA", &payload(nth % 256, nth as i64, &told));
        assert!(said[0].starts_with(&nth.to_string()), "{said:?}");
    }
}

#[test]
fn what_is_delivered_again_says_the_same() {
    let mut broker = Broker::born();
    let sent = [
        payload(2, 10, &[told(1, 10, 50.1), told(2, 10, 8.1)]),
        payload(3, 20, &[told(1, 20, 50.2)]),
        payload(4, 30, &[told(1, 30, 50.3), told(2, 30, 8.3)]),
    ];
    let digests = |broker: &mut Broker| {
        let out = sent.iter().flat_map(|payload| broker.send("DDATA", payload).unwrap().readings);
        let fixes: Vec<_> = out
            .filter_map(|reading| match reading {
                Reading::Fix(fix) => Some((fix.observed_at, fix.digest)),
                _ => None,
            })
            .collect();
        fixes
    };
    let first = digests(&mut broker);
    assert_eq!(first.len(), 3);
    let again = digests(&mut broker);
    // The part, of which the other half is known as of later alone, is left out.
    assert_eq!(again, [first[0], first[2]]);
    assert_eq!(broker.says("DDATA", &payload(5, 40, &[told(1, 40, 50.4)])), ["40 50.4 8.3"]);
}

#[test]
fn a_clock_that_is_set_back_costs_nothing() {
    let mut broker = Broker::born();
    let mut seq = 2;
    let mut tell = |second, part: Vec<u8>| {
        seq += 1;
        broker.says("DDATA", &payload(seq - 1, second, &[part]))
    };
    assert_eq!(tell(5000, told(1, 5000, 50.1)), ["5000 50.1 8"]);
    // Threads that overtake one another, and a clock that was an hour ahead and more.
    assert_eq!(tell(5001, told(2, 5001, 8.1)), ["5001 50.1 8.1"]);
    assert_eq!(tell(5000, told(1, 5000, 50.2)), ["5000 50.2 8.1"]);
    assert_eq!(tell(5002, told(1, 5002, 50.3)), ["5002 50.3 8.1"]);
    assert_eq!(tell(10, told(2, 10, 8.2)), ["10 50.3 8.2"]);
    assert_eq!(tell(20, told(1, 20, 50.4)), ["20 50.4 8.2"]);
    assert_eq!(tell(30, told(2, 30, 8.3)), ["30 50.4 8.3"]);
    // It is no message from before its birth, even where one is missing.
    assert_eq!(
        broker.says("DDATA", &payload(200, 40, &[told(1, 40, 50.5), told(2, 40, 8.5)])),
        ["40 50.5 8.5"]
    );
}

#[test]
fn a_rebirth_tells_the_same_fix_again() {
    let mut broker = Broker::born();
    let out = broker.send("DDATA", &payload(2, 10, &[told(1, 10, 50.1), told(2, 10, 8.1)])).unwrap();
    let told = fix_of(&out).digest;
    broker.send("NBIRTH", &payload(0, 20, &[bd_seq(7)])).unwrap();
    let metrics = [named("lat", 11, 10, 50.1), named("lon", 12, 10, 8.1), named("speed", 13, 20, 0.0)];
    let out = broker.send("DBIRTH", &payload(1, 20, &metrics)).unwrap();
    assert_eq!(fix_of(&out).digest, told);
    // Old aliases mean nothing any more.
    assert_eq!(broker.says("DDATA", &payload(2, 30, &[self::told(1, 30, 50.3)])), ["unknown-alias"]);
    assert_eq!(broker.says("DDATA", &payload(3, 40, &[self::told(11, 40, 50.4)])), ["40 50.4 8.1"]);
}

#[test]
fn a_node_that_is_born_anew_has_no_devices_yet() {
    let mut broker = Broker::born();
    broker.send("NBIRTH", &payload(0, 10, &[bd_seq(8)])).unwrap();
    assert_eq!(broker.says("DDATA", &payload(1, 20, &[told(1, 20, 50.2)])), ["no-birth"]);
    // The node's own order goes on.
    assert_eq!(broker.says("NDATA", &payload(2, 30, &[])), ["ndata Nothing"]);
}

#[test]
fn a_death_is_of_the_connection_that_the_birth_was_of() {
    let mut broker = Broker::born();
    assert_eq!(broker.says("NDEATH", &bytes(2, &bd_seq(6))), ["ndeath Nothing"]);
    assert_eq!(broker.says("DDATA", &payload(2, 10, &[told(1, 10, 50.1)])), ["10 50.1 8"]);
    let out = broker.send("NDEATH", &bytes(2, &bd_seq(7))).unwrap();
    assert_eq!(shown(&out), ["ndeath Gone"]);
    assert!(matches!(&out.readings[..], [Reading::Note(note)] if note.device.as_str() == "fleet/truck/gps"));
    assert_eq!(broker.says("NDEATH", &bytes(2, &bd_seq(7))), ["ndeath Nothing"]);
    assert_eq!(broker.says("DDATA", &payload(3, 20, &[told(1, 20, 50.2)])), ["no-birth"]);
    // Delivered again from before its death.
    assert_eq!(broker.says("DDATA", &payload(2, 10, &[told(1, 10, 50.1)])), ["10 50.1 8"]);
}

#[test]
fn a_device_dies_alone() {
    let mut broker = Broker::born();
    let other = [named("lat", 21, 0, 51.0), named("lon", 22, 0, 9.0)];
    broker.send_to("spBv1.0/fleet/DBIRTH/truck/spare", &payload(2, 0, &other), false).unwrap();
    assert_eq!(broker.says("DDEATH", &payload(3, 10, &[])), ["ddeath Gone"]);
    assert_eq!(broker.says("DDATA", &payload(4, 20, &[told(1, 20, 50.1)])), ["no-birth"]);
    let out =
        broker.send_to("spBv1.0/fleet/DDATA/truck/spare", &payload(5, 30, &[told(21, 30, 51.1)]), false);
    assert_eq!(shown(&out.unwrap()), ["30 51.1 9"]);
    // Of its node's death it is not told again.
    assert_eq!(broker.says("NDEATH", &bytes(2, &bd_seq(7))), ["ndeath Gone"]);
}

#[test]
fn a_node_may_be_a_tracker_itself_and_what_is_none_is_left_aside() {
    let mut broker = Broker::new();
    let birth = [bd_seq(1), named("lat", 1, 0, 50.0), named("lon", 2, 0, 8.0)];
    assert_eq!(broker.says("NBIRTH", &payload(0, 0, &birth)), ["0 50 8"]);
    let out = broker.send("NDATA", &payload(1, 10, &[told(1, 10, 50.1)])).unwrap();
    assert_eq!(fix_of(&out).device.as_str(), "fleet/truck");
    assert_eq!(broker.says("DBIRTH", &payload(2, 10, &[named("rpm", 9, 10, 0.0)])), ["dbirth Nothing"]);
    assert_eq!(
        broker.says("DDATA", &payload(3, 20, &[told(9, 20, 1.0), told(77, 20, 1.0)])),
        ["ddata Nothing"]
    );
    assert_eq!(broker.says("NCMD", b"anything"), ["ncmd Nothing"]);
    assert_eq!(broker.says("DCMD", b""), ["dcmd Nothing"]);
    let out = broker.send_to("spBv1.0/STATE/scada", br#"{"online":true}"#, true).unwrap();
    assert_eq!(shown(&out), ["state Nothing"]);
}

#[test]
fn metrics_without_aliases_go_by_their_names() {
    let mut broker = Broker::new();
    let by_name = |name: &str, second, value| {
        metric(second, &[bytes(1, name.as_bytes()), number(4, 10), double(value)])
    };
    let birth = [by_name("lat", 0, 50.0), by_name("lon", 0, 8.0), by_name("other", 0, 1.0)];
    assert_eq!(broker.says("NBIRTH", &payload(0, 0, &birth)), ["0 50 8"]);
    let data = [by_name("lon", 10, 8.1), by_name("other", 10, 2.0), by_name("news", 10, 3.0)];
    assert_eq!(broker.says("NDATA", &payload(1, 10, &data)), ["10 50 8.1"]);
}

#[test]
fn the_first_of_several_names_counts() {
    let mut broker = Broker::new();
    broker.mapping = parse_metrics("latitude = [\"raw\", \"smooth\"]\nlongitude = \"lon\"").unwrap();
    let birth = [named("smooth", 1, 0, 1.0), named("raw", 2, 0, 2.0), named("lon", 3, 0, 8.0)];
    assert_eq!(broker.says("NBIRTH", &payload(0, 0, &birth)), ["0 2 8"]);
    assert_eq!(broker.says("NDATA", &payload(1, 10, &[told(1, 10, 3.0)])), ["ndata Lives"]);
}

#[test]
fn a_retained_message_moves_nothing() {
    let mut broker = Broker::born();
    let topic = "spBv1.0/fleet/DDATA/truck/gps";
    let out = broker.send_to(topic, &payload(200, 5, &[told(1, 5, 49.0), told(2, 5, 7.0)]), true).unwrap();
    assert!(fix_of(&out).retained);
    assert_eq!(broker.says("DDATA", &payload(2, 10, &[told(1, 10, 50.1)])), ["10 50.1 8"]);
    let out = broker.send_to("spBv1.0/fleet/NDEATH/truck", &bytes(2, &bd_seq(7)), true).unwrap();
    assert!(matches!(&out.readings[..], [Reading::Note(note)] if note.says == Says::Nothing));
    // A retained BIRTH of a node that nobody knows is better than none.
    let mut broker = Broker::new();
    let birth = payload(0, 0, &[named("lat", 1, 0, 50.0), named("lon", 2, 0, 8.0)]);
    broker.send_to("spBv1.0/fleet/NBIRTH/truck", &birth, true).unwrap();
    assert_eq!(broker.says("NDATA", &payload(1, 10, &[told(1, 10, 50.1)])), ["10 50.1 8"]);
}

#[test]
fn what_is_put_back_by_hand_is_read_and_moves_nothing() {
    let mut broker = Broker::born();
    broker.send("DDATA", &payload(2, 10, &[told(1, 10, 50.1)])).unwrap();
    let now = std::mem::replace(&mut broker.received, 1);
    assert_eq!(
        broker.says("DDATA", &payload(2, 5, &[told(1, 5, 50.05), told(2, 5, 8.05)])),
        ["5 50.05 8.05"]
    );
    broker.received = 0;
    let birth = payload(0, 0, &[named("lat", 31, 0, 1.0), named("lon", 32, 0, 1.0)]);
    assert_eq!(broker.says("NBIRTH", &birth), ["0 1 1"]);
    broker.received = -11;
    assert_eq!(broker.says("DBIRTH", &[0x12, 0x7f]), ["truncated"]);
    assert_eq!(broker.says("DDATA", &payload(2, 5, &[told(1, 5, 50.05)])), ["before-birth"]);
    broker.received = now;
    assert_eq!(broker.says("DDATA", &payload(3, 20, &[told(1, 20, 50.2)])), ["20 50.2 8"]);
}

/// To whom a BIRTH is asked of, after a message.
fn asked(broker: &mut Broker, topic: &str, payload: &[u8], retained: bool) -> Vec<String> {
    drop(broker.send_to(topic, payload, retained));
    broker.nodes.ask();
    broker.nodes.take_requests().into_iter().map(|request| request.topic).collect()
}

#[test]
fn who_is_not_understood_is_asked_for_a_birth() {
    const DATA: &str = "spBv1.0/fleet/DDATA/truck/gps";
    let whole = |seq, second| payload(seq, second, &[told(1, second, 50.1), told(2, second, 8.1)]);
    let ask = ["spBv1.0/fleet/NCMD/truck"];
    let mut broker = Broker::new();
    assert_eq!(asked(&mut broker, DATA, &whole(7, 0), true), [""; 0]);
    assert_eq!(asked(&mut broker, DATA, &whole(7, 0), false), ask);
    assert_eq!(asked(&mut broker, DATA, &whole(8, 1), false), [""; 0]);
    let mut broker = Broker::born();
    assert_eq!(asked(&mut broker, DATA, &whole(2, 10), false), [""; 0]);
    assert_eq!(asked(&mut broker, DATA, &payload(3, 20, &[told(1, 20, 91.0)]), false), [""; 0]);
    assert_eq!(asked(&mut broker, DATA, &payload(4, 30, &[told(77, 30, 0.0)]), false), ask);
    // A BIRTH that does not help is not asked for again at once.
    broker.send("NBIRTH", &payload(0, 40, &[bd_seq(7)])).unwrap();
    assert_eq!(asked(&mut broker, DATA, &whole(1, 50), false), [""; 0]);
    broker.received += 60;
    assert_eq!(asked(&mut broker, DATA, &whole(2, 60), false), ask);
    // A gap; a message put back by hand; a device that nobody knows.
    let mut broker = Broker::born();
    assert_eq!(asked(&mut broker, DATA, &whole(4, 10), false), ask);
    let mut broker = Broker::born();
    broker.received -= 2;
    assert_eq!(asked(&mut broker, DATA, &payload(4, 30, &[told(77, 30, 0.0)]), false), [""; 0]);
    let mut broker = Broker::born();
    assert_eq!(asked(&mut broker, "spBv1.0/fleet/DDATA/truck/other", &whole(2, 10), false), ask);
}

#[test]
fn units_and_switches_are_converted_once() {
    let mut broker = Broker::new();
    let switch = |name: &str, alias, on| {
        metric(0, &[bytes(1, name.as_bytes()), number(2, alias), number(4, 11), number(14, on)])
    };
    let birth = [
        named("lat", 1, 0, 50.0),
        named("lon", 2, 0, 8.0),
        named("speed", 3, 0, 90.0),
        named("bat", 4, 0, 130.0),
        named("odo", 7, 0, 12.5),
        switch("ign", 5, 1),
        switch("fix", 6, 1),
    ];
    let out = broker.send("NBIRTH", &payload(0, 0, &birth)).unwrap();
    let fix = fix_of(&out);
    assert_eq!((fix.speed_mps, fix.battery_percent, fix.ignition), (Some(25.0), None, Some(true)));
    assert_eq!(fix.odometer_m, Some(12_500.0));
    assert_eq!(
        (broker.mapping.units.speed, broker.mapping.units.time),
        (SpeedUnit::KilometresPerHour, TimeFormat::Milliseconds)
    );
}

/// As PLCs have them that count in whole numbers.
#[test]
fn metrics_may_be_whole_coordinates_and_fractions() {
    let mapping = parse_metrics(
        "latitude = \"lat\"\nlongitude = \"lon\"\ncoordinate_unit = \"1e-7 deg\"\n\
         battery = \"bat\"\nbattery_unit = \"fraction\"\n",
    );
    let mut broker = Broker { mapping: mapping.unwrap(), ..Broker::new() };
    let birth = [
        bd_seq(7),
        named("lat", 1, 0, 525_163_000.0),
        named("lon", 2, 0, -81_234_567.0),
        named("bat", 4, 0, 0.5),
    ];
    let out = broker.send("NBIRTH", &payload(0, 0, &birth)).unwrap();
    let Fix { position, battery_percent, .. } = fix_of(&out);
    assert!(
        (position.lat - 52.5163).abs() < 1e-9 && (position.lon + 8.123_456_7).abs() < 1e-9,
        "{position:?}"
    );
    assert_eq!(*battery_percent, Some(50.0));
}
