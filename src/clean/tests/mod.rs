//! The stage as a whole: what goes in, what comes out, and that a crash in between changes nothing.

use std::time::Duration;

use crate::clean::{Cleaned, Cleaner};
use crate::config::{
    AntennaConfig, BeamConfig, FenceConfig, IntakeConfig, LimitConfig, LimitKind, ReadPointConfig,
    ReadPointKind, Rules,
};
use crate::domain::alerts::Severity;
use crate::domain::epc::Epc;
use crate::domain::frames::{LinkChange, LinkState};
use crate::domain::geodesy::Position;
use crate::domain::ids::{Antenna, Digest, SourceId};
use crate::domain::readings::{
    DeviceTime, Fix, Quality, ReaderEvent, ReaderEventKind, Reading, Sample, TagRead,
};
use crate::domain::shape::Shape;
use crate::domain::sightings::{Episode, Seen, Sighting};
use crate::domain::state::StateRow;
use crate::domain::tag_filter::TagFilter;
use crate::domain::time::Timestamp;

mod antennas;
mod beams;
mod bursts;
pub(super) mod dice;
mod doubt;
mod fit;
mod late;
mod learned;
mod limits;
mod neighbours;
mod outage;
mod portal;
pub(super) mod queue;
mod restart;
mod stage;
mod stale;
mod trackers;
mod trips;
mod troubles;
mod weighing;

/// In dBm: the shelf's antennas (from 5 on) hear now better and now worse than the others.
fn strength(antenna: Antenna, observed: i64) -> f32 {
    match (antenna, observed.div_euclid(3000) % 2) {
        (..5, _) => -55.0,
        (_, 0) => -40.0,
        (..) => -70.0,
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_micros((1_700_000_000_000 + millis) * 1000)
}

fn intake() -> IntakeConfig {
    IntakeConfig {
        queue: 10,
        commit_frames: 10,
        max_payload_bytes: 1000,
        ahead_tolerance: seconds(300),
        max_age: seconds(400 * 86_400),
        clock_step_confirmations: 3,
        redelivery_horizon: seconds(86_400),
        max_tags: 1000,
        max_trackers: 1000,
        ..IntakeConfig::default()
    }
}

/// A crib (antenna 1), a dock door (2 inside, 3 outside; light barriers on inputs 2 and 1) and a rack with a reference tag (4), of one
/// reader; a yard; a cold room.
fn rules() -> Rules {
    let antenna = |antenna, inside| AntennaConfig { source: "reader".into(), antenna, inside };
    let beam =
        |port, inside| BeamConfig { source: "reader".into(), port, inside: Some(inside), broken_high: true };
    let presence = || ReadPointKind::Presence {
        zone: "crib".into(),
        observed_reads: 2,
        observed_within: seconds(2),
        lost_after: seconds(5),
        lost_after_min: seconds(5),
        refresh: seconds(30),
    };
    let dock = ReadPointKind::Portal {
        inside: None,
        outside: None,
        settle: seconds(2),
        static_after: seconds(30),
        merge: seconds(2),
        handover_within: Duration::from_secs(5),
        bay: None,
        beams: [(1, false), (2, true)].map(|(port, inside)| beam(port, inside)).to_vec(),
    };
    let point = |name: &str, kind, reference_tag, antennas| ReadPointConfig {
        name: name.into(),
        kind,
        tags: TagFilter::default(),
        reference_tag,
        hearing_timeout: seconds(10),
        antennas,
    };
    Rules {
        read_points: vec![
            point("crib", presence(), None, vec![antenna(1, true)]),
            point("dock", dock, None, vec![antenna(2, true), antenna(3, false)]),
            point("rack", presence(), Some(epc("ee")), vec![antenna(4, true)]),
        ],
        fences: vec![FenceConfig {
            hysteresis_m: 20.0,
            ..FenceConfig::new("yard", Shape::circle(Position { lat: 50.0, lon: 8.0 }, 100.0))
        }],
        limits: vec![LimitConfig {
            device: "cold".into(),
            point: "temperature".into(),
            name: "hi".into(),
            kind: LimitKind::High,
            threshold: 8.0,
            deadband: 0.5,
            on_delay: seconds(10),
            off_delay: seconds(5),
            severity: Severity::Warning,
        }],
        ..Rules::default()
    }
}

/// The same, and a shelf with two antennas (5 and 6).
fn rules_with_shelf() -> Rules {
    let mut rules = rules();
    let mut shelf = rules.read_points[0].clone();
    shelf.name = "shelf".into();
    shelf.antennas =
        [5, 6].map(|antenna| AntennaConfig { source: "reader".into(), antenna, inside: true }).to_vec();
    rules.read_points.push(shelf);
    rules.alerts.antenna_silent_for = seconds(100);
    rules
}

fn epc(tag: &str) -> Epc {
    Epc::from_hex(&format!("30140000000000000000{tag}")).unwrap()
}

/// What happens, in milliseconds: the second number is when we receive it.
#[derive(Clone, Debug)]
enum Step {
    Up(i64),
    Replaying(i64),
    Down(i64),
    Tick(i64),
    /// The reader's clock is 100 s ahead of ours.
    Connected(i64),
    Read(&'static str, Antenna, i64, i64),
    Antenna(Antenna, bool, i64),
    /// The same, as the reader answered when it was asked.
    AntennaState(Antenna, bool, i64),
    /// An input of the reader: broken when high.
    Input(u16, bool, i64, i64),
    /// How it stands, as the reader answered when it was asked.
    InputState(u16, bool, i64),
    Fix(i64, i64, f64),
    Sample(i64, f64),
}

const READER_LEAD_MS: i64 = 100_000;

impl Step {
    fn at(&self) -> Timestamp {
        match self {
            Self::Up(ms) | Self::Replaying(ms) | Self::Down(ms) | Self::Tick(ms) | Self::Connected(ms) => {
                at(*ms)
            }
            Self::Read(_, _, _, ms) | Self::Fix(_, ms, _) => at(*ms),
            Self::Antenna(_, _, ms) | Self::AntennaState(_, _, ms) | Self::InputState(_, _, ms) => at(*ms),
            Self::Input(_, _, _, ms) => at(*ms),
            Self::Sample(ms, _) => at(*ms),
        }
    }

    fn link(&self) -> Option<LinkState> {
        match self {
            Self::Up(_) => Some(LinkState::Up { replaying: false }),
            Self::Replaying(_) => Some(LinkState::Up { replaying: true }),
            Self::Down(_) => Some(LinkState::Down { reason: "cut".into() }),
            _ => None,
        }
    }

    fn reading(&self) -> Option<Reading> {
        let told = |ms: i64| DeviceTime::Utc(at(ms + READER_LEAD_MS));
        let event = |time, kind| Reading::Reader(ReaderEvent { source: "reader".into(), time, kind });
        Some(match self {
            Self::Connected(ms) => event(told(*ms), ReaderEventKind::Connected),
            Self::Antenna(antenna, connected, ms) => {
                event(told(*ms), ReaderEventKind::Antenna { antenna: *antenna, connected: *connected })
            }
            Self::AntennaState(antenna, connected, _) => event(
                DeviceTime::None,
                ReaderEventKind::AntennaState { antenna: *antenna, connected: *connected },
            ),
            Self::InputState(port, high, _) => {
                event(DeviceTime::None, ReaderEventKind::GpiState { port: *port, high: *high })
            }
            Self::Input(port, high, observed, _) => {
                event(told(*observed), ReaderEventKind::Gpi { port: *port, high: *high })
            }
            Self::Read(tag, antenna, observed, _) => Reading::Tag(TagRead {
                source: "reader".into(),
                antenna: *antenna,
                epc: epc(tag),
                first_seen: told(*observed),
                last_seen: told(*observed),
                seen_count: 1,
                peak_rssi_dbm: Some(strength(*antenna, *observed)),
                pc: None,
                crc: None,
                doppler_hz: None,
                phase_deg: None,
                channel: None,
            }),
            Self::Fix(observed, _, lat) => Reading::Fix(fix(*observed, *lat)),
            Self::Sample(ms, value) => Reading::Sample(Sample {
                device: "cold".into(),
                point: "temperature".into(),
                observed_at: at(*ms),
                value: (!value.is_nan()).then_some(*value),
                text: None,
                quality: if value.is_nan() { Quality::NoCommunication } else { Quality::Good },
            }),
            _ => return None,
        })
    }

    /// All sources are one in these tests, but for the broker and the cold room's.
    fn source(&self) -> SourceId {
        match self {
            Self::Fix(..) => "broker".into(),
            Self::Sample(..) => "cold".into(),
            _ => "reader".into(),
        }
    }

    fn run(&self, cleaner: &mut Cleaner, out: &mut Cleaned) {
        if let Some(state) = self.link() {
            cleaner.link(&LinkChange { source: self.source(), at: self.at(), state }, out);
        } else if let Some(reading) = self.reading() {
            cleaner.reading(reading, &self.source(), self.at(), out);
        } else {
            cleaner.tick(self.at(), out);
        }
    }
}

fn fix(observed: i64, lat: f64) -> Fix {
    Fix {
        accuracy_m: Some(5.0),
        ..Fix::bare("truck".into(), at(observed), Position { lat, lon: 8.0 }, Digest(observed as u64))
    }
}

/// Runs the steps, ticking whenever a deadline asks for it before the next step.
fn run(cleaner: &mut Cleaner, steps: &[Step], out: &mut Cleaned) {
    for step in steps {
        while let Some(deadline) = cleaner.next_deadline().filter(|deadline| *deadline < step.at()) {
            cleaner.tick(deadline, out);
            let next = cleaner.next_deadline();
            assert!(next.is_none_or(|next| next > deadline), "a tick at {deadline} meets {next:?}");
        }
        step.run(cleaner, out);
    }
}

/// A sighting in a line: its time in ms, and what it is.
fn line(sighting: &Sighting) -> String {
    let ms = sighting.observed_at.as_micros() / 1000 - 1_700_000_000_000;
    let late = if sighting.late { " late" } else { "" };
    let short = |epc: &Epc| epc.to_string()[20..].to_owned();
    let what = match &sighting.what {
        Seen::Presence { epc, read_point, change, .. } => format!("{} {change:?} {read_point}", short(epc)),
        Seen::Passage(passage) => {
            format!("{} passes {} {:?}", short(&passage.epc), passage.portal, passage.direction)
        }
        Seen::Fix { fix, .. } => format!("fix {}", fix.position.lat),
        Seen::Trouble(trouble) => format!("trouble {}", trouble.what()),
        Seen::Heard { device, .. } => format!("{device} lives"),
        Seen::Vitals { vitals, .. } => format!("{:?} % {:?}", vitals.battery_percent, vitals.ignition),
        Seen::Stayed { fence, from, until, .. } => {
            let second = |time: &Option<Timestamp>| {
                time.map(|time| time.as_micros() / 1_000_000 - at(0).as_micros() / 1_000_000)
            };
            format!("stayed in {fence} {:?} to {:?}", second(from), second(until))
        }
        Seen::Motion { motion, .. } => format!("{:?}", motion.change),
        Seen::Clock { device, ahead_us } => format!("{device}'s clock {}", ahead_us / 1_000_000),
        Seen::Gone { device } => format!("{device} is gone"),
        Seen::Fence { fence, change, inferred, .. } => {
            format!("{change:?} {fence}{}", if *inferred { " (inferred)" } else { "" })
        }
        Seen::Sample(sample) => format!("sample {:?}", sample.value),
        Seen::Condition(change) => match change.change {
            Episode::Began { .. } => format!("{} began", change.limit),
            Episode::Ended { peak, .. } => format!("{} ended, {peak}", change.limit),
        },
        Seen::Quality { quality, .. } => format!("{quality:?}"),
        Seen::Hearing { read_point, hearing } => {
            format!("{read_point} {}", if *hearing { "hears" } else { "is deaf" })
        }
        Seen::Antenna { source, antenna, silence, .. } => match silence {
            Some(how) => format!("{source}/{antenna} is silent ({how:?})"),
            None => format!("{source}/{antenna} hears again"),
        },
        Seen::Link { up, caught_up, reason } => {
            format!(
                "link {} {} ({reason})",
                if *up { "up" } else { "down" },
                if *caught_up { "live" } else { "-" }
            )
        }
    };
    format!("{ms} {what}{late}")
}

fn rows_of(cleaner: &mut Cleaner) -> Vec<StateRow> {
    let mut rows = Vec::new();
    cleaner.take_dirty(&mut rows);
    rows
}
