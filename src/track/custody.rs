//! Who has it: checkouts and check-ins by command, and returns that are sensed.
//!
//! A return is sensed when an asset that had **left** is heard in its home zone, or passes into it. Left
//! means: it was elsewhere at the checkout, or has departed, passed out or been sensed elsewhere since.
//! Being still heard at the crib right after a checkout is no return. Where nobody knew where it was at
//! the checkout, the first hearing at home decides: within one presence span of the checkout it was
//! there all along, later it came back.

use super::Tracker;
use super::assets::{AssetRow, Whereabouts};
use super::cause::Cause;
use super::import::{conflict, invalid};
use crate::domain::commands::{Outcome, Refused};
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::{AssetId, ZoneId};
use crate::domain::register::{Asset, Checkout};
use crate::domain::state::Location;
use crate::domain::time::Timestamp;

impl Tracker {
    pub(super) fn checkout_of(&self, asset: &AssetId) -> Option<&Checkout> {
        self.assets.get(asset)?.current.checkout.as_ref()
    }

    pub(super) fn check_checkout(&self, checkout: &Checkout, now: Timestamp) -> Result<(), Refused> {
        let asset = self.register.asset(&checkout.asset);
        self.check_checkout_of(checkout, asset, now)?;
        match self.checkout_of(&checkout.asset) {
            Some(held) => Err(already(held)),
            None => Ok(()),
        }
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
            Some(held) if held == checkout => Ok(unchanged),
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
        if self.is_closed(&checkout) || held == Some(&checkout) {
            return;
        }
        if held.is_none() {
            self.check_out(checkout, cause, out);
            return;
        }
        let asset = checkout.asset.clone();
        self.assets.change(&asset).current.checkout = Some(checkout);
        self.schedule_overdue(&asset, cause, out);
    }

    pub(super) fn check_out(&mut self, checkout: Checkout, cause: &Cause, out: &mut Vec<Event>) {
        let asset = checkout.asset.clone();
        let home = self.register.asset(&asset).and_then(|asset| asset.home_zone.clone());
        let row = self.assets.change(&asset);
        row.memory.whereabouts = whereabouts(row, home.as_ref());
        row.memory.custody_acts += 1;
        row.current.checkout = Some(checkout.clone());
        let act = row.memory.custody_acts.to_be_bytes();
        let site = self.register.home_site(&asset).cloned();
        let (holder, at) = (checkout.holder.clone(), checkout.checked_out_at);
        out.push(cause.event(site, Subject::Asset(asset.clone()), EventBody::CheckedOut(checkout), &[&act]));
        self.note_checkout(&holder, at, cause, out);
        self.reconsider(&asset, cause, out);
        self.schedule_overdue(&asset, cause, out);
    }

    /// Ends the checkout, if there is one. `how`: `command`, or what sensed the return.
    pub(super) fn check_in(&mut self, asset: &AssetId, how: &str, cause: &Cause, out: &mut Vec<Event>) {
        let row = self.assets.change(asset);
        let Some(checkout) = row.current.checkout.take() else { return };
        row.memory.closed_checkout = Some(checkout.checked_out_at);
        row.memory.returned_at = Some(cause.observed_at);
        row.memory.whereabouts = Whereabouts::AtHome;
        row.memory.custody_acts += 1;
        let act = row.memory.custody_acts.to_be_bytes();
        let site = self.register.home_site(asset).cloned();
        let body = EventBody::CheckedIn { checkout, how: how.to_owned() };
        out.push(cause.event(site, Subject::Asset(asset.clone()), body, &[&act]));
        self.schedule_overdue(asset, cause, out);
        self.reconsider(asset, cause, out);
    }

    /// A checked-out asset's location changed, or its presence ended: it may have left home.
    pub(super) fn note_leaving(&mut self, asset: &AssetId) {
        let Some(row) = self.assets.get(asset) else { return };
        if row.current.checkout.is_none() || row.memory.whereabouts == Whereabouts::Away {
            return;
        }
        let home = self.register.asset(asset).and_then(|asset| asset.home_zone.as_ref());
        if whereabouts(row, home) == Whereabouts::Away {
            self.assets.change(asset).memory.whereabouts = Whereabouts::Away;
        }
    }

    /// It was heard staying in `zone`. `span`: within it, a tag that stays is heard again.
    pub(super) fn heard_in(
        &mut self,
        asset: &AssetId,
        zone: &ZoneId,
        span: std::time::Duration,
        how: &str,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let Some(checked_out_at) = self.out_of(asset, zone) else { return };
        if cause.observed_at <= checked_out_at {
            return;
        }
        let whereabouts = self.assets.get(asset).map(|row| row.memory.whereabouts).unwrap_or_default();
        let there_all_along = cause.observed_at <= checked_out_at + span;
        match whereabouts {
            Whereabouts::AtHome => {}
            Whereabouts::Unknown if there_all_along => {
                self.assets.change(asset).memory.whereabouts = Whereabouts::AtHome;
            }
            Whereabouts::Unknown | Whereabouts::Away => self.check_in(asset, how, cause, out),
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
            self.check_in(asset, how, cause, out);
        }
    }

    /// When it was checked out, where it is, and where `zone` is its home.
    fn out_of(&self, asset: &AssetId, zone: &ZoneId) -> Option<Timestamp> {
        let checkout = self.checkout_of(asset)?;
        let home = self.register.asset(asset)?.home_zone.as_ref()?;
        (home == zone).then_some(checkout.checked_out_at)
    }
}

fn whereabouts(row: &AssetRow, home: Option<&ZoneId>) -> Whereabouts {
    match &row.current.location {
        Location::Unknown => Whereabouts::Unknown,
        Location::Zone(zone) if Some(zone) == home && !row.memory.departed => Whereabouts::AtHome,
        Location::Zone(_) | Location::OutThrough(_) | Location::At(_) => Whereabouts::Away,
    }
}

fn same_act(held: &Checkout, told: &Checkout) -> bool {
    held.holder == told.holder && held.checked_out_at == told.checked_out_at
}

fn already(held: &Checkout) -> Refused {
    conflict(format!("`{}` is checked out to {} since {}", held.asset, held.holder, held.checked_out_at))
}
