//! JSON files: an array of records in the API's shape, or one record a line. A checkout is an object of the
//! table `checkout`. Each record keeps the line that it begins in, for the faults that are found later.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::parse::{Parsed, Place, TimelessCheckout};
use super::problem::{ImportProblem, Sheet};
use super::tables::{Kind, RawCheckout};
use super::write::kind_of;
use crate::domain::ids::AssetId;
use crate::domain::register::Record;

/// Whether a file's name says that it is JSON.
pub(super) fn is_json(file: &str) -> bool {
    let lower = file.to_ascii_lowercase();
    [".json", ".jsonl", ".ndjson"].iter().any(|end| lower.ends_with(end))
}

#[derive(Deserialize)]
struct Tagged {
    table: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLine {
    #[serde(rename = "table")]
    _table: String,
    asset: AssetId,
    holder: String,
    #[serde(default)]
    due_back: Option<String>,
    #[serde(default)]
    checked_out_at: Option<String>,
    #[serde(default)]
    note: Option<String>,
}

pub(super) fn parse(
    file: &str,
    bytes: &[u8],
    parsed: &mut Parsed,
    problems: &mut Vec<ImportProblem>,
    progress: &mut dyn FnMut(&str, usize),
) {
    let sheet = Sheet { file: file.to_owned(), header: Vec::new(), json: true };
    let index = parsed.sheets.len();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let line = line_at(bytes, error.valid_up_to());
            problems.push(sheet.problem(line, "", None, "not UTF-8 text", "save the file as UTF-8"));
            return;
        }
    };
    for (count, (line, value)) in values(&sheet, text, problems).into_iter().enumerate() {
        if (count + 1).is_multiple_of(super::parse::PROGRESS_ROWS) {
            progress(file, count + 1);
        }
        let place = Place { sheet: index, line };
        if let Err(wrong) = take(value, place, parsed) {
            problems.push(sheet.problem(line, "", None, wrong, ALLOWED));
        }
    }
    parsed.sheets.push(sheet);
}

const ALLOWED: &str = "a record such as {\"table\": \"asset\", \"id\": \"FL-07\", \"class\": \"forklift\"}";

/// Every value with the line that it begins in.
fn values<'t>(sheet: &Sheet, text: &'t str, problems: &mut Vec<ImportProblem>) -> Vec<(usize, &'t RawValue)> {
    if text.trim_start().starts_with('[') {
        return match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(values) => {
                let (mut line, mut seen) = (1, 0);
                let place = |value: &'t RawValue| {
                    let at = value.get().as_ptr() as usize - text.as_ptr() as usize;
                    line += text.as_bytes()[seen..at].iter().filter(|byte| **byte == b'\n').count();
                    seen = at;
                    (line, value)
                };
                values.into_iter().map(place).collect()
            }
            Err(error) => {
                problems.push(sheet.problem(
                    error.line(),
                    "",
                    None,
                    error.to_string(),
                    "an array of records",
                ));
                Vec::new()
            }
        };
    }
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let mut values = Vec::new();
    for (number, line) in lines {
        match serde_json::from_str::<&RawValue>(line) {
            Ok(value) => values.push((number, value)),
            Err(error) => {
                let wrong = format!("not JSON: {error}");
                problems.push(sheet.problem(number, "", None, wrong, "one record a line, or one array"));
            }
        }
    }
    values
}

fn take(value: &RawValue, place: Place, parsed: &mut Parsed) -> Result<(), String> {
    let tagged: Tagged = serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
    if tagged.table == "checkout" {
        let line: RawLine = serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
        let RawLine { asset, holder, due_back, checked_out_at, note, .. } = line;
        let checkout = RawCheckout { asset, holder, note };
        parsed.checkouts.push(TimelessCheckout { place, checkout, due_back, checked_out_at });
        return Ok(());
    }
    let record: Record = serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
    let kind: Kind = kind_of(&record);
    parsed.records.push((kind, place, record));
    Ok(())
}

fn line_at(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1
}
