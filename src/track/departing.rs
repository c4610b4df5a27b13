//! A vehicle that somebody said to stand at a door stands there until it drives: it is told to set out, leaves a fence, or
//! a tracker has it, or what it is in, clearly away from where it stood.

use super::Tracker;
use super::cause::Cause;
use super::docks::Stay;
use super::vehicles::{APART_M, COMPARED, Fixed, apart};
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, ReadPointId};
use crate::domain::time::Timestamp;

impl Tracker {
    /// It drives: whatever was said before, it stands at no door. (What it did where it could not be heard is told later.)
    /// `left_by`: when it was seen elsewhere first, where that was later.
    pub(super) fn set_out(
        &mut self,
        vehicle: &AssetId,
        left_by: Option<Timestamp>,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let left_by = left_by.map_or(cause.observed_at, |at| at.max(cause.observed_at));
        let said_before = |stay: &Stay| stay.said && stay.from <= left_by;
        for (door, stay) in self.doors.open(vehicle).into_iter().filter(|(_, stay)| said_before(stay)) {
            // It was said to stand there after it was last sensed where it was.
            let is_later = stay.from > cause.observed_at;
            let cause =
                &Cause { observed_at: if is_later { left_by } else { cause.observed_at }, ..cause.clone() };
            self.undock(vehicle, &door, stay.from, cause, out);
        }
    }

    /// It drives, and so does what is in it: a trailer stands at a door no longer than its tractor.
    pub(super) fn drives(
        &mut self,
        vehicle: &AssetId,
        left_by: Option<Timestamp>,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let mut moving: Vec<AssetId> = self.said_with(vehicle).map(|(_, stay)| stay.vehicle).collect();
        moving.dedup();
        moving.iter().for_each(|moving| self.set_out(moving, left_by, cause, out));
    }

    /// Its tracker has it there, and it is not known to drive: further than both fixes may be wrong by from where it was at
    /// the door, it has left.
    pub(super) fn may_have_left(&mut self, vehicle: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        let fixed = self.assets.get(vehicle).and_then(|row| row.memory.fixed.as_deref().cloned());
        let Some(fixed) = fixed else { return };
        let stays: Vec<_> = self.said_with(vehicle).filter(|(_, stay)| stay.from <= fixed.at).collect();
        for (door, stay) in stays {
            match &stay.seen_at {
                None => self.doors.note_seen(&door, &stay.vehicle, &fixed),
                Some(seen) if is_away(seen, &fixed) => {
                    self.undock(&stay.vehicle, &door, stay.from, cause, out)
                }
                Some(_) => {}
            }
        }
    }

    /// Where it stands by what its tracker, or that of what it is in, just said.
    pub(super) fn stands_at_place(&self, vehicle: &AssetId, now: Timestamp) -> Option<Box<Fixed>> {
        let fixed = |asset: &AssetId| self.assets.get(asset)?.memory.fixed.as_ref();
        let fixed = std::iter::once(vehicle).chain(self.vehicles_of(vehicle)).find_map(fixed)?;
        (fixed.stands && apart(fixed.at, now) <= COMPARED).then(|| fixed.clone())
    }

    /// Stays of it, and of what is in it, that somebody said. Of the few that there are each is looked at.
    fn said_with(&self, vehicle: &AssetId) -> impl Iterator<Item = (ReadPointId, Stay)> {
        let moves = move |of: &AssetId| of == vehicle || self.vehicles_of(of).any(|outer| outer == vehicle);
        self.doors.said().filter(move |(_, stay)| moves(&stay.vehicle))
    }
}

fn is_away(seen: &Fixed, now: &Fixed) -> bool {
    let unsure = seen.accuracy_m.unwrap_or(0.0) + now.accuracy_m.unwrap_or(0.0);
    seen.position.distance_m(now.position) > APART_M + unsure
}
