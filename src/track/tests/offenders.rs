use super::world::*;
use crate::domain::alerts::Rule;
use crate::domain::commands::Command;
use crate::domain::sightings::Direction;

const DAY: i64 = 86_400;

fn late_once(world: &mut World, asset: &str) {
    world.check_out(asset, Some(60)).unwrap();
    world.until(world.at + 1000);
    world.check_in(asset).unwrap();
}

#[test]
fn a_holder_with_whom_it_goes_wrong_again_and_again_is_told_until_the_window_has_passed() {
    let mut world = World::stocked(3, "tool");
    late_once(&mut world, "T1");
    late_once(&mut world, "T2");
    world.restart(0);
    world.connect();
    let offends = |world: &mut World| world.alerted_of(Rule::RepeatOffender);
    assert!(offends(&mut world).is_empty());
    late_once(&mut world, "T3");
    assert_eq!(offends(&mut world), ["2090 repeat-offender/bob fired"]);
    late_once(&mut world, "T3");
    assert!(offends(&mut world).is_empty());
    world.until(89 * DAY);
    assert!(offends(&mut world).is_empty());
    world.until(91 * DAY);
    assert_eq!(offends(&mut world).len(), 1);
    assert!(!world.rows.keys().any(|(kind, _)| *kind == crate::domain::state::StateKind::Holder));
}

#[test]
fn checkouts_that_go_well_weigh_against_it_and_returns_that_nobody_could_see_do_not_count() {
    let mut world = World::stocked(3, "tool");
    for _ in 0..10 {
        world.check_out("T1", Some(60)).unwrap();
        world.until(world.at + 30);
        world.check_in("T1").unwrap();
    }
    for _ in 0..3 {
        late_once(&mut world, "T1");
    }
    assert!(!world.is_firing(Rule::RepeatOffender, "bob"), "3 of 13");
    let mut world = World::stocked(3, "tool");
    world.link("r2", false, false);
    world.until(100);
    for _ in 0..4 {
        late_once(&mut world, "T1");
    }
    assert!(!world.is_firing(Rule::RepeatOffender, "bob"), "the door was blind");
}

/// The reader at the door was slow to tell; the alert was right as far as anybody knew.
#[test]
fn a_return_that_is_told_after_the_alert_and_was_in_time_is_no_incident() {
    let mut world = World::stocked(4, "tool");
    let taken_out = |world: &mut World, tag: u16| {
        let began = world.at;
        world.check_out(asset_name(tag).as_str(), Some(60)).unwrap();
        world.until(began + 10);
        world.pass(tag, "DOCK", Direction::Out);
        world.until(began + 1000);
        began
    };
    let began: Vec<i64> = (1..=4).map(|tag| taken_out(&mut world, tag)).collect();
    assert!(world.is_firing(Rule::RepeatOffender, "bob"));
    world.restart(0);
    world.connect();
    // The grace is thirty seconds.
    world.pass_at(began[0] + 91, false, 1, "DOCK", Direction::In);
    assert!(world.is_firing(Rule::RepeatOffender, "bob"));
    world.pass_at(began[1] + 89, false, 2, "DOCK", Direction::In);
    assert!(world.is_firing(Rule::RepeatOffender, "bob"), "three of four");
    world.pass_at(began[2] + 50, false, 3, "DOCK", Direction::In);
    assert!(!world.is_firing(Rule::RepeatOffender, "bob"), "two of four");
}

#[test]
fn what_is_handed_over_counts_for_whoever_takes_it() {
    let mut world = World::stocked(1, "tool");
    let hand_over = |to: &str| Command::HandOver {
        asset: "T1".into(),
        holder: to.to_owned(),
        from: None,
        due_back: None,
        note: None,
    };
    // Bob brings three of ten back late; cy is handed ten, of which three are late.
    for round in 0..20 {
        world.check_out("T1", Some(if round % 6 == 0 { 40 } else { 5000 })).unwrap();
        if round % 2 == 0 {
            world.command(hand_over("cy")).unwrap();
        }
        world.until(world.at + 1000);
        world.check_in("T1").unwrap();
    }
    let row = |world: &World| {
        let row = &world.rows[&(crate::domain::state::StateKind::Holder, "cy".to_owned())];
        String::from_utf8(row.clone()).unwrap()
    };
    assert!(row(&world).contains(r#""checkouts":10"#), "{}", row(&world));
    assert!(!row(&world).contains(r#""incidents":0"#), "{}", row(&world));
    assert!(!world.is_firing(Rule::RepeatOffender, "cy"), "4 of 10 are less than its share");
}
