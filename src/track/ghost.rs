//! Ghosts: what a silence that fell due means, and when it is over.
//!
//! A silence that is not the watcher's (see `suspicion.rs`) makes a ghost; so does an audit that did not find
//! the asset. Being sensed ends it, and whatever takes the asset off its clock (see `watched.rs`).

use super::Tracker;
use super::assets::Watched;
use super::cause::Cause;
use super::watch::{Standing, group_key};
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, AuditId, ReadPointId};
use crate::domain::readiness::HoldKind;
use crate::domain::register::{Asset, Lifecycle};
use crate::domain::time::Timestamp;

/// Assets of one group that have their turn in one step.
const TURNS: usize = 8;

impl Tracker {
    /// The earliest group with assets whose turn it is: judges those whose silence is due, queues the
    /// others anew.
    pub(super) fn pass_silence(&mut self, until: Timestamp, now: Timestamp, out: &mut Vec<Event>) {
        let Some((at, key, turns)) = self.watches.pop_turns(until, TURNS) else { return };
        let cause = Cause::own(at, now);
        self.end_old_suspicion(&key, &cause, out);
        let position = self.watches.position(&key, at);
        let mut due = Vec::new();
        for asset in turns {
            let Some(watched) = &mut self.assets.peek_mut(&asset).and_then(|row| row.memory.watched.as_mut())
            else {
                continue;
            };
            watched.queued_us = None;
            if watched.due_us > position {
                self.watches.enrol(&asset, watched, Standing::Due);
            } else {
                due.push((watched.last_us, asset));
            }
        }
        for (last_us, asset) in &due {
            let watched = self.assets.get(asset).and_then(|row| row.memory.watched.clone());
            let Some(watched) = watched.filter(|watched| !watched.held) else { continue };
            match self.is_suspect(&key, *last_us, &due, &cause, out) {
                true => self.hold(asset),
                false => self.begin_ghost(asset, watched, &cause, out),
            }
        }
    }

    fn begin_ghost(&mut self, asset: &AssetId, mut watched: Watched, cause: &Cause, out: &mut Vec<Event>) {
        let group = watched.group.clone();
        self.watches.strike(asset, &mut watched);
        let row = self.assets.change(asset);
        row.current.ghost_since = Some(cause.observed_at);
        let last = row.current.last_sensed.as_ref().map(|last| last.at);
        self.watches.enrol(asset, &mut watched, Standing::Ghost);
        row.memory.watched = Some(watched);
        let site = self.register.home_site(asset);
        let last = last.map_or("never".to_owned(), |last| self.register.local(site, last));
        let summary = format!(
            "{} is not where it should be: last heard at {group} {last}, and {group} heard others since; \
             look for it there, and check it out to whoever has it",
            self.label(asset)
        );
        self.raise_for_asset(Rule::Ghost, asset, summary, cause, out);
    }

    /// A closed audit did not find it: it is a ghost, whatever covers its zone.
    pub(super) fn confirm_missing(
        &mut self,
        asset: &AssetId,
        audit: &AuditId,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let row = self.assets.change(asset);
        row.memory.missing_in = Some(Box::new(audit.clone()));
        row.current.ghost_since.get_or_insert(cause.observed_at);
        let last = row.current.last_sensed.as_ref().map(|last| last.at);
        if let Some(watched) = self.strike(asset) {
            self.enrol(asset, Watched { held: false, ..watched.clone() });
            if watched.held {
                self.review_suspicion(&watched.group, cause, out);
            }
        }
        let site = self.register.home_site(asset);
        let last = last.map_or("never".to_owned(), |last| self.register.local(site, last));
        let summary = format!(
            "{} was not found in audit {audit}: last sensed {last}; look for it, and check it out to whoever \
             has it, or retire it",
            self.label(asset)
        );
        self.raise_for_asset(Rule::Ghost, asset, summary, cause, out);
    }

    /// An audit missed it, and nothing accounts for that yet.
    pub(super) fn is_missed(&self, asset: &AssetId) -> bool {
        let expected = self.register.asset(asset).is_some_and(|held| held.is_expected());
        let row = self.assets.get(asset);
        expected && row.is_some_and(|row| row.memory.missing_in.is_some() && row.current.checkout.is_none())
    }

    pub(super) fn end_ghost(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        if self.assets.get(asset).is_none_or(|row| row.current.ghost_since.is_none()) {
            return;
        }
        let row = self.assets.change(asset);
        row.current.ghost_since = None;
        row.memory.missing_in = None;
        self.alerts.condition(&AlertKey::new(Rule::Ghost, asset.as_str()), None, cause, out);
    }

    /// In the workshop, says the register, or who put it there.
    pub(super) fn is_in_maintenance(&self, asset: &Asset) -> bool {
        let row = self.assets.get(&asset.id);
        let mut holds = row.into_iter().flat_map(|row| &row.current.holds);
        asset.lifecycle == Lifecycle::InMaintenance || holds.any(|hold| hold.kind == HoldKind::Maintenance)
    }
}

pub(super) fn micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Key of a suspicion's alert for a group of read points.
pub(super) fn suspicion_key(read_points: &[ReadPointId]) -> AlertKey {
    AlertKey::new(Rule::WatcherSuspect, group_key(read_points))
}
