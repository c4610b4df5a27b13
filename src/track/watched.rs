//! Who is watched, and on which clock.
//!
//! **Who**: an asset of a class with `ghost_after`, not retired, not checked out (custody
//! explains its absence), whose current answer is a continuously covered zone where a read point of that
//! zone sensed it. What was never sensed, or went into a zone through a portal and was not heard there,
//! has no clock: audits decide.
//!
//! **On which**: that of what lately sensed it: read points and, of those with several antennas, the antennas. What
//! came back there unheard (through a door, by a check-in, to a hand) is on that of all that hear the zone.
//!
//! **For how long**: the class's interval; at least the *span* of its read points (refresh + lost-after,
//! within which a tag that stays is told of again) plus the longer of another span (then one knows who else
//! fell silent with it) and the hearing timeout (then one knows of an outage); and at least [`TIMES`] the gap
//! between reads that is usual for it, so that a few reads missed in a row make no ghost, which adds
//! [`PATIENCE`] at most.

use std::time::Duration;

use super::Tracker;
use super::assets::{AssetRow, Watched};
use super::cause::Cause;
use super::ghost::micros;
use super::watch::{Standing, group_key};
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, ReadPointId};
use crate::domain::state::Location;

/// Of a tag that every tenth read misses, so many reads are missed in a row once in a hundred million.
const TIMES: i64 = 8;
/// A ghost is told at most this much later for it.
const PATIENCE: Duration = Duration::from_secs(45 * 60);
/// What is usual follows what happens by this part of the difference.
const LEARNS: i64 = 8;

/// The clock that an asset should be on.
struct Wanted {
    read_points: Vec<ReadPointId>,
    least_us: i64,
    most_us: i64,
    refresh_us: i64,
    span_us: i64,
}

impl Wanted {
    /// The interval, where it is usually told of again after `usual_us`: once `refresh` has passed, with the
    /// next read.
    fn after_us(&self, usual_us: i64) -> i64 {
        let gap_us = usual_us.saturating_sub(self.refresh_us).max(0);
        let patient_us = self.refresh_us.saturating_add(gap_us.saturating_mul(TIMES));
        self.least_us.max(patient_us.min(self.most_us))
    }

    fn is(&self, watched: &Watched) -> bool {
        self.after_us(watched.usual_us) == watched.after_us && *group_key(&self.read_points) == *watched.group
    }
}

/// What is usual, after one more gap; 0: none was seen.
fn usual(usual_us: i64, gap_us: i64) -> i64 {
    match usual_us {
        _ if gap_us <= 0 => usual_us,
        0 => gap_us,
        _ => usual_us + (gap_us - usual_us) / LEARNS,
    }
}

impl Tracker {
    /// An asset was sensed: it is no ghost, and its silence begins anew. `arrived`: what heard it, a read
    /// point or the shares of its antennas.
    pub(super) fn sensed(
        &mut self,
        asset: &AssetId,
        arrived: &[ReadPointId],
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
                let before = self.assets.get(asset).and_then(|row| row.memory.watched.as_ref());
                let usual_us = before.map_or(0, |watched| {
                    let sensed_us = self.watches.position(&watched.group, cause.observed_at.min(self.now));
                    let gap_us = sensed_us.saturating_sub(watched.last_us);
                    usual(watched.usual_us, gap_us.min(watched.after_us.saturating_mul(2)))
                });
                let watched = before.filter(|watched| watched.group == key);
                let sensed_us = self.watches.position(&key, cause.observed_at.min(self.now));
                let last_us = watched.map_or(sensed_us, |watched| watched.last_us.max(sensed_us));
                let after_us = wanted.after_us(usual_us);
                let due_us = last_us.saturating_add(after_us);
                // Who is queued in the same group stays queued; everybody else joins anew.
                let stays = |watched: &&Watched| !watched.held && watched.queued_us.is_some();
                let queued_us = watched.filter(stays).and_then(|watched| watched.queued_us);
                let before = if queued_us.is_some() { None } else { self.strike(asset) };
                let held = false;
                let watched = Watched { group: key, last_us, after_us, due_us, usual_us, held, queued_us };
                self.enrol(asset, watched);
                before
            }
        };
        arrived.iter().for_each(|read_point| self.note_arrival(asset, read_point));
        self.left_group(before, cause, out);
        for read_point in arrived {
            let groups = self.watches.groups_of(read_point);
            groups.iter().for_each(|key| self.review_suspicion(key, cause, out));
        }
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
            let usual_us = before.as_ref().map_or(0, |watched| watched.usual_us);
            let after_us = wanted.after_us(usual_us);
            let due_us = last_us.saturating_add(after_us);
            let held = before.as_ref().is_some_and(|w| w.held && w.group == key);
            let queued_us = None;
            self.enrol(asset, Watched { group: key, last_us, after_us, due_us, usual_us, held, queued_us });
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
        let presumed = row
            .memory
            .presumed_at
            .into_iter()
            .flat_map(|at| self.topology.ears_of(zone).iter().map(move |ear| (ear, at)));
        let heard = row.memory.lately.iter().map(|lately| (&lately.read_point, lately.at));
        let points = heard.chain(presumed).filter_map(|(ear, at)| {
            let point = self.topology.presence(self.topology.whole(ear))?;
            (point.zone == *zone).then_some(((ear, at), point))
        });
        let span = points.clone().map(|(_, point)| point.span()).max()?;
        let proof = points.clone().map(|(_, point)| point.shortest_proof()).max()?;
        let refresh = points.clone().map(|(_, point)| point.refresh).max()?;
        let after = ghost_after.max(proof);
        let newest = points.clone().map(|((_, at), _)| at).max()?;
        let mut read_points: Vec<ReadPointId> = points
            .filter(|((_, at), _)| newest.since(*at) <= after)
            .map(|((ear, _), _)| ear.clone())
            .collect();
        read_points.sort_unstable();
        let (least_us, most_us) = (micros(after), micros(after.saturating_add(PATIENCE)));
        Some(Wanted { read_points, least_us, most_us, refresh_us: micros(refresh), span_us: micros(span) })
    }

    pub(super) fn strike(&mut self, asset: &AssetId) -> Option<Watched> {
        self.assets.get(asset)?.memory.watched.as_ref()?;
        let mut watched = self.assets.change(asset).memory.watched.take()?;
        self.watches.strike(asset, &mut watched);
        Some(watched)
    }

    pub(super) fn enrol(&mut self, asset: &AssetId, mut watched: Watched) {
        let row = self.assets.change(asset);
        let standing = standing(&watched, row.current.ghost_since.is_some());
        self.watches.enrol(asset, &mut watched, standing);
        row.memory.watched = Some(watched);
    }

    pub(super) fn left_group(&mut self, before: Option<Watched>, cause: &Cause, out: &mut Vec<Event>) {
        let Some(before) = before else { return };
        if before.held {
            self.review_suspicion(&before.group, cause, out);
        }
        self.watches.drop_if_empty(&before.group);
        self.review_antennas(&before.group, cause, out);
    }
}

fn standing(watched: &Watched, ghost: bool) -> Standing {
    match (ghost, watched.held) {
        (true, _) => Standing::Ghost,
        (false, true) => Standing::Held,
        (false, false) => Standing::Due,
    }
}
