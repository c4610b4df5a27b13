//! `[[profile]]`: the registers of a kind of device, in the configuration or in files of their own.

use std::collections::BTreeMap;

use super::files::ProfileFile;
use super::map::overlaps;
use super::point::points;
use super::{MAX_REGISTERS, PointConfig, Profile, Reach};
use crate::config::document::Section;
use crate::config::validate::Scope;

/// By name.
pub(super) type Profiles = BTreeMap<String, Profile>;

pub(super) fn profiles<'d>(top: &Section<'d>, files: &'d [ProfileFile<'d>], scope: &Scope<'_>) -> Profiles {
    let mut profiles = BTreeMap::new();
    for section in top.tables("profile") {
        profiles.extend(profile(section, scope));
    }
    for file in files {
        let top = file.top();
        for section in top.tables("profile") {
            profiles.extend(profile(section, scope));
        }
        top.finish();
    }
    profiles
}

fn profile(section: Section<'_>, scope: &Scope<'_>) -> Option<(String, Profile)> {
    let name = scope.own_name(&section, "profile");
    // Where its facts are from; for people.
    section.text("source");
    let points = points(&section);
    if !section.has("point") {
        section.problem("point", "missing", "write a [[profile.point]] for each value");
    }
    overlaps(&points, &[]);
    let reach = reach(&section, Reach::default());
    let points = points.into_iter().map(|(point, section)| {
        section.finish();
        point
    });
    let points: Vec<PointConfig> = points.collect();
    fits(&points, &section, reach);
    section.finish();
    Some((name?.to_owned(), Profile { points, reach }))
}

/// How much is asked for at once, where the table says it.
pub(super) fn reach(section: &Section<'_>, default: Reach) -> Reach {
    let most = i64::from(MAX_REGISTERS);
    let max_registers = section.integer("max_registers", 1..=most).unwrap_or(default.max_registers);
    let max_gap = section.integer("max_gap", 0..=most).unwrap_or(default.max_gap);
    Reach { max_registers, max_gap }
}

/// Reports every point that is longer than what may be asked for at once.
pub(super) fn fits(points: &[PointConfig], section: &Section<'_>, reach: Reach) {
    for point in points.iter().filter(|point| point.kind.registers() > reach.max_registers) {
        let wrong = format!("{} has {} registers", point.name, point.kind.registers());
        section.problem("max_registers", wrong, "room for the longest point");
    }
}
