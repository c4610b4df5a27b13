//! What is in what: the assets in each vehicle, and in the zones that somebody asks about.
//!
//! It follows from the answers and is no state of its own. Vehicles are known from the start; a zone is from when it is
//! first asked about, because most of a large register is in zones that nobody ever asks about.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Tracker;
use super::vehicles::DEPTH;
use crate::domain::ids::{AssetId, ZoneId};
use crate::domain::state::Location;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holder {
    Zone(ZoneId),
    Vehicle(AssetId),
}

impl Holder {
    fn of(location: &Location) -> Option<Self> {
        match location {
            Location::Zone(zone) => Some(Self::Zone(zone.clone())),
            Location::In(vehicle) => Some(Self::Vehicle(vehicle.clone())),
            Location::Unknown | Location::OutThrough(_) | Location::At(_) => None,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Of a zone: since it was asked about.
    of: BTreeMap<Holder, BTreeSet<AssetId>>,
}

impl Contents {
    pub fn of(&self, holder: &Holder) -> BTreeSet<AssetId> {
        self.of.get(holder).cloned().unwrap_or_default()
    }

    fn leave(&mut self, holder: &Holder, asset: &AssetId) {
        let Some(inside) = self.of.get_mut(holder) else { return };
        inside.remove(asset);
        if inside.is_empty() && matches!(holder, Holder::Vehicle(_)) {
            self.of.remove(holder);
        }
    }

    fn enter(&mut self, holder: Holder, asset: &AssetId) {
        if let Holder::Vehicle(_) = holder {
            self.of.entry(holder).or_default().insert(asset.clone());
        } else if let Some(inside) = self.of.get_mut(&holder) {
            inside.insert(asset.clone());
        }
    }
}

impl Tracker {
    /// To be called for every answer that moves.
    pub(super) fn moved_between(&mut self, asset: &AssetId, before: &Location, after: &Location) {
        if let Some(holder) = Holder::of(before) {
            self.contents.leave(&holder, asset);
        }
        if let Some(holder) = Holder::of(after) {
            self.expose(asset, &holder);
            self.contents.enter(holder, asset);
        }
    }

    pub(super) fn restore_contents(&mut self) {
        for asset in self.assets.ids_where(|_, row| matches!(row.current.location, Location::In(_))) {
            if let Some(vehicle) = self.vehicle_of(&asset).cloned() {
                self.contents.enter(Holder::Vehicle(vehicle), &asset);
            }
        }
    }

    /// It, what it is in, and the zone where the outermost of that is.
    pub(super) fn around(&self, holder: &Holder) -> Vec<Holder> {
        let Holder::Vehicle(vehicle) = holder else { return vec![holder.clone()] };
        let outer: Vec<&AssetId> = std::iter::once(vehicle).chain(self.vehicles_of(vehicle)).collect();
        let outermost = outer.last().and_then(|outermost| self.assets.get(outermost));
        let zone = outermost.and_then(|row| Holder::of(&row.current.location));
        let vehicles = outer.iter().map(|vehicle| Holder::Vehicle((*vehicle).clone()));
        vehicles.chain(zone.filter(|zone| matches!(zone, Holder::Zone(_)))).collect()
    }

    /// Everything in it, and in what is in it.
    pub(super) fn inside(&mut self, holder: &Holder) -> BTreeSet<AssetId> {
        if let Holder::Zone(zone) = holder
            && !self.contents.of.contains_key(holder)
        {
            let here = Location::Zone(zone.clone());
            let ids = self.assets.ids_where(|_, row| row.current.location == here);
            self.contents.of.insert(holder.clone(), ids.into_iter().collect());
        }
        let mut inside = self.contents.of(holder);
        let mut next: Vec<AssetId> = inside.iter().cloned().collect();
        for _ in 0..DEPTH {
            let within = next.iter().flat_map(|asset| self.contents.of(&Holder::Vehicle(asset.clone())));
            next = within.filter(|asset| inside.insert(asset.clone())).collect::<Vec<_>>();
            if next.is_empty() {
                break;
            }
        }
        inside
    }
}
