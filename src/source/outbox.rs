//! The way into the pipeline of a source that cannot be slowed: what finds no room is dropped, counted
//! and reported; a change of the link waits.

use std::collections::{BTreeMap, VecDeque};

use metrics::Counter;
use tracing::error;

use crate::domain::frames::{Frame, LinkChange, LinkState};
use crate::domain::ids::SourceId;
use crate::source::{Gate, Intake, IntakeSender};

pub struct Outbox {
    source: SourceId,
    intake: IntakeSender,
    /// Changes of the link that found no room, oldest first; three at most.
    links: VecDeque<LinkChange>,
    /// Drops that are not reported yet, by reason.
    dropped: BTreeMap<&'static str, u64>,
    /// Drops since the last line in the log, by reason.
    unlogged: BTreeMap<&'static str, u64>,
    drops: Counter,
}

impl Outbox {
    /// `drops` counts what finds no room.
    pub fn new(source: SourceId, intake: IntakeSender, drops: Counter) -> Self {
        let (links, dropped, unlogged) = (VecDeque::new(), BTreeMap::new(), BTreeMap::new());
        Self { source, intake, links, dropped, unlogged, drops }
    }

    pub fn gate_is_open(&self) -> bool {
        *self.intake.gate.borrow() == Gate::Open
    }

    pub fn is_closed(&self) -> bool {
        self.intake.queue.is_closed()
    }

    pub fn now(&self) -> crate::domain::time::Timestamp {
        self.intake.clock.now()
    }

    pub fn frame(&mut self, frame: Frame) {
        self.flush();
        let blocked = !self.links.is_empty() || !self.dropped.is_empty();
        if blocked || self.intake.queue.try_send(Intake::Frame(frame)).is_err() {
            self.drop("queue-full", 1);
        }
    }

    pub fn link(&mut self, state: LinkState) {
        let down = matches!(state, LinkState::Down { .. });
        let change = LinkChange { source: self.source.clone(), at: self.now(), state };
        let mut newest = self.links.iter().rev();
        let up_after_down = is_up(newest.next()) && newest.next().is_some();
        if down && up_after_down {
            // Down, up and down again before anybody could hear of it is down.
            self.links.pop_back();
        } else {
            self.links.push_back(change);
        }
        self.flush();
    }

    /// Frames, or polls, that the pipeline will not see.
    pub fn drop(&mut self, reason: &'static str, count: u64) {
        *self.dropped.entry(reason).or_default() += count;
        *self.unlogged.entry(reason).or_default() += count;
    }

    /// Now and then, at the end of a poll for instance: one line and one count for each reason.
    pub fn log_drops(&mut self) {
        for (reason, count) in std::mem::take(&mut self.unlogged) {
            self.drops.increment(count);
            error!(source = %self.source, reason, count, "dropped what a device said");
        }
    }

    /// As much of what waits as there is room for.
    fn flush(&mut self) {
        while let Some(change) = self.links.front() {
            if self.intake.queue.try_send(Intake::Link(change.clone())).is_err() {
                return;
            }
            self.links.pop_front();
        }
        while let Some((reason, count)) = self.dropped.first_key_value() {
            let (reason, count) = (*reason, *count);
            let report = Intake::Dropped { source: self.source.clone(), reason, count };
            if self.intake.queue.try_send(report).is_err() {
                return;
            }
            self.dropped.pop_first();
        }
    }
}

fn is_up(change: Option<&LinkChange>) -> bool {
    change.is_some_and(|change| matches!(change.state, LinkState::Up { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::frames::Payload;
    use crate::source::clock::WallClock;
    use tokio::sync::{mpsc, watch};

    fn outbox(queue: usize) -> (Outbox, mpsc::Receiver<Intake>) {
        let (sender, receiver) = mpsc::channel(queue);
        let gate = watch::channel(Gate::Open).1;
        let intake = IntakeSender { queue: sender, gate, clock: WallClock::new() };
        (Outbox::new(SourceId::new("m"), intake, Counter::noop()), receiver)
    }

    fn frame(outbox: &Outbox) -> Frame {
        let payload = Payload::Llrp(Vec::new());
        Frame { source: outbox.source.clone(), received_at: outbox.now(), payload, ack: None }
    }

    fn told(receiver: &mut mpsc::Receiver<Intake>) -> Vec<String> {
        std::iter::from_fn(|| receiver.try_recv().ok())
            .map(|item| match item {
                Intake::Frame(_) => "frame".into(),
                Intake::Link(change) if is_up(Some(&change)) => "up".into(),
                Intake::Link(_) => "down".into(),
                Intake::Dropped { reason, count, .. } => format!("{reason} {count}"),
                Intake::Room => "room".into(),
            })
            .collect()
    }

    fn down() -> LinkState {
        LinkState::Down { reason: "gone".into() }
    }

    #[test]
    fn drops_are_reported_once_there_is_room_and_before_the_next_frame() {
        let (mut outbox, mut receiver) = outbox(2);
        for _ in 0..5 {
            outbox.frame(frame(&outbox));
        }
        assert_eq!(told(&mut receiver), ["frame", "frame"]);
        outbox.frame(frame(&outbox));
        assert_eq!(told(&mut receiver), ["queue-full 3", "frame"]);
    }

    #[test]
    fn a_change_of_the_link_is_never_dropped_and_does_not_pile_up() {
        let (mut outbox, mut receiver) = outbox(1);
        outbox.frame(frame(&outbox));
        for _ in 0..10 {
            outbox.link(LinkState::Up { replaying: false });
            outbox.link(down());
        }
        outbox.link(LinkState::Up { replaying: false });
        assert!(outbox.links.len() <= 3);
        let mut heard = Vec::new();
        for _ in 0..5 {
            heard.extend(told(&mut receiver));
            outbox.flush();
        }
        assert_eq!(heard, ["frame", "up", "down", "up"]);
    }
}
