//! Which of all reads concern a walk test: those at the read point, and those elsewhere of tags that were heard there
//! lately.

use std::collections::HashMap;
use std::time::Duration;

use super::ReadTold;
use crate::config::Rules;
use crate::domain::epc::Epc;
use crate::domain::ids::{Antenna, ReadPointId, SourceId};
use crate::domain::time::Timestamp;
use crate::live::LiveRead;

/// A tag that was last heard here longer ago is no matter to us elsewhere.
const LATELY: Duration = Duration::from_secs(60);
/// Tags that are followed elsewhere; new ones beyond them are not, as long as these are heard.
const MOST: usize = 10_000;

pub(super) struct Sieve {
    /// The read point of each antenna that has one.
    antennas: HashMap<SourceId, HashMap<Antenna, ReadPointId>>,
    watched: ReadPointId,
    /// Sources of which something may be told.
    shown: HashMap<SourceId, bool>,
    /// When each tag was heard here last.
    heard: HashMap<Epc, Timestamp>,
}

impl Sieve {
    pub fn new(rules: &Rules, watched: &ReadPointId, shows: impl Fn(&SourceId) -> bool) -> Self {
        let mut antennas: HashMap<SourceId, HashMap<Antenna, ReadPointId>> = HashMap::new();
        for point in &rules.read_points {
            for antenna in &point.antennas {
                let of_source = antennas.entry(antenna.source.clone()).or_default();
                of_source.insert(antenna.antenna, point.name.clone());
            }
        }
        let every = rules.reads.keys().chain(antennas.keys());
        let shown = every.map(|source| (source.clone(), shows(source))).collect();
        Self { antennas, watched: watched.clone(), shown, heard: HashMap::new() }
    }

    pub fn pass(&mut self, read: &LiveRead) -> Option<ReadTold> {
        if !self.shown.get(&read.source).is_some_and(|shown| *shown) {
            return None;
        }
        let read_point = self.antennas.get(&read.source).and_then(|antennas| antennas.get(&read.antenna));
        let here = read_point == Some(&self.watched);
        let is_known = |last: &Timestamp| read.received_at.since(*last) < LATELY;
        if !here && !self.heard.get(&read.epc).is_some_and(is_known) {
            return None;
        }
        let read_point = read_point.cloned();
        if here {
            self.hear(read);
        }
        Some(ReadTold {
            received_at: read.received_at,
            reader: read.source.clone(),
            antenna: read.antenna,
            epc: hex::encode(read.epc.bytes()),
            rssi_dbm: read.rssi_dbm,
            count: read.count,
            held: read.held,
            here,
            read_point,
        })
    }

    fn hear(&mut self, read: &LiveRead) {
        if self.heard.len() >= MOST && !self.heard.contains_key(&read.epc) {
            self.heard.retain(|_, last| read.received_at.since(*last) < LATELY);
            if self.heard.len() >= MOST {
                return;
            }
        }
        self.heard.insert(read.epc, read.received_at);
    }
}

#[cfg(test)]
mod tests;
