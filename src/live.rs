//! What antennas hear at this moment, for somebody who stands before them: a walk test.
//!
//! ```text
//! core ── raw reads, while anybody watches ──▶ ring ──▶ a watcher each ──▶ web
//! ```
//! The newest [`CAPACITY`] reads are held in memory while somebody watches, and none while nobody does: then a frame costs
//! one look at a number. Nobody who watches holds the pipeline up: one that is slow is told how many reads it missed.
//! Nothing here is kept, or judged.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::epc::Epc;
use crate::domain::ids::{Antenna, SourceId};
use crate::domain::readings::{Reading, TagRead};
use crate::domain::time::Timestamp;

/// A third of a second at 200,000 reads a second, and some 8 MB. When full, the oldest goes.
pub const CAPACITY: usize = 65_536;

/// One report of a tag, as its reader told it.
#[derive(Clone, PartialEq, Debug)]
pub struct LiveRead {
    pub received_at: Timestamp,
    pub source: SourceId,
    pub antenna: Antenna,
    pub epc: Epc,
    pub rssi_dbm: Option<f32>,
    /// Reads that the reader folded into it.
    pub count: u16,
    /// Of before: the reader held it while we were away.
    pub held: bool,
}

impl LiveRead {
    fn of(read: &TagRead, received_at: Timestamp, held: bool) -> Self {
        Self {
            received_at,
            source: read.source.clone(),
            antenna: read.antenna,
            epc: read.epc,
            rssi_dbm: read.peak_rssi_dbm,
            count: read.seen_count.max(1),
            held,
        }
    }
}

/// A handle to what is heard; all clones are of one ring.
#[derive(Clone, Default)]
pub struct Live(Arc<Shared>);

#[derive(Default)]
struct Shared {
    watchers: AtomicUsize,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    reads: VecDeque<LiveRead>,
    /// How many came before the oldest that is here.
    gone: u64,
}

impl Live {
    pub fn is_watched(&self) -> bool {
        self.0.watchers.load(Ordering::Relaxed) > 0
    }

    /// What a frame held. `held`: its reader is still telling what it held while we were away.
    pub fn note(&self, readings: &[Reading], received_at: Timestamp, held: bool) {
        let mut ring = self.0.ring();
        for reading in readings {
            if let Reading::Tag(read) = reading {
                ring.push(LiveRead::of(read, received_at, held));
            }
        }
    }

    /// From now on.
    pub fn watch(&self) -> Watcher {
        let ring = self.0.ring();
        self.0.watchers.fetch_add(1, Ordering::Relaxed);
        Watcher { shared: self.0.clone(), at: ring.end() }
    }
}

impl Shared {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, read: LiveRead) {
        if self.reads.len() == CAPACITY {
            self.reads.pop_front();
            self.gone += 1;
        }
        self.reads.push_back(read);
    }

    fn end(&self) -> u64 {
        self.gone + self.reads.len() as u64
    }
}

/// Somebody who watches, until it is dropped.
pub struct Watcher {
    shared: Arc<Shared>,
    /// Everything before was taken, or missed.
    at: u64,
}

impl Watcher {
    /// Takes what came since the last time, at most `most` reads; gives how many were missed before them.
    pub fn take(&mut self, most: usize, into: &mut Vec<LiveRead>) -> u64 {
        let ring = self.shared.ring();
        let missed = ring.gone.saturating_sub(self.at);
        self.at += missed;
        let from = usize::try_from(self.at - ring.gone).unwrap_or(usize::MAX).min(ring.reads.len());
        let to = from.saturating_add(most).min(ring.reads.len());
        into.extend(ring.reads.range(from..to).cloned());
        self.at += (to - from) as u64;
        missed
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut ring = self.shared.ring();
        if self.shared.watchers.fetch_sub(1, Ordering::Relaxed) == 1 {
            ring.gone = ring.end();
            ring.reads = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::readings::DeviceTime;

    fn reads(numbers: std::ops::Range<u32>) -> Vec<Reading> {
        let read = |number: u32| {
            Reading::Tag(TagRead {
                source: SourceId::new("dock"),
                antenna: 1,
                epc: Epc::new(32, &number.to_be_bytes()).unwrap(),
                first_seen: DeviceTime::None,
                last_seen: DeviceTime::None,
                seen_count: 0,
                peak_rssi_dbm: Some(-50.0),
                doppler_hz: None,
                pc: None,
                crc: None,
                phase_deg: None,
                channel: None,
            })
        };
        numbers.map(read).collect()
    }

    fn numbers(reads: &[LiveRead]) -> Vec<u32> {
        reads.iter().map(|read| u32::from_be_bytes(read.epc.bytes().try_into().unwrap())).collect()
    }

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn each_who_watches_gets_every_read_from_then_on_once() {
        let live = Live::default();
        let mut first = live.watch();
        live.note(&reads(0..3), NOW, false);
        let mut second = live.watch();
        live.note(&reads(3..5), NOW, true);
        let mut taken = Vec::new();
        assert_eq!(first.take(4, &mut taken), 0);
        assert_eq!(numbers(&taken), [0, 1, 2, 3]);
        assert_eq!(taken.iter().map(|read| read.held).collect::<Vec<_>>(), [false, false, false, true]);
        assert_eq!(taken[0].count, 1, "a report is a read at least");
        taken.clear();
        first.take(4, &mut taken);
        assert_eq!(numbers(&taken), [4]);
        taken.clear();
        second.take(4, &mut taken);
        assert_eq!(numbers(&taken), [3, 4]);
    }

    #[test]
    fn who_is_slow_is_told_how_much_was_missed_and_holds_nobody_up() {
        let live = Live::default();
        let mut slow = live.watch();
        live.note(&reads(0..CAPACITY as u32 + 7), NOW, false);
        let mut taken = Vec::new();
        assert_eq!(slow.take(2, &mut taken), 7);
        assert_eq!(numbers(&taken), [7, 8]);
        assert_eq!(slow.take(usize::MAX, &mut taken), 0);
        assert_eq!(taken.len(), CAPACITY);
    }

    #[test]
    fn nothing_is_held_while_nobody_watches() {
        let live = Live::default();
        assert!(!live.is_watched());
        let (one, mut other) = (live.watch(), live.watch());
        live.note(&reads(0..3), NOW, false);
        drop(one);
        assert!(live.is_watched());
        let mut taken = Vec::new();
        other.take(9, &mut taken);
        assert_eq!(taken.len(), 3);
        drop(other);
        assert!(!live.is_watched());
        assert_eq!(live.0.ring().reads.capacity(), 0);
        let mut later = live.watch();
        taken.clear();
        assert_eq!(later.take(9, &mut taken), 0);
        assert_eq!(taken, []);
    }
}
