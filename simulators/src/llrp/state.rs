//! What a reader is and holds, whoever is connected. No socket, no clock: time is an argument.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;

use super::capabilities::Capabilities;
use super::report::{HeldRead, Radio, TagObservation};
use super::rospec::{ReportRule, RoSpec, SpecState};
use super::settings::{BUFFER_WARNING, INPUT_EVENT, ROSPEC_EVENT, Settings};
use super::wire::{self, Out};
use super::{message, wire::WireError};
use crate::clock::{DeviceClock, Stamp, after, micros};
use crate::truth::ReadCount;

/// Events that wait for a client; more would only tell it again what it then knows.
const EVENT_CAPACITY: usize = 256;
/// Reads in one report where the reader catches up on what it held.
const CATCH_UP_READS: usize = 64;

/// What became of a read that was offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    Held,
    /// No ROSpec is active on that antenna, or the reader has no power.
    NotListening,
    /// The buffer is full.
    Dropped,
}

#[derive(Debug)]
pub(super) struct State {
    pub clock: DeviceClock,
    pub capabilities: Capabilities,
    pub identity: [u8; 8],
    pub settings: Settings,
    /// The protocol version of this connection.
    pub version: u8,
    /// The client switched its maker's extensions on.
    pub extended: bool,
    pub rospecs: BTreeMap<u32, RoSpec>,
    /// AccessSpec parameters as added; bit 7 of the byte behind the protocol says whether one is enabled.
    pub accessspecs: BTreeMap<u32, Vec<u8>>,
    /// Inputs that are high.
    pub inputs: BTreeSet<u16>,
    /// Reads and events go out; false while they are held for a new client.
    pub reporting: bool,
    /// Whatever is held goes out now, however few.
    pub flush: bool,
    /// GET_REPORT wants an answer even where nothing is held.
    pub report_asked: bool,
    pub counts: ReadCount,
    held: VecDeque<HeldRead>,
    capacity: usize,
    events: VecDeque<Out>,
    overflowed: bool,
    warned: bool,
    /// The run of the active ROSpec ends here.
    round_ends: Option<Timestamp>,
    last_read_us: i64,
    /// Reads of the present antenna inventory.
    inventoried: u16,
    /// Microseconds that the clock is off on top of its offset, while a fault lasts.
    pub clock_jump_us: i64,
}

impl State {
    pub fn new(clock: DeviceClock, capabilities: Capabilities, identity: [u8; 8], capacity: usize) -> Self {
        Self {
            clock,
            capabilities,
            identity,
            settings: Settings::default(),
            version: 1,
            extended: false,
            rospecs: BTreeMap::new(),
            accessspecs: BTreeMap::new(),
            inputs: BTreeSet::new(),
            reporting: false,
            flush: false,
            report_asked: false,
            counts: ReadCount::default(),
            held: VecDeque::new(),
            capacity,
            events: VecDeque::new(),
            overflowed: false,
            warned: false,
            round_ends: None,
            last_read_us: i64::MIN,
            inventoried: 0,
            clock_jump_us: 0,
        }
    }

    /// As after a power cut at `now`: nothing remembered. Returns the reads that are gone.
    pub fn reboot(&mut self, now: Timestamp) -> Vec<HeldRead> {
        let clock = DeviceClock { booted: now, ..self.clock };
        let mut fresh = Self::new(clock, self.capabilities.clone(), self.identity, self.capacity);
        fresh.counts = self.counts;
        fresh.counts.dropped += self.held.len() as u64;
        fresh.last_read_us = self.last_read_us;
        fresh.inputs.clone_from(&self.inputs);
        std::mem::replace(self, fresh).held.into()
    }

    pub fn active(&self) -> Option<&RoSpec> {
        self.rospecs.values().find(|spec| spec.state == SpecState::Active)
    }

    /// Takes a read. Its time becomes unique among this reader's reads.
    pub fn take(&mut self, mut observation: TagObservation, radio: Radio) -> Taken {
        self.roll(observation.at);
        let Some(spec) = self.active().filter(|spec| spec.hears(observation.antenna)) else {
            return Taken::NotListening;
        };
        let (rospec, inventory, inventory_reads) = (spec.id, spec.inventory, spec.inventory_reads);
        self.counts.taken += 1;
        if self.held.len() >= self.capacity {
            self.overflow(observation.at);
            return Taken::Dropped;
        }
        self.last_read_us = observation.at.as_microsecond().max(self.last_read_us.saturating_add(1));
        observation.at = micros(self.last_read_us);
        let stamp = self.clock.stamp(observation.at, self.clock_jump_us);
        let channel = 1 + (self.last_read_us / 200_000 % 4) as u16;
        self.warn_when_filling(observation.at);
        let at = observation.at;
        self.held.push_back(HeldRead { observation, radio, stamp, channel, rospec, inventory });
        self.inventoried = self.inventoried.saturating_add(1);
        if inventory_reads.is_some_and(|enough| self.inventoried >= enough) {
            self.end_round(at);
        }
        Taken::Held
    }

    /// ReportBufferOverflowErrorEvent (section 14.2.5): told once, until there is room again.
    fn overflow(&mut self, at: Timestamp) {
        self.counts.dropped += 1;
        if !std::mem::replace(&mut self.overflowed, true) {
            self.event(at, |out| {
                out.tlv(251, |_| {});
            });
        }
    }

    /// What is on an input changed (GPIEvent, section 13.2.6.3). Told where the client asked for it.
    pub fn input(&mut self, port: u16, high: bool, at: Timestamp) {
        let changed = if high { self.inputs.insert(port) } else { self.inputs.remove(&port) };
        if changed && self.settings.notify[INPUT_EVENT] && self.settings.inputs_told.contains(&port) {
            self.event(at, |out| {
                out.tlv(248, |out| {
                    out.u16(port).u8(u8::from(high) << 7);
                });
            });
        }
    }

    /// ReportBufferLevelWarningEvent at four fifths.
    fn warn_when_filling(&mut self, at: Timestamp) {
        if self.held.len() * 5 < self.capacity * 4 {
            self.warned = false;
        } else if !std::mem::replace(&mut self.warned, true) && self.settings.notify[BUFFER_WARNING] {
            self.event(at, |out| {
                out.tlv(250, |out| {
                    out.u8(80);
                });
            });
        }
    }

    /// The ROSpec's runs up to `now`: each end flushes; an immediate one starts again.
    pub fn roll(&mut self, now: Timestamp) {
        while let Some(end) = self.round_ends.filter(|end| *end <= now) {
            self.end_round(end);
        }
    }

    fn end_round(&mut self, end: Timestamp) {
        self.flush = true;
        self.inventoried = 0;
        let Some((id, immediate, round)) = self.active().map(|s| (s.id, s.immediate, s.round())) else {
            self.round_ends = None;
            return;
        };
        if immediate {
            self.round_ends = round.map(|round| after(end, round));
        } else {
            self.deactivate(id, SpecState::Inactive, end);
        }
    }

    pub fn round_ends(&self) -> Option<Timestamp> {
        self.round_ends
    }

    /// Only one ROSpec can be active; `false` where it is another one.
    pub fn activate(&mut self, id: u32, now: Timestamp) -> bool {
        if self.active().is_some_and(|active| active.id != id) {
            return false;
        }
        let Some(spec) = self.rospecs.get_mut(&id) else { return false };
        spec.state = SpecState::Active;
        self.round_ends = spec.round().map(|round| after(now, round));
        self.rospec_event(0, id, now);
        true
    }

    /// Ends a run where one is under way; the spec is then `state`.
    pub fn deactivate(&mut self, id: u32, state: SpecState, now: Timestamp) {
        let Some(spec) = self.rospecs.get_mut(&id) else { return };
        let was = std::mem::replace(&mut spec.state, state);
        if was == SpecState::Active {
            self.round_ends = None;
            self.flush = true;
            self.rospec_event(1, id, now);
        }
    }

    fn rospec_event(&mut self, kind: u8, id: u32, now: Timestamp) {
        if self.settings.notify[ROSPEC_EVENT] {
            self.event(now, |out| {
                out.tlv(249, |out| {
                    out.u8(kind).u32(id).u32(0);
                });
            });
        }
    }

    fn event(&mut self, at: Timestamp, write: impl FnOnce(&mut Out)) {
        if self.events.len() == EVENT_CAPACITY {
            self.events.pop_front();
        }
        let mut data = Out::default();
        self.notification(at, write, &mut data);
        self.events.push_back(data);
    }

    /// ReaderEventNotificationData (section 14.2.5): the time, then one event.
    fn notification(&self, at: Timestamp, write: impl FnOnce(&mut Out), out: &mut Out) {
        let (kind, time) = match self.clock.stamp(at, self.clock_jump_us) {
            Stamp::Utc(time) => (128, time),
            Stamp::Uptime(time) => (129, time),
        };
        out.tlv(246, |out| {
            out.tlv(kind, |out| {
                out.u64(time);
            });
            write(out);
        });
    }

    /// ConnectionAttemptEvent as a whole message.
    pub fn connection_attempt(&self, status: u16, at: Timestamp, id: u32) -> Vec<u8> {
        wire::message(message::READER_EVENT_NOTIFICATION, id, |out| {
            let attempt = |out: &mut Out| {
                out.tlv(256, |out| {
                    out.u16(status);
                });
            };
            self.notification(at, attempt, out);
        })
    }

    pub fn next_event(&mut self) -> Option<Out> {
        if self.reporting { self.events.pop_front() } else { None }
    }

    /// When reports go and what is in them: the active ROSpec's rule, or else the reader's.
    pub fn report_rule(&self) -> ReportRule {
        let spec = self.active().or_else(|| self.rospecs.values().next());
        spec.and_then(|spec| spec.report).unwrap_or(self.settings.report)
    }

    /// The reads of the next report, where one is due.
    pub fn next_report(&mut self) -> Option<Vec<HeldRead>> {
        if !self.reporting {
            return None;
        }
        let every = usize::from(self.report_rule().every);
        let held = self.held.len();
        let count = match every {
            _ if held == 0 => 0,
            0 if self.flush => held.min(CATCH_UP_READS),
            0 => 0,
            _ if held > 8 * every.max(CATCH_UP_READS) => every.max(CATCH_UP_READS),
            _ if held >= every => every,
            _ if self.flush => held,
            _ => 0,
        };
        if count == 0 {
            self.flush = false;
            return std::mem::take(&mut self.report_asked).then(Vec::new);
        }
        self.report_asked = false;
        self.overflowed = false;
        let reads = self.held.drain(..count).collect();
        self.flush &= !self.held.is_empty();
        Some(reads)
    }

    /// Reads whose report did not get out are held again, where they were.
    pub fn hold_again(&mut self, reads: Vec<HeldRead>) {
        for read in reads.into_iter().rev() {
            self.held.push_front(read);
        }
    }

    pub fn drain_held(&mut self) -> Vec<HeldRead> {
        self.held.drain(..).collect()
    }

    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// A client is there: whether it gets everything at once or has to ask for it first.
    pub fn connected(&mut self) {
        self.reporting = !self.settings.hold;
        self.version = 1;
        self.extended = false;
    }

    pub fn disconnected(&mut self) {
        self.reporting = false;
        self.report_asked = false;
    }
}

/// The id at the start of an AccessSpec parameter or of a message about one spec.
pub(super) fn spec_id(body: &[u8]) -> Result<u32, WireError> {
    wire::In(body).u32()
}

#[cfg(test)]
mod tests;
