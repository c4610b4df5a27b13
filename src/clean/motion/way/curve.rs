//! How long the way is from one fix to the next.

use super::Metres;

/// Share of the changes that are turns which no fix tells of, and by how much they make a way longer at the most.
const TURNS: f64 = 0.19;
const MOST_TURNS: f64 = 0.1;
/// A curve's velocities carry it no further than so many times the straight line: it stopped between.
const BENDS: f64 = 2.0;
/// Points of a curve between which it is taken for straight.
const PIECES: u32 = 8;

/// A way that leads so far, and leaves and arrives with these velocities (metres for all of it). Half of it is by their speed
/// after so many seconds.
pub(super) fn between(straight: Metres, carried: [Metres; 2], seconds: f64, half_s: f64) -> f64 {
    let [leaves, arrives] = carried.map(length);
    let by_speed = share(seconds, half_s);
    by_speed * (leaves + arrives) / 2.0 + (1.0 - by_speed) * curve_m(straight, carried)
}

/// The same by velocities that are told by places alone: half of it is the straight line after so many seconds.
pub(super) fn by_places_m(straight: Metres, carried: [Metres; 2], seconds: f64, half_s: f64) -> f64 {
    let by_line = share(seconds, half_s);
    by_line * length(straight) + (1.0 - by_line) * curve_m(straight, carried)
}

/// How much counts what holds for a short time: all of it at first, half of it after so many seconds.
fn share(seconds: f64, half_s: f64) -> f64 {
    1.0 / (1.0 + (seconds / half_s).powi(4))
}

/// How much longer a way is than its curve, which is the mean of all that lead there: a velocity that changes so much, and
/// is known at both ends with the places, has a variance of a fifteenth of that times the time in the mean, and what it does
/// across the way makes it longer by half its square in that of the speed. By the faster of its ends it comes no further.
pub(super) fn turns_m(metres: f64, carried: [Metres; 2], seconds: f64, changes: f64) -> f64 {
    let turns = TURNS * changes * seconds.powi(3) / (30.0 * metres.max(f64::MIN_POSITIVE));
    let [leaves, arrives] = carried.map(length);
    turns.min(MOST_TURNS * metres).min((leaves.max(arrives) - metres).max(0.0))
}

/// How long the cubic curve is that leads so far, and leaves and arrives with these velocities (metres for all of it).
fn curve_m(straight: Metres, carried: [Metres; 2]) -> f64 {
    let most = length(straight) * BENDS;
    let [leaves, arrives] = carried.map(|carries| {
        let part = (most / length(carries).max(f64::MIN_POSITIVE)).min(1.0);
        carries.map(|metres| metres * part)
    });
    let at = |part: f64| {
        let (squared, cubed) = (part * part, part * part * part);
        [0, 1].map(|axis| {
            (3.0 * squared - 2.0 * cubed) * straight[axis]
                + (cubed - 2.0 * squared + part) * leaves[axis]
                + (cubed - squared) * arrives[axis]
        })
    };
    let points = (0..=PIECES).map(|nth| at(f64::from(nth) / f64::from(PIECES)));
    let (mut before, mut metres) = ([0.0; 2], 0.0);
    for point in points {
        metres += length([point[0] - before[0], point[1] - before[1]]);
        before = point;
    }
    metres
}

pub(super) fn difference(to: [f32; 2], from: [f32; 2]) -> Metres {
    [f64::from(to[0]) - f64::from(from[0]), f64::from(to[1]) - f64::from(from[1])]
}

pub(super) fn length([east, north]: Metres) -> f64 {
    east.hypot(north)
}
