//! Where things are: sites, zones, read points. Fences are `fences`.

use std::time::Duration;

use super::document::Section;
use super::tags::tag_filter;
use super::validate::{DAY, HOUR, MINUTE, SECOND, Scope};
use super::{AntennaConfig, BeamConfig, ReadPointConfig, ReadPointKind};
use crate::domain::calendar::{Calendar, HOURS_ALLOWED, WorkingHours};
use crate::domain::epc::Epc;
use crate::domain::ids::{ReadPointId, SiteId, SourceId, ZoneId};
use crate::domain::register::{Coverage, Site, Zone};

const MILLISECOND: Duration = Duration::from_millis(1);

pub(super) fn sites(top: &Section<'_>, scope: &Scope<'_>) -> Vec<Site> {
    top.tables("site").into_iter().filter_map(|section| site(section, scope)).collect()
}

fn site(section: Section<'_>, scope: &Scope<'_>) -> Option<Site> {
    let name = scope.own_name(&section, "site");
    let allowed = "an IANA time zone, for instance \"Europe/Berlin\"";
    let timezone = section.parsed("timezone", allowed, |text| {
        jiff::tz::TimeZone::get(text).map_err(|_| "not a known time zone")
    });
    let timezone = section.need("timezone", timezone, allowed);
    let working_hours = section.parsed("working_hours", HOURS_ALLOWED, WorkingHours::parse);
    let day = "days such as \"2026-12-25\"";
    let holidays = section.list("holidays", day, |value| value.as_str()?.parse().ok());
    let holidays = holidays.into_iter().flatten().collect();
    let calendar = Calendar { working_hours, holidays };
    section.finish();
    Some(Site { name: SiteId::new(name?), timezone: timezone?, calendar })
}

pub(super) fn zones(top: &Section<'_>, scope: &Scope<'_>) -> Vec<Zone> {
    top.tables("zone").into_iter().filter_map(|section| zone(section, scope)).collect()
}

/// The words for a zone's coverage; the import of registers reads the same.
pub const COVERAGES: [(&str, Coverage); 3] =
    [("continuous", Coverage::Continuous), ("portal-only", Coverage::PortalOnly), ("none", Coverage::None)];

fn zone(section: Section<'_>, scope: &Scope<'_>) -> Option<Zone> {
    let name = scope.own_name(&section, "zone");
    let site = scope.site(&section);
    let coverage = section.choice("coverage", &COVERAGES).unwrap_or_default();
    section.finish();
    Some(Zone { name: ZoneId::new(name?), site: site?, coverage })
}

pub(super) fn read_points(top: &Section<'_>, scope: &Scope<'_>) -> Vec<ReadPointConfig> {
    top.tables("read_point").into_iter().filter_map(|section| read_point(section, scope)).collect()
}

/// The kinds, and with each the keys that only it has.
const PRESENCE_KEYS: &[&str] = &[
    "zone",
    "observed_reads",
    "observed_within",
    "lost_after",
    "lost_after_min",
    "lost_after_max",
    "refresh",
];
const PORTAL_KEYS: &[&str] = &["inside", "outside", "settle", "static_after", "merge_within", "beams"];

fn read_point(section: Section<'_>, scope: &Scope<'_>) -> Option<ReadPointConfig> {
    let name = scope.own_name(&section, "read_point");
    let portal = section.choice("kind", &[("presence", false), ("portal", true)]);
    let portal = section.need("kind", portal, "\"presence\" or \"portal\"");
    let presence_kind = presence(&section, scope, portal == Some(false));
    let portal_kind = self::portal(&section, scope, portal == Some(true));
    let (foreign, kind) = match portal {
        Some(true) => (PRESENCE_KEYS, portal_kind),
        Some(false) => (PORTAL_KEYS, presence_kind),
        None => (&[][..], None),
    };
    for key in foreign.iter().copied().filter(|key| section.has(key)) {
        let other = if portal == Some(true) { "presence" } else { "portal" };
        section.problem(key, format!("only a {other} has this"), "take it out, or change kind");
    }
    let epc_allowed = "the EPC as hex digits, for instance \"3034257bf7194e4000001a85\"";
    let reference_tag =
        section.parsed("reference_tag", epc_allowed, |text| Epc::from_hex(text).ok_or("not an EPC"));
    let tags = tag_filter(&section);
    let hearing_timeout = section.duration("hearing_timeout", SECOND..=7 * DAY).unwrap_or(5 * MINUTE);
    let antennas: Vec<_> = section
        .tables("antennas")
        .into_iter()
        .filter_map(|antenna| self::antenna(antenna, scope, portal == Some(true)))
        .collect();
    if !section.has("antennas") {
        let allowed = "write antennas = [{ reader = \"…\", antenna = 1 }]";
        section.problem("antennas", "missing", allowed);
    }
    if let Some(ReadPointKind::Portal { beams, .. }) = &kind {
        check_beams(&section, beams, &antennas);
    }
    section.finish();
    Some(ReadPointConfig {
        name: ReadPointId::new(name?),
        kind: kind?,
        tags,
        reference_tag,
        hearing_timeout,
        antennas,
    })
}

fn presence(section: &Section<'_>, scope: &Scope<'_>, wanted: bool) -> Option<ReadPointKind> {
    let zone = scope.refer(section, "zone", "zone");
    let observed_reads = section.integer("observed_reads", 1..=1000).unwrap_or(2);
    let observed_within = section.duration("observed_within", MILLISECOND..=HOUR);
    let (lost_after_min, lost_after) = lost_after(section);
    let refresh = section.duration("refresh", SECOND..=7 * DAY);
    if !wanted {
        return None;
    }
    let zone = section.need("zone", zone, "the name of a [[zone]]");
    Some(ReadPointKind::Presence {
        zone: ZoneId::new(zone?),
        observed_reads,
        observed_within: observed_within.unwrap_or(10 * SECOND),
        lost_after,
        lost_after_min,
        refresh: refresh.unwrap_or(5 * MINUTE),
    })
}

/// The shortest and the longest silence that ends a presence. Whoever sets one for all tags has that one.
fn lost_after(section: &Section<'_>) -> (Duration, Duration) {
    let allowed = 100 * MILLISECOND..=7 * DAY;
    let fixed = section.duration("lost_after", allowed.clone());
    let least = section.duration("lost_after_min", allowed.clone());
    let most = section.duration("lost_after_max", allowed);
    if let Some(fixed) = fixed {
        for key in ["lost_after_min", "lost_after_max"].into_iter().filter(|key| section.has(key)) {
            let what = "lost_after is set, which is the same for every tag";
            section.problem(key, what, "take it out, or lost_after");
        }
        return (fixed, fixed);
    }
    let (shortest, longest) = (5 * SECOND, 5 * MINUTE);
    let most = most.unwrap_or_else(|| least.unwrap_or_default().max(longest));
    let least = least.unwrap_or_else(|| most.min(shortest));
    if least > most {
        section.problem("lost_after_min", "longer than lost_after_max", "no longer than lost_after_max");
    }
    (least.min(most), most)
}

fn portal(section: &Section<'_>, scope: &Scope<'_>, wanted: bool) -> Option<ReadPointKind> {
    let inside = scope.refer(section, "inside", "zone");
    let outside = scope.refer(section, "outside", "zone");
    let settle = section.duration("settle", 10 * MILLISECOND..=HOUR).unwrap_or(2 * SECOND);
    let static_after = section.duration("static_after", 100 * MILLISECOND..=HOUR).unwrap_or(30 * SECOND);
    let merge = section.duration("merge_within", Duration::ZERO..=HOUR).unwrap_or(5 * SECOND);
    let handover_within = section.duration("handover_within", Duration::ZERO..=HOUR).unwrap_or(5 * SECOND);
    let bay = scope.refer(section, "bay", "zone");
    let beams = section.tables("beams").into_iter().filter_map(|table| beam(table, scope)).collect();
    if !wanted {
        return None;
    }
    if !section.has("inside") && !section.has("outside") {
        section.problem("inside", "missing, and outside too", "name the [[zone]] on at least one side");
    }
    if inside.is_some() && inside == outside {
        section.problem("outside", "the same zone as inside", "a portal is between two zones");
    }
    if bay.is_some() && bay == inside {
        section.problem("bay", "the same zone as inside", "the zone in which a vehicle stands at this door");
    }
    if static_after <= settle {
        section.problem("static_after", "not longer than settle", "longer than settle");
    }
    Some(ReadPointKind::Portal {
        inside: inside.map(ZoneId::new),
        outside: outside.map(ZoneId::new),
        settle,
        static_after,
        merge,
        handover_within,
        bay: bay.map(ZoneId::new),
        beams,
    })
}

/// A light barrier: which input of which reader it is on, and what that input says when it is broken.
fn beam(section: Section<'_>, scope: &Scope<'_>) -> Option<BeamConfig> {
    let reader =
        section.need("reader", scope.refer(&section, "reader", "reader"), "the name of a [[reader]]");
    if reader.is_some_and(|reader| scope.names.serial_readers.contains(reader)) {
        section.problem(
            "reader",
            "a serial reader, which tells of no input",
            "a reader with protocol = \"llrp\"",
        );
    }
    let port = section.integer::<u16>("gpi", 1..=65_535);
    let port = section.need("gpi", port, "the number of the reader's input (GPI), from 1");
    let inside = section.choice("side", &[("inside", true), ("outside", false)]);
    let broken_high = section.choice("broken", &[("high", true), ("low", false)]).unwrap_or(true);
    if let (Some(reader), Some(port)) = (reader, port) {
        scope.is_first(&section, "gpi", "beam", &format!("{reader}/{port}"));
    }
    section.finish();
    Some(BeamConfig { source: SourceId::new(reader?), port: port?, inside, broken_high })
}

/// Of two beams it must be known which is on which side, or their order says nothing; and their times have to be
/// those of the reads.
fn check_beams(section: &Section<'_>, beams: &[BeamConfig], antennas: &[AntennaConfig]) {
    let sides: Vec<Option<bool>> = beams.iter().map(|beam| beam.inside).collect();
    match sides[..] {
        [] | [_] | [Some(true), Some(false)] | [Some(false), Some(true)] => {}
        [_, _] => {
            section.problem("beams", "two that are not one on each side", "side = \"outside\" and \"inside\"")
        }
        _ => section.problem("beams", "more than two", "one, or one on each side"),
    }
    let is_here = |beam: &&BeamConfig| antennas.iter().any(|antenna| antenna.source == beam.source);
    if !antennas.is_empty() && !beams.iter().all(|beam| is_here(&beam)) {
        section.problem("beams", "on another reader than the antennas", "on a reader with an antenna here");
    }
}

fn antenna(section: Section<'_>, scope: &Scope<'_>, portal: bool) -> Option<AntennaConfig> {
    let reader =
        section.need("reader", scope.refer(&section, "reader", "reader"), "the name of a [[reader]]");
    let antenna = section.integer::<u16>("antenna", 1..=65_535);
    let antenna = section.need("antenna", antenna, "the number of the reader's antenna port, from 1");
    let side = section.choice("side", &[("inside", true), ("outside", false)]);
    if portal {
        section.need("side", side, "\"inside\" or \"outside\": the side of the portal it watches");
    } else if section.has("side") {
        section.problem("side", "only a portal has sides", "take it out");
    }
    if let (Some(reader), Some(antenna)) = (reader, antenna) {
        scope.is_first(&section, "antenna", "antenna", &format!("{reader}/{antenna}"));
    }
    section.finish();
    Some(AntennaConfig { source: SourceId::new(reader?), antenna: antenna?, inside: side.unwrap_or(false) })
}
