//! What we connect to over Modbus, and how we come back.

use std::time::Duration;

use crate::domain::frames::ModbusTable;
use crate::domain::ids::{DeviceId, PointId, SourceId};

/// Reconnecting: jittered exponential, from `first` to `last`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BackoffConfig {
    pub first: Duration,
    pub last: Duration,
}

#[derive(Clone, Debug)]
pub struct ModbusConfig {
    pub name: SourceId,
    pub device: DeviceId,
    /// `host:port`.
    pub address: String,
    pub unit: u8,
    pub poll: Duration,
    pub timeout: Duration,
    pub backoff: BackoffConfig,
    pub points: Vec<PointConfig>,
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
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegisterType {
    U16,
    I16,
    U32,
    I32,
    F32,
}

impl RegisterType {
    pub fn registers(self) -> u16 {
        match self {
            Self::U16 | Self::I16 => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
        }
    }
}

/// Order of the bytes of a value, `A` the most significant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ByteOrder {
    Abcd,
    Dcba,
    Badc,
    Cdab,
}
