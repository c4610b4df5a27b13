//! Episodes that were said against excursions that were.

use tallyman::config::OFF_DELAY;
use tallyman::domain::readings::Quality;
use tallyman_simulators::processes::{Excursion, Fault, FaultKind, Limit, Run, Scenario, Span};

use super::{SaidEpisode, SaidQuality};

#[derive(Clone, Debug, Default)]
pub struct Grade {
    pub due: usize,
    pub found: usize,
    pub said: usize,
    /// The value was not near the limit for the on-delay before it was told, or it was told already.
    pub wrong: usize,
    /// Of those: told again while the value never left the limit's neighbourhood, nor was truly back by the deadband for
    /// the off-delay.
    pub doubled: usize,
    /// Of those: made by a fault of the sensor.
    pub of_faults: usize,
    /// Still said where the value was clear of the limit for longer than the off-delay.
    pub unended: usize,
    /// Ended while the value was plainly beyond the limit.
    pub cut: usize,
    /// Polls between when it was due to be told and when it was.
    after: Vec<f64>,
    /// Told, and there were: sensors that fell silent, sensors that stuck, spikes, wires that came off.
    pub faults: [(usize, usize); 4],
}

impl Grade {
    pub fn add(&mut self, scenario: &Scenario, run: &Run, said: &[SaidEpisode], qualities: &[SaidQuality]) {
        let poll_s = scenario.poll_s as f64;
        for excursion in &run.excursions {
            self.excursion(scenario, excursion, said);
        }
        let mut taken: Vec<(&Span, f64)> = Vec::new();
        for said in said {
            self.said += 1;
            let delay_s = scenario.limits[said.limit].on_delay_s;
            let is_right = |near: &&Span| {
                let (sensor, limit) = (near.sensor, near.limit);
                let long_enough = near.from_s <= said.told_s - delay_s + poll_s;
                (sensor, limit) == (said.sensor, said.limit)
                    && long_enough
                    && said.told_s <= near.until_s + poll_s
            };
            match run.near.iter().find(is_right) {
                Some(near) => {
                    let before = taken.iter().rfind(|(taken, _)| *taken == near).map(|(_, until_s)| *until_s);
                    let again = before.is_some_and(|until_s| !was_back(scenario, run, said, until_s));
                    self.wrong += usize::from(again);
                    self.doubled += usize::from(again);
                    taken.push((near, said.until_s));
                }
                None => {
                    self.wrong += 1;
                    let faulty = run.faults.iter().any(|(sensor, fault)| {
                        *sensor == said.sensor && fault.from_s <= said.told_s && said.began_s <= fault.until_s
                    });
                    self.of_faults += usize::from(faulty);
                }
            }
        }
        for clear in &run.clear {
            let over_s = clear.from_s + off_delay_s(&scenario.limits[clear.limit]) + 2.0 * poll_s;
            let goes_on = |said: &&SaidEpisode| {
                is_of(said, clear.sensor, clear.limit) && said.told_s < clear.from_s && said.until_s > over_s
            };
            self.unended += usize::from(over_s < clear.until_s && said.iter().any(|said| goes_on(&said)));
        }
        self.faults(scenario, run, qualities);
    }

    fn excursion(&mut self, scenario: &Scenario, excursion: &Excursion, said: &[SaidEpisode]) {
        let poll_s = scenario.poll_s as f64;
        let delay_s = scenario.limits[excursion.limit].on_delay_s;
        let ends_s = excursion.plain_from_s + excursion.plain_s;
        let of_it = || said.iter().filter(|said| is_of(said, excursion.sensor, excursion.limit));
        let is_cut = |said: &SaidEpisode| (excursion.plain_from_s + poll_s..ends_s).contains(&said.until_s);
        self.cut += of_it().filter(|said| is_cut(said)).count();
        if excursion.plain_s < delay_s + 2.0 * poll_s {
            return;
        }
        self.due += 1;
        // One that has not come back by the deadband since an excursion before goes on.
        let covers = |said: &&SaidEpisode| {
            said.told_s <= excursion.until_s + poll_s && said.until_s >= excursion.plain_from_s
        };
        if let Some(said) = of_it().find(covers) {
            self.found += 1;
            let late_s = said.told_s - excursion.plain_from_s - delay_s;
            self.after.push((late_s / poll_s).max(0.0));
        }
    }

    fn faults(&mut self, scenario: &Scenario, run: &Run, qualities: &[SaidQuality]) {
        let poll_s = scenario.poll_s as f64;
        for (sensor, fault) in
            run.faults.iter().filter(|(sensor, fault)| shows(scenario, run, *sensor, fault))
        {
            let (place, wanted) = match fault.kind {
                FaultKind::Dropout => (0, Quality::NoCommunication),
                FaultKind::Stuck => (1, Quality::SensorNotAccurate),
                FaultKind::Spike => (2, Quality::SensorNotAccurate),
                FaultKind::Broken => (3, Quality::SensorNotAccurate),
                FaultKind::Drift => continue,
            };
            let is_hidden = |(other_of, other): &(usize, Fault)| {
                let silent = other.kind == FaultKind::Dropout || other.stands_still();
                let about = other.from_s - poll_s..other.until_s + poll_s;
                silent && other_of == sensor && about.contains(&fault.from_s)
            };
            // Of a sensor that is silent or stuck nobody sees a spike.
            if fault.kind == FaultKind::Spike && run.faults.iter().any(is_hidden) {
                continue;
            }
            let of_it = || qualities.iter().filter(|said| said.sensor == *sensor);
            let stands = of_it().rfind(|said| said.at_s <= fault.from_s);
            let during = of_it().filter(|said| (fault.from_s..=fault.until_s + poll_s).contains(&said.at_s));
            let told = stands.into_iter().chain(during).any(|said| said.quality == wanted);
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

/// Whether there is anything to be seen of a fault before it, or the run, ends: a poll of it; of a value that stands still,
/// polls that were answered one after the other for as long as makes it one.
fn shows(scenario: &Scenario, run: &Run, sensor: usize, fault: &Fault) -> bool {
    let samples = run.samples.iter().filter(|sample| sample.sensor == sensor);
    let polls: Vec<bool> = samples
        .filter(|sample| (fault.from_s..fault.until_s).contains(&sample.at_s))
        .map(|sample| sample.value.is_some())
        .collect();
    match fault.kind {
        FaultKind::Dropout => polls.contains(&false),
        FaultKind::Stuck => {
            let known = polls.windows(2).filter(|pair| pair[0] && pair[1]).count() * scenario.poll_s;
            scenario.flat_after_s.is_some_and(|flat_after_s| known as f64 >= flat_after_s)
        }
        FaultKind::Spike | FaultKind::Broken | FaultKind::Drift => polls.contains(&true),
    }
}

/// As the limit says, or as it is where a limit does not.
fn off_delay_s(limit: &Limit) -> f64 {
    limit.off_delay_s.unwrap_or(OFF_DELAY.as_secs_f64())
}

/// Whether between the excursion that was told before and this one the value was truly back, for as long as makes an end.
fn was_back(scenario: &Scenario, run: &Run, said: &SaidEpisode, before_until_s: f64) -> bool {
    let (rule, poll_s) = (&scenario.limits[said.limit], scenario.poll_s as f64);
    let earliest_s = before_until_s - off_delay_s(rule) - 2.0 * poll_s;
    let mut of_it = run.back.iter().filter(|back| (back.sensor, back.limit) == (said.sensor, said.limit));
    of_it.any(|back| {
        let (from_s, until_s) = (back.from_s.max(earliest_s), back.until_s.min(said.began_s));
        until_s - from_s + 2.0 * poll_s >= off_delay_s(rule) && until_s > from_s
    })
}

fn is_of(said: &SaidEpisode, sensor: usize, limit: usize) -> bool {
    (said.sensor, said.limit) == (sensor, limit)
}
