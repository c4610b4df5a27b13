//! What readers heard and said, for the metrics: counted by frame, told once a group.

use std::collections::BTreeMap;

use crate::domain::ids::{Antenna, SourceId};
use crate::domain::readings::{ReaderEventKind, Reading};
use crate::telemetry;

#[derive(Default)]
pub(super) struct Tally {
    reads: BTreeMap<SourceId, BTreeMap<Antenna, u64>>,
}

impl Tally {
    /// The readings of one frame, all of one source.
    pub fn note(&mut self, source: &SourceId, readings: &[Reading]) {
        let mut run: Option<(Antenna, u64)> = None;
        for reading in readings {
            match (reading, &mut run) {
                (Reading::Tag(read), Some((antenna, count))) if *antenna == read.antenna => *count += 1,
                (Reading::Tag(read), _) => {
                    self.add(source, run.replace((read.antenna, 1)));
                }
                (Reading::Reader(event), _) => say(source, &event.kind),
                _ => {}
            }
        }
        self.add(source, run);
    }

    fn add(&mut self, source: &SourceId, run: Option<(Antenna, u64)>) {
        let Some((antenna, count)) = run else { return };
        match self.reads.get_mut(source) {
            Some(antennas) => *antennas.entry(antenna).or_default() += count,
            None => {
                self.reads.insert(source.clone(), BTreeMap::from([(antenna, count)]));
            }
        }
    }

    pub fn tell(&mut self) {
        for (source, antennas) in &mut self.reads {
            for (antenna, count) in antennas {
                telemetry::antenna_reads(source, *antenna, std::mem::take(count));
            }
        }
    }
}

fn say(source: &SourceId, kind: &ReaderEventKind) {
    match kind {
        ReaderEventKind::Antenna { antenna, connected } => {
            telemetry::antenna_connected(source, *antenna, *connected);
        }
        ReaderEventKind::BufferLevel { percent } => telemetry::reader_trouble(source, "buffer", &percent),
        ReaderEventKind::BufferOverflow => {
            telemetry::reader_trouble(source, "overflow", &"reads were lost in it")
        }
        ReaderEventKind::Exception { message } => telemetry::reader_trouble(source, "exception", message),
        ReaderEventKind::Contended => {
            telemetry::reader_trouble(source, "contended", &"somebody else tried to connect to it");
        }
        ReaderEventKind::Connected | ReaderEventKind::Gpi { .. } | ReaderEventKind::Other { .. } => {}
    }
}
