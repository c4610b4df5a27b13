//! Messages of every kind from a real broker: retained, of every QoS, too long, faster than they are taken.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tallyman::config::MqttVersion;
use tallyman::domain::frames::{Frame, Payload, Request, TooLong};
use tallyman::source::Gate;
use tokio::time::timeout;

use super::{Daemon, LIMITS, TOPIC, await_log, both_versions, config, numbered, text};
use crate::servers::Mosquitto;

both_versions! {
    a_message_that_is_too_long_is_kept_whole_or_told_of_and_holds_nothing_up
    one_long_message_at_a_time
    retained_messages_are_marked
    qos_0_asks_for_no_ack_and_qos_2_is_lowered
    a_slow_pipeline_neither_loses_nor_deadlocks
    a_closed_gate_stops_reading_and_keeps_the_connection
    what_is_asked_of_others_is_published
}

/// On a topic that we subscribe to ourselves, so that it comes back.
async fn what_is_asked_of_others_is_published(version: MqttVersion) {
    let Some(broker) = Mosquitto::start("mqtt: requests", "allow_anonymous true") else { return };
    let mut daemon = Daemon::start(config(broker.port, version), 100);
    daemon.up().await;
    let request = Request { topic: TOPIC.to_owned(), payload: b"be born".to_vec() };
    daemon.requests.send(request).await.unwrap();
    let frame = daemon.frame().await;
    assert_eq!((text(&frame).as_str(), frame.ack), ("be born", None));
    daemon.leave(&broker).await;
}

fn publish_file(broker: &Mosquitto, content: &str, qos: &str) {
    let file = broker.path("long");
    std::fs::write(&file, content).unwrap();
    let sent = std::process::Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &broker.port.to_string(), "-t", TOPIC, "-q", qos, "-f"])
        .arg(file)
        .status()
        .unwrap();
    assert!(sent.success());
}

fn too_long(frame: &Frame) -> &TooLong {
    match &frame.payload {
        Payload::TooLong { topic, message } if topic == TOPIC => message,
        other => panic!("{other:?}"),
    }
}

async fn a_message_that_is_too_long_is_kept_whole_or_told_of_and_holds_nothing_up(version: MqttVersion) {
    let Some(broker) = Mosquitto::start("mqtt: oversize", "allow_anonymous true") else { return };
    let mut daemon = Daemon::start(config(broker.port, version), 100);
    daemon.up().await;
    let whole = "w".repeat(1_400_000);
    publish_file(&broker, &whole, "1");
    let frame = daemon.frame().await;
    assert!(too_long(&frame).is_whole() && too_long(&frame).kept == whole.as_bytes());
    daemon.acks.send(frame.ack.unwrap()).unwrap();

    let longer = "x".repeat(2_000_000);
    publish_file(&broker, &longer, "1");
    broker.publish_lines(TOPIC, &["-q", "1"], "short\n");
    let frame = daemon.frame().await;
    let cut = too_long(&frame);
    assert_eq!((cut.kept.len(), cut.bytes), (LIMITS.max_kept, 2_000_000));
    assert_eq!(cut.sha256[..], Sha256::digest(&longer)[..]);
    daemon.acks.send(frame.ack.unwrap()).unwrap();
    assert_eq!(daemon.take(1).await, ["short"]);
    daemon.leave(&broker).await;

    let mut daemon = Daemon::start(config(broker.port, version), 100);
    assert!(daemon.up().await);
    broker.publish_lines(TOPIC, &["-q", "1"], "next\n");
    assert_eq!(daemon.take(1).await, ["next"], "the long ones were acknowledged");
    daemon.leave(&broker).await;
}

/// However many long ones a broker has, of whatever QoS: one is in the pipeline at a time.
async fn one_long_message_at_a_time(version: MqttVersion) {
    let Some(broker) = Mosquitto::start("mqtt: long ones", "allow_anonymous true") else { return };
    let mut daemon = Daemon::start(config(broker.port, version), 100);
    daemon.up().await;
    let long = "x".repeat(100_000);
    for qos in ["0", "1", "0"] {
        publish_file(&broker, &long, qos);
    }
    // The broker has sent all of it, and the source had time to take it: it has read what came first.
    await_log(&broker, |log| log.matches("Sending PUBLISH to tallyman").count() == 3).await;
    for nth in 0..3 {
        let frame = daemon.frame().await;
        assert_eq!(too_long(&frame).kept.len(), long.len());
        assert!(
            timeout(Duration::from_millis(200), daemon.source.intake.recv()).await.is_err(),
            "message {nth}"
        );
        daemon.acks.send(frame.ack.expect("so as to know when it is durable")).unwrap();
    }
    daemon.leave(&broker).await;
    assert_eq!(broker.log().matches("PUBACK from tallyman").count(), 1, "{}", broker.log());
}

async fn retained_messages_are_marked(version: MqttVersion) {
    let Some(broker) = Mosquitto::start("mqtt: retained", "allow_anonymous true") else { return };
    broker.publish_lines(TOPIC, &["-q", "1", "-r"], "old\n");
    let mut daemon = Daemon::start(config(broker.port, version), 100);
    daemon.up().await;
    let kept = daemon.frame().await;
    assert!(matches!(&kept.payload, Payload::Mqtt { retained: true, topic, .. } if topic == TOPIC));
    broker.publish_lines(TOPIC, &["-q", "1", "-r"], "new\n");
    let live = daemon.frame().await;
    assert!(matches!(live.payload, Payload::Mqtt { retained: false, .. }));
    daemon.leave(&broker).await;
}

async fn qos_0_asks_for_no_ack_and_qos_2_is_lowered(version: MqttVersion) {
    let Some(broker) = Mosquitto::start("mqtt: QoS", "allow_anonymous true") else { return };
    let mut config = config(broker.port, version);
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
async fn a_slow_pipeline_neither_loses_nor_deadlocks(version: MqttVersion) {
    let lines = "allow_anonymous true\nmax_inflight_messages 1000\nmax_queued_messages 0";
    let Some(broker) = Mosquitto::start("mqtt: backpressure", lines) else { return };
    let mut config = config(broker.port, version);
    config.max_inflight = 4;
    let mut daemon = Daemon::start(config, 2);
    daemon.up().await;
    let (lines, payloads) = numbered(0..5000);
    broker.publish_lines(TOPIC, &["-q", "1"], &lines);
    assert_eq!(daemon.take(5000).await, payloads);
    daemon.leave(&broker).await;
}

async fn a_closed_gate_stops_reading_and_keeps_the_connection(version: MqttVersion) {
    let Some(broker) = Mosquitto::start("mqtt: gate", "allow_anonymous true") else { return };
    let mut config = config(broker.port, version);
    // Mosquitto drops a client after one and a half keepalives without a word.
    config.keepalive = Duration::from_secs(1);
    let mut daemon = Daemon::start(config, 100);
    daemon.up().await;
    broker.publish_lines(TOPIC, &["-q", "1"], "before\n");
    let before = daemon.frame().await;
    daemon.source.gate.send(Gate::Closed).unwrap();
    let (lines, payloads) = numbered(0..50);
    broker.publish_lines(TOPIC, &["-q", "1"], &lines);
    daemon.acks.send(before.ack.unwrap()).unwrap();
    await_log(&broker, |log| {
        log.contains("PUBACK from tallyman") && log.matches("PINGREQ from tallyman").count() >= 8
    })
    .await;
    assert!(daemon.source.intake.try_recv().is_err(), "nothing is handed on while the gate is closed");
    daemon.source.gate.send(Gate::Open).unwrap();
    assert_eq!(daemon.take(50).await, payloads, "on the same connection");
    daemon.leave(&broker).await;
}
