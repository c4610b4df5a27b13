//! Health of a tracker that still speaks: a battery that is low, before it is silent; a clock that is wrong, which makes its
//! fixes late, or worthless.

use std::time::Duration;

use super::Tracker;
use super::alerts::Details;
use super::cause::Cause;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, DeviceId};
use crate::domain::readiness::{Battery, Unready};
use crate::domain::readings::Vitals;
use crate::domain::time::{Timestamp, roughly, zone_off};

/// What is told of it moves by a percent or two with temperature and load: it is over when it is this much above.
const RECOVERED_PERCENT: f64 = 5.0;

impl Tracker {
    /// Raises or ends the alert, by what the tracker said last and what the class of its asset calls low.
    pub(super) fn review_battery(&mut self, device: &DeviceId, cause: &Cause, out: &mut Vec<Event>) {
        let key = AlertKey::new(Rule::TrackerBattery, device.as_str());
        if let Some(asset) = self.register.asset_of_tracker(device, self.now) {
            self.assets.touch(asset);
        }
        let Some((asset, percent, low)) = self.low_battery_of(device) else {
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
        self.battery_told(&asset, device, percent);
        self.review_battery(device, cause, out);
    }

    /// Each tracker has a battery; the asset's is the lowest of them.
    pub(super) fn battery_told(&mut self, asset: &AssetId, device: &DeviceId, percent: f64) {
        let is_its =
            |of: &DeviceId| of != device && self.register.asset_of_tracker(of, self.now) == Some(asset);
        let known = self.batteries_of(asset).filter(|known| is_its(&known.device)).cloned();
        let mut batteries: Vec<Battery> =
            known.chain([Battery { device: device.clone(), percent }]).collect();
        batteries.sort_by(|a, b| a.percent.total_cmp(&b.percent).then_with(|| a.device.cmp(&b.device)));
        let row = self.assets.change(asset);
        row.current.battery = Some(Box::new(batteries.remove(0)));
        row.memory.batteries = batteries.into();
    }

    fn batteries_of(&self, asset: &AssetId) -> impl Iterator<Item = &Battery> {
        let row = self.assets.get(asset).into_iter();
        row.flat_map(|row| row.current.battery.as_deref().into_iter().chain(&row.memory.batteries))
    }

    /// What a tracker of it said last.
    pub(super) fn battery_of(&self, asset: &AssetId, device: &DeviceId) -> Option<f64> {
        self.batteries_of(asset).find(|battery| battery.device == *device).map(|battery| battery.percent)
    }

    /// Its trackers whose battery is low, by name. One that falls slowly is told of once.
    pub(super) fn low_batteries(&self, asset: &AssetId, now: Timestamp) -> Vec<Unready> {
        let is_its = |device: &DeviceId| self.register.asset_of_tracker(device, now) == Some(asset);
        let its = self.batteries_of(asset).filter(|battery| is_its(&battery.device));
        let low = its.filter(|battery| self.low_battery_of(&battery.device).is_some());
        let mut low: Vec<Battery> = low.cloned().collect();
        low.sort_by(|a, b| a.device.cmp(&b.device));
        let told = |battery: Battery| {
            let told = self.told_low(asset, &battery.device);
            let percent = told.filter(|told| battery.percent > told - RECOVERED_PERCENT);
            Unready::BatteryLow { percent: percent.unwrap_or(battery.percent), device: battery.device }
        };
        low.into_iter().map(told).collect()
    }

    /// At how much it was told to be low, where the asset is not ready for it.
    fn told_low(&self, asset: &AssetId, device: &DeviceId) -> Option<f64> {
        self.asset(asset)?.not_ready.iter().find_map(|reason| match reason {
            Unready::BatteryLow { device: of, percent } if of == device => Some(*percent),
            _ => None,
        })
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
        let remedy = match zone_off(ahead_us) {
            Some(_) => "it may tell local time for UTC: set it to UTC, or the `time_zone` of its mapping",
            None => "set it, or update the tracker",
        };
        let summary = format!(
            "the clock of tracker {device} of {} is {off} {way}: {means}; {remedy}",
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

    /// On which asset a battery is low, how full it is, and what is low there. One that was told is so until it recovered.
    fn low_battery_of(&self, device: &DeviceId) -> Option<(AssetId, f64, f64)> {
        let asset = self.register.asset_of_tracker(device, self.now)?;
        let expected = self.register.asset(asset)?.is_expected();
        let low = self.register.class_of(asset).filter(|_| expected)?.low_battery_percent?;
        let percent = self.battery_of(asset, device)?;
        let alert = self.alerts.open(&AlertKey::new(Rule::TrackerBattery, device.as_str()));
        let stands = alert.is_some() || self.told_low(asset, device).is_some();
        let bound = if stands { low + RECOVERED_PERCENT } else { low };
        (percent < bound).then(|| (asset.clone(), percent, low))
    }
}
