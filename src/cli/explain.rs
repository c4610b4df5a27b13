//! `tallyman explain ASSET`: everything behind what is said of it, at three in the morning.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;

use super::ConfigFile;
use super::alerts;
use super::story::{self, Told, WallClocks};
use super::trackers;
use crate::config::Config;
use crate::domain::alerts::AlertState;
use crate::domain::events::EventBody;
use crate::domain::orders::Scope;
use crate::domain::readings::Quality;
use crate::domain::register::{Coverage, Record};
use crate::domain::state::{AssetCurrent, Location, SensedBy, SensorCurrent};
use crate::domain::time::Timestamp;
use crate::journal::Reader;
use crate::source::clock::WallClock;
use crate::web::doors::StandsAt;
use crate::web::explain::{EventView, Explanation, GhostClock, TrackerOn, explain};

#[derive(clap::Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// The asset's number on the register
    asset: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let reader = Reader::open(&config.journal.path).await?;
    let now = WallClock::new().now();
    let Some(explanation) = explain(&reader, &config.rules, &args.asset, &Scope::Everywhere, now).await?
    else {
        bail!("there is no asset `{}` on the register", args.asset);
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&explanation)?);
        return Ok(ExitCode::SUCCESS);
    }
    let teller = Teller { clocks: WallClocks::of(&config.rules), site: site(&explanation), now };
    for line in teller.lines(&explanation) {
        println!("{line}");
    }
    let site = teller.site.as_deref();
    if let Some(note) = alerts::unwatched(config, &reader, &teller.clocks, site, now).await? {
        println!("{note}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Whose time it is told in: where the asset is, else where it belongs.
fn site(explanation: &Explanation) -> Option<String> {
    [&explanation.zone, &explanation.home_zone].into_iter().find_map(|record| match record {
        Some(Record::Zone(zone)) => Some(zone.site.to_string()),
        _ => None,
    })
}

struct Teller {
    clocks: WallClocks,
    site: Option<String>,
    now: Timestamp,
}

impl Teller {
    fn lines(&self, explanation: &Explanation) -> Vec<String> {
        let asset = &explanation.asset;
        let name = asset.name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
        let home = asset.home_zone.as_ref().map(|zone| format!(", belongs in {zone}")).unwrap_or_default();
        let mut lines = vec![format!("{}{name}, {}{home}", asset.id, asset.class)];
        match &explanation.current {
            Some(current) => lines.extend(self.current(current, &explanation.vehicles)),
            None => lines.push(labelled("where", "never sensed, and never checked out")),
        }
        lines.extend(explanation.doors.iter().map(|StandsAt { door, since, said }| {
            let said = if *said { ", as somebody said" } else { "" };
            labelled("at door", &format!("{door} since {}{said}", self.when(*since)))
        }));
        lines.push(labelled("ghost", &self.ghost(explanation)));
        lines.extend(explanation.trackers.iter().map(|TrackerOn { device, status }| {
            labelled("tracker", &format!("{device}: {}", trackers::told(status.as_ref(), self.now)))
        }));
        lines.extend(explanation.sensors.iter().map(|sensor| labelled("sensor", &self.sensor(sensor))));
        for alert in &explanation.alerts {
            let open = alert.state != AlertState::Resolved;
            let standing = alerts::standing(alert, &self.clocks, self.now);
            lines.push(labelled(if open { "ALERT" } else { "alert" }, &format!("{}: {standing}", alert.key)));
            if open {
                lines.push(labelled("", &alert.summary));
            }
        }
        if !explanation.recent.is_empty() {
            lines.push("  lately, newest first:".to_owned());
        }
        lines.extend(explanation.recent.iter().map(|event| self.event(event)));
        lines
    }

    /// `vehicles`: what it is in.
    fn current(&self, current: &AssetCurrent, vehicles: &[AssetCurrent]) -> Vec<String> {
        let since =
            |at: Option<Timestamp>| at.map(|at| format!(" since {}", self.when(at))).unwrap_or_default();
        let mut lines = vec![
            labelled("where", &format!("{}{}", place(&current.location), since(current.since))),
            labelled("because", &current.reason),
        ];
        for vehicle in vehicles {
            let (name, there) = (&vehicle.asset, place(&vehicle.location));
            lines.push(labelled(
                "",
                &format!("{name} is {there}{}: {}", since(vehicle.since), vehicle.reason),
            ));
        }
        if let Some(sensed) = &current.last_sensed {
            let by = match &sensed.by {
                SensedBy::ReadPoint(read_point) => format!("read point {read_point}"),
                SensedBy::Tracker(device) => format!("tracker {device}"),
                SensedBy::Hand(by) => format!("hand: {by}"),
            };
            lines.push(labelled("sensed", &format!("last {} by {by}", self.when(sensed.at))));
        }
        lines.push(labelled("who", &self.holder(current)));
        if let Some(proposal) = &current.proposal {
            let passed = self.when(proposal.passed_at);
            lines.push(labelled("proposal", &format!("{}, {passed}", story::proposed(proposal))));
            let accept = format!("`tallyman accept {}` or `tallyman reject {0}`", current.asset);
            lines.push(labelled("", &accept));
        }
        lines.extend(self.readiness(current));
        lines
    }

    /// Whether it may go out, and everything that speaks against it.
    fn readiness(&self, current: &AssetCurrent) -> Vec<String> {
        if current.ready {
            return vec![labelled("ready", "yes")];
        }
        let at = |time| self.clocks.at(self.site.as_deref(), time);
        let reasons = current.not_ready.iter().map(|reason| labelled("", &reason.told(&at)));
        std::iter::once(labelled("ready", "NO")).chain(reasons).collect()
    }

    fn holder(&self, current: &AssetCurrent) -> String {
        let Some(checkout) = &current.checkout else { return "nobody has it checked out".to_owned() };
        let due = match checkout.due_back {
            Some(due) if due < self.now => format!("; DUE BACK {}", self.when(due)),
            Some(due) => format!("; due back {}", self.when(due)),
            None => "; no due date".to_owned(),
        };
        let note = story::noted(checkout.note.as_deref());
        format!("{} has it since {}{due}{note}", checkout.holder, self.when(checkout.checked_out_at))
    }

    fn sensor(&self, sensor: &SensorCurrent) -> String {
        let unit = sensor.unit.as_deref().map(|unit| format!(" {unit}")).unwrap_or_default();
        let value = sensor.text.clone().or(sensor.value.map(|value| format!("{value:.1}{unit}")));
        let value = value.unwrap_or_else(|| "no value".to_owned());
        let quality = match sensor.quality {
            Quality::Good => String::new(),
            Quality::Stale => ", STALE: nobody reads it any more".to_owned(),
            Quality::NoCommunication => ", says nothing".to_owned(),
            Quality::SensorFailure => ", gives no usable value".to_owned(),
            Quality::ConfigurationError => {
                ", REFUSED: the device has nothing there as it is asked for".to_owned()
            }
            Quality::NoData => ", says that it has no value".to_owned(),
            Quality::SensorNotAccurate | Quality::EngineeringUnitsExceeded => ", not believed".to_owned(),
        };
        let over: String = sensor.exceeded.iter().map(|limit| format!(", over {limit}")).collect();
        let SensorCurrent { device, point, observed_at, .. } = sensor;
        format!("{device} {point}: {value}{quality}{over}, as of {}", self.when(*observed_at))
    }

    /// Why it is, or is not, a ghost.
    fn ghost(&self, explanation: &Explanation) -> String {
        let Some(current) = &explanation.current else {
            return "no; a ghost clock starts when an asset is first sensed".to_owned();
        };
        if let Some(since) = current.ghost_since {
            let clock = explanation.ghost_clock.as_ref();
            let enough =
                clock.map(|clock| format!(" for {}", seconds(clock.ghost_after_s))).unwrap_or_default();
            return format!(
                "YES since {}: it should be here, and was not heard{enough} while what would hear it worked",
                self.when(since)
            );
        }
        if explanation.asset.is_retired() {
            return "no; it is retired and expected nowhere".to_owned();
        }
        if current.checkout.is_some() {
            return "no; it is checked out, which explains an absence".to_owned();
        }
        if let Some(clock) = &explanation.ghost_clock {
            return self.clock(clock);
        }
        let Some(Record::Class(class)) = &explanation.class else {
            return "no; its class is not on the register".to_owned();
        };
        if class.ghost_after.is_none() {
            return format!("no; class {} sets no `ghost_after`", class.name);
        }
        match &explanation.zone {
            Some(Record::Zone(zone)) if zone.coverage == Coverage::Continuous => {
                format!("no; no read point of zone {} has sensed it there yet", zone.name)
            }
            Some(Record::Zone(zone)) => {
                format!("no; zone {} is not covered continuously, so silence there says nothing", zone.name)
            }
            _ => "no; it is in no zone, so silence says nothing".to_owned(),
        }
    }

    fn clock(&self, clock: &GhostClock) -> String {
        let points: Vec<&str> = clock.read_points.iter().map(|point| point.as_str()).collect();
        let points = points.join(" and ");
        let counted = format!(
            "silent for {} of the {} that make a ghost",
            seconds(clock.silent_s),
            seconds(clock.ghost_after_s)
        );
        if clock.held_back {
            return format!(
                "held back: many fell silent at {points} together, so {points} itself is suspected"
            );
        }
        if clock.runs {
            return format!("no; {counted}, listened for at {points}");
        }
        if let Some(planned) = &clock.maintenance {
            let (name, until) = (&planned.name, self.when(planned.to));
            let reason = story::noted(planned.reason.as_deref());
            return format!("no; {counted}, and its clock stands: maintenance {name} until {until}{reason}");
        }
        let why: Vec<String> = clock
            .not_hearing
            .iter()
            .map(|link| {
                let state = if link.up { "is catching up" } else { "is down" };
                format!("{} {state} since {}: {}", link.source, self.when(link.since), link.reason)
            })
            .collect();
        let why = if why.is_empty() { "nothing at all is heard there".to_owned() } else { why.join("; ") };
        format!("no; {counted}, and the clock stands still: {points} does not hear ({why})")
    }

    fn event(&self, event: &EventView) -> String {
        let site = event.site.as_deref().or(self.site.as_deref());
        let said = match serde_json::from_str::<EventBody>(event.body.get()) {
            Ok(body) => {
                let told = Told {
                    subject: &event.subject,
                    source: &event.source,
                    site,
                    late: event.late,
                    confidence: event.confidence,
                    body: &body,
                };
                story::sentence(&told, &self.clocks)
            }
            // Of a newer version.
            Err(_) => format!("{} {}", event.kind, event.body),
        };
        format!("    {}  {said}", self.clocks.at(site, event.observed_at))
    }

    fn when(&self, at: Timestamp) -> String {
        format!("{} ({})", self.clocks.at(self.site.as_deref(), at), story::distance(at, self.now))
    }
}

/// Where something is, in words.
pub fn place(location: &Location) -> String {
    match location {
        Location::Unknown => "unknown".to_owned(),
        Location::Zone(zone) => format!("in zone {zone}"),
        Location::OutThrough(portal) => format!("out through {portal}"),
        Location::At(position) => format!("at {:.6}, {:.6}", position.lat, position.lon),
        Location::In(vehicle) => format!("in {vehicle}"),
    }
}

fn labelled(label: &str, text: &str) -> String {
    format!("  {label:9}{text}")
}

fn seconds(seconds: f64) -> String {
    story::span(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}
