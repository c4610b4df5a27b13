//! The names of codes as text: EPC URIs written and read, and whatever else names a code read.

use super::binary::{self, Fields};
use super::characters::{escaped, unescaped};
use super::elements::{self, Elements, parse_digital_link, parse_element_string};
use super::plus;
use super::schemes::{DEPRECATED, SCHEMES, Scheme};
use super::{EpcError, decode};
use crate::domain::epc::Epc;

/// What is not in every name of a code, and is in the code.
#[derive(Clone, Default, Debug)]
pub struct Hints {
    /// The filter value that its tag carries.
    pub filter: Option<u8>,
    /// Company prefixes: a barcode's number does not say where its own ends.
    pub company_prefixes: Vec<String>,
    /// Where no prefix fits, whether the code of the scheme that needs none (SGTIN+ and kin) is meant.
    pub plus: bool,
}

pub(super) fn tag(scheme: &Scheme, fields: &Fields) -> String {
    format!("urn:epc:tag:{}:{}", scheme.name, joined(fields))
}

/// The filter helps a reader choose; it is no part of who the thing is.
pub(super) fn pure_identity(scheme: &Scheme, fields: &Fields) -> String {
    format!("urn:epc:id:{}:{}", scheme.identity, joined(&fields[usize::from(scheme.has_filter())..]))
}

fn joined(fields: &[(&'static str, String)]) -> String {
    fields.iter().map(|(_, value)| escaped(value)).collect::<Vec<_>>().join(".")
}

/// Whether a text is a name and no digits: a URI, or an element string.
pub fn is_name(text: &str) -> bool {
    text.contains(':') || text.starts_with('(')
}

/// The code that a text names: hexadecimal digits, `urn:epc:tag:…`, `urn:epc:raw:…`, `urn:epc:id:…`, an element
/// string, a GS1 Digital Link URI. Where several schemes hold it, it is the one of 96 bits, else the longer.
///
/// # Errors
/// The text names no code, breaks the rules of its scheme, or leaves open what [`Hints`] does not say.
pub fn parse(text: &str, hints: &Hints) -> Result<Epc, EpcError> {
    let text = text.trim();
    if text.starts_with('(') {
        return of_elements(&parse_element_string(text)?, hints);
    }
    let (protocol, rest) = text.split_once(':').unwrap_or(("", text));
    match protocol.to_ascii_lowercase().as_str() {
        "" => Epc::from_hex(text).filter(|epc| epc.bits() > 0).ok_or(EpcError::Text(
            "not hexadecimal digits, an even number of them and at most 124, nor a URI",
        )),
        "http" | "https" => of_elements(&parse_digital_link(text)?, hints),
        "urn" => of_urn(rest, hints),
        _ => Err(EpcError::Text("a URI of a code begins with urn:epc: or https://")),
    }
}

fn of_urn(rest: &str, hints: &Hints) -> Result<Epc, EpcError> {
    let fault = EpcError::Text("not urn:epc:tag:…, urn:epc:id:… or urn:epc:raw:…");
    let mut parts = rest.splitn(4, ':');
    let (Some(namespace), Some(kind), Some(scheme)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(fault);
    };
    if !namespace.eq_ignore_ascii_case("epc") {
        return Err(fault);
    }
    let body = parts.next();
    match (kind.to_ascii_lowercase().as_str(), body) {
        ("raw", None) => raw(scheme),
        ("tag", Some(body)) => of_tag(&scheme.to_ascii_lowercase(), body),
        ("id", Some(body)) => of_identity(&scheme.to_ascii_lowercase(), body, hints),
        _ => Err(fault),
    }
}

/// `96.x3034257BF7194E4000001A85`
fn raw(text: &str) -> Result<Epc, EpcError> {
    let fault = EpcError::Text("not the form of urn:epc:raw:96.x3034257BF7194E4000001A85");
    let (bits, digits) = text.split_once('.').ok_or(fault.clone())?;
    let bits = bits.parse().ok().filter(|bits| *bits > 0);
    let digits = digits.strip_prefix(['x', 'X']).and_then(|digits| hex::decode(digits).ok());
    let (bits, bytes) = bits.zip(digits).ok_or(fault.clone())?;
    Epc::new(bits, &bytes).filter(|epc| epc.bytes().len() == bytes.len()).ok_or(fault)
}

/// The values of so many parts; the last one may have dots of its own.
pub(super) fn values(count: usize, body: &str) -> Result<Vec<String>, EpcError> {
    body.splitn(count, '.').map(unescaped).collect()
}

pub(super) fn scheme_named(name: &str) -> Result<&'static Scheme, EpcError> {
    SCHEMES.iter().find(|scheme| scheme.name == name).ok_or_else(|| EpcError::UnknownScheme(name.to_owned()))
}

fn of_tag(name: &str, body: &str) -> Result<Epc, EpcError> {
    let scheme = scheme_named(name)?;
    let values = values(scheme.names().count(), body)?;
    binary::write(scheme, &values.iter().map(String::as_str).collect::<Vec<_>>())
}

fn of_identity(identity: &str, body: &str, hints: &Hints) -> Result<Epc, EpcError> {
    let scheme = SCHEMES.iter().find(|scheme| scheme.identity == identity);
    let scheme = scheme.ok_or_else(|| EpcError::UnknownScheme(identity.to_owned()))?;
    let count = scheme.names().count() - usize::from(scheme.has_filter());
    of_values(identity, &values(count, body)?, hints)
}

/// The code of the first scheme of the identity that can hold the values.
fn of_values(identity: &str, values: &[String], hints: &Hints) -> Result<Epc, EpcError> {
    let mut refused = EpcError::UnknownScheme(identity.to_owned());
    let meant = |scheme: &&Scheme| scheme.identity == identity && scheme.name != DEPRECATED;
    for scheme in SCHEMES.iter().filter(meant) {
        let filter = match (scheme.has_filter(), hints.filter) {
            (true, None) => return Err(EpcError::NoFilter),
            (true, Some(filter)) => Some(filter.to_string()),
            (false, _) => None,
        };
        let all: Vec<&str> = filter.iter().chain(values).map(String::as_str).collect();
        match binary::write(scheme, &all) {
            Ok(epc) => return Ok(epc),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn of_elements(elements: &Elements, hints: &Hints) -> Result<Epc, EpcError> {
    match elements::to_values(elements, &hints.company_prefixes) {
        Err(EpcError::NoCompanyPrefix(_)) if hints.plus => {
            let epc = plus::write(elements, hints.filter.ok_or(EpcError::NoFilter)?)?;
            // What was written is what is read, or a rule of the key was broken.
            decode(&epc).map(|_| epc)
        }
        Err(error) => Err(error),
        Ok((identity, values)) => of_values(identity, &values, hints),
    }
}
