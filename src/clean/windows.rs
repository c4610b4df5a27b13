//! The tags of one read point: found by their code, put out by their deadline.
//!
//! A read costs one look-up of the code's used bytes, and a deadline moves without touching the heap;
//! neither grows with the number of tags. The index holds numbers of slots and nothing else, and a slot is one
//! line of the processor's cache, so that a read among a million tags waits for memory about once. The index
//! is never iterated: order comes from deadlines and codes.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::hint::black_box;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use super::deadlines::{Deadlines, Slot};
use super::portal::Crossing;
use super::presence::Presence;
use super::rules::PresenceRule;
use crate::domain::epc::{Epc, HeldEpc};
use crate::domain::time::Timestamp;

/// What is known of one tag at one read point; its row.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Window {
    Presence(Presence),
    Portal(Box<Crossing>),
}

#[repr(align(64))]
pub(super) struct Held {
    pub epc: HeldEpc,
    pub window: Window,
    /// The earliest time at which the heap will bring it up.
    armed: Option<Timestamp>,
    dirty: bool,
    pub saved: bool,
}

#[derive(Default)]
pub(super) struct Windows {
    index: HashTable<Slot>,
    slots: Vec<Option<Held>>,
    /// Of the tag that was found last: what is asked of one is asked several times.
    recent: Cell<Slot>,
    free: Vec<Slot>,
    deadlines: Deadlines,
    /// Of presences that nobody was told of, which need no hearing to be over.
    candidates: Deadlines,
    /// The earliest time at which that heap will bring a slot up; of few slots, so it lies beside them.
    armed_candidates: BTreeMap<Slot, Timestamp>,
    dirty: Vec<Slot>,
    /// Removed, while the journal still has their row.
    removed: Vec<Epc>,
}

impl Windows {
    /// The tag's window, made by `new` where there is none; it counts as changed.
    pub fn touch(&mut self, epc: Epc, new: impl FnOnce() -> Window) -> (Slot, &mut Window) {
        let slot = match self.slot(epc) {
            Some(slot) => slot,
            None => self.put(Held::new(epc.into(), new(), false)),
        };
        self.mark(slot);
        match &mut self.slots[slot as usize] {
            Some(held) => (slot, &mut held.window),
            None => unreachable!("the index names only slots that are in use"),
        }
    }

    /// Takes up a window from its row.
    pub fn restore(&mut self, epc: Epc, window: Window, deadline: Timestamp) {
        self.adopt(Held::new(epc.into(), window, true), deadline);
    }

    /// Takes over a window from before the rules changed.
    pub fn adopt(&mut self, held: Held, deadline: Timestamp) {
        let dirty = held.dirty;
        let slot = self.put(Held { armed: None, dirty: false, ..held });
        if dirty {
            self.mark(slot);
        }
        self.arm(slot, deadline);
        if matches!(self.held(slot), Some(Held { window: Window::Presence(presence), .. }) if !presence.is_present())
        {
            self.arm_candidate(slot, deadline);
        }
    }

    fn mark(&mut self, slot: Slot) {
        if let Some(held) = self.slots[slot as usize].as_mut().filter(|held| !held.dirty) {
            held.dirty = true;
            self.dirty.push(slot);
        }
    }

    pub fn held(&mut self, slot: Slot) -> Option<&mut Held> {
        self.slots[slot as usize].as_mut()
    }

    /// The heap brings the slot up at `deadline`, or before.
    pub fn arm(&mut self, slot: Slot, deadline: Timestamp) {
        let Some(held) = self.held(slot) else { return };
        if held.armed.is_none_or(|armed| deadline < armed) {
            held.armed = Some(deadline);
            self.deadlines.push(deadline, slot);
        }
    }

    /// The heap of candidates brings the slot up at `deadline`, or before.
    pub fn arm_candidate(&mut self, slot: Slot, deadline: Timestamp) {
        if self.armed_candidates.get(&slot).is_none_or(|armed| deadline < *armed) {
            self.armed_candidates.insert(slot, deadline);
            self.candidates.push(deadline, slot);
        }
    }

    pub fn next_candidate(&self) -> Option<Timestamp> {
        self.candidates.next()
    }

    /// The slots that share the earliest deadline of a candidate up to `until`, in no order.
    pub fn due_candidates(&mut self, until: Timestamp, due: &mut Vec<Slot>) -> bool {
        due.clear();
        let Some(at) = self.candidates.pop_due(until, due) else { return false };
        let armed = &mut self.armed_candidates;
        due.retain(|slot| {
            let is_due = armed.get(slot) == Some(&at);
            if is_due {
                armed.remove(slot);
            }
            is_due
        });
        true
    }

    /// `None` where there is no candidate (any more).
    pub fn candidate_deadline(&mut self, slot: Slot, rule: &PresenceRule) -> Option<Timestamp> {
        match &self.held(slot)?.window {
            Window::Presence(presence) if !presence.is_present() => Some(presence.deadline(rule, None)),
            Window::Presence(_) | Window::Portal(_) => None,
        }
    }

    pub fn window(&self, epc: Epc) -> Option<&Window> {
        let slot = self.slot(epc)?;
        self.slots[slot as usize].as_ref().map(|held| &held.window)
    }

    /// The presence of a tag; it counts as changed.
    pub fn presence(&mut self, epc: Epc) -> Option<&mut Presence> {
        let slot = self.slot(epc)?;
        self.mark(slot);
        match &mut self.held(slot)?.window {
            Window::Presence(presence) => Some(presence),
            Window::Portal(_) => None,
        }
    }

    pub fn holds(&self, epc: Epc) -> bool {
        self.slot(epc).is_some()
    }

    fn slot(&self, epc: Epc) -> Option<Slot> {
        let recent = self.recent.get();
        if self.slots.get(recent as usize).is_some_and(|held| is_held(held, &epc)) {
            return Some(recent);
        }
        let found = self.index.find(hash(&epc), |slot| is_of(&self.slots, *slot, &epc)).copied()?;
        self.recent.set(found);
        Some(found)
    }

    /// Which slot the code with this [`hash`] may have; seldom it is another's, and no slot is looked at. So the slots of
    /// several are looked up beside one another, and then what lies there.
    pub fn guess(&self, hash: u64) -> Option<Slot> {
        self.index.find(hash, |_| true).copied()
    }

    /// Looks at a slot that will be asked for.
    pub fn look_at(&self, slot: Slot) {
        black_box(self.slots.get(slot as usize).is_some_and(Option::is_some));
    }

    /// Gives a window a slot; it takes the place of one of the same code.
    fn put(&mut self, held: Held) -> Slot {
        let epc = held.epc.epc();
        let slot = place(&mut self.slots, &mut self.free, held);
        let slots = &self.slots;
        let rehash = |slot: &Slot| slots[*slot as usize].as_ref().map_or(0, |held| hash(&held.epc));
        let is_same = |other: &Slot| *other != slot && is_of(slots, *other, &epc);
        match self.index.entry(hash(&epc), is_same, rehash) {
            Entry::Occupied(mut entry) => *entry.get_mut() = slot,
            Entry::Vacant(entry) => drop(entry.insert(slot)),
        }
        slot
    }

    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.next()
    }

    /// The slots that share the earliest deadline up to `until`, by code, and that deadline.
    pub fn due(&mut self, until: Timestamp, due: &mut Vec<Slot>) -> Option<Timestamp> {
        due.clear();
        let at = self.deadlines.pop_due(until, due)?;
        let slots = &mut self.slots;
        due.retain(|slot| match &mut slots[*slot as usize] {
            Some(held) if held.armed == Some(at) => {
                held.armed = None;
                true
            }
            _ => false,
        });
        due.sort_by_cached_key(|slot| slots[*slot as usize].as_ref().map(|held| held.epc.epc()));
        Some(at)
    }

    pub fn changed(&mut self, slot: Slot) {
        self.mark(slot);
    }

    pub fn remove(&mut self, slot: Slot) {
        let Some(held) = self.slots[slot as usize].take() else { return };
        if let Ok(entry) = self.index.find_entry(hash(&held.epc), |other| *other == slot) {
            entry.remove();
        }
        self.armed_candidates.remove(&slot);
        self.free.push(slot);
        if held.saved {
            self.removed.push(held.epc.epc());
        }
    }

    /// Forgets a tag's window, and tells nobody.
    pub fn forget(&mut self, epc: Epc) {
        if let Some(slot) = self.slot(epc) {
            self.remove(slot);
        }
    }

    /// What changed since the last call, by code: the window, or that it is gone.
    pub fn take_dirty(&mut self, mut each: impl FnMut(Epc, Option<&Window>)) {
        let mut changed: Vec<(Epc, Option<Slot>)> =
            std::mem::take(&mut self.removed).into_iter().map(|epc| (epc, None)).collect();
        for slot in std::mem::take(&mut self.dirty) {
            if let Some(held) = self.held(slot).filter(|held| held.dirty) {
                held.dirty = false;
                held.saved = true;
                changed.push((held.epc.epc(), Some(slot)));
            }
        }
        // Removed and made again: the new window's row, which sorts behind, replaces the old one.
        changed.sort_unstable();
        for (index, (epc, slot)) in changed.iter().enumerate() {
            let replaced = changed.get(index + 1).is_some_and(|(next, _)| next == epc);
            if !replaced {
                let held = slot.and_then(|slot| self.slots[slot as usize].as_ref());
                each(*epc, held.map(|held| &held.window));
            }
        }
    }

    /// All windows, by code, and the codes whose rows are still to be deleted.
    pub fn into_parts(self) -> (Vec<Held>, Vec<Epc>) {
        let mut held: Vec<_> = self.slots.into_iter().flatten().collect();
        held.sort_by_cached_key(|held| held.epc.epc());
        (held, self.removed)
    }

    /// Rows are in: gives back what was kept for more.
    pub fn restored(&mut self) {
        self.slots.shrink_to_fit();
    }

    pub fn forget_row(&mut self, epc: Epc) {
        self.removed.push(epc);
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }
}

impl Held {
    fn new(epc: HeldEpc, window: Window, saved: bool) -> Self {
        Self { epc, window, armed: None, dirty: false, saved }
    }
}

pub(super) fn hash(epc: &impl std::hash::Hash) -> u64 {
    BuildHasherDefault::<SipHasher13>::default().hash_one(epc)
}

fn is_of(slots: &[Option<Held>], slot: Slot, epc: &Epc) -> bool {
    is_held(&slots[slot as usize], epc)
}

fn is_held(held: &Option<Held>, epc: &Epc) -> bool {
    held.as_ref().is_some_and(|held| held.epc == *epc)
}

fn place(slots: &mut Vec<Option<Held>>, free: &mut Vec<Slot>, held: Held) -> Slot {
    if let Some(slot) = free.pop() {
        slots[slot as usize] = Some(held);
        return slot;
    }
    slots.push(Some(held));
    Slot::try_from(slots.len() - 1).expect("fewer windows than there is memory for: each takes over 2 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_one_line_of_cache() {
        assert_eq!(size_of::<Option<Held>>(), 64);
    }

    #[test]
    fn a_window_is_found_again_among_many_that_came_and_went() {
        let epc = |number: u32| Epc::new(32, &number.to_be_bytes()).unwrap();
        let new = || Window::Presence(Presence::new(Timestamp::from_secs(1)));
        let mut windows = Windows::default();
        for number in 0..1000 {
            let (slot, _) = windows.touch(epc(number), new);
            if number % 3 == 0 {
                windows.remove(slot);
            }
        }
        for number in 0..1000 {
            assert_eq!(windows.holds(epc(number)), number % 3 != 0, "{number}");
            let (slot, _) = windows.touch(epc(number), new);
            assert_eq!(windows.held(slot).unwrap().epc, epc(number));
        }
        assert_eq!(windows.len(), 1000);
    }

    /// Each is asked for again and again, which the last that was found must not hide; and is nearly always where it is
    /// guessed to be.
    #[test]
    fn a_tag_that_has_gone_is_not_found_where_it_was() {
        let epc = |number: u32| Epc::new(32, &number.to_be_bytes()).unwrap();
        let new = || Window::Presence(Presence::new(Timestamp::from_secs(1)));
        let mut windows = Windows::default();
        let mut right = 0;
        for number in 0..1000 {
            let (slot, _) = windows.touch(epc(number), new);
            right += u32::from(windows.guess(hash(&epc(number))) == Some(slot));
            windows.look_at(slot);
            assert!(windows.holds(epc(number)) && !windows.holds(epc(number + 1)));
            if number % 2 == 0 {
                windows.remove(slot);
                assert!(!windows.holds(epc(number)));
                windows.look_at(slot);
                // It takes the slot of the one that has gone.
                let (taken, _) = windows.touch(epc(number + 5000), new);
                assert_eq!(taken, slot);
                assert!(windows.holds(epc(number + 5000)) && !windows.holds(epc(number)));
            }
        }
        windows.look_at(Slot::MAX);
        assert!(right > 950, "{right} of 1000");
    }
}
