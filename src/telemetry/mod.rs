//! What the daemon says of itself: metric names in one place, and every loss as one event, a log line
//! and its counter together.
//!
//! `WARN` means that no data was lost, `ERROR` that data was, or would be if nobody acts.

use std::fmt::Display;
use std::time::Duration;

use metrics::{counter, gauge, histogram};

use crate::clean::Remembered;
use crate::domain::alerts::{AlertState, Rule};
use crate::domain::books::Book;
use crate::domain::frames::Frame;
use crate::domain::ids::SourceId;
use crate::domain::sightings::Trouble;
use crate::journal::{Batch, JournalError};

mod exporter;
mod health;
mod help;
pub mod logging;
pub mod names;

pub use exporter::{install, serve};
pub use health::Readiness;

pub fn frames_dropped(source: &SourceId, reason: &'static str, count: u64) {
    tracing::error!(%source, reason, count, "frames dropped");
    counter!(names::FRAMES_DROPPED, "source" => source.to_string(), "reason" => reason).increment(count);
}

pub fn dead_letter(frame: &Frame, reason: &'static str, error: &dyn Display) {
    let (source, of) = (&frame.source, frame.came_under());
    tracing::warn!(%source, of, reason, %error, "set aside as a dead letter: see `tallyman dead-letters`");
    counter!(names::DEAD_LETTERS, "source" => source.to_string(), "reason" => reason).increment(1);
}

/// The books of one source as they are about to be committed.
pub fn books(source: &SourceId, book: &Book) {
    let set = |name: &'static str, value: u64| {
        counter!(name, "source" => source.to_string()).absolute(value);
    };
    set(names::FRAMES, book.frames);
    set(names::FRAMES_DECODED, book.decoded);
    set(names::READINGS, book.readings);
    set(names::READINGS_USED, book.used);
    for (reason, count) in &book.filtered {
        counter!(names::READINGS_FILTERED, "source" => source.to_string(), "reason" => reason.clone())
            .absolute(*count);
    }
    let (frames, readings) = book.imbalance();
    gauge!(names::BOOKS_IMBALANCE, "source" => source.to_string(), "of" => "frames").set(frames as f64);
    gauge!(names::BOOKS_IMBALANCE, "source" => source.to_string(), "of" => "readings").set(readings as f64);
    if !book.balances() {
        tracing::error!(%source, frames, readings, "the books do not balance: something was lost or counted twice");
    }
}

/// What is remembered of trackers, to know again what is delivered again.
pub fn remembered(memory: &Remembered) {
    gauge!(names::TRACKERS).set(memory.trackers as f64);
    counter!(names::TRACKERS_FORGOTTEN).absolute(memory.forgotten);
    counter!(names::LATE_UNJUDGED).absolute(memory.unjudged);
    gauge!(names::REDELIVERY_BYTES).set(memory.redelivery_bytes as f64);
    counter!(names::REDELIVERY_EVICTED).absolute(memory.evicted);
}

/// Sensor points that were read once and are not any more.
pub fn stale_points(count: usize) {
    gauge!(names::STALE_POINTS).set(count as f64);
}

/// What a commit made durable.
pub fn committed(batch: &Batch) {
    let mut kinds = std::collections::BTreeMap::<&'static str, u64>::new();
    for event in &batch.events {
        *kinds.entry(event.body.kind()).or_default() += 1;
    }
    for (kind, count) in kinds {
        counter!(names::EVENTS, "kind" => kind).increment(count);
    }
}

/// The first frame of a commit was received so long before it was durable.
pub fn durable_after(waited: Duration) {
    histogram!(names::JOURNAL_LATENCY_SECONDS).record(waited.as_secs_f64());
}

/// The journal counts it; this says it.
pub fn commit_failed(error: &JournalError) {
    let error: &dyn std::error::Error = error;
    tracing::error!(error, "failed to commit to the journal; nothing is acknowledged until it works again");
}

pub fn intake_depth(depth: usize) {
    gauge!(names::QUEUE_DEPTH, "queue" => "intake").set(depth as f64);
}

/// How many alerts of a rule stand in a state.
pub fn alerts(rule: Rule, state: AlertState, count: usize) {
    let state = match state {
        AlertState::Pending => "pending",
        AlertState::Firing => "firing",
        AlertState::Resolved => "resolved",
    };
    gauge!(names::ALERTS, "rule" => rule.as_str(), "state" => state).set(count as f64);
}

/// Tag reports of an antenna since the last time.
pub fn antenna_reads(source: &SourceId, antenna: u16, count: u64) {
    counter!(names::READER_READS, "source" => source.to_string(), "antenna" => antenna.to_string())
        .increment(count);
}

/// What its reader says of an antenna.
pub fn antenna_plugged(source: &SourceId, antenna: u16, connected: bool) {
    tracing::warn!(%source, antenna, connected, "the reader says that an antenna was plugged in or out");
}

/// As its reader has it.
pub fn antenna_connected(source: &SourceId, antenna: u16, connected: bool) {
    antenna_gauge(source, antenna, if connected { 1.0 } else { 0.0 });
}

/// Its reader is away.
pub fn antenna_unknown(source: &SourceId, antenna: u16) {
    antenna_gauge(source, antenna, f64::NAN);
}

fn antenna_gauge(source: &SourceId, antenna: u16, value: f64) {
    gauge!(names::READER_ANTENNA_CONNECTED, "source" => source.to_string(), "antenna" => antenna.to_string())
        .set(value);
}

/// What a reader says is wrong with it.
pub fn reader_trouble(source: &SourceId, trouble: &Trouble) {
    let what = trouble.what();
    tracing::warn!(%source, what, %trouble, "the reader is in trouble");
    counter!(names::READER_TROUBLES, "source" => source.to_string(), "what" => what).increment(1);
}

/// What a reader's clock gains on ours each second, in seconds.
pub fn clock_drift(source: &SourceId, drift: f64) {
    gauge!(names::READER_CLOCK_DRIFT, "source" => source.to_string()).set(drift);
}

/// How far a reader's clock runs ahead of ours.
pub fn clock_lead(source: &SourceId, lead_us: i64) {
    gauge!(names::READER_CLOCK_LEAD, "source" => source.to_string()).set(lead_us as f64 / 1e6);
}
