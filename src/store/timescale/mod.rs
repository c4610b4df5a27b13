//! The forwarder: the journal's events into TimescaleDB, exactly once.
//!
//! ```text
//! journal ─▶ feed (reads, encodes) ─▶ session (one transaction a batch) ─▶ TimescaleDB
//!               next batch meanwhile       watermark · COPY · current state
//!                                 forwarder: backoff, health, backlog
//! ```
//!
//! A batch and the node's watermark are one transaction, and the watermark moves by compare-and-set, so an
//! event is in the database once whatever breaks, and whenever. Nothing upstream waits for any of this: while the
//! database is away the journal keeps the events, and a figure says how many.
//!
//! It needs a direct connection or a pooler in session mode: the node's lock belongs to the session.

mod batch;
mod bodies;
mod capabilities;
mod connection;
mod current;
mod encode;
mod error;
mod feed;
mod forwarder;
mod migrations;
mod people;
mod progress;
mod register;
mod rest;
mod session;
mod tables;
mod troubles;
mod watermark;
mod write;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use error::StoreError;
pub use forwarder::{Forwarder, Timing};
/// The newest version of the database's schema that this build writes.
pub use migrations::KNOWN as KNOWN_SCHEMA;
pub use people::Keep;
pub use register::{Follower, RegisterRequest, ask_to_adopt};

use register::{OWNERSHIP, ROWS};
use troubles::{HISTORY, REACH};

use crate::config::{RegisterOwner, TimescaleConfig};
use crate::domain::health::Health;
use crate::domain::ids::NodeId;
use crate::domain::register::Record;
use crate::journal::{Control, Reader};

/// The subjects of `journal` alerts that nobody tells of under this configuration.
pub fn untold(config: Option<&TimescaleConfig>) -> Vec<&'static str> {
    let reach = [REACH, HISTORY].into_iter().filter(|_| config.is_none());
    let follows = config.is_some_and(|config| config.register == RegisterOwner::Database);
    reach.chain([OWNERSHIP, ROWS].into_iter().filter(|_| !follows)).collect()
}

/// Forwards until `shutdown`, or until `committed` (the number of the journal's newest event) is closed and
/// all is written. `declared` is what the configuration file declares of the register; what tells of
/// people is kept as `keep` says.
#[expect(clippy::too_many_arguments, reason = "the ends of the channels that `pipeline.rs` joins")]
pub async fn run(
    config: TimescaleConfig,
    node: NodeId,
    journal: Reader,
    committed: watch::Receiver<u64>,
    control: mpsc::Sender<Control>,
    health: mpsc::Sender<Health>,
    declared: Vec<Record>,
    keep: Keep,
    shutdown: CancellationToken,
) {
    let timing = Timing::default();
    Forwarder { config, node, journal, committed, control, health, declared, keep, timing }
        .run(shutdown)
        .await;
}
