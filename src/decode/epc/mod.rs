//! The bits of a code → what they identify (GS1 EPC Tag Data Standard 1.13, section 14).
//!
//! Pure and table-driven: each scheme is one row of [`schemes`]. A code that is no valid EPC is still
//! a code; [`EpcError`] says why it identifies nothing.

mod schemes;
#[cfg(test)]
mod tests;

use crate::domain::epc::Epc;
use schemes::{COMPANY_PREFIX_BITS, Reference, SCHEMES, Scheme, Tail};

/// What a code identifies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The encoding scheme, for instance `sgtin-96`.
    pub scheme: &'static str,
    /// Pure identity URI (`urn:epc:id:…`): the same whatever tag carries it.
    pub uri: String,
    /// Tag URI (`urn:epc:tag:…`): scheme and filter value included.
    pub tag_uri: String,
    /// The parts, in the order of the tag URI, as they are written there.
    pub fields: Vec<(&'static str, String)>,
}

/// Why a code identifies nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EpcError {
    #[error("the code is empty")]
    Empty,
    #[error("header {0:02x} is of no scheme that is known here")]
    UnknownHeader(u8),
    #[error("{scheme} has {expected} bits, the code {bits}")]
    TooShort { scheme: &'static str, expected: u16, bits: u16 },
    #[error("partition value {0} is reserved")]
    Partition(u64),
    #[error("{field} {value} has more than {digits} digits")]
    TooManyDigits { field: &'static str, value: u64, digits: u32 },
    #[error("{field} has a character that the standard does not allow, or none")]
    Characters { field: &'static str },
    #[error("bits that must be zero are not")]
    NotZero,
}

impl EpcError {
    /// A short stable word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::UnknownHeader(_) => "unknown-header",
            Self::TooShort { .. } => "too-short",
            Self::Partition(_) => "partition",
            Self::TooManyDigits { .. } => "too-many-digits",
            Self::Characters { .. } => "characters",
            Self::NotZero => "not-zero",
        }
    }
}

/// What the code identifies, by the scheme that its first eight bits name.
///
/// # Errors
/// The scheme is unknown, or the code breaks its rules.
pub fn decode(epc: &Epc) -> Result<Identity, EpcError> {
    let header = *epc.bytes().first().ok_or(EpcError::Empty)?;
    let scheme = SCHEMES.iter().find(|s| s.header == header).ok_or(EpcError::UnknownHeader(header))?;
    if epc.bits() < scheme.bits {
        return Err(EpcError::TooShort { scheme: scheme.name, expected: scheme.bits, bits: epc.bits() });
    }
    let mut bits = Bits { bytes: epc.bytes(), at: 8 };
    let mut parts = Parts(Vec::new());
    match scheme.reference {
        Reference::GeneralIdentifier => {
            parts.push("manager", bits.take(28).to_string());
            parts.push("object_class", bits.take(24).to_string());
        }
        _ => gs1_key(scheme, &mut bits, &mut parts)?,
    }
    tail(scheme, &mut bits, &mut parts)?;
    // Memory comes in words of 16 bits; what fills the last one is zero.
    if (bits.at..epc.bits()).any(|_| bits.take(1) != 0) {
        return Err(EpcError::NotZero);
    }
    Ok(identity(scheme, parts))
}

/// Filter, company prefix, and what the company counts: the partition says where one ends.
fn gs1_key(scheme: &Scheme, bits: &mut Bits<'_>, parts: &mut Parts) -> Result<(), EpcError> {
    parts.push("filter", bits.take(3).to_string());
    let partition = bits.take(3);
    let company_bits = usize::try_from(partition).ok().and_then(|p| COMPANY_PREFIX_BITS.get(p));
    let company_bits = *company_bits.ok_or(EpcError::Partition(partition))?;
    let company_digits = 12 - partition as u32;
    parts.push("company_prefix", digits("company_prefix", bits.take(company_bits), company_digits)?);
    match scheme.reference {
        Reference::Numeric { name, bits: both, digits: all } => {
            let value = bits.take(both - company_bits);
            parts.push(name, digits(name, value, all - company_digits)?);
        }
        Reference::Unpadded { name, bits: both, digits: all } => {
            let value = bits.take(both - company_bits);
            digits(name, value, all - company_digits)?;
            parts.push(name, value.to_string());
        }
        Reference::Text { name, bits: both } => {
            parts.push(name, text(name, bits, both - company_bits)?);
        }
        Reference::GeneralIdentifier => {}
    }
    Ok(())
}

fn tail(scheme: &Scheme, bits: &mut Bits<'_>, parts: &mut Parts) -> Result<(), EpcError> {
    match scheme.tail {
        Tail::None => {}
        Tail::Zero(count) => {
            if bits.take(count) != 0 {
                return Err(EpcError::NotZero);
            }
        }
        Tail::Number { name, bits: count } => parts.push(name, bits.take(count).to_string()),
        Tail::Text { name, bits: count } => parts.push(name, text(name, bits, count)?),
    }
    Ok(())
}

/// `value` with leading zeros; no digits at all for a part that the company prefix leaves no room for.
fn digits(field: &'static str, value: u64, digits: u32) -> Result<String, EpcError> {
    if 10u64.checked_pow(digits).is_some_and(|limit| value >= limit) {
        return Err(EpcError::TooManyDigits { field, value, digits });
    }
    Ok(if digits == 0 { String::new() } else { format!("{value:0width$}", width = digits as usize) })
}

/// Seven bits a character up to a zero, then zeros (section 14.4.2), escaped for a URI.
fn text(field: &'static str, bits: &mut Bits<'_>, count: u16) -> Result<String, EpcError> {
    let refused = EpcError::Characters { field };
    let mut text = String::new();
    let mut ended = false;
    for _ in 0..count / 7 {
        match bits.take(7) as u8 {
            0 => ended = true,
            _ if ended => return Err(refused),
            character if is_allowed(character) => escape(character, &mut text),
            _ => return Err(refused),
        }
    }
    if bits.take(count % 7) != 0 {
        return Err(EpcError::NotZero);
    }
    if text.is_empty() { Err(refused) } else { Ok(text) }
}

/// GS1's character set 82 (table A-1).
fn is_allowed(character: u8) -> bool {
    character.is_ascii_alphanumeric() || b"!\"%&'()*+,-./:;<=>?_".contains(&character)
}

fn escape(character: u8, text: &mut String) {
    if b"\"%&/<>?".contains(&character) {
        text.push_str(&format!("%{character:02X}"));
    } else {
        text.push(char::from(character));
    }
}

fn identity(scheme: &'static Scheme, Parts(fields): Parts) -> Identity {
    let join = |fields: &[(_, String)]| fields.iter().map(|(_, v)| v.as_str()).collect::<Vec<_>>().join(".");
    // The filter helps a reader choose; it is no part of who the thing is.
    let named = usize::from(fields.first().is_some_and(|(name, _)| *name == "filter"));
    Identity {
        scheme: scheme.name,
        uri: format!("urn:epc:id:{}:{}", scheme.identity, join(&fields[named..])),
        tag_uri: format!("urn:epc:tag:{}:{}", scheme.name, join(&fields)),
        fields,
    }
}

struct Parts(Vec<(&'static str, String)>);

impl Parts {
    fn push(&mut self, name: &'static str, value: String) {
        self.0.push((name, value));
    }
}

/// Takes numbers off a bit string, most significant first. What lies behind its end reads as zero;
/// lengths are checked before.
struct Bits<'a> {
    bytes: &'a [u8],
    at: u16,
}

impl Bits<'_> {
    /// At most 64 bits.
    fn take(&mut self, count: u16) -> u64 {
        let mut number = 0;
        for at in self.at..self.at + count {
            let byte = self.bytes.get(usize::from(at / 8)).copied().unwrap_or(0);
            number = number << 1 | u64::from(byte >> (7 - at % 8) & 1);
        }
        self.at += count;
        number
    }
}
