//! What the standard says of every message and parameter, as tables: names, fields in wire order, and
//! which parameters nest. Reading, writing and printing all follow these, so a field is described once.
//!
//! LLRP 1.0.1, section 16 (40 messages, 108 parameters) with what 1.1 adds. Where 1.1 names bits that
//! 1.0.1 reserves, the later name is used: a 1.0.1 reader sends them as zero.

mod access;
mod capabilities;
mod configuration;
mod events;
mod messages;
mod operation;
mod reports;
pub mod vendor;

/// One message or parameter.
#[derive(Debug)]
pub struct Definition {
    pub type_number: u16,
    pub name: &'static str,
    pub fields: &'static [Field],
    pub nested: Nested,
}

/// One field, in wire order.
#[derive(Debug)]
pub struct Field {
    /// Empty for reserved bits.
    pub name: &'static str,
    pub kind: FieldKind,
}

/// How a field lies on the wire; big-endian throughout (LLRP 1.0.1, section 16.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldKind {
    /// An unsigned number of that many bits, at most 64.
    Unsigned(u8),
    /// A two's complement number of that many bits.
    Signed(u8),
    /// Bits that have no meaning yet; kept so that encoding gives back what came.
    Reserved(u8),
    /// u16 count of bytes, then UTF-8.
    Text,
    /// u16 count of *bits*, then as many bytes as hold them.
    BitString,
    /// u16 count, then numbers of that many bits each.
    Array(u8),
    /// u16 count, then units of that many bytes each: memory, no numbers.
    Memory(u8),
    /// That many bytes.
    Fixed(u8),
    /// Every byte up to the end of the message or parameter.
    Rest,
}

/// The parameters that a message or parameter may carry behind its fields.
#[derive(Clone, Copy, Debug)]
pub struct Nested {
    pub at_most_once: &'static [u16],
    pub repeated: &'static [u16],
}

impl Nested {
    pub fn is_leaf(&self) -> bool {
        self.at_most_once.is_empty() && self.repeated.is_empty()
    }
}

/// The parameter of that number: below 128 a TV, from 128 a TLV.
pub fn parameter(type_number: u16) -> Option<&'static Definition> {
    PARAMETERS.get(usize::from(type_number)).copied().flatten()
}

pub fn message(type_number: u16) -> Option<&'static Definition> {
    MESSAGES.get(usize::from(type_number)).copied().flatten()
}

/// A type number has ten bits.
const NUMBERS: usize = 1024;
type Index = [Option<&'static Definition>; NUMBERS];

static MESSAGES: Index = index(&[messages::MESSAGES]);
static PARAMETERS: Index = PARAMETER_INDEX;
const PARAMETER_INDEX: Index = index(&[
    reports::PARAMETERS,
    events::PARAMETERS,
    capabilities::PARAMETERS,
    operation::PARAMETERS,
    access::PARAMETERS,
    configuration::PARAMETERS,
]);

/// Bytes behind a TV parameter's type byte; `None` where no such parameter is defined.
pub const TV_CONTENT_BYTES: [Option<u8>; 128] = {
    let mut lengths = [None; 128];
    let mut number = 0;
    while number < lengths.len() {
        if let Some(definition) = PARAMETER_INDEX[number] {
            lengths[number] = Some(fixed_bytes(definition.fields));
        }
        number += 1;
    }
    lengths
};

const fn fixed_bytes(fields: &[Field]) -> u8 {
    let mut bits = 0;
    let mut at = 0;
    while at < fields.len() {
        bits += match fields[at].kind {
            FieldKind::Unsigned(bits) | FieldKind::Signed(bits) | FieldKind::Reserved(bits) => bits,
            FieldKind::Fixed(bytes) => bytes * 8,
            _ => panic!("a TV parameter has fields of fixed length only"),
        };
        at += 1;
    }
    bits / 8
}

/// By number; a number defined twice does not compile.
const fn index(tables: &[&'static [Definition]]) -> Index {
    let mut index: Index = [None; NUMBERS];
    let mut table = 0;
    while table < tables.len() {
        let mut row = 0;
        while row < tables[table].len() {
            let definition = &tables[table][row];
            assert!(index[definition.type_number as usize].is_none(), "a type number is defined twice");
            index[definition.type_number as usize] = Some(definition);
            row += 1;
        }
        table += 1;
    }
    index
}

const LEAF: Nested = holds(&[], &[]);

const fn holds(at_most_once: &'static [u16], repeated: &'static [u16]) -> Nested {
    Nested { at_most_once, repeated }
}

const fn message_of(
    type_number: u16,
    name: &'static str,
    fields: &'static [Field],
    nested: Nested,
) -> Definition {
    Definition { type_number, name, fields, nested }
}

const fn tlv(type_number: u16, name: &'static str, fields: &'static [Field], nested: Nested) -> Definition {
    assert!(type_number >= 128 && type_number < 1024);
    Definition { type_number, name, fields, nested }
}

const fn tv(type_number: u16, name: &'static str, fields: &'static [Field]) -> Definition {
    assert!(type_number > 0 && type_number < 128);
    Definition { type_number, name, fields, nested: LEAF }
}

macro_rules! field_constructors {
    ($($constructor:ident: $kind:expr;)*) => {
        $(const fn $constructor(name: &'static str) -> Field {
            Field { name, kind: $kind }
        })*
    };
}

// Named as the protocol's machine-readable definitions name the kinds, and `…v` for counted ones.
field_constructors! {
    u1: FieldKind::Unsigned(1);
    u2: FieldKind::Unsigned(2);
    u8: FieldKind::Unsigned(8);
    u16: FieldKind::Unsigned(16);
    u32: FieldKind::Unsigned(32);
    u64: FieldKind::Unsigned(64);
    s8: FieldKind::Signed(8);
    s16: FieldKind::Signed(16);
    u96: FieldKind::Fixed(12);
    utf8v: FieldKind::Text;
    u1v: FieldKind::BitString;
    u8v: FieldKind::Array(8);
    u16v: FieldKind::Array(16);
    u32v: FieldKind::Array(32);
    bytesv: FieldKind::Memory(1);
    wordsv: FieldKind::Memory(2);
    rest: FieldKind::Rest;
}

const fn reserved(bits: u8) -> Field {
    Field { name: "", kind: FieldKind::Reserved(bits) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = &'static Definition> {
        MESSAGES.iter().chain(&PARAMETERS).copied().flatten()
    }

    #[test]
    fn the_whole_standard_is_there() {
        assert_eq!(MESSAGES.iter().flatten().count(), 40 + 6, "1.0.1 and the six of 1.1");
        assert_eq!(PARAMETERS.iter().flatten().count(), 108 + 15, "1.0.1 and the fifteen of 1.1");
    }

    #[test]
    fn tv_parameters_have_the_lengths_of_the_standard() {
        // LLRP 1.0.1, section 16.2.7.3: the type byte, then this many.
        let lengths: Vec<_> = (1..=20).map(|number| TV_CONTENT_BYTES[number]).collect();
        let expected = [2, 8, 8, 8, 8, 1, 2, 2, 4, 2, 2, 2, 12, 2, 2, 4, 2, 4, 2, 2].map(Some);
        assert_eq!(lengths, expected);
        assert!(TV_CONTENT_BYTES[21..].iter().all(Option::is_none));
    }

    #[test]
    fn fields_fill_whole_bytes_and_only_the_last_is_open_ended() {
        for definition in all() {
            let mut bits = 0u32;
            for (at, field) in definition.fields.iter().enumerate() {
                match field.kind {
                    FieldKind::Unsigned(n) | FieldKind::Signed(n) | FieldKind::Reserved(n) => {
                        bits += u32::from(n);
                    }
                    kind => {
                        assert_eq!(bits % 8, 0, "{} before {}", definition.name, field.name);
                        assert!(kind != FieldKind::Rest || at + 1 == definition.fields.len());
                    }
                }
            }
            assert_eq!(bits % 8, 0, "{}", definition.name);
        }
    }

    #[test]
    fn nested_parameters_exist_and_no_name_is_used_twice_in_one_place() {
        for definition in all() {
            let mut names: Vec<&str> =
                definition.fields.iter().map(|f| f.name).filter(|n| !n.is_empty()).collect();
            for number in definition.nested.at_most_once.iter().chain(definition.nested.repeated) {
                names.push(parameter(*number).expect("a nested parameter is defined").name);
            }
            let total = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), total, "{}", definition.name);
        }
    }
}
