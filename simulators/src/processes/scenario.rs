//! A scenario of processes: what they are, how they are measured, which limits they have. TOML; read, checked whole,
//! never changed. `scenarios/processes/cold_room.toml` explains every key.

use serde::Deserialize;

use crate::scenario_file::ScenarioFile;

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    pub hours: f64,
    pub sensors: usize,
    pub process: Process,
    pub poll_s: usize,
    pub noise: f64,
    pub step: f64,
    #[serde(default)]
    pub flat_after_s: Option<f64>,
    #[serde(default)]
    pub max_change_per_min: Option<f64>,
    #[serde(default)]
    pub faults: Faults,
    #[serde(rename = "limit")]
    pub limits: Vec<Limit>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Process {
    ColdRoom,
    Motor,
    Tank,
    Generator,
}

/// How often a day, of each sensor.
#[derive(Clone, Copy, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    pub stuck: f64,
    pub spikes: f64,
    pub dropout: f64,
    pub drift: f64,
    pub broken: f64,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub name: String,
    #[serde(default)]
    pub high: Option<f64>,
    #[serde(default)]
    pub low: Option<f64>,
    #[serde(default)]
    pub deadband: f64,
    #[serde(default)]
    pub on_delay_s: f64,
    /// None: whatever is usual where it is judged.
    #[serde(default)]
    pub off_delay_s: Option<f64>,
}

impl Limit {
    /// How far a value is beyond it.
    pub fn excess(&self, value: f64) -> f64 {
        match (self.high, self.low) {
            (Some(high), _) => value - high,
            (None, Some(low)) => low - value,
            (None, None) => f64::MIN,
        }
    }
}

impl ScenarioFile for Scenario {
    const FILES: &'static [&'static str] = &[
        include_str!("../../scenarios/processes/cold_room.toml"),
        include_str!("../../scenarios/processes/motor.toml"),
        include_str!("../../scenarios/processes/tank.toml"),
        include_str!("../../scenarios/processes/generator.toml"),
        include_str!("../../scenarios/processes/bad_sensors.toml"),
    ];

    fn name(&self) -> &str {
        &self.name
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.hours <= 0.0 || self.sensors == 0 || self.poll_s == 0 {
            problems.push("hours, sensors and poll_s: more than 0".to_owned());
        }
        if self.noise < 0.0 || self.step < 0.0 {
            problems.push("noise and step: not less than 0".to_owned());
        }
        for limit in &self.limits {
            if limit.high.is_some() == limit.low.is_some() {
                problems.push(format!("limit {}: high or low", limit.name));
            }
        }
        problems
    }
}
