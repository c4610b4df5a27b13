//! R200, YRM100, M100 and their kin: `AA type cmd len16 data sum8 DD`, big-endian. Some say `BB … 7E`
//! instead. The sum is that of everything between the two marks but itself.
//!
//! A read is a notification (type 2) of command 0x22: signal in dBm, PC, code, the code's own CRC.
//! There is one antenna.

use super::framer::Look;
use super::item::{Heard, SerialTag, epc_of};
use super::{checksum, fault};
use crate::decode::DecodeError;

const MARKS: [(u8, u8); 2] = [(0xaa, 0xdd), (0xbb, 0x7e)];
/// Start, type, command, length; sum and end behind the data.
const HEAD: usize = 5;
const AROUND: usize = HEAD + 2;
/// No frame that is known is longer than a few hundred bytes.
const LONGEST_DATA: usize = 1024;

const ANSWER: u8 = 1;
const NOTIFICATION: u8 = 2;
const POLL: u8 = 0x22;
const FAULT: u8 = 0xff;
const NO_TAG: u8 = 0x15;

/// A frame to the reader.
pub fn command(command: u8, data: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes();
    let (start, end) = MARKS[0];
    let mut frame = vec![start, 0, command, high, low];
    frame.extend(data);
    frame.push(checksum::sum(&frame[1..]));
    frame.push(end);
    frame
}

/// Polls 65,535 times; a reader that is done is asked again.
pub fn start() -> Vec<u8> {
    command(0x27, &[POLL, 0xff, 0xff])
}

pub fn stop() -> Vec<u8> {
    command(0x28, &[])
}

pub(super) fn look(bytes: &[u8]) -> Look {
    let [start, rest @ ..] = bytes else { return Look::More };
    let Some((_, end)) = MARKS.iter().find(|(mark, _)| mark == start) else {
        return Look::Not("garbage");
    };
    match rest {
        [kind, ..] if *kind > NOTIFICATION => Look::Not("garbage"),
        [_, _, high, low, ..] => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if length > LONGEST_DATA {
                return Look::Not("length");
            }
            match bytes.get(..length + AROUND) {
                None => Look::More,
                Some([.., mark]) if mark != end => Look::Not("end-mark"),
                Some(frame) if has_right_sum(frame) => Look::Frame(frame.len()),
                Some(_) => Look::Not("checksum"),
            }
        }
        _ => Look::More,
    }
}

fn has_right_sum(frame: &[u8]) -> bool {
    matches!(frame, [_, body @ .., sum, _] if checksum::sum(body) == *sum)
}

/// # Errors
/// Reasons: `length`, `checksum`, `truncated`, `epc-too-long`.
pub(super) fn decode(frame: &[u8], out: &mut Vec<Heard>) -> Result<(), DecodeError> {
    let [_, kind, command, high, low, rest @ ..] = frame else {
        return Err(fault("truncated", frame.len(), "the frame ends within its head"));
    };
    if rest.len() != usize::from(u16::from_be_bytes([*high, *low])) + 2 {
        return Err(fault("length", 3, "the length is not that of the frame"));
    }
    if !has_right_sum(frame) {
        return Err(fault("checksum", frame.len() - 2, "the check sum is wrong"));
    }
    let data = &rest[..rest.len() - 2];
    out.push(match (*kind, *command, data) {
        (NOTIFICATION, POLL, data) => Heard::Tag(tag(data)?),
        (ANSWER, FAULT, [NO_TAG, ..]) => Heard::RoundEnd { reads: Some(0) },
        (ANSWER, FAULT, data) => {
            let code = data.first().copied().unwrap_or_default();
            Heard::Trouble(format!("the reader answers with fault {code:#04x}"))
        }
        (0, ..) => Heard::Other("command"),
        _ => Heard::Other("answer"),
    });
    Ok(())
}

fn tag(data: &[u8]) -> Result<SerialTag, DecodeError> {
    let short = || fault("truncated", HEAD, "a read without signal, PC and CRC");
    let (signal, rest) = data.split_first().ok_or_else(short)?;
    let (pc, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let (code, crc) = rest.split_last_chunk::<2>().ok_or_else(short)?;
    let epc = epc_of(code).ok_or_else(|| fault("epc-too-long", HEAD + 3, "a code of more than 496 bits"))?;
    Ok(SerialTag {
        rssi_dbm: Some(f32::from(*signal as i8)),
        pc: Some(u16::from_be_bytes(*pc)),
        crc: Some(u16::from_be_bytes(*crc)),
        ..SerialTag::new(epc)
    })
}
