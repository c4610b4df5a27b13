//! `repeat-offender`: a holder with whom too much goes wrong.
//!
//! The subject is the **holder**: what is to be done about it is to talk to somebody. Counted over the
//! window, in whole days (UTC), are their checkouts (what was handed over to them among them) and their
//! incidents: overdue returns (not those whose return may have gone unseen, or is told later to have been in time), exits of what was not ready, and
//! kits that left incomplete. Told from `incidents` incidents on, where they are at least `share` of the
//! checkouts; over when, with time or with checkouts that went well, they are not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Tracker;
use super::alerts::Details;
use super::cause::Cause;
use super::deadlines::Deadlines;
use crate::domain::alerts::{AlertKey, Rule, Severity};
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, SiteId};
use crate::domain::state::{StateKind, StateRow};
use crate::domain::time::Timestamp;

const DAY_US: i64 = 86_400_000_000;

/// The row of a holder in the journal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HolderRow {
    /// By day since the epoch; no more of them than the window has.
    days: BTreeMap<i64, Day>,
    /// Of the latest incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    site: Option<SiteId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Day {
    checkouts: u32,
    incidents: u32,
}

#[derive(Debug, Default)]
pub(super) struct Offenders {
    rows: BTreeMap<String, HolderRow>,
    /// When a holder's oldest day leaves the window.
    due: Deadlines<String>,
    dirty: BTreeSet<String>,
}

impl Offenders {
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.due.first()
    }

    pub fn restore(&mut self, holder: String, row: HolderRow, window: Duration) {
        self.due.set(holder.clone(), expiry(&row, window));
        self.rows.insert(holder, row);
    }

    pub fn holders_where(&self, is_such: impl Fn(&str) -> bool) -> Vec<String> {
        self.rows.keys().filter(|holder| is_such(holder)).cloned().collect()
    }

    pub fn take_dirty(&mut self, out: &mut Vec<StateRow>) {
        for holder in std::mem::take(&mut self.dirty) {
            out.push(match self.rows.get(&holder) {
                Some(row) => StateRow::put(StateKind::Holder, holder, row),
                None => StateRow::delete(StateKind::Holder, holder),
            });
        }
    }
}

fn day_of(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(DAY_US)
}

fn window_days(window: Duration) -> i64 {
    i64::try_from(window.as_secs() / 86_400).unwrap_or(i64::MAX).max(1)
}

/// When the oldest day is no longer in the window.
fn expiry(row: &HolderRow, window: Duration) -> Option<Timestamp> {
    let (oldest, _) = row.days.first_key_value()?;
    Some(Timestamp::from_micros(oldest.saturating_add(window_days(window)).saturating_mul(DAY_US)))
}

impl Tracker {
    pub(super) fn note_checkout(&mut self, holder: &str, at: Timestamp, cause: &Cause, out: &mut Vec<Event>) {
        self.count_for(holder, at, |day| day.checkouts = day.checkouts.saturating_add(1));
        self.judge_holder(holder, cause, out);
    }

    /// Something went wrong with an asset: its holder's incident, where it has one.
    pub(super) fn note_incident(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        let Some(holder) = self.checkout_of(asset).map(|checkout| checkout.holder.clone()) else { return };
        let site = self.register.home_site(asset).cloned();
        self.count_for(&holder, cause.observed_at, |day| day.incidents = day.incidents.saturating_add(1));
        if let Some(row) = self.offenders.rows.get_mut(&holder) {
            row.site = site;
        }
        self.judge_holder(&holder, cause, out);
    }

    /// What was counted as an incident of that time was none.
    pub(super) fn take_incident_back(
        &mut self,
        holder: &str,
        at: Timestamp,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        self.count_for(holder, at, |day| day.incidents = day.incidents.saturating_sub(1));
        self.judge_holder(holder, cause, out);
    }

    /// Lets the earliest day leave its window.
    pub(super) fn pass_day(&mut self, until: Timestamp, now: Timestamp, out: &mut Vec<Event>) {
        let Some((at, holder)) = self.offenders.due.pop(until) else { return };
        self.judge_holder(&holder, &Cause::own(at, now), out);
    }

    /// Everything that is held of somebody goes.
    pub(super) fn forget_holder(&mut self, holder: &str, cause: &Cause, out: &mut Vec<Event>) {
        if self.offenders.rows.remove(holder).is_some() {
            self.offenders.dirty.insert(holder.to_owned());
            self.offenders.due.set(holder.to_owned(), None);
            self.alerts.condition(&AlertKey::new(Rule::RepeatOffender, holder), None, cause, out);
        }
    }

    fn count_for(&mut self, holder: &str, at: Timestamp, count: impl FnOnce(&mut Day)) {
        let day = day_of(at.min(self.now));
        if day + window_days(self.topology.alerts.assets.repeat_offender.window) <= day_of(self.now) {
            return;
        }
        let row = self.offenders.rows.entry(holder.to_owned()).or_default();
        count(row.days.entry(day).or_default());
    }

    fn judge_holder(&mut self, holder: &str, cause: &Cause, out: &mut Vec<Event>) {
        let rules = self.topology.alerts.assets.repeat_offender.clone();
        let Some(row) = self.offenders.rows.get_mut(holder) else { return };
        let first = day_of(cause.received_at.max(cause.observed_at)) - window_days(rules.window) + 1;
        row.days = row.days.split_off(&first);
        self.offenders.dirty.insert(holder.to_owned());
        let sum = |of: fn(&Day) -> u32| row.days.values().map(|day| u64::from(of(day))).sum::<u64>();
        let (checkouts, incidents) = (sum(|day| day.checkouts), sum(|day| day.incidents));
        let offends =
            incidents >= u64::from(rules.incidents) && incidents as f64 >= rules.share * checkouts as f64;
        let (site, due) = (row.site.clone(), expiry(row, rules.window));
        let key = AlertKey::new(Rule::RepeatOffender, holder);
        if due.is_none() {
            self.offenders.rows.remove(holder);
        }
        self.offenders.due.set(holder.to_owned(), due);
        let details = offends.then(|| Details {
            summary: format!(
                "{incidents} things went wrong with {holder} in the last {} days, over {checkouts} checkouts: \
                 late returns, things that were not ready, incomplete kits; talk to them",
                window_days(rules.window)
            ),
            site,
            severity: Severity::Warning,
            pending: Duration::ZERO,
            episode: 0,
        });
        self.alerts.condition(&key, details, cause, out);
    }
}
