//! Tree → bytes, following the definitions.

use super::definitions::{Definition, Field, FieldKind};
use super::framing::HEADER_BYTES;
use super::tree::{Body, Message, Parameter, Prefix, Value};

/// What cannot be put on the wire as it is.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("{definition} has {expected} fields, not {given}")]
    FieldCount { definition: &'static str, expected: usize, given: usize },
    #[error("field `{field}` of {definition} cannot hold {value:?}")]
    Value { definition: &'static str, field: &'static str, value: Value },
    #[error("{what} {type_number} does not fit into its length field")]
    TooLong { what: &'static str, type_number: u16 },
    #[error("{what} number {type_number} is out of range")]
    TypeNumber { what: &'static str, type_number: u16 },
}

impl Message {
    /// The whole message, header included.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let type_number = self.message_type;
        if type_number >= 1024 || self.version > 7 || self.reserved > 7 {
            return Err(EncodeError::TypeNumber { what: "message", type_number });
        }
        let mut out = Output::default();
        let first = u16::from(self.reserved) << 13 | u16::from(self.version) << 10 | type_number;
        out.bytes.extend(first.to_be_bytes());
        out.bytes.extend([0; 4]);
        out.bytes.extend(self.id.to_be_bytes());
        debug_assert_eq!(out.bytes.len(), HEADER_BYTES);
        out.body(&self.body)?;
        let length = u32::try_from(out.bytes.len())
            .map_err(|_| EncodeError::TooLong { what: "message", type_number })?;
        out.bytes[2..6].copy_from_slice(&length.to_be_bytes());
        Ok(out.bytes)
    }
}

#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    /// Bits that do not fill a byte yet.
    pending: u8,
    pending_bits: u32,
}

impl Output {
    fn body(&mut self, body: &Body) -> Result<(), EncodeError> {
        match body {
            Body::Unknown(bytes) => self.bytes.extend(bytes),
            Body::Known { definition, values, parameters } => {
                self.values(definition, values)?;
                parameters.iter().try_for_each(|parameter| self.parameter(parameter))?;
            }
        }
        Ok(())
    }

    fn parameter(&mut self, parameter: &Parameter) -> Result<(), EncodeError> {
        let Parameter { prefix, type_number, body } = parameter;
        let type_number = *type_number;
        let start = self.bytes.len();
        match prefix {
            Prefix::Tv if type_number < 128 => {
                self.bytes.push(0x80 | type_number as u8);
                self.body(body)
            }
            Prefix::Tlv { reserved } if type_number < 1024 && *reserved < 32 => {
                self.bytes.extend((u16::from(*reserved) << 10 | type_number).to_be_bytes());
                self.bytes.extend([0; 2]);
                self.body(body)?;
                let length = u16::try_from(self.bytes.len() - start)
                    .map_err(|_| EncodeError::TooLong { what: "parameter", type_number })?;
                self.bytes[start + 2..start + 4].copy_from_slice(&length.to_be_bytes());
                Ok(())
            }
            _ => Err(EncodeError::TypeNumber { what: "parameter", type_number }),
        }
    }

    fn values(&mut self, definition: &'static Definition, values: &[Value]) -> Result<(), EncodeError> {
        let (expected, given) = (definition.fields.len(), values.len());
        if expected != given {
            return Err(EncodeError::FieldCount { definition: definition.name, expected, given });
        }
        definition.fields.iter().zip(values).try_for_each(|(field, value)| {
            self.value(field, value).ok_or_else(|| EncodeError::Value {
                definition: definition.name,
                field: field.name,
                value: value.clone(),
            })
        })
    }

    /// `None` where the field cannot hold the value.
    fn value(&mut self, field: &Field, value: &Value) -> Option<()> {
        match (field.kind, value) {
            (FieldKind::Unsigned(bits) | FieldKind::Reserved(bits), Value::Unsigned(number)) => {
                (bits >= 64 || number >> bits == 0).then(|| self.bits(*number, u32::from(bits)))
            }
            (FieldKind::Signed(bits), Value::Signed(number)) => {
                let unused = 64 - u32::from(bits);
                let fits = number << unused >> unused == *number;
                fits.then(|| self.bits(*number as u64, u32::from(bits)))
            }
            (FieldKind::Text, Value::Text(bytes)) => self.counted(bytes.len(), bytes),
            (FieldKind::BitString, Value::Bits { bits, bytes }) => {
                (bytes.len() == usize::from(*bits).div_ceil(8)).then_some(())?;
                self.counted(usize::from(*bits), bytes)
            }
            (FieldKind::Array(bits), Value::Array(items)) => {
                self.counted(items.len(), &[])?;
                items.iter().try_for_each(|item| {
                    (bits >= 32 || item >> bits == 0).then(|| self.bits(u64::from(*item), u32::from(bits)))
                })
            }
            (FieldKind::Memory(unit), Value::Bytes(bytes)) => {
                let unit = usize::from(unit);
                (bytes.len() % unit == 0).then_some(())?;
                self.counted(bytes.len() / unit, bytes)
            }
            (FieldKind::Fixed(len), Value::Bytes(bytes)) => {
                (bytes.len() == usize::from(len)).then(|| self.bytes.extend(bytes))
            }
            (FieldKind::Rest, Value::Bytes(bytes)) => {
                self.bytes.extend(bytes);
                Some(())
            }
            _ => None,
        }
    }

    fn counted(&mut self, count: usize, bytes: &[u8]) -> Option<()> {
        self.bytes.extend(u16::try_from(count).ok()?.to_be_bytes());
        self.bytes.extend(bytes);
        Some(())
    }

    fn bits(&mut self, number: u64, bits: u32) {
        for at in (0..bits).rev() {
            self.pending = self.pending << 1 | (number >> at & 1) as u8;
            self.pending_bits += 1;
            if self.pending_bits == 8 {
                self.bytes.push(self.pending);
                self.pending_bits = 0;
            }
        }
    }
}
