//! What the values truly are, a second a step. Figures are of the order that the named sources give, and otherwise
//! assumed.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::scenario::Process;
use crate::dice::normal;

pub fn values(process: Process, seconds: usize, dice: &mut ChaCha8Rng) -> Vec<f64> {
    match process {
        Process::ColdRoom => cold_room(seconds, dice),
        Process::Motor => motor(seconds, dice),
        Process::Tank => tank(seconds, dice),
        Process::Generator => generator(seconds, dice),
    }
}

/// Seconds until something happens that happens so often a day.
fn until_next(a_day: f64, dice: &mut ChaCha8Rng) -> f64 {
    let draw: f64 = dice.random_range(f64::MIN_POSITIVE..1.0);
    -draw.ln() * 86_400.0 / a_day
}

/// A room at 3 °C in a hall of 22 °C (EN 12830 asks of chilled storage 0 to 8 °C): a compressor that switches, walls that
/// let heat in over hours, doors, a defrost every six hours, and now and then a compressor that does not come.
fn cold_room(seconds: usize, dice: &mut ChaCha8Rng) -> Vec<f64> {
    const HALL: f64 = 22.0;
    const WALLS_S: f64 = 6.0 * 3600.0;
    const COOLS_PER_S: f64 = 9.0 / 3600.0;
    const DOOR_S: f64 = 900.0;
    const DEFROST_EVERY_S: f64 = 6.0 * 3600.0;
    const DEFROST_S: f64 = 900.0;
    const DEFROST_PER_S: f64 = 2.5 / 900.0;
    let mut temperature = 3.0;
    let mut cooling = false;
    let (mut next_door, mut door_until) = (until_next(30.0, dice), 0.0);
    let (mut next_failure, mut failed_until) = (until_next(0.7, dice), 0.0);
    let first_defrost = dice.random_range(0.0..DEFROST_EVERY_S);
    (0..seconds)
        .map(|second| {
            let at = second as f64;
            if at >= next_door {
                // Most are quick; one in twelve is left open.
                let open = if dice.random_bool(1.0 / 12.0) { 600.0..2700.0 } else { 15.0..150.0 };
                door_until = at + dice.random_range(open);
                next_door = door_until + until_next(30.0, dice);
            }
            if at >= next_failure {
                failed_until = at + dice.random_range(1800.0..14_400.0);
                next_failure = failed_until + until_next(0.7, dice);
            }
            let defrosts = (at + first_defrost).rem_euclid(DEFROST_EVERY_S) < DEFROST_S;
            cooling = match temperature {
                warm if warm > 4.0 => true,
                cold if cold < 2.0 => false,
                _ => cooling,
            };
            temperature += (HALL - temperature) / WALLS_S;
            if at < door_until {
                temperature += (HALL - temperature) / DOOR_S * 0.35;
            }
            if defrosts {
                temperature += DEFROST_PER_S;
            } else if cooling && at >= failed_until {
                temperature -= COOLS_PER_S;
            }
            temperature
        })
        .collect()
}

/// Vibration of a machine's bearing, mm/s RMS (ISO 20816-3 has zones from 1.4 to 11 for such machines): a level of its
/// own with the load, then wear that grows by itself until it is mended.
fn motor(seconds: usize, dice: &mut ChaCha8Rng) -> Vec<f64> {
    const WEARS_S: f64 = 4.0 * 3600.0;
    let own = dice.random_range(1.6..2.6);
    let (mut load, mut next_load) = (0.7, 0.0);
    let mut smooth = load;
    let mut onset = until_next(1.2, dice);
    let mut mended_at = f64::MAX;
    (0..seconds)
        .map(|second| {
            let at = second as f64;
            if at >= next_load {
                load = dice.random_range(0.3..1.0);
                next_load = at + dice.random_range(300.0..5400.0);
            }
            smooth += (load - smooth) / 30.0;
            let wear = if at >= onset { 0.4 * (((at - onset) / WEARS_S).exp() - 1.0) + 0.2 } else { 0.0 };
            let value = own * (0.6 + 0.5 * smooth) + wear * 4.0;
            if value > 9.0 && mended_at == f64::MAX {
                mended_at = at + dice.random_range(600.0..5400.0);
            }
            if at >= mended_at {
                (onset, mended_at) = (at + until_next(1.2, dice), f64::MAX);
            }
            value
        })
        .collect()
}

/// Per cent of a tank: drawn from at changing rates, filled when somebody comes.
fn tank(seconds: usize, dice: &mut ChaCha8Rng) -> Vec<f64> {
    let mut level: f64 = dice.random_range(40.0..95.0);
    let (mut rate, mut next_rate) = (0.0, 0.0);
    let mut fills_at = f64::MAX;
    (0..seconds)
        .map(|second| {
            let at = second as f64;
            if at >= next_rate {
                rate = if dice.random_bool(0.4) { 0.0 } else { dice.random_range(2.0..14.0) / 3600.0 };
                next_rate = at + dice.random_range(600.0..7200.0);
            }
            if level < 20.0 && fills_at == f64::MAX {
                fills_at = at + dice.random_range(600.0..4.0 * 3600.0);
            }
            if at >= fills_at {
                level += 90.0 / 1800.0;
                if level > 92.0 {
                    fills_at = f64::MAX;
                }
            }
            level = (level - rate).clamp(0.0, 100.0);
            level
        })
        .collect()
}

/// Per cent of a generator's rating: loads that are switched, inrush for seconds, overloads for minutes.
fn generator(seconds: usize, dice: &mut ChaCha8Rng) -> Vec<f64> {
    let (mut load, mut next_load): (f64, f64) = (50.0, 0.0);
    let (mut inrush, mut overload_until) = (0.0, 0.0);
    let mut next_overload = until_next(6.0, dice);
    let mut over = 0.0;
    (0..seconds)
        .map(|second| {
            let at = second as f64;
            if at >= next_load {
                let before = load;
                load = (load + normal(dice) * 15.0).clamp(15.0, 90.0);
                inrush = (load - before).max(0.0) * 2.5;
                next_load = at + dice.random_range(60.0..1800.0);
            }
            if at >= next_overload {
                overload_until = at + dice.random_range(20.0..1800.0);
                next_overload = overload_until + until_next(6.0, dice);
                over = dice.random_range(103.0..125.0);
            }
            inrush *= 0.8;
            if at < overload_until { over } else { load + inrush }
        })
        .collect()
}
