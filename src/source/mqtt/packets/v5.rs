//! MQTT 5.
//!
//! Topic aliases are not allowed to the broker (their default), so that a message always has its topic. No maximum
//! packet size is set: a broker would drop what is longer, and nobody would know.

use std::time::Duration;

use rumqttc5::mqttbytes::v5::{
    ConnAck, Connect, ConnectAuth, ConnectProperties, ConnectReturnCode, Disconnect, DisconnectReasonCode,
    LastWill, Packet, PubAck, PubComp, PubRec, Publish, RetainForwardRule, Subscribe, SubscribeFilter,
    SubscribeReasonCode, UnsubAckReason, Unsubscribe,
};
use tokio_util::bytes::{Buf, BytesMut};

use super::{Accepted, CodecError, FromBroker, Hello, Message, ToBroker, advice, legible, quality};
use crate::source::mqtt::wire::variable_length;

/// The first byte of one.
const DISCONNECT: u8 = 0xe0;

pub fn read(bytes: &mut BytesMut) -> Result<FromBroker, CodecError> {
    if let Some(farewell) = short_farewell(bytes) {
        return Ok(farewell);
    }
    Ok(match Packet::read(bytes, None).map_err(CodecError::V5)? {
        Packet::ConnAck(answer) if answer.code == ConnectReturnCode::Success => {
            FromBroker::Accepted(accepted(&answer))
        }
        Packet::ConnAck(answer) => {
            let said = answer.properties.and_then(|properties| properties.reason_string);
            FromBroker::Refused(with_reason(refusal(answer.code), said))
        }
        Packet::SubAck(answer) => {
            let said = answer.properties.and_then(|properties| properties.reason_string);
            let results = answer.return_codes.into_iter().map(|code| match code {
                SubscribeReasonCode::Success(qos) => Ok(qos as u8),
                refused => Err(with_reason(not_granted(refused), said.clone())),
            });
            FromBroker::Granted { packet_id: answer.pkid, results: results.collect() }
        }
        Packet::UnsubAck(answer) => {
            let results = answer.reasons.into_iter().map(|reason| match reason {
                UnsubAckReason::Success | UnsubAckReason::NoSubscriptionExisted => Ok(()),
                refused => Err(format!("{refused:?}")),
            });
            FromBroker::Unsubscribed { packet_id: answer.pkid, results: results.collect() }
        }
        Packet::PubAck(answer) => FromBroker::Published(answer.pkid),
        Packet::PubRel(release) => FromBroker::Released(release.pkid),
        Packet::PingResp => FromBroker::Pong,
        Packet::Disconnect(farewell) => {
            let said = farewell.properties.and_then(|properties| properties.reason_string);
            FromBroker::Farewell(with_reason(parting(farewell.reason_code), said))
        }
        other => FromBroker::Other(name(&other).to_owned()),
    })
}

/// A DISCONNECT that ends with its reason, or has one that the codec does not know. The former may be sent where there are no
/// properties (section 3.14.2.2.1), and the codec takes it for no packet.
fn short_farewell(bytes: &mut BytesMut) -> Option<FromBroker> {
    let (&DISCONNECT, rest) = bytes.split_first()? else { return None };
    let (length_bytes, body_bytes) = variable_length(rest)?;
    let code = *rest.get(length_bytes..length_bytes + body_bytes)?.first()?;
    let known = DisconnectReasonCode::try_from(code);
    if body_bytes != 1 && known.is_ok() {
        return None;
    }
    bytes.advance((1 + length_bytes + body_bytes).min(bytes.len()));
    Some(FromBroker::Farewell(
        known.map_or_else(|_| format!("reason {code:#04x}"), |known| parting(known).to_owned()),
    ))
}

pub fn write(packet: &ToBroker<'_>, bytes: &mut BytesMut) -> Result<(), CodecError> {
    let packet = match packet {
        ToBroker::Connect(hello) => connect(hello),
        ToBroker::Subscribe { packet_id, filters } => {
            let filters = filters.iter().map(|(filter, qos)| SubscribeFilter {
                // What the broker retains comes with a new subscription, not with every connection.
                retain_forward_rule: RetainForwardRule::OnNewSubscribe,
                ..SubscribeFilter::new(*filter, quality(*qos))
            });
            let mut subscribe = Subscribe::new_many(filters, None);
            subscribe.pkid = *packet_id;
            Packet::Subscribe(subscribe)
        }
        ToBroker::Unsubscribe { packet_id, filters } => {
            let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
            Packet::Unsubscribe(Unsubscribe { pkid: *packet_id, filters, properties: None })
        }
        ToBroker::Publish(message) => Packet::Publish(publish(message)),
        ToBroker::PubAck(id) => Packet::PubAck(PubAck::new(*id, None)),
        ToBroker::PubRec(id) => Packet::PubRec(PubRec::new(*id, None)),
        ToBroker::PubComp(id) => Packet::PubComp(PubComp::new(*id, None)),
        ToBroker::Ping => Packet::PingReq,
        ToBroker::Leave => Packet::Disconnect(Disconnect::new(DisconnectReasonCode::NormalDisconnection)),
    };
    packet.write(bytes, None).map_err(CodecError::V5)?;
    Ok(())
}

fn accepted(answer: &ConnAck) -> Accepted {
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    let properties = answer.properties.as_ref();
    Accepted {
        session_present: answer.session_present,
        keepalive: properties.and_then(|it| it.server_keep_alive).map(|it| seconds(it.into())),
        session_expiry: properties.and_then(|it| it.session_expiry_interval).map(seconds),
    }
}

/// With what the broker says itself.
fn with_reason(why: impl Into<String>, said: Option<String>) -> String {
    let why = why.into();
    match said {
        Some(said) if !said.is_empty() => format!("{why}; it says: {}", legible(&said)),
        Some(_) | None => why,
    }
}

fn refusal(code: ConnectReturnCode) -> String {
    use ConnectReturnCode::{
        BadClientId, BadUserNamePassword, ClientIdentifierNotValid, NotAuthorized, RefusedProtocolVersion,
        ServerBusy, ServerUnavailable, ServiceUnavailable, UnsupportedProtocolVersion,
    };
    match code {
        RefusedProtocolVersion | UnsupportedProtocolVersion => advice::VERSION.to_owned(),
        BadClientId | ClientIdentifierNotValid => advice::CLIENT_ID.to_owned(),
        ServerUnavailable | ServiceUnavailable | ServerBusy => advice::UNAVAILABLE.to_owned(),
        BadUserNamePassword => advice::LOGIN.to_owned(),
        NotAuthorized => advice::NOT_AUTHORIZED.to_owned(),
        other => format!("{other:?}"),
    }
}

fn not_granted(code: SubscribeReasonCode) -> &'static str {
    match code {
        SubscribeReasonCode::NotAuthorized => advice::ACCESS_LIST,
        SubscribeReasonCode::TopicFilterInvalid => "it does not take such a filter",
        SubscribeReasonCode::QuotaExceeded => "it allows no more subscriptions",
        SubscribeReasonCode::SharedSubscriptionsNotSupported => "it has no shared subscriptions ($share)",
        SubscribeReasonCode::WildcardSubscriptionsNotSupported => "it has no wildcards (+, #)",
        SubscribeReasonCode::Success(_)
        | SubscribeReasonCode::Failure
        | SubscribeReasonCode::Unspecified
        | SubscribeReasonCode::ImplementationSpecific
        | SubscribeReasonCode::PkidInUse
        | SubscribeReasonCode::SubscriptionIdNotSupported => "it gave no reason that helps",
    }
}

fn parting(code: DisconnectReasonCode) -> &'static str {
    use DisconnectReasonCode as Code;
    match code {
        Code::NormalDisconnection | Code::DisconnectWithWillMessage | Code::UnspecifiedError => {
            "it gave no reason"
        }
        Code::MalformedPacket | Code::ProtocolError => {
            "it takes what we sent for no proper MQTT 5; see `protocol`, and its log"
        }
        Code::ImplementationSpecificError => "it cannot do what we asked for; see its log",
        Code::NotAuthorized => advice::NOT_AUTHORIZED,
        Code::ServerBusy => "it is too busy",
        Code::ServerShuttingDown => "it is shutting down",
        Code::KeepAliveTimeout => "it heard nothing of us for longer than the keepalive",
        Code::SessionTakenOver => {
            "another client connected with the same client_id: is a second daemon running?"
        }
        Code::TopicFilterInvalid => "it does not take one of our topic filters",
        Code::TopicNameInvalid => "it does not take a topic that we publish to",
        Code::ReceiveMaximumExceeded => "it says that we sent more at once than it takes",
        Code::TopicAliasInvalid => "it says that we used a topic alias, which we do not",
        Code::PacketTooLarge => "a message of ours is longer than it takes",
        Code::MessageRateTooHigh => "it says that we send too much; see its limits",
        Code::QuotaExceeded => "a limit that it has for this client is reached; see its limits",
        Code::AdministrativeAction => "somebody who looks after it ended the connection; ask them",
        Code::PayloadFormatInvalid => "it does not take what a message of ours says",
        Code::RetainNotSupported => "it keeps no messages (retain), and one of ours asks for that",
        Code::QoSNotSupported => "it does not serve the QoS that we asked for",
        Code::UseAnotherServer | Code::ServerMoved => "it wants us to use another broker; see `address`",
        Code::SharedSubscriptionNotSupported => "it has no shared subscriptions ($share)",
        Code::ConnectionRateExceeded => "it says that we connect too often; see its limits",
        Code::MaximumConnectTime => "it lets no client stay for longer",
        Code::SubscriptionIdentifiersNotSupported => {
            "it has no subscription identifiers, which we do not use"
        }
        Code::WildcardSubscriptionsNotSupported => "it has no wildcards (+, #)",
    }
}

fn name(packet: &Packet) -> &'static str {
    match packet {
        Packet::Auth(_) => "AUTH",
        Packet::Connect(..) => "CONNECT",
        Packet::PingReq => "PINGREQ",
        Packet::Subscribe(_) => "SUBSCRIBE",
        Packet::Unsubscribe(_) => "UNSUBSCRIBE",
        Packet::UnsubAck(_) => "UNSUBACK",
        Packet::PubRec(_) => "PUBREC",
        Packet::PubComp(_) => "PUBCOMP",
        _ => "packet",
    }
}

fn publish(message: &Message) -> Publish {
    Publish {
        dup: message.redelivered,
        qos: quality(message.qos),
        retain: message.retained,
        topic: message.topic.clone(),
        pkid: message.packet_id,
        payload: message.payload.clone(),
        properties: None,
    }
}

fn connect(hello: &Hello<'_>) -> Packet {
    let auth = match (hello.username, hello.password) {
        (Some(username), Some(password)) => ConnectAuth::UsernamePassword {
            username: username.to_owned(),
            password: password.to_owned().into(),
        },
        (Some(username), None) => ConnectAuth::Username { username: username.to_owned() },
        (None, _) => ConnectAuth::None,
    };
    let will = hello.will.map(|will| {
        let topic = String::from_utf8_lossy(&will.topic);
        LastWill::new(topic, will.payload.to_vec(), quality(will.qos), will.retained, None)
    });
    let properties = ConnectProperties {
        session_expiry_interval: Some(hello.session_expiry_s),
        receive_maximum: Some(hello.receive_maximum),
        ..ConnectProperties::new()
    };
    let connect = Connect {
        keep_alive: hello.keepalive_s,
        client_id: hello.client_id.to_owned(),
        clean_start: hello.clean,
        properties: Some(properties),
    };
    Packet::Connect(connect, will, auth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn farewell(bytes: &[u8]) -> String {
        // A PINGRESP follows, and must be left there.
        let mut bytes = BytesMut::from(&[bytes, &[0xd0, 0]].concat()[..]);
        let Ok(FromBroker::Farewell(why)) = read(&mut bytes) else { panic!("no farewell") };
        assert_eq!(bytes[..], [0xd0, 0]);
        why
    }

    /// A DISCONNECT, a CONNACK and a SUBACK that say `said`.
    fn saying(said: &str) -> [BytesMut; 3] {
        let property = [&[0x1f, 0, said.len() as u8][..], said.as_bytes()].concat();
        let packet = |kind: u8, before: &[u8], after: &[u8]| {
            let head = [kind, (before.len() + 1 + property.len() + after.len()) as u8];
            BytesMut::from(&[&head, before, &[property.len() as u8], &property, after].concat()[..])
        };
        [packet(0xe0, &[0x8b], &[]), packet(0x20, &[0, 0x87], &[]), packet(0x90, &[0, 1], &[0x87])]
    }

    /// It goes to log, alert and terminal.
    #[test]
    fn what_a_broker_says_does_nothing_to_a_terminal() {
        for mut packet in saying("a\u{1b}[2J\nb\u{202e}") {
            let why = match read(&mut packet).unwrap() {
                FromBroker::Farewell(why) | FromBroker::Refused(why) => why,
                FromBroker::Granted { results, .. } => results[0].clone().unwrap_err(),
                other => panic!("{other:?}"),
            };
            assert!(why.ends_with("; it says: a\\u{1b}[2J\\nb\\u{202e}"), "{why}");
        }
    }

    /// Without the length of its properties, as some brokers send it; with a reason that is none of the standard's.
    #[test]
    fn a_farewell_is_told_in_words_however_short_it_is() {
        assert!(farewell(&[0xe0, 1, 0x98]).starts_with("somebody who looks after it"));
        assert_eq!(farewell(&[0xe0, 1, 0x98]), farewell(&[0xe0, 2, 0x98, 0]));
        assert_eq!(farewell(&[0xe0, 0]), "it gave no reason");
        assert_eq!(farewell(&[0xe0, 1, 0xee]), "reason 0xee");
        assert_eq!(farewell(&[0xe0, 2, 0xee, 0]), "reason 0xee");
    }
}
