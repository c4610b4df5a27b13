//! OwnTracks payloads → fixes and notes.

use std::borrow::Cow;
use std::io::{self, Write};

use serde_json::Value;

use super::Lines;
use super::tracker::{fault, messages_of, object, split};
use crate::decode::gps::owntracks;

/// Stands for the device where neither the line nor the payload names a topic.
const UNNAMED: &str = "owntracks/unknown/unknown";

pub fn decode<W: Write>(bytes: &[u8], out: &mut Lines<W>) -> io::Result<()> {
    for (offset, line) in messages_of(bytes) {
        let (topic, payload) = named(line);
        let payload_offset = offset + line.len() - payload.len();
        let mut readings = Vec::new();
        if let Err(error) = owntracks::decode(&topic, payload, false, &mut readings) {
            out.write(&fault(&error, payload_offset))?;
        }
        for reading in &readings {
            out.write(&object(reading))?;
        }
    }
    Ok(())
}

/// The line's topic, or the payload's own.
fn named(line: &[u8]) -> (Cow<'_, str>, &[u8]) {
    split(line).unwrap_or_else(|| {
        let own = serde_json::from_slice::<Value>(line).ok();
        let own = own.as_ref().and_then(|payload| payload["topic"].as_str()).unwrap_or(UNNAMED);
        (Cow::Owned(own.to_owned()), line)
    })
}
