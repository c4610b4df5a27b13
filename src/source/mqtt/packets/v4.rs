//! MQTT 3.1.1.

use rumqttc::{
    Connect, ConnectAuth, ConnectReturnCode, LastWill, Packet, PubAck, PubComp, PubRec, Publish, Subscribe,
    SubscribeFilter, SubscribeReasonCode, Unsubscribe,
};
use tokio_util::bytes::BytesMut;

use super::{Accepted, CodecError, FromBroker, Hello, Message, ToBroker, advice, quality};

pub fn read(bytes: &mut BytesMut) -> Result<FromBroker, CodecError> {
    Ok(match Packet::read(bytes, usize::MAX).map_err(CodecError::V4)? {
        Packet::ConnAck(answer) if answer.code == ConnectReturnCode::Success => {
            FromBroker::Accepted(Accepted { session_present: answer.session_present, ..Accepted::default() })
        }
        Packet::ConnAck(answer) => FromBroker::Refused(refusal(answer.code).to_owned()),
        Packet::SubAck(answer) => {
            let results = answer.return_codes.into_iter().map(|code| match code {
                SubscribeReasonCode::Success(qos) => Ok(qos as u8),
                SubscribeReasonCode::Failure => Err(advice::ACCESS_LIST.to_owned()),
            });
            FromBroker::Granted { packet_id: answer.pkid, results: results.collect() }
        }
        Packet::UnsubAck(answer) => FromBroker::Unsubscribed { packet_id: answer.pkid, results: Vec::new() },
        Packet::PubAck(answer) => FromBroker::Published(answer.pkid),
        Packet::PubRel(release) => FromBroker::Released(release.pkid),
        Packet::PingResp => FromBroker::Pong,
        other => FromBroker::Other(format!("{:?}", other.packet_type())),
    })
}

pub fn write(packet: &ToBroker<'_>, bytes: &mut BytesMut) -> Result<(), CodecError> {
    let packet = match packet {
        ToBroker::Connect(hello) => Packet::Connect(connect(hello)),
        ToBroker::Subscribe { packet_id, filters } => {
            let filters = filters
                .iter()
                .map(|(filter, qos)| SubscribeFilter { path: (*filter).to_owned(), qos: quality(*qos) });
            let mut subscribe = Subscribe::new_many(filters);
            subscribe.pkid = *packet_id;
            Packet::Subscribe(subscribe)
        }
        ToBroker::Unsubscribe { packet_id, filters } => {
            let topics = filters.iter().map(|filter| (*filter).to_owned()).collect();
            Packet::Unsubscribe(Unsubscribe { pkid: *packet_id, topics })
        }
        ToBroker::Publish(message) => Packet::Publish(publish(message)),
        ToBroker::PubAck(id) => Packet::PubAck(PubAck::new(*id)),
        ToBroker::PubRec(id) => Packet::PubRec(PubRec::new(*id)),
        ToBroker::PubComp(id) => Packet::PubComp(PubComp::new(*id)),
        ToBroker::Ping => Packet::PingReq,
        ToBroker::Leave => Packet::Disconnect,
    };
    packet.write(bytes, usize::MAX).map_err(CodecError::V4)?;
    Ok(())
}

fn refusal(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::Success => "it gave no reason",
        ConnectReturnCode::RefusedProtocolVersion => advice::VERSION,
        ConnectReturnCode::BadClientId => advice::CLIENT_ID,
        ConnectReturnCode::ServiceUnavailable => advice::UNAVAILABLE,
        ConnectReturnCode::BadUserNamePassword => advice::LOGIN,
        ConnectReturnCode::NotAuthorized => advice::NOT_AUTHORIZED,
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
    }
}

fn connect(hello: &Hello<'_>) -> Connect {
    let auth = match (hello.username, hello.password) {
        (Some(username), Some(password)) => ConnectAuth::UsernamePassword {
            username: username.to_owned(),
            password: password.to_owned().into(),
        },
        (Some(username), None) => ConnectAuth::Username { username: username.to_owned() },
        (None, _) => ConnectAuth::None,
    };
    let last_will = hello.will.map(|will| {
        let topic = String::from_utf8_lossy(&will.topic);
        LastWill::new(topic, will.payload.to_vec(), quality(will.qos), will.retained)
    });
    Connect {
        keep_alive: hello.keepalive_s,
        client_id: hello.client_id.to_owned(),
        clean_session: hello.clean,
        last_will,
        auth,
    }
}
