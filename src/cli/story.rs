//! Events, times and figures as a person reads them: one sentence an event, times of the site's own wall
//! clock.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::import::changes;
use crate::config::Rules;
use crate::domain::alerts::{Alert, AlertTransition};
use crate::domain::audits::{Audit, AuditChange, Standing};
use crate::domain::commands::{Command, HandCount, Reads};
use crate::domain::events::{EventBody, RegisterChange};
use crate::domain::geodesy::Position;
use crate::domain::ids::{AssetId, AuditId, ZoneId};
use crate::domain::motion::{Motion, MotionChange};
use crate::domain::proposals::{Proposal, ProposalChange};
use crate::domain::readings::Quality;
use crate::domain::register::Utilisation;
use crate::domain::sightings::{Direction, Episode, FenceChange, Measure, PassageEvidence, PresenceChange};
use crate::domain::time::Timestamp;

/// An event's envelope, as far as its sentence needs it.
pub struct Told<'a> {
    pub subject: &'a str,
    pub source: &'a str,
    pub site: Option<&'a str>,
    pub late: bool,
    pub confidence: Option<f32>,
    pub body: &'a EventBody,
}

/// Wall clocks of the sites.
#[derive(Default)]
pub struct WallClocks {
    zones: BTreeMap<String, TimeZone>,
    /// Where there is one site only, everything is meant in its time.
    only: Option<TimeZone>,
}

impl WallClocks {
    pub fn of(rules: &Rules) -> Self {
        let zones: BTreeMap<String, TimeZone> =
            rules.sites.iter().map(|site| (site.name.to_string(), site.timezone.clone())).collect();
        let only = zones.values().next().filter(|_| zones.len() == 1).cloned();
        Self { zones, only }
    }

    /// With its date and the zone's abbreviation; UTC where no site says otherwise.
    pub fn at(&self, site: Option<&str>, at: Timestamp) -> String {
        let zone = site.and_then(|site| self.zones.get(site)).or(self.only.as_ref());
        let zone = zone.cloned().unwrap_or(TimeZone::UTC);
        at.to_jiff().to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
    }
}

/// The two largest units: `2 h 5 min`, `40 s`, `3 d`.
pub fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let Some(first) = units.iter().position(|(size, _)| seconds >= *size) else {
        return format!("{:.1} s", length.as_secs_f64());
    };
    let (size, name) = units[first];
    let mut text = format!("{} {name}", seconds / size);
    if let Some((below, name)) = units.get(first + 1) {
        let rest = seconds % size / below;
        if rest > 0 {
            text.push_str(&format!(" {rest} {name}"));
        }
    }
    text
}

/// How long ago, or until when.
pub fn distance(at: Timestamp, now: Timestamp) -> String {
    if at <= now { format!("{} ago", span(now.since(at))) } else { format!("in {}", span(at.since(now))) }
}

/// What happened, without when.
pub fn sentence(told: &Told<'_>, clocks: &WallClocks) -> String {
    let who = told.subject.split_once(':').map_or(told.subject, |(_, name)| name);
    let at = |time: Timestamp| clocks.at(told.site, time);
    let mut text = match told.body {
        EventBody::Presence { change, read_point, zone, beside, weighed, .. } => {
            let zone = zone.as_ref().map(|zone| format!(" (zone {zone})")).unwrap_or_default();
            match change {
                PresenceChange::Arrived if *beside => {
                    let better =
                        weighed.as_ref().map(|weighed| format!(", and better at {}", weighed.against));
                    format!("{who} is sensed at {read_point} as well{}", better.unwrap_or_default())
                }
                PresenceChange::Moved => {
                    let than = weighed.as_ref().map(|weighed| format!(" better than at {}", weighed.against));
                    format!("{who} is sensed at {read_point}{}{zone}", than.unwrap_or_default())
                }
                PresenceChange::Arrived => format!("{who} is sensed at {read_point}{zone}"),
                PresenceChange::Refreshed => format!("{who} is still sensed at {read_point}{zone}"),
                PresenceChange::Departed => format!("{who} is no longer sensed at {read_point}{zone}"),
            }
        }
        EventBody::Passage { direction, portal, to, evidence, .. } => {
            let way = if *direction == Direction::In { "in" } else { "out" };
            let to = to.as_ref().map(|zone| format!(", now in {zone}")).unwrap_or_default();
            format!("{who} passes {way} through {portal}{to}{}", seen_by(evidence, told.confidence))
        }
        EventBody::Geofence { change, fence, inferred, .. } => {
            let way = match change {
                FenceChange::Entered => "enters",
                FenceChange::Exited => "leaves",
                FenceChange::Dwelt => "stays in",
            };
            let how = if *inferred { ", as the way between two fixes tells" } else { "" };
            format!("{who} {way} {fence}{how}")
        }
        EventBody::Motion { motion, .. } => motion_sentence(who, motion),
        EventBody::Loaded { vehicle, how } => format!("{who} is in {vehicle}: {how}"),
        EventBody::Unloaded { vehicle, how } => format!("{who} is no longer in {vehicle}: {how}"),
        EventBody::Docked { door, how } => format!("{who} stands at {door}: {how}"),
        EventBody::Undocked { door, since } => {
            format!("{who} has left {door}, where it stood since {}", at(*since))
        }
        EventBody::Counted { audit, standing, zone, how, .. } => {
            counted_sentence(who, audit.as_ref(), *standing, zone.as_ref(), how)
        }
        EventBody::CheckedOut(checkout) => {
            let due = checkout.due_back.map(|due| format!(", due back {}", at(due))).unwrap_or_default();
            format!("{who} is checked out to {}{due}{}", checkout.holder, noted(checkout.note.as_deref()))
        }
        EventBody::CheckedIn { checkout, how } => {
            format!("{who} is back from {}: {how}", checkout.holder)
        }
        EventBody::HandedOver { checkout, from, how } => {
            let due = checkout.due_back.map(|due| format!(", due back {}", at(due))).unwrap_or_default();
            format!("{who} goes from {from} to {}{due}: {how}", checkout.holder)
        }
        EventBody::Proposal { change, proposal } => proposal_sentence(who, *change, proposal),
        EventBody::Used { by: Utilisation::Sensor(point) } => {
            format!("{who} is in use: its {point} is not zero")
        }
        EventBody::Used { .. } => format!("{who} is in use"),
        EventBody::Readiness { ready: true, .. } => format!("{who} is ready to go out"),
        EventBody::Readiness { reasons, .. } => {
            let reasons: Vec<String> = reasons.iter().map(|reason| reason.told(&at)).collect();
            format!("{who} is not ready: {}", reasons.join("; "))
        }
        EventBody::Condition { device, point, limit, episode, exposed, .. } => match episode {
            Episode::Began { value, threshold, measure, .. } => {
                let side = match measure {
                    Measure::Value if value < threshold => "is below",
                    Measure::Value => "is above",
                    Measure::Rise => "a minute up is above",
                    Measure::Fall => "a minute down is above",
                };
                let exposed = exposed_sentence(exposed);
                format!("{device} {point} {value:.1} {side} its limit {limit} of {threshold:.1}{exposed}")
            }
            Episode::Ended { peak, over_s, .. } => {
                let over = over_s.and_then(|over| Duration::try_from_secs_f64(over).ok());
                let over = over.map(|over| format!(" and over it for {}", span(over))).unwrap_or_default();
                let exposed = exposed_sentence(exposed);
                format!("{device} {point} is back within {limit}; it had been at {peak:.1}{over}{exposed}")
            }
        },
        EventBody::SensorQuality { device, point, quality } => match quality {
            Quality::Good => format!("{device} {point} gives good values again"),
            Quality::NoCommunication => format!("{device} {point} says nothing"),
            Quality::SensorFailure => format!("{device} {point} gives no usable value"),
            Quality::ConfigurationError => format!("{device} refuses what it is asked for as {point}"),
            Quality::Stale => format!("{device} {point} is not read any more"),
            Quality::NoData => format!("{device} {point} says that it has no value"),
            Quality::SensorNotAccurate => {
                format!("{device} {point} does not move, or jumps: it is not believed")
            }
            Quality::EngineeringUnitsExceeded => {
                format!("{device} {point} gives a value that it cannot measure")
            }
        },
        EventBody::Fix(fix) => {
            let accuracy = fix.accuracy_m.map(|m| format!(" (± {m:.0} m)")).unwrap_or_default();
            format!("{who} is at {:.5}, {:.5}{accuracy}", fix.position.lat, fix.position.lon)
        }
        EventBody::Sample(sample) => match sample.value {
            Some(value) => format!("{} {} is {value:.1}", sample.device, sample.point),
            None => format!("{} {} has no value", sample.device, sample.point),
        },
        EventBody::TagRead { epc, antenna, seen_count, .. } => {
            format!("tag {epc} is read {seen_count} times at antenna {antenna}")
        }
        EventBody::Alert { transition, alert } => alert_sentence(*transition, alert, &at),
        EventBody::Audit { change, by, audit } => audit_sentence(*change, by, audit),
        EventBody::Register(change) => change_sentence(change),
        EventBody::Command { by, command } => format!("{by} {}", command_sentence(command, &at)),
        EventBody::Gap { from, to, reason } => {
            format!("nothing is known from {} to {}: {reason}", at(*from), at(*to))
        }
        EventBody::Link { up: true, .. } => format!("{} is connected", told.source),
        EventBody::Link { up: false, reason } => format!("{} is down: {reason}", told.source),
    };
    if told.late {
        text.push_str(" (reported late)");
    }
    text
}

fn exposed_sentence(exposed: &[AssetId]) -> String {
    let names: Vec<&str> = exposed.iter().take(10).map(AssetId::as_str).collect();
    let more = if exposed.len() > names.len() {
        format!(" and {} more", exposed.len() - names.len())
    } else {
        String::new()
    };
    if names.is_empty() { String::new() } else { format!("; exposed: {}{more}", names.join(", ")) }
}

fn motion_sentence(who: &str, motion: &Motion) -> String {
    let Position { lat, lon } = motion.position;
    match (&motion.trip, motion.change) {
        (Some(trip), _) => {
            let (km, took) = (trip.distance_m / 1000.0, span(trip.ended_at.since(trip.started_at)));
            let by = if trip.by_odometer { " by its odometer" } else { "" };
            format!("{who} comes to rest at {lat:.5}, {lon:.5} after a trip of {km:.1} km{by} in {took}")
        }
        (None, MotionChange::Stopped) => format!("{who} comes to rest at {lat:.5}, {lon:.5}"),
        (None, MotionChange::Moving) => format!("{who} sets out from {lat:.5}, {lon:.5}"),
    }
}

fn proposal_sentence(who: &str, change: ProposalChange, proposal: &Proposal) -> String {
    let took = proposed(proposal);
    match change {
        ProposalChange::Made => format!("{who} seems to have changed hands: {took}"),
        ProposalChange::Accepted => format!("it is taken for true that {who} changed hands: {took}"),
        ProposalChange::Rejected => format!("it is not true that {who} changed hands: {took}"),
        ProposalChange::Lapsed => format!("whether {who} changed hands no longer matters: {took}"),
    }
}

/// What a proposal says, and how sure it is.
pub fn proposed(proposal: &Proposal) -> String {
    let names: Vec<&str> = proposal.candidates.iter().map(|candidate| candidate.person.as_str()).collect();
    let way = if proposal.direction == Direction::In { "in" } else { "out" };
    let from = proposal.from.as_ref().map_or(String::new(), |from| format!(" from {from}"));
    format!(
        "{} took it{from}, passing {way} through {} with it ({:.0} % sure)",
        names.join(" or "),
        proposal.portal,
        proposal.confidence * 100.0
    )
}

/// How many reads a passage rests on, and how sure it is.
fn seen_by(evidence: &PassageEvidence, confidence: Option<f32>) -> String {
    let reads: u32 = evidence.antennas.iter().map(|antenna| antenna.reads).sum();
    let sure = confidence.map(|c| format!(", {:.0} % sure", c * 100.0)).unwrap_or_default();
    let beams = evidence.beams.as_ref().map(|beams| format!("; light barriers: {}", beams.say.as_str()));
    format!(" ({reads} reads{sure}{})", beams.unwrap_or_default())
}

fn alert_sentence(transition: AlertTransition, alert: &Alert, at: &dyn Fn(Timestamp) -> String) -> String {
    let key = &alert.key;
    match transition {
        AlertTransition::Pending => format!("{key} may become an alert: {}", alert.summary),
        AlertTransition::Fired => format!("ALERT {key}: {}", alert.summary),
        AlertTransition::Cancelled => format!("{key} was over before it became an alert"),
        AlertTransition::Resolved => format!("resolved {key}"),
        AlertTransition::Acknowledged => match &alert.acknowledged {
            Some(by) => format!("{} is on {key}{}", by.by, noted(by.note.as_deref())),
            None => format!("{key} is acknowledged"),
        },
        AlertTransition::Snoozed => match alert.snoozed_until {
            Some(until) => format!("{key} is kept quiet until {}", at(until)),
            None => format!("{key} is kept quiet"),
        },
        AlertTransition::Unsnoozed => format!("{key} is no longer kept quiet"),
        AlertTransition::Inhibited => match &alert.inhibited_by {
            Some(by) => format!("{key} is explained by {by}; nobody is told of it meanwhile"),
            None => format!("{key} is explained by another alert"),
        },
        AlertTransition::Uninhibited => format!("{key} is no longer explained by another alert"),
        AlertTransition::Assigned => match &alert.assigned {
            Some(assigned) => format!("{} gives {key} to {}", assigned.by, assigned.to),
            None => format!("{key} is assigned"),
        },
        AlertTransition::Escalated => {
            format!("nobody acknowledged {key} in time: it is {} now", alert.severity.as_str())
        }
        AlertTransition::Flapping => format!("{key} comes and goes; it stays until it is quiet"),
        AlertTransition::Explains => format!("{key} explains {} other alerts", alert.explains),
        AlertTransition::QuietEnded => format!("the quiet hours are over: {key}: {}", alert.summary),
    }
}

fn command_sentence(command: &Command, at: &dyn Fn(Timestamp) -> String) -> String {
    match command {
        Command::Checkout { asset, holder, note, override_reason, .. } => {
            let anyway = override_reason.as_ref().map(|why| format!(" though it is not ready: {why}"));
            format!("checked {asset} out to {holder}{}{}", anyway.unwrap_or_default(), noted(note.as_deref()))
        }
        Command::CheckIn { asset, note, damage } => {
            let damaged = damage.as_ref().map(|damage| format!(", damaged: {damage}")).unwrap_or_default();
            format!("checked {asset} in{damaged}{}", noted(note.as_deref()))
        }
        Command::HandOver { asset, holder, note, .. } => {
            format!("handed {asset} over to {holder}{}", noted(note.as_deref()))
        }
        Command::Accept { asset, to, .. } => {
            let to = to.as_ref().map(|to| format!(" to {to}")).unwrap_or_default();
            format!("accepted the hand-over of {asset}{to}")
        }
        Command::Reject { asset, note } => {
            format!("rejected the hand-over of {asset}{}", noted(note.as_deref()))
        }
        Command::Inspect { asset, passed, note, .. } => {
            let how = if *passed { "passed" } else { "failed" };
            format!("inspected {asset}, which {how}{}", noted(note.as_deref()))
        }
        Command::Quarantine { asset, reason } => format!("quarantined {asset}: {reason}"),
        Command::Maintain { asset, reason } => format!("took {asset} into maintenance: {reason}"),
        Command::Release { asset, note } => format!("released {asset}{}", noted(note.as_deref())),
        Command::Dock { vehicle, door } => format!("said that {vehicle} stands at {door}"),
        Command::Undock { vehicle } => format!("said that {vehicle} stands at no door"),
        Command::Load { asset, vehicle, note } => {
            format!("loaded {asset} into {vehicle}{}", noted(note.as_deref()))
        }
        Command::Unload { asset, zone, note } => {
            let zone = zone.as_ref().map(|zone| format!(" into {zone}")).unwrap_or_default();
            format!("unloaded {asset}{zone}{}", noted(note.as_deref()))
        }
        Command::Acknowledge { alert, note } => format!("acknowledged {alert}{}", noted(note.as_deref())),
        Command::Assign { alert, to } => format!("assigned {alert} to {to}"),
        Command::Snooze { alert, until } => format!("snoozed {alert} until {}", at(*until)),
        Command::Import { records, checkouts } => {
            format!("imported {} records and {} checkouts", records.len(), checkouts.len())
        }
        Command::Commission { epc, asset, replaces } => match replaces {
            Some(old) => format!("put tag {epc} on {asset} in place of {old}"),
            None => format!("put tag {epc} on {asset}"),
        },
        Command::AuditOpen { audit, .. } => format!("opened audit {audit}"),
        Command::AuditClose { audit } => format!("closed audit {audit}"),
        Command::AuditCancel { audit } => format!("gave audit {audit} up"),
        Command::Count(HandCount { audit, asset, missing: false, .. }) => {
            format!("counted {asset} in audit {audit}")
        }
        Command::Count(HandCount { audit, asset, .. }) => format!("missed {asset} in audit {audit}"),
        Command::Reads(Reads { zone, epcs, .. }) => format!("read {} tags in {zone}", epcs.len()),
        Command::Remove { table, key } => format!("took {table} {key} off the register"),
        Command::ErasePerson(erase) => format!("had somebody erased, who is {} since", erase.label),
    }
}

fn counted_sentence(
    who: &str,
    audit: Option<&AuditId>,
    standing: Option<Standing>,
    zone: Option<&ZoneId>,
    how: &str,
) -> String {
    let place = zone.map(|zone| format!(" in {zone}")).unwrap_or_default();
    let audit = audit.map(|audit| format!("audit {audit}: ")).unwrap_or_default();
    match standing {
        None => format!("{who} is there{place}: {how}"),
        Some(Standing::Found) => format!("{audit}{who} is found{place}: {how}"),
        Some(Standing::Unexpected) => format!("{audit}{who} is there{place} unexpectedly: {how}"),
        Some(Standing::Missing) => format!("{audit}{who} is missing: {how}"),
        Some(Standing::Elsewhere) => format!("{audit}{who} is elsewhere: {how}"),
    }
}

fn audit_sentence(change: AuditChange, by: &str, audit: &Audit) -> String {
    let Audit { id, figures, .. } = audit;
    match change {
        AuditChange::Opened => format!("{by} opened audit {id}: {} expected", figures.expected),
        AuditChange::Closed => format!(
            "{by} closed audit {id}: {} of {} found, {} missing, {} unexpected",
            figures.found, figures.expected, figures.missing, figures.unexpected
        ),
        AuditChange::Cancelled => format!("{by} gave audit {id} up"),
        AuditChange::Expired => {
            format!("audit {id} ran out with {} of {} found", figures.found, figures.expected)
        }
    }
}

fn change_sentence(change: &RegisterChange) -> String {
    let RegisterChange { by, table, key, before, after } = change;
    match (before, after) {
        (Some(before), Some(after)) => {
            format!("{by} changed {table} {key}: {}", changes(before, after).join(", "))
        }
        (None, Some(_)) => format!("{by} put {table} {key} on the register"),
        (_, None) => format!("{by} took {table} {key} off the register"),
    }
}

pub fn noted(note: Option<&str>) -> String {
    note.map(|note| format!(" (\"{note}\")")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_told_in_two_units() {
        let of = |seconds| span(Duration::from_secs(seconds));
        assert_eq!([of(40), of(60), of(7_500)], ["40 s", "1 min", "2 h 5 min"]);
        assert_eq!([of(86_400 * 3), of(90_061)], ["3 d", "1 d 1 h"]);
        assert_eq!(span(Duration::from_millis(200)), "0.2 s");
        let now = Timestamp::from_secs(1000);
        assert_eq!(distance(Timestamp::from_secs(940), now), "1 min ago");
        assert_eq!(distance(Timestamp::from_secs(1060), now), "in 1 min");
    }

    fn clocks() -> WallClocks {
        let text = "node = \"n\"\n[[site]]\nname = \"leeds\"\ntimezone = \"Europe/London\"\n\
                    [[site]]\nname = \"hamburg\"\ntimezone = \"Europe/Berlin\"\n";
        let config = crate::config::parse(text, std::path::Path::new(""), &|_| None).unwrap();
        WallClocks::of(&config.rules)
    }

    #[test]
    fn times_are_the_sites_own() {
        let at = Timestamp::parse("2026-05-01T01:00:00Z").unwrap();
        assert_eq!(clocks().at(Some("hamburg"), at), "2026-05-01 03:00:00 CEST");
        assert_eq!(clocks().at(Some("leeds"), at), "2026-05-01 02:00:00 BST");
        assert_eq!(clocks().at(None, at), "2026-05-01 01:00:00 UTC");
    }

    #[test]
    fn every_kind_of_event_is_a_sentence_without_json() {
        let text = include_str!("story_cases.txt");
        let mut cases = 0;
        for case in text.split("\n\n").filter(|case| !case.trim().is_empty()) {
            let (body, expected) = case.trim().split_once('\n').unwrap();
            let body: EventBody =
                serde_json::from_str(body).unwrap_or_else(|error| panic!("{body}: {error}"));
            let told = Told {
                subject: "asset:FL-07",
                source: "dock-1",
                site: Some("hamburg"),
                late: false,
                confidence: None,
                body: &body,
            };
            assert_eq!(sentence(&told, &clocks()), expected);
            cases += 1;
        }
        assert!(cases >= 9, "{cases}");
    }
}
