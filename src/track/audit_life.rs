//! Audits open, end and are planned: by command, and by deadline.
//!
//! **Closing** draws the conclusions: what was expected and not found is a ghost, whatever covers its zone;
//! tags that are on nothing on the register are zombies. What was checked out or sensed outside the
//! audit's zones meanwhile is elsewhere, not missing. An audit that is cancelled, or that nobody closes in
//! time ([`OPEN_FOR`] unless said otherwise), says nothing of what it did not find.
//!
//! **Rolling plans**: a class with `audit_every` is counted by itself: when it is due, an audit of the class
//! opens at each site where any of it is expected, and somebody closes it. The rhythm counts from the
//! opening, and for a class that is new from when it came.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Tracker;
use super::alerts::Details;
use super::cause::Cause;
use super::import::{conflict, invalid};
use crate::domain::alerts::{AlertKey, Rule, Severity};
use crate::domain::audits::{
    Audit, AuditChange, AuditPlan, AuditState, Counted, Figures, Item, Scope, Standing,
};
use crate::domain::commands::Refused;
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::{AssetId, AuditId, ClassId, SiteId, ZoneId};
use crate::domain::state::Location;
use crate::domain::time::Timestamp;

/// An audit that nobody closes ends by itself after this.
pub(super) const OPEN_FOR: Duration = Duration::from_secs(7 * 86_400);
/// Audits that ended are kept as long as events are, unless told otherwise.
const KEPT_FOR: Duration = Duration::from_secs(400 * 86_400);
/// Each sighting looks at the open audits of its zone.
const OPEN_AT_ONCE: usize = 100;
const NAME_CHARS: usize = 100;

impl Tracker {
    pub(super) fn check_open_audit(
        &self,
        audit: &AuditId,
        scope: &Scope,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let name = audit.as_str();
        let plain = !name.contains(['/', '#']) && !name.chars().any(char::is_control);
        if name.is_empty() || name.chars().count() > NAME_CHARS || !plain {
            return Err(invalid("an audit is named in one line of at most 100 characters, without / and #"));
        }
        if self.audits.header(audit).is_some() {
            return Err(conflict(format!("there is an audit `{audit}` already")));
        }
        if self.audits.open_count() >= OPEN_AT_ONCE {
            return Err(conflict(format!("{OPEN_AT_ONCE} audits are open: close or cancel one first")));
        }
        if expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Err(invalid("it would expire at once: write a later time"));
        }
        let missing = |what: &str, name: &str| invalid(format!("there is no {what} `{name}`"));
        if let Some(zone) = scope.zones.iter().find(|zone| self.register.zone(zone).is_none()) {
            return Err(missing("zone", zone.as_str()));
        }
        if let Some(site) = scope.sites.iter().find(|site| self.register.site(site).is_none()) {
            return Err(missing("site", site.as_str()));
        }
        if let Some(class) = scope.classes.iter().find(|class| self.register.class(class).is_none()) {
            return Err(missing("class", class.as_str()));
        }
        if *scope == Scope::default() {
            return Err(invalid("it is not said what to count: write zones, sites or classes"));
        }
        if self.zones_of(scope).is_empty() {
            return Err(invalid("there is no zone in it"));
        }
        Ok(())
    }

    pub(super) fn check_audit_is_open(&self, audit: &AuditId) -> Result<(), Refused> {
        match self.audits.header(audit) {
            None => Err(Refused::NotFound { what: "audit".to_owned(), name: audit.to_string() }),
            Some(_) if !self.audits.is_open(audit) => Err(conflict(format!("audit `{audit}` is over"))),
            Some(_) => Ok(()),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one command, taken apart by its caller")]
    pub(super) fn open_audit(
        &mut self,
        by: &str,
        id: AuditId,
        scope: Scope,
        expires_at: Option<Timestamp>,
        note: Option<String>,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let zones = self.zones_of(&scope);
        let mut expected = BTreeSet::new();
        let mut figures = Figures::default();
        for (asset, place, checked_out) in self.placed(&scope.classes) {
            match zones.contains(place) {
                true if checked_out => figures.out_at_start += 1,
                true => drop(expected.insert(asset.clone())),
                false => {}
            }
        }
        let opened_at = cause.observed_at;
        let audit = Audit {
            id: id.clone(),
            scope,
            zones: zones.into_iter().collect(),
            state: AuditState::Open,
            opened_at,
            opened_by: by.to_owned(),
            expires_at: expires_at.unwrap_or(opened_at + OPEN_FOR),
            ended_at: None,
            ended_by: None,
            note,
            figures,
            parts: 0,
        };
        self.audits.open(audit, expected);
        self.tell_audit(&id, AuditChange::Opened, by, cause, out);
    }

    /// Ends an audit; draws the conclusions where it is closed.
    pub(super) fn end_audit(
        &mut self,
        by: &str,
        audit: &AuditId,
        state: AuditState,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let mut change = AuditChange::Cancelled;
        if state == AuditState::Closed {
            change = AuditChange::Closed;
            self.conclude(audit, cause, out);
        } else if state == AuditState::Expired {
            change = AuditChange::Expired;
        }
        let at = cause.observed_at;
        self.audits.end(audit, state, by, at, at + KEPT_FOR);
        self.tell_audit(audit, change, by, cause, out);
    }

    pub(super) fn restore_audit(&mut self, audit: Audit) {
        let rows_until = audit.ended_at.unwrap_or(audit.expires_at) + KEPT_FOR;
        self.audits.restore_header(audit, rows_until);
    }

    /// Lets the earliest audit expire, or go for good.
    pub(super) fn pass_audit(&mut self, until: Timestamp, now: Timestamp, out: &mut Vec<Event>) {
        let Some((at, audit)) = self.audits.deadlines.pop(until) else { return };
        match self.audits.is_open(&audit) {
            true => {
                self.end_audit("tallyman", &audit, AuditState::Expired, &Cause::own(at, now), out);
            }
            false => self.audits.forget(&audit),
        }
    }

    /// Counts the earliest class that is due.
    pub(super) fn pass_audit_plan(&mut self, until: Timestamp, now: Timestamp, out: &mut Vec<Event>) {
        let Some((at, class)) = self.audits.due.pop(until) else { return };
        let Some(plan) = self.audits.plans.get(&class).cloned() else { return };
        let every = Duration::from_secs(plan.every_s.max(1));
        let mut at_sites: BTreeMap<SiteId, BTreeSet<ZoneId>> = BTreeMap::new();
        for (_, place, checked_out) in self.placed(std::slice::from_ref(&class)) {
            if let Some(site) = self.register.site_of_zone(place).filter(|_| !checked_out) {
                at_sites.entry(site.clone()).or_default().insert(place.clone());
            }
        }
        let cause = Cause::own(at, now);
        for site in at_sites.into_keys() {
            let id = self.rolling_name(&class, &site, at);
            if self.audits.header(&id).is_some() || self.audits.open_count() >= OPEN_AT_ONCE {
                continue;
            }
            let scope = Scope { zones: Vec::new(), sites: vec![site], classes: vec![class.clone()] };
            let note = Some(format!("class {class} is due to be counted"));
            let expires_at = Some(now + every.min(OPEN_FOR));
            self.open_audit("tallyman", id, scope, expires_at, note, &cause, out);
        }
        // What fell due while nothing ran is counted once.
        let behind = now.since(at).as_secs() / plan.every_s.max(1);
        let next_at = at + every.saturating_mul(u32::try_from(behind).unwrap_or(u32::MAX).saturating_add(1));
        self.audits.plan(&class, Some(AuditPlan { since: at, next_at, ..plan }));
    }

    /// The classes or their intervals may have changed.
    pub(super) fn replan_audits(&mut self, now: Timestamp) {
        let wanted: BTreeMap<ClassId, u64> = self
            .register
            .classes()
            .filter_map(|class| Some((class.name.clone(), class.audit_every?.as_secs().max(1))))
            .collect();
        let held: Vec<ClassId> = self.audits.plans.keys().cloned().collect();
        held.iter().filter(|class| !wanted.contains_key(*class)).for_each(|class| {
            self.audits.plan(class, None);
        });
        for (class, every_s) in wanted {
            let held = self.audits.plans.get(&class);
            if held.is_some_and(|plan| plan.every_s == every_s) {
                continue;
            }
            let since = held.map_or(now, |plan| plan.since);
            let next_at = since + Duration::from_secs(every_s);
            self.audits.plan(&class, Some(AuditPlan { class: class.clone(), every_s, since, next_at }));
        }
    }

    fn rolling_name(&self, class: &ClassId, site: &SiteId, at: Timestamp) -> AuditId {
        let zone = self.register.site(site).map(|site| site.timezone.clone());
        let date = at.to_jiff().to_zoned(zone.unwrap_or(jiff::tz::TimeZone::UTC)).date();
        AuditId::new(format!("{class}-{site}-{date}").replace(['/', '#'], "-"))
    }

    pub(super) fn zones_of(&self, scope: &Scope) -> BTreeSet<ZoneId> {
        let everywhere = scope.zones.is_empty() && scope.sites.is_empty();
        let within = self.register.zones().filter(|zone| everywhere || scope.sites.contains(&zone.site));
        within.map(|zone| zone.name.clone()).chain(scope.zones.iter().cloned()).collect()
    }

    /// Every asset of these classes (of all, where none is named) that is expected somewhere, in no order:
    /// where that is, and whether it is checked out.
    fn placed<'a>(&'a self, classes: &'a [ClassId]) -> impl Iterator<Item = (&'a AssetId, &'a ZoneId, bool)> {
        let counted = move |class: &ClassId| classes.is_empty() || classes.contains(class);
        let assets = self.register.assets().filter(move |held| held.is_expected() && counted(&held.class));
        assets.filter_map(|held| {
            let current = self.assets.get(&held.id).map(|row| &row.current);
            if current.is_some_and(|current| current.checkout.is_some()) {
                return Some((&held.id, held.home_zone.as_ref()?, true));
            }
            let place = match current.map(|current| &current.location) {
                Some(Location::Zone(zone)) => zone,
                None | Some(Location::Unknown) => held.home_zone.as_ref()?,
                Some(Location::OutThrough(_) | Location::At(_) | Location::In(_)) => return None,
            };
            Some((&held.id, place, false))
        })
    }

    fn conclude(&mut self, audit: &AuditId, cause: &Cause, out: &mut Vec<Event>) {
        let Some(header) = self.audits.header(audit).cloned() else { return };
        let Some(count) = self.audits.count(audit) else { return };
        let (pending, unexpected, mut missing) = (count.pending(), count.unexpected(), count.missing());
        for asset in pending {
            let (standing, how) = self.conclusion(&asset, &header, cause);
            if standing == Standing::Missing {
                missing.push(asset.clone());
            }
            let what = Counted::Asset(asset);
            let item = Item { what, standing, at: cause.observed_at, zone: None, how };
            self.say_counted(audit, item, None, cause, out);
        }
        missing.sort_unstable();
        for asset in missing {
            if self.register.asset(&asset).is_some_and(|held| held.is_expected()) {
                self.confirm_missing(&asset, audit, cause, out);
            }
        }
        for item in unexpected {
            self.confirm_zombie(audit, &item, cause, out);
        }
    }

    /// What is to be said of an asset that was expected and not read.
    fn conclusion(&self, asset: &AssetId, audit: &Audit, cause: &Cause) -> (Standing, String) {
        let Some(held) = self.register.asset(asset) else {
            return (Standing::Elsewhere, "it came off the register meanwhile".to_owned());
        };
        if !held.is_expected() {
            return (Standing::Elsewhere, format!("it is {} since", held.lifecycle.as_str()));
        }
        let Some(current) = self.assets.get(asset).map(|row| &row.current) else {
            return (Standing::Missing, "never sensed".to_owned());
        };
        if let Some(checkout) = &current.checkout {
            return (Standing::Elsewhere, format!("checked out to {} meanwhile", checkout.holder));
        }
        let Some(last) = current.last_sensed.as_ref() else {
            return (Standing::Missing, "never sensed".to_owned());
        };
        if last.at <= audit.opened_at || last.at > cause.observed_at {
            let site = self.register.home_site(asset);
            return (Standing::Missing, format!("last sensed {}", self.register.local(site, last.at)));
        }
        match &current.location {
            Location::Zone(zone) if audit.zones.contains(zone) => {
                (Standing::Found, current.reason.to_string())
            }
            _ => (Standing::Elsewhere, format!("sensed elsewhere meanwhile: {}", current.reason)),
        }
    }

    /// A tag that is on nothing on the register lay where it was counted.
    fn confirm_zombie(&mut self, audit: &AuditId, item: &Item, cause: &Cause, out: &mut Vec<Event>) {
        let Counted::Tag(epc) = &item.what else { return };
        if !self.is_stranger(epc, self.now) {
            return;
        }
        let zone = item.zone.as_ref();
        let place = zone.map(|zone| format!(" in {zone}")).unwrap_or_default();
        let details = Details {
            site: zone.and_then(|zone| self.register.site_of_zone(zone)).cloned(),
            severity: Severity::Warning,
            summary: format!(
                "audit {audit} found a tag{place} that is on nothing on the register: {epc}; find what \
                 carries it, and put it on the register or take the tag off"
            ),
            pending: Duration::ZERO,
            episode: 0,
        };
        self.raise(&AlertKey::new(Rule::Zombie, epc.to_string()), details, cause, out);
    }

    fn tell_audit(
        &mut self,
        audit: &AuditId,
        change: AuditChange,
        by: &str,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let Some(header) = self.audits.header(audit).cloned() else { return };
        let site = header.zones.first().and_then(|zone| self.register.site_of_zone(zone)).cloned();
        let subject = Subject::Record("audit", audit.to_string());
        let body = EventBody::Audit { change, by: by.to_owned(), audit: Box::new(header) };
        out.push(cause.event(site, subject, body, &[&[change as u8]]));
    }
}
