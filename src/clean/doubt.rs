//! Reads that may be of no tag at all. Noise decodes now and then as a code that nobody has; such a code is
//! heard once, while a tag is heard again.
//!
//! * A read whose own CRC fails is a phantom, and that is all there is to it. A reader whose check has never
//!   passed in [`MEANINGLESS`] reads reports something else in its place, and is believed without.
//! * A code that nobody knows (not on the register, not included by name, not heard here just now) exists
//!   when it was read often enough within a time. Until then its reads are counted and not used; the one that
//!   makes it exist brings with it when it was first heard.
//!
//! Bounded: beyond so many codes in doubt, the one that came first is forgotten. Never asks what a code means.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Lookup;
use super::presence::Reads;
use crate::config::IntakeConfig;
use crate::domain::epc::Epc;
use crate::domain::integrity;
use crate::domain::readings::TagRead;
use crate::domain::time::Timestamp;

/// So many failed checks and none that passed.
const MEANINGLESS: u32 = 100;

/// How a source's checks went; part of its row.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Checks {
    #[serde(default)]
    passed: bool,
    /// Before one passed.
    #[serde(default)]
    failed: u32,
}

impl Checks {
    /// Whether the read is a phantom. The second is whether the row changed.
    pub fn judge(&mut self, read: &TagRead) -> (bool, bool) {
        let (Some(pc), Some(crc)) = (read.pc, read.crc) else { return (false, false) };
        match integrity::passes(&read.epc, pc, crc) {
            None => (false, false),
            Some(true) => (false, !std::mem::replace(&mut self.passed, true)),
            Some(false) if self.passed => (true, false),
            Some(false) => {
                let before = self.failed;
                self.failed = before.saturating_add(1).min(MEANINGLESS);
                (before < MEANINGLESS, self.failed != before)
            }
        }
    }
}

/// Codes that do not exist yet.
pub(super) struct Doubts {
    needed: u32,
    within: Duration,
    most: usize,
    held: Lookup<Epc, Doubt>,
    /// In the order in which they came, each with which doubt of its code it was; forgotten ones are left in
    /// until they come to the front.
    order: VecDeque<(Epc, u64)>,
    count: u64,
}

struct Doubt {
    reads: Reads,
    number: u64,
}

impl Doubts {
    pub fn new(intake: &IntakeConfig) -> Self {
        Self {
            needed: intake.stranger_reads,
            within: intake.stranger_within,
            most: intake.max_unconfirmed,
            held: Lookup::default(),
            order: VecDeque::new(),
            count: 0,
        }
    }

    /// Whether every code exists at its first read.
    pub fn is_off(&self) -> bool {
        self.needed <= 1
    }

    /// A read of a code that nobody knows: the reads that make it exist, where they now do.
    pub fn hear(&mut self, epc: Epc, reads: Reads) -> Option<Reads> {
        let number = self.count;
        let doubt = match self.held.get_mut(&epc) {
            Some(doubt) if spans(&doubt.reads, &reads) <= self.within => {
                doubt.reads.first = doubt.reads.first.min(reads.first);
                doubt.reads.last = doubt.reads.last.max(reads.last);
                doubt.reads.count = doubt.reads.count.saturating_add(reads.count);
                doubt
            }
            // What was heard before is too long ago: it begins again, in its old place.
            Some(doubt) => {
                doubt.reads = reads;
                doubt
            }
            None => {
                self.count += 1;
                self.order.push_back((epc, number));
                self.held.entry(epc).or_insert(Doubt { reads, number })
            }
        };
        if doubt.reads.count >= self.needed {
            let reads = doubt.reads;
            self.held.remove(&epc);
            self.sweep();
            return Some(reads);
        }
        self.sweep();
        None
    }

    /// Forgets the oldest beyond the bound, and what is left of those that exist by now.
    fn sweep(&mut self) {
        while let Some((epc, number)) = self.order.front() {
            let waits = self.held.get(epc).is_some_and(|doubt| doubt.number == *number);
            if waits && self.held.len() <= self.most && self.order.len() <= 2 * self.most {
                return;
            }
            if waits {
                self.held.remove(epc);
            }
            self.order.pop_front();
        }
    }
}

/// From the first to the last of both.
fn spans(a: &Reads, b: &Reads) -> Duration {
    let (first, last): (Timestamp, Timestamp) = (a.first.min(b.first), a.last.max(b.last));
    last.since(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::readings::DeviceTime;

    fn epc(number: u32) -> Epc {
        Epc::new(32, &number.to_be_bytes()).unwrap()
    }

    fn doubts(needed: u32, most: usize) -> Doubts {
        let intake = IntakeConfig {
            stranger_reads: needed,
            stranger_within: Duration::from_secs(10),
            max_unconfirmed: most,
            ..IntakeConfig::default()
        };
        Doubts::new(&intake)
    }

    fn at(second: i64) -> Reads {
        Reads { first: Timestamp::from_secs(second), last: Timestamp::from_secs(second), count: 1 }
    }

    #[test]
    fn a_code_exists_when_it_was_read_often_enough_in_time() {
        let mut doubts = doubts(3, 10);
        assert!(doubts.hear(epc(1), at(0)).is_none());
        assert!(doubts.hear(epc(2), at(1)).is_none());
        assert!(doubts.hear(epc(1), at(4)).is_none());
        let exists = doubts.hear(epc(1), at(10)).unwrap();
        assert_eq!((exists.first, exists.last, exists.count), (at(0).first, at(10).last, 3));
        // Too long after the first; several reads in one report.
        assert!(doubts.hear(epc(2), at(12)).is_none());
        assert!(doubts.hear(epc(2), at(13)).is_none());
        assert!(doubts.hear(epc(2), at(14)).is_some());
        assert!(doubts.hear(epc(3), Reads { count: 3, ..at(15) }).is_some());
        assert_eq!(doubts.held.len(), 0);
    }

    #[test]
    fn noise_without_end_takes_no_more_room_than_there_is() {
        let mut doubts = doubts(2, 100);
        for number in 0..100_000 {
            assert!(doubts.hear(epc(number), at(1)).is_none());
            // One that comes into existence again and again leaves nothing behind.
            doubts.hear(epc(u32::MAX), at(1));
            assert!(doubts.held.len() <= 100 && doubts.order.len() <= 201, "{}", doubts.order.len());
        }
        // The newest ones are still there.
        assert!(doubts.hear(epc(99_999), at(2)).is_some());
        assert!(doubts.hear(epc(0), at(2)).is_none());
    }

    #[test]
    fn a_check_that_never_passes_says_nothing() {
        let read = |pc, crc| TagRead {
            source: "r".into(),
            antenna: 1,
            epc: Epc::from_hex("30751feb705c5904e3d50d70").unwrap(),
            first_seen: DeviceTime::None,
            last_seen: DeviceTime::None,
            seen_count: 1,
            peak_rssi_dbm: None,
            pc,
            crc,
            doppler_hz: None,
            phase_deg: None,
            channel: None,
        };
        let (good, bad) = (read(Some(0x3400), Some(0x3a76)), read(Some(0x3400), Some(0x3a77)));
        let mut checks = Checks::default();
        assert_eq!(checks.judge(&read(Some(0x3400), None)), (false, false));
        let phantoms = (0..1000).filter(|_| checks.judge(&bad).0).count();
        assert_eq!(phantoms, 100);
        assert_eq!(checks.judge(&good), (false, true));
        assert_eq!(checks.judge(&good), (false, false));
        assert_eq!((0..1000).filter(|_| checks.judge(&bad).0).count(), 1000);
    }
}
