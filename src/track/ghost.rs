//! Ghosts and suspect watchers: what a silence that fell due means.
//!
//! **Who is watched**: an asset of a class with `ghost_after`, not retired, not checked out (custody
//! explains its absence), whose current answer is a continuously covered zone where a read point of that
//! zone sensed it. What was never sensed, or went into a zone through a portal and was not heard there,
//! has no clock: audits decide. The interval is the class's, and at least the *span* of its read points
//! (refresh + lost-after, within which a tag that stays is told of again) plus the longer of another span
//! (then one knows who else fell silent with it) and the hearing timeout (then one knows of an outage).
//!
//! **Together**: when an asset falls due, those count with it whose last sensing lies within one span of
//! its own and who were silent since. Are they at least `watcher_suspect_assets`, and at least
//! `watcher_suspect_share` of all that were being sensed when the silence began, the watcher is suspect:
//! one alert (subject: the group's read points), and every ghost of the group that falls due is held. One
//! count serves all who fall due within a quarter of a span after it, so that many of them stay cheap.
//!
//! **Released**: the suspicion ends when so many of the silent are sensed again (or leave by command)
//! that the rest no longer makes one, or when `watcher_suspect_assets` different assets *arrived* at
//! these read points since (those it heard all along prove nothing). The rest gets one more span to be
//! heard, and then they are ghosts.

use super::Tracker;
use super::alerts::Details;
use super::assets::{AssetRow, Watched};
use super::cause::Cause;
use super::watch::{Standing, Suspicion, group_key};
use crate::domain::alerts::{AlertKey, Rule, Severity};
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, AuditId, ReadPointId};
use crate::domain::readiness::HoldKind;
use crate::domain::register::{Asset, Criticality, Lifecycle};
use crate::domain::state::Location;
use crate::domain::time::Timestamp;

/// Assets of one group that have their turn in one step.
const TURNS: usize = 8;

/// The clock that an asset should be on.
struct Wanted {
    read_points: Vec<ReadPointId>,
    after_us: i64,
    span_us: i64,
}

impl Wanted {
    fn is(&self, watched: &Watched) -> bool {
        self.after_us == watched.after_us && *group_key(&self.read_points) == *watched.group
    }
}

impl Tracker {
    /// An asset was sensed: it is no ghost, and its silence begins anew. `arrived`: at this read point.
    pub(super) fn sensed(
        &mut self,
        asset: &AssetId,
        arrived: Option<&ReadPointId>,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        // What a source held back may be older than what others told meanwhile: it ends no silence that
        // began after it, and makes none longer.
        let last = self.assets.get(asset).and_then(|row| row.current.last_sensed.as_ref());
        if last.is_none_or(|last| last.at <= cause.observed_at) {
            self.end_ghost(asset, cause, out);
        }
        let before = match self.wanted(asset) {
            None => self.strike(asset),
            Some(wanted) => {
                let key = self.watches.ensure(&wanted.read_points, wanted.span_us, self.now);
                let watched = self.assets.get(asset).and_then(|row| row.memory.watched.as_ref());
                let watched = watched.filter(|watched| watched.group == key);
                let sensed_us = self.watches.position(&key, cause.observed_at.min(self.now));
                let last_us = watched.map_or(sensed_us, |watched| watched.last_us.max(sensed_us));
                let due_us = last_us.saturating_add(wanted.after_us);
                let after_us = wanted.after_us;
                // Who is queued in the same group stays queued; everybody else joins anew.
                let stays = |watched: &&Watched| !watched.held && watched.queued_us.is_some();
                let queued_us = watched.filter(stays).and_then(|watched| watched.queued_us);
                let before = if queued_us.is_some() { None } else { self.strike(asset) };
                self.enrol(asset, Watched { group: key, last_us, after_us, due_us, held: false, queued_us });
                before
            }
        };
        if let Some(read_point) = arrived {
            self.note_arrival(asset, read_point);
        }
        self.left_group(before, cause, out);
        let groups = arrived.map(|read_point| self.watches.groups_of(read_point)).unwrap_or_default();
        groups.iter().for_each(|key| self.review_suspicion(key, cause, out));
    }

    /// Something other than a sensing changed: puts the asset on the clock it should be on, with the
    /// silence it already has, or takes it off. What else rests on who has it, and what it is, follows.
    pub(super) fn reconsider(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        self.reconsider_watch(asset, cause, out);
        self.review(asset, cause, out);
        self.review_idle(asset, cause, out);
    }

    fn reconsider_watch(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        let wanted = self.wanted(asset);
        let now = self.now;
        match (&wanted, self.assets.get(asset).and_then(|row| row.memory.watched.as_ref())) {
            // What an audit missed stays missing until it is sensed or accounted for.
            (None, _) if self.is_missed(asset) => {}
            (None, _) => self.end_ghost(asset, cause, out),
            (Some(wanted), Some(watched)) if wanted.is(watched) => {
                self.watches.ensure(&wanted.read_points, wanted.span_us, now);
                return;
            }
            (Some(_), _) => {}
        }
        let before = self.strike(asset);
        if let Some(wanted) = wanted {
            let key = self.watches.ensure(&wanted.read_points, wanted.span_us, now);
            let silent_us =
                before.as_ref().map_or(0, |w| self.watches.position(&w.group, now).saturating_sub(w.last_us));
            let last_us = self.watches.position(&key, now).saturating_sub(silent_us);
            let due_us = last_us.saturating_add(wanted.after_us);
            let held = before.as_ref().is_some_and(|w| w.held && w.group == key);
            let after_us = wanted.after_us;
            self.enrol(asset, Watched { group: key, last_us, after_us, due_us, held, queued_us: None });
        }
        self.left_group(before, cause, out);
    }

    /// Whether an asset is where [`Self::reconsider`] would put it.
    pub(super) fn is_on_its_clock(&self, asset: &AssetId, row: &AssetRow) -> bool {
        match (self.wanted(asset), &row.memory.watched) {
            (None, None) => row.current.ghost_since.is_none(),
            (Some(wanted), Some(watched)) => {
                let span = self.watches.group(&watched.group).map(|group| group.span_us());
                wanted.is(watched) && span == Some(wanted.span_us)
            }
            _ => false,
        }
    }

    /// Takes an asset off its clock for good.
    pub(super) fn unwatch(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        let before = self.strike(asset);
        self.left_group(before, cause, out);
    }

    /// Puts all restored assets back among the clocks.
    pub(super) fn restore_watches(&mut self) {
        for place in 0..self.assets.len() {
            let Some((asset, row)) = self.assets.at_mut(place) else { break };
            let Some(watched) = &mut row.memory.watched else { continue };
            let standing = standing(watched, row.current.ghost_since.is_some());
            self.watches.enrol(asset, watched, standing);
        }
    }

    /// The earliest group with assets whose turn it is: judges those whose silence is due, queues the
    /// others anew.
    pub(super) fn pass_silence(&mut self, until: Timestamp, now: Timestamp, out: &mut Vec<Event>) {
        let Some((at, key, turns)) = self.watches.pop_turns(until, TURNS) else { return };
        let cause = Cause::own(at, now);
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

    fn wanted(&self, asset: &AssetId) -> Option<Wanted> {
        let held = self.register.asset(asset).filter(|held| held.is_expected())?;
        let class = self.register.class(&held.class)?;
        let in_maintenance = self.is_in_maintenance(held);
        let ghost_after = class.ghost_after_in_maintenance.filter(|_| in_maintenance).or(class.ghost_after)?;
        let row = self.assets.get(asset)?;
        let Location::Zone(zone) = &row.current.location else { return None };
        if row.current.checkout.is_some() || !self.register.is_continuous(zone) {
            return None;
        }
        let points = row.memory.lately.iter().filter_map(|lately| {
            let point = self.topology.presence(&lately.read_point)?;
            (point.zone == *zone).then_some((lately, point))
        });
        let span = points.clone().map(|(_, point)| point.span()).max()?;
        let proof = points.clone().map(|(_, point)| point.shortest_proof()).max()?;
        let after = ghost_after.max(proof);
        let newest = points.clone().map(|(lately, _)| lately.at).max()?;
        let mut read_points: Vec<ReadPointId> = points
            .filter(|(lately, _)| newest.since(lately.at) <= after)
            .map(|(lately, _)| lately.read_point.clone())
            .collect();
        read_points.sort_unstable();
        Some(Wanted { read_points, after_us: micros(after), span_us: micros(span) })
    }

    fn strike(&mut self, asset: &AssetId) -> Option<Watched> {
        self.assets.get(asset)?.memory.watched.as_ref()?;
        let mut watched = self.assets.change(asset).memory.watched.take()?;
        self.watches.strike(asset, &mut watched);
        Some(watched)
    }

    fn enrol(&mut self, asset: &AssetId, mut watched: Watched) {
        let row = self.assets.change(asset);
        let standing = standing(&watched, row.current.ghost_since.is_some());
        self.watches.enrol(asset, &mut watched, standing);
        row.memory.watched = Some(watched);
    }

    fn left_group(&mut self, before: Option<Watched>, cause: &Cause, out: &mut Vec<Event>) {
        let Some(before) = before else { return };
        if before.held {
            self.review_suspicion(&before.group, cause, out);
        }
        self.watches.drop_if_empty(&before.group);
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
        row.memory.missing_in = Some(audit.clone());
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
    fn is_missed(&self, asset: &AssetId) -> bool {
        let expected = self.register.asset(asset).is_some_and(|held| held.is_expected());
        let row = self.assets.get(asset);
        expected && row.is_some_and(|row| row.memory.missing_in.is_some() && row.current.checkout.is_none())
    }

    fn end_ghost(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        if self.assets.get(asset).is_none_or(|row| row.current.ghost_since.is_none()) {
            return;
        }
        let row = self.assets.change(asset);
        row.current.ghost_since = None;
        row.memory.missing_in = None;
        self.alerts.condition(&AlertKey::new(Rule::Ghost, asset.as_str()), None, cause, out);
    }

    /// Whether a silence that fell due is the watcher's rather than the asset's; raises the suspicion.
    /// `due`: those who fell due with it, who are not queued any more.
    fn is_suspect(
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
        if let Some(row) = self.watches.change(key) {
            row.suspect = Some(Suspicion { of, until_us, ..Suspicion::default() });
        }
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

    fn hold(&mut self, asset: &AssetId) {
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

    fn note_arrival(&mut self, asset: &AssetId, read_point: &ReadPointId) {
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
    fn review_suspicion(&mut self, key: &str, cause: &Cause, out: &mut Vec<Event>) {
        let Some(suspect) = self.watches.group(key).and_then(|group| group.suspect()) else { return };
        let arrived = suspect.arrivals.len() >= self.topology.alerts.watcher_suspect_assets.max(1);
        if !arrived && self.makes_suspicion(suspect.held.len(), suspect.of) {
            return;
        }
        let now = self.now;
        let grace_us = self.watches.group(key).map_or(0, |group| group.span_us());
        let due_us = self.watches.position(key, now).saturating_add(grace_us);
        let Some(row) = self.watches.change(key) else { return };
        let Some(suspect) = row.suspect.take() else { return };
        row.judged_us = row.judged_us.max(suspect.until_us);
        for asset in suspect.held {
            let row = self.assets.change(&asset);
            let Some(watched) = &mut row.memory.watched else { continue };
            watched.held = false;
            watched.due_us = due_us;
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

    /// Raises an alert about an asset, with the severity of its criticality.
    pub(super) fn raise_for_asset(
        &mut self,
        rule: Rule,
        asset: &AssetId,
        summary: String,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        self.raise_for_asset_after(rule, asset, summary, std::time::Duration::ZERO, cause, out);
    }

    /// The same, to fire when it has lasted for `pending`.
    pub(super) fn raise_for_asset_after(
        &mut self,
        rule: Rule,
        asset: &AssetId,
        summary: String,
        pending: std::time::Duration,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        // A ghost is looked for where it was, an overdue return is asked for where it belongs.
        let site = match rule {
            Rule::Ghost | Rule::WrongZone => self.site_of_asset(asset),
            _ => self.register.home_site(asset).cloned().or_else(|| self.site_of_asset(asset)),
        };
        let severity = self.severity_for(asset);
        let details = Details { site, severity, summary, pending, episode: 0 };
        self.raise(&AlertKey::new(rule, asset.as_str()), details, cause, out);
    }

    /// In the workshop, says the register, or who put it there.
    pub(super) fn is_in_maintenance(&self, asset: &Asset) -> bool {
        let row = self.assets.get(&asset.id);
        let mut holds = row.into_iter().flat_map(|row| &row.current.holds);
        asset.lifecycle == Lifecycle::InMaintenance || holds.any(|hold| hold.kind == HoldKind::Maintenance)
    }

    /// How severe it is what befalls an asset.
    pub(super) fn severity_for(&self, asset: &AssetId) -> Severity {
        match self.register.class_of(asset).map(|class| class.criticality).unwrap_or_default() {
            Criticality::Low => Severity::Info,
            Criticality::Normal => Severity::Warning,
            Criticality::High => Severity::Critical,
        }
    }
}

fn standing(watched: &Watched, ghost: bool) -> Standing {
    match (ghost, watched.held) {
        (true, _) => Standing::Ghost,
        (false, true) => Standing::Held,
        (false, false) => Standing::Due,
    }
}

pub(super) fn micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Key of a suspicion's alert for a group of read points.
pub(super) fn suspicion_key(read_points: &[ReadPointId]) -> AlertKey {
    AlertKey::new(Rule::WatcherSuspect, group_key(read_points))
}
