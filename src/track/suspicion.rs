//! Suspect watchers: many fell silent together, so it is what listened rather than what was heard.
//!
//! **Together**: when an asset falls due, those count with it whose last sensing lies within one span of
//! its own and who were silent since. Are they at least `watcher_suspect_assets`, and at least
//! `watcher_suspect_share` of all that were being sensed when the silence began, the watcher is suspect:
//! one alert (subject: the group's read points), and every ghost of the group that falls due is held. One
//! count serves all who fall due within a quarter of a span after it, so that many of them stay cheap.
//!
//! **Released**: the suspicion ends when so many of the silent are sensed again (or leave by command)
//! that the rest no longer makes one, or when `watcher_suspect_assets` different assets *arrived* there
//! since (those heard all along prove nothing). The rest gets one more span to be
//! heard, and then they are ghosts. So they are after `watcher_suspect_for` of hearing: what heard all
//! that time, and still not them, is right, and they were taken.

use super::Tracker;
use super::alerts::Details;
use super::cause::Cause;
use super::ghost::micros;
use super::watch::{Standing, Suspicion};
use crate::domain::alerts::{AlertKey, Rule, Severity};
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, ReadPointId};

impl Tracker {
    /// Whether a silence that fell due is the watcher's rather than the asset's; raises the suspicion.
    /// `due`: those who fell due with it, who are not queued any more.
    pub(super) fn is_suspect(
        &mut self,
        key: &str,
        last_us: i64,
        due: &[(i64, AssetId)],
        cause: &Cause,
        out: &mut Vec<Event>,
    ) -> bool {
        let Some(group) = self.watches.group(key) else { return false };
        if group.suspect().is_some() {
            return true;
        }
        if group.is_judged(last_us) {
            return false;
        }
        let span_us = group.span_us();
        let (from, to) = (last_us.saturating_sub(span_us), last_us.saturating_add(span_us));
        let sensed = self.sensed_from(key, from, due);
        let silent: Vec<&(i64, AssetId)> = sensed.iter().take_while(|(last, _)| *last <= to).collect();
        if !self.makes_suspicion(silent.len(), sensed.len()) {
            let judged_us = last_us.saturating_add(span_us / 4);
            if let Some(row) = self.watches.change(key) {
                row.judged_us = judged_us;
            }
            return false;
        }
        let of = sensed.len();
        let until_us = silent.last().map_or(last_us, |(last, _)| *last);
        let silent: Vec<AssetId> = silent.into_iter().map(|(_, asset)| asset.clone()).collect();
        self.raise_suspicion(key, silent, of, until_us, cause, out);
        true
    }

    /// Those of a group, ghosts aside, that were last sensed from `from` on, in order of it. This looks at
    /// every asset of the group: it is asked for once in a quarter of a span at most, see `judged_us`.
    fn sensed_from(&self, key: &str, from: i64, due: &[(i64, AssetId)]) -> Vec<(i64, AssetId)> {
        let watched = self.watches.group(key).into_iter().flat_map(|group| group.watched());
        let members = watched.chain(due.iter().map(|(_, asset)| asset));
        let mut sensed: Vec<(i64, AssetId)> = members
            .filter_map(|asset| {
                let row = self.assets.get(asset).filter(|row| row.current.ghost_since.is_none())?;
                let last_us = row.memory.watched.as_ref()?.last_us;
                (last_us >= from).then(|| (last_us, asset.clone()))
            })
            .collect();
        sensed.sort_unstable();
        sensed.dedup();
        sensed
    }

    fn makes_suspicion(&self, silent: usize, of: usize) -> bool {
        let rules = &self.topology.alerts;
        silent >= rules.watcher_suspect_assets.max(1)
            && silent as f64 >= rules.watcher_suspect_share * of as f64
    }

    fn raise_suspicion(
        &mut self,
        key: &str,
        silent: Vec<AssetId>,
        of: usize,
        until_us: i64,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let count = silent.len();
        let for_us = micros(self.topology.alerts.watcher_suspect_for);
        let ends_us = Some(self.watches.position(key, cause.observed_at).saturating_add(for_us));
        self.watches.suspect(key, Suspicion { of, until_us, ends_us, ..Suspicion::default() });
        silent.iter().for_each(|asset| self.hold(asset));
        let read_points = self.watches.group(key).map(|g| g.read_points().to_vec()).unwrap_or_default();
        let details = Details {
            site: read_points.first().and_then(|read_point| self.site_of_read_point(read_point)),
            severity: Severity::Warning,
            summary: format!(
                "{count} of {of} assets at {key} fell silent together while it still hears something: check \
                 its antenna and cable, then look whether they are still there"
            ),
            pending: std::time::Duration::ZERO,
            episode: 0,
        };
        self.raise(&AlertKey::new(Rule::WatcherSuspect, key), details, cause, out);
    }

    pub(super) fn hold(&mut self, asset: &AssetId) {
        let row = self.assets.change(asset);
        let Some(watched) = &mut row.memory.watched else { return };
        watched.held = true;
        let (last_us, group) = (watched.last_us, watched.group.clone());
        self.watches.strike(asset, watched);
        self.watches.enrol(asset, watched, Standing::Held);
        if let Some(row) = self.watches.change(&group)
            && let Some(suspect) = &mut row.suspect
        {
            suspect.until_us = suspect.until_us.max(last_us);
        }
    }

    pub(super) fn note_arrival(&mut self, asset: &AssetId, read_point: &ReadPointId) {
        let enough = self.topology.alerts.watcher_suspect_assets.max(1);
        for key in self.watches.groups_of(read_point) {
            if self.watches.group(&key).is_some_and(|group| group.suspect().is_some())
                && let Some(suspect) = self.watches.change(&key).and_then(|row| row.suspect.as_mut())
                && suspect.arrivals.len() < enough
            {
                suspect.arrivals.insert(asset.clone());
            }
        }
    }

    /// Ends a suspicion that no longer stands, and lets go of what it held.
    pub(super) fn review_suspicion(&mut self, key: &str, cause: &Cause, out: &mut Vec<Event>) {
        let Some(suspect) = self.watches.group(key).and_then(|group| group.suspect()) else { return };
        let arrived = suspect.arrivals.len() >= self.topology.alerts.watcher_suspect_assets.max(1);
        if !arrived && self.makes_suspicion(suspect.held.len(), suspect.of) {
            return;
        }
        let grace_us = self.watches.group(key).map_or(0, |group| group.span_us());
        self.end_suspicion(key, grace_us, cause, out);
    }

    /// A suspicion that has stood for long enough: what was held is told.
    pub(super) fn end_old_suspicion(&mut self, key: &str, cause: &Cause, out: &mut Vec<Event>) {
        let ends_us = self.watches.group(key).and_then(|group| group.suspect()?.ends_us);
        if ends_us.is_some_and(|ends_us| ends_us <= self.watches.position(key, cause.observed_at)) {
            self.end_suspicion(key, 0, cause, out);
        }
    }

    /// Lets go of what a suspicion held; they are due `grace_us` later, and no sooner than without it.
    fn end_suspicion(&mut self, key: &str, grace_us: i64, cause: &Cause, out: &mut Vec<Event>) {
        let due_us = self.watches.position(key, cause.observed_at.max(self.now)).saturating_add(grace_us);
        let Some(row) = self.watches.change(key) else { return };
        let Some(suspect) = row.suspect.take() else { return };
        row.judged_us = row.judged_us.max(suspect.until_us);
        for asset in suspect.held {
            let row = self.assets.change(&asset);
            let Some(watched) = &mut row.memory.watched else { continue };
            watched.held = false;
            // Held with the others, it may have fallen silent with them long before it would be missed.
            watched.due_us = watched.due_us.max(due_us);
            self.watches.enrol(&asset, watched, Standing::Due);
        }
        self.alerts.condition(&AlertKey::new(Rule::WatcherSuspect, key), None, cause, out);
    }

    /// Suspicions whose group is no more.
    pub(super) fn end_orphaned_suspicions(&mut self, cause: &Cause, out: &mut Vec<Event>) {
        for alert in self.alerts.open_of(Rule::WatcherSuspect) {
            if self.watches.group(&alert.subject).is_none_or(|group| group.suspect().is_none()) {
                self.alerts.condition(&alert, None, cause, out);
            }
        }
    }
}
