//! Tokens of durable messages → acknowledgements on the wire, in receive order; and how much is under way, in bytes.

use metrics::{Counter, Gauge, counter, gauge};

use super::acks::{AckOrder, Committed, Due};
use super::packets::ToBroker;
use super::wire::{Output, WireError};
use crate::domain::frames::AckToken;
use crate::domain::ids::SourceId;
use crate::telemetry::names;

/// The packet id of a message of QoS 0: it has none, and is not answered.
pub const NO_PACKET: u16 = 0;

pub struct Ledger {
    order: AckOrder,
    /// Of the messages whose tokens are out, of whatever connection.
    bytes: u64,
    sent: Counter,
    stale: Counter,
    outstanding: Gauge,
    under_way: Gauge,
}

impl Ledger {
    pub fn new(source: &SourceId) -> Self {
        let label = [("source", source.as_str().to_owned())];
        Self {
            order: AckOrder::default(),
            bytes: 0,
            sent: counter!(names::MQTT_ACKS, &label),
            stale: counter!(names::MQTT_STALE_ACKS, &label),
            outstanding: gauge!(names::MQTT_UNACKNOWLEDGED, &label),
            under_way: gauge!(names::MQTT_UNACKNOWLEDGED_BYTES, &label),
        }
    }

    pub fn received(&mut self, packet_id: u16, exactly_once: bool, bytes: usize) -> AckToken {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.bytes += u64::from(bytes);
        AckToken { bytes, ..self.order.received(Due { packet_id, exactly_once }) }
    }

    /// It was never handed on, and comes again.
    pub fn dropped(&mut self, token: AckToken) {
        self.bytes = self.bytes.saturating_sub(u64::from(token.bytes));
    }

    /// Shows what is under way: once for all that came with a read, not for each message.
    pub fn show(&self) {
        self.outstanding.set(self.order.outstanding() as f64);
        self.under_way.set(self.bytes as f64);
    }

    /// What the messages that are not durable yet take.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn reconnected(&mut self) {
        self.order.reconnected();
    }

    pub fn outstanding(&self) -> usize {
        self.order.outstanding()
    }

    /// Puts everything that may leave into the output.
    pub fn acknowledge(
        &mut self,
        tokens: impl Iterator<Item = AckToken>,
        output: &mut Output,
    ) -> Result<(), WireError> {
        let mut stale = 0;
        for token in tokens {
            stale += u64::from(self.order.committed(token) == Committed::Stale);
            self.bytes = self.bytes.saturating_sub(u64::from(token.bytes));
        }
        self.stale.increment(stale);
        let mut sent = 0;
        while let Some(Due { packet_id, exactly_once }) = self.order.next_due() {
            let answer = match (packet_id, exactly_once) {
                (NO_PACKET, _) => continue,
                (_, false) => ToBroker::PubAck(packet_id),
                (_, true) => ToBroker::PubRec(packet_id),
            };
            output.queue(&answer)?;
            sent += 1;
        }
        self.sent.increment(sent);
        self.show();
        Ok(())
    }
}
