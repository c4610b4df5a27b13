//! What becomes of an alert between its beginning and its end.

use super::world::*;
use crate::config::{AlertPolicy, QuietHours, Rules};
use crate::domain::alerts::{Alert, AlertKey, AlertState, Rule, Severity};
use crate::domain::commands::{Command, Refused};
use crate::domain::state::StateKind;

fn key(text: &str) -> AlertKey {
    AlertKey::parse(text).unwrap()
}

fn alert(world: &World, text: &str) -> Alert {
    serde_json::from_slice(&world.rows[&(StateKind::Alert, text.to_owned())]).unwrap()
}

fn world_with(change: impl FnOnce(&mut Rules)) -> World {
    let mut rules = rules();
    change(&mut rules);
    World::with(rules)
}

fn policy(rule: Rule) -> AlertPolicy {
    AlertPolicy { rule: Some(rule), ..AlertPolicy::default() }
}

/// Down for longer than it takes to be an alert, then up again.
fn blink(world: &mut World) {
    world.link("r1", false, false);
    world.until(world.at + 40);
    world.link("r1", true, true);
    world.until(world.at + 10);
}

#[test]
fn every_rule_has_a_name_of_its_own() {
    for rule in Rule::ALL {
        assert_eq!(Rule::parse(rule.as_str()), Some(rule));
        assert_eq!(serde_json::to_value(rule).unwrap(), rule.as_str());
    }
}

#[test]
fn an_alert_is_given_to_somebody() {
    let mut world = World::new();
    let assign = |to: &str| Command::Assign { alert: key("reader-down/r1"), to: to.to_owned() };
    assert!(matches!(world.command(assign("bea")), Err(Refused::NotFound { .. })));
    world.link("r1", false, false);
    world.until(40);
    assert!(matches!(world.command(assign(" ")), Err(Refused::Invalid { .. })));
    world.command(assign("bea")).unwrap();
    world.command(assign("carl")).unwrap();
    world.restart(0);
    let assigned = alert(&world, "reader-down/r1").assigned.unwrap();
    assert_eq!((assigned.to.as_str(), assigned.by.as_str(), assigned.at), ("carl", "ann", t(40)));
}

#[test]
fn what_nobody_acknowledges_escalates_once_to_more_people_and_more_loudly() {
    let mut world = world_with(|rules| {
        rules.alerts.policies = vec![AlertPolicy {
            escalate_after: Some(secs(60)),
            escalate_severity: Some(Severity::Critical),
            escalate_to: Some(vec!["duty".to_owned()]),
            receivers: Some(vec!["crib".to_owned()]),
            ..policy(Rule::ReaderDown)
        }];
    });
    world.link("r1", false, false);
    world.until(50);
    assert_eq!(alert(&world, "reader-down/r1").receivers, ["crib"]);
    world.restart(0);
    for source in ["r2", "r3", "cold-1"] {
        world.link(source, true, true);
    }
    world.until(89);
    assert_eq!(alert(&world, "reader-down/r1").severity, Severity::Warning);
    world.until(1000);
    let escalated = alert(&world, "reader-down/r1");
    assert_eq!((escalated.severity, escalated.escalated_at), (Severity::Critical, Some(t(90))));
    assert_eq!(escalated.receivers, ["crib", "duty"]);
    // Told once more for another reason, it is as severe as it has become.
    world.link("r1", false, true);
    world.link("r2", false, false);
    world.until(1040);
    world.command(Command::Acknowledge { alert: key("reader-down/r2"), note: None }).unwrap();
    world.until(2000);
    assert_eq!(alert(&world, "reader-down/r1").severity, Severity::Critical);
    assert_eq!(alert(&world, "reader-down/r2").escalated_at, None, "somebody was on it");
    let escalations: Vec<String> = world.alerted().into_iter().filter(|l| l.ends_with("escalated")).collect();
    assert_eq!(escalations, ["90 reader-down/r1 escalated"]);
}

#[test]
fn an_overdue_return_escalates_until_it_is_back() {
    let mut rules = rules();
    rules.alerts.policies = vec![AlertPolicy {
        escalate_after: Some(secs(600)),
        escalate_to: Some(vec!["manager".to_owned()]),
        receivers: Some(vec!["crew".to_owned()]),
        ..policy(Rule::OverdueReturn)
    }];
    let mut world = World::with(rules);
    world.stock(1..=2, "tool");
    world.check_out("T1", Some(60)).unwrap();
    world.check_out("T2", Some(60)).unwrap();
    world.events.clear();
    // Told at due back and 30 s of grace.
    world.until(400);
    world.check_in("T2").unwrap();
    world.until(10_000);
    assert_eq!(alert(&world, "overdue-return/T1").escalated_at, Some(t(690)));
    assert_eq!(alert(&world, "overdue-return/T1").receivers, ["crew", "manager"]);
    let escalations: Vec<String> = world.alerted().into_iter().filter(|l| l.ends_with("escalated")).collect();
    assert_eq!(escalations, ["690 overdue-return/T1 escalated"]);
}

#[test]
fn nobody_is_late_with_what_nobody_was_told() {
    let mut world = world_with(|rules| {
        rules.alerts.policies =
            vec![AlertPolicy { escalate_after: Some(secs(60)), ..policy(Rule::ReaderDown) }];
    });
    world.link("r1", false, false);
    world.until(50);
    world.command(Command::Snooze { alert: key("reader-down/r1"), until: t(500) }).unwrap();
    world.until(559);
    assert_eq!(alert(&world, "reader-down/r1").escalated_at, None);
    world.until(560);
    assert_eq!(alert(&world, "reader-down/r1").escalated_at, Some(t(560)));
}

#[test]
fn one_that_comes_and_goes_stays_until_it_is_quiet() {
    let mut world = world_with(|rules| {
        rules.alerts.flap_count = 3;
        rules.alerts.flap_window = secs(600);
        rules.alerts.flap_quiet = secs(100);
    });
    for _ in 0..3 {
        blink(&mut world);
    }
    assert_eq!(alert(&world, "reader-down/r1").state, AlertState::Resolved);
    world.alerted();
    for _ in 0..4 {
        blink(&mut world);
        assert!(world.is_firing(Rule::ReaderDown, "r1"));
        world.restart(0);
        world.connect();
    }
    assert_eq!(world.at, 350);
    world.until(1000);
    // Last known to be up from the restart at second 350 on.
    let told: Vec<String> = world.alerted().into_iter().filter(|line| line.contains("/r1")).collect();
    assert_eq!(
        told,
        [
            "150 reader-down/r1 pending",
            "180 reader-down/r1 fired",
            "180 reader-down/r1 flapping",
            "450 reader-down/r1 resolved",
        ]
    );
    // And it begins anew: the first time is a plain one.
    blink(&mut world);
    assert_eq!(world.alerted().last().unwrap(), "1040 reader-down/r1 resolved");
}

#[test]
fn the_same_number_of_times_over_a_longer_time_is_no_flapping() {
    let mut world = world_with(|rules| {
        rules.alerts.flap_count = 3;
        rules.alerts.flap_window = secs(600);
    });
    for _ in 0..10 {
        blink(&mut world);
        world.until(world.at + 200);
    }
    assert!(world.alerted().iter().all(|line| !line.ends_with("flapping")));
}

/// Second 0 is 06:00 UTC; the site is two hours ahead.
fn quiet(from: &str, to: &str, below: Severity) -> QuietHours {
    let time = |text| jiff::civil::Time::strptime("%H:%M", text).unwrap();
    QuietHours { site: Some("hq".into()), from: time(from), to: time(to), below }
}

#[test]
fn what_fires_in_quiet_hours_is_told_at_their_end_if_it_still_fires() {
    let mut world = world_with(|rules| {
        rules.alerts.quiet_hours = vec![quiet("07:00", "09:00", Severity::Critical)];
    });
    world.link("r1", false, false);
    world.link("r2", false, false);
    world.until(100);
    let kept = alert(&world, "reader-down/r1");
    assert_eq!((kept.quiet_until, kept.told_at), (Some(t(3600)), None));
    assert!(!kept.notifies(t(100)));
    world.restart(0);
    world.connect();
    world.link("r1", false, false);
    world.until(4000);
    let told = alert(&world, "reader-down/r1");
    assert_eq!((told.quiet_until, told.told_at), (None, Some(t(3600))));
    assert!(told.notifies(t(3600)));
    let ended = alert(&world, "reader-down/r2");
    assert_eq!((ended.state, ended.told_at), (AlertState::Resolved, None));
    // Afterwards, and for what is severe enough, it is told at once.
    world.link("r2", false, false);
    world.until(4100);
    assert_eq!(alert(&world, "reader-down/r2").told_at, Some(t(4030)));
}

#[test]
fn quiet_hours_keep_back_nothing_that_is_severe_enough() {
    let mut world = world_with(|rules| {
        rules.alerts.quiet_hours = vec![quiet("07:00", "09:00", Severity::Critical)];
        rules.alerts.policies =
            vec![AlertPolicy { severity: Some(Severity::Critical), ..policy(Rule::ReaderDown) }];
    });
    world.link("r1", false, false);
    world.until(100);
    assert_eq!(alert(&world, "reader-down/r1").told_at, Some(t(30)));
}

#[test]
fn a_site_out_of_reach_explains_all_that_hangs_on_it_and_says_how_many() {
    let mut world = World::stocked(2, "tool");
    world.arrive(1, "CRIB");
    world.arrive(2, "CRIB");
    world.until(60);
    let ghosts = [alert(&world, "ghost/T1"), alert(&world, "ghost/T2")];
    assert!(ghosts.iter().all(|ghost| ghost.told_at == Some(t(60))));
    world.link("r1", false, false);
    world.until(100);
    assert_eq!(alert(&world, "reader-down/r1").explains, 2);
    for source in ["r2", "r3", "cold-1"] {
        world.link(source, false, false);
    }
    world.until(200);
    let site = alert(&world, "site-down/hq");
    assert_eq!((site.severity, site.explains), (Severity::Critical, 6), "four sources, two ghosts");
    assert_eq!(alert(&world, "reader-down/r1").explains, 0);
    world.restart(0);
    assert_eq!(alert(&world, "site-down/hq").explains, 6);
    world.link("r2", true, true);
    assert_eq!(alert(&world, "site-down/hq").state, AlertState::Resolved);
    let reader = alert(&world, "reader-down/r1");
    assert_eq!((reader.inhibited_by, reader.explains), (None, 2));
    assert_eq!(alert(&world, "ghost/T1").inhibited_by, Some(key("reader-down/r1")));
    world.link("r1", true, true);
    assert_eq!(alert(&world, "ghost/T1").inhibited_by, None);
}

#[test]
fn what_is_explained_when_it_begins_is_told_to_nobody() {
    let mut world = World::new();
    world.link("cold-1", false, false);
    world.until(10);
    world.quality(crate::domain::readings::Quality::NoCommunication);
    world.until(200);
    let bad = alert(&world, "sensor-bad/cold-1/temp");
    assert_eq!((bad.state, bad.told_at), (AlertState::Firing, None));
    assert_eq!(alert(&world, "reader-down/cold-1").explains, 1);
    world.quality(crate::domain::readings::Quality::Good);
    assert_eq!(alert(&world, "reader-down/cold-1").explains, 0);
}

#[test]
fn a_policy_switches_rules_off_and_waits_longer_for_a_class() {
    let mut world = world_with(|rules| {
        let class = Some("crane".into());
        rules.alerts.policies = vec![
            AlertPolicy { enabled: Some(false), ..policy(Rule::ReaderDown) },
            AlertPolicy { severity: Some(Severity::Info), pending: Some(secs(100)), ..policy(Rule::Ghost) },
            AlertPolicy { severity: Some(Severity::Critical), class, ..policy(Rule::Ghost) },
        ];
    });
    world.stock(1..=1, "tool");
    world.stock(2..=2, "crane");
    world.arrive(1, "CRIB");
    world.arrive(2, "CRIB");
    world.link("r2", false, false);
    world.until(500);
    assert!(!world.is_firing(Rule::ReaderDown, "r2"));
    let (tool, crane) = (alert(&world, "ghost/T1"), alert(&world, "ghost/T2"));
    assert_eq!((tool.severity, tool.fired_at), (Severity::Info, Some(t(160))));
    assert_eq!((crane.severity, crane.fired_at), (Severity::Critical, Some(t(160))));
    // Another configuration, and what is open follows it.
    world.rules.alerts.policies = vec![
        AlertPolicy { severity: Some(Severity::Warning), ..policy(Rule::Ghost) },
        AlertPolicy { enabled: Some(false), class: Some("crane".into()), ..AlertPolicy::default() },
    ];
    world.restart(1);
    assert_eq!(alert(&world, "ghost/T1").severity, Severity::Warning);
    assert_eq!(alert(&world, "ghost/T2").state, AlertState::Resolved);
}

#[test]
fn a_row_of_an_older_build_was_told() {
    let mut world = World::new();
    world.link("r1", false, false);
    world.until(100);
    let row = world.rows.get_mut(&(StateKind::Alert, "reader-down/r1".to_owned())).unwrap();
    let mut older: serde_json::Value = serde_json::from_slice(row).unwrap();
    for new in ["told_at", "asked", "fired"] {
        older.as_object_mut().unwrap().remove(new).expect(new);
    }
    *row = serde_json::to_vec(&older).unwrap();
    world.restart(0);
    world.link("r1", true, true);
    assert_eq!(alert(&world, "reader-down/r1").told_at, Some(t(30)));
}
