//! Modules around Impinj's R2000 as Invelion, Rodinbell and others speak it: `A0 len addr cmd data sum8`.
//! `len` counts what follows it; the last byte makes the sum of all bytes 0.
//!
//! Real-time inventory (0x89, fast switching 0x8A, with session 0x8B): each read is a frame, then one
//! that ends the round. A read is frequency and antenna in one byte, PC, code, signal. The signal is
//! dBm + 129; its top bit is the upper four of eight antennas.

use super::framer::Look;
use super::item::{Heard, SerialTag, epc_of};
use super::{checksum, fault};
use crate::decode::DecodeError;
use crate::domain::ids::Antenna;

pub const START: u8 = 0xa0;
/// Whoever is on the line.
pub const ANY_ADDRESS: u8 = 0xff;
const REAL_TIME: u8 = 0x89;
const FAST_SWITCH: u8 = 0x8a;
const REAL_TIME_SESSION: u8 = 0x8b;
/// Start, length, address, command; the sum behind the data.
const HEAD: usize = 4;
const AROUND: usize = HEAD + 1;
/// Of the frame that ends a round: antenna, reads a second, reads; or reads and milliseconds.
const ROUND_END: usize = 7;

const FAULTS: [(u8, &str); 6] = [
    (0x10, "the command succeeded"),
    (0x11, "the command failed"),
    (0x20, "the micro-controller's reset failed"),
    (0x21, "switching the carrier on failed"),
    (0x22, "an antenna is missing"),
    (0x36, "no tag answers"),
];

/// A frame to the reader.
pub fn command(address: u8, command: u8, data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len() + 3).unwrap_or(u8::MAX);
    let mut frame = vec![START, length, address, command];
    frame.extend(data);
    frame.push(checksum::complement(&frame));
    frame
}

/// One round of real-time inventory, repeated until no new tag answers.
pub fn round() -> Vec<u8> {
    command(ANY_ADDRESS, REAL_TIME, &[0xff])
}

pub(super) fn look(bytes: &[u8]) -> Look {
    let [start, rest @ ..] = bytes else { return Look::More };
    if *start != START {
        return Look::Not("garbage");
    }
    let Some(length) = rest.first() else { return Look::More };
    if usize::from(*length) + 2 < AROUND {
        return Look::Not("length");
    }
    match bytes.get(..usize::from(*length) + 2) {
        None => Look::More,
        Some(frame) if checksum::sum(frame) == 0 => Look::Frame(frame.len()),
        Some(_) => Look::Not("checksum"),
    }
}

/// # Errors
/// Reasons: `length`, `checksum`, `truncated`, `epc-too-long`.
pub(super) fn decode(frame: &[u8], out: &mut Vec<Heard>) -> Result<(), DecodeError> {
    if frame.len() < AROUND || frame.len() != usize::from(frame[1]) + 2 {
        return Err(fault("length", 1, "the length is not that of the frame"));
    }
    if checksum::sum(frame) != 0 {
        return Err(fault("checksum", frame.len() - 1, "the check sum is wrong"));
    }
    let data = &frame[HEAD..frame.len() - 1];
    let inventory = matches!(frame[3], REAL_TIME | FAST_SWITCH | REAL_TIME_SESSION);
    out.push(match data {
        _ if !inventory => Heard::Other("answer"),
        [] => Heard::Other("command"),
        // What the round was asked for is one byte too: of a reader's own frames it is a fault.
        [code] => match FAULTS.iter().find(|(known, _)| known == code) {
            Some((0x10, _)) => Heard::Other("answer"),
            Some((0x36, _)) => Heard::RoundEnd { reads: Some(0) },
            Some((_, told)) => Heard::Trouble((*told).to_owned()),
            None => Heard::Other("command"),
        },
        data if data.len() == ROUND_END && !is_a_tag(data) => {
            Heard::RoundEnd { reads: Some(reads(frame[3], data)) }
        }
        // Session, target and repetitions, or which antennas for how long: a command.
        data if !is_a_tag(data) && data.len() != ROUND_END && data.len() <= 3 => Heard::Other("command"),
        data => Heard::Tag(tag(data)?),
    });
    Ok(())
}

/// The PC says how long the code is.
fn is_a_tag(data: &[u8]) -> bool {
    matches!(data, [_, pc, _, rest @ ..] if rest.len() == usize::from(pc >> 3) * 2 + 1)
}

fn reads(command: u8, data: &[u8]) -> u32 {
    match command {
        FAST_SWITCH => u32::from_be_bytes([0, data[0], data[1], data[2]]),
        _ => u32::from_be_bytes([data[3], data[4], data[5], data[6]]),
    }
}

fn tag(data: &[u8]) -> Result<SerialTag, DecodeError> {
    let [place, pc_high, pc_low, rest @ ..] = data else {
        return Err(fault("truncated", HEAD, "a read without antenna, PC and signal"));
    };
    let Some((signal, code)) = rest.split_last() else {
        return Err(fault("truncated", HEAD + 3, "a read without signal"));
    };
    if !is_a_tag(data) {
        let message = format!("the PC says {} bytes of code, there are {}", (pc_high >> 3) * 2, code.len());
        return Err(fault("length", HEAD + 1, message));
    }
    let epc = epc_of(code).ok_or_else(|| fault("epc-too-long", HEAD + 3, "a code of more than 496 bits"))?;
    let upper = if signal & 0x80 == 0 { 0 } else { 4 };
    let antenna = Antenna::from(place & 0b11) + 1 + upper;
    let rssi_dbm = Some(f32::from(signal & 0x7f) - 129.0);
    let pc = Some(u16::from_be_bytes([*pc_high, *pc_low]));
    Ok(SerialTag { antenna, rssi_dbm, pc, ..SerialTag::new(epc) })
}
