//! A tracker's messages, so that one that is delivered again is known: 8 bytes a message.
//!
//! Remembered in chunks. The open chunk is written with the tracker's row, in the commit that holds what
//! the message led to; a full one is written once, in a row of its own, and deleted as a whole once its
//! newest message is older than the horizon *relative to the newest message received*: how long we were
//! switched off does not shorten what is remembered.
//!
//! The full chunks of all trackers share one budget ([`Budget`]): beyond it the one that was filled first
//! goes before its time. A message of it that comes again is then taken for a late one, makes the event that
//! it made before, with the same id, and the journal leaves it out, for as long as it keeps that event.

use std::collections::VecDeque;
use std::hash::Hasher;
use std::time::Duration;

use siphasher::sip::SipHasher13;

use crate::domain::ids::{DeviceId, Digest};
use crate::domain::time::Timestamp;

mod row;

/// Messages in a chunk: what a commit rewrites, at most. The open chunk is part of what a tracker costs
/// whatever the budget is, and all of that is to stay within a kibibyte.
pub(super) const CHUNK: usize = 24;
/// Messages for which an open chunk makes room at a time.
const GROWS_BY: usize = CHUNK / 4;
/// Chunks of one tracker: 16,416 messages, 4.5 hours at one a second; the oldest go first.
pub(super) const MAX_CHUNKS: usize = 684;
/// What a full chunk takes in memory: its messages, itself (in a queue that may be half empty), its place
/// in the budget, and what the allocator adds.
const CHUNK_BYTES: usize = 8 * CHUNK + 2 * size_of::<Chunk>() + 2 * size_of::<(DeviceId, u64)>() + 32;

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Chunk {
    /// Source times of its messages: a message outside of them is not in it.
    oldest: Timestamp,
    newest: Timestamp,
    received: Timestamp,
    messages: Vec<u64>,
}

#[derive(Default)]
pub(super) struct Seen {
    pub open: Chunk,
    /// Number of the first full chunk; the others follow.
    first: u64,
    full: VecDeque<Chunk>,
    /// Numbers of chunks to write and to delete.
    unsaved: Vec<u64>,
    expired: Vec<u64>,
}

impl Seen {
    /// Remembers a message. `false` where it was remembered already.
    pub fn remember(
        &mut self,
        told: Timestamp,
        digest: Digest,
        received: Timestamp,
        horizon: Duration,
    ) -> bool {
        if self.holds(told, digest) {
            return false;
        }
        let message = message(told, digest);
        if self.open.messages.len() >= CHUNK {
            self.seal();
        }
        self.open.add(told, message, received);
        self.expire(horizon);
        true
    }

    /// Whether a message is remembered.
    pub fn holds(&self, told: Timestamp, digest: Digest) -> bool {
        let message = message(told, digest);
        let known = |chunk: &Chunk| chunk.holds(told, message);
        known(&self.open) || self.full.iter().rev().any(known)
    }

    fn evict(&mut self) {
        if self.full.pop_front().is_some() {
            self.expired.push(self.first);
            self.first += 1;
        }
    }

    /// A full chunk goes before its time. `false` where it is gone already. The oldest of a device always
    /// goes first.
    pub fn evict_chunk(&mut self, number: u64) -> bool {
        let is_there = self.has_chunk(number);
        if is_there {
            self.evict();
        }
        is_there
    }

    pub fn has_chunk(&self, number: u64) -> bool {
        (self.first..self.next()).contains(&number)
    }

    fn seal(&mut self) {
        self.unsaved.push(self.next());
        self.full.push_back(std::mem::take(&mut self.open));
    }

    fn expire(&mut self, horizon: Duration) {
        let from = self.open.received - horizon;
        while self.full.len() > MAX_CHUNKS || self.full.front().is_some_and(|chunk| chunk.received < from) {
            self.evict();
        }
    }

    /// How many full chunks are held.
    pub fn full(&self) -> usize {
        self.full.len()
    }

    /// Numbers of the full chunks, oldest first, each with the time at which its newest message came.
    pub fn chunks(&self) -> impl Iterator<Item = (u64, Timestamp)> {
        (self.first..).zip(self.full.iter().map(|chunk| chunk.received))
    }

    /// When the newest remembered message came.
    pub fn last_received(&self) -> Timestamp {
        self.full.back().map_or(self.open.received, |last| last.received.max(self.open.received))
    }

    /// Number that the next full chunk gets.
    pub fn next(&self) -> u64 {
        self.first + self.full.len() as u64
    }

    /// Chunks to write (those that are still there) or to delete, by number.
    pub fn take_dirty(&mut self, mut each: impl FnMut(u64, Option<&Chunk>)) {
        for number in std::mem::take(&mut self.expired) {
            each(number, None);
        }
        for number in std::mem::take(&mut self.unsaved) {
            let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
            if let Some(chunk) = index.and_then(|index| self.full.get(index)) {
                each(number, Some(chunk));
            }
        }
    }

    /// Takes up the open chunk and the full ones, in order of their numbers; `next` is the number after
    /// the last. What a gap separates from the later ones is left out.
    pub fn restore(open: Chunk, full: Vec<(u64, Chunk)>, next: u64) -> Self {
        let mut seen = Self { open, first: next, ..Self::default() };
        for (number, chunk) in full.into_iter().rev() {
            if number + 1 == seen.first {
                seen.full.push_front(chunk);
                seen.first = number;
            } else {
                seen.expired.push(number);
            }
        }
        seen
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.open.messages.len() + self.full.iter().map(|chunk| chunk.messages.len()).sum::<usize>()
    }
}

/// How much memory the full chunks of all trackers may take together, and which of them goes next.
pub(super) struct Budget {
    most: usize,
    held: usize,
    /// In the order in which they were filled. Chunks that are gone already still stand here for a while.
    order: VecDeque<(DeviceId, u64)>,
    evicted: u64,
}

impl Budget {
    pub fn new(bytes: usize) -> Self {
        Self { most: bytes / CHUNK_BYTES, held: 0, order: VecDeque::new(), evicted: 0 }
    }

    pub fn bytes(&self) -> usize {
        self.held * CHUNK_BYTES
    }

    /// Chunks that went before their time.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// A tracker holds another number of full chunks than before.
    pub fn recount(&mut self, before: usize, after: usize) {
        self.held = (self.held + after).saturating_sub(before);
    }

    pub fn filled(&mut self, device: &DeviceId, number: u64) {
        self.order.push_back((device.clone(), number));
    }

    /// While more is held than may be: the chunk that was filled first, which may be gone already.
    pub fn over(&mut self) -> Option<(DeviceId, u64)> {
        if self.held > self.most { self.order.pop_front() } else { None }
    }

    /// A chunk that [`Budget::over`] gave was still there, and is no more.
    pub fn evicted_one(&mut self) {
        self.held -= 1;
        self.evicted += 1;
    }

    #[cfg(test)]
    pub fn places(&self) -> usize {
        self.order.len()
    }

    /// Drops the places of chunks that are gone, once they are many.
    pub fn tidy(&mut self, is_there: impl Fn(&DeviceId, u64) -> bool) {
        if self.order.len() > 2 * self.held + CHUNK {
            self.order.retain(|(device, number)| is_there(device, *number));
        }
    }
}

fn message(told: Timestamp, digest: Digest) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write_i64(told.as_micros());
    hasher.write_u64(digest.0);
    hasher.finish()
}

impl Default for Chunk {
    fn default() -> Self {
        Self {
            oldest: Timestamp::MAX,
            newest: Timestamp::MIN,
            received: Timestamp::MIN,
            messages: Vec::new(),
        }
    }
}

impl Chunk {
    /// When its newest message came.
    pub fn last_received(&self) -> Timestamp {
        self.received
    }

    /// Bytes that its row takes more until it is full.
    pub fn may_grow(&self) -> usize {
        8 * CHUNK.saturating_sub(self.messages.len())
    }

    fn holds(&self, told: Timestamp, message: u64) -> bool {
        (self.oldest..=self.newest).contains(&told) && self.messages.contains(&message)
    }

    fn add(&mut self, told: Timestamp, message: u64, received: Timestamp) {
        self.oldest = self.oldest.min(told);
        self.newest = self.newest.max(told);
        self.received = self.received.max(received);
        // A vector left to itself would hold a third more than it needs.
        if self.messages.len() == self.messages.capacity() {
            self.messages.reserve_exact(GROWS_BY);
        }
        self.messages.push(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HORIZON: Duration = Duration::from_secs(3600);

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn fill(seen: &mut Seen, from: i64, to: i64) {
        for second in from..to {
            assert!(seen.remember(at(second), Digest(1), at(second), HORIZON), "{second}");
        }
    }

    #[test]
    fn a_message_is_new_once() {
        let mut seen = Seen::default();
        fill(&mut seen, 0, 1000);
        assert!(!seen.remember(at(0), Digest(1), at(1000), HORIZON));
        assert!(!seen.remember(at(999), Digest(1), at(1000), HORIZON));
        assert!(seen.remember(at(999), Digest(2), at(1000), HORIZON));
    }

    #[test]
    fn what_is_beyond_the_horizon_is_forgotten_chunk_by_chunk() {
        let mut seen = Seen::default();
        fill(&mut seen, 0, 10_000);
        assert!((3_600..3_600 + 2 * CHUNK).contains(&seen.len()), "{}", seen.len());
        assert!(!seen.remember(at(6_400), Digest(1), at(10_000), HORIZON));
        assert!(seen.remember(at(6_000), Digest(1), at(10_000), HORIZON));
    }

    #[test]
    fn the_count_is_capped() {
        let mut seen = Seen::default();
        for message in 0..(CHUNK * (MAX_CHUNKS + 10)) as u64 {
            seen.remember(at(0), Digest(message), at(0), HORIZON);
        }
        assert!(seen.len() <= CHUNK * (MAX_CHUNKS + 1), "{}", seen.len());
    }

    #[test]
    fn a_row_of_an_older_build_is_read() {
        let old = r#"{"oldest":1000000,"newest":2000000,"received":3000000,"messages":"0102030405060708ffffffffffffffff"}"#;
        let chunk: Chunk = serde_json::from_str(old).unwrap();
        let messages = vec![0x0102_0304_0506_0708, u64::MAX];
        assert_eq!(chunk, Chunk { oldest: at(1), newest: at(2), received: at(3), messages });
        let again = serde_json::to_string(&chunk).unwrap();
        assert_eq!(serde_json::from_str::<Chunk>(&again).unwrap(), chunk);
        for wrong in [r#""~AAAA""#, r#""~AAAAAAAAAAA""#, r#"{"oldest":1}"#] {
            assert!(serde_json::from_str::<Chunk>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rows_bring_it_back() {
        let mut seen = Seen::default();
        let mut rows = std::collections::BTreeMap::new();
        for second in 0..9_000 {
            seen.remember(at(second), Digest(1), at(second), HORIZON);
            seen.take_dirty(|number, chunk| {
                match chunk {
                    Some(chunk) => rows.insert(number, chunk.clone()),
                    None => rows.remove(&number),
                };
            });
        }
        let json = serde_json::to_vec(&seen.open).unwrap();
        let open = serde_json::from_slice(&json).unwrap();
        let mut back = Seen::restore(open, rows.into_iter().collect(), seen.next());
        assert_eq!(back.len(), seen.len());
        assert!(!back.remember(at(5_500), Digest(1), at(9_000), HORIZON));
        fill(&mut back, 9_000, 9_100);
    }
}
