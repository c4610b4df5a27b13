//! Text and JSON without the person.
//!
//! Of free text, whole words are replaced: `P-7` in "handed to P-7", not in `P-70` or `XP-7`. Of JSON, fields that name
//! something else (an asset, a zone, a reader) stay as they are, should it be called the same. A badge's code
//! gives way to a code of the label's, so that what is read as a code still is one.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Erasure;
use crate::domain::epc::Epc;

/// Fields, and columns of TimescaleDB, that never name a person.
const OTHERS: [&str; 62] = [
    "allowed_zones",
    "antenna",
    "asset",
    "audit",
    "change",
    "class",
    "classes",
    "command",
    "cost_centre",
    "coverage",
    "criticality",
    "declared_by",
    "device",
    "direction",
    "epoch",
    "event_id",
    "expected",
    "fence",
    "fences",
    "from_zone",
    "handover",
    "home_zone",
    "incident",
    "kind",
    "last_kind",
    "last_transition",
    "lifecycle",
    "limit",
    "limit_name",
    "limits",
    "needs",
    "node",
    "number",
    "of_kind",
    "of_name",
    "out-through",
    "part",
    "part_of",
    "point",
    "portal",
    "previous_incident",
    "protocol",
    "quality",
    "read-point",
    "read_point",
    "receivers",
    "register",
    "returns",
    "rule",
    "seen",
    "severity",
    "site",
    "sites",
    "source",
    "standing",
    "state",
    "table",
    "table_name",
    "tracker",
    "transition",
    "utilisation",
    "zone",
];
/// Prefixes of a subject that is somebody or something else.
const SUBJECTS: [&str; 12] = [
    "asset:",
    "device:",
    "source:",
    "site:",
    "zone:",
    "class:",
    "tracker:",
    "sensor:",
    "maintenance:",
    "node:",
    "at ",
    "audit:",
];
/// Tables whose records have a name that others refer to.
const NAMED: [&str; 4] = ["site", "zone", "class", "maintenance"];

/// Replaces one person by a label.
pub struct Eraser {
    label: String,
    /// In place of a badge's code.
    code: String,
    person: String,
    /// The longest first, so that a name goes before a part of it.
    texts: Vec<Needle>,
    badges: Vec<Epc>,
}

struct Needle {
    text: String,
    /// As JSON writes it, in lower case.
    json: Vec<u8>,
    replacement: String,
    any_case: bool,
}

impl Eraser {
    pub fn new(erasure: &Erasure) -> Self {
        let label = erasure.label.clone();
        let code = hex_of(&label);
        let needle = |text: &str, replacement: &str, any_case| {
            let json = Value::from(text).to_string().to_ascii_lowercase().into_bytes();
            let json = json.get(1..json.len() - 1).unwrap_or_default().to_vec();
            Needle { text: text.to_owned(), json, replacement: replacement.to_owned(), any_case }
        };
        // A number is what it is; names are written as people write them.
        let texts = erasure.texts.iter().filter(|text| !text.trim().is_empty());
        let mut texts: Vec<Needle> =
            texts.map(|text| needle(text, &label, *text != erasure.person && text.len() > 2)).collect();
        let badges = erasure.badges.iter().filter(|epc| epc.bits() > 0);
        texts.extend(badges.map(|epc| needle(&epc.to_string(), &code, true)));
        texts.sort_by_key(|needle| std::cmp::Reverse(needle.text.len()));
        let (person, badges) = (erasure.person.clone(), erasure.badges.clone());
        Self { label, code, person, texts, badges }
    }

    pub fn label(&self) -> &str {
        &self.label
    }

    /// What is looked for, as JSON writes it.
    pub fn needles(&self) -> impl Iterator<Item = String> {
        self.texts.iter().map(|needle| String::from_utf8_lossy(&needle.json).into_owned())
    }

    /// Whether something may name the person: text, JSON, or bytes that hold either or a badge's code.
    pub fn mentions(&self, bytes: &[u8]) -> bool {
        self.texts.iter().any(|needle| {
            contains(bytes, &needle.json) || contains(bytes, needle.text.to_ascii_lowercase().as_bytes())
        })
    }

    /// Whether bytes of a device hold a badge's code as it is on the air; codes of a few bytes are anywhere.
    pub fn holds_badge(&self, bytes: &[u8]) -> bool {
        let codes = self.badges.iter().map(Epc::bytes).filter(|code| code.len() >= 4);
        codes.into_iter().any(|code| bytes.windows(code.len()).any(|window| window == code))
    }

    /// Whether a text is one of the person's names, or their number.
    pub fn is_name(&self, text: &str) -> bool {
        self.texts.iter().any(|needle| needle.replacement == self.label && needle.is(text))
    }

    pub fn is_badge(&self, epc: &Epc) -> bool {
        self.badges.contains(epc)
    }

    /// The text without the person; `None` where it does not name them.
    pub fn text(&self, text: &str) -> Option<String> {
        let mut erased: Option<String> = None;
        for needle in &self.texts {
            if let Some(next) = needle.replace(erased.as_deref().unwrap_or(text)) {
                erased = Some(next);
            }
        }
        erased
    }

    /// A value as it is without the person; `None` where it does not name them.
    pub fn value<T: Serialize + DeserializeOwned>(&self, value: &T) -> Option<T> {
        let mut json = serde_json::to_value(value).ok()?;
        if self.json(&mut json) { serde_json::from_value(json).ok() } else { None }
    }

    /// JSON text without the person; `None` where it does not name them.
    pub fn json_text(&self, text: &str) -> Option<String> {
        if !self.mentions(text.as_bytes()) {
            return None;
        }
        match serde_json::from_str::<Value>(text) {
            Ok(mut value) => self.json(&mut value).then(|| value.to_string()),
            // Nothing that we wrote; it is text all the same.
            Err(_) => self.text(text),
        }
    }

    /// Whether anything of it was replaced.
    pub fn json(&self, value: &mut Value) -> bool {
        self.walk(value, "")
    }

    fn walk(&self, value: &mut Value, field: &str) -> bool {
        match value {
            Value::Object(object) => self.object(object),
            Value::Array(_) | Value::String(_) if OTHERS.contains(&field) => false,
            Value::Array(items) => {
                items.iter_mut().fold(false, |erased, item| self.walk(item, field) | erased)
            }
            Value::String(text) => {
                let erased = match field {
                    "body" if text.starts_with('{') => self.json_text(text),
                    "subject" | "about" | "what" => self.subject(text),
                    _ => self.text(text),
                };
                erased.map(|erased| *text = erased).is_some()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    fn object(&self, object: &mut Map<String, Value>) -> bool {
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let table = [text("table"), text("table_name")].concat();
        if table == "person" && text("id") == self.person {
            // Nothing of the record says anything of anybody but them.
            object.clear();
            object.insert("table".to_owned(), "person".into());
            object.insert("id".to_owned(), self.label.clone().into());
            return true;
        }
        let zones = text("kind") == "passage";
        let of_holder = text("rule") == "repeat-offender";
        let mut erased = false;
        for (field, value) in object.iter_mut() {
            let replaced = match (field.as_str(), &mut *value) {
                ("from" | "to", Value::String(_)) if zones => None,
                ("id" | "from" | "to", Value::String(_)) if !table.is_empty() => None,
                ("name", Value::String(_)) if NAMED.contains(&table.as_str()) => None,
                ("key", Value::String(key)) if !table.is_empty() => self.record_key(&table, key),
                ("subject" | "about", Value::String(holder)) if of_holder && self.is_name(holder) => {
                    Some(self.label.clone())
                }
                (field, value) => {
                    erased |= self.walk(value, field);
                    continue;
                }
            };
            if let Some(replaced) = replaced {
                *value = replaced.into();
                erased = true;
            }
        }
        erased
    }

    /// Whom an event or an alert is about.
    pub fn subject(&self, subject: &str) -> Option<String> {
        match subject.strip_prefix("person:") {
            Some(person) => (person == self.person).then(|| format!("person:{}", self.label)),
            None if SUBJECTS.iter().any(|prefix| subject.starts_with(prefix)) => None,
            // A tag's code, by itself or as `tag:CODE@from`.
            None => {
                let (prefix, code) =
                    subject.split_once(':').map_or(("", subject), |(kind, code)| (kind, code));
                let theirs = Epc::from_hex(code.split('@').next()?).is_some_and(|epc| self.is_badge(&epc));
                let colon = if prefix.is_empty() { "" } else { ":" };
                theirs.then(|| format!("{prefix}{colon}{}", self.code))
            }
        }
    }

    fn record_key(&self, table: &str, key: &str) -> Option<String> {
        let theirs = match table {
            "person" => key == self.person,
            "tag" => {
                let (epc, _) = crate::domain::register::split_key(key);
                Epc::from_hex(epc).is_some_and(|epc| self.is_badge(&epc))
            }
            _ => false,
        };
        theirs.then(|| if table == "tag" { self.code.clone() } else { self.label.clone() })
    }
}

impl Needle {
    fn is(&self, text: &str) -> bool {
        if self.any_case { self.text.eq_ignore_ascii_case(text) } else { self.text == text }
    }

    fn replace(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        let mut copied = 0;
        let mut from = 0;
        while let Some(at) = self.find(text, from) {
            let end = at + self.text.len();
            if is_word(text, at, end) {
                out.push_str(&text[copied..at]);
                out.push_str(&self.replacement);
                copied = end;
                from = end;
            } else {
                from = at + text[at..].chars().next().map_or(1, char::len_utf8);
            }
        }
        if copied == 0 && out.is_empty() {
            return None;
        }
        out.push_str(&text[copied..]);
        Some(out)
    }

    fn find(&self, text: &str, from: usize) -> Option<usize> {
        let (bytes, needle) = (text.as_bytes(), self.text.as_bytes());
        let last = bytes.len().checked_sub(needle.len())?;
        (from..=last).find(|at| {
            let window = &bytes[*at..at + needle.len()];
            let same = if self.any_case { window.eq_ignore_ascii_case(needle) } else { window == needle };
            same && text.is_char_boundary(*at) && text.is_char_boundary(at + needle.len())
        })
    }
}

/// Whether what stands at `at..end` is no part of a longer word or number such as `P-70` or `FL-7`.
fn is_word(text: &str, at: usize, end: usize) -> bool {
    let joins = |c: char| matches!(c, '-' | '_' | '.');
    let ends = |mut chars: Box<dyn Iterator<Item = char> + '_>| match chars.next() {
        None => true,
        Some(c) if c.is_alphanumeric() => false,
        Some(c) if joins(c) => !chars.next().is_some_and(char::is_alphanumeric),
        Some(_) => true,
    };
    ends(Box::new(text[..at].chars().rev())) && ends(Box::new(text[end..].chars()))
}

/// `needle` is in lower case.
fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return false };
    let Some(last) = bytes.len().checked_sub(needle.len()) else { return false };
    (0..=last).any(|at| {
        bytes[at].to_ascii_lowercase() == *first && bytes[at..at + needle.len()].eq_ignore_ascii_case(needle)
    })
}

/// The digits of a label, as a tag's code.
fn hex_of(label: &str) -> String {
    let digits = label.rsplit('-').next().unwrap_or_default();
    match Epc::from_hex(digits) {
        Some(epc) if epc.bits() > 0 => epc.to_string(),
        _ => "00".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::time::Timestamp;

    const BADGE: &str = "3034257bf7194e4000001a85";

    fn eraser() -> Eraser {
        let texts = ["P-7", "Ada Lovelace", "Ada"].map(str::to_owned).to_vec();
        let badges = vec![Epc::from_hex(BADGE).unwrap()];
        let label = "erased-00112233aabbccdd".to_owned();
        Eraser::new(&Erasure::new(label, "P-7".to_owned(), texts, badges, Timestamp::from_secs(0)))
    }

    #[test]
    fn whole_words_are_replaced_and_parts_of_words_are_not() {
        let eraser = eraser();
        let text = |text: &str| eraser.text(text);
        assert_eq!(
            text("to P-7, then (ada lovelace)").unwrap(),
            "to erased-00112233aabbccdd, then (erased-00112233aabbccdd)"
        );
        assert_eq!(text("Ada's."), Some("erased-00112233aabbccdd's.".to_owned()));
        for other in ["P-70", "XP-7", "FL-P-7", "p-7", "Adam", "Canada", "Ünter P-7ü", ""] {
            assert_eq!(text(other), None, "{other}");
        }
        assert_eq!(text(&BADGE.to_uppercase()).unwrap(), "00112233aabbccdd");
        assert_eq!(text("P-7 P-7").unwrap(), "erased-00112233aabbccdd erased-00112233aabbccdd");
    }

    #[test]
    fn what_is_called_the_same_and_is_no_person_stays() {
        let mut body = json!({
            "kind": "handed-over", "asset": "P-7", "holder": "Ada Lovelace", "from": "P-7", "zone": "Ada",
            "how": "sensed passing P-7 with P-7", "candidates": [{ "person": "P-7" }], "alert": { "key": { "rule": "ghost", "subject": "P-7" } },
        });
        assert!(eraser().json(&mut body));
        let label = "erased-00112233aabbccdd";
        assert_eq!(body["asset"], "P-7");
        assert_eq!(body["zone"], "Ada");
        assert_eq!(body["alert"]["key"]["subject"], "P-7");
        assert_eq!([&body["holder"], &body["from"], &body["candidates"][0]["person"]], [label; 3]);
        assert!(
            !eraser().json(&mut json!({ "kind": "passage", "from": "Ada", "to": "P-7", "portal": "P-7" }))
        );
        assert!(!eraser().json(&mut json!({ "table": "asset", "id": "P-7" })));
    }

    #[test]
    fn records_subjects_and_keys_of_theirs_go() {
        let mut change = json!({
            "kind": "register", "by": "erp", "table": "person", "key": "P-7",
            "before": { "table": "person", "id": "P-7", "name": "Ada Lovelace", "team": "night" },
        });
        assert!(eraser().json(&mut change));
        assert_eq!(change["key"], "erased-00112233aabbccdd");
        assert_eq!(change["before"], json!({ "table": "person", "id": "erased-00112233aabbccdd" }));
        let mut tag = json!({
            "table": "tag", "key": format!("{BADGE}@2026-01-01T00:00:00Z"),
            "after": { "table": "tag", "epc": BADGE, "person": "P-7", "from": "2026-01-01T00:00:00Z" },
        });
        assert!(eraser().json(&mut tag));
        assert!(!eraser().mentions(tag.to_string().as_bytes()), "{tag}");
        serde_json::from_value::<crate::domain::register::Record>(tag["after"].take()).unwrap();
        let eraser = eraser();
        let subject = |text: &str| eraser.subject(text);
        assert_eq!(subject("person:P-7").as_deref(), Some("person:erased-00112233aabbccdd"));
        assert_eq!(subject(&format!("tag:{BADGE}@x")).as_deref(), Some("tag:00112233aabbccdd"));
        assert_eq!(subject("asset:P-7"), None);
        let mut row =
            json!({ "rule": "repeat-offender", "about": "Ada Lovelace", "body": "{\"holder\":\"P-7\"}" });
        assert!(eraser.json(&mut row));
        assert!(!eraser.mentions(row.to_string().as_bytes()), "{row}");
    }
}
