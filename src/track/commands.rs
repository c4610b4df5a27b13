//! Commands: checked first, carried out whole, journaled with who gave them.
//!
//! An import is journaled as one `command` event for each [`CHUNK`] records (then checkouts), in the
//! command's own shape: a million rows must not make one event of 300 MB. All of them are in the same
//! commit, so the import is still one act.

use std::collections::BTreeSet;

use super::Tracker;
use super::cause::Cause;
use super::import::{Staged, conflict, invalid, owned};
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::commands::{Command, Outcome, Refused};
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::AssetId;
use crate::domain::register::{Checkout, Record};
use crate::domain::time::Timestamp;

/// Records, or checkouts, in one journaled event of an import.
const CHUNK: usize = 500;

impl Tracker {
    /// Carries out a command. Refused: nothing changed, and nothing is out.
    pub fn command(
        &mut self,
        by: &str,
        command: Command,
        now: Timestamp,
        out: &mut Vec<Event>,
    ) -> Result<Outcome, Refused> {
        let outcome = self.check(&command, now)?;
        self.advance(now, out);
        let cause = Cause::own(now, now);
        for event in journaled(&command) {
            self.journal_command(by, event, &cause, out);
        }
        self.carry_out(by, command, &cause, out);
        self.settle(&cause, out);
        Ok(outcome)
    }

    fn check(&self, command: &Command, now: Timestamp) -> Result<Outcome, Refused> {
        let updated = Outcome { updated: 1, ..Outcome::default() };
        match command {
            Command::Checkout { asset, holder, due_back, note } => {
                let checkout = Checkout {
                    asset: asset.clone(),
                    holder: holder.clone(),
                    checked_out_at: now,
                    due_back: *due_back,
                    note: note.clone(),
                };
                self.check_checkout(&checkout, now)?;
                Ok(updated)
            }
            Command::CheckIn { asset, .. } => {
                self.known(asset)?;
                match self.checkout_of(asset) {
                    Some(_) => Ok(updated),
                    None => Err(conflict(format!("`{asset}` is not checked out"))),
                }
            }
            Command::Acknowledge { alert, .. } => self.check_open(alert).map(|()| updated),
            Command::Snooze { alert, until } => {
                self.check_open(alert)?;
                let snoozed = self.alerts.open(alert).is_some_and(|open| open.snoozed_until.is_some());
                let changes = snoozed || *until > now;
                Ok(if changes { updated } else { Outcome { unchanged: 1, ..Outcome::default() } })
            }
            Command::Import { records, checkouts } => self.check_import(records, checkouts, now),
            Command::Remove { table, key } => {
                self.check_remove(table, key)?;
                Ok(Outcome { removed: 1, ..Outcome::default() })
            }
        }
    }

    fn check_open(&self, alert: &AlertKey) -> Result<(), Refused> {
        match self.alerts.open(alert) {
            Some(_) => Ok(()),
            None => Err(Refused::NotFound { what: "open alert".to_owned(), name: alert.to_string() }),
        }
    }

    fn check_import(
        &self,
        records: &[Record],
        checkouts: &[Checkout],
        now: Timestamp,
    ) -> Result<Outcome, Refused> {
        let staged = Staged::check(&self.register, records)?;
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

    fn check_retirements(&self, records: &[Record]) -> Result<(), Refused> {
        for record in records {
            let Record::Asset(asset) = record else { continue };
            if let Some(checkout) = self.checkout_of(&asset.id).filter(|_| asset.retired) {
                let holder = &checkout.holder;
                return Err(conflict(format!(
                    "asset `{}` is checked out to {holder}; check it in before it is retired",
                    asset.id
                )));
            }
        }
        Ok(())
    }

    fn check_remove(&self, table: &str, key: &str) -> Result<Record, Refused> {
        if (table == "zone" && self.register.owns_zone(key))
            || (table == "class" && self.register.owns_class(key))
        {
            return Err(at_record(owned(), table, key));
        }
        let record = self
            .register
            .get(table, key)
            .ok_or_else(|| Refused::NotFound { what: table.to_owned(), name: key.to_owned() })?;
        match self.user_of(&record) {
            Some(user) => Err(at_record(conflict(format!("{user} refers to it")), table, key)),
            None => Ok(record),
        }
    }

    /// What still refers to a record, in words.
    fn user_of(&self, record: &Record) -> Option<String> {
        match record {
            Record::Zone(zone) if self.topology.uses_zone(&zone.name) => Some("the configuration".to_owned()),
            Record::Zone(zone) => self.register.user_of_zone(&zone.name),
            Record::Class(class) => self.register.user_of_class(&class.name),
            Record::Asset(asset) => match self.register.attachments(&asset.id) {
                0 => self.checkout_of(&asset.id).map(|c| format!("a checkout to {}", c.holder)),
                count => Some(format!("{count} of its tags, trackers and sensors")),
            },
            Record::Tag(_) | Record::Tracker(_) | Record::Sensor(_) => None,
        }
    }

    fn journal_command(&mut self, by: &str, command: Command, cause: &Cause, out: &mut Vec<Event>) {
        self.commands += 1;
        self.commands_dirty = true;
        let subject = match &command {
            Command::Checkout { asset, .. } | Command::CheckIn { asset, .. } => Subject::Asset(asset.clone()),
            _ => Subject::Node,
        };
        let site = match &subject {
            Subject::Asset(asset) => self.register.home_site(asset).cloned(),
            _ => None,
        };
        let body = EventBody::Command { by: by.to_owned(), command };
        out.push(cause.event(site, subject, body, &[&self.commands.to_be_bytes()]));
    }

    fn carry_out(&mut self, by: &str, command: Command, cause: &Cause, out: &mut Vec<Event>) {
        match command {
            Command::Checkout { asset, holder, due_back, note } => {
                let checked_out_at = cause.received_at;
                self.check_out(Checkout { asset, holder, checked_out_at, due_back, note }, cause, out);
            }
            Command::CheckIn { asset, .. } => self.check_in(&asset, "command", cause, out),
            Command::Acknowledge { alert, note } => {
                self.alerts.acknowledge(&alert, by, note, cause, out);
            }
            Command::Snooze { alert, until } => {
                self.alerts.snooze(&alert, until, cause, out);
            }
            Command::Import { records, checkouts } => self.import(records, checkouts, cause, out),
            Command::Remove { table, key } => {
                if let Some(record) = self.register.get(&table, &key) {
                    self.remove(record, cause, out);
                }
            }
        }
    }

    fn import(
        &mut self,
        records: Vec<Record>,
        checkouts: Vec<Checkout>,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let mut touched: BTreeSet<AssetId> = BTreeSet::new();
        let mut everything = false;
        for record in records {
            if self.register.effect(&record).unchanged > 0 {
                continue;
            }
            match &record {
                Record::Zone(_) | Record::Class(_) => everything = true,
                Record::Asset(asset) => {
                    self.assets.announce(&asset.id);
                    touched.insert(asset.id.clone());
                }
                Record::Tag(_) | Record::Tracker(_) | Record::Sensor(_) => {}
            }
            self.register.put(record);
        }
        if everything {
            touched.extend(self.assets.ids());
        }
        for asset in touched {
            self.reconsider(&asset, cause, out);
            self.schedule_overdue(&asset, cause, out);
        }
        for checkout in checkouts {
            self.import_checkout(checkout, cause, out);
        }
    }

    fn remove(&mut self, record: Record, cause: &Cause, out: &mut Vec<Event>) {
        self.register.remove(&record);
        match record {
            Record::Asset(asset) => self.forget_asset(&asset.id, cause, out),
            Record::Tag(tag) if self.assets.get(&tag.asset).is_some() => {
                self.assets.change(&tag.asset).memory.present.retain(|p| p.epc != tag.epc);
            }
            _ => {}
        }
    }

    /// The register no longer has it: no clock, no deadline, no alert and no row of it stays.
    fn forget_asset(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        self.unwatch(asset, cause, out);
        for rule in [Rule::Ghost, Rule::OverdueReturn] {
            self.alerts.condition(&AlertKey::new(rule, asset.as_str()), None, cause, out);
        }
        self.overdue.forget(asset);
        self.assets.remove(asset);
    }

    pub(super) fn known(&self, asset: &AssetId) -> Result<(), Refused> {
        match self.register.asset(asset) {
            Some(_) => Ok(()),
            None => Err(Refused::NotFound { what: "asset".to_owned(), name: asset.to_string() }),
        }
    }
}

/// The command as it goes into the journal: an import in chunks, anything else as it is.
fn journaled(command: &Command) -> Vec<Command> {
    let Command::Import { records, checkouts } = command else { return vec![command.clone()] };
    let records =
        records.chunks(CHUNK).map(|chunk| Command::Import { records: chunk.to_vec(), checkouts: Vec::new() });
    let checkouts = checkouts
        .chunks(CHUNK)
        .map(|chunk| Command::Import { records: Vec::new(), checkouts: chunk.to_vec() });
    let chunks: Vec<Command> = records.chain(checkouts).collect();
    if chunks.is_empty() { vec![command.clone()] } else { chunks }
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

fn at_record(refused: Refused, table: &str, key: &str) -> Refused {
    match refused {
        Refused::Conflict { reason } => conflict(format!("{table} `{key}`: {reason}")),
        other => other,
    }
}
