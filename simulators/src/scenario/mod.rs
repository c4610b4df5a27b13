//! A scenario: a company and what happens to it, as TOML. Read, checked whole, never changed.
//!
//! Times of one-off happenings (`at`) are shares of a chapter: 0 is its start, 1 its end. A chapter is as
//! long as the emission, but at most `timing.chapter_s`; in a longer run they happen again in every chapter.

mod check;

use serde::Deserialize;

pub use check::Problem;

const DEMO: &str = include_str!("../../scenarios/demo.toml");

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    #[serde(default)]
    pub timing: Timing,
    pub sites: Vec<Site>,
    pub zones: Vec<Zone>,
    #[serde(default)]
    pub readers: Vec<Reader>,
    #[serde(default)]
    pub doors: Vec<Door>,
    #[serde(default)]
    pub cribs: Vec<Crib>,
    #[serde(default)]
    pub fences: Vec<Fence>,
    #[serde(default)]
    pub trucks: Vec<Truck>,
    #[serde(default)]
    pub cold_rooms: Vec<ColdRoom>,
    pub classes: Vec<Class>,
    #[serde(default)]
    pub assets: Vec<AssetGroup>,
    #[serde(default)]
    pub thefts: Vec<Theft>,
    #[serde(default)]
    pub checkouts: Vec<Checkouts>,
    #[serde(default)]
    pub outages: Vec<Outage>,
    #[serde(default)]
    pub faults: Vec<FaultPlan>,
}

/// How long a watcher is given to notice: nothing begins that could not be noticed before emission ends.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    pub chapter_s: f64,
    /// Behind the last read of a passage.
    pub passage_settle_s: f64,
    /// Behind a crossing of a fence.
    pub fence_settle_s: f64,
    /// Behind a limit's delay.
    pub condition_settle_s: f64,
    /// Behind an asset's `ghost_after_s`.
    pub ghost_settle_s: f64,
    /// Behind a due time and its grace.
    pub overdue_settle_s: f64,
    /// Behind the end of a fault, until the connection is back and caught up.
    pub reconnect_s: f64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            chapter_s: 50.0,
            passage_settle_s: 4.0,
            fence_settle_s: 6.0,
            condition_settle_s: 3.0,
            ghost_settle_s: 4.0,
            overdue_settle_s: 3.0,
            reconnect_s: 8.0,
        }
    }
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    pub name: String,
    pub timezone: String,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    pub name: String,
    pub site: String,
    pub coverage: Coverage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coverage {
    Continuous,
    PortalOnly,
    None,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reader {
    pub name: String,
    /// Absent: LLRP. Else what it speaks on a serial line.
    pub serial: Option<crate::serial::Protocol>,
    #[serde(default = "four")]
    pub antennas: u16,
    #[serde(default)]
    pub clock_offset_ms: i64,
    #[serde(default)]
    pub clock_drift_ppm: f64,
    /// The reader has no calendar and reports microseconds since it booted.
    #[serde(default)]
    pub uptime_only: bool,
    #[serde(default = "buffer_reads")]
    pub buffer_reads: usize,
    /// A value that was last reported the same is left out of a tag report.
    #[serde(default)]
    pub absent_equals_last: bool,
    /// KEEPALIVEs without an answer after which the reader closes the connection; absent: never.
    pub missed_keepalives: Option<u32>,
}

/// A portal: antenna 1 looks outside, antenna 2 inside.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Door {
    pub name: String,
    pub reader: String,
    pub outside: String,
    pub inside: String,
    /// The zone in which a vehicle stands that is at this door. What passes out then is in it, and nothing passes out while
    /// one comes or goes.
    pub bay: Option<String>,
    /// Groups of assets that pass together.
    #[serde(default)]
    pub passages_per_minute: f64,
    /// Assets that come near and go back.
    #[serde(default)]
    pub turned_back_per_minute: f64,
    /// Single weak reads of assets further away.
    #[serde(default)]
    pub strays_per_minute: f64,
    /// Assets that stand inside, close enough to be read.
    #[serde(default)]
    pub standing: usize,
    /// Share of a standing asset's reads that the outside antenna makes.
    #[serde(default)]
    pub standing_cross_share: f64,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crib {
    pub name: String,
    pub reader: String,
    pub zone: String,
    #[serde(default = "two")]
    pub antennas: u16,
    /// Slowest and fastest tag.
    #[serde(default = "read_hz")]
    pub read_hz: [f64; 2],
    /// Share of the times that a tag is not heard.
    #[serde(default = "miss")]
    pub miss: f64,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fence {
    pub name: String,
    pub site: Option<String>,
    /// Who is inside is in this zone.
    pub zone: Option<String>,
    pub lat: f64,
    pub lon: f64,
    pub radius_m: f64,
    #[serde(default = "hysteresis_m")]
    pub hysteresis_m: f64,
}

/// Drives its way points round and round. The first one lies outside of every fence.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truck {
    pub name: String,
    pub class: String,
    pub user: String,
    pub device: String,
    #[serde(default = "speed_mps")]
    pub speed_mps: f64,
    #[serde(default = "fix_every_s")]
    pub fix_every_s: f64,
    /// Standard deviation of the position's error, which wanders rather than jumps.
    #[serde(default = "noise_m")]
    pub noise_m: f64,
    #[serde(default)]
    pub retain: bool,
    /// Every how many-th message is sent twice; 0: none.
    #[serde(default)]
    pub double_every: u64,
    pub route: Vec<WayPoint>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WayPoint {
    pub lat: f64,
    pub lon: f64,
    #[serde(default)]
    pub dwell_s: f64,
    /// While it dwells, it is at this door: what is in it is brought in, then others are brought out.
    pub door: Option<String>,
    /// So many of them.
    #[serde(default)]
    pub loads: usize,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColdRoom {
    pub name: String,
    pub zone: String,
    #[serde(default = "unit")]
    pub unit: u8,
    pub set_point_c: f64,
    #[serde(default = "outside_c")]
    pub outside_c: f64,
    /// Time constants, door open and shut.
    #[serde(default = "four_seconds")]
    pub warms_in_s: f64,
    #[serde(default = "four_seconds")]
    pub cools_in_s: f64,
    pub limit: Limit,
    /// When the door is left open until the limit is passed for good.
    #[serde(default)]
    pub excursions: Vec<f64>,
    /// Door openings that stay below the limit.
    #[serde(default)]
    pub openings_per_minute: f64,
}

/// A high limit on the temperature.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub name: String,
    pub threshold_c: f64,
    pub deadband_c: f64,
    pub on_delay_s: f64,
    pub off_delay_s: f64,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    pub name: String,
    /// Absent: never a ghost.
    pub ghost_after_s: Option<f64>,
    pub overdue_grace_s: Option<f64>,
    /// It may not leave without a checkout: a light at the door says so.
    #[serde(default)]
    pub needs_checkout: bool,
    /// Assets may be in it.
    #[serde(default)]
    pub vehicle: bool,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetGroup {
    /// Ids are `prefix-001` and so on, counted over all groups of the same prefix.
    pub prefix: String,
    pub class: String,
    pub zone: String,
    pub count: usize,
    /// Share that carries a second tag.
    #[serde(default)]
    pub two_tags: f64,
}

/// An asset leaves a crib unseen.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Theft {
    pub crib: String,
    pub at: Vec<f64>,
}

/// Assets that are out when the scenario begins.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkouts {
    /// Where they belong: a crib's zone, or a zone inside a door.
    pub zone: String,
    /// When those are due that never come back.
    #[serde(default)]
    pub overdue: Vec<f64>,
    /// When those come back that do, in time.
    #[serde(default)]
    pub returned: Vec<f64>,
    /// How many stay out, and are not due before the end.
    #[serde(default)]
    pub out: usize,
}

/// A device fails: nothing of it is sensed meanwhile.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    pub source: String,
    pub at: f64,
    pub for_s: f64,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultPlan {
    pub device: String,
    pub kind: FaultKind,
    pub at: f64,
    pub for_s: f64,
    /// For `slow`.
    pub delay_ms: Option<u64>,
    /// For `clock-jump`.
    pub by_s: Option<f64>,
    /// For `exception`.
    pub code: Option<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    Silent,
    Slow,
    Garbage,
    Truncated,
    Duplicate,
    ClockJump,
    Disconnect,
    Refuse,
    Exception,
    WrongTransaction,
}

fn four() -> u16 {
    4
}
fn two() -> u16 {
    2
}
fn unit() -> u8 {
    1
}
fn buffer_reads() -> usize {
    100_000
}
fn read_hz() -> [f64; 2] {
    [1.0, 4.0]
}
fn miss() -> f64 {
    0.2
}
fn hysteresis_m() -> f64 {
    20.0
}
fn speed_mps() -> f64 {
    15.0
}
fn fix_every_s() -> f64 {
    1.0
}
fn noise_m() -> f64 {
    2.5
}
fn outside_c() -> f64 {
    22.0
}
fn four_seconds() -> f64 {
    4.0
}

/// The scenario cannot be acted out.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    #[error("the scenario is not what is expected: {0}")]
    Shape(#[from] toml::de::Error),
    #[error("{}", lines(.0))]
    Values(Vec<Problem>),
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl Scenario {
    /// Reads and checks a scenario. Every value that is not allowed is told at once.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text)?;
        let problems = check::problems(&scenario);
        if problems.is_empty() { Ok(scenario) } else { Err(ScenarioError::Values(problems)) }
    }

    /// The default demo's company.
    pub fn demo() -> Self {
        Self::parse(DEMO).expect("the embedded scenario is read by a test")
    }
}

#[cfg(test)]
mod tests;
