//! What is in which vehicle.
//!
//! What passes out at a door where a vehicle stands (`docks.rs`) is in it, and is where it is, until it passes in
//! somewhere, is sensed in a zone, or is said to be out of it.
//!
//! Newer evidence wins, with these limits:
//! - Where two vehicles stood at the door, which one took it is not guessed: it is out through the door.
//! - What is sensed where its vehicle stands, or passes a portal together with it, is still in it.
//! - Its own tracker takes it out of the vehicle where it is further from the vehicle's than both could tell.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Tracker;
use super::cause::Cause;
use super::contents::Holder;
use super::docks::{Parted, Standing};
use super::import::{conflict, invalid};
use crate::domain::commands::Refused;
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::geodesy::Position;
use crate::domain::ids::{AssetId, DeviceId, ReadPointId, ZoneId};
use crate::domain::readings::Fix;
use crate::domain::register::Asset;
use crate::domain::sightings::Direction;
use crate::domain::state::Location;
use crate::domain::time::Timestamp;

/// What passes a portal within this of its vehicle passes with it.
pub(super) const TOGETHER: Duration = Duration::from_secs(60);
/// Vehicles within vehicles: a box on a cage on a truck on a ferry.
pub(super) const DEPTH: usize = 8;
/// Further than this from its vehicle, beyond what both receivers may be wrong by, is outside of it.
pub(super) const APART_M: f64 = 300.0;
/// And what a vehicle may drive between the two fixes.
const FAST_MPS: f64 = 40.0;
/// Fixes further apart in time say nothing of one another.
pub(super) const COMPARED: Duration = Duration::from_secs(300);

/// Where its tracker was last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fixed {
    pub position: Position,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy_m: Option<f64>,
    pub at: Timestamp,
    /// Not in rows of the first builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<DeviceId>,
    /// It stands there, by its fixes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stands: bool,
    /// It lay outside of the vehicle that the asset is in: one fix may be wrong, the next one confirms it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub astray: bool,
}

pub(super) fn apart(one: Timestamp, other: Timestamp) -> Duration {
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
        let may_stand = (moves || was_silent) && self.topology.has_doors_with_bays();
        if may_stand || self.doors.stands(asset) {
            self.stand_where_it_is(asset, &location, cause, out);
        }
    }

    /// Things may be in it: it is one by its class, and in use.
    pub(super) fn is_vehicle(&self, asset: &AssetId) -> bool {
        let is_in_use = !self.register.asset(asset).is_some_and(Asset::is_retired);
        is_in_use && self.register.class_of(asset).is_some_and(|class| class.vehicle)
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
            Standing::One(stay) if !self.may_be_in(asset, &stay.vehicle) => (None, passed),
            Standing::One(stay) => {
                let since = self.register.local(self.site_of_read_point(portal).as_ref(), stay.from);
                let vehicle = &stay.vehicle;
                let is_heard = self.assets.get(vehicle).is_some_and(|row| self.is_heard_there(row));
                let unsure = match !stay.said && !is_heard && self.has_silent_tracker(vehicle) {
                    true => ", and its tracker is silent: it may have left",
                    false => "",
                };
                let reason = format!("{passed}, where {vehicle} stood since {since}{unsure}");
                (Some(stay.vehicle), reason)
            }
            Standing::Several(vehicles) => {
                // A tractor and its trailer are one, as whose the tractor is known.
                let inner = |one: &&AssetId| vehicles.iter().any(|other| self.is_within(one, other));
                let outer: Vec<&AssetId> = vehicles.iter().filter(|one| !inner(one)).collect();
                if let [vehicle] = outer[..] {
                    let stood = format!("{passed}, where {vehicle} stood with what is in it");
                    return match self.may_be_in(asset, vehicle) {
                        true => (Some(vehicle.clone()), stood),
                        false => (None, passed),
                    };
                }
                let names: Vec<&str> = outer.into_iter().map(AssetId::as_str).collect();
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

    /// Whether that makes no circle, and nothing that is deeper in vehicles than is looked at.
    fn may_be_in(&self, asset: &AssetId, vehicle: &AssetId) -> bool {
        let is_circle = asset == vehicle || self.is_within(vehicle, asset);
        let above = 1 + self.vehicles_of(vehicle).count();
        !is_circle && above < DEPTH && above + self.layers_in(asset, DEPTH - above) < DEPTH
    }

    /// How deep things are in it, in one another: so many at most.
    fn layers_in(&self, vehicle: &AssetId, most: usize) -> usize {
        if most == 0 {
            return 0;
        }
        let inside = self.contents.of(&Holder::Vehicle(vehicle.clone()));
        inside.iter().map(|inner| 1 + self.layers_in(inner, most - 1)).max().unwrap_or(0)
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
            // Somebody may have said meanwhile that it is the other way round.
            if placed_by_it && self.may_be_in(&parted.asset, vehicle) {
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
        let fixed = |vehicle: &AssetId| self.assets.get(vehicle)?.memory.fixed.as_deref();
        let fixed = std::iter::once(vehicle).chain(self.vehicles_of(vehicle)).find_map(fixed)?;
        // What stands, where it was last heard, is there still: a tracker that sleeps says nothing for hours.
        let between = if fixed.stands && fixed.at <= at { Duration::ZERO } else { apart(fixed.at, at) };
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
        let there = outermost.map(|row| row.current.location.clone());
        // Of vehicles in a circle, as they could come about once, none is anywhere.
        let there = there.filter(|there| !matches!(there, Location::In(_))).unwrap_or(Location::Unknown);
        let location = zone.map_or(there, Location::Zone);
        let reason = format!("said by {by} to be unloaded").into();
        let answer = Answer { location, at: cause.observed_at, reason, confidence: None };
        self.place(asset, answer, cause, out);
        self.lies_somewhere(asset, cause.observed_at);
        self.note_leaving(asset);
        self.relocated(asset, true, cause, out);
    }

    pub(super) fn check_vehicle(&self, vehicle: &AssetId) -> Result<(), Refused> {
        self.known(vehicle)?;
        if self.register.asset(vehicle).is_some_and(Asset::is_retired) {
            return Err(conflict(format!("`{vehicle}` is retired")));
        }
        match self.is_vehicle(vehicle) {
            true => Ok(()),
            false => {
                Err(invalid(format!("`{vehicle}` is no vehicle: its class does not say `vehicle = true`")))
            }
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
            _ if !self.may_be_in(asset, vehicle) => {
                let most = DEPTH - 1;
                Err(invalid(format!("what is in `{asset}` would be in more than {most} vehicles then")))
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
