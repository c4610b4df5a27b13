//! What readers heard and said, for the metrics: counted by frame, told once a group.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::ids::{Antenna, SourceId};
use crate::domain::readings::{ReaderEventKind, Reading};
use crate::domain::sightings::Trouble;
use crate::telemetry;

#[derive(Default)]
pub(super) struct Tally {
    reads: BTreeMap<SourceId, BTreeMap<Antenna, u64>>,
    /// Antennas of which their readers said whether they are connected.
    told: BTreeMap<SourceId, BTreeSet<Antenna>>,
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
                (Reading::Reader(event), _) => self.say(source, &event.kind),
                _ => {}
            }
        }
        self.add(source, run);
    }

    fn say(&mut self, source: &SourceId, kind: &ReaderEventKind) {
        match kind {
            ReaderEventKind::Antenna { antenna, connected } => {
                telemetry::antenna_plugged(source, *antenna, *connected);
                self.connected(source, *antenna, *connected);
            }
            ReaderEventKind::AntennaState { antenna, connected } => {
                self.connected(source, *antenna, *connected);
            }
            kind => {
                if let Some(trouble) = Trouble::of(kind) {
                    telemetry::reader_trouble(source, &trouble);
                }
            }
        }
    }

    fn connected(&mut self, source: &SourceId, antenna: Antenna, connected: bool) {
        self.told.entry(source.clone()).or_default().insert(antenna);
        telemetry::antenna_connected(source, antenna, connected);
    }

    /// The source is away: nobody knows what hangs on it.
    pub fn away(&mut self, source: &SourceId) {
        for antenna in self.told.remove(source).unwrap_or_default() {
            telemetry::antenna_unknown(source, antenna);
        }
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

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn what_a_reader_said_of_its_antennas_is_unknown_while_it_is_away() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = recorder.handle();
        let _guard = metrics::set_default_local_recorder(&recorder);
        let shows = |antenna: u16, value: &str| {
            let line =
                format!("tallyman_reader_antenna_connected{{source=\"dock\",antenna=\"{antenna}\"}} {value}");
            let told = metrics.render();
            assert!(told.lines().any(|told| told == line), "{line}\n{told}");
        };
        let (dock, gate) = (SourceId::new("dock"), SourceId::new("gate"));
        let mut tally = Tally::default();
        tally.say(&dock, &ReaderEventKind::Antenna { antenna: 1, connected: true });
        tally.say(&dock, &ReaderEventKind::AntennaState { antenna: 2, connected: false });
        tally.away(&gate);
        shows(1, "1");
        shows(2, "0");
        tally.away(&dock);
        shows(1, "NaN");
        shows(2, "NaN");
    }
}
