//! The MQTT source, with the test in the pipeline's place: against a real Mosquitto (`sessions`,
//! `messages`), and against a broker of a few bytes that does what no real one would (`scripted`).

use std::time::Duration;

use tallyman::config::{BackoffConfig, BrokerConfig, MqttVersion, TopicConfig};
use tallyman::decode::gps::Format;
use tallyman::decode::gps::topic::TopicPattern;
use tallyman::domain::frames::{AckToken, Frame, LinkState, Payload, Request};
use tallyman::domain::ids::SourceId;
use tallyman::domain::state::StateKind;
use tallyman::journal::Control;
use tallyman::source::{Intake, mqtt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::servers::{Mosquitto, PATIENCE};
use crate::source::{Source, reason};

mod messages;
mod scripted;
mod secure;
mod sessions;
mod v5;

const TOPIC: &str = "owntracks/jane/phone";
const LIMITS: mqtt::Limits = mqtt::Limits { max_payload: 1000, max_kept: 1_500_000 };

fn config(port: u16, version: MqttVersion) -> BrokerConfig {
    BrokerConfig {
        name: SourceId::new("broker"),
        version,
        keepalive: Duration::from_secs(10),
        backoff: BackoffConfig { first: Duration::from_millis(20), last: Duration::from_millis(200) },
        topics: vec![topic("owntracks/#")],
        ..BrokerConfig::new("127.0.0.1".to_owned(), port, "tallyman".to_owned())
    }
}

fn topic(written: &str) -> TopicConfig {
    let pattern = TopicPattern::parse(written).expect("a topic filter");
    TopicConfig { pattern, format: Format::OwnTracks, qos: 1 }
}

/// The same against both versions of the protocol.
macro_rules! both_versions {
    ($($name:ident)*) => { $(
        mod $name {
            use tallyman::config::MqttVersion;

            #[tokio::test(flavor = "multi_thread")]
            async fn mqtt_3_1_1() {
                super::$name(MqttVersion::V3_1_1).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn mqtt_5() {
                super::$name(MqttVersion::V5).await;
            }
        }
    )* };
}

use both_versions;

struct Daemon {
    source: Source,
    acks: mpsc::UnboundedSender<AckToken>,
    requests: mpsc::Sender<Request>,
    /// What it wants remembered.
    notes: mpsc::Receiver<Control>,
    is_down: bool,
}

impl Daemon {
    fn start(config: BrokerConfig, queue: usize) -> Self {
        Self::remembering(None, config, queue)
    }

    /// With what an earlier one wanted remembered.
    fn remembering(row: Option<Vec<u8>>, config: BrokerConfig, queue: usize) -> Self {
        let (notes_sender, notes) = mpsc::channel(16);
        let memory = mqtt::Memory { row, notes: notes_sender };
        let (acks, acks_receiver) = mpsc::unbounded_channel();
        let (requests, requests_receiver) = mpsc::channel(1);
        let back = mqtt::Back { acks: acks_receiver, requests: requests_receiver };
        let run = |intake, shutdown| mqtt::run(config, LIMITS, memory, intake, back, shutdown);
        Self { source: Source::start(queue, run), acks, requests, notes, is_down: false }
    }

    async fn up(&mut self) -> bool {
        loop {
            match self.source.link().await {
                LinkState::Up { replaying } => {
                    self.is_down = false;
                    return replaying;
                }
                // It is down as before, for another reason.
                LinkState::Down { .. } if self.is_down => {}
                LinkState::Down { reason } => panic!("the link went down: {reason}"),
            }
        }
    }

    async fn down(&mut self) -> String {
        self.is_down = true;
        reason(self.source.link().await)
    }

    async fn frame(&mut self) -> Frame {
        match self.source.next().await {
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

    /// The newest row that it wanted remembered.
    fn remembered(&mut self) -> Option<Vec<u8>> {
        let mut newest = None;
        while let Ok(note) = self.notes.try_recv() {
            let Control::Note(row) = note else { panic!("{note:?} instead of a row") };
            assert_eq!((row.kind, row.key.as_str()), (StateKind::Subscription, "broker"));
            newest = row.value;
        }
        newest
    }

    /// Ends the source while nothing more is committed.
    async fn stop(self) {
        drop(self.acks);
        self.source.stop().await;
    }

    /// The same, until the broker has read our last word.
    async fn leave(self, broker: &Mosquitto) {
        let before = left(&broker.log());
        self.stop().await;
        await_log(broker, |log| left(log) > before).await;
    }
}

/// How often the daemon took leave.
fn left(log: &str) -> usize {
    log.matches("Received DISCONNECT from tallyman").count()
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
