//! Commands: checked first, carried out whole, journaled with who gave them.
//!
//! What changes the register is journaled record by record, with what was there before (`changes.rs`);
//! the checkouts of an import as one `command` event for each [`CHUNK`] of them. All of it is in the same
//! commit, so an import is still one act.

use super::Tracker;
use super::cause::Cause;
use super::custody::Return;
use super::import::{conflict, invalid};
use crate::domain::alerts::AlertKey;
use crate::domain::audits::AuditState;
use crate::domain::commands::{Command, Outcome, Reads, Refused};
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::AssetId;
use crate::domain::proposals::ProposalChange;
use crate::domain::readiness::HoldKind;
use crate::domain::register::Checkout;
use crate::domain::time::Timestamp;

/// Checkouts in one journaled event of an import.
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
        let command = self.completed(command);
        let outcome = self.check(&command, now)?;
        self.advance(now, out);
        let cause = Cause::own(now, now);
        for told in journaled(&command) {
            self.journal_command(by, told, &cause, out);
        }
        self.carry_out(by, command, &cause, out);
        self.settle(&cause, out);
        Ok(outcome)
    }

    fn check(&self, command: &Command, now: Timestamp) -> Result<Outcome, Refused> {
        let updated = Outcome { updated: 1, ..Outcome::default() };
        match command {
            Command::Checkout { asset, holder, due_back, note, override_reason } => {
                let checkout = Checkout {
                    asset: asset.clone(),
                    holder: holder.clone(),
                    checked_out_at: now,
                    due_back: *due_back,
                    note: note.clone(),
                    waived: Vec::new(),
                };
                self.check_checkout(&checkout, now)?;
                self.check_gate(asset, override_reason.as_deref(), now)?;
                Ok(updated)
            }
            Command::CheckIn { asset, .. } => {
                self.known(asset)?;
                match self.checkout_of(asset) {
                    Some(_) => Ok(updated),
                    None => Err(conflict(format!("`{asset}` is not checked out"))),
                }
            }
            Command::HandOver { asset, holder, from, due_back, .. } => {
                self.check_hand_over(asset, from.as_deref(), holder, *due_back, now).map(|()| updated)
            }
            Command::Accept { asset, to, override_reason, .. } => {
                self.check_accept(asset, to.as_ref(), override_reason.as_deref(), now).map(|_| updated)
            }
            Command::Reject { asset, .. } => self.standing_proposal(asset).map(|_| updated),
            Command::Inspect { asset, at, .. } => self.check_inspect(asset, *at, now).map(|()| updated),
            Command::Quarantine { asset, reason } => {
                self.check_hold(asset, HoldKind::Quarantine, reason).map(|()| updated)
            }
            Command::Maintain { asset, reason } => {
                self.check_hold(asset, HoldKind::Maintenance, reason).map(|()| updated)
            }
            Command::Release { asset, .. } => self.check_release(asset).map(|()| updated),
            Command::Dock { vehicle, door } => self.check_dock(vehicle, door).map(|()| updated),
            Command::Undock { vehicle } => self.check_undock(vehicle).map(|()| updated),
            Command::Load { asset, vehicle, .. } => self.check_load(asset, vehicle).map(|()| updated),
            Command::Unload { asset, zone, .. } => self.check_unload(asset, zone.as_ref()).map(|()| updated),
            Command::Acknowledge { alert, .. } => self.check_open(alert).map(|()| updated),
            Command::Snooze { alert, until } => {
                self.check_open(alert)?;
                let snoozed = self.alerts.open(alert).is_some_and(|open| open.snoozed_until.is_some());
                let changes = snoozed || *until > now;
                Ok(if changes { updated } else { Outcome { unchanged: 1, ..Outcome::default() } })
            }
            Command::Assign { alert, to } => {
                self.check_open(alert)?;
                match to.trim() {
                    "" => Err(invalid("`to` is empty: say who is to see to it")),
                    _ => Ok(updated),
                }
            }
            Command::Import { records, checkouts } => self.check_import(records, checkouts, now),
            Command::Commission { epc, asset, replaces } => {
                self.check_commission(epc, asset, replaces.as_ref(), now)?;
                Ok(updated)
            }
            Command::AuditOpen { audit, scope, expires_at, .. } => {
                self.check_open_audit(audit, scope, *expires_at, now)?;
                Ok(Outcome { created: 1, ..Outcome::default() })
            }
            Command::AuditClose { audit } | Command::AuditCancel { audit } => {
                self.check_audit_is_open(audit).map(|()| updated)
            }
            Command::Count(count) => self.check_count(count).map(|()| updated),
            Command::Reads(reads) => self.check_reads(reads, now),
            Command::Remove { table, key } => {
                self.check_remove(table, key)?;
                Ok(Outcome { removed: 1, ..Outcome::default() })
            }
            Command::ErasePerson(erase) => self.check_erase(erase, now),
        }
    }

    fn check_open(&self, alert: &AlertKey) -> Result<(), Refused> {
        match self.alerts.open(alert) {
            Some(_) => Ok(()),
            None => Err(Refused::NotFound { what: "open alert".to_owned(), name: alert.to_string() }),
        }
    }

    fn journal_command(&mut self, by: &str, command: Command, cause: &Cause, out: &mut Vec<Event>) {
        let number = self.number_command();
        let subject = command.asset().cloned().map_or(Subject::Node, Subject::Asset);
        let site = match &subject {
            Subject::Asset(asset) => self.register.home_site(asset).cloned(),
            _ => None,
        };
        let body = EventBody::Command { by: by.to_owned(), command };
        out.push(cause.event(site, subject, body, &[&number]));
    }

    /// Numbers what a command makes happen, so that no two events of one moment are taken for one.
    pub(super) fn number_command(&mut self) -> [u8; 8] {
        self.commands += 1;
        self.commands_dirty = true;
        self.commands.to_be_bytes()
    }

    fn carry_out(&mut self, by: &str, command: Command, cause: &Cause, out: &mut Vec<Event>) {
        match command {
            Command::Checkout { asset, holder, due_back, note, .. } => {
                let checked_out_at = cause.received_at;
                // There is something only where the gate was overridden.
                let waived = self.readiness(&asset);
                let checkout = Checkout { asset, holder, checked_out_at, due_back, note, waived };
                self.check_out(checkout, cause, out);
            }
            Command::CheckIn { asset, damage, .. } => {
                let back = Return { how: "command", damage: damage.as_deref(), by };
                self.check_in(&asset, back, cause, out);
            }
            Command::HandOver { asset, holder, due_back, note, .. } => {
                let Some(held) = self.checkout_of(&asset).cloned() else { return };
                let due_back = due_back.or(held.due_back);
                let checked_out_at = cause.received_at;
                let checkout = Checkout { asset, holder, checked_out_at, due_back, note, ..held };
                self.hand_over(checkout, "command", cause, out);
            }
            Command::Accept { asset, to, override_reason, note } => {
                let overriding = override_reason.as_deref();
                if let Ok(person) = self.check_accept(&asset, to.as_ref(), overriding, cause.received_at) {
                    self.accept(&asset, &person, note, by, cause, out);
                }
            }
            Command::Reject { asset, .. } => {
                self.end_proposal(&asset, ProposalChange::Rejected, cause, out);
            }
            Command::Inspect { asset, passed, at, note } => {
                self.inspect(&asset, passed, at, note.as_deref(), by, cause);
            }
            Command::Quarantine { asset, reason } => {
                self.hold_back(&asset, HoldKind::Quarantine, reason, by, cause);
            }
            Command::Maintain { asset, reason } => {
                self.hold_back(&asset, HoldKind::Maintenance, reason, by, cause);
            }
            Command::Release { asset, .. } => self.release(&asset),
            Command::Dock { vehicle, door } => self.said_to_stand(by, &vehicle, &door, cause, out),
            Command::Undock { vehicle } => self.said_to_leave(&vehicle, cause, out),
            Command::Load { asset, vehicle, .. } => {
                self.load(&asset, &vehicle, format!("said by {by}").into(), None, cause, out);
            }
            Command::Unload { asset, zone, .. } => self.unload(&asset, zone, by, cause, out),
            Command::Acknowledge { alert, note } => {
                self.alerts.acknowledge(&alert, by, note, cause, out);
            }
            Command::Snooze { alert, until } => {
                self.alerts.snooze(&alert, until, cause, out);
            }
            Command::Assign { alert, to } => {
                self.alerts.assign(&alert, &to, by, cause, out);
            }
            Command::Import { records, checkouts } => self.import(by, records, checkouts, cause, out),
            Command::Commission { epc, asset, replaces } => {
                let records = self.commissioned(epc, &asset, replaces, cause.received_at);
                self.import(by, records, Vec::new(), cause, out);
            }
            Command::AuditOpen { audit, scope, expires_at, note } => {
                self.open_audit(by, audit, scope, expires_at, note, cause, out);
            }
            Command::AuditClose { audit } => self.end_audit(by, &audit, AuditState::Closed, cause, out),
            Command::AuditCancel { audit } => {
                self.end_audit(by, &audit, AuditState::Cancelled, cause, out);
            }
            Command::Count(count) => self.count_by_hand(by, count, cause, out),
            Command::Reads(reads) => self.take_reads(by, reads, cause, out),
            Command::Remove { table, key } => {
                if let Some(record) = self.register.get(&table, &key) {
                    self.remove(by, record, cause, out);
                }
            }
            Command::ErasePerson(erase) => self.erase(by, &erase, cause, out),
        }
    }

    pub(super) fn known(&self, asset: &AssetId) -> Result<(), Refused> {
        match self.register.asset(asset) {
            Some(_) => Ok(()),
            None => Err(Refused::NotFound { what: "asset".to_owned(), name: asset.to_string() }),
        }
    }
}

/// What is journaled of a command as it was given: an import's checkouts and reads in chunks, of what changes the
/// register nothing, of anything else the whole.
fn journaled(command: &Command) -> Vec<Command> {
    match command {
        Command::Import { checkouts, .. } => checkouts
            .chunks(CHUNK)
            .map(|chunk| Command::Import { records: Vec::new(), checkouts: chunk.to_vec() })
            .collect(),
        Command::Reads(reads) => reads
            .epcs
            .chunks(CHUNK)
            .map(|chunk| Command::Reads(Reads { epcs: chunk.to_vec(), ..reads.clone() }))
            .collect(),
        Command::Remove { .. } => Vec::new(),
        Command::ErasePerson(erase) => vec![Command::ErasePerson(erase.told())],
        other => vec![other.clone()],
    }
}
