//! What the reads of a report will ask for, asked for at once: their tags, among a million of which hardly any is in the
//! processor's caches. Looked at beforehand, a round at a time, they are fetched beside one another and not in turn.
//! Nothing is decided here, and nothing is changed.

use smallvec::SmallVec;

use super::Cleaner;
use super::deadlines::Slot;
use super::windows::{self, Windows};
use crate::domain::ids::SourceId;
use crate::domain::readings::Reading;

/// As many are looked at beforehand.
const ROUND: usize = 32;

impl Cleaner {
    /// To be called with the readings of a report before they are taken one by one.
    pub fn look_at(&self, readings: &[Reading], source: &SourceId) {
        let Some(source) = self.by_name.get(source).map(|index| &self.sources[*index]) else { return };
        let tags = readings.iter().filter_map(|reading| match reading {
            Reading::Tag(read) => Some(read),
            _ => None,
        });
        let mut wanted = tags.flat_map(|read| {
            let watches = source.watches(read.antenna).iter();
            watches.map(|watch| (&self.points[watch.point].windows, windows::hash(&read.epc)))
        });
        loop {
            let hashes: SmallVec<[(&Windows, u64); ROUND]> = wanted.by_ref().take(ROUND).collect();
            if hashes.is_empty() {
                return;
            }
            let guess = |(windows, hash): (_, _)| Some((windows, Windows::guess(windows, hash)?));
            let slots: SmallVec<[(&Windows, Slot); ROUND]> = hashes.into_iter().filter_map(guess).collect();
            slots.into_iter().for_each(|(windows, slot)| windows.look_at(slot));
        }
    }
}
