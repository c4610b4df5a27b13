//! Two doors and a reader's antenna that nobody was given.

use std::path::Path;

use super::*;
use crate::config::{self, Config};

fn config() -> Config {
    let text = "node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n\
        [[reader]]\nname = \"r\"\nprotocol = \"llrp\"\naddress = \"127.0.0.1:1\"\n\
        [[reader]]\nname = \"q\"\nprotocol = \"llrp\"\naddress = \"127.0.0.1:2\"\n\
        [[zone]]\nname = \"hall\"\n\
        [[read_point]]\nname = \"dock1\"\nkind = \"presence\"\nzone = \"hall\"\n\
        antennas = [{ reader = \"r\", antenna = 1 }, { reader = \"r\", antenna = 2 }]\n\
        [[read_point]]\nname = \"dock2\"\nkind = \"presence\"\nzone = \"hall\"\n\
        antennas = [{ reader = \"q\", antenna = 1 }]\n";
    config::parse(text, Path::new(""), &|_| None).unwrap_or_else(|error| panic!("{error}"))
}

fn sieve(shows: impl Fn(&SourceId) -> bool) -> Sieve {
    let rules = config().rules;
    Sieve::new(&rules, &rules.read_points[0].name, shows)
}

fn read(source: &str, antenna: Antenna, tag: u32, second: u64) -> LiveRead {
    LiveRead {
        received_at: Timestamp::from_secs(1_800_000_000) + Duration::from_secs(second),
        source: SourceId::new(source),
        antenna,
        epc: Epc::new(32, &tag.to_be_bytes()).unwrap(),
        rssi_dbm: Some(-50.0),
        count: 1,
        held: false,
    }
}

#[test]
fn what_is_read_here_passes_and_elsewhere_what_was_here_lately() {
    let mut sieve = sieve(|_| true);
    assert_eq!(sieve.pass(&read("q", 1, 7, 0)), None, "not heard here yet");
    let here = sieve.pass(&read("r", 1, 7, 1)).unwrap();
    assert!(here.here);
    assert_eq!((here.epc.as_str(), here.read_point), ("00000007", Some(ReadPointId::new("dock1"))));
    let there = sieve.pass(&read("q", 1, 7, 60)).unwrap();
    assert_eq!((there.here, there.read_point), (false, Some(ReadPointId::new("dock2"))));
    assert_eq!(sieve.pass(&read("q", 1, 8, 60)), None, "another tag");
    assert_eq!(sieve.pass(&read("q", 1, 7, 61)), None, "a minute is over");
}

#[test]
fn an_antenna_that_nobody_was_given_is_elsewhere() {
    let mut sieve = sieve(|_| true);
    assert!(sieve.pass(&read("r", 2, 7, 0)).unwrap().here, "the second antenna of the read point");
    let nobodys = sieve.pass(&read("q", 4, 7, 0)).unwrap();
    assert_eq!((nobodys.here, nobodys.read_point), (false, None));
}

#[test]
fn what_belongs_to_other_sites_is_not_told() {
    let mut sieve = sieve(|source| source.as_str() == "r");
    assert!(sieve.pass(&read("r", 1, 7, 0)).is_some());
    assert_eq!(sieve.pass(&read("q", 1, 7, 0)), None);
}

#[test]
fn tags_that_are_followed_are_bounded_and_those_of_before_make_room() {
    let mut sieve = sieve(|_| true);
    for tag in 0..MOST as u32 {
        sieve.pass(&read("r", 1, tag, 0));
    }
    assert!(sieve.pass(&read("r", 1, 20_000, 1)).is_some(), "here it is told all the same");
    assert_eq!(sieve.pass(&read("q", 1, 20_000, 1)), None);
    sieve.pass(&read("r", 1, 20_000, 60));
    assert!(sieve.pass(&read("q", 1, 20_000, 60)).is_some());
    assert_eq!(sieve.heard.len(), 1);
}
