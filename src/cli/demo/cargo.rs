//! What is on the road, and where that is: as the daemon answers, some seconds after a vehicle has left its door.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::cli::explain::place;
use crate::domain::events::EventBody;
use crate::domain::ids::AssetId;
use crate::domain::state::{AssetCurrent, Location, StateKind};
use crate::domain::time::Timestamp;
use crate::journal::{JournalError, Reader, StoredEvent};

/// Names told of one vehicle's load.
const NAMES: usize = 4;
/// How long after it left its door a vehicle is asked after.
const ON_THE_ROAD: Duration = Duration::from_secs(5);

/// Vehicles that left a door and are to be asked after.
#[derive(Default)]
pub struct Roads {
    left: BTreeMap<AssetId, Timestamp>,
}

impl Roads {
    pub fn note(&mut self, event: &StoredEvent, body: &EventBody) {
        let Some(vehicle) = event.subject.strip_prefix("asset:").map(AssetId::from) else { return };
        match body {
            EventBody::Undocked { .. } => drop(self.left.insert(vehicle, event.recorded_at)),
            EventBody::Docked { .. } => drop(self.left.remove(&vehicle)),
            _ => {}
        }
    }

    /// A sentence for each vehicle that has been on the road for long enough and is not empty.
    pub async fn news(&mut self, reader: &Reader, now: Timestamp) -> Result<Vec<String>, JournalError> {
        let due = self.left.extract_if(.., |_, left| now.since(*left) >= ON_THE_ROAD);
        let due: Vec<AssetId> = due.map(|(vehicle, _)| vehicle).collect();
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let rows = reader.all_states(StateKind::Asset).await?;
        let assets: Vec<AssetCurrent> =
            rows.iter().filter_map(|(_, value)| serde_json::from_slice(value).ok()).collect();
        Ok(due.iter().filter_map(|vehicle| sentence(vehicle, &assets)).collect())
    }
}

fn sentence(vehicle: &AssetId, assets: &[AssetCurrent]) -> Option<String> {
    let inside = Location::In(vehicle.clone());
    let load: BTreeSet<&str> =
        assets.iter().filter(|asset| asset.location == inside).map(|asset| asset.asset.as_str()).collect();
    let there = assets.iter().find(|asset| asset.asset == *vehicle)?;
    let mut names: Vec<String> = load.iter().take(NAMES).map(|name| (*name).to_owned()).collect();
    if load.len() > NAMES {
        names.push(format!("{} more", load.len() - NAMES));
    }
    let last = names.pop()?;
    let (names, are) = match names.is_empty() {
        true => (last, "is"),
        false => (format!("{} and {last}", names.join(", ")), "are"),
    };
    Some(format!("{names} {are} in {vehicle}, {}", place(&there.location)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::few::Few;
    use crate::domain::geodesy::Position;

    #[test]
    fn a_load_is_where_its_vehicle_is() {
        let position = Position { lat: 52.34, lon: 14.5412 };
        let current = |name: &str, location| AssetCurrent {
            asset: name.into(),
            location,
            since: None,
            last_sensed: None,
            reason: "".into(),
            confidence: None,
            checkout: None,
            fences: Few::default(),
            ghost_since: None,
            ready: true,
            not_ready: Few::default(),
            holds: Few::default(),
            awaiting_inspection: None,
            inspected_at: None,
            proposal: None,
            battery: None,
        };
        let mut assets =
            vec![current("truck-1", Location::At(position)), current("CG-009", Location::Unknown)];
        assert_eq!(sentence(&"truck-1".into(), &assets), None, "an empty one is no news");
        assets.push(current("CG-004", Location::In("truck-1".into())));
        assert_eq!(
            sentence(&"truck-1".into(), &assets).unwrap(),
            "CG-004 is in truck-1, at 52.340000, 14.541200"
        );
        assets.extend((5..=8).map(|n| current(&format!("MC-00{n}"), Location::In("truck-1".into()))));
        assert_eq!(
            sentence(&"truck-1".into(), &assets).unwrap(),
            "CG-004, MC-005, MC-006, MC-007 and 1 more are in truck-1, at 52.340000, 14.541200"
        );
    }
}
