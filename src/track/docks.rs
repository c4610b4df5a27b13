//! Which vehicle stands at which door, and stood there lately.
//!
//! A vehicle stands at a door while it is in the portal's `bay`, by its own tag or by a fence, or since somebody said so,
//! until it drives. Stays are kept: a passage is told some time after it, and is of who stood there then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::vehicles::{Fixed, TOGETHER, apart};
use crate::domain::ids::{AssetId, ReadPointId};
use crate::domain::sightings::Direction;
use crate::domain::state::{Location, StateKind, StateRow};
use crate::domain::time::Timestamp;

/// Stays that are over, remembered per door: when a passage is told, who stood there may have left.
const STAYS: usize = 16;
/// A vehicle is sensed some time after it came, by its next fix or by the reads of some seconds: it may have stood there
/// for so long before. When it is sensed to be gone, it is.
const BEFORE: Duration = Duration::from_secs(60);
/// Assets per door of which it is not known yet whether they passed with their vehicle.
const PARTED: usize = 256;
/// And that went out there, of which it may become known yet who took them. Of what a reader held back over days, the end
/// of a stay may be told behind passages of days later.
const BOARDED: usize = 128;
const BOARDED_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// A vehicle that stood at a door.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stay {
    pub vehicle: AssetId,
    pub from: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Somebody said so; else it was sensed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub said: bool,
    /// Where a tracker had it when somebody said so, or first after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Box<Fixed>>,
    /// Rules ended it that were changed: by others it may begin anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_rules: bool,
}

impl Stay {
    pub fn sensed(vehicle: AssetId, from: Timestamp, until: Option<Timestamp>) -> Self {
        Self { vehicle, from, until, said: false, seen_at: None, by_rules: false }
    }

    /// How long before it a moment is, where it may be of it.
    fn before(&self, at: Timestamp) -> Option<Duration> {
        let before = self.from.since(at);
        (before <= BEFORE && self.until.is_none_or(|until| at <= until)).then_some(before)
    }
}

/// What passed in without its vehicle, as far as is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parted {
    pub asset: AssetId,
    pub vehicle: AssetId,
    pub direction: Direction,
    pub at: Timestamp,
}

/// What passed out at a door where vehicles stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Boarded {
    pub asset: AssetId,
    /// Where it is if nobody took it.
    pub without: Location,
    /// Who did, as far as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<AssetId>,
    pub at: Timestamp,
}

impl Boarded {
    pub fn location(&self) -> Location {
        self.taken_by.clone().map_or_else(|| self.without.clone(), Location::In)
    }
}

/// The row of a door.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DoorRow {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stays: Vec<Stay>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parted: Vec<Parted>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boarded: Vec<Boarded>,
    /// Vehicles that a reader hears in the bay, or a fence has there, and since when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<(AssetId, Timestamp)>,
}

/// Who stood at a door at some time.
#[derive(Debug, PartialEq)]
pub(super) enum Standing {
    Nobody,
    One(Stay),
    Several(Vec<AssetId>),
}

#[derive(Debug, Default)]
pub(super) struct Doors {
    rows: BTreeMap<ReadPointId, DoorRow>,
    /// The doors at which each vehicle stands now.
    at: BTreeMap<AssetId, BTreeSet<ReadPointId>>,
    dirty: BTreeSet<ReadPointId>,
}

impl Doors {
    pub fn restore(&mut self, door: ReadPointId, row: DoorRow) {
        for stay in row.stays.iter().filter(|stay| stay.until.is_none()) {
            self.at.entry(stay.vehicle.clone()).or_default().insert(door.clone());
        }
        self.rows.insert(door, row);
    }

    pub fn take_dirty(&mut self, out: &mut Vec<StateRow>) {
        for door in std::mem::take(&mut self.dirty) {
            let row = self.rows.get(&door).filter(|row| **row != DoorRow::default());
            out.push(match row {
                Some(row) => StateRow::put(StateKind::Door, door.as_str(), row),
                None => StateRow::delete(StateKind::Door, door.as_str()),
            });
        }
    }

    pub fn stands(&self, vehicle: &AssetId) -> bool {
        self.at.contains_key(vehicle)
    }

    /// The doors at which it stands now, and how that is known.
    pub fn open(&self, vehicle: &AssetId) -> Vec<(ReadPointId, Stay)> {
        let doors = self.at.get(vehicle).into_iter().flatten();
        let open = |door: &ReadPointId| {
            let mut stays = self.rows.get(door)?.stays.iter();
            stays.find(|stay| stay.vehicle == *vehicle && stay.until.is_none()).cloned()
        };
        doors.filter_map(|door| Some((door.clone(), open(door)?))).collect()
    }

    /// Every stay that goes on.
    pub fn all_open(&self) -> Vec<(ReadPointId, Stay)> {
        self.at.keys().flat_map(|vehicle| self.open(vehicle)).collect()
    }

    /// Who stands there now by what somebody said.
    pub fn said_at(&self, door: &ReadPointId) -> Vec<AssetId> {
        let stays = self.rows.get(door).into_iter().flat_map(|row| &row.stays);
        stays.filter(|stay| stay.said && stay.until.is_none()).map(|stay| stay.vehicle.clone()).collect()
    }

    /// Every stay that goes on and that somebody said.
    pub fn said(&self) -> impl Iterator<Item = (ReadPointId, Stay)> {
        self.at.keys().flat_map(|vehicle| self.open(vehicle)).filter(|(_, stay)| stay.said)
    }

    /// Where a tracker has a vehicle that somebody said to stand there.
    pub fn note_seen(&mut self, door: &ReadPointId, vehicle: &AssetId, at: &Fixed) {
        let stays = self.rows.get_mut(door).into_iter().flat_map(|row| &mut row.stays);
        let its = |stay: &&mut Stay| stay.said && stay.until.is_none() && stay.vehicle == *vehicle;
        if let Some(stay) = stays.into_iter().find(its) {
            stay.seen_at = Some(Box::new(at.clone()));
            self.dirty.insert(door.clone());
        }
    }

    /// It goes on, or was over before it was told.
    pub fn begin(&mut self, door: &ReadPointId, stay: Stay) {
        if stay.until.is_none() {
            self.at.entry(stay.vehicle.clone()).or_default().insert(door.clone());
        }
        let stays = &mut self.rows.entry(door.clone()).or_default().stays;
        // Who stands there is not forgotten.
        let left = stays.iter().filter(|stay| stay.until.is_some()).count();
        if left >= STAYS
            && let Some(oldest) = stays.iter().position(|stay| stay.until.is_some())
        {
            stays.remove(oldest);
        }
        stays.push(stay);
        self.dirty.insert(door.clone());
    }

    pub fn end(&mut self, door: &ReadPointId, vehicle: &AssetId, at: Timestamp) {
        if let Some(doors) = self.at.get_mut(vehicle) {
            doors.remove(door);
            if doors.is_empty() {
                self.at.remove(vehicle);
            }
        }
        let Some(row) = self.rows.get_mut(door) else { return };
        for stay in row.stays.iter_mut().filter(|stay| stay.vehicle == *vehicle && stay.until.is_none()) {
            stay.until = Some(at.max(stay.from));
        }
        self.dirty.insert(door.clone());
    }

    /// The rules under which its last stay there began are others now, and ended it.
    pub fn note_by_rules(&mut self, door: &ReadPointId, vehicle: &AssetId) {
        let stays = self.rows.get_mut(door).into_iter().flat_map(|row| row.stays.iter_mut().rev());
        if let Some(stay) = stays.into_iter().find(|stay| stay.vehicle == *vehicle) {
            stay.by_rules = true;
            self.dirty.insert(door.clone());
        }
    }

    /// Whether it stood at one of these doors and stands there no more, since then, and no change of rules ended that:
    /// somebody said so, or what had sensed it there was taken off it. That it is where it was begins it no second time.
    pub fn is_over(&self, doors: &[ReadPointId], vehicle: &AssetId, since: Timestamp) -> bool {
        let stays = doors.iter().filter_map(|door| self.rows.get(door)).flat_map(|row| &row.stays);
        let ended = stays.filter(|stay| stay.vehicle == *vehicle && stay.until.is_some());
        let last = ended.max_by_key(|stay| stay.until).filter(|stay| !stay.by_rules);
        !self.stands(vehicle) && last.is_some_and(|stay| stay.until >= Some(since))
    }

    /// A stay that was told to have ended later ended then; gives since when it had lasted. What somebody said stands.
    pub fn end_earlier(&mut self, door: &ReadPointId, vehicle: &AssetId, at: Timestamp) -> Option<Timestamp> {
        let mut stays = self.rows.get_mut(door)?.stays.iter_mut();
        let stay = stays.find(|stay| {
            let outlasts = stay.from <= at && stay.until.is_some_and(|until| until > at);
            stay.vehicle == *vehicle && !stay.said && outlasts
        })?;
        stay.until = Some(at);
        self.dirty.insert(door.clone());
        Some(stay.from)
    }

    /// It had come before the beginning of a stay that was told, and had not left since: that is one stay. What somebody
    /// said stands.
    pub fn begin_earlier(
        &mut self,
        door: &ReadPointId,
        vehicle: &AssetId,
        (from, until): (Timestamp, Option<Timestamp>),
    ) -> bool {
        let Some(row) = self.rows.get_mut(door) else { return false };
        let mut stays = row.stays.iter_mut().filter(|stay| stay.vehicle == *vehicle && !stay.said);
        let Some(stay) = stays.find(|stay| {
            let overlaps =
                until.is_none_or(|until| stay.from <= until) && stay.until.is_none_or(|end| from < end);
            overlaps && from < stay.from
        }) else {
            return false;
        };
        stay.from = from;
        self.dirty.insert(door.clone());
        true
    }

    /// Whether it is known that it stood there at some time of these.
    pub fn stood(
        &self,
        door: &ReadPointId,
        vehicle: &AssetId,
        (from, until): (Timestamp, Timestamp),
    ) -> bool {
        let stays = self.rows.get(door).into_iter().flat_map(|row| &row.stays);
        let mut its = stays.filter(|stay| stay.vehicle == *vehicle);
        its.any(|stay| stay.from <= until && stay.until.is_none_or(|end| from <= end))
    }

    /// Whether it stands there now.
    pub fn stands_at(&self, door: &ReadPointId, vehicle: &AssetId) -> bool {
        self.at.get(vehicle).is_some_and(|doors| doors.contains(door))
    }

    /// Who stood there then: the nearest in time; what somebody said before what was sensed.
    pub fn standing(&self, door: &ReadPointId, at: Timestamp) -> Standing {
        let stays = self.rows.get(door).into_iter().flat_map(|row| &row.stays);
        let near = stays.filter_map(|stay| Some(((stay.before(at)?, !stay.said), stay)));
        let near: Vec<_> = near.collect();
        let Some(best) = near.iter().map(|(rank, _)| *rank).min() else { return Standing::Nobody };
        let best: Vec<&Stay> =
            near.into_iter().filter(|(rank, _)| *rank == best).map(|(_, stay)| stay).collect();
        let vehicles: BTreeSet<&AssetId> = best.iter().map(|stay| &stay.vehicle).collect();
        match vehicles.len() {
            1 => Standing::One(best[0].clone()),
            _ => Standing::Several(vehicles.into_iter().cloned().collect()),
        }
    }

    pub fn note_parted(&mut self, door: &ReadPointId, parted: Parted) {
        let row = self.rows.entry(door.clone()).or_default();
        row.parted.retain(|other| parted.at.since(other.at) <= TOGETHER && other.asset != parted.asset);
        if row.parted.len() == PARTED {
            row.parted.remove(0);
        }
        row.parted.push(parted);
        self.dirty.insert(door.clone());
    }

    pub fn note_boarded(&mut self, door: &ReadPointId, boarded: Boarded) {
        let row = self.rows.entry(door.clone()).or_default();
        row.boarded.retain(|other| boarded.at.since(other.at) <= BOARDED_FOR && other.asset != boarded.asset);
        if row.boarded.len() == BOARDED {
            row.boarded.remove(0);
        }
        row.boarded.push(boarded);
        self.dirty.insert(door.clone());
    }

    pub fn note_heard(&mut self, door: &ReadPointId, vehicle: &AssetId, at: Timestamp) {
        let heard = &mut self.rows.entry(door.clone()).or_default().heard;
        if heard.len() < STAYS && !heard.iter().any(|(known, _)| known == vehicle) {
            heard.push((vehicle.clone(), at));
            self.dirty.insert(door.clone());
        }
    }

    pub fn forget_heard(&mut self, door: &ReadPointId, vehicle: &AssetId) {
        let Some(row) = self.rows.get_mut(door) else { return };
        if row.heard.extract_if(.., |(known, _)| known == vehicle).count() > 0 {
            self.dirty.insert(door.clone());
        }
    }

    pub fn heard_since(&self, door: &ReadPointId, vehicle: &AssetId) -> Option<Timestamp> {
        let mut heard = self.rows.get(door)?.heard.iter();
        heard.find(|(known, _)| known == vehicle).map(|(_, since)| *since)
    }

    /// What passed out there since then.
    pub fn boarded_since(&self, door: &ReadPointId, from: Timestamp) -> Vec<Boarded> {
        let boarded = self.rows.get(door).into_iter().flat_map(|row| &row.boarded);
        boarded.filter(|boarded| boarded.at >= from).cloned().collect()
    }

    /// What passed there shortly before its vehicle, and is in it after all.
    pub fn rejoined(
        &mut self,
        door: &ReadPointId,
        vehicle: &AssetId,
        way: Direction,
        at: Timestamp,
    ) -> Vec<Parted> {
        let Some(row) = self.rows.get_mut(door) else { return Vec::new() };
        let (with, rest) = std::mem::take(&mut row.parted).into_iter().partition(|parted| {
            parted.vehicle == *vehicle && parted.direction == way && apart(parted.at, at) <= TOGETHER
        });
        row.parted = rest;
        self.dirty.insert(door.clone());
        with
    }
}
