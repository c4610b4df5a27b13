//! What is going to happen, in order of time; of what happens at once, what was put in first comes first.

use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Queue<T> {
    waiting: BTreeMap<(i64, u64), T>,
    put: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), put: 0 }
    }
}

impl<T> Queue<T> {
    pub fn put(&mut self, at_us: i64, what: T) {
        self.put += 1;
        self.waiting.insert((at_us, self.put), what);
    }

    pub fn pop(&mut self) -> Option<(i64, T)> {
        self.waiting.pop_first().map(|((at, _), what)| (at, what))
    }
}
