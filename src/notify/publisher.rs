//! What we publish to a broker, with QoS 1: one message at a time, each until it is acknowledged.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::config::BrokerConfig;
use crate::source::mqtt::handshake::{self, ConnectError, Session};
use crate::source::mqtt::packets::{FromBroker, Message, ToBroker};
use crate::source::mqtt::wire::{Connection, Incoming, Limits, WireError};

/// Connecting, or one message and its acknowledgement.
const PATIENCE: Duration = Duration::from_secs(10);
/// Taking leave: a broker that does not let go of us is left.
const LEAVE: Duration = Duration::from_secs(1);
/// Nothing that a broker sends to one who subscribes to nothing is near this.
const LIMITS: Limits = Limits { max_payload: 64 << 10, max_kept: 64 << 10 };

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the broker did not answer within {PATIENCE:?}")]
    Silent,
}

/// Connected from the first message until it is told to leave, or something fails.
pub struct Publisher {
    broker: BrokerConfig,
    /// What the broker publishes where we go without leave.
    will: Option<Message>,
    connection: Option<Connection>,
    last_id: u16,
    /// When the broker last answered us.
    answered_at: Instant,
}

impl Publisher {
    pub fn new(broker: BrokerConfig, will: Option<Message>) -> Self {
        Self { broker, will, connection: None, last_id: 0, answered_at: Instant::now() }
    }

    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// When the broker last heard of us and said so.
    pub fn answered_at(&self) -> Instant {
        self.answered_at
    }

    /// Returns when the broker has taken it.
    pub async fn publish(
        &mut self,
        topic: String,
        payload: String,
        retain: bool,
    ) -> Result<(), PublishError> {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        let id = self.last_id;
        let message = Message { packet_id: id, ..Message::new(topic, payload, retain) };
        self.ask(&ToBroker::Publish(&message), |answer| *answer == FromBroker::Published(id)).await
    }

    /// Keeps the connection alive.
    pub async fn ping(&mut self) -> Result<(), PublishError> {
        self.ask(&ToBroker::Ping, |answer| *answer == FromBroker::Pong).await
    }

    /// Goes with leave: no will is published.
    pub async fn leave(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let leave = async {
            connection.output.queue(&ToBroker::Leave)?;
            connection.close().await
        };
        if !matches!(timeout(LEAVE, leave).await, Ok(Ok(()))) {
            tracing::debug!(host = self.broker.host, "the broker did not take leave");
        }
    }

    /// Where it fails, the connection is over.
    async fn ask(
        &mut self,
        packet: &ToBroker<'_>,
        is_answer: impl Fn(&FromBroker) -> bool,
    ) -> Result<(), PublishError> {
        let asked = async {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => handshake::connect(&self.broker, Session::Kept, LIMITS, self.will.as_ref()).await?.0,
            };
            connection.output.queue(packet)?;
            connection.output.write().await?;
            loop {
                match connection.input.next()? {
                    Some(Incoming::Packet(answer)) if is_answer(&answer) => break,
                    Some(_) => {}
                    None => connection.input.fill().await?,
                }
            }
            self.connection = Some(connection);
            self.answered_at = Instant::now();
            Ok(())
        };
        timeout(PATIENCE, asked).await.unwrap_or(Err(PublishError::Silent))
    }
}
