//! When the doors of cold rooms open: for an excursion over the limit, or for less.

use super::happening::{Event, Excursion, Happening};
use crate::modbus::ColdRoom;
use crate::scenario::{self, Timing};

/// How long a value stays over the limit beyond the limit's delay: several polls.
const OVER_FOR_S: f64 = 4.0;
/// So near to its set point the air is as good as cold again.
const COLD_AGAIN_K: f64 = 0.3;
/// A small opening stays this far below the limit.
const STAYS_BELOW_K: f64 = 1.2;

/// The openings of one room, in order: those wanted for excursions first, the small ones where they fit.
/// `noticed` says by when something between two times is noticed, if it can be.
pub(super) fn openings(
    index: usize,
    room: &scenario::ColdRoom,
    timing: Timing,
    excursions: &[f64],
    small: &[f64],
    noticed: impl Fn(f64, f64) -> Option<f64>,
) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    let mut excursions = excursions.to_vec();
    excursions.sort_by(f64::total_cmp);
    for at_s in excursions {
        let (shut_s, excursion, cold_s) = excursion(room, at_s);
        let settled_s = excursion.ended_s + room.limit.off_delay_s + timing.condition_settle_s;
        let clear = events.last().is_none_or(|last| last.settled_s < at_s);
        if let Some(settled_s) = noticed(at_s, settled_s).filter(|_| clear) {
            let happening = Happening::DoorOpened { room: index, shut_s, excursion: Some(excursion) };
            events.push(Event { begins_s: at_s, settled_s: settled_s.max(cold_s), happening });
        }
    }
    for at_s in small {
        let (shut_s, cold_s) = small_opening(room, *at_s);
        let overlaps = events.iter().any(|event| *at_s <= event.settled_s && cold_s >= event.begins_s);
        if let Some(settled_s) = noticed(*at_s, cold_s).filter(|_| !overlaps) {
            let happening = Happening::DoorOpened { room: index, shut_s, excursion: None };
            events.push(Event { begins_s: *at_s, settled_s, happening });
        }
    }
    events
}

fn opened(room: &scenario::ColdRoom, at_s: f64) -> ColdRoom {
    let mut air = ColdRoom::new(room.set_point_c, room.outside_c, room.warms_in_s, room.cools_in_s);
    air.set_door(true, at_s);
    air
}

/// When the air is cold again, the door shut at `shut_s`.
fn cold_again(room: &scenario::ColdRoom, air: &ColdRoom, shut_s: f64) -> f64 {
    air.reaches(room.set_point_c + COLD_AGAIN_K).unwrap_or(shut_s)
}

/// When the door is shut, when the value is over the limit, and when it is cold again.
fn excursion(room: &scenario::ColdRoom, at_s: f64) -> (f64, Excursion, f64) {
    let limit = &room.limit;
    let open = opened(room, at_s);
    let began_s = open.reaches(limit.threshold_c).unwrap_or(at_s);
    let mut shut_s = open.reaches(limit.threshold_c + 1.0).unwrap_or(began_s);
    loop {
        let mut air = open.clone();
        air.set_door(false, shut_s);
        let below_s = air.reaches(limit.threshold_c).unwrap_or(shut_s);
        if below_s - began_s >= limit.on_delay_s + OVER_FOR_S {
            let ended_s = air.reaches(limit.threshold_c - limit.deadband_c).unwrap_or(below_s);
            return (shut_s, Excursion { began_s, ended_s }, cold_again(room, &air, shut_s));
        }
        shut_s += 0.25;
    }
}

fn small_opening(room: &scenario::ColdRoom, at_s: f64) -> (f64, f64) {
    let mut air = opened(room, at_s);
    let wanted = (room.limit.threshold_c - STAYS_BELOW_K).max(room.set_point_c + 0.2);
    let shut_s = air.reaches(wanted).unwrap_or(at_s);
    air.set_door(false, shut_s);
    (shut_s, cold_again(room, &air, shut_s))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn an_excursion_lasts_past_the_limits_delay_and_ends_over_its_deadband() {
        let demo = Scenario::demo();
        for room in &demo.cold_rooms {
            let (shut_s, Excursion { began_s, ended_s }, cold_s) = excursion(room, 10.0);
            let mut air = opened(room, 10.0);
            assert!((air.temperature(began_s) - room.limit.threshold_c).abs() < 1e-6);
            air.set_door(false, shut_s);
            assert!(
                air.temperature(began_s + room.limit.on_delay_s + OVER_FOR_S - 0.01) > room.limit.threshold_c
            );
            let end = room.limit.threshold_c - room.limit.deadband_c;
            assert!((air.temperature(ended_s) - end).abs() < 1e-6 && ended_s < cold_s);
        }
    }

    #[test]
    fn a_small_opening_stays_below_the_limit() {
        for room in &Scenario::demo().cold_rooms {
            let (shut_s, _) = small_opening(room, 0.0);
            let air = opened(room, 0.0);
            assert!(air.temperature(shut_s) < room.limit.threshold_c - 1.0);
        }
    }
}
