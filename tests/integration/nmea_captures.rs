//! Logs of real GNSS receivers, against what gpsd made of them: every distinct time and position of a TPV
//! line occurs among our fixes.
//!
//! Left out are TPV lines
//! - without `lat`: gpsd says that there is no position;
//! - without `time`: gpsd tells a position as soon as it has read GGA, and does not know the date before the
//!   first RMC. We put the sentences of one epoch together first, so we have these positions too, with the
//!   time that the oracle lacks: only the position is looked for.
//!
//! Of the lines that have one time and position, the last is compared in speed and course: gpsd tells the
//! first ones before it has read RMC or VTG, with a speed that it worked out from the way made.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::captures;
use crate::cli::tallyman;

const POSITION_DEG: f64 = 1e-7;
/// gpsd writes three digits.
const SPEED_MPS: f64 = 0.000_51;
const COURSE_DEG: f64 = 0.000_051;

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
}

fn number(row: &Value, key: &str) -> Option<f64> {
    row[key].as_f64()
}

fn micros(row: &Value) -> Option<i64> {
    let time: jiff::Timestamp = row["time"].as_str()?.parse().expect("a time is RFC 3339");
    Some(time.as_microsecond())
}

fn is_there(ours: &Value, theirs: &Value) -> bool {
    ["lat", "lon"].iter().all(|key| {
        let pair = number(ours, key).zip(number(theirs, key));
        pair.is_some_and(|(ours, theirs)| (ours - theirs).abs() <= POSITION_DEG)
    })
}

/// How many (time, position) of the oracle were found.
fn compare(log: &Path) -> usize {
    let said = tallyman(&["decode", "nmea", log.to_str().expect("UTF-8")]);
    let ours = rows(said.succeeds());
    let faults: Vec<_> = ours.iter().filter(|row| !row["error"].is_null()).collect();
    assert!(faults.is_empty(), "{}: {faults:?}", log.display());
    let mut by_time: BTreeMap<i64, Vec<&Value>> = BTreeMap::new();
    for row in ours.iter().filter(|row| row["type"] == "fix") {
        by_time.entry(micros(row).expect("every fix of these logs has a date")).or_default().push(row);
    }
    let oracle = std::fs::read_to_string(log.with_extension("tpv.jsonl")).expect("an oracle beside each log");
    let mut last: BTreeMap<(i64, String, String), Value> = BTreeMap::new();
    for row in rows(&oracle).into_iter().filter(|row| row["lat"].is_f64()) {
        match micros(&row) {
            Some(time) => {
                last.insert((time, row["lat"].to_string(), row["lon"].to_string()), row);
            }
            None => assert!(ours.iter().any(|ours| is_there(ours, &row)), "{}: {row}", log.display()),
        }
    }
    for ((time, ..), theirs) in &last {
        let at_time = by_time.get(time).map(Vec::as_slice).unwrap_or_default();
        let ours = at_time.iter().find(|ours| is_there(ours, theirs));
        let ours = ours.unwrap_or_else(|| panic!("{}: {theirs} is not among {at_time:?}", log.display()));
        for (key, their_key, tolerance) in
            [("speed_mps", "speed", SPEED_MPS), ("course_deg", "track", COURSE_DEG)]
        {
            if let Some(theirs) = number(theirs, their_key) {
                let ours = number(ours, key).unwrap_or(f64::NAN);
                assert!((ours - theirs).abs() <= tolerance, "{}: {key} {ours}, {theirs}", log.display());
            }
        }
    }
    last.len()
}

#[test]
fn every_time_and_position_of_the_oracles_is_a_fix_of_ours() {
    let Some(folder) = captures::folder("nmea") else { return };
    let found: BTreeMap<_, _> = captures::files(&folder, "nmea")
        .iter()
        .map(|log| (log.file_stem().unwrap().to_string_lossy().into_owned(), compare(log)))
        .collect();
    assert!(!found.is_empty(), "no log in {}", folder.display());
    // An oracle that was not read compares nothing.
    let known = [
        ("haicom-305N", 67),
        ("nmea-fuzzy-cases", 14),
        ("nmea-rtk", 122),
        ("quectel-eg25-g", 23),
        ("rx210", 40),
        ("telit-he910", 187),
    ];
    for (log, count) in known {
        assert!(found.get(log).is_none_or(|found| *found == count), "{log}: {found:?}");
    }
}
