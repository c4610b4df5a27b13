//! What reads will ask for of their tags, asked for at once: among a million of them hardly any is in the processor's
//! caches. Looked at beforehand, a round at a time, they are fetched beside one another and not in turn. Nothing is
//! decided here, and nothing is changed.

use smallvec::SmallVec;

use super::Cleaner;
use super::deadlines::Slot;
use super::source::Source;
use super::windows::{self, Windows};
use crate::domain::ids::SourceId;
use crate::domain::readings::Reading;

/// As many are looked at beforehand: what they ask for is still in the caches at their turn.
pub const ROUND: usize = 32;

impl Cleaner {
    /// To be called with readings before they are taken one by one, some [`ROUND`] of them; those of a long report may be
    /// more.
    pub fn look_at<'a>(&self, readings: impl IntoIterator<Item = &'a Reading>) {
        let mut last: Option<(&SourceId, &Source)> = None;
        let mut source = |name: &'a SourceId| match last {
            Some((id, source)) if id == name => Some(source),
            _ => {
                let source = &self.sources[*self.by_name.get(name)?];
                last = Some((name, source));
                Some(source)
            }
        };
        let reads = readings.into_iter().filter_map(|reading| match reading {
            Reading::Tag(read) => {
                Some((source(&read.source)?.watches(read.antenna), windows::hash(&read.epc)))
            }
            _ => None,
        });
        let mut wanted = reads.flat_map(|(watches, hash)| {
            watches.iter().map(move |watch| (&self.points[watch.point].windows, hash))
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
