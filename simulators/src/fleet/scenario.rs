//! A scenario of a fleet: the town, how vehicles are driven, what their trackers do, where fences are. TOML; read,
//! checked whole, never changed. `scenarios/fleet/town.toml` explains every key.

use serde::Deserialize;

use crate::scenario_file::{Range, ScenarioFile};

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    pub hours: f64,
    pub vehicles: usize,
    #[serde(default = "side")]
    pub side: usize,
    #[serde(default)]
    pub driving: Driving,
    #[serde(default)]
    pub trackers: Trackers,
    #[serde(default)]
    pub fences: Fences,
}

fn side() -> usize {
    40
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Driving {
    pub stands: bool,
    pub begins_h: Range,
    pub ends_h: f64,
    pub stop_s: Range,
    pub indoors: f64,
    pub queues: f64,
    pub queue_m: Range,
    pub queue_up_m: Range,
    pub queue_waits_s: Range,
}

impl Default for Driving {
    fn default() -> Self {
        Self {
            stands: false,
            begins_h: [5.0, 8.0],
            ends_h: 17.0,
            stop_s: [300.0, 2400.0],
            indoors: 0.15,
            queues: 0.0,
            queue_m: [100.0, 400.0],
            queue_up_m: [8.0, 25.0],
            queue_waits_s: [20.0, 100.0],
        }
    }
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trackers {
    pub driving_s: f64,
    pub parked_s: f64,
    pub tell_ignition: bool,
    pub tell_velocity: bool,
    pub says_m: Option<f64>,
    pub outages_a_day: f64,
    pub newest_first: f64,
    pub clock_off_s: Range,
    pub clock_a_day_ahead: f64,
}

impl Default for Trackers {
    fn default() -> Self {
        Self {
            driving_s: 10.0,
            parked_s: 300.0,
            tell_ignition: true,
            tell_velocity: true,
            says_m: None,
            outages_a_day: 3.0,
            newest_first: 0.1,
            clock_off_s: [-2.0, 2.0],
            clock_a_day_ahead: 0.0,
        }
    }
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fences {
    pub customers: usize,
    pub by_the_road: usize,
    pub reach_m: Range,
    pub polygons: f64,
}

impl Default for Fences {
    fn default() -> Self {
        Self { customers: 60, by_the_road: 40, reach_m: [60.0, 150.0], polygons: 0.4 }
    }
}

impl ScenarioFile for Scenario {
    const FILES: &'static [&'static str] = &[
        include_str!("../../scenarios/fleet/town.toml"),
        include_str!("../../scenarios/fleet/slow_trackers.toml"),
        include_str!("../../scenarios/fleet/bad_network.toml"),
        include_str!("../../scenarios/fleet/wrong_clocks.toml"),
        include_str!("../../scenarios/fleet/parked.toml"),
        include_str!("../../scenarios/fleet/overstated.toml"),
        include_str!("../../scenarios/fleet/positions_alone.toml"),
        include_str!("../../scenarios/fleet/queues.toml"),
    ];

    fn name(&self) -> &str {
        &self.name
    }

    fn problems(&self) -> Vec<String> {
        let (driving, trackers, fences) = (&self.driving, &self.trackers, &self.fences);
        let ranges = [
            ("driving.begins_h", driving.begins_h, 0.0),
            ("driving.stop_s", driving.stop_s, 1.0),
            ("driving.queue_m", driving.queue_m, 1.0),
            ("driving.queue_up_m", driving.queue_up_m, 1.0),
            ("driving.queue_waits_s", driving.queue_waits_s, 0.0),
            ("trackers.clock_off_s", trackers.clock_off_s, -3600.0),
            ("fences.reach_m", fences.reach_m, 5.0),
        ];
        let wrong_ranges = ranges
            .into_iter()
            .filter(|(_, [from, to], least)| !(*least <= *from && from < to))
            .map(|(name, range, least)| format!("{name}: {range:?} is no range from {least} on"));
        let shares = [
            ("driving.indoors", driving.indoors),
            ("driving.queues", driving.queues),
            ("trackers.newest_first", trackers.newest_first),
            ("trackers.clock_a_day_ahead", trackers.clock_a_day_ahead),
            ("fences.polygons", fences.polygons),
        ];
        let wrong_shares = shares
            .into_iter()
            .filter(|(_, share)| !(0.0..=1.0).contains(share))
            .map(|(name, share)| format!("{name}: {share} is no share"));
        let least = [
            ("hours", self.hours, 0.1),
            ("vehicles", self.vehicles as f64, 1.0),
            ("side", self.side as f64, 6.0),
            ("trackers.driving_s", trackers.driving_s, 1.0),
            ("trackers.parked_s", trackers.parked_s, 1.0),
            ("trackers.says_m", trackers.says_m.unwrap_or_default(), 0.0),
            ("fences.customers", fences.customers as f64, 2.0),
        ];
        let too_small = least
            .into_iter()
            .filter(|(_, value, least)| value < least)
            .map(|(name, value, least)| format!("{name}: {value} is less than {least}"));
        wrong_ranges.chain(wrong_shares).chain(too_small).collect()
    }
}
