//! Text and JSON without the person.
//!
//! Of JSON, only fields that can hold somebody are looked at (see `fields.rs`), so what is called the same and is an
//! asset, a time or a state stays. A badge's code gives way to a code of the label's, so that what is read as a code
//! still is one.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Erasure;
use super::fields::{Facts, Holds};
use super::needle::{Needle, Sort, contains};
use crate::domain::epc::Epc;
use crate::domain::register::split_key;

/// Replaces one person by a label.
pub struct Eraser {
    label: String,
    /// In place of a badge's code.
    code: String,
    person: String,
    /// The longest first, so that a name goes before a part of it.
    needles: Vec<Needle>,
    badges: Vec<Epc>,
}

impl Eraser {
    pub fn new(erasure: &Erasure) -> Self {
        let (label, person) = (erasure.label.clone(), erasure.person.clone());
        let code = hex_of(&label);
        let texts = erasure.texts.iter().filter(|text| !text.trim().is_empty());
        let sort = |text: &str| if text == person { Sort::Number } else { Sort::Name };
        let mut needles: Vec<Needle> = texts.map(|text| Needle::new(text, &label, sort(text))).collect();
        let badges: Vec<Epc> = erasure.badges.iter().filter(|epc| epc.bits() > 0).copied().collect();
        needles.extend(badges.iter().map(|epc| Needle::new(&epc.to_string(), &code, Sort::Code)));
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
        Self { label, code, person, needles, badges }
    }

    /// What everything that names the person contains, whatever the case: one of these, in lower case. One that is
    /// empty says nothing of where they are named.
    pub fn hints(&self) -> impl Iterator<Item = &str> {
        self.needles.iter().map(Needle::hint)
    }

    /// Whether something may name the person: text, JSON, or bytes that hold either.
    pub fn mentions(&self, bytes: &[u8]) -> bool {
        self.hints().any(|hint| contains(bytes, hint.as_bytes()))
    }

    /// Whether what a device sent, or what was said of it, names the person or holds a badge's code: as text, or as
    /// it is on the air. Codes of a few bytes are anywhere.
    pub fn is_in_message(&self, bytes: &[u8]) -> bool {
        let text = String::from_utf8_lossy(bytes);
        if self.needles.iter().any(|needle| needle.is_in_message(&text)) {
            return true;
        }
        let mut codes = self.badges.iter().map(Epc::bytes).filter(|code| code.len() >= 4);
        codes.any(|code| bytes.windows(code.len()).any(|window| window == code))
    }

    /// Whether a text is one of the person's names, or their number.
    pub fn is_name(&self, text: &str) -> bool {
        self.needles.iter().any(|needle| needle.sort != Sort::Code && needle.is(text))
    }

    /// Whether a text names the person or a badge of theirs.
    pub fn is_named_in(&self, text: &str) -> bool {
        self.needles.iter().any(|needle| needle.is_in(text))
    }

    pub fn is_badge(&self, epc: &Epc) -> bool {
        self.badges.contains(epc)
    }

    /// The text without the person; `None` where it does not name them.
    pub fn text(&self, text: &str) -> Option<String> {
        let mut erased: Option<String> = None;
        for needle in &self.needles {
            if let Some(next) = needle.replaced_in(erased.as_deref().unwrap_or(text)) {
                erased = Some(next);
            }
        }
        erased
    }

    /// A value as it is without the person; `None` where it does not name them.
    ///
    /// # Errors
    /// It would be no such value any more.
    pub fn value<T: Serialize + DeserializeOwned>(&self, value: &T) -> Result<Option<T>, serde_json::Error> {
        let mut json = serde_json::to_value(value)?;
        if self.json(&mut json) { serde_json::from_value(json).map(Some) } else { Ok(None) }
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
        self.walk(value, Holds::Nobody, "")
    }

    /// `field` is the one that holds the value.
    fn walk(&self, value: &mut Value, holds: Holds, field: &str) -> bool {
        match value {
            Value::Object(object) if holds == Holds::Words && field == "attributes" => {
                object.values_mut().fold(false, |erased, value| self.walk(value, holds, field) | erased)
            }
            Value::Object(object) => self.object(object, field),
            Value::Array(items) => {
                items.iter_mut().fold(false, |erased, item| self.walk(item, holds, field) | erased)
            }
            Value::String(text) => {
                let erased = self.string(text, holds);
                erased.map(|erased| *text = erased).is_some()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    fn object(&self, object: &mut Map<String, Value>, within: &str) -> bool {
        let facts = Facts::of(object);
        if facts.table == "person" && object.get("id").and_then(Value::as_str) == Some(&self.person) {
            // Nothing of the record says anything of anybody but them.
            object.clear();
            object.insert("table".to_owned(), "person".into());
            object.insert("id".to_owned(), self.label.clone().into());
            return true;
        }
        object.iter_mut().fold(false, |erased, (field, value)| {
            self.walk(value, facts.holds(field, within), field) | erased
        })
    }

    fn string(&self, text: &str, holds: Holds) -> Option<String> {
        match holds {
            Holds::Nobody => None,
            Holds::Words => self.text(text),
            Holds::Code => self.is_badge(&Epc::from_hex(text)?).then(|| self.code.clone()),
            Holds::Subject => self.subject(text),
            Holds::PersonKey => (text == self.person).then(|| self.label.clone()),
            Holds::TagKey => {
                let (epc, _) = split_key(text);
                self.is_badge(&Epc::from_hex(epc)?).then(|| self.code.clone())
            }
            Holds::Json => self.json_text(text),
        }
    }

    /// Whom an event is about.
    pub fn subject(&self, subject: &str) -> Option<String> {
        match subject.split_once(':')? {
            ("person", person) => (person == self.person).then(|| format!("person:{}", self.label)),
            ("tag", code) => {
                let epc = Epc::from_hex(split_key(code).0)?;
                self.is_badge(&epc).then(|| format!("tag:{}", self.code))
            }
            _ => None,
        }
    }
}

/// The digits of a label, as a tag's code.
fn hex_of(label: &str) -> String {
    let digits = label.rsplit('-').next().unwrap_or_default();
    match Epc::from_hex(digits) {
        Some(epc) if epc.bits() > 0 => epc.to_string(),
        _ => "00".to_owned(),
    }
}
