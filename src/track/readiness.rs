//! Whether an asset may go out, and everything that speaks against it.
//!
//! [`Tracker::readiness`] works the reasons out from what is known; nothing here decides what is done about
//! them. The answer is kept in the asset's row and told as an event when it changes. A reason changes with
//! something that happens (a command, a fix, an alarm, a part that moves, a record of the register) or at
//! the date of an inspection, which is a deadline. So whoever changes something touches the assets that it
//! is about ([`super::assets::Assets::touch`]; a row that changes touches itself), and each touched asset is
//! worked out once, at the end of the call, and then the kit that it is a part of.
//!
//! **Inspections** are due `inspect_every` after the last one that was passed; of an asset that never was
//! inspected, after the day of its acquisition, or, where the register does not know it, after the moment
//! at which both the asset and the interval were first known here.
//!
//! **Kits** need one part for each class that theirs names. A part counts that is ready, no ghost, in the
//! same zone as far as zones are known, and with whoever has the kit. A spare part may be anything.

use std::collections::{BTreeMap, BTreeSet};

use super::Tracker;
use super::cause::Cause;
use super::deadlines::Deadlines;
use crate::domain::alerts::{AlertKey, Rule, Severity};
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::{AssetId, ClassId, DeviceId, LimitId, PointId};
use crate::domain::readiness::{HoldKind, PartTrouble, Unready};
use crate::domain::register::{Asset, Carrier, Lifecycle, Record};
use crate::domain::state::{AssetCurrent, Location};
use crate::domain::time::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Readiness {
    /// When inspections fall due.
    inspections: Deadlines<AssetId>,
    /// Assets of which an `overdue-inspection` may be open.
    overdue: BTreeSet<AssetId>,
    /// Critical limits that are exceeded on an asset.
    alarms: BTreeMap<AssetId, BTreeSet<(DeviceId, PointId, LimitId)>>,
    /// Where a sensor with such limits hangs.
    alarmed: BTreeMap<DeviceId, AssetId>,
}

impl Readiness {
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.inspections.first()
    }

    pub fn forget(&mut self, asset: &AssetId) {
        self.inspections.set(asset.clone(), None);
        self.overdue.remove(asset);
        self.alarms.remove(asset);
    }

    /// Takes the alarms of a sensor for those of an asset, or for none; tells whose changed.
    fn set_alarms(
        &mut self,
        device: &DeviceId,
        carrier: Option<AssetId>,
        alarms: Vec<(DeviceId, PointId, LimitId)>,
    ) -> impl Iterator<Item = AssetId> + use<> {
        let before = self.alarmed.remove(device);
        if let Some(asset) = &before
            && let Some(standing) = self.alarms.get_mut(asset)
        {
            standing.retain(|(of, ..)| of != device);
            if standing.is_empty() {
                self.alarms.remove(asset);
            }
        }
        let now = carrier.filter(|_| !alarms.is_empty());
        if let Some(asset) = &now {
            self.alarmed.insert(device.clone(), asset.clone());
            self.alarms.entry(asset.clone()).or_default().extend(alarms);
        }
        before.into_iter().chain(now)
    }
}

impl Tracker {
    /// Everything that speaks against an asset's going out, in a fixed order; empty: it is ready.
    pub fn readiness(&self, asset: &AssetId) -> Vec<Unready> {
        self.readiness_at(asset, self.now)
    }

    pub(super) fn readiness_at(&self, asset: &AssetId, now: Timestamp) -> Vec<Unready> {
        let mut reasons = Vec::new();
        let Some(held) = self.register.asset(asset) else { return reasons };
        match held.lifecycle {
            Lifecycle::Ordered => reasons.push(Unready::Ordered),
            Lifecycle::Retired | Lifecycle::Disposed => reasons.push(Unready::Retired),
            Lifecycle::InMaintenance => reasons.push(Unready::InMaintenance { why: None }),
            Lifecycle::Quarantined => reasons.push(Unready::Quarantined { why: None }),
            Lifecycle::InService => {}
        }
        let current = self.assets.get(asset).map(|row| &row.current);
        if let Some(current) = current {
            reasons.extend(held_back(current));
        }
        let due = self.inspection_due(held).filter(|due| *due <= now);
        reasons.extend(due.map(|since| Unready::InspectionDue { since }));
        reasons.extend(self.alarms_on(asset));
        let class = self.register.class(&held.class);
        reasons.extend(self.low_batteries(asset, now));
        if let Some(class) = class.filter(|class| !class.needs.is_empty()) {
            self.check_kit(asset, &class.needs, &mut reasons);
        }
        reasons
    }

    /// Critical limits that are exceeded on it now.
    pub(super) fn alarms_on(&self, asset: &AssetId) -> impl Iterator<Item = Unready> {
        let alarms = self.readiness.alarms.get(asset).into_iter().flatten().cloned();
        alarms.map(|(device, point, limit)| Unready::ConditionAlarm { device, point, limit })
    }

    /// When its regular inspection is, or was, due.
    pub(super) fn inspection_due(&self, asset: &Asset) -> Option<Timestamp> {
        let every = self.register.class(&asset.class)?.inspect_every?;
        let row = self.assets.get(&asset.id);
        let last = row.and_then(|row| row.current.inspected_at).or_else(|| self.acquired_at(asset));
        let from = last.or_else(|| row.and_then(|row| row.memory.inspections_from))?;
        asset.is_expected().then(|| from + every)
    }

    fn acquired_at(&self, asset: &Asset) -> Option<Timestamp> {
        let date = asset.details.as_ref()?.acquired_on?;
        let site = self.register.home_site(&asset.id).and_then(|site| self.register.site(site));
        let timezone = site.map_or(jiff::tz::TimeZone::UTC, |site| site.timezone.clone());
        let midnight = date.to_zoned(timezone).ok()?;
        Some(Timestamp::from_micros(midnight.timestamp().as_microsecond()))
    }

    fn check_kit(&self, kit: &AssetId, needs: &[ClassId], reasons: &mut Vec<Unready>) {
        let mut wanted: BTreeMap<&ClassId, usize> = BTreeMap::new();
        needs.iter().for_each(|class| *wanted.entry(class).or_default() += 1);
        for (class, count) in wanted {
            let of_class = |part: &&AssetId| self.register.asset(part).is_some_and(|p| p.class == *class);
            let parts: Vec<&AssetId> = self.register.parts(kit).filter(of_class).collect();
            let troubles: Vec<_> =
                parts.iter().filter_map(|part| Some((*part, self.part_trouble(kit, part)?))).collect();
            let fine = parts.len() - troubles.len();
            if fine >= count {
                continue;
            }
            reasons.extend((parts.len()..count).map(|_| Unready::KitMisses { class: class.clone() }));
            reasons.extend(troubles.into_iter().map(|(part, trouble)| Unready::KitPart {
                part: part.clone(),
                class: class.clone(),
                trouble,
            }));
        }
    }

    fn part_trouble(&self, kit: &AssetId, part: &AssetId) -> Option<PartTrouble> {
        let current = self.asset(part)?;
        let kit = self.asset(kit);
        if current.ghost_since.is_some() {
            return Some(PartTrouble::Ghost);
        }
        if !current.ready {
            return Some(PartTrouble::NotReady);
        }
        let holder = |current: &AssetCurrent| current.checkout.as_ref().map(|c| c.holder.clone());
        if let Some(with) = holder(current).filter(|with| kit.and_then(holder).as_ref() != Some(with)) {
            return Some(PartTrouble::CheckedOut(with));
        }
        match (&current.location, kit.map(|kit| &kit.location)) {
            (Location::Zone(zone), Some(Location::Zone(of_kit))) if zone != of_kit => {
                Some(PartTrouble::Elsewhere(zone.clone()))
            }
            _ => None,
        }
    }

    /// Looks for assets whose readiness is no longer what their row says, after a change that may concern
    /// any of them: the rules, a class, a start. The work for each is small, and it is not done per sighting.
    pub(super) fn review_readiness(&mut self) {
        self.review_all_alarms();
        let mut stale = Vec::new();
        for asset in self.register.assets() {
            let told = self.asset(&asset.id);
            let reasons = self.readiness_at(&asset.id, self.now);
            let known = told.map_or(&[][..], |told| &told.not_ready);
            let inspected = self.register.class(&asset.class).is_some_and(|c| c.inspect_every.is_some());
            if reasons != *known || inspected || self.readiness.overdue.contains(&asset.id) {
                stale.push(asset.id.clone());
            }
        }
        stale.iter().for_each(|asset| self.assets.touch(asset));
    }

    /// Takes the exceeded limits of all sensors anew; what follows from it, whoever called works out.
    pub(super) fn review_all_alarms(&mut self) {
        for device in self.sensors.devices() {
            self.review_alarms(&device);
        }
    }

    /// Takes the exceeded limits of a sensor anew, for the asset that it hangs on now.
    pub(super) fn review_alarms(&mut self, device: &DeviceId) {
        let critical = |(point, limit): &(&PointId, LimitId)| {
            self.limit_severity(device, point, limit) == Some(Severity::Critical)
        };
        let carrier = self.register.carrier_of_sensor(device, self.now).and_then(Carrier::asset).cloned();
        let alarms: Vec<_> = self
            .sensors
            .exceeded(device)
            .filter(critical)
            .map(|(point, limit)| (device.clone(), point.clone(), limit))
            .collect();
        for changed in self.readiness.set_alarms(device, carrier, alarms) {
            self.assets.touch(&changed);
        }
    }

    /// The kit that an asset's record named, before it names another or none.
    pub(super) fn touch_kit(&mut self, record: Option<&Record>) {
        if let Some(Record::Asset(asset)) = record
            && let Some(kit) = &asset.part_of
        {
            self.assets.touch(kit);
        }
    }

    /// What a record hangs on something, or did.
    pub(super) fn touch_carriers(&mut self, records: &[Option<&Record>]) {
        for record in records.iter().copied().flatten() {
            if let Some(asset) = record.asset() {
                self.assets.touch(asset);
            }
            if let Record::Sensor(sensor) = record {
                self.review_alarms(&sensor.key);
            }
        }
    }

    /// Works the readiness of every touched asset out, and tells where it changed. What a part is matters to
    /// its kit, which is worked out after it; containment has no cycles, so this ends.
    pub(super) fn settle_readiness(&mut self, cause: &Cause, out: &mut Vec<Event>) {
        while let Some(asset) = self.assets.pop_touched() {
            let Some(held) = self.register.asset(&asset) else { continue };
            if let Some(kit) = &held.part_of {
                self.assets.touch(kit);
            }
            self.schedule_inspection(&asset, &Cause::own(self.now, self.now), out);
            self.renew_readiness(&asset, cause, out);
        }
    }

    fn renew_readiness(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        let reasons = self.readiness(asset);
        if self.asset(asset).map_or(&[][..], |told| &told.not_ready) == reasons {
            return;
        }
        let row = self.assets.change(asset);
        row.current.ready = reasons.is_empty();
        row.current.not_ready = reasons.clone().into();
        row.memory.readiness_changes += 1;
        let change = row.memory.readiness_changes.to_be_bytes();
        let body = EventBody::Readiness { ready: reasons.is_empty(), reasons };
        let cause = Cause { late: false, ..cause.clone() };
        let site = self.site_of_asset(asset);
        out.push(cause.event(site, Subject::Asset(asset.clone()), body, &[&change]));
        self.review_exit(asset, &cause, out);
    }

    /// Sets the date of the next inspection; one that has passed is an alert.
    fn schedule_inspection(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        let Some(held) = self.register.asset(asset) else { return };
        let inspected = self.register.class(&held.class).is_some_and(|class| class.inspect_every.is_some());
        if !inspected && self.readiness.inspections.is_empty() && self.readiness.overdue.is_empty() {
            return;
        }
        let counted = || self.assets.get(asset).is_some_and(|row| row.memory.inspections_from.is_some());
        if inspected && self.inspection_due(held).is_none() && held.is_expected() && !counted() {
            self.assets.change(asset).memory.inspections_from = Some(self.now);
        }
        let due = self.register.asset(asset).and_then(|held| self.inspection_due(held));
        self.readiness.inspections.set(asset.clone(), due.filter(|due| *due > self.now));
        match due.filter(|due| *due <= self.now) {
            Some(due) if self.readiness.overdue.insert(asset.clone()) => {
                self.say_overdue_inspection(asset, due, cause, out);
            }
            Some(_) => {}
            None if self.readiness.overdue.remove(asset) => {
                let key = AlertKey::new(Rule::OverdueInspection, asset.as_str());
                self.alerts.condition(&key, None, cause, out);
            }
            None => {}
        }
    }

    /// Lets the earliest date of an inspection pass.
    pub(super) fn pass_inspection_date(&mut self, until: Timestamp, now: Timestamp, out: &mut Vec<Event>) {
        let Some((at, asset)) = self.readiness.inspections.pop(until) else { return };
        self.schedule_inspection(&asset, &Cause::own(at, now), out);
        self.assets.touch(&asset);
    }

    fn say_overdue_inspection(
        &mut self,
        asset: &AssetId,
        due: Timestamp,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let summary = format!(
            "{} was due to be inspected {}; it is not to go out before it passes: inspect it, and say so",
            self.label(asset),
            self.register.local(self.register.home_site(asset), due)
        );
        self.raise_for_asset(Rule::OverdueInspection, asset, summary, cause, out);
    }

    pub(super) fn restore_readiness(&mut self) {
        let open = self.alerts.open_of(Rule::OverdueInspection);
        self.readiness.overdue = open.into_iter().map(|key| AssetId::new(key.subject)).collect();
    }
}

/// What holds say, and a return that nobody has looked at.
fn held_back(current: &AssetCurrent) -> impl Iterator<Item = Unready> {
    let holds = current.holds.iter().map(|hold| {
        let why = Some(hold.why.clone());
        match hold.kind {
            HoldKind::Maintenance => Unready::InMaintenance { why },
            HoldKind::Quarantine => Unready::Quarantined { why },
        }
    });
    holds.chain(current.awaiting_inspection.map(|since| Unready::AwaitingInspection { since }))
}
