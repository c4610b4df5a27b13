//! Trackers that drive, and when each has stopped where nothing more comes of it.
//!
//! A moment passes only while the connection that its fixes came by is live, and has been for as long as nothing must have
//! come: who could not be heard was not silent. Each tracker stands here once; what stands here too early, because more came
//! since, is put back when its time comes.

use std::collections::{BTreeMap, BTreeSet};

use super::Lookup;
use super::fixes::Tracker;
use super::source::Source;
use crate::config::TrackerRules;
use crate::domain::ids::{DeviceId, SourceId};
use crate::domain::time::Timestamp;

#[derive(Default)]
pub(super) struct Stops {
    due: BTreeSet<(Timestamp, DeviceId)>,
    /// Those that were due while their source was away or catching up.
    held_back: BTreeMap<SourceId, BTreeSet<DeviceId>>,
}

impl Stops {
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Whether it does not stand here, or too late, or for nothing.
    pub fn is_astray(tracker: &Tracker, rules: &TrackerRules) -> bool {
        match (tracker.looked_at, tracker.stop_due(rules)) {
            (Some(at), Some((due, ..))) => at > due,
            (at, due) => at.is_some() || due.is_some(),
        }
    }

    /// Something came of it.
    pub fn arm(&mut self, device: &DeviceId, tracker: &mut Tracker, rules: &TrackerRules) {
        if Self::is_astray(tracker, rules) {
            let due = tracker.stop_due(rules).map(|(due, ..)| due);
            self.set(device, tracker, due);
        }
    }

    fn set(&mut self, device: &DeviceId, tracker: &mut Tracker, at: Option<Timestamp>) {
        if let Some(before) = std::mem::replace(&mut tracker.looked_at, at) {
            self.due.remove(&(before, device.clone()));
        }
        self.due.extend(at.map(|at| (at, device.clone())));
    }

    pub fn forget(&mut self, device: &DeviceId, tracker: &Tracker) {
        if let Some(at) = tracker.looked_at {
            self.due.remove(&(at, device.clone()));
        }
    }

    /// One that has stopped by then, and when.
    pub fn pop(
        &mut self,
        until: Timestamp,
        trackers: &mut Lookup<DeviceId, Box<Tracker>>,
        rules: &TrackerRules,
        live_since: impl Fn(&SourceId) -> Result<Timestamp, SourceId>,
    ) -> Option<(Timestamp, DeviceId)> {
        loop {
            if self.next_deadline()? > until {
                return None;
            }
            let (_, device) = self.due.pop_first()?;
            let Some(tracker) = trackers.get_mut(&device) else { continue };
            tracker.looked_at = None;
            let Some((due, silent, via)) = tracker.stop_due(rules) else { continue };
            match live_since(via).map(|since| due.max(since + silent)) {
                Ok(due) if due <= until => return Some((due, device)),
                Ok(due) => self.set(&device, tracker, Some(due)),
                Err(away) => _ = self.held_back.entry(away).or_default().insert(device),
            }
        }
    }

    /// A source is live again: those that wait for it, to be armed.
    pub fn resume(&mut self, source: &SourceId) -> BTreeSet<DeviceId> {
        self.held_back.remove(source).unwrap_or_default()
    }
}

/// What trackers' fixes come by.
pub(super) struct Connections<'a> {
    pub sources: &'a [Source],
    pub by_name: &'a BTreeMap<SourceId, usize>,
    pub configured: &'a BTreeSet<SourceId>,
}

impl Connections<'_> {
    /// Since when what came by this one would come, or what is waited for. A broker may be renamed, or gone: then whatever
    /// there is has to be live.
    pub fn live_since(&self, source: &SourceId) -> Result<Timestamp, SourceId> {
        let live = |source: &SourceId| {
            let held = self.by_name.get(source).and_then(|at| self.sources.get(*at));
            held.and_then(Source::live_since).ok_or_else(|| source.clone())
        };
        if self.configured.is_empty() || self.configured.contains(source) {
            return live(source);
        }
        self.configured.iter().map(live).try_fold(Timestamp::MIN, |latest, since| Ok(latest.max(since?)))
    }
}
