//! The daemon's cleaning, on the samples as its decoders give them.

use std::fmt::Write;
use std::path::Path;

use tallyman::clean::{Cleaned, Cleaner};
use tallyman::config::{self, Config};
use tallyman::domain::frames::{LinkChange, LinkState};
use tallyman::domain::ids::SourceId;
use tallyman::domain::readings::{self, Reading};
use tallyman::domain::sightings::{ConditionChange, Episode, Seen};
use tallyman::domain::time::Timestamp;
use tallyman_simulators::processes::{self, Limit, Run, Scenario};

use super::{SaidEpisode, SaidQuality};

const BEGINS_US: i64 = 1_772_409_600_000_000;

pub fn judge(scenario: &Scenario, run: &Run) -> (Vec<SaidEpisode>, Vec<SaidQuality>) {
    let (mut said, mut qualities): (Vec<SaidEpisode>, _) = (Vec::new(), Vec::new());
    clean(scenario, run, "", |sample, what| match what {
        Seen::Condition(ConditionChange { limit, change, .. }) => {
            let sensor = sample.sensor;
            let of_name = |it: &Limit| it.name == limit.as_str();
            let limit = scenario.limits.iter().position(of_name).expect("a limit of ours");
            match change {
                Episode::Began { began_at, .. } => {
                    let (began_s, told_s, until_s) = (since_s(began_at), sample.at_s, f64::INFINITY);
                    said.push(SaidEpisode { sensor, limit, began_s, told_s, until_s });
                }
                Episode::Ended { .. } => {
                    let mut newest = said.iter_mut().rev();
                    let of_it = |said: &&mut SaidEpisode| said.sensor == sensor && said.limit == limit;
                    newest.find(of_it).expect("it began").until_s = sample.at_s;
                }
            }
        }
        Seen::Quality { quality, .. } => {
            qualities.push(SaidQuality { sensor: sample.sensor, at_s: sample.at_s, quality });
        }
        _ => {}
    });
    (said, qualities)
}

/// The samples that are kept, with these keys of each point: by sensor, in order.
pub fn kept(scenario: &Scenario, run: &Run, keys: &str) -> Vec<Vec<(f64, Option<f64>)>> {
    let mut kept = vec![Vec::new(); scenario.sensors];
    clean(scenario, run, keys, |sample, what| {
        if let Seen::Sample(told) = what {
            kept[sample.sensor].push((since_s(told.observed_at), told.value));
        }
    });
    kept
}

fn since_s(at: Timestamp) -> f64 {
    (at.as_micros() - BEGINS_US) as f64 / 1e6
}

/// Gives each sample to the daemon's cleaning, and what that says of it to `hear`.
fn clean(scenario: &Scenario, run: &Run, keys: &str, mut hear: impl FnMut(&processes::Sample, Seen)) {
    let config = configured(scenario, keys);
    let mut cleaner = Cleaner::new(&config.rules, &config.intake);
    let mut out = Cleaned::default();
    let at = |at_s: f64| Timestamp::from_micros(BEGINS_US + (at_s * 1e6) as i64);
    let sources: Vec<SourceId> = (0..scenario.sensors).map(|nth| SourceId::new(format!("s{nth}"))).collect();
    for source in &sources {
        let state = LinkState::Up { replaying: false };
        cleaner.link(&LinkChange { source: source.clone(), at: at(0.0), state }, &mut out);
    }
    out.sightings.clear();
    for sample in &run.samples {
        let quality = match sample.value {
            Some(_) => readings::Quality::Good,
            None => readings::Quality::NoCommunication,
        };
        let reading = Reading::Sample(readings::Sample {
            device: format!("s{}", sample.sensor).into(),
            point: "value".into(),
            observed_at: at(sample.at_s),
            value: sample.value,
            text: None,
            quality,
        });
        cleaner.reading(reading, &sources[sample.sensor], at(sample.at_s), &mut out);
        out.sightings.drain(..).for_each(|sighting| hear(sample, sighting.what));
    }
}

/// As people would write it.
fn configured(scenario: &Scenario, keys: &str) -> Config {
    let mut text = "node = \"n\"\n[[site]]\nname = \"works\"\ntimezone = \"Europe/Berlin\"\n".to_owned();
    let mut write = |part: std::fmt::Arguments<'_>| text.write_fmt(part).expect("a string takes it");
    for sensor in 0..scenario.sensors {
        write(format_args!(
            "[[modbus]]\nname = \"s{sensor}\"\nsite = \"works\"\naddress = \"127.0.0.1:502\"\npoll = \"{}s\"\nbase = 0\n\
             [[modbus.point]]\nname = \"value\"\ntable = \"holding\"\naddress = 0\ntype = \"f32\"\n",
            scenario.poll_s
        ));
        if let Some(seconds) = scenario.flat_after_s {
            write(format_args!("flat_after = \"{seconds}s\"\n"));
        }
        if let Some(change) = scenario.max_change_per_min {
            write(format_args!("max_change_per_min = {change:?}\n"));
        }
        write(format_args!("{keys}\n"));
        for limit in &scenario.limits {
            let threshold = match (limit.high, limit.low) {
                (Some(high), _) => format!("high = {high:?}"),
                (None, low) => format!("low = {:?}", low.unwrap_or_default()),
            };
            write(format_args!(
                "[[limit]]\ndevice = \"s{sensor}\"\npoint = \"value\"\nname = \"{}\"\n{threshold}\n\
                 deadband = {:?}\non_delay = \"{}s\"\n",
                limit.name, limit.deadband, limit.on_delay_s
            ));
            if let Some(seconds) = limit.off_delay_s {
                write(format_args!("off_delay = \"{seconds}s\"\n"));
            }
        }
    }
    config::parse(&text, Path::new("/"), &|_| None).unwrap_or_else(|error| panic!("{error}"))
}
