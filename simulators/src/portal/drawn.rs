//! Scenarios that nobody wrote: a number gives doors, loads and materials, each within what is met in practice.
//!
//! For fitting, and for grading what was not looked at. Much of what is drawn is hard: up to five loads that know
//! nothing of one another pass, turn, stop in the doorway, go by and stand there at the same time. Nothing here knows
//! how anybody tells a direction.

use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::scenario::{Air, Band, Carrier, Doors, Load, Motion, Scenario, Suite};

/// What the first load does, which mostly passes, and what others do.
const FIRST: [Motion; 16] = [
    Motion::In,
    Motion::Out,
    Motion::In,
    Motion::Out,
    Motion::In,
    Motion::Out,
    Motion::InOut,
    Motion::OutIn,
    Motion::ReverseIn,
    Motion::ReverseOut,
    Motion::ParkIn,
    Motion::ParkOut,
    Motion::SetDown,
    Motion::LoadOut,
    Motion::TurnInside,
    Motion::TurnOutside,
];
const OTHERS: [Motion; 17] = [
    Motion::In,
    Motion::Out,
    Motion::InOut,
    Motion::TurnInside,
    Motion::TurnOutside,
    Motion::ParkIn,
    Motion::ReverseOut,
    Motion::StagedInside,
    Motion::StagedOutside,
    Motion::StagedInside,
    Motion::StagedOutside,
    Motion::LoadOut,
    Motion::SetDown,
    Motion::AlongInside,
    Motion::AlongOutside,
    Motion::AlongInside,
    Motion::AlongOutside,
];
const CARRIERS: [Carrier; 3] = [Carrier::Forklift, Carrier::Forklift, Carrier::Person];

impl Scenario {
    /// The scenario with a number, at doors with so many rows of antennas: 1 or 2.
    pub fn drawn(number: u64, rows: usize) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(number);
        let doors = doors(rows, &mut dice);
        let duration_s = dice.random_range(26.0..60.0);
        let loads = dice.random_range(1..=5);
        let metal = dice.random_bool(0.35);
        let loads = (0..loads).map(|nth| load(nth == 0, doors.count, duration_s, metal, &mut dice)).collect();
        let air = Air { k_db: [dice.random_range(-2.0..4.0), 6.0] };
        let name = format!("drawn {number}");
        Self { name, suite: Suite::Hostile, duration_s, doors, air, loads, truck: None }
    }
}

fn doors(rows: usize, dice: &mut ChaCha8Rng) -> Doors {
    // One row hangs in the door and looks across it; of two, each hangs on its side.
    let (row_m, turned_deg) = if rows == 1 {
        (dice.random_range(0.1..0.4), dice.random_range(45.0..65.0))
    } else {
        (dice.random_range(0.4..0.9), dice.random_range(15.0..40.0))
    };
    Doors {
        count: if dice.random_bool(0.75) { 1 } else { dice.random_range(2..=3) },
        apart_m: dice.random_range(3.6..5.5),
        rows,
        row_m,
        turned_deg,
        power_dbm: dice.random_range(27.0..31.5),
        // One row tells little without Doppler.
        fine: rows == 1 || dice.random_bool(0.4),
        band: if dice.random_bool(0.5) { Band::Etsi } else { Band::Fcc },
        ..Doors::default()
    }
}

fn load(first: bool, doors: usize, duration_s: f64, metal: bool, dice: &mut ChaCha8Rng) -> Load {
    let motions: &[Motion] = if first { &FIRST } else { &OTHERS };
    let motion = motions.choose(dice).copied().unwrap_or(Motion::In);
    let carrier = match motion {
        Motion::StagedInside | Motion::StagedOutside => Carrier::Nothing,
        _ => CARRIERS.choose(dice).copied().unwrap_or_default(),
    };
    let turn = match motion {
        Motion::TurnInside | Motion::TurnOutside => dice.random_range(-0.8..1.8),
        _ => dice.random_range(0.4..1.1),
    };
    let few = dice.random_range(1..=12);
    let from = |least: f64, most: f64, more: f64, dice: &mut ChaCha8Rng| {
        let from = dice.random_range(least..most);
        [from, from + more]
    };
    let [loss_db_per_m, detuning_db] = if metal && dice.random_bool(0.7) {
        [from(8.0, 28.0, 4.0, dice), from(2.0, 8.0, 2.0, dice)]
    } else {
        [from(0.5, 6.0, 4.0, dice), from(0.0, 3.0, 2.0, dice)]
    };
    Load {
        door: dice.random_range(0..doors),
        motion,
        count: 1,
        assets: [few, few + dice.random_range(0..14)],
        tags_per_asset: 1,
        start_s: from(0.5, duration_s * 0.45, 2.0, dice),
        speed_mps: from(0.5, 1.8, 0.8, dice),
        lateral_m: [-dice.random_range(0.0..0.6), dice.random_range(0.0..0.6)],
        carrier,
        turn_m: [turn, turn + 0.3],
        pause_s: [dice.random_range(0.5..6.0), 12.0],
        loss_db_per_m,
        detuning_db,
        level: dice.random_bool(0.6),
    }
}
