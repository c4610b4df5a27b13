//! What the sensors on an asset said last, how good that is, and when it was read.

use super::{ExplainError, PAGE, attached};
use crate::domain::ids::AssetId;
use crate::domain::register::Record;
use crate::domain::state::{SensorCurrent, StateKind};
use crate::domain::time::Timestamp;
use crate::journal::{Reader, StateRows};

/// The points of every sensor that hangs on it now, by name.
pub async fn sensors(
    reader: &Reader,
    asset: &AssetId,
    now: Timestamp,
) -> Result<Vec<SensorCurrent>, ExplainError> {
    let mut sensors = Vec::new();
    let of = |record| match record {
        Record::Sensor(sensor) => Some(sensor),
        _ => None,
    };
    for device in attached(reader, "sensor/", asset, now, of).await? {
        let of_device = StateRows::Of { kind: StateKind::Sensor, prefix: &format!("{device}/") };
        for row in reader.state_rows(of_device, None, PAGE).await? {
            let current: SensorCurrent = serde_json::from_slice(&row.value)?;
            // A device's name may hold a slash, so that a key may begin like this and be another's.
            sensors.extend(Some(current).filter(|current| current.device == device));
        }
    }
    Ok(sensors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::JournalConfig;
    use crate::domain::readings::Quality;
    use crate::domain::register::{Carrier, SensorAttachment};
    use crate::domain::state::StateRow;
    use crate::journal::{Batch, open};

    #[tokio::test]
    async fn an_asset_is_explained_with_the_sensors_that_hang_on_it_now() {
        let folder = tempfile::tempdir().unwrap();
        let config = JournalConfig { path: folder.path().join("journal.db"), ..JournalConfig::default() };
        let mut opened = open(&config, &"n".into(), Timestamp::FIRST).await.unwrap();
        let attached = |device: &str, asset: &str, to: Option<Timestamp>| {
            let on = SensorAttachment::new(device.into(), Carrier::Asset(asset.into()));
            let record = Record::Sensor(SensorAttachment { to, ..on });
            StateRow::put(StateKind::Register, record.state_key(), &record)
        };
        let said = |device: &str, quality| {
            let current = SensorCurrent {
                device: device.into(),
                point: "temp".into(),
                value: Some(4.0),
                text: None,
                unit: None,
                quality,
                observed_at: Timestamp::FIRST,
                exceeded: Vec::new(),
            };
            StateRow::put(StateKind::Sensor, format!("{device}/temp"), &current)
        };
        let state = vec![
            attached("a", "T1", None),
            attached("b", "T2", None),
            attached("c", "T1", Some(Timestamp::FIRST)),
            said("a", Quality::Stale),
            said("a/b", Quality::Good),
            said("b", Quality::Good),
            said("c", Quality::Good),
        ];
        opened.writer.commit(&Batch { state, ..Batch::default() }, Timestamp::FIRST).await.unwrap();
        let found = sensors(&opened.reader, &"T1".into(), Timestamp::FIRST).await.unwrap();
        let found: Vec<_> = found.iter().map(|it| (it.device.as_str(), it.value, it.quality)).collect();
        assert_eq!(found, [("a", Some(4.0), Quality::Stale)]);
    }
}
