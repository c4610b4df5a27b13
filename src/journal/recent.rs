//! The newest events as the journal holds them, in memory, for who follows closely: it need not read what was written a moment
//! ago. Whoever is further behind reads the file.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::StoredEvent;

/// Some groups of the largest size. Their bodies are bounded too, for an alert's may be long.
const MOST: usize = 8192;
const MOST_BYTES: usize = 8 << 20;

/// Shared by the writer and the readers that were opened with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent(Arc<Mutex<Held>>);

/// Numbered without a gap.
#[derive(Debug, Default)]
struct Held {
    events: VecDeque<StoredEvent>,
    bytes: usize,
}

impl Recent {
    /// What a commit wrote, in order.
    pub fn add(&self, events: impl IntoIterator<Item = StoredEvent>) {
        let mut held = self.lock();
        for event in events {
            if held.events.back().is_some_and(|last| last.seq + 1 != event.seq) {
                held.clear();
            }
            held.bytes += event.body.len();
            held.events.push_back(event);
            while held.events.len() > MOST || held.bytes > MOST_BYTES {
                held.drop_oldest();
            }
        }
    }

    /// The file changes otherwise than by a commit, or will.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Nobody asks for those up to `seq` any more.
    pub fn let_go(&self, seq: u64) {
        let mut held = self.lock();
        while held.events.front().is_some_and(|first| first.seq <= seq) {
            held.drop_oldest();
        }
    }

    /// Those behind number `seq`, at most `limit`; `None` where the first of them is not held.
    pub fn after(&self, seq: u64, limit: usize) -> Option<Vec<StoredEvent>> {
        let held = self.lock();
        let skipped = usize::try_from((seq + 1).checked_sub(held.events.front()?.seq)?).ok()?;
        (skipped < held.events.len()).then(|| held.events.range(skipped..).take(limit).cloned().collect())
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn clear(&mut self) {
        *self = Self::default();
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.events.pop_front() {
            self.bytes -= oldest.body.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::EventId;
    use crate::domain::time::Timestamp;

    fn event(seq: u64, bytes: usize) -> StoredEvent {
        StoredEvent {
            seq,
            id: EventId([0; 16]),
            version: 1,
            kind: "fix".into(),
            site: None,
            subject: "device:a".into(),
            source: "b".into(),
            observed_at: Timestamp::FIRST,
            received_at: Timestamp::FIRST,
            recorded_at: Timestamp::FIRST,
            late: false,
            confidence: None,
            body: "x".repeat(bytes).into(),
        }
    }

    fn numbers(recent: &Recent, seq: u64, limit: usize) -> Option<Vec<u64>> {
        recent.after(seq, limit).map(|events| events.iter().map(|event| event.seq).collect())
    }

    #[test]
    fn those_behind_a_number_are_given_where_the_first_is_held() {
        let recent = Recent::default();
        assert_eq!(numbers(&recent, 0, 9), None);
        recent.add((5..9).map(|seq| event(seq, 1)));
        assert_eq!(numbers(&recent, 3, 9), None);
        assert_eq!(numbers(&recent, 4, 2), Some(vec![5, 6]));
        assert_eq!(numbers(&recent, 7, 9), Some(vec![8]));
        assert_eq!(numbers(&recent, 8, 9), None);
        recent.let_go(6);
        assert_eq!((numbers(&recent, 4, 9), numbers(&recent, 6, 9)), (None, Some(vec![7, 8])));
        // A commit of which it was not known whether it happened.
        recent.add([event(12, 1)]);
        assert_eq!((numbers(&recent, 6, 9), numbers(&recent, 11, 9)), (None, Some(vec![12])));
        recent.clear();
        assert_eq!(numbers(&recent, 11, 9), None);
    }

    #[test]
    fn as_many_are_held_as_there_is_room_for() {
        let recent = Recent::default();
        let most = MOST as u64;
        recent.add((1..=most + 10).map(|seq| event(seq, 1)));
        assert_eq!((numbers(&recent, 9, 1), numbers(&recent, 10, 1)), (None, Some(vec![11])));
        recent.add([event(most + 11, MOST_BYTES - 1)]);
        assert_eq!(numbers(&recent, most + 8, 9), None);
        assert_eq!(numbers(&recent, most + 9, 9), Some(vec![most + 10, most + 11]));
        recent.add([event(most + 12, MOST_BYTES + 1)]);
        assert_eq!(numbers(&recent, most + 11, 9), None);
    }
}
