//! What only MQTT 5 has: a window and a session that the client asks for, reasons, shared subscriptions.

use std::time::Duration;

use tallyman::config::{BrokerConfig, MqttVersion};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::scripted::{listener, read_packet, scripted_broker};
use super::{Daemon, TOPIC, await_log, numbered, topic};
use crate::servers::{Mosquitto, PATIENCE};

fn config(port: u16) -> BrokerConfig {
    super::config(port, MqttVersion::V5)
}

/// Session expiry 60 s, server keep alive 1 s.
const CONNACK: [u8; 13] = [0x20, 11, 0, 0, 8, 0x11, 0, 0, 0, 60, 0x13, 0, 1];
const SUBACK: [u8; 6] = [0x90, 4, 0, 1, 0, 1];

#[tokio::test]
async fn the_broker_s_keepalive_counts_instead_of_ours() {
    let (listener, port) = listener().await;
    let mut config = config(port);
    config.keepalive = Duration::from_secs(3600);
    let mut daemon = Daemon::start(config, 100);
    let mut stream = scripted_broker(&listener, &CONNACK, &SUBACK).await;
    daemon.up().await;
    read_packet(&mut stream, 0xc0).await;
    daemon.stop().await;
}

#[tokio::test]
async fn what_the_broker_says_is_told() {
    let (listener, port) = listener().await;
    let mut daemon = Daemon::start(config(port), 100);
    let refused = scripted_broker(&listener, &CONNACK, &[0x90, 4, 0, 1, 0, 0x9e]).await;
    let why = daemon.down().await;
    assert!(why.contains("no shared subscriptions"), "{why}");
    drop(refused);
    let mut stream = scripted_broker(&listener, &CONNACK, &SUBACK).await;
    daemon.up().await;
    // Session taken over, with a reason string.
    stream.write_all(&[0xe0, 8, 0x8e, 6, 0x1f, 0, 3, b'b', b'o', b'x']).await.unwrap();
    let why = daemon.down().await;
    assert!(why.contains("another client connected with the same client_id"), "{why}");
    assert!(why.ends_with("; it says: box"), "{why}");
    daemon.stop().await;
}

/// As brokers of 3.1.1 answer: with its code for "unacceptable protocol version", or with nothing.
#[tokio::test]
async fn a_broker_that_does_not_speak_it_is_told_as_that() {
    for answer in [&[0x20, 2, 0, 1][..], &[]] {
        let (listener, port) = listener().await;
        let mut daemon = Daemon::start(config(port), 100);
        let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.expect("a connection").unwrap();
        read_packet(&mut stream, 0x10).await;
        stream.write_all(answer).await.unwrap();
        drop(stream);
        let why = daemon.down().await;
        assert!(why.contains("see `protocol`") && why.contains("see `tls`"), "{why}");
        daemon.stop().await;
    }
}

/// Mosquitto's own limit is 20.
#[tokio::test(flavor = "multi_thread")]
async fn the_window_is_ours_whatever_the_broker_s_default() {
    let Some(broker) = Mosquitto::start("mqtt 5: window", "allow_anonymous true") else { return };
    let mut daemon = Daemon::start(config(broker.port), 1000);
    daemon.up().await;
    let (lines, _) = numbered(0..200);
    broker.publish_lines(TOPIC, &["-q", "1"], &lines);
    let mut unacknowledged = Vec::new();
    for _ in 0..200 {
        unacknowledged.push(daemon.frame().await.ack.expect("QoS 1"));
    }
    for ack in unacknowledged {
        daemon.acks.send(ack).unwrap();
    }
    daemon.leave(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_it_was_asked_to() {
    let Some(broker) = Mosquitto::start("mqtt 5: expiry", "allow_anonymous true") else { return };
    let mut short = config(broker.port);
    short.session_expiry = Duration::from_secs(1);
    let mut daemon = Daemon::start(short.clone(), 100);
    daemon.up().await;
    daemon.leave(&broker).await;
    await_log(&broker, |log| log.contains("Expiring client tallyman")).await;
    let mut daemon = Daemon::start(short, 100);
    assert!(!daemon.up().await, "it is forgotten");
    daemon.leave(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_share_a_subscription_and_each_message_comes_once() {
    let Some(broker) = Mosquitto::start("mqtt 5: shared", "allow_anonymous true") else { return };
    let mut daemons = Vec::new();
    for client_id in ["one", "two"] {
        let mut config = config(broker.port);
        config.client_id = client_id.to_owned();
        config.topics = vec![topic("$share/site/owntracks/#")];
        let mut daemon = Daemon::start(config, 100);
        daemon.up().await;
        daemons.push(daemon);
    }
    let (lines, payloads) = numbered(0..20);
    broker.publish_lines(TOPIC, &["-q", "1"], &lines);
    let [one, two] = &mut daemons[..] else { unreachable!() };
    let mut came = Vec::new();
    while came.len() < payloads.len() {
        let frame = tokio::select! {
            frame = one.frame() => frame,
            frame = two.frame() => frame,
        };
        came.push(super::text(&frame));
    }
    came.sort();
    let mut sent = payloads;
    sent.sort();
    assert_eq!(came, sent);
    for daemon in daemons {
        daemon.stop().await;
    }
}
