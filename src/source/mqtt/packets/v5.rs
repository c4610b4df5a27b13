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
use tokio_util::bytes::BytesMut;

use super::{Accepted, CodecError, FromBroker, Hello, Message, ToBroker, advice, quality};

pub fn read(bytes: &mut BytesMut) -> Result<FromBroker, CodecError> {
    Ok(match Packet::read(bytes, None).map_err(CodecError::V5)? {
        Packet::ConnAck(answer) if answer.code == ConnectReturnCode::Success => {
            FromBroker::Accepted(accepted(&answer))
        }
        Packet::ConnAck(answer) => {
            let said = answer.properties.and_then(|properties| properties.reason_string);
            FromBroker::Refused(with_reason(refusal(answer.code), said))
        }
        Packet::SubAck(answer) => {
            let results = answer.return_codes.into_iter().map(|code| match code {
                SubscribeReasonCode::Success(qos) => Ok(qos as u8),
                refused => Err(not_granted(refused).to_owned()),
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
        Some(said) if !said.is_empty() => format!("{why}; it says: {said}"),
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

fn parting(code: DisconnectReasonCode) -> String {
    match code {
        DisconnectReasonCode::SessionTakenOver => {
            "another client connected with the same client_id: is a second daemon running?".to_owned()
        }
        DisconnectReasonCode::ServerShuttingDown => "it is shutting down".to_owned(),
        DisconnectReasonCode::KeepAliveTimeout => {
            "it heard nothing of us for longer than the keepalive".to_owned()
        }
        DisconnectReasonCode::NotAuthorized => advice::NOT_AUTHORIZED.to_owned(),
        other => format!("{other:?}"),
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
