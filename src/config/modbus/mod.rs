//! Modbus: devices, and the maps of what stands in their registers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{BackoffConfig, ClientTls, SerialLine};
use crate::domain::frames::ModbusTable;
use crate::domain::ids::{DeviceId, PointId, SourceId};

mod device;
mod files;
mod map;
mod point;
mod profile;
mod registers;

pub(super) use device::devices;
pub use device::{RTU_BAUD, RTU_PAUSE};
pub(super) use files::{ProfileFile, TextFile, read_files};
pub use registers::{ByteOrder, Fixed, Half, RegisterType};

/// Registers in one answer (Modbus application protocol 1.1b3, sections 6.3 and 6.4).
pub const MAX_REGISTERS: u16 = 125;
/// Registers that nobody asked for cost less than another request up to here: 16 bytes against a
/// round trip and 21 bytes of headers.
pub const MAX_GAP: u16 = 8;

/// A line to one device or many: a connection, or a serial port.
#[derive(Clone, Debug)]
pub struct ModbusConfig {
    pub name: SourceId,
    pub transport: ModbusTransport,
    /// For a connection, and for each answer.
    pub timeout: Duration,
    pub pause_after_connect: Duration,
    /// Between an answer and the next request.
    pub pause: Duration,
    pub backoff: BackoffConfig,
    pub units: Vec<ModbusUnitConfig>,
}

impl ModbusConfig {
    /// As people call it.
    pub fn place(&self) -> String {
        match &self.units[..] {
            [unit] => format!("{} unit {}", self.transport, unit.unit),
            units => format!("{}, {} devices", self.transport, units.len()),
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub enum ModbusTransport {
    /// `host:port`; over TLS it is Modbus/TCP Security.
    Tcp {
        address: String,
        tls: Option<ClientTls>,
    },
    /// Serial frames behind `host:port`.
    RtuOverTcp(String),
    Rtu(SerialLine),
}

impl ModbusTransport {
    /// Frames without transactions.
    pub fn is_rtu(&self) -> bool {
        !matches!(self, Self::Tcp { .. })
    }

    /// Bytes that are under way when it is closed may still come when it is open again.
    pub fn is_port(&self) -> bool {
        matches!(self, Self::Rtu(SerialLine::Port { .. }))
    }
}

impl std::fmt::Display for ModbusTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { address, tls: None } => f.write_str(address),
            Self::Tcp { address, tls: Some(_) } => write!(f, "{address} over TLS"),
            Self::RtuOverTcp(address) => write!(f, "{address} (RTU)"),
            Self::Rtu(line) => write!(f, "{line}"),
        }
    }
}

/// A device on a line.
#[derive(Clone, Debug)]
pub struct ModbusUnitConfig {
    pub device: DeviceId,
    pub unit: u8,
    /// For points that have no interval of their own.
    pub poll: Duration,
    pub reach: Reach,
    pub points: Vec<PointConfig>,
}

/// So many polls must be missed before a value is stale, and so long it must be silent.
const STALE_POLLS: u32 = 10;
const STALE_LEAST: Duration = Duration::from_secs(60);

impl ModbusUnitConfig {
    /// What a point of it is checked for.
    pub fn checks(&self, point: &PointConfig) -> PointChecks {
        let polls = point.poll.unwrap_or(self.poll).saturating_mul(STALE_POLLS).max(STALE_LEAST);
        PointChecks { stale_after: Some(point.checks.stale_after.unwrap_or(polls)), ..point.checks }
    }
}

/// How much is asked for at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reach {
    /// Registers in one request, at most; of bits sixteen times as many.
    pub max_registers: u16,
    /// Registers that nobody wants between two that somebody does, at most; of bits sixteen times as many.
    pub max_gap: u16,
}

impl Default for Reach {
    fn default() -> Self {
        Self { max_registers: MAX_REGISTERS, max_gap: MAX_GAP }
    }
}

#[derive(Clone, Debug)]
pub struct PointConfig {
    pub name: PointId,
    pub table: ModbusTable,
    /// Zero-based protocol address.
    pub address: u16,
    pub kind: RegisterType,
    pub order: ByteOrder,
    /// value = raw × scale + offset
    pub scale: f64,
    pub offset: f64,
    pub unit: Option<String>,
    /// Bits that stand for "no value".
    pub none: Vec<u64>,
    /// What raw values are called; a value that is not called anything is out of range.
    pub words: Arc<BTreeMap<i64, String>>,
    /// Values beyond these are not believed.
    pub range: Option<(f64, f64)>,
    /// Where it is not read with the others.
    pub poll: Option<Duration>,
    pub checks: PointChecks,
}

/// A value that does not change is said this often.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// How far a sensor's point is believed, and how much of what it says is kept.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PointChecks {
    /// A value that does not move for this long is not believed.
    pub flat_after: Option<Duration>,
    /// Nor is one that moves faster than this.
    pub max_change: Option<MaxChange>,
    pub reporting: Reporting,
    /// A value is kept this often, whatever it does.
    pub heartbeat: Duration,
    /// A value that was not read for this long is stale; of a device's points this is always known.
    pub stale_after: Option<Duration>,
}

impl Default for PointChecks {
    fn default() -> Self {
        let (flat_after, max_change, reporting) = (None, None, Reporting::default());
        Self { flat_after, max_change, reporting, heartbeat: HEARTBEAT, stale_after: None }
    }
}

/// Which samples of a point are kept.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Reporting {
    /// Those that differ from the last one by more than this, each with the one before it; the point's unit.
    Exception { deadband: f64 },
    /// So many that straight lines between them are never further than this from any; the point's unit.
    SwingingDoor { within: f64 },
}

impl Default for Reporting {
    fn default() -> Self {
        Self::Exception { deadband: 0.0 }
    }
}

/// How fast a value may move, in the point's unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MaxChange {
    pub per_second: f64,
    /// The step in which the sensor tells it, which is no movement of its own.
    pub step: f64,
}

impl PointConfig {
    /// A number in one register of its own, unscaled.
    pub fn new(name: &str, table: ModbusTable, address: u16, kind: RegisterType) -> Self {
        Self {
            name: PointId::new(name),
            table,
            address,
            kind,
            order: ByteOrder::Abcd,
            scale: 1.0,
            offset: 0.0,
            unit: None,
            none: Vec::new(),
            words: Arc::default(),
            range: None,
            poll: None,
            checks: PointChecks::default(),
        }
    }

    /// One behind its last register.
    pub fn end(&self) -> u32 {
        u32::from(self.address) + u32::from(self.kind.registers())
    }
}

/// The registers of a kind of device.
#[derive(Clone, Default, Debug)]
pub(super) struct Profile {
    pub points: Vec<PointConfig>,
    pub reach: Reach,
}
