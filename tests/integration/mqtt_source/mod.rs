//! The MQTT source, with the test in the pipeline's place: against a real Mosquitto (`sessions`,
//! `messages`), and against a broker of a few bytes that does what no real one would (`scripted`).

use std::time::Duration;

use tallyman::config::{BackoffConfig, BrokerConfig, TopicConfig, TopicFormat};
use tallyman::domain::frames::{AckToken, Frame, LinkState, Payload};
use tallyman::domain::ids::SourceId;
use tallyman::source::clock::WallClock;
use tallyman::source::{Gate, Intake, IntakeSender, mqtt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::servers::{Mosquitto, PATIENCE};

mod messages;
mod scripted;
mod sessions;

const TOPIC: &str = "owntracks/jane/phone";
const LIMITS: mqtt::Limits = mqtt::Limits { max_payload: 1000, max_kept: 1_500_000 };

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
        let run = mqtt::run(config, LIMITS, intake_sender, acks_receiver, shutdown.clone());
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
        Payload::TooLong { message, .. } => String::from_utf8(message.kept.clone()).expect("text"),
        other => panic!("{other:?} instead of a message"),
    }
}

fn numbered(range: std::ops::Range<u32>) -> (String, Vec<String>) {
    let payloads: Vec<_> = range.map(|number| format!("message {number}")).collect();
    (payloads.iter().map(|payload| format!("{payload}\n")).collect(), payloads)
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
