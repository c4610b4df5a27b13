//! Whether anybody listens. Time in which nothing was read, or nothing could be kept, is nobody's silence.

use std::time::Duration;

use super::Tracker;
use super::cause::Cause;
use crate::domain::events::Event;
use crate::domain::time::Timestamp;

/// A commit that fails and succeeds a moment later is no gap.
const GAP: Duration = Duration::from_secs(15);

impl Tracker {
    /// The journal is full or cannot be written, so that nothing is read any more; or it can again.
    pub fn set_listening(&mut self, listens: bool, now: Timestamp, out: &mut Vec<Event>) {
        self.advance(now, out);
        let at = self.now;
        self.watches.set_deaf(!listens, at);
        self.silence.set_deaf(!listens, at);
        if !listens {
            self.deaf_since.get_or_insert(at);
        } else if let Some(from) = self.deaf_since.take() {
            self.idle.was_away(from, at);
            self.overdue.listens_since(at);
            if at.since(from) > GAP {
                self.gap(from, "tallyman could not keep what came", &Cause::own(at, at), out);
            }
        }
    }

    /// The process was put aside between the two times, or its machine was.
    pub fn stood_still(&mut self, from: Timestamp, now: Timestamp, out: &mut Vec<Event>) {
        if now > self.now {
            let from = from.max(self.now);
            self.now = now;
            self.overdue.listens_since(now);
            self.nobody_listened(from, now, out);
        }
    }

    /// Where clocks ran: the time does not count, and is recorded as a gap.
    pub(super) fn nobody_listened(&mut self, from: Timestamp, to: Timestamp, out: &mut Vec<Event>) {
        if self.watches.is_running() || self.silence.is_running() {
            self.watches.skip(from, to);
            self.silence.skip(from, to);
            self.idle.was_away(from, to);
            self.gap(from, "tallyman stood still", &Cause::own(to, to), out);
        }
    }
}
