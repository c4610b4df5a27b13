//! What goes over the wire, judged by somebody who had no part in either end: Wireshark's dissectors. Our
//! clients on one side, the simulators (or Mosquitto) on the other.

mod every_message;
mod referee;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tallyman_simulators::clock::wall_now;
use tallyman_simulators::mqtt::{Position, PublisherOptions, Tracker, TrackerOptions};
use tallyman_simulators::truth::TruthLog;

use self::referee::{Protocol, Referee};
use crate::plant::{self, Addresses, Plant};
use crate::relay::{Piece, Relay};
use crate::servers::{Mosquitto, PATIENCE};

const LLRP: Protocol = Protocol {
    name: "llrp",
    port: 5084,
    field: "llrp.type",
    // Three reserved bits and three of version, ten of type; the length is that of the whole message.
    split: |bytes| {
        let head = bytes.get(..10)?;
        let length = u32::from_be_bytes([head[2], head[3], head[4], head[5]]) as usize;
        let kind = u16::from_be_bytes([head[0] & 3, head[1]]);
        (bytes.len() >= length).then_some((length, kind.into()))
    },
};

const MQTT: Protocol = Protocol {
    name: "mqtt",
    port: 1883,
    field: "mqtt.msgtype",
    split: |bytes| {
        let kind = bytes.first()? >> 4;
        let mut length = 0;
        for (place, byte) in bytes.get(1..)?.iter().take(4).enumerate() {
            length |= usize::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                let whole = 2 + place + length;
                return (bytes.len() >= whole).then_some((whole, kind.into()));
            }
        }
        None
    },
};

const MODBUS: Protocol = Protocol {
    name: "mbtcp",
    port: 502,
    field: "mbtcp.len",
    split: |bytes| {
        let length = u16::from_be_bytes([*bytes.get(4)?, *bytes.get(5)?]);
        let whole = 6 + usize::from(length);
        (bytes.len() >= whole).then_some((whole, length.into()))
    },
};

/// Waits until the relay saw at least so many messages of each of these kinds.
async fn seen(referee: &Referee, relay: &Relay, wanted: &[(u64, usize)]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let counted = referee.count(&relay.pieces());
        let has = |(kind, count): &(u64, usize)| counted.get(kind).is_some_and(|seen| seen >= count);
        if wanted.iter().all(has) {
            return;
        }
        assert!(Instant::now() < deadline, "wanted {wanted:?}, saw {counted:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Fails where the referee saw other messages than passed, or found fault with one; gives the kinds.
fn approve(referee: &Referee, pieces: &[Piece]) -> BTreeMap<u64, usize> {
    approve_but(referee, pieces, &[])
}

/// The same; what the referee is known to be wrong about does not count.
fn approve_but(referee: &Referee, pieces: &[Piece], mistaken: &[&str]) -> BTreeMap<u64, usize> {
    let mut verdict = referee.judge(pieces);
    verdict.malformed.retain(|fault| !mistaken.contains(&fault.as_str()));
    assert_eq!(verdict.malformed, Vec::<String>::new());
    let counted = referee.count(pieces);
    assert_eq!(verdict.kinds, counted, "tshark, and what passed");
    counted
}

#[tokio::test(flavor = "multi_thread")]
async fn llrp_between_our_client_and_the_simulated_reader_is_well_formed() {
    let test = "LLRP between our client and the simulated reader is well formed";
    let Some(referee) = Referee::find(test, LLRP) else { return };
    let plant = Plant::start().await;
    let mut cable = Relay::to(plant.crib.address()).await;
    let at = Addresses { crib: cable.address, ..plant.addresses() };
    let mut daemon = plant::daemon(&at, "");
    daemon.start();
    let plant = plant.begin();
    // Reports, a sign of life and its answer.
    seen(&referee, &cable, &[(61, 20), (62, 2), (72, 2)]).await;
    cable.cut().await;
    let before = referee.count(&cable.pieces());
    let deadline = Instant::now() + PATIENCE;
    while plant.crib.held() < 10 {
        assert!(Instant::now() < deadline, "the reader does not hold what it hears");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cable.mend().await;
    // ENABLE_EVENTS_AND_REPORTS on both connections, and what was held.
    seen(&referee, &cable, &[(64, 2), (61, before[&61] + 10)]).await;
    assert!(daemon.stop().await.success(), "{}", daemon.log());
    // CLOSE_CONNECTION and its answer.
    seen(&referee, &cable, &[(14, 1), (4, 1)]).await;

    let pieces = cable.pieces();
    let counted = approve(&referee, &pieces);
    // Capabilities, configuration, ROSpecs, events.
    for (kind, name) in
        [(1, "GET_READER_CAPABILITIES"), (3, "SET_READER_CONFIG"), (20, "ADD_ROSPEC"), (63, "events")]
    {
        assert!(counted.contains_key(&kind), "there was no {name}: {counted:?}");
    }
    // The length of a report's first parameter.
    a_fault_is_found(&referee, &pieces, &[0x04, 61], 12);
}

/// The referee is awake: with one byte spoilt in the first piece that begins so, it says something else.
fn a_fault_is_found(referee: &Referee, pieces: &[Piece], begins: &[u8], spoil: usize) {
    let mut spoilt = pieces.to_vec();
    let piece = spoilt.iter_mut().find(|piece| piece.bytes.starts_with(begins));
    piece.expect("there is such a message").bytes[spoil] = 0x7f;
    assert_ne!(referee.judge(&spoilt), referee.judge(pieces));
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_of_our_client_and_of_the_simulated_tracker_is_well_formed() {
    let test = "MQTT of our client and of the simulated tracker is well formed";
    let Some(referee) = Referee::find(test, MQTT) else { return };
    let Some(mosquitto) = Mosquitto::start(test, "allow_anonymous true") else { return };
    let broker = ([127, 0, 0, 1], mosquitto.port).into();
    let (ours, theirs) = (Relay::to(broker).await, Relay::to(broker).await);
    let plant = Plant::start().await;
    let more = format!(
        "[[broker]]\nname = \"fleet\"\naddress = \"{}\"\nclient_id = \"tallyman\"\nkeepalive = \"1s\"\n\
         [[broker.topic]]\nfilter = \"owntracks/+/+\"\nformat = \"owntracks\"\n",
        ours.address
    );
    let mut daemon = plant::daemon(&plant.addresses(), &more);
    daemon.start();
    // Subscribed.
    seen(&referee, &ours, &[(9, 1)]).await;
    let publisher = PublisherOptions {
        keepalive: Duration::from_secs(1),
        ..PublisherOptions::new(theirs.address, "truck-1")
    };
    let options = TrackerOptions {
        user: "fleet".to_owned(),
        device: "truck-1".to_owned(),
        publisher,
        retain: true,
        double_every: 5,
    };
    let tracker = Tracker::start(options, Arc::new(TruthLog::default()));
    for step in 0..20 {
        tracker.fix(Position {
            lat: 53.5 + f64::from(step) * 0.001,
            lon: 10.0,
            accuracy_m: 5.0,
            speed_kmh: 30.0,
            course_deg: 0.0,
            at: wall_now(),
        });
    }
    // Every message and its acknowledgement, and pings both ways: 3 PUBLISH, 4 PUBACK, 12 and 13 pings.
    seen(&referee, &ours, &[(3, 20), (4, 20), (12, 1), (13, 1)]).await;
    seen(&referee, &theirs, &[(3, 20), (4, 20), (12, 1), (13, 1)]).await;
    tracker.stop().await;
    assert!(daemon.stop().await.success(), "{}", daemon.log());
    for relay in [&ours, &theirs] {
        // DISCONNECT.
        seen(&referee, relay, &[(14, 1)]).await;
        approve(&referee, &relay.pieces());
        // The length of the protocol's name in CONNECT.
        a_fault_is_found(&referee, &relay.pieces(), &[0x10], 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn modbus_between_our_client_and_the_simulated_device_is_well_formed() {
    let test = "Modbus between our client and the simulated device is well formed";
    let Some(referee) = Referee::find(test, MODBUS) else { return };
    let plant = Plant::start().await;
    let cable = Relay::to(plant.cold.address()).await;
    // A register that the device has not: an exception is a message too.
    let more = "[[modbus.point]]\nname = \"nothing\"\ntable = \"holding\"\naddress = 400\ntype = \"u16\"\n";
    let at = Addresses { cold: cable.address, ..plant.addresses() };
    let mut daemon = plant::daemon(&at, more);
    daemon.start();
    // Requests are 6 bytes behind the length, an exception is 3.
    seen(&referee, &cable, &[(6, 20), (3, 5)]).await;
    assert!(daemon.stop().await.success(), "{}", daemon.log());
    let counted = approve(&referee, &cable.pieces());
    assert!(counted.len() >= 3, "answers too: {counted:?}");
    // The protocol identifier, which is 0.
    a_fault_is_found(&referee, &cable.pieces(), &[0], 2);
}
