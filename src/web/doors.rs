//! Which vehicle stands at which door, and stood there lately.

use schemars::JsonSchema;
use serde::Serialize;

use super::explain::ExplainError;
use crate::config::{ReadPointKind, Rules};
use crate::domain::ids::{AssetId, ReadPointId, ZoneId};
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::journal::{Reader, StateRows};
use crate::track::{DoorRow, Stay};

/// Doors read at once: there are some hundreds of them.
const DOORS: usize = 100_000;

/// A door, and who stands there.
#[derive(Serialize, JsonSchema)]
pub struct Door {
    pub door: ReadPointId,
    /// A vehicle in this zone stands at the door.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bay: Option<ZoneId>,
    pub standing: Vec<AtDoor>,
    /// Who stood there before, the last first; no more than sixteen.
    pub lately: Vec<AtDoor>,
}

/// A vehicle at a door.
#[derive(Serialize, JsonSchema)]
pub struct AtDoor {
    pub vehicle: AssetId,
    pub since: Timestamp,
    /// Absent while it stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Somebody said so; else it was sensed.
    pub said: bool,
}

impl From<Stay> for AtDoor {
    fn from(stay: Stay) -> Self {
        let Stay { vehicle, from, until, said, .. } = stay;
        Self { vehicle, since: from, until, said }
    }
}

/// Where one vehicle stands.
#[derive(Serialize, JsonSchema)]
pub struct StandsAt {
    pub door: ReadPointId,
    pub since: Timestamp,
    /// Somebody said so; else it was sensed.
    pub said: bool,
}

/// The doors at which it stands now.
pub(super) async fn doors_of(
    reader: &Reader,
    rules: &Rules,
    vehicle: &AssetId,
) -> Result<Vec<StandsAt>, ExplainError> {
    let doors = doors(reader, rules).await?.into_iter();
    let stands = doors.filter_map(|Door { door, standing, .. }| {
        let AtDoor { since, said, .. } = standing.into_iter().find(|stay| stay.vehicle == *vehicle)?;
        Some(StandsAt { door, since, said })
    });
    Ok(stands.collect())
}

/// The doors that have a bay, and those at which a vehicle stood, by name.
pub async fn doors(reader: &Reader, rules: &Rules) -> Result<Vec<Door>, ExplainError> {
    let rows = StateRows::Of { kind: StateKind::Door, prefix: "" };
    let mut doors: Vec<Door> = Vec::new();
    for row in reader.state_rows(rows, None, DOORS).await? {
        let stays = serde_json::from_slice::<DoorRow>(&row.value)?.stays.into_iter().map(AtDoor::from);
        let (mut standing, mut lately): (Vec<_>, Vec<_>) = stays.partition(|stay| stay.until.is_none());
        standing.sort_by_key(|stay| stay.since);
        lately.sort_by_key(|stay| std::cmp::Reverse(stay.until));
        doors.push(Door { door: ReadPointId::new(&row.key), bay: None, standing, lately });
    }
    for point in &rules.read_points {
        let ReadPointKind::Portal { bay, .. } = &point.kind else { continue };
        match doors.iter_mut().find(|door| door.door == point.name) {
            Some(door) => door.bay.clone_from(bay),
            None if bay.is_some() => {
                let (door, bay) = (point.name.clone(), bay.clone());
                doors.push(Door { door, bay, standing: Vec::new(), lately: Vec::new() });
            }
            None => {}
        }
    }
    doors.retain(|door| door.bay.is_some() || !door.standing.is_empty() || !door.lately.is_empty());
    doors.sort_by(|a, b| a.door.cmp(&b.door));
    Ok(doors)
}
