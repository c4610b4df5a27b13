//! Everything behind what is said of one asset: where it is, who has it, and why it is or is not a ghost.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::doors::{StandsAt, doors_of};
pub use super::events::EventView;
use super::events::sites;
use super::problem::Problem;
use crate::config::Rules;
use crate::domain::alerts::{Alert, AlertKey, Rule};
use crate::domain::ids::{AssetId, ClassId, DeviceId, ReadPointId, SourceId, ZoneId};
use crate::domain::orders::Scope;
use crate::domain::register::{Asset, Attachment, Maintenance, Record};
use crate::domain::state::{AssetCurrent, LinkCurrent, Location, SensorCurrent, StateKind};
use crate::domain::time::Timestamp;
use crate::journal::{EventQuery, Reader, StateRows};
use crate::track::{AssetRow, WatchRow, Watched};

mod sensors;
mod trackers;

use sensors::sensors;
pub use trackers::TrackerOn;
use trackers::trackers;

/// How much of an asset's history is told.
const RECENT_EVENTS: usize = 20;
/// Rows read at once.
const PAGE: usize = 1000;
/// Tracking allows fewer within one another.
const MOST_VEHICLES: usize = 16;

#[derive(Serialize, JsonSchema)]
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
    /// What it is in, from the nearest to the outermost, which says where it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vehicles: Vec<AssetCurrent>,
    /// The doors at which it stands now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doors: Vec<StandsAt>,
    /// Where it is listened for; absent where silence says nothing of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ghost_clock: Option<GhostClock>,
    /// What its sensors said last. A value whose quality is `stale` is the last good one, of when it was read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sensors: Vec<SensorCurrent>,
    /// The trackers on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trackers: Vec<TrackerOn>,
    /// Its own, and those of the trackers on it.
    pub alerts: Vec<Alert>,
    /// Newest first.
    pub recent: Vec<EventView>,
}

/// The clock that counts an asset's silence, as it was last written: at every change, and every minute.
#[derive(Serialize, JsonSchema)]
pub struct GhostClock {
    /// It runs while all of these hear.
    pub read_points: Vec<ReadPointId>,
    pub runs: bool,
    /// The planned work for which it stands still.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    /// Silence that counted so far, in seconds; the clock may have gone on since.
    pub silent_s: f64,
    /// How much of it makes a ghost.
    pub ghost_after_s: f64,
    /// Many fell silent with it: the watcher is suspect, and no ghost is told meanwhile.
    pub held_back: bool,
    /// Sources of these read points that are not connected, or are catching up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_hearing: Vec<LinkCurrent>,
}

/// `None` where the register does not know the asset. Of what happened to it, and of its alerts, what is within `scope`.
pub async fn explain(
    reader: &Reader,
    rules: &Rules,
    asset: &str,
    scope: &Scope,
    now: Timestamp,
) -> Result<Option<Explanation>, ExplainError> {
    let Some(Record::Asset(asset)) = record(reader, &format!("asset/{asset}")).await? else {
        return Ok(None);
    };
    let class = class(reader, rules, &asset.class).await?;
    let current = reader.state(StateKind::Asset, asset.id.as_str()).await?;
    let row: Option<AssetRow> = current.map(|row| serde_json::from_slice(&row)).transpose()?;
    let watched = row.as_ref().and_then(|row| row.memory.watched.clone());
    let current = row.map(|row| row.current);
    let ghost_clock = match watched {
        Some(watched) => ghost_clock(reader, rules, &watched).await?,
        None => None,
    };
    let here = current.as_ref().and_then(|current| match &current.location {
        Location::Zone(zone) => Some(zone.clone()),
        Location::Unknown | Location::OutThrough(_) | Location::At(_) | Location::In(_) => None,
    });
    let home_zone = zone(reader, rules, asset.home_zone.as_ref()).await?;
    let zone = zone(reader, rules, here.as_ref()).await?;
    let query = EventQuery {
        subject: Some(format!("asset:{}", asset.id)),
        sites: sites(scope, None).unwrap_or_default(),
        limit: RECENT_EVENTS,
        ..EventQuery::default()
    };
    let recent = reader.events(&query).await?;
    let recent = recent.into_iter().map(EventView::try_from).collect::<Result<_, _>>()?;
    let vehicles = vehicles(reader, current.as_ref()).await?;
    let (sensors, trackers) =
        (sensors(reader, &asset.id, now).await?, trackers(reader, &asset.id, now).await?);
    let mut alerts = alerts(reader, &asset.id, &trackers).await?;
    alerts.retain(|alert| scope.covers(alert.site.as_ref()));
    let doors = doors_of(reader, rules, &asset.id).await?;
    Ok(Some(Explanation {
        asset,
        class,
        home_zone,
        zone,
        current,
        vehicles,
        doors,
        ghost_clock,
        sensors,
        trackers,
        alerts,
        recent,
    }))
}

async fn alerts(
    reader: &Reader,
    asset: &AssetId,
    trackers: &[TrackerOn],
) -> Result<Vec<Alert>, ExplainError> {
    let its = Rule::ALL.into_iter().filter(|rule| rule.is_about_asset());
    let its = its.map(|rule| AlertKey::new(rule, asset.as_str()));
    let of_trackers = trackers.iter().flat_map(|TrackerOn { device, .. }| {
        let rules = Rule::ALL.into_iter().filter(|rule| rule.is_about_tracker());
        rules.map(|rule| AlertKey::new(rule, device.as_str()))
    });
    let mut alerts = Vec::new();
    for key in its.chain(of_trackers) {
        if let Some(row) = reader.state(StateKind::Alert, &key.to_string()).await? {
            alerts.push(serde_json::from_slice(&row)?);
        }
    }
    Ok(alerts)
}

/// What it is in, and what that is in: from the nearest to the outermost, which says where it is.
async fn vehicles(
    reader: &Reader,
    current: Option<&AssetCurrent>,
) -> Result<Vec<AssetCurrent>, ExplainError> {
    let mut vehicles: Vec<AssetCurrent> = Vec::new();
    while vehicles.len() < MOST_VEHICLES
        && let Some(AssetCurrent { location: Location::In(vehicle), .. }) = vehicles.last().or(current)
        && let Some(row) = reader.state(StateKind::Asset, vehicle.as_str()).await?
    {
        vehicles.push(serde_json::from_slice(&row)?);
    }
    Ok(vehicles)
}

async fn ghost_clock(
    reader: &Reader,
    rules: &Rules,
    watched: &Watched,
) -> Result<Option<GhostClock>, ExplainError> {
    let Some(row) = reader.state(StateKind::Watch, &watched.group).await? else { return Ok(None) };
    let row: WatchRow = serde_json::from_slice(&row)?;
    let mut not_hearing = Vec::new();
    for source in sources(rules, &row.read_points) {
        if let Some(link) = reader.state(StateKind::Link, source.as_str()).await? {
            let link: LinkCurrent = serde_json::from_slice(&link)?;
            if !link.up || !link.caught_up {
                not_hearing.push(link);
            }
        }
    }
    let maintenance = match &row.maintenance {
        Some(name) => match record(reader, &format!("maintenance/{name}")).await? {
            Some(Record::Maintenance(planned)) => Some(planned),
            _ => None,
        },
        None => None,
    };
    let seconds = |micros: i64| micros.max(0) as f64 / 1e6;
    Ok(Some(GhostClock {
        runs: row.hearing,
        maintenance,
        silent_s: seconds(row.heard_us.saturating_sub(watched.last_us)),
        ghost_after_s: seconds(watched.after_us),
        held_back: watched.held,
        not_hearing,
        read_points: row.read_points,
    }))
}

/// The readers of some read points, or of the shares of their antennas, in order of name.
fn sources(rules: &Rules, read_points: &[ReadPointId]) -> BTreeSet<SourceId> {
    let named = |name: &ReadPointId| read_points.contains(name);
    let points =
        rules.read_points.iter().filter(|point| named(&point.name) || point.ears().iter().any(named));
    points.flat_map(|point| &point.antennas).map(|antenna| antenna.source.clone()).collect()
}

/// Why an explanation could not be given.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    #[error("failed to read the journal")]
    Journal(#[from] crate::journal::JournalError),
    #[error("failed to read a row of the journal")]
    Row(#[from] serde_json::Error),
    #[error("failed to read a row of a tracker")]
    Tracker(#[from] crate::clean::CleanRestoreError),
}

impl From<ExplainError> for Problem {
    fn from(error: ExplainError) -> Self {
        match error {
            ExplainError::Journal(error) => error.into(),
            ExplainError::Row(error) => error.into(),
            ExplainError::Tracker(error) => error.into(),
        }
    }
}

/// What the configuration declares is not in the register's rows.
async fn class(reader: &Reader, rules: &Rules, name: &ClassId) -> Result<Option<Record>, ExplainError> {
    match rules.classes.iter().find(|class| class.name == *name) {
        Some(class) => Ok(Some(Record::Class(Box::new(class.clone())))),
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

pub(super) async fn record(reader: &Reader, key: &str) -> Result<Option<Record>, ExplainError> {
    let row = reader.state(StateKind::Register, key).await?;
    Ok(row.map(|row| serde_json::from_slice(&row)).transpose()?)
}

/// The devices of one table that are on it now, by name.
async fn attached(
    reader: &Reader,
    prefix: &str,
    asset: &AssetId,
    now: Timestamp,
    of: impl Fn(Record) -> Option<Attachment<DeviceId>>,
) -> Result<BTreeSet<DeviceId>, ExplainError> {
    let mut devices = BTreeSet::new();
    let mut after: Option<String> = None;
    loop {
        let page = reader.state_rows(StateRows::Register { prefix }, after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(devices) };
        after = Some(last.key.clone());
        for row in &page {
            if let Some(attachment) = of(serde_json::from_slice(&row.value)?)
                && attachment.holds_at(now)
                && attachment.carrier.asset() == Some(asset)
            {
                devices.insert(attachment.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list that is left out where it is empty is promised to nobody.
    #[test]
    fn what_may_be_left_out_is_not_required() {
        for (schema, lists) in [
            (schemars::schema_for!(Explanation), &["vehicles", "sensors", "trackers"][..]),
            (schemars::schema_for!(GhostClock), &["not_hearing", "maintenance"][..]),
        ] {
            let schema = schema.to_value();
            let required = schema["required"].as_array().expect("some are");
            assert!(lists.iter().all(|list| !required.contains(&(*list).into())), "{required:?}");
            assert!(lists.iter().all(|list| schema["properties"].get(*list).is_some()), "{schema}");
        }
    }
}
