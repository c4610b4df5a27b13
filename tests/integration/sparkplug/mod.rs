//! Sparkplug edge nodes at a real broker, through the whole daemon: the daemon is killed between a BIRTH and what
//! rests on it, and is not there while the broker takes more of it. And with an edge node that others wrote.
//!
//! `TALLYMAN_TEST_PYSPARKPLUG` names a Python that has pysparkplug and sparkplug-b-packets; `deploy/dev/test` makes one.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::daemon::Daemon;
use crate::formats::{fixes, now};
use crate::servers::{Mosquitto, find};

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

/// Subscribed.
async fn daemon(broker: &Mosquitto, topics: &str) -> Daemon {
    let port = broker.port;
    let mut daemon = Daemon::prepare(move |place| {
        format!(
            "node = \"n\"\n{}[[site]]\nname = \"depot\"\ntimezone = \"UTC\"\n[[broker]]\nname = \"fleet\"\n\
             address = \"127.0.0.1:{port}\"\nclient_id = \"n\"\n{topics}",
            place.tables("")
        )
    });
    daemon.start();
    daemon.up(&["tallyman_source_up{source=\"fleet\"}".to_owned()]).await;
    daemon
}

async fn all_in(daemon: &mut Daemon, frames: f64) {
    daemon
        .until("every message is taken in", async |daemon| {
            daemon.metric("tallyman_frames_total{source=\"fleet\"}").await == Some(frames)
        })
        .await;
}

/// Waits until so many fixes and dead letters are in the journal.
async fn recorded(daemon: &mut Daemon, fixes: usize, letters: usize) {
    daemon
        .until("what was sent is recorded", async |daemon| {
            if !daemon.journal().exists() {
                return false;
            }
            let events = daemon.reader().await.events_after(0, 1000).await.expect("events");
            let recorded = events.iter().filter(|event| &*event.kind == "fix").count();
            (recorded, reasons(daemon).await.len()) == (fixes, letters)
        })
        .await;
}

async fn reasons(daemon: &Daemon) -> Vec<String> {
    let letters = daemon.reader().await.dead_letters(None, 100).await.expect("dead letters");
    let mut reasons: Vec<String> = letters.into_iter().map(|letter| letter.reason).collect();
    reasons.sort();
    reasons
}

fn of_gps(latitudes: &[&str]) -> BTreeSet<(String, String)> {
    latitudes.iter().map(|lat| ("fleet/truck-7/gps".to_owned(), (*lat).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_aliases_mean_outlives_the_daemon() {
    let Some(broker) = Mosquitto::start("sparkplug", "allow_anonymous true\n") else { return };
    let mut daemon = daemon(&broker, TOPICS).await;
    let noon = Node { millis: now().as_millisecond() as u64 - 100_000 };
    let device = |kind: &str| format!("spBv1.0/fleet/{kind}/truck-7/gps");

    broker.publish("spBv1.0/fleet/NBIRTH/truck-7", &noon.payload(0, &[noon.bd_seq()]));
    let position = [noon.metric("Position/Latitude", 1, 50.0), noon.metric("Position/Longitude", 2, 8.0)];
    broker.publish(&device("DBIRTH"), &noon.payload(1, &position));
    recorded(&mut daemon, 1, 0).await;
    daemon.kill();

    // The broker keeps them for us: parts alone, by aliases that were told before.
    let (first, second) = (noon.later(10), noon.later(20));
    broker.publish(&device("DDATA"), &first.payload(2, &[first.metric("", 1, 50.001)]));
    broker.publish(&device("DDATA"), &second.payload(3, &[second.metric("", 2, 8.001)]));
    broker.publish(&device("DDATA"), b"\x12\xff");
    daemon.start();
    recorded(&mut daemon, 3, 1).await;
    let third = noon.later(30);
    broker.publish("spBv1.0/fleet/NCMD/truck-7", b"for others");
    broker.publish(
        &device("DDATA"),
        &third.payload(5, &[third.metric("", 1, 50.002), third.metric("", 7, 0.0)]),
    );
    recorded(&mut daemon, 3, 2).await;
    broker.publish(
        &device("DDATA"),
        &third.payload(6, &[third.metric("", 1, 50.002), third.metric("", 2, 8.002)]),
    );
    recorded(&mut daemon, 4, 2).await;
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());

    let reader = daemon.reader().await;
    assert_eq!(fixes(&reader).await, of_gps(&["50.0", "50.001", "50.002"]));
    let events = reader.events_after(0, 1000).await.expect("events");
    let longitudes: Vec<String> = (events.iter().filter(|event| &*event.kind == "fix"))
        .map(|event| serde_json::from_str::<serde_json::Value>(&event.body).expect("JSON")["lon"].to_string())
        .collect();
    assert_eq!(longitudes, ["8.0", "8.0", "8.001", "8.002"]);
    assert_eq!(reasons(&daemon).await, ["truncated", "unknown-alias"]);
    assert!(!daemon.log().contains("the books do not balance"), "{}", daemon.log());
}

fn python(test: &str) -> Option<PathBuf> {
    find("TALLYMAN_TEST_PYSPARKPLUG", "pysparkplug", test)
}

fn script(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

/// `peer.py`. Killed when dropped.
struct Peer {
    child: Child,
    said: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Peer {
    fn start(python: &Path, broker: &Mosquitto) -> Self {
        let mut child = Command::new(python)
            .arg(script("integration/sparkplug/peer.py"))
            .arg(broker.port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a Python starts");
        let said = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        Self { child, said }
    }

    /// Its next word.
    fn says(&mut self) -> String {
        self.said.next().expect("the peer runs").expect("text")
    }

    fn tell(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("its input is piped");
        writeln!(input, "{line}").expect("the peer reads");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().expect("the peer ends with its input");
    }
}

/// Its births are over when the daemon comes, and it publishes with QoS 0 as the standard wants it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_node_of_others_is_asked_for_its_births_and_understood() {
    let Some(python) = python("sparkplug::an_edge_node_of_others") else { return };
    let Some(broker) = Mosquitto::start("sparkplug peer", "allow_anonymous true\n") else { return };
    let mut peer = Peer::start(&python, &broker);
    assert_eq!(peer.says(), "ready");
    let mut daemon = daemon(&broker, &format!("{TOPICS}rebirth = true\n")).await;
    peer.tell("latitude=50 longitude=8");
    assert_eq!(peer.says(), "rebirth");
    // What was not understood, our own command, and the two births.
    all_in(&mut daemon, 4.0).await;
    // So near that it can have gone there in the time of a test.
    peer.tell("latitude=50.0003");
    all_in(&mut daemon, 5.0).await;
    drop(peer);
    // The broker publishes its will.
    all_in(&mut daemon, 6.0).await;
    assert_eq!(daemon.metric("tallyman_mqtt_requests_total{source=\"fleet\"}").await, Some(1.0));
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
    assert_eq!(fixes(&daemon.reader().await).await, of_gps(&["50.0", "50.0003"]));
    assert_eq!(reasons(&daemon).await, ["no-birth"]);
}

/// What the decoder's own tests read is what other implementations write.
#[test]
fn the_vectors_are_the_peers_own() {
    let Some(python) = python("sparkplug::the_vectors") else { return };
    let made = Command::new(python).arg(script("sparkplug/make.py")).output().expect("a Python starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let kept = std::fs::read_to_string(script("sparkplug/peers.txt")).expect("the vectors");
    assert_eq!(String::from_utf8_lossy(&made.stdout), kept);
}
