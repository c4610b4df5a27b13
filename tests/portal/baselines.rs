//! First/last antenna, and EdgeX's rule.

use std::collections::{BTreeMap, VecDeque};

use tallyman_simulators::portal::{Run, Scenario};

use super::{Said, looks_inside};

/// Silence that ends a tag's visit to a door.
const VISIT_ENDS_US: i64 = 3_000_000;

/// A tag's visit to a door begins on the side of its first read and ends on that of its last; where they
/// differ, it has passed.
pub(super) fn first_last(_: &Scenario, run: &Run) -> Vec<Said> {
    struct Visit {
        first_inside: bool,
        last_inside: bool,
        began_us: i64,
        last_us: i64,
    }
    let mut said = Vec::new();
    let mut end = |(door, tag): (usize, usize), visit: &Visit| {
        if visit.first_inside != visit.last_inside {
            said.push(Said {
                tag,
                door,
                inward: visit.last_inside,
                at_us: (visit.began_us + visit.last_us) / 2,
                told_us: visit.last_us + VISIT_ENDS_US,
                confidence: None,
            });
        }
    };
    let mut visits: BTreeMap<(usize, usize), Visit> = BTreeMap::new();
    for read in &run.reads {
        let (inside, key) = (looks_inside(read.antenna), (read.door, read.tag));
        if let Some(visit) = visits.get_mut(&key).filter(|visit| read.at_us - visit.last_us <= VISIT_ENDS_US)
        {
            (visit.last_inside, visit.last_us) = (inside, read.at_us);
            continue;
        }
        let visit =
            Visit { first_inside: inside, last_inside: inside, began_us: read.at_us, last_us: read.at_us };
        if let Some(ended) = visits.insert(key, visit) {
            end(key, &ended);
        }
    }
    visits.iter().for_each(|(key, visit)| end(*key, visit));
    said.sort_by_key(|said| said.told_us);
    said
}

/// EdgeX's app-rfid-llrp-inventory: a tag is at a location until the mean signal of its last 20 reads at
/// another beats it by an offset that shrinks with the time since it was read at the old one.
pub(super) fn edgex(_: &Scenario, run: &Run) -> Vec<Said> {
    const WINDOW: usize = 20;
    const SLOPE_DB_PER_MS: f64 = 0.008;
    const THRESHOLD_DB: f64 = 6.0;
    const HOLDOFF_MS: f64 = 500.0;
    const LEAST_READS: usize = 2;
    #[derive(Default)]
    struct Location {
        dbm: VecDeque<f64>,
        last_us: i64,
    }
    impl Location {
        fn mean(&self) -> f64 {
            self.dbm.iter().sum::<f64>() / self.dbm.len().max(1) as f64
        }
    }
    #[derive(Default)]
    struct Tag {
        at: Option<(usize, bool)>,
        locations: BTreeMap<(usize, bool), Location>,
    }
    let mut tags: BTreeMap<usize, Tag> = BTreeMap::new();
    let mut said = Vec::new();
    for read in &run.reads {
        let here = (read.door, looks_inside(read.antenna));
        let tag = tags.entry(read.tag).or_default();
        let location = tag.locations.entry(here).or_default();
        location.dbm.push_back(f64::from(read.dbm));
        if location.dbm.len() > WINDOW {
            location.dbm.pop_front();
        }
        location.last_us = read.at_us;
        let Some(at) = tag.at else {
            tag.at = Some(here);
            continue;
        };
        if at == here || tag.locations[&here].dbm.len() < LEAST_READS {
            continue;
        }
        let apart_ms = (read.at_us - tag.locations[&at].last_us) as f64 / 1000.0;
        let offset = (THRESHOLD_DB - SLOPE_DB_PER_MS * (apart_ms - HOLDOFF_MS)).min(THRESHOLD_DB);
        if tag.locations[&here].mean() <= tag.locations[&at].mean() + offset {
            continue;
        }
        tag.at = Some(here);
        if at.1 != here.1 {
            let (at_us, told_us) = (read.at_us, read.at_us);
            said.push(Said { tag: read.tag, door: here.0, inward: here.1, at_us, told_us, confidence: None });
        }
    }
    said
}
