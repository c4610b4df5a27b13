//! What was said, held against the truth.
//!
//! Passages are those of assets: what tags of one asset pass the same door the same way within a few seconds
//! is one (the daemon's `track` does the same). One is right where an asset truly passed that door that way, and its
//! moment lies within the true passage, give or take seconds; each truth is met once. A wrong direction is a passage
//! too many *and* one missed.

use tallyman_simulators::portal::{Asset, Kind, Run};

use super::Said;

const MERGE_US: i64 = 5_000_000;
/// How far before and after the true passage, from clear to clear of the door, it may be said to have been.
const NEAR_US: i64 = 8_000_000;
pub(super) const BINS: usize = 10;

#[derive(Clone, Debug, Default)]
pub struct Grade {
    pub right: usize,
    pub said: usize,
    pub true_ones: usize,
    /// Said at the right door and time, the wrong way.
    pub wrong_way: usize,
    /// Assets with all that is said of them right, and all that were read at all.
    pub events: usize,
    pub events_right: usize,
    /// Assets at doors that they do not pass, though heard there; and those of which nothing was said.
    pub bystanders: usize,
    pub rejected: usize,
    /// Passages of assets that no reader heard.
    pub unheard: usize,
    /// From the true moment to when it was told.
    pub latencies_us: Vec<i64>,
    /// By confidence in tenths: said and right, and the sum of what was said.
    pub bins: [(usize, usize, f64); BINS],
}

impl Grade {
    pub fn add(&mut self, run: &Run, said: &[Said]) {
        let mut heard = vec![Vec::new(); run.assets.iter().flat_map(|asset| &asset.tags).count()];
        for read in &run.reads {
            if !heard[read.tag].contains(&read.door) {
                heard[read.tag].push(read.door);
            }
        }
        for asset in &run.assets {
            let mut doors: Vec<usize> = asset.tags.iter().flat_map(|tag| heard[*tag].clone()).collect();
            doors.sort_unstable();
            doors.dedup();
            self.asset(asset, &doors, &merged(asset, said));
        }
    }

    fn asset(&mut self, asset: &Asset, heard: &[usize], said: &[Said]) {
        self.said += said.len();
        self.true_ones += asset.passages.len();
        let mut met = vec![false; asset.passages.len()];
        let mut rights = vec![false; said.len()];
        // First those that are right altogether, then those that only went the wrong way.
        for same_way in [true, false] {
            for (one, right) in said.iter().zip(&mut rights) {
                if *right || one.door != asset.door {
                    continue;
                }
                let near = |at_us: i64| (one.at_us - at_us).abs();
                let found = asset.passages.iter().enumerate().filter(|(nth, passage)| {
                    let within = passage.from_us - NEAR_US..=passage.to_us + NEAR_US;
                    !met[*nth] && within.contains(&one.at_us) && (passage.inward == one.inward) == same_way
                });
                let Some((nth, passage)) = found.min_by_key(|(_, passage)| near(passage.at_us)) else {
                    continue;
                };
                met[nth] = true;
                if same_way {
                    *right = true;
                    self.right += 1;
                    self.latencies_us.push(one.told_us - passage.at_us);
                } else {
                    self.wrong_way += 1;
                }
            }
        }
        for (one, right) in said.iter().zip(&rights) {
            if let Some(confidence) = one.confidence {
                let bin = &mut self.bins[((confidence * BINS as f32) as usize).min(BINS - 1)];
                *bin = (bin.0 + 1, bin.1 + usize::from(*right), bin.2 + f64::from(confidence));
            }
        }
        self.events += usize::from(!heard.is_empty());
        let all_right = rights.iter().all(|right| *right) && said.len() == asset.passages.len();
        self.events_right += usize::from(all_right && !heard.is_empty());
        self.unheard += if heard.is_empty() { asset.passages.len() } else { 0 };
        for door in heard {
            let bystander = *door != asset.door || asset.kind != Kind::Passes;
            if bystander {
                self.bystanders += 1;
                self.rejected += usize::from(!said.iter().any(|one| one.door == *door));
            }
        }
    }

    pub fn precision(&self) -> f64 {
        share(self.right, self.said)
    }

    pub fn recall(&self) -> f64 {
        share(self.right, self.true_ones)
    }

    pub fn f1(&self) -> f64 {
        share(2 * self.right, self.said + self.true_ones)
    }

    /// Of the passages found at all, those whose way is right.
    pub fn direction(&self) -> f64 {
        share(self.right, self.right + self.wrong_way)
    }

    pub fn accuracy(&self) -> f64 {
        share(self.events_right, self.events)
    }

    pub fn rejection(&self) -> f64 {
        share(self.rejected, self.bystanders)
    }

    /// Expected calibration error: how far what is said is from what is right, on the mean.
    pub fn calibration_error(&self) -> f64 {
        let all: usize = self.bins.iter().map(|bin| bin.0).sum();
        let off: f64 = self.bins.iter().map(|(_, right, said)| (said - *right as f64).abs()).sum();
        if all == 0 { 0.0 } else { off / all as f64 }
    }

    /// The latency below which this share lies, in seconds.
    pub fn latency_s(&self, share: f64) -> f64 {
        let mut sorted = self.latencies_us.clone();
        sorted.sort_unstable();
        let place = ((sorted.len() as f64 - 1.0) * share).round().max(0.0) as usize;
        sorted.get(place).map_or(0.0, |us| *us as f64 / 1e6)
    }

    pub fn join(&mut self, other: &Self) {
        self.right += other.right;
        self.said += other.said;
        self.true_ones += other.true_ones;
        self.wrong_way += other.wrong_way;
        self.events += other.events;
        self.events_right += other.events_right;
        self.bystanders += other.bystanders;
        self.rejected += other.rejected;
        self.unheard += other.unheard;
        self.latencies_us.extend(&other.latencies_us);
        for (bin, more) in self.bins.iter_mut().zip(other.bins) {
            *bin = (bin.0 + more.0, bin.1 + more.1, bin.2 + more.2);
        }
    }
}

fn share(part: usize, of: usize) -> f64 {
    if of == 0 { 1.0 } else { part as f64 / of as f64 }
}

/// What is said of an asset's tags, as the daemon tells it of the asset.
fn merged(asset: &Asset, said: &[Said]) -> Vec<Said> {
    let mut all: Vec<Said> = said.iter().filter(|one| asset.tags.contains(&one.tag)).copied().collect();
    all.sort_by_key(|one| one.told_us);
    let mut kept: Vec<Said> = Vec::new();
    for one in all {
        let same =
            |other: &&Said| (other.door, other.inward) == (one.door, one.inward) && other.tag != one.tag;
        if !kept.iter().filter(same).any(|other| (other.at_us - one.at_us).abs() <= MERGE_US) {
            kept.push(one);
        }
    }
    kept
}
