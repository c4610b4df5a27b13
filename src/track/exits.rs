//! What an asset that leaves through a portal means: `unauthorised-exit` and `not-ready-exit`.
//!
//! **Leaving** is passing out, to where its class does not expect it: not into its home zone, nor into one
//! of `allowed_zones` (where that list is empty, every way out is one). It is **back** when it passes in,
//! or is sensed in a zone other than the one that it left to.
//!
//! An exit is judged once, when it is told, by what held when it was observed: without a checkout where the
//! class needs one, or while not ready. What spoke against a checkout that was overridden is not told again
//! when it leaves: who let it go all the same knew. What came up since then is. The exit of a source that still
//! replays what it held waits until that has caught up: by then it may be back. Afterwards an alert only ends:
//! checked out, handed over, back, ready, or out of use.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Tracker;
use super::cause::Cause;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, ReadPointId, SourceId, ZoneId};
use crate::domain::readiness::{PartTrouble, Unready, told_together};
use crate::domain::register::Asset;
use crate::domain::sightings::Direction;
use crate::domain::state::Location;
use crate::domain::time::Timestamp;

/// The portal through which an asset left, while it is out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    pub portal: ReadPointId,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<ZoneId>,
    /// Of the source that has to catch up before this is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<SourceId>,
    /// When it is decided whether its kit is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kit_due: Option<Timestamp>,
}

/// Exits that wait for their source.
#[derive(Debug, Default)]
pub(super) struct Exits {
    held: BTreeSet<(SourceId, AssetId)>,
}

impl Tracker {
    /// It passed a portal, and that moved the answer.
    pub(super) fn crossed(
        &mut self,
        asset: &AssetId,
        portal: &ReadPointId,
        direction: Direction,
        to: Option<&ZoneId>,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        if !self.leaves(asset, direction, to) {
            if direction == Direction::In {
                self.came_back(asset, cause, out);
            }
            return;
        }
        let waits = !self.has_caught_up(&cause.source);
        let left = Left {
            portal: portal.clone(),
            at: cause.observed_at,
            to: to.cloned(),
            held_by: waits.then(|| cause.source.clone()),
            kit_due: self.kit_due(asset, cause),
        };
        self.hold_exit(asset, &left);
        self.assets.change(asset).memory.left = Some(Box::new(left));
        if !waits {
            self.judge_exit(asset, cause, out);
        }
        self.part_moved(asset, cause, out);
    }

    /// Its location changed, or who has it, or what it is: ends what no longer holds.
    pub(super) fn review_exit(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        let Some(row) = self.assets.get(asset) else { return };
        let Some(left) = &row.memory.left else { return };
        let elsewhere =
            matches!(&row.current.location, Location::Zone(zone) if left.to.as_ref() != Some(zone));
        let expected = self.register.asset(asset).is_some_and(Asset::is_expected);
        if elsewhere || !expected {
            return self.came_back(asset, cause, out);
        }
        if !self.is_unauthorised(asset) {
            self.end_for_asset(Rule::UnauthorisedExit, asset, cause, out);
        }
        if self.alerts.open(&AlertKey::new(Rule::NotReadyExit, asset.as_str())).is_some()
            && self.why_not_ready(asset).is_none()
        {
            self.end_for_asset(Rule::NotReadyExit, asset, cause, out);
        }
    }

    /// A source caught up: what waited for it is judged.
    pub(super) fn release_exits(&mut self, source: &SourceId, cause: &Cause, out: &mut Vec<Event>) {
        if self.exits.held.is_empty() || !self.has_caught_up(source) {
            return;
        }
        let first = (source.clone(), AssetId::new(""));
        let held = self.exits.held.range(first..).take_while(|(of, _)| of == source);
        let assets: Vec<AssetId> = held.map(|(_, asset)| asset.clone()).collect();
        for asset in assets {
            self.exits.held.remove(&(source.clone(), asset.clone()));
            let Some(left) = &mut self.assets.change(&asset).memory.left else { continue };
            left.held_by = None;
            self.judge_exit(&asset, &Cause::own(cause.received_at, cause.received_at), out);
        }
    }

    pub(super) fn restore_exit(&mut self, asset: &AssetId) {
        let Some(left) = self.assets.get(asset).and_then(|row| row.memory.left.clone()) else { return };
        self.hold_exit(asset, &left);
    }

    pub(super) fn forget_exit(&mut self, asset: &AssetId) {
        self.kits.due.set(asset.clone(), None);
        let left = self.assets.get(asset).and_then(|row| row.memory.left.as_ref());
        if let Some(source) = left.and_then(|left| left.held_by.clone()) {
            self.exits.held.remove(&(source, asset.clone()));
        }
    }

    /// Whether nothing that its source held lies unread.
    pub(super) fn has_caught_up(&self, source: &SourceId) -> bool {
        self.links.iter().find(|link| link.source == *source).is_none_or(|link| link.caught_up)
    }

    pub(super) fn end_for_asset(&mut self, rule: Rule, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        self.alerts.condition(&AlertKey::new(rule, asset.as_str()), None, cause, out);
    }

    fn hold_exit(&mut self, asset: &AssetId, left: &Left) {
        self.forget_exit(asset);
        self.exits.held.extend(left.held_by.clone().map(|source| (source, asset.clone())));
        self.kits.due.set(asset.clone(), left.kit_due);
    }

    fn leaves(&self, asset: &AssetId, direction: Direction, to: Option<&ZoneId>) -> bool {
        let Some(held) = self.register.asset(asset).filter(|held| held.is_expected()) else { return false };
        let allowed = |zone: &ZoneId| {
            held.home_zone.as_ref() == Some(zone)
                || self.register.class(&held.class).is_some_and(|class| class.allowed_zones.contains(zone))
        };
        direction == Direction::Out && !to.is_some_and(allowed)
    }

    fn came_back(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        if self.assets.get(asset).is_none_or(|row| row.memory.left.is_none()) {
            return;
        }
        self.forget_exit(asset);
        self.assets.change(asset).memory.left = None;
        for rule in [Rule::UnauthorisedExit, Rule::NotReadyExit, Rule::KitIncomplete] {
            self.end_for_asset(rule, asset, cause, out);
        }
        self.part_moved(asset, cause, out);
    }

    fn judge_exit(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        let Some(left) = self.assets.get(asset).and_then(|row| row.memory.left.clone()) else { return };
        let since = self.register.local(self.register.home_site(asset), left.at);
        if self.is_unauthorised(asset) {
            let summary = format!(
                "{} left through {} without a checkout at {since}: stop it at the door, or check it out to \
                 whoever has it",
                self.label(asset),
                left.portal
            );
            self.raise_for_asset(Rule::UnauthorisedExit, asset, summary, cause, out);
        }
        if let Some(why) = self.why_not_ready(asset) {
            let summary = format!(
                "{} left through {} at {since} and is not ready: {why}; call it back, or see that nobody \
                 relies on it",
                self.label(asset),
                left.portal
            );
            let new = self.alerts.open(&AlertKey::new(Rule::NotReadyExit, asset.as_str())).is_none();
            self.raise_for_asset(Rule::NotReadyExit, asset, summary, cause, out);
            if new {
                self.note_incident(asset, cause, out);
            }
        }
    }

    /// It is out, its class needs a checkout, and there is and was none.
    fn is_unauthorised(&self, asset: &AssetId) -> bool {
        let Some(row) = self.assets.get(asset) else { return false };
        let Some(left) = &row.memory.left else { return false };
        let needs = self.register.class_of(asset).is_some_and(|class| class.needs_checkout);
        let was_out = row.memory.returned_at.is_some_and(|returned| left.at < returned);
        needs && row.current.checkout.is_none() && !was_out
    }

    /// In words, where it may not go out and nobody let it go all the same.
    fn why_not_ready(&self, asset: &AssetId) -> Option<String> {
        let waived = self.checkout_of(asset).map_or(&[][..], |checkout| &checkout.waived);
        let known = |reason: &Unready| waived.iter().any(|waived| waived.is_same_trouble(reason));
        let mut reasons = self.readiness(asset);
        reasons.retain(|reason| !is_of_a_kit(reason) && !known(reason));
        (!reasons.is_empty()).then(|| told_together(&reasons))
    }
}

/// A part of a kit that goes another way is `kit-incomplete`, once the parts had their time.
fn is_of_a_kit(reason: &Unready) -> bool {
    let away = |trouble: &PartTrouble| !matches!(trouble, PartTrouble::NotReady);
    matches!(reason, Unready::KitPart { trouble, .. } if away(trouble))
}
