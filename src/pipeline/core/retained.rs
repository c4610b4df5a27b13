//! Retained messages that became dead letters. A broker of MQTT 3.1.1 sends what it retains with each connection:
//! one letter of it is enough.

use std::collections::BTreeSet;

use crate::domain::frames::{Frame, Payload};
use crate::domain::ids::{Digest, SourceId};

/// Beyond so many all are forgotten, and may become a letter once more.
const MOST: usize = 10_000;

/// Of this run.
#[derive(Default)]
pub(super) struct RetainedLetters(BTreeSet<(SourceId, u64, u64)>);

impl RetainedLetters {
    /// Notes a frame that is to become a letter. True: it is a retained message that did so before.
    pub fn is_again(&mut self, frame: &Frame) -> bool {
        let Payload::Mqtt { topic, payload, retained: true, .. } = &frame.payload else { return false };
        if self.0.len() >= MOST {
            self.0.clear();
        }
        let message = (Digest::of(topic.as_bytes()).0, Digest::of(payload).0);
        !self.0.insert((frame.source.clone(), message.0, message.1))
    }
}
