//! The way back: state rows of the journal → the tracker as it was at that commit.

use super::Tracker;
use super::alerts::Incident;
use super::assets::AssetRow;
use super::conditions::SensorRow;
use super::docks::DoorRow;
use super::links::LinkRow;
use super::offenders::HolderRow;
use super::silence::{HeardRow, SourceClock};
use super::unheard::UnheardRow;
use super::watch::WatchRow;
use super::zombie::StrangerRow;
use crate::domain::audits::{Audit, AuditPart, AuditPlan, Item};
use crate::domain::epc::Epc;
use crate::domain::ids::{DeviceId, Pool, SourceId};
use crate::domain::register::Record;
use crate::domain::state::{AssetCurrent, StateKind};

/// Key of the one row of [`StateKind::Commands`].
pub(super) const COMMANDS_KEY: &str = "taken";

/// A row of the journal that tracking cannot read.
#[derive(Debug, thiserror::Error)]
pub enum TrackRestoreError {
    #[error("read the {} row `{key}`", .kind.as_str())]
    Row {
        kind: StateKind,
        key: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the {} row `{key}` is not one of tracking", .kind.as_str())]
    Foreign { kind: StateKind, key: String },
}

impl Tracker {
    /// Takes the rows of a journal, in any order. To be followed by [`Tracker::started`].
    pub fn restore(
        &mut self,
        rows: impl Iterator<Item = (StateKind, String, Vec<u8>)>,
    ) -> Result<(), TrackRestoreError> {
        let mut pool = Pool::default();
        for (kind, key, value) in rows {
            self.restore_row(kind, &key, &value, &mut pool)?;
        }
        self.restored();
        Ok(())
    }

    /// To be called once, when every row is in.
    pub fn restored(&mut self) {
        self.assets.restored();
        self.register.restored();
        self.audits.restored();
        self.restore_watches();
        self.restore_contents();
        for asset in self.assets.ids_where(|_, row| row.memory.left.is_some()) {
            self.restore_exit(&asset);
        }
        self.restore_readiness();
    }

    /// Takes one row. `pool`: the same for all of them.
    pub fn restore_row(
        &mut self,
        kind: StateKind,
        key: &str,
        value: &[u8],
        pool: &mut Pool,
    ) -> Result<(), TrackRestoreError> {
        let unreadable = |source| TrackRestoreError::Row { kind, key: key.to_owned(), source };
        match kind {
            StateKind::Asset => {
                let row = AssetRow::parse(value).map_err(unreadable)?;
                if let Some(carried) = &row.memory.carried {
                    self.company.restore_carried(&row.current.asset, carried);
                }
                self.assets.restore(row, pool);
            }
            StateKind::Watch => {
                let row: WatchRow = serde_json::from_slice(value).map_err(unreadable)?;
                self.watches.restore(pool.take(&key.into()), row);
            }
            StateKind::Alert => {
                let incident: Incident = serde_json::from_slice(value).map_err(unreadable)?;
                self.alerts.restore(incident);
            }
            StateKind::Register => {
                let record = Record::parse(key, value).map_err(unreadable)?;
                self.register.restore(record, pool, &self.assets);
            }
            StateKind::Link => {
                let row: LinkRow = serde_json::from_slice(value).map_err(unreadable)?;
                self.links.restore(row);
            }
            StateKind::Sensor => {
                let row: SensorRow = serde_json::from_slice(value).map_err(unreadable)?;
                self.sensors.restore(key.to_owned(), row);
            }
            StateKind::Audit => {
                let audit: Audit = serde_json::from_slice(value).map_err(unreadable)?;
                self.restore_audit(audit);
            }
            StateKind::AuditPart => {
                let part: AuditPart = serde_json::from_slice(value).map_err(unreadable)?;
                self.audits.restore_part(key, part);
            }
            StateKind::AuditItem => {
                let item: Item = serde_json::from_slice(value).map_err(unreadable)?;
                self.audits.restore_item(key, item);
            }
            StateKind::AuditPlan => {
                let plan: AuditPlan = serde_json::from_slice(value).map_err(unreadable)?;
                self.audits.restore_plan(plan);
            }
            StateKind::Stranger => {
                let row: StrangerRow = serde_json::from_slice(value).map_err(unreadable)?;
                let epc = Epc::from_hex(key).ok_or_else(|| unreadable(serde::de::Error::custom("no EPC")))?;
                self.restore_stranger(epc, row);
            }
            StateKind::TrackerHeard => {
                let row: HeardRow = serde_json::from_slice(value).map_err(unreadable)?;
                self.silence.restore(DeviceId::new(key), row);
            }
            StateKind::TrackerUnheard => {
                let row: UnheardRow = serde_json::from_slice(value).map_err(unreadable)?;
                self.silence.unheard.restore(DeviceId::new(key), row);
            }
            StateKind::SourceClock => {
                let row: SourceClock = serde_json::from_slice(value).map_err(unreadable)?;
                self.silence.restore_clock(SourceId::new(key), row);
            }
            StateKind::Holder => {
                let row: HolderRow = serde_json::from_slice(value).map_err(unreadable)?;
                let window = self.topology.alerts.assets.repeat_offender.window;
                self.offenders.restore(key.to_owned(), row, window);
            }
            StateKind::Away => self.idle.away_us = serde_json::from_slice(value).map_err(unreadable)?,
            StateKind::Badges => {
                let badges = serde_json::from_slice(value).map_err(unreadable)?;
                self.company.restore(key.into(), badges);
            }
            StateKind::Door => {
                let row: DoorRow = serde_json::from_slice(value).map_err(unreadable)?;
                self.doors.restore(key.into(), row);
            }
            StateKind::Commands => self.commands = serde_json::from_slice(value).map_err(unreadable)?,
            _ => return Err(TrackRestoreError::Foreign { kind, key: key.to_owned() }),
        }
        Ok(())
    }

    /// The current answer for an asset, where something happened to it.
    pub fn asset(&self, asset: &crate::domain::ids::AssetId) -> Option<&AssetCurrent> {
        self.assets.get(asset).map(|row| &row.current)
    }
}
