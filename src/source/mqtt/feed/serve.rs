//! One connection, from SUBSCRIBE to its end: messages in, acknowledgements and pings out.
//!
//! One loop does all of it, and nothing in it waits for room while it holds up something else.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tracing::{error, info, warn};

use super::{ACK_BATCH, End, Feed, Link};
use crate::config::{BrokerConfig, TopicConfig};
use crate::domain::frames::{Frame, LinkChange, LinkState, Payload, TooLong};
use crate::source::mqtt::Back;
use crate::source::mqtt::handshake;
use crate::source::mqtt::ledger::NO_PACKET;
use crate::source::mqtt::packets::{FromBroker, Message, ToBroker};
use crate::source::mqtt::wire::{Connection, Incoming, Output};
use crate::source::{Gate, Intake};

/// Topics named in the log for their QoS 0; more would be noise.
const QOS0_TOPICS: usize = 32;
/// What begins the topics of Sparkplug, which prescribes QoS 0 for nearly all that nodes send, and numbers it instead.
const SPARKPLUG: &str = "spBv1.0/";
/// A shorter message of QoS 0 is bounded by the queue alone; of a longer one it is told when it is durable.
const COUNTED_BYTES: usize = 512;
/// For a broker with keepalive switched off: as good as never.
const NO_KEEPALIVE: Duration = Duration::from_secs(24 * 3600);

/// How long to wait for the broker.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// We ask for a word twice in it, and three times without an answer are the end.
    pub keepalive: Duration,
    /// For what it has to answer.
    pub answer: Duration,
}

impl Feed {
    /// Serves the connection until it ends; never returns otherwise. May be cancelled at any point.
    pub async fn serve(
        &mut self,
        config: &BrokerConfig,
        times: Times,
        connection: &mut Connection,
        back: &mut Back,
    ) -> Result<Infallible, End> {
        if let Some(unsubscribe) = self.subscriptions.begin(&config.topics) {
            connection.output.queue(&unsubscribe)?;
        }
        connection.output.queue(&handshake::subscription(&config.topics))?;
        let Back { acks, requests } = back;
        let mut tokens = Vec::with_capacity(ACK_BATCH);
        let mut ping = pings(times.keepalive);
        let mut heard = Instant::now();
        let (mut granted_by, mut held) = (heard + times.answer, 0);
        loop {
            let wants_bytes = self.pump(&config.topics, connection)?;
            self.ledger.show();
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
                Some(request) = requests.recv() => {
                    info!(source = %self.source, topic = request.topic, "asks for what it needs to understand others");
                    self.meters.requests.increment(1);
                    output.queue(&ToBroker::Publish(&Message::asking(request)))?;
                }
                _ = ping.tick() => {
                    if !wants_bytes {
                        heard = Instant::now();
                    } else if heard.elapsed() > ping.period() * 3 {
                        return Err(End::Lost(format!("no word from the broker for {:?}", heard.elapsed())));
                    }
                    output.queue(&ToBroker::Ping)?;
                    self.subscriptions.note();
                }
                () = sleep_until(granted_by), if matches!(self.link, Link::Subscribing { .. }) => {
                    // Over a slow line the answer comes behind what it holds for us: that must not be begun anew for ever.
                    let holds = self.held();
                    if input.is_amid_packet() || holds > held {
                        (granted_by, held) = (Instant::now() + times.answer, holds);
                        continue;
                    }
                    return Err(End::Lost(format!(
                        "the broker let us in, and did not answer SUBSCRIBE within {:?}: see its log; what stands between us \
                         and it (a proxy, a bridge) may swallow the answer",
                        times.answer
                    )));
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
            self.has_long &= self.ledger.outstanding() > 0;
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
    pub(super) fn wants_slot(&self) -> bool {
        self.inbox.front().is_some_and(|item| matches!(item, Intake::Link(_)) || self.gate_is_open())
    }

    /// Messages that came before the answer to SUBSCRIBE.
    fn held(&self) -> usize {
        if let Link::Subscribing { held, .. } = &self.link { held.len() } else { 0 }
    }

    fn gate_is_open(&self) -> bool {
        *self.intake.gate.borrow() == Gate::Open
    }

    fn has_room(&self) -> bool {
        match &self.link {
            Link::Down { .. } => false,
            // The SUBACK lies behind them, so they are read whatever the queue looks like.
            Link::Subscribing { .. } => true,
            Link::Up { .. } => {
                self.inbox.is_empty()
                    && self.gate_is_open()
                    && !self.has_long
                    && self.ledger.outstanding() < self.max_inflight
                    && self.ledger.bytes() < self.max_inflight_bytes
            }
        }
    }

    fn take(&mut self, topics: &[TopicConfig], incoming: Incoming, output: &mut Output) -> Result<(), End> {
        let packet = match incoming {
            Incoming::Packet(packet) => packet,
            Incoming::TooLong { message, payload } => {
                self.long_message(&message, payload);
                return Ok(());
            }
        };
        match packet {
            FromBroker::Publish(message) => {
                let payload = message.payload.to_vec();
                self.message(&message, payload.len(), |topic| Payload::Mqtt {
                    topic,
                    payload,
                    retained: message.retained,
                    redelivered: message.redelivered,
                });
            }
            FromBroker::Granted { packet_id, results } => {
                for filter in handshake::granted(topics, packet_id, &results)? {
                    warn!(source = %self.source, filter, "the broker serves this filter with QoS 0 only: \
                        what it sends while we are away is not delivered again");
                }
                self.report_up();
            }
            FromBroker::Unsubscribed { packet_id, results } => {
                self.subscriptions.let_go(topics, packet_id, &results);
            }
            FromBroker::Released(packet_id) => output.queue(&ToBroker::PubComp(packet_id))?,
            FromBroker::Pong => {}
            FromBroker::Farewell(why) => {
                return Err(End::Lost(format!("the broker ended the connection: {why}")));
            }
            FromBroker::Accepted(_) | FromBroker::Refused(_) | FromBroker::Published(_) => {
                return Err(End::Lost("the broker answered what was not asked".to_owned()));
            }
            FromBroker::Other(name) => {
                return Err(End::Lost(format!("the broker sent an unexpected {name}")));
            }
        }
        Ok(())
    }

    fn long_message(&mut self, message: &Message, payload: TooLong) {
        let (topic, bytes) = (String::from_utf8_lossy(&message.topic), payload.bytes);
        self.meters.oversize.increment(1);
        if payload.is_whole() {
            warn!(source = %self.source, topic = &*topic, bytes, "a message is longer than `intake.max_payload`: it is not \
                decoded, but kept as a dead letter");
        } else {
            error!(source = %self.source, topic = &*topic, bytes, kept = payload.kept.len(), "only the beginning of a \
                message is kept: it is longer than `intake.max_kept`");
        }
        self.has_long = true;
        self.message(message, payload.kept.len(), |topic| Payload::TooLong { topic, message: payload });
    }

    /// `bytes`: those of the payload that are kept.
    fn message(&mut self, message: &Message, bytes: usize, payload: impl FnOnce(String) -> Payload) {
        let topic = String::from_utf8_lossy(&message.topic).into_owned();
        if message.qos == 0 {
            self.meters.qos0.increment(1);
            self.warn_of_qos0(&topic);
        }
        let packet_id = if message.qos == 0 { NO_PACKET } else { message.packet_id };
        let bytes = bytes + message.topic.len();
        let wants_ack = packet_id != NO_PACKET || self.has_long || bytes >= COUNTED_BYTES;
        let ack = wants_ack.then(|| self.ledger.received(packet_id, message.qos == 2, bytes));
        let payload = payload(topic);
        let frame = Frame { source: self.source.clone(), received_at: self.arrived, payload, ack };
        match &mut self.link {
            Link::Subscribing { held, .. } => {
                held.push(Intake::Frame(frame));
                let enough = self.ledger.bytes() >= self.max_inflight_bytes;
                if held.len() >= self.max_inflight || self.has_long || enough {
                    // Enough to believe that the session is served; the SUBACK may still say otherwise.
                    self.report_up();
                }
            }
            Link::Up { .. } | Link::Down { .. } => self.inbox.push_back(Intake::Frame(frame)),
        }
    }

    fn warn_of_qos0(&mut self, topic: &str) {
        let is_wrong = !topic.starts_with(SPARKPLUG);
        if is_wrong && self.qos0_topics.len() < QOS0_TOPICS && self.qos0_topics.insert(topic.to_owned()) {
            warn!(source = %self.source, topic, "messages come with QoS 0: one that is lost on the way, or \
                while we are away, is not delivered again; let the sender use QoS 1");
        }
    }

    fn report_up(&mut self) {
        let Link::Subscribing { session_present, held, .. } = &mut self.link else { return };
        let (replaying, held) = (*session_present, std::mem::take(held));
        self.link = Link::Up { since: Instant::now() };
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
