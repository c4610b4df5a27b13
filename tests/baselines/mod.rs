//! What the rules of others have in common, wherever they are graded: EdgeX's and SMURF's, as their authors describe them.

use std::collections::VecDeque;

/// EdgeX's app-rfid-llrp-inventory: the last 20 reads of a tag at a location.
#[derive(Default)]
pub struct Location {
    dbm: VecDeque<f64>,
    last_us: i64,
}

impl Location {
    pub fn read(&mut self, at_us: i64, dbm: f64) {
        const WINDOW: usize = 20;
        self.dbm.push_back(dbm);
        if self.dbm.len() > WINDOW {
            self.dbm.pop_front();
        }
        self.last_us = at_us;
    }

    fn mean(&self) -> f64 {
        self.dbm.iter().sum::<f64>() / self.dbm.len().max(1) as f64
    }

    /// Whether a tag that was at `old` and is read here now is here: the mean here beats the mean there by an offset that
    /// shrinks with the time since it was read there.
    pub fn takes_from(&self, old: &Self) -> bool {
        const SLOPE_DB_PER_MS: f64 = 0.008;
        const THRESHOLD_DB: f64 = 6.0;
        const HOLDOFF_MS: f64 = 500.0;
        const LEAST_READS: usize = 2;
        let apart_ms = (self.last_us - old.last_us) as f64 / 1000.0;
        let offset = (THRESHOLD_DB - SLOPE_DB_PER_MS * (apart_ms - HOLDOFF_MS)).min(THRESHOLD_DB);
        self.dbm.len() >= LEAST_READS && self.mean() > old.mean() + offset
    }
}

/// SMURF's next window of a tag (Jeffery, Garofalakis, Franklin, *Adaptive cleaning for RFID data streams*, VLDB 2006,
/// δ = 0.05): so many epochs, given the chances of a read in those of the window that had one.
pub fn smurf(window: usize, rates: &[f64]) -> usize {
    const DELTA: f64 = 0.05;
    let window = window.max(1);
    if rates.is_empty() {
        return window;
    }
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    let best = ((1.0 / DELTA).ln() / mean).ceil() as usize;
    let (size, expected) = (rates.len() as f64, window as f64 * mean);
    if best > window {
        (window + 2).min(best).max(1)
    } else if (size - expected).abs() > 2.0 * (window as f64 * mean * (1.0 - mean)).sqrt() {
        (window / 2).min(best).max(1)
    } else {
        window
    }
}
