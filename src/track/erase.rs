//! Erasing a person: everything of them that is held in memory gives way to the label, and is written anew.
//!
//! What the journal has besides (events, ended audits, dead letters) its writer rewrites, by the row that is
//! written here. The badge itself may still be about: from now on it is a tag that nobody knows.

use super::cause::Cause;
use super::import::invalid;
use super::{AssetRow, Tracker};
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::commands::{Command, Outcome, Refused};
use crate::domain::erasure::{Erase, Eraser, Erasure};
use crate::domain::events::{Event, EventBody, RegisterChange, Subject};
use crate::domain::ids::AssetId;
use crate::domain::register::{Asset, Carrier, Plan, Record, TagAttachment};
use crate::domain::state::{SensedBy, StateKind, StateRow};
use crate::domain::time::Timestamp;

/// Their record and their badges, and what is left to say of each.
type Theirs = Vec<(Record, Option<Record>)>;

impl Tracker {
    /// A command as it is carried out: of an erasure, with everything that the register has of whom it is about.
    pub(super) fn completed(&self, command: Command) -> Command {
        match command {
            Command::ErasePerson(erase) => Command::ErasePerson(self.whole_erase(erase)),
            command => command,
        }
    }

    pub(super) fn whole_erase(&self, mut erase: Erase) -> Erase {
        let person = erase.person.as_str();
        erase.also.extend(self.register.person(person).and_then(|known| known.name.clone()));
        erase.badges.extend(self.badges_of(person).into_iter().map(|tag| tag.key));
        erase.badges.sort_unstable();
        erase.badges.dedup();
        let theirs = Carrier::Person(erase.person.clone());
        // A tag that somebody or something else had too is not theirs alone.
        erase.badges.retain(|epc| self.register.tags.all(epc).all(|tag| tag.carrier == theirs));
        erase
    }

    /// The erasure that was carried out last, until its row is taken.
    pub fn erasure(&self) -> Option<&Erasure> {
        self.erasures.last()
    }

    pub(super) fn take_erasures(&mut self, out: &mut Vec<StateRow>) {
        let rows = self.erasures.drain(..);
        out.extend(rows.map(|erasure| StateRow::put(StateKind::Erasure, erasure.label.as_str(), &erasure)));
    }

    fn badges_of(&self, person: &str) -> Vec<TagAttachment> {
        let theirs =
            |tag: &TagAttachment| matches!(&tag.carrier, Carrier::Person(id) if id.as_str() == person);
        let mut badges: Vec<_> = self.register.tags.iter().filter(theirs).collect();
        badges.sort_unstable_by_key(|tag| (tag.key, tag.from));
        badges
    }

    /// `erase`: in whole.
    pub(super) fn check_erase(&self, erase: &Erase, now: Timestamp) -> Result<Outcome, Refused> {
        if erase.label.is_empty() {
            // Whoever hands commands over makes it up: nothing random happens here.
            return Err(invalid("an erasure without a label in whose place it is done".to_owned()));
        }
        let person = erase.person.as_str();
        let removed = u64::from(self.register.person(person).is_some()) + self.badges_of(person).len() as u64;
        let eraser = Eraser::new(&erase.erasure(now));
        let holds = |row: &AssetRow| {
            row.current.checkout.as_ref().is_some_and(|checkout| eraser.is_name(&checkout.holder))
        };
        let told = !erase.also.is_empty() || !erase.badges.is_empty();
        if removed == 0 && !told && self.assets.ids_where(|_, row| holds(row)).is_empty() {
            return Err(Refused::NotFound { what: "person".to_owned(), name: person.to_owned() });
        }
        self.try_without(person, &eraser).map_err(cannot)?;
        Ok(Outcome { removed, ..Outcome::default() })
    }

    /// What of it belongs to the owner of the register.
    pub(super) fn plan_erase(&self, erase: &Erase, now: Timestamp) -> Result<Plan, Refused> {
        let erase = self.whole_erase(erase.clone());
        let outcome = self.check_erase(&erase, now)?;
        let person = erase.person.as_str();
        let badges = self.badges_of(person);
        let mut removals: Vec<(String, String)> =
            badges.iter().map(|tag| ("tag".to_owned(), tag.record_key())).collect();
        if self.register.person(person).is_some() {
            removals.push(("person".to_owned(), person.to_owned()));
        }
        let puts = self.records_without(&Eraser::new(&erase.erasure(now))).map_err(cannot)?;
        Ok(Plan { puts, removals, outcome, erase: Some(erase), ..Plan::default() })
    }

    /// Everything that is about to be written without them, once, so that nothing is done by halves.
    fn try_without(&self, person: &str, eraser: &Eraser) -> Result<(), serde_json::Error> {
        self.theirs(person, eraser)?;
        self.records_without(eraser)?;
        self.assets_without(eraser)?;
        self.alerts.without(eraser)?;
        self.audits.without(eraser)?;
        Ok(())
    }

    fn theirs(&self, person: &str, eraser: &Eraser) -> Result<Theirs, serde_json::Error> {
        let badges = self.badges_of(person).into_iter().map(Record::Tag);
        let record = self.register.person(person).cloned().map(Record::Person);
        badges.chain(record).map(|record| Ok((record.clone(), eraser.value(&record)?))).collect()
    }

    /// Other records that name them, as they are without.
    fn records_without(&self, eraser: &Eraser) -> Result<Vec<Record>, serde_json::Error> {
        let named = |asset: &&Asset| {
            let owner = asset.details.iter().filter_map(|details| details.owner.as_ref());
            asset
                .name
                .iter()
                .chain(owner)
                .chain(asset.attributes.values())
                .any(|text| eraser.is_named_in(text))
        };
        let mut assets: Vec<_> = self.register.assets().filter(named).collect();
        assets.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        let assets = assets.into_iter().cloned().map(Record::Asset);
        let planned = self.register.maintenances().cloned().map(Record::Maintenance);
        assets.chain(planned).filter_map(|record| eraser.value(&record).transpose()).collect()
    }

    fn assets_without(&self, eraser: &Eraser) -> Result<Vec<(AssetId, AssetRow)>, serde_json::Error> {
        let named = |_: &AssetId, row: &AssetRow| {
            let current = &row.current;
            let by_hand = |by: &SensedBy| matches!(by, SensedBy::Hand(_));
            let said = current.checkout.is_some()
                || current.proposal.is_some()
                || !current.holds.is_empty()
                || !current.not_ready.is_empty()
                || current.last_sensed.as_ref().is_some_and(|sensed| by_hand(&sensed.by))
                || row.memory.left.is_some();
            let present = row.memory.present.iter().any(|present| eraser.is_badge(&present.epc.epc()));
            said || present || eraser.is_named_in(&current.reason)
        };
        let rows = self.assets.ids_where(named).into_iter();
        let rows = rows.filter_map(|asset| {
            let row = self.assets.get(&asset)?;
            eraser.value(row).transpose().map(|erased| Ok((asset, erased?)))
        });
        rows.collect()
    }

    pub(super) fn erase(&mut self, by: &str, erase: &Erase, cause: &Cause, out: &mut Vec<Event>) {
        let erasure = erase.erasure(cause.received_at);
        let eraser = Eraser::new(&erasure);
        self.end_alerts_about(&eraser, cause, out);
        // Each of these was tried when the command was checked.
        if let (Ok(theirs), Ok(others)) =
            (self.theirs(&erasure.person, &eraser), self.records_without(&eraser))
        {
            self.erase_records(by, theirs, others, cause, out);
        }
        if let Ok(rows) = self.assets_without(&eraser) {
            self.restate_assets(rows);
        }
        if let Ok(incidents) = self.alerts.without(&eraser) {
            self.alerts.restate(incidents);
        }
        if let Ok(audits) = self.audits.without(&eraser) {
            self.audits.restate(audits);
        }
        self.company.forget_person(&erasure.person);
        self.strangers.forget_tags(&erasure.badges);
        self.erasures.push(erasure);
    }

    /// What fires about somebody ends under the name under which people were told of it: it has nobody any more whom
    /// it would be about. What they did is forgotten with it.
    fn end_alerts_about(&mut self, eraser: &Eraser, cause: &Cause, out: &mut Vec<Event>) {
        for holder in self.offenders.holders_where(|holder| eraser.is_named_in(holder)) {
            self.forget_holder(&holder, cause, out);
        }
        let about = |key: &AlertKey| eraser.is_named_in(&key.subject);
        for rule in [Rule::RepeatOffender, Rule::Zombie] {
            for key in self.alerts.open_of(rule).into_iter().filter(about) {
                self.alerts.end_for_good(&key, cause, out);
            }
        }
    }

    /// Their record and their badges go. What is journaled of it says that they went, and not who.
    fn erase_records(
        &mut self,
        by: &str,
        theirs: Theirs,
        others: Vec<Record>,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        for (record, before) in theirs {
            self.register.remove(&record);
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

    fn restate_assets(&mut self, rows: Vec<(AssetId, AssetRow)>) {
        for (asset, erased) in rows {
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

/// Nothing is done by halves: whoever asked has to know.
fn cannot(error: serde_json::Error) -> Refused {
    Refused::Conflict { reason: format!("something that names them cannot be written without them: {error}") }
}
