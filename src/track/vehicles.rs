//! Vehicles at doors, and what is in them.
//!
//! A vehicle stands at a door while it is in the portal's `bay`, by its own tag or by a fence, or since somebody said
//! so. What passes out there is in it, and is where it is, until it passes in somewhere, is sensed in a zone, or is
//! said to be out of it.
//!
//! Newer evidence wins, with these limits:
//! - Where two vehicles stood at the door, which one took it is not guessed: it is out through the door.
//! - What is sensed where its vehicle stands, or passes a portal together with it, is still in it.
//! - Its own tracker takes it out of the vehicle where it is further from the vehicle's than both could tell.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Tracker;
use super::cause::Cause;
use super::contents::Holder;
use super::import::{conflict, invalid};
use crate::domain::commands::Refused;
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::geodesy::Position;
use crate::domain::ids::{AssetId, ReadPointId, SiteId, ZoneId};
use crate::domain::readings::Fix;
use crate::domain::sightings::Direction;
use crate::domain::state::{Location, StateKind, StateRow};
use crate::domain::time::Timestamp;

/// Stays remembered per door: a passage is told while its reads are held back, and who stood there may have left.
const STAYS: usize = 16;
/// A vehicle is sensed some time after it came, by its next fix or by the reads of some seconds: it may have stood there
/// for so long before. When it is sensed to be gone, it is.
const BEFORE: Duration = Duration::from_secs(60);
/// What passes a portal within this of its vehicle passes with it.
const TOGETHER: Duration = Duration::from_secs(60);
/// Assets per door of which it is not known yet whether they passed with their vehicle.
const PARTED: usize = 256;
/// Vehicles within vehicles: a box on a cage on a truck on a ferry.
pub(super) const DEPTH: usize = 8;
/// Further than this from its vehicle, beyond what both receivers may be wrong by, is outside of it.
const APART_M: f64 = 300.0;
/// And what a vehicle may drive between the two fixes.
const FAST_MPS: f64 = 40.0;
/// Fixes further apart in time say nothing of one another.
const COMPARED: Duration = Duration::from_secs(300);

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
}

impl Stay {
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

/// The row of a door.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DoorRow {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stays: Vec<Stay>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parted: Vec<Parted>,
}

/// Where its tracker was last.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fixed {
    pub position: Position,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy_m: Option<f64>,
    pub at: Timestamp,
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

    /// The doors at which it stands now, and how that is known.
    fn open(&self, vehicle: &AssetId) -> Vec<(ReadPointId, Stay)> {
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

    fn begin(&mut self, door: &ReadPointId, stay: Stay) {
        self.at.entry(stay.vehicle.clone()).or_default().insert(door.clone());
        let stays = &mut self.rows.entry(door.clone()).or_default().stays;
        if stays.len() == STAYS {
            // Who stands there is not forgotten while somebody who left is known.
            let oldest = stays.iter().position(|stay| stay.until.is_some()).unwrap_or(0);
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

    /// Who stood there then: the nearest in time; what somebody said before what was sensed.
    fn standing(&self, door: &ReadPointId, at: Timestamp) -> Standing {
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

    fn note_parted(&mut self, door: &ReadPointId, parted: Parted) {
        let row = self.rows.entry(door.clone()).or_default();
        row.parted.retain(|other| parted.at.since(other.at) <= TOGETHER && other.asset != parted.asset);
        if row.parted.len() == PARTED {
            row.parted.remove(0);
        }
        row.parted.push(parted);
        self.dirty.insert(door.clone());
    }

    /// What passed there shortly before its vehicle, and is in it after all.
    fn rejoined(
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

fn apart(one: Timestamp, other: Timestamp) -> Duration {
    one.since(other).max(other.since(one))
}

/// Where an asset is from now on, and why.
pub(super) struct Answer {
    pub location: Location,
    /// Of the evidence that it rests on.
    pub at: Timestamp,
    pub reason: std::sync::Arc<str>,
    pub confidence: Option<f32>,
}

impl Tracker {
    /// Moves the one answer for an asset. What it was in, what it is in, and at which doors it stands, follow.
    pub(super) fn place(&mut self, asset: &AssetId, answer: Answer, cause: &Cause, out: &mut Vec<Event>) {
        let Answer { location, at, reason, confidence } = answer;
        let row = self.assets.change(asset);
        let was_silent = row.memory.departed;
        let moves = row.current.location != location;
        let before = moves.then(|| row.current.location.clone());
        row.place(location.clone(), at, reason.clone(), confidence);
        if let Some(before) = before {
            self.moved_between(asset, &before, &location);
            let site = self.site_of_asset(asset);
            let subject = || Subject::Asset(asset.clone());
            let how = || reason.to_string();
            if let Location::In(vehicle) = before {
                let parts: [&[u8]; 1] = [vehicle.as_str().as_bytes()];
                let body = EventBody::Unloaded { vehicle: vehicle.clone(), how: how() };
                out.push(cause.event(site.clone(), subject(), body, &parts));
            }
            if let Location::In(vehicle) = &location {
                let body = EventBody::Loaded { vehicle: vehicle.clone(), how: how() };
                let mut event = cause.event(site, subject(), body, &[vehicle.as_str().as_bytes()]);
                event.confidence = confidence;
                out.push(event);
            }
        }
        if (moves || was_silent) && self.topology.has_doors_with_bays() || self.doors.at.contains_key(asset) {
            self.stand_where_it_is(asset, &location, cause, out);
        }
    }

    /// Opens and closes its stays at doors, by where it is.
    fn stand_where_it_is(
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
            if !self.doors.at.get(asset).is_some_and(|doors| doors.contains(&door)) {
                let how =
                    self.assets.get(asset).map(|row| row.current.reason.to_string()).unwrap_or_default();
                self.dock(asset, &door, false, how, cause, out);
            }
        }
    }

    fn dock(
        &mut self,
        vehicle: &AssetId,
        door: &ReadPointId,
        said: bool,
        how: String,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let stay = Stay { vehicle: vehicle.clone(), from: cause.observed_at, until: None, said };
        self.doors.begin(door, stay);
        let site = self.site_of_read_point(door);
        let body = EventBody::Docked { door: door.clone(), how };
        let parts: [&[u8]; 1] = [door.as_str().as_bytes()];
        out.push(cause.event(site, Subject::Asset(vehicle.clone()), body, &parts));
    }

    fn undock(
        &mut self,
        vehicle: &AssetId,
        door: &ReadPointId,
        since: Timestamp,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        self.doors.end(door, vehicle, cause.observed_at);
        let site = self.site_of_read_point(door);
        let body = EventBody::Undocked { door: door.clone(), since };
        let parts: [&[u8]; 1] = [door.as_str().as_bytes()];
        out.push(cause.event(site, Subject::Asset(vehicle.clone()), body, &parts));
    }

    /// It is not heard at its bay any more.
    pub(super) fn left_bay(&mut self, vehicle: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        for (door, stay) in self.doors.open(vehicle).into_iter().filter(|(_, stay)| !stay.said) {
            self.undock(vehicle, &door, stay.from, cause, out);
        }
    }

    /// It drives: whatever was said, it stands at no door.
    pub(super) fn set_out(&mut self, vehicle: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        for (door, stay) in self.doors.open(vehicle).into_iter().filter(|(_, stay)| stay.said) {
            self.undock(vehicle, &door, stay.from, cause, out);
        }
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
            self.set_out(&other, cause, out);
        }
        self.said_to_leave(vehicle, cause, out);
        self.dock(vehicle, door, true, format!("said by {by}"), cause, out);
    }

    pub(super) fn said_to_leave(&mut self, vehicle: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        self.left_bay(vehicle, cause, out);
        self.set_out(vehicle, cause, out);
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

    pub(super) fn is_vehicle(&self, asset: &AssetId) -> bool {
        self.register.class_of(asset).is_some_and(|class| class.vehicle)
    }

    /// What a passage out leads into, and why.
    pub(super) fn taken_by(
        &self,
        asset: &AssetId,
        portal: &ReadPointId,
        at: Timestamp,
    ) -> (Option<AssetId>, String) {
        let passed = format!("passed {portal} out");
        match self.doors.standing(portal, at) {
            Standing::Nobody => (None, passed),
            Standing::One(stay) if stay.vehicle == *asset || self.is_within(&stay.vehicle, asset) => {
                (None, passed)
            }
            Standing::One(stay) => {
                let since = self.register.local(self.site_of_read_point(portal).as_ref(), stay.from);
                let vehicle = &stay.vehicle;
                let reason = format!("{passed}, where {vehicle} stood since {since}");
                (Some(stay.vehicle), reason)
            }
            Standing::Several(vehicles) => {
                let names: Vec<&str> = vehicles.iter().map(AssetId::as_str).collect();
                let reason = format!(
                    "{passed}, where {} stood: which of them took it is not known",
                    names.join(" and ")
                );
                (None, reason)
            }
        }
    }

    /// Whether `inner` is in `outer`, directly or in something that is.
    fn is_within(&self, inner: &AssetId, outer: &AssetId) -> bool {
        self.vehicles_of(inner).any(|vehicle| vehicle == outer)
    }

    /// What it is in, and what that is in, from the nearest to the outermost.
    pub(super) fn vehicles_of<'a>(&'a self, asset: &'a AssetId) -> impl Iterator<Item = &'a AssetId> {
        std::iter::successors(self.vehicle_of(asset), |vehicle| self.vehicle_of(vehicle)).take(DEPTH)
    }

    pub(super) fn vehicle_of(&self, asset: &AssetId) -> Option<&AssetId> {
        match &self.assets.get(asset)?.current.location {
            Location::In(vehicle) => Some(vehicle),
            _ => None,
        }
    }

    /// Whether being sensed in a zone says no more than that its vehicle is there.
    pub(super) fn is_there_in_its_vehicle(&self, asset: &AssetId, zone: &ZoneId) -> bool {
        self.vehicles_of(asset).any(|vehicle| {
            let location = self.assets.get(vehicle).map(|row| &row.current.location);
            matches!(location, Some(Location::Zone(at)) if at == zone)
        })
    }

    /// Whether it passes a gate out in its vehicle, or in together with it. Of what goes in alone it is noted that its
    /// vehicle may be told of yet.
    pub(super) fn passes_in_its_vehicle(
        &mut self,
        asset: &AssetId,
        portal: &ReadPointId,
        direction: Direction,
        at: Timestamp,
    ) -> bool {
        let Some(vehicle) = self.vehicle_of(asset).cloned() else { return false };
        let is_dock = self.topology.portal(portal).is_some_and(|door| door.bay.is_some())
            || self.doors.standing(portal, at) != Standing::Nobody;
        // Vehicles stand at a dock, and pass a gate.
        if is_dock {
            return false;
        }
        let together = self.assets.get(&vehicle).is_some_and(|row| {
            let mut passages = row.memory.passages.iter();
            passages.any(|p| p.portal == *portal && p.direction == direction && apart(p.at, at) <= TOGETHER)
        });
        if !together && direction == Direction::In {
            self.doors.note_parted(portal, Parted { asset: asset.clone(), vehicle, direction, at });
        }
        together || direction == Direction::Out
    }

    /// A vehicle passed: what passed shortly before it and was in it, still is.
    pub(super) fn rejoin(
        &mut self,
        vehicle: &AssetId,
        portal: &ReadPointId,
        direction: Direction,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        for parted in self.doors.rejoined(portal, vehicle, direction, cause.observed_at) {
            let placed_by_it =
                self.assets.get(&parted.asset).is_some_and(|row| row.memory.placed_at == Some(parted.at));
            if placed_by_it {
                let reason = format!("passed {portal} together with {vehicle}").into();
                self.load(&parted.asset, vehicle, reason, None, cause, out);
            }
        }
    }

    pub(super) fn load(
        &mut self,
        asset: &AssetId,
        vehicle: &AssetId,
        reason: std::sync::Arc<str>,
        confidence: Option<f32>,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let answer =
            Answer { location: Location::In(vehicle.clone()), at: cause.observed_at, reason, confidence };
        self.place(asset, answer, cause, out);
        self.note_leaving(asset);
        self.relocated(asset, true, cause, out);
    }

    /// A fix of an asset's own tracker, where it is in a vehicle: how far outside of it that shows it to be.
    pub(super) fn outside_its_vehicle(
        &self,
        asset: &AssetId,
        fix: &Fix,
        at: Timestamp,
    ) -> Option<(AssetId, f64)> {
        let vehicle = self.vehicle_of(asset)?;
        // A cage in a truck has no tracker; the truck does.
        let fixed = |vehicle: &AssetId| self.assets.get(vehicle)?.memory.fixed.as_deref().copied();
        let fixed = std::iter::once(vehicle).chain(self.vehicles_of(vehicle)).find_map(fixed)?;
        let between = apart(fixed.at, at);
        let unsure = fixed.accuracy_m.unwrap_or(0.0) + fix.accuracy_m.unwrap_or(0.0);
        let driven = between.as_secs_f64() * FAST_MPS;
        let far = fixed.position.distance_m(fix.position);
        (between <= COMPARED && far > APART_M + unsure + driven).then(|| (vehicle.clone(), far))
    }

    /// Where somebody says, else where its vehicle is.
    pub(super) fn unload(
        &mut self,
        asset: &AssetId,
        zone: Option<ZoneId>,
        by: &str,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let outermost = self.vehicles_of(asset).last().and_then(|vehicle| self.assets.get(vehicle));
        let there = outermost.map_or(Location::Unknown, |row| row.current.location.clone());
        let location = zone.map_or(there, Location::Zone);
        let reason = format!("said by {by} to be unloaded").into();
        let answer = Answer { location, at: cause.observed_at, reason, confidence: None };
        self.place(asset, answer, cause, out);
        self.lies_somewhere(asset, cause.observed_at);
        self.note_leaving(asset);
        self.relocated(asset, true, cause, out);
    }

    pub(super) fn site_of_door(&self, door: &ReadPointId) -> Option<SiteId> {
        self.topology.portal(door).and_then(|_| self.site_of_read_point(door))
    }

    fn check_vehicle(&self, vehicle: &AssetId) -> Result<(), Refused> {
        self.known(vehicle)?;
        match self.is_vehicle(vehicle) {
            true => Ok(()),
            false => {
                Err(invalid(format!("`{vehicle}` is no vehicle: its class does not say `vehicle = true`")))
            }
        }
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
        match self.doors.at.contains_key(vehicle) {
            true => Ok(()),
            false => Err(conflict(format!("`{vehicle}` stands at no door"))),
        }
    }

    pub(super) fn check_load(&self, asset: &AssetId, vehicle: &AssetId) -> Result<(), Refused> {
        self.known(asset)?;
        self.check_vehicle(vehicle)?;
        match self.vehicle_of(asset) {
            _ if asset == vehicle || self.is_within(vehicle, asset) => {
                Err(invalid(format!("`{vehicle}` cannot be in itself")))
            }
            Some(before) if before == vehicle => {
                Err(conflict(format!("`{asset}` is in `{vehicle}` already")))
            }
            // What is in it counts too, but it is there already.
            _ if self.vehicles_of(vehicle).count() + 1 >= DEPTH => {
                Err(invalid(format!("`{vehicle}` is in {} vehicles already", DEPTH - 1)))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check_unload(&self, asset: &AssetId, zone: Option<&ZoneId>) -> Result<(), Refused> {
        self.known(asset)?;
        if self.vehicle_of(asset).is_none() {
            return Err(conflict(format!("`{asset}` is in no vehicle")));
        }
        match zone {
            Some(zone) if self.register.zone(zone).is_none() => {
                Err(invalid(format!("there is no zone `{zone}`")))
            }
            _ => Ok(()),
        }
    }

    /// The register no longer has it: what was in it is nobody knows where.
    pub(super) fn forget_vehicle(&mut self, vehicle: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        self.said_to_leave(vehicle, cause, out);
        for asset in self.contents.of(&Holder::Vehicle(vehicle.clone())) {
            let reason = format!("it was in {vehicle}, which is no longer on the register").into();
            let answer =
                Answer { location: Location::Unknown, at: cause.observed_at, reason, confidence: None };
            self.place(&asset, answer, cause, out);
        }
        let location = self.assets.get(vehicle).map(|row| row.current.location.clone());
        if let Some(location) = location {
            self.moved_between(vehicle, &location, &Location::Unknown);
        }
    }
}
