//! An MQTT topic as a receiver: each transition with QoS 1 to `topic/rule/subject`, and, where that is
//! wanted, what stands as a retained message under `topic/state/`. A connection lives as long as there is
//! something to say.

use super::courier::{Carrier, Undelivered};
use super::notice::Notice;
use super::publisher::{PublishError, Publisher};
use crate::config::MqttReceiverConfig;
use crate::domain::alerts::{AlertKey, AlertState};

pub struct Topic {
    config: MqttReceiverConfig,
    publisher: Publisher,
}

impl Topic {
    pub fn new(config: MqttReceiverConfig) -> Self {
        Self { publisher: Publisher::new(config.broker.clone(), None), config }
    }

    async fn tell(&mut self, notice: &Notice) -> Result<(), PublishError> {
        let topic = topic(&self.config.topic, &notice.alert.key);
        self.publisher.publish(topic, notice.body.clone(), false).await?;
        if self.config.retain_state {
            let over = notice.alert.state == AlertState::Resolved;
            // An empty retained message takes back the one that is there.
            let standing = if over { String::new() } else { notice.body.clone() };
            let base = format!("{}/state", self.config.topic);
            self.publisher.publish(self::topic(&base, &notice.alert.key), standing, true).await?;
        }
        Ok(())
    }
}

impl Carrier for Topic {
    fn kind(&self) -> &'static str {
        "mqtt"
    }

    fn address(&self) -> String {
        format!("{}:{}/{}", self.config.broker.host, self.config.broker.port, self.config.topic)
    }

    async fn carry(&mut self, notice: &Notice) -> Result<(), Undelivered> {
        let told = self.tell(notice).await;
        told.map_err(|error| Undelivered::Later { reason: error.to_string(), not_before: None })
    }

    async fn rest(&mut self) {
        self.publisher.leave().await;
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
