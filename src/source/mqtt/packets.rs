//! MQTT packets of both versions of the protocol, as far as one who subscribes and publishes with QoS 1 needs them.
//! All bytes but those of messages are made and read by rumqttc's codecs, 3.1.1 in `v4`, 5 in `v5`.

use std::time::Duration;

use tokio_util::bytes::{Buf, Bytes, BytesMut};

use crate::config::MqttVersion;
use crate::domain::frames::Request;

mod v4;
mod v5;

/// What a broker tells us.
#[derive(Clone, PartialEq, Debug)]
pub enum FromBroker {
    Accepted(Accepted),
    /// It does not let us in, and what could be done about it.
    Refused(String),
    Publish(Message),
    /// Of each filter: the QoS with which it is served, or why it is not.
    Granted {
        packet_id: u16,
        results: Vec<Result<u8, String>>,
    },
    /// Of each filter, where the broker says it of each (MQTT 5): whether it is let go of, or why not.
    Unsubscribed {
        packet_id: u16,
        results: Vec<Result<(), String>>,
    },
    Published(u16),
    Released(u16),
    Pong,
    /// It is about to close the connection (MQTT 5).
    Farewell(String),
    /// Nothing that is sent to one like us.
    Other(String),
}

/// CONNACK.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Accepted {
    pub session_present: bool,
    /// The broker's own, which counts instead of ours (MQTT 5).
    pub keepalive: Option<Duration>,
    /// How long it keeps our session, where that is not what we asked for (MQTT 5).
    pub session_expiry: Option<Duration>,
}

/// PUBLISH.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    pub topic: Bytes,
    pub payload: Bytes,
    /// 0 where `qos` is.
    pub packet_id: u16,
    pub qos: u8,
    pub retained: bool,
    /// DUP.
    pub redelivered: bool,
}

impl Message {
    /// Ours, of QoS 1; its id is still to be given.
    pub fn new(topic: String, payload: String, retained: bool) -> Self {
        let (topic, payload) = (topic.into(), payload.into());
        Self { topic, payload, packet_id: 0, qos: 1, retained, redelivered: false }
    }

    /// Ours, of QoS 0.
    pub fn asking(request: Request) -> Self {
        let Request { topic, payload } = request;
        Self { payload: payload.into(), qos: 0, ..Self::new(topic, String::new(), false) }
    }
}

/// What we tell a broker.
#[derive(Debug)]
pub enum ToBroker<'a> {
    Connect(Hello<'a>),
    Subscribe { packet_id: u16, filters: Vec<(&'a str, u8)> },
    Unsubscribe { packet_id: u16, filters: Vec<&'a str> },
    Publish(&'a Message),
    PubAck(u16),
    PubRec(u16),
    PubComp(u16),
    Ping,
    Leave,
}

/// CONNECT.
#[derive(Debug)]
pub struct Hello<'a> {
    pub client_id: &'a str,
    pub username: Option<&'a str>,
    pub password: Option<&'a str>,
    pub keepalive_s: u16,
    pub clean: bool,
    pub will: Option<&'a Message>,
    /// MQTT 5.
    pub session_expiry_s: u32,
    /// MQTT 5: messages of QoS 1 and 2 that the broker may have under way.
    pub receive_maximum: u16,
}

/// Bytes that are no packet, or a packet that has no bytes.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("MQTT 3.1.1: {0}")]
    V4(#[source] rumqttc::Error),
    #[error("MQTT 5: {0}")]
    V5(#[source] rumqttc5::mqttbytes::Error),
    #[error("a message that ends in its topic")]
    Head,
}

/// The packet at the beginning of `bytes`, all of which is there; no message (see [`message`]).
pub fn read(version: MqttVersion, bytes: &mut BytesMut) -> Result<FromBroker, CodecError> {
    match version {
        MqttVersion::V3_1_1 => v4::read(bytes),
        MqttVersion::V5 => v5::read(bytes),
    }
}

pub fn write(version: MqttVersion, packet: &ToBroker<'_>, bytes: &mut BytesMut) -> Result<(), CodecError> {
    match version {
        MqttVersion::V3_1_1 => v4::write(packet, bytes),
        MqttVersion::V5 => v5::write(packet, bytes),
    }
}

/// A message: `flags` is the first byte of its fixed header, `body` what follows the header, as far as it is there.
/// Properties that do not end in it are taken for a part of the payload.
///
/// This reads what a codec would refuse (a topic that is no UTF-8 or has wildcards, properties that there are not): some
/// brokers pass such on, and send one that ends the connection again on the next, for ever. The decoders set it aside.
pub fn message(version: MqttVersion, flags: u8, mut body: Bytes) -> Result<Message, CodecError> {
    let topic_bytes = usize::from(body.try_get_u16().map_err(|_| CodecError::Head)?);
    if body.len() < topic_bytes {
        return Err(CodecError::Head);
    }
    let topic = body.split_to(topic_bytes);
    let qos = (flags >> 1) & 3;
    let packet_id = if qos == 0 { 0 } else { body.try_get_u16().map_err(|_| CodecError::Head)? };
    if version == MqttVersion::V5
        && let Some(head) = super::wire::variable_length(&body)
        && head.0 + head.1 <= body.len()
    {
        body.advance(head.0 + head.1);
    }
    let (retained, redelivered) = (flags & 1 == 1, flags & 8 == 8);
    Ok(Message { topic, payload: body, packet_id, qos, retained, redelivered })
}

/// Both libraries have it from one.
fn quality(qos: u8) -> rumqttc::QoS {
    match qos {
        0 => rumqttc::QoS::AtMostOnce,
        1 => rumqttc::QoS::AtLeastOnce,
        _ => rumqttc::QoS::ExactlyOnce,
    }
}

/// Signs of what a broker says that are told of.
const SAID_SIGNS: usize = 200;

/// What a broker says, as text that does nothing to a terminal or a line of a log, and is not long.
fn legible(said: &str) -> String {
    let mut legible = String::new();
    for sign in said.chars().take(SAID_SIGNS) {
        // The latter set the direction in which text is shown, or end a line.
        match sign.is_control()
            || matches!(sign, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            true => legible.extend(sign.escape_default()),
            false => legible.push(sign),
        }
    }
    if said.chars().nth(SAID_SIGNS).is_some() {
        legible.push('…');
    }
    legible
}

/// What to do where a broker does not let us in.
mod advice {
    pub const VERSION: &str = "it does not speak this version of MQTT; see `protocol`";
    pub const CLIENT_ID: &str = "it does not take this client_id; choose another";
    pub const UNAVAILABLE: &str = "it is not available now";
    pub const LOGIN: &str = "user name or password are wrong; check `username` and `password`";
    pub const NOT_AUTHORIZED: &str =
        "not authorised; check `username` and `password`, and the broker's access list for this client";
    pub const ACCESS_LIST: &str = "check its access list for this client";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_broker_says_is_cut() {
        assert_eq!(legible("Grüße"), "Grüße");
        assert_eq!(legible(&"é".repeat(200)), "é".repeat(200));
        assert_eq!(legible(&"é".repeat(60_000)), "é".repeat(200) + "…");
    }
}
