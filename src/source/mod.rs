//! Connections → frames, with the time of receipt and a way to acknowledge. Interprets no reading;
//! drops nothing silently.

use tokio::sync::{mpsc, watch};

use crate::domain::frames::{Frame, LinkChange};
use crate::domain::ids::SourceId;

pub(crate) mod addresses;
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
    /// Nothing: a place that the frame before it takes beside its own, because it is long.
    Room,
}

/// What one place of the queue stands for in bytes: a frame that is longer takes several.
const PLACE_BYTES: usize = 16 << 10;

/// The pipeline takes nothing any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the pipeline has ended")]
pub struct IntakeEnded;

impl IntakeSender {
    /// Hands over a frame of so many bytes once the queue has room for it by length too: as many places as it takes,
    /// or all there are. What waits is then bounded in bytes, however long the frames of a source are. Cancel safe.
    pub async fn put(&self, frame: Frame, bytes: usize) -> Result<(), IntakeEnded> {
        let places = (1 + bytes / PLACE_BYTES).min(self.queue.max_capacity());
        let mut room = self.queue.reserve_many(places).await.map_err(|_| IntakeEnded)?;
        if let Some(place) = room.next() {
            place.send(Intake::Frame(frame));
        }
        room.for_each(|place| place.send(Intake::Room));
        Ok(())
    }
}

/// The mouth of the pipeline, as a source sees it.
#[derive(Clone)]
pub struct IntakeSender {
    /// Bounded (`intake.queue`): a source that can be slowed awaits room, one that cannot drops and
    /// says so with [`Intake::Dropped`]. Where frames may be long, [`Self::put`] bounds it in bytes.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::frames::Payload;

    #[tokio::test]
    async fn long_frames_take_the_room_of_many_short_ones() {
        let (queue, mut waiting) = mpsc::channel(64);
        let intake =
            IntakeSender { queue, gate: watch::channel(Gate::Open).1, clock: clock::WallClock::new() };
        let put = async |bytes: usize| {
            let payload = Payload::Llrp(vec![0; bytes]);
            let frame = Frame { source: "dock".into(), received_at: intake.clock.now(), payload, ack: None };
            let put = tokio::time::timeout(Duration::from_millis(50), intake.put(frame, bytes)).await;
            put.is_ok_and(|put| put.is_ok())
        };
        for _ in 0..64 {
            assert!(put(150).await, "short ones take a place each");
        }
        assert!(!put(150).await);
        while waiting.try_recv().is_ok() {}
        assert!(put(600 << 10).await);
        assert!(!put(600 << 10).await, "38 of 64 places are taken");
        assert!(put(100 << 10).await);
        let frames = std::iter::from_fn(|| waiting.try_recv().ok()).filter(|it| *it != Intake::Room);
        assert_eq!(frames.count(), 2);
        assert!(put(64 << 20).await, "the longest takes all of it");
    }
}
