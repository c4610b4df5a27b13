//! decode → clean → track as one ordered machine: inputs in, one [`Batch`] out.
//!
//! It does no I/O and reads no clock: what came, and when, is the input. The same inputs in the same
//! order yield the same batches, byte for byte.

use std::collections::{BTreeMap, BTreeSet};

use crate::clean::{self, Cleaned, Cleaner};
use crate::config::{Config, Rules};
use crate::decode::{DecodeError, Decoded};
use crate::domain::alerts::Alert;
use crate::domain::books::Book;
use crate::domain::commands::{Command, Outcome, Refused};
use crate::domain::epc::Epc;
use crate::domain::erasure::Eraser;
use crate::domain::events::EventBody;
use crate::domain::frames::{AckToken, Flow, Frame, LinkChange, LinkState, Payload, Request};
use crate::domain::health::Health;
use crate::domain::ids::{SiteId, SourceId};
use crate::domain::orders::{Answer, Order};
use crate::domain::readings::{Fix, Note, Reading};
use crate::domain::register::{Misfit, News, Plan};
use crate::domain::state::{StateKind, StateRow};
use crate::domain::time::Timestamp;
use crate::journal::{Batch, StateRowRead, StoredDeadLetter};
use crate::live::Live;
use crate::source::Intake;
use crate::telemetry;
use crate::track::Tracker;

use super::answers::Answers;

mod arrivals;
mod decoders;
mod kept_before;
mod letters;
mod restoring;
mod tally;

use arrivals::Arrivals;
use decoders::Decoders;
use kept_before::KeptBefore;
use letters::{dead_letter, raw_read, unreplayed};
use tally::Tally;

pub use restoring::{RestoreError, Restoring};

/// Reasons for which a fix is set aside rather than judged: its message is kept whole.
const SET_ASIDE: [(&str, &str); 3] = [
    (clean::CLOCK_AHEAD, "the time of the fix is not plausible"),
    (clean::TOO_OLD, "the time of the fix is not plausible"),
    (clean::TOO_MANY_TRACKERS, "a new tracker, and there are `intake.max_trackers` already"),
];

const NOT_REPLAYABLE: &str = "not-replayable";

pub struct Core {
    decoders: Decoders,
    cleaner: Cleaner,
    tracker: Tracker,
    books: BTreeMap<SourceId, Book>,
    answers: Answers,
    /// Rows of [`StateKind::Followed`] to write.
    followed: BTreeMap<String, Option<Vec<u8>>>,
    sites: BTreeMap<SourceId, SiteId>,
    keep_reads: bool,
    max_payload: usize,
    /// Books touched since the last batch.
    touched_books: BTreeSet<SourceId>,
    batch: Batch,
    acks: Vec<(SourceId, AckToken)>,
    /// When the first frame since the last group was received.
    first_received: Option<Timestamp>,
    arrivals: Arrivals,
    kept_before: KeptBefore,
    cleaned: Cleaned,
    tallied: Tally,
    live: Live,
}

/// A batch with what may only happen after its commit.
#[derive(Default)]
pub struct Group {
    pub batch: Batch,
    /// In receive order.
    pub acks: Vec<(SourceId, AckToken)>,
    pub requests: Vec<(SourceId, Request)>,
    /// Alerts that moved, as they stand after this group.
    pub alerts: Vec<Alert>,
    /// When the first frame in it was received.
    pub received_at: Option<Timestamp>,
}

impl Core {
    /// The machine as `config` describes it, with the past that `state` holds.
    pub fn new(config: &Config, state: Vec<StateRowRead>) -> Result<Self, RestoreError> {
        let mut restoring = Restoring::new(config);
        restoring.take(state)?;
        restoring.finish()
    }

    /// Where whoever watches sees what is heard: nothing of it comes back.
    pub fn show_in(&mut self, live: Live) {
        self.live = live;
    }

    /// To be called once, before any other input: the time that we were not watching becomes a gap.
    pub fn started(&mut self, down_since: Option<Timestamp>, now: Timestamp) {
        self.tracker.started(down_since, now, &mut self.batch.events);
        self.cleaner.started(now, &mut self.cleaned);
        self.track_cleaned();
    }

    pub fn set_rules(&mut self, rules: &Rules) {
        self.cleaner.set_rules(rules);
        self.tracker.set_rules(rules);
        self.sites.clone_from(&rules.source_sites);
    }

    /// When [`Core::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        match (self.cleaner.next_deadline(), self.tracker.next_deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Lets deadlines up to `now` pass. Only to be called when everything received up to `now` is in.
    /// Of tracking's deadlines about `most`; the rest is due then as before. Gives how many passed.
    pub fn tick(&mut self, now: Timestamp, most: usize) -> usize {
        self.cleaner.tick(now, &mut self.cleaned);
        self.track_cleaned();
        self.tracker.tick(now, most, &mut self.batch.events)
    }

    pub fn intake(&mut self, intake: Intake) {
        self.intakes([intake], |_, _| ());
    }

    /// A dead letter once more: what becomes of it is committed together with its removal.
    pub fn replay(&mut self, letter: StoredDeadLetter) {
        let is_too_long = letter.protocol == "mqtt" && letter.payload.len() > self.max_payload;
        if is_too_long || letter.cut.is_some() {
            return self.keep_unreplayed(letter, None);
        }
        let payload = match letter.protocol.as_str() {
            "llrp" => Payload::Llrp(letter.payload),
            "serial" => Payload::Serial { bytes: letter.payload, fault: None },
            "mqtt" => Payload::Mqtt {
                topic: letter.topic.unwrap_or_default(),
                payload: letter.payload,
                retained: false,
                redelivered: false,
            },
            "nmea" => Payload::Nmea { lines: letter.payload, flow: Flow::Alone },
            "teltonika" => Payload::Teltonika {
                imei: letter.topic.unwrap_or_default(),
                bytes: letter.payload,
                fault: None,
            },
            // An answer of a Modbus device is a moment that is past.
            _ => return self.keep_unreplayed(letter, Some(NOT_REPLAYABLE)),
        };
        self.batch.replayed.push(letter.id);
        let source = SourceId::from(letter.source);
        let frame = Frame { source, received_at: letter.received_at, payload, ack: None };
        self.kept_before.forget(&frame);
        let mut decoded = Decoded::default();
        let result = self.decoders.decode(&frame, self.max_payload, &mut decoded);
        self.frame(frame, result, &mut decoded);
    }

    /// Comes back as a new letter, set aside for `reason` or for what it was before.
    fn keep_unreplayed(&mut self, letter: StoredDeadLetter, reason: Option<&str>) {
        self.batch.replayed.push(letter.id);
        let letter = unreplayed(letter, reason);
        let book = self.book(&letter.source);
        book.frames += 1;
        book.dead_letters += 1;
        self.batch.dead_letters.push(letter);
    }

    pub fn command(&mut self, by: &str, command: Command, now: Timestamp) -> Result<Outcome, Refused> {
        let erases = matches!(command, Command::ErasePerson(_));
        let outcome = self.tracker.command(by, command, now, &mut self.batch.events)?;
        if let Some(erasure) = self.tracker.erasure().filter(|_| erases) {
            self.answers.erase(&Eraser::new(erasure));
            self.cleaner.forget_tags(&erasure.badges);
        }
        Ok(outcome)
    }

    /// Carries out a command on its conditions; one that was given before is answered as it was then.
    pub fn order(&mut self, order: Order, now: Timestamp) -> Answer {
        if let Some(once) = &order.once
            && let Some(result) = self.answers.recall(&order.by, once, now)
        {
            return Answer { result, repeated: true };
        }
        let Order { by, scope, command, once, only_if } = order;
        let permitted = self.tracker.permit(&scope, &command, only_if.as_ref(), now);
        let result = permitted.and_then(|()| self.command(&by, command, now));
        if let Some(once) = once {
            self.answers.keep(&by, once, &result, now);
        }
        Answer { result, repeated: false }
    }

    /// What an order would write to the owner of the register; nothing of it is done yet.
    ///
    /// # Errors
    /// The answer, where there is one already: it is refused, or was given before.
    pub fn plan(&mut self, order: &Order, now: Timestamp) -> Result<Plan, Answer> {
        if let Some(once) = &order.once
            && let Some(result) = self.answers.recall(&order.by, once, now)
        {
            return Err(Answer { result, repeated: true });
        }
        let permitted = self.tracker.permit(&order.scope, &order.command, order.only_if.as_ref(), now);
        let planned = permitted.and_then(|()| self.tracker.plan_change(&order.command, now));
        planned.map(Option::unwrap_or_default).map_err(|refused| {
            let result = Err(refused);
            self.answered(order, &result, now);
            Answer { result, repeated: false }
        })
    }

    /// Remembers what was said to an order that went to the owner of the register.
    pub fn answered(&mut self, order: &Order, result: &Result<Outcome, Refused>, now: Timestamp) {
        if let Some(once) = order.once.clone() {
            self.answers.keep(&order.by, once, result, now);
        }
    }

    /// Takes up what the owner of the register tells; gives what does not fit.
    pub fn follow(&mut self, news: News, now: Timestamp) -> Vec<Misfit> {
        let News { changes, seen, mut unfit } = news;
        let mut misfits = self.tracker.follow(changes, now, &mut self.batch.events);
        for misfit in &mut misfits {
            let key = misfit.change.state_key();
            match unfit.remove(&key) {
                Some(known) if known.change == misfit.change && known.reason == misfit.reason => {
                    misfit.since = known.since;
                }
                _ => {
                    let row = StateRow::put(StateKind::Followed, format!("unfit/{key}"), misfit);
                    self.followed.insert(row.key, row.value);
                }
            }
        }
        self.followed.extend(unfit.into_keys().map(|key| (format!("unfit/{key}"), None)));
        if let Some(seen) = seen {
            let row = StateRow::put(StateKind::Followed, "seen", &seen);
            self.followed.insert(row.key, row.value);
        }
        misfits
    }

    /// Whether what comes is read, and can be kept.
    pub fn set_listening(&mut self, listens: bool, now: Timestamp) {
        self.tracker.set_listening(listens, now, &mut self.batch.events);
    }

    /// Nothing was read between the two times, for the process stood still.
    pub fn stood_still(&mut self, from: Timestamp, now: Timestamp) {
        self.tracker.stood_still(from, now, &mut self.batch.events);
    }

    pub fn health(&mut self, health: Health, now: Timestamp) {
        self.tracker.health(health, now, &mut self.batch.events);
    }

    /// Whether somebody waits for the commit of what came since the last group.
    pub fn is_awaited(&self) -> bool {
        !self.acks.is_empty()
    }

    /// Everything since the last call, ready to be committed as one.
    pub fn take_group(&mut self) -> Group {
        let mut batch = std::mem::take(&mut self.batch);
        self.decoders.take_dirty(&mut batch.state);
        self.cleaner.take_dirty(&mut batch.state);
        self.tracker.take_dirty(&mut batch.state);
        self.answers.take_dirty(&mut batch.state);
        telemetry::remembered(&self.cleaner.remembered());
        telemetry::stale_points(self.cleaner.stale_points());
        self.tallied.tell();
        for (source, lead_us) in self.cleaner.clock_leads() {
            telemetry::clock_lead(source, lead_us);
        }
        for (source, drift) in self.cleaner.clock_drifts() {
            telemetry::clock_drift(source, drift);
        }
        for (key, value) in std::mem::take(&mut self.followed) {
            batch.state.push(StateRow { kind: StateKind::Followed, key, value });
        }
        for source in std::mem::take(&mut self.touched_books) {
            if let Some(book) = self.books.get(&source) {
                telemetry::books(&source, book);
                batch.state.push(StateRow::put(StateKind::Book, source.as_str(), book));
            }
        }
        Group {
            alerts: moved_alerts(&batch),
            acks: std::mem::take(&mut self.acks),
            requests: self.decoders.take_requests(),
            received_at: self.first_received.take(),
            batch,
        }
    }

    fn link(&mut self, change: &LinkChange) {
        if let LinkState::Down { .. } = &change.state {
            self.tallied.away(&change.source);
        }
        self.cleaner.link(change, &mut self.cleaned);
        self.track_cleaned();
    }

    fn dropped(&mut self, source: &SourceId, reason: &'static str, count: u64) {
        telemetry::frames_dropped(source, reason, count);
        self.cleaner.dropped(source);
        let book = self.book(source);
        book.frames += count;
        *book.dropped.entry(reason.to_owned()).or_default() += count;
    }

    /// A frame with what it gave, which is taken out of `decoded`.
    fn frame(&mut self, mut frame: Frame, result: Result<(), DecodeError>, decoded: &mut Decoded) {
        self.book(&frame.source).frames += 1;
        match result {
            Ok(()) => self.book(&frame.source).decoded += 1,
            Err(_) if self.kept_before.is_again(&frame) => {
                // It is there already.
                *self.book(&frame.source).dropped.entry("kept-before".to_owned()).or_default() += 1;
            }
            Err(error) => {
                self.book(&frame.source).dead_letters += 1;
                telemetry::dead_letter(&frame, error.reason, &error);
                self.batch.dead_letters.push(dead_letter(&mut frame, error.reason, error.to_string()));
            }
        }
        let Decoded { readings, faults } = decoded;
        self.tallied.note(&frame.source, readings);
        if self.live.is_watched() {
            let held = self.cleaner.is_catching_up(&frame.source);
            self.live.note(readings, frame.received_at, held);
        }
        let mut set_aside = self.faulty(faults, &frame);
        faults.clear();
        for reading in readings.drain(..) {
            // The tags of a report are tracked together, and a strange one is known from the next report on; what else
            // there is may decide how the next is cleaned.
            let waits = matches!(reading, Reading::Tag(_));
            let aside = self.reading(reading, &frame);
            set_aside = aside.or(set_aside);
            if !waits {
                self.track_cleaned();
            }
        }
        self.track_cleaned();
        let keeps =
            matches!(frame.payload, Payload::Mqtt { .. } | Payload::Nmea { .. } | Payload::Teltonika { .. });
        if let Some((reason, detail)) = set_aside.filter(|_| keeps && !self.kept_before.is_again(&frame)) {
            self.batch.dead_letters.push(dead_letter(&mut frame, reason, detail));
        }
        if let Some(token) = frame.ack {
            self.acks.push((frame.source, token));
        }
    }

    /// Parts of a frame that are none, where others of it stand: each counts as a reading that was set aside, and
    /// the frame is kept whole beside what was made of it. Gives why.
    fn faulty(&mut self, faults: &[DecodeError], frame: &Frame) -> Option<(&'static str, String)> {
        let first = faults.first()?;
        telemetry::dead_letter(frame, first.reason, first);
        let book = self.book(&frame.source);
        book.readings += faults.len() as u64;
        for fault in faults {
            *book.filtered.entry(fault.reason.to_owned()).or_default() += 1;
        }
        let detail = match faults.len() {
            1 => format!("{first}; the rest of the message stands"),
            several => format!("{first}; {several} such parts, the rest of the message stands"),
        };
        Some((first.reason, detail))
    }

    /// Cleans one reading; gives the reason, and its words, where it was set aside.
    fn reading(&mut self, reading: Reading, frame: &Frame) -> Option<(&'static str, String)> {
        if self.keep_reads
            && let Reading::Tag(read) = &reading
        {
            let event = raw_read(read, frame.received_at, self.sites.get(&frame.source));
            self.batch.events.push(event);
        }
        if let Reading::Sample(sample) = &reading {
            self.cleaner.follow_class(&sample.device, self.tracker.class_limits(&sample.device));
        }
        if let Reading::Fix(Fix { device, .. }) | Reading::Note(Note { device, .. }) = &reading {
            let tracker = &self.tracker;
            self.cleaner.tend_trackers(device, frame.received_at, |device| tracker.knows_tracker(device));
        }
        let told = match &reading {
            Reading::Fix(fix) => Some(fix.observed_at),
            _ => None,
        };
        let tracker = &self.tracker;
        let is_known = |epc: &Epc| tracker.knows_tag(epc);
        self.cleaner.reading_where(reading, &frame.source, frame.received_at, is_known, &mut self.cleaned);
        let (used, filtered) =
            (std::mem::take(&mut self.cleaned.used), std::mem::take(&mut self.cleaned.filtered));
        let book = self.book(&frame.source);
        book.readings += 1;
        book.used += used;
        let mut set_aside = None;
        for (reason, count) in filtered {
            *book.filtered.entry(reason.to_owned()).or_default() += count;
            set_aside = SET_ASIDE.into_iter().find(|(aside, _)| *aside == reason).or(set_aside);
        }
        let (reason, mut detail) = set_aside.map(|(reason, detail)| (reason, detail.to_owned()))?;
        if let Some(told) = told.filter(|_| reason != clean::TOO_MANY_TRACKERS) {
            detail.push_str(&format!(": it says {told}"));
        }
        telemetry::dead_letter(frame, reason, &detail);
        Some((reason, detail))
    }

    fn track_cleaned(&mut self) {
        self.tracker.sightings(&mut self.cleaned.sightings, &mut self.batch.events);
        self.cleaned.used = 0;
        self.cleaned.filtered.clear();
    }

    fn book(&mut self, source: &SourceId) -> &mut Book {
        self.touched_books.insert(source.clone());
        self.books.entry(source.clone()).or_default()
    }
}

/// Alerts as they stand after the batch: by their transitions, and by their rows, which also move when
/// only the words or the severity change, or when a cancelled incident gives way to the one before it.
fn moved_alerts(batch: &Batch) -> Vec<Alert> {
    let transitions = batch.events.iter().filter_map(|event| match &event.body {
        EventBody::Alert { alert, .. } => Some(Alert::clone(alert)),
        _ => None,
    });
    let rows = batch.state.iter().filter(|row| row.kind == StateKind::Alert);
    let rows = rows.filter_map(|row| serde_json::from_slice(row.value.as_deref()?).ok());
    transitions.chain(rows).collect()
}

#[cfg(test)]
mod tests;
