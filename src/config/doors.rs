//! Lights and buzzers at doors: what can be switched, and which alert at which door switches it.

use std::time::Duration;

use super::document::Section;
use super::validate::{DAY, HOUR, SECOND, Scope};
use super::{BrokerConfig, brokers};
use crate::domain::alerts::Rule;
use crate::domain::ids::{ReadPointId, SourceId};

/// Outputs of a reader are numbered from 1; none is known to have more.
const MAX_GPO: i64 = 64;

#[derive(Clone, Debug, Default)]
pub struct DoorsConfig {
    pub outputs: Vec<OutputConfig>,
    pub doors: Vec<DoorConfig>,
}

/// Something that can be switched on and off.
#[derive(Clone, Debug)]
pub struct OutputConfig {
    pub name: String,
    pub drive: Drive,
}

#[derive(Clone, Debug)]
pub enum Drive {
    /// An output of a reader.
    Gpo {
        reader: SourceId,
        port: u16,
    },
    Topic(Box<TopicOutputConfig>),
}

/// A light or a buzzer that listens to an MQTT topic.
#[derive(Clone, Debug)]
pub struct TopicOutputConfig {
    /// Where, and as whom; it subscribes to nothing.
    pub broker: BrokerConfig,
    pub topic: String,
    pub on: String,
    pub off: String,
    pub retain: bool,
}

/// What one read point switches, by which alerts, and for how long.
#[derive(Clone, Debug)]
pub struct DoorConfig {
    pub read_point: ReadPointId,
    pub rules: Vec<Rule>,
    /// Names of outputs.
    pub outputs: Vec<String>,
    pub hold: Duration,
    /// A passage that is told later than this after it could have been switches nothing.
    pub fresh_for: Duration,
}

pub(super) fn doors(top: &Section<'_>, scope: &Scope<'_>) -> DoorsConfig {
    let outputs = top.tables("output").into_iter().filter_map(|section| output(section, scope)).collect();
    let doors = top.tables("door").into_iter().filter_map(|section| door(section, scope)).collect();
    DoorsConfig { outputs, doors }
}

fn output(section: Section<'_>, scope: &Scope<'_>) -> Option<OutputConfig> {
    let name = scope.own_name(&section, "output");
    let reader = scope.refer(&section, "reader", "reader");
    if reader.is_some_and(|reader| scope.names.serial_readers.contains(reader)) {
        section.problem(
            "reader",
            "a serial reader, of which no output can be switched",
            "a reader with protocol = \"llrp\"; or mqtt",
        );
    }
    let port = section.integer::<u16>("gpo", 1..=MAX_GPO);
    let topic = section.table("mqtt").and_then(|table| topic(table, scope));
    if section.has("mqtt") == section.has("reader") {
        let wrong = if section.has("mqtt") { "given beside mqtt" } else { "missing, and mqtt too" };
        section.problem("reader", wrong, "write reader and gpo, or mqtt");
    }
    if section.has("reader") {
        section.need("gpo", port, "the number of the reader's output, from 1");
    } else if section.has("gpo") {
        section.problem("gpo", "without reader", "write the reader that it is an output of");
    }
    if let (Some(reader), Some(port)) = (reader, port) {
        scope.is_first(&section, "gpo", "gpo", &format!("{reader}/{port}"));
    }
    section.finish();
    let gpo = reader.zip(port).map(|(reader, port)| Drive::Gpo { reader: SourceId::new(reader), port });
    let drive = gpo.or(topic.map(|topic| Drive::Topic(Box::new(topic))));
    Some(OutputConfig { name: name?.to_owned(), drive: drive? })
}

fn topic(section: Section<'_>, scope: &Scope<'_>) -> Option<TopicOutputConfig> {
    let broker = brokers::publisher(&section, scope);
    let allowed = "a topic without + and #, for instance \"dock-1/light/set\"";
    let topic = brokers::publish_topic(&section, allowed).map(str::to_owned);
    let topic = section.need("topic", topic, allowed);
    let word = |key, default: &str| section.text(key).unwrap_or(default).to_owned();
    let (on, off) = (word("on", "ON"), word("off", "OFF"));
    if on == off {
        section.problem("off", "the same as on", "what switches it off");
    }
    let retain = section.flag("retain").unwrap_or(false);
    section.finish();
    Some(TopicOutputConfig { broker: broker?, topic: topic?, on, off, retain })
}

fn door(section: Section<'_>, scope: &Scope<'_>) -> Option<DoorConfig> {
    let read_point = scope.refer(&section, "read_point", "read_point");
    if read_point.is_some_and(|point| scope.names.presence_points.contains(point)) {
        section.problem(
            "read_point",
            "a read point where things stay, which nobody passes: it would never act",
            "a read point with kind = \"portal\"",
        );
    }
    let read_point = section.need("read_point", read_point, "the name of a [[read_point]]");
    let known: Vec<&str> = Rule::ALL.into_iter().filter(|rule| rule.is_at_door()).map(Rule::as_str).collect();
    let rules = section.list("rules", &format!("rules that name a door: {}", known.join(", ")), |value| {
        Rule::parse(value.as_str()?).filter(|rule| rule.is_at_door())
    });
    let rules = rules.unwrap_or_else(|| vec![Rule::UnauthorisedExit, Rule::NotReadyExit]);
    let outputs = scope.refer_all(&section, "outputs", "output", str::to_owned);
    if !section.has("outputs") {
        section.problem("outputs", "missing", "write the names of [[output]]s");
    }
    let hold = section.duration("for", SECOND..=HOUR).unwrap_or(10 * SECOND);
    let fresh_for = section.duration("fresh_for", SECOND..=DAY).unwrap_or(30 * SECOND);
    section.finish();
    Some(DoorConfig { read_point: ReadPointId::new(read_point?), rules, outputs, hold, fresh_for })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, ConfigError, parse};

    fn with(more: &str) -> Result<Config, ConfigError> {
        let places = "node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n[[zone]]\nname = \"in\"\n";
        let reader = "[[reader]]\nname = \"r\"\nprotocol = \"llrp\"\naddress = \"10.0.0.1:5084\"\n";
        let point = "[[read_point]]\nname = \"d\"\nkind = \"portal\"\ninside = \"in\"\nantennas = [\
                     { reader = \"r\", antenna = 1, side = \"inside\" }, { reader = \"r\", antenna = 2, \
                     side = \"outside\" }]\n";
        let others = "[[reader]]\nname = \"gun\"\nprotocol = \"r200\"\naddress = \"10.0.0.2:4001\"\n\
                      [[read_point]]\nname = \"crib\"\nkind = \"presence\"\nzone = \"in\"\nantennas = [\
                      { reader = \"gun\", antenna = 1 }]\n";
        parse(&[places, reader, point, others, more].concat(), Path::new(""), &|_| None)
    }

    #[test]
    fn a_door_has_defaults() {
        let output = "[[output]]\nname = \"light\"\nreader = \"r\"\ngpo = 2\n";
        let door = "[[door]]\nread_point = \"d\"\noutputs = [\"light\"]\n";
        let config = with(&[output, door].concat()).unwrap();
        let door = &config.doors.doors[0];
        assert_eq!(door.rules, [Rule::UnauthorisedExit, Rule::NotReadyExit]);
        assert_eq!((door.hold, door.fresh_for), (10 * SECOND, 30 * SECOND));
        assert!(matches!(&config.doors.outputs[0].drive, Drive::Gpo { port: 2, .. }));
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_place() {
        let two = "[[output]]\nname = \"a\"\nreader = \"r\"\ngpo = 1\n[[output]]\nname = \"b\"\nreader = \"r\"\ngpo = 1\n";
        let faults = [
            (two.to_owned(), "output[1].gpo"),
            ("[[output]]\nname = \"a\"\n".to_owned(), "output[0].reader"),
            ("[[output]]\nname = \"a\"\nreader = \"r\"\n".to_owned(), "output[0].gpo"),
            ("[[output]]\nname = \"a\"\nreader = \"r\"\ngpo = 0\n".to_owned(), "output[0].gpo"),
            ("[[output]]\nname = \"a\"\nreader = \"gun\"\ngpo = 1\n".to_owned(), "output[0].reader: \"gun\": a serial reader"),
            ("[[door]]\nread_point = \"crib\"\noutputs = []\n".to_owned(), "door[0].read_point: \"crib\": a read point where things stay"),
            ("[[output]]\nname = \"a\"\ngpo = 1\nmqtt = { address = \"m:1\", client_id = \"c\", topic = \"t\" }\n".to_owned(), "output[0].gpo"),
            ("[[output]]\nname = \"a\"\nmqtt = { address = \"m:1\", client_id = \"c\", topic = \"t/#\" }\n".to_owned(), "output[0].mqtt.topic"),
            ("[[output]]\nname = \"a\"\nmqtt = { address = \"m:1\", client_id = \"c\", topic = \"t\", on = \"0\", off = \"0\" }\n".to_owned(), "output[0].mqtt.off"),
            ("[[door]]\nread_point = \"d\"\noutputs = [\"none\"]\n".to_owned(), "door[0].outputs[0]"),
            ("[[door]]\nread_point = \"d\"\n".to_owned(), "door[0].outputs"),
            ("[[door]]\nread_point = \"d\"\noutputs = []\nrules = [\"ghost\"]\n".to_owned(), "door[0].rules[0]"),
        ];
        for (text, path) in faults {
            let told = with(&text).unwrap_err().to_string();
            assert!(told.contains(path), "{path}: {told}");
        }
    }
}
