//! Episodes that were said against excursions that were.

use tallyman_simulators::processes::{Excursion, FaultKind, Near, Run, Scenario};

use super::{Quality, Said};

#[derive(Clone, Debug, Default)]
pub struct Grade {
    pub due: usize,
    pub found: usize,
    pub said: usize,
    pub wrong: usize,
    /// Of the wrong ones, those that a fault of the sensor made.
    pub of_faults: usize,
    /// Polls between when it was due to be told and when it was.
    after: Vec<f64>,
    /// Told, and there were: sensors that fell silent, sensors that stuck.
    pub faults: [(usize, usize); 2],
}

impl Grade {
    pub fn add(&mut self, scenario: &Scenario, run: &Run, said: &[Said], qualities: &[Quality]) {
        let poll_s = scenario.poll_s as f64;
        // One that has not come back by the deadband since an excursion before goes on.
        let is_of = |said: &Said, excursion: &Excursion| {
            said.sensor == excursion.sensor
                && said.limit == excursion.limit
                && said.told_s <= excursion.until_s + poll_s
                && said.until_s >= excursion.plain_from_s
        };
        let is_right = |said: &Said, near: &Near| {
            let is_there = near.from_s - poll_s <= said.told_s && said.began_s <= near.until_s + poll_s;
            said.sensor == near.sensor && said.limit == near.limit && is_there
        };
        for excursion in &run.excursions {
            let delay_s = scenario.limits[excursion.limit].on_delay_s;
            if excursion.plain_s < delay_s + 2.0 * poll_s {
                continue;
            }
            self.due += 1;
            if let Some(said) = said.iter().find(|said| is_of(said, excursion)) {
                self.found += 1;
                let late_s = said.told_s - excursion.plain_from_s - delay_s;
                self.after.push((late_s / poll_s).max(0.0));
            }
        }
        for said in said {
            self.said += 1;
            if run.near.iter().any(|near| is_right(said, near)) {
                continue;
            }
            self.wrong += 1;
            let faulty = run.faults.iter().any(|(sensor, fault)| {
                *sensor == said.sensor && fault.from_s <= said.told_s && said.began_s <= fault.until_s
            });
            self.of_faults += usize::from(faulty);
        }
        for (sensor, fault) in &run.faults {
            let place = match fault.kind {
                FaultKind::Dropout => 0,
                FaultKind::Stuck => 1,
                FaultKind::Spike | FaultKind::Drift => continue,
            };
            let told = qualities.iter().any(|quality| {
                quality.sensor == *sensor
                    && !quality.is_good
                    && (fault.from_s - poll_s..=fault.until_s + poll_s).contains(&quality.at_s)
            });
            let (found, there_were) = &mut self.faults[place];
            *found += usize::from(told);
            *there_were += 1;
        }
    }

    pub fn recall(&self) -> f64 {
        if self.due == 0 { 1.0 } else { self.found as f64 / self.due as f64 }
    }

    pub fn precision(&self) -> f64 {
        if self.said == 0 { 1.0 } else { (self.said - self.wrong) as f64 / self.said as f64 }
    }

    pub fn polls(&self, part: f64) -> f64 {
        let mut after = self.after.clone();
        after.sort_by(f64::total_cmp);
        after.get((after.len() as f64 * part) as usize).copied().unwrap_or_default()
    }

    pub fn latest_polls(&self) -> f64 {
        self.after.iter().copied().fold(0.0, f64::max)
    }
}
