//! A message as a tree of named fields and parameters: complete, and exactly as it came, so that
//! encoding gives back the same bytes. For settings, answers and people; tag reports at full rate
//! take [`super::ReportDecoder`] instead.

use super::definitions::{Definition, FieldKind};

/// One message. The length in the header is not kept: it follows from the content.
#[derive(Clone, PartialEq, Debug)]
pub struct Message {
    /// The header's three reserved bits.
    pub reserved: u8,
    /// Protocol version: 1 for LLRP 1.0.1, 2 for LLRP 1.1.
    pub version: u8,
    pub message_type: u16,
    pub id: u32,
    pub body: Body,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Parameter {
    pub prefix: Prefix,
    pub type_number: u16,
    pub body: Body,
}

/// How a parameter starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prefix {
    /// One byte; the length follows from the type.
    Tv,
    /// Six reserved bits (kept), the type, a length.
    Tlv { reserved: u8 },
}

/// What follows a message's or a parameter's header.
#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    /// One value a field of the definition, reserved bits among them, then the nested parameters.
    Known { definition: &'static Definition, values: Vec<Value>, parameters: Vec<Parameter> },
    /// Of a type that the tables do not have; or of one whose content is not what they say, where that was kept.
    Unknown(Vec<u8>),
}

/// A field's value; the definition says how wide it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    Unsigned(u64),
    Signed(i64),
    /// Meant to be UTF-8, and kept as it came.
    Text(Vec<u8>),
    /// `bytes` hold `bits` bits, most significant first; what lies behind the last one is kept.
    Bits {
        bits: u16,
        bytes: Vec<u8>,
    },
    Array(Vec<u32>),
    /// Memory, identifiers, vendors' data.
    Bytes(Vec<u8>),
}

/// Definitions are compared by identity: there is one of each.
impl PartialEq for Definition {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Message {
    /// The standard's name of the message, where the tables have it.
    pub fn name(&self) -> Option<&'static str> {
        self.body.definition().map(|d| d.name)
    }
}

impl Parameter {
    pub fn name(&self) -> Option<&'static str> {
        self.body.definition().map(|d| d.name)
    }
}

impl Body {
    pub fn definition(&self) -> Option<&'static Definition> {
        match self {
            Self::Known { definition, .. } => Some(definition),
            Self::Unknown(_) => None,
        }
    }

    pub fn parameters(&self) -> &[Parameter] {
        match self {
            Self::Known { parameters, .. } => parameters,
            Self::Unknown(_) => &[],
        }
    }

    /// Nested parameters of that number, in wire order.
    pub fn all(&self, type_number: u16) -> impl Iterator<Item = &Body> {
        self.parameters().iter().filter(move |p| p.type_number == type_number).map(|p| &p.body)
    }

    pub fn first(&self, type_number: u16) -> Option<&Body> {
        self.all(type_number).next()
    }

    /// Named fields with their values, in wire order; reserved bits are left out.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        let (definition, values): (_, &[Value]) = match self {
            Self::Known { definition, values, .. } => (definition.fields, values),
            Self::Unknown(_) => (&[][..], &[]),
        };
        definition
            .iter()
            .zip(values)
            .filter(|(field, _)| !matches!(field.kind, FieldKind::Reserved(_)))
            .map(|(field, value)| (field.name, value))
    }

    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// The unsigned field of that name.
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.field(name)? {
            Value::Unsigned(number) => Some(*number),
            _ => None,
        }
    }

    /// The field of that name that holds bytes.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        match self.field(name)? {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The signed field of that name.
    pub fn signed(&self, name: &str) -> Option<i64> {
        match self.field(name)? {
            Value::Signed(number) => Some(*number),
            _ => None,
        }
    }

    /// The text field of that name, as [`readable`] has it.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.field(name)? {
            Value::Text(bytes) => Some(readable(bytes)),
            _ => None,
        }
    }
}

/// Characters of a reader's words that are shown to people.
const MOST_WORDS: usize = 300;

/// A reader's words for people, in a log, an alert or on a terminal: what is not UTF-8 or would control the terminal is
/// replaced, and what goes on for too long is cut.
pub(super) fn readable(bytes: &[u8]) -> String {
    let words = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * MOST_WORDS)]);
    let shown = words.chars().take(MOST_WORDS);
    let shown = shown.map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
    let more = words.chars().nth(MOST_WORDS).map(|_| '…');
    shown.chain(more).collect()
}
