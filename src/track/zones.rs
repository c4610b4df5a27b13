//! `wrong-zone`: somewhere that its class does not allow, while it is not checked out, for longer than
//! `wrong_zone_after` on our clock.
//!
//! Its home zone is always allowed. An asset in maintenance goes where the workshop is, and one that left
//! without a checkout has its alert already: neither is told of here.

use super::Tracker;
use super::cause::Cause;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, ReadPointId, ZoneId};
use crate::domain::state::{Location, SensedBy};

impl Tracker {
    /// Its location changed, or who has it, or what it is.
    pub(super) fn review_zone(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        let Some(zone) = self.wrong_zone(asset).cloned() else {
            return self.end_for_asset(Rule::WrongZone, asset, cause, out);
        };
        let summary = format!(
            "{} is in {zone}, where nothing of its class should be: bring it back, or check it out to \
             whoever uses it there",
            self.label(asset)
        );
        let pending = self.topology.alerts.assets.wrong_zone_after;
        // It counts from when we know: what a source held back may yet say that it went on.
        let cause = Cause { observed_at: cause.received_at, late: false, ..cause.clone() };
        self.raise_for_asset_after(Rule::WrongZone, asset, summary, pending, &cause, out);
    }

    /// The read point that last sensed the asset of a `wrong-zone` alert.
    pub(super) fn sensed_at(&self, asset: &str) -> Option<&ReadPointId> {
        match &self.assets.get(&AssetId::new(asset))?.current.last_sensed.as_ref()?.by {
            SensedBy::ReadPoint(read_point) => Some(read_point),
            SensedBy::Tracker(_) | SensedBy::Hand(_) => None,
        }
    }

    fn wrong_zone(&self, asset: &AssetId) -> Option<&ZoneId> {
        let row = self.assets.get(asset)?;
        let Location::Zone(zone) = &row.current.location else { return None };
        let held = self.register.asset(asset).filter(|held| held.is_expected())?;
        let allowed = &self.register.class(&held.class)?.allowed_zones;
        let right = allowed.is_empty() || allowed.contains(zone) || held.home_zone.as_ref() == Some(zone);
        let told = self.alerts.open(&AlertKey::new(Rule::UnauthorisedExit, asset.as_str())).is_some();
        let excused = row.current.checkout.is_some() || self.is_in_maintenance(held) || told;
        (!right && !excused).then_some(zone)
    }
}
