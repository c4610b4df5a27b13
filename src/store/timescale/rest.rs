//! A body in two: the fields that have columns, and the rest.
//!
//! Of what is told thousands of times a second, a value is stored once: with its body whole a row of a fix took twice the room,
//! and PostgreSQL half as long again.

use std::borrow::Cow;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::value::RawValue;

/// The fields of `body` that `T` has, and an object of the others without those that `elsewhere` says stand elsewhere in the row.
/// A body that does not read as `T` (of another version) leaves its columns empty, and is itself the rest.
pub fn parted<T: DeserializeOwned + Default>(
    body: &str,
    mut elsewhere: impl FnMut(&str, &RawValue) -> bool,
) -> (T, Cow<'_, str>) {
    let mut rest = String::from("{");
    let other = |name: &str, value: &RawValue| {
        if !elsewhere(name, value) {
            let comma = if rest.len() > 1 { "," } else { "" };
            // A name that reads as borrowed has no escapes, so it is written as it was.
            rest.extend([comma, "\"", name, "\":", value.get()]);
        }
    };
    let mut json = serde_json::Deserializer::from_str(body);
    let columns =
        T::deserialize(Sieve { json: &mut json, other }).and_then(|columns| json.end().map(|()| columns));
    match columns {
        Ok(columns) => {
            rest.push('}');
            (columns, Cow::Owned(rest))
        }
        Err(_) => (T::default(), Cow::Borrowed(body)),
    }
}

/// Reads a struct, and gives `other` the fields that it does not have.
struct Sieve<D, F> {
    json: D,
    other: F,
}

impl<'de, D: Deserializer<'de>, F: FnMut(&'de str, &'de RawValue)> Deserializer<'de> for Sieve<D, F> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.json.deserialize_map(Object { names, other: self.other, visitor })
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.json.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// What visits an object, and then what it is made of: the fields of these names.
struct Object<V, F> {
    names: &'static [&'static str],
    other: F,
    visitor: V,
}

impl<'de, V: Visitor<'de>, F: FnMut(&'de str, &'de RawValue)> Visitor<'de> for Object<V, F> {
    type Value = V::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Fields { names: self.names, other: self.other, fields })
    }
}

struct Fields<A, F> {
    names: &'static [&'static str],
    other: F,
    fields: A,
}

impl<'de, A: MapAccess<'de>, F: FnMut(&'de str, &'de RawValue)> MapAccess<'de> for Fields<A, F> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(name) = self.fields.next_key::<&'de str>()? {
            if self.names.contains(&name) {
                return seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some);
            }
            (self.other)(name, self.fields.next_value()?);
        }
        Ok(None)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.fields.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Default, PartialEq, Debug)]
    #[serde(default)]
    struct Columns {
        lat: Option<f64>,
        device: Option<String>,
    }

    fn split(body: &str) -> (Columns, Cow<'_, str>) {
        parted(body, |name, value| name == "kind" && value.get() == "\"fix\"")
    }

    #[test]
    fn what_has_a_column_stands_there_alone() {
        let (columns, rest) = split(r#"{"kind":"fix","lat":52.5,"device":"a\"b"}"#);
        assert_eq!(columns, Columns { lat: Some(52.5), device: Some("a\"b".to_owned()) });
        assert_eq!(rest, "{}");
    }

    #[test]
    fn everything_else_is_the_rest_as_it_was_written() {
        let (columns, rest) = split(r#"{"kind":"other","new":[1, {"x":1e400}],"lat":null,"text":"\u00e9"}"#);
        assert_eq!(columns, Columns::default());
        assert_eq!(rest, r#"{"kind":"other","new":[1, {"x":1e400}],"text":"\u00e9"}"#);
    }

    #[test]
    fn what_does_not_read_as_expected_stays_whole() {
        for body in [
            r#"{"lat":"north","device":"a"}"#,
            r#"{"lat":52.5,"lat":52.6}"#,
            r#"{"\u0061":1,"lat":52.5}"#,
            r#"[52.5]"#,
            "no JSON",
            r#"{"lat":52.5"#,
            r#"{"lat":52.5},"#,
        ] {
            assert_eq!(split(body), (Columns::default(), Cow::Borrowed(body)), "{body}");
        }
    }
}
