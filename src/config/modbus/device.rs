//! `[[modbus]]`: a device, its connection and its points.

use std::time::Duration;

use super::files::ProfileFile;
use super::map::overlaps;
use super::point::points;
use super::profile::{Profiles, fits, profiles, reach};
use super::{ModbusConfig, Profile};
use crate::config::devices::{address, backoff, source};
use crate::config::document::Section;
use crate::config::validate::{DAY, MINUTE, SECOND, Scope, SourceSites};
use crate::domain::ids::DeviceId;

const MILLISECOND: Duration = Duration::from_millis(1);

pub(in crate::config) fn devices<'d>(
    top: &Section<'d>,
    files: &'d [ProfileFile<'d>],
    scope: &Scope<'_>,
    sites: &mut SourceSites,
) -> Vec<ModbusConfig> {
    let profiles = profiles(top, files, scope);
    let devices = top.tables("modbus").into_iter();
    devices.filter_map(|section| device(section, scope, &profiles, sites)).collect()
}

fn device(
    section: Section<'_>,
    scope: &Scope<'_>,
    profiles: &Profiles,
    sites: &mut SourceSites,
) -> Option<ModbusConfig> {
    let name = source(&section, scope, "modbus", sites);
    section.choice("transport", &[("tcp", ())]);
    let address = address(&section, "10.0.0.9:502");
    let unit = section.integer("unit", 0..=255).unwrap_or(1);
    let poll = section.duration("poll", 10 * MILLISECOND..=DAY).unwrap_or(10 * SECOND);
    let timeout = section.duration("timeout", 10 * MILLISECOND..=10 * MINUTE).unwrap_or(2 * SECOND);
    let backoff = backoff(&section);
    let profile = map(&section, scope, profiles);
    section.finish();
    let name = name?;
    Some(ModbusConfig {
        device: DeviceId::new(name.as_str()),
        name,
        address: address?.to_owned(),
        unit,
        poll,
        timeout,
        backoff,
        reach: profile.reach,
        points: profile.points,
    })
}

/// What a profile says, and the table's own points beside it.
fn map(section: &Section<'_>, scope: &Scope<'_>, profiles: &Profiles) -> Profile {
    let named = scope.refer(section, "profile", "profile");
    let mut map = named.and_then(|name| profiles.get(name)).cloned().unwrap_or_default();
    let own = points(section);
    for (point, _) in &own {
        if map.points.iter().any(|known| known.name == point.name) {
            section.problem("point", format!("{:?} is in the profile too", point.name), "each point once");
        }
    }
    overlaps(&own, &map.points);
    for (point, section) in own {
        section.finish();
        map.points.push(point);
    }
    if !section.has("profile") && !section.has("point") {
        section.problem("point", "missing, and profile too", "name a [[profile]] or write [[modbus.point]]");
    }
    map.reach = reach(section, map.reach);
    fits(&map.points, section, map.reach);
    map
}
