//! Limits that a class asks of the sensors on its assets, from the register to the episode.

use std::time::Duration;

use super::*;
use crate::domain::alerts::{AlertKey, AlertState, AlertTransition, Rule, Severity};
use crate::domain::commands::Command;
use crate::domain::events::Event;
use crate::domain::frames::{ModbusAnswer, ModbusTable};
use crate::domain::register::{Asset, AssetClass, ClassLimit, Details, Record, SensorAttachment};
use crate::domain::sightings::Episode;

const SENSORS: &str = r#"
node = "test"
[[site]]
name = "north"
timezone = "UTC"
[[modbus]]
name = "gen"
address = "127.0.0.1:502"
base = 0
[[modbus.point]]
name = "oil"
table = "input"
address = 0
type = "i16"
[[modbus.point]]
name = "coolant"
table = "input"
address = 1
type = "i16"
[[limit]]
device = "gen"
point = "coolant"
name = "own"
high = 200
"#;

fn machine(rows: Vec<StateRowRead>) -> Core {
    let config = config::parse(SENSORS, Path::new("."), &|_| None).unwrap();
    let mut core = Core::new(&config, rows).unwrap();
    core.started(None, Timestamp::from_secs(NOON));
    core
}

fn hot(high: f64) -> Vec<ClassLimit> {
    let limit = |point: &str| ClassLimit {
        point: point.into(),
        name: "hot".into(),
        high: Some(high),
        low: None,
        rise_per_min: None,
        fall_per_min: None,
        over: None,
        deadband: 5.0,
        on_delay: None,
        off_delay: None,
        severity: Severity::Critical,
    };
    vec![limit("oil"), limit("coolant")]
}

fn class(limits: Vec<ClassLimit>) -> Record {
    Record::Class(Box::new(AssetClass { limits, ..AssetClass::new("generator".into()) }))
}

fn sensor(asset: &str) -> Record {
    Record::Sensor(SensorAttachment::on_asset("gen".into(), asset))
}

fn import(core: &mut Core, at: u64, records: Vec<Record>) {
    let command = Command::Import { records, checkouts: Vec::new() };
    core.command("ann", command, Timestamp::from_secs(NOON + at as i64)).unwrap();
}

fn measure(core: &mut Core, at: u64, oil: u16, coolant: u16) {
    let answer = ModbusAnswer {
        device: "gen".into(),
        table: ModbusTable::Input,
        address: 0,
        count: 2,
        interval: Duration::from_secs(10),
        registers: Ok(vec![oil, coolant]),
    };
    core.intake(Intake::Frame(Frame {
        source: "gen".into(),
        received_at: Timestamp::from_secs(NOON + at as i64),
        payload: Payload::Modbus(answer),
        ack: None,
    }));
}

/// `seconds point/limit began` or `ended`, and alerts by their transition.
fn told(events: &[Event]) -> Vec<String> {
    let line = |event: &Event| {
        let at = event.observed_at.as_micros() / 1_000_000 - NOON;
        match &event.body {
            EventBody::Condition { point, limit, episode, .. } => {
                let what = if matches!(episode, Episode::Began { .. }) { "began" } else { "ended" };
                Some(format!("{at} {} {point}/{limit} {what}", event.subject))
            }
            EventBody::Alert { transition, alert } => match transition {
                AlertTransition::Fired | AlertTransition::Resolved => {
                    Some(format!("{at} {} {}", alert.key, transition.as_str()))
                }
                _ => None,
            },
            EventBody::Readiness { ready, .. } => Some(format!("{at} ready {ready}")),
            _ => None,
        }
    };
    events.iter().filter_map(line).collect()
}

fn stocked() -> Core {
    let mut core = machine(Vec::new());
    let asset = |id: &str| Record::Asset(Asset::new(id.into(), "generator".into()));
    import(&mut core, 0, vec![class(hot(110.0)), asset("G1"), asset("G2"), sensor("G1")]);
    core
}

#[test]
fn a_class_bounds_the_points_on_its_assets_that_have_no_bound_of_their_own() {
    let mut core = stocked();
    measure(&mut core, 10, 120, 150);
    // Back for the minute that counts where no off-delay is written.
    measure(&mut core, 20, 100, 150);
    measure(&mut core, 79, 100, 150);
    measure(&mut core, 80, 100, 150);
    let events = core.take_group().batch.events;
    assert_eq!(
        told(&events),
        [
            "10 asset:G1 oil/hot began",
            "10 condition/gen/oil/hot fired",
            "10 ready false",
            "80 asset:G1 oil/hot ended",
            "80 condition/gen/oil/hot resolved",
            "80 ready true",
        ]
    );
    let fired = events.iter().find_map(|event| match &event.body {
        EventBody::Alert { transition: AlertTransition::Fired, alert } => Some(alert),
        _ => None,
    });
    assert_eq!(
        fired.map(|alert| (alert.severity, alert.state)),
        Some((Severity::Critical, AlertState::Firing))
    );
}

#[test]
fn an_excursion_goes_on_over_a_restart_and_ends_with_its_limit() {
    let mut core = stocked();
    measure(&mut core, 10, 120, 0);
    let batch = core.take_group().batch;
    assert_eq!(told(&batch.events).len(), 3);
    let rows = |batch: Batch| {
        let rows = batch.state.into_iter();
        rows.filter_map(|row| Some((row.kind, row.key, row.value?))).collect::<Vec<_>>()
    };
    let mut core = machine(rows(batch));
    measure(&mut core, 20, 125, 0);
    assert!(told(&core.take_group().batch.events).is_empty(), "it goes on");
    import(&mut core, 30, vec![class(Vec::new())]);
    measure(&mut core, 40, 90, 0);
    let ended = ["30 condition/gen/oil/hot resolved", "30 ready true", "40 asset:G1 oil/hot ended"];
    assert_eq!(told(&core.take_group().batch.events), ended);
    let key = AlertKey::new(crate::domain::alerts::Rule::Condition, "gen/oil/hot");
    import(&mut core, 50, vec![class(hot(110.0))]);
    measure(&mut core, 60, 130, 0);
    assert_eq!(told(&core.take_group().batch.events)[0], "60 asset:G1 oil/hot began");
    // On another machine, of another class, nothing of it holds.
    let other = Record::Class(Box::new(AssetClass::new("pump".into())));
    let pump = Record::Asset(Asset::new("P1".into(), "pump".into()));
    let ended = SensorAttachment {
        to: Some(Timestamp::from_secs(NOON + 70)),
        ..SensorAttachment::on_asset("gen".into(), "G1")
    };
    let begun = SensorAttachment { from: ended.to, ..SensorAttachment::on_asset("gen".into(), "P1") };
    import(&mut core, 70, vec![other, pump, Record::Sensor(ended), Record::Sensor(begun)]);
    let resolved = format!("70 {key} resolved");
    assert!(told(&core.take_group().batch.events).contains(&resolved));
    measure(&mut core, 80, 140, 0);
    assert_eq!(told(&core.take_group().batch.events), ["80 asset:G1 oil/hot ended"], "of G1, where it began");
}

/// What G1 may reach is its own affair: nothing of its class holds, of that point or of another.
#[test]
fn an_asset_with_limits_of_its_own_has_none_of_its_class_s() {
    let of_its_own = |limits: Vec<ClassLimit>| {
        let details = Details { limits, ..Details::default() };
        Record::Asset(Asset { details: details.boxed(), ..Asset::new("G1".into(), "generator".into()) })
    };
    let rise = ClassLimit {
        high: None,
        rise_per_min: Some(10.0),
        over: Some(Duration::from_secs(60)),
        name: "rise".into(),
        severity: Severity::Warning,
        ..hot(0.0).remove(0)
    };
    let own = |severity| ClassLimit { high: Some(130.0), name: "own".into(), severity, ..hot(0.0).remove(0) };
    let mut rows = std::collections::BTreeMap::new();
    let mut said = |core: &mut Core| {
        let batch = core.take_group().batch;
        rows.extend(batch.state.into_iter().map(|row| ((row.kind, row.key), row.value)));
        told(&batch.events)
    };
    let mut core = stocked();
    measure(&mut core, 10, 120, 0);
    said(&mut core);
    import(&mut core, 20, vec![of_its_own(vec![own(Severity::Critical), rise.clone()])]);
    measure(&mut core, 30, 125, 0);
    assert_eq!(
        said(&mut core),
        ["20 condition/gen/oil/hot resolved", "20 ready true", "30 asset:G1 oil/hot ended"],
        "125 is nothing to it"
    );
    measure(&mut core, 90, 136, 0);
    let began = said(&mut core);
    for line in ["90 asset:G1 oil/own began", "90 asset:G1 oil/rise began", "90 ready false"] {
        assert!(began.contains(&line.to_owned()), "{line}: {began:?}");
    }
    // Over a restart; and no longer critical, it speaks against nothing.
    let kept = rows.into_iter().filter_map(|((kind, key), value)| Some((kind, key, value?))).collect();
    let mut core = machine(kept);
    measure(&mut core, 100, 137, 0);
    assert!(told(&core.take_group().batch.events).is_empty(), "it goes on");
    import(&mut core, 110, vec![of_its_own(vec![own(Severity::Warning), rise])]);
    assert_eq!(told(&core.take_group().batch.events), ["110 ready true"]);
    import(&mut core, 120, vec![of_its_own(Vec::new())]);
    measure(&mut core, 130, 137, 0);
    let again = told(&core.take_group().batch.events);
    for line in [
        "120 condition/gen/oil/own resolved",
        "120 condition/gen/oil/rise resolved",
        "130 asset:G1 oil/own ended",
        "130 asset:G1 oil/hot began",
    ] {
        assert!(again.contains(&line.to_owned()), "{line}: {again:?}");
    }
}

/// The oil's sensor is not read for ten polls; the coolant's is taken out of the configuration.
#[test]
fn what_is_not_read_any_more_is_stale_and_what_nobody_should_read_is_no_alert() {
    let qualities = |core: &mut Core| -> Vec<String> {
        let line = |event: &Event| {
            let at = event.observed_at.as_micros() / 1_000_000 - NOON;
            match &event.body {
                EventBody::SensorQuality { point, quality, .. } => Some(format!("{at} {point} {quality:?}")),
                EventBody::Alert { transition, alert } if alert.key.rule == Rule::SensorBad => {
                    Some(format!("{at} {} {}", alert.key, transition.as_str()))
                }
                _ => None,
            }
        };
        core.take_group().batch.events.iter().filter_map(line).collect()
    };
    let later = |seconds: i64| Timestamp::from_secs(NOON + seconds);
    let connect = |core: &mut Core, seconds: i64| {
        let state = LinkState::Up { replaying: false };
        core.intake(Intake::Link(LinkChange { source: "gen".into(), at: later(seconds), state }));
    };
    let mut core = machine(Vec::new());
    connect(&mut core, 5);
    measure(&mut core, 10, 90, 80);
    let rows = core.take_group().batch.state.into_iter();
    let rows: Vec<_> = rows.filter_map(|row| Some((row.kind, row.key, row.value?))).collect();
    // Frames that we threw away ourselves are no silence of the device.
    core.intake(Intake::Dropped { source: "gen".into(), reason: "journal-full", count: 1 });
    core.tick(later(110), 100);
    assert_eq!(qualities(&mut core), [] as [&str; 0]);
    core.tick(later(210), 100);
    assert_eq!(
        qualities(&mut core),
        [
            "210 coolant Stale",
            "210 sensor-bad/gen/coolant pending",
            "210 oil Stale",
            "210 sensor-bad/gen/oil pending",
        ]
    );
    let fewer = SENSORS.replace("name = \"coolant\"", "name = \"water\"");
    let fewer = fewer.replace("point = \"coolant\"", "point = \"oil\"");
    let config = config::parse(&fewer, Path::new("."), &|_| None).unwrap();
    let mut core = Core::new(&config, rows).unwrap();
    core.started(None, later(20));
    connect(&mut core, 21);
    assert_eq!(qualities(&mut core), ["20 coolant Stale"]);
    core.tick(later(120), 100);
    assert_eq!(qualities(&mut core), ["120 oil Stale", "120 sensor-bad/gen/oil pending"]);
}
