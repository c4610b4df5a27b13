//! JSON payloads of trackers, by a mapping → an object a fix.

use std::io::{self, Write};

use serde_json::Value;

use super::Lines;
use super::tracker::{fault, messages_of, object, split};
use crate::config::{IntakeConfig, TopicConfig};
use crate::decode::Decoded;
use crate::decode::gps::message::{Message, MessageDecoder};
use crate::domain::time::Timestamp;

/// Stands for the topic where a line has none.
const UNNAMED: &str = "unknown";

pub fn decode<W: Write>(topic: &TopicConfig, bytes: &[u8], out: &mut Lines<W>) -> io::Result<()> {
    let mut decoder = MessageDecoder::new(std::slice::from_ref(topic), &IntakeConfig::default());
    for (offset, line) in messages_of(bytes) {
        let (topic, payload) = split(line).unwrap_or((UNNAMED.into(), line));
        let payload_offset = offset + line.len() - payload.len();
        let mut decoded = Decoded::default();
        let message = Message::new(&topic, payload, Timestamp::default());
        let faults = match decoder.decode(message, &mut decoded) {
            Ok(()) => std::mem::take(&mut decoded.faults),
            Err(error) => vec![error],
        };
        for reading in &decoded.readings {
            let mut object = object(reading);
            if object["type"] == "location" {
                object["type"] = Value::from("fix");
            }
            out.write(&object)?;
        }
        for error in &faults {
            out.write(&fault(error, payload_offset))?;
        }
    }
    Ok(())
}
