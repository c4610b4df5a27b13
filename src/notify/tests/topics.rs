//! An MQTT topic, at a broker of a few bytes that hangs up on the first message.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::{PATIENCE, Rig};
use crate::config::*;
use crate::domain::alerts::{AlertTransition, Severity};
use crate::domain::time::Timestamp;
use crate::notify::mqtt;

/// Takes what is published, but for the first message, on which it hangs up. Gives topic, payload and
/// whether it is retained.
async fn broker(listener: TcpListener, published: mpsc::UnboundedSender<(String, String, bool)>) {
    let mut hung_up = false;
    while let Ok((mut stream, _)) = listener.accept().await {
        while let Some((kind, body)) = read_packet(&mut stream).await {
            match kind >> 4 {
                1 => stream.write_all(&[0x20, 2, 0, 0]).await.unwrap(),
                3 => {
                    if !std::mem::replace(&mut hung_up, true) {
                        break;
                    }
                    assert_eq!(kind & 0x06, 0x02, "QoS 1");
                    let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
                    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                    let (topic, id) = (text(&body[2..2 + length]), &body[2 + length..4 + length]);
                    stream.write_all(&[0x40, 2, id[0], id[1]]).await.unwrap();
                    published.send((topic, text(&body[4 + length..]), kind & 1 == 1)).unwrap();
                }
                _ => break,
            }
        }
    }
}

pub(in crate::notify) async fn read_packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await.ok()?;
    let (mut length, mut shift) = (0usize, 0);
    loop {
        let byte = stream.read_u8().await.ok()?;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((kind, body))
}

#[tokio::test]
async fn a_topic_has_every_transition_and_what_stands() {
    let rig = Rig::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (published, mut messages) = mpsc::unbounded_channel();
    tokio::spawn(broker(listener, published));
    let backoff = BackoffConfig { first: Duration::from_millis(5), last: Duration::from_millis(40) };
    let give_up_after = Duration::from_secs(60);
    let receiver = ReceiverConfig {
        name: "topic".to_owned(),
        filter: ReceiverFilter::default(),
        backoff,
        give_up_after,
    };
    let host = address.ip().to_string();
    let broker =
        BrokerConfig { backoff, ..BrokerConfig::new(host, address.port(), "tallyman-alerts".to_owned()) };
    let topic =
        MqttReceiverConfig { receiver: receiver.clone(), broker, topic: "t".to_owned(), retain_state: true };
    rig.tells_as(receiver, mqtt::Topic::new(topic)).await;
    let fired = rig.fires("FL-01").await.to_string();
    rig.happens("FL-01", AlertTransition::Resolved, Severity::Warning).await;
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(tokio::time::timeout(PATIENCE, messages.recv()).await.unwrap().unwrap());
    }
    let event: serde_json::Value = serde_json::from_str(&told[0].1).unwrap();
    assert_eq!((event["id"].as_str(), event["type"].as_str()), (Some(&*fired), Some("tallyman.alert.fired")));
    let places: Vec<(&str, bool)> = told.iter().map(|(topic, _, retained)| (&**topic, *retained)).collect();
    let (news, state) = ("t/ghost/FL-01", "t/state/ghost/FL-01");
    assert_eq!(places, [(news, false), (state, true), (news, false), (state, true)]);
    assert_eq!((told[1].1 == told[0].1, told[3].1.is_empty()), (true, true), "an end takes it back");
    assert!(Timestamp::parse(event["time"].as_str().unwrap()).is_some());
}
