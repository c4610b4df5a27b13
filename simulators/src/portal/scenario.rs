//! A scenario of a portal: how the doors are fitted, and what moves there. TOML; read, checked whole, never
//! changed. `scenarios/portal/standard/one_pallet.toml` explains every key.

use serde::Deserialize;

use crate::scenario_file::{Range, ScenarioFile};

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    pub suite: Suite,
    pub duration_s: f64,
    #[serde(default)]
    pub doors: Doors,
    #[serde(default)]
    pub air: Air,
    #[serde(rename = "load")]
    pub loads: Vec<Load>,
    #[serde(default)]
    pub truck: Option<Truck>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suite {
    Standard,
    Hostile,
}

/// All doors of a scenario are alike.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Doors {
    pub count: usize,
    pub apart_m: f64,
    /// 2: one row looks inside and one outside. 1: all antennas look inside.
    pub rows: usize,
    /// Light barriers on both sides of the door.
    pub beams: bool,
    /// Of these, inputs that say nothing: knocked out of line, or a cable that is cut.
    pub dead_beams: Vec<u16>,
    /// How far from the door's plane a row hangs, and how far its antennas are turned away from across.
    pub row_m: f64,
    pub turned_deg: f64,
    /// Conducted power.
    pub power_dbm: f64,
    pub session: u8,
    /// Both targets in turn: tags are read again and again. Otherwise once for as long as the session's
    /// flag lasts.
    pub dual_target: bool,
    /// Phase, Doppler and hundredths of a dB are reported; otherwise whole dBm and nothing else.
    pub fine: bool,
    pub band: Band,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Band {
    Etsi,
    Fcc,
}

impl Default for Doors {
    fn default() -> Self {
        Self {
            count: 1,
            apart_m: 4.5,
            rows: 2,
            beams: false,
            dead_beams: Vec::new(),
            row_m: 0.6,
            turned_deg: 25.0,
            power_dbm: 30.0,
            session: 0,
            dual_target: true,
            fine: false,
            band: Band::Etsi,
        }
    }
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Air {
    /// Rician K: the direct wave over the diffuse field. Kim, Ingram and Smith (IEEE Transactions on
    /// Antennas and Propagation 51(5), 2003) measured long-range tags indoors: some dB with a line of sight.
    pub k_db: Range,
}

impl Default for Air {
    fn default() -> Self {
        Self { k_db: [0.0, 6.0] }
    }
}

/// Something that carries tags.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    #[serde(default)]
    pub door: usize,
    pub motion: Motion,
    /// How often this load is there, each drawn by itself.
    #[serde(default = "one")]
    pub count: usize,
    pub assets: [usize; 2],
    #[serde(default = "one")]
    pub tags_per_asset: usize,
    #[serde(default = "starts")]
    pub start_s: Range,
    #[serde(default = "walking")]
    pub speed_mps: Range,
    #[serde(default = "lateral")]
    pub lateral_m: Range,
    #[serde(default)]
    pub carrier: Carrier,
    /// How far before the door (or, where it reverses or parks, behind it) it turns, and how long it stays.
    #[serde(default = "turns")]
    pub turn_m: Range,
    #[serde(default = "pauses")]
    pub pause_s: Range,
    /// What a metre of the load takes from a wave. Paper and plastic less than 3 dB, food and liquids 10 to 30.
    #[serde(default = "light")]
    pub loss_db_per_m: Range,
    /// What the load's material takes from its tags' gain: Griffin, Durgin, Haldi and Kippelen (IEEE Antennas
    /// and Wireless Propagation Letters 5, 2006) measured about 1 dB on cardboard to over 10 dB on metal.
    #[serde(default = "cardboard")]
    pub detuning_db: Range,
    /// Labels lie flat on the load, their length level; otherwise they hang as they come.
    #[serde(default)]
    pub level: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Motion {
    /// Through the door, one way.
    In,
    Out,
    /// Through the door and, after a pause beyond it, back again.
    InOut,
    OutIn,
    /// Up to the door and back, from either side.
    TurnInside,
    TurnOutside,
    /// Into the doorway, a little through, back, and then through after all.
    ReverseIn,
    ReverseOut,
    /// A stop in the middle of the doorway on the way.
    ParkIn,
    ParkOut,
    /// Stands near the door all the time.
    StagedInside,
    StagedOutside,
    /// Stands near the door, then passes it.
    LoadOut,
    /// Is brought in and set down near the door.
    SetDown,
    /// Along the wall, past all doors.
    AlongInside,
    AlongOutside,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carrier {
    #[default]
    Forklift,
    /// Pushed or carried by somebody.
    Person,
    Nothing,
}

/// A lorry that drives along the yard, and reflects.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truck {
    pub away_m: Range,
    pub length_m: f64,
    pub speed_mps: Range,
    pub start_s: Range,
}

fn one() -> usize {
    1
}
fn starts() -> Range {
    [0.5, 2.5]
}
/// Walking pace to a forklift's usual speed in halls.
fn walking() -> Range {
    [0.7, 2.2]
}
fn lateral() -> Range {
    [-0.3, 0.3]
}
fn turns() -> Range {
    [0.4, 1.6]
}
fn pauses() -> Range {
    [1.0, 5.0]
}
fn light() -> Range {
    [1.0, 6.0]
}
fn cardboard() -> Range {
    [0.5, 3.0]
}

impl ScenarioFile for Scenario {
    /// The standard ones first.
    const FILES: &'static [&'static str] = &[
        include_str!("../../scenarios/portal/standard/one_pallet.toml"),
        include_str!("../../scenarios/portal/standard/slow.toml"),
        include_str!("../../scenarios/portal/standard/fast.toml"),
        include_str!("../../scenarios/portal/standard/dense.toml"),
        include_str!("../../scenarios/portal/standard/mixed_orientation.toml"),
        include_str!("../../scenarios/portal/standard/two_way.toml"),
        include_str!("../../scenarios/portal/standard/staged.toml"),
        include_str!("../../scenarios/portal/standard/turn_back.toml"),
        include_str!("../../scenarios/portal/standard/people.toml"),
        include_str!("../../scenarios/portal/standard/two_tags.toml"),
        include_str!("../../scenarios/portal/standard/one_row.toml"),
        include_str!("../../scenarios/portal/standard/beams.toml"),
        include_str!("../../scenarios/portal/hostile/beams_dead.toml"),
        include_str!("../../scenarios/portal/hostile/neighbour_door.toml"),
        include_str!("../../scenarios/portal/hostile/reversal.toml"),
        include_str!("../../scenarios/portal/hostile/parked.toml"),
        include_str!("../../scenarios/portal/hostile/metal.toml"),
        include_str!("../../scenarios/portal/hostile/truck.toml"),
        include_str!("../../scenarios/portal/hostile/crowd.toml"),
        include_str!("../../scenarios/portal/hostile/along_the_wall.toml"),
        include_str!("../../scenarios/portal/hostile/set_down.toml"),
        include_str!("../../scenarios/portal/hostile/turns.toml"),
        include_str!("../../scenarios/portal/hostile/beams_busy.toml"),
        include_str!("../../scenarios/portal/hostile/beams_one_row.toml"),
    ];

    fn name(&self) -> &str {
        &self.name
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |holds: bool, problem: String| {
            if !holds {
                problems.push(problem);
            }
        };
        check((1.0..=600.0).contains(&self.duration_s), "duration_s is not 1 to 600".to_owned());
        check((1..=8).contains(&self.doors.count), "doors.count is not 1 to 8".to_owned());
        check((1..=2).contains(&self.doors.rows), "doors.rows is not 1 or 2".to_owned());
        check(self.doors.session <= 3, "doors.session is not 0 to 3".to_owned());
        check((10.0..=33.0).contains(&self.doors.power_dbm), "doors.power_dbm is not 10 to 33".to_owned());
        let mut ranges = vec![("air.k_db".to_owned(), self.air.k_db, -20.0)];
        for (index, load) in self.loads.iter().enumerate() {
            let key = |name: &str| format!("load {index}: {name}");
            check(load.door < self.doors.count, key("door does not exist"));
            check((1..=1000).contains(&load.assets[0]) && load.assets[0] <= load.assets[1], key("assets"));
            check((1..=8).contains(&load.tags_per_asset), key("tags_per_asset is not 1 to 8"));
            check((1..=50).contains(&load.count), key("count is not 1 to 50"));
            ranges.extend([
                (key("start_s"), load.start_s, 0.0),
                (key("speed_mps"), load.speed_mps, 0.1),
                (key("lateral_m"), load.lateral_m, -1.4),
                (key("turn_m"), load.turn_m, -1.4),
                (key("pause_s"), load.pause_s, 0.0),
                (key("loss_db_per_m"), load.loss_db_per_m, 0.0),
                (key("detuning_db"), load.detuning_db, 0.0),
            ]);
        }
        for (key, [from, to], least) in ranges {
            check(
                from.is_finite() && to.is_finite() && least <= from && from <= to,
                format!("{key} is no range"),
            );
        }
        problems
    }
}
