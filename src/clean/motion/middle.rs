//! The middle of the fixes where something stands, and how vague a fix there is.

use super::{Stationary, vague_m};
use crate::clean::place::Place;
use crate::config::TrackerRules;

/// The middle follows new fixes by no less than a share of this, where they are about as sure as those before.
pub(super) const MOST_WEIGHT: u8 = 20;
/// Mean square of how far a fix is from the truth, in that of its accuracy, the radius of 68 % (Rayleigh).
const MEAN_SQUARE: f64 = 0.88;
/// Of how a place's first fixes err nothing is known: what they say of themselves counts as much as so many of them.
const BELIEVED: f64 = 2.0;
/// And by chance they may err less than is usual there: by such a share, over their number, they are taken to err more.
const FEW: f64 = 3.0;
/// One that errs by more than so many times that is rather elsewhere.
const OUTLIER: f64 = 4.0;
/// A fix that says that it is vaguer by more than this factor than those before it at the place says little of where that is:
/// it counts for as much less as the square of what is more. Under a roof receivers are vaguer by less; networks' positions by more.
const VAGUER: f64 = 6.0;

impl Stationary {
    /// A fix here, after a while without one.
    pub(super) fn follow(&mut self, here: &Place, rules: &TrackerRules) {
        self.errs += self.erred(here, rules);
        let usual = if self.says_m > 0.0 { f64::from(self.says_m) } else { vague_m(&self.last, rules) };
        let says = vague_m(here, rules);
        self.weight = (self.weight + 1).min(MOST_WEIGHT);
        let share = 1.0 / f64::from(self.weight);
        let vaguer = says / (usual * VAGUER);
        self.middle = self.middle.towards(here.position(), share / vaguer.max(1.0).powi(2));
        if vaguer <= 1.0 {
            self.says_m = (usual + (says - usual) * share) as f32;
        }
    }

    /// What a fix adds to what is known of how much they err.
    fn erred(&self, here: &Place, rules: &TrackerRules) -> f32 {
        let weight = f64::from(self.weight);
        let away_m2 = self.middle.distance_m(here.position()).powi(2) * weight / (weight + 1.0);
        let errs = f64::from(self.errs);
        let times = away_m2 / (MEAN_SQUARE * vague_m(here, rules).powi(2));
        ((times.min(OUTLIER * errs.max(1.0)) - errs) / (weight + BELIEVED)) as f32
    }

    /// What a fix here is vague by: what it says of itself, and more where those before it erred by more than they said.
    pub(super) fn vague_m(&self, here: &Place, rules: &TrackerRules) -> f64 {
        let errs = f64::from(self.errs) * (1.0 + FEW / f64::from(self.weight));
        vague_m(here, rules) * errs.max(1.0).sqrt()
    }

    /// Mean square of how far the middle is from where it stands.
    pub(super) fn wavers_m2(&self) -> f64 {
        wavers_m2(&self.last) / f64::from(self.weight)
    }
}

/// Mean square of how far a fix is from where it is: its accuracy is the radius of 68 %.
pub(super) fn wavers_m2(place: &Place) -> f64 {
    place.accuracy_m().map_or(0.0, |accuracy| MEAN_SQUARE * accuracy * accuracy)
}
