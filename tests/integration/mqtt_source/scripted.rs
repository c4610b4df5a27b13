//! A broker of a few bytes: refusals, garbage, silence, and what comes before its time.

use std::time::Duration;

use tallyman::config::BackoffConfig;
use tallyman::config::MqttVersion::V3_1_1;
use tallyman::source::Intake;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{Daemon, config};
use crate::servers::{PATIENCE, free_port};

/// Accepts one connection, answers CONNECT and SUBSCRIBE with these.
pub async fn scripted_broker(listener: &TcpListener, connack: &[u8], suback: &[u8]) -> TcpStream {
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.expect("a connection").unwrap();
    read_packet(&mut stream, 0x10).await;
    stream.write_all(connack).await.unwrap();
    read_packet(&mut stream, 0x82).await;
    stream.write_all(suback).await.unwrap();
    stream
}

/// Reads one short packet, which must be of this kind.
pub async fn read_packet(stream: &mut TcpStream, kind: u8) -> Vec<u8> {
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

pub async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[tokio::test]
async fn a_refused_subscription_is_a_link_that_is_down() {
    let (listener, port) = listener().await;
    let mut daemon = Daemon::start(config(port, V3_1_1), 100);
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
    let mut daemon = Daemon::start(config(port, V3_1_1), 100);
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
    let mut config = config(port, V3_1_1);
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

/// PUBLISH on topic `a` of so many bytes, all the same.
fn message(qos: u8, packet_id: u8, bytes: usize) -> Vec<u8> {
    let id: &[u8] = if qos == 0 { &[] } else { &[0, packet_id] };
    let length = 3 + id.len() + bytes;
    let head = [0x30 | qos << 1, (length % 128) as u8 | 0x80, (length / 128) as u8, 0, 1, b'a'];
    [&head[..], id, &vec![b'x'; bytes]].concat()
}

/// A flood of large messages takes no more memory than is allowed, whatever their number may be: what is not
/// durable yet stops the reading. Of messages that the broker delivers again, and of those that it does not.
#[tokio::test]
async fn a_flood_is_read_no_further_than_so_many_bytes() {
    for qos in [0, 1] {
        let (listener, port) = listener().await;
        let mut config = config(port, V3_1_1);
        (config.max_inflight_bytes, config.keepalive) = (2500, Duration::from_millis(200));
        let mut daemon = Daemon::start(config, 100);
        let mut stream = scripted_broker(&listener, &CONNACK_NEW, &SUBACK).await;
        daemon.up().await;
        let flood: Vec<u8> = (1..=8).flat_map(|id| message(qos, id, 1000)).collect();
        stream.write_all(&flood).await.unwrap();
        let mut waiting = std::collections::VecDeque::new();
        for _ in 0..3 {
            waiting.push_back(daemon.frame().await.ack.expect("it asks when it is durable"));
        }
        for _ in 3..8 {
            // It is alive, and reads nothing.
            stream.write_all(&[0xd0, 0]).await.unwrap();
            read_packet(&mut stream, 0xc0).await;
            assert!(daemon.source.intake.try_recv().is_err(), "2 500 bytes are under way");
            daemon.acks.send(waiting.pop_front().unwrap()).unwrap();
            waiting.push_back(daemon.frame().await.ack.unwrap());
            if qos == 1 {
                read_packet(&mut stream, 0x40).await;
            }
        }
        drop(stream);
        daemon.stop().await;
    }
}

/// What was lost with its connection before it was handed on is not counted for ever.
#[tokio::test]
async fn bytes_of_a_connection_that_is_gone_make_room_again() {
    let (listener, port) = listener().await;
    let mut config = config(port, V3_1_1);
    // One message is all that may be under way.
    config.max_inflight_bytes = 1000;
    config.keepalive = Duration::from_millis(200);
    // The queue has room for the word of the link alone.
    let mut daemon = Daemon::start(config, 1);
    let mut stream = scripted_broker(&listener, &CONNACK_RESUMED, &SUBACK).await;
    stream.write_all(&message(1, 1, 1000)).await.unwrap();
    // Between two pings all that is there has been read.
    for _ in 0..2 {
        read_packet(&mut stream, 0xc0).await;
    }
    drop(stream);
    let mut stream = scripted_broker(&listener, &CONNACK_RESUMED, &SUBACK).await;
    stream.write_all(&message(1, 1, 1000)).await.unwrap();
    while !matches!(daemon.source.next().await, Intake::Frame(_)) {}
    drop(stream);
    daemon.stop().await;
}

#[tokio::test]
async fn a_broker_that_talks_garbage_is_left() {
    let (listener, port) = listener().await;
    let mut daemon = Daemon::start(config(port, V3_1_1), 100);
    let mut stream = scripted_broker(&listener, &CONNACK_NEW, &SUBACK).await;
    daemon.up().await;
    stream.write_all(&[0x30, 0xff, 0xff, 0xff, 0xff, 0xff]).await.unwrap();
    let reason = daemon.down().await;
    assert!(reason.contains("length does not end"), "{reason}");
    let again = scripted_broker(&listener, &CONNACK_NEW, &SUBACK).await;
    daemon.up().await;
    drop(again);
    daemon.stop().await;
}

#[tokio::test]
async fn qos_2_of_an_older_subscription_is_answered_in_full() {
    let (listener, port) = listener().await;
    let mut daemon = Daemon::start(config(port, V3_1_1), 100);
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
    let mut config = config(port, V3_1_1);
    config.keepalive = Duration::from_millis(100);
    let mut daemon = Daemon::start(config, 100);
    let _silent = scripted_broker(&listener, &CONNACK_NEW, &SUBACK).await;
    daemon.up().await;
    let reason = daemon.down().await;
    assert!(reason.contains("no word"), "{reason}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_tried_at_the_backoff_s_pace() {
    let mut config = config(free_port(), V3_1_1);
    config.host = "no-such-host.invalid".into();
    config.backoff = BackoffConfig { first: Duration::from_secs(3600), last: Duration::from_secs(3600) };
    let mut daemon = Daemon::start(config, 100);
    let reason = daemon.down().await;
    assert!(reason.contains("no-such-host.invalid"), "{reason}");
    daemon.stop().await;
}

/// Topics that are none: no UTF-8, with a wildcard. What the broker sends has to be taken, or it is sent for ever.
#[tokio::test]
async fn a_message_on_a_topic_that_is_none_is_handed_on_and_acknowledged() {
    let (listener, port) = listener().await;
    let mut daemon = Daemon::start(config(port, V3_1_1), 100);
    let mut stream = scripted_broker(&listener, &CONNACK_NEW, &SUBACK).await;
    daemon.up().await;
    stream.write_all(&[0x32, 6, 0, 1, 0xff, 0, 7, b'x', 0x32, 6, 0, 1, b'+', 0, 8, b'y']).await.unwrap();
    assert_eq!(daemon.take(2).await, ["x", "y"]);
    assert_eq!(read_packet(&mut stream, 0x40).await, [0, 7]);
    assert_eq!(read_packet(&mut stream, 0x40).await, [0, 8]);
    drop(stream);
    daemon.stop().await;
}
