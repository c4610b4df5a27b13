//! Events to forward: one of each kind, or many of the common ones.

use tallyman::domain::alerts::{Alert, AlertKey, AlertState, AlertTransition, Rule, Severity};
use tallyman::domain::commands::Command;
use tallyman::domain::epc::Epc;
use tallyman::domain::events::{Event, EventBody, Subject};
use tallyman::domain::geodesy::Position;
use tallyman::domain::ids::{Digest, EventId};
use tallyman::domain::motion::{Motion, MotionChange};
use tallyman::domain::readings::{Fix, Quality, Sample};
use tallyman::domain::register::Checkout;
use tallyman::domain::sightings::{
    Direction, Episode, FenceChange, Measure, PassageEvidence, PresenceChange,
};
use tallyman::domain::time::Timestamp;
use tallyman::journal::Batch;

pub fn start() -> Timestamp {
    Timestamp::parse("2026-05-01T06:00:00.123456Z").unwrap()
}

/// The `n`th second of the story.
pub fn at(n: u64) -> Timestamp {
    start().offset(i64::try_from(n).unwrap() * 1_000_000)
}

pub fn event(n: u64, subject: Subject, body: EventBody) -> Event {
    Event {
        id: EventId::derive(at(n), &[&n.to_be_bytes()]),
        site: Some("north".into()),
        subject,
        source: "dock-1".into(),
        observed_at: at(n),
        received_at: at(n).offset(1_000),
        late: false,
        confidence: None,
        body,
    }
}

pub fn sample(n: u64) -> Event {
    let body = EventBody::Sample(Sample {
        text: None,
        device: "cold-1".into(),
        point: "temperature".into(),
        observed_at: at(n),
        value: Some(4.0 + (n % 10) as f64),
        quality: Quality::Good,
    });
    event(n, Subject::Device("cold-1".into()), body)
}

pub fn samples(range: std::ops::Range<u64>) -> Batch {
    Batch { events: range.map(sample).collect(), ..Batch::default() }
}

pub fn asset(name: &str) -> Subject {
    Subject::Asset(name.into())
}

pub fn epc() -> Epc {
    Epc::from_hex("3034257bf7194e4000001a85").unwrap()
}

pub fn fix(n: u64) -> Fix {
    Fix {
        accuracy_m: Some(8.0),
        speed_mps: Some(3.5),
        course_deg: Some(90.0),
        battery_percent: Some(77.0),
        ignition: Some(true),
        odometer_m: Some(123_456.0),
        ..Fix::bare("truck/7".into(), at(n), Position { lat: 52.5, lon: 13.25 }, Digest(7))
    }
}

fn checkout(n: u64) -> Checkout {
    Checkout {
        asset: "FL-07".into(),
        holder: "Ada".to_owned(),
        checked_out_at: at(n),
        due_back: Some(at(n + 3600)),
        note: None,
        waived: Vec::new(),
    }
}

fn alert() -> Alert {
    let key = AlertKey::new(Rule::Ghost, "FL-07");
    let (site, summary) = (Some("north".into()), "FL-07 is not where it should be".to_owned());
    let begun = Alert::begin(key, EventId([9; 16]), Severity::Warning, site, summary, at(1));
    Alert { state: AlertState::Firing, fired_at: Some(at(2)), ..begun }
}

/// One of each kind, about asset FL-07 and sensor cold-1, one a second.
pub fn one_of_each() -> Vec<Event> {
    let read_point = || "crib".into();
    let evidence = PassageEvidence { started_at: at(1), ended_at: at(2), antennas: Vec::new(), beams: None };
    let (fl07, cold) = (|| asset("FL-07"), || Subject::Device("cold-1".into()));
    let condition = |change| EventBody::Condition {
        device: "cold-1".into(),
        point: "temperature".into(),
        limit: "hi".into(),
        episode: change,
        zone: Some("cold-room".into()),
        exposed: vec!["FL-07".into()],
    };
    let began = Episode::Began { began_at: at(1), value: 9.5, threshold: 8.0, measure: Measure::Value };
    let ended = Episode::Ended {
        began_at: at(1),
        peak: 11.25,
        peak_at: at(2),
        measure: Measure::Value,
        over_s: None,
    };
    let quality = EventBody::SensorQuality {
        device: "cold-1".into(),
        point: "temperature".into(),
        quality: Quality::NoCommunication,
    };
    let presence = EventBody::Presence {
        change: PresenceChange::Arrived,
        epc: epc(),
        read_point: read_point(),
        zone: Some("tool-crib".into()),
        beside: false,
        weighed: None,
    };
    let passage = EventBody::Passage {
        direction: Direction::Out,
        epc: epc(),
        portal: "door-1".into(),
        from: Some("hall".into()),
        to: Some("yard".into()),
        evidence,
    };
    let read = EventBody::TagRead { epc: epc(), antenna: 2, seen_count: 5, peak_rssi_dbm: Some(-61.5) };
    let position = Position { lat: 52.5, lon: 13.4 };
    let motion = Motion { change: MotionChange::Stopped, position, since: None, left_by: None, trip: None };
    let motion = EventBody::Motion { device: "truck/7".into(), motion };
    let geofence = EventBody::Geofence {
        change: FenceChange::Entered,
        fence: "depot".into(),
        fix: fix(5),
        inferred: true,
    };
    let bodies = vec![
        (fl07(), presence),
        (fl07(), passage),
        (fl07(), EventBody::Fix(fix(4))),
        (fl07(), geofence),
        (fl07(), EventBody::CheckedOut(checkout(6))),
        (fl07(), EventBody::CheckedIn { checkout: checkout(6), how: "command".to_owned() }),
        (fl07(), EventBody::CheckedOut(checkout(8))),
        (cold(), sample(9).body),
        (cold(), condition(began)),
        (cold(), condition(ended)),
        (cold(), quality),
        (Subject::Tag(epc()), read),
        (fl07(), motion),
        (fl07(), EventBody::Alert { transition: AlertTransition::Fired, alert: Box::new(alert()) }),
        (
            Subject::Node,
            EventBody::Command {
                by: "ada".to_owned(),
                command: Command::CheckIn { asset: "FL-07".into(), note: None, damage: None },
            },
        ),
        (Subject::Node, EventBody::Gap { from: at(1), to: at(2), reason: "restart".to_owned() }),
        (Subject::Source("dock-1".into()), EventBody::Link { up: false, reason: "closed".to_owned() }),
    ];
    (1..).zip(bodies).map(|(n, (subject, body))| event(n, subject, body)).collect()
}
