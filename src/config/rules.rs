//! What is expected of assets, sensors and trackers: classes, limits, tracker and alert rules.

use std::time::Duration;

use super::alerting::SEVERITIES;
use super::document::Section;
use super::node::set;
use super::validate::{DAY, HOUR, MINUTE, SECOND, Scope, name};
use super::{LimitConfig, LimitKind, OFF_DELAY, RATE_OVER, TrackerRules};
use crate::domain::alerts::Severity;
use crate::domain::ids::{ClassId, DeviceId, LimitId, PointId, ZoneId};
use crate::domain::register::{AssetClass, ClassLimit, Criticality, Handover, Returns, Utilisation};

/// The words for a class's criticality; the import of registers reads the same.
pub const CRITICALITIES: [(&str, Criticality); 3] =
    [("low", Criticality::Low), ("normal", Criticality::Normal), ("high", Criticality::High)];
/// What ends a checkout.
pub const RETURNS: [(&str, Returns); 2] = [("sensed", Returns::Sensed), ("by-hand", Returns::ByHand)];
/// What becomes of a hand-over that was sensed.
pub const HANDOVERS: [(&str, Handover); 2] = [("propose", Handover::Propose), ("accept", Handover::Accept)];
/// What [`utilisation`] reads.
pub const UTILISATION_ALLOWED: &str = "\"movement\", \"custody\" or \"sensor:POINT\"";

/// What says that an asset is in use.
pub fn utilisation(text: &str) -> Result<Utilisation, &'static str> {
    match text.split_once(':') {
        None if text == "movement" => Ok(Utilisation::Movement),
        None if text == "custody" => Ok(Utilisation::Custody),
        Some(("sensor", point)) if !point.trim().is_empty() => {
            Ok(Utilisation::Sensor(PointId::new(point.trim())))
        }
        _ => Err("unknown value"),
    }
}

pub(super) fn classes(top: &Section<'_>, scope: &Scope<'_>) -> Vec<AssetClass> {
    top.tables("class").into_iter().filter_map(|section| class(section, scope)).collect()
}

fn class(section: Section<'_>, scope: &Scope<'_>) -> Option<AssetClass> {
    let name = scope.own_name(&section, "class");
    let interval = |key| section.duration(key, SECOND..=3650 * DAY);
    let class = AssetClass {
        ghost_after: interval("ghost_after"),
        ghost_after_in_maintenance: interval("ghost_after_in_maintenance"),
        overdue_grace: section.duration("overdue_grace", Duration::ZERO..=3650 * DAY),
        criticality: section.choice("criticality", &CRITICALITIES).unwrap_or_default(),
        tracker_silent_after: interval("tracker_silent_after"),
        low_battery_percent: section.number("low_battery_percent", 0.0..=100.0),
        idle_after: interval("idle_after"),
        utilisation: section.parsed("utilisation", UTILISATION_ALLOWED, utilisation).unwrap_or_default(),
        inspect_every: interval("inspect_every"),
        inspect_on_return: section.flag("inspect_on_return").unwrap_or(false),
        returns: section.choice("returns", &RETURNS).unwrap_or_default(),
        handover: section.choice("handover", &HANDOVERS).unwrap_or_default(),
        needs_checkout: section.flag("needs_checkout").unwrap_or(false),
        vehicle: section.flag("vehicle").unwrap_or(false),
        allowed_zones: scope.refer_all(&section, "allowed_zones", "zone", ZoneId::new),
        needs: scope.refer_all(&section, "needs", "class", ClassId::new),
        audit_every: interval("audit_every"),
        limits: class_limits(&section),
        ..AssetClass::new(ClassId::new(name.unwrap_or_default()))
    };
    section.finish();
    name.map(|_| class)
}

/// Of the points of sensors that hang on an asset of the class, by name.
fn class_limits(class: &Section<'_>) -> Vec<ClassLimit> {
    let mut limits: Vec<ClassLimit> = Vec::new();
    for section in class.tables("limit") {
        let point = section.need("point", name(&section, "point"), "the name of a point");
        let bounds = bounds(&section);
        let (Some(point), Some(bounds)) = (point.map(PointId::new), bounds) else { continue };
        if limits.iter().any(|limit| (&limit.point, &limit.name) == (&point, &bounds.name)) {
            section.problem("name", "given twice", "each limit of a point once");
        }
        section.finish();
        let Bounds { name, kind, threshold, deadband, on_delay, off_delay, severity } = bounds;
        let of = |is_such: bool| is_such.then_some(threshold);
        limits.push(ClassLimit {
            point,
            name,
            high: of(kind == LimitKind::High),
            low: of(kind == LimitKind::Low),
            rise_per_min: of(matches!(kind, LimitKind::Rise { .. })),
            fall_per_min: of(matches!(kind, LimitKind::Fall { .. })),
            over: kind.over(),
            deadband,
            on_delay: Some(on_delay),
            off_delay: Some(off_delay),
            severity,
        });
    }
    limits
}

pub(super) fn limits(top: &Section<'_>, scope: &Scope<'_>) -> Vec<LimitConfig> {
    top.tables("limit").into_iter().filter_map(|section| limit(section, scope)).collect()
}

fn limit(section: Section<'_>, scope: &Scope<'_>) -> Option<LimitConfig> {
    let device = section.reference("device", "modbus", scope.names.points.keys().map(String::as_str));
    let device = section.need("device", device, "the name of a [[modbus]], or of a device on it");
    let point = match device {
        Some(device) => {
            let points = scope.names.points.get(device);
            section.reference("point", "point", points.into_iter().flatten().map(String::as_str))
        }
        None => section.text("point"),
    };
    let point = section.need("point", point, "the name of one of the device's points");
    if let (Some(device), Some(point), Some(name)) = (device, point, section.text("name")) {
        scope.is_first(&section, "name", "limit", &format!("{device}/{point}/{name}"));
    }
    let bounds = bounds(&section);
    section.finish();
    let Bounds { name, kind, threshold, deadband, on_delay, off_delay, severity } = bounds?;
    Some(LimitConfig {
        device: DeviceId::new(device?),
        point: PointId::new(point?),
        name,
        kind,
        threshold,
        deadband,
        on_delay,
        off_delay,
        severity,
    })
}

/// What a limit says, of whatever point.
struct Bounds {
    name: LimitId,
    kind: LimitKind,
    threshold: f64,
    deadband: f64,
    on_delay: Duration,
    off_delay: Duration,
    severity: Severity,
}

fn bounds(section: &Section<'_>) -> Option<Bounds> {
    let name = section.need("name", name(section, "name"), "a name, for instance \"hi\"");
    let range = f64::MIN..=f64::MAX;
    let over = section.duration("over", SECOND..=DAY);
    let window = over.unwrap_or(RATE_OVER);
    let rates = || f64::MIN_POSITIVE..=f64::MAX;
    let bounds = [
        ("high", LimitKind::High, section.number("high", range.clone())),
        ("low", LimitKind::Low, section.number("low", range)),
        ("rise_per_min", LimitKind::Rise { over: window }, section.number("rise_per_min", rates())),
        ("fall_per_min", LimitKind::Fall { over: window }, section.number("fall_per_min", rates())),
    ];
    let given: Vec<&str> = bounds.iter().map(|(key, ..)| *key).filter(|key| section.has(key)).collect();
    match given[..] {
        [] => section.problem("high", "missing", "write high, low, rise_per_min or fall_per_min"),
        [first, second, ..] => {
            section.problem(second, format!("given beside {first}"), "write a limit for each");
        }
        ["high" | "low"] if section.has("over") => {
            section.problem(
                "over",
                "only rates have a window",
                "take it out, or write rise_per_min or fall_per_min",
            );
        }
        _ => {}
    }
    let deadband = section.number("deadband", 0.0..=f64::MAX).unwrap_or(0.0);
    let on_delay = section.duration("on_delay", Duration::ZERO..=DAY).unwrap_or_default();
    let off_delay = section.duration("off_delay", Duration::ZERO..=DAY).unwrap_or(OFF_DELAY);
    let severity = section.choice("severity", &SEVERITIES).unwrap_or(Severity::Warning);
    let (_, kind, threshold) = bounds.into_iter().find(|(_, _, threshold)| threshold.is_some())?;
    let threshold = threshold?;
    Some(Bounds { name: LimitId::new(name?), kind, threshold, deadband, on_delay, off_delay, severity })
}

pub(super) fn tracker(section: Option<Section<'_>>) -> TrackerRules {
    let mut rules = TrackerRules::default();
    let Some(section) = section else { return rules };
    set(&mut rules.max_speed_mps, section.number("max_speed_mps", 1.0..=1000.0));
    set(&mut rules.max_accuracy_m, section.number("max_accuracy_m", 1.0..=100_000.0));
    set(&mut rules.jump_confirmations, section.integer("jump_confirmations", 1..=100));
    set(&mut rules.least_accuracy_m, section.number("least_accuracy_m", 0.0..=1000.0));
    set(&mut rules.infer_within, section.duration("infer_within", Duration::ZERO..=HOUR));
    set(&mut rules.trip_after_m, section.number("trip_after_m", 10.0..=10_000.0));
    set(&mut rules.stop_within_m, section.number("stop_within_m", 10.0..=10_000.0));
    set(&mut rules.stop_after, section.duration("stop_after", 10 * SECOND..=DAY));
    set(&mut rules.trip_gap, section.duration("trip_gap", 10 * SECOND..=30 * DAY));
    rules.asleep_after = section.duration("asleep_after", MINUTE..=400 * DAY);
    set(&mut rules.learn_silence, section.flag("learn_silence"));
    if let Some(after) = section.duration("unheard_after", Duration::ZERO..=400 * DAY) {
        rules.unheard_after = (!after.is_zero()).then_some(after);
    }
    set(&mut rules.late_within, section.duration("late_within", Duration::ZERO..=30 * DAY));
    set(&mut rules.infer_within_m, section.number("infer_within_m", 0.0..=100_000.0));
    section.finish();
    rules
}
