//! An MQTT message to the decoder of its topic's format, and whom it is of.
//!
//! Where several subscriptions take a topic, the first in the configuration's order reads it. Where the topic
//! names the device, a payload that names another is set aside: whoever may write to one topic must not move
//! another's tracker.

use super::sparkplug::{self, Nodes};
use super::{Format, json, nmea, owntracks, teltonika};
use crate::config::{IntakeConfig, TopicConfig};
use crate::decode::{DecodeError, Decoded};
use crate::domain::frames::Request;
use crate::domain::state::StateRow;
use crate::domain::time::Timestamp;

/// The topics of one broker, and what messages on them rest on that came before.
#[derive(Debug)]
pub struct MessageDecoder {
    topics: Vec<TopicConfig>,
    nodes: Nodes,
    dated: nmea::Dated,
}

/// One message, as every format gets it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    /// When it came: the time of what tells none itself.
    pub received: Timestamp,
    pub retained: bool,
    /// It may have come before.
    pub redelivered: bool,
}

impl<'a> Message<'a> {
    /// One that comes for the first time.
    pub fn new(topic: &'a str, payload: &'a [u8], received: Timestamp) -> Self {
        Self { topic, payload, received, retained: false, redelivered: false }
    }
}

impl MessageDecoder {
    pub fn new(topics: &[TopicConfig], intake: &IntakeConfig) -> Self {
        let (nodes, dated) = (Nodes::new(intake), nmea::Dated::new(intake.max_trackers));
        Self { topics: topics.to_vec(), nodes, dated }
    }

    /// # Errors
    /// `no-topic` where no subscription takes the topic, `topic` where it does not name the device that it
    /// should, and what the format's own decoder says. Where nothing of a message is a reading, the first of its
    /// faults is the error.
    pub fn decode(&mut self, message: Message<'_>, out: &mut Decoded) -> Result<(), DecodeError> {
        let Some(topic) = self.topics.iter().find(|topic| topic.pattern.takes(message.topic)) else {
            return Err(fault(
                "no-topic",
                format!("no configured topic takes `{}`", super::clip(message.topic)),
            ));
        };
        let named = topic.pattern.device(message.topic);
        if named.is_none() && topic.pattern.names_device() {
            let (topic, pattern) = (super::clip(message.topic), topic.pattern.written());
            return Err(fault(
                "topic",
                format!("no device in the topic `{topic}`, where `{pattern}` has it"),
            ));
        }
        let named = named.as_deref().map(super::device).transpose()?;
        match &topic.format {
            Format::OwnTracks => {
                let named = named.map(|device| (device, &topic.pattern));
                owntracks::decode_of(message, named, &mut out.readings)?;
            }
            Format::Json(mapping) => json::decode(mapping, message, named.as_ref(), out)?,
            Format::Nmea(dating) => {
                nmea::decode(message, &named.ok_or_else(nameless)?, *dating, &mut self.dated, out)?;
            }
            Format::Teltonika => teltonika::decode_message(message, &named.ok_or_else(nameless)?, out)?,
            Format::SparkplugB { mapping, rebirth } => {
                let taken = sparkplug::decode(&mut self.nodes, mapping, message, named.as_ref(), out);
                if *rebirth {
                    self.nodes.ask();
                }
                taken?;
            }
        }
        out.or_fault()
    }

    /// Messages of ours that those of others led to, since the last call.
    pub fn take_requests(&mut self) -> Vec<Request> {
        self.nodes.take_requests()
    }

    /// Rows that changed since the last call; `of`: the broker.
    pub fn take_dirty(&mut self, of: &str, rows: &mut Vec<StateRow>) {
        self.nodes.take_dirty(of, rows);
    }

    /// Takes up a row of an earlier run, by its key without the broker. To be called in the order of keys.
    ///
    /// # Errors
    /// The row is none.
    pub fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), serde_json::Error> {
        self.nodes.restore(key, value)
    }
}

/// The configuration refuses such topics.
fn nameless() -> DecodeError {
    fault("topic", "nothing names the device".to_owned())
}

fn fault(reason: &'static str, message: String) -> DecodeError {
    DecodeError { reason, offset: 0, message }
}
