//! A scenario of zones: how the hall is divided and fitted, what lies there and how often it is moved. TOML; read,
//! checked whole, never changed. `scenarios/zones/standard/rooms.toml` explains every key.

use serde::Deserialize;

use crate::scenario_file::{Range, ScenarioFile};

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    pub suite: Suite,
    pub duration_s: f64,
    #[serde(default)]
    pub hall: Hall,
    #[serde(default)]
    pub readers: Readers,
    #[serde(default)]
    pub tags: Tags,
    /// People who walk about.
    #[serde(default)]
    pub people: usize,
    #[serde(default, rename = "outage")]
    pub outages: Vec<Outage>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suite {
    Standard,
    Hostile,
}

/// Zones in columns and rows.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hall {
    pub columns: usize,
    pub rows: usize,
    pub zone_m: [f64; 2],
    /// Between two zones.
    pub gap_m: f64,
    /// Walls between the zones.
    pub walls: bool,
    /// A rack along the middle of each zone, and what a metre of it takes of the signal.
    pub rack_db_per_m: Range,
    /// Rician K: the direct wave over the diffuse field.
    pub k_db: Range,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Readers {
    pub mount: Mount,
    pub height_m: f64,
    /// Of each zone's reader.
    pub antennas: usize,
    pub power_dbm: f64,
    /// By how much readers' powers differ from that: installers do not measure.
    pub power_off_db: f64,
    pub session: u8,
    pub dual_target: bool,
    /// Of every so many seconds a reader reads for one antenna's turn each, and rests: 0, it never rests.
    pub every_s: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mount {
    /// Above the zone, looking down.
    Ceiling,
    /// At the edge of the zone, looking across it and so into the next one.
    Edge,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tags {
    pub count: usize,
    pub rests_s: Range,
    pub speed_mps: Range,
    /// The share of moves that lead out of the hall, and how long it stays away then.
    pub leaves: f64,
    pub away_s: Range,
    /// No closer to a zone's edge than this.
    pub edge_m: f64,
    pub detuning_db: Range,
}

/// A zone's reader is cut off.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    pub zone: usize,
    pub from_s: f64,
    pub to_s: f64,
}

impl Hall {
    pub fn zones(&self) -> usize {
        self.columns * self.rows
    }
}

impl Default for Hall {
    fn default() -> Self {
        let (rack_db_per_m, k_db) = ([1.0, 4.0], [0.0, 6.0]);
        Self { columns: 3, rows: 2, zone_m: [8.0, 8.0], gap_m: 0.0, walls: false, rack_db_per_m, k_db }
    }
}

impl Default for Readers {
    fn default() -> Self {
        Self {
            mount: Mount::Ceiling,
            height_m: 4.5,
            antennas: 1,
            power_dbm: 30.0,
            power_off_db: 0.0,
            session: 0,
            dual_target: true,
            every_s: 0.0,
        }
    }
}

impl Default for Tags {
    fn default() -> Self {
        Self {
            count: 40,
            rests_s: [120.0, 900.0],
            speed_mps: [0.8, 1.5],
            leaves: 0.15,
            away_s: [120.0, 600.0],
            edge_m: 1.0,
            detuning_db: [0.0, 3.0],
        }
    }
}

impl ScenarioFile for Scenario {
    const FILES: &'static [&'static str] = &[
        include_str!("../../scenarios/zones/standard/rooms.toml"),
        include_str!("../../scenarios/zones/standard/apart.toml"),
        include_str!("../../scenarios/zones/standard/flag_lasts.toml"),
        include_str!("../../scenarios/zones/standard/sparing.toml"),
        include_str!("../../scenarios/zones/hostile/open.toml"),
        include_str!("../../scenarios/zones/hostile/small.toml"),
        include_str!("../../scenarios/zones/hostile/edge.toml"),
        include_str!("../../scenarios/zones/hostile/crowd.toml"),
        include_str!("../../scenarios/zones/hostile/powers.toml"),
        include_str!("../../scenarios/zones/hostile/outages.toml"),
    ];

    fn name(&self) -> &str {
        &self.name
    }

    fn problems(&self) -> Vec<String> {
        let Self { hall, readers, tags, .. } = self;
        let mut problems = Vec::new();
        let mut check = |holds: bool, problem: &str| {
            if !holds {
                problems.push(problem.to_owned());
            }
        };
        check((60.0..=86_400.0).contains(&self.duration_s), "duration_s is not 60 to 86400");
        check((1..=64).contains(&hall.zones()), "hall.columns × hall.rows is not 1 to 64");
        check(hall.zone_m.iter().all(|m| (2.0..=50.0).contains(m)), "hall.zone_m is not 2 to 50");
        check((0.0..=50.0).contains(&hall.gap_m), "hall.gap_m is not 0 to 50");
        check((2.0..=12.0).contains(&readers.height_m), "readers.height_m is not 2 to 12");
        check((1..=8).contains(&readers.antennas), "readers.antennas is not 1 to 8");
        check((10.0..=33.0).contains(&readers.power_dbm), "readers.power_dbm is not 10 to 33");
        check((0.0..=10.0).contains(&readers.power_off_db), "readers.power_off_db is not 0 to 10");
        check(readers.session <= 3, "readers.session is not 0 to 3");
        check((0.0..=600.0).contains(&readers.every_s), "readers.every_s is not 0 to 600");
        check((1..=1000).contains(&tags.count), "tags.count is not 1 to 1000");
        check((0.0..=1.0).contains(&tags.leaves), "tags.leaves is not 0 to 1");
        let most = hall.zone_m[0].min(hall.zone_m[1]) / 2.0;
        check((0.0..most).contains(&tags.edge_m), "tags.edge_m leaves no room in a zone");
        check(self.people <= 100, "people is not 0 to 100");
        for outage in &self.outages {
            check(outage.zone < hall.zones(), "outage: that zone does not exist");
            check(
                0.0 <= outage.from_s && outage.from_s < outage.to_s,
                "outage: it does not end after it begins",
            );
        }
        let ranges = [
            ("hall.rack_db_per_m", hall.rack_db_per_m, 0.0),
            ("hall.k_db", hall.k_db, -20.0),
            ("tags.rests_s", tags.rests_s, 1.0),
            ("tags.speed_mps", tags.speed_mps, 0.1),
            ("tags.away_s", tags.away_s, 1.0),
            ("tags.detuning_db", tags.detuning_db, 0.0),
        ];
        for (key, [from, to], least) in ranges {
            let holds = from.is_finite() && to.is_finite() && least <= from && from <= to;
            check(holds, &format!("{key} is no range"));
        }
        problems
    }
}
