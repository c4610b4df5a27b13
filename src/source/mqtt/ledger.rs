//! Tokens of durable messages → acknowledgements on the wire, in receive order.

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
    sent: Counter,
    stale: Counter,
    outstanding: Gauge,
}

impl Ledger {
    pub fn new(source: &SourceId) -> Self {
        let label = [("source", source.as_str().to_owned())];
        Self {
            order: AckOrder::default(),
            sent: counter!(names::MQTT_ACKS, &label),
            stale: counter!(names::MQTT_STALE_ACKS, &label),
            outstanding: gauge!(names::MQTT_UNACKNOWLEDGED, &label),
        }
    }

    pub fn received(&mut self, packet_id: u16, exactly_once: bool) -> AckToken {
        self.order.received(Due { packet_id, exactly_once })
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
        let stale = tokens.filter(|token| self.order.committed(*token) == Committed::Stale).count();
        self.stale.increment(stale as u64);
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
        self.outstanding.set(self.order.outstanding() as f64);
        Ok(())
    }
}
