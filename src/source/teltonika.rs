//! Teltonika trackers that connect to us over TCP.
//!
//! ```text
//! accept ─▶ login (IMEI) ─▶ 01 ─▶ packet ─▶ pipeline ─▶ commit ─▶ number of records ─▶ packet …
//!                        └▶ 00, closed: not one of `devices`
//! ```
//!
//! A tracker keeps what it was not told to have arrived, and sends it again, so a packet is acknowledged after its
//! commit alone; one that is not what it says it is (check sum, counts) goes to the dead letters and is not
//! acknowledged. Never looks at what a record says.

mod callers;
mod connection;

use std::collections::HashMap;
use std::sync::Arc;

use metrics::{Counter, Gauge, counter, gauge};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::callers::Callers;
use self::connection::Connection;
use crate::config::TeltonikaConfig;
use crate::domain::frames::{AckToken, LinkChange, LinkState};
use crate::source::listening::accept;
use crate::source::{Intake, IntakeSender};
use crate::telemetry::names;

/// Runs until `shutdown`, then until what was handed on is acknowledged or the pipeline has ended.
///
/// `acks` names the packets that are durable. It is unbounded because it can hold no more than the packets under
/// way, and must never make the pipeline wait.
pub async fn run(
    config: TeltonikaConfig,
    listener: TcpListener,
    intake: IntakeSender,
    mut acks: mpsc::UnboundedReceiver<AckToken>,
    shutdown: CancellationToken,
) {
    let state = LinkState::Up { replaying: false };
    let change = LinkChange { source: config.name.clone(), at: intake.clock.now(), state };
    if intake.queue.send(Intake::Link(change)).await.is_err() {
        return;
    }
    let mut door = Door::new(config, shutdown.clone());
    // Dropped on a stop, so that the pipeline can end.
    let mut intake = Some(intake);
    while intake.is_some() || !door.connections.is_empty() {
        tokio::select! {
            biased;
            () = shutdown.cancelled(), if intake.is_some() => intake = None,
            token = acks.recv() => match token {
                Some(token) => door.acknowledge(token),
                None => break,
            },
            Some(ended) = door.connections.join_next() => {
                if let Ok(generation) = ended {
                    door.lanes.remove(&generation);
                }
            }
            (stream, _) = accept(&listener), if intake.is_some() => {
                if let Some(intake) = &intake {
                    door.open(stream, intake.clone());
                }
            }
        }
    }
    door.up.set(0.0);
}

/// Connections beyond `max_connections` that may say who they are: a tracker that lost its connection without a word comes
/// again while the old one still counts.
const LOBBY: usize = 64;

/// The connections there are.
struct Door {
    config: Arc<TeltonikaConfig>,
    shutdown: CancellationToken,
    connections: JoinSet<u64>,
    /// On which acknowledgements go to each connection, by its generation.
    lanes: HashMap<u64, mpsc::UnboundedSender<AckToken>>,
    callers: Callers,
    generation: u64,
    up: Gauge,
    opened: Counter,
    failures: Counter,
}

impl Door {
    fn new(config: TeltonikaConfig, shutdown: CancellationToken) -> Self {
        let label = || config.name.as_str().to_owned();
        let up = gauge!(names::SOURCE_UP, "source" => label());
        up.set(1.0);
        Self {
            up,
            callers: Callers::new(config.max_connections),
            opened: counter!(names::SOURCE_CONNECTIONS, "source" => label()),
            failures: counter!(names::SOURCE_CONNECTION_FAILURES, "source" => label()),
            config: Arc::new(config),
            shutdown,
            connections: JoinSet::new(),
            lanes: HashMap::new(),
            generation: 0,
        }
    }

    fn open(&mut self, stream: TcpStream, intake: IntakeSender) {
        if self.connections.len() >= self.config.max_connections + LOBBY {
            self.failures.increment(1);
            warn!(source = %self.config.name, most = self.config.max_connections, "too many connections; one more was turned away");
            return;
        }
        self.opened.increment(1);
        self.generation += 1;
        let (lane, acks) = mpsc::unbounded_channel();
        self.lanes.insert(self.generation, lane);
        let callers = self.callers.clone();
        let connection =
            Connection::new(self.config.clone(), self.generation, stream, intake, (acks, callers));
        let (shutdown, failures, generation) =
            (self.shutdown.clone(), self.failures.clone(), self.generation);
        let source = self.config.name.clone();
        self.connections.spawn(async move {
            let imei = connection.serve(shutdown).await.unwrap_or_else(|(imei, reason)| {
                failures.increment(1);
                info!(%source, imei, %reason, "a tracker's connection ended");
                imei
            });
            tracing::debug!(%source, imei, "a tracker left");
            generation
        });
    }

    /// Where its connection is gone, the tracker sends it again, and it is known again.
    fn acknowledge(&self, token: AckToken) {
        let sent = self.lanes.get(&token.generation).is_some_and(|lane| lane.send(token).is_ok());
        if !sent {
            tracing::debug!(source = %self.config.name, "a packet is durable whose connection is gone");
        }
    }
}
