//! What is attached to what, over time: for each key one carrier at a time.
//!
//! Nearly all keys have one attachment in their life, so that one lies in a flat table; the others of the
//! few that have more lie beside it.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::hash::Hash;

use indexmap::Equivalent;
use smallvec::SmallVec;

use super::ahead::ROUND;
use super::dense::{self, Dense};
use super::table::{Place, nowhere};
use crate::domain::register::{Attachable, Attachment, Carrier};
use crate::domain::time::Timestamp;

#[derive(Debug)]
pub(super) struct Attachments<K: Attachable> {
    /// The one with the latest beginning.
    newest: Dense<K::Held, Span>,
    earlier: BTreeMap<K, Vec<Span>>,
}

#[derive(Clone, Debug)]
struct Span {
    carrier: Carrier,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    /// Where the carrier was when it was last looked for.
    place: Place,
}

impl Span {
    fn holds_at(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at < to)
    }
}

impl<K: Attachable> Default for Attachments<K> {
    fn default() -> Self {
        Self { newest: Dense::default(), earlier: BTreeMap::new() }
    }
}

impl<K: Attachable + Eq + Hash + Ord> Attachments<K> {
    /// What `key` hung on at that moment.
    pub fn at<Q>(&self, key: &Q, at: Timestamp) -> Option<&Carrier>
    where
        K: Borrow<Q>,
        Q: Equivalent<K::Held> + Hash + Ord + ?Sized,
    {
        self.at_hinted(key, at).map(|(carrier, _)| carrier)
    }

    /// The same, with a hint of where its carrier is.
    pub fn at_hinted<Q>(&self, key: &Q, at: Timestamp) -> Option<(&Carrier, &Place)>
    where
        K: Borrow<Q>,
        Q: Equivalent<K::Held> + Hash + Ord + ?Sized,
    {
        let newest = self.newest(key)?;
        let span = match newest.holds_at(at) {
            true => newest,
            false => self.earlier.get(key)?.iter().find(|span| span.holds_at(at))?,
        };
        Some((&span.carrier, &span.place))
    }

    /// Where the carriers of these keys may be. It is for looking there beforehand: a hint may be another key's, and
    /// what hung on something else at some time is not told apart.
    pub fn hints<'a, Q>(&self, keys: impl Iterator<Item = &'a Q>) -> SmallVec<[&Place; ROUND]>
    where
        Q: Hash + ?Sized + 'a,
    {
        // A pass for each step: what one key waits for is fetched beside what the others wait for.
        let hashes: SmallVec<[u64; ROUND]> = keys.map(dense::hash).collect();
        let guess = |hash| self.newest.guess(hash);
        let places: SmallVec<[usize; ROUND]> = hashes.into_iter().filter_map(guess).collect();
        places.into_iter().filter_map(|place| Some(&self.newest.at(place)?.1.place)).collect()
    }

    fn newest<Q>(&self, key: &Q) -> Option<&Span>
    where
        Q: Equivalent<K::Held> + Hash + ?Sized,
    {
        Some(&self.newest.at(self.newest.find(key)?)?.1)
    }

    pub fn has(&self, key: &K) -> bool {
        self.newest.find(key).is_some()
    }

    /// Every attachment of a key, the latest first.
    pub fn all<'a>(&'a self, key: &'a K) -> impl Iterator<Item = Attachment<K>> + 'a {
        let earlier = self.earlier.get(key).into_iter().flatten();
        self.newest(key).into_iter().chain(earlier).map(|span| span.attachment(key))
    }

    /// The attachment of that key and beginning.
    pub fn get(&self, key: &K, from: Option<Timestamp>) -> Option<Attachment<K>> {
        self.all(key).find(|attachment| attachment.from == from)
    }

    /// Other attachments of the key that hold at a moment at which `attachment` does.
    pub fn clashing(&self, attachment: &Attachment<K>) -> Vec<Attachment<K>> {
        let clashes = |other: &Attachment<K>| other.from != attachment.from && overlap(other, attachment);
        self.all(&attachment.key).filter(clashes).collect()
    }

    /// Takes an attachment in; one with the same beginning gives way, and is given back.
    pub fn put(&mut self, attachment: Attachment<K>) -> Option<Attachment<K>> {
        let Attachment { key, carrier, from, to } = attachment;
        let span = Span { carrier, from, to, place: nowhere() };
        let Some((_, newest)) = self.newest.find(&key).and_then(|at| self.newest.at_mut(at)) else {
            self.newest.push(key.to_held(), span);
            return None;
        };
        if newest.from == span.from {
            return Some(std::mem::replace(newest, span).attachment(&key));
        }
        let other = if newest.from < span.from { std::mem::replace(newest, span) } else { span };
        let earlier = self.earlier.entry(key.clone()).or_default();
        let place = earlier.partition_point(|held| held.from > other.from);
        match earlier.get_mut(place).filter(|held| held.from == other.from) {
            Some(held) => Some(std::mem::replace(held, other).attachment(&key)),
            None => {
                earlier.insert(place, other);
                None
            }
        }
    }

    pub fn remove(&mut self, key: &K, from: Option<Timestamp>) -> Option<Attachment<K>> {
        let at = self.newest.find(key)?;
        let (_, newest) = self.newest.at_mut(at)?;
        if newest.from == from {
            let removed = newest.attachment(key);
            match self.earlier.get_mut(key) {
                Some(earlier) => *newest = earlier.remove(0),
                None => drop(self.newest.swap_remove(at)),
            }
            self.drop_if_empty(key);
            return Some(removed);
        }
        let earlier = self.earlier.get_mut(key)?;
        let place = earlier.iter().position(|span| span.from == from)?;
        let removed = earlier.remove(place).attachment(key);
        self.drop_if_empty(key);
        Some(removed)
    }

    /// Gives back what was kept for more.
    pub fn shrink_to_fit(&mut self) {
        self.newest.shrink_to_fit();
    }

    /// Those that begin or end after that moment, in no order.
    pub fn turning_after(&self, at: Timestamp) -> impl Iterator<Item = Attachment<K>> + '_ {
        let turns = move |span: &&Span| [span.from, span.to].into_iter().flatten().any(|turn| turn > at);
        let earlier = self.earlier.iter().flat_map(|(key, spans)| spans.iter().map(move |span| (key, span)));
        let newest = self.newest.iter().filter(move |(_, span)| turns(span));
        let newest = newest.map(|(held, span)| span.attachment(&K::of_held(held)));
        newest.chain(earlier.filter(move |(_, span)| turns(span)).map(|(key, span)| span.attachment(key)))
    }

    /// Every attachment there is, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Attachment<K>> + '_ {
        let earlier = self.earlier.iter().flat_map(|(key, spans)| spans.iter().map(move |span| (key, span)));
        let newest = self.newest.iter().map(|(held, span)| span.attachment(&K::of_held(held)));
        newest.chain(earlier.map(|(key, span)| span.attachment(key)))
    }

    fn drop_if_empty(&mut self, key: &K) {
        if self.earlier.get(key).is_some_and(Vec::is_empty) {
            self.earlier.remove(key);
        }
    }
}

impl Span {
    fn attachment<K: Clone>(&self, key: &K) -> Attachment<K> {
        Attachment { key: key.clone(), carrier: self.carrier.clone(), from: self.from, to: self.to }
    }
}

/// Whether there is a moment at which both hold.
pub(super) fn overlap<K>(a: &Attachment<K>, b: &Attachment<K>) -> bool {
    let begins_before_end =
        |a: &Attachment<K>, b: &Attachment<K>| b.to.is_none_or(|to| a.from.is_none_or(|from| from < to));
    begins_before_end(a, b) && begins_before_end(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::DeviceId;
    use proptest::prelude::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn attached(asset: &str, from: Option<i64>, to: Option<i64>) -> Attachment<DeviceId> {
        let from = from.map(at);
        Attachment { from, to: to.map(at), ..Attachment::on_asset("t".into(), asset) }
    }

    fn name(carrier: Option<&Carrier>) -> Option<&str> {
        carrier.and_then(Carrier::asset).map(|asset| asset.as_str())
    }

    #[test]
    fn a_moment_has_the_carrier_of_its_time() {
        let mut held = Attachments::default();
        held.put(attached("C", Some(20), None));
        held.put(attached("A", None, Some(10)));
        held.put(attached("B", Some(10), Some(15)));
        let names: Vec<_> = [0, 9, 10, 14, 15, 19, 20, 99].map(|s| name(held.at("t", at(s)))).to_vec();
        assert_eq!(names, [Some("A"), Some("A"), Some("B"), Some("B"), None, None, Some("C"), Some("C")]);
        let clashing = held.clashing(&attached("D", Some(14), Some(20)));
        assert_eq!(clashing.iter().map(|clash| clash.from).collect::<Vec<_>>(), [Some(at(10))]);
        assert_eq!(held.clashing(&attached("D", Some(15), Some(20))), []);
        assert_eq!(
            held.remove(&"t".into(), Some(at(20))).map(|a| a.carrier),
            Some(Carrier::Asset("C".into()))
        );
        assert_eq!(name(held.at("t", at(99))), None);
        assert_eq!(name(held.at("t", at(14))), Some("B"));
    }

    proptest! {
        /// Against a plain list of what is there.
        #[test]
        fn as_a_list_would(acts in prop::collection::vec((0i64..6, 1i64..4, any::<bool>()), 0..30)) {
            let mut held = Attachments::default();
            let mut list: Vec<Attachment<DeviceId>> = Vec::new();
            for (nth, (from, len, remove)) in acts.into_iter().enumerate() {
                let one = attached(&nth.to_string(), Some(from), Some(from + len));
                if remove {
                    held.remove(&one.key, one.from);
                    list.retain(|other| other.from != one.from);
                } else if !list.iter().any(|other| other.from != one.from && overlap(other, &one)) {
                    prop_assert!(held.clashing(&one).is_empty());
                    let same = list.iter().position(|other| other.from == one.from);
                    let before = same.map(|place| list.remove(place));
                    prop_assert_eq!(held.put(one.clone()), before);
                    list.push(one);
                } else {
                    prop_assert!(!held.clashing(&one).is_empty());
                }
                for second in -1..10 {
                    let expected = list.iter().find(|one| one.holds_at(at(second))).map(|one| &one.carrier);
                    prop_assert_eq!(held.at("t", at(second)), expected);
                }
                prop_assert_eq!(held.iter().count(), list.len());
                let turning = list.iter().filter(|one| one.from.max(one.to) > Some(at(5))).count();
                prop_assert_eq!(held.turning_after(at(5)).count(), turning);
            }
        }
    }
}
