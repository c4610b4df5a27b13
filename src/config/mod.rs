//! The configuration: TOML as people write it (`document`) → what the daemon runs on (the types here).
//!
//! Validation reports every problem at once, each with its path, its value and what is allowed.
//! A value of these types has been checked: names resolve, lengths and rates are in range.
//! What can be written, with its defaults, stands in `config/tallyman.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::ids::{
    Antenna, DeviceId, FenceId, NodeId, PointId, ReadPointId, SiteId, SourceId, ZoneId,
};
use crate::domain::register::{AssetClass, Site, Zone};
use crate::domain::shape::Shape;
use crate::domain::tag_filter::TagFilter;

mod alerting;
mod asset_rules;
mod brokers;
mod connections;
mod devices;
mod document;
mod doors;
mod fences;
mod limits;
mod mapping;
mod matching;
mod metrics;
mod modbus;
mod names;
mod node;
mod places;
mod positions;
mod problems;
mod readers;
mod receivers;
mod rules;
mod secrets;
mod serial;
mod tags;
pub mod times;
mod tls;
mod topics;
mod validate;
pub mod values;
mod web;

pub use alerting::{AlertPolicy, AlertRules, QuietHours};
pub use asset_rules::{AssetRules, OffenderRules, ZombieRules};
pub use brokers::{BrokerConfig, MqttVersion, TopicConfig};
pub use connections::BackoffConfig;
pub use doors::{DoorConfig, DoorsConfig, Drive, OutputConfig, TopicOutputConfig};
pub use limits::{LimitConfig, LimitKind, OFF_DELAY, RATE_OVER};
pub use mapping::{PRESETS, parse_mapping};
pub use metrics::parse_metrics;
pub use modbus::{
    ByteOrder, Fixed, Half, MaxChange, ModbusConfig, ModbusTransport, ModbusUnitConfig, PointChecks,
    PointConfig, RTU_BAUD, RTU_PAUSE, RegisterType, Reporting,
};
pub use modbus::{MAX_GAP, MAX_REGISTERS, Reach as ModbusReach};
pub use places::COVERAGES;
pub use positions::{NmeaConfig, TeltonikaConfig};
pub use problems::{ConfigError, Problem};
pub use readers::{
    GpiTrigger, ListenTls, LlrpListenConfig, LlrpVersion, Power, Reach, ReaderConfig, ReaderIdentity, Report,
    RoSpecConfig, Start, Stop,
};
pub use receivers::{LONGEST_RETRY_AFTER, MqttReceiverConfig, ReceiverConfig, ReceiverFilter, WebhookConfig};
pub use rules::{CRITICALITIES, HANDOVERS, RETURNS, UTILISATION_ALLOWED, utilisation};
pub use secrets::Secret;
pub use serial::{Parity, Rs485, SerialCommands, SerialLine, SerialReaderConfig};
pub use tls::{ClientTls, TlsConfig};
pub use validate::{load, parse};
pub use web::{Rate, Role, TokenConfig, TokenList, WebConfig};

#[cfg(test)]
mod tests;

#[derive(Clone, Debug)]
pub struct Config {
    pub node: NodeId,
    pub journal: JournalConfig,
    pub timescale: Option<TimescaleConfig>,
    pub web: WebConfig,
    /// `/metrics`, `/healthz`, `/readyz`; `None` where it is switched off.
    pub metrics: Option<SocketAddr>,
    pub notify: NotifyConfig,
    pub intake: IntakeConfig,
    pub rules: Rules,
    /// Lights and buzzers at doors.
    pub doors: DoorsConfig,
    /// Over LLRP.
    pub readers: Vec<ReaderConfig>,
    /// Where readers connect to us; `None` where they do not.
    pub llrp: Option<LlrpListenConfig>,
    pub serial_readers: Vec<SerialReaderConfig>,
    pub brokers: Vec<BrokerConfig>,
    pub modbus: Vec<ModbusConfig>,
    /// GNSS receivers on lines of their own.
    pub receivers: Vec<NmeaConfig>,
    /// Where Teltonika trackers connect to us.
    pub teltonika: Vec<TeltonikaConfig>,
    /// How long a clean stop may take.
    pub grace_period: Duration,
}

#[derive(Clone, Debug)]
pub struct JournalConfig {
    pub path: PathBuf,
    pub max_bytes: u64,
    /// Of that, kept back for alerts and state when everything else is refused.
    pub reserve_bytes: u64,
    pub keep_reads: bool,
    /// Dead letters beyond this many are dropped, oldest first, and counted.
    pub max_dead_letters: u64,
    /// So are those beyond this many bytes together; see [`JournalConfig::dead_letter_bytes`].
    pub max_dead_letter_bytes: u64,
    pub retain_events: Duration,
    pub retain_measurements: Duration,
    pub retain_reads: Duration,
    /// What names people by their badges: their passages, raw reads of them, and proposed hand-overs.
    pub retain_people: Duration,
    /// Positions, stops and trips of trackers: where a vehicle was is where its driver was.
    pub retain_drivers: Duration,
}

impl JournalConfig {
    /// What dead letters may take together: never more than a quarter of the journal.
    pub fn dead_letter_bytes(&self) -> u64 {
        self.max_dead_letter_bytes.min(self.max_bytes / 4)
    }
}

#[derive(Clone, Debug)]
pub struct TimescaleConfig {
    pub url: Secret,
    /// Rows in one transaction, at most.
    pub batch_rows: usize,
    pub chunk_interval: Duration,
    /// Server-side limit on one statement.
    pub statement_timeout: Duration,
    pub register: RegisterOwner,
}

/// To whom the descriptive register belongs: sites, zones, classes, people, assets, attachments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RegisterOwner {
    /// The database mirrors it.
    #[default]
    Journal,
    /// People and jobs write it there; this daemon follows.
    Database,
}

/// The name of the Alertmanagers as a receiver.
pub const ALERTMANAGER: &str = "alertmanager";

#[derive(Clone, Debug, Default)]
pub struct NotifyConfig {
    pub alertmanager: Option<AlertmanagerConfig>,
    pub webhooks: Vec<WebhookConfig>,
    pub mqtt: Vec<MqttReceiverConfig>,
    pub log: Option<ReceiverConfig>,
}

#[derive(Clone)]
pub struct AlertmanagerConfig {
    /// Base addresses, every instance of the cluster.
    pub urls: Vec<String>,
    /// Authorities that are trusted instead of the machine's.
    pub ca_file: Option<PathBuf>,
    /// A firing alert is sent again this often.
    pub resend: Duration,
    /// `endsAt` of a firing alert lies this far ahead: a daemon that dies does not resolve its alerts.
    pub hold: Duration,
    /// A resolved alert is sent for this long.
    pub resolved_for: Duration,
    /// Where an operator's link leads.
    pub generator_url: Option<String>,
}

/// Its addresses may hold passwords, which are masked.
impl std::fmt::Debug for AlertmanagerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let urls: Vec<String> = self.urls.iter().map(|url| values::mask_url(url)).collect();
        f.debug_struct("AlertmanagerConfig")
            .field("urls", &urls)
            .field("ca_file", &self.ca_file)
            .field("resend", &self.resend)
            .field("hold", &self.hold)
            .field("resolved_for", &self.resolved_for)
            .field("generator_url", &self.generator_url.as_deref().map(values::mask_url))
            .finish()
    }
}

/// Limits on what comes in, whatever it comes from.
#[derive(Clone, Debug)]
pub struct IntakeConfig {
    /// Frames waiting for the pipeline.
    pub queue: usize,
    /// Frames folded into one commit, at most.
    pub commit_frames: usize,
    /// A longer payload is not decoded.
    pub max_payload_bytes: usize,
    /// A payload that is not decoded for its length is kept up to here.
    pub max_kept_bytes: usize,
    /// A source time further ahead of ours than this is set aside.
    pub ahead_tolerance: Duration,
    /// A source time older than this is set aside.
    pub max_age: Duration,
    /// Consistent readings after a step of a device's clock that make us believe the step.
    pub clock_step_confirmations: u32,
    /// How far back a device's messages are remembered, to recognise one delivered again.
    pub redelivery_horizon: Duration,
    /// Tags that are remembered at read points, all together; a new one beyond them is set aside.
    pub max_tags: usize,
    /// Reads that make a code exist that nobody knows, within `stranger_within`; 1: every code exists.
    pub stranger_reads: u32,
    pub stranger_within: Duration,
    /// Codes that wait for their next read, all together; the one that came first gives way.
    pub max_unconfirmed: usize,
    /// Trackers that are remembered; the fixes of a new one beyond them are set aside.
    pub max_trackers: usize,
    /// Memory for the messages of all trackers beyond the newest of each, to recognise them when they are
    /// delivered again; what goes before its time is recognised by the journal.
    pub redelivery_memory: usize,
    /// A tracker that is not on the register and has been silent for so long is forgotten.
    pub forget_trackers_after: Duration,
}

/// What cleaning and tracking are compiled from; a change of it is an input like any other.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub sites: Vec<Site>,
    pub zones: Vec<Zone>,
    pub read_points: Vec<ReadPointConfig>,
    pub classes: Vec<AssetClass>,
    pub fences: Vec<FenceConfig>,
    pub limits: Vec<LimitConfig>,
    pub tracker: TrackerRules,
    pub alerts: AlertRules,
    /// What is thought of the reads of a source; of others everything that is usual.
    pub reads: BTreeMap<SourceId, ReadRules>,
    /// Where a source stands; its alerts belong to that site.
    pub source_sites: BTreeMap<SourceId, SiteId>,
    /// Brokers and listeners through which trackers of any name may speak.
    pub tracker_sources: BTreeSet<SourceId>,
    /// Unit of each sensor point, for people.
    pub units: BTreeMap<(DeviceId, PointId), String>,
    /// How far sensors are believed, and how much of what they say is kept; of those where it is not the default.
    pub checks: BTreeMap<(DeviceId, PointId), PointChecks>,
}

#[derive(Clone, Debug)]
pub struct ReadRules {
    /// Tags that concern us.
    pub tags: TagFilter,
    /// Whether a read that fails the tag's own CRC is set aside.
    pub check_crc: bool,
}

#[derive(Clone, Debug)]
pub struct ReadPointConfig {
    pub name: ReadPointId,
    pub kind: ReadPointKind,
    /// Tags that concern us here, of those that do at the readers.
    pub tags: TagFilter,
    /// A tag whose silence says that nothing is heard here.
    pub reference_tag: Option<crate::domain::epc::Epc>,
    /// Without traffic (or the reference tag) for this long, nothing is heard here.
    pub hearing_timeout: Duration,
    pub antennas: Vec<AntennaConfig>,
}

#[derive(Clone, Debug)]
pub enum ReadPointKind {
    /// Assets stay here.
    Presence {
        zone: ZoneId,
        /// Reads that make a presence, within `observed_within`.
        observed_reads: u32,
        observed_within: Duration,
        /// Silence after which a tag has left; where it is learned for each tag, the longest
        lost_after: Duration,
        /// and the shortest. The same as `lost_after`: nothing is learned.
        lost_after_min: Duration,
        /// A tag that goes on being heard refreshes its asset's "last sensed" this often.
        refresh: Duration,
    },
    /// Assets pass here, between two zones.
    Portal {
        inside: Option<ZoneId>,
        outside: Option<ZoneId>,
        /// Silence after which a tag's crossing is judged.
        settle: Duration,
        /// A tag heard longer than this without a decision is standing near the door.
        static_after: Duration,
        /// Two tags of one asset that pass within this of one another make one passage.
        merge: Duration,
        /// An asset and a badge that pass within this of one another pass together.
        handover_within: Duration,
        /// A vehicle in this zone stands at the door: what passes out is in it.
        bay: Option<ZoneId>,
        /// Light barriers: none, one, or one on each side of the door.
        beams: Vec<BeamConfig>,
    },
}

/// A light barrier on an input (GPI) of a reader.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BeamConfig {
    pub source: SourceId,
    pub port: u16,
    /// On which side of the door it is; of a single one it need not be said.
    pub inside: Option<bool>,
    /// What the input says while something stands in it.
    pub broken_high: bool,
}

impl ReadPointConfig {
    /// Its light barriers; only portals have some.
    pub fn beams(&self) -> &[BeamConfig] {
        match &self.kind {
            ReadPointKind::Portal { beams, .. } => beams,
            ReadPointKind::Presence { .. } => &[],
        }
    }

    /// The *ears* of a read point with several antennas: the name of each antenna's share, in the order of
    /// `antennas`. Empty where there is one antenna, which is the read point itself.
    pub fn ears(&self) -> Vec<ReadPointId> {
        if self.antennas.len() < 2 {
            return Vec::new();
        }
        let first = &self.antennas[0].source;
        let several = self.antennas.iter().any(|antenna| antenna.source != *first);
        let name = |of: &AntennaConfig| self.name.of_antenna(several.then_some(&of.source), of.antenna);
        self.antennas.iter().map(name).collect()
    }
}

#[derive(Clone, Debug)]
pub struct AntennaConfig {
    pub source: SourceId,
    pub antenna: Antenna,
    /// Which side of the portal it watches; ignored for presence.
    pub inside: bool,
}

#[derive(Clone, Debug)]
pub struct FenceConfig {
    pub name: FenceId,
    pub site: Option<SiteId>,
    /// The zone that being inside means, where it means one.
    pub zone: Option<ZoneId>,
    pub shape: Arc<Shape>,
    /// Entered this far inside the edge, left this far outside of it.
    pub hysteresis_m: f64,
    /// So many fixes confirm a crossing,
    pub confirmations: u32,
    /// of so many: as many as that where they have to follow one another.
    pub confirmations_of: u32,
    /// After so long inside it is told that something stays there.
    pub dwell: Option<Duration>,
}

impl FenceConfig {
    /// A fence with nothing said of it but where it is.
    pub fn new(name: impl Into<FenceId>, shape: Shape) -> Self {
        let hysteresis_m = fences::HYSTERESIS_M.min(shape.depth_m() / 2.0);
        Self {
            name: name.into(),
            site: None,
            zone: None,
            shape: Arc::new(shape),
            hysteresis_m,
            confirmations: 2,
            confirmations_of: 2,
            dwell: None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct TrackerRules {
    /// Above this between two fixes, the second is an impossible jump.
    pub max_speed_mps: f64,
    /// Fixes less certain than this are set aside.
    pub max_accuracy_m: f64,
    /// Consistent fixes after a jump that make us believe it.
    pub jump_confirmations: u32,
    /// No fix is taken to be surer than this, whatever its receiver says.
    pub least_accuracy_m: f64,
    /// Between two fixes that are further apart, no visit to a fence is inferred.
    pub infer_within: Duration,
    pub infer_within_m: f64,
    /// Late fixes that are older than the newest by more than this reveal no visits.
    pub late_within: Duration,
    /// Further than this from where it stood, it moves;
    pub trip_after_m: f64,
    /// within this of one place for so long, it stands;
    pub stop_within_m: f64,
    pub stop_after: Duration,
    /// and after so long without a fix a trip is over.
    pub trip_gap: Duration,
    /// A tracker that sleeps is silent no sooner than this.
    pub asleep_after: Option<Duration>,
    /// Whether what silence is usual is learned, where nothing is said of it.
    pub learn_silence: bool,
    /// One on an asset that is not heard at all is told of after so long.
    pub unheard_after: Option<Duration>,
}

impl Default for TrackerRules {
    fn default() -> Self {
        Self {
            max_speed_mps: 70.0,
            max_accuracy_m: 500.0,
            jump_confirmations: 3,
            least_accuracy_m: 10.0,
            infer_within: Duration::from_secs(300),
            infer_within_m: 10_000.0,
            late_within: Duration::from_secs(86_400),
            trip_after_m: 150.0,
            stop_within_m: 60.0,
            stop_after: Duration::from_secs(180),
            trip_gap: Duration::from_secs(3600),
            asleep_after: None,
            learn_silence: false,
            unheard_after: Some(Duration::from_secs(86_400)),
        }
    }
}
