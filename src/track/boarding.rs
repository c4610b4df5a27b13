//! What went out at a door is judged again when it becomes known who stood there then.
//!
//! A stay is told some time after it began, by the second fix inside its fence, and may be told hours later, where the
//! tracker was without a network; so is its end. What passed meanwhile was told at once, by what was known. It is put right
//! where its answer still rests on that passage: whatever placed it since knows better.

use super::Tracker;
use super::cause::Cause;
use super::docks::Boarded;
use super::vehicles::Answer;
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, ReadPointId};
use crate::domain::state::Location;
use crate::domain::time::Timestamp;

impl Tracker {
    /// It went out at a door, and is where its answer says; `without`: where it is if nobody took it.
    pub(super) fn note_boarding(
        &mut self,
        asset: &AssetId,
        door: &ReadPointId,
        without: Location,
        at: Timestamp,
    ) {
        let is_dock = self.topology.portal(door).is_some_and(|portal| portal.bay.is_some());
        let taken_by = self.vehicle_of(asset).cloned();
        if is_dock || taken_by.is_some() {
            self.doors.note_boarded(door, Boarded { asset: asset.clone(), without, taken_by, at });
        }
    }

    /// Who stood at a door is known better now: what passed out from then on may be in it, or not.
    pub(super) fn judge_again(
        &mut self,
        door: &ReadPointId,
        from: Timestamp,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        for mut boarded in self.doors.boarded_since(door, from) {
            let Some(row) = self.assets.get(&boarded.asset) else { continue };
            let told = boarded.location();
            if row.memory.placed_at != Some(boarded.at) || row.current.location != told {
                continue;
            }
            let confidence = row.current.confidence;
            let (vehicle, reason) = self.taken_by(&boarded.asset, door, boarded.at);
            boarded.taken_by = vehicle;
            let location = boarded.location();
            if location != told {
                let answer = Answer { location, at: boarded.at, reason: reason.into(), confidence };
                self.doors.note_boarded(door, boarded.clone());
                self.put_right(&boarded, answer, cause, out);
            }
        }
    }

    fn put_right(&mut self, boarded: &Boarded, answer: Answer, cause: &Cause, out: &mut Vec<Event>) {
        let asset = &boarded.asset;
        let cause = Cause { observed_at: cause.observed_at.max(boarded.at), ..cause.clone() };
        self.place(asset, answer, &cause, out);
        self.lies_somewhere(asset, boarded.at);
        self.note_leaving(asset);
        self.relocated(asset, true, &cause, out);
    }
}
