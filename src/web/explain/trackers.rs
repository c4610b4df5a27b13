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

#[cfg(test)]
mod tests {
    use super::super::alerts;
    use super::*;
    use crate::config::JournalConfig;
    use crate::domain::alerts::{Alert, AlertKey, Rule, Severity};
    use crate::domain::ids::EventId;
    use crate::domain::register::TrackerAttachment;
    use crate::domain::state::StateRow;
    use crate::journal::{Batch, open};

    #[tokio::test]
    async fn an_asset_is_explained_with_the_alerts_of_the_trackers_on_it() {
        let folder = tempfile::tempdir().unwrap();
        let config = JournalConfig { path: folder.path().join("journal.db"), ..JournalConfig::default() };
        let mut opened = open(&config, &"n".into(), Timestamp::FIRST).await.unwrap();
        let attached = |device: &str, asset: &str| {
            let record = Record::Tracker(TrackerAttachment::on_asset(device.into(), asset));
            StateRow::put(StateKind::Register, record.state_key(), &record)
        };
        let alert = |rule: Rule, subject: &str| {
            let (key, at) = (AlertKey::new(rule, subject), Timestamp::FIRST);
            let incident = EventId::derive(at, &[]);
            let alert = Alert::begin(key, incident, Severity::Warning, None, String::new(), at);
            StateRow::put(StateKind::Alert, AlertKey::new(rule, subject).to_string(), &alert)
        };
        let state = vec![
            attached("gps-1", "T1"),
            attached("gps-2", "T2"),
            alert(Rule::Ghost, "T1"),
            alert(Rule::TrackerSilent, "gps-1"),
            alert(Rule::TrackerBattery, "gps-2"),
        ];
        opened.writer.commit(&Batch { state, ..Batch::default() }, Timestamp::FIRST).await.unwrap();
        let on = trackers(&opened.reader, &"T1".into(), Timestamp::FIRST).await.unwrap();
        let found = alerts(&opened.reader, &"T1".into(), &on).await.unwrap();
        let found: Vec<_> = found.iter().map(|alert| alert.key.to_string()).collect();
        assert_eq!(found, ["ghost/T1", "tracker-silent/gps-1"]);
    }
}
