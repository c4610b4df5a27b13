//! What a door does of what fired, and a light on a topic.

use std::time::Duration;

use super::*;
use crate::domain::alerts::{AlertKey, AlertState, AtDoor, Severity};
use crate::domain::events::Subject;
use crate::domain::ids::EventId;
use crate::domain::time::Timestamp;

const SECOND: Duration = Duration::from_secs(1);

fn config() -> DoorsConfig {
    let output = |name: &str, port| OutputConfig {
        name: name.to_owned(),
        drive: Drive::Gpo { reader: "dock".into(), port },
    };
    let door = |read_point: &str, rules: &[Rule], outputs: &[&str], hold| DoorConfig {
        read_point: read_point.into(),
        rules: rules.to_vec(),
        outputs: outputs.iter().map(|name| (*name).to_owned()).collect(),
        hold,
        fresh_for: 30 * SECOND,
    };
    let (exit, kit) = (Rule::UnauthorisedExit, Rule::KitIncomplete);
    DoorsConfig {
        outputs: vec![output("light", 1), output("buzzer", 2)],
        doors: vec![
            door("DOCK", &[exit, kit], &["light"], 10 * SECOND),
            door("DOCK", &[exit], &["buzzer"], 3 * SECOND),
        ],
    }
}

/// An alert at DOCK, whose passage was so long before now.
fn alert(rule: Rule, ago: Duration, now: Timestamp) -> Alert {
    let begun = Alert::begin(
        AlertKey::new(rule, "FL-07"),
        EventId([1; 16]),
        Severity::Warning,
        None,
        String::new(),
        now,
    );
    let door = Some(AtDoor { read_point: "DOCK".into(), at: now - ago });
    Alert { state: AlertState::Firing, fired_at: Some(now), door, ..begun }
}

fn event(transition: AlertTransition, alert: Alert) -> Event {
    Event {
        id: alert.incident,
        site: None,
        subject: Subject::Node,
        source: "tallyman".into(),
        observed_at: alert.pending_since,
        received_at: alert.pending_since,
        late: false,
        confidence: None,
        body: EventBody::Alert { transition, alert: Box::new(alert) },
    }
}

#[tokio::test]
async fn an_exit_switches_what_its_rule_is_configured_to_for_as_long_as_it_says() {
    let (rung, fired) = mpsc::channel(8);
    let (reader, mut lane) = mpsc::channel(8);
    let bell = Bell::new(&config(), rung);
    let clock = WallClock::new();
    let now = clock.now();
    let fresh = |rule| alert(rule, SECOND, now);
    let inhibited = Alert {
        inhibited_by: Some(AlertKey::new(Rule::Maintenance, "paint")),
        ..fresh(Rule::UnauthorisedExit)
    };
    let elsewhere =
        Alert { door: Some(AtDoor { read_point: "GATE".into(), at: now }), ..fresh(Rule::UnauthorisedExit) };
    bell.ring(&[
        event(AlertTransition::Fired, fresh(Rule::KitIncomplete)),
        event(AlertTransition::Escalated, fresh(Rule::KitIncomplete)),
        event(AlertTransition::Fired, inhibited),
        event(AlertTransition::Fired, elsewhere),
        event(AlertTransition::Fired, fresh(Rule::NotReadyExit)),
        event(AlertTransition::Fired, alert(Rule::UnauthorisedExit, 31 * SECOND, now)),
        event(AlertTransition::Fired, fresh(Rule::UnauthorisedExit)),
    ]);
    drop(bell);
    let begun = Instant::now();
    run(config(), [("dock".into(), reader)].into(), 8, fired, clock).await;
    let mut switched = Vec::new();
    while let Some(switch) = lane.recv().await {
        switched.push((switch.port, (switch.until - begun).as_secs()));
    }
    assert_eq!(switched, [(1, 10), (1, 10), (2, 3)]);
}

#[tokio::test]
async fn nobody_waits_for_a_door_that_takes_no_more() {
    let (rung, mut fired) = mpsc::channel(2);
    let bell = Bell::new(&config(), rung);
    let now = WallClock::new().now();
    let many: Vec<Event> =
        (0..5).map(|_| event(AlertTransition::Fired, alert(Rule::KitIncomplete, SECOND, now))).collect();
    bell.ring(&many);
    drop(bell);
    assert!(fired.recv().await.is_some() && fired.recv().await.is_some() && fired.recv().await.is_none());
}
