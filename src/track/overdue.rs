//! Overdue returns: a checkout past due back plus grace, on our clock, and not sensed back.
//!
//! It is held, not fired, while a return may lie unread at a source of the asset's home site: one that
//! replays what it held, or one that is down for less than it takes to be an alert. A source that stays
//! down is an alert of its own, holds nothing any longer, and is named in the overdue one. So it is while
//! nobody listens: a journal that is full or fails is an alert of its own too, and what sources held
//! meanwhile is read before anything is said to be overdue.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Tracker;
use super::cause::Cause;
use super::deadlines::Deadlines;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, SiteId};
use crate::domain::time::Timestamp;

/// Within that, what waited at the sources while nobody listened is read, or they are found to be down.
const DRAINED: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Overdue {
    deadlines: Deadlines<AssetId>,
    /// Past their deadline, which is the value, and not fired.
    held: BTreeMap<AssetId, Timestamp>,
    /// When what waited while nobody listened will have been read.
    drained_at: Option<Timestamp>,
}

impl Overdue {
    pub fn forget(&mut self, asset: &AssetId) {
        self.deadlines.set(asset.clone(), None);
        self.held.remove(asset);
    }

    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().into_iter().chain(self.drained_at).min()
    }

    /// Somebody listens again.
    pub fn listens_since(&mut self, at: Timestamp) {
        self.drained_at = Some(at + DRAINED);
    }
}

impl Tracker {
    /// Sets the deadline that follows from the checkout; ends an alert that no longer holds.
    pub(super) fn schedule_overdue(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        self.overdue.forget(asset);
        let key = AlertKey::new(Rule::OverdueReturn, asset.as_str());
        let deadline = self.overdue_at(asset);
        let open = self.alerts.open(&key).is_some();
        match deadline {
            // Whom to ask may be somebody else by now.
            Some(at) if open && at <= cause.received_at => drop(self.say_overdue(asset, cause, out)),
            deadline => {
                self.alerts.condition(&key, None, cause, out);
                self.overdue.deadlines.set(asset.clone(), deadline);
            }
        }
    }

    /// Lets the earliest due date pass.
    pub(super) fn pass_due_date(&mut self, until: Timestamp, now: Timestamp, out: &mut Vec<Event>) {
        if let Some(at) = self.overdue.drained_at.take_if(|at| *at <= until) {
            self.release_overdue(&Cause::own(at, now), out);
        }
        let Some((at, asset)) = self.overdue.deadlines.pop(until) else { return };
        match self.may_return_unread(self.register.home_site(&asset)) {
            true => drop(self.overdue.held.insert(asset, at)),
            false => self.fire_overdue(&asset, &Cause::own(at, now), out),
        }
    }

    /// A source came up, caught up, or is given up: fires what it no longer holds.
    pub(super) fn release_overdue(&mut self, cause: &Cause, out: &mut Vec<Event>) {
        if self.overdue.held.is_empty() {
            return;
        }
        let mut holding: BTreeMap<Option<SiteId>, bool> = BTreeMap::new();
        let mut free = Vec::new();
        for (asset, at) in &self.overdue.held {
            let site = self.register.home_site(asset);
            let held = *holding.entry(site.cloned()).or_insert_with(|| self.may_return_unread(site));
            if !held {
                free.push((*at, asset.clone()));
            }
        }
        free.sort_unstable();
        for (at, asset) in free {
            self.overdue.held.remove(&asset);
            self.fire_overdue(&asset, &Cause::own(at, cause.received_at), out);
        }
    }

    fn overdue_at(&self, asset: &AssetId) -> Option<Timestamp> {
        let due = self.checkout_of(asset)?.due_back?;
        let grace = self.register.class_of(asset).and_then(|class| class.overdue_grace).unwrap_or_default();
        Some(due + grace)
    }

    /// Whether a source of that site (of any, where the site is not known) may hold an unread return.
    pub(super) fn may_return_unread(&self, site: Option<&SiteId>) -> bool {
        let unread = self.deaf_since.is_some() || self.overdue.drained_at.is_some();
        self.links.iter().any(|link| {
            let there = site.is_none() || self.topology.site_of_source(&link.source) == site;
            let waited_for =
                || self.alerts.is_pending(&AlertKey::new(Rule::ReaderDown, link.source.as_str()));
            there && (unread || if link.up { !link.caught_up } else { waited_for() })
        })
    }

    fn fire_overdue(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        let new = self.alerts.open(&AlertKey::new(Rule::OverdueReturn, asset.as_str())).is_none();
        if self.say_overdue(asset, cause, out) && new {
            self.assets.change(asset).memory.late_at = Some(cause.observed_at);
            self.note_incident(asset, cause, out);
        }
    }

    /// Whether a return would have been seen.
    fn say_overdue(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) -> bool {
        let Some(checkout) = self.checkout_of(asset).cloned() else { return false };
        let Some(due) = checkout.due_back else { return false };
        let site = self.register.home_site(asset);
        let blind = self
            .links
            .iter()
            .find(|link| !link.up && (site.is_none() || self.topology.site_of_source(&link.source) == site));
        let blind = blind.map_or(String::new(), |link| {
            format!(" ({} is down: a return may have gone unseen)", link.source)
        });
        let seen = blind.is_empty();
        let blind = match self.work_in(site).filter(|_| blind.is_empty()) {
            Some(work) => format!(
                " (maintenance {} lasts until {}: a return may have gone unseen)",
                work.name,
                self.register.local(site, work.to)
            ),
            None => blind,
        };
        let summary = format!(
            "{} has not come back from {}: due {}{blind}; ask {} for it, or check it in if it is here",
            self.label(asset),
            checkout.holder,
            self.register.local(site, due),
            checkout.holder
        );
        self.raise_for_asset(Rule::OverdueReturn, asset, summary, cause, out);
        seen
    }
}
