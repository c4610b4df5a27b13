//! What shows that a vehicle is in the bay of a door, and that it has left it: its own tag, heard there, or a fence.
//!
//! Both may be told hours late, by a reader or a tracker that was without a network, when something newer has told
//! already where the vehicle went. Then they move no answer, and still say who stood at the door.

use super::Tracker;
use super::cause::Cause;
use super::docks::Stay;
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, DeviceId, FenceId, ReadPointId, ZoneId};
use crate::domain::sightings::FenceChange;
use crate::domain::state::Location;
use crate::domain::time::Timestamp;

impl Tracker {
    /// It is in a bay: its tag is heard there, or a fence has it there. What is in another vehicle comes with that: it
    /// stands there itself once it is out of it.
    pub(super) fn comes_to_bay(&mut self, vehicle: &AssetId, bay: &ZoneId, at: Timestamp) {
        let is_alone = self.is_vehicle(vehicle) && self.vehicle_of(vehicle).is_none();
        if self.topology.doors_of_bay(bay).is_empty() || !is_alone {
            return;
        }
        for door in self.topology.doors_of_bay(bay).to_vec() {
            self.doors.note_heard(&door, vehicle, at);
        }
    }

    /// It is there no more; `how`: what had it there. Where something newer that was told before had it elsewhere
    /// meanwhile, as where its reader or tracker held back what it knew, the stay is told now that it is over.
    pub(super) fn leaves_bay(
        &mut self,
        vehicle: &AssetId,
        bay: &ZoneId,
        how: Option<String>,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        for door in self.topology.doors_of_bay(bay).to_vec() {
            let stands = self.doors.stands_at(&door, vehicle);
            let heard = self.doors.heard_since(&door, vehicle);
            if let Some(from) = heard.filter(|from| !stands && *from < cause.observed_at) {
                self.tell_stay(vehicle, &door, from, how.clone().unwrap_or_default(), cause, out);
            }
            self.doors.forget_heard(&door, vehicle);
        }
    }

    /// It is not heard at its bay any more.
    pub(super) fn left_bay(&mut self, vehicle: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        for (door, stay) in self.doors.open(vehicle).into_iter().filter(|(_, stay)| !stay.said) {
            self.undock(vehicle, &door, stay.from, cause, out);
        }
    }

    /// Its tracker came into a fence, or left one, that may be a bay's.
    pub(super) fn crosses_bay(
        &mut self,
        vehicle: &AssetId,
        fence: &FenceId,
        change: FenceChange,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let Some(bay) = self.topology.fence_zone(fence).cloned() else { return };
        match change {
            FenceChange::Entered => self.comes_to_bay(vehicle, &bay, cause.observed_at),
            FenceChange::Exited => {
                self.leaves_bay(vehicle, &bay, Some(format!("inside {fence}")), cause, out);
                self.left_earlier(vehicle, &bay, cause, out);
            }
            FenceChange::Dwelt => {}
        }
    }

    /// Late fixes say when its tracker was in a fence that may be a bay's: who stood at its doors is known better then.
    pub(super) fn stayed(
        &mut self,
        device: &DeviceId,
        fence: &FenceId,
        (from, until): (Option<Timestamp>, Option<Timestamp>),
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let Some(tracked) = self.register.asset_of_tracker(device, cause.observed_at).cloned() else {
            return;
        };
        let Some(bay) = self.topology.fence_zone(fence).cloned() else { return };
        if let (Some(from), None) = (from, until) {
            self.came_earlier(&tracked, fence, &bay, from);
        }
        let Some(vehicle) = Some(tracked).filter(|asset| self.is_vehicle(asset)) else { return };
        for door in self.topology.doors_of_bay(&bay).to_vec() {
            let Some(from) = from else { continue };
            if self.doors.begin_earlier(&door, &vehicle, (from, until)) {
                let begun = Cause { observed_at: from, ..cause.clone() };
                self.judge_again(&door, from, &begun, out);
            } else if until.is_some_and(|until| !self.doors.stood(&door, &vehicle, (from, until))) {
                self.tell_stay(&vehicle, &door, from, format!("inside {fence}"), cause, out);
            }
        }
        if until.is_some() {
            self.left_earlier(&vehicle, &bay, cause, out);
        }
    }

    /// It is where it is since then, and not since when it was seen there, if it is the fence that says where that is.
    fn came_earlier(&mut self, asset: &AssetId, fence: &FenceId, zone: &ZoneId, from: Timestamp) {
        let is_by_fence = self.assets.get(asset).is_some_and(|row| {
            let current = &row.current;
            let is_there = matches!(&current.location, Location::Zone(there) if there == zone);
            let by_it = self.topology.zone_within(&current.fences).is_some_and(|(inside, _)| inside == fence);
            is_there && by_it && current.since.is_some_and(|since| from < since)
        });
        if is_by_fence {
            self.assets.change(asset).current.since = Some(from);
        }
    }

    /// It stood there, and it is told now that this is over.
    fn tell_stay(
        &mut self,
        vehicle: &AssetId,
        door: &ReadPointId,
        from: Timestamp,
        how: String,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let begun = Cause { observed_at: from, ..cause.clone() };
        let until = Some(cause.observed_at);
        self.dock(door, Stay::sensed(vehicle.clone(), from, until), how, &begun, out);
        self.tell_undocked(vehicle, door, from, cause, out);
    }

    /// It had left before the end of its stay that was told: where it was sensed elsewhere first, its way there was not
    /// known then.
    fn left_earlier(&mut self, vehicle: &AssetId, bay: &ZoneId, cause: &Cause, out: &mut Vec<Event>) {
        for door in self.topology.doors_of_bay(bay).to_vec() {
            if let Some(since) = self.doors.end_earlier(&door, vehicle, cause.observed_at) {
                self.tell_undocked(vehicle, &door, since, cause, out);
            }
        }
    }
}
