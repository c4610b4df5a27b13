//! LLRP messages one behind the other, and the way back to them where something else is between.

use std::io::{self, Write};

use serde::Serialize;

use super::Lines;
use crate::decode::llrp::framing::{HEADER_BYTES, Header};
use crate::decode::llrp::{Message, definitions};

/// What could not be decoded, and where.
#[derive(Serialize)]
struct Fault {
    error: String,
    reason: &'static str,
    offset: usize,
    /// Of the message it lies in, where that much is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    message_type: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
    /// Bytes from the start of the message, or of the stretch, up to where decoding goes on.
    skipped: usize,
}

pub fn decode<W: Write>(bytes: &[u8], out: &mut Lines<W>) -> io::Result<()> {
    let mut at = 0;
    while at < bytes.len() {
        at = match whole(bytes, at) {
            Ok(message) => {
                out.write(&message)?;
                at + header_at(bytes, at).map_or(bytes.len(), |header| header.length as usize)
            }
            Err(fault) => {
                let next = resume(bytes, at);
                out.write(&Fault { skipped: next - at, ..fault })?;
                next
            }
        };
    }
    Ok(())
}

fn whole(bytes: &[u8], at: usize) -> Result<Message, Fault> {
    let left = bytes.len() - at;
    let unframed = |reason, error: String| Fault {
        error,
        reason,
        offset: at,
        message: None,
        message_type: None,
        id: None,
        skipped: 0,
    };
    let header = header_at(bytes, at).ok_or_else(|| {
        unframed("truncated", format!("{left} bytes are left, a header has {HEADER_BYTES}"))
    })?;
    header.check(usize::MAX).map_err(|e| unframed(e.reason(), e.to_string()))?;
    let named = |reason, error, offset| Fault {
        message: definitions::message(header.message_type).map(|definition| definition.name),
        message_type: Some(header.message_type),
        id: Some(header.id),
        offset,
        ..unframed(reason, error)
    };
    let length = header.length as usize;
    let message = bytes[at..]
        .get(..length)
        .ok_or_else(|| named("truncated", format!("a message of {length} bytes, {left} are left"), at))?;
    Message::decode(message).map_err(|e| named(e.reason, e.message, at + e.offset))
}

/// Where to go on behind a fault: at the end that the message itself names, where another one starts
/// there; else at the next place that looks like the start of one.
fn resume(bytes: &[u8], at: usize) -> usize {
    let named_end = header_at(bytes, at)
        .filter(|header| header.check(bytes.len() - at).is_ok())
        .map(|header| at + header.length as usize)
        .filter(|end| *end == bytes.len() || looks_like_a_start(bytes, *end));
    named_end.unwrap_or_else(|| {
        (at + 1..bytes.len()).find(|at| looks_like_a_start(bytes, *at)).unwrap_or(bytes.len())
    })
}

/// A header that is in order, of a message that the standard knows, and of which all is there.
fn looks_like_a_start(bytes: &[u8], at: usize) -> bool {
    header_at(bytes, at).is_some_and(|header| {
        header.reserved == 0
            && header.check(bytes.len() - at).is_ok()
            && definitions::message(header.message_type).is_some()
    })
}

fn header_at(bytes: &[u8], at: usize) -> Option<Header> {
    bytes.get(at..).and_then(Header::read)
}
