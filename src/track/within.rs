//! The fences that an asset is in, by its trackers.
//!
//! Cleaning knows the fences that a tracker is in, whatever it hangs on, and says so with each fix. An asset is in those of
//! the tracker that it hears from: also where that came to it within one, and not where that left one while it was on
//! something else. Of several trackers on one asset each counts, unless it has said nothing for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use smallvec::SmallVec;

use super::Tracker;
use super::cause::Cause;
use super::custody::Stays;
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, DeviceId, FenceId};
use crate::domain::register::TrackerAttachment;
use crate::domain::sightings::FenceChange;
use crate::domain::state::Location;
use crate::domain::time::Timestamp;

/// What another tracker of the asset said of fences counts for so long.
const BESIDE: Duration = Duration::from_secs(120);

/// Of each asset with several trackers: the fences that each is in, and when it said so. Not kept over a restart: each
/// fix says it anew.
#[derive(Debug, Default)]
pub(super) struct Beside(BTreeMap<AssetId, BTreeMap<DeviceId, (Timestamp, Fences)>>);

pub(super) type Fences = SmallVec<[FenceId; 1]>;

impl Beside {
    /// One of the trackers came into a fence, or left it. Whether another is in there still.
    pub fn crosses(
        &mut self,
        asset: &AssetId,
        device: &DeviceId,
        fence: &FenceId,
        change: FenceChange,
        at: Timestamp,
    ) -> bool {
        let Some(trackers) = self.0.get_mut(asset) else { return false };
        if let Some((_, fences)) = trackers.get_mut(device) {
            fences.retain(|inside| inside != fence);
            if change == FenceChange::Entered {
                fences.push(fence.clone());
            }
        }
        let mut others = trackers.iter().filter(|(other, _)| *other != device);
        others.any(|(_, (said, fences))| at.since(*said) <= BESIDE && fences.contains(fence))
    }
}

impl Tracker {
    /// One of its trackers is in these fences. Gives those that it was not known to be in.
    pub(super) fn tracked_within(
        &mut self,
        asset: &AssetId,
        device: &DeviceId,
        fences: &[FenceId],
        cause: &Cause,
        out: &mut Vec<Event>,
    ) -> Fences {
        let all = self.inside_by_all(asset, device, fences, cause.observed_at);
        let held = self.assets.get(asset).map_or(&[][..], |row| &row.current.fences);
        let came: Fences = all.iter().filter(|fence| !held.contains(fence)).cloned().collect();
        let left: Fences = held.iter().filter(|fence| !all.contains(fence)).cloned().collect();
        if came.is_empty() && left.is_empty() {
            return came;
        }
        let current = &mut self.assets.change(asset).current.fences;
        current.retain(|fence| !left.contains(fence));
        came.iter().for_each(|fence| current.push(fence.clone()));
        for fence in &left {
            self.crosses_bay(asset, fence, FenceChange::Exited, cause, out);
        }
        for fence in &came {
            self.crosses_bay(asset, fence, FenceChange::Entered, cause, out);
        }
        self.stand_within(asset, &came, cause, out);
        came
    }

    /// It is in a bay by a tracker that had nothing to say of it before, and was known to be there all along: a tracker was put
    /// back, or another one on it.
    fn stand_within(&mut self, asset: &AssetId, came: &[FenceId], cause: &Cause, out: &mut Vec<Event>) {
        let location = self.assets.get(asset).map(|row| row.current.location.clone());
        let Some(Location::Zone(zone)) = &location else { return };
        let shows = came.iter().any(|fence| self.topology.fence_zone(fence) == Some(zone));
        if shows && !self.doors.stands(asset) && !self.topology.doors_of_bay(zone).is_empty() {
            self.stand_where_it_is(asset, &Location::Zone(zone.clone()), cause, out);
        }
    }

    /// It is in a fence, which may be that of its home: by a tracker that came to it in there, too.
    pub(super) fn home_by_fence(
        &mut self,
        asset: &AssetId,
        fence: &FenceId,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        if let Some(zone) = self.topology.fence_zone(fence).cloned() {
            self.heard_in(asset, &zone, Stays::default(), &format!("sensed entering {fence}"), cause, out);
        }
    }

    /// Late fixes say that it entered a fence; where it is in there now and that was after its checkout, it came back then,
    /// whether or not anything else told that it was away.
    pub(super) fn home_by_late_fixes(
        &mut self,
        asset: &AssetId,
        fence: &FenceId,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let Some(zone) = self.topology.fence_zone(fence).cloned() else { return };
        let location = self.assets.get(asset).map(|row| &row.current.location);
        if matches!(location, Some(Location::Zone(there)) if *there == zone) {
            self.passed_into(asset, &zone, &format!("sensed entering {fence}"), cause, out);
        }
    }

    fn inside_by_all(
        &mut self,
        asset: &AssetId,
        device: &DeviceId,
        fences: &[FenceId],
        at: Timestamp,
    ) -> Fences {
        let (register, topology) = (&self.register, &self.topology);
        let known = |fences: &[FenceId]| -> Fences {
            fences.iter().filter(|fence| topology.has_fence(fence)).cloned().collect()
        };
        let mut all = known(fences);
        let row = self.assets.get(asset);
        let last = row.and_then(|row| Some((row.memory.fixed.as_deref()?, &row.current.fences)));
        let beside = &mut self.beside.0;
        if let Some((fixed, held)) = last
            && let Some(by) = fixed.by.as_ref().filter(|by| *by != device)
            && !beside.contains_key(asset)
        {
            let others = BTreeMap::from([(by.clone(), (fixed.at, held.iter().cloned().collect()))]);
            beside.insert(asset.clone(), others);
        }
        let Some(trackers) = beside.get_mut(asset) else { return all };
        trackers.insert(device.clone(), (at, all.clone()));
        trackers.retain(|by, (said, _)| {
            at.since(*said) <= BESIDE && register.asset_of_tracker(by, at) == Some(asset)
        });
        for fence in trackers.values().flat_map(|(_, fences)| known(fences)) {
            if !all.contains(&fence) {
                all.push(fence);
            }
        }
        if trackers.len() < 2 {
            beside.remove(asset);
        }
        all
    }

    /// What its tracker had it in, where that is on it no more: nobody will say that it left.
    pub(super) fn end_fences(&mut self, tracker: &TrackerAttachment, cause: &Cause, out: &mut Vec<Event>) {
        let Some(asset) = tracker.carrier.asset() else { return };
        let stays = self.register.asset_of_tracker(&tracker.key, self.now) == Some(asset);
        let is_by_it = |row: &super::AssetRow| {
            let by = row.memory.fixed.as_deref().and_then(|fixed| fixed.by.as_ref());
            !row.current.fences.is_empty() && by == Some(&tracker.key)
        };
        let Some(row) = self.assets.get(asset).filter(|row| !stays && is_by_it(row)) else { return };
        let (is_heard, held) = (self.is_heard_there(row), row.current.fences.to_vec());
        let (at, beside) = (cause.observed_at, &mut self.beside);
        let left = held
            .into_iter()
            .filter(|fence| !beside.crosses(asset, &tracker.key, fence, FenceChange::Exited, at));
        let left: Fences = left.collect();
        self.assets.change(asset).current.fences.retain(|fence| !left.contains(fence));
        for fence in &left {
            self.crosses_bay(asset, fence, FenceChange::Exited, cause, out);
        }
        if !is_heard && !left.is_empty() {
            self.left_bay(asset, cause, out);
        }
    }

    /// Nobody will say that it left a fence that there is none any more.
    pub(super) fn forget_fences(&mut self) {
        let is_gone = |fence: &FenceId| !self.topology.has_fence(fence);
        for asset in self.assets.ids_where(|_, row| row.current.fences.iter().any(is_gone)) {
            let topology = &self.topology;
            self.assets.change(&asset).current.fences.retain(|fence| topology.has_fence(fence));
        }
    }
}
