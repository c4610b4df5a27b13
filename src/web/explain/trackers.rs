//! Which trackers an asset has, whether they are heard, and whether what they say counts.

use schemars::JsonSchema;
use serde::Serialize;

use super::{ExplainError, attached};
use crate::clean::TrackerStatus;
use crate::domain::ids::{AssetId, DeviceId};
use crate::domain::register::Record;
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::journal::Reader;

/// A tracker on an asset.
#[derive(Serialize, JsonSchema)]
pub struct TrackerOn {
    pub device: DeviceId,
    /// Absent where it was never heard.
    #[serde(flatten)]
    pub status: Option<TrackerStatus>,
}

/// Those on it now, by name.
pub async fn trackers(
    reader: &Reader,
    asset: &AssetId,
    now: Timestamp,
) -> Result<Vec<TrackerOn>, ExplainError> {
    let of = |record| match record {
        Record::Tracker(tracker) => Some(tracker),
        _ => None,
    };
    let mut trackers = Vec::new();
    for device in attached(reader, "tracker/", asset, now, of).await? {
        let row = reader.state(StateKind::Tracker, device.as_str()).await?;
        let status = row.map(|row| TrackerStatus::of_row(device.as_str(), &row)).transpose()?;
        trackers.push(TrackerOn { device, status });
    }
    Ok(trackers)
}
