use super::world::*;
use crate::domain::alerts::Rule;
use crate::domain::register::AssetClass;
use crate::domain::sightings::Direction::Out;

fn company(needs_checkout: bool) -> World {
    let allowed_zones = vec!["crib".into()];
    let mut world =
        World::with_class(AssetClass { needs_checkout, allowed_zones, ..AssetClass::new("fixed".into()) });
    world.stock(1..=3, "fixed");
    world.events.clear();
    world
}

#[test]
fn staying_where_the_class_must_not_be_is_told_and_passing_by_is_not() {
    let mut world = company(false);
    world.arrive(1, "ANNEX");
    world.arrive(2, "ANNEX");
    assert_eq!(world.alerted(), ["0 wrong-zone/T1 pending", "0 wrong-zone/T2 pending"]);
    world.until(300);
    world.arrive(2, "CRIB");
    assert_eq!(world.alerted(), ["300 wrong-zone/T2 cancelled"]);
    world.hear_until(1000, &[1], "ANNEX");
    assert_eq!(world.alerted(), ["600 wrong-zone/T1 fired"]);
    world.check_out("T1", None).unwrap();
    assert_eq!(world.alerted(), ["1000 wrong-zone/T1 resolved"]);
}

#[test]
fn what_was_held_back_counts_from_when_it_is_known() {
    let mut world = company(false);
    world.at = 5000;
    world.presence_at(100, false, 1, "ANNEX", crate::domain::sightings::PresenceChange::Arrived);
    world.until(5100);
    assert_eq!(world.alerted(), ["5000 wrong-zone/T1 pending"]);
}

#[test]
fn an_exit_is_not_told_a_second_time_as_a_wrong_zone() {
    let mut world = company(true);
    world.pass(1, "DOCK", Out);
    world.until(2000);
    assert_eq!(world.alerted(), ["0 unauthorised-exit/T1 fired"]);
}

#[test]
fn a_reader_that_is_down_explains_what_it_last_said() {
    let mut world = company(false);
    world.arrive(1, "ANNEX");
    world.hear_until(700, &[1], "ANNEX");
    world.alerted();
    world.link("r1", false, false);
    world.until(800);
    assert_eq!(world.alerted_of(Rule::WrongZone), ["730 wrong-zone/T1 inhibited"]);
    world.link("r1", true, true);
    assert_eq!(world.alerted_of(Rule::WrongZone), ["800 wrong-zone/T1 uninhibited"]);
}
