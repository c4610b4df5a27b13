//! Changes of the register: checked as a whole, carried out as a whole, each journaled with who made it,
//! what was there before and what is there now.

use std::collections::BTreeSet;

use super::Tracker;
use super::cause::Cause;
use super::import::{Staged, conflict, faults, invalid, refusal};
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::commands::{Outcome, Refused};
use crate::domain::epc::Epc;
use crate::domain::events::{Event, EventBody, RegisterChange, Subject};
use crate::domain::ids::{AssetId, DeviceId};
use crate::domain::register::{Asset, Attachment, Checkout, Record, TagAttachment};
use crate::domain::time::Timestamp;

impl Tracker {
    pub(super) fn check_import(
        &self,
        records: &[Record],
        checkouts: &[Checkout],
        now: Timestamp,
    ) -> Result<Outcome, Refused> {
        if let Some(refused) = refusal(&faults(&self.register, records), records) {
            return Err(refused);
        }
        let staged = Staged::new(&self.register, records);
        self.check_retirements(records)?;
        let mut outcome = Outcome::default();
        let mut add = |effect: Outcome| {
            outcome.created += effect.created;
            outcome.updated += effect.updated;
            outcome.unchanged += effect.unchanged;
        };
        records.iter().for_each(|record| add(self.register.effect(record)));
        let mut named = BTreeSet::new();
        for (index, checkout) in checkouts.iter().enumerate() {
            let place = |refused: Refused| at_checkout(refused, index, checkout);
            if !named.insert(&checkout.asset) {
                return Err(place(invalid("the import checks it out twice")));
            }
            let asset = staged.asset(&checkout.asset);
            add(self.check_imported_checkout(checkout, asset, now).map_err(place)?);
        }
        Ok(outcome)
    }

    pub(super) fn check_retirements(&self, records: &[Record]) -> Result<(), Refused> {
        for record in records {
            let Record::Asset(asset) = record else { continue };
            if let Some(checkout) = self.checkout_of(&asset.id).filter(|_| asset.is_retired()) {
                let holder = &checkout.holder;
                return Err(conflict(format!(
                    "asset `{}` is checked out to {holder}; check it in before it is retired",
                    asset.id
                )));
            }
        }
        Ok(())
    }

    pub(super) fn check_remove(&self, table: &str, key: &str) -> Result<Record, Refused> {
        let refused = |reason: &str| conflict(format!("{table} `{key}`: {reason}"));
        if self.register.is_own(table, key) {
            return Err(refused("the configuration file declares it; change it there"));
        }
        let record = self
            .register
            .get(table, key)
            .ok_or_else(|| Refused::NotFound { what: table.to_owned(), name: key.to_owned() })?;
        match self.user_of(&record) {
            Some(user) => Err(refused(&format!("{user} refers to it"))),
            None => Ok(record),
        }
    }

    /// What still refers to a record, in words.
    fn user_of(&self, record: &Record) -> Option<String> {
        match record {
            Record::Zone(zone) if self.topology.uses_zone(&zone.name) => Some("the configuration".to_owned()),
            Record::Asset(asset) => self
                .register
                .user_of(record)
                .or_else(|| self.checkout_of(&asset.id).map(|c| format!("a checkout to {}", c.holder))),
            other => self.register.user_of(other),
        }
    }

    /// A tag goes onto an asset that is there and in use; a tag that it replaces is on that asset.
    pub(super) fn check_commission(
        &self,
        epc: &Epc,
        asset: &AssetId,
        replaces: Option<&Epc>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        self.known(asset)?;
        if epc.bits() == 0 {
            return Err(invalid("an empty code names nothing: write the tag's EPC"));
        }
        if self.register.asset(asset).is_some_and(Asset::is_retired) {
            return Err(conflict(format!("`{asset}` is retired")));
        }
        if self.register.asset_of_tag(epc, now) == Some(asset) {
            return Err(conflict(format!("tag `{epc}` is on `{asset}` already")));
        }
        match replaces {
            Some(old) if old == epc => Err(invalid("a tag does not replace itself")),
            Some(old) if self.register.asset_of_tag(old, now) != Some(asset) => {
                Err(conflict(format!("tag `{old}` is not on `{asset}`")))
            }
            _ => Ok(()),
        }
    }

    /// The records that a commissioning makes: what the tags were on ends now, and the new begins.
    pub(super) fn commissioned(
        &self,
        epc: Epc,
        asset: &AssetId,
        replaces: Option<Epc>,
        now: Timestamp,
    ) -> Vec<Record> {
        let standing = |epc: &Epc| self.register.tags.all(epc).find(|tag| tag.holds_at(now));
        let ended = [Some(epc), replaces].into_iter().flatten().filter_map(|epc| standing(&epc));
        let ended = ended.map(|tag| Record::Tag(Attachment { to: Some(now), ..tag }));
        let begun = TagAttachment { from: Some(now), ..Attachment::on_asset(epc, asset.clone()) };
        ended.chain([Record::Tag(begun)]).collect()
    }

    pub(super) fn import(
        &mut self,
        by: &str,
        records: Vec<Record>,
        checkouts: Vec<Checkout>,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let mut touched: BTreeSet<AssetId> = BTreeSet::new();
        let mut everything = false;
        let mut planned = false;
        let mut limited = false;
        let mut devices: Vec<DeviceId> = Vec::new();
        for record in records {
            let (table, key) = (record.table(), record.key());
            let before = self.register.get(table, &key);
            if before.as_ref() == Some(&record) {
                continue;
            }
            match &record {
                Record::Site(_) | Record::Zone(_) | Record::Class(_) => everything = true,
                Record::Maintenance(_) => planned = true,
                Record::Asset(asset) => {
                    self.assets.announce(&asset.id);
                    touched.insert(asset.id.clone());
                    self.note_service(before.as_ref(), asset, cause);
                }
                Record::Tracker(tracker) => devices.push(tracker.key.clone()),
                _ => {}
            }
            limited |= matches!(record, Record::Class(_) | Record::Asset(_) | Record::Sensor(_));
            self.touch_kit(before.as_ref());
            self.register.put(record.clone());
            self.turns.plan(table, &key, Some(&record), cause.received_at);
            self.touch_carriers(&[before.as_ref(), Some(&record)]);
            match (&before, &record) {
                (Some(Record::Tag(before)), Record::Tag(_)) => self.end_presence(before, cause, out),
                (Some(Record::Tracker(before)), Record::Tracker(_)) => self.end_fences(before, cause, out),
                _ => {}
            }
            self.journal_change(by, before, Some(record), cause, out);
        }
        if limited {
            self.end_orphaned_conditions(cause, out);
        }
        if everything {
            self.refresh_timezones();
            touched.extend(self.assets.ids());
            self.review_readiness();
            devices = self.silence.devices();
        }
        if everything || planned {
            self.replan_maintenance(cause, out);
        }
        if everything {
            self.replan_audits(cause.received_at);
        }
        let stands_wrongly = touched.iter().any(|asset| match self.is_vehicle(asset) {
            true => !self.doors.stands(asset) && self.is_in_a_bay(asset),
            false => self.doors.stands(asset),
        });
        for asset in touched {
            self.reconsider(&asset, cause, out);
            self.schedule_overdue(&asset, cause, out);
        }
        if everything {
            self.begin_idle_clocks(cause, out);
        }
        if everything || stands_wrongly {
            self.review_doors(cause, out);
        }
        self.review_trackers(&devices, cause, out);
        if everything {
            self.await_trackers(cause.received_at);
        }
        self.review_strangers(cause, out);
        for checkout in checkouts {
            self.import_checkout(checkout, cause, out);
        }
    }

    pub(super) fn remove(&mut self, by: &str, record: Record, cause: &Cause, out: &mut Vec<Event>) {
        self.touch_kit(Some(&record));
        self.register.remove(&record);
        self.turns.plan(record.table(), &record.key(), None, cause.received_at);
        self.touch_carriers(&[Some(&record)]);
        match &record {
            Record::Asset(asset) => self.forget_asset(&asset.id, cause, out),
            Record::Tag(tag) => self.end_presence(tag, cause, out),
            Record::Site(_) => self.refresh_timezones(),
            Record::Maintenance(_) => self.replan_maintenance(cause, out),
            Record::Class(_) => self.replan_audits(cause.received_at),
            Record::Tracker(tracker) => {
                self.end_fences(tracker, cause, out);
                self.review_trackers(std::slice::from_ref(&tracker.key), cause, out);
            }
            Record::Person(person) => self.forget_holder(person.id.as_str(), cause, out),
            _ => {}
        }
        self.journal_change(by, Some(record), None, cause, out);
    }

    /// A tag that is no longer on its asset says nothing of where that asset is.
    pub(super) fn end_presence(&mut self, tag: &TagAttachment, cause: &Cause, out: &mut Vec<Event>) {
        let Some(asset) = tag.carrier.asset() else { return };
        if self.register.asset_of_tag(&tag.key, cause.received_at) == Some(asset) {
            return;
        }
        let present = self.assets.get(asset).map(|row| row.memory.present.as_slice()).unwrap_or_default();
        let heard = present.iter().filter(|present| present.epc == tag.key);
        for read_point in heard.map(|present| present.read_point.clone()).collect::<Vec<_>>() {
            self.departed(asset, tag.key, &read_point, cause, out);
        }
    }

    /// The register no longer has it: no clock, no deadline, no alert and no row of it stays.
    fn forget_asset(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        self.forget_vehicle(asset, cause, out);
        self.unwatch(asset, cause, out);
        for rule in Rule::ALL.into_iter().filter(|rule| rule.is_about_asset()) {
            self.alerts.condition(&AlertKey::new(rule, asset.as_str()), None, cause, out);
        }
        self.overdue.forget(asset);
        self.readiness.forget(asset);
        self.idle.forget(asset);
        self.forget_exit(asset);
        self.company.forget(asset);
        self.assets.remove(asset);
    }

    fn journal_change(
        &mut self,
        by: &str,
        before: Option<Record>,
        after: Option<Record>,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let Some(record) = after.as_ref().or(before.as_ref()) else { return };
        let (table, key) = (record.table(), record.key());
        let asset = record.asset().cloned();
        let site = asset.as_ref().and_then(|asset| self.register.home_site(asset)).cloned();
        let subject = asset.map_or_else(|| Subject::Record(table, key.clone()), Subject::Asset);
        let number = self.number_command();
        let change = RegisterChange { by: by.to_owned(), table: table.to_owned(), key, before, after };
        out.push(cause.event(site, subject, EventBody::Register(Box::new(change)), &[&number]));
    }
}

fn at_checkout(refused: Refused, index: usize, checkout: &Checkout) -> Refused {
    let named = |reason: String| format!("checkout {} (asset `{}`): {reason}", index + 1, checkout.asset);
    match refused {
        Refused::Invalid { reason } => invalid(named(reason)),
        Refused::Conflict { reason } => conflict(named(reason)),
        Refused::NotFound { what, name } => invalid(named(format!("there is no {what} `{name}`"))),
        other => other,
    }
}
