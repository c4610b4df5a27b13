//! Teltonika trackers: AVL packets of Codec 8, 8 Extended and 16 → records, each a position with the I/O
//! elements of its moment. Pure: bytes in, records out; no socket, no clock.
//!
//! | on TCP | bytes |
//! | --- | --- |
//! | login | length (2 bytes, 15), IMEI in digits |
//! | packet | 4 zero bytes, length of the data (4), codec, records, number of records again, CRC (4) |
//! | ping | `FF`, where nothing else is due |
//!
//! All numbers are big-endian. The check sum is CRC-16/IBM over the data, from the codec to the second number.
//! Source: Teltonika's own page "Teltonika Data Sending Protocols".
//! A [`Framer`] finds packets in a capture, a [`Session`] takes a connection apart, and each packet goes to
//! [`decode`].

mod framer;
mod reading;
mod record;
mod session;

pub use framer::{Framed, Framer};
pub use reading::{decode_message, decode_packet};
pub use record::{AvlRecord, IoElement, IoValue};
pub use session::{Piece, Session};

use crate::decode::DecodeError;
use record::{Cursor, Layout};

const PREAMBLE: [u8; 4] = [0; 4];
/// Preamble and length.
const HEADER_BYTES: usize = 8;
const CRC_BYTES: usize = 4;
/// Codec and the two numbers of records.
const LEAST_DATA: usize = 3;
/// The standard's limit is 1,280 bytes for a whole packet; room for firmware that takes more.
const MOST_DATA: usize = 4096;

/// One whole packet, preamble and check sum included → its records, in the order in which they stand. One that
/// says what cannot be (`position`, `time`) is an error in its place, and costs no other.
///
/// # Errors
/// Reasons: `truncated`, `preamble`, `length`, `crc`, `codec`, `count`, `io-count`. Of a packet that is not what it
/// says it is, nothing is believed: the tracker is not told that it came, or it goes to the dead letters whole.
pub fn decode(packet: &[u8]) -> Result<Records, DecodeError> {
    let data = data_of(packet)?;
    let (layout, other_layout) = match data[0] {
        0x08 => (Layout::CODEC_8, Some(Layout::CODEC_8_WIDE)),
        0x8e => (Layout::CODEC_8_EXTENDED, None),
        0x10 => (Layout::CODEC_16, None),
        other => {
            let message = format!("codec {other:#04x} carries no AVL records here");
            return Err(fault("codec", HEADER_BYTES, message));
        }
    };
    let (first, last) = (data[1], data[data.len() - 1]);
    if first != last {
        let message = format!("the packet begins with {first} records and ends with {last}");
        return Err(fault("count", HEADER_BYTES + data.len() - 1, message));
    }
    // The standard's first. What lies is seldom right to the last byte of the other.
    let read = |layout| records(&data[2..data.len() - 1], first, layout);
    read(layout).or_else(|error| other_layout.and_then(|layout| read(layout).ok()).ok_or(error))
}

/// Each, or what of it cannot be.
type Records = Vec<Result<AvlRecord, DecodeError>>;

/// `count` of them, and nothing else. `bytes` stand behind the codec and the number of records.
fn records(bytes: &[u8], count: u8, layout: Layout) -> Result<Records, DecodeError> {
    let mut cursor = Cursor::new(bytes, HEADER_BYTES + 2);
    let records = (0..count).map(|_| record::read(&mut cursor, layout)).collect::<Result<_, _>>()?;
    match cursor.left() {
        0 => Ok(records),
        left => Err(fault("length", cursor.at(), format!("{left} bytes more than the {count} records have"))),
    }
}

/// What the check sum is of, where lengths and check sum are right. At least [`LEAST_DATA`] bytes.
fn data_of(packet: &[u8]) -> Result<&[u8], DecodeError> {
    let (header, rest) = packet
        .split_at_checked(HEADER_BYTES)
        .ok_or_else(|| fault("truncated", packet.len(), "the packet ends within its header"))?;
    if !header.starts_with(&PREAMBLE) {
        return Err(fault("preamble", 0, "the packet does not begin with four zero bytes"));
    }
    let length = number(&header[4..]) as usize;
    if !(LEAST_DATA..=MOST_DATA).contains(&length) {
        return Err(fault(
            "length",
            4,
            format!("a packet has {LEAST_DATA} to {MOST_DATA} bytes, not {length}"),
        ));
    }
    if rest.len() < length + CRC_BYTES {
        return Err(fault("truncated", packet.len(), "the packet ends before its length is full"));
    }
    if rest.len() > length + CRC_BYTES {
        let behind = HEADER_BYTES + length + CRC_BYTES;
        return Err(fault("length", behind, "the packet goes on behind its check sum"));
    }
    let (data, told) = rest.split_at(length);
    let (told, sum) = (number(told), u64::from(crc16(data)));
    if told != sum {
        let message = format!("the check sum is {told:04x}, that of the data {sum:04x}");
        return Err(fault("crc", HEADER_BYTES + length, message));
    }
    Ok(data)
}

/// Of at most eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// CRC-16/IBM, also called ARC: reflected, polynomial 0xA001, from 0.
fn crc16(bytes: &[u8]) -> u16 {
    const TABLE: [u16; 256] = table();
    bytes.iter().fold(0, |crc: u16, byte| crc >> 8 ^ TABLE[usize::from(crc as u8 ^ byte)])
}

const fn table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u16;
        let mut bit = 0;
        while bit < 8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xa001 } else { 0 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

fn fault(reason: &'static str, offset: usize, message: impl Into<String>) -> DecodeError {
    DecodeError { reason, offset, message: message.into() }
}

#[cfg(test)]
mod tests;
