//! A register that a database owns: its changes are taken up as far as they fit, and what people ask of us
//! is checked before it is written there.
//!
//! Unlike an import, which is all or nothing, each change stands for itself: the owner has it already.

use super::Tracker;
use super::cause::Cause;
use super::import::faults;
use crate::domain::commands::{Command, Outcome, Refused};
use crate::domain::events::Event;
use crate::domain::register::{Change, Misfit, Plan, Record};
use crate::domain::time::Timestamp;

/// A record that is to come, and its change.
type Put = (Record, Change);

impl Tracker {
    /// Takes up what fits; gives back what does not. Attachments end before others begin, references come
    /// before what refers to them, and go after it.
    pub fn follow(&mut self, changes: Vec<Change>, now: Timestamp, out: &mut Vec<Event>) -> Vec<Misfit> {
        self.advance(now, out);
        let cause = Cause::own(now, now);
        let mut misfits = Vec::new();
        let mut unfit = |change: Change, reason: String| misfits.push(Misfit { change, reason, since: now });
        let (mut puts, mut gone) = (Vec::new(), Vec::new());
        for change in changes {
            match change.record.clone().map(serde_json::from_value::<Record>) {
                None => gone.push(change),
                Some(Ok(record)) if record.key() == change.key => puts.push((record, change)),
                Some(Ok(record)) => {
                    let reason = format!("its key is `{}` to us; write it in that form", record.key());
                    unfit(change, reason);
                }
                Some(Err(error)) => unfit(change, error.to_string()),
            }
        }
        gone.sort_by_key(|change| std::cmp::Reverse(place(&change.table)));
        let (hung, other): (Vec<Change>, Vec<Change>) =
            gone.into_iter().partition(|change| place(&change.table) >= place("tag"));
        for change in hung {
            self.follow_removal(change, &cause, out, &mut unfit);
        }
        for (record, change) in &puts {
            self.unhang(record, change, &cause, out);
        }
        self.follow_puts(puts, &cause, out, &mut unfit);
        for change in other {
            self.follow_removal(change, &cause, out, &mut unfit);
        }
        self.settle(&cause, out);
        misfits
    }

    fn follow_removal(
        &mut self,
        change: Change,
        cause: &Cause,
        out: &mut Vec<Event>,
        unfit: &mut impl FnMut(Change, String),
    ) {
        match self.check_remove(&change.table, &change.key) {
            Ok(record) => self.remove(&change.by, record, cause, out),
            // It never came to us, or went before.
            Err(Refused::NotFound { .. }) => {}
            Err(refused) => unfit(change, refused.to_string()),
        }
    }

    /// An attachment that went and came back may hang on something else now.
    fn unhang(&mut self, record: &Record, change: &Change, cause: &Cause, out: &mut Vec<Event>) {
        if !change.renewed || place(&change.table) < place("tag") || change.table == "maintenance" {
            return;
        }
        if let Some(held) = self.register.get(&change.table, &change.key).filter(|held| held != record) {
            self.remove(&change.by, held, cause, out);
        }
    }

    fn follow_puts(
        &mut self,
        puts: Vec<Put>,
        cause: &Cause,
        out: &mut Vec<Event>,
        unfit: &mut impl FnMut(Change, String),
    ) {
        let mut fitting = self.fitting(puts, unfit);
        fitting.sort_by_key(|(record, _)| place(record.table()));
        let mut rest = fitting.into_iter().peekable();
        while let Some((record, change)) = rest.next() {
            let by = change.by;
            let mut records = vec![record];
            while let Some((record, _)) = rest.next_if(|(_, next)| next.by == by) {
                records.push(record);
            }
            self.import(&by, records, Vec::new(), cause, out);
        }
    }

    /// Those that make sense together. What refers to one that does not fit does not fit either, so it
    /// takes as many rounds as references are long.
    fn fitting(&self, mut puts: Vec<Put>, unfit: &mut impl FnMut(Change, String)) -> Vec<Put> {
        loop {
            let records: Vec<Record> = puts.iter().map(|(record, _)| record.clone()).collect();
            let found = faults(&self.register, &records);
            let mut reasons: Vec<Option<String>> = vec![None; puts.len()];
            for fault in found {
                let reason = format!("{} `{}`: {}; {}", fault.field, fault.value, fault.wrong, fault.allowed);
                if let Some(place) = reasons.get_mut(fault.index) {
                    place.get_or_insert(reason);
                }
            }
            for (record, reason) in records.iter().zip(&mut reasons).filter(|(_, reason)| reason.is_none()) {
                let refused = self.check_retirements(std::slice::from_ref(record));
                *reason = refused.err().map(|refused| refused.to_string());
            }
            if reasons.iter().all(Option::is_none) {
                return puts;
            }
            let mut fitting = Vec::with_capacity(puts.len());
            for ((record, change), reason) in puts.into_iter().zip(reasons) {
                match reason {
                    Some(reason) => unfit(change, reason),
                    None => fitting.push((record, change)),
                }
            }
            puts = fitting;
        }
    }

    /// What a command would write to the owner of the register; `None` where it changes nothing there.
    ///
    /// # Errors
    /// It would be refused.
    pub fn plan_change(&self, command: &Command, now: Timestamp) -> Result<Option<Plan>, Refused> {
        let plan = match command {
            Command::Import { records, checkouts } if !records.is_empty() => {
                let outcome = self.check_import(records, checkouts, now)?;
                let new = |record: &&Record| self.register.effect(record).unchanged == 0;
                let puts = records.iter().filter(new).cloned().collect();
                Plan { puts, checkouts: checkouts.clone(), outcome, ..Plan::default() }
            }
            Command::Remove { table, key } => {
                self.check_remove(table, key)?;
                let outcome = Outcome { removed: 1, ..Default::default() };
                Plan { removals: vec![(table.clone(), key.clone())], outcome, ..Plan::default() }
            }
            Command::Commission { epc, asset, replaces } => {
                self.check_commission(epc, asset, replaces.as_ref(), now)?;
                let puts = self.commissioned(*epc, asset, *replaces, now);
                let outcome = Outcome { updated: 1, ..Default::default() };
                Plan { puts, outcome, ..Plan::default() }
            }
            Command::ErasePerson(erase) => self.plan_erase(erase, now)?,
            _ => return Ok(None),
        };
        Ok(Some(plan))
    }
}

fn place(table: &str) -> usize {
    Record::TABLES.iter().position(|known| *known == table).unwrap_or(Record::TABLES.len())
}
