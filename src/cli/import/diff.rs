//! What an import would change, line by line.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::parse::Import;
use crate::domain::ids::AssetId;
use crate::domain::register::{Checkout, Record};

/// `+ asset FL-01 class: forklift`, `~ asset FL-02 class: a → b`; unchanged records have no line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Diff {
    pub lines: Vec<String>,
    pub created: usize,
    pub updated: usize,
    pub unchanged: usize,
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        let (created, updated, unchanged) = (self.created, self.updated, self.unchanged);
        writeln!(f, "{created} to create, {updated} to update, {unchanged} unchanged")
    }
}

/// Compares an import with the register, by [`Record::state_key`], and the open checkouts.
pub fn diff(
    import: &Import,
    register: &BTreeMap<String, Record>,
    held: &BTreeMap<AssetId, Checkout>,
) -> Diff {
    let mut diff = Diff::default();
    for record in &import.records {
        let before = register.get(&record.state_key()).map(fields);
        diff.add(&format!("{} {}", record.table(), record.key()), before, fields(record));
    }
    for checkout in &import.checkouts {
        let before = held.get(&checkout.asset).map(fields);
        diff.add(&format!("checkout {}", checkout.asset), before, fields(checkout));
    }
    diff
}

impl Diff {
    fn add(&mut self, what: &str, before: Option<Map<String, Value>>, after: Map<String, Value>) {
        let Some(before) = before else {
            let told: Vec<String> =
                after.iter().map(|(key, value)| format!("{key}: {}", shown(Some(value)))).collect();
            self.created += 1;
            self.lines.push(format!("+ {what} {}", told.join(", ")).trim_end().to_owned());
            return;
        };
        let changes = differences(&before, &after);
        if changes.is_empty() {
            self.unchanged += 1;
        } else {
            self.updated += 1;
            self.lines.push(format!("~ {what} {}", changes.join(", ")));
        }
    }
}

/// What changed from one state of a record to another: `class: a → b`.
pub fn changes(before: &Record, after: &Record) -> Vec<String> {
    differences(&fields(before), &fields(after))
}

fn differences(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| format!("{key}: {} → {}", shown(before.get(key)), shown(after.get(key))))
        .collect()
}

/// The fields beside the key; attributes as fields of their own.
fn fields(row: &impl serde::Serialize) -> Map<String, Value> {
    // Register rows are objects of texts, numbers and flags: JSON holds all of it.
    let Ok(Value::Object(mut fields)) = serde_json::to_value(row) else { return Map::new() };
    let key = match fields.get("table").and_then(Value::as_str) {
        Some("site" | "zone" | "class" | "maintenance") => "name",
        Some("asset" | "person") => "id",
        Some("tag") => "epc",
        Some("tracker" | "sensor") => "device",
        _ => "asset",
    };
    fields.remove(key);
    fields.remove("table");
    if let Some(Value::Object(attributes)) = fields.remove("attributes") {
        fields.extend(attributes.into_iter().map(|(name, value)| (format!("attributes.{name}"), value)));
    }
    fields.retain(|_, value| !value.is_null());
    fields
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "(none)".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}
