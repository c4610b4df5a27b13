//! What passes between the broker and the pipeline, and what of it is known over reconnections:
//! which messages are under way, what the pipeline has been told of the link.
//!
//! Reading stops where the queue is full, the gate is closed or enough is under way, in messages or in bytes;
//! acknowledgements and pings go on.

use std::collections::{HashSet, VecDeque};

use metrics::{Counter, Gauge, counter, gauge};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::handshake::SubscribeError;
use super::ledger::{Ledger, NO_PACKET};
use super::packets::ToBroker;
use super::subscriptions::{Memory, Subscriptions};
use super::wire::{Connection, WireError};
use crate::config::BrokerConfig;
use crate::domain::frames::{AckToken, Frame, LinkChange, LinkState};
use crate::domain::ids::SourceId;
use crate::domain::time::Timestamp;
use crate::source::{Intake, IntakeSender};
use crate::telemetry::names;

mod serve;
#[cfg(test)]
mod tests;

pub use serve::Times;

/// Acknowledgements taken at once, so that many share one write.
const ACK_BATCH: usize = 1024;

/// Why a connection is over.
#[derive(Debug, PartialEq)]
pub enum End {
    Shutdown,
    /// Nobody takes what we hand on, or acknowledges it.
    PipelineGone,
    Lost(String),
}

impl From<WireError> for End {
    fn from(error: WireError) -> Self {
        Self::Lost(error.to_string())
    }
}

impl From<SubscribeError> for End {
    fn from(error: SubscribeError) -> Self {
        Self::Lost(error.to_string())
    }
}

pub struct Feed {
    source: SourceId,
    intake: IntakeSender,
    /// False once nobody can move the gate any more: it stays as it is.
    gate_moves: bool,
    ledger: Ledger,
    max_inflight: usize,
    max_inflight_bytes: u64,
    subscriptions: Subscriptions,
    /// Waits for room in the queue: one message of a connection that is up, and what was not handed
    /// on of older ones.
    inbox: VecDeque<Intake>,
    link: Link,
    /// Why there is no connection, as it was told last.
    why_down: String,
    /// A message over the payload limit is under way. It may be large, so that nothing more is read until
    /// it is durable: there is one of them at a time.
    has_long: bool,
    /// When the bytes that are being taken apart came.
    arrived: Timestamp,
    qos0_topics: HashSet<String>,
    meters: Meters,
}

#[derive(Debug)]
enum Link {
    /// `told`: the pipeline knows.
    Down {
        told: bool,
    },
    /// Connected, not subscribed yet. Messages of a resumed session that come before the SUBACK are
    /// held: none is handed on before the link is reported.
    Subscribing {
        told_down: bool,
        session_present: bool,
        held: Vec<Intake>,
    },
    Up {
        since: Instant,
    },
}

struct Meters {
    up: Gauge,
    connections: Counter,
    failures: Counter,
    oversize: Counter,
    qos0: Counter,
    sessions_lost: Counter,
    requests: Counter,
}

impl Meters {
    fn new(source: &SourceId) -> Self {
        let label = [("source", source.as_str().to_owned())];
        Self {
            up: gauge!(names::SOURCE_UP, &label),
            connections: counter!(names::SOURCE_CONNECTIONS, &label),
            failures: counter!(names::SOURCE_CONNECTION_FAILURES, &label),
            oversize: counter!(names::MQTT_OVERSIZE, &label),
            qos0: counter!(names::MQTT_QOS0, &label),
            sessions_lost: counter!(names::MQTT_SESSIONS_LOST, &label),
            requests: counter!(names::MQTT_REQUESTS, &label),
        }
    }
}

/// Over the life of the source.
impl Feed {
    pub fn new(config: &BrokerConfig, memory: Memory, intake: IntakeSender) -> Self {
        let source = config.name.clone();
        let (ledger, meters) = (Ledger::new(&source), Meters::new(&source));
        meters.up.set(0.0);
        Self {
            arrived: intake.clock.now(),
            source,
            intake,
            gate_moves: true,
            ledger,
            max_inflight: usize::from(config.max_inflight.max(1)),
            max_inflight_bytes: config.max_inflight_bytes.max(1),
            subscriptions: Subscriptions::new(config, memory),
            inbox: VecDeque::new(),
            link: Link::Down { told: false },
            why_down: String::new(),
            has_long: false,
            qos0_topics: HashSet::new(),
            meters,
        }
    }

    pub fn source(&self) -> &SourceId {
        &self.source
    }

    pub fn up_since(&self) -> Option<Instant> {
        match self.link {
            Link::Up { since } => Some(since),
            Link::Down { .. } | Link::Subscribing { .. } => None,
        }
    }

    /// The broker has accepted a connection.
    pub fn connected(&mut self, session_present: bool) {
        self.ledger.reconnected();
        self.meters.connections.increment(1);
        if self.subscriptions.connected(session_present) {
            self.meters.sessions_lost.increment(1);
            let source = self.source.as_str().to_owned();
            gauge!(names::MQTT_SESSION_LOST_AT, "source" => source)
                .set(self.intake.clock.now().as_secs_f64());
            warn!(source = %self.source, "the broker has forgotten our session, and with it what it held \
                for us; let it keep sessions over its restarts (`persistence true`) and over our absence \
                (`persistent_client_expiration`, our `session_expiry`)");
        }
        let told_down = matches!(self.link, Link::Down { told: true });
        self.link = Link::Subscribing { told_down, session_present, held: Vec::new() };
    }

    /// The connection is gone, or there was none. What asks for an acknowledgement and is not handed
    /// on yet will be delivered again; the rest is kept.
    pub fn lost(&mut self, reason: &str) {
        self.meters.failures.increment(1);
        self.meters.up.set(0.0);
        let told = match std::mem::replace(&mut self.link, Link::Down { told: true }) {
            Link::Down { told } => told,
            Link::Subscribing { told_down, held, .. } => {
                self.inbox.extend(held);
                told_down
            }
            Link::Up { .. } => false,
        };
        for item in std::mem::take(&mut self.inbox) {
            match redelivered(&item) {
                Some(token) => self.ledger.dropped(token),
                None => self.inbox.push_back(item),
            }
        }
        self.ledger.show();
        // What keeps us away may change: whoever looks for the fault must know the last reason.
        if !told || self.why_down != reason {
            reason.clone_into(&mut self.why_down);
            self.tell_down(reason.to_owned());
        }
    }

    fn tell_down(&mut self, reason: String) {
        let mut newest = self.inbox.iter().rev();
        if is_link(newest.next(), true) && is_link(newest.next(), false) {
            // Nobody has heard of the short time in between, and nobody needs to.
            self.inbox.pop_back();
        }
        if let Some(Intake::Link(LinkChange { state: LinkState::Down { reason: older }, .. })) =
            self.inbox.back_mut()
        {
            *older = reason;
            return;
        }
        let state = LinkState::Down { reason };
        let change = LinkChange { source: self.source.clone(), at: self.intake.clock.now(), state };
        self.inbox.push_back(Intake::Link(change));
    }

    /// Hands on what waits, until `pause` is over (`None`) or there is no point in going on.
    pub async fn wait(
        &mut self,
        pause: impl Future<Output = ()>,
        shutdown: &CancellationToken,
    ) -> Option<End> {
        tokio::pin!(pause);
        loop {
            let wants_slot = self.wants_slot();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Some(End::Shutdown),
                () = &mut pause => return None,
                permit = self.intake.queue.reserve(), if wants_slot => match (permit, self.inbox.pop_front()) {
                    (Ok(permit), Some(item)) => permit.send(item),
                    (Ok(_), None) => {}
                    (Err(_), _) => return Some(End::PipelineGone),
                },
                moved = self.intake.gate.changed(), if self.gate_moves => self.gate_moves = moved.is_ok(),
            }
        }
    }

    /// Lets the pipeline end, and acknowledges what it still commits. Then takes leave.
    pub async fn drain(
        self,
        connection: &mut Connection,
        mut acks: mpsc::UnboundedReceiver<AckToken>,
    ) -> Result<(), WireError> {
        let output = &mut connection.output;
        let Self { intake, inbox, link, mut ledger, .. } = self;
        drop(intake);
        let held = if let Link::Subscribing { held, .. } = link { held } else { Vec::new() };
        let never_handed_on = inbox.iter().chain(&held).filter(|item| has_token(item)).count();
        let mut tokens = Vec::new();
        while ledger.outstanding() > never_handed_on && acks.recv_many(&mut tokens, ACK_BATCH).await > 0 {
            ledger.acknowledge(tokens.drain(..), output)?;
            output.write().await?;
        }
        output.queue(&ToBroker::Leave)?;
        connection.close().await
    }
}

/// The token of what the broker delivers again on the next connection.
fn redelivered(item: &Intake) -> Option<AckToken> {
    match item {
        Intake::Frame(Frame { ack: Some(token), .. }) if token.packet_id != NO_PACKET => Some(*token),
        Intake::Frame(_) | Intake::Link(_) | Intake::Dropped { .. } | Intake::Room => None,
    }
}

fn has_token(item: &Intake) -> bool {
    matches!(item, Intake::Frame(Frame { ack: Some(_), .. }))
}

fn is_link(item: Option<&Intake>, up: bool) -> bool {
    match item {
        Some(Intake::Link(change)) => matches!(change.state, LinkState::Up { .. }) == up,
        Some(Intake::Frame(_) | Intake::Dropped { .. } | Intake::Room) | None => false,
    }
}
