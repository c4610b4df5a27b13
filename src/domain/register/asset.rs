//! One thing of the company's.

use std::collections::BTreeMap;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ClassLimit;
use crate::domain::ids::{AssetId, ClassId, Pool, ZoneId};

#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(from = "RawAsset", into = "RawAsset")]
pub struct Asset {
    pub id: AssetId,
    pub class: ClassId,
    pub name: Option<String>,
    pub home_zone: Option<ZoneId>,
    pub lifecycle: Lifecycle,
    /// The kit that it belongs to.
    pub part_of: Option<AssetId>,
    /// What only the books know of it, and limits of its own; most assets of a large register have none of it.
    pub details: Option<Box<Details>>,
    pub attributes: BTreeMap<String, String>,
}

/// What the books say, and what is particular to it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Details {
    /// GIAI or GRAI as a URI, or the company's own inventory number.
    pub number: Option<String>,
    pub owner: Option<String>,
    pub cost_centre: Option<String>,
    pub acquired_on: Option<Date>,
    pub warranty_until: Option<Date>,
    pub retired_on: Option<Date>,
    /// What its sensors may say, in place of all that its class has; empty: as its class has it.
    pub limits: Vec<ClassLimit>,
}

/// Where an asset is in its life, as the register has it. What the daemon holds back by itself
/// (quarantine after a return with damage) stands beside this, in the state.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, JsonSchema, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Lifecycle {
    /// Not there yet; not expected anywhere.
    Ordered,
    #[default]
    InService,
    InMaintenance,
    Quarantined,
    /// Not expected anywhere.
    Retired,
    /// No longer the company's.
    Disposed,
}

impl Lifecycle {
    pub const ALL: [Self; 6] = [
        Self::Ordered,
        Self::InService,
        Self::InMaintenance,
        Self::Quarantined,
        Self::Retired,
        Self::Disposed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::InService => "in-service",
            Self::InMaintenance => "in-maintenance",
            Self::Quarantined => "quarantined",
            Self::Retired => "retired",
            Self::Disposed => "disposed",
        }
    }
}

impl Asset {
    /// An asset in service of which nothing else is known.
    pub fn new(id: AssetId, class: ClassId) -> Self {
        Self {
            id,
            class,
            name: None,
            home_zone: None,
            lifecycle: Lifecycle::default(),
            part_of: None,
            details: None,
            attributes: BTreeMap::new(),
        }
    }

    pub(super) fn share(&mut self, pool: &mut Pool) {
        self.class.share(pool);
        self.home_zone.iter_mut().for_each(|zone| zone.share(pool));
        self.part_of.iter_mut().for_each(|kit| kit.share(pool));
    }

    /// Out of use for good.
    pub fn is_retired(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::Retired | Lifecycle::Disposed)
    }

    /// Whether it should be somewhere.
    pub fn is_expected(&self) -> bool {
        !self.is_retired() && self.lifecycle != Lifecycle::Ordered
    }
}

/// The JSON form. `retired` is how earlier versions wrote the end of a life.
#[derive(Serialize, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Asset")]
struct RawAsset {
    /// Which table it is of, where that is known already.
    #[schemars(skip)]
    #[serde(default, rename = "table", skip_serializing)]
    _table: serde::de::IgnoredAny,
    id: AssetId,
    class: ClassId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    home_zone: Option<ZoneId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lifecycle: Option<Lifecycle>,
    #[serde(default, skip_serializing)]
    retired: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part_of: Option<AssetId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cost_centre: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acquired_on: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    warranty_until: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retired_on: Option<Date>,
    /// What its sensors may say, in place of all that its class has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    limits: Vec<ClassLimit>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
}

impl From<RawAsset> for Asset {
    fn from(raw: RawAsset) -> Self {
        let details = Details {
            number: raw.number,
            owner: raw.owner,
            cost_centre: raw.cost_centre,
            acquired_on: raw.acquired_on,
            warranty_until: raw.warranty_until,
            retired_on: raw.retired_on,
            limits: raw.limits,
        };
        let retired = if raw.retired { Lifecycle::Retired } else { Lifecycle::InService };
        Self {
            id: raw.id,
            class: raw.class,
            name: raw.name,
            home_zone: raw.home_zone,
            lifecycle: raw.lifecycle.unwrap_or(retired),
            part_of: raw.part_of,
            details: details.boxed(),
            attributes: raw.attributes,
        }
    }
}

impl From<Asset> for RawAsset {
    fn from(asset: Asset) -> Self {
        let details = asset.details.map(|details| *details).unwrap_or_default();
        Self {
            _table: serde::de::IgnoredAny,
            id: asset.id,
            class: asset.class,
            name: asset.name,
            home_zone: asset.home_zone,
            lifecycle: (asset.lifecycle != Lifecycle::InService).then_some(asset.lifecycle),
            retired: false,
            part_of: asset.part_of,
            number: details.number,
            owner: details.owner,
            cost_centre: details.cost_centre,
            acquired_on: details.acquired_on,
            warranty_until: details.warranty_until,
            retired_on: details.retired_on,
            limits: details.limits,
            attributes: asset.attributes,
        }
    }
}

impl Details {
    /// `None` where there is nothing in it.
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}
