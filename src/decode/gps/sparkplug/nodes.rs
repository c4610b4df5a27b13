//! The edge nodes of one broker: who was born, and what their messages mean.
//!
//! What is known of them stands in rows, written in the commit of what the messages led to: a message that the broker
//! held for us while we were away names metrics by aliases that were told before. Their number is bounded; where there
//! is no room, those that died or were silent for long give way, a few of them looked at with each birth.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use super::address::{Address, MessageKind};
use super::device::{Context, Device};
use super::mapping::MetricMapping;
use super::node::{Node, before_birth, no_birth};
use super::payload::Payload;
use super::rebirth::Rebirths;
use crate::config::IntakeConfig;
use crate::decode::gps::message::Message;
use crate::decode::gps::text::error;
use crate::decode::{DecodeError, Decoded};
use crate::domain::frames::Request;
use crate::domain::ids::DeviceId;
use crate::domain::readings::{Note, Reading, Says, Vitals};
use crate::domain::time::Timestamp;

/// Reasons for which a BIRTH would help.
const LACKS_BIRTH: [&str; 3] = ["no-birth", "before-birth", "unknown-alias"];

/// Nodes that a birth looks at in search of room.
const HAND: usize = 64;

#[derive(Debug, Default)]
pub struct Nodes {
    /// By `GROUP/NODE`.
    pub(super) nodes: BTreeMap<String, Node>,
    /// Keys of rows to write: `GROUP/NODE`, `GROUP/NODE/DEVICE`.
    pub(super) dirty: BTreeSet<String>,
    /// Nodes and devices.
    pub(super) count: usize,
    most: usize,
    forget_after: Duration,
    /// Where the next search for room goes on.
    hand: String,
    rebirths: Rebirths,
    /// Before the last message others were lost.
    has_gap: bool,
    /// The edge node of the last message, where that cannot be understood without a BIRTH, and when it came.
    unclear: Option<(String, Timestamp)>,
}

/// One message, with what its topic says.
struct Coming<'a> {
    address: Address<'a>,
    key: String,
    payload: Payload<'a>,
    device: &'a DeviceId,
    mapping: &'a MetricMapping,
    published: Timestamp,
    received: Timestamp,
    retained: bool,
}

impl Nodes {
    pub fn new(intake: &IntakeConfig) -> Self {
        Self { most: intake.max_trackers, forget_after: intake.forget_trackers_after, ..Self::default() }
    }

    /// Edge nodes and devices that are known.
    pub fn count(&self) -> usize {
        self.count
    }

    /// `device`: the name of whom the message is of.
    ///
    /// # Errors
    /// What [`Payload::parse`] says, and `missing`, `time`, `metric`, `alias`, `no-birth`, `before-birth`,
    /// `too-many-trackers`. Of parts of a message, in `out.faults`: `unknown-alias`, `type`, `time`, `range`,
    /// `incomplete`, `missing`.
    pub fn decode(
        &mut self,
        address: Address<'_>,
        device: &DeviceId,
        mapping: &MetricMapping,
        message: Message<'_>,
        out: &mut Decoded,
    ) -> Result<(), DecodeError> {
        let received = message.received;
        let is_now = self.rebirths.hear(received) && !message.retained;
        self.has_gap = false;
        let taken = self.take_in(address, device, mapping, message, out);
        let lacks_birth = |error: &DecodeError| LACKS_BIRTH.contains(&error.reason);
        let is_unclear =
            self.has_gap || taken.as_ref().is_err_and(lacks_birth) || out.faults.iter().any(lacks_birth);
        self.unclear = (is_now && is_unclear).then(|| (key_of(&address), received));
        taken
    }

    /// Wants a BIRTH of the edge node that sent the last message, where that was not understood.
    pub fn ask(&mut self) {
        if let Some((key, received)) = self.unclear.take() {
            self.rebirths.ask(&key, received);
        }
    }

    /// What edge nodes are to be asked, since the last call.
    pub fn take_requests(&mut self) -> Vec<Request> {
        self.rebirths.take()
    }

    fn take_in(
        &mut self,
        address: Address<'_>,
        device: &DeviceId,
        mapping: &MetricMapping,
        message: Message<'_>,
        out: &mut Decoded,
    ) -> Result<(), DecodeError> {
        let (key, received, retained) = (key_of(&address), message.received, message.retained);
        if matches!(address.kind, MessageKind::Command | MessageKind::State) {
            out.readings.push(note(device, address.word, Says::Nothing, retained));
            return Ok(());
        }
        let parsed = Payload::parse(message.payload).and_then(|payload| {
            // The broker speaks for a node that is gone.
            let is_will = address.kind == MessageKind::Death && address.device.is_none();
            Ok((if is_will { received } else { payload.published()? }, payload))
        });
        let (published, payload) = match parsed {
            Ok(parsed) => parsed,
            Err(wrong) => {
                let is_news = self.nodes.get(&key).is_some_and(|node| received >= node.heard && !retained);
                if is_news && address.kind == MessageKind::Birth {
                    self.unknown(&key, address.device);
                }
                return Err(wrong);
            }
        };
        let coming = Coming { address, key, payload, device, mapping, published, received, retained };
        match (coming.address.kind, coming.address.device) {
            (MessageKind::Birth, None) => self.node_born(&coming, out),
            (MessageKind::Birth, Some(name)) => self.device_born(&coming, name, out),
            (MessageKind::Death, None) => {
                self.node_died(&coming, out);
                Ok(())
            }
            (MessageKind::Death, Some(name)) => self.device_died(&coming, name, out),
            (MessageKind::Data | MessageKind::Command | MessageKind::State, _) => self.data(&coming, out),
        }
    }

    fn node_born(&mut self, coming: &Coming<'_>, out: &mut Decoded) -> Result<(), DecodeError> {
        let known = self.nodes.get(&coming.key);
        let is_news = known.is_none_or(|node| coming.received >= node.heard && !coming.retained);
        let born = Device::born(&coming.payload, coming.mapping);
        if born.is_err() && is_news {
            self.unknown(&coming.key, None);
        }
        let mut own = born?;
        if is_news {
            self.forget(&coming.key);
            self.make_room(&coming.key, coming.received)?;
        }
        out.faults.extend(own.lacks(&coming.payload));
        own.take(&coming.payload, &coming.context(Some(false), 0), out);
        if !is_news {
            return Ok(());
        }
        let node = Node::born(own, &coming.payload, coming.published, coming.received);
        self.count += 1;
        self.dirty.insert(coming.key.clone());
        self.nodes.insert(coming.key.clone(), node);
        Ok(())
    }

    fn device_born(&mut self, coming: &Coming<'_>, name: &str, out: &mut Decoded) -> Result<(), DecodeError> {
        let is_news = self.comes(coming)?.is_some();
        let born = Device::born(&coming.payload, coming.mapping);
        if born.is_err() && is_news {
            self.unknown(&coming.key, Some(name));
        }
        let mut device = born?;
        let is_known = |node: &Node| node.devices.contains_key(name);
        let is_new = is_news && !self.nodes.get(&coming.key).is_some_and(is_known);
        if is_new {
            self.make_room(&coming.key, coming.received)?;
        }
        let Some(node) = self.nodes.get_mut(&coming.key) else { return Err(unborn()) };
        out.faults.extend(device.lacks(&coming.payload));
        device.take(&coming.payload, &coming.context(Some(false), node.gaps), out);
        if is_news {
            self.count += usize::from(is_new);
            node.devices.insert(name.to_owned(), Box::new(device));
            self.dirty.insert(format!("{}/{name}", coming.key));
        }
        Ok(())
    }

    fn data(&mut self, coming: &Coming<'_>, out: &mut Decoded) -> Result<(), DecodeError> {
        let is_again = self.comes(coming)?;
        let Some(node) = self.nodes.get_mut(&coming.key) else { return Err(unborn()) };
        let context = coming.context(is_again, node.gaps);
        let is_dead = node.own.is_dead;
        let device = match coming.address.device {
            None => &mut node.own,
            Some(name) => node
                .devices
                .get_mut(name)
                .map(Box::as_mut)
                .ok_or_else(|| no_birth("no DBIRTH of this device was heard since its node's NBIRTH"))?,
        };
        if (is_dead || device.is_dead) && is_again != Some(true) {
            return Err(no_birth("it has died, and was not born again"));
        }
        device.take(&coming.payload, &context, out);
        let row = coming.address.device.filter(|_| device.is_tracker());
        self.dirty.extend(row.map(|name| format!("{}/{name}", coming.key)));
        Ok(())
    }

    fn device_died(&mut self, coming: &Coming<'_>, name: &str, out: &mut Decoded) -> Result<(), DecodeError> {
        let is_news = self.comes(coming)? == Some(false);
        let Some(node) = self.nodes.get_mut(&coming.key) else { return Err(unborn()) };
        let device = node.devices.get_mut(name).filter(|device| is_news && !device.is_dead);
        let was_tracker = device.is_some_and(|device| {
            device.is_dead = true;
            device.is_tracker()
        });
        self.dirty.insert(format!("{}/{name}", coming.key));
        let says = if was_tracker { Says::Gone } else { Says::Nothing };
        out.readings.push(coming.note(coming.device, says));
        Ok(())
    }

    /// The broker says it, when the connection is lost. It is of that connection alone.
    fn node_died(&mut self, coming: &Coming<'_>, out: &mut Decoded) {
        let before = out.readings.len();
        let is_news = |node: &&mut Node| {
            coming.received >= node.heard
                && !coming.retained
                && !node.own.is_dead
                && node.dies_of(&coming.payload)
        };
        if let Some(node) = self.nodes.get_mut(&coming.key).filter(is_news) {
            node.own.is_dead = true;
            self.dirty.insert(coming.key.clone());
            if node.own.is_tracker() {
                out.readings.push(coming.note(coming.device, Says::Gone));
            }
            for (name, device) in &node.devices {
                if device.is_tracker() && !device.is_dead {
                    let device = DeviceId::from(format!("{}/{name}", coming.device));
                    out.readings.push(coming.note(&device, Says::Gone));
                }
            }
        }
        if out.readings.len() == before {
            out.readings.push(coming.note(coming.device, Says::Nothing));
        }
    }

    /// A message of a node that was born. `None`: it moves nothing; else whether it was told before.
    fn comes(&mut self, coming: &Coming<'_>) -> Result<Option<bool>, DecodeError> {
        let node = self.nodes.get_mut(&coming.key).ok_or_else(unborn)?;
        if coming.received < node.born_received {
            return Err(before_birth());
        }
        // Put back by hand, or retained by the broker: it has no place in the order.
        if coming.received < node.heard || coming.retained {
            return Ok(None);
        }
        self.dirty.insert(coming.key.clone());
        let gaps = node.gaps;
        let is_again = node.hear(&coming.payload, coming.published, coming.received);
        self.has_gap |= node.gaps != gaps;
        is_again.map(Some)
    }

    /// A BIRTH came that is none: what aliases mean now is not known.
    fn unknown(&mut self, key: &str, device: Option<&str>) {
        let Some(name) = device else { return self.forget(key) };
        let removed = self.nodes.get_mut(key).and_then(|node| node.devices.remove(name));
        if removed.is_some() {
            self.count -= 1;
            self.dirty.insert(format!("{key}/{name}"));
        }
    }

    fn forget(&mut self, key: &str) {
        let Some(node) = self.nodes.remove(key) else { return };
        self.count -= node.count();
        self.dirty.extend(node.devices.keys().map(|name| format!("{key}/{name}")));
        self.dirty.insert(key.to_owned());
    }

    /// For one more.
    ///
    /// # Errors
    /// Reason `too-many-trackers`.
    fn make_room(&mut self, coming: &str, now: Timestamp) -> Result<(), DecodeError> {
        if self.count < self.most {
            return Ok(());
        }
        let after = (Bound::Excluded(self.hand.clone()), Bound::Unbounded);
        let looked_at: Vec<String> = self.nodes.range(after).take(HAND).map(|(key, _)| key.clone()).collect();
        // Where the end is reached, the next search begins anew.
        self.hand = looked_at.last().filter(|_| looked_at.len() == HAND).cloned().unwrap_or_default();
        for key in looked_at.iter().filter(|key| *key != coming) {
            let may_go = |node: &Node| node.own.is_dead || now.since(node.heard) > self.forget_after;
            if self.nodes.get(key).is_some_and(may_go) {
                self.forget(key);
            }
        }
        if self.count < self.most {
            return Ok(());
        }
        let message =
            format!("there are {} edge nodes and devices already, `intake.max_trackers`", self.count);
        Err(error("too-many-trackers", 0, message))
    }
}

fn key_of(address: &Address<'_>) -> String {
    format!("{}/{}", address.group, address.node)
}

fn unborn() -> DecodeError {
    no_birth(
        "no NBIRTH of its edge node was heard; a host application, or the node's own restart, brings one",
    )
}

fn note(device: &DeviceId, word: &str, says: Says, retained: bool) -> Reading {
    Reading::Note(Note {
        device: device.clone(),
        kind: word.to_lowercase(),
        says,
        vitals: Vitals::default(),
        observed_at: None,
        retained,
    })
}

impl Coming<'_> {
    /// `is_again`: as [`Nodes::comes`] gives it.
    fn context(&self, is_again: Option<bool>, gaps: u32) -> Context<'_> {
        Context {
            mapping: self.mapping,
            device: self.device,
            kind: self.address.word,
            published: self.published,
            retained: self.retained,
            is_news: is_again.is_some(),
            is_again: is_again.unwrap_or(true),
            gaps,
        }
    }

    fn note(&self, device: &DeviceId, says: Says) -> Reading {
        note(device, self.address.word, says, self.retained)
    }
}
