//! The other read points beside one: a door hears what passes the next one too, and leaves it to that.
//!
//! Asked as a passage is judged, before anybody is told and before it counts among those that passed with others:
//! what was next door's traffic must take no tag along at this door. Changes nothing.

use super::hearing::Point;
use crate::domain::epc::Epc;
use crate::domain::time::Timestamp;

/// A door that hears a tag by this much better than another is the one that it passes. (At half the distance it would
/// be 6 dB each way and so 12 dB there and back; antennas and loads take most of that.)
pub const NEXT_DOOR_DB: f32 = 3.0;

/// All read points but one: those before it, and those after it.
#[derive(Clone, Copy)]
pub(super) struct Neighbours<'a>([&'a [Point]; 2]);

impl<'a> Neighbours<'a> {
    /// A read point and the others.
    pub fn of(points: &'a mut [Point], index: usize) -> (&'a mut Point, Self) {
        let (before, rest) = points.split_at_mut(index);
        let (point, after) = rest.split_at_mut(1);
        (&mut point[0], Self([before, after]))
    }

    /// The others, each with its place among all.
    pub fn iter(self) -> impl Iterator<Item = (usize, &'a Point)> {
        let [before, after] = self.0;
        before.iter().enumerate().chain(after.iter().zip(before.len() + 1..).map(|(point, nth)| (nth, point)))
    }

    /// Whether another portal heard a tag better at about that time than with this signal. Looked up for each
    /// passage, not for each read. A reader that tells no signal cannot be compared.
    pub fn heard_better(self, epc: Epc, at: Timestamp, here: Option<f32>) -> bool {
        let Some(here) = here else { return false };
        let mut there = self.0.into_iter().flatten().filter_map(|other| other.strongest_near(epc, at));
        there.any(|there| there > here + NEXT_DOOR_DB)
    }
}
