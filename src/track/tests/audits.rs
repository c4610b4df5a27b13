use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::world::*;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::audits::{Audit, AuditPart, AuditState, Counted, Item, Scope, Standing};
use crate::domain::commands::{Command, HandCount, Outcome, Reads, Refused};
use crate::domain::epc_pattern::EpcPattern;
use crate::domain::events::EventBody;
use crate::domain::ids::{AssetId, AuditId};
use crate::domain::register::*;
use crate::domain::sightings::{Direction, PresenceChange};
use crate::domain::state::{Location, SensedBy, StateKind};

fn open(world: &mut World, name: &str, zones: &[&str]) -> Result<Outcome, Refused> {
    let scope = Scope { zones: zones.iter().map(|zone| (*zone).into()).collect(), ..Scope::default() };
    world.command(Command::AuditOpen { audit: name.into(), scope, expires_at: None, note: None })
}

fn close(world: &mut World, name: &str) {
    world.command(Command::AuditClose { audit: name.into() }).unwrap();
}

fn read(world: &mut World, zone: &str, tags: &[u16], at: i64) -> Result<Outcome, Refused> {
    let epcs = tags.iter().map(|tag| epc(*tag)).collect();
    let reader = Some("handheld-3".to_owned());
    world.command(Command::Reads(Reads { zone: zone.into(), epcs, at: Some(t(at)), audit: None, reader }))
}

fn header(world: &World, name: &str) -> Audit {
    serde_json::from_slice(&world.rows[&(StateKind::Audit, name.to_owned())]).unwrap()
}

/// What an audit's rows say, open or over.
fn items(world: &World, name: &str) -> BTreeMap<String, Standing> {
    let mut items: Vec<Item> = Vec::new();
    for ((kind, key), value) in &world.rows {
        match kind {
            StateKind::AuditPart if key.starts_with(&format!("{name}#")) => {
                items.extend(serde_json::from_slice::<AuditPart>(value).unwrap().items);
            }
            StateKind::AuditItem if key.starts_with(&format!("{name}/")) => {
                items.push(serde_json::from_slice(value).unwrap());
            }
            _ => {}
        }
    }
    items.into_iter().map(|item| (item.what.to_string(), item.standing)).collect()
}

fn expected(world: &World, name: &str) -> BTreeSet<AssetId> {
    let parts = world
        .rows
        .iter()
        .filter(|((kind, key), _)| *kind == StateKind::AuditPart && key.starts_with(&format!("{name}#")));
    parts.flat_map(|(_, row)| serde_json::from_slice::<AuditPart>(row).unwrap().expected).collect()
}

fn is_missing(world: &World, asset: &str) -> bool {
    world.is_firing(Rule::Ghost, asset)
}

#[test]
fn expected_is_what_is_there_and_what_belongs_there_and_was_never_sensed() {
    let mut world = World::stocked(6, "tool");
    world.arrive(1, "CRIB");
    world.arrive(2, "ANNEX");
    world.check_out("T3", None).unwrap();
    world.pass(4, "GATE", Direction::Out);
    let retired = Asset { lifecycle: Lifecycle::Retired, ..Asset::new("T5".into(), "tool".into()) };
    world.import(vec![Record::Asset(Asset { home_zone: Some("crib".into()), ..retired })]).unwrap();
    open(&mut world, "A", &["crib"]).unwrap();
    assert_eq!(expected(&world, "A"), ["T1".into(), "T6".into()].into());
    let figures = header(&world, "A").figures;
    assert_eq!((figures.expected, figures.out_at_start, figures.pending()), (2, 1, 2));
    // Frozen: what comes later is not expected.
    world.arrive(2, "CRIB");
    assert_eq!(header(&world, "A").figures.expected, 2);
}

#[test]
fn fixed_reads_find_and_repeated_ones_say_nothing_new() {
    let mut world = World::stocked(3, "slow");
    world.arrive(1, "CRIB");
    open(&mut world, "A", &["crib"]).unwrap();
    world.until(10);
    world.refresh(1, "CRIB");
    world.events.clear();
    world.until(20);
    world.refresh(1, "CRIB");
    assert!(!world.events.iter().any(|event| matches!(event.body, EventBody::Counted { .. })));
    assert_eq!(items(&world, "A"), [("asset:T1".to_owned(), Standing::Found)].into());
    // Read before it began, told later: no proof.
    world.presence_at(-5, true, 2, "CRIB", PresenceChange::Arrived);
    assert_eq!(items(&world, "A").len(), 1);
    // Read after it began, told late: proof.
    world.presence_at(5, true, 2, "CRIB", PresenceChange::Arrived);
    assert_eq!(items(&world, "A")["asset:T2"], Standing::Found);
}

#[test]
fn what_is_only_heard_from_the_zone_beside_is_no_proof() {
    let mut world = World::stocked(2, "tool");
    world.arrive(1, "ANNEX");
    open(&mut world, "A", &["crib"]).unwrap();
    world.until(10);
    world.beside(1, "CRIB", PresenceChange::Arrived);
    world.beside(1, "CRIB", PresenceChange::Refreshed);
    assert_eq!(items(&world, "A"), [].into());
}

#[test]
fn closing_raises_what_is_missing_also_where_nobody_listens() {
    let mut world = World::stocked(3, "tool");
    (1..=3).for_each(|tag| world.pass(tag, "DOCK", Direction::Out));
    open(&mut world, "YARD", &["yard"]).unwrap();
    world.until(100);
    read(&mut world, "yard", &[1], 100).unwrap();
    world.check_out("T2", None).unwrap();
    close(&mut world, "YARD");
    let figures = header(&world, "YARD").figures;
    assert_eq!((figures.found, figures.missing, figures.elsewhere), (1, 1, 1));
    assert_eq!(figures.accuracy(), Some(0.5));
    assert!(is_missing(&world, "T3") && !is_missing(&world, "T1") && !is_missing(&world, "T2"));
    assert_eq!(header(&world, "YARD").state, AuditState::Closed);
    // It stays missing over a change of its class and over a restart, until it is sensed.
    let class = AssetClass { overdue_grace: None, ..AssetClass::new("extra".into()) };
    world.import(vec![Record::Class(Box::new(class))]).unwrap();
    world.restart(10);
    world.connect();
    assert!(is_missing(&world, "T3"));
    world.arrive(3, "CRIB");
    assert!(!is_missing(&world, "T3"));
    assert_eq!(world.current("T3").ghost_since, None);
}

#[test]
fn a_handheld_places_ends_a_ghost_and_brings_home() {
    let mut world = World::stocked(2, "tool");
    world.arrive(1, "CRIB");
    world.until(100);
    assert!(is_missing(&world, "T1"));
    read(&mut world, "yard", &[1, 99], 90).unwrap();
    let current = world.current("T1");
    assert_eq!(current.location, Location::Zone("yard".into()));
    assert_eq!(current.last_sensed.unwrap().by, SensedBy::Hand("handheld-3".to_owned()));
    assert!(!is_missing(&world, "T1"));
    // Given again, and an older one: nothing moves.
    world.events.clear();
    read(&mut world, "yard", &[1], 90).unwrap();
    read(&mut world, "coldroom", &[1], 50).unwrap();
    assert_eq!(world.current("T1").location, Location::Zone("yard".into()));
    assert_eq!(world.told(), [""; 0]);
    world.check_out("T1", None).unwrap();
    world.until(200);
    read(&mut world, "crib", &[1], 200).unwrap();
    assert_eq!(world.current("T1").checkout, None, "read at home after it was away");
}

#[test]
fn what_nobody_expected_is_listed_and_strange_tags_are_zombies() {
    let mut world = World::stocked(4, "tool");
    world.arrive(1, "CRIB");
    world.arrive(2, "ANNEX");
    world.check_out("T4", None).unwrap();
    let badge = Attachment::new(epc(50), Carrier::Person("ann".into()));
    let ann = Person { id: "ann".into(), name: None, team: None, site: None };
    world.import(vec![Record::Person(ann), Record::Tag(badge)]).unwrap();
    open(&mut world, "A", &["crib"]).unwrap();
    world.until(5);
    read(&mut world, "crib", &[1, 2, 3, 4, 50, 99], 5).unwrap();
    let found = items(&world, "A");
    let strange = format!("tag:{}", epc(99));
    assert_eq!(found["asset:T1"], Standing::Found);
    assert_eq!(found["asset:T3"], Standing::Found);
    assert_eq!(found["asset:T2"], Standing::Unexpected);
    assert_eq!(found["asset:T4"], Standing::Unexpected);
    assert_eq!(found[&strange], Standing::Unexpected);
    assert_eq!(found.len(), 5, "a badge is nobody's asset: {found:?}");
    assert!(!world.is_firing(Rule::Zombie, &epc(99).to_string()));
    close(&mut world, "A");
    assert!(world.is_firing(Rule::Zombie, &epc(99).to_string()));
    assert!(!world.is_firing(Rule::Zombie, &epc(50).to_string()));
}

#[test]
fn by_hand_found_and_missing() {
    let mut world = World::stocked(2, "tool");
    open(&mut world, "A", &["crib", "yard"]).unwrap();
    let count = |asset: &str, zone: Option<&str>, missing| {
        let zone = zone.map(Into::into);
        Command::Count(HandCount { audit: "A".into(), asset: asset.into(), zone, missing })
    };
    world.until(10);
    assert!(matches!(world.command(count("T1", None, false)), Err(Refused::Invalid { .. })));
    assert!(matches!(world.command(count("T1", Some("annex"), false)), Err(Refused::Invalid { .. })));
    assert!(matches!(world.command(count("T9", Some("crib"), false)), Err(Refused::NotFound { .. })));
    world.command(count("T1", Some("yard"), false)).unwrap();
    world.command(count("T2", None, true)).unwrap();
    assert_eq!(
        items(&world, "A"),
        [("asset:T1".to_owned(), Standing::Found), ("asset:T2".to_owned(), Standing::Missing)].into()
    );
    assert_eq!(world.current("T1").location, Location::Zone("yard".into()));
    assert!(!is_missing(&world, "T2"), "not before it is closed");
    close(&mut world, "A");
    assert!(is_missing(&world, "T2"));
    assert!(matches!(world.command(count("T1", Some("yard"), false)), Err(Refused::Conflict { .. })));
}

#[test]
fn an_audit_that_nobody_closes_concludes_nothing() {
    for cancel in [true, false] {
        let mut world = World::stocked(2, "tool");
        open(&mut world, "A", &["crib"]).unwrap();
        match cancel {
            true => drop(world.command(Command::AuditCancel { audit: "A".into() }).unwrap()),
            false => world.until(7 * 86_400),
        }
        let state = header(&world, "A").state;
        assert_eq!(state, if cancel { AuditState::Cancelled } else { AuditState::Expired });
        assert!(!is_missing(&world, "T1"));
        let now = world.at;
        read(&mut world, "crib", &[1], now).unwrap();
        assert_eq!(items(&world, "A"), BTreeMap::new());
        assert!(matches!(open(&mut world, "A", &["crib"]), Err(Refused::Conflict { .. })));
        world.until(world.at + 401 * 86_400);
        assert!(!world.rows.keys().any(|(_, key)| key.starts_with("A")), "its rows are gone");
    }
}

#[test]
fn a_class_is_counted_by_itself_when_it_is_due() {
    let mut rules = rules();
    rules.classes[0].audit_every = Some(secs(30 * 86_400));
    let mut world = World::with(rules);
    world.stock(1..=2, "tool");
    world.stock(3..=3, "slow");
    world.until(30 * 86_400 - 1);
    assert!(!world.rows.keys().any(|(kind, _)| *kind == StateKind::Audit));
    world.until(30 * 86_400);
    let name = "tool-hq-2026-05-31";
    assert_eq!(expected(&world, name), ["T1".into(), "T2".into()].into());
    assert_eq!(header(&world, name).expires_at, t(37 * 86_400));
    world.until(60 * 86_400);
    assert_eq!(header(&world, name).state, AuditState::Expired);
    assert_eq!(header(&world, "tool-hq-2026-06-30").state, AuditState::Open);
    // What falls due while nothing runs is counted once.
    world.restart(95 * 86_400);
    world.until(world.at + 1);
    let open = world.rows.iter().filter(|((kind, _), _)| *kind == StateKind::Audit);
    assert_eq!(open.count(), 3);
    assert_eq!(world.tracker.audits.plans["tool"].next_at, t(180 * 86_400));
    world.tracker.set_rules(&super::world::rules());
    world.until(world.at + 1);
    assert!(!world.rows.keys().any(|(kind, _)| *kind == StateKind::AuditPlan));
}

#[test]
fn refused_are_names_and_places_that_are_not_there() {
    let mut world = World::stocked(1, "tool");
    for name in ["", "a/b", "a#1"] {
        assert!(matches!(open(&mut world, name, &["crib"]), Err(Refused::Invalid { .. })), "{name}");
    }
    assert!(matches!(open(&mut world, "A", &["nowhere"]), Err(Refused::Invalid { .. })));
    assert!(matches!(open(&mut world, "A", &[]), Err(Refused::Invalid { .. })));
    assert!(matches!(read(&mut world, "nowhere", &[1], 0), Err(Refused::Invalid { .. })));
    assert!(matches!(read(&mut world, "crib", &[1], 400), Err(Refused::Invalid { .. })));
}

#[test]
fn a_large_audit_writes_a_small_row_a_read() {
    let mut world = World::stocked(2500, "slow");
    open(&mut world, "A", &["crib"]).unwrap();
    assert_eq!(header(&world, "A").parts, 3);
    world.until(5);
    let mut rows = Vec::new();
    let reads = Reads { zone: "crib".into(), epcs: vec![epc(7)], at: None, audit: None, reader: None };
    world.tracker.command("ann", Command::Reads(reads), t(5), &mut world.events).unwrap();
    world.tracker.take_dirty(&mut rows);
    let bytes: usize = rows.iter().filter_map(|row| row.value.as_ref()).map(Vec::len).sum();
    assert!(bytes < 3_000, "{bytes}");
    assert!(!rows.iter().any(|row| row.kind == StateKind::AuditPart));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is there, whatever is read, by whom and how often, with a restart or without: what was
    /// read is found, the rest is missing, and the figures say so.
    #[test]
    fn the_report_is_the_truth(
        there in prop::collection::vec((any::<bool>(), 0..3u8, 0..3usize), 1..30),
        strangers in 0..3u16,
        restart in any::<bool>(),
    ) {
        let mut world = World::stocked(there.len() as u16, "slow");
        open(&mut world, "A", &["crib", "yard"]).unwrap();
        world.until(10);
        let mut truth = BTreeSet::new();
        for (nth, (present, how, times)) in there.iter().enumerate() {
            let tag = nth as u16 + 1;
            if !present || *times == 0 {
                continue;
            }
            truth.insert(Counted::Asset(asset_name(tag)).to_string());
            for again in 0..*times {
                let at = 10 + again as i64;
                match how {
                    0 => world.presence_at(at.min(world.at), false, tag, "CRIB", PresenceChange::Arrived),
                    1 => drop(read(&mut world, "yard", &[tag], at).unwrap()),
                    _ => {
                        let (audit, asset) = (AuditId::from("A"), asset_name(tag));
                        let zone = Some("crib".into());
                        let count = HandCount { audit, asset, zone, missing: false };
                        world.command(Command::Count(count)).unwrap();
                    }
                }
            }
            if restart && nth == there.len() / 2 {
                world.restart(0);
                world.connect();
            }
        }
        let unknown: Vec<u16> = (500..500 + strangers).collect();
        read(&mut world, "crib", &unknown, 11).unwrap();
        world.until(20);
        close(&mut world, "A");
        let said = items(&world, "A");
        let of = |standing| -> BTreeSet<String> {
            said.iter().filter(|(_, held)| **held == standing).map(|(what, _)| what.clone()).collect()
        };
        prop_assert_eq!(of(Standing::Found), truth.clone());
        let missing: BTreeSet<String> = (1..=there.len() as u16)
            .map(|tag| Counted::Asset(asset_name(tag)).to_string())
            .filter(|what| !truth.contains(what))
            .collect();
        prop_assert_eq!(of(Standing::Missing), missing.clone());
        let figures = header(&world, "A").figures;
        prop_assert_eq!(figures.found, truth.len() as u64);
        prop_assert_eq!(figures.missing, missing.len() as u64);
        prop_assert_eq!(figures.unexpected, u64::from(strangers));
        prop_assert_eq!(figures.pending(), 0);
        prop_assert_eq!(figures.accuracy(), Some(truth.len() as f64 / there.len() as f64));
        for tag in 1..=there.len() as u16 {
            let asset = asset_name(tag);
            let key = AlertKey::new(Rule::Ghost, asset.as_str());
            let ghost = world.tracker.alerts.is_firing(&key);
            prop_assert_eq!(ghost, missing.contains(&Counted::Asset(asset).to_string()));
        }
    }
}

#[test]
fn what_the_configuration_ignores_is_nothing_to_an_audit() {
    let mut rules = rules();
    rules.alerts.assets.zombie.ignore =
        vec![EpcPattern::parse(&format!("{}*", &epc(9).to_string()[..22])).unwrap()];
    let mut world = World::with(rules);
    world.stock(1..=1, "tool");
    open(&mut world, "A", &["crib"]).unwrap();
    read(&mut world, "crib", &[9, 700], 0).unwrap();
    assert_eq!(items(&world, "A"), [(format!("tag:{}", epc(700)), Standing::Unexpected)].into());
    close(&mut world, "A");
    assert!(world.is_firing(Rule::Zombie, &epc(700).to_string()));
    assert!(!world.is_firing(Rule::Zombie, &epc(9).to_string()));
}

#[test]
fn what_a_handheld_finds_where_it_should_not_be_is_in_the_wrong_zone() {
    let mut world = World::with_class(AssetClass {
        allowed_zones: ["crib".into()].into(),
        ..AssetClass::new("guarded".into())
    });
    world.stock(1..=1, "guarded");
    open(&mut world, "A", &["annex"]).unwrap();
    world.until(10);
    read(&mut world, "annex", &[1], 10).unwrap();
    assert_eq!(items(&world, "A"), [("asset:T1".to_owned(), Standing::Unexpected)].into());
    world.until(10_000);
    assert!(world.is_firing(Rule::WrongZone, "T1"));
    read(&mut world, "crib", &[1], 10_000).unwrap();
    assert!(!world.is_firing(Rule::WrongZone, "T1"));
}
