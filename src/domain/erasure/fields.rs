//! Which field can hold a person. What is not named here is never touched: a time, a state, a name of a thing.
//!
//! The same fields stand in events, in rows of state and in columns of TimescaleDB. Some names mean another thing
//! beside other fields (`from` is who had it, a zone, or a time), so the object around a field is looked at as well.
//! `tests.rs` refuses a field of an event, a record or an alert that was decided on neither here nor there.

use serde_json::{Map, Value};

/// What a field may say of somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Holds {
    /// Nobody; what it contains is looked at, where it is an object.
    Nobody,
    /// Words, a name or a number among them.
    Words,
    /// A tag's code.
    Code,
    /// `person:NUMBER`, `tag:CODE`, or something else's.
    Subject,
    /// The key of a person's record.
    PersonKey,
    /// The key of a tag's record: `CODE` or `CODE@from`.
    TagKey,
    /// JSON, as text.
    Json,
}

/// Words, wherever they stand.
const WORDS: [&str; 19] = [
    "acknowledged_by",
    "also",
    "asked_by",
    "by",
    "changed_by",
    "checked-out",
    "damage",
    "ended_by",
    "error",
    "given_by",
    "hand",
    "holder",
    "how",
    "note",
    "opened_by",
    "override",
    "person",
    "summary",
    "why",
];
const CODES: [&str; 5] = ["badges", "epc", "epcs", "replaces", "tag"];
/// What they hold is said by the object around them.
const DEPENDS: [&str; 11] =
    ["about", "attributes", "body", "from", "key", "name", "owner", "reader", "reason", "subject", "to"];
/// Of these arrays the items have a `reason` that is one of a few words.
const REASONS: [&str; 3] = ["not_ready", "reasons", "waived"];

/// Whether a field, or a column of TimescaleDB, can hold a person by itself.
pub fn can_hold(field: &str) -> bool {
    WORDS.contains(&field) || CODES.contains(&field) || DEPENDS.contains(&field)
}

/// What is known of an object by its other fields.
pub(super) struct Facts {
    kind: String,
    command: String,
    rule: String,
    pub table: String,
    is_refusal: bool,
    is_proposal: bool,
    is_of_reads: bool,
    /// A row of TimescaleDB: what its alert is about stands beside its subject.
    is_row: bool,
}

impl Facts {
    pub fn of(object: &Map<String, Value>) -> Self {
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            kind: text("kind"),
            command: text("command"),
            rule: text("rule"),
            table: [text("table"), text("table_name")].concat(),
            is_refusal: object.contains_key("refused"),
            is_proposal: object.contains_key("candidates"),
            is_of_reads: object.contains_key("epcs"),
            is_row: object.contains_key("about"),
        }
    }

    /// What `field` of the object holds; `within`: the field that holds the object.
    pub fn holds(&self, field: &str, within: &str) -> Holds {
        let words_if = |they_are: bool| if they_are { Holds::Words } else { Holds::Nobody };
        match field {
            field if WORDS.contains(&field) => Holds::Words,
            field if CODES.contains(&field) => Holds::Code,
            "body" => Holds::Json,
            "subject" if self.is_row => Holds::Subject,
            "subject" | "about" => self.subject(),
            "key" => self.key(),
            "reason" => words_if(!REASONS.contains(&within)),
            "reader" => words_if(self.is_of_reads),
            "attributes" | "owner" => words_if(self.table == "asset"),
            "name" => words_if(self.table == "asset" || self.is_refusal),
            "from" => words_if(
                self.is_proposal
                    || matches!(self.kind.as_str(), "handed-over" | "proposal")
                    || self.command == "hand-over",
            ),
            "to" => words_if(within == "assigned" || matches!(self.command.as_str(), "accept" | "assign")),
            _ => Holds::Nobody,
        }
    }

    fn subject(&self) -> Holds {
        match self.rule.as_str() {
            "" => Holds::Subject,
            "repeat-offender" => Holds::Words,
            "zombie" => Holds::Code,
            _ => Holds::Nobody,
        }
    }

    fn key(&self) -> Holds {
        match self.table.as_str() {
            "person" => Holds::PersonKey,
            "tag" => Holds::TagKey,
            "" if self.is_refusal => Holds::Words,
            _ => Holds::Nobody,
        }
    }
}
