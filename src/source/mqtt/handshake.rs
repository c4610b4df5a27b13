//! CONNECT and SUBSCRIBE: what we ask of a broker, and what its refusals mean.

use std::io;
use std::time::Duration;

use rumqttc::{
    Connect, ConnectAuth, ConnectReturnCode, LastWill, Packet, QoS, SubAck, Subscribe, SubscribeFilter,
    SubscribeReasonCode,
};

use super::wire::{Connection, Incoming, Limits, WireError};
use crate::config::{BrokerConfig, TopicConfig};

/// Of the one SUBSCRIBE that a connection carries.
pub const SUBSCRIBE_ID: u16 = 1;

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("failed to connect to {host}:{port}: {error}")]
    Open { host: String, port: u16, error: io::Error },
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("the broker refused the connection: {}", advice(*.0))]
    Refused(ConnectReturnCode),
    #[error("the broker answered CONNECT with something else")]
    NotConnAck,
    #[error(transparent)]
    Wire(#[from] WireError),
}

fn advice(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::Success => "it gave no reason",
        ConnectReturnCode::RefusedProtocolVersion => "it does not speak MQTT 3.1.1",
        ConnectReturnCode::BadClientId => "it does not take this client_id; choose another",
        ConnectReturnCode::ServiceUnavailable => "it is not available now",
        ConnectReturnCode::BadUserNamePassword => {
            "user name or password are wrong; check `username` and `password`"
        }
        ConnectReturnCode::NotAuthorized => {
            "not authorised; check `username` and `password`, and the broker's access list for this client"
        }
    }
}

/// A connection that the broker has accepted, and whether it still knew our session. `will`: what the broker
/// publishes where the connection ends without our leave.
pub async fn connect(
    config: &BrokerConfig,
    limits: Limits,
    will: Option<LastWill>,
) -> Result<(Connection, bool), ConnectError> {
    let mut connection = Connection::open(&config.host, config.port, limits)
        .await
        .map_err(|error| ConnectError::Open { host: config.host.clone(), port: config.port, error })?;
    connection.output.queue(&Packet::Connect(hello(config, will)))?;
    connection.output.write().await?;
    let answer = loop {
        match connection.input.next()? {
            Some(answer) => break answer,
            None => connection.input.fill().await?,
        }
    };
    match answer {
        Incoming::Control(Packet::ConnAck(answer)) if answer.code == ConnectReturnCode::Success => {
            Ok((connection, answer.session_present))
        }
        Incoming::Control(Packet::ConnAck(answer)) => Err(ConnectError::Refused(answer.code)),
        Incoming::Control(_) | Incoming::Publish(_) | Incoming::TooLong { .. } => {
            Err(ConnectError::NotConnAck)
        }
    }
}

fn hello(config: &BrokerConfig, last_will: Option<LastWill>) -> Connect {
    let auth = match (&config.username, &config.password) {
        (Some(username), Some(password)) => ConnectAuth::UsernamePassword {
            username: username.clone(),
            password: password.reveal().to_owned().into(),
        },
        (Some(username), None) => ConnectAuth::Username { username: username.clone() },
        (None, _) => ConnectAuth::None,
    };
    Connect {
        keep_alive: u16::try_from(config.keepalive.as_secs()).unwrap_or(u16::MAX),
        client_id: config.client_id.clone(),
        clean_session: false,
        last_will,
        auth,
    }
}

/// All filters in one packet. QoS 2 is asked for as QoS 1: the journal recognises what comes twice,
/// and one round trip less is twice the throughput.
pub fn subscription(topics: &[TopicConfig]) -> Packet {
    let filters = topics.iter().map(|topic| {
        let qos = if topic.qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        SubscribeFilter { path: topic.pattern.filter().to_owned(), qos }
    });
    let mut subscribe = Subscribe::new_many(filters);
    subscribe.pkid = SUBSCRIBE_ID;
    Packet::Subscribe(subscribe)
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum SubscribeError {
    #[error("the broker refused the subscription to `{0}`; check its access list for this client")]
    Refused(String),
    #[error("the broker answered {asked} subscriptions with {answered} results")]
    Mismatch { asked: usize, answered: usize },
}

/// What the broker granted. Gives the filters that it serves with QoS 0 although more was asked for.
pub fn granted<'a>(topics: &'a [TopicConfig], answer: &SubAck) -> Result<Vec<&'a str>, SubscribeError> {
    let (asked, answered) = (topics.len(), answer.return_codes.len());
    if answer.pkid != SUBSCRIBE_ID || asked != answered {
        return Err(SubscribeError::Mismatch { asked, answered });
    }
    let mut lowered = Vec::new();
    for (topic, code) in topics.iter().zip(&answer.return_codes) {
        match code {
            SubscribeReasonCode::Failure => {
                return Err(SubscribeError::Refused(topic.pattern.filter().to_owned()));
            }
            SubscribeReasonCode::Success(QoS::AtMostOnce) if topic.qos > 0 => {
                lowered.push(topic.pattern.filter())
            }
            SubscribeReasonCode::Success(_) => {}
        }
    }
    Ok(lowered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::gps::Format;
    use crate::decode::gps::topic::TopicPattern;

    fn topics(qos: &[u8]) -> Vec<TopicConfig> {
        let topic = |qos: &u8| TopicConfig {
            pattern: TopicPattern::parse(&format!("f/{qos}")).unwrap(),
            format: Format::OwnTracks,
            qos: *qos,
        };
        qos.iter().map(topic).collect()
    }

    #[test]
    fn qos_2_is_asked_for_as_qos_1() {
        let Packet::Subscribe(subscribe) = subscription(&topics(&[0, 1, 2])) else { panic!("no SUBSCRIBE") };
        let asked: Vec<_> = subscribe.filters.iter().map(|filter| filter.qos).collect();
        assert_eq!(asked, [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::AtLeastOnce]);
    }

    #[test]
    fn every_filter_must_be_granted() {
        let topics = topics(&[1, 0, 2]);
        let ok = SubscribeReasonCode::Success;
        let answer = |codes| SubAck::new(SUBSCRIBE_ID, codes);
        let codes = vec![ok(QoS::AtLeastOnce), ok(QoS::AtMostOnce), ok(QoS::AtMostOnce)];
        assert_eq!(granted(&topics, &answer(codes)), Ok(vec!["f/2"]));
        let codes = vec![ok(QoS::AtLeastOnce), SubscribeReasonCode::Failure, ok(QoS::AtLeastOnce)];
        assert_eq!(granted(&topics, &answer(codes)), Err(SubscribeError::Refused("f/0".into())));
        let mismatch = SubscribeError::Mismatch { asked: 3, answered: 1 };
        assert_eq!(granted(&topics, &answer(vec![ok(QoS::AtLeastOnce)])), Err(mismatch));
    }
}
