//! The evidence that is kept with a passage: what each antenna heard, first, last and best.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Crossing, Heard};
use crate::clean::presence::Reads;
use crate::clean::rows::micros;
use crate::domain::sightings::AntennaEvidence;
use crate::domain::time::Timestamp;

/// Evidence is kept of this many antennas of each of two spans of time.
const MAX_ANTENNAS: usize = 16;
/// Evidence of a tag that stays is that of the last one to two of these.
pub(super) const SPAN: Duration = Duration::from_secs(10);

/// Evidence of a span of time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Span {
    #[serde(with = "micros")]
    pub since: Timestamp,
    pub antennas: Vec<AntennaEvidence>,
}

impl Span {
    pub fn new(since: Timestamp) -> Self {
        Self { since, antennas: Vec::new() }
    }

    pub fn note(&mut self, reads: Reads, heard: Heard) {
        let peak = heard.peak_dbm.filter(|dbm| dbm.is_finite());
        let seen = AntennaEvidence {
            antenna: heard.antenna,
            inside: heard.inside,
            reads: reads.count.max(1),
            first_at: reads.first,
            last_at: reads.last,
            peak_rssi_dbm: peak,
            peak_at: reads.last,
        };
        match self.antennas.iter().position(|antenna| same(antenna, &seen)) {
            Some(place) => merge(&mut self.antennas[place], &seen),
            None if self.antennas.len() < MAX_ANTENNAS => self.antennas.push(seen),
            None => {}
        }
    }
}

impl Crossing {
    pub(super) fn evidence(&self) -> Vec<AntennaEvidence> {
        let mut merged = self.before.as_ref().map_or_else(Vec::new, |span| span.antennas.clone());
        for antenna in &self.recent.antennas {
            match merged.iter_mut().find(|other| same(other, antenna)) {
                Some(other) => merge(other, antenna),
                None => merged.push(antenna.clone()),
            }
        }
        merged.sort_by_key(|antenna| (antenna.antenna, antenna.inside));
        merged
    }
}

fn same(one: &AntennaEvidence, other: &AntennaEvidence) -> bool {
    (one.antenna, one.inside) == (other.antenna, other.inside)
}

fn merge(into: &mut AntennaEvidence, other: &AntennaEvidence) {
    into.reads = into.reads.saturating_add(other.reads);
    into.first_at = into.first_at.min(other.first_at);
    into.last_at = into.last_at.max(other.last_at);
    if other.peak_rssi_dbm > into.peak_rssi_dbm {
        (into.peak_rssi_dbm, into.peak_at) = (other.peak_rssi_dbm, other.peak_at);
    }
}
