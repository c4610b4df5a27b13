//! What a sensor says: the value with noise, in steps, and what its faults make of it.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::scenario::Scenario;
use crate::dice::normal;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// It says the same for ever.
    Stuck,
    /// One value far off.
    Spike,
    /// No answer.
    Dropout,
    /// It is further off from minute to minute, and nobody can see that from its values.
    Drift,
    /// It jumps far off and says that for ever, as an input does whose wire has come off.
    Broken,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Fault {
    pub kind: FaultKind,
    pub from_s: f64,
    pub until_s: f64,
    size: f64,
}

pub struct Sensor {
    pub faults: Vec<Fault>,
    noise: f64,
    step: f64,
    stuck_at: Option<f64>,
}

impl Fault {
    /// It says the same for ever, at whatever value.
    pub fn stands_still(&self) -> bool {
        matches!(self.kind, FaultKind::Stuck | FaultKind::Broken)
    }
}

impl Sensor {
    pub fn new(scenario: &Scenario, dice: &mut ChaCha8Rng) -> Self {
        let often = &scenario.faults;
        let poll_s = scenario.poll_s as f64;
        let kinds = [
            (FaultKind::Stuck, often.stuck, [3600.0, 6.0 * 3600.0]),
            (FaultKind::Spike, often.spikes, [poll_s, poll_s]),
            (FaultKind::Dropout, often.dropout, [2.0 * poll_s, 1800.0]),
            (FaultKind::Drift, often.drift, [3600.0, 6.0 * 3600.0]),
            (FaultKind::Broken, often.broken, [3600.0, 6.0 * 3600.0]),
        ];
        let mut faults = Vec::new();
        for (kind, a_day, [shortest, longest]) in kinds {
            let mut at = 0.0;
            while a_day > 0.0 && at < scenario.hours * 3600.0 {
                let draw: f64 = dice.random_range(f64::MIN_POSITIVE..1.0);
                at += -draw.ln() * 86_400.0 / a_day;
                let lasts = if shortest < longest { dice.random_range(shortest..longest) } else { shortest };
                let size = dice.random_range(10.0..60.0) * if dice.random_bool(0.5) { 1.0 } else { -1.0 };
                faults.push(Fault { kind, from_s: at, until_s: at + lasts, size });
                at += lasts;
            }
        }
        faults.retain(|fault| fault.from_s < scenario.hours * 3600.0);
        Self { faults, noise: scenario.noise, step: scenario.step, stuck_at: None }
    }

    /// At a poll; none: no answer.
    pub fn says(&mut self, at_s: f64, value: f64, dice: &mut ChaCha8Rng) -> Option<f64> {
        let noisy = value + normal(dice) * self.noise;
        let mut said = if self.step > 0.0 { (noisy / self.step).round() * self.step } else { noisy };
        let mut is_stuck = false;
        let mut answers = true;
        for fault in self.faults.iter().filter(|fault| (fault.from_s..fault.until_s).contains(&at_s)) {
            match fault.kind {
                FaultKind::Stuck => is_stuck = true,
                FaultKind::Spike => said += fault.size,
                FaultKind::Dropout => answers = false,
                FaultKind::Drift => said += fault.size / 10.0 * (at_s - fault.from_s) / 3600.0,
                FaultKind::Broken => {
                    said += fault.size;
                    is_stuck = true;
                }
            }
        }
        if is_stuck {
            said = *self.stuck_at.get_or_insert(said);
        } else {
            self.stuck_at = None;
        }
        answers.then_some(said)
    }
}
