//! Who creeps, and who errs.

use std::time::Duration;

use MotionChange::{Moving, Stopped};

use super::*;
use crate::clean::motion::tests::{fix, fix_at, seconds, told_of};
use crate::clean::motion::{Moment, Moves};
use crate::clean::tests::dice::{Dice, Wander};
use crate::clean::tests::queue::{Queue, Said};
use crate::domain::motion::MotionChange;
use crate::domain::readings::Fix;

/// A fix each ten seconds, with what it says of its speed.
fn queues(up_m: f64, each_s: i64) -> Vec<Fix> {
    let said = Queue { stood_s: 0, up_m, each_s }.fixes(10, 7).into_iter();
    let fixes = said.map(|Said { second, along_m, beside_m, speed_mps }| Fix {
        speed_mps: Some(speed_mps),
        ..fix(second, [beside_m, along_m])
    });
    fixes.collect()
}

#[test]
fn who_moves_up_again_and_again_has_not_come_to_rest() {
    for (up_m, each) in [(20.0, 60), (15.0, 60), (10.0, 30)] {
        let fixes = queues(up_m, each);
        let ends = fixes.last().expect("it comes there").observed_at.as_micros() / 1_000_000 - 1_700_003_600;
        let told = told_of(fixes);
        let [(_, moving), (at, stopped)] = &told[..] else { panic!("{up_m}: {:?}", seconds(&told)) };
        assert_eq!([moving.change, stopped.change], [Moving, Stopped]);
        let metres = stopped.trip.as_ref().expect("a trip").distance_m;
        let off = at.as_micros() / 1_000_000 - 1_700_000_000 - ends;
        assert!((metres - 1600.0).abs() < 64.0 && (-300..=120).contains(&off), "{up_m}: {metres} m, {off} s");
    }
}

/// The last sixty metres at a walking pace: by the first of its fixes there it might as well creep.
#[test]
fn who_comes_slowly_has_come_to_rest() {
    let way = |second: i64| (second - 600).clamp(0, 94) * 10 + (second - 694).clamp(0, 60);
    let told = told_of((0..3000).step_by(10).map(|second| fix(second, [0.0, way(second) as f64])));
    let [_, (Stopped, at)] = seconds(&told)[..] else { panic!("{:?}", seconds(&told)) };
    assert!((690..=760).contains(&at), "{at}");
}

#[test]
fn who_stood_for_a_while_begins_anew() {
    let (rules, mut told) = (TrackerRules::default(), Vec::new());
    let mut moves = Moves::begin(&fix(0, [0.0; 2]));
    let creep = |moves: &Moves| match moves {
        Moves::Standing(place) => place.creep,
        Moves::Moving(_) => panic!("it has not gone far"),
    };
    let east = |nth: i64| nth.min(5) as f64 * 12.0;
    for nth in 1..=5 + i64::from(RESTS) {
        moves.take(&Moment::of(&fix(30 * nth, [0.0, east(nth)])), &rules, &mut told);
        let at = creep(&moves);
        if nth <= 5 {
            assert_eq!((i64::from(at.fixes), i64::from(at.steps), at.share()), (nth, nth, 1.0));
        }
    }
    assert_eq!((creep(&moves), told), (Creep::default(), vec![]));
}

/// It went less far than its fixes are vague, and its place is theirs.
#[test]
fn who_went_a_little_has_gone_and_stands() {
    let mut moves = Moves::begin(&fix(0, [0.0; 2]));
    for nth in 1..=14 {
        let here = fix(30 * nth, [0.0, nth.min(3) as f64 * 6.0]);
        moves.take(&Moment::of(&here), &TrackerRules::default(), &mut Vec::new());
    }
    let Moves::Standing(place) = &moves else { panic!("{moves:?}") };
    let off_m = place.middle.distance_m(fix(0, [0.0, 18.0]).position);
    assert!(off_m < 3.0, "{off_m}");
}

/// Parks under a roof, where its fixes err by 30 m for ten minutes and more, and say five: it has come to rest there.
#[test]
fn what_errs_to_and_fro_has_come_to_rest() {
    let late = (0..100).filter(|seed| {
        let (mut random, mut wander) = (Dice(*seed), Wander::by(30.0, 600.0));
        let fixes = (0..7200).step_by(10).map(|second| {
            let east = (second - 600).clamp(0, 100) as f64 * 10.0;
            let error = wander.next(&mut random, 10.0).map(|metres| if east < 1000.0 { 0.0 } else { metres });
            Fix { accuracy_m: Some(5.0), ..fix(second, [error[0], east + error[1]]) }
        });
        let told = told_of(fixes);
        let [_, (stopped, _)] = &told[..] else { panic!("{seed}: {:?}", seconds(&told)) };
        stopped.since(fix_at(700)) > Duration::from_secs(180)
    });
    let late = late.count();
    assert!(late <= 6, "{late} of 100 are told to drive on");
}

#[test]
fn a_row_between_any_two_fixes_changes_nothing() {
    let (fixes, rules) = (queues(15.0, 60), TrackerRules::default());
    let (mut moves, mut told) = (Moves::begin(&fixes[0]), Vec::new());
    for fix in &fixes[1..] {
        moves.take(&Moment::of(fix), &rules, &mut told);
        let read: Moves = rmp_serde::from_slice(&rmp_serde::to_vec_named(&moves).unwrap()).unwrap();
        assert_eq!(read, moves);
        moves = serde_json::from_slice(&serde_json::to_vec(&moves).unwrap()).unwrap();
    }
    assert_eq!(told, told_of(fixes));
}
