//! A kind of asset; it carries the rules.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::alerts::Severity;
use crate::domain::ids::{ClassId, LimitId, PointId, ZoneId};

#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetClass {
    pub name: ClassId,
    /// Working coverage without a sighting after which an asset in a continuous zone is a ghost.
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub ghost_after: Option<Duration>,
    /// The same while it is in maintenance, where it is moved and covered up; not set: as ever.
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub ghost_after_in_maintenance: Option<Duration>,
    /// Added to due back before a checkout is overdue.
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub overdue_grace: Option<Duration>,
    #[serde(default)]
    pub criticality: Criticality,
    /// A tracker without a message for this long, while its broker worked, is silent.
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub tracker_silent_after: Option<Duration>,
    /// Below this many percent the battery of its tracker is low, and it is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_battery_percent: Option<f64>,
    /// Unused for this long, it is idle.
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub idle_after: Option<Duration>,
    /// What says that it is in use.
    #[serde(default, skip_serializing_if = "Utilisation::is_default")]
    pub utilisation: Utilisation,
    /// It must be inspected this often to be ready.
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub inspect_every: Option<Duration>,
    /// It must be inspected after each return to be ready.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inspect_on_return: bool,
    #[serde(default, skip_serializing_if = "Returns::is_default")]
    pub returns: Returns,
    #[serde(default, skip_serializing_if = "Handover::is_default")]
    pub handover: Handover,
    /// It may not leave through a portal without being checked out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_checkout: bool,
    /// It carries others: what passes out at a door where it stands is in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vehicle: bool,
    /// Where it may be while it is not checked out; empty: anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_zones: Vec<ZoneId>,
    /// Its kit: it is complete with one part of each of these classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<ClassId>,
    /// It is to be counted in an audit this often.
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub audit_every: Option<Duration>,
    /// What sensors on such an asset may say, where their points have no limits of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<ClassLimit>,
}

/// A limit of every sensor point of that name on an asset of the class.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassLimit {
    pub point: PointId,
    pub name: LimitId,
    /// One of these four.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rise_per_min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fall_per_min: Option<f64>,
    /// The window of a rate; not set: five minutes.
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub over: Option<Duration>,
    /// The value must come back this far before the excursion ends.
    #[serde(default)]
    pub deadband: f64,
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub on_delay: Option<Duration>,
    /// For so long it must be back before the excursion ends; not set: a minute.
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub off_delay: Option<Duration>,
    #[serde(default = "warning")]
    pub severity: Severity,
}

fn warning() -> Severity {
    Severity::Warning
}

impl AssetClass {
    /// A class that expects nothing.
    pub fn new(name: ClassId) -> Self {
        Self {
            name,
            ghost_after: None,
            ghost_after_in_maintenance: None,
            overdue_grace: None,
            criticality: Criticality::default(),
            tracker_silent_after: None,
            low_battery_percent: None,
            idle_after: None,
            utilisation: Utilisation::default(),
            inspect_every: None,
            inspect_on_return: false,
            returns: Returns::default(),
            handover: Handover::default(),
            needs_checkout: false,
            vehicle: false,
            allowed_zones: Vec::new(),
            needs: Vec::new(),
            audit_every: None,
            limits: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, JsonSchema, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Criticality {
    Low,
    #[default]
    Normal,
    High,
}

/// What says that an asset is in use.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, JsonSchema, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Utilisation {
    /// It passes portals, changes zones, drives.
    #[default]
    Movement,
    /// It is checked out.
    Custody,
    /// A point of one of its sensors is not zero: an ignition, a load, a run signal.
    Sensor(PointId),
}

impl Utilisation {
    pub fn is_default(&self) -> bool {
        *self == Self::Movement
    }
}

/// What ends a checkout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Returns {
    /// Being sensed at home after having been away, or somebody who says so.
    #[default]
    Sensed,
    /// Only somebody who says so.
    ByHand,
}

impl Returns {
    pub fn is_default(&self) -> bool {
        *self == Self::Sensed
    }
}

/// What becomes of a hand-over that was sensed: an asset and one badge through a portal together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handover {
    /// Somebody is asked.
    #[default]
    Propose,
    /// It is taken for true.
    Accept,
}

impl Handover {
    pub fn is_default(&self) -> bool {
        *self == Self::Propose
    }
}

/// Optional durations as whole or fractional seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(duration) => s.serialize_some(&duration.as_secs_f64()),
            None => s.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
        let seconds: Option<f64> = Option::deserialize(d)?;
        seconds.map(|s| Duration::try_from_secs_f64(s).map_err(serde::de::Error::custom)).transpose()
    }
}
