use super::world::*;
use crate::domain::alerts::{Alert, AlertState, Rule};
use crate::domain::commands::Command;
use crate::domain::erasure::Erase;
use crate::domain::register::{Carrier, Person, Record, TagAttachment};
use crate::domain::state::StateKind;

const LABEL: &str = "erased-00112233aabbccdd";

fn person(id: &str, name: &str) -> Record {
    Record::Person(Person { id: id.into(), name: Some(name.to_owned()), team: None, site: None })
}

fn erase(world: &mut World, person: &str) {
    let (also, badges, label) = (Vec::new(), Vec::new(), LABEL.to_owned());
    world.command(Command::ErasePerson(Erase { person: person.into(), also, badges, label })).unwrap();
}

fn check_out(world: &mut World, asset: &str, holder: &str) {
    let command = Command::Checkout {
        asset: asset.into(),
        holder: holder.to_owned(),
        due_back: Some(t(world.at + 1_830)),
        note: Some(format!("back at 07:30, says {holder}")),
        override_reason: None,
    };
    world.command(command).unwrap();
}

#[test]
fn of_somebody_with_a_number_like_a_time_only_who_had_it_changes() {
    for id in ["30", "07", "4711", "2026"] {
        let mut world = World::stocked(2, "tool");
        world.import(vec![person(id, "Bob")]).unwrap();
        world.at = 30;
        world.arrive(1, "CRIB");
        check_out(&mut world, "T1", id);
        let before = world.current("T1");
        erase(&mut world, id);
        let after = world.current("T1");
        let held = after.checkout.as_deref().unwrap();
        assert_eq!((held.holder.as_str(), held.due_back), (LABEL, Some(t(1_860))));
        assert_eq!(held.note, Some(format!("back at 07:30, says {LABEL}")));
        let mut like_before = after.clone();
        like_before.checkout.clone_from(&before.checkout);
        assert_eq!(like_before, before, "{id}");
        // What is in memory is what a restart reads.
        world.rows.retain(|(kind, _), _| *kind != StateKind::Erasure);
        world.restart(0);
        assert_eq!(world.current("T1"), after);
    }
}

#[test]
fn what_fires_about_them_ends_under_the_name_under_which_it_was_told() {
    let mut rules = rules();
    rules.alerts.flap_count = 0;
    let mut world = World::with(rules);
    world.stock(1..=3, "tool");
    world.import(vec![person("P-7", "Bob")]).unwrap();
    for asset in ["T1", "T2", "T3"] {
        world.check_out(asset, Some(60)).unwrap();
        world.until(world.at + 1000);
        world.check_in(asset).unwrap();
    }
    assert!(world.is_firing(Rule::RepeatOffender, "bob"));
    world.events.clear();
    // On the register as `Bob`, in custody as `bob`, and flapping: it would go on for a while.
    erase(&mut world, "P-7");
    assert_eq!(world.alerted_of(Rule::RepeatOffender), ["3000 repeat-offender/bob resolved"]);
    let rows = world.rows.iter().filter(|((kind, _), _)| *kind == StateKind::Alert);
    let rows: Vec<(&str, Alert)> =
        rows.map(|((_, key), row)| (key.as_str(), serde_json::from_slice(row).unwrap())).collect();
    let of_them: Vec<_> = rows.iter().filter(|(key, _)| key.contains("repeat")).collect();
    let [(key, alert)] = of_them[..] else { panic!("{of_them:?}") };
    assert_eq!((*key, alert.state), (&*format!("repeat-offender/{LABEL}"), AlertState::Resolved));
    assert!(!world.rows.keys().any(|(kind, _)| *kind == StateKind::Holder));
    world.until(world.at + 100_000);
    assert!(world.alerted_of(Rule::RepeatOffender).is_empty());
}

#[test]
fn their_badge_and_everything_it_was_about_is_forgotten() {
    let mut world = World::stocked(1, "tool");
    let badge = TagAttachment::new(epc(9), Carrier::Person("P-7".into()));
    world.import(vec![person("P-7", "Ada"), Record::Tag(badge)]).unwrap();
    erase(&mut world, "P-7");
    assert!(!world.tracker.knows_tag(&epc(9)));
    let erasure = world.rows.iter().find(|((kind, _), _)| *kind == StateKind::Erasure);
    let erasure: crate::domain::erasure::Erasure = serde_json::from_slice(erasure.unwrap().1).unwrap();
    assert_eq!((erasure.texts, erasure.badges), (vec!["Ada".to_owned(), "P-7".to_owned()], vec![epc(9)]));
}

#[test]
fn without_a_label_nobody_is_erased() {
    let mut world = World::stocked(1, "tool");
    world.import(vec![person("P-7", "Ada")]).unwrap();
    let (also, badges, label) = (Vec::new(), Vec::new(), String::new());
    let erase = Erase { person: "P-7".into(), also, badges, label };
    assert!(world.command(Command::ErasePerson(erase)).is_err());
    assert!(world.rows.contains_key(&(StateKind::Register, "person/P-7".to_owned())));
}
