//! Trackers on an asset of which nothing was heard yet, or nothing since their asset was last in use: misspelt, not
//! mounted, without a card. They have no source and no usual silence, so all there is to go by is how long
//! they were waited for: `[tracker] unheard_after`, counted while everything that they might speak through worked.
//!
//! The wait lies on the clocks of [`super::silence`], on one of its own. A tracker whose asset is not to be heard (in a
//! workshop, written off) is looked at four times a wait, and the wait begins anew each time: so it is told of when the
//! asset was back for nearly that long.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Tracker;
use super::cause::Cause;
use super::ghost::micros;
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, DeviceId, SourceId};
use crate::domain::state::{StateKind, StateRow};
use crate::domain::time::{Timestamp, roughly};

/// Looked at so often within a wait. A wait that is younger than that does not begin anew: one in a workshop may speak every
/// second.
const LOOKS: u32 = 4;

/// The row of a tracker that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnheardRow {
    pub since: Timestamp,
    /// The clock then.
    since_us: i64,
}

#[derive(Debug, Default)]
pub(super) struct Unheard {
    /// Told of after a wait of this; `None`: never.
    pub after: Option<Duration>,
    /// What trackers of any name may speak through.
    sources: BTreeSet<SourceId>,
    rows: BTreeMap<DeviceId, UnheardRow>,
    dirty: BTreeSet<DeviceId>,
}

/// The clock of the time during which all of the sources worked; no source has such a name.
pub(super) fn all_sources() -> SourceId {
    SourceId::new("*")
}

impl Unheard {
    pub fn is_source(&self, source: &SourceId) -> bool {
        self.sources.contains(source)
    }

    /// Whether they all work, by what is said of each.
    pub fn all(&self, works: impl FnMut(&SourceId) -> bool) -> bool {
        !self.sources.is_empty() && self.sources.iter().all(works)
    }

    /// Where the wait for it is over.
    pub fn due_us(&self, device: &DeviceId) -> Option<i64> {
        let (row, after) = (self.rows.get(device)?, self.after?);
        Some(row.since_us.saturating_add(micros(after)))
    }

    pub fn has(&self, device: &DeviceId) -> bool {
        self.rows.contains_key(device)
    }

    pub fn devices(&self) -> impl Iterator<Item = &DeviceId> {
        self.rows.keys()
    }

    /// Whether it was waited for.
    pub fn remove(&mut self, device: &DeviceId) -> bool {
        let was_there = self.rows.remove(device).is_some();
        if was_there {
            self.dirty.insert(device.clone());
        }
        was_there
    }

    pub fn restore(&mut self, device: DeviceId, row: UnheardRow) {
        self.rows.insert(device, row);
    }

    pub fn take_dirty(&mut self, out: &mut Vec<StateRow>) {
        for device in std::mem::take(&mut self.dirty) {
            out.push(match self.rows.get(&device) {
                Some(row) => StateRow::put(StateKind::TrackerUnheard, device.as_str(), row),
                None => StateRow::delete(StateKind::TrackerUnheard, device.as_str()),
            });
        }
    }

    pub fn between_looks(&self) -> Duration {
        self.after.unwrap_or_default() / LOOKS
    }

    fn is_young(&self, device: &DeviceId, now: Timestamp) -> bool {
        self.rows.get(device).is_some_and(|row| now.since(row.since) < self.between_looks())
    }

    fn begin(&mut self, device: &DeviceId, row: UnheardRow) {
        self.rows.insert(device.clone(), row);
        self.dirty.insert(device.clone());
    }
}

impl Tracker {
    /// After a start, or with other rules: which trackers there are to wait for, and through what they may speak.
    pub(super) fn await_trackers(&mut self, now: Timestamp) {
        self.silence.unheard.sources = self.topology.tracker_sources().clone();
        self.silence.review_all_sources(now);
        // Of what spoke through a source that is no more, silence counts while all that it may come by works.
        let last_us = self.silence.position(&all_sources(), now);
        for device in self.silence.orphans(self.topology.tracker_sources()) {
            if let Some(row) = self.silence.row_mut(&device) {
                row.moves_to(all_sources(), last_us);
            }
            self.silence.changed(&device);
            self.arm_tracker(&device);
        }
        let unknown = |device: &DeviceId| !self.silence.has(device);
        let devices: BTreeSet<DeviceId> =
            self.register.trackers.iter().map(|tracker| tracker.key).filter(unknown).collect();
        devices.iter().for_each(|device| self.await_anew(device));
    }

    /// Its asset is not to be heard now, or nothing was known of it: the wait begins, where there is something to wait for.
    pub(super) fn await_anew(&mut self, device: &DeviceId) {
        if !self.is_awaited(device) {
            if self.silence.unheard.remove(device) {
                self.arm_tracker(device);
            }
            return;
        }
        if !self.silence.unheard.is_young(device, self.now) {
            let since_us = self.silence.position(&all_sources(), self.now);
            self.silence.unheard.begin(device, UnheardRow { since: self.now, since_us });
        } else if self.silence.is_armed(device) {
            return;
        }
        self.arm_tracker(device);
    }

    /// Raises the alert of one that was waited for long enough.
    pub(super) fn raise_unheard(
        &mut self,
        device: &DeviceId,
        asset: &AssetId,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let unheard = &self.silence.unheard;
        let (Some(row), Some(after)) = (unheard.rows.get(device), unheard.after) else { return };
        let site = self.register.home_site(asset);
        let summary = format!(
            "nothing was heard of tracker {device} of {} since {}, for {} of which all that trackers speak through \
             worked: is it mounted and switched on, and does it call itself so? GET /api/v1/answers/unmatched-trackers \
             tells who is heard and on no asset",
            self.label(asset),
            self.register.local(site, row.since),
            roughly(after),
        );
        self.raise_silence(device, asset, summary, cause, out);
    }

    /// Whether its class wants to hear of silent trackers.
    pub(super) fn is_awaited(&self, device: &DeviceId) -> bool {
        let asset = self.register.asset_of_tracker(device, self.now);
        let class = asset.and_then(|asset| self.register.class_of(asset));
        let wanted = |after: Option<Duration>| after.is_some() || self.silence.sleep.learns;
        self.silence.unheard.after.is_some() && class.is_some_and(|class| wanted(class.tracker_silent_after))
    }
}
