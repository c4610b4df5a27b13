//! Reads that are set aside: of tags that do not concern us, of no tag at all, of tags that may be none.

use super::*;
use crate::clean::{EXCLUDED, NOT_INCLUDED, PHANTOM, UNCONFIRMED};
use crate::config::ReadRules;
use crate::decode::epc::pattern;
use crate::domain::integrity;

fn tags(include: &[&str], exclude: &[&str]) -> TagFilter {
    let patterns = |texts: &[&str]| texts.iter().flat_map(|text| pattern::parse(text).unwrap()).collect();
    TagFilter { include: patterns(include), exclude: patterns(exclude) }
}

struct Bench {
    cleaner: Cleaner,
    out: Cleaned,
    known: Vec<Epc>,
}

impl Bench {
    fn new(rules: &Rules, stranger_reads: u32) -> Self {
        let intake = IntakeConfig { stranger_reads, stranger_within: seconds(10), ..intake() };
        let mut cleaner = Cleaner::new(rules, &intake);
        let mut out = Cleaned::default();
        Step::Up(0).run(&mut cleaner, &mut out);
        Step::Connected(0).run(&mut cleaner, &mut out);
        Self { cleaner, out, known: Vec::new() }
    }

    /// One read; the reason for which it was set aside.
    fn read(&mut self, tag: &str, antenna: Antenna, ms: i64) -> Option<&'static str> {
        self.read_with(tag, antenna, ms, None)
    }

    fn read_with(
        &mut self,
        tag: &str,
        antenna: Antenna,
        ms: i64,
        check: Option<(u16, u16)>,
    ) -> Option<&'static str> {
        let Some(Reading::Tag(read)) = Step::Read("00", antenna, ms, ms).reading() else { panic!("a read") };
        let (pc, crc) = check.unzip();
        let read = Reading::Tag(TagRead { epc: epc(tag), pc, crc, ..read });
        let known = &self.known;
        let before = self.out.filtered.clone();
        self.cleaner.reading_where(read, &"reader".into(), at(ms), |epc| known.contains(epc), &mut self.out);
        let of =
            |list: &[(&'static str, u64)], reason| list.iter().find(|(r, _)| *r == reason).map(|(_, n)| *n);
        let mut reasons = self.out.filtered.iter().map(|(reason, _)| *reason);
        reasons.find(|reason| of(&before, *reason) != of(&self.out.filtered, *reason))
    }

    /// What was seen of tags since the last call.
    fn tags_seen(&mut self) -> Vec<String> {
        let seen = std::mem::take(&mut self.out.sightings);
        let of_tags = |s: &&Sighting| matches!(s.what, Seen::Presence { .. } | Seen::Passage(_));
        seen.iter().filter(of_tags).map(line).collect()
    }
}

#[test]
fn tags_that_do_not_concern_a_reader_are_set_aside_by_reason() {
    let mut rules = rules();
    let filter = tags(&["3014*"], &["301400000000000000000002", "30140000000000000000ee"]);
    rules.reads.insert("reader".into(), ReadRules { tags: filter, check_crc: true });
    let mut bench = Bench::new(&rules, 1);
    assert_eq!(bench.read("0001", 1, 100), None);
    assert_eq!(bench.read("0001", 1, 200), None);
    assert_eq!(bench.read("0002", 1, 300), Some(EXCLUDED));
    assert_eq!(bench.tags_seen(), ["100 0001 Arrived crib"]);
    // The reference tag says whether a read point hears, whatever is excluded.
    assert_eq!(bench.read("ee", 4, 400), None);
    // The rules change while it runs.
    let filter = tags(&["scheme:giai"], &[]);
    rules.reads.insert("reader".into(), ReadRules { tags: filter, check_crc: true });
    bench.cleaner.set_rules(&rules);
    assert_eq!(bench.read("0001", 1, 500), Some(NOT_INCLUDED));
    assert_eq!(bench.out.used, 4, "the reads and the reader's greeting");
    assert_eq!(bench.out.filtered, [(EXCLUDED, 1), (NOT_INCLUDED, 1)]);
}

#[test]
fn what_is_filtered_is_still_traffic() {
    let mut rules = rules();
    rules.reads.insert("reader".into(), ReadRules { tags: tags(&["34*"], &[]), check_crc: true });
    let mut bench = Bench::new(&rules, 1);
    assert_eq!(bench.read("0001", 1, 100), Some(NOT_INCLUDED));
    let hears = |s: &Sighting| matches!(&s.what, Seen::Hearing { read_point, hearing: true } if read_point.as_str() == "crib");
    assert!(bench.out.sightings.iter().any(hears), "{:?}", bench.out.sightings);
}

#[test]
fn a_read_point_has_a_filter_of_its_own() {
    let mut rules = rules();
    // The crib watches the door's inner antenna too.
    rules.read_points[0].antennas.push(AntennaConfig { source: "reader".into(), antenna: 2, inside: true });
    rules.read_points[0].tags = tags(&[], &["301400000000000000000001"]);
    let mut bench = Bench::new(&rules, 1);
    assert_eq!(bench.read("0001", 1, 100), Some(EXCLUDED));
    assert_eq!(bench.read("0002", 1, 100), None);
    // At the door it counts.
    assert_eq!(bench.read("0001", 2, 200), None);
    assert_eq!(bench.read("0001", 2, 300), None);
    assert_eq!(bench.tags_seen(), Vec::<String>::new());
}

/// Protocol control word and CRC of a tag.
fn check(tag: &str) -> (u16, u16) {
    let epc = epc(tag);
    let crc = (0..=u16::MAX).find(|crc| integrity::passes(&epc, 0x3000, *crc) == Some(true)).unwrap();
    (0x3000, crc)
}

#[test]
fn a_read_that_fails_the_tags_own_check_is_a_phantom() {
    let (pc, crc) = check("0001");
    let mut bench = Bench::new(&rules(), 1);
    for ms in [100, 200, 300] {
        assert_eq!(bench.read_with("0002", 1, ms, Some((pc, crc))), Some(PHANTOM));
    }
    assert_eq!(bench.tags_seen(), Vec::<String>::new());
    assert!(
        !bench.out.sightings.iter().any(|s| matches!(s.what, Seen::Hearing { .. })),
        "noise is no traffic"
    );
    assert_eq!(bench.read_with("0001", 1, 400, Some((pc, crc))), None);
    assert_eq!(bench.read_with("0001", 1, 500, Some((pc, crc))), None);
    assert_eq!(bench.tags_seen(), ["400 0001 Arrived crib"]);

    let mut unchecked = rules();
    unchecked.reads.insert("reader".into(), ReadRules { tags: TagFilter::default(), check_crc: false });
    assert_eq!(Bench::new(&unchecked, 1).read_with("0002", 1, 100, Some((pc, crc))), None);
}

#[test]
fn how_a_readers_checks_went_outlives_a_restart() {
    let (pc, crc) = check("0001");
    let mut bench = Bench::new(&rules(), 1);
    let phantoms = (0..100).filter(|nth| bench.read_with("0002", 1, *nth, Some((pc, crc))) == Some(PHANTOM));
    assert_eq!(phantoms.count(), 100);
    let rows = rows_of(&mut bench.cleaner);
    let mut again = Bench::new(&rules(), 1);
    let rows = rows.into_iter().filter_map(|row| Some((row.kind, row.key, row.value?)));
    again.cleaner.restore(rows).unwrap();
    assert_eq!(
        again.read_with("0002", 1, 200, Some((pc, crc))),
        None,
        "a check that never passes says nothing"
    );
}

#[test]
fn a_code_that_nobody_knows_exists_when_it_was_read_again() {
    let mut bench = Bench::new(&rules(), 3);
    bench.known = vec![epc("000a")];
    // Known: it needs what any tag needs to be present.
    assert_eq!([100, 200].map(|ms| bench.read("000a", 1, ms)), [None, None]);
    assert_eq!(bench.tags_seen(), ["100 000a Arrived crib"]);
    // Unknown: the third read makes it exist, and it was there since the first.
    let reasons = [1000, 1500, 2000, 2500].map(|ms| bench.read("000b", 1, ms));
    assert_eq!(reasons, [Some(UNCONFIRMED), Some(UNCONFIRMED), None, None]);
    assert_eq!(bench.tags_seen(), ["1000 000b Arrived crib"]);
    // Once, and never again: nothing comes of it, at a door either.
    assert_eq!([bench.read("000c", 1, 3000), bench.read("000d", 2, 3000)], [Some(UNCONFIRMED); 2]);
    Step::Tick(60_000).run(&mut bench.cleaner, &mut bench.out);
    let seen = bench.tags_seen();
    assert!(seen.iter().all(|line| !line.contains("0c") && !line.contains("0d")), "{seen:?}");
    assert_eq!(bench.out.filtered, [(UNCONFIRMED, 4)]);
}

#[test]
fn a_code_that_somebody_included_by_name_needs_no_second_read() {
    let mut rules = rules();
    rules.read_points[1].tags = tags(&["30140000000000000000000b"], &[]);
    let mut bench = Bench::new(&rules, 2);
    assert_eq!(bench.read("000b", 2, 100), None);
    assert_eq!(bench.read("000c", 1, 100), Some(UNCONFIRMED));
    let included = ReadRules { tags: tags(&["30140000000000000000000c"], &[]), check_crc: true };
    rules.reads = [("reader".into(), included)].into();
    bench.cleaner.set_rules(&rules);
    assert_eq!(bench.read("000c", 1, 200), None);
}
