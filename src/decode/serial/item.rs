//! What one frame of a serial reader says.

use crate::domain::epc::Epc;
use crate::domain::ids::Antenna;
use crate::domain::readings::DeviceTime;

#[derive(Clone, PartialEq, Debug)]
pub enum Heard {
    Tag(SerialTag),
    /// An inventory round is over: a reader that is asked for each round waits to be asked again.
    RoundEnd {
        /// Reads in the round, where the reader counts them.
        reads: Option<u32>,
    },
    /// The reader says what is wrong with it.
    Trouble(String),
    /// A sign of life, an answer to a command.
    Other(&'static str),
}

/// One read of one tag.
#[derive(Clone, PartialEq, Debug)]
pub struct SerialTag {
    pub epc: Epc,
    /// Counted from 1; 1 where the protocol does not tell.
    pub antenna: Antenna,
    pub rssi_dbm: Option<f32>,
    /// As sent, where no unit of it is known.
    pub rssi_raw: Option<u8>,
    /// At least 1.
    pub count: u16,
    pub pc: Option<u16>,
    pub crc: Option<u16>,
    pub time: DeviceTime,
    pub phase_deg: Option<f32>,
    pub frequency_khz: Option<u32>,
    /// A code of no whole number of 16-bit words is no tag's own code: something on the way (a Wiegand
    /// bridge) cut it.
    pub truncated: bool,
}

impl SerialTag {
    pub fn new(epc: Epc) -> Self {
        Self {
            epc,
            antenna: 1,
            rssi_dbm: None,
            rssi_raw: None,
            count: 1,
            pc: None,
            crc: None,
            time: DeviceTime::None,
            phase_deg: None,
            frequency_khz: None,
            truncated: !epc.bits().is_multiple_of(16),
        }
    }
}

/// The code in `bytes`, all of them.
pub(super) fn epc_of(bytes: &[u8]) -> Option<Epc> {
    let bits = u16::try_from(bytes.len() * 8).ok()?;
    Epc::new(bits, bytes)
}
