//! Sparkplug edge nodes at a real broker, through the whole daemon: the daemon is killed between a BIRTH and what
//! rests on it, and is not there while the broker takes more of it.

use std::collections::BTreeSet;

use crate::daemon::Daemon;
use crate::formats::{fixes, now};
use crate::servers::Mosquitto;

const TOPICS: &str = r#"
[[broker.topic]]
filter = "spBv1.0/fleet/+/+/#"
format = "sparkplug-b"
"#;

/// Protocol Buffers by hand.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

/// The moment at which everything is told.
#[derive(Clone, Copy)]
struct Node {
    millis: u64,
}

impl Node {
    fn later(self, seconds: u64) -> Self {
        Self { millis: self.millis + 1000 * seconds }
    }

    fn metric(self, name: &str, alias: u64, value: f64) -> Vec<u8> {
        let name =
            if name.is_empty() { Vec::new() } else { [bytes(1, name.as_bytes()), number(4, 10)].concat() };
        let double = [&[13 << 3 | 1][..], &value.to_le_bytes()].concat();
        [name, number(2, alias), number(3, self.millis), double].concat()
    }

    fn bd_seq(self) -> Vec<u8> {
        [bytes(1, b"bdSeq"), number(4, 4), number(11, 3)].concat()
    }

    fn payload(self, seq: u64, metrics: &[Vec<u8>]) -> Vec<u8> {
        let metrics: Vec<u8> = metrics.iter().flat_map(|metric| bytes(2, metric)).collect();
        [number(1, self.millis), metrics, number(3, seq)].concat()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_aliases_mean_outlives_the_daemon() {
    let Some(broker) = Mosquitto::start("sparkplug", "allow_anonymous true\n") else { return };
    let port = broker.port;
    let mut daemon = Daemon::prepare(move |place| {
        format!(
            "node = \"n\"\n{}[[site]]\nname = \"depot\"\ntimezone = \"UTC\"\n[[broker]]\nname = \"fleet\"\n\
             address = \"127.0.0.1:{port}\"\nclient_id = \"n\"\n{TOPICS}",
            place.tables("")
        )
    });
    daemon.start();
    daemon.up(&["tallyman_source_up{source=\"fleet\"}".to_owned()]).await;
    let noon = Node { millis: now().as_millisecond() as u64 - 100_000 };
    let node = |kind: &str| format!("spBv1.0/fleet/{kind}/truck-7");
    let device = |kind: &str| format!("spBv1.0/fleet/{kind}/truck-7/gps");

    broker.publish(&device("DDATA"), &noon.payload(9, &[noon.metric("", 1, 1.0)]));
    broker.publish(&node("NBIRTH"), &noon.payload(0, &[noon.bd_seq()]));
    let position = [noon.metric("Position/Latitude", 1, 50.0), noon.metric("Position/Longitude", 2, 8.0)];
    broker.publish(&device("DBIRTH"), &noon.payload(1, &position));
    let all_in = async |daemon: &mut Daemon, frames: f64| {
        daemon
            .until("every message is taken in", async |daemon| {
                daemon.metric("tallyman_frames_total{source=\"fleet\"}").await == Some(frames)
            })
            .await;
    };
    all_in(&mut daemon, 3.0).await;
    daemon.kill();

    // The broker keeps them for us: parts alone, by aliases that were told before.
    let (first, second) = (noon.later(10), noon.later(20));
    broker.publish(&device("DDATA"), &first.payload(2, &[first.metric("", 1, 50.001)]));
    broker.publish(&device("DDATA"), &second.payload(3, &[second.metric("", 2, 8.001)]));
    broker.publish(&device("DDATA"), b"\x12\xff");
    daemon.start();
    all_in(&mut daemon, 6.0).await;
    let third = noon.later(30);
    broker.publish(
        &device("DDATA"),
        &third.payload(4, &[third.metric("", 1, 50.002), third.metric("", 7, 0.0)]),
    );
    broker.publish(&node("NDEATH"), &bytes(2, &noon.bd_seq()));
    broker.publish("spBv1.0/fleet/NCMD/truck-7", b"for others");
    all_in(&mut daemon, 9.0).await;
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());

    let reader = daemon.reader().await;
    let expected = ["50.0", "50.001", "50.002"].map(|lat| ("fleet/truck-7/gps".to_owned(), lat.to_owned()));
    assert_eq!(fixes(&reader).await, BTreeSet::from(expected));
    let events = reader.events_after(0, 1000).await.expect("events");
    let longitudes: Vec<String> = (events.iter().filter(|event| event.kind == "fix"))
        .map(|event| serde_json::from_str::<serde_json::Value>(&event.body).expect("JSON")["lon"].to_string())
        .collect();
    assert_eq!(longitudes, ["8.0", "8.0", "8.001", "8.001"]);
    let mut reasons: Vec<String> = (reader.dead_letters(None, 100).await.expect("dead letters").into_iter())
        .map(|letter| letter.reason)
        .collect();
    reasons.sort();
    assert_eq!(reasons, ["no-birth", "truncated", "unknown-alias"]);
    assert!(!daemon.log().contains("the books do not balance"), "{}", daemon.log());
}
