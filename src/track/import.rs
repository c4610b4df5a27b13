//! Checks an import as a whole: every reference exists, nothing is attached twice, nothing is named
//! twice. A refusal names the record, and then nothing of the import is done.

use std::collections::{HashMap, HashSet};

use super::register::Register;
use crate::domain::commands::Refused;
use crate::domain::ids::{AssetId, ZoneId};
use crate::domain::register::{Asset, AssetClass, Record, SensorAttachment, Zone};

/// What an import brings, for the references within it.
pub(super) struct Staged<'a> {
    register: &'a Register,
    keys: HashSet<(&'static str, String)>,
    assets: HashMap<&'a AssetId, &'a Asset>,
}

impl<'a> Staged<'a> {
    /// Errors: `Invalid` for what makes no sense by itself or refers to nothing, `Conflict` for what
    /// clashes with the register.
    pub fn check(register: &'a Register, records: &'a [Record]) -> Result<Self, Refused> {
        let mut staged = Self { register, keys: HashSet::new(), assets: HashMap::new() };
        for (index, record) in records.iter().enumerate() {
            staged.collect(record).map_err(|refused| name(refused, index, record))?;
        }
        for (index, record) in records.iter().enumerate() {
            staged.check_one(record).map_err(|refused| name(refused, index, record))?;
        }
        Ok(staged)
    }

    /// The asset as it will be after the import.
    pub fn asset(&self, id: &AssetId) -> Option<&Asset> {
        self.assets.get(id).copied().or_else(|| self.register.asset(id))
    }

    fn collect(&mut self, record: &'a Record) -> Result<(), Refused> {
        if record.key().is_empty() {
            return Err(invalid("its name is empty"));
        }
        if !self.keys.insert((record.table(), record.key())) {
            return Err(invalid("the import has this record twice"));
        }
        if let Record::Asset(asset) = record {
            self.assets.insert(&asset.id, asset);
        }
        Ok(())
    }

    fn check_one(&self, record: &Record) -> Result<(), Refused> {
        match record {
            Record::Zone(zone) => self.check_zone(zone),
            Record::Class(class) => self.check_class(class),
            Record::Asset(asset) => self.check_asset(asset),
            Record::Tag(tag) => self.check_attached(record, &tag.asset, self.register.asset_of_tag(&tag.epc)),
            Record::Tracker(tracker) => {
                let held = self.register.asset_of_tracker(&tracker.device);
                self.check_attached(record, &tracker.asset, held)
            }
            Record::Sensor(sensor) => self.check_sensor(record, sensor),
        }
    }

    fn check_zone(&self, zone: &Zone) -> Result<(), Refused> {
        if self.register.owns_zone(zone.name.as_str()) {
            return Err(owned());
        }
        match self.register.has_site(&zone.site) {
            true => Ok(()),
            false => Err(invalid(format!("there is no site `{}` in the configuration", zone.site))),
        }
    }

    fn check_class(&self, class: &AssetClass) -> Result<(), Refused> {
        if self.register.owns_class(class.name.as_str()) {
            return Err(owned());
        }
        match class.ghost_after {
            Some(after) if after.is_zero() => Err(invalid("`ghost_after` must be more than 0 s")),
            _ => Ok(()),
        }
    }

    fn check_asset(&self, asset: &Asset) -> Result<(), Refused> {
        let class = self.register.class(&asset.class).is_some()
            || self.keys.contains(&("class", asset.class.to_string()));
        if !class {
            return Err(invalid(format!("there is no class `{}`", asset.class)));
        }
        match &asset.home_zone {
            Some(zone) => self.check_zone_exists(zone),
            None => Ok(()),
        }
    }

    fn check_zone_exists(&self, zone: &ZoneId) -> Result<(), Refused> {
        let known = self.register.zone(zone).is_some() || self.keys.contains(&("zone", zone.to_string()));
        if known { Ok(()) } else { Err(invalid(format!("there is no zone `{zone}`"))) }
    }

    fn check_sensor(&self, record: &Record, sensor: &SensorAttachment) -> Result<(), Refused> {
        match (&sensor.asset, &sensor.zone) {
            (Some(asset), None) => self.check_carrier(record, asset),
            (None, Some(zone)) => self.check_zone_exists(zone),
            _ => Err(invalid("a sensor is attached to one asset or to one zone")),
        }
    }

    fn check_attached(
        &self,
        record: &Record,
        asset: &AssetId,
        held: Option<&AssetId>,
    ) -> Result<(), Refused> {
        match held {
            Some(held) if held != asset => Err(conflict(format!(
                "it is attached to asset `{held}`; remove it there before it goes to `{asset}`"
            ))),
            _ => self.check_carrier(record, asset),
        }
    }

    /// Something may hang on an asset that is known and not retired; what already does stays.
    fn check_carrier(&self, record: &Record, asset: &AssetId) -> Result<(), Refused> {
        let Some(carrier) = self.asset(asset) else {
            return Err(invalid(format!("there is no asset `{asset}`")));
        };
        if carrier.retired && self.register.effect(record).unchanged == 0 {
            return Err(conflict(format!("asset `{asset}` is retired")));
        }
        Ok(())
    }
}

pub(super) fn invalid(reason: impl Into<String>) -> Refused {
    Refused::Invalid { reason: reason.into() }
}

pub(super) fn conflict(reason: impl Into<String>) -> Refused {
    Refused::Conflict { reason: reason.into() }
}

pub(super) fn owned() -> Refused {
    conflict("the configuration file declares it; change it there")
}

/// Puts the record's place and name before the reason. Records count from 1.
fn name(refused: Refused, index: usize, record: &Record) -> Refused {
    let named =
        |reason: String| format!("record {} ({} `{}`): {reason}", index + 1, record.table(), record.key());
    match refused {
        Refused::Invalid { reason } => Refused::Invalid { reason: named(reason) },
        Refused::Conflict { reason } => Refused::Conflict { reason: named(reason) },
        other => other,
    }
}
