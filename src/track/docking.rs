//! A vehicle comes to a door and leaves it, by where it is or by what somebody says: [`super::docks`] remembers it.

use super::Tracker;
use super::cause::Cause;
use super::docks::Stay;
use super::import::{conflict, invalid};
use crate::domain::commands::Refused;
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::{AssetId, ReadPointId, SiteId};
use crate::domain::state::Location;
use crate::domain::time::Timestamp;

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
        let since = self.assets.get(asset).and_then(|row| row.current.since);
        for (door, stay) in self.doors.open(asset) {
            // What somebody said outlasts a fix in the yard, and what was known already when they said so; not another door or a
            // way out that it came to since.
            let elsewhere = !bays.is_empty() || matches!(location, Location::OutThrough(_) | Location::In(_));
            let came_since = since.is_none_or(|since| since > stay.from);
            if !bays.contains(&door) && (!stay.said || elsewhere && came_since) {
                self.undock(asset, &door, stay.from, cause, out);
            }
        }
        // Of several doors of one bay it stands at the one that somebody said.
        if self.doors.open(asset).iter().any(|(_, stay)| stay.said) {
            return;
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
        let stay = Stay { said: true, seen_at, ..Stay::sensed(vehicle.clone(), from, None) };
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
                self.doors.note_by_rules(&door, vehicle);
            }
        }
        if !self.topology.has_doors_with_bays() {
            return;
        }
        let in_bays = self.assets.ids_where(|asset, row| {
            let Location::Zone(zone) = &row.current.location else { return false };
            let (bays, since) = (self.topology.doors_of_bay(zone), row.current.since);
            let is_over = since.is_some_and(|since| self.doors.is_over(bays, asset, since));
            !row.memory.departed && !bays.is_empty() && !is_over
        });
        for asset in in_bays {
            if let Some(location) = self.assets.get(&asset).map(|row| row.current.location.clone()) {
                self.stand_where_it_is(&asset, &location, cause, out);
            }
        }
    }

    /// Whether the answer for it is the bay of a door.
    pub(super) fn is_in_a_bay(&self, asset: &AssetId) -> bool {
        let location = self.assets.get(asset).map(|row| &row.current.location);
        matches!(location, Some(Location::Zone(zone)) if !self.topology.doors_of_bay(zone).is_empty())
    }

    pub(super) fn site_of_door(&self, door: &ReadPointId) -> Option<SiteId> {
        self.topology.portal(door).and_then(|_| self.site_of_read_point(door))
    }

    pub(super) fn check_dock(&self, vehicle: &AssetId, door: &ReadPointId) -> Result<(), Refused> {
        self.check_vehicle(vehicle)?;
        let is_said = self.doors.open(vehicle).iter().any(|(at, stay)| at == door && stay.said);
        match self.topology.portal(door) {
            Some(_) if is_said => Err(conflict(format!("`{vehicle}` is docked at `{door}` already"))),
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
