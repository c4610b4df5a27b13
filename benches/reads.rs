//! What a read costs that becomes no sighting: the tag is known, present, and read again.
//!
//! `cargo bench --bench reads [-- TAGS [REPORT]]`; default 1,000,000 known tags, each on an asset and present, beside 100
//! in the same run, in reports of 20 reads. Cleaning and tracking in one thread, from decoded reads to the rows of the
//! commit; reports that wait are taken in rounds, as in the daemon (`pipeline/core/arrivals.rs`). Reads come in the order
//! of a shuffled register, each tag `repeats` times while it is in the field of 100; a commit is of one field, so that
//! both sizes write as many rows. With one repeat every read is of a tag that was not touched for as long as it takes to
//! read all others, and writes a row: the worst there can be while others wait.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tallyman::clean::{Cleaned, Cleaner, ROUND};
use tallyman::config::{self, Config};
use tallyman::domain::commands::Command;
use tallyman::domain::epc::Epc;
use tallyman::domain::events::Event;
use tallyman::domain::frames::{LinkChange, LinkState};
use tallyman::domain::ids::{AssetId, SourceId};
use tallyman::domain::readings::{DeviceTime, Reading, TagRead};
use tallyman::domain::register::{Asset, Record, TagAttachment};
use tallyman::domain::state::StateRow;
use tallyman::domain::time::Timestamp;
use tallyman::track::Tracker;

mod clock;
mod hall;
mod tags;

use hall::HALL;
use tags::{epc, shuffled};

/// The daemon's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SMALL: u32 = 100;
const LARGE: u32 = 1_000_000;
/// Tags in the field at a time.
const FIELD: usize = 100;
/// Reads a report.
const REPORT: u32 = 20;
const READS: usize = 2_000_000;
const ROUNDS: usize = 5;
const START: i64 = 1_780_000_000;

const CONFIG: &str = r#"
node = "bench"
[journal]
path = "unused.db"
[intake]
max_tags = 2000000
[metrics]
listen = "off"
[[reader]]
name = "r1"
protocol = "llrp"
address = "127.0.0.1:5084"
[[read_point]]
name = "shelf"
kind = "presence"
zone = "hall"
lost_after = "1h"
refresh = "2h"
antennas = [{ reader = "r1", antenna = 1 }]
"#;

fn main() -> Result<()> {
    let words = std::env::args().skip(1).filter(|word| !word.starts_with("--"));
    let numbers = words.map(|word| word.parse()).collect::<Result<Vec<u32>, _>>().context("TAGS REPORT")?;
    let (large, report) =
        (numbers.first().copied().unwrap_or(LARGE), numbers.get(1).copied().unwrap_or(REPORT));
    ensure!(report > 0, "a report has at least one read");
    let config = config::parse(&format!("{CONFIG}{HALL}"), Path::new(""), &|_| None)?;
    let mut sizes = [Stages::new(&config, SMALL)?, Stages::new(&config, large)?];
    println!("{large} known and present tags beside {SMALL}, in reports of {report}");
    for repeats in [10, 1] {
        let mut costs = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (stages, costs) in sizes.iter_mut().zip(&mut costs) {
                costs.push(stages.round(repeats, report as usize)?);
            }
        }
        let [small, of_large] = costs.map(clock::median);
        println!(
            "  each {repeats} times in the field: {:.2} and {:.2} million reads/s, {:.2} × the cost",
            1e3 / small,
            1e3 / of_large,
            of_large / small
        );
    }
    Ok(())
}

struct Stages {
    source: SourceId,
    cleaner: Cleaner,
    tracker: Tracker,
    cleaned: Cleaned,
    readings: Vec<Reading>,
    events: Vec<Event>,
    rows: Vec<StateRow>,
    /// All tags, in an order that has nothing to do with the one in which they came.
    order: Vec<Epc>,
    next: usize,
    micros: i64,
}

impl Stages {
    /// Every tag is on an asset, and was read often enough to be present.
    fn new(config: &Config, count: u32) -> Result<Self> {
        let mut stages = Self {
            source: "r1".into(),
            cleaner: Cleaner::new(&config.rules, &config.intake),
            tracker: Tracker::new(&config.rules),
            cleaned: Cleaned::default(),
            readings: Vec::new(),
            events: Vec::new(),
            rows: Vec::new(),
            order: shuffled(count).into_iter().map(epc).collect(),
            next: 0,
            micros: START * 1_000_000,
        };
        stages.tracker.started(None, stages.now(), &mut stages.events);
        let records = (0..count).flat_map(|number| {
            let name = AssetId::from(format!("ASSET-{number:07}"));
            let asset = Asset { home_zone: Some("hall".into()), ..Asset::new(name.clone(), "tool".into()) };
            [Record::Asset(asset), Record::Tag(TagAttachment::on_asset(epc(number), name))]
        });
        let import = Command::Import { records: records.collect(), checkouts: Vec::new() };
        stages.tracker.command("bench", import, stages.now(), &mut stages.events)?;
        let up = LinkState::Up { replaying: false };
        let change = LinkChange { source: "r1".into(), state: up, at: stages.now() };
        stages.cleaner.link(&change, &mut stages.cleaned);
        for number in 0..count {
            stages.reports(&[epc(number); 4], 4);
        }
        stages.commit();
        Ok(stages)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros)
    }

    /// Reports of so many reads that came together, as the daemon takes them.
    fn reports(&mut self, epcs: &[Epc], report: usize) -> usize {
        let mut readings = std::mem::take(&mut self.readings);
        let mut sightings = 0;
        for round in epcs.chunks(ROUND.next_multiple_of(report)) {
            readings.extend(round.iter().map(|epc| self.read(*epc)));
            self.cleaner.look_at(&readings);
            let mut rest = readings.drain(..);
            while !rest.as_slice().is_empty() {
                for reading in rest.by_ref().take(report) {
                    let now = Timestamp::from_micros(self.micros);
                    self.cleaner.reading(reading, &self.source, now, &mut self.cleaned);
                }
                sightings += self.cleaned.sightings.len();
                self.tracker.sightings(&mut self.cleaned.sightings, &mut self.events);
            }
        }
        self.readings = readings;
        sightings
    }

    fn read(&mut self, epc: Epc) -> Reading {
        self.micros += 1;
        let seen = DeviceTime::Utc(self.now());
        Reading::Tag(TagRead {
            source: self.source.clone(),
            antenna: 1,
            epc,
            first_seen: seen,
            last_seen: seen,
            seen_count: 1,
            peak_rssi_dbm: Some(-60.0),
            pc: None,
            crc: None,
            doppler_hz: None,
            phase_deg: None,
            channel: None,
        })
    }

    fn commit(&mut self) {
        self.cleaner.take_dirty(&mut self.rows);
        self.tracker.take_dirty(&mut self.rows);
        self.rows.clear();
        self.events.clear();
    }

    /// Nanoseconds of a core a read.
    fn round(&mut self, repeats: usize, report: usize) -> Result<f64> {
        let began = clock::of_a_core()?;
        let mut sightings = 0;
        let mut reads = 0;
        while reads < READS {
            let field: Vec<Epc> =
                (0..FIELD).map(|nth| self.order[(self.next + nth) % self.order.len()]).collect();
            self.next = (self.next + FIELD) % self.order.len();
            for _ in 0..repeats {
                sightings += self.reports(&field, report);
            }
            reads += FIELD * repeats;
            self.commit();
        }
        let took = clock::of_a_core()? - began;
        ensure!(sightings == 0, "{sightings} sightings where none were due");
        Ok(took.as_secs_f64() * 1e9 / reads as f64)
    }
}
