//! What passes between the broker and the pipeline, and what of it is known over reconnections:
//! which messages are under way, what the pipeline has been told of the link.
//!
//! Reading stops where the queue is full, the gate is closed or enough is under way; acknowledgements
//! and pings go on. Nothing in the loop waits for room while it holds up something else.

use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use metrics::{Counter, Gauge, counter, gauge};
use rumqttc::{Packet, PubComp, Publish, QoS};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::handshake::{self, SubscribeError};
use super::ledger::Ledger;
use super::wire::{Connection, Incoming, Output, WireError};
use crate::config::{BrokerConfig, TopicConfig};
use crate::domain::frames::{AckToken, Frame, LinkChange, LinkState, Payload};
use crate::domain::ids::SourceId;
use crate::domain::time::Timestamp;
use crate::source::{Gate, Intake, IntakeSender};
use crate::telemetry::names;

/// Acknowledgements taken at once, so that many share one write.
const ACK_BATCH: usize = 1024;
/// Topics named in the log for their QoS 0; more would be noise.
const QOS0_TOPICS: usize = 32;
/// For a broker with keepalive switched off: as good as never.
const NO_KEEPALIVE: Duration = Duration::from_secs(24 * 3600);

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
    /// Waits for room in the queue: one message of a connection that is up, and what was not handed
    /// on of older ones.
    inbox: VecDeque<Intake>,
    link: Link,
    /// Whether the broker has held a session for us since we started.
    had_session: bool,
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
    Up,
}

struct Meters {
    up: Gauge,
    connections: Counter,
    failures: Counter,
    oversize: Counter,
    qos0: Counter,
    sessions_lost: Counter,
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
        }
    }
}

/// Over the life of the source.
impl Feed {
    pub fn new(source: SourceId, max_inflight: u16, intake: IntakeSender) -> Self {
        let (ledger, meters) = (Ledger::new(&source), Meters::new(&source));
        meters.up.set(0.0);
        Self {
            arrived: intake.clock.now(),
            source,
            intake,
            gate_moves: true,
            ledger,
            max_inflight: usize::from(max_inflight.max(1)),
            inbox: VecDeque::new(),
            link: Link::Down { told: false },
            had_session: false,
            qos0_topics: HashSet::new(),
            meters,
        }
    }

    pub fn source(&self) -> &SourceId {
        &self.source
    }

    pub fn is_up(&self) -> bool {
        matches!(self.link, Link::Up)
    }

    /// The broker has accepted a connection.
    pub fn connected(&mut self, session_present: bool) {
        self.ledger.reconnected();
        self.meters.connections.increment(1);
        if self.had_session && !session_present {
            self.meters.sessions_lost.increment(1);
            warn!(source = %self.source, "the broker has forgotten our session, and with it what it held \
                for us; give it `persistence true` and room for queued messages");
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
            Link::Up => false,
        };
        self.inbox.retain(|item| !is_redelivered(item));
        if !told {
            self.tell(LinkState::Down { reason: reason.to_owned() });
        }
    }

    fn tell(&mut self, state: LinkState) {
        let mut newest = self.inbox.iter().rev();
        if is_link(newest.next(), true) && is_link(newest.next(), false) {
            // Nobody has heard of the short time in between, and nobody needs to.
            self.inbox.pop_back();
            return;
        }
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
        let never_handed_on = inbox.iter().chain(&held).filter(|item| is_redelivered(item)).count();
        let mut tokens = Vec::new();
        while ledger.outstanding() > never_handed_on && acks.recv_many(&mut tokens, ACK_BATCH).await > 0 {
            ledger.acknowledge(tokens.drain(..), output)?;
            output.write().await?;
        }
        output.queue(&Packet::Disconnect)?;
        connection.close().await
    }
}

/// On one connection.
impl Feed {
    /// Serves the connection until it ends; never returns otherwise. May be cancelled at any point.
    pub async fn serve(
        &mut self,
        config: &BrokerConfig,
        connection: &mut Connection,
        acks: &mut mpsc::UnboundedReceiver<AckToken>,
    ) -> Result<Infallible, End> {
        connection.output.queue(&handshake::subscription(&config.topics))?;
        let mut tokens = Vec::with_capacity(ACK_BATCH);
        let mut ping = pings(config.keepalive);
        let mut heard = Instant::now();
        loop {
            let wants_bytes = self.pump(&config.topics, connection)?;
            let wants_slot = self.wants_slot();
            let Connection { input, output } = connection;
            let wants_write = output.is_waiting();
            tokio::select! {
                biased;
                count = acks.recv_many(&mut tokens, ACK_BATCH) => match count {
                    0 => return Err(End::PipelineGone),
                    _ => self.ledger.acknowledge(tokens.drain(..), output)?,
                },
                written = output.write(), if wants_write => written?,
                _ = ping.tick() => {
                    if !wants_bytes {
                        heard = Instant::now();
                    } else if heard.elapsed() > ping.period() * 3 {
                        return Err(End::Lost(format!("no word from the broker for {:?}", heard.elapsed())));
                    }
                    output.queue(&Packet::PingReq)?;
                }
                permit = self.intake.queue.reserve(), if wants_slot => match (permit, self.inbox.pop_front()) {
                    (Ok(permit), Some(item)) => permit.send(item),
                    (Ok(_), None) => {}
                    (Err(_), _) => return Err(End::PipelineGone),
                },
                moved = self.intake.gate.changed(), if self.gate_moves => self.gate_moves = moved.is_ok(),
                filled = input.fill(), if wants_bytes => {
                    filled?;
                    heard = Instant::now();
                    self.arrived = self.intake.clock.now();
                }
            }
        }
    }

    /// Moves what has been read towards the queue, as far as there is room. True: more bytes are wanted.
    fn pump(&mut self, topics: &[TopicConfig], connection: &mut Connection) -> Result<bool, End> {
        loop {
            self.hand_on()?;
            if !self.has_room() {
                return Ok(false);
            }
            match connection.input.next()? {
                Some(incoming) => self.take(topics, incoming, &mut connection.output)?,
                None => return Ok(true),
            }
        }
    }

    fn hand_on(&mut self) -> Result<(), End> {
        while self.wants_slot() {
            let Some(item) = self.inbox.pop_front() else { break };
            match self.intake.queue.try_send(item) {
                Ok(()) => {}
                Err(TrySendError::Full(item)) => {
                    self.inbox.push_front(item);
                    break;
                }
                Err(TrySendError::Closed(_)) => return Err(End::PipelineGone),
            }
        }
        Ok(())
    }

    /// Something waits that may be handed on: a closed gate holds back messages, not the link's state.
    fn wants_slot(&self) -> bool {
        self.inbox.front().is_some_and(|item| matches!(item, Intake::Link(_)) || self.gate_is_open())
    }

    fn gate_is_open(&self) -> bool {
        *self.intake.gate.borrow() == Gate::Open
    }

    fn has_room(&self) -> bool {
        match &self.link {
            Link::Down { .. } => false,
            // The SUBACK lies behind them, so they are read whatever the queue looks like.
            Link::Subscribing { .. } => true,
            Link::Up => {
                self.inbox.is_empty() && self.gate_is_open() && self.ledger.outstanding() < self.max_inflight
            }
        }
    }

    fn take(&mut self, topics: &[TopicConfig], incoming: Incoming, output: &mut Output) -> Result<(), End> {
        match incoming {
            Incoming::Publish { publish, cut_from } => self.message(&publish, cut_from),
            Incoming::Control(Packet::SubAck(answer)) => {
                for filter in handshake::granted(topics, &answer)? {
                    warn!(source = %self.source, filter, "the broker serves this filter with QoS 0 only: \
                        what it sends while we are away is not delivered again");
                }
                self.report_up();
            }
            Incoming::Control(Packet::PubRel(release)) => {
                output.queue(&Packet::PubComp(PubComp::new(release.pkid)))?;
            }
            Incoming::Control(Packet::PingResp) => {}
            Incoming::Control(other) => {
                return Err(End::Lost(format!("the broker sent an unexpected {:?}", other.packet_type())));
            }
        }
        Ok(())
    }

    fn message(&mut self, publish: &Publish, cut_from: Option<usize>) {
        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
        if let Some(bytes) = cut_from {
            self.meters.oversize.increment(1);
            error!(source = %self.source, topic, bytes, kept = publish.payload.len(), "cut a message that is \
                longer than `intake.max_payload_bytes`; raise it, or lower the broker's `max_packet_size`");
        }
        if publish.qos == QoS::AtMostOnce {
            self.meters.qos0.increment(1);
            self.warn_of_qos0(&topic);
        }
        let ack = (publish.qos != QoS::AtMostOnce)
            .then(|| self.ledger.received(publish.pkid, publish.qos == QoS::ExactlyOnce));
        let payload = Payload::Mqtt { topic, payload: publish.payload.to_vec(), retained: publish.retain };
        let frame = Frame { source: self.source.clone(), received_at: self.arrived, payload, ack };
        match &mut self.link {
            Link::Subscribing { held, .. } => {
                held.push(Intake::Frame(frame));
                if held.len() >= self.max_inflight {
                    // Enough to believe that the session is served; the SUBACK may still say otherwise.
                    self.report_up();
                }
            }
            Link::Up | Link::Down { .. } => self.inbox.push_back(Intake::Frame(frame)),
        }
    }

    fn warn_of_qos0(&mut self, topic: &str) {
        if self.qos0_topics.len() < QOS0_TOPICS && self.qos0_topics.insert(topic.to_owned()) {
            warn!(source = %self.source, topic, "messages come with QoS 0: one that is lost on the way, or \
                while we are away, is not delivered again; let the sender use QoS 1");
        }
    }

    fn report_up(&mut self) {
        let Link::Subscribing { session_present, held, .. } = &mut self.link else { return };
        let (replaying, held) = (*session_present, std::mem::take(held));
        self.link = Link::Up;
        self.had_session = true;
        self.meters.up.set(1.0);
        info!(source = %self.source, resumed = replaying, "subscribed at the broker");
        let state = LinkState::Up { replaying };
        let change = LinkChange { source: self.source.clone(), at: self.intake.clock.now(), state };
        self.inbox.push_back(Intake::Link(change));
        self.inbox.extend(held);
    }
}

/// Twice in a keepalive, so that one that is late does no harm.
fn pings(keepalive: Duration) -> Interval {
    let period = if keepalive.is_zero() { NO_KEEPALIVE } else { keepalive / 2 };
    let mut pings = interval_at(Instant::now() + period, period);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings
}

/// Whether the broker delivers this again on the next connection.
fn is_redelivered(item: &Intake) -> bool {
    matches!(item, Intake::Frame(Frame { ack: Some(_), .. }))
}

fn is_link(item: Option<&Intake>, up: bool) -> bool {
    match item {
        Some(Intake::Link(change)) => matches!(change.state, LinkState::Up { .. }) == up,
        Some(Intake::Frame(_) | Intake::Dropped { .. }) | None => false,
    }
}
