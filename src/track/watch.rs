//! Ghost clocks (contract 9): silence counts only while those hear who lately heard.
//!
//! Assets are watched in **groups**: the set of read points that lately sensed them; of a read point with
//! several antennas, the shares of those that did. A group has one
//! clock, the time during which all of these heard; it stops with the first that does not. An
//! asset's last sensing and its due moment are positions on that clock. So an outage touches the groups
//! of a read point and no asset, and silence costs nothing until it is due.
//!
//! A sighting moves an asset's due moment in its own row and touches no order: the asset stays queued
//! where it was, and is queued anew at its due moment when its turn comes. An asset that goes on being
//! sensed so has its turn once an interval, not once a sighting.
//!
//! The clock runs on our time, from calls; what it counted is written with every change and each
//! [`CHECKPOINT`] at the latest. A crash or a restart can lose counted time, and never adds any: all
//! groups stand still until told that their read points hear.
//!
//! This file never decides who is watched (`watched.rs`), nor what a silence means (`ghost.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::assets::Watched;
use super::deadlines::Deadlines;
use crate::domain::ids::{AssetId, ReadPointId};
use crate::domain::state::{StateKind, StateRow};
use crate::domain::time::Timestamp;

/// A running clock is written at least this often; a crash loses at most this much of it.
pub(super) const CHECKPOINT: Duration = Duration::from_secs(60);

/// The row of a group in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchRow {
    pub read_points: Vec<ReadPointId>,
    /// The clock, in microseconds of hearing.
    pub heard_us: i64,
    pub hearing: bool,
    /// The planned work for which the clock stands still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<String>,
    /// A tag that stays is told of again within this much hearing.
    pub span_us: i64,
    /// Silences that began up to here were judged to be the assets' own.
    #[serde(default)]
    pub judged_us: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspect: Option<Suspicion>,
}

/// Many fell silent together: the watcher is suspect, their ghosts are held back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Suspicion {
    /// Assets that were being sensed when the silence began, silent ones included.
    pub of: usize,
    /// The latest last sensing among the silent, on the group's clock.
    pub until_us: i64,
    /// The group's clock when it has stood for long enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_us: Option<i64>,
    /// Assets that arrived at these read points since: they hear what is there.
    pub arrivals: BTreeSet<AssetId>,
    /// The silent; rebuilt from the assets' own rows.
    #[serde(skip)]
    pub held: BTreeSet<AssetId>,
}

#[derive(Debug)]
pub(super) struct Group {
    row: WatchRow,
    running_since: Option<Timestamp>,
    /// Each asset whose silence is neither held nor told, at or before its due moment.
    queue: BTreeSet<(i64, AssetId)>,
    ghosts: BTreeSet<AssetId>,
}

impl Group {
    fn position(&self, at: Timestamp) -> i64 {
        let running = self.running_since.map_or(0, |since| at.micros_after(since).max(0));
        self.row.heard_us.saturating_add(running)
    }

    fn wake(&self) -> Option<Timestamp> {
        let turn = self.queue.first().map(|(due, _)| *due);
        let ends = self.row.suspect.as_ref().and_then(|suspect| suspect.ends_us);
        let due = [turn, ends].into_iter().flatten().min()?;
        Some(self.running_since?.offset(due.saturating_sub(self.row.heard_us).max(0)))
    }

    fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.ghosts.is_empty() && self.row.suspect.is_none()
    }

    pub fn suspect(&self) -> Option<&Suspicion> {
        self.row.suspect.as_ref()
    }

    pub fn read_points(&self) -> &[ReadPointId] {
        &self.row.read_points
    }

    pub fn span_us(&self) -> i64 {
        self.row.span_us
    }

    /// Assets of this group that are ghosts, in order of name.
    pub fn ghosts(&self) -> impl Iterator<Item = &AssetId> {
        self.ghosts.iter()
    }

    /// Assets of this group that are no ghosts, in no order that means anything.
    pub fn watched(&self) -> impl Iterator<Item = &AssetId> {
        let held = self.row.suspect.iter().flat_map(|suspect| &suspect.held);
        self.queue.iter().map(|(_, asset)| asset).chain(held)
    }

    pub fn is_judged(&self, last_us: i64) -> bool {
        last_us <= self.row.judged_us
    }
}

/// What an asset is to its group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    Due,
    Held,
    Ghost,
}

#[derive(Debug, Default)]
pub(super) struct Watches {
    groups: BTreeMap<Arc<str>, Group>,
    of_read_point: BTreeMap<ReadPointId, BTreeSet<Arc<str>>>,
    hearing: BTreeSet<ReadPointId>,
    /// Read points that planned work keeps from hearing, with its name.
    standing: BTreeMap<ReadPointId, String>,
    /// Nobody listens to any read point.
    deaf: bool,
    wakes: Deadlines<Arc<str>>,
    checkpoint_at: Option<Timestamp>,
    dirty: BTreeSet<Arc<str>>,
}

/// Key of a group: its read points in order, joined by `+`.
pub(super) fn group_key(read_points: &[ReadPointId]) -> String {
    read_points.iter().map(ReadPointId::as_str).collect::<Vec<_>>().join("+")
}

impl Watches {
    pub fn hears(&self, read_point: &ReadPointId) -> bool {
        self.hearing.contains(read_point)
    }

    pub fn group(&self, key: &str) -> Option<&Group> {
        self.groups.get(key)
    }

    /// Groups that a read point is in, in order.
    pub fn groups_of(&self, read_point: &ReadPointId) -> Vec<Arc<str>> {
        self.of_read_point.get(read_point).into_iter().flatten().cloned().collect()
    }

    pub fn position(&self, key: &str, at: Timestamp) -> i64 {
        self.groups.get(key).map_or(0, |group| group.position(at))
    }

    pub fn is_running(&self) -> bool {
        self.groups.values().any(|group| group.running_since.is_some())
    }

    /// Makes sure that the group of these read points is there.
    pub fn ensure(&mut self, read_points: &[ReadPointId], span_us: i64, now: Timestamp) -> Arc<str> {
        let key = group_key(read_points);
        if let Some((key, _)) = self.groups.get_key_value(key.as_str()) {
            let key = key.clone();
            if let Some(group) = self.groups.get_mut(&key)
                && group.row.span_us != span_us
            {
                group.row.span_us = span_us;
                self.dirty.insert(key.clone());
            }
            return key;
        }
        let key: Arc<str> = key.into();
        let row = WatchRow {
            read_points: read_points.to_vec(),
            heard_us: 0,
            hearing: false,
            maintenance: None,
            span_us,
            judged_us: i64::MIN,
            suspect: None,
        };
        self.restore(key.clone(), row);
        self.run_or_stop(&key, now);
        self.dirty.insert(key.clone());
        key
    }

    /// Puts an asset into its group. One that is queued already, at or before its due moment, stays there.
    pub fn enrol(&mut self, asset: &AssetId, watched: &mut Watched, standing: Standing) {
        let Some(group) = self.groups.get_mut(&watched.group) else { return };
        match standing {
            Standing::Due if watched.queued_us.is_some_and(|queued| queued <= watched.due_us) => return,
            Standing::Due => {
                if let Some(queued) = watched.queued_us.replace(watched.due_us) {
                    group.queue.remove(&(queued, asset.clone()));
                }
                group.queue.insert((watched.due_us, asset.clone()));
            }
            Standing::Ghost => drop(group.ghosts.insert(asset.clone())),
            Standing::Held => {
                group.row.suspect.get_or_insert_default().held.insert(asset.clone());
            }
        }
        self.rewake(&watched.group);
    }

    /// Takes an asset off its group; the group stays until [`Self::drop_if_empty`].
    pub fn strike(&mut self, asset: &AssetId, watched: &mut Watched) {
        let Some(group) = self.groups.get_mut(&watched.group) else { return };
        if let Some(queued) = watched.queued_us.take() {
            group.queue.remove(&(queued, asset.clone()));
        }
        group.ghosts.remove(asset);
        if let Some(suspect) = &mut group.row.suspect {
            suspect.held.remove(asset);
        }
        self.rewake(&watched.group);
    }

    pub fn drop_if_empty(&mut self, key: &str) {
        if !self.groups.get(key).is_some_and(Group::is_empty) {
            return;
        }
        let Some((key, group)) = self.groups.remove_entry(key) else { return };
        for read_point in &group.row.read_points {
            if let Some(keys) = self.of_read_point.get_mut(read_point) {
                keys.remove(&key);
            }
        }
        self.wakes.set(key.clone(), None);
        self.dirty.insert(key);
    }

    /// A read point began or ceased to hear.
    pub fn set_hearing(&mut self, read_point: &ReadPointId, hearing: bool, at: Timestamp) {
        match hearing {
            true => self.hearing.insert(read_point.clone()),
            false => self.hearing.remove(read_point),
        };
        for key in self.groups_of(read_point) {
            self.run_or_stop(&key, at);
        }
    }

    /// Says which read points planned work keeps from hearing now.
    pub fn set_standing(&mut self, standing: BTreeMap<ReadPointId, String>, at: Timestamp) {
        self.standing = standing;
        let groups: Vec<Arc<str>> = self.groups.keys().cloned().collect();
        groups.iter().for_each(|key| self.run_or_stop(key, at));
    }

    /// Nobody listens any more, or does again.
    pub fn set_deaf(&mut self, deaf: bool, at: Timestamp) {
        self.deaf = deaf;
        let groups: Vec<Arc<str>> = self.groups.keys().cloned().collect();
        groups.iter().for_each(|key| self.run_or_stop(key, at));
    }

    /// Nothing was watched between the two times: no running clock counts them.
    pub fn skip(&mut self, from: Timestamp, to: Timestamp) {
        for (key, group) in &mut self.groups {
            if group.running_since.is_some() {
                group.row.heard_us = group.position(from);
                group.running_since = Some(to);
                self.dirty.insert(key.clone());
                self.wakes.set(key.clone(), group.wake());
            }
        }
    }

    /// When the earliest silence falls due.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.wakes.first()
    }

    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.wakes.first().into_iter().chain(self.checkpoint_at).min()
    }

    /// The earliest group with an asset whose turn it is, and those whose turn it is, at most `most`, in
    /// order of turn and name. They are no longer queued; a turn may come before the due moment.
    pub fn pop_turns(
        &mut self,
        until: Timestamp,
        most: usize,
    ) -> Option<(Timestamp, Arc<str>, Vec<AssetId>)> {
        let (at, key) = self.wakes.pop(until)?;
        let group = self.groups.get_mut(&key)?;
        let position = group.position(at);
        let mut turns = Vec::new();
        while turns.len() < most && group.queue.first().is_some_and(|(turn, _)| *turn <= position) {
            turns.extend(group.queue.pop_first().map(|(_, asset)| asset));
        }
        self.rewake(&key);
        Some((at, key, turns))
    }

    /// Lets running clocks be written, when it is time.
    pub fn checkpoint(&mut self, now: Timestamp) {
        if self.checkpoint_at.is_some_and(|at| at <= now) {
            let running = self.groups.iter().filter(|(_, group)| group.running_since.is_some());
            self.dirty.extend(running.map(|(key, _)| key.clone()));
            self.checkpoint_at = self.is_running().then(|| now + CHECKPOINT);
        }
    }

    pub fn change(&mut self, key: &str) -> Option<&mut WatchRow> {
        let key = self.groups.get_key_value(key)?.0.clone();
        self.dirty.insert(key.clone());
        self.groups.get_mut(&key).map(|group| &mut group.row)
    }

    /// Takes note of when a suspicion ends; to be called where one begins.
    pub fn suspect(&mut self, key: &str, suspicion: Suspicion) {
        if let Some(row) = self.change(key) {
            row.suspect = Some(suspicion);
        }
        if let Some((key, _)) = self.groups.get_key_value(key) {
            let key = key.clone();
            self.rewake(&key);
        }
    }

    pub fn restore(&mut self, key: Arc<str>, row: WatchRow) {
        for read_point in &row.read_points {
            self.of_read_point.entry(read_point.clone()).or_default().insert(key.clone());
        }
        let row = WatchRow { hearing: false, ..row };
        let group = Group { row, running_since: None, queue: BTreeSet::new(), ghosts: BTreeSet::new() };
        self.groups.insert(key, group);
    }

    /// Nobody hears until told otherwise.
    pub fn silence(&mut self, now: Timestamp) {
        for read_point in std::mem::take(&mut self.hearing) {
            self.set_hearing(&read_point, false, now);
        }
        self.checkpoint_at = None;
    }

    pub fn take_dirty(&mut self, now: Timestamp, out: &mut Vec<StateRow>) {
        for key in std::mem::take(&mut self.dirty) {
            out.push(match self.groups.get(&key) {
                Some(group) => {
                    let hearing = group.running_since.is_some();
                    let row = WatchRow { heard_us: group.position(now), hearing, ..group.row.clone() };
                    StateRow::put(StateKind::Watch, &*key, &row)
                }
                None => StateRow::delete(StateKind::Watch, &*key),
            });
        }
    }

    fn run_or_stop(&mut self, key: &Arc<str>, at: Timestamp) {
        let Some(group) = self.groups.get_mut(key) else { return };
        let work = group.row.read_points.iter().find_map(|read_point| self.standing.get(read_point));
        let hears = group.row.read_points.iter().all(|read_point| self.hearing.contains(read_point));
        let runs = work.is_none() && hears && !self.deaf;
        if work != group.row.maintenance.as_ref() {
            group.row.maintenance = work.cloned();
            self.dirty.insert(key.to_owned());
        }
        if runs == group.running_since.is_some() {
            return;
        }
        group.row.heard_us = group.position(at);
        group.running_since = runs.then_some(at);
        if runs {
            self.checkpoint_at.get_or_insert(at + CHECKPOINT);
        }
        self.dirty.insert(key.clone());
        self.rewake(key);
    }

    fn rewake(&mut self, key: &Arc<str>) {
        let wake = self.groups.get(key).and_then(Group::wake);
        self.wakes.set(key.clone(), wake);
    }
}
