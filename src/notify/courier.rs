//! One receiver's own way through the journal's alert transitions: in order, each until it is taken,
//! refused for good or too old. Its place is a row in the journal, so that a restart goes on where it was;
//! what was told and not noted yet is told again, under the same id.
//!
//! Never waits for another receiver, and never makes anybody wait: what is not told yet lies in the journal.

use std::time::Duration;

use metrics::{counter, gauge};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::notice::Notice;
use super::receivers::{Entry, Receivers};
use crate::config::values::mask_url;
use crate::config::{LONGEST_RETRY_AFTER, ReceiverConfig};
use crate::domain::ids::{Digest, NodeId};
use crate::domain::state::{StateKind, StateRow};
use crate::domain::time::Timestamp;
use crate::journal::{Control, Reader, StoredEvent};
use crate::source::backoff::Backoff;
use crate::source::clock::WallClock;
use crate::telemetry::names;

/// Transitions read at a time; all that is held of the queue in memory.
const PAGE: usize = 50;
/// The place is written this often at most, while there is more to tell.
const NOTE_EVERY: Duration = Duration::from_millis(500);
/// Events of other kinds that are passed over before the place is written for their sake.
const NOTE_PASSED: u64 = 100_000;
/// Pause after the journal could not be read.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// What carries notices to one kind of receiver.
pub trait Carrier: Send + 'static {
    /// `webhook`, `mqtt` or `log`.
    fn kind(&self) -> &'static str;

    /// What the receiver is: another address is another receiver.
    fn address(&self) -> String;

    /// Returns when the receiver has taken it.
    fn carry(&mut self, notice: &Notice) -> impl Future<Output = Result<(), Undelivered>> + Send;

    /// There is nothing more to tell for now.
    fn rest(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Why a receiver has not taken a notice.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    #[error("{reason}")]
    Later { reason: String, not_before: Option<Duration> },
    /// It will not take this one, however often it is tried.
    #[error("{reason}")]
    Refused { reason: String },
    /// It wants nothing any more.
    #[error("the receiver says that it is gone")]
    Gone,
}

/// How far a receiver has been told.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Place {
    /// Everything up to this event.
    pub seq: u64,
    /// Since when it is told nothing, because it said that it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_since: Option<Timestamp>,
    /// Of its address, so that a new one starts anew.
    pub address: Digest,
}

/// What every courier works with.
#[derive(Clone)]
pub struct Surroundings {
    pub node: NodeId,
    pub reader: Reader,
    /// Number of the newest event.
    pub committed: watch::Receiver<u64>,
    pub control: mpsc::Sender<Control>,
    pub clock: WallClock,
    /// Where people see how it stands with each.
    pub receivers: Receivers,
    pub shutdown: CancellationToken,
}

pub struct Courier<C> {
    config: ReceiverConfig,
    carrier: C,
    around: Surroundings,
    standing: Entry,
    backoff: Backoff,
    place: Place,
    noted: Option<Place>,
    noted_at: Instant,
    /// Something was told since the place was written.
    has_told: bool,
}

enum Ended {
    Told,
    /// It is to be told again: as the journal has it by then.
    Again,
    Stopped,
}

impl<C: Carrier> Courier<C> {
    /// `place`: as the journal has it. A receiver without one begins with what happens from now on, and so
    /// does one that was gone and has another address now.
    pub fn new(config: ReceiverConfig, carrier: C, place: Option<Place>, around: Surroundings) -> Self {
        let head = *around.committed.borrow();
        let address = Digest::of(carrier.address().as_bytes());
        let held = place.filter(|place| place.gone_since.is_none() || place.address == address);
        let new = Place { seq: head, gone_since: None, address };
        let place = held.map_or(new.clone(), |held| Place { address, ..held });
        let backoff = Backoff::new(config.backoff);
        let standing = around.receivers.enter(&config.name, carrier.kind(), &mask_url(&carrier.address()));
        standing.told_up_to(place.seq);
        standing.disabled_since(place.gone_since);
        let (noted, noted_at) = (None, Instant::now());
        Self { config, carrier, around, standing, backoff, place, noted, noted_at, has_told: false }
    }

    pub async fn run(mut self) {
        self.note().await;
        self.set_waiting(None);
        gauge!(names::RECEIVER_ENABLED, "receiver" => self.config.name.clone()).set(1.0);
        while self.place.gone_since.is_none() && !self.around.shutdown.is_cancelled() {
            let head = *self.around.committed.borrow_and_update();
            match self.around.reader.alert_events_after(self.place.seq, PAGE).await {
                Ok(events) if events.is_empty() => {
                    // What was to be told again may be gone.
                    self.set_waiting(None);
                    self.standing.waits_since(None);
                    self.place.seq = self.place.seq.max(head);
                    self.standing.told_up_to(self.place.seq);
                    if !self.idle().await {
                        return;
                    }
                }
                Ok(events) => {
                    if let Ended::Stopped = self.tell(events).await {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(receiver = self.config.name, %error, "failed to read what is to be told");
                    if !self.pause(READ_AGAIN).await {
                        return;
                    }
                }
            }
        }
        self.set_waiting(None);
        if let Some(since) = self.place.gone_since {
            gauge!(names::RECEIVER_ENABLED, "receiver" => self.config.name.clone()).set(0.0);
            tracing::error!(receiver = self.config.name, %since,
                "this receiver said that it is gone (410), and is told nothing until it has another address");
            self.around.shutdown.cancelled().await;
        }
    }

    /// Waits for more; false where there will be none.
    async fn idle(&mut self) -> bool {
        self.carrier.rest().await;
        if self.has_told || self.passed() >= NOTE_PASSED {
            self.note().await;
        }
        tokio::select! {
            () = self.around.shutdown.cancelled() => false,
            changed = self.around.committed.changed() => changed.is_ok(),
        }
    }

    /// Events since the place was written.
    fn passed(&self) -> u64 {
        self.place.seq.saturating_sub(self.noted.as_ref().map_or(0, |noted| noted.seq))
    }

    async fn tell(&mut self, events: Vec<StoredEvent>) -> Ended {
        for event in events {
            let notice = Notice::of(&event, &self.around.node);
            let wanted = notice.filter(|notice| {
                notice.alert.is_for(&self.config.name) && self.config.filter.lets(&notice.alert)
            });
            if let Some(notice) = wanted {
                match self.deliver(&notice).await {
                    Ended::Told => {}
                    ended => return ended,
                }
                if self.place.gone_since.is_some() {
                    self.note().await;
                    return Ended::Told;
                }
                self.has_told = true;
            }
            self.place.seq = event.seq;
            self.standing.told_up_to(event.seq);
            if self.has_told && self.noted_at.elapsed() >= NOTE_EVERY {
                self.note().await;
            }
        }
        Ended::Told
    }

    /// Once. What is not taken is told again after a pause, and read anew before that: nobody who was erased meanwhile
    /// is told of.
    async fn deliver(&mut self, notice: &Notice) -> Ended {
        let carried = tokio::select! {
            biased;
            () = self.around.shutdown.cancelled() => return Ended::Stopped,
            carried = self.carrier.carry(notice) => carried,
        };
        let (error, not_before) = match carried {
            Ok(()) => {
                counter!(names::NOTIFICATIONS, "receiver" => self.config.name.clone()).increment(1);
                self.backoff.reset();
                self.standing.took(self.around.clock.now());
                self.set_waiting(None);
                return Ended::Told;
            }
            Err(Undelivered::Gone) => {
                let now = self.around.clock.now();
                self.standing.refused(now, &Undelivered::Gone.to_string());
                self.standing.disabled_since(Some(now));
                self.place.gone_since = Some(now);
                return Ended::Told;
            }
            Err(Undelivered::Refused { reason }) => {
                self.standing.refused(self.around.clock.now(), &reason);
                self.give_up(notice, "refused", &reason);
                return Ended::Told;
            }
            Err(Undelivered::Later { reason, not_before }) => (reason, not_before),
        };
        counter!(names::NOTIFICATION_FAILURES, "receiver" => self.config.name.clone()).increment(1);
        let now = self.around.clock.now();
        self.standing.refused(now, &error);
        let age = now.since(notice.recorded_at);
        if age >= self.config.give_up_after {
            self.give_up(notice, "expired", &error);
            return Ended::Told;
        }
        self.set_waiting(Some(age));
        self.standing.waits_since(Some(notice.recorded_at));
        let asked = not_before.unwrap_or_default().min(LONGEST_RETRY_AFTER);
        let again_in = self.backoff.next_delay().max(asked);
        tracing::warn!(receiver = self.config.name, alert = %notice.alert.key, error, ?again_in,
            "failed to tell a receiver; it is told again");
        if self.pause(again_in).await { Ended::Again } else { Ended::Stopped }
    }

    fn give_up(&self, notice: &Notice, why: &'static str, error: &str) {
        let receiver = self.config.name.clone();
        self.standing.waits_since(None);
        counter!(names::NOTIFICATIONS_DROPPED, "receiver" => receiver, "reason" => why).increment(1);
        let transition = notice.transition.as_str();
        tracing::error!(receiver = self.config.name, alert = %notice.alert.key, id = %notice.id, transition,
            why, error, "gave up telling a receiver of an alert");
    }

    fn set_waiting(&self, age: Option<Duration>) {
        let seconds = age.map_or(0.0, |age| age.as_secs_f64());
        gauge!(names::RECEIVER_WAITING, "receiver" => self.config.name.clone()).set(seconds);
    }

    /// False at shutdown.
    async fn pause(&mut self, pause: Duration) -> bool {
        tokio::select! {
            () = self.around.shutdown.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }

    async fn note(&mut self) {
        if self.noted.as_ref() == Some(&self.place) {
            return;
        }
        let row = StateRow::put(StateKind::Receiver, self.config.name.as_str(), &self.place);
        // The writer is gone at a shutdown: what is not noted is told again.
        if self.around.control.send(Control::Note(row)).await.is_ok() {
            self.noted = Some(self.place.clone());
            self.noted_at = Instant::now();
            self.has_told = false;
        }
    }
}
