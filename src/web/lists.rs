//! Query parameters that name several things, separated by commas: `state=pending,firing`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{Error, StringDeserializer};
use serde::{Deserialize, Deserializer, de};

use crate::domain::events::EventClass;

/// At least one of a kind of word.
#[derive(Clone, Debug)]
pub(super) struct List<T>(Vec<T>);

impl<T: PartialEq> List<T> {
    /// Whether a filter lets `value` through; no filter lets everything.
    pub fn allows(filter: Option<&Self>, value: &T) -> bool {
        filter.is_none_or(|list| list.0.contains(value))
    }
}

impl<T> List<T> {
    pub fn words(&self) -> &[T] {
        &self.0
    }

    /// The one word, where there is only one.
    pub fn sole(&self) -> Option<&T> {
        if let [only] = self.0.as_slice() { Some(only) } else { None }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?.into_owned();
        let words = text.split(',').map(|word| {
            // Owned words: what is parsed must not borrow from the text.
            let word = word.trim().to_owned();
            T::deserialize(StringDeserializer::<Error>::new(word)).map_err(de::Error::custom)
        });
        words.collect::<Result<_, _>>().map(Self)
    }
}

impl<T: JsonSchema> JsonSchema for List<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("ListOf{}", T::schema_name()).into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "minItems": 1, "items": schemas.subschema_for::<T>() })
    }
}

/// The kind of an event.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct EventKind(pub String);

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match EventClass::of_kind(&text) {
            Some(_) => Ok(Self(text)),
            None => Err(de::Error::custom(format!("`{text}` is not a kind of event"))),
        }
    }
}

impl JsonSchema for EventKind {
    fn schema_name() -> Cow<'static, str> {
        "EventKind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "passage, presence, geofence, motion, checked-out, checked-in, condition, alert, command and so \
                            on: `kind` of an event.",
            "examples": ["passage"],
        })
    }
}
