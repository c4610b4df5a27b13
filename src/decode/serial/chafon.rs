//! Chafon's UHFReader18 and UHFReader288 and their many kin: `len addr cmd status data crc16`, the CRC's low
//! byte first. `len` counts everything but itself; there is no byte that marks a start.
//!
//! Answers to an inventory (0x01) carry several tags. The 18 sends `count, then length and code each`; the
//! 288 sends the antenna (one bit of a byte) in front and a signal strength behind each code. Which of the
//! two it is follows from what fits to the byte. No unit of that signal strength is documented.

use super::framer::{Look, Side};
use super::item::{Heard, SerialTag, epc_of};
use super::{checksum, fault};
use crate::decode::DecodeError;
use crate::domain::ids::Antenna;

const INVENTORY: u8 = 0x01;
/// A read that the reader sends by itself.
const ACTIVE: u8 = 0xee;
const SHORTEST_ANSWER: u8 = 5;
const SHORTEST_COMMAND: u8 = 4;

/// A frame to the reader.
pub fn command(address: u8, command: u8, data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len() + 4).unwrap_or(u8::MAX);
    let mut frame = vec![length, address, command];
    frame.extend(data);
    let crc = checksum::chafon(&frame);
    frame.extend(crc.to_le_bytes());
    frame
}

/// One round of an UHFReader18.
pub fn round() -> Vec<u8> {
    command(0, INVENTORY, &[])
}

pub(super) fn look(bytes: &[u8], side: Side) -> Look {
    let shortest = if side == Side::Either { SHORTEST_COMMAND } else { SHORTEST_ANSWER };
    match bytes {
        [] => Look::More,
        [length, ..] if *length < shortest => Look::Not("garbage"),
        [length, ..] => match bytes.get(..usize::from(*length) + 1) {
            None => Look::More,
            Some(frame) if has_right_crc(frame) => Look::Frame(frame.len()),
            Some(_) => Look::Not("checksum"),
        },
    }
}

fn has_right_crc(frame: &[u8]) -> bool {
    let Some((body, crc)) = frame.split_last_chunk::<2>() else { return false };
    checksum::chafon(body) == u16::from_le_bytes(*crc)
}

/// # Errors
/// Reasons: `length`, `checksum`, `truncated`, `epc-too-long`.
pub(super) fn decode(frame: &[u8], out: &mut Vec<Heard>) -> Result<(), DecodeError> {
    if frame.len() < usize::from(SHORTEST_COMMAND) + 1 || frame.len() != usize::from(frame[0]) + 1 {
        return Err(fault("length", 0, "the length is not that of the frame"));
    }
    if !has_right_crc(frame) {
        return Err(fault("checksum", frame.len() - 2, "the check sum is wrong"));
    }
    let body = &frame[3..frame.len() - 2];
    let Some((status, data)) = body.split_first() else {
        out.push(Heard::Other("command"));
        return Ok(());
    };
    match (frame[2], status) {
        (INVENTORY, 0x01..=0x04) => {
            tags(data, out)?;
            // 02 is out of time and 04 out of memory, with what was read until then; 03 has more to come.
            if *status != 0x03 {
                out.push(Heard::RoundEnd { reads: None });
            }
        }
        (INVENTORY, 0xfb) => out.push(Heard::RoundEnd { reads: Some(0) }),
        (INVENTORY, 0xf8) => {
            out.push(Heard::Trouble("the antenna check failed: a cable may be off".to_owned()))
        }
        (ACTIVE, _) => tags(data, out)?,
        (_, 0x00) => out.push(Heard::Other("answer")),
        (command, status) => {
            out.push(Heard::Trouble(format!("the reader answers {command:#04x} with status {status:#04x}")));
        }
    }
    Ok(())
}

fn tags(data: &[u8], out: &mut Vec<Heard>) -> Result<(), DecodeError> {
    if data.is_empty() {
        return Ok(());
    }
    if let [ports, count, list @ ..] = data
        && let (Some(antenna), Some(tags)) = (antenna(*ports), listed(*count, list, Some(())))
    {
        out.extend(tags.into_iter().map(|tag| Heard::Tag(SerialTag { antenna, ..tag })));
        return Ok(());
    }
    if let [count, list @ ..] = data
        && let Some(tags) = listed(*count, list, None)
    {
        out.extend(tags.into_iter().map(Heard::Tag));
        return Ok(());
    }
    Err(fault("length", 4, "the lengths of the codes do not add up, with signal strengths or without"))
}

/// One bit a port.
fn antenna(ports: u8) -> Option<Antenna> {
    ports.is_power_of_two().then(|| ports.trailing_zeros() as Antenna + 1)
}

/// The tags of a list that ends where the data do, each of whole words; `signal`: each has one behind it.
fn listed(count: u8, mut list: &[u8], signal: Option<()>) -> Option<Vec<SerialTag>> {
    let mut tags = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let (length, rest) = list.split_first()?;
        let (code, rest) = rest.split_at_checked(usize::from(*length))?;
        if code.is_empty() || !code.len().is_multiple_of(2) {
            return None;
        }
        let mut tag = SerialTag::new(epc_of(code)?);
        list = rest;
        if signal.is_some() {
            let (rssi, rest) = list.split_first()?;
            (tag.rssi_raw, list) = (Some(*rssi), rest);
        }
        tags.push(tag);
    }
    list.is_empty().then_some(tags)
}
