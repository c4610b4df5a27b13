//! Visits that were said against those that were.

use std::collections::BTreeMap;

use tallyman_simulators::fleet::{Run, Visit};

use super::{Said, SaidTrip};

/// A visit in which so many fixes lie inside by more than their accuracy is due to be told.
const DEEP_FIXES: usize = 3;
/// What is said may lie beside what was by so much.
const BESIDE_US: i64 = 120_000_000;
/// A stop is told after it has lasted, and after its fixes have arrived.
const TOLD_WITHIN_US: i64 = 2 * 3600 * 1_000_000;

/// A trip is remarked on whose length is off by more than this share.
const REMARKED: f64 = 0.1;

#[derive(Clone, Debug, Default)]
pub struct Grade {
    pub due: usize,
    pub found: usize,
    pub said: usize,
    /// Said, and there was none, or it was said already.
    pub spurious: usize,
    /// Seconds between when it was entered and when that was said to be.
    off_s: Vec<f64>,
    pub trips: Trips,
    /// Each visit that was spurious or missed and each trip that was missed or is far off, in words.
    pub remarks: Vec<String>,
}

/// Drives and the trips that were said.
#[derive(Clone, Debug, Default)]
pub struct Trips {
    pub due: usize,
    pub missed: usize,
    /// Said, and there was none, or it was said already.
    pub spurious: usize,
    /// True and said lengths of those that were found.
    metres: Vec<(f64, f64)>,
}

impl Trips {
    /// By which share of its true length a trip was off, of so many.
    pub fn off(&self, part: f64) -> f64 {
        let off = self.metres.iter().map(|(truly, said)| ((said - truly) / truly).abs());
        let mut off: Vec<f64> = off.collect();
        off.sort_by(f64::total_cmp);
        off.get((off.len() as f64 * part) as usize).copied().unwrap_or_default()
    }

    pub fn off_in_all(&self) -> f64 {
        let (truly, said) =
            self.metres.iter().fold((0.0, 0.0), |sums, pair| (sums.0 + pair.0, sums.1 + pair.1));
        if truly > 0.0 { (said - truly) / truly } else { 0.0 }
    }
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
            let left = true_visits.entry(of).or_default();
            for (from_us, until_us, inferred) in self.intervals(&changes, run) {
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
                    let (vehicle, fence) = (of.0, &run.fences[of.1].name);
                    let how = if inferred { ", inferred" } else { "" };
                    let [from, until] = [from_us, until_us].map(|us| us as f64 / 1e6);
                    self.remarks.push(format!("v{vehicle} in {fence} from {from:.0} to {until:.0} s{how}"));
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
        for missed in true_visits.into_values().flatten().filter(|visit| is_due(visit)) {
            let fence = &run.fences[missed.fence].name;
            let [from, until] =
                [missed.from_us, missed.until_us.unwrap_or(run.duration_us)].map(|us| us as f64 / 1e6);
            let remark = format!(
                "v{} was in {fence} from {from:.0} to {until:.0} s, and nothing was said",
                missed.vehicle
            );
            self.remarks.push(remark);
        }
    }

    /// A drive that was over long enough before the end to be told is due; one that is not may be told all the same.
    pub fn add_trips(&mut self, run: &Run, said: &[SaidTrip]) {
        let mut said: Vec<&SaidTrip> = said.iter().collect();
        for (vehicle, drives) in run.drives.iter().enumerate() {
            for drive in drives {
                let (from_us, until_us) = ((drive.from_s * 1e6) as i64, (drive.until_s * 1e6) as i64);
                let is_due = until_us + TOLD_WITHIN_US < run.duration_us;
                // Of several, the one that has most of it.
                let most = (0..said.len())
                    .filter(|nth| said[*nth].vehicle == vehicle)
                    .map(|nth| (nth, said[nth].until_us.min(until_us) - said[nth].from_us.max(from_us)))
                    .filter(|(_, both)| *both > 0)
                    .max_by_key(|(_, both)| *both);
                self.trips.due += usize::from(is_due);
                let what = format!(
                    "v{vehicle} drove {:.0} m from {:.0} to {:.0} s",
                    drive.length_m, drive.from_s, drive.until_s
                );
                match most {
                    Some((nth, _)) => {
                        let trip = said.swap_remove(nth);
                        self.trips.metres.push((drive.length_m, trip.distance_m));
                        if ((trip.distance_m - drive.length_m) / drive.length_m).abs() > REMARKED {
                            let [from, until] = [trip.from_us, trip.until_us].map(|us| us as f64 / 1e6);
                            let said = format!("{:.0} m from {from:.0} to {until:.0} s", trip.distance_m);
                            self.remarks.push(format!("{what}, said were {said}"));
                        }
                    }
                    None if is_due => {
                        self.trips.missed += 1;
                        self.remarks.push(format!("{what}, and nothing was said"));
                    }
                    None => {}
                }
            }
        }
        self.trips.spurious += said.len();
    }

    /// From each change in to the next change out, and whether the first was inferred. Two in the same direction are one too many.
    fn intervals(&mut self, changes: &[&Said], run: &Run) -> Vec<(i64, i64, bool)> {
        let (mut open, mut found) = (None, Vec::new());
        for change in changes {
            match (open, change.enters) {
                (None, true) => open = Some((change.at_us, change.inferred)),
                (Some((from, inferred)), false) => {
                    found.push((from, change.at_us, inferred));
                    open = None;
                }
                (Some(_), true) | (None, false) => {
                    self.said += 1;
                    self.spurious += 1;
                    let (which, fence) =
                        (if change.enters { "into" } else { "out of" }, &run.fences[change.fence].name);
                    let at = change.at_us as f64 / 1e6;
                    self.remarks.push(format!(
                        "v{} {which} {fence} twice, the second time at {at:.0} s",
                        change.vehicle
                    ));
                }
            }
        }
        found.extend(open.map(|(from, inferred)| (from, run.duration_us, inferred)));
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
