//! Everything behind what is said of one asset: where it is, who has it, and why it is or is not a ghost.

use serde::Serialize;

use super::events::EventView;
use super::problem::Problem;
use crate::config::Rules;
use crate::domain::alerts::{Alert, AlertKey, Rule};
use crate::domain::ids::{ClassId, ZoneId};
use crate::domain::register::{Asset, Record};
use crate::domain::state::{AssetCurrent, Location, StateKind};
use crate::journal::{EventQuery, Reader};

/// How much of an asset's history is told.
const RECENT_EVENTS: usize = 20;

#[derive(Serialize)]
pub struct Explanation {
    pub asset: Asset,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Record>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home_zone: Option<Record>,
    /// The zone it is in now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Record>,
    pub current: Option<AssetCurrent>,
    pub alerts: Vec<Alert>,
    /// Newest first.
    pub recent: Vec<EventView>,
}

/// `None` where the register does not know the asset.
pub async fn explain(
    reader: &Reader,
    rules: &Rules,
    asset: &str,
) -> Result<Option<Explanation>, ExplainError> {
    let Some(Record::Asset(asset)) = record(reader, &format!("asset/{asset}")).await? else {
        return Ok(None);
    };
    let class = class(reader, rules, &asset.class).await?;
    let current = reader.state(StateKind::Asset, asset.id.as_str()).await?;
    let current: Option<AssetCurrent> = current.map(|row| serde_json::from_slice(&row)).transpose()?;
    let here = current.as_ref().and_then(|current| match &current.location {
        Location::Zone(zone) => Some(zone.clone()),
        Location::Unknown | Location::OutThrough(_) | Location::At(_) => None,
    });
    let home_zone = zone(reader, rules, asset.home_zone.as_ref()).await?;
    let zone = zone(reader, rules, here.as_ref()).await?;
    let mut alerts = Vec::new();
    for rule in [Rule::Ghost, Rule::OverdueReturn] {
        let key = AlertKey::new(rule, asset.id.as_str()).to_string();
        if let Some(row) = reader.state(StateKind::Alert, &key).await? {
            alerts.push(serde_json::from_slice(&row)?);
        }
    }
    let query = EventQuery {
        subject: Some(format!("asset:{}", asset.id)),
        limit: RECENT_EVENTS,
        ..EventQuery::default()
    };
    let recent = reader.events(&query).await?;
    let recent = recent.into_iter().map(EventView::try_from).collect::<Result<_, _>>()?;
    Ok(Some(Explanation { asset, class, home_zone, zone, current, alerts, recent }))
}

/// Why an explanation could not be given.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    #[error("failed to read the journal")]
    Journal(#[from] crate::journal::JournalError),
    #[error("failed to read a row of the journal")]
    Row(#[from] serde_json::Error),
}

impl From<ExplainError> for Problem {
    fn from(error: ExplainError) -> Self {
        match error {
            ExplainError::Journal(error) => error.into(),
            ExplainError::Row(error) => error.into(),
        }
    }
}

/// What the configuration declares is not in the register's rows.
async fn class(reader: &Reader, rules: &Rules, name: &ClassId) -> Result<Option<Record>, ExplainError> {
    match rules.classes.iter().find(|class| class.name == *name) {
        Some(class) => Ok(Some(Record::Class(class.clone()))),
        None => record(reader, &format!("class/{name}")).await,
    }
}

async fn zone(reader: &Reader, rules: &Rules, name: Option<&ZoneId>) -> Result<Option<Record>, ExplainError> {
    let Some(name) = name else { return Ok(None) };
    match rules.zones.iter().find(|zone| zone.name == *name) {
        Some(zone) => Ok(Some(Record::Zone(zone.clone()))),
        None => record(reader, &format!("zone/{name}")).await,
    }
}

async fn record(reader: &Reader, key: &str) -> Result<Option<Record>, ExplainError> {
    let row = reader.state(StateKind::Register, key).await?;
    Ok(row.map(|row| serde_json::from_slice(&row)).transpose()?)
}
