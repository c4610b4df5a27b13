//! Codes, in hex or by one of their names, one a line → what they identify.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::{Lines, lines_of};
use crate::decode::epc::{self, EpcError, Hints};

#[derive(Serialize)]
struct Identified {
    epc: String,
    scheme: &'static str,
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digital_link: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    element_string: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check_digit: Option<char>,
    #[serde(flatten)]
    fields: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct Fault {
    epc: String,
    error: String,
    reason: &'static str,
    offset: usize,
}

pub fn decode<W: Write>(
    bytes: &[u8],
    company_prefixes: &[String],
    filter: u8,
    out: &mut Lines<W>,
) -> io::Result<()> {
    let hints = Hints { filter: Some(filter), company_prefixes: company_prefixes.to_vec(), plus: true };
    lines_of(bytes).try_for_each(|(offset, line)| {
        let text = String::from_utf8_lossy(line);
        match identified(&text, &hints) {
            Ok(identified) => out.write(&identified),
            Err(error) => {
                let (reason, error) = (error.reason(), error.to_string());
                out.write(&Fault { epc: shown(&text), error, reason, offset })
            }
        }
    })
}

fn identified(text: &str, hints: &Hints) -> Result<Identified, EpcError> {
    let code = epc::parse(text, hints)?;
    let identity = epc::decode(&code)?;
    Ok(Identified {
        epc: code.to_string(),
        scheme: identity.scheme,
        digital_link: identity.digital_link(),
        element_string: identity.element_string(),
        check_digit: identity.check_digit(),
        uri: identity.uri,
        tag_uri: identity.tag_uri,
        fields: identity.fields.into_iter().collect(),
    })
}

/// The line as it came; digits in the case that they have here.
fn shown(text: &str) -> String {
    if epc::is_name(text) { text.to_owned() } else { text.to_ascii_lowercase() }
}
