//! Which fences an asset is in, by trackers that come to it, leave it, and tell late.

use super::*;
use crate::config::FenceConfig;
use crate::domain::alerts::Rule;
use crate::domain::register::{Asset, Attachment, Lifecycle};
use crate::domain::shape::Shape;

impl World {
    fn stayed(&mut self, device: &str, from: Option<i64>, until: Option<i64>) {
        let time = |second: Option<i64>| second.map(t);
        let (device, fence) = (device.into(), "hq-bay".into());
        let what = Seen::Stayed { device, fence, from: time(from), until: time(until) };
        self.see_from("mqtt", until.or(from).unwrap(), true, what);
    }

    fn attach(&mut self, device: &str, asset: &str, from: i64) {
        let Record::Tracker(attachment) = tracker(device, asset) else { panic!() };
        let earlier = self.tracker.register.trackers.all(&device.into()).next();
        let ended = earlier
            .map(|earlier| Record::Tracker(Attachment { to: earlier.to.or(Some(t(from))), ..earlier }));
        let begun = Attachment { from: Some(t(from)), ..attachment };
        self.import(ended.into_iter().chain([Record::Tracker(begun)]).collect()).unwrap();
        self.events.clear();
    }

    fn detach(&mut self, device: &str, at: i64) {
        let attachment = self.tracker.register.trackers.all(&device.into()).next().unwrap();
        let ended = Attachment { to: Some(t(at)), ..attachment };
        self.at(at).import(vec![Record::Tracker(ended)]).unwrap();
    }

    fn fences(&self, name: &str) -> Vec<String> {
        self.current(name).fences.iter().map(ToString::to_string).collect()
    }
}

/// Trackers are fitted, and swapped, in the yard.
#[test]
fn a_tracker_that_comes_to_an_asset_within_a_fence_puts_it_there() {
    let mut world = haulage();
    world.at(100).fix_in("gps-9", &["hq-bay"]);
    world.at(200).attach("gps-9", "V3", 150);
    world.at(210).fix_in("gps-9", &["hq-bay"]);
    assert_eq!((world.location("V3"), world.fences("V3")), (zone("bay"), vec!["hq-bay".to_owned()]));
    assert!(world.told().contains(&"210 asset:V3 docked DOCK".to_owned()));
    world.at(220).pass(1, "DOCK", Out);
    assert_eq!(world.location("T1"), in_vehicle("V3"));
    // Moved to another truck where both stand: the first one shows no more that it is there.
    world.at(300).attach("gps-9", "V2", 300);
    world.at(310).fix_in("gps-9", &["hq-bay"]);
    world.at(400).pass(2, "DOCK", Out);
    assert_eq!(world.holds("V2"), ["T2"]);
    assert!(world.fences("V3").is_empty());
    // A fence that is none any more is none.
    world.at(410).fix_in("gps-9", &["hq-bay", "gone"]);
    assert_eq!(world.fences("V2"), ["hq-bay"]);
}

#[test]
fn what_its_tracker_left_while_on_nothing_is_left() {
    let mut world = haulage();
    world.at(100).fence("gps-1", "hq-yard", FenceChange::Entered);
    assert_eq!(world.location("V1"), zone("yard"));
    world.detach("gps-1", 200);
    assert!(world.fences("V1").is_empty());
    world.at(1000).attach("gps-1", "V1", 900);
    world.at(1010).fix_in("gps-1", &[]);
    assert!(matches!(world.location("V1"), Location::At(_)), "{:?}", world.location("V1"));
    // The same where it was never told that it was taken off: another tracker is on it now, and this one is dead.
    world.at(1100).fix_in("gps-1", &[]);
    world.at(1110).fence("gps-1", "hq-yard", FenceChange::Entered);
    world.at(1120).attach("gps-9", "V1", 1120);
    world.at(1130).fix_in("gps-9", &[]);
    assert_eq!(world.location("V1"), zone("yard"), "both are on it");
    world.at(1140).fix_in("gps-1", &["hq-yard"]);
    world.at(1150).fix_in("gps-9", &[]);
    assert_eq!(world.location("V1"), zone("yard"));
    world.at(1140 + 121).fix_in("gps-9", &[]);
    assert!(matches!(world.location("V1"), Location::At(_)), "{:?}", world.location("V1"));
}

/// By their names the yard is the last.
#[test]
fn of_fences_within_one_another_the_inner_one_says_where_it_is() {
    let mut rules = haulage().rules.clone();
    let depot = Shape::circle(Position { lat: 50.0, lon: 8.0 }, 500.0);
    let depot = FenceConfig {
        zone: Some("yard".into()),
        site: Some("hq".into()),
        ..FenceConfig::new("z-depot", depot)
    };
    rules.fences.push(depot);
    let mut world = World::with(rules);
    world.stock(1..=4, "tool");
    world.import(vec![asset("V1", "truck"), tracker("gps-1", "V1")]).unwrap();
    world.events.clear();
    world.at(100).fence("gps-1", "hq-bay", FenceChange::Entered);
    world.fence("gps-1", "z-depot", FenceChange::Entered);
    assert_eq!(world.location("V1"), zone("bay"));
    let told = world.told();
    assert!(!told.iter().any(|line| line.contains("undocked")), "{told:?}");
    world.at(110).fix_in("gps-1", &["hq-bay", "z-depot"]);
    assert_eq!(world.location("V1"), zone("bay"));
    world.at(120).fence("gps-1", "hq-bay", FenceChange::Exited);
    assert_eq!(world.location("V1"), zone("yard"));
}

#[test]
fn late_fixes_say_who_stood_at_a_door_when() {
    // It came and went where it could not be heard, and was heard elsewhere first.
    let mut world = haulage();
    world.at(110).pass(1, "DOCK", Out);
    world.at(1110).pass(2, "DOCK", Out);
    world.at(2000).fix_in("gps-1", &[]);
    world.events.clear();
    world.stayed("gps-1", Some(100), Some(500));
    assert_eq!(world.holds("V1"), ["T1"]);
    let told = world.told();
    assert!(told.contains(&"110 asset:T1 loaded V1 late".to_owned()), "{told:?}");
    assert_eq!(
        (&*told[0], &*told[2]),
        ("100 asset:V1 docked DOCK late", "500 asset:V1 undocked DOCK since 100 late")
    );
    world.stayed("gps-1", Some(100), Some(500));
    assert!(world.told().is_empty(), "once");
    let said = world.command(Command::Undock { vehicle: "V1".into() });
    assert!(matches!(said, Err(Refused::Conflict { .. })), "it stands there no more: {said:?}");

    // It stands there, and has for longer than was told.
    let mut world = haulage();
    world.at(110).pass(1, "DOCK", Out);
    world.at(1000).fence("gps-1", "hq-bay", FenceChange::Entered);
    assert_eq!(world.holds("V1"), Vec::<String>::new());
    world.stayed("gps-1", Some(100), None);
    assert_eq!(world.holds("V1"), ["T1"]);

    // It had left before it was heard elsewhere.
    let mut world = haulage();
    world.at(100).fence("gps-1", "hq-bay", FenceChange::Entered);
    world.at(110).pass(1, "DOCK", Out);
    world.at(600).pass(2, "DOCK", Out);
    world.at(1000).fence("gps-1", "hq-bay", FenceChange::Exited);
    assert_eq!(world.holds("V1"), ["T1", "T2"]);
    world.stayed("gps-1", None, Some(500));
    assert_eq!(world.holds("V1"), ["T1"]);

    // What somebody said stands.
    let mut world = haulage();
    world.at(100).dock("V1");
    world.at(600).pass(1, "DOCK", Out);
    world.stayed("gps-1", Some(50), Some(500));
    assert_eq!(world.holds("V1"), ["T1"]);
}

#[test]
fn who_is_retired_takes_nothing() {
    let mut world = haulage();
    world.at(100).arrive(11, "BAY");
    let Record::Asset(truck) = asset("V1", "truck") else { panic!() };
    let retired = Asset { lifecycle: Lifecycle::Retired, ..truck };
    world.at(200).import(vec![Record::Asset(retired)]).unwrap();
    world.at(210).pass(1, "DOCK", Out);
    assert_eq!(world.location("T1"), zone("yard"));
    assert!(world.load("T2", "V1").is_err());
    let said = world.command(Command::Dock { vehicle: "V1".into(), door: "DOCK".into() });
    assert!(matches!(said, Err(Refused::Conflict { .. })), "{said:?}");
}

/// Somebody took it out of the truck that sleeps in the yard.
#[test]
fn its_own_tracker_takes_it_out_of_a_vehicle_that_stands_however_long_that_says_nothing() {
    let mut world = haulage();
    world.at(100).fix_at("gps-1", 0.0);
    world.at(120).load("T3", "V1").unwrap();
    world.at(8000).fix_at("gps-3", 5000.0);
    assert_eq!(world.location("T3"), in_vehicle("V1"), "nobody knows whether it stands");
    world.at(8010).command(Command::Unload { asset: "T3".into(), zone: None, note: None }).unwrap();
    let fix = Fix {
        accuracy_m: Some(10.0),
        position: Position { lat: 50.0, lon: 8.0 },
        ..world.fix_of("gps-1", 8100)
    };
    world.see_from("mqtt", 8100, false, Seen::Fix { fix, inside: None, stands: Some(true) });
    world.at(8110).load("T3", "V1").unwrap();
    world.at(8990).fix_at("gps-3", 5000.0);
    world.restart(0);
    world.at(9000).fix_at("gps-3", 5000.0);
    assert!(matches!(world.location("T3"), Location::At(_)), "{:?}", world.location("T3"));
}

/// A broker that is renamed, or gone: who spoke through it is waited for all the same, and it is not down for ever.
#[test]
fn what_the_configuration_no_longer_has_explains_nothing() {
    let class = AssetClass { tracker_silent_after: Some(secs(3600)), ..AssetClass::new("van".into()) };
    let mut world = World::with_class(class);
    world.import(vec![asset("A1", "van"), tracker("van/1", "A1")]).unwrap();
    world.link("mqtt", true, true);
    world.tracker_speaks("van/1", 10);
    world.link("mqtt", false, false);
    world.until(4000);
    assert!(world.is_firing(Rule::ReaderDown, "mqtt"));
    let mut rules = world.rules.clone();
    rename(&mut rules, "mqtt", "mqtt-2");
    world.rules = rules;
    world.tracker.set_rules(&world.rules);
    world.until(4001);
    assert!(!world.is_firing(Rule::ReaderDown, "mqtt"));
    for source in world.tracker.topology.tracker_sources().clone() {
        world.link(source.as_str(), true, true);
    }
    world.until(4001 + 3500);
    assert!(!world.is_firing(Rule::TrackerSilent, "van/1"));
    world.until(4001 + 3700);
    assert!(world.is_firing(Rule::TrackerSilent, "van/1"));
    let told = world.tracker_alert("van/1").summary;
    assert!(told.contains(", while all that trackers speak through worked: "), "{told}");
}

fn rename(rules: &mut crate::config::Rules, from: &str, to: &str) {
    if let Some(site) = rules.source_sites.remove(from) {
        rules.source_sites.insert(to.into(), site);
    }
    rules.tracker_sources.remove(from);
    rules.tracker_sources.insert(to.into());
}

/// Phones leave their last position at the broker.
#[test]
fn an_old_place_is_better_than_none_and_worse_than_any_other() {
    let mut world = haulage();
    let old = |world: &mut World, second: i64| {
        let fix = world.fix_of("gps-1", second);
        world.see_from("mqtt", second, true, Seen::Fix { fix, inside: None, stands: None });
    };
    world.at(1000);
    old(&mut world, 50);
    let first = world.current("V1");
    assert!(matches!(first.location, Location::At(_)), "{:?}", first.location);
    assert_eq!(first.last_sensed.unwrap().at, t(50));
    old(&mut world, 40);
    assert_eq!(world.current("V1").since, Some(t(50)));
    world.at(1010).fix("gps-1");
    old(&mut world, 900);
    assert_eq!(world.current("V1").since, Some(t(1010)));
}

/// A telephone and the tracker of the truck that it is in are at its edge at two moments.
#[test]
fn of_two_trackers_the_last_that_leaves_a_fence_takes_the_asset_out_of_it() {
    let mut world = haulage();
    world.at(90).attach("gps-9", "V1", 90);
    world.at(100).fix_in("gps-9", &[]);
    world.at(100).fix_in("gps-1", &[]);
    world.at(110).fence("gps-1", "hq-bay", FenceChange::Entered);
    for second in [115, 120] {
        world.at(second).fix_in("gps-9", &[]);
        world.at(second).fix_in("gps-1", &["hq-bay"]);
    }
    assert_eq!(world.location("V1"), zone("bay"), "by one of them");
    world.at(125).fix_in("gps-9", &[]);
    world.at(125).fence("gps-9", "hq-bay", FenceChange::Entered);
    world.at(200).fix_in("gps-9", &["hq-bay"]);
    world.at(200).fix_in("gps-1", &["hq-bay"]);
    world.events.clear();
    world.at(200).fence("gps-1", "hq-bay", FenceChange::Exited);
    world.at(205).fix_in("gps-9", &["hq-bay"]);
    world.at(206).fix_in("gps-1", &[]);
    assert_eq!(world.location("V1"), zone("bay"), "by the other");
    world.at(210).fix_in("gps-9", &["hq-bay"]);
    world.at(210).fence("gps-9", "hq-bay", FenceChange::Exited);
    assert!(matches!(world.location("V1"), Location::At(_)), "{:?}", world.location("V1"));
    world.at(211).fix_in("gps-1", &[]);
    world.at(212).fix_in("gps-9", &[]);
    let docks = world.told().into_iter().filter(|line| line.contains("docked"));
    assert_eq!(docks.collect::<Vec<_>>(), ["210 asset:V1 undocked DOCK since 110"]);
    // One of them is taken off while both are in there.
    for device in ["gps-1", "gps-9"] {
        world.at(300).fix_in(device, &[]);
        world.fence(device, "hq-bay", FenceChange::Entered);
    }
    world.at(310).fix_in("gps-1", &["hq-bay"]);
    world.fix_in("gps-9", &["hq-bay"]);
    world.events.clear();
    world.detach("gps-9", 320);
    assert_eq!(world.fences("V1"), ["hq-bay"]);
    assert!(!world.told().iter().any(|line| line.contains("docked")));
}

/// That it is inside is sure by the second fix there; it is since the first.
#[test]
fn what_a_fence_has_in_a_zone_is_there_since_it_crossed_it() {
    let mut world = haulage();
    for second in [100, 160, 220] {
        world.at(second).fix_in("gps-1", &[]);
    }
    let crosses = |world: &mut World, second: i64, change| {
        let (device, fence, fix) = ("gps-1".into(), "hq-bay".into(), world.fix_of("gps-1", second));
        world.see_from("mqtt", second, false, Seen::Fence { device, fence, change, fix, inferred: false });
    };
    let since = |world: &World| {
        let current = world.current("V1");
        (current.location, current.since)
    };
    crosses(&mut world, 160, FenceChange::Entered);
    assert_eq!(since(&world), (zone("bay"), Some(t(160))));
    // Late ones have seen it come; nobody has seen it come later, and what is over is another stay.
    for (from, until, expected) in [(120, None, 120), (130, None, 120), (50, Some(60), 120)] {
        world.stayed("gps-1", Some(from), until);
        assert_eq!(since(&world), (zone("bay"), Some(t(expected))), "{from}");
    }
    world.at(300).fix_in("gps-1", &["hq-bay"]);
    world.at(360).fix_in("gps-1", &["hq-bay"]);
    crosses(&mut world, 300, FenceChange::Exited);
    let gone = since(&world);
    assert_eq!(gone.1, Some(t(300)));
    world.stayed("gps-1", Some(90), None);
    assert_eq!(since(&world), gone, "it is there no more");
}
