//! Sessions, acknowledgements and restarts: what a real broker delivers again, and what not.

use tallyman::config::{MqttVersion, Secret};
use tallyman::source::clock::WallClock;
use tokio::time::timeout;

use super::{Daemon, TOPIC, await_log, both_versions, config, numbered, text, topic};
use crate::servers::{Mosquitto, PATIENCE};

both_versions! {
    messages_come_in_order_and_only_unacknowledged_ones_come_again
    an_ack_never_overtakes_an_earlier_message
    a_stop_acknowledges_what_the_pipeline_still_commits
    a_broker_that_forgot_us_is_subscribed_again
    a_session_that_was_lost_while_nobody_was_connected_is_told
    a_broker_with_persistence_restarts_and_nothing_is_lost
    wrong_credentials_say_so_and_are_tried_again
    a_broker_that_is_not_there_yet_is_waited_for
    what_is_not_configured_any_more_is_unsubscribed
}

async fn messages_come_in_order_and_only_unacknowledged_ones_come_again(version: MqttVersion) {
    let Some(broker) = Mosquitto::start("mqtt: redelivery", "allow_anonymous true") else { return };
    let mut daemon = Daemon::start(config(broker.port, version), 100);
    assert!(!daemon.up().await, "a new session replays nothing");
    let (lines, payloads) = numbered(0..10);
    broker.publish_lines(TOPIC, &["-q", "1"], &lines);
    assert_eq!(daemon.take(6).await, payloads[..6]);
    let unacknowledged: Vec<_> =
        [daemon.frame().await, daemon.frame().await].map(|frame| text(&frame)).into();
    assert_eq!(unacknowledged, payloads[6..8]);
    daemon.leave(&broker).await;

    let mut daemon = Daemon::start(config(broker.port, version), 100);
    assert!(daemon.up().await, "the session was kept");
    assert_eq!(daemon.take(4).await, payloads[6..]);
    // Nothing else waits: the next thing that comes is the next thing sent.
    broker.publish_lines(TOPIC, &["-q", "1"], "last\n");
    assert_eq!(daemon.take(1).await, ["last"]);
    daemon.leave(&broker).await;
}

async fn an_ack_never_overtakes_an_earlier_message(version: MqttVersion) {
    let Some(broker) = Mosquitto::start("mqtt: ack order", "allow_anonymous true") else { return };
    let mut daemon = Daemon::start(config(broker.port, version), 100);
    daemon.up().await;
    let (lines, payloads) = numbered(0..3);
    broker.publish_lines(TOPIC, &["-q", "1"], &lines);
    let first = daemon.frame().await;
    daemon.take(2).await;
    daemon.leave(&broker).await;
    assert!(!broker.log().contains("PUBACK from tallyman"), "{}", broker.log());

    let mut daemon = Daemon::start(config(broker.port, version), 100);
    assert!(daemon.up().await);
    assert_eq!(daemon.take(3).await, payloads);
    assert_eq!(text(&first), payloads[0]);
    daemon.leave(&broker).await;
}

async fn a_stop_acknowledges_what_the_pipeline_still_commits(version: MqttVersion) {
    let Some(broker) = Mosquitto::start("mqtt: stop", "allow_anonymous true") else { return };
    let mut daemon = Daemon::start(config(broker.port, version), 100);
    daemon.up().await;
    broker.publish_lines(TOPIC, &["-q", "1"], "one\ntwo\n");
    let frames = [daemon.frame().await, daemon.frame().await];
    daemon.source.shutdown.cancel();
    // The source lets go of the queue first: that is how the pipeline learns that the end has come.
    assert!(timeout(PATIENCE, daemon.source.intake.recv()).await.expect("the queue closes").is_none());
    for frame in frames {
        daemon.acks.send(frame.ack.unwrap()).unwrap();
    }
    timeout(PATIENCE, daemon.source.task).await.expect("the source stops").expect("it does not panic");
    await_log(&broker, |log| log.contains("Received DISCONNECT from tallyman")).await;

    let mut daemon = Daemon::start(config(broker.port, version), 100);
    assert!(daemon.up().await);
    broker.publish_lines(TOPIC, &["-q", "1"], "three\n");
    assert_eq!(daemon.take(1).await, ["three"]);
    daemon.leave(&broker).await;
}

async fn a_broker_that_forgot_us_is_subscribed_again(version: MqttVersion) {
    let Some(mut broker) = Mosquitto::start("mqtt: session lost", "allow_anonymous true") else { return };
    let mut daemon = Daemon::start(config(broker.port, version), 100);
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

    let mut daemon = Daemon::start(config(broker.port, version), 100);
    assert!(daemon.up().await);
    assert_eq!(daemon.take(1).await, ["after"]);
    daemon.leave(&broker).await;
}

/// The daemon and the broker were both down; the journal remembers that there was a session.
async fn a_session_that_was_lost_while_nobody_was_connected_is_told(version: MqttVersion) {
    let Some(mut broker) = Mosquitto::start("mqtt: session lost meanwhile", "allow_anonymous true") else {
        return;
    };
    let protocol = match version {
        MqttVersion::V3_1_1 => "mqtt-3.1.1",
        MqttVersion::V5 => "mqtt-5",
    };
    let mut daemon = crate::daemon::Daemon::prepare(|place| {
        format!(
            "node = \"n\"\n{}[[site]]\nname = \"depot\"\ntimezone = \"UTC\"\n[[broker]]\nname = \"fleet\"\n\
             address = \"127.0.0.1:{}\"\nprotocol = \"{protocol}\"\nclient_id = \"n\"\n[[broker.topic]]\n\
             filter = \"{TOPIC}\"\nformat = \"owntracks\"\n",
            place.tables(""),
            broker.port
        )
    });
    let up = [r#"tallyman_source_up{source="fleet"}"#.to_owned()];
    let mut lost = Vec::new();
    for restarts in [false, true, false] {
        if restarts {
            broker.stop();
            broker.run();
        }
        daemon.start();
        daemon.up(&up).await;
        let count = daemon.metric(r#"tallyman_mqtt_sessions_lost_total{source="fleet"}"#).await;
        let at = daemon.metric(r#"tallyman_mqtt_session_lost_timestamp_seconds{source="fleet"}"#).await;
        let ago = at.map(|at| WallClock::new().now().as_secs_f64() - at);
        let is_told = ago.is_some_and(|ago| (-1.0..600.0).contains(&ago));
        let is_logged = daemon.log().contains("has forgotten our session");
        lost.push((count.unwrap_or_default(), is_told, is_logged));
        assert!(daemon.stop().await.success());
    }
    assert_eq!(lost, [(0.0, false, false), (1.0, true, true), (0.0, false, false)]);
}

async fn a_broker_with_persistence_restarts_and_nothing_is_lost(version: MqttVersion) {
    let Some(mut broker) = Mosquitto::prepare("mqtt: restart", "") else { return };
    broker.configure(&format!("allow_anonymous true\n{}", broker.persistence()));
    broker.run();
    let mut daemon = Daemon::start(config(broker.port, version), 100);
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

async fn wrong_credentials_say_so_and_are_tried_again(version: MqttVersion) {
    let users = "allow_anonymous false\npassword_file ";
    let Some(mut broker) = Mosquitto::prepare("mqtt: credentials", "") else { return };
    let passwords = broker.path("passwords");
    // No user has a password yet. An empty file is a valid one.
    std::fs::write(&passwords, "").unwrap();
    broker.configure(&format!("{users}{}", passwords.display()));
    broker.run();
    let mut config = config(broker.port, version);
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

async fn a_broker_that_is_not_there_yet_is_waited_for(version: MqttVersion) {
    let Some(mut broker) = Mosquitto::prepare("mqtt: late broker", "allow_anonymous true") else { return };
    let mut daemon = Daemon::start(config(broker.port, version), 100);
    let reason = daemon.down().await;
    assert!(reason.contains("failed to connect"), "{reason}");
    broker.run();
    daemon.up().await;
    daemon.leave(&broker).await;
}

async fn what_is_not_configured_any_more_is_unsubscribed(version: MqttVersion) {
    let Some(broker) = Mosquitto::start("mqtt: old topics", "allow_anonymous true") else { return };
    let mut before = config(broker.port, version);
    before.topics.extend([topic("old/#"), topic("older/+")]);
    let mut daemon = Daemon::start(before, 100);
    daemon.up().await;
    broker.publish_lines("old/x", &["-q", "1"], "heard\n");
    assert_eq!(daemon.take(1).await, ["heard"]);
    let row = daemon.remembered();
    assert!(row.is_some(), "what is subscribed is noted");
    daemon.leave(&broker).await;

    let mut daemon = Daemon::remembering(row, config(broker.port, version), 100);
    assert!(daemon.up().await, "the session was kept, and with it the subscriptions");
    await_log(&broker, |log| log.contains("Sending UNSUBACK to tallyman")).await;
    for old in ["old/x", "older/x"] {
        broker.publish_lines(old, &["-q", "1"], "not heard\n");
    }
    broker.publish_lines(TOPIC, &["-q", "1"], "heard\n");
    assert_eq!(daemon.take(1).await, ["heard"]);
    // The answer to the UNSUBSCRIBE came before that message.
    let row = daemon.remembered();
    daemon.leave(&broker).await;

    let unsubscribed = |log: &str| log.matches("Received UNSUBSCRIBE from tallyman").count();
    assert_eq!(unsubscribed(&broker.log()), 1);
    let mut daemon = Daemon::remembering(row, config(broker.port, version), 100);
    daemon.up().await;
    assert_eq!(unsubscribed(&broker.log()), 1, "what is let go of is not asked for again: {}", broker.log());
    daemon.leave(&broker).await;
}
