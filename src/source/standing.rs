//! How it stands with a device that cannot be slowed: up once it has spoken, down when its line is lost, and
//! when to try again.

use std::time::Duration;

use metrics::{Counter, Gauge, counter, gauge};
use tracing::{info, warn};

use super::IntakeSender;
use super::backoff::Backoff;
use super::outbox::Outbox;
use crate::config::BackoffConfig;
use crate::domain::frames::LinkState;
use crate::domain::ids::SourceId;
use crate::telemetry::names;

pub struct Standing {
    source: SourceId,
    /// As people call where it is.
    place: String,
    pub outbox: Outbox,
    backoff: Backoff,
    /// What the pipeline knows; `None` at first.
    told_up: Option<bool>,
    up: Gauge,
    connections: Counter,
    failures: Counter,
}

impl Standing {
    /// `drops` counts what found no room in the pipeline.
    pub fn new(
        source: SourceId,
        place: String,
        backoff: BackoffConfig,
        intake: IntakeSender,
        drops: Counter,
    ) -> Self {
        let label = || source.as_str().to_owned();
        let up = gauge!(names::SOURCE_UP, "source" => label());
        up.set(0.0);
        Self {
            place,
            outbox: Outbox::new(source.clone(), intake, drops),
            backoff: Backoff::new(backoff),
            told_up: None,
            up,
            connections: counter!(names::SOURCE_CONNECTIONS, "source" => label()),
            failures: counter!(names::SOURCE_CONNECTION_FAILURES, "source" => label()),
            source,
        }
    }

    /// There is a line; whether the device speaks is not known yet.
    pub fn connected(&self) {
        self.connections.increment(1);
    }

    /// The device has spoken: what takes connections for it is not the device.
    pub fn proven(&mut self) {
        self.backoff.reset();
        if self.told_up == Some(true) {
            return;
        }
        self.told_up = Some(true);
        self.up.set(1.0);
        info!(source = %self.source, place = self.place, "the device speaks");
        self.outbox.link(LinkState::Up { replaying: false });
    }

    /// How long to wait before the next try.
    pub fn lost(&mut self, reason: String) -> Duration {
        self.failures.increment(1);
        self.up.set(0.0);
        let delay = self.backoff.next_delay();
        warn!(source = %self.source, place = self.place, reason, retry_in = ?delay, "no line to the device");
        if self.told_up != Some(false) {
            self.told_up = Some(false);
            self.outbox.link(LinkState::Down { reason });
        }
        delay
    }

    /// Nobody listens any more.
    pub fn ended(&self) {
        self.up.set(0.0);
    }
}
