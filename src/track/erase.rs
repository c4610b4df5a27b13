//! Erasing a person: everything of them that is held in memory gives way to the label, and is written anew.
//!
//! What the journal has besides (events, ended audits, dead letters) its writer rewrites, by the row that is
//! written here. The badge itself may still be about: from now on it is a tag that nobody knows.

use super::Tracker;
use super::cause::Cause;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::commands::{Outcome, Refused};
use crate::domain::epc::Epc;
use crate::domain::erasure::{Erase, Eraser, Erasure};
use crate::domain::events::{Event, EventBody, RegisterChange, Subject};
use crate::domain::ids::AssetId;
use crate::domain::register::{Carrier, Plan, Record, TagAttachment};
use crate::domain::state::{SensedBy, StateKind, StateRow};
use crate::domain::time::Timestamp;

impl Tracker {
    /// Whom it is about, in full: what the register has of them beside what was told.
    pub fn erasure_of(&self, erase: &Erase, now: Timestamp) -> Erasure {
        let person = erase.person.to_string();
        let mut texts = vec![person.clone()];
        texts.extend(self.register.person(&person).and_then(|known| known.name.clone()));
        texts.extend(erase.also.iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()));
        texts.sort_unstable();
        texts.dedup();
        let mut badges: Vec<Epc> = self.badges_of(&person).into_iter().map(|tag| tag.key).collect();
        badges.extend(&erase.badges);
        badges.sort_unstable();
        badges.dedup();
        let theirs = Carrier::Person(erase.person.clone());
        // A tag that somebody or something else had too is not theirs alone.
        badges.retain(|epc| self.register.tags.all(epc).all(|tag| tag.carrier == theirs));
        Erasure::new(erase.label.clone(), person, texts, badges, now)
    }

    fn badges_of(&self, person: &str) -> Vec<TagAttachment> {
        let theirs =
            |tag: &TagAttachment| matches!(&tag.carrier, Carrier::Person(id) if id.as_str() == person);
        let mut badges: Vec<_> = self.register.tags.iter().filter(theirs).collect();
        badges.sort_unstable_by_key(|tag| (tag.key, tag.from));
        badges
    }

    pub(super) fn check_erase(&self, erase: &Erase, now: Timestamp) -> Result<Outcome, Refused> {
        let person = erase.person.as_str();
        let removed = u64::from(self.register.person(person).is_some()) + self.badges_of(person).len() as u64;
        let eraser = Eraser::new(&self.erasure_of(erase, now));
        let holds = |row: &super::AssetRow| {
            row.current.checkout.as_ref().is_some_and(|checkout| eraser.is_name(&checkout.holder))
        };
        let told = !erase.also.is_empty() || !erase.badges.is_empty();
        if removed == 0 && !told && self.assets.ids_where(|_, row| holds(row)).is_empty() {
            return Err(Refused::NotFound { what: "person".to_owned(), name: person.to_owned() });
        }
        Ok(Outcome { removed, ..Outcome::default() })
    }

    /// What of it belongs to the owner of the register.
    pub(super) fn plan_erase(&self, erase: &Erase, now: Timestamp) -> Result<Plan, Refused> {
        let outcome = self.check_erase(erase, now)?;
        let erasure = self.erasure_of(erase, now);
        let badges = self.badges_of(&erasure.person);
        let mut removals: Vec<(String, String)> =
            badges.iter().map(|tag| ("tag".to_owned(), tag.record_key())).collect();
        if self.register.person(&erasure.person).is_some() {
            removals.push(("person".to_owned(), erasure.person.clone()));
        }
        let puts = self.records_without(&Eraser::new(&erasure));
        let erase = Erase { also: erasure.texts, badges: erasure.badges, ..erase.clone() };
        Ok(Plan { puts, removals, outcome, erase: Some(erase), ..Plan::default() })
    }

    /// Other records that name them, as they are without.
    fn records_without(&self, eraser: &Eraser) -> Vec<Record> {
        let texts = |asset: &crate::domain::register::Asset| {
            let details = asset.details.as_deref();
            let owner = details.and_then(|details| details.owner.clone());
            asset
                .name
                .iter()
                .chain(&owner)
                .chain(asset.attributes.values())
                .any(|text| eraser.text(text).is_some())
        };
        let mut assets: Vec<_> = self.register.assets().filter(|asset| texts(asset)).collect();
        assets.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        let assets = assets.into_iter().cloned().map(Record::Asset);
        let planned = self.register.maintenances().cloned().map(Record::Maintenance);
        assets.chain(planned).filter_map(|record| eraser.value(&record)).collect()
    }

    pub(super) fn erase(&mut self, by: &str, erase: &Erase, cause: &Cause, out: &mut Vec<Event>) {
        let erasure = self.erasure_of(erase, cause.received_at);
        let eraser = Eraser::new(&erasure);
        for name in &erasure.texts {
            self.forget_holder(name, cause, out);
        }
        for epc in &erasure.badges {
            self.alerts.condition(&AlertKey::new(Rule::Zombie, epc.to_string()), None, cause, out);
        }
        self.erase_records(by, &erasure, &eraser, cause, out);
        self.erase_assets(&eraser);
        self.alerts.erase(&eraser);
        self.audits.erase(&eraser);
        self.company.forget_person(&erasure.person);
        self.strangers.forget_tags(&erasure.badges);
        self.erasures.push(StateRow::put(StateKind::Erasure, erasure.label.as_str(), &erasure));
    }

    /// Their record and their badges go. What is journaled of it says that they went, and not who.
    fn erase_records(
        &mut self,
        by: &str,
        erasure: &Erasure,
        eraser: &Eraser,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let others = self.records_without(eraser);
        let badges = self.badges_of(&erasure.person).into_iter().map(Record::Tag);
        let person = self.register.person(&erasure.person).cloned().map(Record::Person);
        for record in badges.chain(person).collect::<Vec<_>>() {
            self.register.remove(&record);
            let before = eraser.value(&record);
            let key = before.as_ref().map(Record::key).unwrap_or_default();
            let number = self.number_command();
            let (by, table) = (by.to_owned(), record.table().to_owned());
            let change = RegisterChange { by, table, key: key.clone(), before, after: None };
            let subject = Subject::Record(record.table(), key);
            out.push(cause.event(None, subject, EventBody::Register(Box::new(change)), &[&number]));
        }
        if !others.is_empty() {
            self.import(by, others, Vec::new(), cause, out);
        }
    }

    fn erase_assets(&mut self, eraser: &Eraser) {
        let named = |_: &AssetId, row: &super::AssetRow| {
            let current = &row.current;
            let by_hand = |by: &SensedBy| matches!(by, SensedBy::Hand(_));
            let said = current.checkout.is_some()
                || current.proposal.is_some()
                || !current.holds.is_empty()
                || !current.not_ready.is_empty()
                || current.last_sensed.as_ref().is_some_and(|sensed| by_hand(&sensed.by))
                || row.memory.left.is_some();
            let present = row.memory.present.iter().any(|present| eraser.is_badge(&present.epc.epc()));
            said || present || eraser.text(&current.reason).is_some()
        };
        for asset in self.assets.ids_where(named) {
            let Some(erased) = self.assets.get(&asset).and_then(|row| eraser.value(row)) else { continue };
            let row = self.assets.change(&asset);
            // Its place in the queue of its watch is not part of what is written.
            let queued = row.memory.watched.as_ref().and_then(|watched| watched.queued_us);
            *row = erased;
            if let Some(watched) = &mut row.memory.watched {
                watched.queued_us = queued;
            }
        }
    }
}
