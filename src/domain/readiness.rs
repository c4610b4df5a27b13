//! Why an asset may not go out: the reasons, and what people put on it to hold it back.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::{AssetId, ClassId, DeviceId, LimitId, PointId, ZoneId};
use super::time::Timestamp;

/// What keeps an asset in until somebody lifts it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    pub kind: HoldKind,
    /// In words, for whoever is refused it.
    pub why: String,
    pub since: Timestamp,
    /// Who put it on; `tallyman` where the daemon did.
    pub by: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HoldKind {
    /// It is being worked on.
    Maintenance,
    /// Not to be used before somebody has looked at it.
    Quarantine,
}

impl HoldKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Maintenance => "maintenance",
            Self::Quarantine => "quarantine",
        }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Battery {
    pub device: DeviceId,
    pub percent: f64,
}

/// One reason why an asset may not go out. Each holds until something happens; none changes with time alone.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Unready {
    /// It has not come yet.
    Ordered,
    /// Retired or disposed of.
    Retired,
    /// `why` is there where a hold says it, and not where the register does.
    InMaintenance {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    Quarantined {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// It came back at that time, and its class is inspected after each return.
    AwaitingInspection {
        since: Timestamp,
    },
    /// Its regular inspection was due then.
    InspectionDue {
        since: Timestamp,
    },
    /// A sensor on it is past a limit of critical severity.
    ConditionAlarm {
        device: DeviceId,
        point: PointId,
        limit: LimitId,
    },
    BatteryLow {
        device: DeviceId,
        percent: f64,
    },
    /// A kit without any part of a class that it needs.
    KitMisses {
        class: ClassId,
    },
    /// A kit whose part of a class that it needs cannot go with it.
    KitPart {
        part: AssetId,
        class: ClassId,
        trouble: PartTrouble,
    },
}

/// Why a part cannot go with its kit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PartTrouble {
    Ghost,
    NotReady,
    /// In another zone than the kit.
    Elsewhere(ZoneId),
    /// Somebody has it who does not have the kit.
    CheckedOut(String),
}

impl Unready {
    /// Whether both are the same trouble, whatever it measures or says by now.
    pub fn is_same_trouble(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::InMaintenance { .. }, Self::InMaintenance { .. })
            | (Self::Quarantined { .. }, Self::Quarantined { .. }) => true,
            (Self::BatteryLow { device, .. }, Self::BatteryLow { device: of, .. }) => device == of,
            (Self::KitPart { part, .. }, Self::KitPart { part: of, .. }) => part == of,
            (this, other) => this == other,
        }
    }

    /// As a clause, with times as `at` writes them: by the site's clock.
    pub fn told(&self, at: &dyn Fn(Timestamp) -> String) -> String {
        match self {
            Self::AwaitingInspection { since } => {
                format!("it waits for its inspection since it came back, {}", at(*since))
            }
            Self::InspectionDue { since } => format!("its inspection was due {}", at(*since)),
            other => other.to_string(),
        }
    }
}

/// A clause, with times in UTC.
impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let because = |why: &Option<String>| why.as_ref().map_or(String::new(), |why| format!(": {why}"));
        match self {
            Self::Ordered => f.write_str("it has not been delivered yet"),
            Self::Retired => f.write_str("it is retired"),
            Self::InMaintenance { why } => write!(f, "it is in maintenance{}", because(why)),
            Self::Quarantined { why } => write!(f, "it is quarantined{}", because(why)),
            Self::AwaitingInspection { since } => {
                write!(f, "it waits for its inspection since it came back, {since}")
            }
            Self::InspectionDue { since } => write!(f, "its inspection was due {since}"),
            Self::ConditionAlarm { device, point, limit } => {
                write!(f, "{point} of {device} is past its limit {limit}")
            }
            Self::BatteryLow { device, percent } => {
                write!(f, "the battery of tracker {device} is low, {percent:.0} %")
            }
            Self::KitMisses { class } => write!(f, "its kit has no {class}"),
            Self::KitPart { part, class, trouble } => {
                write!(f, "its {class} {part} ")?;
                match trouble {
                    PartTrouble::Ghost => f.write_str("is a ghost"),
                    PartTrouble::NotReady => f.write_str("is not ready"),
                    PartTrouble::Elsewhere(zone) => write!(f, "is in {zone}"),
                    PartTrouble::CheckedOut(holder) => write!(f, "is checked out to {holder}"),
                }
            }
        }
    }
}

/// All reasons in one line.
pub fn told_together(reasons: &[Unready]) -> String {
    reasons.iter().map(Unready::to_string).collect::<Vec<_>>().join("; ")
}
