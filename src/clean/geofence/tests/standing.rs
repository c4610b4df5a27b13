//! What stands: by the middle of its fixes, until it is seen to be elsewhere.

use super::*;
use crate::clean::motion::{Moment, Moves};
use crate::clean::tests::dice::{Dice, Wander};
use crate::clean::tests::queue::{Queue, Said};

/// Seconds, metres north of the centre, accuracies, and what it says of its speed, of what stands until it is seen to move.
fn changes_where_it_stands(
    fixes: &[(i64, f64, f64)],
    speed_mps: impl Fn(i64) -> Option<f64>,
) -> Vec<(FenceChange, i64)> {
    let told = changes_among(&[yard()], fixes, speed_mps).into_iter();
    told.map(|(_, change, second)| (change, second)).collect()
}

fn changes_among(
    fences: &[FenceConfig],
    fixes: &[(i64, f64, f64)],
    speed_mps: impl Fn(i64) -> Option<f64>,
) -> Vec<(String, FenceChange, i64)> {
    let fixes: Vec<Fix> = fixes
        .iter()
        .map(|(second, north_m, accuracy)| Fix {
            speed_mps: speed_mps(*second),
            ..fix(*second, 50.0 + north_m / 111_195.0, 8.0, *accuracy)
        })
        .collect();
    changes_of_all(fences, &fixes)
}

fn changes_of_all(fences: &[FenceConfig], fixes: &[Fix]) -> Vec<(String, FenceChange, i64)> {
    let (index, rules) = (FenceIndex::new(fences), TrackerRules::default());
    let (mut states, mut told) = (Vec::new(), Vec::new());
    let mut before: Option<(Fix, Moves)> = None;
    for fix in fixes.iter().cloned() {
        let moves = before.as_ref().map_or_else(|| Moves::begin(&fix), |(_, moves)| moves.clone());
        let stands = moves.stands_at(&fix, &rules);
        let way = Way {
            before: before.as_ref().map(|(fix, _)| fix),
            fix: &fix,
            stands,
            in_order: true,
            rules: &rules,
        };
        let changes = judge(&mut states, &index, &way).into_iter();
        told.extend(changes.map(|change| {
            let second = change.fix.observed_at.as_micros() / 1_000_000;
            (change.fence.to_string(), change.change, second)
        }));
        states = serde_json::from_slice(&serde_json::to_vec(&states).unwrap()).unwrap();
        let mut moves = moves;
        moves.take(&Moment::of(&fix), &rules, &mut Vec::new());
        before = Some((fix, moves));
    }
    told
}

/// Five minutes apart, 5 m outside of the edge on the mean, by fixes of 34 m: an hour, and then these.
fn parked_and(then: &[(i64, f64)]) -> Vec<(i64, f64, f64)> {
    let parked = (0..12).map(|nth| (nth * 300, 105.0 + if nth % 2 == 0 { 10.0 } else { -10.0 }, 34.0));
    parked.chain(then.iter().map(|(second, north)| (3300 + second, *north, 34.0))).collect()
}

/// A receiver that was just switched on is so vague that it may still be where it stood: only the fix, and not the
/// middle of those before, says on which side of the edge it is now.
#[test]
fn the_middle_of_where_it_stood_crosses_no_edge_without_a_fix_there() {
    let rules = TrackerRules::default();
    let changes = |was_inside: bool, middle_m: f64, fixes: [f64; 2]| {
        let north = |metres: f64| Position { lat: 50.0 + metres / 111_195.0, lon: 8.0 };
        let mut state = FenceState::new("yard".into());
        if was_inside {
            state.enter(Timestamp::from_secs(0), false);
        }
        let (rested, middle) = (Timestamp::from_secs(1), north(middle_m));
        let stands = Some(Stands::There(Stand { middle, sure_m: 5.0, rested, is_young: false }));
        let mut changes = Vec::new();
        for (second, metres) in (100..).zip(fixes) {
            let fix = fix(second, north(metres).lat, 8.0, 120.0);
            state.take(
                &yard(),
                &Way { before: None, fix: &fix, stands, in_order: true, rules: &rules },
                &mut changes,
            );
        }
        changes.iter().map(|change| change.change).collect::<Vec<_>>()
    };
    assert_eq!([changes(false, 20.0, [130.0; 2]), changes(false, 20.0, [60.0; 2])], [vec![], vec![Entered]]);
    assert_eq!([changes(true, 180.0, [60.0; 2]), changes(true, 180.0, [130.0; 2])], [vec![], vec![Exited]]);
}

#[test]
fn what_errs_from_where_it_stands_crosses_no_edge_however_often() {
    let often = [20.0, 105.0, 148.0, 148.0].into_iter().cycle().take(80);
    let astray: Vec<(i64, f64)> = (1..).zip(often).map(|(nth, north)| (nth * 300, north)).collect();
    assert_eq!(changes_where_it_stands(&parked_and(&astray), |_| None), []);
    // Nor do two in a row, nor many of one moment.
    assert_eq!(changes_where_it_stands(&parked_and(&[(300, 20.0), (600, 20.0), (900, 105.0)]), |_| None), []);
    let moment: Vec<(i64, f64)> = (0..55).map(|second| (300 + second, 20.0)).collect();
    assert_eq!(changes_where_it_stands(&parked_and(&moment), |_| Some(0.2)), []);
}

#[test]
fn what_is_back_where_it_stood_drove_through_nothing() {
    let away = [(0, 200.0), (300, 200.0), (600, 200.0), (900, 200.0), (1200, 200.0), (1800, -300.0)];
    let back = (0..5).map(|nth| (1860 + nth * 300, 200.0));
    let fixes: Vec<(i64, f64, f64)> =
        away.into_iter().chain(back).map(|(second, north)| (second, north, 34.0)).collect();
    assert_eq!(changes_where_it_stands(&fixes, |_| None), []);
}

#[test]
fn what_a_place_began_with_is_not_confirmed_by_what_errs_long_after() {
    let often = [105.0, 95.0, 110.0].into_iter().cycle();
    let stands = (1..).zip(often).map(|(nth, north)| (nth * 300, north, 34.0)).take(40);
    let astray = [(12_300, 20.0, 34.0), (12_600, 105.0, 34.0), (12_900, 105.0, 34.0)];
    // The first of all inside; and one of the first few, which said that it moved.
    for (first, north) in [(0, 50.0), (301, 45.0)] {
        let mut fixes: Vec<_> = [(0, 105.0, 34.0)].into_iter().chain(stands.clone()).collect();
        fixes.retain(|fix| fix.0 != first);
        fixes.extend([&[(first, north, 34.0)], &astray[..]].concat());
        fixes.sort_by_key(|fix| fix.0);
        let told = changes_where_it_stands(&fixes, |second| Some(if second == 301 { 1.2 } else { 0.2 }));
        assert_eq!(told, [], "{first}");
    }
}

#[test]
fn what_drove_in_is_confirmed_by_the_first_fixes_where_it_stands() {
    // From 900 m away to 40 m inside, under a roof there; it is heard when it goes on.
    let drives = (0..10).map(|nth| (nth * 10, 960.0 - nth as f64 * 100.0, 8.0));
    let stands = [(400, 55.0, 45.0), (700, 50.0, 45.0)];
    let fixes: Vec<_> = [(-300, 960.0, 8.0)].into_iter().chain(drives).chain(stands).collect();
    let told =
        changes_where_it_stands(&fixes, |second| Some(if (0..90).contains(&second) { 10.0 } else { 0.1 }));
    assert_eq!(told, [(Entered, 90)]);
}

#[test]
fn what_was_moved_a_little_is_where_it_is_then() {
    let stays: Vec<(i64, f64)> = (1..6).map(|nth| (nth * 300, 20.0)).collect();
    assert_eq!(changes_where_it_stands(&parked_and(&stays), |_| None), [(Entered, 3600)]);
    // Who says that it moves there needs no more fixes than any other.
    let moves = parked_and(&[(300, 20.0), (310, 15.0)]);
    assert_eq!(changes_where_it_stands(&moves, |_| Some(1.5)), [(Entered, 3600)]);
}

#[test]
fn what_just_began_to_stand_is_as_vague_as_its_few_fixes() {
    // Two of the first four are well inside, if one believes each of them alone.
    let first = [(0, 104.0, 45.0), (300, 112.0, 45.0), (600, 50.0, 40.0), (900, 48.0, 40.0)];
    let on: Vec<(i64, f64, f64)> = (4..40).map(|nth| (nth * 300, 108.0, 45.0)).collect();
    assert_eq!(changes_where_it_stands(&[&first[..], &on].concat(), |_| None), []);
    let inside: Vec<(i64, f64, f64)> = (0..12).map(|nth| (nth * 300, 55.0, 45.0)).collect();
    let told = changes_where_it_stands(&inside, |_| None);
    assert!(matches!(told[..], [(Entered, ..=2700)]), "{told:?}");
}

/// A fix in ten seconds for half a day, under a roof where each errs by 22 m an axis for a minute, and says so.
#[test]
fn what_stands_just_outside_is_not_told_to_enter_however_often_it_tells() {
    let fence = FenceConfig::new("yard", Shape::circle(Position { lat: 50.0, lon: 8.0 }, 100.0));
    let enters = (0..60).filter(|seed| {
        let (mut random, mut wander) = (Dice(*seed), Wander::by(22.0, 60.0));
        let fixes = (0..43_200).step_by(10).map(|second| {
            let [north, east] = wander.next(&mut random, 10.0);
            fix(second, 50.0 + (102.0 + north) / 111_195.0, 8.0 + east / 71_475.0, 33.0)
        });
        !changes_of_all(std::slice::from_ref(&fence), &fixes.collect::<Vec<_>>()).is_empty()
    });
    let enters = enters.count();
    assert!(enters <= 6, "{enters} of 60");
}

fn bays(apart_m: f64) -> [FenceConfig; 2] {
    [("a", 0.0), ("b", apart_m)].map(|(name, north)| {
        let middle = Position { lat: 50.0 + north / 111_195.0, lon: 8.0 };
        FenceConfig::new(name, Shape::circle(middle, apart_m * 0.4))
    })
}

/// From bay to bay and back, less far than sets out on a trip.
#[test]
fn what_is_moved_by_a_few_metres_is_seen_to_be_there_however_often() {
    for apart_m in [60.0, 100.0, 140.0] {
        for between in [60, 120, 300] {
            for speed in [None, Some(0.0)] {
                let each = 3600 / between;
                let fixes: Vec<_> = (0..8 * each)
                    .map(|nth| {
                        let wavers = [0.0, 2.0, -1.0, 3.0, -2.0][nth as usize % 5];
                        (nth * between, (nth / each % 2) as f64 * apart_m + wavers, 5.0)
                    })
                    .collect();
                let told = changes_among(&bays(apart_m), &fixes, |_| speed);
                let entered: Vec<_> = told.iter().filter(|(_, change, _)| *change == Entered).collect();
                let of = |nth: usize| if nth.is_multiple_of(2) { "a" } else { "b" };
                let case = format!("{apart_m} m, a fix in {between} s, {speed:?}: {told:?}");
                assert_eq!((entered.len(), told.len()), (8, 15), "{case}");
                for (nth, (fence, _, second)) in entered.iter().enumerate() {
                    assert_eq!(fence, of(nth), "{case}");
                    assert!((0..=20 * 60).contains(&(second - nth as i64 * 3600)), "{case}");
                }
            }
        }
    }
}

/// Northward, through a gate into the yard.
fn queues(queue: &Queue, every_s: usize, says: bool, seed: u64) -> Vec<Fix> {
    let said = queue.fixes(every_s, seed).into_iter();
    let fixes = said.map(|Said { second, along_m, beside_m, speed_mps }| Fix {
        speed_mps: says.then_some(speed_mps),
        ..fix(second, 50.0 + along_m / 111_195.0, 8.0 + beside_m / 71_475.0, 4.0)
    });
    fixes.collect()
}

/// When it is so far.
fn comes_to(fixes: &[Fix], north_m: f64) -> i64 {
    let there = |fix: &&Fix| (fix.position.lat - 50.0) * 111_195.0 >= north_m;
    fixes.iter().find(there).expect("it comes there").observed_at.as_micros() / 1_000_000
}

#[test]
fn who_moves_up_in_a_queue_is_told_where_it_is() {
    let circle = |name: &str, north: f64, metres: f64| {
        let middle = Position { lat: 50.0 + north / 111_195.0, lon: 8.0 };
        FenceConfig::new(name, Shape::circle(middle, metres))
    };
    let fences = [circle("gate", 400.0, 50.0), circle("yard", 650.0, 100.0)];
    let queued =
        [(0, 15.0, 60), (0, 8.0, 60), (0, 30.0, 120), (0, 15.0, 300), (3600, 15.0, 60), (3600, 20.0, 120)];
    for (stood_s, up_m, each_s) in queued {
        for (every_s, says, seed) in [(5, false, 1), (10, true, 2), (10, false, 3), (30, true, 4)] {
            let fixes = queues(&Queue { stood_s, up_m, each_s }, every_s, says, seed);
            let told = changes_of_all(&fences, &fixes);
            let case = format!("{up_m} m in {each_s} s behind {stood_s} s, a fix in {every_s} s: {told:?}");
            let due = [("gate", Entered, 350.0), ("gate", Exited, 450.0), ("yard", Entered, 550.0)];
            assert_eq!(told.len(), due.len(), "{case}");
            for ((fence, change, second), (due, crosses, north)) in told.iter().zip(due) {
                assert_eq!((&fence[..], *change), (due, crosses), "{case}");
                let off = second - comes_to(&fixes, north);
                assert!((-60..=240.max(2 * each_s) + every_s as i64).contains(&off), "{off} s, {case}");
            }
        }
    }
}
