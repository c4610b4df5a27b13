//! The MQTT source against a real Mosquitto.

use std::time::Duration;

use tallyman::config::{BackoffConfig, BrokerConfig, Secret, TopicConfig, TopicFormat};
use tallyman::domain::frames::{AckToken, Frame, LinkState, Payload};
use tallyman::domain::ids::SourceId;
use tallyman::source::clock::WallClock;
use tallyman::source::{Gate, Intake, IntakeSender, mqtt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::servers::{Mosquitto, PATIENCE, free_port};

const TOPIC: &str = "owntracks/jane/phone";
const MAX_PAYLOAD: usize = 1000;

fn config(port: u16) -> BrokerConfig {
    BrokerConfig {
        name: SourceId::new("broker"),
        host: "127.0.0.1".into(),
        port,
        client_id: "tallyman".into(),
        username: None,
        password: None,
        keepalive: Duration::from_secs(10),
        backoff: BackoffConfig { first: Duration::from_millis(20), last: Duration::from_millis(200) },
        max_inflight: 1000,
        topics: vec![TopicConfig { filter: "owntracks/#".into(), format: TopicFormat::OwnTracks, qos: 1 }],
    }
}

/// The source, with the test in the pipeline's place.
struct Daemon {
    intake: mpsc::Receiver<Intake>,
    acks: mpsc::UnboundedSender<AckToken>,
    gate: watch::Sender<Gate>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Daemon {
    fn start(config: BrokerConfig, queue: usize) -> Self {
        let (sender, intake) = mpsc::channel(queue);
        let (acks, acks_receiver) = mpsc::unbounded_channel();
        let (gate, gate_receiver) = watch::channel(Gate::Open);
        let shutdown = CancellationToken::new();
        let intake_sender = IntakeSender { queue: sender, gate: gate_receiver, clock: WallClock::new() };
        let run = mqtt::run(config, MAX_PAYLOAD, intake_sender, acks_receiver, shutdown.clone());
        Self { intake, acks, gate, shutdown, task: tokio::spawn(run) }
    }

    async fn next(&mut self) -> Intake {
        timeout(PATIENCE, self.intake.recv()).await.expect("something comes in").expect("the source runs")
    }

    async fn link(&mut self) -> LinkState {
        match self.next().await {
            Intake::Link(change) => change.state,
            other => panic!("{other:?} instead of a change of the link"),
        }
    }

    async fn up(&mut self) -> bool {
        match self.link().await {
            LinkState::Up { replaying } => replaying,
            LinkState::Down { reason } => panic!("the link went down: {reason}"),
        }
    }

    async fn down(&mut self) -> String {
        match self.link().await {
            LinkState::Down { reason } => reason,
            LinkState::Up { .. } => panic!("the link came up"),
        }
    }

    async fn frame(&mut self) -> Frame {
        match self.next().await {
            Intake::Frame(frame) => frame,
            other => panic!("{other:?} instead of a message"),
        }
    }

    /// The next messages' payloads, acknowledged.
    async fn take(&mut self, count: usize) -> Vec<String> {
        let mut payloads = Vec::new();
        for _ in 0..count {
            let frame = self.frame().await;
            self.acks.send(frame.ack.expect("QoS 1")).expect("the source runs");
            payloads.push(text(&frame));
        }
        payloads
    }

    /// Ends the source while nothing more is committed.
    async fn stop(self) {
        self.shutdown.cancel();
        drop(self.acks);
        timeout(PATIENCE, self.task).await.expect("the source stops").expect("it does not panic");
    }

    /// The same, until the broker has read our last word.
    async fn leave(self, broker: &Mosquitto) {
        let left = |log: &str| log.matches("Received DISCONNECT from tallyman").count();
        let before = left(&broker.log());
        self.stop().await;
        await_log(broker, |log| left(log) > before).await;
    }
}

fn text(frame: &Frame) -> String {
    match &frame.payload {
        Payload::Mqtt { payload, .. } => String::from_utf8(payload.clone()).expect("text"),
        other => panic!("{other:?} instead of a message"),
    }
}

fn numbered(range: std::ops::Range<u32>) -> (String, Vec<String>) {
    let payloads: Vec<_> = range.map(|number| format!("message {number}")).collect();
    (payloads.iter().map(|payload| format!("{payload}\n")).collect(), payloads)
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_in_order_and_only_unacknowledged_ones_come_again() {
    let Some(broker) = Mosquitto::start("mqtt: redelivery", "allow_anonymous true") else { return };
    let mut daemon = Daemon::start(config(broker.port), 100);
    assert!(!daemon.up().await, "a new session replays nothing");
    let (lines, payloads) = numbered(0..10);
    broker.publish_lines(TOPIC, &["-q", "1"], &lines);
    assert_eq!(daemon.take(6).await, payloads[..6]);
    let unacknowledged: Vec<_> =
        [daemon.frame().await, daemon.frame().await].map(|frame| text(&frame)).into();
    assert_eq!(unacknowledged, payloads[6..8]);
    daemon.leave(&broker).await;

    let mut daemon = Daemon::start(config(broker.port), 100);
    assert!(daemon.up().await, "the session was kept");
    assert_eq!(daemon.take(4).await, payloads[6..]);
    // Nothing else waits: the next thing that comes is the next thing sent.
    broker.publish_lines(TOPIC, &["-q", "1"], "last\n");
    assert_eq!(daemon.take(1).await, ["last"]);
    daemon.leave(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_never_overtakes_an_earlier_message() {
    let Some(broker) = Mosquitto::start("mqtt: ack order", "allow_anonymous true") else { return };
    let mut daemon = Daemon::start(config(broker.port), 100);
    daemon.up().await;
    let (lines, payloads) = numbered(0..3);
    broker.publish_lines(TOPIC, &["-q", "1"], &lines);
    let first = daemon.frame().await;
    daemon.take(2).await;
    daemon.leave(&broker).await;
    assert!(!broker.log().contains("PUBACK from tallyman"), "{}", broker.log());

    let mut daemon = Daemon::start(config(broker.port), 100);
    assert!(daemon.up().await);
    assert_eq!(daemon.take(3).await, payloads);
    assert_eq!(text(&first), payloads[0]);
    daemon.leave(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_acknowledges_what_the_pipeline_still_commits() {
    let Some(broker) = Mosquitto::start("mqtt: stop", "allow_anonymous true") else { return };
    let mut daemon = Daemon::start(config(broker.port), 100);
    daemon.up().await;
    broker.publish_lines(TOPIC, &["-q", "1"], "one\ntwo\n");
    let frames = [daemon.frame().await, daemon.frame().await];
    daemon.shutdown.cancel();
    // The source lets go of the queue first: that is how the pipeline learns that the end has come.
    assert!(timeout(PATIENCE, daemon.intake.recv()).await.expect("the queue closes").is_none());
    for frame in frames {
        daemon.acks.send(frame.ack.unwrap()).unwrap();
    }
    timeout(PATIENCE, daemon.task).await.expect("the source stops").expect("it does not panic");
    await_log(&broker, |log| log.contains("Received DISCONNECT from tallyman")).await;

    let mut daemon = Daemon::start(config(broker.port), 100);
    assert!(daemon.up().await);
    broker.publish_lines(TOPIC, &["-q", "1"], "three\n");
    assert_eq!(daemon.take(1).await, ["three"]);
    daemon.leave(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_forgot_us_is_subscribed_again() {
    let Some(mut broker) = Mosquitto::start("mqtt: session lost", "allow_anonymous true") else { return };
    let mut daemon = Daemon::start(config(broker.port), 100);
    daemon.up().await;
    broker.publish_lines(TOPIC, &["-q", "1"], "before\n");
    let stale = daemon.frame().await.ack.unwrap();
    broker.stop();
    daemon.down().await;
    broker.run();
    assert!(!daemon.up().await, "without persistence the session is gone");
    broker.publish_lines(TOPIC, &["-q", "1"], "after\n");
    let after = daemon.frame().await;
    assert_eq!(text(&after), "after");
    // The old token's id is in use again: sent now, it would acknowledge a message that is not durable.
    assert_eq!(stale.packet_id, after.ack.unwrap().packet_id);
    daemon.acks.send(stale).unwrap();
    daemon.leave(&broker).await;
    assert!(!broker.log().contains("PUBACK from tallyman"), "{}", broker.log());

    let mut daemon = Daemon::start(config(broker.port), 100);
    assert!(daemon.up().await);
    assert_eq!(daemon.take(1).await, ["after"]);
    daemon.leave(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_with_persistence_restarts_and_nothing_is_lost() {
    let Some(mut broker) = Mosquitto::prepare("mqtt: restart", "") else { return };
    broker.configure(&format!("allow_anonymous true\n{}", broker.persistence()));
    broker.run();
    let mut daemon = Daemon::start(config(broker.port), 100);
    daemon.up().await;
    let (lines, payloads) = numbered(0..5);
    broker.publish_lines(TOPIC, &["-q", "1"], &lines);
    assert_eq!(daemon.take(2).await, payloads[..2]);
    let held = [daemon.frame().await, daemon.frame().await, daemon.frame().await];
    await_log(&broker, |log| log.matches("PUBACK from tallyman").count() == 2).await;
    broker.stop();
    daemon.down().await;
    for frame in held {
        daemon.acks.send(frame.ack.unwrap()).unwrap();
    }
    broker.run();
    assert!(daemon.up().await, "the session was kept on disk");
    assert_eq!(daemon.take(3).await, payloads[2..]);
    daemon.leave(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_say_so_and_are_tried_again() {
    let users = "allow_anonymous false\npassword_file ";
    let Some(mut broker) = Mosquitto::prepare("mqtt: credentials", "") else { return };
    let passwords = broker.path("passwords");
    // No user has a password yet. An empty file is a valid one.
    std::fs::write(&passwords, "").unwrap();
    broker.configure(&format!("{users}{}", passwords.display()));
    broker.run();
    let mut config = config(broker.port);
    (config.username, config.password) = (Some("jane".into()), Some(Secret::new("sesame")));
    let mut daemon = Daemon::start(config, 100);
    let reason = daemon.down().await;
    assert!(reason.contains("`username`") && !reason.contains("sesame"), "{reason}");
    broker.stop();
    let added = std::process::Command::new("mosquitto_passwd")
        .args(["-b", passwords.to_str().unwrap(), "jane", "sesame"])
        .status()
        .expect("mosquitto_passwd comes with mosquitto");
    assert!(added.success());
    broker.run();
    daemon.up().await;
    daemon.leave(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_there_yet_is_waited_for() {
    let Some(mut broker) = Mosquitto::prepare("mqtt: late broker", "allow_anonymous true") else { return };
    let mut daemon = Daemon::start(config(broker.port), 100);
    let reason = daemon.down().await;
    assert!(reason.contains("failed to connect"), "{reason}");
    broker.run();
    daemon.up().await;
    daemon.leave(&broker).await;
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_tried_at_the_backoff_s_pace() {
    let mut config = config(free_port());
    config.host = "no-such-host.invalid".into();
    config.backoff = BackoffConfig { first: Duration::from_secs(3600), last: Duration::from_secs(3600) };
    let mut daemon = Daemon::start(config, 100);
    let reason = daemon.down().await;
    assert!(reason.contains("no-such-host.invalid"), "{reason}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_long_is_cut_and_holds_nothing_up() {
    let Some(broker) = Mosquitto::start("mqtt: oversize", "allow_anonymous true") else { return };
    let mut daemon = Daemon::start(config(broker.port), 100);
    daemon.up().await;
    let long = "x".repeat(2_000_000);
    std::fs::write(broker.path("long"), &long).unwrap();
    let file = broker.path("long");
    let sent = std::process::Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &broker.port.to_string(), "-t", TOPIC, "-q", "1", "-f"])
        .arg(file)
        .status()
        .unwrap();
    assert!(sent.success());
    broker.publish_lines(TOPIC, &["-q", "1"], "short\n");
    let taken = daemon.take(2).await;
    assert_eq!((taken[0].len(), &*taken[1]), (MAX_PAYLOAD, "short"));
    daemon.leave(&broker).await;

    let mut daemon = Daemon::start(config(broker.port), 100);
    assert!(daemon.up().await);
    broker.publish_lines(TOPIC, &["-q", "1"], "next\n");
    assert_eq!(daemon.take(1).await, ["next"], "the long one was acknowledged");
    daemon.leave(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retained_messages_are_marked() {
    let Some(broker) = Mosquitto::start("mqtt: retained", "allow_anonymous true") else { return };
    broker.publish_lines(TOPIC, &["-q", "1", "-r"], "old\n");
    let mut daemon = Daemon::start(config(broker.port), 100);
    daemon.up().await;
    let kept = daemon.frame().await;
    assert!(matches!(&kept.payload, Payload::Mqtt { retained: true, topic, .. } if topic == TOPIC));
    broker.publish_lines(TOPIC, &["-q", "1", "-r"], "new\n");
    let live = daemon.frame().await;
    assert!(matches!(live.payload, Payload::Mqtt { retained: false, .. }));
    daemon.leave(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn qos_0_asks_for_no_ack_and_qos_2_is_lowered() {
    let Some(broker) = Mosquitto::start("mqtt: QoS", "allow_anonymous true") else { return };
    let mut config = config(broker.port);
    config.topics[0].qos = 2;
    let mut daemon = Daemon::start(config, 100);
    daemon.up().await;
    broker.publish_lines(TOPIC, &["-q", "0"], "zero\n");
    assert_eq!(daemon.frame().await.ack, None);
    broker.publish_lines(TOPIC, &["-q", "2"], "two\n");
    assert_eq!(daemon.take(1).await, ["two"]);
    daemon.leave(&broker).await;
    assert!(broker.log().contains("PUBACK from tallyman"), "{}", broker.log());
}

/// A queue of two and a window of four: what the pipeline does not take stays with the broker, and
/// acknowledgements go out all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_pipeline_neither_loses_nor_deadlocks() {
    let lines = "allow_anonymous true\nmax_inflight_messages 1000\nmax_queued_messages 0";
    let Some(broker) = Mosquitto::start("mqtt: backpressure", lines) else { return };
    let mut config = config(broker.port);
    config.max_inflight = 4;
    let mut daemon = Daemon::start(config, 2);
    daemon.up().await;
    let (lines, payloads) = numbered(0..5000);
    broker.publish_lines(TOPIC, &["-q", "1"], &lines);
    assert_eq!(daemon.take(5000).await, payloads);
    daemon.leave(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_gate_stops_reading_and_keeps_the_connection() {
    let Some(broker) = Mosquitto::start("mqtt: gate", "allow_anonymous true") else { return };
    let mut config = config(broker.port);
    // Mosquitto drops a client after one and a half keepalives without a word.
    config.keepalive = Duration::from_secs(1);
    let mut daemon = Daemon::start(config, 100);
    daemon.up().await;
    broker.publish_lines(TOPIC, &["-q", "1"], "before\n");
    let before = daemon.frame().await;
    daemon.gate.send(Gate::Closed).unwrap();
    let (lines, payloads) = numbered(0..50);
    broker.publish_lines(TOPIC, &["-q", "1"], &lines);
    daemon.acks.send(before.ack.unwrap()).unwrap();
    await_log(&broker, |log| {
        log.contains("PUBACK from tallyman") && log.matches("PINGREQ from tallyman").count() >= 8
    })
    .await;
    assert!(daemon.intake.try_recv().is_err(), "nothing is handed on while the gate is closed");
    daemon.gate.send(Gate::Open).unwrap();
    assert_eq!(daemon.take(50).await, payloads, "on the same connection");
    daemon.leave(&broker).await;
}

async fn await_log(broker: &Mosquitto, wanted: impl Fn(&str) -> bool) {
    let seen = async {
        while !wanted(&broker.log()) {
            tokio::task::yield_now().await;
        }
    };
    let seen = timeout(PATIENCE, seen).await;
    assert!(seen.is_ok(), "not what was expected in the broker's log:\n{}", broker.log());
}

/// A broker of a few bytes: accepts one connection, answers CONNECT and SUBSCRIBE with these.
async fn scripted_broker(listener: &TcpListener, connack: &[u8], suback: &[u8]) -> TcpStream {
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.expect("a connection").unwrap();
    read_packet(&mut stream, 0x10).await;
    stream.write_all(connack).await.unwrap();
    read_packet(&mut stream, 0x82).await;
    stream.write_all(suback).await.unwrap();
    stream
}

/// Reads one short packet, which must be of this kind.
async fn read_packet(stream: &mut TcpStream, kind: u8) -> Vec<u8> {
    let mut head = [0; 2];
    timeout(PATIENCE, stream.read_exact(&mut head)).await.expect("a packet").unwrap();
    assert_eq!(head[0], kind);
    let mut body = vec![0; usize::from(head[1])];
    stream.read_exact(&mut body).await.unwrap();
    body
}

const CONNACK_NEW: [u8; 4] = [0x20, 2, 0, 0];
const CONNACK_RESUMED: [u8; 4] = [0x20, 2, 1, 0];
const SUBACK: [u8; 5] = [0x90, 3, 0, 1, 1];
/// QoS 1, topic `a`, id 7, payload `x`.
const PUBLISH: [u8; 8] = [0x32, 6, 0, 1, b'a', 0, 7, b'x'];

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[tokio::test]
async fn a_refused_subscription_is_a_link_that_is_down() {
    let (listener, port) = listener().await;
    let mut daemon = Daemon::start(config(port), 100);
    let refused = scripted_broker(&listener, &CONNACK_NEW, &[0x90, 3, 0, 1, 0x80]).await;
    let reason = daemon.down().await;
    assert!(reason.contains("owntracks/#") && reason.contains("access list"), "{reason}");
    drop(refused);
    // Refusals go on; the pipeline has heard of it.
    let refused = scripted_broker(&listener, &CONNACK_NEW, &[0x90, 3, 0, 1, 0x80]).await;
    let granted = scripted_broker(&listener, &CONNACK_NEW, &SUBACK).await;
    assert!(!daemon.up().await);
    drop((refused, granted));
    daemon.stop().await;
}

#[tokio::test]
async fn what_a_resumed_session_sends_before_the_suback_follows_the_link() {
    let (listener, port) = listener().await;
    let mut daemon = Daemon::start(config(port), 100);
    let early = [&CONNACK_RESUMED[..], &PUBLISH].concat();
    let mut stream = scripted_broker(&listener, &early, &SUBACK).await;
    assert!(daemon.up().await);
    assert_eq!(daemon.take(1).await, ["x"]);
    assert_eq!(read_packet(&mut stream, 0x40).await, [0, 7]);
    drop(stream);
    daemon.stop().await;
}

/// More than the window may be under way before the SUBACK: that must not be waited for.
#[tokio::test]
async fn a_flood_before_the_suback_is_no_deadlock() {
    let (listener, port) = listener().await;
    let mut config = config(port);
    config.max_inflight = 4;
    let mut daemon = Daemon::start(config, 2);
    let flood = [&CONNACK_RESUMED[..], &PUBLISH.repeat(20)].concat();
    let mut stream = scripted_broker(&listener, &flood, &SUBACK).await;
    assert!(daemon.up().await);
    assert_eq!(daemon.take(20).await, ["x"; 20]);
    for _ in 0..20 {
        assert_eq!(read_packet(&mut stream, 0x40).await, [0, 7], "one id, many messages");
    }
    drop(stream);
    daemon.stop().await;
}

#[tokio::test]
async fn a_broker_that_talks_garbage_is_left() {
    let (listener, port) = listener().await;
    let mut daemon = Daemon::start(config(port), 100);
    let mut stream = scripted_broker(&listener, &CONNACK_NEW, &SUBACK).await;
    daemon.up().await;
    stream.write_all(&[0x30, 0xff, 0xff, 0xff, 0xff, 0xff]).await.unwrap();
    let reason = daemon.down().await;
    assert!(reason.contains("no MQTT"), "{reason}");
    let again = scripted_broker(&listener, &CONNACK_NEW, &SUBACK).await;
    daemon.up().await;
    drop(again);
    daemon.stop().await;
}

#[tokio::test]
async fn qos_2_of_an_older_subscription_is_answered_in_full() {
    let (listener, port) = listener().await;
    let mut daemon = Daemon::start(config(port), 100);
    let mut stream = scripted_broker(&listener, &CONNACK_RESUMED, &SUBACK).await;
    daemon.up().await;
    stream.write_all(&[0x34, 6, 0, 1, b'a', 0, 9, b'y']).await.unwrap();
    assert_eq!(daemon.take(1).await, ["y"]);
    assert_eq!(read_packet(&mut stream, 0x50).await, [0, 9], "PUBREC");
    stream.write_all(&[0x62, 2, 0, 9]).await.unwrap();
    assert_eq!(read_packet(&mut stream, 0x70).await, [0, 9], "PUBCOMP");
    drop(stream);
    daemon.stop().await;
}

#[tokio::test]
async fn a_silent_broker_is_left() {
    let (listener, port) = listener().await;
    let mut config = config(port);
    config.keepalive = Duration::from_millis(100);
    let mut daemon = Daemon::start(config, 100);
    let _silent = scripted_broker(&listener, &CONNACK_NEW, &SUBACK).await;
    daemon.up().await;
    let reason = daemon.down().await;
    assert!(reason.contains("no word"), "{reason}");
    daemon.stop().await;
}
