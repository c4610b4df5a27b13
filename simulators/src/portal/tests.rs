//! What the physics must show, whatever its numbers are.

use super::*;
use crate::scenario_file::ScenarioFile;

fn scenario(loads: &str) -> Scenario {
    let text = format!("name = \"test\"\nsuite = \"standard\"\nduration_s = 20.0\n{loads}");
    Scenario::parse(&text).unwrap()
}

fn staged(assets: usize, doors: &str) -> Scenario {
    scenario(&format!(
        "[doors]\n{doors}\n[[load]]\nmotion = \"staged-inside\"\nassets = [{assets}, {assets}]\ncarrier = \"nothing\"\nlevel = true\n"
    ))
}

fn reads_a_second(scenario: &Scenario) -> f64 {
    scenario.run(1).reads.len() as f64 / scenario.duration_s
}

#[test]
fn a_seed_acts_out_the_same_run_again() {
    for mut scenario in Scenario::all().unwrap() {
        scenario.duration_s = 6.0;
        let run = scenario.run(7);
        assert_eq!(run, scenario.run(7), "{}", scenario.name);
        assert_ne!(run.reads, scenario.run(8).reads, "{}", scenario.name);
        assert!(run.reads.is_sorted_by_key(|read| read.at_us), "{}", scenario.name);
        assert!(run.reads.len() > 10, "{}: {}", scenario.name, run.reads.len());
    }
}

#[test]
fn what_is_drawn_can_be_acted_out_and_differs() {
    for number in 0..200 {
        for rows in [1, 2] {
            let drawn = Scenario::drawn(number, rows);
            assert_eq!(drawn.problems(), [""; 0], "{}", drawn.name);
            assert_eq!(drawn, Scenario::drawn(number, rows));
            assert_ne!(drawn, Scenario { name: drawn.name.clone(), ..Scenario::drawn(number + 1, rows) });
        }
    }
}

#[test]
fn tags_share_the_air() {
    let (few, many) = (reads_a_second(&staged(5, "")), reads_a_second(&staged(100, "")));
    // A fixed reader gives several hundred reads a second, and no tag as many as when it is alone.
    assert!((200.0..1500.0).contains(&many), "{many}");
    assert!(few / 5.0 > 3.0 * many / 100.0, "{few} {many}");
}

#[test]
fn a_flag_that_lasts_keeps_a_tag_from_answering() {
    let again = reads_a_second(&staged(20, "session = 0"));
    let once = reads_a_second(&staged(20, "session = 1\ndual_target = false"));
    // At most once in half a second.
    assert!(once <= 20.0 * 2.0 && once > 1.0, "{once}");
    assert!(again > 4.0 * once, "{again} {once}");
}

#[test]
fn a_passage_is_in_the_truth_once_and_what_turns_back_is_not() {
    let load = |motion: &str| {
        scenario(&format!(
            "[[load]]\nmotion = \"{motion}\"\nassets = [2, 2]\nspeed_mps = [2.0, 2.0]\nturn_m = [0.5, 1.0]\npause_s = [0.1, 0.2]\n"
        ))
    };
    let passages = |motion: &str| {
        let run = load(motion).run(3);
        assert_eq!(run.assets.len(), 2);
        assert_eq!(run.assets[0].passages, run.assets[1].passages);
        let ways: String =
            run.assets[0].passages.iter().map(|passage| if passage.inward { 'I' } else { 'O' }).collect();
        (ways, run.assets[0].kind)
    };
    let pass = |ways: &str| (ways.to_owned(), Kind::Passes);
    assert_eq!(passages("in"), pass("I"));
    assert_eq!(passages("out"), pass("O"));
    assert_eq!(passages("reverse-in"), pass("I"));
    assert_eq!(passages("park-out"), pass("O"));
    assert_eq!(passages("set-down"), pass("I"));
    assert_eq!(passages("load-out"), pass("O"));
    assert_eq!(passages("in-out"), pass("IO"));
    assert_eq!(passages("turn-outside"), (String::new(), Kind::TurnsBack));
    assert_eq!(passages("staged-inside"), (String::new(), Kind::Stands));
    assert_eq!(passages("along-inside"), (String::new(), Kind::GoesBy));
}

#[test]
fn the_outer_light_barrier_is_broken_first_on_the_way_in() {
    let text = "[doors]\nbeams = true\n[[load]]\nmotion = \"in\"\nassets = [1, 1]\nspeed_mps = [2.0, 2.0]\n";
    let run = scenario(text).run(1);
    let broken: Vec<u16> =
        run.barriers.iter().filter(|barrier| barrier.broken).map(|barrier| barrier.port).collect();
    assert_eq!(broken.first(), Some(&1), "{:?}", run.barriers);
    assert!(broken.contains(&2));
    let passed = run.assets[0].passages[0].at_us;
    assert!((run.barriers[0].at_us - passed).abs() < 2_000_000);
}

#[test]
fn phase_follows_the_way_and_doppler_its_change() {
    let text = "[doors]\nfine = true\n[air]\nk_db = [30.0, 30.0]\n[[load]]\nmotion = \"in\"\nassets = [4, 4]\nspeed_mps = [1.0, 1.0]\nlevel = true\nloss_db_per_m = [0.0, 0.0]\n";
    let run = scenario(text).run(5);
    let passed = run.assets[0].passages[0].at_us;
    let mean = |outside: bool, from: i64, to: i64| {
        let within = run.reads.iter().filter(|read| (read.antenna > 2) == outside);
        let doppler: Vec<f64> = within
            .filter(|read| (passed + from..passed + to).contains(&read.at_us))
            .filter_map(|read| Some(f64::from(read.fine?.doppler_16ths_hz) / 16.0))
            .collect();
        doppler.iter().sum::<f64>() / doppler.len() as f64
    };
    // It comes nearer to the outer row, and leaves the inner one behind: 2 v / λ is 5.8 Hz.
    assert!(mean(true, -4_000_000, -2_000_000) > 2.5, "{}", mean(true, -4_000_000, -2_000_000));
    assert!(mean(false, 2_000_000, 4_000_000) < -2.5, "{}", mean(false, 2_000_000, 4_000_000));
}

#[test]
fn every_value_that_is_not_allowed_is_told() {
    let text = "name = \"x\"\nsuite = \"hostile\"\nduration_s = 0.0\n[[load]]\nmotion = \"in\"\nassets = [3, 2]\ndoor = 4\n";
    let told = Scenario::parse(text).unwrap_err().to_string();
    for problem in ["duration_s", "assets", "door does not exist"] {
        assert!(told.contains(problem), "{told}");
    }
    assert!(Scenario::parse("name = 3").is_err());
}

#[test]
fn a_run_is_written_as_json_lines() {
    let run = staged(2, "fine = true").run(1);
    let mut written = Vec::new();
    run.write(&mut written).unwrap();
    let lines: Vec<serde_json::Value> =
        written.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    assert_eq!(lines.len(), run.reads.len() + 2);
    assert!(lines[0]["read"]["phase"].is_u64() && lines[0]["read"]["dbm"].is_i64());
    assert_eq!(lines.last().unwrap()["asset"]["kind"], "stands");
}
