//! What was understood of a configuration, for a person to compare with what was meant.

use std::fmt::Write;

use crate::config::values::{duration_text, mask_url, size_text};
use crate::config::{Config, Drive, LimitKind, ReadPointConfig, ReadPointKind};
use crate::domain::ids::SourceId;
use crate::domain::register::Coverage;

/// Several lines, each with its newline.
pub fn summary(config: &Config) -> String {
    let mut text = String::new();
    // Writing into a string does not fail.
    write_all(config, &mut text).unwrap_or_default();
    text
}

fn write_all(config: &Config, out: &mut String) -> std::fmt::Result {
    writeln!(out, "node {}", config.node)?;
    stores(config, out)?;
    places(config, out)?;
    sources(config, out)?;
    doors(config, out)?;
    for limit in &config.rules.limits {
        let kind = match limit.kind {
            LimitKind::High => "above",
            LimitKind::Low => "below",
            LimitKind::Rise { .. } => "rises a minute by more than",
            LimitKind::Fall { .. } => "falls a minute by more than",
        };
        writeln!(
            out,
            "limit {}/{}/{}: {kind} {} for {}: {}",
            limit.device,
            limit.point,
            limit.name,
            limit.threshold,
            duration_text(limit.on_delay),
            limit.severity.as_str()
        )?;
    }
    for class in &config.rules.classes {
        let ghost = class.ghost_after.map_or("never a ghost".to_owned(), |after| {
            format!("a ghost after {} of silence", duration_text(after))
        });
        writeln!(out, "class {}: {ghost}", class.name)?;
    }
    Ok(())
}

fn stores(config: &Config, out: &mut String) -> std::fmt::Result {
    let journal = &config.journal;
    let (path, bytes) = (journal.path.display(), size_text(journal.max_bytes));
    writeln!(out, "journal {path}, at most {bytes}, events for {}", duration_text(journal.retain_events))?;
    match &config.timescale {
        Some(store) => writeln!(out, "store TimescaleDB at {}", mask_url(store.url.reveal()))?,
        None => writeln!(out, "store: none, the journal is the database")?,
    }
    match config.web.listen {
        Some(address) => {
            let scheme = if config.web.tls.is_some() { "https" } else { "http" };
            writeln!(out, "web {scheme}://{address}, {} tokens", config.web.tokens.now().len())?;
        }
        None => writeln!(out, "web: off, commands through the control socket beside the journal")?,
    }
    match config.metrics {
        Some(address) => writeln!(out, "metrics http://{address}/metrics")?,
        None => writeln!(out, "metrics: off")?,
    }
    if let Some(alertmanager) = &config.notify.alertmanager {
        let urls: Vec<String> = alertmanager.urls.iter().map(|url| mask_url(url)).collect();
        writeln!(out, "alerts to Alertmanager at {}", urls.join(", "))?;
    }
    for webhook in &config.notify.webhooks {
        writeln!(out, "alerts to the webhook {} at {}", webhook.receiver.name, mask_url(&webhook.url))?;
    }
    for topic in &config.notify.mqtt {
        let (host, port) = (&topic.broker.host, topic.broker.port);
        writeln!(out, "alerts to {} of {host}:{port} ({})", topic.topic, topic.receiver.name)?;
    }
    if config.notify.log.is_some() {
        writeln!(out, "alerts to the log")?;
    }
    Ok(())
}

fn doors(config: &Config, out: &mut String) -> std::fmt::Result {
    for output in &config.doors.outputs {
        match &output.drive {
            Drive::Gpo { reader, port } => {
                writeln!(out, "output {}: {port} of reader {reader}", output.name)?
            }
            Drive::Topic(topic) => {
                let (host, port) = (&topic.broker.host, topic.broker.port);
                writeln!(out, "output {}: {} of {host}:{port}", output.name, topic.topic)?;
            }
        }
    }
    for door in &config.doors.doors {
        let rules: Vec<&str> = door.rules.iter().map(|rule| rule.as_str()).collect();
        let (outputs, hold) = (door.outputs.join(", "), duration_text(door.hold));
        writeln!(out, "door {}: {} switches {outputs} for {hold}", door.read_point, rules.join(", "))?;
    }
    Ok(())
}

fn places(config: &Config, out: &mut String) -> std::fmt::Result {
    for site in &config.rules.sites {
        let timezone = site.timezone.iana_name().unwrap_or("UTC");
        writeln!(out, "site {} ({timezone})", site.name)?;
    }
    for zone in &config.rules.zones {
        let coverage = match zone.coverage {
            Coverage::Continuous => "covered continuously",
            Coverage::PortalOnly => "covered by its portals only",
            Coverage::None => "not covered",
        };
        writeln!(out, "zone {} at {}: {coverage}", zone.name, zone.site)?;
    }
    for point in &config.rules.read_points {
        read_point(point, out)?;
    }
    for fence in &config.rules.fences {
        let zone = fence.zone.as_ref().map_or(String::new(), |zone| format!(", which is in {zone}"));
        writeln!(out, "fence {}: {}{zone}", fence.name, fence.shape.told())?;
    }
    Ok(())
}

fn read_point(point: &ReadPointConfig, out: &mut String) -> std::fmt::Result {
    match &point.kind {
        ReadPointKind::Presence { zone, .. } => write!(out, "read point {}: in {zone}", point.name)?,
        ReadPointKind::Portal { inside, outside, .. } => {
            let side = |zone: &Option<_>| zone.as_ref().map_or("(no zone)".to_owned(), ToString::to_string);
            write!(out, "read point {}: portal from {} to {}", point.name, side(outside), side(inside))?;
        }
    }
    let antennas: Vec<String> =
        point.antennas.iter().map(|antenna| format!("{}/{}", antenna.source, antenna.antenna)).collect();
    writeln!(out, ", antennas {}", antennas.join(", "))
}

fn sources(config: &Config, out: &mut String) -> std::fmt::Result {
    let at = |source: &SourceId| match config.rules.source_sites.get(source) {
        Some(site) => format!(" at {site}"),
        None => String::new(),
    };
    for reader in &config.readers {
        writeln!(out, "reader {}{}: LLRP, {}", reader.name, at(&reader.name), reader.reach)?;
    }
    for reader in &config.serial_readers {
        let (name, protocol, line) = (&reader.name, reader.protocol.name(), &reader.line);
        writeln!(out, "reader {name}{}: serial ({protocol}) {line}", at(name))?;
    }
    for broker in &config.brokers {
        let filters: Vec<&str> = broker.topics.iter().map(|topic| topic.pattern.written()).collect();
        let (host, port) = (&broker.host, broker.port);
        let over = if broker.tls.is_some() { " over TLS" } else { "" };
        let (version, filters) = (broker.version, filters.join(", "));
        let name = &broker.name;
        writeln!(out, "broker {name}{}: MQTT {version} at {host}:{port}{over}, topics {filters}", at(name))?;
    }
    for receiver in &config.receivers {
        let (name, device, line) = (&receiver.name, &receiver.device, &receiver.line);
        writeln!(out, "nmea {name}{}: receiver of {device} on {line}", at(name))?;
    }
    for listener in &config.teltonika {
        let (name, listen) = (&listener.name, listener.listen);
        let who = match &listener.devices {
            Some(devices) => format!("{} trackers", devices.len()),
            None => "any tracker".to_owned(),
        };
        writeln!(out, "teltonika {name}{}: {listen}, {who}", at(name))?;
    }
    for line in &config.modbus {
        let (name, transport) = (&line.name, &line.transport);
        for device in &line.units {
            let (unit, points, poll) = (device.unit, device.points.len(), duration_text(device.poll));
            let what = if device.device.as_str() == name.as_str() {
                String::new()
            } else {
                format!("{} ", device.device)
            };
            let at = at(name);
            writeln!(out, "modbus {name}{at}: {what}{transport} unit {unit}, {points} points every {poll}")?;
        }
    }
    Ok(())
}
