//! Frames → readings. Pure: no clock, no socket, no global; panics on no input.

pub mod epc;
pub mod gps;
pub mod llrp;
pub mod modbus;
pub mod serial;

use crate::domain::readings::Reading;

/// What one frame gave.
#[derive(Debug, Default)]
pub struct Decoded {
    pub readings: Vec<Reading>,
    /// Of parts of a frame of which others stand: each is in the place of one reading.
    pub faults: Vec<DecodeError>,
}

impl Decoded {
    /// # Errors
    /// The first of the faults, where nothing stands beside them: they are the frame's then.
    pub fn or_fault(&mut self) -> Result<(), DecodeError> {
        if !self.readings.is_empty() {
            return Ok(());
        }
        self.faults.drain(..).next().map_or(Ok(()), Err)
    }
}

/// Why a frame did not decode. The frame goes to the dead letters whole.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message} at byte {offset}")]
pub struct DecodeError {
    /// A short stable word for the metric's label, for instance `truncated`.
    pub reason: &'static str,
    pub offset: usize,
    pub message: String,
}
