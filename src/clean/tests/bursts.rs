//! What was kept for hours comes at once, behind what is new: every visit and trip in it is told, however many they are.

use super::late::{MINUTE_MS, ROAD, YARD, connected, told_by_time};
use super::*;

/// There and back a few times, at walking speed and slower, with a fix in so many seconds: five minutes at either end.
pub(super) fn shuttle(times: i64, every_s: i64) -> Vec<(i64, f64)> {
    const LEG_S: i64 = 900;
    let place = |second: i64| {
        let drives = (second % LEG_S - 300).max(0) as f64 / 600.0;
        let [from, to] = if second / LEG_S % 2 == 0 { [ROAD, YARD] } else { [YARD, ROAD] };
        (second * 1000, from + (to - from) * drives)
    };
    (0..(2 * times * LEG_S + 300) / every_s).map(|nth| place(nth * every_s)).collect()
}

/// A round of so many customers, each with its fence, a kilometre apart: two minutes of driving, ten of standing.
fn round(stops: i64, every_s: i64) -> (Rules, Vec<(i64, f64)>) {
    const LEG_S: i64 = 720;
    const APART: f64 = 0.009;
    let lat = |nth: f64| ROAD + nth * APART;
    let fence = |nth: i64| FenceConfig {
        hysteresis_m: 20.0,
        ..FenceConfig::new(
            format!("stop {nth:02}"),
            Shape::circle(Position { lat: lat(nth as f64), lon: 8.0 }, 100.0),
        )
    };
    let place = |second: i64| {
        let driven = (second % LEG_S).min(120) as f64 / 120.0;
        (second * 1000, lat((second / LEG_S) as f64 + driven))
    };
    let fixes = (0..((stops + 1) * LEG_S) / every_s).map(|nth| place(nth * every_s)).collect();
    (Rules { fences: (1..=stops).map(fence).collect(), ..rules() }, fixes)
}

/// What is told of a way that is heard in order, and of the same where its newest fixes come first and the others behind
/// them at once: oldest first, newest first, and in no order. Told by when it was.
fn in_order_and_late(rules: &Rules, fixes: &[(i64, f64)]) -> (Vec<String>, [Vec<String>; 3]) {
    let began: Vec<Step> = (1..6).rev().map(|nth| Step::Fix(nth * -60_000, nth * -60_000, ROAD)).collect();
    let ends = fixes.last().unwrap().0 + 1;
    let told = |at: &dyn Fn(i64) -> i64, fixes: &mut dyn Iterator<Item = &(i64, f64)>| {
        let fixes = fixes.map(|(ms, lat)| Step::Fix(*ms, at(*ms), *lat));
        told_by_time(rules, &began.iter().cloned().chain(fixes).collect::<Vec<_>>())
    };
    let in_order = told(&|ms| ms, &mut fixes.iter());
    let (backlog, newest) = fixes.split_at(fixes.len() - 5);
    // Every 617th, and on from the next: each once, for its number divides no length here.
    let shuffled = (0..617).flat_map(|from| backlog.iter().skip(from).step_by(617));
    let mut orders: [Box<dyn Iterator<Item = &(i64, f64)>>; 3] =
        [Box::new(backlog.iter()), Box::new(backlog.iter().rev()), Box::new(shuffled)];
    let late = orders.each_mut().map(|order| told(&|_| ends, &mut newest.iter().chain(order)));
    (in_order, late)
}

#[test]
fn a_burst_tells_every_visit_in_whatever_order_it_comes() {
    for (times, every_s) in [(1, 2), (3, 10), (7, 2), (20, 30)] {
        let (told, late) = in_order_and_late(&rules(), &shuttle(times, every_s));
        assert_eq!(told.len(), 2 * times as usize, "{told:?}");
        assert_eq!(late, [(); 3].map(|()| told.clone()), "{times} times, a fix in {every_s} s");
    }
}

#[test]
fn a_burst_with_more_comings_and_goings_than_may_wait_is_told_in_parts() {
    let mut within_another = rules();
    let city = Shape::circle(Position { lat: YARD, lon: 8.0 }, 10_000.0);
    within_another.fences.push(FenceConfig::new("city", city));
    for (rules, fixes) in
        [(rules(), shuttle(20, 10)), (within_another, shuttle(40, 30)), round(20, 10), round(40, 30)]
    {
        let (told, [oldest_first, newest_first, _]) = in_order_and_late(&rules, &fixes);
        assert!(told.len() >= 40, "{told:?}");
        assert_eq!(oldest_first, told);
        assert_eq!(newest_first, told);
    }
    // With a fix in two seconds no visit is missed; when one ended may be told late.
    let (told, [oldest_first, newest_first, _]) = in_order_and_late(&rules(), &shuttle(12, 2));
    let alike = |late: &[String]| late.iter().filter(|line| told.contains(line)).count() + 1 >= told.len();
    assert!(oldest_first.len() == told.len() && alike(&oldest_first), "{oldest_first:#?}");
    assert!(newest_first.len() == told.len() && alike(&newest_first), "{newest_first:#?}");
}

/// What is told of fixes that are received then.
fn told_at(rules: &Rules, fixes: impl IntoIterator<Item = ((i64, f64), i64)>) -> Vec<String> {
    let steps: Vec<Step> =
        fixes.into_iter().map(|((ms, lat), received)| Step::Fix(ms, received, lat)).collect();
    told_by_time(rules, &steps)
}

/// Each visit once, and at its time all but so many comings and goings: who was seen elsewhere first is told to have come or
/// gone then.
fn assert_alike(told: &[String], in_order: &[String], but: usize, case: &str) {
    let what = |told: &[String]| {
        let mut what: Vec<_> = told.iter().filter_map(|line| line.split_once(' ')).collect();
        what.sort_by_key(|(_, what)| *what);
        what.into_iter().map(|(_, what)| what.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(what(told), what(in_order), "{case}");
    let at_its_time = told.iter().filter(|line| in_order.contains(line)).count();
    assert!(at_its_time + but >= in_order.len(), "{case}: {told:#?}");
}

/// Each connection begins with where it is now, and lasts for a part of what was kept.
#[test]
fn a_burst_that_breaks_off_goes_on_hours_later() {
    let (rules, fixes) = round(20, 10);
    let in_order = told_at(&rules, fixes.iter().map(|fix| (*fix, fix.0)));
    assert_eq!(in_order.len(), 40);
    // It has just come to the first one.
    let (began, backlog) = fixes.split_at(15);
    let (ends, parked) = *fixes.last().unwrap();
    for newest_first in [true, false] {
        for piece in [720, 500, 200, 705] {
            let mut backlog = backlog.to_vec();
            if newest_first {
                backlog.reverse();
            }
            let mut order: Vec<_> = began.iter().map(|fix| (*fix, fix.0)).collect();
            for (nth, piece) in (1..).zip(backlog.chunks(piece)) {
                let now = ends + nth * 20 * MINUTE_MS;
                order.push(((now, parked), now));
                order.extend(piece.iter().map(|fix| (*fix, now)));
            }
            let case = format!("newest first: {newest_first}, {piece} at a time");
            let edges = 1 + backlog.len() / piece;
            assert_alike(&told_at(&rules, order), &in_order, edges, &case);
        }
    }
}

/// Twelve visits follow until any of it is sent.
#[test]
fn outages_with_little_between_are_all_told_hours_later() {
    const LEG_MS: i64 = 720_000;
    let (rules, fixes) = round(24, 10);
    let in_order = told_at(&rules, fixes.iter().map(|fix| (*fix, fix.0)));
    assert_eq!(in_order.len(), 48);
    let ends = fixes.last().unwrap().0 + MINUTE_MS;
    for (outages, between) in [(2, 1), (2, 2), (2, 3), (2, 5), (2, 8), (3, 1), (3, 3)] {
        let is_live = |(ms, _): &(i64, f64)| {
            let (nth, within) =
                ((ms - 4 * LEG_MS).div_euclid(3 * LEG_MS), (ms - 4 * LEG_MS).rem_euclid(3 * LEG_MS));
            !(0..outages).contains(&nth) || nth > 0 && within < between * 10_000
        };
        let (live, backlog): (Vec<_>, Vec<_>) = fixes.iter().copied().partition(is_live);
        let newest_first: Vec<_> = backlog.iter().rev().copied().collect();
        for backlog in [backlog, newest_first] {
            let live = live.iter().map(|fix| (*fix, fix.0));
            let told = told_at(&rules, live.chain(backlog.into_iter().map(|fix| (fix, ends))));
            let case = format!("{between} between {outages}");
            assert_alike(&told, &in_order, 1 + outages as usize, &case);
        }
    }
}

#[test]
fn of_an_outage_longer_than_the_window_what_is_not_too_old_is_told() {
    // 25 hours; of its beginning nothing is.
    let (told, late) = in_order_and_late(&rules(), &shuttle(50, 30));
    for late in &late[..2] {
        assert!((94..100).contains(&late.len()) && told.ends_with(late), "{late:#?}");
    }
}

/// When each trip began and ended, in seconds, and how long it was: in order, and the newest fixes first.
fn trips(fixes: &[(i64, f64)], received: impl Fn(i64) -> i64) -> Vec<(i64, Option<f64>)> {
    let began = (1..6).rev().map(|nth| Step::Fix(nth * -MINUTE_MS, nth * -MINUTE_MS, ROAD));
    let steps: Vec<Step> =
        began.chain(fixes.iter().map(|(ms, lat)| Step::Fix(*ms, received(*ms), *lat))).collect();
    let (mut cleaner, mut out) = connected(&rules());
    run(&mut cleaner, &steps, &mut out);
    run(&mut cleaner, &[Step::Tick(2880 * MINUTE_MS)], &mut out);
    let told = out.sightings.iter().filter_map(|sighting| match &sighting.what {
        Seen::Motion { motion, .. } => {
            let second = sighting.observed_at.micros_after(at(0)) / 1_000_000;
            Some((second, motion.trip.as_ref().map(|trip| trip.distance_m.round())))
        }
        _ => None,
    });
    told.collect()
}

#[test]
fn trips_of_a_burst_that_comes_oldest_first_are_told_as_in_order_however_many() {
    for every_s in [30, 10] {
        let mut fixes = shuttle(20, every_s);
        let in_order = trips(&fixes, |ms| ms);
        assert_eq!(in_order.len(), 80);
        let ends = fixes.last().unwrap().0 + 1;
        fixes.rotate_right(5);
        let late = trips(&fixes, |_| ends);
        // The first began somewhere between the last fix before the gap and the first in it, which tells on the next.
        assert_eq!(late[4..], in_order[4..]);
        assert!((late[0].0 - in_order[0].0).abs() <= every_s && late.len() == in_order.len(), "{late:?}");
        // Now and then one is overtaken by six others.
        let mut overtaken = fixes.clone();
        overtaken[5..].chunks_exact_mut(53).for_each(|some| some[..7].rotate_left(1));
        let told = trips(&overtaken, |_| ends);
        let alike = told.iter().zip(&in_order).all(|((at, way), (in_time, in_full))| {
            let off_m = way.zip(*in_full).map_or(0.0, |(way, full)| way - full);
            (at - in_time).abs() <= every_s && off_m.abs() <= 30.0
        });
        assert!(alike && told.len() == in_order.len(), "{told:?}");
        // Newest first, what they may have been is bounded.
        fixes[5..].reverse();
        let newest_first = trips(&fixes, |_| ends);
        assert!(newest_first.len() >= 40, "{}", newest_first.len());
    }
}

/// The burst breaks off in a second outage, and goes on behind it.
#[test]
fn trips_of_a_burst_that_breaks_off_are_told_as_in_order() {
    let fixes = shuttle(2, 10);
    let in_order = trips(&fixes, |ms| ms);
    assert_eq!(in_order.len(), 8);
    let part = |from: i64, to: i64| {
        fixes.iter().filter(move |(ms, _)| (from * 1000..to * 1000).contains(ms)).copied()
    };
    let back = |from, to| part(from, to).collect::<Vec<_>>().into_iter().rev();
    let first = part(0, 100).chain(part(2000, 2010)).chain(back(1500, 2000));
    let rest = part(3000, 3010).chain(back(2010, 3000)).chain(back(100, 1500)).chain(part(3010, 9999));
    let received = |ms: i64| match ms / 1000 {
        100..1500 | 2010..3000 => 3_000_000,
        1500..2000 => 2_000_000,
        _ => ms,
    };
    let told = trips(&first.chain(rest).collect::<Vec<_>>(), received);
    let alike = told.iter().zip(&in_order).all(|((at, way), (in_time, in_full))| {
        (at - in_time).abs() <= 90 && way.zip(*in_full).is_none_or(|(way, full)| (way - full).abs() < 120.0)
    });
    assert!(alike && told.len() == in_order.len(), "{told:?}, in order {in_order:?}");
}

/// Its newest fixes come first, so that those of its setting out are late: what they say of its speed says that they do not
/// err.
#[test]
fn what_late_fixes_cross_as_it_sets_out_is_told() {
    const METRE: f64 = 1.0 / 111_195.0;
    let shape = Shape::circle(Position { lat: YARD, lon: 8.0 }, 75.0);
    let rules = Rules { fences: vec![FenceConfig::new("corner", shape)], ..rules() };
    let place = |second: i64| 110.0 - 5.0 * (second - 600).clamp(0, 1200) as f64;
    let drives = |second: i64| {
        let speed_mps = Some(if (600..1800).contains(&second) { 5.0 } else { 0.0 });
        let accuracy_m = Some(5.0);
        Fix { speed_mps, accuracy_m, ..fix(second * 1000, YARD + place(second) * METRE) }
    };
    let told = |order: &[(i64, i64)]| {
        let (mut cleaner, mut out) = connected(&rules);
        for (second, received) in order {
            cleaner.reading(Reading::Fix(drives(*second)), &"broker".into(), at(received * 1000), &mut out);
        }
        run(&mut cleaner, &[Step::Tick(600 * MINUTE_MS)], &mut out);
        let fences = out.sightings.iter().filter(|sighting| matches!(sighting.what, Seen::Fence { .. }));
        fences.map(|told| line(told).trim_end_matches(" late").to_owned()).collect::<Vec<_>>()
    };
    let seconds: Vec<i64> = (0..300).map(|nth| nth * 8).collect();
    let in_order = told(&seconds.iter().map(|second| (*second, *second)).collect::<Vec<_>>());
    assert_eq!(in_order.len(), 2, "{in_order:?}");
    let (live, outage) = seconds.split_at(50);
    let live = live.iter().map(|second| (*second, *second));
    let newest_first = outage.iter().rev().map(|second| (*second, 2400));
    let told = told(&live.chain(newest_first).collect::<Vec<_>>());
    assert_eq!(told, ["608000 Entered corner", "640000 Exited corner"], "in order: {in_order:?}");
}
