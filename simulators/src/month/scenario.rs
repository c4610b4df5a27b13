//! The scenario of a month: a company by its shape, its people's habits and its bad luck, as TOML.
//! Read, checked whole, never changed. `scenarios/month.toml` explains every key.

use jiff::Timestamp;
use serde::Deserialize;

use super::check;
use super::company::Docks;
use crate::scenario::{Coverage, ScenarioError};

const MONTH: &str = include_str!("../../scenarios/month.toml");

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    pub start: Timestamp,
    pub days: u32,
    #[serde(default)]
    pub listening: Listening,
    pub sites: Vec<Site>,
    pub zones: Vec<ZoneGroup>,
    pub classes: Vec<Class>,
    pub assets: Vec<AssetGroup>,
    #[serde(default)]
    pub vehicles: Vec<VehicleGroup>,
    #[serde(default)]
    pub habits: Habits,
    #[serde(default)]
    pub hauls: Hauls,
    #[serde(default)]
    pub losses: Losses,
    #[serde(default)]
    pub outages: Outages,
    #[serde(default)]
    pub daemon: Daemon,
}

/// How shelves are read, and what the daemon is told to make of it.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listening {
    pub read_every_s: f64,
    pub miss: f64,
    pub reference_every_s: f64,
    pub hearing_timeout_s: f64,
    pub lost_after_s: f64,
    pub refresh_s: f64,
    pub buffer_reads: usize,
}

impl Default for Listening {
    fn default() -> Self {
        Self {
            read_every_s: 600.0,
            miss: 0.1,
            reference_every_s: 120.0,
            hearing_timeout_s: 300.0,
            lost_after_s: 2400.0,
            refresh_s: 1500.0,
            buffer_reads: 100_000,
        }
    }
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    pub name: String,
    pub timezone: String,
    /// Hours of the wall clock; a shift that ends before it begins goes over midnight.
    pub work_from: f64,
    pub work_to: f64,
    /// 1 is Monday.
    #[serde(default = "monday_to_friday")]
    pub work_days: Vec<i8>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneGroup {
    pub prefix: String,
    pub site: String,
    pub coverage: Coverage,
    #[serde(default = "one")]
    pub count: usize,
    /// Of the shelf reader, where the zone is continuous.
    #[serde(default = "one_antenna")]
    pub antennas: u16,
    #[serde(default = "one")]
    pub doors: usize,
    /// How a vehicle is known that stands at the first door of such a zone.
    #[serde(default)]
    pub docks: Docks,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    pub name: String,
    pub ghost_after_s: Option<f64>,
    #[serde(default)]
    pub overdue_grace_s: f64,
    pub tracker_silent_after_s: Option<f64>,
    /// Whoever takes one out without a checkout is told of; so is one that is not fit to go out.
    #[serde(default)]
    pub needs_checkout: bool,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetGroup {
    pub prefix: String,
    pub class: String,
    /// Prefix of the zones over which they are spread.
    pub zone: String,
    pub count: usize,
    #[serde(default)]
    pub two_tags: f64,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VehicleGroup {
    pub prefix: String,
    pub class: String,
    pub site: String,
    pub count: usize,
    #[serde(default = "fix_every_s")]
    pub fix_every_s: f64,
    #[serde(default = "parked_every_s")]
    pub parked_every_s: f64,
}

/// What people do, per asset and month where not said otherwise.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Habits {
    pub checkouts: f64,
    pub due_h: [f64; 2],
    /// Shares of checkouts.
    pub late: f64,
    pub late_h: [f64; 2],
    pub never_returned: f64,
    pub forgets_check_in: f64,
    /// Taken elsewhere on the site, and back in some days.
    pub moves: f64,
    pub move_days: [f64; 2],
    /// Taken out through a door without a checkout, and brought back.
    pub borrows: f64,
    pub borrow_h: [f64; 2],
    /// Put into quarantine, and taken out all the same; back as what is borrowed.
    pub takes_unready: f64,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            checkouts: 1.0,
            due_h: [4.0, 72.0],
            late: 0.1,
            late_h: [1.0, 48.0],
            never_returned: 0.01,
            forgets_check_in: 0.4,
            moves: 0.5,
            move_days: [0.2, 4.0],
            borrows: 0.1,
            borrow_h: [1.0, 30.0],
            takes_unready: 0.0,
        }
    }
}

/// What goes to another site, and back after some days.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hauls {
    /// Per asset and month.
    pub per_asset: f64,
    /// The share that goes by the company's own vehicles.
    pub by_vehicle: f64,
    /// Assets a trip.
    pub load: [usize; 2],
    pub days: [f64; 2],
    pub kmh: f64,
}

impl Default for Hauls {
    fn default() -> Self {
        Self { per_asset: 0.0, by_vehicle: 0.8, load: [3, 12], days: [0.5, 5.0], kmh: 70.0 }
    }
}

/// Per month, all over the company.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Losses {
    pub thefts: f64,
    /// Times that a zone is emptied, and the share of what is there that is taken then.
    pub mass_thefts: f64,
    pub mass_share: f64,
    pub recovered: f64,
    pub lost_tags: f64,
    pub second_tags: f64,
    pub found_days: [f64; 2],
    pub tracker_batteries: f64,
    pub strangers: f64,
}

impl Default for Losses {
    fn default() -> Self {
        Self {
            thefts: 60.0,
            mass_thefts: 0.0,
            mass_share: 0.8,
            recovered: 0.3,
            lost_tags: 60.0,
            second_tags: 30.0,
            found_days: [3.0, 12.0],
            tracker_batteries: 10.0,
            strangers: 10.0,
        }
    }
}

/// Per reader and month.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outages {
    pub power: f64,
    pub power_h: [f64; 2],
    pub network: f64,
    pub network_h: [f64; 2],
    pub cuts: f64,
    pub cut_h: [f64; 2],
    /// Share of the cuts that the reader notices and reports.
    pub cuts_reported: f64,
}

impl Default for Outages {
    fn default() -> Self {
        Self {
            power: 2.0,
            power_h: [0.1, 20.0],
            network: 3.0,
            network_h: [0.02, 6.0],
            cuts: 0.3,
            cut_h: [1.0, 30.0],
            cuts_reported: 0.5,
        }
    }
}

#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Daemon {
    pub off: Vec<Off>,
    /// Ended without a word, and started again within seconds.
    pub kills: f64,
}

#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Off {
    pub from_day: f64,
    pub for_h: f64,
}

fn one() -> usize {
    1
}
fn one_antenna() -> u16 {
    1
}
fn fix_every_s() -> f64 {
    300.0
}
fn parked_every_s() -> f64 {
    1800.0
}
fn monday_to_friday() -> Vec<i8> {
    vec![1, 2, 3, 4, 5]
}

impl Scenario {
    /// Reads and checks a scenario. Every value that is not allowed is told at once.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text)?;
        let problems = check::problems(&scenario);
        if problems.is_empty() { Ok(scenario) } else { Err(ScenarioError::Values(problems)) }
    }

    /// The company of five thousand assets.
    pub fn month() -> Self {
        Self::parse(MONTH).expect("the embedded scenario is read by a test")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_month_is_a_company_of_the_size_it_says() {
        let month = Scenario::month();
        let assets: usize = month.assets.iter().map(|group| group.count).sum();
        let vehicles: usize = month.vehicles.iter().map(|group| group.count).sum();
        assert_eq!((assets + vehicles, vehicles), (5000, 100));
        let readers: usize = month
            .zones
            .iter()
            .map(|zone| zone.count * (zone.doors + usize::from(zone.coverage == Coverage::Continuous)))
            .sum();
        assert_eq!(readers, 40);
    }

    #[test]
    fn every_company_of_the_folder_is_read() {
        for text in [
            include_str!("../../scenarios/autumn.toml"),
            include_str!("../../scenarios/doors.toml"),
            include_str!("../../scenarios/fleet.toml"),
            include_str!("../../scenarios/large.toml"),
            include_str!("../../scenarios/small.toml"),
        ] {
            assert!(Scenario::parse(text).is_ok_and(|scenario| scenario.days >= 7));
        }
    }

    #[test]
    fn every_wrong_value_is_told_at_once() {
        let text = MONTH.replacen("site = \"hamburg\"", "site = \"nowhere\"", 1);
        let text = text.replacen("miss = 0.1", "miss = 1.1", 1).replacen("days = 30", "days = 0", 1);
        let error = Scenario::parse(&text).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 3, "{error}");
        assert!(error.contains("zones[0].site") && error.contains("listening.miss"), "{error}");
    }
}
