//! Which trackers are connected: each once.
//!
//! Where its network went away without a word, a tracker comes again while its old connection seems to be there still. Who
//! logs in anew ends that one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub struct Callers {
    here: Arc<Mutex<HashMap<String, (u64, CancellationToken)>>>,
    most: usize,
}

/// Of a tracker that is connected, until it is dropped.
pub struct Place {
    callers: Callers,
    imei: String,
    generation: u64,
    ended: CancellationToken,
}

impl Callers {
    pub fn new(most: usize) -> Self {
        Self { here: Arc::default(), most }
    }

    /// `None`: as many others as there may be are here. `generation`: of its connection.
    pub fn enter(&self, imei: &str, generation: u64) -> Option<Place> {
        let ended = CancellationToken::new();
        let mut here = self.here();
        if here.len() >= self.most && !here.contains_key(imei) {
            return None;
        }
        if let Some((_, old)) = here.insert(imei.to_owned(), (generation, ended.clone())) {
            old.cancel();
        }
        Some(Place { callers: self.clone(), imei: imei.to_owned(), generation, ended })
    }

    fn here(&self) -> MutexGuard<'_, HashMap<String, (u64, CancellationToken)>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Its tracker has logged in by another connection.
    pub async fn replaced(&self) {
        self.ended.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut here = self.callers.here();
        if here.get(&self.imei).is_some_and(|(generation, _)| *generation == self.generation) {
            here.remove(&self.imei);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_again_ends_its_old_connection_and_takes_no_second_place() {
        let callers = Callers::new(2);
        let old = callers.enter("1", 1).unwrap();
        let other = callers.enter("2", 2).unwrap();
        assert!(callers.enter("3", 3).is_none());
        let new = callers.enter("1", 4).unwrap();
        assert!(old.ended.is_cancelled() && !new.ended.is_cancelled() && !other.ended.is_cancelled());
        // The end of the old one is not the tracker's.
        drop(old);
        assert!(callers.enter("3", 5).is_none());
        drop(new);
        assert!(callers.enter("3", 6).is_some());
    }
}
