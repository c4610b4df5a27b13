//! What a run of zones must show, whatever its numbers are.

use super::*;
use crate::scenario_file::ScenarioFile;

fn scenario(more: &str) -> Scenario {
    Scenario::parse(&format!("name = \"test\"\nsuite = \"standard\"\nduration_s = 300.0\n{more}")).unwrap()
}

#[test]
fn a_seed_acts_out_the_same_run_again() {
    for mut scenario in Scenario::all().unwrap() {
        scenario.duration_s = 60.0;
        let run = scenario.run(7);
        assert_eq!(run, scenario.run(7), "{}", scenario.name);
        assert_ne!(run.reads, scenario.run(8).reads, "{}", scenario.name);
        assert!(run.reads.is_sorted_by_key(|read| read.at_us) && run.reads.len() > 100, "{}", scenario.name);
    }
}

/// Share of the reads of tags at rest that are of their own zone's reader, and their mean signal by that of others.
fn own(scenario: &Scenario) -> (f64, f64) {
    let run = scenario.run(3);
    let mut by = [(0_u32, 0.0); 2];
    for read in &run.reads {
        let at_s = read.at_us as f64 / 1e6 - TURN_S;
        let stays = &run.lives[read.tag].stays;
        if let Some(stay) = stays.iter().find(|stay| (stay.from_s..stay.to_s).contains(&at_s)) {
            let (number, sum) = &mut by[usize::from(stay.zone == read.zone)];
            *number += 1;
            *sum += f64::from(read.dbm);
        }
    }
    let [other, own] = by;
    let mean = |(number, sum): (u32, f64)| sum / f64::from(number.max(1));
    (f64::from(own.0) / f64::from(own.0 + other.0), mean(own) - mean(other))
}

#[test]
fn the_zones_own_reader_hears_best_and_walls_keep_the_others_out() {
    let (open, by_db) = own(&scenario(""));
    assert!((0.4..0.98).contains(&open) && by_db > 3.0, "{open} {by_db}");
    let (walled, _) = own(&scenario("[hall]\nwalls = true"));
    assert!(walled > open, "{walled} {open}");
    let (small, _) = own(&scenario("[hall]\nzone_m = [4.0, 4.0]"));
    assert!(small < open, "{small} {open}");
}

#[test]
fn lives_follow_on_one_another_and_outages_are_silent() {
    let scenario =
        scenario("[tags]\nrests_s = [20.0, 60.0]\n[[outage]]\nzone = 1\nfrom_s = 100.0\nto_s = 200.0");
    let run = scenario.run(1);
    let silent = |read: &Read| read.zone == 1 && (101_000_000..200_000_000).contains(&read.at_us);
    assert!(!run.reads.iter().any(silent) && run.reads.iter().any(|read| read.zone == 1));
    for life in &run.lives {
        assert!(life.stays.windows(2).all(|pair| pair[0].to_s < pair[1].from_s));
        let arrivals = life.moves.iter().filter(|moved| moved.to.is_some() && moved.came_s < 300.0).count();
        assert_eq!(arrivals + 1, life.stays.len());
    }
}

#[test]
fn what_cannot_be_is_told_at_once() {
    let text = "name = \"x\"\nsuite = \"standard\"\nduration_s = 1.0\n[hall]\ncolumns = 0\n[[outage]]\nzone = 9\nfrom_s = 2.0\nto_s = 1.0";
    let told = Scenario::parse(text).unwrap_err().to_string();
    for part in ["duration_s", "hall.columns", "that zone does not exist", "does not end"] {
        assert!(told.contains(part), "{told}");
    }
}
