//! When a tracker takes a fix, and when it arrives.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::driving::Log;
use super::parameters::{BURST_PER_S, DELAY_S, FIRST_FIX_S, OUTAGE_S, TWICE};
use super::receiver::Receiver;
use super::{Fix, Scenario, micros};

/// After so long without the ignition a receiver has to find its satellites again.
const COLD_AFTER_S: f64 = 2.0 * 3600.0;
const DAY_S: f64 = 24.0 * 3600.0;

/// The messages of one vehicle, in no order of arrival.
pub fn fixes(scenario: &Scenario, vehicle: usize, log: &Log, dice: &mut ChaCha8Rng) -> Vec<Fix> {
    let trackers = &scenario.trackers;
    let ends_s = scenario.hours * 3600.0;
    let off_s = dice.random_range(trackers.clock_off_s[0]..trackers.clock_off_s[1]);
    let ahead = wrong_clock(scenario, dice);
    let mut receiver = Receiver::new(dice);
    // Dice of its own: what it tells of its speed changes nothing else.
    let mut of_speed = dice.clone();
    of_speed.set_stream(1);
    let (mut fixes, mut at_s) = (Vec::new(), dice.random_range(0.0..trackers.parked_s.min(60.0)));
    let (mut was_on, mut off_since_s) = (false, 0.0);
    while at_s < ends_s {
        let is_on = log.drive_at(at_s).is_some();
        if is_on && !was_on {
            let cold = at_s - off_since_s > COLD_AFTER_S;
            let finds_s = if cold { dice.random_range(FIRST_FIX_S[0]..FIRST_FIX_S[1]) } else { 1.0 };
            at_s += finds_s;
            if cold {
                receiver.begins(at_s);
            }
        } else if was_on && !is_on {
            off_since_s = at_s;
        }
        was_on = is_on;
        let state = log.state(at_s);
        if let Some((place, accuracy_m)) = receiver.fix(state.place, state.sky, at_s, dice) {
            let ahead_s =
                if ahead.is_some_and(|(from, until)| (from..until).contains(&at_s)) { DAY_S } else { 0.0 };
            let told = (state.speed_mps, state.course_deg);
            let velocity = receiver.velocity(told, state.sky, &mut of_speed);
            fixes.push(Fix {
                vehicle,
                at_us: micros(at_s + off_s + ahead_s),
                arrives_us: micros(at_s),
                place,
                accuracy_m,
                told_accuracy_m: trackers
                    .says_m
                    .map_or(Some(accuracy_m), |says| (says > 0.0).then_some(says)),
                velocity: trackers.tell_velocity.then_some(velocity),
                ignition: trackers.tell_ignition.then_some(is_on),
            });
        }
        at_s = match is_on {
            true => at_s + trackers.driving_s,
            // The ignition wakes it.
            false => next_drive(log, at_s).unwrap_or(f64::MAX).min(at_s + trackers.parked_s),
        };
    }
    deliver(scenario, &mut fixes, dice);
    fixes
}

fn next_drive(log: &Log, at_s: f64) -> Option<f64> {
    let behind = log.drives.partition_point(|drive| drive.from_s <= at_s);
    log.drives.get(behind).map(|drive| drive.from_s)
}

/// An hour or two during which its clock is a day ahead, where it has such a fault.
fn wrong_clock(scenario: &Scenario, dice: &mut ChaCha8Rng) -> Option<(f64, f64)> {
    let has = dice.random_bool(scenario.trackers.clock_a_day_ahead);
    let from = dice.random_range(0.0..scenario.hours * 3600.0);
    has.then(|| (from, from + dice.random_range(1800.0..7200.0)))
}

/// Gives each its time of arrival: a little later, or after an outage in a burst. Some come twice.
fn deliver(scenario: &Scenario, fixes: &mut Vec<Fix>, dice: &mut ChaCha8Rng) {
    let newest_first = dice.random_bool(scenario.trackers.newest_first);
    let outages = outages(scenario, dice);
    for (from_us, until_us) in outages {
        let mut burst: Vec<&mut Fix> =
            fixes.iter_mut().filter(|fix| (from_us..until_us).contains(&fix.arrives_us)).collect();
        if newest_first {
            burst.reverse();
        }
        for (place, fix) in burst.into_iter().enumerate() {
            fix.arrives_us = until_us + micros((place as f64 + 1.0) / BURST_PER_S);
        }
    }
    // One connection: nothing overtakes.
    fixes.sort_by_key(|fix| fix.arrives_us);
    let (mut twice, mut newest_us) = (Vec::new(), 0);
    for fix in fixes.iter_mut() {
        fix.arrives_us =
            (newest_us + 1).max(fix.arrives_us + micros(dice.random_range(DELAY_S[0]..DELAY_S[1])));
        newest_us = fix.arrives_us;
        if dice.random_bool(TWICE) {
            let later = micros(dice.random_range(1.0..20.0));
            twice.push(Fix { arrives_us: fix.arrives_us + later, ..*fix });
        }
    }
    fixes.extend(twice);
}

fn outages(scenario: &Scenario, dice: &mut ChaCha8Rng) -> Vec<(i64, i64)> {
    let mut outages = Vec::new();
    let rate = scenario.trackers.outages_a_day / DAY_S;
    if rate <= 0.0 {
        return outages;
    }
    let mut at_s = 0.0;
    loop {
        let draw: f64 = dice.random_range(f64::MIN_POSITIVE..1.0);
        at_s += -draw.ln() / rate;
        if at_s > scenario.hours * 3600.0 {
            return outages;
        }
        let lasts = dice.random_range(OUTAGE_S[0]..OUTAGE_S[1]);
        outages.push((micros(at_s), micros(at_s + lasts)));
        at_s += lasts;
    }
}
