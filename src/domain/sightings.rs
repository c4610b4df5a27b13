//! What cleaning made of many readings: something that really happened, said once.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::epc::Epc;
use super::ids::{Antenna, DeviceId, FenceId, LimitId, PointId, ReadPointId, SourceId};
use super::motion::Motion;
use super::readings::{Fix, Quality, ReaderEventKind, Sample, Vitals};
use super::time::{Timestamp, roughly};

/// A sighting with its clocks. `late`: it does not move what is last known.
#[derive(Clone, PartialEq, Debug)]
pub struct Sighting {
    pub source: SourceId,
    pub observed_at: Timestamp,
    pub received_at: Timestamp,
    pub late: bool,
    pub what: Seen,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Seen {
    /// A tag came into presence at a read point, goes on being heard there, or left.
    Presence {
        epc: Epc,
        read_point: ReadPointId,
        change: PresenceChange,
        /// Which antennas heard it since the last word of it, by the names of their shares in the read point;
        /// empty where it has one antenna.
        ears: SmallVec<[ReadPointId; 1]>,
        /// A read point of another zone hears it better: it is there.
        beside: bool,
        /// What that was weighed against, where it was.
        weighed: Option<Box<Weighed>>,
    },
    Passage(Passage),
    /// An accepted fix: no duplicate, no impossible jump.
    Fix {
        fix: Fix,
        /// The fences that its tracker was in before it; not of a late one.
        inside: Option<SmallVec<[FenceId; 1]>>,
        /// Whether it stands since; not known of one that never told a position.
        stands: Option<bool>,
    },
    Fence {
        device: DeviceId,
        fence: FenceId,
        change: FenceChange,
        fix: Fix,
        /// No fix was in it: the way between two leads through.
        inferred: bool,
    },
    /// Late fixes say when it was in a fence, whether that was told or not; what they do not say was before them, or goes on.
    Stayed {
        device: DeviceId,
        fence: FenceId,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    },
    /// A tracker set out, or came to rest; the sighting's time is when it did.
    Motion {
        device: DeviceId,
        motion: Motion,
    },
    /// A sample worth keeping.
    Sample(Sample),
    Condition(ConditionChange),
    /// A sensor's point changed its quality.
    Quality {
        device: DeviceId,
        point: PointId,
        quality: Quality,
    },
    /// A read point, or one antenna's share of it, began or ceased to hear: link up, caught up, and traffic
    /// (or its reference tag).
    Hearing {
        read_point: ReadPointId,
        hearing: bool,
    },
    /// An antenna of a reader that is up has fallen silent, or hears again. `ear` is its read point, or its
    /// share of it; the sighting's time is when it last heard something.
    Antenna {
        source: SourceId,
        antenna: Antenna,
        ear: ReadPointId,
        silence: Option<AntennaSilence>,
    },
    /// The source, which is up, says that something is wrong with it.
    Trouble(Trouble),
    /// A tracker that told no position, or not where it is now, said something newer than all before of its battery or its
    /// ignition.
    Vitals {
        device: DeviceId,
        vitals: Vitals,
    },
    /// A tracker sent something, whatever became of it; said at most once a minute. The sighting's time is
    /// when it lived, which for what its broker kept is when it was written.
    Heard {
        device: DeviceId,
        /// Whether it stands, by its fixes; not known of one that never told a position.
        stands: Option<bool>,
    },
    /// The broker lost a tracker's connection.
    Gone {
        device: DeviceId,
    },
    /// A tracker's clock has turned out to be so far ahead of ours, or behind (negative), in microseconds; 0: it is right
    /// again.
    Clock {
        device: DeviceId,
        ahead_us: i64,
    },
    /// A source's connection, as the alerts see it. `caught_up` is false while it replays.
    Link {
        up: bool,
        caught_up: bool,
        reason: String,
    },
}

/// What a reader says is wrong with it; as text, for the log.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Trouble {
    #[error("its buffer is {percent} % full")]
    BufferFilling { percent: u8 },
    #[error("its buffer was full, and reads were lost")]
    BufferOverflow,
    /// In its own words: too hot, a fault of an antenna, a program that failed.
    #[error("{message}")]
    Exception { message: String },
    #[error("somebody else tried to connect to it")]
    Contended,
    /// As its times show, not in its words.
    #[error("its clock is {}", off(*ahead_s))]
    ClockOff { ahead_s: i64 },
    #[error("its clock {}", drifts(*ppm))]
    ClockDrift { ppm: i32 },
}

fn off(ahead_s: i64) -> String {
    let way = if ahead_s > 0 { "ahead of" } else { "behind" };
    format!("{} {way} ours", roughly(Duration::from_secs(ahead_s.unsigned_abs())))
}

fn drifts(ppm: i32) -> String {
    let way = if ppm > 0 { "gains" } else { "loses" };
    format!("{way} {:.1} s an hour", f64::from(ppm.abs()) * 3600.0 / 1e6)
}

impl Trouble {
    /// What an event of a reader says is wrong; `None` where it says nothing of that kind.
    pub fn of(event: &ReaderEventKind) -> Option<Self> {
        match event {
            ReaderEventKind::BufferLevel { percent } => Some(Self::BufferFilling { percent: *percent }),
            ReaderEventKind::BufferOverflow => Some(Self::BufferOverflow),
            ReaderEventKind::Exception { message } => Some(Self::Exception { message: message.clone() }),
            ReaderEventKind::Contended => Some(Self::Contended),
            ReaderEventKind::Connected
            | ReaderEventKind::Antenna { .. }
            | ReaderEventKind::AntennaState { .. }
            | ReaderEventKind::Gpi { .. }
            | ReaderEventKind::GpiState { .. }
            | ReaderEventKind::Other { .. } => None,
        }
    }

    /// A short stable word, part of an alert's subject.
    pub fn what(&self) -> &'static str {
        match self {
            Self::BufferFilling { .. } => "buffer",
            Self::BufferOverflow => "overflow",
            Self::Exception { .. } => "exception",
            Self::Contended => "contended",
            Self::ClockOff { .. } => "clock",
            Self::ClockDrift { .. } => "clock-drift",
        }
    }
}

/// How it is known that an antenna is silent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AntennaSilence {
    /// Its reader says that nothing is connected.
    Disconnected,
    /// It used to hear the reference tag.
    Reference,
    /// It used to hear something.
    Traffic,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PresenceChange {
    Arrived,
    /// Still there; said once a refresh interval, and once more for each antenna that hears it anew.
    Refreshed,
    /// Heard before, and now better than where it was.
    Moved,
    Departed,
}

/// A read point of another zone that heard the same tag, when it was decided which of them has it.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct Weighed {
    pub against: ReadPointId,
    /// What was compared: mean signals of late and what they are restless by, where the readers tell any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub here_dbm: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub there_dbm: Option<f32>,
    /// For how long the other had not heard it, as far as it listened.
    pub silent_s: f32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    In,
    Out,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FenceChange {
    Entered,
    Exited,
    /// It stays: it was inside for as long as the fence's `dwell` says.
    Dwelt,
}

/// One tag's crossing of a portal; `observed_at` of the sighting is the moment of crossing.
#[derive(Clone, PartialEq, Debug)]
pub struct Passage {
    pub epc: Epc,
    pub portal: ReadPointId,
    pub direction: Direction,
    /// 0 to 1.
    pub confidence: f32,
    pub evidence: PassageEvidence,
}

#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct PassageEvidence {
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    pub antennas: Vec<AntennaEvidence>,
    /// Where the portal has light barriers that had something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beams: Option<BeamsEvidence>,
}

/// What light barriers said of a passage.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct BeamsEvidence {
    pub say: BeamsSay,
    /// The confidence that the antennas alone would have given.
    pub antennas_alone: f32,
    /// Which was broken when, of the times near the passage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<BeamBroken>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BeamsSay {
    /// Something went through, this way.
    Inward,
    Outward,
    /// It came from one side and went back there.
    TurnedBack,
    /// Something was there; which way it went is not known.
    Something,
    /// Nothing was there, and they work.
    Nothing,
}

impl BeamsSay {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inward => "inward",
            Self::Outward => "outward",
            Self::TurnedBack => "turned back",
            Self::Something => "something was there",
            Self::Nothing => "nothing was there",
        }
    }
}

/// One time that one light barrier was broken.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct BeamBroken {
    /// On which side it is, where there are two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<bool>,
    pub broken_at: Timestamp,
    /// None where it was still broken when the passage was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_at: Option<Timestamp>,
}

impl PassageEvidence {
    /// The strongest signal of any antenna, in dBm.
    pub fn strongest(&self) -> Option<f32> {
        self.antennas.iter().filter_map(|antenna| antenna.peak_rssi_dbm).max_by(f32::total_cmp)
    }
}

#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct AntennaEvidence {
    pub antenna: Antenna,
    pub inside: bool,
    pub reads: u32,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    pub peak_rssi_dbm: Option<f32>,
    pub peak_at: Timestamp,
    /// Of a reader that tells the phase of its reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<PhaseEvidence>,
}

/// How fast an antenna saw a tag come nearer by the phase of its answers, until it heard it best and from then on.
#[derive(Clone, Copy, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct PhaseEvidence {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Nearing>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Nearing>,
}

/// The mean of so many reads, each beside the one before it.
#[derive(Clone, Copy, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct Nearing {
    /// Metres a second; negative: it went away.
    pub nearing_mps: f32,
    pub reads: u32,
}

/// One excursion over a limit, at its begin or its end.
#[derive(Clone, PartialEq, Debug)]
pub struct ConditionChange {
    pub device: DeviceId,
    pub point: PointId,
    pub limit: LimitId,
    pub change: Episode,
}

#[derive(Clone, Copy, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Episode {
    /// `began_at` is when the value crossed; the sighting's time is when the on-delay had passed.
    Began {
        began_at: Timestamp,
        value: f64,
        threshold: f64,
        #[serde(default, skip_serializing_if = "Measure::is_value")]
        measure: Measure,
    },
    Ended {
        began_at: Timestamp,
        peak: f64,
        peak_at: Timestamp,
        #[serde(default, skip_serializing_if = "Measure::is_value")]
        measure: Measure,
        /// For how long it was known to be over the threshold, in seconds: without the time in which it was on its way
        /// back, and without that in which no good value came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        over_s: Option<f64>,
    },
}

/// What of a point is over a limit; the figures of its episodes are of this.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    #[default]
    Value,
    /// By how much it rises in a minute.
    Rise,
    /// By how much it falls in a minute.
    Fall,
}

impl Measure {
    pub fn is_value(&self) -> bool {
        *self == Self::Value
    }
}
