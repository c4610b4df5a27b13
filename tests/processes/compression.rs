//! How few samples are kept by exception and by a swinging door, and how far what is kept is from what was measured.

use std::fmt;

use tallyman_simulators::processes::{Run, Scenario};

use super::ours;

/// Noise is hidden in so many of its deviations: the bound, with the step in which the sensor tells values.
const HIDDEN: f64 = 4.0;

/// What became of one scenario's good samples.
#[derive(Clone, Debug)]
pub struct Compressed {
    pub name: String,
    pub within: f64,
    pub taken: usize,
    /// By exception, with a deadband of the bound; a value stands until the next one.
    pub by_exception: Kept,
    /// By a swinging door of the bound; straight lines.
    pub by_door: Kept,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Kept {
    pub samples: usize,
    /// The largest distance of a good sample from what was kept.
    pub worst: f64,
}

/// Of each scenario, the samples of one seed: every good one is believed, and one an hour is kept whatever happens.
pub fn compress(scenarios: &[Scenario], seed: u64) -> Vec<Compressed> {
    let compress_one = |scenario: &Scenario| {
        let scenario = Scenario { flat_after_s: None, max_change_per_min: None, ..scenario.clone() };
        let within = HIDDEN * scenario.noise + scenario.step;
        let run = scenario.run(seed);
        let kept = |key: &str, value_at: ValueAt| {
            let keys = format!("{key} = {within:?}\nheartbeat = \"1h\"");
            count(&run, &ours::kept(&scenario, &run, &keys), value_at)
        };
        Compressed {
            name: scenario.name.clone(),
            within,
            taken: run.samples.len(),
            by_exception: kept("deadband", stands),
            by_door: kept("compress_within", line),
        }
    };
    scenarios.iter().map(compress_one).collect()
}

type ValueAt = fn((f64, f64), (f64, f64), f64) -> f64;

fn stands((_, value): (f64, f64), next: (f64, f64), at_s: f64) -> f64 {
    if at_s == next.0 { next.1 } else { value }
}

fn line((from_s, from): (f64, f64), (to_s, to): (f64, f64), at_s: f64) -> f64 {
    if to_s == from_s { to } else { from + (to - from) * (at_s - from_s) / (to_s - from_s) }
}

/// What waits at the end is not told yet, and not counted.
fn count(run: &Run, kept: &[Vec<(f64, Option<f64>)>], value_at: ValueAt) -> Kept {
    let mut worst: f64 = 0.0;
    for sample in &run.samples {
        let Some(value) = sample.value else { continue };
        let kept = &kept[sample.sensor];
        let next = kept.partition_point(|(at_s, _)| *at_s < sample.at_s);
        let Some((to_s, Some(to))) = kept.get(next).copied() else { continue };
        let from = next.checked_sub(1).map_or((to_s, Some(to)), |before| kept[before]);
        if let (from_s, Some(from)) = from {
            worst = worst.max((value_at((from_s, from), (to_s, to), sample.at_s) - value).abs());
        }
    }
    Kept { samples: kept.iter().map(Vec::len).sum(), worst }
}

impl Compressed {
    pub const HEAD: &str = "| scenario | bound | samples | kept by exception | furthest | kept by swinging door | furthest |\n\
        | --- | ---: | ---: | ---: | ---: | ---: | ---: |";
}

impl fmt::Display for Compressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, within, taken, by_exception, by_door } = self;
        let part =
            |kept: &Kept| format!("{} (1 in {:.1})", kept.samples, *taken as f64 / kept.samples as f64);
        write!(
            f,
            "| {name} | {within:.2} | {taken} | {} | {:.3} | {} | {:.3} |",
            part(by_exception),
            by_exception.worst,
            part(by_door),
            by_door.worst
        )
    }
}
