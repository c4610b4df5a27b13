//! Codes in hex, one a line → what they identify.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::{Lines, lines_of};
use crate::decode::epc;
use crate::domain::epc::Epc;

#[derive(Serialize)]
struct Identified {
    epc: String,
    scheme: &'static str,
    uri: String,
    tag_uri: String,
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

pub fn decode<W: Write>(bytes: &[u8], out: &mut Lines<W>) -> io::Result<()> {
    lines_of(bytes).try_for_each(|(offset, line)| match identified(line) {
        Ok(identified) => out.write(&identified),
        Err((reason, error)) => out.write(&Fault { epc: shown(line), error, reason, offset }),
    })
}

fn identified(line: &[u8]) -> Result<Identified, (&'static str, String)> {
    let code = str::from_utf8(line).ok().and_then(Epc::from_hex).ok_or_else(|| {
        ("hex", format!("a code is at most {} hex digits, an even number of them", 2 * Epc::MAX_BYTES))
    })?;
    let identity = epc::decode(&code).map_err(|e| (e.reason(), e.to_string()))?;
    Ok(Identified {
        epc: code.to_string(),
        scheme: identity.scheme,
        uri: identity.uri,
        tag_uri: identity.tag_uri,
        fields: identity.fields.into_iter().collect(),
    })
}

/// The line as it came, in the case that codes have here.
fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(line).to_ascii_lowercase()
}
