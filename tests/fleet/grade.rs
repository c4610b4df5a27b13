//! Visits that were said against those that were.

use std::collections::BTreeMap;

use tallyman_simulators::fleet::{Run, Visit};

use super::Said;

/// A visit in which so many fixes lie inside by more than their accuracy is due to be told.
const DEEP_FIXES: usize = 3;
/// What is said may lie beside what was by so much.
const BESIDE_US: i64 = 120_000_000;

#[derive(Clone, Debug, Default)]
pub struct Grade {
    pub due: usize,
    pub found: usize,
    pub said: usize,
    /// Said, and there was none, or it was said already.
    pub spurious: usize,
    /// Seconds between when it was entered and when that was said to be.
    off_s: Vec<f64>,
}

impl Grade {
    pub fn add(&mut self, run: &Run, said: &[Said]) {
        let mut true_visits: BTreeMap<(usize, usize), Vec<&Visit>> = BTreeMap::new();
        for visit in &run.visits {
            true_visits.entry((visit.vehicle, visit.fence)).or_default().push(visit);
        }
        self.due += run.visits.iter().filter(|visit| is_due(visit)).count();
        let mut said_by: BTreeMap<(usize, usize), Vec<&Said>> = BTreeMap::new();
        for change in said {
            said_by.entry((change.vehicle, change.fence)).or_default().push(change);
        }
        for (of, mut changes) in said_by {
            changes.sort_by_key(|change| change.at_us);
            let mut left: Vec<&Visit> = true_visits.get(&of).cloned().unwrap_or_default();
            for (from_us, until_us) in self.intervals(&changes, run.duration_us) {
                self.said += 1;
                let overlaps = |visit: &Visit| {
                    let until = visit.until_us.unwrap_or(run.duration_us);
                    visit.from_us - BESIDE_US <= until_us && from_us <= until + BESIDE_US
                };
                // Of several that it may be, the one that is due, else the nearest.
                let best = (0..left.len())
                    .filter(|nth| overlaps(left[*nth]))
                    .min_by_key(|nth| (!is_due(left[*nth]), (left[*nth].from_us - from_us).abs()));
                let Some(best) = best else {
                    self.spurious += 1;
                    continue;
                };
                let visit = left.remove(best);
                if is_due(visit) {
                    self.found += 1;
                }
                if visit.from_us > 0 {
                    self.off_s.push((visit.from_us - from_us).abs() as f64 / 1e6);
                }
            }
        }
    }

    /// From each change in to the next change out. Two in the same direction are one too many.
    fn intervals(&mut self, changes: &[&Said], ends_us: i64) -> Vec<(i64, i64)> {
        let (mut open, mut found) = (None, Vec::new());
        for change in changes {
            match (open, change.enters) {
                (None, true) => open = Some(change.at_us),
                (Some(from), false) => {
                    found.push((from, change.at_us));
                    open = None;
                }
                (Some(_), true) | (None, false) => {
                    self.said += 1;
                    self.spurious += 1;
                }
            }
        }
        found.extend(open.map(|from| (from, ends_us)));
        found
    }

    pub fn recall(&self) -> f64 {
        share(self.found, self.due)
    }

    pub fn precision(&self) -> f64 {
        share(self.said - self.spurious, self.said)
    }

    pub fn off_s(&self, part: f64) -> f64 {
        let mut off = self.off_s.clone();
        off.sort_by(f64::total_cmp);
        off.get((off.len() as f64 * part) as usize).copied().unwrap_or_default()
    }
}

fn is_due(visit: &Visit) -> bool {
    visit.deep_fixes >= DEEP_FIXES
}

fn share(part: usize, of: usize) -> f64 {
    if of == 0 { 1.0 } else { part as f64 / of as f64 }
}
