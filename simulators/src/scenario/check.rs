//! What a scenario's values must satisfy beyond their types.

use std::fmt;

use super::{Coverage, Door, FaultKind, Fence, Scenario, Truck, WayPoint};

/// One value that is not allowed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where, for instance `doors[0].reader`.
    pub key: String,
    pub value: String,
    pub allowed: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} is not allowed; allowed: {}", self.key, self.value, self.allowed)
    }
}

const LLRP_FAULTS: &[FaultKind] = &[
    FaultKind::Silent,
    FaultKind::Slow,
    FaultKind::Garbage,
    FaultKind::Truncated,
    FaultKind::Duplicate,
    FaultKind::ClockJump,
    FaultKind::Disconnect,
    FaultKind::Refuse,
];
const TRACKER_FAULTS: &[FaultKind] = &[
    FaultKind::Silent,
    FaultKind::Slow,
    FaultKind::Garbage,
    FaultKind::Truncated,
    FaultKind::Duplicate,
    FaultKind::ClockJump,
    FaultKind::Disconnect,
];
const MODBUS_FAULTS: &[FaultKind] = &[
    FaultKind::Silent,
    FaultKind::Slow,
    FaultKind::Garbage,
    FaultKind::Truncated,
    FaultKind::Duplicate,
    FaultKind::Disconnect,
    FaultKind::Refuse,
    FaultKind::Exception,
    FaultKind::WrongTransaction,
];

#[derive(Default)]
struct Checked(Vec<Problem>);

impl Checked {
    fn must(
        &mut self,
        holds: bool,
        key: impl Into<String>,
        value: impl fmt::Display,
        allowed: impl fmt::Display,
    ) {
        if !holds {
            let (value, allowed) = (value.to_string(), allowed.to_string());
            self.0.push(Problem { key: key.into(), value, allowed });
        }
    }

    fn named(&mut self, key: impl Into<String>, name: &str, known: &[&str]) {
        self.must(known.contains(&name), key, format_args!("\"{name}\""), list(known));
    }

    fn share(&mut self, key: impl Into<String>, value: f64) {
        self.must((0.0..=1.0).contains(&value), key, value, "0 to 1");
    }

    fn at_least_zero(&mut self, key: impl Into<String>, value: f64) {
        self.must(value >= 0.0 && value.is_finite(), key, value, "0 or more");
    }

    fn above_zero(&mut self, key: impl Into<String>, value: f64) {
        self.must(value > 0.0 && value.is_finite(), key, value, "more than 0");
    }

    fn unique<'a>(&mut self, table: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen: Vec<&str> = Vec::new();
        for (index, name) in names.enumerate() {
            let key = format!("{table}[{index}].name");
            self.must(!seen.contains(&name), key, format_args!("\"{name}\""), "a name that is not taken");
            seen.push(name);
        }
    }
}

fn list(known: &[&str]) -> String {
    known.join(", ")
}

pub(super) fn problems(scenario: &Scenario) -> Vec<Problem> {
    let mut checked = Checked::default();
    places(scenario, &mut checked);
    doors_and_cribs(scenario, &mut checked);
    vehicles(scenario, &mut checked);
    cold_rooms(scenario, &mut checked);
    assets(scenario, &mut checked);
    happenings(scenario, &mut checked);
    checked.0
}

fn places(scenario: &Scenario, checked: &mut Checked) {
    let timing = &scenario.timing;
    checked.above_zero("timing.chapter_s", timing.chapter_s);
    for (key, value) in [
        ("passage_settle_s", timing.passage_settle_s),
        ("fence_settle_s", timing.fence_settle_s),
        ("condition_settle_s", timing.condition_settle_s),
        ("ghost_settle_s", timing.ghost_settle_s),
        ("overdue_settle_s", timing.overdue_settle_s),
        ("reconnect_s", timing.reconnect_s),
    ] {
        checked.at_least_zero(format!("timing.{key}"), value);
    }
    let sites: Vec<&str> = scenario.sites.iter().map(|site| site.name.as_str()).collect();
    checked.unique("sites", sites.iter().copied());
    for (index, site) in scenario.sites.iter().enumerate() {
        let known = jiff::tz::TimeZone::get(&site.timezone).is_ok();
        let key = format!("sites[{index}].timezone");
        checked.must(known, key, format_args!("\"{}\"", site.timezone), "an IANA name such as Europe/Berlin");
    }
    checked.unique("zones", scenario.zones.iter().map(|zone| zone.name.as_str()));
    for (index, zone) in scenario.zones.iter().enumerate() {
        checked.named(format!("zones[{index}].site"), &zone.site, &sites);
    }
}

fn doors_and_cribs(scenario: &Scenario, checked: &mut Checked) {
    let zones: Vec<&str> = scenario.zones.iter().map(|zone| zone.name.as_str()).collect();
    let readers: Vec<&str> = scenario.readers.iter().map(|reader| reader.name.as_str()).collect();
    checked.unique("readers", readers.iter().copied());
    for (index, reader) in scenario.readers.iter().enumerate() {
        checked.must(
            (2..=8).contains(&reader.antennas),
            format!("readers[{index}].antennas"),
            reader.antennas,
            "2 to 8",
        );
    }
    let points = scenario.doors.iter().map(|door| door.name.as_str());
    checked.unique("doors", points.chain(scenario.cribs.iter().map(|crib| crib.name.as_str())));
    for (index, door) in scenario.doors.iter().enumerate() {
        let key = |field: &str| format!("doors[{index}].{field}");
        checked.named(key("reader"), &door.reader, &readers);
        checked.named(key("outside"), &door.outside, &zones);
        checked.named(key("inside"), &door.inside, &zones);
        if let Some(bay) = &door.bay {
            checked.named(key("bay"), bay, &zones);
        }
        checked.at_least_zero(key("passages_per_minute"), door.passages_per_minute);
        checked.at_least_zero(key("turned_back_per_minute"), door.turned_back_per_minute);
        checked.at_least_zero(key("strays_per_minute"), door.strays_per_minute);
        checked.share(key("standing_cross_share"), door.standing_cross_share);
    }
    for (index, crib) in scenario.cribs.iter().enumerate() {
        let key = |field: &str| format!("cribs[{index}].{field}");
        checked.named(key("reader"), &crib.reader, &readers);
        let covered = |name: &str| {
            scenario.zones.iter().any(|zone| zone.name == name && zone.coverage == Coverage::Continuous)
        };
        checked.must(covered(&crib.zone), key("zone"), &crib.zone, "a zone with coverage = \"continuous\"");
        checked.must((1..=8).contains(&crib.antennas), key("antennas"), crib.antennas, "1 to 8");
        let [slow, fast] = crib.read_hz;
        let ordered = 0.5 <= slow && slow <= fast && fast <= 20.0;
        checked.must(ordered, key("read_hz"), format_args!("[{slow}, {fast}]"), "[slow, fast] of 0.5 to 20");
        checked.must((0.0..=0.8).contains(&crib.miss), key("miss"), crib.miss, "0 to 0.8");
    }
}

fn vehicles(scenario: &Scenario, checked: &mut Checked) {
    let sites: Vec<&str> = scenario.sites.iter().map(|site| site.name.as_str()).collect();
    let classes: Vec<&str> = scenario.classes.iter().map(|class| class.name.as_str()).collect();
    checked.unique("fences", scenario.fences.iter().map(|fence| fence.name.as_str()));
    for (index, fence) in scenario.fences.iter().enumerate() {
        if let Some(site) = &fence.site {
            checked.named(format!("fences[{index}].site"), site, &sites);
        }
        if let Some(zone) = &fence.zone {
            let zones: Vec<&str> = scenario.zones.iter().map(|zone| zone.name.as_str()).collect();
            checked.named(format!("fences[{index}].zone"), zone, &zones);
        }
        checked.above_zero(format!("fences[{index}].radius_m"), fence.radius_m);
        checked.at_least_zero(format!("fences[{index}].hysteresis_m"), fence.hysteresis_m);
    }
    checked.unique("trucks", scenario.trucks.iter().map(|truck| truck.name.as_str()));
    for (index, truck) in scenario.trucks.iter().enumerate() {
        let key = |field: &str| format!("trucks[{index}].{field}");
        checked.named(key("class"), &truck.class, &classes);
        checked.above_zero(key("speed_mps"), truck.speed_mps);
        checked.above_zero(key("fix_every_s"), truck.fix_every_s);
        checked.at_least_zero(key("noise_m"), truck.noise_m);
        checked.must(
            truck.route.len() > 1,
            key("route"),
            format_args!("{} points", truck.route.len()),
            "2 or more",
        );
        for (at, point) in truck.route.iter().enumerate() {
            let on_earth = point.lat.abs() <= 90.0 && point.lon.abs() <= 180.0;
            let place = format!("{}, {}", point.lat, point.lon);
            checked.must(on_earth, key(&format!("route[{at}]")), place, "lat ±90, lon ±180");
            checked.at_least_zero(key(&format!("route[{at}].dwell_s")), point.dwell_s);
            at_door(scenario, truck, point, &key(&format!("route[{at}]")), checked);
        }
    }
}

/// A vehicle, in the bay of the door that it comes to.
fn at_door(scenario: &Scenario, truck: &Truck, point: &WayPoint, key: &str, checked: &mut Checked) {
    let Some(name) = &point.door else {
        return checked.must(
            point.loads == 0,
            format!("{key}.loads"),
            point.loads,
            "0 where there is no door",
        );
    };
    let docks: Vec<&Door> = scenario.doors.iter().filter(|door| door.bay.is_some()).collect();
    let names: Vec<&str> = docks.iter().map(|door| door.name.as_str()).collect();
    checked.named(format!("{key}.door"), name, &names);
    let vehicle = scenario.classes.iter().any(|class| class.name == truck.class && class.vehicle);
    checked.must(vehicle, format!("{key}.door"), &truck.class, "a truck of a class with vehicle = true");
    let bay = docks.iter().find(|door| door.name == *name).map(|door| &door.bay);
    let in_bay = |fence: &Fence| bay == Some(&fence.zone) && fence.holds(point.lat, point.lon);
    let inside = bay.is_none() || scenario.fences.iter().any(in_bay);
    let place = format!("{}, {}", point.lat, point.lon);
    checked.must(inside, key, place, format!("a place inside a fence whose zone is the bay of {name}"));
}

fn cold_rooms(scenario: &Scenario, checked: &mut Checked) {
    let zones: Vec<&str> = scenario.zones.iter().map(|zone| zone.name.as_str()).collect();
    checked.unique("cold_rooms", scenario.cold_rooms.iter().map(|room| room.name.as_str()));
    for (index, room) in scenario.cold_rooms.iter().enumerate() {
        let key = |field: &str| format!("cold_rooms[{index}].{field}");
        checked.named(key("zone"), &room.zone, &zones);
        checked.above_zero(key("warms_in_s"), room.warms_in_s);
        checked.above_zero(key("cools_in_s"), room.cools_in_s);
        let limit = &room.limit;
        checked.above_zero(key("limit.deadband_c"), limit.deadband_c);
        checked.at_least_zero(key("limit.on_delay_s"), limit.on_delay_s);
        checked.at_least_zero(key("limit.off_delay_s"), limit.off_delay_s);
        let reachable = room.set_point_c + 1.0 < limit.threshold_c - limit.deadband_c
            && limit.threshold_c + 2.0 < room.outside_c;
        checked.must(
            reachable,
            key("limit.threshold_c"),
            limit.threshold_c,
            "1 K and the deadband above set_point_c, and 2 K below outside_c",
        );
        room.excursions
            .iter()
            .enumerate()
            .for_each(|(at, share)| checked.share(key(&format!("excursions[{at}]")), *share));
        checked.at_least_zero(key("openings_per_minute"), room.openings_per_minute);
    }
}

fn assets(scenario: &Scenario, checked: &mut Checked) {
    let zones: Vec<&str> = scenario.zones.iter().map(|zone| zone.name.as_str()).collect();
    let classes: Vec<&str> = scenario.classes.iter().map(|class| class.name.as_str()).collect();
    checked.unique("classes", classes.iter().copied());
    for (index, class) in scenario.classes.iter().enumerate() {
        for (field, value) in
            [("ghost_after_s", class.ghost_after_s), ("overdue_grace_s", class.overdue_grace_s)]
        {
            if let Some(value) = value {
                checked.at_least_zero(format!("classes[{index}].{field}"), value);
            }
        }
    }
    for (index, group) in scenario.assets.iter().enumerate() {
        checked.named(format!("assets[{index}].class"), &group.class, &classes);
        checked.named(format!("assets[{index}].zone"), &group.zone, &zones);
        checked.share(format!("assets[{index}].two_tags"), group.two_tags);
    }
}

fn happenings(scenario: &Scenario, checked: &mut Checked) {
    let cribs: Vec<&str> = scenario.cribs.iter().map(|crib| crib.name.as_str()).collect();
    for (index, theft) in scenario.thefts.iter().enumerate() {
        checked.named(format!("thefts[{index}].crib"), &theft.crib, &cribs);
        theft.at.iter().for_each(|share| checked.share(format!("thefts[{index}].at"), *share));
    }
    let inside: Vec<&str> = scenario
        .cribs
        .iter()
        .map(|crib| crib.zone.as_str())
        .chain(scenario.doors.iter().map(|door| door.inside.as_str()))
        .collect();
    for (index, checkouts) in scenario.checkouts.iter().enumerate() {
        checked.named(format!("checkouts[{index}].zone"), &checkouts.zone, &inside);
        let shares = checkouts.overdue.iter().chain(&checkouts.returned);
        shares.for_each(|share| checked.share(format!("checkouts[{index}]"), *share));
    }
    let readers: Vec<&str> = scenario.readers.iter().map(|reader| reader.name.as_str()).collect();
    let rooms: Vec<&str> = scenario.cold_rooms.iter().map(|room| room.name.as_str()).collect();
    let trucks: Vec<&str> = scenario.trucks.iter().map(|truck| truck.name.as_str()).collect();
    for (index, outage) in scenario.outages.iter().enumerate() {
        let key = |field: &str| format!("outages[{index}].{field}");
        checked.named(key("source"), &outage.source, &[&readers[..], &rooms[..]].concat());
        checked.share(key("at"), outage.at);
        checked.above_zero(key("for_s"), outage.for_s);
    }
    let devices = [&readers[..], &rooms[..], &trucks[..]].concat();
    for (index, fault) in scenario.faults.iter().enumerate() {
        let key = |field: &str| format!("faults[{index}].{field}");
        checked.named(key("device"), &fault.device, &devices);
        checked.share(key("at"), fault.at);
        checked.above_zero(key("for_s"), fault.for_s);
        let allowed = match fault.device.as_str() {
            name if rooms.contains(&name) => MODBUS_FAULTS,
            name if trucks.contains(&name) => TRACKER_FAULTS,
            _ => LLRP_FAULTS,
        };
        let names: Vec<&str> = allowed.iter().map(|kind| kind.name()).collect();
        checked.must(allowed.contains(&fault.kind), key("kind"), fault.kind.name(), list(&names));
        let needed = [
            ("delay_ms", fault.kind == FaultKind::Slow, fault.delay_ms.is_some()),
            ("by_s", fault.kind == FaultKind::ClockJump, fault.by_s.is_some()),
            ("code", fault.kind == FaultKind::Exception, fault.code.is_some()),
        ];
        for (field, wanted, given) in needed {
            let only = format!("given for its kind of fault, and for no other ({})", fault.kind.name());
            checked.must(wanted == given, key(field), if given { "given" } else { "nothing" }, only);
        }
    }
}

impl FaultKind {
    /// As the TOML has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Slow => "slow",
            Self::Garbage => "garbage",
            Self::Truncated => "truncated",
            Self::Duplicate => "duplicate",
            Self::ClockJump => "clock-jump",
            Self::Disconnect => "disconnect",
            Self::Refuse => "refuse",
            Self::Exception => "exception",
            Self::WrongTransaction => "wrong-transaction",
        }
    }
}
