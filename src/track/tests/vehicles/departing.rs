//! A vehicle that somebody said to stand at a door drives off.

use super::*;

fn undocked(world: &mut World) -> Vec<String> {
    world.told().into_iter().filter(|line| line.contains("undocked")).collect()
}

/// No tracker says that it set out: it was never told to stand.
#[test]
fn what_was_docked_by_hand_and_is_clearly_away_stands_there_no_more() {
    let mut world = haulage();
    // Where it was a minute before it came is not where the door is.
    world.at(40).fix_at("gps-1", -9000.0);
    world.at(100).dock("V1");
    for (second, north_m) in [(110, 0.0), (120, 150.0), (130, -150.0), (140, 310.0)] {
        world.at(second).fix_at("gps-1", north_m);
    }
    assert!(undocked(&mut world).is_empty());
    world.at(145).pass(1, "DOCK", Out);
    assert_eq!(world.location("T1"), in_vehicle("V1"));
    world.at(150).fix_at("gps-1", 700.0);
    assert_eq!(undocked(&mut world), ["150 asset:V1 undocked DOCK since 100"]);
    world.at(160).pass(2, "DOCK", Out);
    assert_eq!(world.location("T2"), zone("yard"));
}

/// A trailer has no tracker of its own.
#[test]
fn a_trailer_leaves_its_door_with_its_tractor() {
    let drives_off: [fn(&mut World); 3] = [
        |world| world.fix_at("gps-1", 700.0),
        |world| {
            let position = Position { lat: 50.0, lon: 8.0 };
            let change = MotionChange::Moving;
            let motion = Motion { change, position, since: None, left_by: None, trip: None };
            world.see_from("mqtt", world.at, false, Seen::Motion { device: "gps-1".into(), motion });
        },
        |world| world.fence("gps-1", "depot", FenceChange::Exited),
    ];
    for drives_off in drives_off {
        let mut world = haulage();
        world.load("V2", "V1").unwrap();
        world.at(100).dock("V2");
        world.at(110).fix_at("gps-1", 0.0);
        world.restart(0);
        world.at(115).pass(1, "DOCK", Out);
        assert_eq!(world.location("T1"), in_vehicle("V2"));
        drives_off(world.at(150));
        assert_eq!(undocked(&mut world), ["150 asset:V2 undocked DOCK since 100"]);
    }
}

/// What stands by its fixes may sleep: where it was last is where the door is.
#[test]
fn what_stood_when_it_was_docked_has_left_at_its_first_fix_elsewhere() {
    let mut world = haulage();
    let fix = world.fix_of("gps-1", 0);
    let fix = Fix { position: Position { lat: 50.0, lon: 8.0 }, ..fix };
    world.see_from("mqtt", 0, false, Seen::Fix { fix, inside: None, stands: Some(true) });
    world.at(100).dock("V1");
    world.at(900).fix_at("gps-1", 700.0);
    assert_eq!(undocked(&mut world), ["900 asset:V1 undocked DOCK since 100"]);
}
