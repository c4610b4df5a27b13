//! Codes in tags, their names, and back (GS1 EPC Tag Data Standard 2.3, GS1 Digital Link URI Syntax 1.3).
//!
//! ```text
//! bits ─┬─ schemes ── company prefix by itself ─┬─▶ parts ─┬─▶ tag URI, pure identity URI
//!       └─ plus ───── keys as in barcodes ──────┘          └─▶ elements ─▶ element string, Digital Link
//! ```
//! Pure and along tables, the same ones both ways. A code that is no valid EPC is still a code; [`EpcError`]
//! says why it identifies nothing. Not read: the domains of the `++` schemes, and data behind a code.

mod alphanumeric;
mod binary;
mod bits;
mod characters;
mod elements;
mod error;
mod names;
pub mod pattern;
mod plus;
#[cfg(test)]
mod properties;
mod schemes;
#[cfg(test)]
mod tests;

pub use error::EpcError;
pub use names::{Hints, is_name, parse};

use crate::domain::epc::Epc;
use binary::Fields;
use bits::Bits;
use elements::Elements;
use plus::PLUS;
use schemes::{SCHEMES, Scheme, WITH_DOMAIN};

/// What a code identifies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The encoding scheme, for instance `sgtin-96`.
    pub scheme: &'static str,
    /// The same whatever tag carries it: the pure identity URI (`urn:epc:id:…`), or where the scheme has none,
    /// as those with a plus, the Digital Link.
    pub uri: String,
    /// Tag URI (`urn:epc:tag:…`): scheme and filter value included. The schemes with a plus have none.
    pub tag_uri: Option<String>,
    /// The parts, in the order of the tag URI, as people write them: nothing is escaped.
    pub fields: Fields,
    /// Application identifiers and their values, the key first; empty where there is no GS1 key.
    pub elements: Elements,
}

impl Identity {
    /// `(01)80614141123458(21)6789`
    pub fn element_string(&self) -> Option<String> {
        (!self.elements.is_empty()).then(|| elements::element_string(&self.elements))
    }

    /// `https://id.gs1.org/01/80614141123458/21/6789`
    pub fn digital_link(&self) -> Option<String> {
        (!self.elements.is_empty()).then(|| elements::digital_link(&self.elements))
    }

    /// Of its key, where that has one.
    pub fn check_digit(&self) -> Option<char> {
        let (ai, value) = self.elements.first()?;
        elements::check_digit_of(ai, value)
    }
}

/// What the code identifies, by the scheme that its first eight bits name.
///
/// # Errors
/// The scheme is unknown, or the code breaks its rules.
pub fn decode(epc: &Epc) -> Result<Identity, EpcError> {
    let header = *epc.bytes().first().ok_or(EpcError::Empty)?;
    let mut bits = Bits::new(epc);
    bits.take(8);
    if let Some(scheme) = SCHEMES.iter().find(|scheme| scheme.header == header) {
        return named(scheme, epc, bits);
    }
    if let Some(scheme) = PLUS.iter().find(|scheme| scheme.header == header) {
        let read = plus::read(scheme, &mut bits);
        whole(scheme.name, epc, &bits)?;
        let (fields, elements) = read?;
        let uri = elements::digital_link(&elements);
        return Ok(Identity { scheme: scheme.name, uri, tag_uri: None, fields, elements });
    }
    match WITH_DOMAIN.iter().find(|(known, _)| *known == header) {
        Some((_, name)) => Err(EpcError::NotCovered(name)),
        None => Err(EpcError::UnknownHeader(header)),
    }
}

fn named(scheme: &'static Scheme, epc: &Epc, mut bits: Bits<'_>) -> Result<Identity, EpcError> {
    if epc.bits() < scheme.bits {
        return Err(EpcError::TooShort { scheme: scheme.name, expected: scheme.bits, bits: epc.bits() });
    }
    let read = binary::read(scheme, &mut bits);
    whole(scheme.name, epc, &bits)?;
    let fields = read?;
    if !bits.rest_is_zero() {
        return Err(EpcError::NotZero);
    }
    Ok(Identity {
        scheme: scheme.name,
        uri: names::pure_identity(scheme, &fields),
        tag_uri: Some(names::tag(scheme, &fields)),
        elements: elements::of_fields(scheme.identity, &fields).unwrap_or_default(),
        fields,
    })
}

/// Refuses a code that ended before its content did; what was read behind its end means nothing.
fn whole(scheme: &'static str, epc: &Epc, bits: &Bits<'_>) -> Result<(), EpcError> {
    if bits.overran() {
        return Err(EpcError::TooShort { scheme, expected: bits.at(), bits: epc.bits() });
    }
    Ok(())
}
