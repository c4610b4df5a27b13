//! ThingMagic's serial protocol (M6e, Micro, Nano): `FF len op data crc16` to the reader, and with a 16-bit
//! status behind the op code back from it; big-endian, `len` counts the data alone.
//!
//! Reads that stream in (op 0x22) say themselves which metadata they carry, in this order of bits: read
//! count, signal, antenna, frequency, time, phase, protocol, tag data, pins. The time counts from the start
//! of the search, which the stream does not tell: it is not used.

use super::framer::{Look, Side};
use super::item::{Heard, SerialTag, epc_of};
use super::{checksum, fault};
use crate::decode::DecodeError;
use crate::domain::ids::Antenna;

pub const START: u8 = 0xff;
/// Read tags, once or streaming.
const READ_TAGS: u8 = 0x22;
/// Continuous reading was switched on or off.
const MULTI_PROTOCOL: u8 = 0x2f;
/// Around the data: start, length, op code, status and CRC.
const AROUND: usize = 7;
const STATUS_BYTES: usize = 2;
/// Start, length, op code.
const HEAD: usize = 3;
const LONGEST_DATA: u8 = 250;

const READ_COUNT: u16 = 0x0001;
const RSSI: u16 = 0x0002;
const ANTENNA: u16 = 0x0004;
const FREQUENCY: u16 = 0x0008;
const TIMESTAMP: u16 = 0x0010;
const PHASE: u16 = 0x0020;
const PROTOCOL: u16 = 0x0040;
const DATA: u16 = 0x0080;
const PINS: u16 = 0x0100;
const KNOWN: u16 = 0x01ff;

/// A frame to the reader.
pub fn command(op: u8, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![START, u8::try_from(data.len()).unwrap_or(u8::MAX), op];
    frame.extend(data);
    let crc = checksum::mercury(&frame[1..]);
    frame.extend(crc.to_be_bytes());
    frame
}

/// Switches continuous reading on, with every kind of metadata: 1 s of reading, no pause.
pub fn start() -> Vec<u8> {
    let all = [0, 0, 1, READ_TAGS, 0, 0, 5, 7, READ_TAGS, 0x10, 0, 0x1b, 0x03, 0xe8, 0x01, 0xff];
    command(MULTI_PROTOCOL, &all)
}

/// Switches it off.
pub fn stop() -> Vec<u8> {
    command(MULTI_PROTOCOL, &[0, 0, 2])
}

pub(super) fn look(bytes: &[u8], side: Side) -> Look {
    let [start, rest @ ..] = bytes else { return Look::More };
    if *start != START {
        return Look::Not("garbage");
    }
    let Some(length) = rest.first() else { return Look::More };
    if *length > LONGEST_DATA {
        return Look::Not("length");
    }
    let answer = AROUND + usize::from(*length);
    let question = answer - STATUS_BYTES;
    if side == Side::Either && bytes.get(..question).is_some_and(has_right_crc) {
        return Look::Frame(question);
    }
    match bytes.get(..answer) {
        None => Look::More,
        Some(frame) if has_right_crc(frame) => Look::Frame(answer),
        Some(_) => Look::Not("checksum"),
    }
}

fn has_right_crc(frame: &[u8]) -> bool {
    let Some((body, crc)) = frame.split_last_chunk::<2>() else { return false };
    body.len() >= HEAD && checksum::mercury(&body[1..]) == u16::from_be_bytes(*crc)
}

/// # Errors
/// Reasons: `length`, `checksum`, `truncated`, `epc-too-long`, `unknown-metadata`.
pub(super) fn decode(frame: &[u8], out: &mut Vec<Heard>) -> Result<(), DecodeError> {
    let length = frame.get(1).map(|length| usize::from(*length));
    if length.is_none_or(|length| ![length + AROUND, length + AROUND - STATUS_BYTES].contains(&frame.len())) {
        return Err(fault("length", 1, "the length is not that of the frame"));
    }
    if !has_right_crc(frame) {
        return Err(fault("checksum", frame.len() - 2, "the check sum is wrong"));
    }
    if Some(frame.len()) != length.map(|length| length + AROUND) {
        out.push(Heard::Other("command"));
        return Ok(());
    }
    let status = u16::from_be_bytes([frame[3], frame[4]]);
    let data = HEAD + STATUS_BYTES..frame.len() - 2;
    match (status, frame[2]) {
        (0, READ_TAGS) if data.len() > 8 => out.push(Heard::Tag(tag(frame, data.start, data.end)?)),
        (0, READ_TAGS) => out.push(Heard::RoundEnd { reads: None }),
        (0, _) => out.push(Heard::Other("answer")),
        // "No tags found": what a stream says while it hears nothing.
        (0x0400, _) => out.push(Heard::Other("keepalive")),
        (0x0504, _) => out.push(Heard::Trouble("the reader is too hot, and pauses".to_owned())),
        (0x0505, _) => {
            out.push(Heard::Trouble(
                "high return loss: an antenna or its cable is missing or broken".to_owned(),
            ));
        }
        (status, op) => {
            out.push(Heard::Trouble(format!("the reader answers {op:#04x} with fault {status:#06x}")));
        }
    }
    Ok(())
}

/// One streamed read: option, search flags, metadata flags, a count of tags, the metadata, the code.
fn tag(frame: &[u8], start: usize, end: usize) -> Result<SerialTag, DecodeError> {
    let mut fields = Fields { frame, at: start, end };
    fields.take(3)?;
    let flags = u16::from_be_bytes(fields.array()?);
    if flags & !KNOWN != 0 {
        let message = format!("metadata flags {flags:#06x}, of which {KNOWN:#06x} are known");
        return Err(fault("unknown-metadata", start + 3, message));
    }
    fields.take(1)?;
    let has = |flag| flags & flag != 0;
    let count = if has(READ_COUNT) { u16::from(fields.byte()?).max(1) } else { 1 };
    let rssi_dbm = if has(RSSI) { Some(f32::from(fields.byte()? as i8)) } else { None };
    let antenna = if has(ANTENNA) { antenna(fields.byte()?) } else { 1 };
    let frequency_khz = if has(FREQUENCY) {
        let [a, b, c] = fields.array()?;
        Some(u32::from_be_bytes([0, a, b, c]))
    } else {
        None
    };
    if has(TIMESTAMP) {
        fields.take(4)?;
    }
    let phase_deg =
        if has(PHASE) { Some(f32::from(u16::from_be_bytes(fields.array()?) & 0x0fff)) } else { None };
    if has(PROTOCOL) {
        fields.take(1)?;
    }
    if has(DATA) {
        let bits = u16::from_be_bytes(fields.array()?);
        fields.take(usize::from(bits).div_ceil(8))?;
    }
    if has(PINS) {
        fields.take(1)?;
    }
    let at = fields.at;
    let bits = u16::from_be_bytes(fields.array()?);
    let code = fields.take(usize::from(bits) / 8)?;
    // PC in front, CRC behind.
    let (Some((pc, rest)), true) = (code.split_first_chunk::<2>(), bits.is_multiple_of(8)) else {
        return Err(fault("length", at, format!("{bits} bits are no PC, code and CRC")));
    };
    let Some((epc, crc)) = rest.split_last_chunk::<2>() else {
        return Err(fault("length", at, format!("{bits} bits are no PC, code and CRC")));
    };
    let epc = epc_of(epc).ok_or_else(|| fault("epc-too-long", at, format!("a code of {bits} bits")))?;
    let (pc, crc) = (Some(u16::from_be_bytes(*pc)), Some(u16::from_be_bytes(*crc)));
    Ok(SerialTag { antenna, rssi_dbm, count, phase_deg, frequency_khz, pc, crc, ..SerialTag::new(epc) })
}

/// Transmitting port in the upper half, receiving one in the lower; 0 is the sixteenth.
fn antenna(ports: u8) -> Antenna {
    match ports >> 4 {
        0 => 16,
        port => Antenna::from(port),
    }
}

struct Fields<'a> {
    frame: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.saturating_add(count);
        let taken = self.frame.get(self.at..end).filter(|_| end <= self.end);
        let taken =
            taken.ok_or_else(|| fault("truncated", self.at, "the read ends before its metadata do"))?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let at = self.at;
        self.take(N)?.try_into().map_err(|_| fault("truncated", at, "the read ends before its metadata do"))
    }
}
