//! Smoothing windows: of a fixed length, and SMURF's.
//!
//! A tag is present on a side of a door while its window there holds a read. It has moved once it is no longer
//! present where it was; of several sides where it is present then, to the one with the most reads in its window
//! (Jeffery, Alonso, Franklin, Hong, Widom, *A pipelined framework for online cleaning of sensor data streams*,
//! ICDE 2006: "arbitrate"). A change of side is a passage.

use std::collections::{BTreeMap, VecDeque};

use tallyman_simulators::portal::{Run, Scenario};

use super::{Said, looks_inside};
use crate::peers;

/// One look at every tag: every antenna has had its turn.
const EPOCH_US: i64 = 250_000;
/// Two seconds, a usual choice for doors.
const FIXED_EPOCHS: usize = 8;

type Side = (usize, bool);

pub(super) fn fixed_window(_: &Scenario, run: &Run) -> Vec<Said> {
    smooth(run, |_| FIXED_EPOCHS)
}

pub(super) fn smurf(_: &Scenario, run: &Run) -> Vec<Said> {
    smooth(run, |tag| {
        let seen = tag.epochs.iter().rev().take(tag.window.max(1)).filter(|reads| **reads > 0);
        peers::smurf(tag.window, &seen.map(|reads| rate(*reads)).collect::<Vec<_>>())
    })
}

/// The chance to be read in an epoch: reads over the attempts that an epoch has, of which a door's
/// antennas have about this many each.
fn rate(reads: u32) -> f64 {
    const ATTEMPTS: f64 = 4.0;
    (f64::from(reads) / ATTEMPTS).min(0.99)
}

/// A tag on one side of one door.
#[derive(Default)]
struct Window {
    window: usize,
    /// Reads of each epoch, the newest last.
    epochs: VecDeque<u32>,
}

/// Longer windows than this many epochs are not kept.
const LONGEST: usize = 64;

fn smooth(run: &Run, resize: impl Fn(&Window) -> usize) -> Vec<Said> {
    let mut tags: BTreeMap<usize, BTreeMap<Side, Window>> = BTreeMap::new();
    let mut at: BTreeMap<usize, Side> = BTreeMap::new();
    let mut said = Vec::new();
    let mut reads = run.reads.iter().peekable();
    for epoch in 0..(run.duration_us / EPOCH_US + 40) {
        let ends_us = (epoch + 1) * EPOCH_US;
        for window in tags.values_mut().flat_map(BTreeMap::values_mut) {
            window.epochs.push_back(0);
            if window.epochs.len() > LONGEST {
                window.epochs.pop_front();
            }
        }
        while let Some(read) = reads.next_if(|read| read.at_us < ends_us) {
            let sides = tags.entry(read.tag).or_default();
            let window = sides.entry((read.door, looks_inside(read.antenna))).or_default();
            match window.epochs.back_mut() {
                Some(count) => *count += 1,
                None => window.epochs.push_back(1),
            }
        }
        for (tag, sides) in &mut tags {
            let mut best: Option<(u32, Side)> = None;
            let mut stays = false;
            for (side, window) in sides.iter_mut() {
                window.window = resize(window).min(LONGEST);
                let count = window.epochs.iter().rev().take(window.window).sum();
                stays |= count > 0 && at.get(tag) == Some(side);
                if count > 0 && best.is_none_or(|(most, _)| count > most) {
                    best = Some((count, *side));
                }
            }
            if stays {
                continue;
            }
            let Some((_, side)) = best else { continue };
            let before = at.insert(*tag, side);
            if before.is_some_and(|before| before.1 != side.1) {
                let (at_us, told_us) = (ends_us, ends_us);
                said.push(Said { tag: *tag, door: side.0, inward: side.1, at_us, told_us, confidence: None });
            }
        }
    }
    said
}
