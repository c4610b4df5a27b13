//! What a Sparkplug topic says: `spBv1.0/GROUP/TYPE/NODE`, and `/DEVICE` where it is of one (Sparkplug 3.0, chapter 4).

use crate::decode::DecodeError;
use crate::decode::gps::text::{clip, error};

const NAMESPACE: &str = "spBv1.0";

/// What a message is. The last three are for others: they say nothing of where anything is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageKind {
    Birth,
    Data,
    Death,
    Command,
    /// A host application says whether it is there.
    State,
}

const KINDS: [(&str, MessageKind, bool); 8] = [
    ("NBIRTH", MessageKind::Birth, false),
    ("NDATA", MessageKind::Data, false),
    ("NDEATH", MessageKind::Death, false),
    ("NCMD", MessageKind::Command, false),
    ("DBIRTH", MessageKind::Birth, true),
    ("DDATA", MessageKind::Data, true),
    ("DDEATH", MessageKind::Death, true),
    ("DCMD", MessageKind::Command, true),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address<'t> {
    pub kind: MessageKind,
    /// As the topic has it.
    pub word: &'t str,
    /// Empty for a host application.
    pub group: &'t str,
    /// The edge node, or the host application.
    pub node: &'t str,
    pub device: Option<&'t str>,
}

impl<'t> Address<'t> {
    /// # Errors
    /// Reason `topic`.
    pub fn parse(topic: &'t str) -> Result<Self, DecodeError> {
        Self::of(topic).ok_or_else(|| {
            error("topic", 0, format!("`{}` is not {NAMESPACE}/GROUP/TYPE/NODE/DEVICE", clip(topic)))
        })
    }

    fn of(topic: &'t str) -> Option<Self> {
        let mut levels = topic.split('/');
        if levels.next() != Some(NAMESPACE) {
            return None;
        }
        let (first, second, third) = (levels.next()?, levels.next()?, levels.next());
        let (device, rest) = (levels.next(), levels.next());
        let is_id = |id: &str| !id.is_empty() && !id.contains(['+', '#']);
        if first == "STATE" && third.is_none() {
            let kind = MessageKind::State;
            return is_id(second).then_some(Self {
                kind,
                word: first,
                group: "",
                node: second,
                device: None,
            });
        }
        let (word, kind, of_device) = KINDS.into_iter().find(|(word, ..)| *word == second)?;
        let node = third?;
        let fits = device.is_some() == of_device && rest.is_none();
        let are_ids = [first, node].into_iter().chain(device).all(is_id);
        (fits && are_ids).then_some(Self { kind, word, group: first, node, device })
    }
}
