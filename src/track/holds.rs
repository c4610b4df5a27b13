//! What keeps an asset in: quarantine, maintenance, an inspection that is due after a return; and the way
//! out of each.
//!
//! ```text
//!  return ──▶ awaiting inspection (its class asks) ── inspected, passed ──▶ ready
//!     │                                            └─ inspected, failed ──┐
//!     └─ damage noted, or a critical alarm stands ──▶ quarantined ◀───────┘── released ──▶ ready
//! ```
//!
//! A passed inspection lifts no quarantine: who put it there, or who repaired it, says when it is over.

use super::Tracker;
use super::cause::{Cause, OWN_SOURCE};
use super::import::{conflict, invalid};
use crate::domain::commands::Refused;
use crate::domain::ids::AssetId;
use crate::domain::readiness::{Hold, HoldKind, Unready};
use crate::domain::time::Timestamp;

impl Tracker {
    pub(super) fn check_inspect(
        &self,
        asset: &AssetId,
        at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        self.known(asset)?;
        match at {
            Some(at) if at > now => Err(invalid(format!("`{asset}`: inspected in the future, {at}"))),
            _ => Ok(()),
        }
    }

    pub(super) fn check_hold(&self, asset: &AssetId, kind: HoldKind, why: &str) -> Result<(), Refused> {
        self.known(asset)?;
        if why.trim().is_empty() {
            return Err(invalid(format!("`{asset}`: it is not said why")));
        }
        let held = self.asset(asset).and_then(|current| current.holds.iter().find(|hold| hold.kind == kind));
        match held {
            Some(hold) => Err(conflict(format!(
                "`{asset}` is in {} since {}: {}",
                kind.as_str(),
                self.local_to(asset, hold.since),
                hold.why
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn check_release(&self, asset: &AssetId) -> Result<(), Refused> {
        self.known(asset)?;
        match self.asset(asset).is_some_and(|current| !current.holds.is_empty()) {
            true => Ok(()),
            false => Err(conflict(format!("nothing holds `{asset}` that a release could lift"))),
        }
    }

    pub(super) fn inspect(
        &mut self,
        asset: &AssetId,
        passed: bool,
        at: Option<Timestamp>,
        note: Option<&str>,
        by: &str,
        cause: &Cause,
    ) {
        let at = at.unwrap_or(cause.received_at);
        if !passed {
            let why = note.map_or(String::new(), |note| format!(": {note}"));
            self.hold_back(asset, HoldKind::Quarantine, format!("it failed its inspection{why}"), by, cause);
            return;
        }
        let current = &mut self.assets.change(asset).current;
        current.inspected_at = current.inspected_at.max(Some(at));
        if current.awaiting_inspection.is_some_and(|since| since <= at) {
            current.awaiting_inspection = None;
        }
    }

    pub(super) fn hold_back(
        &mut self,
        asset: &AssetId,
        kind: HoldKind,
        why: String,
        by: &str,
        cause: &Cause,
    ) {
        let hold = Hold { kind, why, since: cause.observed_at, by: by.to_owned() };
        self.assets.change(asset).current.holds.push(hold);
    }

    pub(super) fn release(&mut self, asset: &AssetId) {
        self.assets.change(asset).current.holds.clear();
    }

    /// It came back: what has to happen before it goes out again.
    pub(super) fn begin_restore(&mut self, asset: &AssetId, damage: Option<&str>, by: &str, cause: &Cause) {
        let asks = self.register.class_of(asset).is_some_and(|class| class.inspect_on_return);
        if asks {
            self.assets.change(asset).current.awaiting_inspection = Some(cause.observed_at);
        }
        if let Some(damage) = damage {
            let why = format!("it came back damaged: {damage}");
            self.hold_back(asset, HoldKind::Quarantine, why, by, cause);
        }
        let alarms: Vec<String> = self.alarms_on(asset).map(|alarm| alarm.to_string()).collect();
        if !alarms.is_empty() {
            let why = format!("it came back while {}", alarms.join(" and "));
            self.hold_back(asset, HoldKind::Quarantine, why, OWN_SOURCE, cause);
        }
    }

    /// Every reason in one line, with times by the clock where the asset is at home.
    pub(super) fn reasons_of(&self, asset: &AssetId, reasons: &[Unready]) -> String {
        let at = |time| self.local_to(asset, time);
        reasons.iter().map(|reason| reason.told(&at)).collect::<Vec<_>>().join("; ")
    }

    pub(super) fn local_to(&self, asset: &AssetId, at: Timestamp) -> String {
        self.register.local(self.register.home_site(asset), at)
    }
}
