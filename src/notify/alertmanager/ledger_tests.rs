//! What one Alertmanager is told, and when.

use super::*;
use crate::domain::alerts::{Acknowledgement, AlertKey, Rule, Severity};
use crate::domain::ids::SiteId;

const MINUTE: Duration = Duration::from_secs(60);
const HOLD: Duration = Duration::from_secs(86_400);
const RESOLVED_FOR: Duration = Duration::from_secs(900);

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + minutes * 60)
}

fn config() -> AlertmanagerConfig {
    AlertmanagerConfig {
        urls: Vec::new(),
        ca_file: None,
        resend: MINUTE,
        hold: HOLD,
        resolved_for: RESOLVED_FOR,
        generator_url: None,
    }
}

fn ledger(alerts: &[Alert], last_alive: Option<Timestamp>) -> Ledger {
    Ledger::new(config(), NodeId::from("plant-1"), alerts, last_alive, at(0))
}

fn ghost(asset: &str, fired_at: Timestamp) -> Alert {
    let key = AlertKey::new(Rule::Ghost, asset);
    let incident = EventId::derive(fired_at, &[asset.as_bytes()]);
    let (site, summary) = (Some(SiteId::from("hamburg")), format!("{asset} is not where it should be"));
    let begun = Alert::begin(key, incident, Severity::Warning, site, summary, fired_at);
    Alert { state: AlertState::Firing, fired_at: Some(fired_at), ..begun }
}

fn resolved(alert: &Alert, resolved_at: Timestamp) -> Alert {
    Alert { state: AlertState::Resolved, resolved_at: Some(resolved_at), ..alert.clone() }
}

/// Subject and end of what is told, the watchdog left out; all of it taken.
fn tell(ledger: &mut Ledger, alerts: &[Alert], now: Timestamp) -> Vec<(String, Timestamp)> {
    let due = ledger.due(alerts, now);
    ledger.taken(&due, now);
    said(&due)
}

/// The same, and nobody there to take it.
fn tell_nobody(ledger: &mut Ledger, alerts: &[Alert], now: Timestamp) -> Vec<(String, Timestamp)> {
    said(&ledger.due(alerts, now))
}

fn said(due: &[Due]) -> Vec<(String, Timestamp)> {
    let alerts = due.iter().map(|due| &due.alert);
    let ours = alerts.filter(|alert| alert["labels"]["alertname"] != "TallymanWatchdog");
    ours.map(|alert| {
        let ends_at = Timestamp::parse(alert["endsAt"].as_str().unwrap()).unwrap();
        (alert["labels"]["subject"].as_str().unwrap().to_owned(), ends_at)
    })
    .collect()
}

fn one(subject: &str, ends_at: Timestamp) -> Vec<(String, Timestamp)> {
    vec![(subject.to_owned(), ends_at)]
}

#[test]
fn a_message_says_who_what_where_since_when_and_what_to_do() {
    let mut alert = ghost("FL-07", at(-5));
    alert.acknowledged =
        Some(Acknowledgement { by: "ada".to_owned(), at: at(-1), note: Some("on my way".to_owned()) });
    let config = AlertmanagerConfig { generator_url: Some("http://here/".to_owned()), ..config() };
    let mut ledger = Ledger::new(config, NodeId::from("plant-1"), &[], None, at(0));
    let due = ledger.due(std::slice::from_ref(&alert), at(0));
    assert_eq!(
        due[1].alert,
        serde_json::json!({
            "labels": {
                "alertname": "TallymanGhost", "rule": "ghost", "subject": "FL-07",
                "severity": "warning", "site": "hamburg", "node": "plant-1",
            },
            "annotations": {
                "summary": "FL-07 is not where it should be",
                "action": "`tallyman explain FL-07` tells when and where it was last heard, and who had it; \
                           `tallyman acknowledge ghost/FL-07` tells the others that you are on it",
                "incident": alert.incident.to_string(),
                "acknowledged_by": "ada",
                "acknowledged_at": at(-1).to_string(),
                "acknowledged_note": "on my way",
            },
            "startsAt": at(-5).to_string(),
            "endsAt": (at(0) + HOLD).to_string(),
            "generatorURL": "http://here/",
        })
    );
}

#[test]
fn the_watchdog_comes_first_began_with_us_and_ends_within_minutes() {
    let mut ledger = ledger(&[], None);
    let due = ledger.due(&[], at(0));
    ledger.taken(&due, at(0));
    assert_eq!(due[0].alert["labels"]["alertname"], "TallymanWatchdog");
    assert_eq!(due[0].alert["endsAt"], at(3).to_string());
    assert!(ledger.due(&[], at(0) + MINUTE / 2).is_empty(), "not at every look");
    let later = ledger.due(&[], at(1));
    assert_eq!(later[0].alert["startsAt"], at(0).to_string(), "its start must not move");
    assert_eq!(later[0].alert["endsAt"], at(4).to_string());
}

#[test]
fn what_stands_is_told_when_it_moves_and_once_an_interval() {
    let mut ledger = ledger(&[], None);
    let mut alert = ghost("FL-07", at(0));
    assert_eq!(tell(&mut ledger, std::slice::from_ref(&alert), at(0)), one("FL-07", at(0) + HOLD));
    let soon = at(0) + MINUTE / 2;
    assert_eq!(tell(&mut ledger, std::slice::from_ref(&alert), soon), []);
    assert_eq!(ledger.next_due(soon), MINUTE / 2);
    assert_eq!(tell(&mut ledger, std::slice::from_ref(&alert), at(1)), one("FL-07", at(1) + HOLD));
    alert.summary = "FL-07 was last heard at the crib".to_owned();
    let soon = at(1) + MINUTE / 2;
    assert_eq!(tell(&mut ledger, &[alert], soon), one("FL-07", soon + HOLD), "new words are told at once");
}

#[test]
fn what_is_resolved_is_told_for_a_while_with_one_end() {
    let mut ledger = ledger(&[], None);
    let alert = ghost("FL-07", at(0));
    tell(&mut ledger, std::slice::from_ref(&alert), at(0));
    let gone = [resolved(&alert, at(2))];
    assert_eq!(tell(&mut ledger, &gone, at(3)), one("FL-07", at(2)));
    assert_eq!(tell(&mut ledger, &gone, at(17)), one("FL-07", at(2)));
    assert_eq!(tell(&mut ledger, &gone, at(18)), []);
}

#[test]
fn an_instance_that_was_away_longer_than_resolved_for_learns_of_the_end_too() {
    let mut ledger = ledger(&[], None);
    let alert = ghost("FL-07", at(0));
    tell(&mut ledger, std::slice::from_ref(&alert), at(0));
    let gone = [resolved(&alert, at(2))];
    assert_eq!(tell_nobody(&mut ledger, &gone, at(3)), one("FL-07", at(2)));
    // By now the board has forgotten it.
    assert_eq!(tell_nobody(&mut ledger, &[], at(40)), one("FL-07", at(2)));
    assert_eq!(tell(&mut ledger, &[], at(60)), one("FL-07", at(2)));
    assert_eq!(tell(&mut ledger, &[], at(74)), one("FL-07", at(2)));
    assert_eq!(tell(&mut ledger, &[], at(75)), []);
}

#[test]
fn an_end_is_told_twice_however_short_the_time_for_it() {
    let config = AlertmanagerConfig { resolved_for: Duration::from_secs(1), ..config() };
    let mut ledger = Ledger::new(config, NodeId::from("plant-1"), &[], None, at(0));
    let alert = ghost("FL-07", at(0));
    tell(&mut ledger, std::slice::from_ref(&alert), at(0));
    let gone = [resolved(&alert, at(1))];
    assert_eq!(tell(&mut ledger, &gone, at(1)), one("FL-07", at(1)));
    assert_eq!(tell(&mut ledger, &gone, at(2)), one("FL-07", at(1)));
    assert_eq!(tell(&mut ledger, &gone, at(3)), []);
}

#[test]
fn what_was_explained_before_anybody_was_told_is_never_told_of() {
    let mut ledger = ledger(&[], None);
    let explained =
        Alert { inhibited_by: Some(AlertKey::new(Rule::ReaderDown, "crib")), ..ghost("FL-07", at(0)) };
    assert_eq!(tell(&mut ledger, std::slice::from_ref(&explained), at(0)), []);
    assert_eq!(tell(&mut ledger, &[resolved(&explained, at(5))], at(5)), []);
}

#[test]
fn what_is_snoozed_ends_at_one_moment_and_stands_again_from_its_own_start() {
    let mut ledger = ledger(&[], None);
    let alert = ghost("FL-07", at(0));
    tell(&mut ledger, std::slice::from_ref(&alert), at(0));
    let snoozed = [Alert { snoozed_until: Some(at(10)), ..alert.clone() }];
    assert_eq!(tell(&mut ledger, &snoozed, at(2)), one("FL-07", at(2)));
    assert_eq!(tell(&mut ledger, &snoozed, at(3)), one("FL-07", at(2)), "a moving end is never past");
    // The deadline passes here even before the transition is committed.
    let due = ledger.due(&snoozed, at(10));
    assert_eq!(said(&due), one("FL-07", at(10) + HOLD));
    assert_eq!(due[1].alert["startsAt"], at(0).to_string());
}

#[test]
fn a_new_incident_under_the_same_labels_ends_the_one_before() {
    let mut ledger = ledger(&[], None);
    let first = ghost("FL-07", at(0));
    tell(&mut ledger, &[first], at(0));
    let second = ghost("FL-07", at(5));
    let told = tell(&mut ledger, &[second], at(5));
    assert_eq!(told, [one("FL-07", at(5).offset(-1)), one("FL-07", at(5) + HOLD)].concat());
}

#[test]
fn labels_that_change_leave_nothing_standing_under_the_old_ones() {
    let mut ledger = ledger(&[], None);
    let alert = ghost("FL-07", at(0));
    tell(&mut ledger, std::slice::from_ref(&alert), at(0));
    let worse = Alert { severity: Severity::Critical, ..alert };
    let told = tell(&mut ledger, &[worse], at(1));
    assert_eq!(told, [one("FL-07", at(1) + HOLD), one("FL-07", at(1))].concat());
}

#[test]
fn a_pending_incident_does_not_hide_that_the_one_before_it_ended() {
    let mut ledger = ledger(&[], None);
    let first = ghost("FL-07", at(0));
    tell(&mut ledger, &[first], at(0));
    let pending = Alert { state: AlertState::Pending, fired_at: None, ..ghost("FL-07", at(4)) };
    assert_eq!(tell(&mut ledger, &[pending], at(5)), one("FL-07", at(5)));
}

#[test]
fn a_restart_ends_what_stood_and_leaves_alone_what_was_told_to_its_end() {
    let snoozed = Alert { snoozed_until: Some(at(10)), ..ghost("A", at(-60)) };
    let just_resolved = resolved(&ghost("B", at(-60)), at(-30));
    let long_resolved = resolved(&ghost("C", at(-600)), at(-500));
    let standing = ghost("D", at(-60));
    let alerts = [snoozed, just_resolved, long_resolved, standing];
    let mut ledger = ledger(&alerts, Some(at(-25)));
    let told = tell(&mut ledger, &alerts, at(0));
    let subjects: Vec<&str> = told.iter().map(|(subject, _)| subject.as_str()).collect();
    assert_eq!(subjects, ["A", "B", "D"]);
    assert_eq!(told[1].1, at(-30));
}

#[test]
fn a_start_that_lies_ahead_is_brought_back_and_no_end_comes_before_it() {
    let mut ledger = ledger(&[], None);
    let alert = ghost("FL-07", at(4));
    let due = ledger.due(std::slice::from_ref(&alert), at(0));
    ledger.taken(&due, at(0));
    assert_eq!(due[1].alert["startsAt"], at(0).to_string());
    assert_eq!(tell(&mut ledger, &[resolved(&alert, at(5))], at(1)), one("FL-07", at(1)));
}
