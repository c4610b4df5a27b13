//! Hand-overs, said and sensed.

use super::world::*;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::commands::{Command, Outcome, Refused};
use crate::domain::register::*;
use crate::domain::sightings::Direction::{self, In, Out};

const ANN: u16 = 201;
const BOB: u16 = 202;
const CY: u16 = 203;

/// `T1` with tag 1; Ann, Bob (of the night shift) and Cy with badges.
fn world(handover: Handover) -> World {
    let mut world = World::new();
    let class = Record::Class(Box::new(AssetClass { handover, ..AssetClass::new("drill".into()) }));
    let person = |id: &str, team: Option<&str>| {
        Record::Person(Person { id: id.into(), name: None, team: team.map(str::to_owned), site: None })
    };
    let badge = |number, id: &str| Record::Tag(TagAttachment::new(epc(number), Carrier::Person(id.into())));
    let people = [person("ann", None), person("bob", Some("night shift")), person("cy", None)];
    let badges = [badge(ANN, "ann"), badge(BOB, "bob"), badge(CY, "cy")];
    let stock = [class, asset("T1", "drill"), tag(1, "T1")];
    world.import(stock.into_iter().chain(people).chain(badges).collect()).unwrap();
    world.events.clear();
    world
}

fn hand_over(world: &mut World, from: Option<&str>, to: &str, due: Option<i64>) -> Result<Outcome, Refused> {
    let (from, due_back) = (from.map(str::to_owned), due.map(t));
    let holder = to.to_owned();
    world.command(Command::HandOver { asset: "T1".into(), holder, from, due_back, note: None })
}

fn accept(world: &mut World, to: Option<&str>) -> Result<Outcome, Refused> {
    let to = to.map(Into::into);
    world.command(Command::Accept { asset: "T1".into(), to, override_reason: None, note: None })
}

fn holder(world: &World) -> Option<String> {
    world.current("T1").checkout.map(|checkout| checkout.holder)
}

/// The tags pass at these seconds; then every window has passed.
fn through(world: &mut World, direction: Direction, passing: &[(u16, i64)]) {
    for (tag, at) in passing {
        world.until(*at);
        world.pass(*tag, "DOCK", direction);
    }
    world.until(world.at + 20);
}

fn custody(world: &mut World) -> Vec<String> {
    let told = world.told();
    let about = ["Made", "Accepted", "Rejected", "Lapsed", "handed", "checked"];
    told.into_iter().filter(|line| about.iter().any(|word| line.contains(word))).collect()
}

#[test]
fn a_hand_over_goes_from_who_has_it_and_keeps_or_moves_the_date() {
    let mut world = world(Handover::Propose);
    assert!(
        matches!(hand_over(&mut world, None, "cy", None), Err(Refused::Conflict { .. })),
        "nobody has it"
    );
    world.check_out("T1", Some(500)).unwrap();
    world.until(10);
    let wrong = hand_over(&mut world, Some("ann"), "cy", None).unwrap_err();
    assert!(wrong.to_string().contains("bob"), "{wrong}");
    assert!(matches!(hand_over(&mut world, None, "bob", None), Err(Refused::Conflict { .. })));
    assert!(matches!(hand_over(&mut world, None, " ", None), Err(Refused::Invalid { .. })));
    assert!(matches!(hand_over(&mut world, None, "cy", Some(5)), Err(Refused::Invalid { .. })));
    // Of two who both think that Bob has it, one wins.
    hand_over(&mut world, Some("bob"), "cy", None).unwrap();
    assert!(hand_over(&mut world, Some("bob"), "ann", None).unwrap_err().to_string().contains("cy"));
    let checkout = world.current("T1").checkout.unwrap();
    assert_eq!((checkout.checked_out_at, checkout.due_back), (t(10), Some(t(500))));
    hand_over(&mut world, None, "ann", Some(100)).unwrap();
    assert_eq!(
        custody(&mut world),
        ["0 asset:T1 checked-out bob", "10 asset:T1 handed over bob>cy", "10 asset:T1 handed over cy>ann"]
    );
    world.until(101);
    assert!(world.is_firing(Rule::OverdueReturn, "T1"));
    // An old list does not undo it.
    let before = Checkout {
        asset: "T1".into(),
        holder: "bob".to_owned(),
        checked_out_at: t(0),
        due_back: Some(t(500)),
        note: None,
        waived: Vec::new(),
    };
    let again = Command::Import { records: vec![], checkouts: vec![before] };
    assert_eq!(world.command(again).unwrap().unchanged, 1);
    assert_eq!(holder(&world).as_deref(), Some("ann"));
}

#[test]
fn one_badge_with_it_proposes_a_hand_over_that_somebody_accepts() {
    for badge_first in [true, false] {
        let mut world = world(Handover::Propose);
        world.check_out("T1", Some(500)).unwrap();
        let passing = if badge_first { [(ANN, 100), (1, 104)] } else { [(1, 100), (ANN, 104)] };
        through(&mut world, Out, &passing);
        let proposal = world.current("T1").proposal.unwrap();
        assert_eq!(proposal.from.as_deref(), Some("bob"));
        assert_eq!(proposal.candidates[0].person.as_str(), "ann");
        assert!((proposal.confidence - 0.81).abs() < 1e-6, "{}", proposal.confidence);
        assert_eq!(holder(&world).as_deref(), Some("bob"), "it is a proposal");
        world.restart(0);
        accept(&mut world, None).unwrap();
        assert_eq!(holder(&world).as_deref(), Some("ann"));
        let checkout = world.current("T1").checkout.unwrap();
        assert_eq!((checkout.checked_out_at, checkout.due_back), (proposal.passed_at, Some(t(500))));
        assert!(world.current("T1").proposal.is_none());
        let told = custody(&mut world);
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[1].ends_with("Made bob>ann") && told[2].ends_with("Accepted bob>ann"), "{told:?}");
        assert!(accept(&mut world, None).is_err());
    }
}

#[test]
fn a_proposal_is_rejected_or_lapses_with_what_happens() {
    let mut world = world(Handover::Propose);
    world.check_out("T1", None).unwrap();
    through(&mut world, Out, &[(1, 100), (ANN, 101)]);
    world.command(Command::Reject { asset: "T1".into(), note: None }).unwrap();
    assert!(world.current("T1").proposal.is_none());
    through(&mut world, Out, &[(1, 200), (ANN, 201)]);
    through(&mut world, In, &[(1, 300)]);
    assert!(world.current("T1").proposal.is_none(), "it came back");
    let told = custody(&mut world);
    let words: Vec<&str> = told.iter().filter_map(|line| line.split(' ').nth(2)).collect();
    assert_eq!(words, ["checked-out", "Made", "Rejected", "Made", "Lapsed", "checked-in"]);
}

#[test]
fn what_is_no_hand_over() {
    // Who has it, by number or team; the other way; too far apart; late; nobody.
    let cases = [
        ("bob", vec![(1, 100), (BOB, 101)]),
        ("night shift", vec![(1, 100), (BOB, 101), (CY, 102)]),
        ("ann", vec![(1, 100), (BOB, 106)]),
        ("ann", vec![(1, 100)]),
    ];
    for (has, passing) in cases {
        let mut world = world(Handover::Accept);
        let (asset, holder_name) = ("T1".into(), has.to_owned());
        let command = Command::Checkout {
            asset,
            holder: holder_name,
            due_back: None,
            note: None,
            override_reason: None,
        };
        world.command(command).unwrap();
        through(&mut world, Out, &passing);
        assert!(world.current("T1").proposal.is_none(), "{has} {passing:?}");
        assert_eq!(holder(&world).as_deref(), Some(has));
    }
    let mut world = world(Handover::Accept);
    world.until(100);
    world.pass(1, "DOCK", Out);
    world.pass(BOB, "DOCK", In);
    world.pass(BOB, "GATE", Out);
    world.pass_at(101, true, BOB, "DOCK", Out);
    world.until(200);
    assert_eq!((world.current("T1").proposal, holder(&world)), (None, None));
    // Into the crib with somebody, and nobody had it: nobody took it.
    through(&mut world, In, &[(1, 300), (BOB, 301)]);
    assert_eq!((world.current("T1").proposal, holder(&world)), (None, None));
}

#[test]
fn of_several_somebody_has_to_say_who() {
    let mut world = world(Handover::Accept);
    through(&mut world, Out, &[(ANN, 98), (1, 100), (CY, 101)]);
    let proposal = world.current("T1").proposal.unwrap();
    let names: Vec<&str> = proposal.candidates.iter().map(|c| c.person.as_str()).collect();
    assert_eq!((proposal.from, names), (None, vec!["cy", "ann"]));
    assert!((proposal.confidence - 0.405).abs() < 1e-6, "{}", proposal.confidence);
    assert!(holder(&world).is_none(), "not by itself");
    let who = accept(&mut world, None).unwrap_err();
    assert!(who.to_string().contains("cy or ann"), "{who}");
    assert!(matches!(accept(&mut world, Some("bob")), Err(Refused::Invalid { .. })));
    accept(&mut world, Some("ann")).unwrap();
    assert_eq!(holder(&world).as_deref(), Some("ann"));
}

#[test]
fn a_class_may_take_one_badge_for_true_and_only_what_is_ready_goes_out_so() {
    let mut world = world(Handover::Accept);
    through(&mut world, Out, &[(1, 100), (ANN, 101)]);
    assert_eq!(holder(&world).as_deref(), Some("ann"));
    assert_eq!(world.current("T1").checkout.unwrap().checked_out_at, t(100));
    through(&mut world, Out, &[(1, 200), (CY, 201)]);
    assert_eq!(holder(&world).as_deref(), Some("cy"));
    through(&mut world, In, &[(1, 300), (CY, 301)]);
    assert_eq!(holder(&world), None, "a return is no hand-over");
    world.command(Command::Quarantine { asset: "T1".into(), reason: "leaks".to_owned() }).unwrap();
    world.events.clear();
    through(&mut world, Out, &[(1, 400), (ANN, 401)]);
    assert_eq!(holder(&world), None);
    assert!(accept(&mut world, None).unwrap_err().to_string().contains("leaks"));
    let override_reason = Some("it is out already".to_owned());
    world.command(Command::Accept { asset: "T1".into(), to: None, override_reason, note: None }).unwrap();
    assert_eq!(holder(&world).as_deref(), Some("ann"));
}

#[test]
fn a_crash_between_the_two_passages_loses_neither() {
    let mut world = world(Handover::Propose);
    world.until(100);
    world.pass(ANN, "DOCK", Out);
    world.restart(0);
    world.connect();
    world.until(101);
    world.pass(1, "DOCK", Out);
    world.restart(0);
    world.connect();
    world.until(150);
    assert_eq!(world.current("T1").proposal.unwrap().candidates[0].person.as_str(), "ann");
}

#[test]
fn a_badge_that_passes_is_told_of_its_person() {
    let mut world = world(Handover::Propose);
    world.pass(ANN, "DOCK", Out);
    assert_eq!(world.told(), ["0 person:ann Out DOCK crib>yard"]);
}

#[test]
fn badges_of_a_crowd_are_bounded() {
    let mut world = world(Handover::Propose);
    for at in 0..1000 {
        world.pass_at(at / 100, false, ANN, "DOCK", Out);
    }
    let row = &world.rows[&(crate::domain::state::StateKind::Badges, "DOCK".to_owned())];
    let kept: Vec<serde_json::Value> = serde_json::from_slice(row).unwrap();
    assert_eq!(kept.len(), 64);
}

#[test]
fn an_overdue_return_names_whoever_has_it_by_now() {
    let mut world = World::stocked(1, "tool");
    world.check_out("T1", Some(60)).unwrap();
    world.until(200);
    let summary = |world: &World| {
        let key = AlertKey::new(Rule::OverdueReturn, "T1");
        world.tracker.alerts.open(&key).unwrap().summary.clone()
    };
    assert!(summary(&world).contains("ask bob"), "{}", summary(&world));
    world.alerted();
    world
        .command(Command::HandOver {
            asset: "T1".into(),
            holder: "cy".to_owned(),
            from: None,
            due_back: None,
            note: None,
        })
        .unwrap();
    assert!(summary(&world).contains("ask cy"), "{}", summary(&world));
    assert!(world.alerted().is_empty(), "the same incident goes on");
}
