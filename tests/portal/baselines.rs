//! First/last antenna, and EdgeX's rule.

use std::collections::BTreeMap;

use tallyman_simulators::portal::{Run, Scenario};

use super::{Said, looks_inside};
use crate::peers::Location;

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

/// EdgeX's rule; a change of side is a passage.
pub(super) fn edgex(_: &Scenario, run: &Run) -> Vec<Said> {
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
        tag.locations.entry(here).or_default().read(read.at_us, f64::from(read.dbm));
        let at = *tag.at.get_or_insert(here);
        if at == here || !tag.locations[&here].takes_from(&tag.locations[&at]) {
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
