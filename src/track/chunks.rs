//! A list in pieces of one length: it grows without being copied, and a place in it is found at once.

/// A piece is full with so many.
const PIECE: usize = 1024;

#[derive(Debug)]
pub(super) struct Chunks<T> {
    /// All but the last are full; none is empty.
    pieces: Vec<Vec<T>>,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { pieces: Vec::new() }
    }
}

impl<T> Chunks<T> {
    pub fn len(&self) -> usize {
        self.pieces.last().map_or(0, |last| (self.pieces.len() - 1) * PIECE + last.len())
    }

    pub fn get(&self, place: usize) -> Option<&T> {
        self.pieces.get(place / PIECE)?.get(place % PIECE)
    }

    pub fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.pieces.get_mut(place / PIECE)?.get_mut(place % PIECE)
    }

    pub fn push(&mut self, value: T) {
        if let Some(last) = self.pieces.last_mut().filter(|last| last.len() < PIECE) {
            return last.push(value);
        }
        // The first grows with what is in it: most lists are short.
        let mut piece = Vec::with_capacity(if self.pieces.is_empty() { 1 } else { PIECE });
        piece.push(value);
        self.pieces.push(piece);
    }

    /// Takes one out; the last one takes its place.
    pub fn swap_remove(&mut self, place: usize) -> Option<T> {
        self.get(place)?;
        let last = self.pieces.last_mut()?.pop()?;
        self.pieces.pop_if(|piece| piece.is_empty());
        match self.get_mut(place) {
            Some(here) => Some(std::mem::replace(here, last)),
            None => Some(last),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().flatten()
    }

    /// Gives back what was kept for more.
    pub fn shrink_to_fit(&mut self) {
        if let Some(last) = self.pieces.last_mut() {
            last.shrink_to_fit();
        }
        self.pieces.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a plain list, over the ends of pieces.
        #[test]
        fn as_a_list_would(
            begins in prop_oneof![0..4usize, PIECE - 3..PIECE + 4, 2 * PIECE - 3..2 * PIECE + 4],
            acts in prop::collection::vec(prop::option::of(any::<prop::sample::Index>()), 0..12),
        ) {
            let (mut chunks, mut list) = (Chunks::default(), Vec::new());
            for value in 0..begins {
                chunks.push(value);
                list.push(value);
            }
            for (nth, act) in acts.into_iter().enumerate() {
                match act {
                    None => {
                        chunks.push(10_000 + nth);
                        list.push(10_000 + nth);
                    }
                    Some(index) if list.is_empty() => prop_assert_eq!(chunks.swap_remove(index.index(1)), None),
                    Some(index) => {
                        let place = index.index(list.len());
                        prop_assert_eq!(chunks.swap_remove(place), Some(list.swap_remove(place)));
                    }
                }
                if nth % 5 == 4 {
                    chunks.shrink_to_fit();
                }
                prop_assert_eq!(chunks.len(), list.len());
                prop_assert!(chunks.iter().eq(list.iter()));
                for place in [0, list.len() / 2, list.len().saturating_sub(1), list.len(), PIECE - 1, PIECE] {
                    prop_assert_eq!(chunks.get(place), list.get(place));
                    prop_assert_eq!(chunks.get_mut(place), list.get_mut(place));
                }
            }
        }
    }
}
