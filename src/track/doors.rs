//! The door at which an alert was raised. Lights and buzzers there are switched by it, once it is committed.

use std::time::Duration;

use super::Tracker;
use crate::domain::alerts::{AlertKey, AtDoor, Rule};
use crate::domain::ids::AssetId;

impl Tracker {
    /// Where its subject passed, if that is what the alert is about.
    pub(super) fn door_of(&self, key: &AlertKey) -> Option<AtDoor> {
        let asset = AssetId::new(&key.subject);
        match key.rule {
            Rule::UnauthorisedExit | Rule::NotReadyExit => self.left_by(&asset, Duration::ZERO),
            Rule::KitIncomplete => self.left_by(&asset, self.topology.alerts.assets.kit_window),
            Rule::WrongZone => self.came_by(&asset),
            Rule::Zombie => {
                let (read_point, at) = self.strangers.told_of_at(&key.subject)?;
                self.topology.portal(&read_point)?;
                Some(AtDoor { read_point, at })
            }
            _ => None,
        }
    }

    /// `wait`: how long after the passage it is judged.
    fn left_by(&self, asset: &AssetId, wait: Duration) -> Option<AtDoor> {
        let left = self.assets.get(asset)?.memory.left.as_ref()?;
        Some(AtDoor { read_point: left.portal.clone(), at: left.at + wait })
    }

    /// The passage on which the answer rests: what was carried in some other way passed no door.
    fn came_by(&self, asset: &AssetId) -> Option<AtDoor> {
        let memory = &self.assets.get(asset)?.memory;
        let passed = memory.passages.iter().rev().find(|passed| memory.placed_at == Some(passed.at))?;
        Some(AtDoor { read_point: passed.portal.clone(), at: passed.at })
    }
}
