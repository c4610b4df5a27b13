//! A large table by asset.
//!
//! One sighting asks for the same asset many times, and each time would cost a hash of its name and memory that
//! nothing else has touched lately. So the table remembers where it found the last one, and takes hints from
//! whoever led to an asset. A place is believed only where the very name that is asked for lies there.

use std::cell::Cell;

use super::dense::Dense;
use crate::domain::ids::AssetId;

/// Where an asset was when it was last looked for: a hint, which may be out of date.
pub(super) type Place = Cell<u32>;

/// A hint that says nothing.
pub(super) fn nowhere() -> Place {
    Cell::new(u32::MAX)
}

#[derive(Debug)]
pub(super) struct Table<V> {
    rows: Dense<AssetId, V>,
    /// Where the last one that was found is.
    recent: Cell<usize>,
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self { rows: Dense::default(), recent: Cell::new(0) }
    }
}

impl<V> Table<V> {
    pub fn get(&self, asset: &AssetId) -> Option<&V> {
        Some(&self.rows.at(self.find(asset)?)?.1)
    }

    pub fn get_mut(&mut self, asset: &AssetId) -> Option<&mut V> {
        let place = self.find(asset)?;
        Some(self.rows.at_mut(place)?.1)
    }

    /// By a name as text.
    pub fn named(&self, asset: &str) -> Option<&V> {
        Some(&self.rows.at(self.rows.find(asset)?)?.1)
    }

    /// The name as the table holds it. Names often come in the order of their rows, so it is looked for behind the
    /// last one first.
    pub fn held(&self, asset: &str) -> Option<&AssetId> {
        let next = self.recent.get().wrapping_add(1);
        let is_next = self.rows.at(next).is_some_and(|(held, _)| held.as_str() == asset);
        let place = if is_next { next } else { self.rows.find(asset)? };
        self.recent.set(place);
        Some(&self.rows.at(place)?.0)
    }

    pub fn get_or_insert_with(&mut self, asset: &AssetId, new: impl FnOnce() -> V) -> &mut V {
        let place = self.find(asset).unwrap_or_else(|| self.push(asset.clone(), new()));
        self.rows.at_mut(place).expect("it was found, or put there").1
    }

    pub fn insert(&mut self, asset: AssetId, value: V) {
        let place = self.rows.put(asset, value);
        self.recent.set(place);
    }

    fn push(&mut self, asset: AssetId, value: V) -> usize {
        let place = self.rows.push(asset, value);
        self.recent.set(place);
        place
    }

    /// The last one takes its place.
    pub fn remove(&mut self, asset: &AssetId) {
        if let Some(place) = self.rows.find(asset) {
            self.rows.swap_remove(place);
        }
    }

    /// The asset will be asked for: looks where the hint says, and corrects it.
    pub fn recall(&self, asset: &AssetId, hint: &Place) {
        let place = hint.get() as usize;
        if self.is_at(place, asset) {
            self.recent.set(place);
        } else if let Some(Ok(found)) = self.find(asset).map(u32::try_from) {
            hint.set(found);
        }
    }

    /// What lies where the hint says, whatever that is.
    pub fn at_hint(&self, hint: &Place) -> Option<&(AssetId, V)> {
        self.rows.at(hint.get() as usize)
    }

    fn find(&self, asset: &AssetId) -> Option<usize> {
        let recent = self.recent.get();
        if self.is_at(recent, asset) {
            return Some(recent);
        }
        let found = self.rows.find(asset)?;
        self.recent.set(found);
        Some(found)
    }

    fn is_at(&self, place: usize, asset: &AssetId) -> bool {
        self.rows.at(place).is_some_and(|(held, _)| held.is(asset))
    }

    /// Where the one that was found last is.
    pub fn place_of_recent(&self) -> Place {
        Cell::new(u32::try_from(self.recent.get()).unwrap_or(u32::MAX))
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The row at a place among them, whatever that place is.
    pub fn at_mut(&mut self, place: usize) -> Option<(&AssetId, &mut V)> {
        self.rows.at_mut(place)
    }

    /// All of them, in no order: who lets it out puts it in one.
    pub fn iter(&self) -> impl Iterator<Item = (&AssetId, &V)> {
        self.rows.iter()
    }

    /// Gives back what was kept for more.
    pub fn shrink_to_fit(&mut self) {
        self.rows.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every other way to an asset, after each act, against what is there.
    #[test]
    fn what_is_found_is_what_was_asked_for_wherever_it_has_gone() {
        let mut table = Table::default();
        let names: Vec<AssetId> = (0..8).map(|number| AssetId::new(format!("A{number}"))).collect();
        let hints: Vec<Place> = names.iter().map(|_| nowhere()).collect();
        let mut there = [false; 8];
        for (step, act) in [0, 1, 2, 3, 4, 5, 1, 0, 6, 1, 7, 5, 4, 0].into_iter().enumerate() {
            let name = &names[act];
            match there[act] {
                true => table.remove(name),
                false => *table.get_or_insert_with(name, || 0) = act,
            }
            there[act] = !there[act];
            for (number, name) in names.iter().enumerate() {
                let expected = there[number].then_some(&number);
                table.recall(name, &hints[number]);
                assert_eq!(table.get(name), expected, "{name} after step {step}");
                assert_eq!(table.get(&AssetId::new(name.as_str())), expected);
                assert_eq!(table.named(name.as_str()), expected);
                assert_eq!(table.held(name.as_str()), there[number].then_some(name));
            }
        }
        assert_eq!(table.len(), there.iter().filter(|there| **there).count());
    }
}
