//! The trip that has ended, and the place where it did.

use super::middle::wavers_m2;
use super::{Moving, Stationary, Told};
use crate::domain::geodesy::Position;
use crate::domain::motion::{Motion, MotionChange, Trip};

/// A trip is measured by an odometer that counts it in at least so many steps, and shows no more than that of a fast train.
const STEPS: u32 = 50;
const MOST_MPS: f64 = 100.0;

impl Moving {
    /// The trip, and where it stands since.
    pub(super) fn ended(&self) -> (Told, Stationary) {
        let place = self.place.clone().unwrap_or_else(|| Stationary::at(self.rest, self.odometer_m[1]));
        let odometer_m = place.odometer_m.or(self.odometer_m[1]);
        let place = Stationary { since: self.rest.at, odometer_m, ..place };
        let end = place.middle;
        // What is left of the way to where it came to rest, without what the two waver.
        let left = self.rest.position().distance_m(end).powi(2) - place.wavers_m2() - wavers_m2(&self.rest);
        // In a row of an earlier build the way has not begun.
        let is_there = self.since_rest > 0 || !self.way.is_known();
        let to_rest = if is_there { self.metres_to_rest } else { self.way.metres_but(0) };
        let by_odometer = self.by_odometer(odometer_m, end);
        let trip = Trip {
            started_at: self.started_at,
            ended_at: self.rest.at,
            start: self.start,
            end,
            distance_m: by_odometer.unwrap_or_else(|| (to_rest + left.max(0.0).sqrt()).round()),
            by_odometer: by_odometer.is_some(),
            odometer_m: odometer_m.map(f64::from),
        };
        let motion = Motion {
            change: MotionChange::Stopped,
            position: end,
            since: None,
            left_by: None,
            trip: Some(trip),
        };
        ((self.rest.at, motion), place)
    }

    /// How far it came by its odometer, where that is no coarser than a trip's length should be, and can be true.
    fn by_odometer(&self, end_m: Option<u32>, end: Position) -> Option<f64> {
        let (start_m, end_m) = (self.odometer_m[0]?, end_m?);
        let metres = end_m.checked_sub(start_m)?;
        let step = [1000, 100, 10].into_iter().find(|step| start_m % step == 0 && end_m % step == 0);
        let is_fine = metres >= step.unwrap_or(1) * STEPS;
        let metres = f64::from(metres);
        let straight = self.start.distance_m(end) - wavers_m2(&self.rest).sqrt();
        let fastest = MOST_MPS * self.rest.at.since(self.started_at).as_secs_f64();
        (is_fine && (straight..=fastest).contains(&metres)).then_some(metres)
    }
}
