//! Ideal tags of known strength on known ways.

use super::*;
use crate::clean::trail::model::FAINTEST_DBM;

fn model() -> Model {
    Model::new([true, true])
}

fn heard(outside: Option<f32>, inside: Option<f32>) -> Levels {
    let reads = [outside, inside].map(|dbm| u16::from(dbm.is_some()) * 2);
    Levels { reads, dbm: [outside, inside], news: 0.8 }
}

/// A place a step, in metres from the door; `None` is silence. What an ideal tag of that strength would give.
fn crossed(best: f32, places: &[Option<f32>]) -> (f32, f32) {
    let mut chain = Trail::new(&model());
    for x in places {
        chain.step(1, [None; 2], &model());
        let Some(x) = x else { continue };
        let level = |x: f32| best - if x > 0.5 { 6.0 * (x - 1.0).abs() } else { 10.0 - 13.0 * (x - 0.5) };
        let row = |x: f32| Some(level(x)).filter(|dbm| *dbm > FAINTEST_DBM);
        let (outside, inside) = (row(-x), row(*x));
        if outside.or(inside).is_some() {
            chain.observe(heard(outside, inside), &model());
        }
    }
    chain.step(10, [None; 2], &model());
    chain.fall_silent();
    chain.crossed()
}

fn walk(from: f32, to: f32, steps: u16) -> Vec<Option<f32>> {
    (0..=steps).map(|step| Some(from + (to - from) * f32::from(step) / f32::from(steps))).collect()
}

#[test]
fn a_crossing_is_told_from_what_is_none() {
    for best in [-30.0, -44.0, -56.0] {
        let (inward, outward) = crossed(best, &walk(-5.0, 5.0, 40));
        assert!(inward > 0.5 && outward < 0.05, "{best}: in {inward}, out {outward}");
        let (inward, outward) = crossed(best, &walk(5.0, -5.0, 40));
        assert!(outward > 0.5 && inward < 0.05, "{best}: in {inward}, out {outward}");
        let turned = [walk(-5.0, -0.3, 20), walk(-0.3, -5.0, 20)].concat();
        let (inward, outward) = crossed(best, &turned);
        assert!(inward.max(outward) < 0.2, "{best}: in {inward}, out {outward}");
        let (inward, outward) = crossed(best, &[Some(2.5); 100]);
        assert!(inward.max(outward) < 0.2, "{best}: in {inward}, out {outward}");
    }
}

#[test]
fn what_peeps_through_the_door_is_not_clear_of_it() {
    let mut chain = Trail::new(&model());
    for x in walk(-5.0, 0.9, 25).into_iter().chain([Some(0.9); 10]) {
        chain.step(1, [None; 2], &model());
        let x = x.unwrap_or_default();
        let level = |x: f32| -36.0 - if x > 0.5 { 6.0 * (x - 1.0).abs() } else { 10.0 - 13.0 * (x - 0.5) };
        let row = |x: f32| Some(level(x)).filter(|dbm| *dbm > FAINTEST_DBM);
        chain.observe(heard(row(-x), row(x)), &model());
    }
    assert!(chain.sides().1 > 0.8, "{:?}", chain.sides());
    assert!(chain.far_across() < 0.2, "{}", chain.far_across());
}

#[test]
fn what_began_on_one_side_never_began_on_the_other() {
    let mut chain = Trail::new(&model());
    for step in 0..2_000 {
        chain.step(1, [None; 2], &model());
        // Contradictions without end.
        let loud = if step % 7 < 3 { (Some(-30.0), None) } else { (None, Some(-30.0)) };
        chain.observe(heard(loud.0, loud.1), &model());
        let (outside, inside) = chain.sides();
        assert!((0.0..=1.001).contains(&(outside + inside)), "{outside} {inside}");
    }
    assert!(!chain.began_inside());
}

#[test]
fn the_row_is_exact_and_what_is_none_is_refused() {
    let mut chain = Trail::new(&model());
    chain.observe(heard(Some(-50.0), None), &model());
    let row = serde_json::to_string(&chain).unwrap();
    assert_eq!(serde_json::from_str::<Trail>(&row).unwrap(), chain);
    let cells = row.strip_prefix(r#"{"joint":""#).unwrap().strip_suffix(r#""}"#).unwrap();
    for wrong in [r#"[0.1,0.1]"#.to_owned(), format!("\"{}\"", &cells[8..]), format!("\"zz{}\"", &cells[2..])]
    {
        assert!(serde_json::from_str::<Trail>(&format!(r#"{{"joint":{wrong}}}"#)).is_err(), "{wrong}");
    }
}
