//! A small company to track: a crib that is always listened to, a yard, a dock door between them, a
//! gate to the street; readers `r1` (crib) and `r2` (doors), a broker and a cold room's sensor.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::*;
use crate::domain::alerts::{AlertKey, AlertTransition, Rule, Severity};
use crate::domain::calendar::Calendar;
use crate::domain::commands::{Command, Outcome, Refused};
use crate::domain::epc::Epc;
use crate::domain::events::{Event, EventBody};
use crate::domain::geodesy::Position;
use crate::domain::ids::{AssetId, DeviceId, Digest, SourceId};
use crate::domain::readiness::told_together;
use crate::domain::readings::{Fix, Quality};
use crate::domain::register::*;
use crate::domain::shape::Shape;
use crate::domain::sightings::*;
use crate::domain::state::{AssetCurrent, StateKind, StateRow};
use crate::domain::tag_filter::TagFilter;
use crate::domain::time::Timestamp;
use crate::track::Tracker;

/// Second 0 of every test: 2026-05-01T06:00:00Z.
pub const START: i64 = 1_777_615_200;

pub fn t(secs: i64) -> Timestamp {
    Timestamp::from_secs(START + secs)
}

pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub fn epc(number: u16) -> Epc {
    let [high, low] = number.to_be_bytes();
    Epc::new(96, &[0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, high, low]).unwrap()
}

pub fn asset_name(number: u16) -> AssetId {
    AssetId::new(format!("T{number}"))
}

pub fn presence(name: &str, zone: &str, source: &str) -> ReadPointConfig {
    let kind = ReadPointKind::Presence {
        zone: zone.into(),
        observed_reads: 1,
        observed_within: secs(1),
        lost_after: secs(10),
        lost_after_min: secs(10),
        refresh: secs(10),
    };
    read_point(name, kind, source)
}

fn portal(name: &str, inside: &str, outside: Option<&str>) -> ReadPointConfig {
    let kind = ReadPointKind::Portal {
        inside: Some(inside.into()),
        outside: outside.map(Into::into),
        settle: secs(2),
        static_after: secs(60),
        merge: secs(5),
        handover_within: secs(5),
        bay: None,
        beams: Vec::new(),
    };
    read_point(name, kind, "r2")
}

fn read_point(name: &str, kind: ReadPointKind, source: &str) -> ReadPointConfig {
    let antennas = vec![AntennaConfig { source: source.into(), antenna: 1, inside: true }];
    ReadPointConfig {
        name: name.into(),
        kind,
        tags: TagFilter::default(),
        reference_tag: None,
        hearing_timeout: secs(30),
        antennas,
    }
}

fn class(name: &str, ghost_after: u64, criticality: Criticality) -> AssetClass {
    AssetClass {
        ghost_after: Some(secs(ghost_after)),
        overdue_grace: Some(secs(30)),
        criticality,
        ..AssetClass::new(name.into())
    }
}

pub fn fence(name: &str, zone: Option<&str>) -> FenceConfig {
    FenceConfig {
        site: Some("hq".into()),
        zone: zone.map(Into::into),
        ..FenceConfig::new(name, Shape::circle(Position { lat: 50.0, lon: 8.0 }, 100.0))
    }
}

pub fn rules() -> Rules {
    let zone = |name: &str, coverage| Zone { name: name.into(), site: "hq".into(), coverage };
    Rules {
        checks: BTreeMap::new(),
        sites: vec![Site {
            name: "hq".into(),
            timezone: jiff::tz::TimeZone::fixed(jiff::tz::offset(2)),
            calendar: Calendar::default(),
        }],
        zones: vec![
            zone("crib", Coverage::Continuous),
            zone("annex", Coverage::Continuous),
            zone("yard", Coverage::None),
            zone("coldroom", Coverage::None),
        ],
        reads: BTreeMap::new(),
        read_points: vec![
            presence("CRIB", "crib", "r1"),
            presence("CRIB-B", "crib", "r3"),
            presence("ANNEX", "annex", "r1"),
            portal("DOCK", "crib", Some("yard")),
            portal("GATE", "yard", None),
        ],
        classes: vec![
            class("tool", 60, Criticality::Normal),
            class("crane", 60, Criticality::High),
            class("slow", 300, Criticality::Low),
        ],
        fences: vec![fence("hq-yard", Some("yard")), fence("depot", None)],
        limits: vec![LimitConfig {
            device: "cold-1".into(),
            point: "temp".into(),
            name: "hi".into(),
            kind: LimitKind::High,
            threshold: 8.0,
            deadband: 0.5,
            on_delay: secs(5),
            off_delay: secs(5),
            severity: Severity::Critical,
        }],
        tracker: TrackerRules::default(),
        alerts: AlertRules::default(),
        source_sites: ["r1", "r2", "r3", "cold-1"]
            .into_iter()
            .map(|source| (SourceId::new(source), "hq".into()))
            .collect(),
        tracker_sources: BTreeSet::from(["mqtt".into()]),
        units: BTreeMap::from([(("cold-1".into(), "temp".into()), "°C".to_owned())]),
    }
}

pub fn asset(name: &str, class: &str) -> Record {
    Record::Asset(Asset { home_zone: Some("crib".into()), ..Asset::new(name.into(), class.into()) })
}

pub fn tag(number: u16, asset: &str) -> Record {
    Record::Tag(TagAttachment::on_asset(epc(number), asset))
}

pub fn tracker(device: &str, asset: &str) -> Record {
    Record::Tracker(TrackerAttachment::on_asset(device.into(), asset))
}

/// The tracker, with the rows that a journal would hold.
pub struct World {
    pub rules: Rules,
    pub tracker: Tracker,
    pub events: Vec<Event>,
    pub rows: BTreeMap<(StateKind, String), Vec<u8>>,
    pub at: i64,
}

impl World {
    /// Links up, everything hearing, at second 0; no asset.
    pub fn new() -> Self {
        Self::with(rules())
    }

    pub fn with(rules: Rules) -> Self {
        let tracker = Tracker::new(&rules);
        let mut world = Self { rules, tracker, events: Vec::new(), rows: BTreeMap::new(), at: 0 };
        world.tracker.started(None, t(0), &mut world.events);
        world.connect();
        world.events.clear();
        world
    }

    pub fn connect(&mut self) {
        for source in ["r1", "r2", "r3", "cold-1"] {
            self.link(source, true, true);
        }
        for read_point in ["CRIB", "CRIB-B", "ANNEX"] {
            self.hearing(read_point, true);
        }
    }

    /// Assets `T1` to `Tn` of `class`, each with the tag of its number.
    pub fn stocked(count: u16, class: &str) -> Self {
        let mut world = Self::new();
        world.stock(1..=count, class);
        world.events.clear();
        world
    }

    pub fn stock(&mut self, numbers: std::ops::RangeInclusive<u16>, class: &str) {
        let assets = numbers.clone().map(|n| asset(asset_name(n).as_str(), class));
        let tags = numbers.clone().map(|n| tag(n, asset_name(n).as_str()));
        self.import(assets.chain(tags).collect()).unwrap();
    }

    pub fn import(&mut self, records: Vec<Record>) -> Result<Outcome, Refused> {
        self.command(Command::Import { records, checkouts: Vec::new() })
    }

    pub fn command(&mut self, command: Command) -> Result<Outcome, Refused> {
        let outcome = self.tracker.command("ann", command, t(self.at), &mut self.events);
        self.save();
        outcome
    }

    pub fn check_out(&mut self, name: &str, due_in: Option<i64>) -> Result<Outcome, Refused> {
        let due_back = due_in.map(|due| t(self.at + due));
        self.command(Command::Checkout {
            asset: name.into(),
            holder: "bob".to_owned(),
            due_back,
            note: None,
            override_reason: None,
        })
    }

    pub fn check_in(&mut self, name: &str) -> Result<Outcome, Refused> {
        self.command(Command::CheckIn { asset: name.into(), note: None, damage: None })
    }

    pub fn see_from(&mut self, source: &str, observed: i64, late: bool, what: Seen) {
        let source = SourceId::new(source);
        let sighting = Sighting { source, observed_at: t(observed), received_at: t(self.at), late, what };
        self.tracker.sighting(sighting, &mut self.events);
        self.save();
    }

    pub fn presence_at(&mut self, observed: i64, late: bool, tag: u16, place: &str, change: PresenceChange) {
        // `CRIB#2`: heard by antenna 2 of it.
        let ears = place.contains('#').then(|| place.into());
        let place = place.split('#').next().unwrap_or(place);
        let what = Seen::Presence {
            epc: epc(tag),
            read_point: place.into(),
            change,
            ears: ears.into_iter().collect(),
            beside: false,
            weighed: None,
        };
        self.see_from("r1", observed, late, what);
    }

    /// Heard where another read point has it.
    pub fn beside(&mut self, tag: u16, place: &str, change: PresenceChange) {
        let (epc, read_point, ears) = (epc(tag), place.into(), Default::default());
        let what = Seen::Presence { epc, read_point, change, ears, beside: true, weighed: None };
        self.see_from("r1", self.at, false, what);
    }

    /// A read point takes it over from another.
    pub fn takes(&mut self, tag: u16, place: &str, weighed: Weighed) {
        let (epc, read_point, change) = (epc(tag), place.into(), PresenceChange::Moved);
        let (ears, weighed) = (Default::default(), Some(Box::new(weighed)));
        let what = Seen::Presence { epc, read_point, change, ears, beside: false, weighed };
        self.see_from("r1", self.at, false, what);
    }

    pub fn arrive(&mut self, tag: u16, place: &str) {
        self.presence_at(self.at, false, tag, place, PresenceChange::Arrived);
    }

    pub fn refresh(&mut self, tag: u16, place: &str) {
        self.presence_at(self.at, false, tag, place, PresenceChange::Refreshed);
    }

    pub fn depart(&mut self, tag: u16, place: &str) {
        self.presence_at(self.at, false, tag, place, PresenceChange::Departed);
    }

    pub fn pass_at(&mut self, observed: i64, late: bool, tag: u16, portal: &str, direction: Direction) {
        let evidence = PassageEvidence {
            started_at: t(observed - 1),
            ended_at: t(observed + 1),
            antennas: Vec::new(),
            beams: None,
        };
        let passage = Passage { epc: epc(tag), portal: portal.into(), direction, confidence: 0.9, evidence };
        self.see_from("r2", observed, late, Seen::Passage(passage));
    }

    pub fn pass(&mut self, tag: u16, portal: &str, direction: Direction) {
        self.pass_at(self.at, false, tag, portal, direction);
    }

    pub fn fix_of(&self, device: &str, observed: i64) -> Fix {
        Fix::bare(
            device.into(),
            t(observed),
            Position { lat: 50.0 + observed as f64 / 1e4, lon: 8.0 },
            Digest::of(format!("{device}{observed}").as_bytes()),
        )
    }

    pub fn fix(&mut self, device: &str) {
        let fix = self.fix_of(device, self.at);
        self.see_from("mqtt", self.at, false, Seen::Fix { fix, inside: None, stands: None });
    }

    /// A fix of a tracker that was in these fences before it.
    pub fn fix_in(&mut self, device: &str, fences: &[&str]) {
        let fix = self.fix_of(device, self.at);
        let inside = Some(fences.iter().map(|fence| (*fence).into()).collect());
        self.see_from("mqtt", self.at, false, Seen::Fix { fix, inside, stands: None });
    }

    /// A message of the tracker came, whatever was in it.
    pub fn tracker_speaks(&mut self, device: &str, observed: i64) {
        self.see_from("mqtt", observed, false, Seen::Heard { device: device.into(), stands: None });
    }

    /// The rules of [`rules`], with this class beside the others.
    pub fn with_class(class: AssetClass) -> Self {
        let mut rules = rules();
        rules.classes.push(class);
        Self::with(rules)
    }

    pub fn fence(&mut self, device: &str, fence: &str, change: FenceChange) {
        let fix = self.fix_of(device, self.at);
        let device = DeviceId::new(device);
        self.see_from(
            "mqtt",
            self.at,
            false,
            Seen::Fence { device, fence: fence.into(), change, fix, inferred: false },
        );
    }

    pub fn quality(&mut self, quality: Quality) {
        let what = Seen::Quality { device: "cold-1".into(), point: "temp".into(), quality };
        self.see_from("cold-1", self.at, false, what);
    }

    pub fn hearing(&mut self, read_point: &str, hearing: bool) {
        self.see_from("r1", self.at, false, Seen::Hearing { read_point: read_point.into(), hearing });
    }

    pub fn link(&mut self, source: &str, up: bool, caught_up: bool) {
        let reason = if up { "connected" } else { "timed out" }.to_owned();
        self.see_from(source, self.at, false, Seen::Link { up, caught_up, reason });
    }

    /// Time goes on to that second; every deadline passes on its way.
    pub fn until(&mut self, at: i64) {
        while let Some(next) = self.tracker.next_deadline().filter(|next| *next <= t(at)) {
            self.tracker.tick(next.max(t(self.at)), usize::MAX, &mut self.events);
        }
        self.at = at;
        self.tracker.tick(t(at), usize::MAX, &mut self.events);
        self.save();
    }

    /// Until then, these tags are refreshed at `place` every ten seconds.
    pub fn hear_until(&mut self, at: i64, tags: &[u16], place: &str) {
        while self.at + 10 <= at {
            self.until(self.at + 10);
            tags.iter().for_each(|tag| self.refresh(*tag, place));
        }
        self.until(at);
    }

    pub fn save(&mut self) {
        let mut rows: Vec<StateRow> = Vec::new();
        self.tracker.take_dirty(&mut rows);
        let keys: BTreeSet<_> = rows.iter().map(|row| (row.kind, row.key.clone())).collect();
        assert_eq!(keys.len(), rows.len(), "a row was handed out twice");
        assert!(rows.is_sorted_by_key(|row| (row.kind, row.key.clone())), "rows out of order");
        for row in rows {
            match row.value {
                Some(value) => drop(self.rows.insert((row.kind, row.key), value)),
                None => drop(self.rows.remove(&(row.kind, row.key))),
            }
        }
    }

    /// The process ends here, without a word, and begins again `down` seconds later.
    pub fn restart(&mut self, down: i64) {
        let mut tracker = Tracker::new(&self.rules);
        let rows = self.rows.iter().map(|((kind, key), value)| (*kind, key.clone(), value.clone()));
        tracker.restore(rows).unwrap();
        self.tracker = tracker;
        let since = t(self.at);
        self.at += down;
        self.tracker.started((down > 0).then_some(since), t(self.at), &mut self.events);
        self.save();
    }

    pub fn current(&self, name: &str) -> AssetCurrent {
        let row = &self.rows[&(StateKind::Asset, name.to_owned())];
        serde_json::from_slice(row).unwrap()
    }

    /// The latest `tracker-silent` of a device, as it stands.
    pub fn tracker_alert(&self, device: &str) -> crate::domain::alerts::Alert {
        let key = AlertKey::new(Rule::TrackerSilent, device).to_string();
        serde_json::from_slice(&self.rows[&(StateKind::Alert, key)]).unwrap()
    }

    pub fn is_firing(&self, rule: Rule, subject: &str) -> bool {
        self.tracker.alerts.is_firing(&AlertKey::new(rule, subject))
    }

    /// What happened since the last call, one line an event, without commands.
    pub fn told(&mut self) -> Vec<String> {
        let events = std::mem::take(&mut self.events);
        let beside = |e: &&Event| {
            matches!(e.body, EventBody::Command { .. } | EventBody::Register(_) | EventBody::Used { .. })
        };
        events.iter().filter(|e| !beside(e)).map(line).collect()
    }

    /// The same, notes of use only.
    pub fn used(&mut self) -> Vec<String> {
        let events = std::mem::take(&mut self.events);
        events.iter().filter(|e| matches!(e.body, EventBody::Used { .. })).map(line).collect()
    }

    /// The same, alerts only.
    pub fn alerted(&mut self) -> Vec<String> {
        let events = std::mem::take(&mut self.events);
        events.iter().filter(|e| matches!(e.body, EventBody::Alert { .. })).map(line).collect()
    }
}

impl World {
    /// The same, alerts of one rule only.
    pub fn alerted_of(&mut self, rule: Rule) -> Vec<String> {
        let prefix = format!(" {}/", rule.as_str());
        self.alerted().into_iter().filter(|line| line.contains(&prefix)).collect()
    }
}

/// `seconds subject what`.
pub fn line(event: &Event) -> String {
    let at = event.observed_at.as_micros() / 1_000_000 - START;
    let late = if event.late { " late" } else { "" };
    let what = match &event.body {
        EventBody::Presence { change, read_point, .. } => format!("{change:?} {read_point}"),
        EventBody::Passage { direction, portal, from, to, .. } => {
            let name = |zone: &Option<crate::domain::ids::ZoneId>| {
                zone.as_ref().map_or("-".to_owned(), |zone| zone.to_string())
            };
            format!("{direction:?} {portal} {}>{}", name(from), name(to))
        }
        EventBody::Geofence { change, fence, .. } => format!("{change:?} {fence}"),
        EventBody::CheckedOut(checkout) => format!("checked-out {}", checkout.holder),
        EventBody::HandedOver { checkout, from, .. } => format!("handed over {from}>{}", checkout.holder),
        EventBody::Proposal { change, proposal } => {
            let names: Vec<&str> = proposal.candidates.iter().map(|c| c.person.as_str()).collect();
            let from = proposal.from.as_deref().unwrap_or("-");
            format!("{change:?} {from}>{}", names.join("|"))
        }
        EventBody::Loaded { vehicle, .. } => format!("loaded {vehicle}"),
        EventBody::Unloaded { vehicle, .. } => format!("unloaded {vehicle}"),
        EventBody::Docked { door, .. } => format!("docked {door}"),
        EventBody::Undocked { door, since } => {
            format!("undocked {door} since {}", since.as_micros() / 1_000_000 - START)
        }
        EventBody::CheckedIn { how, .. } => format!("checked-in {how}"),
        EventBody::Readiness { ready: true, .. } => "ready".to_owned(),
        EventBody::Readiness { reasons, .. } => format!("not ready: {}", told_together(reasons)),
        EventBody::Condition { point, limit, zone, episode, .. } => {
            let began = matches!(episode, Episode::Began { .. });
            format!("condition {point}/{limit} {began} {}", zone.as_ref().map_or("-", |zone| zone.as_str()))
        }
        EventBody::Alert { transition, alert } => {
            let transition = transition_name(*transition);
            return format!("{at} {} {transition}", alert.key);
        }
        EventBody::Gap { from, reason, .. } => {
            format!("gap from {} {reason}", from.as_micros() / 1_000_000 - START)
        }
        EventBody::Link { up, .. } => format!("link {up}"),
        other => other.kind().to_owned(),
    };
    format!("{at} {} {what}{late}", event.subject)
}

fn transition_name(transition: AlertTransition) -> String {
    transition.as_str().to_owned()
}
