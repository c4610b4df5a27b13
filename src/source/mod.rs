//! Connections → frames, with the time of receipt and a way to acknowledge. Interprets no reading;
//! drops nothing silently.

use tokio::sync::{mpsc, watch};

use crate::domain::frames::{Frame, LinkChange};
use crate::domain::ids::SourceId;

pub mod backoff;
pub mod clock;
pub mod dial;
mod line;
mod listening;
pub mod llrp;
pub mod modbus;
pub mod mqtt;
pub mod nmea;
mod outbox;
pub mod outputs;
pub mod serial;
mod standing;
pub mod teltonika;

/// What a source puts into the pipeline, in the order in which it happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Intake {
    Frame(Frame),
    Link(LinkChange),
    /// Frames received and not queued, because a source that cannot be slowed found the queue full
    /// or the gate closed.
    Dropped {
        source: SourceId,
        reason: &'static str,
        count: u64,
    },
}

/// The mouth of the pipeline, as a source sees it.
#[derive(Clone)]
pub struct IntakeSender {
    /// Bounded (`intake.queue`): a source that can be slowed awaits room, one that cannot drops and
    /// says so with [`Intake::Dropped`].
    pub queue: mpsc::Sender<Intake>,
    /// Closed while the journal is full: nothing that can wait is read.
    pub gate: watch::Receiver<Gate>,
    pub clock: clock::WallClock,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gate {
    Open,
    Closed,
}
