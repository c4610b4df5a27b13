//! What went out at a door before it was known who stood there, or that nobody did any more.

use super::*;

impl World {
    /// A fence was crossed at `second`, of which is told now.
    fn crossed(&mut self, device: &str, second: i64, change: FenceChange) {
        let fix = self.fix_of(device, second);
        let (device, fence) = (device.into(), "hq-bay".into());
        self.see_from("mqtt", second, false, Seen::Fence { device, fence, change, fix, inferred: false });
    }
}

#[test]
fn what_went_out_before_its_vehicle_was_told_to_be_there_is_in_it_from_the_passage_on() {
    let mut world = haulage();
    world.at(110).pass(1, "DOCK", Out);
    world.at(130).pass(2, "DOCK", Out);
    assert_eq!(world.location("T1"), zone("yard"));
    // Somebody brings this one back in; another went out long before.
    world.at(140).pass(2, "DOCK", In);
    world.events.clear();
    world.restart(0);
    world.at(400).crossed("gps-1", 105, FenceChange::Entered);
    assert_eq!([world.location("T1"), world.location("T2")], [in_vehicle("V1"), zone("crib")]);
    let told = world.told();
    assert!(told.contains(&"110 asset:T1 loaded V1".to_owned()), "{told:?}");
    let current = world.current("T1");
    assert!(current.reason.contains("passed DOCK out, where V1 stood since"), "{}", current.reason);
    assert_eq!((current.since, current.confidence), (Some(t(110)), Some(0.9)));
}

#[test]
fn what_went_out_before_it_came_is_not_in_it() {
    let mut world = haulage();
    world.at(190).pass(1, "DOCK", Out);
    world.at(210).pass(2, "DOCK", Out);
    world.at(400).crossed("gps-1", 200, FenceChange::Entered);
    assert_eq!([world.location("T1"), world.location("T2")], [zone("yard"), in_vehicle("V1")]);
}

#[test]
fn that_the_tracker_of_what_stood_there_is_silent_is_said() {
    for by_tag in [false, true] {
        let mut rules = haulage().rules.clone();
        let truck = rules.classes.iter_mut().find(|class| class.name.as_str() == "truck").unwrap();
        truck.tracker_silent_after = Some(secs(3600));
        let mut world = World::with(rules);
        world.link("mqtt", true, true);
        world.stock(1..=2, "tool");
        world.import(vec![asset("V1", "truck"), tag(11, "V1"), tracker("gps-1", "V1")]).unwrap();
        if by_tag {
            world.at(90).arrive(11, "BAY");
            world.hearing("BAY", true);
        }
        world.at(100).fence("gps-1", "hq-bay", FenceChange::Entered);
        world.tracker_speaks("gps-1", 100);
        world.at(110).pass(1, "DOCK", Out);
        assert!(!world.current("T1").reason.contains("silent"));
        world.until(4000);
        world.pass(2, "DOCK", Out);
        let reason = world.current("T2").reason;
        assert!(reason.contains("where V1 stood since"), "{reason}");
        assert_eq!(reason.ends_with(", and its tracker is silent: it may have left"), !by_tag, "{reason}");
    }
}

/// Its tracker was without a network: it left an hour before we hear of it.
#[test]
fn what_went_out_after_it_had_left_is_not_in_it() {
    let mut world = haulage();
    world.at(100).crossed("gps-1", 100, FenceChange::Entered);
    world.at(110).pass(1, "DOCK", Out);
    world.at(1000).pass(2, "DOCK", Out);
    world.at(1100).pass(3, "DOCK", Out);
    assert_eq!(world.holds("V1"), ["T1", "T2", "T3"]);
    world.at(1200).load("T4", "V1").unwrap();
    // Known better since: it is somewhere else.
    world.at(1300).arrive(3, "ANNEX");
    world.events.clear();
    world.at(4000).crossed("gps-1", 500, FenceChange::Exited);
    assert_eq!(world.holds("V1"), ["T1", "T4"]);
    assert_eq!([world.location("T2"), world.location("T3")], ["yard", "annex"].map(zone));
    let told = world.told();
    assert!(told.contains(&"1000 asset:T2 unloaded V1".to_owned()), "{told:?}");
}

/// It was heard at another door before its tracker had a network again: that it had left long before then is told behind it.
#[test]
fn what_went_out_after_it_had_left_for_another_door_is_not_in_it() {
    let mut world = haulage();
    world.at(100).crossed("gps-1", 100, FenceChange::Entered);
    world.at(110).pass(1, "DOCK", Out);
    world.at(1000).pass(2, "DOCK", Out);
    assert_eq!(world.holds("V1"), ["T1", "T2"]);
    world.at(3000).arrive(11, "ANNEX");
    world.restart(0);
    world.connect();
    world.events.clear();
    world.at(4000).crossed("gps-1", 500, FenceChange::Exited);
    assert_eq!([world.location("T1"), world.location("T2")], [in_vehicle("V1"), zone("yard")]);
    let told = world.told();
    assert!(told.contains(&"500 asset:V1 undocked DOCK since 100".to_owned()), "{told:?}");
    assert_eq!(world.location("V1"), zone("annex"), "the last answer does not go back");
    world.events.clear();
    world.at(4100).crossed("gps-1", 600, FenceChange::Exited);
    assert!(!world.told().iter().any(|event| event.contains("undocked")), "once is enough");
}

/// The whole of its stay is told when it is known already to be elsewhere.
#[test]
fn what_went_out_during_a_stay_that_is_told_behind_a_newer_one_is_in_its_vehicle() {
    let mut world = haulage();
    world.at(110).pass(1, "DOCK", Out);
    world.at(700).pass(2, "DOCK", Out);
    world.at(3000).arrive(11, "ANNEX");
    world.events.clear();
    world.at(4000).crossed("gps-1", 100, FenceChange::Entered);
    world.restart(0);
    world.connect();
    world.at(4000).crossed("gps-1", 500, FenceChange::Exited);
    assert_eq!([world.location("T1"), world.location("T2")], [in_vehicle("V1"), zone("yard")]);
    let told = world.told();
    for event in ["100 asset:V1 docked DOCK", "500 asset:V1 undocked DOCK since 100"] {
        assert!(told.contains(&event.to_owned()), "{event}: {told:?}");
    }
    assert_eq!(world.location("V1"), zone("annex"));
}

/// The next one came while the first was thought to stand there still.
#[test]
fn who_took_it_of_two_is_known_when_the_first_is_told_to_have_left() {
    let mut world = haulage();
    world.at(100).crossed("gps-1", 100, FenceChange::Entered);
    world.at(900).arrive(12, "BAY");
    world.at(1000).pass(1, "DOCK", Out);
    assert!(world.current("T1").reason.contains("V1 and V2 stood"), "{}", world.current("T1").reason);
    world.restart(0);
    world.connect();
    world.at(4000).crossed("gps-1", 500, FenceChange::Exited);
    assert_eq!(world.location("T1"), in_vehicle("V2"));
}

/// The reader in the bay held its reads back; a fix was told meanwhile, and places the vehicle until it is heard again.
#[test]
fn a_stay_begins_when_the_tag_was_first_heard_in_the_bay() {
    let mut world = haulage();
    world.at(150).fix("gps-1");
    world.at(110).arrive(11, "BAY");
    assert!(!world.told().iter().any(|event| event.contains("docked")), "a newer fix places it");
    world.at(130).pass(1, "DOCK", Out);
    assert_eq!(world.location("T1"), zone("yard"));
    world.at(700).refresh(11, "BAY");
    assert_eq!(world.location("T1"), in_vehicle("V1"));
    assert!(world.current("T1").reason.contains("where V1 stood since"), "{}", world.current("T1").reason);
}

/// A reader that held its reads back over a weekend tells of the passages first.
#[test]
fn a_stay_that_is_told_to_have_ended_days_before_takes_what_went_out_since_out_of_it() {
    let mut world = haulage();
    world.at(100).arrive(11, "BAY");
    world.at(90_000).pass(1, "DOCK", Out);
    world.at(250_000).pass(2, "DOCK", Out);
    assert_eq!(world.holds("V1"), ["T1", "T2"]);
    world.at(1000).depart(11, "BAY");
    assert_eq!(world.holds("V1"), [""; 0]);
    assert_eq!(world.location("T1"), zone("yard"));
}

/// A tractor and its trailer stand at the door as one.
#[test]
fn what_went_out_into_a_combination_stays_in_it_when_the_trailer_is_uncoupled() {
    let mut world = haulage();
    world.at(50).load("V2", "V1").unwrap();
    world.at(100).arrive(11, "BAY");
    world.at(101).arrive(12, "BAY");
    world.at(110).pass(1, "DOCK", Out);
    assert_eq!(world.location("T1"), in_vehicle("V1"));
    let (asset, zone_of, note) = ("V2".into(), None, None);
    world.at(200).command(Command::Unload { asset, zone: zone_of, note }).unwrap();
    assert_eq!([world.location("V2"), world.location("T1")], [zone("bay"), in_vehicle("V1")]);
    // From then on there are two.
    world.at(300).pass(2, "DOCK", Out);
    assert_eq!(world.location("T2"), zone("yard"));
    assert!(world.current("T2").reason.contains("V1 and V2 stood"), "{}", world.current("T2").reason);
    world.at(400).depart(11, "BAY");
    world.at(500).pass(3, "DOCK", Out);
    assert_eq!(world.location("T3"), in_vehicle("V2"));
}

/// Its tag is heard no more a moment before its tractor's.
#[test]
fn a_combination_that_leaves_takes_all_of_it_along() {
    let mut world = haulage();
    world.import(vec![tracker("gps-2", "V2")]).unwrap();
    world.at(50).load("V2", "V1").unwrap();
    world.at(100).arrive(11, "BAY");
    world.at(101).arrive(12, "BAY");
    world.at(110).pass(1, "DOCK", Out);
    // Late fixes of its own tracker say the same.
    let (device, fence) = ("gps-2".into(), "hq-bay".into());
    let what = Seen::Stayed { device, fence, from: Some(t(90)), until: Some(t(180)) };
    world.at(190).see_from("mqtt", 180, true, what);
    assert_eq!(world.location("T1"), in_vehicle("V1"));
    world.at(200).depart(12, "BAY");
    world.at(210).depart(11, "BAY");
    assert_eq!(world.location("T1"), in_vehicle("V1"));
}
