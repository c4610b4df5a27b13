//! What decoding makes of frames: one tag report, one fix, one sample, one word of a reader.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::epc::Epc;
use super::geodesy::{self, Position};
use super::ids::{Antenna, DeviceId, Digest, PointId, SourceId};
use super::time::Timestamp;

/// A time as the device told it, before its offset is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviceTime {
    /// UTC by the device's clock.
    Utc(Timestamp),
    /// Microseconds since the device started (LLRP Uptime).
    Uptime(u64),
    /// The device has no clock: observed when received.
    None,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Reading {
    Tag(TagRead),
    Fix(Fix),
    Sample(Sample),
    Reader(ReaderEvent),
    /// A message that is well formed and carries no measurement (an OwnTracks `lwt`, `waypoint`…, a fix that is none).
    Note(Note),
}

/// One tag report of one antenna.
#[derive(Clone, PartialEq, Debug)]
pub struct TagRead {
    pub source: SourceId,
    pub antenna: Antenna,
    pub epc: Epc,
    pub first_seen: DeviceTime,
    pub last_seen: DeviceTime,
    /// How many reads the reader folded into this report; at least 1.
    pub seen_count: u16,
    pub peak_rssi_dbm: Option<f32>,
    /// Doppler shift, where the reader tells it; positive: the tag comes nearer.
    pub doppler_hz: Option<f32>,
    /// Protocol control word and CRC-16 of the tag, where the reader reports them.
    pub pc: Option<u16>,
    pub crc: Option<u16>,
    /// Phase of the tag's answer, 0 to 360, where the reader tells it; comparable on one channel of one antenna.
    pub phase_deg: Option<f32>,
    /// The channel of that, as its reader counts them.
    pub channel: Option<u16>,
}

/// One position of a tracker.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct Fix {
    pub device: DeviceId,
    pub observed_at: Timestamp,
    #[serde(flatten)]
    pub position: Position,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accuracy_m: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub altitude_m: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub speed_mps: Option<f64>,
    /// Degrees clockwise from true north.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub course_deg: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub battery_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ignition: Option<bool>,
    /// What the vehicle's odometer shows, or the tracker's own counter of metres.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub odometer_m: Option<f64>,
    /// Of the message this fix came in, or of what the fix says where there are several in one.
    pub digest: Digest,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub retained: bool,
    /// Its tracker told no time: it was observed when it was received.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub clockless: bool,
    /// Its message may have come before.
    #[serde(skip)]
    pub redelivered: bool,
}

impl Fix {
    /// A place and a time, and nothing else said.
    pub fn bare(device: DeviceId, observed_at: Timestamp, position: Position, digest: Digest) -> Self {
        Self {
            device,
            observed_at,
            position,
            accuracy_m: None,
            altitude_m: None,
            speed_mps: None,
            course_deg: None,
            battery_percent: None,
            ignition: None,
            odometer_m: None,
            digest,
            retained: false,
            clockless: false,
            redelivered: false,
        }
    }

    /// The time that its tracker told; 1970 where it told none.
    pub fn told_at(&self) -> Timestamp {
        if self.clockless { Timestamp::default() } else { self.observed_at }
    }

    /// The least speed that explains both.
    pub fn least_speed_mps(&self, later: &Self) -> f64 {
        let [from, to] = [self, later].map(|fix| (fix.position, fix.accuracy_m));
        geodesy::least_speed_mps(from, to, later.observed_at.since(self.observed_at))
    }

    /// Of all that it says but whose it is and what its odometer shows: the same position told twice, in whatever messages, is
    /// one fix. When it came is nothing that it says.
    pub fn said(&self) -> Digest {
        let Position { lat, lon } = self.position;
        let optional =
            [self.accuracy_m, self.altitude_m, self.speed_mps, self.course_deg, self.battery_percent];
        let mut bytes = Vec::with_capacity(80);
        bytes.extend(self.told_at().as_micros().to_be_bytes());
        for value in [Some(lat), Some(lon)].into_iter().chain(optional) {
            bytes.push(u8::from(value.is_some()));
            bytes.extend(value.unwrap_or_default().to_bits().to_be_bytes());
        }
        bytes.push(self.ignition.map_or(2, u8::from));
        Digest::of(&bytes)
    }
}

/// One measurement of one point, in the point's unit.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct Sample {
    pub device: DeviceId,
    pub point: PointId,
    pub observed_at: Timestamp,
    /// Absent where the quality is bad, or where there are only words.
    pub value: Option<f64>,
    /// What the device says in words, or what its value is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    pub quality: Quality,
}

/// OPC UA quality, major class and the sub-statuses in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quality {
    Good,
    /// Bad: nothing came from the device.
    NoCommunication,
    /// Bad: the device answered with something that is no value (NaN), or that it cannot give one (an exception).
    SensorFailure,
    /// Bad: the device says that it has no value, in the way its manual names.
    NoData,
    /// Uncertain: outside of what the sensor can measure, or a value that the device's manual does not name.
    EngineeringUnitsExceeded,
    /// Uncertain: it has not moved for too long, or moved faster than what it measures can.
    SensorNotAccurate,
    /// Uncertain (OPC UA: LastUsableValue): whatever read it has stopped doing so, and nobody said why. The value is the
    /// last one that was good.
    Stale,
    /// Bad: the device refuses what it is asked for: it has no such function, register, or number of registers.
    ConfigurationError,
}

/// What a reader says of itself (LLRP READER_EVENT_NOTIFICATION and kin).
#[derive(Clone, PartialEq, Debug)]
pub struct ReaderEvent {
    pub source: SourceId,
    pub time: DeviceTime,
    pub kind: ReaderEventKind,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReaderEventKind {
    /// Its clock at the moment of connecting: the base of the offset.
    Connected,
    Antenna {
        antenna: Antenna,
        connected: bool,
    },
    /// How it is with an antenna, as the reader answered when it was asked: nothing need have changed.
    AntennaState {
        antenna: Antenna,
        connected: bool,
    },
    BufferLevel {
        percent: u8,
    },
    BufferOverflow,
    Exception {
        message: String,
    },
    /// Somebody else tried to connect to it while we are connected.
    Contended,
    Gpi {
        port: u16,
        high: bool,
    },
    /// How an input stands, as the reader answered when it was asked: nothing need have changed.
    GpiState {
        port: u16,
        high: bool,
    },
    /// Anything that changes nothing for us.
    Other {
        name: &'static str,
    },
}

/// What a tracker says of itself and of what it is on, whether or not it knows where it is.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Vitals {
    pub battery_percent: Option<f64>,
    pub ignition: Option<bool>,
}

impl Vitals {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a tracker sent, or what was sent of it, that is no position.
#[derive(Clone, PartialEq, Debug)]
pub struct Note {
    pub device: DeviceId,
    pub kind: String,
    pub says: Says,
    pub vitals: Vitals,
    /// Where the message has a time of its own.
    pub observed_at: Option<Timestamp>,
    pub retained: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Says {
    /// The tracker sent it.
    Lives,
    /// The tracker sent it, and does not know where it is.
    NoFix,
    /// The broker lost the tracker's connection.
    Gone,
    /// Others send it too: nothing of the tracker follows from it.
    Nothing,
}
