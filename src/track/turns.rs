//! Attachments that begin or end at a time ahead: a tag that is hired until Friday, a tracker that is fitted on Monday. What a
//! change of the register would bring with it then is worked out when that time comes.

use std::hash::Hash;
use std::time::Duration;

use super::Tracker;
use super::attachments::Attachments;
use super::cause::Cause;
use super::deadlines::Deadlines;
use crate::domain::events::Event;
use crate::domain::register::{Attachable, Attachment, Record};
use crate::domain::time::Timestamp;

/// What fell due so long before the last that the journal knows of us is looked at once more: it changes nothing twice.
const LOOK_BACK: Duration = Duration::from_secs(60);

/// When an attachment begins or ends next, by table and key of its record.
#[derive(Debug, Default)]
pub(super) struct Turns(Deadlines<(&'static str, String)>);

impl Turns {
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.0.first()
    }

    /// Takes note of a record as it is from now on; `None`: it is gone.
    pub fn plan(&mut self, table: &'static str, key: &str, record: Option<&Record>, after: Timestamp) {
        if !self.0.is_empty() || record.is_some_and(|record| turn(record, after).is_some()) {
            self.0.set((table, key.to_owned()), record.and_then(|record| turn(record, after)));
        }
    }

    fn plan_all<K: Attachable + Eq + Hash + Ord>(
        &mut self,
        attachments: &Attachments<K>,
        record: impl Fn(Attachment<K>) -> Record,
        after: Timestamp,
    ) {
        for attachment in attachments.turning_after(after) {
            let key = attachment.record_key();
            let record = record(attachment);
            self.plan(record.table(), &key, Some(&record), after);
        }
    }
}

impl Tracker {
    /// After a start: what begins or ends, or did so since the last that is known of us.
    pub(super) fn plan_turns(&mut self, last_alive: Timestamp) {
        let after = last_alive - LOOK_BACK;
        let Self { turns, register, .. } = self;
        turns.plan_all(&register.tags, Record::Tag, after);
        turns.plan_all(&register.trackers, Record::Tracker, after);
        turns.plan_all(&register.sensors, Record::Sensor, after);
    }

    /// Lets the earliest beginning or end pass.
    pub(super) fn pass_turn(&mut self, until: Timestamp, now: Timestamp, out: &mut Vec<Event>) {
        let Some((at, (table, key))) = self.turns.0.pop(until) else { return };
        let Some(record) = self.register.get(table, &key) else { return };
        self.turns.plan(table, &key, Some(&record), at);
        let cause = Cause::own(at, now);
        self.touch_carriers(&[Some(&record)]);
        match &record {
            Record::Tag(tag) => {
                self.end_presence(tag, &cause, out);
                self.review_strangers(&cause, out);
            }
            Record::Tracker(tracker) => {
                self.end_fences(tracker, &cause, out);
                self.review_trackers(std::slice::from_ref(&tracker.key), &cause, out);
            }
            Record::Sensor(_) => self.end_orphaned_conditions(&cause, out),
            _ => {}
        }
    }
}

/// The next moment at which an attachment begins or ends.
fn turn(record: &Record, after: Timestamp) -> Option<Timestamp> {
    let (from, to) = match record {
        Record::Tag(tag) => (tag.from, tag.to),
        Record::Tracker(device) | Record::Sensor(device) => (device.from, device.to),
        _ => return None,
    };
    [from, to].into_iter().flatten().filter(|at| *at > after).min()
}
