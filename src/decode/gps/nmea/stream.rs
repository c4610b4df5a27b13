//! The lines of one receiver, as its source hands them on → readings.

use super::{Dating, FixTime, NmeaDecoder, NmeaItem, readings, sentence};
use crate::decode::{DecodeError, Decoded};
use crate::domain::frames::Flow;
use crate::domain::ids::DeviceId;
use crate::domain::time::Timestamp;

#[derive(Debug)]
pub struct NmeaStream {
    device: DeviceId,
    dating: Dating,
    decoder: NmeaDecoder,
    /// The time of the last fix: what the receiver says of it behind a pause is no other.
    told: Option<FixTime>,
}

impl NmeaStream {
    pub fn new(device: DeviceId, dating: Dating) -> Self {
        Self { device, dating, decoder: dating.decoder(), told: None }
    }

    /// # Errors
    /// The first fault, where the frame has nothing but faults.
    pub fn decode(
        &mut self,
        lines: &[u8],
        flow: Flow,
        received: Timestamp,
        out: &mut Decoded,
    ) -> Result<(), DecodeError> {
        let (mut alone, mut told_alone) = (self.dating.decoder(), None);
        let (decoder, told) = match flow {
            Flow::Alone => (&mut alone, &mut told_alone),
            Flow::Running | Flow::Paused => (&mut self.decoder, &mut self.told),
        };
        if self.dating.by_receipt {
            decoder.received(received);
        }
        let begin = decoder.offset;
        let mut items = Vec::new();
        decoder.push(lines, &mut items);
        if flow != Flow::Running {
            decoder.finish(&mut items);
        }
        for item in &mut items {
            if let NmeaItem::Fault { offset, .. } = item {
                *offset = offset.saturating_sub(begin);
            }
        }
        readings(&self.device, &items, false, told, out);
        let is_line = |line: &&[u8]| !line.trim_ascii().is_empty();
        let lines = lines.split(|byte| matches!(byte, b'\n' | b'\r')).filter(is_line).count();
        if out.faults.len() < lines { Ok(()) } else { out.or_fault() }
    }
}

/// Whether a whole sentence is among the lines: what speaks is a receiver, and the baud rate is right.
pub fn speaks(lines: &[u8]) -> bool {
    let mut lines = lines.split(|byte| matches!(byte, b'\n' | b'\r'));
    lines.any(|line| {
        let mut starts = (0..line.len()).filter(|at| line[*at] == b'$');
        starts.any(|start| sentence::is_whole(&line[start..]))
    })
}
