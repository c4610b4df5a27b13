//! What the values of a month's scenario must satisfy beyond their types.

use std::fmt::Display;

use super::company::Docks;
use super::scenario::Scenario;
use crate::scenario::{Coverage, Problem};

#[derive(Default)]
struct Checked(Vec<Problem>);

impl Checked {
    fn must(&mut self, holds: bool, key: impl Into<String>, value: impl Display, allowed: impl Into<String>) {
        if !holds {
            let (value, allowed) = (value.to_string(), allowed.into());
            self.0.push(Problem { key: key.into(), value, allowed });
        }
    }

    fn share(&mut self, key: &str, value: f64) {
        self.must((0.0..=1.0).contains(&value), key, value, "0 to 1");
    }

    fn rate(&mut self, key: &str, value: f64) {
        self.must((0.0..=1e6).contains(&value), key, value, "0 or more");
    }

    fn span(&mut self, key: &str, [least, most]: [f64; 2]) {
        let holds = least >= 0.0 && most >= least && most.is_finite();
        self.must(holds, key, format_args!("[{least}, {most}]"), "[least, most], 0 or more");
    }

    fn named<'a>(&mut self, key: String, name: &str, known: impl Iterator<Item = &'a str>) {
        let known: Vec<&str> = known.collect();
        self.must(known.contains(&name), key, format_args!("\"{name}\""), known.join(", "));
    }

    fn unique<'a>(&mut self, table: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = Vec::new();
        for (index, name) in names.enumerate() {
            let key = format!("{table}[{index}]");
            self.must(!seen.contains(&name), key, format_args!("\"{name}\""), "a name that is not taken");
            seen.push(name);
        }
    }
}

pub(super) fn problems(scenario: &Scenario) -> Vec<Problem> {
    let mut checked = Checked::default();
    checked.must((1..=400).contains(&scenario.days), "days", scenario.days, "1 to 400");
    places(scenario, &mut checked);
    things(scenario, &mut checked);
    happenings(scenario, &mut checked);
    checked.0
}

fn places(scenario: &Scenario, checked: &mut Checked) {
    let listening = &scenario.listening;
    checked.share("listening.miss", listening.miss);
    for (key, value, least) in [
        ("read_every_s", listening.read_every_s, 1.0),
        ("reference_every_s", listening.reference_every_s, 1.0),
        ("hearing_timeout_s", listening.hearing_timeout_s, 2.0 * listening.reference_every_s),
        ("lost_after_s", listening.lost_after_s, 2.0 * listening.read_every_s),
        ("refresh_s", listening.refresh_s, 1.0),
    ] {
        let allowed = format!("{least} or more");
        checked.must(value >= least && value.is_finite(), format!("listening.{key}"), value, allowed);
    }
    checked.unique("sites", scenario.sites.iter().map(|site| site.name.as_str()));
    for (index, site) in scenario.sites.iter().enumerate() {
        let known = jiff::tz::TimeZone::get(&site.timezone).is_ok();
        let allowed = "an IANA name such as Europe/Berlin";
        checked.must(known, format!("sites[{index}].timezone"), &site.timezone, allowed);
        for (key, value) in [("work_from", site.work_from), ("work_to", site.work_to)] {
            let holds = (0.0..=24.0).contains(&value);
            checked.must(holds, format!("sites[{index}].{key}"), value, "0 to 24, hours of the wall clock");
        }
        let days = site.work_days.iter().all(|day| (1..=7).contains(day));
        let key = format!("sites[{index}].work_days");
        checked.must(days, key, format_args!("{:?}", site.work_days), "1 (Monday) to 7");
    }
    checked.unique("zones", scenario.zones.iter().map(|zone| zone.prefix.as_str()));
    for (index, zone) in scenario.zones.iter().enumerate() {
        let sites = scenario.sites.iter().map(|site| site.name.as_str());
        checked.named(format!("zones[{index}].site"), &zone.site, sites);
        let counts = zone.count >= 1 && (zone.doors >= 1 || zone.coverage == Coverage::None);
        checked.must(counts, format!("zones[{index}]"), "a count of 0", "count and doors of 1 or more");
        let antennas = (1..=8).contains(&zone.antennas);
        checked.must(antennas, format!("zones[{index}].antennas"), zone.antennas, "1 to 8");
    }
}

fn things(scenario: &Scenario, checked: &mut Checked) {
    checked.unique("classes", scenario.classes.iter().map(|class| class.name.as_str()));
    for (index, class) in scenario.classes.iter().enumerate() {
        checked.rate(&format!("classes[{index}].overdue_grace_s"), class.overdue_grace_s);
        let ghost = class.ghost_after_s.is_none_or(|after| after >= 1.0 && after.is_finite());
        let value = class.ghost_after_s.unwrap_or_default();
        checked.must(ghost, format!("classes[{index}].ghost_after_s"), value, "1 or more");
    }
    let groups = scenario.assets.iter().map(|group| group.prefix.as_str());
    let vehicles = scenario.vehicles.iter().map(|group| group.prefix.as_str());
    checked.unique("assets and vehicles", groups.chain(vehicles));
    let classes = || scenario.classes.iter().map(|class| class.name.as_str());
    for (index, group) in scenario.assets.iter().enumerate() {
        checked.named(format!("assets[{index}].class"), &group.class, classes());
        let zones = scenario.zones.iter().map(|zone| zone.prefix.as_str());
        checked.named(format!("assets[{index}].zone"), &group.zone, zones);
        checked.share(&format!("assets[{index}].two_tags"), group.two_tags);
    }
    for (index, group) in scenario.vehicles.iter().enumerate() {
        checked.named(format!("vehicles[{index}].class"), &group.class, classes());
        let sites = scenario.sites.iter().map(|site| site.name.as_str());
        checked.named(format!("vehicles[{index}].site"), &group.site, sites);
        for (key, value) in [("fix_every_s", group.fix_every_s), ("parked_every_s", group.parked_every_s)] {
            checked.must(value >= 1.0, format!("vehicles[{index}].{key}"), value, "1 or more");
        }
    }
}

fn happenings(scenario: &Scenario, checked: &mut Checked) {
    let (habits, losses, outages) = (&scenario.habits, &scenario.losses, &scenario.outages);
    for (key, value) in [
        ("habits.late", habits.late),
        ("habits.never_returned", habits.never_returned),
        ("habits.forgets_check_in", habits.forgets_check_in),
        ("hauls.by_vehicle", scenario.hauls.by_vehicle),
        ("losses.recovered", losses.recovered),
        ("losses.mass_share", losses.mass_share),
        ("outages.cuts_reported", outages.cuts_reported),
    ] {
        checked.share(key, value);
    }
    for (key, value) in [
        ("habits.checkouts", habits.checkouts),
        ("habits.moves", habits.moves),
        ("habits.borrows", habits.borrows),
        ("habits.takes_unready", habits.takes_unready),
        ("hauls.per_asset", scenario.hauls.per_asset),
        ("losses.mass_thefts", losses.mass_thefts),
        ("losses.thefts", losses.thefts),
        ("losses.lost_tags", losses.lost_tags),
        ("losses.second_tags", losses.second_tags),
        ("losses.tracker_batteries", losses.tracker_batteries),
        ("losses.strangers", losses.strangers),
        ("outages.power", outages.power),
        ("outages.network", outages.network),
        ("outages.cuts", outages.cuts),
        ("daemon.kills", scenario.daemon.kills),
    ] {
        checked.rate(key, value);
    }
    for (key, span) in [
        ("habits.due_h", habits.due_h),
        ("habits.late_h", habits.late_h),
        ("habits.move_days", habits.move_days),
        ("habits.borrow_h", habits.borrow_h),
        ("hauls.days", scenario.hauls.days),
        ("losses.found_days", losses.found_days),
        ("outages.power_h", outages.power_h),
        ("outages.network_h", outages.network_h),
        ("outages.cut_h", outages.cut_h),
    ] {
        checked.span(key, span);
    }
    let hauls = &scenario.hauls;
    let [least, most] = hauls.load;
    let load = format!("[{least}, {most}]");
    checked.must(least >= 1 && most >= least, "hauls.load", load, "[least, most], 1 or more");
    checked.must((5.0..=130.0).contains(&hauls.kmh), "hauls.kmh", hauls.kmh, "5 to 130");
    let docks = scenario.zones.iter().any(|zone| zone.docks != Docks::None);
    let without = "0 where no zone has docks";
    checked.must(docks || hauls.per_asset == 0.0, "hauls.per_asset", hauls.per_asset, without);
    for (index, off) in scenario.daemon.off.iter().enumerate() {
        let holds = off.from_day >= 0.0 && off.for_h > 0.0 && off.for_h.is_finite();
        checked.must(
            holds,
            format!("daemon.off[{index}]"),
            off.from_day,
            "from_day 0 or more, for_h above 0",
        );
    }
}
