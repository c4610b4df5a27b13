//! A source whose broker is the test.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use tokio::time::sleep;

use super::*;
use crate::config::{MqttVersion, TopicConfig};
use crate::decode::gps::Format;
use crate::decode::gps::topic::TopicPattern;
use crate::source::Gate;
use crate::source::clock::WallClock;
use crate::source::mqtt::{Back, Limits};

fn config() -> BrokerConfig {
    let pattern = TopicPattern::parse("a").unwrap();
    let topics = vec![TopicConfig { pattern, format: Format::OwnTracks, qos: 1 }];
    BrokerConfig { name: "b".into(), topics, ..BrokerConfig::new("h".to_owned(), 1883, "c".to_owned()) }
}

/// The feed, and what the pipeline takes from it.
fn feed(config: &BrokerConfig) -> (Feed, mpsc::Receiver<Intake>) {
    let (queue, taken) = mpsc::channel(16);
    let gate = watch::channel(Gate::Open).1;
    let memory = Memory { row: None, notes: mpsc::channel(16).0 };
    (Feed::new(config, memory, IntakeSender { queue, gate, clock: WallClock::new() }), taken)
}

async fn told(feed: &mut Feed, taken: &mut mpsc::Receiver<Intake>) -> Vec<String> {
    feed.wait(sleep(Duration::from_millis(20)), &CancellationToken::new()).await;
    let told = std::iter::from_fn(|| taken.try_recv().ok()).map(|item| match item {
        Intake::Link(LinkChange { state: LinkState::Down { reason }, .. }) => reason,
        other => panic!("{other:?}"),
    });
    told.collect()
}

/// First the broker shuts down, then the password is refused: who looks at the alert must see the latter.
#[tokio::test]
async fn the_last_reason_is_told_and_each_once() {
    let (mut feed, mut taken) = feed(&config());
    for (reasons, expected) in [
        (&["cut"][..], &["cut"][..]),
        (&["cut", "cut"], &[]),
        (&["refused"], &["refused"]),
        (&["cut", "password"], &["password"]),
    ] {
        for reason in reasons {
            feed.lost(reason);
        }
        assert_eq!(told(&mut feed, &mut taken).await, expected);
    }
    feed.connected(false);
    feed.lost("password");
    assert_eq!(told(&mut feed, &mut taken).await, [""; 0], "it had not come up");
}

/// A connection, and the broker's end of it.
fn connection() -> (Connection, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(4096);
    let (reader, writer) = tokio::io::split(ours);
    let limits = Limits { max_payload: 1000, max_kept: 1000 };
    (Connection::over(reader, writer, MqttVersion::V3_1_1, limits), theirs)
}

/// Serves a broker that lets us in and says `said`, and gives why that ended; nothing where it goes on.
async fn served(feed: &mut Feed, said: &[u8]) -> Option<End> {
    let (mut connection, mut broker) = connection();
    feed.connected(true);
    broker.write_all(said).await.unwrap();
    let (_acks, acks) = mpsc::unbounded_channel();
    let mut back = Back { acks, requests: mpsc::channel(1).1 };
    let times = Times { keepalive: Duration::from_secs(3600), answer: Duration::from_millis(30) };
    let config = config();
    let serving = feed.serve(&config, times, &mut connection, &mut back);
    let served = tokio::time::timeout(Duration::from_millis(300), serving).await;
    assert_eq!(broker.read_u8().await.unwrap(), 0x82, "SUBSCRIBE");
    served.ok().map(|ended| match ended {
        Ok(never) => match never {},
        Err(end) => end,
    })
}

/// PUBLISH of QoS 1 on topic `a`.
const MESSAGE: [u8; 8] = [0x32, 6, 0, 1, b'a', 0, 7, b'x'];

/// What it delivers meanwhile is held back, and nobody would hear of it.
#[tokio::test]
async fn a_broker_that_does_not_answer_subscribe_is_left() {
    let (mut feed, mut taken) = feed(&config());
    let Some(End::Lost(why)) = served(&mut feed, &MESSAGE).await else { panic!("it is waited for") };
    assert!(why.contains("did not answer SUBSCRIBE within 30ms"), "{why}");
    feed.lost(&why);
    assert_eq!(told(&mut feed, &mut taken).await, [why], "and what it sent comes again");
    assert_eq!(served(&mut feed, &[0x90, 3, 0, 1, 1]).await, None);
}

/// Over a slow line what it holds for us comes first.
#[tokio::test]
async fn a_broker_that_is_amid_a_message_is_waited_for() {
    let (mut feed, _taken) = feed(&config());
    assert_eq!(served(&mut feed, &MESSAGE[..5]).await, None);
}

/// Messages that pile up are what the gauge is looked at for: it must not wait for an acknowledgement.
#[tokio::test]
async fn what_is_under_way_is_shown_as_it_comes() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let (mut feed, _taken) = feed(&config());
    served(&mut feed, &[&[0x90, 3, 0, 1, 1], &MESSAGE[..], &MESSAGE].concat()).await;
    let shown = metrics.render();
    for line in [
        "tallyman_mqtt_unacknowledged_messages{source=\"b\"} 2",
        "tallyman_mqtt_unacknowledged_bytes{source=\"b\"} 4",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
}
