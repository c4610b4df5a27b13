//! Who has it: checkouts and check-ins by command, and returns that are sensed.
//!
//! A return is sensed when an asset that had **left** is heard in its home zone, or passes into it. Left
//! means: it was elsewhere at the checkout, or has departed, passed out or been sensed elsewhere since.
//! Being still heard at the crib right after a checkout is no return. Where nobody knew where it was at
//! the checkout, the first hearing at home decides: within one presence span of the checkout it was there all
//! along, later it came back. So it is for what fell silent at home before its checkout, within the time after
//! which silence there means gone. A class may say that its returns are not sensed at all.
//!
//! Only what is ready goes out by command, see `readiness.rs`. An import says what happened already, and
//! is not asked. Hand-overs are in `handover.rs`, what follows a return in `holds.rs`.

use std::time::Duration;

use super::Tracker;
use super::assets::{AssetRow, Whereabouts};
use super::cause::{Cause, OWN_SOURCE};
use super::import::{conflict, invalid};
use crate::domain::commands::{Outcome, Refused};
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::{AssetId, ZoneId};
use crate::domain::proposals::ProposalChange;
use crate::domain::register::{Asset, Checkout, Returns};
use crate::domain::state::Location;
use crate::domain::time::Timestamp;

impl Tracker {
    pub(super) fn checkout_of(&self, asset: &AssetId) -> Option<&Checkout> {
        self.assets.get(asset)?.current.checkout.as_deref()
    }

    pub(super) fn check_checkout(&self, checkout: &Checkout, now: Timestamp) -> Result<(), Refused> {
        let asset = self.register.asset(&checkout.asset);
        self.check_checkout_of(checkout, asset, now)?;
        match self.checkout_of(&checkout.asset) {
            Some(held) => Err(already(held)),
            None => Ok(()),
        }
    }

    /// What is not ready does not go out, unless somebody says why it has to.
    pub(super) fn check_gate(
        &self,
        asset: &AssetId,
        overriding: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        if overriding.is_some_and(|why| why.trim().is_empty()) {
            return Err(invalid(format!("`{asset}`: it is not said why it has to go out")));
        }
        let reasons = self.readiness_at(asset, now);
        if reasons.is_empty() || overriding.is_some() {
            return Ok(());
        }
        let reasons = self.reasons_of(asset, &reasons);
        Err(conflict(format!(
            "`{asset}` is not ready: {reasons}; where it has to go out, override with a reason"
        )))
    }

    /// An import may repeat a checkout: as it is, with a new due date or note, or one long closed.
    pub(super) fn check_imported_checkout(
        &self,
        checkout: &Checkout,
        asset: Option<&Asset>,
        now: Timestamp,
    ) -> Result<Outcome, Refused> {
        self.check_checkout_of(checkout, asset, now)?;
        let unchanged = Outcome { unchanged: 1, ..Outcome::default() };
        if self.is_closed(checkout) {
            return Ok(unchanged);
        }
        match self.checkout_of(&checkout.asset) {
            None => Ok(Outcome { created: 1, ..Outcome::default() }),
            Some(held) if same_terms(held, checkout) => Ok(unchanged),
            Some(held) if same_act(held, checkout) => Ok(Outcome { updated: 1, ..Outcome::default() }),
            Some(held) => Err(already(held)),
        }
    }

    fn check_checkout_of(
        &self,
        checkout: &Checkout,
        asset: Option<&Asset>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let name = &checkout.asset;
        let Some(asset) = asset else {
            return Err(Refused::NotFound { what: "asset".to_owned(), name: name.to_string() });
        };
        if asset.is_retired() {
            return Err(conflict(format!("`{name}` is retired")));
        }
        if checkout.holder.trim().is_empty() {
            return Err(invalid(format!("`{name}`: it is not said who takes it")));
        }
        if checkout.checked_out_at > now {
            return Err(invalid(format!("`{name}`: checked out in the future, {}", checkout.checked_out_at)));
        }
        match checkout.due_back {
            Some(due) if due <= checkout.checked_out_at => {
                Err(invalid(format!("`{name}`: due back {due}, which is not after the checkout")))
            }
            _ => Ok(()),
        }
    }

    fn is_closed(&self, checkout: &Checkout) -> bool {
        let closed = self.assets.get(&checkout.asset).and_then(|row| row.memory.closed_checkout);
        closed.is_some_and(|closed| checkout.checked_out_at <= closed)
    }

    pub(super) fn import_checkout(&mut self, checkout: Checkout, cause: &Cause, out: &mut Vec<Event>) {
        let held = self.checkout_of(&checkout.asset);
        if self.is_closed(&checkout) || held.is_some_and(|held| same_terms(held, &checkout)) {
            return;
        }
        if held.is_none() {
            self.check_out(checkout, cause, out);
            return;
        }
        let asset = checkout.asset.clone();
        let waived = held.map(|held| held.waived.clone()).unwrap_or_default();
        self.assets.change(&asset).current.checkout = Some(Box::new(Checkout { waived, ..checkout }));
        self.schedule_overdue(&asset, cause, out);
    }

    pub(super) fn check_out(&mut self, checkout: Checkout, cause: &Cause, out: &mut Vec<Event>) {
        let asset = checkout.asset.clone();
        let home = self.register.asset(&asset).and_then(|asset| asset.home_zone.clone());
        self.end_proposal(&asset, ProposalChange::Lapsed, cause, out);
        let row = self.assets.change(&asset);
        row.memory.whereabouts = whereabouts(row, home.as_ref(), checkout.checked_out_at);
        row.memory.custody_acts += 1;
        row.current.checkout = Some(Box::new(checkout.clone()));
        let act = row.memory.custody_acts.to_be_bytes();
        let site = self.register.home_site(&asset).cloned();
        let (holder, at) = (checkout.holder.clone(), checkout.checked_out_at);
        out.push(cause.event(site, Subject::Asset(asset.clone()), EventBody::CheckedOut(checkout), &[&act]));
        self.note_checkout(&holder, at, cause, out);
        self.reconsider(&asset, cause, out);
        self.schedule_overdue(&asset, cause, out);
    }

    /// Ends the checkout, if there is one, because it was sensed to be back.
    fn returned(&mut self, asset: &AssetId, how: &str, cause: &Cause, out: &mut Vec<Event>) {
        self.check_in(asset, Return { how, damage: None, by: OWN_SOURCE }, cause, out);
    }

    /// Ends the checkout, if there is one.
    pub(super) fn check_in(
        &mut self,
        asset: &AssetId,
        back: Return<'_>,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        if self.checkout_of(asset).is_none() {
            return;
        }
        self.end_proposal(asset, ProposalChange::Lapsed, cause, out);
        let row = self.assets.change(asset);
        let Some(checkout) = row.current.checkout.take() else { return };
        // A return that is told late may have been in time.
        let late_at = row.memory.late_at.take().filter(|late| cause.observed_at <= *late);
        let holder = checkout.holder.clone();
        row.memory.closed_checkout = Some(checkout.checked_out_at);
        row.memory.returned_at = Some(cause.observed_at);
        row.memory.whereabouts = Whereabouts::AtHome;
        row.memory.custody_acts += 1;
        let act = row.memory.custody_acts.to_be_bytes();
        if back.by != OWN_SOURCE {
            self.lies_somewhere(asset, cause.observed_at);
        }
        let site = self.register.home_site(asset).cloned();
        let body = EventBody::CheckedIn { checkout: *checkout, how: back.how.to_owned() };
        out.push(cause.event(site, Subject::Asset(asset.clone()), body, &[&act]));
        if let Some(late_at) = late_at {
            self.take_incident_back(&holder, late_at, cause, out);
        }
        self.begin_restore(asset, back.damage, back.by, cause);
        self.schedule_overdue(asset, cause, out);
        self.reconsider(asset, cause, out);
    }

    /// A checked-out asset's location changed, or its presence ended: it may have left home.
    pub(super) fn note_leaving(&mut self, asset: &AssetId) {
        let Some(row) = self.assets.get(asset) else { return };
        let Some(checkout) = &row.current.checkout else { return };
        let home = self.register.asset(asset).and_then(|asset| asset.home_zone.as_ref());
        let now = whereabouts(row, home, checkout.checked_out_at);
        let left = match now {
            Whereabouts::Away => row.memory.whereabouts != Whereabouts::Away,
            Whereabouts::Silent => row.memory.whereabouts == Whereabouts::AtHome,
            Whereabouts::AtHome | Whereabouts::Unknown => false,
        };
        if left {
            self.assets.change(asset).memory.whereabouts = now;
        }
    }

    /// It was heard staying in `zone`.
    pub(super) fn heard_in(
        &mut self,
        asset: &AssetId,
        zone: &ZoneId,
        stays: Stays,
        how: &str,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let Some(checked_out_at) = self.out_of(asset, zone) else { return };
        if cause.observed_at <= checked_out_at {
            return;
        }
        let whereabouts = self.assets.get(asset).map(|row| row.memory.whereabouts).unwrap_or_default();
        let within = |time| cause.observed_at <= checked_out_at + time;
        let there_all_along = match whereabouts {
            Whereabouts::AtHome => return,
            Whereabouts::Unknown => within(stays.told_within),
            Whereabouts::Silent => within(stays.heard_within),
            Whereabouts::Away => false,
        };
        match there_all_along {
            true => self.assets.change(asset).memory.whereabouts = Whereabouts::AtHome,
            false => self.returned(asset, how, cause, out),
        }
    }

    /// It passed into `zone`; who passes in was out.
    pub(super) fn passed_into(
        &mut self,
        asset: &AssetId,
        zone: &ZoneId,
        how: &str,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        if self.out_of(asset, zone).is_some_and(|checked_out_at| cause.observed_at > checked_out_at) {
            self.returned(asset, how, cause, out);
        }
    }

    /// When it was checked out, where it is, and where `zone` is its home; not for a class whose returns
    /// somebody has to say.
    fn out_of(&self, asset: &AssetId, zone: &ZoneId) -> Option<Timestamp> {
        let checkout = self.checkout_of(asset)?;
        let held = self.register.asset(asset)?;
        let home = held.home_zone.as_ref()?;
        let sensed = self.register.class(&held.class).is_none_or(|class| class.returns == Returns::Sensed);
        (home == zone && sensed).then_some(checkout.checked_out_at)
    }
}

/// How often a tag that stays where it was heard is heard there, and told of; zero where nothing listens on.
#[derive(Clone, Copy, Default)]
pub(super) struct Stays {
    pub heard_within: Duration,
    pub told_within: Duration,
}

/// How a checkout ends.
pub(super) struct Return<'a> {
    /// `command`, or what sensed it.
    pub how: &'a str,
    pub damage: Option<&'a str>,
    pub by: &'a str,
}

fn whereabouts(row: &AssetRow, home: Option<&ZoneId>, checked_out_at: Timestamp) -> Whereabouts {
    let heard_since = || row.current.last_sensed.as_ref().is_some_and(|last| last.at > checked_out_at);
    match &row.current.location {
        Location::Unknown => Whereabouts::Unknown,
        Location::Zone(zone) if Some(zone) == home && !row.memory.departed => Whereabouts::AtHome,
        Location::Zone(zone) if Some(zone) == home && !heard_since() => Whereabouts::Silent,
        Location::Zone(_) | Location::OutThrough(_) | Location::At(_) | Location::In(_) => Whereabouts::Away,
    }
}

fn same_act(held: &Checkout, told: &Checkout) -> bool {
    held.holder == told.holder && held.checked_out_at == told.checked_out_at
}

/// What was waived is no term of a checkout, and no import names it.
fn same_terms(held: &Checkout, told: &Checkout) -> bool {
    same_act(held, told) && held.due_back == told.due_back && held.note == told.note
}

fn already(held: &Checkout) -> Refused {
    conflict(format!("`{}` is checked out to {} since {}", held.asset, held.holder, held.checked_out_at))
}
