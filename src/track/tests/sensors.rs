use super::world::*;
use crate::domain::alerts::{AlertKey, Rule, Severity};
use crate::domain::readings::{Quality, Sample};
use crate::domain::register::Carrier;
use crate::domain::register::{Record, SensorAttachment};
use crate::domain::sightings::{ConditionChange, Episode, Measure, Seen};
use crate::domain::state::{SensorCurrent, StateKind};

fn change(episode: Episode) -> Seen {
    let change = ConditionChange {
        device: "cold-1".into(),
        point: "temp".into(),
        limit: "hi".into(),
        change: episode,
    };
    Seen::Condition(change)
}

fn sensor(world: &World) -> SensorCurrent {
    let row = &world.rows[&(StateKind::Sensor, "cold-1/temp".to_owned())];
    serde_json::from_slice(row).unwrap()
}

#[test]
fn an_excursion_is_alerted_at_once_and_resolved_at_its_end() {
    let mut world = World::new();
    let attachment = SensorAttachment::new("cold-1".into(), Carrier::Zone("coldroom".into()));
    world.import(vec![Record::Sensor(attachment)]).unwrap();
    world.at = 30;
    let began = Episode::Began { began_at: t(25), value: 9.5, threshold: 8.0, measure: Measure::Value };
    world.see_from("cold-1", 30, false, change(began));
    assert_eq!(sensor(&world).exceeded, ["hi"]);
    let key = AlertKey::new(Rule::Condition, "cold-1/temp/hi");
    let alert = world.tracker.alerts.open(&key).unwrap();
    assert_eq!(alert.severity, Severity::Critical);
    assert!(alert.summary.starts_with("coldroom: temp of cold-1 is above its limit hi: 9.5 °C"));
    world.at = 90;
    let ended =
        Episode::Ended { began_at: t(25), peak: 11.0, peak_at: t(50), measure: Measure::Value, over_s: None };
    world.see_from("cold-1", 90, false, change(ended));
    assert!(sensor(&world).exceeded.is_empty());
    assert_eq!(
        world.told(),
        [
            "30 device:cold-1 condition temp/hi true coldroom",
            "30 condition/cold-1/temp/hi fired",
            "90 device:cold-1 condition temp/hi false coldroom",
            "90 condition/cold-1/temp/hi resolved",
        ]
    );
}

/// Who is over the outer limit is over the inner one: one alert, not two.
#[test]
fn a_limit_explains_those_within_it() {
    let mut rules = rules();
    let inner = rules.limits[0].clone();
    let outer = crate::config::LimitConfig { name: "hi-hi".into(), threshold: 12.0, ..inner.clone() };
    let low = crate::config::LimitConfig {
        name: "lo".into(),
        kind: crate::config::LimitKind::Low,
        threshold: 1.0,
        ..inner
    };
    rules.limits.extend([outer, low]);
    let mut world = World::with(rules);
    let mut say = |at: i64, limit: &str, began: bool| {
        let measure = Measure::Value;
        let change = match began {
            true => Episode::Began { began_at: t(at), value: 13.0, threshold: 8.0, measure },
            false => Episode::Ended { began_at: t(at), peak: 13.0, peak_at: t(at), measure, over_s: None },
        };
        let (device, point, limit) = ("cold-1".into(), "temp".into(), limit.into());
        world.at = at;
        world.see_from(
            "cold-1",
            at,
            false,
            Seen::Condition(ConditionChange { device, point, limit, change }),
        );
        world.alerted()
    };
    assert_eq!(say(10, "hi", true), ["10 condition/cold-1/temp/hi fired"]);
    let told = say(20, "hi-hi", true);
    assert!(told.contains(&"20 condition/cold-1/temp/hi-hi fired".to_owned()), "{told:?}");
    assert!(told.contains(&"20 condition/cold-1/temp/hi inhibited".to_owned()), "{told:?}");
    // Another direction is another matter.
    assert_eq!(say(30, "lo", true), ["30 condition/cold-1/temp/lo fired"]);
    let told = say(40, "hi-hi", false);
    assert!(told.contains(&"40 condition/cold-1/temp/hi uninhibited".to_owned()), "{told:?}");
    assert_eq!(say(50, "hi", false), ["50 condition/cold-1/temp/hi resolved"]);
}

#[test]
fn a_sensor_on_an_asset_speaks_of_the_asset_and_keeps_its_last_value() {
    let mut world = World::stocked(1, "tool");
    let attachment = SensorAttachment::on_asset("cold-1".into(), "T1");
    world.import(vec![Record::Sensor(attachment)]).unwrap();
    for (at, value) in [(20, 4.0), (10, 5.0)] {
        let sample = Sample {
            device: "cold-1".into(),
            point: "temp".into(),
            observed_at: t(at),
            value: Some(value),
            text: None,
            quality: Quality::Good,
        };
        world.at = 20;
        world.see_from("cold-1", at, false, Seen::Sample(sample));
    }
    assert_eq!(world.told(), ["20 asset:T1 sample", "10 asset:T1 sample"]);
    let current = sensor(&world);
    assert_eq!((current.value, current.unit.as_deref()), (Some(4.0), Some("°C")));
    assert_eq!(current.observed_at, t(20));
}

#[test]
fn a_sensor_without_good_values_is_an_alert_after_a_while_unless_its_source_explains_it() {
    let mut world = World::new();
    world.quality(Quality::NoCommunication);
    world.until(59);
    world.quality(Quality::Good);
    world.until(100);
    world.quality(Quality::SensorFailure);
    world.until(200);
    world.quality(Quality::Good);
    assert_eq!(
        world.alerted(),
        [
            "0 sensor-bad/cold-1/temp pending",
            "59 sensor-bad/cold-1/temp cancelled",
            "100 sensor-bad/cold-1/temp pending",
            "160 sensor-bad/cold-1/temp fired",
            "200 sensor-bad/cold-1/temp resolved",
        ]
    );
    world.until(300);
    world.quality(Quality::NoCommunication);
    world.link("cold-1", false, false);
    world.until(400);
    world.link("cold-1", true, true);
    world.quality(Quality::Good);
    assert_eq!(
        world.alerted(),
        [
            "300 sensor-bad/cold-1/temp pending",
            "300 reader-down/cold-1 pending",
            "330 reader-down/cold-1 fired",
            "330 sensor-bad/cold-1/temp inhibited",
            "330 reader-down/cold-1 explains",
            "360 sensor-bad/cold-1/temp fired",
            "400 reader-down/cold-1 resolved",
            "400 sensor-bad/cold-1/temp uninhibited",
            "400 sensor-bad/cold-1/temp resolved",
        ]
    );
}

#[test]
fn a_stale_value_keeps_value_and_time_and_is_an_alert_where_it_should_be_read() {
    let mut read = rules();
    read.checks.insert(("cold-1".into(), "temp".into()), crate::config::PointChecks::default());
    for (rules, alerted) in [(read, 2), (rules(), 0)] {
        let mut world = World::with(rules);
        let (device, point) = ("cold-1".into(), "temp".into());
        let sample =
            Sample { device, point, observed_at: t(0), value: Some(4.0), text: None, quality: Quality::Good };
        world.see_from("cold-1", 0, false, Seen::Sample(sample));
        world.at = 60;
        world.quality(Quality::Stale);
        let current = sensor(&world);
        assert_eq!((current.value, current.observed_at), (Some(4.0), t(0)));
        assert_eq!(current.quality, Quality::Stale);
        world.until(600);
        let told = world.alerted();
        assert_eq!(told.len(), alerted, "{told:?}");
    }
}

#[test]
fn a_limit_taken_out_of_the_configuration_ends_its_alert() {
    let mut world = World::new();
    let began = Episode::Began { began_at: t(0), value: 9.5, threshold: 8.0, measure: Measure::Value };
    world.see_from("cold-1", 0, false, change(began));
    world.events.clear();
    let mut changed = rules();
    changed.limits.clear();
    world.tracker.set_rules(&changed);
    world.until(1);
    assert_eq!(world.alerted(), ["0 condition/cold-1/temp/hi resolved"]);
}
