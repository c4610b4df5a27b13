//! Health of a tracker that still speaks: a battery that is low, before it is silent; a clock that is wrong, which makes its
//! fixes late, or worthless.

use std::time::Duration;

use super::Tracker;
use super::alerts::Details;
use super::cause::Cause;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, DeviceId};
use crate::domain::readiness::Battery;
use crate::domain::readings::Vitals;
use crate::domain::time::roughly;

/// What is told of it moves by a percent or two with temperature and load: it is over when it is this much above.
const RECOVERED_PERCENT: f64 = 5.0;

impl Tracker {
    /// Raises or ends the alert, by what the tracker said last and what the class of its asset calls low.
    pub(super) fn review_battery(&mut self, device: &DeviceId, cause: &Cause, out: &mut Vec<Event>) {
        let key = AlertKey::new(Rule::TrackerBattery, device.as_str());
        let stands = self.alerts.open(&key).is_some();
        let Some((asset, percent, low)) = self.low_battery_of(device, stands) else {
            return self.alerts.condition(&key, None, cause, out);
        };
        let site = self.register.home_site(&asset).cloned();
        let summary = format!(
            "the battery of tracker {device} of {} is at {percent:.0} %, which is low (below {low:.0} %): charge or change it, \
             or nobody will know where it is",
            self.label(&asset),
        );
        let severity = self.severity_for(&asset);
        let details = Details { site, severity, summary, pending: Duration::ZERO, episode: 0 };
        self.raise(&key, details, cause, out);
    }

    /// What a tracker says of itself that does not know where it is, or has not moved since.
    pub(super) fn vitals_told(
        &mut self,
        device: &DeviceId,
        vitals: Vitals,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        self.engine_told(device, vitals.ignition);
        let Some(percent) = vitals.battery_percent else { return };
        let Some(asset) = self.register.asset_of_tracker(device, cause.observed_at).cloned() else { return };
        let battery = Battery { device: device.clone(), percent };
        self.assets.change(&asset).current.battery = Some(Box::new(battery));
        self.review_battery(device, cause, out);
    }

    /// Cleaning says how far a tracker's clock is off, once it is sure.
    pub(super) fn clock_told(
        &mut self,
        device: &DeviceId,
        ahead_us: i64,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let key = AlertKey::new(Rule::TrackerClock, device.as_str());
        let asset = self.register.asset_of_tracker(device, self.now).cloned();
        let Some(asset) = asset.filter(|_| ahead_us != 0) else {
            return self.alerts.condition(&key, None, cause, out);
        };
        let off = roughly(Duration::from_micros(ahead_us.unsigned_abs()));
        let (way, means) = match ahead_us > 0 {
            true => ("ahead", "that is taken off what it says"),
            false => ("behind", "its fixes are taken for old ones, or set aside as too old"),
        };
        let summary = format!(
            "the clock of tracker {device} of {} is {off} {way}: {means}; set it, or update the tracker",
            self.label(&asset)
        );
        let site = self.register.home_site(&asset).cloned();
        let severity = self.severity_for(&asset);
        let details = Details { site, severity, summary, pending: Duration::ZERO, episode: 0 };
        self.raise(&key, details, cause, out);
    }

    /// Of a tracker that is on no asset any more nobody cares.
    pub(super) fn review_clock(&mut self, device: &DeviceId, cause: &Cause, out: &mut Vec<Event>) {
        if self.register.asset_of_tracker(device, self.now).is_none() {
            self.alerts.condition(&AlertKey::new(Rule::TrackerClock, device.as_str()), None, cause, out);
        }
    }

    fn low_battery_of(&self, device: &DeviceId, stands: bool) -> Option<(AssetId, f64, f64)> {
        let asset = self.register.asset_of_tracker(device, self.now)?;
        let expected = self.register.asset(asset)?.is_expected();
        let low = self.register.class_of(asset).filter(|_| expected)?.low_battery_percent?;
        let battery = self.assets.get(asset)?.current.battery.as_deref()?;
        let bound = if stands { low + RECOVERED_PERCENT } else { low };
        (battery.device == *device && battery.percent < bound).then(|| (asset.clone(), battery.percent, low))
    }
}
