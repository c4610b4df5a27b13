//! Which vehicle stands at which door, and stood there lately.
//!
//! A vehicle stands at a door while it is in the portal's `bay`, by its own tag or by a fence, or since somebody said so,
//! until it drives. Stays are kept: a passage is told some time after it, and is of who stood there then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Tracker;
use super::cause::Cause;
use super::import::{conflict, invalid};
use super::vehicles::{Fixed, TOGETHER, apart};
use crate::domain::commands::Refused;
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::{AssetId, ReadPointId, SiteId};
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
}

impl Stay {
    pub fn sensed(vehicle: AssetId, from: Timestamp, until: Option<Timestamp>) -> Self {
        Self { vehicle, from, until, said: false, seen_at: None }
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
    fn all_open(&self) -> Vec<(ReadPointId, Stay)> {
        self.at.keys().flat_map(|vehicle| self.open(vehicle)).collect()
    }

    /// Who stands there now by what somebody said.
    fn said_at(&self, door: &ReadPointId) -> Vec<AssetId> {
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
    fn begin(&mut self, door: &ReadPointId, stay: Stay) {
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

    fn end(&mut self, door: &ReadPointId, vehicle: &AssetId, at: Timestamp) {
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

impl Tracker {
    /// Opens and closes its stays at doors, by where it is.
    pub(super) fn stand_where_it_is(
        &mut self,
        asset: &AssetId,
        location: &Location,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let bays: &[ReadPointId] = match location {
            Location::Zone(zone) if self.is_vehicle(asset) => self.topology.doors_of_bay(zone),
            _ => &[],
        };
        let bays = bays.to_vec();
        for (door, stay) in self.doors.open(asset) {
            // What somebody said outlasts a fix in the yard, and not another door or a way out.
            let elsewhere = !bays.is_empty() || matches!(location, Location::OutThrough(_) | Location::In(_));
            if !bays.contains(&door) && (!stay.said || elsewhere) {
                self.undock(asset, &door, stay.from, cause, out);
            }
        }
        for door in bays {
            if !self.doors.stands_at(&door, asset) {
                let how =
                    self.assets.get(asset).map(|row| row.current.reason.to_string()).unwrap_or_default();
                // Also where a newer fix was told before what the reader in the bay had held back.
                let from = self.doors.heard_since(&door, asset).unwrap_or(cause.observed_at);
                self.dock(&door, Stay::sensed(asset.clone(), from, None), how, cause, out);
            }
        }
    }

    pub(super) fn dock(
        &mut self,
        door: &ReadPointId,
        stay: Stay,
        how: String,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let (vehicle, from) = (stay.vehicle.clone(), stay.from);
        self.doors.begin(door, stay);
        let site = self.site_of_read_point(door);
        let body = EventBody::Docked { door: door.clone(), how };
        let parts: [&[u8]; 1] = [door.as_str().as_bytes()];
        out.push(cause.event(site, Subject::Asset(vehicle), body, &parts));
        self.judge_again(door, from, cause, out);
    }

    pub(super) fn undock(
        &mut self,
        vehicle: &AssetId,
        door: &ReadPointId,
        since: Timestamp,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        self.doors.end(door, vehicle, cause.observed_at);
        self.doors.forget_heard(door, vehicle);
        self.tell_undocked(vehicle, door, since, cause, out);
    }

    /// From then on it stands there no more.
    pub(super) fn tell_undocked(
        &mut self,
        vehicle: &AssetId,
        door: &ReadPointId,
        since: Timestamp,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let site = self.site_of_read_point(door);
        let body = EventBody::Undocked { door: door.clone(), since };
        let parts: [&[u8]; 1] = [door.as_str().as_bytes()];
        out.push(cause.event(site, Subject::Asset(vehicle.clone()), body, &parts));
        self.judge_again(door, cause.observed_at, cause, out);
    }

    /// Somebody says that it stands at a door: there alone, and alone there.
    pub(super) fn said_to_stand(
        &mut self,
        by: &str,
        vehicle: &AssetId,
        door: &ReadPointId,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        for other in self.doors.said_at(door).into_iter().filter(|other| other != vehicle) {
            self.set_out(&other, None, cause, out);
        }
        self.said_to_leave(vehicle, cause, out);
        let (from, seen_at) = (cause.observed_at, self.stands_at_place(vehicle, cause.observed_at));
        let stay = Stay { vehicle: vehicle.clone(), from, until: None, said: true, seen_at };
        self.dock(door, stay, format!("said by {by}"), cause, out);
    }

    pub(super) fn said_to_leave(&mut self, vehicle: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        self.left_bay(vehicle, cause, out);
        self.set_out(vehicle, None, cause, out);
    }

    /// Stays by rules that may be others than those under which they began.
    pub(super) fn review_doors(&mut self, cause: &Cause, out: &mut Vec<Event>) {
        for (door, stay) in self.doors.all_open() {
            let vehicle = &stay.vehicle;
            let location = self.assets.get(vehicle).map(|row| &row.current.location);
            let in_bay = matches!(location, Some(Location::Zone(zone)) if self.topology.doors_of_bay(zone).contains(&door));
            let stands = self.topology.portal(&door).is_some() && (stay.said || in_bay);
            if !stands || !self.is_vehicle(vehicle) {
                self.undock(vehicle, &door, stay.from, cause, out);
            }
        }
        if !self.topology.has_doors_with_bays() {
            return;
        }
        let in_bays = self.assets.ids_where(|_, row| {
            let Location::Zone(zone) = &row.current.location else { return false };
            !row.memory.departed && !self.topology.doors_of_bay(zone).is_empty()
        });
        for asset in in_bays {
            if let Some(location) = self.assets.get(&asset).map(|row| row.current.location.clone()) {
                self.stand_where_it_is(&asset, &location, cause, out);
            }
        }
    }

    pub(super) fn site_of_door(&self, door: &ReadPointId) -> Option<SiteId> {
        self.topology.portal(door).and_then(|_| self.site_of_read_point(door))
    }

    pub(super) fn check_dock(&self, vehicle: &AssetId, door: &ReadPointId) -> Result<(), Refused> {
        self.check_vehicle(vehicle)?;
        match self.topology.portal(door) {
            Some(_) => Ok(()),
            None => Err(invalid(format!("`{door}` is no door: name a read point of kind \"portal\""))),
        }
    }

    pub(super) fn check_undock(&self, vehicle: &AssetId) -> Result<(), Refused> {
        self.known(vehicle)?;
        match self.doors.stands(vehicle) {
            true => Ok(()),
            false => Err(conflict(format!("`{vehicle}` stands at no door"))),
        }
    }
}
