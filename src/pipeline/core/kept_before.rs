//! What comes again and again for as long as it is not accepted, and became a dead letter the first time: one letter of it is
//! enough. A broker of MQTT 3.1.1 sends what it retains with each connection; a Teltonika tracker sends a packet until it is
//! acknowledged.

use std::collections::BTreeSet;

use crate::domain::frames::{Frame, Payload};
use crate::domain::ids::{Digest, SourceId};

/// Beyond so many all are forgotten, and may become a letter once more.
const MOST: usize = 10_000;

/// Of this run.
#[derive(Default)]
pub(super) struct KeptBefore(BTreeSet<Message>);

/// Where it came from, by whom, and what.
type Message = (SourceId, u64, u64);

impl KeptBefore {
    /// Notes a frame that is to become a letter. True: it comes again, and did so before.
    pub fn is_again(&mut self, frame: &Frame) -> bool {
        let Some(message) = message(frame) else { return false };
        if self.0.len() >= MOST {
            self.0.clear();
        }
        !self.0.insert(message)
    }

    /// Its letter is taken out, to be tried once more.
    pub fn forget(&mut self, frame: &Frame) {
        if let Some(message) = message(frame) {
            self.0.remove(&message);
        }
    }
}

fn message(frame: &Frame) -> Option<Message> {
    let (name, bytes) = match &frame.payload {
        Payload::Mqtt { topic, payload, retained: true, .. } => (topic, payload),
        Payload::Teltonika { imei, bytes, .. } => (imei, bytes),
        _ => return None,
    };
    Some((frame.source.clone(), Digest::of(name.as_bytes()).0, Digest::of(bytes).0))
}
