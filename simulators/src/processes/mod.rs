//! Physical processes with sensors on them: what the value truly is, what the sensor says at each poll, and what the
//! truth of every excursion is.
//!
//! ```text
//! scenario (TOML) + seed → physics, a second a step ─ sensor, its faults ─▶ samples, one a poll
//!                                    └────────────────────────▶ truth: excursions over limits, faults
//! ```
//! Time is virtual: a run is computed, and the same scenario and seed give the same run. Knows nothing of the daemon.

mod physics;
mod scenario;
mod sensor;
#[cfg(test)]
mod tests;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub use scenario::{Faults, Limit, Process, Scenario};
pub use sensor::{Fault, FaultKind};

use sensor::Sensor;

/// What a poll gave; none: no answer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sample {
    pub sensor: usize,
    pub at_s: f64,
    pub value: Option<f64>,
}

/// The true value was beyond a limit from here to there.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Excursion {
    pub sensor: usize,
    pub limit: usize,
    pub from_s: f64,
    pub until_s: f64,
    /// The longest part of it during which it was beyond the limit by more than the sensor's noise can hide, the
    /// sensor answered every poll, and had no fault.
    pub plain_s: f64,
    /// When that part began.
    pub plain_from_s: f64,
}

/// For how long the true value was on one side of something.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Span {
    pub sensor: usize,
    pub limit: usize,
    pub from_s: f64,
    pub until_s: f64,
}

pub struct Run {
    /// In order of time.
    pub samples: Vec<Sample>,
    pub excursions: Vec<Excursion>,
    /// Where it was beyond a limit, or short of it by no more than noise can hide.
    pub near: Vec<Span>,
    /// Where it was short of a limit by more than its deadband and what noise can hide, and the sensor told so.
    pub clear: Vec<Span>,
    /// Where it was truly back by the deadband.
    pub back: Vec<Span>,
    pub faults: Vec<(usize, Fault)>,
}

/// Noise is hidden in so many of its deviations.
const HIDDEN: f64 = 4.0;

impl Scenario {
    /// Acts the scenario out.
    pub fn run(&self, seed: u64) -> Run {
        let mut run = Run {
            samples: Vec::new(),
            excursions: Vec::new(),
            near: Vec::new(),
            clear: Vec::new(),
            back: Vec::new(),
            faults: Vec::new(),
        };
        for number in 0..self.sensors {
            let mut dice = ChaCha8Rng::seed_from_u64(seed ^ ((number as u64 + 1) << 32));
            let seconds = (self.hours * 3600.0) as usize;
            let truth = physics::values(self.process, seconds, &mut dice);
            let mut sensor = Sensor::new(self, &mut dice);
            let first = run.samples.len();
            let mut at = number % self.poll_s;
            while at < seconds {
                let value = sensor.says(at as f64, truth[at], &mut dice);
                run.samples.push(Sample { sensor: number, at_s: at as f64, value });
                at += self.poll_s;
            }
            let own = &run.samples[first..];
            for (limit, rule) in self.limits.iter().enumerate() {
                run.excursions.extend(self.excursions(number, (limit, rule), &truth, own, &sensor.faults));
                let plain = |at: usize| self.is_plain(at, own, &sensor.faults);
                let hidden = self.hidden();
                let near = |at: usize| rule.excess(truth[at]) > -hidden;
                let clear = |at: usize| rule.excess(truth[at]) < -(rule.deadband + hidden) && plain(at);
                run.near.extend(spans(number, limit, truth.len(), near));
                run.clear.extend(spans(number, limit, truth.len(), clear));
                run.back
                    .extend(spans(number, limit, truth.len(), |at| rule.excess(truth[at]) <= -rule.deadband));
            }
            run.faults.extend(sensor.faults.into_iter().map(|fault| (number, fault)));
        }
        run.samples.sort_by(|one, other| one.at_s.total_cmp(&other.at_s).then(one.sensor.cmp(&other.sensor)));
        run
    }

    /// A difference that noise and steps can hide.
    fn hidden(&self) -> f64 {
        HIDDEN * self.noise + self.step
    }

    /// The sensor answered the last poll, and had no fault about then.
    fn is_plain(&self, at: usize, samples: &[Sample], faults: &[Fault]) -> bool {
        let (at_s, poll_s) = (at as f64, self.poll_s as f64);
        let polled = samples.partition_point(|sample| sample.at_s <= at_s);
        let answered = polled > 0 && samples[polled - 1].value.is_some();
        let faulty = |fault: &Fault| fault.from_s - poll_s <= at_s && at_s <= fault.until_s + poll_s;
        answered && !faults.iter().any(faulty)
    }

    fn excursions(
        &self,
        sensor: usize,
        (limit, rule): (usize, &Limit),
        truth: &[f64],
        samples: &[Sample],
        faults: &[Fault],
    ) -> Vec<Excursion> {
        let hidden = self.hidden();
        let is_plain = |at: usize| rule.excess(truth[at]) > hidden && self.is_plain(at, samples, faults);
        let mut found: Vec<Excursion> = Vec::new();
        let mut open: Option<Excursion> = None;
        let mut plain_since: Option<usize> = None;
        for (at, value) in truth.iter().enumerate() {
            let beyond = rule.excess(*value) > 0.0;
            plain_since = if beyond && is_plain(at) { plain_since.or(Some(at)) } else { None };
            match (&mut open, beyond) {
                (None, true) => {
                    let from_s = at as f64;
                    let (until_s, plain_s, plain_from_s) = (from_s, 0.0, from_s);
                    open = Some(Excursion { sensor, limit, from_s, until_s, plain_s, plain_from_s });
                }
                (Some(_), false) => found.extend(open.take()),
                (None, false) => {}
                (Some(excursion), true) => {
                    excursion.until_s = at as f64;
                    if let Some(since) = plain_since
                        && (at - since) as f64 > excursion.plain_s
                    {
                        (excursion.plain_s, excursion.plain_from_s) = ((at - since) as f64, since as f64);
                    }
                }
            }
        }
        found.extend(open);
        found
    }
}

/// Seconds in a row in which it is so.
fn spans(sensor: usize, limit: usize, seconds: usize, is_so: impl Fn(usize) -> bool) -> Vec<Span> {
    let mut found: Vec<Span> = Vec::new();
    let mut since = None;
    for at in 0..=seconds {
        match (since, at < seconds && is_so(at)) {
            (None, true) => since = Some(at as f64),
            (Some(from_s), false) => {
                found.push(Span { sensor, limit, from_s, until_s: at as f64 });
                since = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    found
}
