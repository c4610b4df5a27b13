//! The daemon without its edges: the core, fed as `pipeline::drive` feeds it, and a map for a journal.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};

use anyhow::{Result, bail, ensure};
use serde_json::json;
use tallyman::config::Config;
use tallyman::domain::alerts::{AlertTransition, Rule};
use tallyman::domain::commands::Command;
use tallyman::domain::events::{Event, EventBody};
use tallyman::domain::frames::{Frame, LinkChange, LinkState, Payload};
use tallyman::domain::ids::{EventId, SourceId};
use tallyman::domain::state::{Location, StateKind};
use tallyman::domain::time::Timestamp;
use tallyman::pipeline::core::Core;
use tallyman::source::Intake;
use tallyman_simulators::month::{Input, What};

use super::company::hex;

/// State is committed at least this often; before each stop it is in any case.
const COMMIT_US: i64 = 1_800_000_000;
/// Deadlines that pass in one call, at most.
const DEADLINES: usize = 1000;
/// A deadline that passes this often without going away would keep the daemon busy for ever.
const SPINS: u32 = 1000;

/// One transition of an alert, when it was and when it was told.
#[derive(Clone, Debug)]
pub struct Told {
    pub rule: Rule,
    pub subject: String,
    pub incident: EventId,
    pub transition: AlertTransition,
    pub at_us: i64,
    pub told_us: i64,
    /// When it passed the door that it is about.
    pub passed_us: Option<i64>,
}

pub struct Machine {
    config: Config,
    register: Option<Command>,
    core: Option<Core>,
    rows: BTreeMap<(StateKind, String), Vec<u8>>,
    stopped_us: Option<i64>,
    committed_us: i64,
    spins: (i64, u32),
    /// Where every event goes as a JSON line, for whoever asks why.
    events: Option<BufWriter<File>>,
    told: Vec<Told>,
    /// What the answers say to be in which vehicle now, and said at each commit.
    inside: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

/// Everything that is graded.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    pub told: &'a [Told],
    pub samples: &'a [Sample],
}

/// The answers at one time, of what is in a vehicle: the asset, the vehicle.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    pub at_us: i64,
    pub inside: BTreeMap<String, String>,
}

impl Machine {
    pub fn new(config: Config, register: Command, events: Option<File>) -> Self {
        Self {
            config,
            register: Some(register),
            core: None,
            rows: BTreeMap::new(),
            stopped_us: None,
            committed_us: 0,
            spins: (0, 0),
            events: events.map(BufWriter::new),
            told: Vec::new(),
            inside: BTreeMap::new(),
            samples: Vec::new(),
        }
    }

    pub fn take(&mut self, input: Input) -> Result<()> {
        self.pass_deadlines(input.at_us)?;
        let at = Timestamp::from_micros(input.at_us);
        let intake = match input.what {
            What::Start => return self.start(at),
            What::Stop => return self.stop(input.at_us),
            What::Llrp { reader, bytes } => frame(&reader, at, Payload::Llrp(bytes)),
            What::Mqtt { broker, topic, payload } => {
                frame(&broker, at, Payload::Mqtt { topic, payload, retained: false, redelivered: false })
            }
            What::Up { source } => link(&source, at, LinkState::Up { replaying: true }),
            What::Down { source } => link(&source, at, LinkState::Down { reason: "timed out".to_owned() }),
            What::CheckOut { asset, holder, due_us } => {
                let due = Timestamp::from_micros(due_us);
                // It lies on the desk: should its return have gone unseen, it is checked in first.
                self.command(json!({ "command": "check-in", "asset": asset }), at, false)?;
                return self.command(
                    json!({ "command": "checkout", "asset": asset, "holder": holder, "due_back": due }),
                    at,
                    true,
                );
            }
            // What was sensed to be back before cannot be checked in any more.
            What::CheckIn { asset } => {
                return self.command(json!({ "command": "check-in", "asset": asset }), at, false);
            }
            What::Quarantine { asset } => {
                let command = json!({ "command": "quarantine", "asset": asset, "reason": "damaged" });
                return self.command(command, at, true);
            }
            What::Release { asset } => {
                return self.command(json!({ "command": "release", "asset": asset }), at, true);
            }
            What::Commission { asset, epc, replaces } => {
                let (epc, replaces) = (hex(&epc), hex(&replaces));
                let command =
                    json!({ "command": "commission", "epc": epc, "asset": asset, "replaces": replaces });
                return self.command(command, at, true);
            }
        };
        let Some(core) = &mut self.core else { bail!("something reached a daemon that was off") };
        core.intake(intake);
        if input.at_us - self.committed_us > COMMIT_US {
            self.commit(input.at_us)?;
        }
        Ok(())
    }

    pub fn said(&self) -> Said<'_> {
        Said { told: &self.told, samples: &self.samples }
    }

    pub fn finish(&mut self, at_us: i64) -> Result<()> {
        self.commit(at_us)?;
        if let Some(events) = &mut self.events {
            events.flush()?;
        }
        Ok(())
    }

    fn start(&mut self, at: Timestamp) -> Result<()> {
        let rows = self.rows.iter().map(|((kind, key), value)| (*kind, key.clone(), value.clone()));
        let mut core = Core::new(&self.config, rows.collect())?;
        core.started(self.stopped_us.map(Timestamp::from_micros), at);
        if let Some(register) = self.register.take() {
            core.command("the month", register, at)?;
        }
        self.core = Some(core);
        self.commit(at.as_micros())
    }

    fn stop(&mut self, at_us: i64) -> Result<()> {
        self.commit(at_us)?;
        self.stopped_us = Some(at_us);
        self.core = None;
        Ok(())
    }

    fn command(&mut self, command: serde_json::Value, at: Timestamp, must: bool) -> Result<()> {
        let Some(core) = &mut self.core else { bail!("a command reached a daemon that was off") };
        let said = command.to_string();
        let answer = core.command("the month", serde_json::from_value(command)?, at);
        ensure!(!must || answer.is_ok(), "{said} was refused: {answer:?}");
        Ok(())
    }

    /// As the daemon does: deadlines pass when they are due, and before what was received after them.
    fn pass_deadlines(&mut self, until_us: i64) -> Result<()> {
        let Some(core) = &mut self.core else { return Ok(()) };
        // What comes in may make something due in the past, as each fix of a replay does: that is no standing still.
        self.spins.1 = 0;
        while let Some(due) = core.next_deadline().map(Timestamp::as_micros).filter(|due| *due <= until_us) {
            self.spins = if due <= self.spins.0 { (self.spins.0, self.spins.1 + 1) } else { (due, 0) };
            ensure!(self.spins.1 < SPINS, "the deadline of {due} does not pass");
            // Our clock goes on between two calls.
            let now = (self.spins.0 + i64::from(self.spins.1) * 1000).min(until_us.max(due));
            core.tick(Timestamp::from_micros(now), DEADLINES);
        }
        Ok(())
    }

    fn commit(&mut self, at_us: i64) -> Result<()> {
        self.committed_us = at_us;
        let Some(core) = &mut self.core else { return Ok(()) };
        let batch = core.take_group().batch;
        for row in batch.state {
            if row.kind == StateKind::Asset {
                self.look_inside(&row.key, row.value.as_deref().unwrap_or_default())?;
            }
            match row.value {
                Some(value) => drop(self.rows.insert((row.kind, row.key), value)),
                None => drop(self.rows.remove(&(row.kind, row.key))),
            }
        }
        for event in batch.events {
            if let Some(events) = &mut self.events {
                writeln!(events, "{}", shown(&event))?;
            }
            if let EventBody::Alert { transition, alert } = event.body {
                self.told.push(Told {
                    rule: alert.key.rule,
                    subject: alert.key.subject,
                    incident: alert.incident,
                    transition,
                    at_us: event.observed_at.as_micros(),
                    told_us: event.received_at.as_micros(),
                    passed_us: alert.door.map(|door| door.at.as_micros()),
                });
            }
        }
        self.samples.push(Sample { at_us, inside: self.inside.clone() });
        Ok(())
    }

    /// Few rows are of something in a vehicle; the others need not be read.
    fn look_inside(&mut self, asset: &str, row: &[u8]) -> Result<()> {
        #[derive(serde::Deserialize)]
        struct Answer {
            location: Location,
        }
        self.inside.remove(asset);
        let sign = br#""in":"#;
        if row.windows(sign.len()).any(|bytes| bytes == sign)
            && let Location::In(vehicle) = serde_json::from_slice::<Answer>(row)?.location
        {
            self.inside.insert(asset.to_owned(), vehicle.to_string());
        }
        Ok(())
    }
}

fn shown(event: &Event) -> serde_json::Value {
    json!({
        "observed_at": event.observed_at,
        "received_at": event.received_at,
        "subject": event.subject.to_string(),
        "late": event.late,
        "body": event.body,
    })
}

fn frame(source: &str, received_at: Timestamp, payload: Payload) -> Intake {
    Intake::Frame(Frame { source: SourceId::new(source), received_at, payload, ack: None })
}

fn link(source: &str, at: Timestamp, state: LinkState) -> Intake {
    Intake::Link(LinkChange { source: SourceId::new(source), at, state })
}
