//! Bytes of other implementations: `tests/sparkplug/make.py` made them, and says how.

use super::*;

const PEERS: &str = include_str!("../../../../../tests/sparkplug/peers.txt");

fn messages() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    PEERS.lines().map(|line| {
        let (topic, digits) = line.split_once(' ').unwrap();
        (topic, hex::decode(digits).unwrap())
    })
}

#[test]
fn what_others_encode_is_what_they_meant() {
    let mut broker = Broker::new();
    broker.mapping =
        parse_metrics("speed = \"Speed\"\nspeed_unit = \"km/h\"\nignition = \"Ignition\"").unwrap();
    let mut given = Vec::new();
    for (topic, payload) in messages() {
        let out = broker.send_to(topic, &payload, false).unwrap_or_else(|error| panic!("{topic}: {error}"));
        given.push((topic.split('/').nth(2).unwrap(), out));
    }
    let all: Vec<(&str, Vec<String>)> = given.iter().map(|(kind, out)| (*kind, shown(out))).collect();
    let expected = [
        ("NBIRTH", vec!["nbirth Nothing"]),
        ("DBIRTH", vec!["0 52.5 13.25"]),
        ("DDATA", vec!["10 52.501 13.251"]),
        ("DDATA", vec!["20 52.502 13.251"]),
        ("DDATA", vec!["ddata Lives"]),
        ("DDATA", vec!["12 52.5012 13.2512", "14 52.5014 13.2514"]),
        ("DDATA", vec!["ddata NoFix"]),
        ("DDEATH", vec!["ddeath Gone"]),
        ("NDEATH", vec!["ndeath Nothing"]),
        ("NBIRTH", vec!["100 50.5 8.25"]),
        ("NDATA", vec!["110 50.501953125 8.25"]),
        ("NDEATH", vec!["ndeath Gone"]),
    ];
    assert_eq!(all, expected.map(|(kind, said)| (kind, said.into_iter().map(str::to_owned).collect())));
    let born = fix_of(&given[1].1);
    assert_eq!((born.device.as_str(), born.altitude_m), ("fleet/truck-7/gps", Some(34.5)));
    assert_eq!((born.speed_mps, born.ignition), (Some(10.0), Some(true)));
    // What was not told again is as it was.
    let later = fix_of(&given[3].1);
    assert_eq!((later.speed_mps, later.altitude_m, later.ignition), (Some(20.0), Some(34.5), Some(true)));
}

#[test]
fn values_of_every_kind_are_read() {
    let birth = messages().nth(1).unwrap().1;
    let birth = Payload::parse(&birth).unwrap();
    let meanings: Vec<_> = birth.metrics.iter().map(|metric| metric.meaning(None).unwrap()).collect();
    assert_eq!(
        meanings,
        [
            Some(Meaning::Number(52.5)),
            Some(Meaning::Number(13.25)),
            Some(Meaning::Number(34.5)),
            Some(Meaning::Signed(-7)),
            Some(Meaning::Unsigned(36)),
            Some(Meaning::Switch(true)),
            Some(Meaning::Text("diesel")),
            Some(Meaning::Other("bytes")),
            Some(Meaning::Time(millis(0))),
            None,
        ]
    );
    let (_, birth) = messages().nth(9).unwrap();
    let birth = Payload::parse(&birth).unwrap();
    let meanings: Vec<_> = birth.metrics[3..].iter().map(|metric| metric.meaning(None).unwrap()).collect();
    let others = [Meaning::Signed(-70_000), Meaning::Other("a data set"), Meaning::Other("a template")];
    assert_eq!(meanings, others.map(Some));
    // Sent without a datatype: the BIRTH has told it. -128 comes as one byte.
    let (_, data) = messages().nth(4).unwrap();
    let data = Payload::parse(&data).unwrap();
    assert_eq!(data.metrics[0].meaning(Some(1)), Ok(Some(Meaning::Signed(-128))));
    assert_eq!(data.metrics[0].meaning(None).unwrap_err().reason, "type");
}
