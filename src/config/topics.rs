//! Topics of a broker: what is subscribed to, what its messages are, and who they are of.

use std::sync::Arc;

use super::document::Section;
use super::{MqttVersion, TopicConfig, mapping, metrics};
use crate::decode::gps::Format;
use crate::decode::gps::nmea::Dating;
use crate::decode::gps::sparkplug::MetricMapping;
use crate::decode::gps::topic::TopicPattern;
use crate::domain::time::Timestamp;

#[derive(Clone, Copy)]
enum Kind {
    OwnTracks,
    Json,
    Nmea,
    Teltonika,
    SparkplugB,
}

const KINDS: [(&str, Kind); 5] = [
    ("owntracks", Kind::OwnTracks),
    ("json", Kind::Json),
    ("nmea", Kind::Nmea),
    ("teltonika", Kind::Teltonika),
    ("sparkplug-b", Kind::SparkplugB),
];

/// `before`: the broker's other topics.
pub(super) fn topic(
    section: Section<'_>,
    version: MqttVersion,
    before: &[TopicConfig],
) -> Option<TopicConfig> {
    let pattern = pattern(&section);
    let key = if section.has("topic") { "topic" } else { "filter" };
    if version != MqttVersion::V5 && pattern.as_ref().is_some_and(TopicPattern::is_shared) {
        let allowed = "protocol = \"mqtt-5\" in the broker, or no $share";
        section.problem(key, "shared subscriptions are of MQTT 5", allowed);
    }
    let is_same =
        |other: &TopicConfig| pattern.as_ref().is_some_and(|it| it.filter() == other.pattern.filter());
    if before.iter().any(is_same) {
        section.problem(key, "the broker is asked for the same as by a topic before", "each filter once");
    }
    let kind = section.choice("format", &KINDS);
    let kind =
        section.need("format", kind, "\"owntracks\", \"json\", \"nmea\", \"teltonika\" or \"sparkplug-b\"");
    let qos = section.integer("qos", 0..=1).unwrap_or(1);
    let by_topic = pattern.as_ref().is_none_or(TopicPattern::names_device);
    let format = match kind {
        Some(Kind::OwnTracks) => Some(Format::OwnTracks),
        Some(Kind::Json) => json(&section, by_topic),
        Some(Kind::Nmea) => {
            needs_device(&section, by_topic);
            Some(Format::Nmea(dating(&section)))
        }
        Some(Kind::Teltonika) => {
            needs_device(&section, by_topic);
            Some(Format::Teltonika)
        }
        Some(Kind::SparkplugB) => {
            whole_nodes(&section, key, pattern.as_ref());
            sparkplug(&section)
        }
        // Which keys would be allowed is not known.
        None => return None,
    };
    section.finish();
    Some(TopicConfig { pattern: pattern?, format: format?, qos })
}

/// From `topic`, which names the device, or from `filter`, which does not.
fn pattern(section: &Section<'_>) -> Option<TopicPattern> {
    let allowed = "an MQTT topic filter, for instance \"owntracks/+/+\"; # only as the last level";
    let filter = section.parsed("filter", allowed, |text| match TopicPattern::parse(text) {
        Ok(pattern) if pattern.names_device() => Err("a filter has no device: write it as `topic`"),
        Ok(pattern) => Ok(pattern),
        Err(wrong) => Err(wrong),
    });
    let allowed = "a topic with the device in braces, for instance \"fleet/{device}/position\"";
    let template = section.parsed("topic", allowed, |text| match TopicPattern::parse(text) {
        Ok(pattern) if !pattern.names_device() => Err("no level in braces: write it as `filter`"),
        Ok(pattern) => Ok(pattern),
        Err(wrong) => Err(wrong),
    });
    match (section.has("topic"), section.has("filter")) {
        (true, true) => section.problem("filter", "given, and topic too", "one of the two"),
        (false, false) => section.problem("topic", "missing", format!("write {allowed}; or a filter")),
        (true, false) | (false, true) => {}
    }
    template.or(filter)
}

/// Nothing in the message says whose it is.
fn needs_device(section: &Section<'_>, by_topic: bool) {
    if !by_topic {
        let allowed = "write `topic` with the device in braces, for instance \"gps/{device}/nmea\"";
        section.problem("filter", "nothing says whose positions these are", allowed);
    }
}

/// What an edge node's messages mean rests on one another, so a topic takes all of them or none.
fn whole_nodes(section: &Section<'_>, key: &str, pattern: Option<&TopicPattern>) {
    let Some(pattern) = pattern else { return };
    let levels: Vec<&str> = pattern.unshared_filter().split('/').collect();
    let written: Vec<&str> = pattern.written().split('/').collect();
    // Without what says who shares it.
    let kind = written[written.len() - levels.len()..].get(2);
    let names_kind = kind.is_some_and(|level| level.starts_with('{'));
    let takes_kinds = matches!(levels.get(2), None | Some(&("+" | "#")));
    let takes_devices = levels.last() == Some(&"#") && levels.len() <= 5;
    if levels[0] != "spBv1.0" || !takes_kinds || !takes_devices || names_kind {
        let allowed = "\"spBv1.0/GROUP/+/NODE/#\", where GROUP and NODE are names, + or words in braces; or \"spBv1.0/#\"";
        section.problem(key, "it does not take every message of an edge node", allowed);
    }
    if pattern.is_shared() {
        let allowed = "no $share: each message rests on those before";
        section.problem(key, "it would take a part of an edge node's messages", allowed);
    }
}

fn sparkplug(section: &Section<'_>) -> Option<Format> {
    let mapping = match section.table("mapping") {
        Some(table) => metrics::metrics(table)?,
        None if section.has("mapping") => return None,
        None => MetricMapping::default(),
    };
    let rebirth = section.flag("rebirth").unwrap_or(false);
    Some(Format::SparkplugB { mapping: Arc::new(mapping), rebirth })
}

pub(super) fn dating(section: &Section<'_>) -> Dating {
    let allowed = "a time such as \"2025-01-01T00:00:00Z\"";
    let time = section.parsed("not_before", allowed, |text| Timestamp::parse(text).ok_or("not a time"));
    let by_receipt = section.choice("date", &[("told", false), ("received", true)]);
    Dating { not_before: time.unwrap_or(Timestamp::FIRST), by_receipt: by_receipt.unwrap_or(false) }
}

fn json(section: &Section<'_>, by_topic: bool) -> Option<Format> {
    let allowed = "where things stand in the message: { preset = \"traccar\" }, or a path for each";
    let table = section.table_or("mapping", || format!("write {allowed}"));
    if table.is_none() && !section.has("mapping") {
        section.problem("mapping", "missing", format!("write {allowed}"));
    }
    let mapping = mapping::mapping(table?)?;
    if !by_topic && !mapping.names_device() {
        let allowed = "name the device in `topic`, or say in `mapping` where it stands (`device`)";
        section.problem("mapping", "nothing says whose positions these are", allowed);
        return None;
    }
    Some(Format::Json(Arc::new(mapping)))
}
