//! CONNECT and SUBSCRIBE: what we ask of a broker, and what its refusals mean.

use std::time::Duration;

use tracing::warn;

use super::packets::{Accepted, FromBroker, Hello, Message, ToBroker};
use super::wire::{Connection, Incoming, Limits, WireError};
use crate::config::{BrokerConfig, MqttVersion, TopicConfig};
use crate::source::dial::DialError;

/// Of the one SUBSCRIBE that a connection carries.
pub const SUBSCRIBE_ID: u16 = 1;

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("{host}:{port}: {error}")]
    Open { host: String, port: u16, error: DialError },
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("the broker refused the connection: {0}")]
    Refused(String),
    #[error("the broker answered CONNECT with something else")]
    NotConnAck,
    #[error("the broker closed the connection without an answer: does it expect TLS there? see `tls`")]
    ClosedAtOnce,
    #[error(
        "{error} (before its answer: it may expect TLS there, see `tls`, or not speak MQTT 5, see `protocol`)"
    )]
    NotV5 { error: WireError },
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// What the broker is to keep for us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Session {
    Kept,
    /// Nothing: neither what there was, nor this.
    Clean,
}

/// A connection that the broker has accepted, and how. `will`: what the broker publishes where the connection ends
/// without our leave.
pub async fn connect(
    config: &BrokerConfig,
    session: Session,
    limits: Limits,
    will: Option<&Message>,
) -> Result<(Connection, Accepted), ConnectError> {
    let BrokerConfig { host, port, tls, version, .. } = config;
    let mut connection = Connection::open(host, *port, tls.as_ref(), *version, limits)
        .await
        .map_err(|error| ConnectError::Open { host: host.clone(), port: *port, error })?;
    connection.output.queue(&ToBroker::Connect(hello(config, session, will)))?;
    let written = connection.output.write().await;
    let answered = answer(&mut connection).await;
    // Where it has hung up already, what it said of our certificate before is still there to be read.
    if !matches!(answered, Err(WireError::NotTaken(_))) {
        written?;
    }
    let answer = match answered {
        // A broker of 3.1.1 alone closes without a word, or answers in its own version.
        Err(error) if *version == MqttVersion::V5 && error.is_an_end() => {
            return Err(ConnectError::NotV5 { error });
        }
        Err(error) if error.is_an_end() => return Err(ConnectError::ClosedAtOnce),
        answer => answer?,
    };
    match answer {
        Incoming::Packet(FromBroker::Accepted(accepted)) => {
            let asked = config.session_expiry;
            let lower =
                accepted.session_expiry.filter(|granted| session == Session::Kept && *granted < asked);
            if let Some(granted) = lower {
                warn!(source = %config.name, ?granted, ?asked, "the broker keeps our session for less than \
                    session_expiry: what it holds for us is gone after a longer absence");
            }
            Ok((connection, accepted))
        }
        Incoming::Packet(FromBroker::Refused(why)) => Err(ConnectError::Refused(why)),
        Incoming::Packet(_) | Incoming::TooLong { .. } => Err(ConnectError::NotConnAck),
    }
}

async fn answer(connection: &mut Connection) -> Result<Incoming, WireError> {
    loop {
        match connection.input.next()? {
            Some(answer) => return Ok(answer),
            None => connection.input.fill().await?,
        }
    }
}

fn hello<'a>(config: &'a BrokerConfig, session: Session, will: Option<&'a Message>) -> Hello<'a> {
    let kept = session == Session::Kept;
    let expiry_s = u32::try_from(config.session_expiry.as_secs()).unwrap_or(u32::MAX);
    Hello {
        client_id: &config.client_id,
        username: config.username.as_deref(),
        password: config.password.as_ref().map(|password| password.reveal()),
        keepalive_s: u16::try_from(config.keepalive.as_secs()).unwrap_or(u16::MAX),
        clean: !kept,
        will,
        session_expiry_s: if kept { expiry_s } else { 0 },
        receive_maximum: config.max_inflight.max(1),
    }
}

/// All filters in one packet. QoS 2 is asked for as QoS 1: the journal recognises what comes twice,
/// and one round trip less is twice the throughput.
pub fn subscription(topics: &[TopicConfig]) -> ToBroker<'_> {
    let filters = topics.iter().map(|topic| (topic.pattern.filter(), topic.qos.min(1)));
    ToBroker::Subscribe { packet_id: SUBSCRIBE_ID, filters: filters.collect() }
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum SubscribeError {
    #[error("the broker refused the subscription to `{filter}`: {why}")]
    Refused { filter: String, why: String },
    #[error("the broker answered {asked} subscriptions with {answered} results")]
    Mismatch { asked: usize, answered: usize },
}

/// What the broker granted. Gives the filters that it serves with QoS 0 although more was asked for.
pub fn granted<'a>(
    topics: &'a [TopicConfig],
    packet_id: u16,
    results: &[Result<u8, String>],
) -> Result<Vec<&'a str>, SubscribeError> {
    let (asked, answered) = (topics.len(), results.len());
    if packet_id != SUBSCRIBE_ID || asked != answered {
        return Err(SubscribeError::Mismatch { asked, answered });
    }
    let mut lowered = Vec::new();
    for (topic, result) in topics.iter().zip(results) {
        let filter = topic.pattern.filter();
        match result {
            Err(why) => {
                return Err(SubscribeError::Refused { filter: filter.to_owned(), why: why.clone() });
            }
            Ok(0) if topic.qos > 0 => lowered.push(filter),
            Ok(_) => {}
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
        let topics = topics(&[0, 1, 2]);
        let ToBroker::Subscribe { filters, .. } = subscription(&topics) else { panic!("no SUBSCRIBE") };
        assert_eq!(filters, [("f/0", 0), ("f/1", 1), ("f/2", 1)]);
    }

    #[test]
    fn every_filter_must_be_granted() {
        let topics = topics(&[1, 0, 2]);
        let granted = |results: &[_]| granted(&topics, SUBSCRIBE_ID, results);
        assert_eq!(granted(&[Ok(1), Ok(0), Ok(0)]), Ok(vec!["f/2"]));
        let refused = SubscribeError::Refused { filter: "f/0".to_owned(), why: "no".to_owned() };
        assert_eq!(granted(&[Ok(1), Err("no".to_owned()), Ok(1)]), Err(refused));
        let mismatch = SubscribeError::Mismatch { asked: 3, answered: 1 };
        assert_eq!(granted(&[Ok(1)]), Err(mismatch));
    }
}
