//! Messages of edge nodes, encoded by two other implementations (`peers`) and by hand.

mod hostile;
mod memory;
mod order;
mod peers;
mod wire;

use super::*;
use crate::config::{IntakeConfig, parse_metrics};
use crate::decode::gps::json::{SpeedUnit, TimeFormat};
use crate::domain::readings::{Fix, Reading, Says};
use crate::domain::state::StateRow;
use crate::domain::time::Timestamp;

/// 2026-01-01T12:00:00Z.
const NOON: i64 = 1_767_268_800;

fn at(second: i64) -> Timestamp {
    Timestamp::from_secs(NOON + second)
}

/// A broker's edge nodes, and the connection that their messages come by.
struct Broker {
    nodes: Nodes,
    mapping: MetricMapping,
    received: i64,
}

impl Broker {
    fn new() -> Self {
        let mapping = parse_metrics(
            "latitude = \"lat\"\nlongitude = \"lon\"\nspeed = \"speed\"\nspeed_unit = \"km/h\"\ntime = \"utc\"\n\
             valid = \"fix\"\nignition = \"ign\"\nbattery = \"bat\"\nodometer = \"odo\"\n\
             odometer_unit = \"km\"\n",
        );
        Self { nodes: Nodes::new(&IntakeConfig::default()), mapping: mapping.unwrap(), received: 0 }
    }

    fn send_to(&mut self, topic: &str, payload: &[u8], retained: bool) -> Result<Decoded, DecodeError> {
        self.received += 1;
        let mut out = Decoded::default();
        let message = Message { retained, ..Message::new(topic, payload, at(self.received)) };
        let taken = decode(&mut self.nodes, &self.mapping, message, None, &mut out);
        taken.and_then(|()| out.or_fault()).map(|()| out)
    }

    fn send(&mut self, kind: &str, payload: &[u8]) -> Result<Decoded, DecodeError> {
        let device = if kind.starts_with('D') { "/gps" } else { "" };
        self.send_to(&format!("spBv1.0/fleet/{kind}/truck{device}"), payload, false)
    }

    /// What a message gives, in short: fixes by their second and coordinates, notes by what they say, reasons.
    fn says(&mut self, kind: &str, payload: &[u8]) -> Vec<String> {
        match self.send(kind, payload) {
            Err(error) => vec![error.reason.to_owned()],
            Ok(out) => shown(&out),
        }
    }

    /// Node and device are born at noon: latitude 50 and longitude 8, by the aliases 1 and 2, a speed by 3.
    fn born() -> Self {
        let mut broker = Self::new();
        broker.send("NBIRTH", &payload(0, 0, &[bd_seq(7)])).unwrap();
        let metrics = [
            named("lat", 1, 0, 50.0),
            named("lon", 2, 0, 8.0),
            named("speed", 3, 0, 36.0),
            named("rpm", 9, 0, 0.0),
        ];
        assert_eq!(broker.says("DBIRTH", &payload(1, 0, &metrics)), ["0 50 8"]);
        broker
    }
}

fn shown(out: &Decoded) -> Vec<String> {
    let readings = out.readings.iter().map(|reading| match reading {
        Reading::Fix(Fix { observed_at, position, .. }) => {
            format!("{} {} {}", observed_at.since(at(0)).as_secs(), position.lat, position.lon)
        }
        Reading::Note(note) => format!("{} {:?}", note.kind, note.says),
        other => format!("{other:?}"),
    });
    readings.chain(out.faults.iter().map(|fault| fault.reason.to_owned())).collect()
}

fn fix_of(out: &Decoded) -> &Fix {
    match &out.readings[..] {
        [Reading::Fix(fix)] => fix,
        other => panic!("{other:?} instead of a fix"),
    }
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(field: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(field << 3, &mut out);
    varint(value, &mut out);
    out
}

fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(field << 3 | 2, &mut out);
    varint(value.len() as u64, &mut out);
    out.extend(value);
    out
}

fn double(value: f64) -> Vec<u8> {
    [&[13 << 3 | 1][..], &value.to_le_bytes()].concat()
}

fn millis(second: i64) -> u64 {
    ((NOON + second) * 1000) as u64
}

/// A metric of the fields that follow its time.
fn metric(second: i64, fields: &[Vec<u8>]) -> Vec<u8> {
    [number(3, millis(second)), fields.concat()].concat()
}

fn named(name: &str, alias: u64, second: i64, value: f64) -> Vec<u8> {
    metric(second, &[bytes(1, name.as_bytes()), number(2, alias), number(4, 10), double(value)])
}

/// In a DATA message: no name, no datatype.
fn told(alias: u64, second: i64, value: f64) -> Vec<u8> {
    metric(second, &[number(2, alias), double(value)])
}

fn past(alias: u64, second: i64, value: f64) -> Vec<u8> {
    metric(second, &[number(2, alias), number(5, 1), double(value)])
}

fn bd_seq(value: u64) -> Vec<u8> {
    metric(0, &[bytes(1, b"bdSeq"), number(4, 4), number(11, value)])
}

fn payload(seq: u64, second: i64, metrics: &[Vec<u8>]) -> Vec<u8> {
    let metrics: Vec<u8> = metrics.iter().flat_map(|metric| bytes(2, metric)).collect();
    [number(1, millis(second)), metrics, number(3, seq)].concat()
}
