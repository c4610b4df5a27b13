use super::world::*;
use crate::domain::alerts::Rule;
use crate::domain::commands::Command;
use crate::domain::events::EventBody;
use crate::domain::geodesy::Position;
use crate::domain::motion::{Motion, MotionChange};
use crate::domain::readings::{Fix, Vitals};
use crate::domain::register::{Asset, AssetClass, Lifecycle, Record};
use crate::domain::sightings::Seen;

/// `T1` with the tracker `van/1`, silent after an hour.
fn company() -> World {
    let mut world = World::with_class(AssetClass {
        tracker_silent_after: Some(secs(3600)),
        ..AssetClass::new("van".into())
    });
    world.stock(1..=1, "van");
    world.import(vec![tracker("van/1", "T1")]).unwrap();
    world.link("mqtt", true, true);
    world.tracker_speaks("van/1", 0);
    world.events.clear();
    world
}

#[test]
fn a_tracker_that_stops_is_silent_and_no_ghost_and_any_message_ends_it() {
    let mut world = company();
    world.fix("van/1");
    world.until(10_000);
    assert_eq!(world.alerted_of(Rule::TrackerSilent), ["3600 tracker-silent/van/1 fired"]);
    world.tracker_speaks("van/1", 10_000);
    assert_eq!(world.alerted_of(Rule::TrackerSilent), ["10000 tracker-silent/van/1 resolved"]);
    world.until(13_000);
    world.tracker_speaks("van/1", 13_000);
    world.until(16_000);
    assert!(world.alerted_of(Rule::TrackerSilent).is_empty());
    world.until(16_600);
    assert_eq!(world.alerted_of(Rule::TrackerSilent), ["16600 tracker-silent/van/1 fired"]);
}

#[test]
fn outages_of_the_broker_and_of_ours_are_nobodys_silence() {
    let mut world = company();
    world.until(1000);
    world.link("mqtt", false, false);
    world.until(100_000);
    world.link("mqtt", true, false);
    world.until(101_000);
    world.link("mqtt", true, true);
    world.until(102_000);
    // Half of it is over. The checkpoint wrote all but the last seconds.
    world.restart(50_000);
    world.until(152_100);
    world.link("mqtt", true, true);
    world.until(153_600);
    assert!(!world.is_firing(Rule::TrackerSilent, "van/1"));
    world.until(152_100 + 1600 + 60);
    assert!(world.is_firing(Rule::TrackerSilent, "van/1"));
    assert!(!world.is_firing(Rule::Ghost, "T1"));
}

#[test]
fn after_an_outage_trackers_have_time_to_come_back() {
    let mut world = company();
    world.until(3590);
    world.link("mqtt", false, false);
    world.until(9000);
    world.link("mqtt", true, true);
    world.until(9000 + 899);
    assert!(!world.is_firing(Rule::TrackerSilent, "van/1"));
    world.until(9000 + 900);
    assert!(world.is_firing(Rule::TrackerSilent, "van/1"));
}

#[test]
fn what_a_broker_kept_counts_from_when_it_was_sent() {
    let mut world = company();
    world.until(2000);
    world.tracker_speaks("van/1", 1000);
    // Older than what is known: says nothing.
    world.tracker_speaks("van/1", 500);
    world.until(4599);
    assert!(!world.is_firing(Rule::TrackerSilent, "van/1"));
    world.until(4600);
    assert!(world.is_firing(Rule::TrackerSilent, "van/1"));
}

#[test]
fn what_hangs_on_nothing_in_use_is_not_waited_for() {
    let mut world = company();
    world.tracker_speaks("stranger/1", 0);
    world.until(4000);
    assert_eq!(world.alerted_of(Rule::TrackerSilent), ["3600 tracker-silent/van/1 fired"]);
    let shop = Asset { lifecycle: Lifecycle::InMaintenance, ..Asset::new("T1".into(), "van".into()) };
    world.import(vec![Record::Asset(shop)]).unwrap();
    world.until(20_000);
    assert_eq!(world.alerted_of(Rule::TrackerSilent), ["4000 tracker-silent/van/1 resolved"]);
}

#[test]
fn a_process_that_stood_still_heard_nobody() {
    let mut world = company();
    world.until(1000);
    let mut events = Vec::new();
    world.tracker.tick(t(50_000), usize::MAX, &mut events);
    world.at = 50_000;
    world.until(50_000 + 2500);
    assert!(!world.is_firing(Rule::TrackerSilent, "van/1"));
    world.until(50_000 + 2700);
    assert!(world.is_firing(Rule::TrackerSilent, "van/1"));
}

/// The journal is full, or the disk: brokers keep what is sent, readers are not read.
#[test]
fn nobody_is_silent_while_nobody_listens() {
    let mut world = company();
    world.stock(2..=2, "tool");
    world.until(970);
    world.arrive(2, "CRIB");
    world.until(1000);
    world.events.clear();
    world.tracker.set_listening(false, t(1000), &mut world.events);
    world.until(50_000);
    // It connects meanwhile, and is not read either.
    world.link("mqtt", false, false);
    world.link("mqtt", true, true);
    world.hearing("CRIB", false);
    world.hearing("CRIB", true);
    world.until(100_000);
    assert!(!world.is_firing(Rule::TrackerSilent, "van/1") && !world.is_firing(Rule::Ghost, "T2"));
    world.tracker.set_listening(true, t(100_000), &mut world.events);
    assert!(world.told().iter().any(|line| line.contains("gap from 1000 tallyman could not keep")));
    world.until(100_029);
    assert!(!world.is_firing(Rule::Ghost, "T2"));
    world.until(100_031);
    assert!(world.is_firing(Rule::Ghost, "T2"));
    world.until(102_599);
    assert!(!world.is_firing(Rule::TrackerSilent, "van/1"));
    world.until(102_601);
    assert!(world.is_firing(Rule::TrackerSilent, "van/1"));
}

/// Shorter than what deadlines alone would show.
#[test]
fn a_process_that_is_put_aside_for_two_minutes_heard_nobody_either() {
    let mut world = company();
    world.stock(2..=2, "tool");
    world.arrive(2, "CRIB");
    world.until(20);
    world.events.clear();
    world.tracker.stood_still(t(20), t(140), &mut world.events);
    world.until(179);
    assert_eq!(world.told(), ["140 node gap from 20 tallyman stood still"]);
    world.until(181);
    assert!(world.is_firing(Rule::Ghost, "T2"));
    world.until(3719);
    assert!(!world.is_firing(Rule::TrackerSilent, "van/1"));
    world.until(3721);
    assert!(world.is_firing(Rule::TrackerSilent, "van/1"));
}

#[test]
fn a_broker_that_is_down_explains_trackers_that_were_silent_before_until_it_is_back() {
    let mut world = company();
    world.until(3600);
    assert_eq!(world.alerted_of(Rule::TrackerSilent), ["3600 tracker-silent/van/1 fired"]);
    world.link("mqtt", false, false);
    world.until(3700);
    assert!(world.is_firing(Rule::ReaderDown, "mqtt"));
    let told = world.alerted();
    let inhibited = |line: &String| line.ends_with("tracker-silent/van/1 inhibited");
    assert_eq!(told.iter().filter(|line| inhibited(line)).count(), 1, "{told:?}");
    assert!(told.iter().any(|line| line.ends_with("reader-down/mqtt explains")), "{told:?}");
    let open = |world: &World| world.tracker_alert("van/1");
    assert_eq!(open(&world).inhibited_by.unwrap().to_string(), "reader-down/mqtt");
    assert!(!open(&world).notifies(t(3700)), "nobody is told of what nobody can hear the end of");

    // Back, and the tracker still silent: told again.
    world.link("mqtt", true, true);
    assert!(world.alerted_of(Rule::TrackerSilent).iter().any(|line| line.ends_with("uninhibited")));
    assert!(open(&world).notifies(t(3700)));
    world.tracker_speaks("van/1", 3700);
    assert_eq!(world.alerted_of(Rule::TrackerSilent), ["3700 tracker-silent/van/1 resolved"]);
}

#[test]
fn a_lost_connection_is_told_with_the_silence_unless_it_spoke_again() {
    let gone = |world: &mut World, at: i64| {
        world.see_from("mqtt", at, false, Seen::Gone { device: "van/1".into() });
    };
    let told = |world: &World| {
        let silent = world.events.iter().rev().find_map(|event| match &event.body {
            EventBody::Alert { alert, .. } if alert.key.rule == Rule::TrackerSilent => {
                Some(alert.summary.clone())
            }
            _ => None,
        });
        silent.expect("an alert")
    };
    let mut world = company();
    world.until(100);
    gone(&mut world, 100);
    // It costs no time and gives none.
    world.restart(0);
    world.link("mqtt", true, true);
    world.until(10_000);
    assert!(told(&world).contains("its connection lost at 2026"), "{}", told(&world));
    let mut world = company();
    world.until(100);
    gone(&mut world, 100);
    world.until(200);
    world.tracker_speaks("van/1", 200);
    world.until(10_000);
    assert!(!told(&world).contains("connection"), "{}", told(&world));
    // Of one that was never heard nothing begins.
    world.see_from("mqtt", 10_000, false, Seen::Gone { device: "stranger".into() });
}

/// The same company, where sleeping trackers may be silent for ten hours.
fn sleepers(change: impl Fn(&mut crate::config::TrackerRules)) -> World {
    let mut world = company();
    change(&mut world.rules.tracker);
    world.tracker.set_rules(&world.rules);
    world
}

fn asleep_for_ten_hours(rules: &mut crate::config::TrackerRules) {
    rules.asleep_after = Some(secs(36_000));
}

impl World {
    fn says_ignition(&mut self, at: i64, ignition: bool) {
        self.until(at);
        let fix = Fix { ignition: Some(ignition), ..self.fix_of("van/1", at) };
        self.see_from("mqtt", at, false, Seen::Fix { fix, inside: None, stands: None });
        self.tracker_speaks("van/1", at);
    }

    fn says_motion(&mut self, at: i64, change: MotionChange) {
        let position = Position { lat: 50.0, lon: 8.0 };
        let motion = Motion { change, position, since: None, left_by: None, trip: None };
        self.until(at);
        self.see_from("mqtt", at, false, Seen::Motion { device: "van/1".into(), motion });
    }
}

#[test]
fn a_tracker_that_sleeps_is_silent_later_and_one_that_is_awake_is_not() {
    let mut world = sleepers(asleep_for_ten_hours);
    world.says_ignition(1000, false);
    world.until(1000 + 35_999);
    assert!(!world.is_firing(Rule::TrackerSilent, "van/1"));
    world.until(1000 + 36_001);
    assert!(world.is_firing(Rule::TrackerSilent, "van/1"));
    let alert = world.tracker_alert("van/1");
    assert!(alert.summary.contains("asleep, for longer than it sleeps"), "{}", alert.summary);
    // Awake again: an hour, as its class says.
    world.says_ignition(40_000, true);
    world.until(43_599);
    assert!(!world.is_firing(Rule::TrackerSilent, "van/1"));
    world.until(43_601);
    assert!(world.is_firing(Rule::TrackerSilent, "van/1"));
}

/// That one lives is said once a minute.
#[test]
fn no_tracker_is_silent_within_two_minutes() {
    let class = AssetClass { tracker_silent_after: Some(secs(30)), ..AssetClass::new("van".into()) };
    let mut world = World::with_class(class);
    world.import(vec![asset("V1", "van"), tracker("gps-1", "V1")]).unwrap();
    world.link("mqtt", true, true);
    for second in [0, 60, 125] {
        world.until(second);
        world.tracker_speaks("gps-1", second);
    }
    world.until(240);
    assert!(!world.is_firing(Rule::TrackerSilent, "gps-1"));
    world.until(250);
    assert!(world.is_firing(Rule::TrackerSilent, "gps-1"));
}

impl World {
    /// A message without a fix.
    fn says_vitals(&mut self, device: &str, at: i64, battery_percent: Option<f64>, ignition: Option<bool>) {
        self.until(at);
        self.tracker_speaks(device, at);
        let vitals = Vitals { battery_percent, ignition };
        self.see_from("mqtt", at, false, Seen::Vitals { device: device.into(), vitals });
    }
}

#[test]
fn who_knows_no_place_may_sleep_and_have_a_low_battery() {
    let mut world = sleepers(asleep_for_ten_hours);
    world.says_vitals("van/1", 1000, Some(50.0), Some(false));
    world.until(1000 + 35_999);
    assert!(!world.is_firing(Rule::TrackerSilent, "van/1"), "asleep");
    world.says_vitals("van/1", 40_000, None, Some(true));
    world.until(43_601);
    assert!(world.is_firing(Rule::TrackerSilent, "van/1"), "awake for an hour");

    let class = AssetClass { low_battery_percent: Some(20.0), ..AssetClass::new("van".into()) };
    let mut world = World::with_class(class);
    world.import(vec![asset("V1", "van"), tracker("gps-1", "V1")]).unwrap();
    world.says_vitals("gps-1", 10, Some(8.0), None);
    assert!(world.is_firing(Rule::TrackerBattery, "gps-1"));
    assert_eq!(world.current("V1").battery.as_ref().map(|battery| battery.percent), Some(8.0));
    world.says_vitals("gps-1", 20, None, Some(true));
    assert!(world.is_firing(Rule::TrackerBattery, "gps-1"));
    world.says_vitals("gps-1", 30, Some(60.0), None);
    assert!(!world.is_firing(Rule::TrackerBattery, "gps-1"));
    // Of what is on no asset nothing is kept.
    world.says_vitals("stranger", 40, Some(1.0), Some(false));
    assert!(!world.is_firing(Rule::TrackerBattery, "stranger"));
}

#[test]
fn what_is_parked_sleeps_until_it_sets_out() {
    let mut world = sleepers(asleep_for_ten_hours);
    world.says_motion(100, MotionChange::Stopped);
    world.until(20_000);
    assert!(!world.is_firing(Rule::TrackerSilent, "van/1"));
    world.tracker_speaks("van/1", 20_000);
    world.says_motion(20_001, MotionChange::Moving);
    world.until(23_700);
    assert!(world.is_firing(Rule::TrackerSilent, "van/1"));
}

#[test]
fn what_is_usual_is_learned_awake_and_asleep_apart() {
    let mut world = World::with_class(AssetClass::new("van".into()));
    world.stock(1..=1, "van");
    world.import(vec![tracker("van/1", "T1")]).unwrap();
    world.link("mqtt", true, true);
    world.rules.tracker.learn_silence = true;
    world.tracker.set_rules(&world.rules);
    world.tracker_speaks("van/1", 0);
    // Every ten minutes, and nothing is known yet of the first silences.
    for nth in 1..=25 {
        world.until(nth * 600);
        world.tracker_speaks("van/1", nth * 600);
    }
    world.until(15_000 + 4 * 600 - 1);
    assert!(!world.is_firing(Rule::TrackerSilent, "van/1"));
    world.until(15_000 + 4 * 600 + 1);
    assert!(world.is_firing(Rule::TrackerSilent, "van/1"));
    // Asleep it is another thing, of which nothing is known.
    world.until(20_000);
    world.tracker_speaks("van/1", 20_000);
    world.says_motion(20_001, MotionChange::Stopped);
    world.until(90_000);
    assert!(!world.is_firing(Rule::TrackerSilent, "van/1"));
}

/// A tracker that has two brokers to send to takes them in turn, or as the network lets it.
#[test]
fn what_is_usual_is_learned_whichever_broker_it_comes_by() {
    let mut world = World::with_class(AssetClass::new("van".into()));
    world.stock(1..=1, "van");
    world.import(vec![tracker("van/1", "T1")]).unwrap();
    world.rules.tracker.learn_silence = true;
    world.tracker.set_rules(&world.rules);
    let brokers = ["mqtt", "mqtt-2"];
    brokers.iter().for_each(|broker| world.link(broker, true, true));
    for nth in 0..=25 {
        world.until(nth * 600);
        let what = Seen::Heard { device: "van/1".into(), stands: None };
        world.see_from(brokers[usize::from(nth % 2 == 1)], nth * 600, false, what);
    }
    world.until(15_000 + 4 * 600 - 1);
    assert!(!world.is_firing(Rule::TrackerSilent, "van/1"));
    world.until(15_000 + 4 * 600 + 1);
    assert!(world.is_firing(Rule::TrackerSilent, "van/1"));
}

#[test]
fn what_stands_when_it_is_first_heard_sleeps() {
    let mut world = sleepers(asleep_for_ten_hours);
    let says = |world: &mut World, at: i64, stands: bool| {
        world.until(at);
        let what = Seen::Heard { device: "van/1".into(), stands: Some(stands) };
        world.see_from("mqtt", at, false, what);
    };
    says(&mut world, 100, true);
    world.restart(100);
    world.link("mqtt", true, true);
    world.until(20_000);
    assert!(!world.is_firing(Rule::TrackerSilent, "van/1"));
    says(&mut world, 20_000, false);
    world.until(23_601);
    assert!(world.is_firing(Rule::TrackerSilent, "van/1"));
}

#[test]
fn who_says_that_the_ignition_is_on_is_awake_wherever_it_stands() {
    let mut world = sleepers(asleep_for_ten_hours);
    world.says_ignition(1000, true);
    world.says_ignition(1001, true);
    world.says_motion(1002, MotionChange::Stopped);
    world.until(1001 + 3601);
    assert!(world.is_firing(Rule::TrackerSilent, "van/1"));
}

/// A percent up or down with the weather is no end of it, and another class may call another charge low.
#[test]
fn a_low_battery_is_told_once_until_it_is_charged() {
    let mut class = AssetClass { low_battery_percent: Some(20.0), ..AssetClass::new("van".into()) };
    let mut world = World::with_class(class.clone());
    world.import(vec![asset("V1", "van"), tracker("gps-1", "V1")]).unwrap();
    world.events.clear();
    let says = |world: &mut World, at: i64, percent: Option<f64>| {
        world.at = at;
        let fix = crate::domain::readings::Fix { battery_percent: percent, ..world.fix_of("gps-1", at) };
        world.see_from("mqtt", at, false, Seen::Fix { fix, inside: None, stands: None });
        world.alerted_of(Rule::TrackerBattery)
    };
    assert!(says(&mut world, 10, Some(20.0)).is_empty());
    assert_eq!(says(&mut world, 20, Some(19.0)), ["20 tracker-battery/gps-1 fired"]);
    assert!(says(&mut world, 30, Some(21.0)).is_empty() && says(&mut world, 40, None).is_empty());
    assert_eq!(says(&mut world, 50, Some(25.0)), ["50 tracker-battery/gps-1 resolved"]);
    assert_eq!(says(&mut world, 60, Some(3.0)), ["60 tracker-battery/gps-1 fired"]);
    class.name = "other".into();
    class.low_battery_percent = None;
    world.import(vec![Record::Class(Box::new(class)), asset("V1", "other")]).unwrap();
    assert!(says(&mut world, 70, None).iter().all(|line| line.ends_with("resolved")));
    assert!(!world.is_firing(Rule::TrackerBattery, "gps-1"));
}

#[test]
fn a_wrong_clock_is_told_of_what_is_on_the_register() {
    let mut world = company();
    let says = |world: &mut World, at: i64, device: &str, ahead_s: i64| {
        world.at = at;
        let what = Seen::Clock { device: device.into(), ahead_us: ahead_s * 1_000_000 };
        world.see_from("mqtt", at, false, what);
        world.alerted_of(Rule::TrackerClock)
    };
    assert!(says(&mut world, 10, "stranger", 90_000).is_empty());
    assert_eq!(says(&mut world, 20, "van/1", 90_000), ["20 tracker-clock/van/1 fired"]);
    let key = crate::domain::alerts::AlertKey::new(Rule::TrackerClock, "van/1");
    let summary = world.tracker.alerts.open(&key).unwrap().summary.clone();
    assert!(summary.contains("is 25 h ahead") && summary.ends_with("update the tracker"), "{summary}");
    assert_eq!(says(&mut world, 30, "van/1", 0), ["30 tracker-clock/van/1 resolved"]);
    assert_eq!(says(&mut world, 40, "van/1", -7168 * 86_400), ["40 tracker-clock/van/1 fired"]);
    assert!(world.tracker.alerts.open(&key).unwrap().summary.contains("7168 days behind"));
    for ahead_s in [7190, -18_020] {
        says(&mut world, 50, "van/1", 0);
        says(&mut world, 60, "van/1", ahead_s);
        let summary = &world.tracker.alerts.open(&key).unwrap().summary;
        assert!(summary.contains("`time_zone`"), "{summary}");
    }
    let remove = Command::Remove { table: "tracker".into(), key: "van/1".into() };
    world.command(remove).unwrap();
    assert_eq!(world.alerted_of(Rule::TrackerClock), ["60 tracker-clock/van/1 resolved"]);
}
