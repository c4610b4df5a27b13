//! Two doors beside one another that hear the same load: whose traffic it is, and who goes along.

use super::*;
use crate::domain::ids::ReadPointId;

/// The dock (antennas 2 inside, 3 outside) and another door beside it (5 and 6).
fn two_doors() -> Cleaner {
    let mut rules = rules();
    let mut beside = rules.read_points[1].clone();
    beside.name = "beside".into();
    beside.antennas = [(5, true), (6, false)]
        .map(|(antenna, inside)| AntennaConfig { source: "reader".into(), antenna, inside })
        .to_vec();
    rules.read_points.push(beside);
    Cleaner::new(&rules, &intake())
}

/// A read: when, by which antenna, of which tag, and how strong.
type Read = (i64, Antenna, String, f32);

/// A tag that walks in through a door whose antennas these are, as strong as that at its best.
fn walks_in(tag: &str, [inside, outside]: [Antenna; 2], best_dbm: f32) -> Vec<Read> {
    let level = |x: f32| best_dbm - if x > 0.5 { 6.0 * (x - 1.0).abs() } else { 10.0 - 13.0 * (x - 0.5) };
    let reads = (0..50_i16).flat_map(|step| {
        let x = f32::from(step - 25) * 0.2;
        [(inside, level(x)), (outside, level(-x))].map(|(antenna, dbm)| (i64::from(step) * 120, antenna, dbm))
    });
    let heard = reads.filter(|(.., dbm)| *dbm > -71.0);
    heard.map(|(ms, antenna, dbm)| (ms, antenna, tag.to_owned(), dbm)).collect()
}

/// Heard by the dock alone, and too little to be told by itself.
fn hardly_heard() -> Vec<Read> {
    [(2200, 3, -70.0), (2800, 3, -66.0), (3000, 2, -54.0), (3400, 2, -64.0), (3800, 2, -70.0)]
        .map(|(ms, antenna, dbm)| (ms, antenna, "ff".to_owned(), dbm))
        .to_vec()
}

/// Who passes where, by tag.
fn passages(mut reads: Vec<Read>) -> Vec<(String, ReadPointId)> {
    reads.sort_by_key(|read| read.0);
    let (mut cleaner, mut out) = (two_doors(), Cleaned::default());
    run(&mut cleaner, &[Step::Up(0), Step::Connected(0)], &mut out);
    for (ms, antenna, tag, dbm) in reads {
        let Some(Reading::Tag(mut read)) = Step::Read("00", antenna, ms, ms).reading() else {
            panic!("a read")
        };
        (read.epc, read.peak_rssi_dbm) = (epc(&tag), Some(dbm));
        run(&mut cleaner, &[Step::Tick(ms)], &mut out);
        cleaner.reading(Reading::Tag(read), &"reader".into(), at(ms), &mut out);
    }
    run(&mut cleaner, &[Step::Tick(120_000)], &mut out);
    let told = out.sightings.into_iter().filter_map(|sighting| match sighting.what {
        Seen::Passage(passage) => Some((passage.epc.to_string()[20..].to_owned(), passage.portal)),
        _ => None,
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    told
}

const LOAD: [&str; 8] = ["01", "02", "03", "04", "05", "06", "07", "08"];

fn all_at(point: &str, tags: &[&str]) -> Vec<(String, ReadPointId)> {
    tags.iter().map(|tag| ((*tag).to_owned(), point.into())).collect()
}

#[test]
fn what_passes_next_door_takes_nothing_along_here() {
    let here: Vec<Read> = LOAD.iter().flat_map(|tag| walks_in(tag, [2, 3], -52.0)).collect();
    let alone = [here.clone(), hardly_heard()].concat();
    let with_it = [LOAD.as_slice(), &["ff"]].concat();
    assert_eq!(passages(alone), all_at("dock", &with_it), "a load of this door takes it along");
    let beside = LOAD.iter().flat_map(|tag| walks_in(tag, [5, 6], -40.0)).collect();
    assert_eq!(passages([here, beside, hardly_heard()].concat()), all_at("beside", &LOAD));
}
