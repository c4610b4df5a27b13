//! The aliases of metrics that tell nothing of a position, so that one which nobody gave is known as such.
//!
//! Edge nodes count their metrics through, so a few ranges hold thousands. Of numbers that lie scattered the nearest
//! ranges become one: an alias between them then passes for one that was given, and is left out as they are.

use serde::{Deserialize, Serialize};

const MOST_RANGES: usize = 64;

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Aliases(Vec<(u64, u64)>);

impl Aliases {
    /// `sorted`, each once.
    pub fn of(sorted: impl IntoIterator<Item = u64>) -> Self {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for alias in sorted {
            match ranges.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(alias) => *last = alias,
                _ => ranges.push((alias, alias)),
            }
        }
        Self(few(ranges))
    }

    pub fn holds(&self, alias: u64) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= alias);
        after.checked_sub(1).is_some_and(|at| alias <= self.0[at].1)
    }
}

fn few(ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    if ranges.len() <= MOST_RANGES {
        return ranges;
    }
    let mut gaps: Vec<(u64, usize)> =
        ranges.windows(2).enumerate().map(|(at, pair)| (pair[1].0 - pair[0].1, at)).collect();
    gaps.sort_unstable();
    // Before these ranges another begins.
    let mut kept: Vec<usize> = gaps[gaps.len() - (MOST_RANGES - 1)..].iter().map(|(_, at)| at + 1).collect();
    kept.sort_unstable();
    let begins = [0].into_iter().chain(kept.iter().copied());
    let ends = kept.iter().copied().chain([ranges.len()]);
    begins.zip(ends).map(|(begin, end)| (ranges[begin].0, ranges[end - 1].1)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_in_a_row_are_one_range() {
        let aliases = Aliases::of((1..=5000).chain([9000, u64::MAX]));
        assert_eq!(aliases.0, [(1, 5000), (9000, 9000), (u64::MAX, u64::MAX)]);
        assert!(aliases.holds(1) && aliases.holds(5000) && aliases.holds(u64::MAX));
        assert!(!aliases.holds(0) && !aliases.holds(5001) && !Aliases::default().holds(0));
    }

    #[test]
    fn of_scattered_numbers_the_nearest_become_one() {
        let scattered = (0..100).map(|nth| nth * 10).chain((0..100).map(|nth| 1_000_000 + nth * 1000));
        let aliases = Aliases::of(scattered);
        assert_eq!(aliases.0.len(), MOST_RANGES);
        assert!(aliases.holds(15) && !aliases.holds(500_000), "{aliases:?}");
    }

    proptest! {
        #[test]
        fn what_was_given_is_always_known(given in proptest::collection::btree_set(any::<u64>(), 0..200)) {
            let aliases = Aliases::of(given.iter().copied());
            prop_assert!(aliases.0.len() <= MOST_RANGES);
            prop_assert!(given.iter().all(|alias| aliases.holds(*alias)));
        }
    }
}
