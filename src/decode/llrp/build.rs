//! Makes messages and parameters out of values, reserved bits filled in.

use super::definitions::{self, Definition, FieldKind};
use super::tree::{Body, Message, Parameter, Prefix, Value};

/// A message of LLRP 1.0.1. `values` are its named fields in wire order.
///
/// # Panics
/// Where the tables have no such message; take the number from [`super::numbers::message`].
pub fn message(
    message_type: u16,
    id: u32,
    values: impl IntoIterator<Item = Value>,
    parameters: Vec<Parameter>,
) -> Message {
    let definition = definitions::message(message_type).expect("the tables have every message we send");
    Message { reserved: 0, version: 1, message_type, id, body: body(definition, values, parameters) }
}

/// A parameter; `values` are its named fields in wire order.
///
/// # Panics
/// Where the tables have no such parameter; take the number from [`super::numbers::parameter`].
pub fn parameter(
    type_number: u16,
    values: impl IntoIterator<Item = Value>,
    parameters: Vec<Parameter>,
) -> Parameter {
    let definition = definitions::parameter(type_number).expect("the tables have every parameter we send");
    let prefix = if type_number < 128 { Prefix::Tv } else { Prefix::Tlv { reserved: 0 } };
    Parameter { prefix, type_number, body: body(definition, values, parameters) }
}

/// Too few or too many values stay too few or too many: encoding says so.
fn body(
    definition: &'static Definition,
    values: impl IntoIterator<Item = Value>,
    parameters: Vec<Parameter>,
) -> Body {
    let mut given = values.into_iter();
    let mut values = Vec::with_capacity(definition.fields.len());
    for field in definition.fields {
        match field.kind {
            FieldKind::Reserved(_) => values.push(Value::Unsigned(0)),
            _ => values.extend(given.next()),
        }
    }
    values.extend(given);
    Body::Known { definition, values, parameters }
}

macro_rules! unsigned_values {
    ($($number:ty),*) => {
        $(impl From<$number> for Value {
            fn from(number: $number) -> Self {
                Self::Unsigned(u64::from(number))
            }
        })*
    };
}
unsigned_values!(bool, u8, u16, u32, u64);

impl From<&[u16]> for Value {
    fn from(items: &[u16]) -> Self {
        Self::Array(items.iter().map(|item| u32::from(*item)).collect())
    }
}
