//! What a reading, or a person, says to the open audits of a zone.
//!
//! Reads count that are not older than the opening of the audit, also when they come late; each thing
//! is told of once, whatever reads it again. A handheld's reads and counts by hand are sensings as well:
//! they place the asset, end its ghost, and bring it home; an older one than the last sensing changes
//! nothing but an audit.

use super::Tracker;
use super::cause::Cause;
use super::custody::Stays;
use super::import::invalid;
use super::vehicles::Answer;
use crate::domain::audits::{Counted, Item, Standing};
use crate::domain::commands::{HandCount, Outcome, Reads, Refused};
use crate::domain::epc::Epc;
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::{AssetId, AuditId, ReadPointId, ZoneId};
use crate::domain::state::{Location, SensedBy};
use crate::domain::time::Timestamp;

/// Codes in one request.
const MAX_READS: usize = 10_000;
/// A handheld's clock may be ahead of ours by this many seconds.
const AHEAD_S: u64 = 300;

impl Tracker {
    /// A tag was heard staying at a read point.
    pub(super) fn count_at(
        &mut self,
        epc: Epc,
        asset: Option<&AssetId>,
        read_point: &ReadPointId,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let Some(zone) = self.topology.presence(read_point).map(|point| point.zone.clone()) else { return };
        if self.audits.open_count() == 0 {
            return;
        }
        self.count_in(epc, asset, &zone, &format!("read at {read_point}"), None, cause, out);
    }

    /// A tag is in that zone: says so to its audits (to one of them, where it is meant for one). Whether any
    /// of them did not know.
    #[expect(clippy::too_many_arguments, reason = "one reading, taken apart by its callers")]
    pub(super) fn count_in(
        &mut self,
        epc: Epc,
        asset: Option<&AssetId>,
        zone: &ZoneId,
        how: &str,
        only: Option<&AuditId>,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) -> bool {
        let mut news = false;
        for audit in self.audits.open_in(zone) {
            if only.is_some_and(|only| *only != audit) {
                continue;
            }
            let Some((what, standing, why)) = self.judge(&audit, epc, asset, cause) else { continue };
            let how = if why.is_empty() { how.to_owned() } else { format!("{how}; {why}") };
            let at = cause.observed_at;
            let item = Item { what, standing, at, zone: Some(zone.clone()), how };
            news |= self.say_counted(&audit, item, Some(epc), cause, out);
        }
        news
    }

    /// What an audit makes of a tag in one of its zones; `None`: it is none of its business.
    fn judge(
        &self,
        audit: &AuditId,
        epc: Epc,
        asset: Option<&AssetId>,
        cause: &Cause,
    ) -> Option<(Counted, Standing, String)> {
        let (header, count) = (self.audits.header(audit)?, self.audits.count(audit)?);
        if cause.observed_at < header.opened_at {
            return None;
        }
        let classes = &header.scope.classes;
        let Some(asset) = asset else {
            let why = "on nothing on the register".to_owned();
            let strange = classes.is_empty() && self.is_stranger(&epc, cause.observed_at);
            return strange.then_some((Counted::Tag(epc), Standing::Unexpected, why));
        };
        let what = Counted::Asset(asset.clone());
        if count.expects(asset) {
            return Some((what, Standing::Found, String::new()));
        }
        let held = self.register.asset(asset)?;
        if count.item(&what).is_some() || !(classes.is_empty() || classes.contains(&held.class)) {
            return None;
        }
        let current = self.assets.get(asset).map(|row| &row.current);
        let why = match current.and_then(|current| current.checkout.as_ref()) {
            _ if !held.is_expected() => format!("it is {}", held.lifecycle.as_str()),
            Some(checkout) => format!("checked out to {}", checkout.holder),
            None => match &held.home_zone {
                Some(home) if header.zones.contains(home) => "it was elsewhere when this began".to_owned(),
                Some(home) => format!("it belongs in {home}"),
                None => "it belongs nowhere in particular".to_owned(),
            },
        };
        Some((what, Standing::Unexpected, why))
    }

    /// Says it to an audit, and tells of it where that is news.
    pub(super) fn say_counted(
        &mut self,
        audit: &AuditId,
        item: Item,
        epc: Option<Epc>,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) -> bool {
        if !self.audits.say(audit, item.clone()) {
            return false;
        }
        let Item { what, standing, zone, how, .. } = item;
        let site = match &zone {
            Some(zone) => self.register.site_of_zone(zone).cloned(),
            None => self.site_of_counted(&what),
        };
        let subject = match what {
            Counted::Asset(asset) => Subject::Asset(asset),
            Counted::Tag(epc) => Subject::Tag(epc),
        };
        // The same thing may be found, be missed, and be found again in one moment.
        let number = self.number_command();
        let body =
            EventBody::Counted { audit: Some(audit.clone()), standing: Some(standing), epc, zone, how };
        out.push(cause.event(site, subject, body, &[audit.as_str().as_bytes(), &number]));
        true
    }

    fn site_of_counted(&self, what: &Counted) -> Option<crate::domain::ids::SiteId> {
        match what {
            Counted::Asset(asset) => self.site_of_asset(asset),
            Counted::Tag(_) => None,
        }
    }

    pub(super) fn check_reads(&self, reads: &Reads, now: Timestamp) -> Result<Outcome, Refused> {
        self.check_zone(&reads.zone)?;
        if reads.epcs.len() > MAX_READS {
            return Err(invalid(format!("more than {MAX_READS} codes: send them in several requests")));
        }
        if reads.epcs.iter().any(|epc| epc.bits() == 0) {
            return Err(invalid("an empty code names nothing: write the tag's EPC"));
        }
        let at = reads.at.unwrap_or(now);
        if at > now + std::time::Duration::from_secs(AHEAD_S) {
            return Err(invalid(format!("read at {at}, which is in the future: set the handheld's clock")));
        }
        if let Some(audit) = &reads.audit {
            self.check_audit_is_open(audit)?;
            self.check_in_scope(audit, &reads.zone)?;
        }
        let known = reads.epcs.iter().filter(|epc| self.register.asset_of_tag(epc, at).is_some()).count();
        let (updated, unchanged) = (known as u64, (reads.epcs.len() - known) as u64);
        Ok(Outcome { updated, unchanged, ..Outcome::default() })
    }

    pub(super) fn take_reads(&mut self, by: &str, reads: Reads, cause: &Cause, out: &mut Vec<Event>) {
        let Reads { epcs, zone, at, audit, reader } = reads;
        let observed_at = at.unwrap_or(cause.received_at).min(cause.received_at);
        let cause = Cause { observed_at, ..cause.clone() };
        let reader = reader.unwrap_or_else(|| by.to_owned());
        for epc in epcs {
            let asset = self.register.asset_of_tag(&epc, observed_at).cloned();
            let how = format!("read by {reader}");
            let counted = self.count_in(epc, asset.as_ref(), &zone, &how, audit.as_ref(), &cause, out);
            let Some(asset) = asset else { continue };
            let newer = self.sensed_by_hand(&asset, &zone, &reader, &how, &cause, out);
            if newer && !counted {
                let site = self.register.site_of_zone(&zone).cloned();
                let parts: [&[u8]; 2] = [epc.bytes(), zone.as_str().as_bytes()];
                let (zone, epc) = (Some(zone.clone()), Some(epc));
                let body = EventBody::Counted { audit: None, standing: None, epc, zone, how };
                out.push(cause.event(site, Subject::Asset(asset), body, &parts));
            }
        }
    }

    pub(super) fn check_count(&self, count: &HandCount) -> Result<(), Refused> {
        self.check_audit_is_open(&count.audit)?;
        self.known(&count.asset)?;
        let expected = self.audits.count(&count.audit).is_some_and(|open| open.expects(&count.asset));
        if count.missing && !expected {
            return Err(invalid(format!("`{}` was not expected in `{}`", count.asset, count.audit)));
        }
        match &count.zone {
            Some(zone) => self.check_in_scope(&count.audit, zone),
            None if count.missing || self.only_zone(&count.audit).is_some() => Ok(()),
            None => Err(invalid(format!("`{}` counts several zones: say in which it is", count.audit))),
        }
    }

    pub(super) fn count_by_hand(&mut self, by: &str, told: HandCount, cause: &Cause, out: &mut Vec<Event>) {
        let HandCount { audit, asset, zone, missing } = told;
        let what = Counted::Asset(asset.clone());
        let how = format!("counted by {by}");
        if missing {
            let item = Item { what, standing: Standing::Missing, at: cause.observed_at, zone: None, how };
            self.say_counted(&audit, item, None, cause, out);
            return;
        }
        let Some(zone) = zone.or_else(|| self.only_zone(&audit)) else { return };
        let expected = self.audits.count(&audit).is_some_and(|open| open.expects(&asset));
        let standing = if expected { Standing::Found } else { Standing::Unexpected };
        let item = Item { what, standing, at: cause.observed_at, zone: Some(zone.clone()), how: how.clone() };
        self.say_counted(&audit, item, None, cause, out);
        self.sensed_by_hand(&asset, &zone, by, &how, cause, out);
    }

    /// Somebody held a reader to it, or saw it, in that zone. Whether that is newer than what was known.
    fn sensed_by_hand(
        &mut self,
        asset: &AssetId,
        zone: &ZoneId,
        by: &str,
        how: &str,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) -> bool {
        let at = cause.observed_at;
        let last = self.assets.get(asset).and_then(|row| row.current.last_sensed.as_ref());
        if last.is_some_and(|last| last.at >= at) {
            return false;
        }
        let row = self.assets.change(asset);
        row.sense(at, SensedBy::Hand(by.to_owned()));
        if row.may_place(at) {
            let location = Location::Zone(zone.clone());
            let was_known = row.current.location != Location::Unknown;
            let elsewhere = row.current.location != location;
            self.place(asset, Answer { location, at, reason: how.into(), confidence: None }, cause, out);
            self.lies_somewhere(asset, at);
            self.note_leaving(asset);
            self.heard_in(asset, zone, Stays::default(), how, cause, out);
            if elsewhere {
                self.relocated(asset, was_known, cause, out);
            }
        }
        self.sensed(asset, &[], cause, out);
        true
    }

    fn only_zone(&self, audit: &AuditId) -> Option<ZoneId> {
        let zones = &self.audits.header(audit)?.zones;
        zones.first().filter(|_| zones.len() == 1).cloned()
    }

    fn check_zone(&self, zone: &ZoneId) -> Result<(), Refused> {
        match self.register.zone(zone) {
            Some(_) => Ok(()),
            None => Err(invalid(format!("there is no zone `{zone}`"))),
        }
    }

    fn check_in_scope(&self, audit: &AuditId, zone: &ZoneId) -> Result<(), Refused> {
        match self.audits.header(audit) {
            Some(header) if !header.zones.contains(zone) => {
                Err(invalid(format!("audit `{audit}` does not count zone `{zone}`")))
            }
            _ => Ok(()),
        }
    }
}
