//! An MQTT topic as a receiver: each transition with QoS 1 to `topic/rule/subject`, and, where that is
//! wanted, what stands as a retained message under `topic/state/`. A connection lives as long as there is
//! something to say.

use std::time::Duration;

use rumqttc::{Packet, Publish, QoS};
use tokio::time::timeout;

use super::courier::{Carrier, Undelivered};
use super::notice::Notice;
use crate::config::MqttReceiverConfig;
use crate::domain::alerts::{AlertKey, AlertState};
use crate::source::mqtt::handshake::{self, ConnectError};
use crate::source::mqtt::wire::{Connection, Incoming, Limits, WireError};

/// Connecting, or one message and its acknowledgement.
const PATIENCE: Duration = Duration::from_secs(10);
/// Nothing that a broker sends to one who subscribes to nothing is near this.
const LIMITS: Limits = Limits { max_payload: 64 << 10, max_kept: 64 << 10 };

pub struct Topic {
    config: MqttReceiverConfig,
    connection: Option<Connection>,
    last_id: u16,
}

#[derive(Debug, thiserror::Error)]
enum PublishError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the broker did not acknowledge within {PATIENCE:?}")]
    Silent,
}

impl Topic {
    pub fn new(config: MqttReceiverConfig) -> Self {
        Self { config, connection: None, last_id: 0 }
    }

    async fn tell(&mut self, notice: &Notice) -> Result<(), PublishError> {
        let topic = topic(&self.config.topic, &notice.alert.key);
        self.publish(topic, notice.body.clone(), false).await?;
        if self.config.retain_state {
            let over = notice.alert.state == AlertState::Resolved;
            // An empty retained message takes back the one that is there.
            let standing = if over { String::new() } else { notice.body.clone() };
            let base = format!("{}/state", self.config.topic);
            self.publish(self::topic(&base, &notice.alert.key), standing, true).await?;
        }
        Ok(())
    }

    async fn publish(&mut self, topic: String, payload: String, retain: bool) -> Result<(), PublishError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => handshake::connect(&self.config.broker, LIMITS).await?.0,
        };
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        publish.pkid = self.last_id;
        publish.retain = retain;
        connection.output.queue(&Packet::Publish(publish))?;
        connection.output.write().await?;
        loop {
            match connection.input.next()? {
                Some(Incoming::Control(Packet::PubAck(ack))) if ack.pkid == self.last_id => break,
                Some(_) => {}
                None => connection.input.fill().await?,
            }
        }
        self.connection = Some(connection);
        Ok(())
    }
}

impl Carrier for Topic {
    fn address(&self) -> String {
        format!("{}:{}/{}", self.config.broker.host, self.config.broker.port, self.config.topic)
    }

    async fn carry(&mut self, notice: &Notice) -> Result<(), Undelivered> {
        let told = timeout(PATIENCE, self.tell(notice)).await.unwrap_or(Err(PublishError::Silent));
        told.map_err(|error| {
            self.connection = None;
            Undelivered::Later { reason: error.to_string(), not_before: None }
        })
    }

    async fn rest(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let leave = async {
            connection.output.queue(&Packet::Disconnect)?;
            connection.close().await
        };
        if !matches!(timeout(PATIENCE, leave).await, Ok(Ok(()))) {
            tracing::debug!(receiver = self.config.receiver.name, "the broker did not take leave");
        }
    }
}

/// Levels are kept; what a topic to publish to must not hold (MQTT 3.1.1, section 4.7.1) is replaced.
fn topic(base: &str, key: &AlertKey) -> String {
    let subject: String =
        key.subject.chars().map(|c| if matches!(c, '+' | '#' | '\0') { '_' } else { c }).collect();
    format!("{base}/{}/{subject}", key.rule.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alerts::Rule;

    #[test]
    fn a_subject_makes_no_wildcard() {
        let key = AlertKey::new(Rule::WatcherSuspect, "CRIB+CRIB-B");
        assert_eq!(topic("t/a", &key), "t/a/watcher-suspect/CRIB_CRIB-B");
        assert_eq!(topic("t", &AlertKey::new(Rule::SensorBad, "cold-1/temp")), "t/sensor-bad/cold-1/temp");
    }
}
