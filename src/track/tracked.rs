//! Where its tracker says it is: fixes, trips and visits to fences → location events, and the one current answer.
//!
//! A fix does not take an asset out of a zone where it is being heard. A fence that it is in and that has a zone puts it
//! there; what of fences nobody will say any more (they are gone, or their tracker is on something else) is forgotten.

use super::Tracker;
use super::assets::AssetRow;
use super::cause::Cause;
use super::vehicles::{Answer, Fixed};
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::{AssetId, DeviceId, FenceId, SiteId};
use crate::domain::motion::{Motion, MotionChange};
use crate::domain::readings::Fix;
use crate::domain::sightings::FenceChange;
use crate::domain::state::{Location, SensedBy};
use crate::domain::time::Timestamp;

/// What cleaning says of a fence.
pub(super) struct FenceVisit {
    pub fence: FenceId,
    pub change: FenceChange,
    pub fix: Fix,
    pub inferred: bool,
}

impl Tracker {
    /// `inside`: the fences that its tracker was in before, where it is in order.
    pub(super) fn fix(
        &mut self,
        fix: &Fix,
        inside: Option<&[FenceId]>,
        stands: Option<bool>,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        self.ignition_told(fix, cause);
        let asset = self.register.asset_of_tracker(&fix.device, cause.observed_at).cloned();
        let site = self.site_of_tracked(asset.as_ref(), cause);
        let position = fix.position;
        let parts: [&[u8]; 4] = [
            fix.device.as_str().as_bytes(),
            &fix.digest.bytes(),
            &position.lat.to_bits().to_be_bytes(),
            &position.lon.to_bits().to_be_bytes(),
        ];
        let subject = tracked(asset.as_ref(), &fix.device);
        out.push(cause.event(site, subject, EventBody::Fix(fix.clone()), &parts));
        if let Some(asset) = asset.filter(|asset| !cause.late || self.is_unknown(asset)) {
            let came = inside.map(|inside| self.tracked_within(&asset, &fix.device, inside, cause, out));
            self.tracked_at(&asset, fix, cause, out);
            for fence in came.unwrap_or_default() {
                self.home_by_fence(&asset, &fence, cause, out);
            }
            if let Some(stands) = stands.filter(|_| !cause.late) {
                self.its_asset_stands(&fix.device, stands, cause.observed_at);
            }
        }
    }

    /// It set out or came to rest. Where it is now, its fixes say.
    pub(super) fn motion(&mut self, device: DeviceId, motion: Motion, cause: &Cause, out: &mut Vec<Event>) {
        self.motion_told(&device, motion.change);
        self.its_asset_stands(&device, motion.change == MotionChange::Stopped, cause.observed_at);
        let asset = self.register.asset_of_tracker(&device, cause.observed_at).cloned();
        if let Some(asset) = asset.as_ref().filter(|_| motion.change == MotionChange::Moving && !cause.late) {
            self.drives(asset, motion.left_by, cause, out);
        }
        let site = self.site_of_tracked(asset.as_ref(), cause);
        let subject = tracked(asset.as_ref(), &device);
        let name = device.clone();
        let parts: [&[u8]; 2] = [name.as_str().as_bytes(), &[motion.change as u8]];
        out.push(cause.event(site, subject, EventBody::Motion { device, motion }, &parts));
    }

    /// Nothing tells where it is, and nothing ever did: an old place is better than none.
    fn is_unknown(&self, asset: &AssetId) -> bool {
        let is_placed =
            |row: &AssetRow| row.current.location != Location::Unknown || row.memory.fixed.is_some();
        !self.assets.get(asset).is_some_and(is_placed)
    }

    /// By its fixes, of which it is the tracker's that is known last.
    pub(super) fn its_asset_stands(&mut self, device: &DeviceId, stands: bool, at: Timestamp) {
        let Some(asset) = self.register.asset_of_tracker(device, at).cloned() else { return };
        let fixed = self.assets.get(&asset).and_then(|row| row.memory.fixed.as_deref());
        if fixed.is_some_and(|fixed| fixed.by.as_ref() == Some(device) && fixed.stands != stands)
            && let Some(fixed) = self.assets.change(&asset).memory.fixed.as_deref_mut()
        {
            fixed.stands = stands;
        }
    }

    pub(super) fn fence(&mut self, device: DeviceId, visit: FenceVisit, cause: &Cause, out: &mut Vec<Event>) {
        let FenceVisit { fence, change, fix, inferred } = visit;
        let asset = self.register.asset_of_tracker(&device, cause.observed_at).cloned();
        let site =
            self.topology.fence_site(&fence).cloned().or_else(|| self.site_of_tracked(asset.as_ref(), cause));
        let parts: [&[u8]; 4] =
            [device.as_str().as_bytes(), fence.as_str().as_bytes(), &[change as u8], &fix.digest.bytes()];
        let body = EventBody::Geofence { change, fence: fence.clone(), fix: fix.clone(), inferred };
        out.push(cause.event(site, tracked(asset.as_ref(), &device), body, &parts));
        // What was inferred is over, and where it is now is somewhere else; whoever stays is where it was.
        let places = !inferred && change != FenceChange::Dwelt;
        let Some(asset) = asset.filter(|_| places) else { return };
        if cause.late {
            if change == FenceChange::Entered {
                self.home_by_late_fixes(&asset, &fence, cause, out);
            }
            return;
        }
        let is_there_by_another = self.beside.crosses(&asset, &device, &fence, change, cause.observed_at);
        if change == FenceChange::Exited && is_there_by_another {
            return;
        }
        self.crosses_bay(&asset, &fence, change, cause, out);
        let fences = &mut self.assets.change(&asset).current.fences;
        fences.retain(|inside| *inside != fence);
        match change {
            FenceChange::Entered => fences.push(fence.clone()),
            _ => self.drives(&asset, None, cause, out),
        }
        self.tracked_at(&asset, &fix, cause, out);
        self.moved(&asset, cause, out);
        if change == FenceChange::Entered {
            self.home_by_fence(&asset, &fence, cause, out);
        }
    }

    /// A fix of its tracker, or one by which a fence was crossed, which comes after newer ones.
    fn tracked_at(&mut self, asset: &AssetId, fix: &Fix, cause: &Cause, out: &mut Vec<Event>) {
        let at = cause.observed_at;
        let newest = self.assets.get(asset).and_then(|row| row.memory.fixed.as_deref().cloned());
        let newest = newest.filter(|fixed| fixed.at > at);
        let (location, mut reason) = self.where_tracked(asset, fix, newest.as_ref());
        let far = self.outside_its_vehicle(asset, fix, at);
        let astray = far.is_some();
        let before = self.assets.get(asset).and_then(|row| row.memory.fixed.as_deref());
        let outside = far.filter(|_| before.is_some_and(|before| before.astray && before.at < at));
        let heard = self.assets.get(asset).is_some_and(|row| self.is_heard_there(row));
        let in_its_vehicle = outside.is_none() && self.vehicle_of(asset).is_some();
        let may_place = self.may_place(asset, at);
        if let Some((vehicle, m)) = outside {
            reason.push_str(&format!(", {:.1} km from {vehicle}", m / 1000.0));
        }
        let row = self.assets.change(asset);
        row.sense(at, SensedBy::Tracker(fix.device.clone()));
        if newest.is_none() {
            let before = row.memory.fixed.as_deref().filter(|before| before.by.as_ref() == Some(&fix.device));
            let (stands, by) = (before.is_some_and(|before| before.stands), Some(fix.device.clone()));
            let Fix { position, accuracy_m, .. } = *fix;
            row.memory.fixed = Some(Box::new(Fixed { position, accuracy_m, at, by, stands, astray }));
        }
        // A crossing of a fence is told by a later fix, which has been here: that it lies in a zone, or in none any
        // more, is the same answer, said better.
        let by_newest = newest.as_ref().is_some_and(|fixed| row.memory.placed_at == Some(fixed.at));
        let is_said_better = match (&row.current.location, &location) {
            (Location::At(_), Location::Zone(_)) => true,
            (Location::Zone(_), Location::At(_) | Location::Zone(_)) => by_newest,
            _ => false,
        };
        if !heard && !in_its_vehicle && (may_place || is_said_better) {
            let placed_at = row.memory.placed_at.map_or(at, |placed| placed.max(at));
            let zones = (&row.current.location, &location);
            let was_known = *zones.0 != Location::Unknown;
            let relocated = zones.0 != zones.1 && !matches!(zones, (Location::At(_), Location::At(_)));
            let answer = Answer { location, at: placed_at, reason: reason.into(), confidence: None };
            self.place(asset, answer, cause, out);
            self.note_leaving(asset);
            if relocated {
                // The fence was crossed at the fix that told of it first.
                self.assets.change(asset).current.since = Some(at);
                self.relocated(asset, was_known, cause, out);
            }
        }
        if newest.is_none() {
            self.may_have_left(asset, cause, out);
            if let Some(percent) = fix.battery_percent {
                self.battery_told(asset, &fix.device, percent);
                self.review_battery(&fix.device, cause, out);
            }
        }
        self.drove(asset, fix, cause, out);
        self.sensed(asset, &[], cause, out);
    }

    /// Where its newest fix puts it, by the fences that it is known to be in, and why.
    fn where_tracked(&self, asset: &AssetId, fix: &Fix, newest: Option<&Fixed>) -> (Location, String) {
        let fences = self.assets.get(asset).map_or(&[][..], |row| &row.current.fences);
        match self.topology.zone_within(fences) {
            Some((fence, zone)) => (Location::Zone(zone.clone()), format!("inside {fence}")),
            None => {
                let position = newest.map_or(fix.position, |fixed| fixed.position);
                (Location::At(position), format!("fix of {}", fix.device))
            }
        }
    }

    fn site_of_tracked(&self, asset: Option<&AssetId>, cause: &Cause) -> Option<SiteId> {
        let home = asset.and_then(|asset| self.register.home_site(asset));
        home.or_else(|| self.topology.site_of_source(&cause.source)).cloned()
    }
}

fn tracked(asset: Option<&AssetId>, device: &DeviceId) -> Subject {
    asset.cloned().map_or_else(|| Subject::Device(device.clone()), Subject::Asset)
}
