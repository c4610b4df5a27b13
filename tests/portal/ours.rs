//! The real cleaning stage, fed as the daemon feeds it: readings in order of receipt, deadlines when due.

use std::time::Duration;

use tallyman::clean::{Cleaned, Cleaner};
use tallyman::config::{AntennaConfig, BeamConfig, IntakeConfig, ReadPointConfig, ReadPointKind, Rules};
use tallyman::domain::epc::Epc;
use tallyman::domain::frames::{LinkChange, LinkState};
use tallyman::domain::ids::SourceId;
use tallyman::domain::readings::{DeviceTime, ReaderEvent, ReaderEventKind, Reading, TagRead};
use tallyman::domain::sightings::{Direction, Seen};
use tallyman::domain::time::Timestamp;
use tallyman_simulators::portal::{Read, Run, Scenario};

use super::{Said, looks_inside};

/// A run begins at this moment; any will do.
const BEGINS_US: i64 = 1_700_000_000_000_000;
/// A report takes this long to reach us: a local network and a reader that reports each read.
const ON_THE_WAY_US: i64 = 20_000;
/// After the last read, our clock goes on for this long.
const AFTERWARDS_US: i64 = 120_000_000;

pub(super) fn judge(scenario: &Scenario, run: &Run) -> Vec<Said> {
    let mut cleaner = Cleaner::new(&rules(scenario), &IntakeConfig::default());
    let mut said = Vec::new();
    for door in 0..scenario.doors.count {
        let state = LinkState::Up { replaying: false };
        let source = source(door);
        let mut out = Cleaned::default();
        cleaner.link(&LinkChange { source: source.clone(), at: at(0), state }, &mut out);
        let connected =
            ReaderEvent { source: source.clone(), time: utc(0), kind: ReaderEventKind::Connected };
        cleaner.reading(Reading::Reader(connected), &source, at(0), &mut out);
        // The door was in use before: its light barriers are known to work.
        for (port, high) in
            [(1, true), (2, true), (1, false), (2, false)].into_iter().filter(|_| scenario.doors.beams)
        {
            let kind = ReaderEventKind::Gpi { port, high };
            let event = ReaderEvent { source: source.clone(), time: utc(-30_000_000), kind };
            cleaner.reading(Reading::Reader(event), &source, at(0), &mut out);
        }
    }
    for (at_us, door, reading) in readings(run) {
        let received_us = at_us + ON_THE_WAY_US;
        pass(&mut cleaner, received_us, &mut said);
        let mut out = Cleaned::default();
        cleaner.reading(reading, &source(door), at(received_us), &mut out);
        gather(out, received_us, &mut said);
    }
    pass(&mut cleaner, run.duration_us + AFTERWARDS_US, &mut said);
    said
}

/// Deadlines up to then.
fn pass(cleaner: &mut Cleaner, until_us: i64, said: &mut Vec<Said>) {
    while let Some(due) = cleaner.next_deadline().filter(|due| *due <= at(until_us)) {
        let mut out = Cleaned::default();
        cleaner.tick(due, &mut out);
        gather(out, due.as_micros() - BEGINS_US, said);
    }
}

fn gather(out: Cleaned, told_us: i64, said: &mut Vec<Said>) {
    for sighting in out.sightings {
        let Seen::Passage(passage) = sighting.what else { continue };
        let bytes = passage.epc.bytes();
        let number = u32::from_be_bytes(bytes[8..12].try_into().unwrap_or_default());
        let door = passage.portal.as_str().trim_start_matches("door-").parse();
        said.push(Said {
            tag: number as usize - 1,
            door: door.unwrap_or(usize::MAX),
            inward: passage.direction == Direction::In,
            at_us: sighting.observed_at.as_micros() - BEGINS_US,
            told_us,
            confidence: Some(passage.confidence),
        });
    }
}

/// Reads and light barriers, in order of time.
fn readings(run: &Run) -> Vec<(i64, usize, Reading)> {
    let reads = run.reads.iter().map(|read| (read.at_us, read.door, Reading::Tag(tag_read(read))));
    let barriers = run.barriers.iter().map(|barrier| {
        let kind = ReaderEventKind::Gpi { port: barrier.port, high: barrier.broken };
        let event = ReaderEvent { source: source(barrier.door), time: utc(barrier.at_us), kind };
        (barrier.at_us, barrier.door, Reading::Reader(event))
    });
    let mut readings: Vec<_> = reads.chain(barriers).collect();
    readings.sort_by_key(|(at_us, ..)| *at_us);
    readings
}

fn tag_read(read: &Read) -> TagRead {
    let dbm = read.fine.map_or(f32::from(read.dbm), |fine| f32::from(fine.dbm_hundredths) / 100.0);
    TagRead {
        source: source(read.door),
        antenna: read.antenna,
        epc: Epc::new(96, &Run::epc(read.tag)).expect("twelve bytes are 96 bits"),
        first_seen: utc(read.at_us),
        last_seen: utc(read.at_us),
        seen_count: 1,
        peak_rssi_dbm: Some(dbm),
        pc: None,
        crc: None,
        doppler_hz: read.fine.map(|fine| f32::from(fine.doppler_16ths_hz) / 16.0),
        phase_deg: read.fine.map(|fine| f32::from(fine.phase) * 360.0 / 4096.0),
        channel: read.fine.map(|fine| fine.channel),
    }
}

/// As the configuration's defaults have it.
fn rules(scenario: &Scenario) -> Rules {
    let read_points = (0..scenario.doors.count).map(|door| {
        let antennas = 1..=2 * scenario.doors.rows as u16;
        ReadPointConfig {
            name: format!("door-{door}").into(),
            kind: ReadPointKind::Portal {
                inside: Some("hall".into()),
                outside: Some("yard".into()),
                settle: Duration::from_secs(2),
                static_after: Duration::from_secs(30),
                merge: Duration::from_secs(5),
                handover_within: Duration::from_secs(5),
                bay: None,
                beams: beams(scenario, door),
            },
            tags: Default::default(),
            reference_tag: None,
            hearing_timeout: Duration::from_secs(300),
            antennas: antennas
                .map(|antenna| AntennaConfig { source: source(door), antenna, inside: looks_inside(antenna) })
                .collect(),
        }
    });
    Rules { read_points: read_points.collect(), ..Rules::default() }
}

/// As the simulated door has them: the outer one on the reader's first input.
fn beams(scenario: &Scenario, door: usize) -> Vec<BeamConfig> {
    let beam =
        |port, inside| BeamConfig { source: source(door), port, inside: Some(inside), broken_high: true };
    if scenario.doors.beams { vec![beam(1, false), beam(2, true)] } else { Vec::new() }
}

fn source(door: usize) -> SourceId {
    SourceId::from(format!("reader-{door}"))
}

fn at(us: i64) -> Timestamp {
    Timestamp::from_micros(BEGINS_US + us)
}

fn utc(us: i64) -> DeviceTime {
    DeviceTime::Utc(at(us))
}
