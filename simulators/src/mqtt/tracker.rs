//! A tracker: positions in, OwnTracks messages out, broken on purpose where its faults say so.

use std::sync::Arc;

use jiff::Timestamp;

use super::owntracks::{self, Location};
use super::publisher::{Outgoing, Publisher, PublisherOptions};
use crate::faults::{Fault, FaultSwitch};
use crate::truth::{FixCount, Truth, TruthLog, fnv1a};

#[derive(Clone, Debug)]
pub struct TrackerOptions {
    pub user: String,
    pub device: String,
    pub publisher: PublisherOptions,
    /// OwnTracks apps publish retained; many trackers do not.
    pub retain: bool,
    /// Every how many-th message is sent twice over, as a bad mobile link does it; 0: none.
    pub double_every: u64,
}

/// A position as the receiver has it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Position {
    pub lat: f64,
    pub lon: f64,
    pub accuracy_m: f64,
    pub speed_kmh: f64,
    pub course_deg: f64,
    /// True time.
    pub at: Timestamp,
}

#[derive(Debug)]
pub struct Tracker {
    options: TrackerOptions,
    publisher: Publisher,
    faults: FaultSwitch,
}

impl Tracker {
    pub fn start(options: TrackerOptions, truth: Arc<TruthLog>) -> Self {
        let faults = FaultSwitch::default();
        let publisher = Publisher::start(options.publisher.clone(), faults.clone(), truth);
        Self { options, publisher, faults }
    }

    /// `user/device`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.options.user, self.options.device)
    }

    pub fn faults(&self) -> &FaultSwitch {
        &self.faults
    }

    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    pub fn counts(&self) -> FixCount {
        self.publisher.counts()
    }

    pub async fn stop(self) {
        self.publisher.stop().await;
    }

    /// Sends a position; without a power supply there is none.
    pub fn fix(&self, position: Position) {
        let faults = self.faults.now();
        if faults.has(Fault::PowerOff) {
            return;
        }
        let tst = position.at.as_second() + faults.clock_jump_us() / 1_000_000;
        let payload = self.payload(&position, tst);
        let mut message = Outgoing {
            topic: owntracks::topic(&self.options.user, &self.options.device),
            truth: Some(self.truth(&position, tst, &payload)),
            payload,
            retain: self.options.retain,
        };
        if faults.has(Fault::Garbage) {
            message.payload.iter_mut().for_each(|byte| *byte = byte.wrapping_mul(167) ^ 0xa5);
            message.truth = None;
        }
        if faults.has(Fault::Truncated) {
            message.payload.truncate(message.payload.len() / 2);
            message.truth = None;
        }
        let taken = self.publisher.counts().taken + 1;
        let doubled = taken.is_multiple_of(self.options.double_every);
        if doubled || faults.has(Fault::Duplicate) {
            self.publisher.publish(Outgoing { truth: None, ..message.clone() });
        }
        self.publisher.publish(message);
    }

    fn payload(&self, position: &Position, tst: i64) -> Vec<u8> {
        let end = self.options.device.char_indices().rev().nth(1).map_or(0, |(index, _)| index);
        let mut location = Location::new(&self.options.device[end..], position.lat, position.lon, tst);
        location.acc = position.accuracy_m.round() as u32;
        location.vel = position.speed_kmh.round() as u32;
        location.cog = position.course_deg.round() as u32 % 360;
        location.to_json()
    }

    fn truth(&self, position: &Position, tst: i64, payload: &[u8]) -> Truth {
        Truth::Fix {
            device: self.name(),
            tst,
            lat: position.lat,
            lon: position.lon,
            payload: format!("{:016x}", fnv1a(payload)),
            published_at: None,
            puback_at: None,
        }
    }
}
