//! Bytes → tree, following the definitions.

use super::cursor::Cursor;
use super::definitions::{self, Definition, FieldKind};
use super::framing::{HEADER_BYTES, Header};
use super::numbers::parameter::CUSTOM;
use super::tree::{Body, Message, Parameter, Prefix, Value};
use crate::decode::DecodeError;

/// Parameters inside parameters, at most. The standard's deepest is eight (a tag mask in an ADD_ROSPEC).
const MAX_DEPTH: usize = 16;

/// What would have to be removed for the sender's own count to be right is an error, not a guess.
impl Message {
    /// Decodes one whole message, header included. Offsets in errors count from its first byte.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_as(bytes, Faults::Refused)
    }

    /// The same, where the rest is of use: a parameter whose content is not what its type says is kept as bytes, as
    /// one of a type that is not known. What holds it must still be in order.
    pub fn decode_what_is_known(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_as(bytes, Faults::Kept)
    }

    fn decode_as(bytes: &[u8], faults: Faults) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes, 0);
        let header = Header::read(cursor.take(HEADER_BYTES)?);
        let header = header.ok_or_else(|| error("truncated", 0, "no whole header"))?;
        header.check(usize::MAX).map_err(|e| error(e.reason(), 0, e.to_string()))?;
        if header.length as usize != bytes.len() {
            let message = format!("the header says {} bytes, there are {}", header.length, bytes.len());
            return Err(error("length", 2, message));
        }
        let body = match definitions::message(header.message_type) {
            Some(definition) => known(definition, &mut cursor, 0, faults)?,
            None => Body::Unknown(cursor.rest().to_vec()),
        };
        Ok(Self {
            reserved: header.reserved,
            version: header.version,
            message_type: header.message_type,
            id: header.id,
            body,
        })
    }
}

/// What becomes of a parameter whose content is not what its type says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Faults {
    Refused,
    Kept,
}

fn known(
    definition: &'static Definition,
    cursor: &mut Cursor<'_>,
    depth: usize,
    faults: Faults,
) -> Result<Body, DecodeError> {
    let values = definition.fields.iter().map(|field| value(field.kind, cursor)).collect::<Result<_, _>>()?;
    let mut parameters = Vec::new();
    while !cursor.is_empty() {
        if definition.nested.is_leaf() && !is_custom(*cursor) {
            let message = format!("{} bytes behind the end of {}", cursor.remaining(), definition.name);
            return Err(error("trailing", cursor.offset(), message));
        }
        parameters.push(parameter(cursor, depth + 1, faults)?);
    }
    Ok(Body::Known { definition, values, parameters })
}

/// Makers hang their own on parameters of which the standard does not say that anything may hang there.
fn is_custom(mut ahead: Cursor<'_>) -> bool {
    ahead.u16().is_ok_and(|head| head & 0x83ff == CUSTOM)
}

fn parameter(cursor: &mut Cursor<'_>, depth: usize, faults: Faults) -> Result<Parameter, DecodeError> {
    if depth > MAX_DEPTH {
        return Err(error("depth", cursor.offset(), format!("parameters nested deeper than {MAX_DEPTH}")));
    }
    match cursor.peek() {
        Some(first) if first & 0x80 != 0 => tv(cursor),
        _ => tlv(cursor, depth, faults),
    }
}

/// One byte of type, then what the definition says; an unknown one has no end that could be found.
fn tv(cursor: &mut Cursor<'_>) -> Result<Parameter, DecodeError> {
    let offset = cursor.offset();
    let type_number = cursor.bits(8)? as u16 & 0x7f;
    let definition = definitions::parameter(type_number).ok_or_else(|| {
        error("unknown-tv", offset, format!("no parameter has the TV number {type_number}"))
    })?;
    let values = definition.fields.iter().map(|field| value(field.kind, cursor)).collect::<Result<_, _>>()?;
    let body = Body::Known { definition, values, parameters: Vec::new() };
    Ok(Parameter { prefix: Prefix::Tv, type_number, body })
}

fn tlv(cursor: &mut Cursor<'_>, depth: usize, faults: Faults) -> Result<Parameter, DecodeError> {
    let offset = cursor.offset();
    let reserved = cursor.bits(6)? as u8;
    let type_number = cursor.bits(10)? as u16;
    let length = usize::from(cursor.u16()?);
    let Some(content) = length.checked_sub(4) else {
        return Err(error("length", offset + 2, format!("parameter {type_number} of {length} bytes")));
    };
    let content = cursor.sub(content)?;
    let unknown = |mut content: Cursor<'_>| Body::Unknown(content.rest().to_vec());
    let body = match definitions::parameter(type_number).filter(|_| type_number >= 128) {
        Some(definition) => match known(definition, &mut { content }, depth, faults) {
            Err(_) if faults == Faults::Kept => unknown(content),
            body => body?,
        },
        None => unknown(content),
    };
    Ok(Parameter { prefix: Prefix::Tlv { reserved }, type_number, body })
}

fn value(kind: FieldKind, cursor: &mut Cursor<'_>) -> Result<Value, DecodeError> {
    Ok(match kind {
        FieldKind::Unsigned(bits) | FieldKind::Reserved(bits) => {
            Value::Unsigned(cursor.bits(u32::from(bits))?)
        }
        FieldKind::Signed(bits) => {
            let unused = 64 - u32::from(bits);
            Value::Signed((cursor.bits(u32::from(bits))? << unused) as i64 >> unused)
        }
        FieldKind::Text => {
            let len = usize::from(cursor.u16()?);
            Value::Text(cursor.take(len)?.to_vec())
        }
        FieldKind::BitString => {
            let bits = cursor.u16()?;
            Value::Bits { bits, bytes: cursor.take(usize::from(bits).div_ceil(8))?.to_vec() }
        }
        FieldKind::Array(bits) => array(bits, cursor)?,
        FieldKind::Memory(unit) => {
            let count = usize::from(cursor.u16()?);
            Value::Bytes(cursor.take(count * usize::from(unit))?.to_vec())
        }
        FieldKind::Fixed(bytes) => Value::Bytes(cursor.take(usize::from(bytes))?.to_vec()),
        FieldKind::Rest => Value::Bytes(cursor.rest().to_vec()),
    })
}

fn array(bits: u8, cursor: &mut Cursor<'_>) -> Result<Value, DecodeError> {
    let count = usize::from(cursor.u16()?);
    // All of it is there before room is made for it.
    let mut items = cursor.sub(count * usize::from(bits / 8))?;
    let read = (0..count).map(|_| Ok(items.bits(u32::from(bits))? as u32));
    Ok(Value::Array(read.collect::<Result<_, DecodeError>>()?))
}

fn error(reason: &'static str, offset: usize, message: impl Into<String>) -> DecodeError {
    DecodeError { reason, offset, message: message.into() }
}
