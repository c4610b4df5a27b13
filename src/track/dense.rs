//! A large table: its rows lie densely packed, in pieces, and an index says where each key's row is.
//!
//! There may be a million rows, and a table that grew as one would be there twice while it is copied. An index
//! of places is short enough to be looked at beforehand: see [`Dense::guess`].

use std::hash::{BuildHasher, BuildHasherDefault, Hash};

use hashbrown::HashTable;
use indexmap::Equivalent;
use siphasher::sip::SipHasher13;

use super::chunks::Chunks;

#[derive(Debug)]
pub(super) struct Dense<K, V> {
    rows: Chunks<(K, V)>,
    /// Where each key's row is.
    places: HashTable<u32>,
}

impl<K, V> Default for Dense<K, V> {
    fn default() -> Self {
        Self { rows: Chunks::default(), places: HashTable::new() }
    }
}

impl<K: Hash, V> Dense<K, V> {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn find<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<usize> {
        self.find_hashed(hash(key), key)
    }

    fn find_hashed<Q: Equivalent<K> + ?Sized>(&self, hash: u64, key: &Q) -> Option<usize> {
        let is_it = |place: &u32| self.at(*place as usize).is_some_and(|(held, _)| key.equivalent(held));
        self.places.find(hash, is_it).map(|place| *place as usize)
    }

    /// Where the key with this [`hash`] may be; seldom it is another's place, and no row is looked at. So the places
    /// of several keys are looked up beside one another, and then what lies there.
    pub fn guess(&self, hash: u64) -> Option<usize> {
        self.places.find(hash, |_| true).map(|place| *place as usize)
    }

    pub fn at(&self, place: usize) -> Option<&(K, V)> {
        self.rows.get(place)
    }

    pub fn at_mut(&mut self, place: usize) -> Option<(&K, &mut V)> {
        self.rows.get_mut(place).map(|(key, value)| (&*key, value))
    }

    /// Takes in a key that is not there yet; gives its place.
    pub fn push(&mut self, key: K, value: V) -> usize {
        let hash = hash(&key);
        self.push_hashed(hash, key, value)
    }

    fn push_hashed(&mut self, hash: u64, key: K, value: V) -> usize {
        let place = self.len();
        self.rows.push((key, value));
        let Self { rows, places } = self;
        places.insert_unique(hash, narrow(place), |place| hash_at(rows, *place));
        place
    }

    /// Puts a value in, in place of the one that its key had; gives its place.
    pub fn put(&mut self, key: K, value: V) -> usize
    where
        K: Eq,
    {
        let hash = hash(&key);
        let place = self.find_hashed(hash, &key);
        match place.and_then(|place| Some((place, self.rows.get_mut(place)?))) {
            Some((place, row)) => {
                row.1 = value;
                place
            }
            None => self.push_hashed(hash, key, value),
        }
    }

    /// Takes out what lies at a place; the last one takes that place.
    pub fn swap_remove(&mut self, place: usize) -> Option<(K, V)> {
        let (gone, last) = (hash(&self.at(place)?.0), self.len() - 1);
        if let Ok(entry) = self.places.find_entry(gone, |at| *at == narrow(place)) {
            entry.remove();
        }
        if place != last {
            let moved = self.at(last).map(|(key, _)| hash(key));
            let entry = moved.and_then(|hash| self.places.find_mut(hash, |at| *at == narrow(last)));
            entry.into_iter().for_each(|at| *at = narrow(place));
        }
        self.rows.swap_remove(place)
    }

    /// All of them, in no order: who lets it out puts it in one.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter().map(|(key, value)| (key, value))
    }

    /// Gives back what was kept for more.
    pub fn shrink_to_fit(&mut self) {
        let Self { rows, places } = self;
        rows.shrink_to_fit();
        places.shrink_to_fit(|place| hash_at(rows, *place));
    }
}

/// The same on each start: no order of what is told hangs on it, and who names assets and tags is no stranger.
pub(super) fn hash<Q: Hash + ?Sized>(key: &Q) -> u64 {
    BuildHasherDefault::<SipHasher13>::default().hash_one(key)
}

fn hash_at<K: Hash, V>(rows: &Chunks<(K, V)>, place: u32) -> u64 {
    rows.get(place as usize).map_or(0, |(key, _)| hash(key))
}

/// Four thousand million rows are more than fit into memory.
fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a map, after each act.
        #[test]
        fn as_a_map_would(acts in prop::collection::vec((0u16..40, any::<bool>()), 0..120)) {
            let (mut dense, mut map): (Dense<String, usize>, _) = (Dense::default(), BTreeMap::new());
            for (nth, (key, shrinks)) in acts.into_iter().enumerate() {
                let key = key.to_string();
                match dense.find(key.as_str()) {
                    Some(place) if nth % 4 == 3 => {
                        prop_assert_eq!(dense.put(key.clone(), nth), place);
                        map.insert(key, nth);
                    }
                    Some(place) => prop_assert_eq!(dense.swap_remove(place), map.remove_entry(&key)),
                    None => {
                        let place = match shrinks {
                            true => dense.push(key.clone(), nth),
                            false => dense.put(key.clone(), nth),
                        };
                        prop_assert_eq!(dense.guess(hash(&key)).is_some(), true);
                        *dense.at_mut(place).unwrap().1 += 1;
                        map.insert(key, nth + 1);
                    }
                }
                if shrinks {
                    dense.shrink_to_fit();
                }
                prop_assert_eq!(dense.len(), map.len());
                let mut rows: Vec<_> = dense.iter().collect();
                rows.sort();
                prop_assert!(rows.into_iter().eq(map.iter()));
                for key in 0u16..40 {
                    let key = key.to_string();
                    let found = dense.find(&key).and_then(|place| dense.at(place));
                    prop_assert_eq!(found.map(|(_, value)| value), map.get(&key));
                }
                prop_assert_eq!(dense.swap_remove(map.len()), None);
            }
        }
    }

    #[test]
    fn a_guess_is_nearly_always_right() {
        let mut dense = Dense::default();
        let places: Vec<(u64, usize)> =
            (0..2000).map(|number: u32| (hash(&number), dense.push(number, ()))).collect();
        let right = places.iter().filter(|(hash, place)| dense.guess(*hash) == Some(*place)).count();
        assert!(right > 1900, "{right} of 2000");
    }
}
