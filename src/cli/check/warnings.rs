//! What a configuration may say and probably does not mean.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::values::duration_text;
use crate::config::{
    Config, LimitKind, ModbusTransport, ReadPointConfig, ReadPointKind, SerialLine, TopicConfig,
};
use crate::domain::ids::{SourceId, ZoneId};
use crate::domain::register::Coverage;

/// Mosquitto's own default: so many messages under way to a client.
const MOSQUITTO_INFLIGHT: u16 = 20;

const MQTT_TLS_PORT: u16 = 8883;

/// One line each.
pub fn warnings(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    zones(config, &mut found);
    for point in &config.rules.read_points {
        read_point(config, point, &mut found);
    }
    readers(config, &mut found);
    brokers(config, &mut found);
    trackers(config, &mut found);
    lines(config, &mut found);
    points(config, &mut found);
    limits(config, &mut found);
    classes(config, &mut found);
    node(config, &mut found);
    found
}

fn zones(config: &Config, found: &mut Vec<String>) {
    let points = || config.rules.read_points.iter();
    let presence: BTreeSet<&ZoneId> = points()
        .filter_map(|point| match &point.kind {
            ReadPointKind::Presence { zone, .. } => Some(zone),
            ReadPointKind::Portal { .. } => None,
        })
        .collect();
    let portals: BTreeSet<&ZoneId> = points()
        .flat_map(|point| match &point.kind {
            ReadPointKind::Presence { .. } => [None, None],
            ReadPointKind::Portal { inside, outside, .. } => [inside.as_ref(), outside.as_ref()],
        })
        .flatten()
        .collect();
    let fenced: BTreeSet<&ZoneId> =
        config.rules.fences.iter().filter_map(|fence| fence.zone.as_ref()).collect();
    for zone in &config.rules.zones {
        let name = &zone.name;
        match zone.coverage {
            Coverage::Continuous if !presence.contains(name) => found.push(format!(
                "zone {name}: covered continuously, but no presence read point listens in it: its ghost clocks will never run"
            )),
            Coverage::PortalOnly if !portals.contains(name) => {
                found.push(format!("zone {name}: covered by portal only, but no portal leads to it"));
            }
            Coverage::None if ![&presence, &portals, &fenced].iter().any(|used| used.contains(name)) => {
                found.push(format!("zone {name}: no read point and no fence leads to it: nothing is ever seen there"));
            }
            _ => {}
        }
    }
}

fn read_point(config: &Config, point: &ReadPointConfig, found: &mut Vec<String>) {
    let name = &point.name;
    let presence = matches!(point.kind, ReadPointKind::Presence { .. });
    if presence && point.reference_tag.is_none() {
        found.push(format!(
            "read point {name}: no reference_tag: when it is quiet for {}, it counts as deaf",
            duration_text(point.hearing_timeout)
        ));
    }
    if !presence {
        let inside = point.antennas.iter().filter(|antenna| antenna.inside).count();
        if inside == 0 || inside == point.antennas.len() {
            found.push(format!(
                "read point {name}: all of the portal's antennas watch one side: it cannot tell in from out"
            ));
        }
    }
    for antenna in &point.antennas {
        let reader = config.readers.iter().find(|reader| reader.name == antenna.source);
        let used = |antennas: &[u16]| antennas.is_empty() || antennas.contains(&antenna.antenna);
        if reader.is_some_and(|reader| !used(&reader.rospec.antennas)) {
            found.push(format!(
                "read point {name}: reader {} does not use antenna {}: add it to the reader's antennas",
                antenna.source, antenna.antenna
            ));
        }
    }
}

fn readers(config: &Config, found: &mut Vec<String>) {
    let used: BTreeSet<&SourceId> = config
        .rules
        .read_points
        .iter()
        .flat_map(|point| &point.antennas)
        .map(|antenna| &antenna.source)
        .collect();
    let llrp = config.readers.iter().map(|reader| &reader.name);
    let serial = config.serial_readers.iter().map(|reader| &reader.name);
    for reader in llrp.chain(serial).filter(|reader| !used.contains(reader)) {
        found.push(format!("reader {reader}: no read point has one of its antennas: its reads go nowhere"));
    }
    for reader in &config.serial_readers {
        port_may_move("reader", &reader.name, &reader.line, found);
    }
}

fn brokers(config: &Config, found: &mut Vec<String>) {
    for broker in &config.brokers {
        let name = &broker.name;
        if broker.max_inflight > MOSQUITTO_INFLIGHT {
            found.push(format!(
                "broker {name}: if it is Mosquitto, its defaults lose messages and slow us down; set \
                 persistence true, max_inflight_messages {} or more, max_queued_messages for the longest \
                 time that we may be away",
                broker.max_inflight
            ));
        }
        if broker.port == MQTT_TLS_PORT && broker.tls.is_none() {
            found.push(format!(
                "broker {name}: {MQTT_TLS_PORT} is the port of MQTT over TLS, and `tls` is not set: it will most likely not answer"
            ));
        }
        for (nth, topic) in broker.topics.iter().enumerate() {
            let written = topic.pattern.written();
            if written.trim() != written {
                found.push(format!("broker {name}: topic `{written}` has a blank at its end, which counts"));
            }
            if let Some(before) = broker.topics[..nth].iter().find(|before| takes_all_of(before, topic)) {
                found.push(format!(
                    "broker {name}: topic {written} never gets a message: {} stands before it and takes them all; \
                     write it behind",
                    before.pattern.written()
                ));
            }
        }
        for topic in broker.topics.iter().filter(|topic| topic.pattern.is_shared()) {
            found.push(format!(
                "broker {name}: topic {} is shared: the broker gives each message to one of the group, so the fixes \
                 of one device come to several daemons, each in part, and in no order; let every daemon have its own \
                 devices instead, unless all of them write to one database and none of its fences and trips matter",
                topic.pattern.written()
            ));
        }
        for topic in broker.topics.iter().filter(|topic| topic.qos == 0) {
            found.push(format!(
                "broker {name}: topic {} has qos 0: what is sent while we are away is lost",
                topic.pattern.written()
            ));
        }
    }
}

/// By topics that nobody has: what takes these takes any.
fn takes_all_of(before: &TopicConfig, topic: &TopicConfig) -> bool {
    let any = |rest: &str| {
        let levels = topic.pattern.unshared_filter().split('/');
        let levels = levels.map(|level| match level {
            "+" => "\u{1}",
            "#" => rest,
            level => level,
        });
        levels.collect::<Vec<_>>().join("/")
    };
    ["\u{1}", "\u{1}/\u{1}"].iter().all(|rest| before.pattern.takes(&any(rest)))
}

fn trackers(config: &Config, found: &mut Vec<String>) {
    for listener in config.teltonika.iter().filter(|listener| !listener.listen.ip().is_loopback()) {
        if listener.devices.is_none() {
            found.push(format!(
                "teltonika {}: without `devices`, whoever reaches {} is believed to be the tracker that it names",
                listener.name, listener.listen
            ));
        }
    }
}

/// A gateway often takes one connection, and one that is transparent may give two masters one another's answers.
fn lines(config: &Config, found: &mut Vec<String>) {
    let mut taken: BTreeMap<&str, &SourceId> = BTreeMap::new();
    for line in &config.modbus {
        match &line.transport {
            ModbusTransport::Tcp { address, .. } | ModbusTransport::RtuOverTcp(address) => {
                if let Some(other) = taken.insert(address, &line.name) {
                    found.push(format!(
                        "modbus {} and {other}: both connect to {address}, where many gateways take one connection \
                         only: let one [[modbus]] have all its devices, each a [[modbus.device]]",
                        line.name
                    ));
                }
            }
            ModbusTransport::Rtu(line_of_its_own) => {
                port_may_move("modbus", &line.name, line_of_its_own, found)
            }
        }
    }
}

/// Times that do not go with how often a point is read.
fn points(config: &Config, found: &mut Vec<String>) {
    let units = config.modbus.iter().flat_map(|line| &line.units);
    for (unit, point) in units.flat_map(|unit| unit.points.iter().map(move |point| (unit, point))) {
        let poll = point.poll.unwrap_or(unit.poll);
        let what = format!(
            "modbus device {}: point {} is read every {}",
            unit.device,
            point.name,
            duration_text(poll)
        );
        if let Some(after) = point.checks.stale_after.filter(|after| *after <= poll) {
            found.push(format!(
                "{what}, and stale after {}: it always is until it is read",
                duration_text(after)
            ));
        }
        if let Some(after) = point.checks.flat_after.filter(|after| *after <= poll) {
            let after = duration_text(after);
            found.push(format!(
                "{what}, and flat after {after}: who tells the same value twice is not believed"
            ));
        }
        let limits = config.rules.limits.iter();
        for limit in limits.filter(|limit| limit.device == unit.device && limit.point == point.name) {
            if let Some(over) = limit.kind.over().filter(|over| over.saturating_mul(2) < poll) {
                let over = duration_text(over);
                found.push(format!(
                    "{what}, and limit {} looks at {over}: it never knows both ends",
                    limit.name
                ));
            }
        }
    }
}

fn port_may_move(what: &str, name: &SourceId, line: &SerialLine, found: &mut Vec<String>) {
    let SerialLine::Port { path, .. } = line else { return };
    if path.to_str().is_some_and(|path| path.starts_with("/dev/ttyUSB") || path.starts_with("/dev/ttyACM")) {
        found.push(format!(
            "{what} {name}: {} may be another device after a restart: use its link in /dev/serial/by-id",
            path.display()
        ));
    }
}

fn limits(config: &Config, found: &mut Vec<String>) {
    let limits = &config.rules.limits;
    let of = |kind| limits.iter().filter(move |limit| limit.kind == kind);
    for low in of(LimitKind::Low) {
        let same_point = |high: &&_| {
            let high: &crate::config::LimitConfig = high;
            high.device == low.device && high.point == low.point && high.threshold <= low.threshold
        };
        for high in of(LimitKind::High).filter(same_point) {
            found.push(format!(
                "limit {}/{}: {} (high {}) is not above {} (low {}): one of them always holds",
                low.device, low.point, high.name, high.threshold, low.name, low.threshold
            ));
        }
    }
}

fn classes(config: &Config, found: &mut Vec<String>) {
    let slowest = config.rules.read_points.iter().filter_map(|point| match point.kind {
        ReadPointKind::Presence { refresh, .. } => Some((refresh, &point.name)),
        ReadPointKind::Portal { .. } => None,
    });
    let Some((refresh, point)) = slowest.max() else { return };
    for class in &config.rules.classes {
        if let Some(after) = class.ghost_after.filter(|after| *after <= refresh) {
            found.push(format!(
                "class {}: ghost_after {} is not longer than refresh {} of read point {point}",
                class.name,
                duration_text(after),
                duration_text(refresh)
            ));
        }
    }
}

fn node(config: &Config, found: &mut Vec<String>) {
    if config.readers.is_empty()
        && config.serial_readers.is_empty()
        && config.brokers.is_empty()
        && config.modbus.is_empty()
        && config.receivers.is_empty()
        && config.teltonika.is_empty()
    {
        found.push("no reader, broker, nmea, teltonika or modbus: nothing comes in".to_owned());
    }
    let notify = &config.notify;
    if notify.alertmanager.is_none() && notify.webhooks.is_empty() && notify.mqtt.is_empty() {
        found.push(match &notify.log {
            Some(_) => "no notify but the log: who does not read it is not told of alerts".to_owned(),
            None => "no notify: alerts are kept and shown, and nobody is told".to_owned(),
        });
    }
    if config.web.listen.is_some() && config.web.tokens.now().is_empty() {
        found.push("web: no token: the API answers nobody; `tallyman token` makes one".to_owned());
    }
}
