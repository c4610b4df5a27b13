//! What an excursion reaches: what is in the zone that a sensor watches, or in what it hangs on, when it is told, and what comes
//! in before it ends.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Tracker;
use super::conditions::Sensors;
use super::contents::Holder;
use crate::domain::ids::{AssetId, DeviceId, LimitId};
use crate::domain::register::Carrier;
use crate::domain::time::Timestamp;

/// Assets that one event names; an alert names fewer.
pub(super) const NAMED: usize = 1000;
const NAMED_IN_ALERT: usize = 5;

/// What is exposed to an excursion that goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exposed {
    pub holder: Holder,
    pub assets: BTreeSet<AssetId>,
}

impl Sensors {
    /// An excursion begins over what is in there.
    pub fn begin_exposure(&mut self, key: &str, limit: &LimitId, exposed: Exposed) {
        let Some(row) = self.rows.get_mut(key) else { return };
        self.exposing.entry(exposed.holder.clone()).or_default().insert(key.to_owned());
        row.exposed.insert(limit.to_string(), exposed);
        self.dirty.insert(key.to_owned());
    }

    pub fn end_exposure(&mut self, key: &str, limit: &str) -> BTreeSet<AssetId> {
        let Some(row) = self.rows.get_mut(key) else { return BTreeSet::new() };
        let Some(ended) = row.exposed.remove(limit) else { return BTreeSet::new() };
        self.dirty.insert(key.to_owned());
        if !row.exposed.values().any(|other| other.holder == ended.holder)
            && let Some(points) = self.exposing.get_mut(&ended.holder)
        {
            points.remove(key);
            if points.is_empty() {
                self.exposing.remove(&ended.holder);
            }
        }
        ended.assets
    }

    pub fn expose(&mut self, holder: &Holder, assets: &BTreeSet<AssetId>) {
        for key in self.exposing.get(holder).into_iter().flatten() {
            let Some(row) = self.rows.get_mut(key) else { continue };
            for exposed in row.exposed.values_mut().filter(|exposed| exposed.holder == *holder) {
                exposed.assets.extend(assets.iter().cloned());
            }
            self.dirty.insert(key.clone());
        }
    }
}

impl Tracker {
    /// What is in the zone that a sensor watches, or in what it hangs on.
    pub(super) fn exposed_to(&mut self, device: &DeviceId, at: Timestamp) -> Option<Exposed> {
        let holder = match self.register.carrier_of_sensor(device, at)? {
            Carrier::Zone(zone) => Holder::Zone(zone.clone()),
            Carrier::Asset(asset) => Holder::Vehicle(asset.clone()),
            Carrier::Person(_) => return None,
        };
        let assets = self.inside(&holder);
        Some(Exposed { holder, assets })
    }

    /// It came into something: to what goes on there it is exposed, with all that is in it.
    pub(super) fn expose(&mut self, asset: &AssetId, holder: &Holder) {
        if self.sensors.exposing.is_empty() {
            return;
        }
        let mut with = self.inside(&Holder::Vehicle(asset.clone()));
        with.insert(asset.clone());
        for around in self.around(holder) {
            self.sensors.expose(&around, &with);
        }
    }
}

/// What to protect: a few by name.
pub(super) fn named(exposed: &BTreeSet<AssetId>) -> String {
    let names: Vec<&str> = exposed.iter().take(NAMED_IN_ALERT).map(AssetId::as_str).collect();
    let names = names.join(", ");
    match exposed.len() {
        0 => "what is in it".to_owned(),
        1..=NAMED_IN_ALERT => format!("what is in it: {names}"),
        all => format!("the {all} assets in it: {names} …"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_names_a_few_and_counts_the_rest() {
        let assets = |count: u16| (1..=count).map(|n| AssetId::new(format!("P{n}"))).collect();
        assert_eq!(named(&assets(0)), "what is in it");
        assert_eq!(named(&assets(2)), "what is in it: P1, P2");
        assert_eq!(named(&assets(9)), "the 9 assets in it: P1, P2, P3, P4, P5 …");
    }
}
