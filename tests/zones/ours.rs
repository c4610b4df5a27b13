//! The daemon without its edges: the core, fed as the daemon feeds it, and what it answers for each asset.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tallyman::config::Config;
use tallyman::domain::frames::{Frame, LinkChange, LinkState, Payload};
use tallyman::domain::ids::SourceId;
use tallyman::domain::state::StateKind;
use tallyman::domain::time::Timestamp;
use tallyman::pipeline::core::Core;
use tallyman::source::Intake;
use tallyman_simulators::zones::{Read, Run, Scenario, Wire};

use super::Said;

/// A run begins at this moment; any will do.
const BEGINS_US: i64 = 1_700_000_000_000_000;
/// A report takes this long to reach us.
const ON_THE_WAY_US: i64 = 20_000;
/// Its answers are looked at this often.
const LOOK_US: i64 = 1_000_000;

pub(super) fn judge(scenario: &Scenario, run: &Run) -> Result<Vec<Said>> {
    let mut daemon = Daemon::new(scenario, run.lives.len())?;
    for zone in 0..scenario.hall.zones() {
        daemon.up(zone, 0);
    }
    for (at_us, happens) in happenings(run) {
        daemon.pass(at_us + ON_THE_WAY_US);
        match happens {
            Happens::Up(zone) => daemon.up(zone, at_us),
            Happens::Down(zone) => {
                daemon.link(zone, at_us, LinkState::Down { reason: "timed out".to_owned() })
            }
            Happens::Report(reads) => {
                daemon.frame(reads[0].zone, at_us + ON_THE_WAY_US, daemon.wire.report(reads));
            }
        }
    }
    daemon.pass(run.duration_us);
    Ok(daemon.said)
}

enum Happens<'a> {
    Up(usize),
    Down(usize),
    /// Of one reader.
    Report(&'a [Read]),
}

/// In order of time.
fn happenings(run: &Run) -> Vec<(i64, Happens<'_>)> {
    let of_a_turn = run.reads.chunk_by(|a, b| (a.at_us, a.zone) == (b.at_us, b.zone));
    let reports =
        of_a_turn.flat_map(|reads| reads.chunks(64)).map(|reads| (reads[0].at_us, Happens::Report(reads)));
    let mut all: Vec<_> = reports.collect();
    for outage in &run.outages {
        all.push(((outage.from_s * 1e6) as i64, Happens::Down(outage.zone)));
        all.push(((outage.to_s * 1e6) as i64, Happens::Up(outage.zone)));
    }
    all.sort_by_key(|(at_us, _)| *at_us);
    all
}

struct Daemon {
    core: Core,
    wire: Wire,
    looked_us: i64,
    now: Vec<Option<usize>>,
    said: Vec<Said>,
}

impl Daemon {
    fn new(scenario: &Scenario, tags: usize) -> Result<Self> {
        let zones = scenario.hall.zones();
        let mut core = Core::new(&config(scenario)?, Vec::new())?;
        core.started(None, at(0));
        core.command("the hall", serde_json::from_value(register(tags, zones))?, at(0))
            .map_err(|refused| anyhow::anyhow!("the register was refused: {refused:?}"))?;
        let begins = jiff::Timestamp::from_microsecond(BEGINS_US)?;
        Ok(Self { core, wire: Wire(begins), looked_us: 0, now: vec![None; tags], said: Vec::new() })
    }

    fn up(&mut self, zone: usize, at_us: i64) {
        self.link(zone, at_us, LinkState::Up { replaying: false });
        self.frame(zone, at_us, self.wire.connected(at_us));
    }

    fn link(&mut self, zone: usize, at_us: i64, state: LinkState) {
        self.core.intake(Intake::Link(LinkChange { source: source(zone), at: at(at_us), state }));
    }

    fn frame(&mut self, zone: usize, at_us: i64, bytes: Vec<u8>) {
        let payload = Payload::Llrp(bytes);
        let frame = Frame { source: source(zone), received_at: at(at_us), payload, ack: None };
        self.core.intake(Intake::Frame(frame));
    }

    /// Our clock comes to that time: deadlines pass when they are due, and answers are looked at.
    fn pass(&mut self, until_us: i64) {
        while self.looked_us + LOOK_US <= until_us {
            self.looked_us += LOOK_US;
            self.tick(self.looked_us);
            self.look();
        }
        self.tick(until_us);
    }

    fn tick(&mut self, until_us: i64) {
        while let Some(due) = self.core.next_deadline().filter(|due| *due <= at(until_us)) {
            if self.core.tick(due, 1000) == 0 && self.core.next_deadline() == Some(due) {
                self.core.tick(at(until_us), 1000);
                return;
            }
        }
    }

    fn look(&mut self) {
        for row in self.core.take_group().batch.state {
            let (StateKind::Asset, Some(value)) = (row.kind, row.value) else { continue };
            let Ok(tag) = row.key.trim_start_matches('T').parse::<usize>() else { continue };
            let zone = zone_of(&value);
            if self.now[tag] != zone {
                self.now[tag] = zone;
                self.said.push(Said { tag, at_us: self.looked_us, zone });
            }
        }
    }
}

/// Where it is said to be, unless it is said to be no longer heard there.
fn zone_of(row: &[u8]) -> Option<usize> {
    let row: Value = serde_json::from_slice(row).ok()?;
    let departed = row["memory"]["departed"].as_bool().unwrap_or(false);
    let zone = row["location"]["zone"].as_str()?;
    zone.trim_start_matches("zone-").parse().ok().filter(|_| !departed)
}

/// As the configuration's defaults have it.
fn config(scenario: &Scenario) -> Result<Config> {
    let mut text = "node = \"hall\"\n[journal]\npath = \"journal.db\"\n\
        [[site]]\nname = \"hq\"\ntimezone = \"Europe/Berlin\"\n\
        [[class]]\nname = \"tool\"\nghost_after = \"4h\"\n"
        .to_owned();
    for zone in 0..scenario.hall.zones() {
        writeln!(text, "[[zone]]\nname = \"zone-{zone}\"\nsite = \"hq\"\ncoverage = \"continuous\"")?;
        writeln!(text, "[[reader]]\nname = \"{}\"\nsite = \"hq\"", source(zone))?;
        writeln!(text, "protocol = \"llrp\"\naddress = \"reader-{zone}.example:5084\"")?;
        writeln!(
            text,
            "[[read_point]]\nname = \"point-{zone}\"\nkind = \"presence\"\nzone = \"zone-{zone}\""
        )?;
        let antennas: Vec<_> = (1..=scenario.readers.antennas)
            .map(|antenna| format!("{{ reader = \"{}\", antenna = {antenna} }}", source(zone)))
            .collect();
        writeln!(text, "antennas = [{}]", antennas.join(", "))?;
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("tallyman.toml");
    std::fs::write(&path, text)?;
    tallyman::config::load(&path).context("the configuration of the hall")
}

fn register(tags: usize, zones: usize) -> Value {
    let records = (0..tags).flat_map(|tag| {
        let epc: String = Run::epc(tag).iter().map(|byte| format!("{byte:02x}")).collect();
        let (id, home) = (format!("T{tag}"), format!("zone-{}", tag % zones));
        let asset = json!({ "table": "asset", "id": id, "class": "tool", "home_zone": home });
        [asset, json!({ "table": "tag", "epc": epc, "asset": id })]
    });
    json!({ "command": "import", "records": records.collect::<Vec<_>>() })
}

fn source(zone: usize) -> SourceId {
    SourceId::from(format!("reader-{zone}"))
}

fn at(us: i64) -> Timestamp {
    Timestamp::from_micros(BEGINS_US + us)
}
