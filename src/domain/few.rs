//! A list that nearly always is empty, and then takes one word: an asset has several of those, and there may
//! be a million assets.

use std::ops::{Deref, DerefMut};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Reads as a slice; JSON is that of a list.
#[derive(Clone, Debug)]
pub struct Few<T>(
    #[expect(clippy::box_collection, reason = "one word where there is nothing")] Option<Box<Vec<T>>>,
);

impl<T> Few<T> {
    pub fn push(&mut self, item: T) {
        self.0.get_or_insert_default().push(item);
    }

    /// # Panics
    /// Where there is no such place.
    pub fn remove(&mut self, place: usize) {
        self.change(|items| drop(items.remove(place)));
    }

    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.change(|items| items.retain(keep));
    }

    pub fn clear(&mut self) {
        self.0 = None;
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<T>)) {
        let mut items = self.0.take().map(|items| *items).unwrap_or_default();
        change(&mut items);
        *self = items.into();
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(items: Vec<T>) -> Self {
        Self((!items.is_empty()).then(|| Box::new(items)))
    }
}

impl<T: PartialEq, U: AsRef<[T]>> PartialEq<U> for Few<T> {
    fn eq(&self, other: &U) -> bool {
        **self == *other.as_ref()
    }
}

impl<T> AsRef<[T]> for Few<T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_deref_mut().map_or(&mut [], Vec::as_mut_slice)
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Serialize> Serialize for Few<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

impl<T: JsonSchema> JsonSchema for Few<T> {
    fn inline_schema() -> bool {
        Vec::<T>::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        Vec::<T>::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        Vec::<T>::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Vec::<T>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_list_and_one_word_where_empty() {
        assert_eq!(size_of::<Few<String>>(), size_of::<usize>());
        let mut few = Few::default();
        assert!(few.is_empty());
        [1, 2, 3].into_iter().for_each(|item| few.push(item));
        few.remove(0);
        few[0] = 5;
        assert_eq!(few, [5, 3]);
        assert_eq!(serde_json::to_string(&few).unwrap(), "[5,3]");
        assert_eq!(serde_json::from_str::<Few<i32>>("[5,3]").unwrap(), few);
        few.retain(|item| *item > 9);
        assert_eq!(few, Few(None));
        assert_eq!(serde_json::from_str::<Few<i32>>("[]").unwrap(), few);
    }
}
