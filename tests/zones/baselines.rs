//! Rules that say where a tag is: the newest read, smoothing windows, and EdgeX's.

use std::collections::{BTreeMap, VecDeque};

use tallyman_simulators::zones::{Read, Run};

use super::Said;
use crate::peers::{self, Location};

/// One look at every tag: every antenna has had its turn.
const EPOCH_US: i64 = 1_000_000;
/// A usual choice for zones.
const FIXED_EPOCHS: usize = 30;
/// Longer windows than this many epochs are not kept.
const LONGEST: usize = 300;

/// What is said of each tag, told only where it changes.
#[derive(Default)]
struct Answers {
    now: BTreeMap<usize, Option<usize>>,
    said: Vec<Said>,
}

impl Answers {
    fn say(&mut self, tag: usize, at_us: i64, zone: Option<usize>) {
        if self.now.insert(tag, zone) != Some(zone) {
            self.said.push(Said { tag, at_us, zone });
        }
    }
}

/// Where it was read last, until it was not read for a minute.
pub(super) fn newest(run: &Run) -> Vec<Said> {
    const GONE_US: i64 = 60_000_000;
    let mut answers = Answers::default();
    let mut last: BTreeMap<usize, (i64, usize)> = BTreeMap::new();
    by_epoch(run, |ends_us, reads| {
        for read in reads {
            last.insert(read.tag, (read.at_us, read.zone));
            answers.say(read.tag, read.at_us, Some(read.zone));
        }
        for (tag, (at_us, zone)) in &last {
            answers.say(*tag, ends_us, Some(*zone).filter(|_| ends_us - at_us <= GONE_US));
        }
    });
    answers.said
}

fn by_epoch<'a>(run: &'a Run, mut each: impl FnMut(i64, &'a [Read])) {
    let mut rest = run.reads.as_slice();
    for epoch in 0..run.duration_us / EPOCH_US {
        let ends_us = (epoch + 1) * EPOCH_US;
        let (now, later) = rest.split_at(rest.partition_point(|read| read.at_us < ends_us));
        rest = later;
        each(ends_us, now);
    }
}

/// Present in a zone while its window there holds a read; of several, in the one with the most reads in its window
/// (Jeffery, Alonso, Franklin, Hong, Widom, *A pipelined framework for online cleaning of sensor data streams*,
/// ICDE 2006: "arbitrate").
pub(super) fn fixed_window(run: &Run) -> Vec<Said> {
    smooth(run, |_| FIXED_EPOCHS, |heard| f64::from(heard.count))
}

/// The same, but of several in the one with the strongest mean signal.
pub(super) fn strongest(run: &Run) -> Vec<Said> {
    smooth(run, |_| FIXED_EPOCHS, |heard| heard.dbm / f64::from(heard.reports.max(1)))
}

/// SMURF's window, and that arbitration.
pub(super) fn smurf(run: &Run) -> Vec<Said> {
    let resize = |window: &Window| {
        let seen = window.epochs.iter().rev().take(window.size.max(1)).filter(|heard| heard.count > 0);
        peers::smurf(window.size, &seen.map(|heard| rate(heard.count)).collect::<Vec<_>>())
    };
    smooth(run, resize, |heard| f64::from(heard.count))
}

/// The chance to be read in an epoch: reads over the attempts that an epoch has, about so many.
fn rate(reads: u32) -> f64 {
    const ATTEMPTS: f64 = 20.0;
    (f64::from(reads) / ATTEMPTS).min(0.99)
}

/// In an epoch, or in several.
#[derive(Clone, Copy, Default)]
struct Heard {
    reports: u32,
    count: u32,
    /// The sum of the reports' signals.
    dbm: f64,
}

impl Heard {
    fn join(&mut self, other: Self) {
        self.reports += other.reports;
        self.count += other.count;
        self.dbm += other.dbm;
    }
}

/// A tag in one zone.
#[derive(Default)]
struct Window {
    size: usize,
    /// The newest last.
    epochs: VecDeque<Heard>,
}

impl Window {
    fn add(&mut self, epoch: Heard) {
        self.epochs.push_back(epoch);
        if self.epochs.len() > LONGEST {
            self.epochs.pop_front();
        }
    }

    fn heard(&self) -> Heard {
        let mut all = Heard::default();
        self.epochs.iter().rev().take(self.size).for_each(|heard| all.join(*heard));
        all
    }
}

fn smooth(run: &Run, resize: impl Fn(&Window) -> usize, value: impl Fn(&Heard) -> f64) -> Vec<Said> {
    let mut tags: BTreeMap<usize, BTreeMap<usize, Window>> = BTreeMap::new();
    let mut answers = Answers::default();
    by_epoch(run, |ends_us, reads| {
        let mut now: BTreeMap<(usize, usize), Heard> = BTreeMap::new();
        for read in reads {
            let one = Heard { reports: 1, count: u32::from(read.count), dbm: f64::from(read.dbm) };
            now.entry((read.tag, read.zone)).or_default().join(one);
            tags.entry(read.tag).or_default().entry(read.zone).or_default();
        }
        for (tag, zones) in &mut tags {
            let mut best: Option<(f64, usize)> = None;
            for (zone, window) in zones.iter_mut() {
                window.add(now.get(&(*tag, *zone)).copied().unwrap_or_default());
                window.size = resize(window).clamp(1, LONGEST);
                let heard = window.heard();
                if heard.count > 0 && best.is_none_or(|(most, _)| value(&heard) > most) {
                    best = Some((value(&heard), *zone));
                }
            }
            answers.say(*tag, ends_us, best.map(|(_, zone)| zone));
        }
    });
    answers.said
}

/// EdgeX's rule; departed after 600 s without a read.
pub(super) fn edgex(run: &Run) -> Vec<Said> {
    const DEPARTED_US: i64 = 600_000_000;
    #[derive(Default)]
    struct Tag {
        at: Option<usize>,
        last_us: i64,
        locations: BTreeMap<usize, Location>,
    }
    let mut tags: BTreeMap<usize, Tag> = BTreeMap::new();
    let mut answers = Answers::default();
    by_epoch(run, |ends_us, reads| {
        for read in reads {
            let tag = tags.entry(read.tag).or_default();
            tag.last_us = read.at_us;
            let location = tag.locations.entry(read.zone).or_default();
            // It keeps single reads; a report of several stands for as many.
            (0..read.count).for_each(|_| location.read(read.at_us, f64::from(read.dbm)));
            let here = &tag.locations[&read.zone];
            let moves = tag.at.is_none_or(|at| at != read.zone && here.takes_from(&tag.locations[&at]));
            if moves {
                tag.at = Some(read.zone);
                answers.say(read.tag, read.at_us, tag.at);
            }
        }
        for (number, tag) in tags.iter_mut().filter(|(_, tag)| tag.at.is_some()) {
            if ends_us - tag.last_us > DEPARTED_US {
                *tag = Tag::default();
                answers.say(*number, ends_us, None);
            }
        }
    });
    answers.said
}
