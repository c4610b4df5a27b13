//! What a source hands over: bytes as they came, with the time of receipt and a way to acknowledge.

use std::time::Duration;

use super::ids::{DeviceId, SourceId};
use super::time::Timestamp;

/// One unit of wire traffic. The source has found its ends, and interpreted nothing in it.
#[derive(Clone, PartialEq, Debug)]
pub struct Frame {
    pub source: SourceId,
    pub received_at: Timestamp,
    pub payload: Payload,
    /// Present where the source is to be told that the frame is durable; most often because the sender
    /// redelivers until told so (MQTT QoS 1).
    pub ack: Option<AckToken>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Payload {
    /// One whole LLRP message, header included.
    Llrp(Vec<u8>),
    /// One whole frame of a serial reader; or, where `fault` says so, bytes that are none.
    Serial {
        bytes: Vec<u8>,
        fault: Option<&'static str>,
    },
    Mqtt {
        topic: String,
        payload: Vec<u8>,
        /// Kept by the broker from before we subscribed: a late message, never a new one.
        retained: bool,
        /// The broker may have delivered it before (DUP; MQTT 3.1.1, section 3.3.1.1).
        redelivered: bool,
    },
    /// An MQTT message that is longer than any that is decoded: kept, never interpreted.
    TooLong {
        topic: String,
        message: TooLong,
    },
    Modbus(ModbusAnswer),
    /// Whole lines of a GNSS receiver.
    Nmea {
        lines: Vec<u8>,
        flow: Flow,
    },
    /// One AVL packet of a tracker that connected to us; or, where `fault` says so, bytes that are none.
    Teltonika {
        imei: String,
        bytes: Vec<u8>,
        fault: Option<&'static str>,
    },
}

impl Frame {
    /// The topic or the IMEI that it came under.
    pub fn came_under(&self) -> Option<&str> {
        match &self.payload {
            Payload::Mqtt { topic, .. } | Payload::TooLong { topic, .. } => Some(topic),
            Payload::Teltonika { imei, .. } => Some(imei),
            Payload::Llrp(_) | Payload::Serial { .. } | Payload::Modbus(_) | Payload::Nmea { .. } => None,
        }
    }
}

/// What is known of what follows in a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// More may come at once.
    Running,
    /// Nothing came behind it for a while, or nothing will.
    Paused,
    /// It has nothing to do with what comes before and after: put back from the dead letters.
    Alone,
}

/// A payload of which, perhaps, only the beginning is kept.
#[derive(Clone, PartialEq, Debug)]
pub struct TooLong {
    pub kept: Vec<u8>,
    /// How long it was, and the SHA-256 of all of it.
    pub bytes: u64,
    pub sha256: [u8; 32],
}

impl TooLong {
    pub fn is_whole(&self) -> bool {
        self.kept.len() as u64 == self.bytes
    }
}

/// The registers of one answered request, or why there is none.
#[derive(Clone, PartialEq, Debug)]
pub struct ModbusAnswer {
    pub device: DeviceId,
    pub table: ModbusTable,
    /// Zero-based protocol address of the first register.
    pub address: u16,
    /// How many registers were asked for, or bits.
    pub count: u16,
    /// Whose poll it was: that of the points which are read so often. Others that lie there are read at their own.
    pub interval: Duration,
    /// Of a table of bits each is 0 or 1.
    pub registers: Result<Vec<u16>, ModbusFailure>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModbusTable {
    /// Function code 3.
    Holding,
    /// Function code 4.
    Input,
    /// Function code 1.
    Coil,
    /// Function code 2.
    Discrete,
}

impl ModbusTable {
    /// Single bits, one an address; the others hold registers of 16.
    pub fn is_of_bits(self) -> bool {
        matches!(self, Self::Coil | Self::Discrete)
    }
}

#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModbusFailure {
    /// The device said no (Modbus application protocol, section 7).
    Exception(u8),
    Timeout,
    /// The connection went away, or the answer did not belong to the request.
    Transport(String),
}

/// Names one delivery on one connection. Acknowledged in receive order, on that connection only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct AckToken {
    /// Counts the source's connections; a token of an older one is dropped.
    pub generation: u64,
    /// Receive order within the generation, from 0.
    pub ordinal: u64,
    /// The packet id, meaningless outside its generation. 0 of a message that the sender will not redeliver,
    /// and of which the source wants to know all the same when it is durable.
    pub packet_id: u16,
    /// What it takes of the memory that its source may have under way.
    pub bytes: u32,
}

/// A message of ours to somebody behind a source, sent once what it follows from is durable, and lost where that cannot be
/// reached: whoever asks for something asks again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    pub topic: String,
    pub payload: Vec<u8>,
}

/// A change in a source's connection, ordered with its frames.
#[derive(Clone, PartialEq, Debug)]
pub struct LinkChange {
    pub source: SourceId,
    pub at: Timestamp,
    pub state: LinkState,
}

#[derive(Clone, PartialEq, Debug)]
pub enum LinkState {
    /// Connected and set up. `replaying`: the other side may now send what it held for us.
    Up {
        replaying: bool,
    },
    Down {
        reason: String,
    },
}
