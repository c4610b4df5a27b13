//! `kit-incomplete`: a kit left through a portal without a part that belongs to it (`part_of`).
//!
//! Decided `kit_window` after the kit left, for its parts may go before it or follow; held while a source
//! of its home site may hold their passage unread. A part **is with it** when it left too (from one window
//! before the kit on), is where the kit is, is out as well, or is checked out to the same holder; also
//! when it fell silent as the kit left: tags inside a closed case are often not read at the door. A part
//! without a tag or tracker, and one that was never sensed, is not judged. A part that leaves alone is no
//! matter of this rule: its own class says whether it may.
//!
//! Over when the part follows, or the kit is back.

use super::Tracker;
use super::cause::Cause;
use super::deadlines::Deadlines;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::events::Event;
use crate::domain::ids::AssetId;
use crate::domain::register::Asset;
use crate::domain::state::Location;
use crate::domain::time::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Kits {
    /// Kits that left, to be looked at.
    pub due: Deadlines<AssetId>,
}

impl Tracker {
    /// When it is decided whether a kit that leaves now is complete.
    pub(super) fn kit_due(&self, asset: &AssetId, cause: &Cause) -> Option<Timestamp> {
        self.register.parts(asset).next()?;
        Some(cause.observed_at.max(cause.received_at) + self.topology.alerts.assets.kit_window)
    }

    /// Lets the earliest kit's window pass.
    pub(super) fn pass_kit(&mut self, until: Timestamp, now: Timestamp, out: &mut Vec<Event>) {
        let Some((at, kit)) = self.kits.due.pop(until) else { return };
        let unread = self.may_return_unread(self.register.home_site(&kit));
        let again = unread.then(|| at.max(now) + self.topology.alerts.assets.kit_window);
        if let Some(left) = &mut self.assets.change(&kit).memory.left {
            left.kit_due = again;
        }
        self.kits.due.set(kit.clone(), again);
        if !unread {
            self.judge_kit(&kit, &Cause::own(at, now), out);
        }
    }

    /// A part left, came back, or is somewhere else: its kit may be complete now.
    pub(super) fn part_moved(&mut self, part: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        let Some(kit) = self.register.asset(part).and_then(|part| part.part_of.clone()) else { return };
        if self.alerts.open(&AlertKey::new(Rule::KitIncomplete, kit.as_str())).is_some() {
            self.judge_kit(&kit, cause, out);
        }
    }

    fn judge_kit(&mut self, kit: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        let missing: Vec<String> = self
            .register
            .parts(kit)
            .filter(|part| self.is_left_behind(part, kit))
            .map(|p| self.label(p))
            .collect();
        let Some(portal) = self.left_through(kit).filter(|_| !missing.is_empty()) else {
            return self.end_for_asset(Rule::KitIncomplete, kit, cause, out);
        };
        let summary = format!(
            "{} left through {portal} without {}: send it after, or call the kit back",
            self.label(kit),
            missing.join(", ")
        );
        let new = self.alerts.open(&AlertKey::new(Rule::KitIncomplete, kit.as_str())).is_none();
        self.raise_for_asset(Rule::KitIncomplete, kit, summary, cause, out);
        if new {
            self.note_incident(kit, cause, out);
        }
    }

    fn left_through(&self, kit: &AssetId) -> Option<String> {
        Some(self.assets.get(kit)?.memory.left.as_ref()?.portal.to_string())
    }

    fn is_left_behind(&self, part: &AssetId, kit: &AssetId) -> bool {
        let sensed =
            self.register.asset(part).is_some_and(Asset::is_expected) && self.register.attachments(part) > 0;
        let (Some(row), Some(of_kit), true) = (self.assets.get(part), self.assets.get(kit), sensed) else {
            return false;
        };
        let Some(left) = &of_kit.memory.left else { return false };
        let Location::Zone(zone) = &row.current.location else { return false };
        let from = left.at - self.topology.alerts.assets.kit_window;
        let since = |at: Option<Timestamp>| at.is_some_and(|at| at >= from);
        let holder = |row: &super::AssetRow| row.current.checkout.as_ref().map(|c| c.holder.clone());
        let follows = since(row.memory.left.as_ref().map(|left| left.at));
        let there = row.current.location == of_kit.current.location || left.to.as_ref() == Some(zone);
        let same_holder = holder(row).is_some() && holder(row) == holder(of_kit);
        let fell_silent = row.memory.departed && since(row.current.last_sensed.as_ref().map(|last| last.at));
        !(follows || there || same_holder || fell_silent)
    }
}
