//! The tags of one read point: found by their code, put out by their deadline.
//!
//! A read costs one look-up of the code's used bytes, and a deadline moves without touching the heap;
//! neither grows with the number of tags. The map is never iterated: order comes from deadlines and codes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use super::deadlines::{Deadlines, Slot};
use super::portal::Crossing;
use super::presence::Presence;
use super::rules::PresenceRule;
use crate::domain::epc::Epc;
use crate::domain::time::Timestamp;

/// What is known of one tag at one read point; its row.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Window {
    Presence(Presence),
    Portal(Box<Crossing>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Key(Epc);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.0.bytes());
        state.write_u16(self.0.bits());
    }
}

pub(super) struct Held {
    pub epc: Epc,
    pub window: Window,
    /// The earliest time at which the heap will bring it up.
    armed: Option<Timestamp>,
    /// The same for the heap of candidates.
    armed_candidate: Option<Timestamp>,
    dirty: bool,
    pub saved: bool,
}

#[derive(Default)]
pub(super) struct Windows {
    index: HashMap<Key, Slot, BuildHasherDefault<SipHasher13>>,
    slots: Vec<Option<Held>>,
    free: Vec<Slot>,
    deadlines: Deadlines,
    /// Of presences that nobody was told of, which need no hearing to be over.
    candidates: Deadlines,
    dirty: Vec<Slot>,
    /// Removed, while the journal still has their row.
    removed: Vec<Epc>,
}

impl Windows {
    /// The tag's window, made by `new` where there is none; it counts as changed.
    pub fn touch(&mut self, epc: Epc, new: impl FnOnce() -> Window) -> (Slot, &mut Window) {
        let slot = match self.index.entry(Key(epc)) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let held = Held {
                    epc,
                    window: new(),
                    armed: None,
                    armed_candidate: None,
                    dirty: false,
                    saved: false,
                };
                *entry.insert(place(&mut self.slots, &mut self.free, held))
            }
        };
        self.mark(slot);
        match &mut self.slots[slot as usize] {
            Some(held) => (slot, &mut held.window),
            None => unreachable!("the index names only slots that are in use"),
        }
    }

    /// Takes up a window from its row.
    pub fn restore(&mut self, epc: Epc, window: Window, deadline: Timestamp) {
        self.adopt(
            Held { epc, window, armed: None, armed_candidate: None, dirty: false, saved: true },
            deadline,
        );
    }

    /// Takes over a window from before the rules changed.
    pub fn adopt(&mut self, held: Held, deadline: Timestamp) {
        let (epc, dirty) = (held.epc, held.dirty);
        let slot = place(
            &mut self.slots,
            &mut self.free,
            Held { armed: None, armed_candidate: None, dirty: false, ..held },
        );
        self.index.insert(Key(epc), slot);
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
        let Some(held) = self.held(slot) else { return };
        if held.armed_candidate.is_none_or(|armed| deadline < armed) {
            held.armed_candidate = Some(deadline);
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
        let slots = &mut self.slots;
        due.retain(|slot| match &mut slots[*slot as usize] {
            Some(held) if held.armed_candidate == Some(at) => {
                held.armed_candidate = None;
                true
            }
            _ => false,
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

    pub fn holds(&self, epc: Epc) -> bool {
        self.index.contains_key(&Key(epc))
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
        due.sort_by_key(|slot| slots[*slot as usize].as_ref().map(|held| held.epc));
        Some(at)
    }

    pub fn changed(&mut self, slot: Slot) {
        self.mark(slot);
    }

    pub fn remove(&mut self, slot: Slot) {
        let Some(held) = self.slots[slot as usize].take() else { return };
        self.index.remove(&Key(held.epc));
        self.free.push(slot);
        if held.saved {
            self.removed.push(held.epc);
        }
    }

    /// Forgets a tag's window, and tells nobody.
    pub fn forget(&mut self, epc: Epc) {
        if let Some(slot) = self.index.get(&Key(epc)).copied() {
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
                changed.push((held.epc, Some(slot)));
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
        held.sort_by_key(|held| held.epc);
        (held, self.removed)
    }

    pub fn forget_row(&mut self, epc: Epc) {
        self.removed.push(epc);
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }
}

fn place(slots: &mut Vec<Option<Held>>, free: &mut Vec<Slot>, held: Held) -> Slot {
    if let Some(slot) = free.pop() {
        slots[slot as usize] = Some(held);
        return slot;
    }
    slots.push(Some(held));
    Slot::try_from(slots.len() - 1).expect("fewer windows than there is memory for: each takes over 2 bytes")
}
