//! Whether what is parked stands, and what drives is a trip.

use MotionChange::{Moving, Stopped};

use super::*;
use crate::clean::tests::dice::{Dice, Wander};
use crate::domain::ids::Digest;
use crate::domain::motion::Trip;

const METRES_PER_DEGREE: f64 = 111_195.0;

/// Metres north and east of a place.
pub(super) fn fix(second: i64, [north, east]: [f64; 2]) -> Fix {
    let lat = 50.0 + north / METRES_PER_DEGREE;
    let position = Position { lat, lon: 8.0 + east / METRES_PER_DEGREE / lat.to_radians().cos() };
    Fix {
        accuracy_m: Some(4.0),
        ..Fix::bare(
            "truck".into(),
            Timestamp::from_secs(1_700_000_000 + second),
            position,
            Digest(second as u64),
        )
    }
}

pub(super) fn fix_at(second: i64) -> Timestamp {
    fix(second, [0.0; 2]).observed_at
}

pub(super) fn told_of(fixes: impl IntoIterator<Item = Fix>) -> Vec<Told> {
    let (mut moves, mut told): (Option<Moves>, _) = (None, Vec::new());
    for fix in fixes {
        match &mut moves {
            Some(moves) => moves.take(&Moment::of(&fix), &TrackerRules::default(), &mut told),
            None => moves = Some(Moves::begin(&fix)),
        }
    }
    told
}

pub(super) fn seconds(told: &[Told]) -> Vec<(MotionChange, i64)> {
    let second = |at: Timestamp| at.as_micros() / 1_000_000 - 1_700_000_000;
    told.iter().map(|(at, motion)| (motion.change, second(*at))).collect()
}

/// A yard tractor at a walking pace, and a truck in town, with a fix a second: 600 m, and then to rest.
#[test]
fn a_slow_drive_with_a_fix_a_second_is_a_trip() {
    for pace in [1.5, 7.0] {
        let drives = (600.0 / pace) as i64;
        let way = (0..600).chain(600..600 + drives).chain(600 + drives..1200 + drives);
        let told = told_of(way.map(|second| {
            let north = (second - 600).clamp(0, drives) as f64 * pace;
            fix(second, [north, 0.0])
        }));
        let [(_, moving), (_, stopped)] = &told[..] else { panic!("{pace} m/s: {:?}", seconds(&told)) };
        assert_eq!([moving.change, stopped.change], [Moving, Stopped]);
        let trip = stopped.trip.as_ref().unwrap();
        let driven = drives as f64 * pace;
        // It may be at rest as soon as it is within `stop_within_m` of where it stays.
        let short = driven - trip.distance_m;
        assert!((0.0..=TrackerRules::default().stop_within_m).contains(&short), "{short} m short");
    }
}

/// Half an hour of the network's positions, 300 m off and said to be, under a roof; then satellites again.
#[test]
fn vague_positions_do_not_move_the_place() {
    let network = 300..2100;
    let fixes = (0..3000).step_by(30).map(|second| match network.contains(&second) {
        true => Fix { accuracy_m: Some(300.0), ..fix(second, [300.0, 0.0]) },
        false => fix(second, [0.0; 2]),
    });
    assert_eq!(told_of(fixes), []);
}

/// A phone that only the network knows from now on, and that was carried a little: in the long run that is where it is.
#[test]
fn a_place_follows_positions_that_are_vague_for_good() {
    let mut moves = Moves::begin(&fix(0, [0.0; 2]));
    for nth in 1..2000 {
        let vague = Fix { accuracy_m: Some(100.0), ..fix(nth * 30, [100.0, 0.0]) };
        moves.take(&Moment::of(&vague), &TrackerRules::default(), &mut Vec::new());
    }
    let Moves::Standing(standing) = moves else { panic!("{moves:?}") };
    let off_m = standing.middle.distance_m(fix(0, [100.0, 0.0]).position);
    assert!(off_m < 5.0, "{off_m}");
}

/// What errs alike is not surer for being many: two minutes of fixes, one a second, all 20 m off.
#[test]
fn many_fixes_of_one_moment_are_not_surer_than_a_few() {
    let rules = TrackerRules::default();
    let sure_m = |every: i64| {
        let mut moves = Moves::begin(&fix(0, [20.0, 0.0]));
        for second in (every..=120).step_by(every as usize) {
            moves.take(&Moment::of(&fix(second, [20.0, 0.0])), &rules, &mut Vec::new());
        }
        there(&moves, &fix(121, [20.0, 0.0])).sure_m
    };
    assert_eq!(sure_m(1), sure_m(30));
}

/// The place is surer than any of its fixes; what a fix is too far away for says itself.
#[test]
fn where_it_stands_is_the_middle_of_its_fixes() {
    let rules = TrackerRules::default();
    let mut moves = Moves::begin(&fix(0, [0.0, 0.0]));
    for (second, north) in (1..).zip([8.0, -8.0, 8.0, -8.0, 8.0, -8.0]) {
        moves.take(&Moment::of(&fix(second * 60, [north, 0.0])), &rules, &mut Vec::new());
    }
    let stand = there(&moves, &fix(500, [9.0, 0.0]));
    assert!(stand.middle.distance_m(fix(0, [0.0, 0.0]).position) < 3.0);
    assert!(stand.sure_m < rules.least_accuracy_m / 2.0, "{}", stand.sure_m);
    // Of a vaguer one, or behind one, it is less sure.
    let vague = Fix { accuracy_m: Some(40.0), ..fix(500, [9.0, 0.0]) };
    assert!(there(&moves, &vague).sure_m > rules.least_accuracy_m);
    moves.take(&Moment::of(&vague), &rules, &mut Vec::new());
    assert!(there(&moves, &fix(560, [9.0, 0.0])).sure_m > rules.least_accuracy_m);
    // One that is surer than all of them says itself where it is.
    let vague =
        (560..1400).step_by(60).map(|second| Fix { accuracy_m: Some(90.0), ..fix(second, [0.0, 0.0]) });
    vague.for_each(|fix| moves.take(&Moment::of(&fix), &rules, &mut Vec::new()));
    assert_eq!(moves.stands_at(&fix(1400, [9.0, 0.0]), &rules), None);
    // A place of few fixes is as vague as they are.
    let young = Moves::begin(&fix(0, [0.0, 0.0]));
    assert_eq!(there(&young, &fix(60, [0.0, 0.0])).sure_m, rules.least_accuracy_m);
}

/// Under a roof, by a receiver that says that it is sure to five metres; and by one that says nothing.
#[test]
fn a_place_is_as_vague_as_its_fixes_err_whatever_they_say() {
    let rules = TrackerRules::default();
    let sure_m = |away_m: f64, says: Option<f64>| {
        let around = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]].into_iter().cycle();
        let says_so =
            |second, way: [f64; 2]| Fix { accuracy_m: says, ..fix(second, way.map(|part| part * away_m)) };
        let mut fixes = (0..40).zip(around).map(|(nth, way)| says_so(nth * 300, way));
        let mut moves = Moves::begin(&fixes.next().unwrap());
        fixes.for_each(|fix| moves.take(&Moment::of(&fix), &rules, &mut Vec::new()));
        there(&moves, &says_so(12_000, [0.0; 2])).sure_m
    };
    let honest = sure_m(30.0, Some(32.0));
    for says in [Some(5.0), None] {
        assert!(
            (sure_m(30.0, says) / honest - 1.0).abs() < 0.2,
            "{} by {says:?}, {honest}",
            sure_m(30.0, says)
        );
        assert_eq!(sure_m(5.0, says), sure_m(0.0, says), "what errs by no more than is thought of any");
    }
}

fn there(moves: &Moves, fix: &Fix) -> Stand {
    match moves.stands_at(fix, &TrackerRules::default()) {
        Some(Stands::There(stand)) => stand,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_too_far_away_to_be_there_is_astray_unless_something_says_that_it_left() {
    let rules = TrackerRules::default();
    let mut moves = Moves::begin(&fix(0, [0.0, 0.0]));
    for minute in 1..6 {
        moves.take(&Moment::of(&fix(minute * 60, [0.0, 0.0])), &rules, &mut Vec::new());
    }
    let stands = |moves: &Moves, metres: f64, speed_mps: Option<f64>| {
        moves.stands_at(&Fix { speed_mps, ..fix(400, [metres, 0.0]) }, &rules)
    };
    for speed in [None, Some(0.0), Some(0.9)] {
        assert_eq!(stands(&moves, 60.0, speed), Some(Stands::Astray { rested: fix_at(180) }), "{speed:?}");
        assert_eq!(stands(&moves, 400.0, speed), None, "as far as that is left");
    }
    assert_eq!(stands(&moves, 60.0, Some(1.5)), None, "it says that it moves");
    // Seen to roll, it is away; and back where it stood, it is back.
    moves.take(&Moment::of(&Fix { speed_mps: Some(5.0), ..fix(390, [60.0, 0.0]) }), &rules, &mut Vec::new());
    assert_eq!(stands(&moves, 60.0, None), None);
    assert!(matches!(stands(&moves, 5.0, None), Some(Stands::There(_))));
    let young = Moves::begin(&fix(0, [0.0, 0.0]));
    assert_eq!(stands(&young, 60.0, None), None, "where it stands is not known yet");
    assert_eq!(stands(&young, 5.0, Some(1.5)), None, "and it says that it moves");
}

/// 24 hours, a fix a minute, wandering by 12 m, and one of 300 fixes (never the first) 200 m off, while all of
/// them say 4 m.
#[test]
fn what_is_parked_does_not_move() {
    for seed in 0..200 {
        let mut random = Dice(seed);
        let mut wander = Wander::by(12.0, 600.0);
        let fixes = (0..1440).map(|minute| {
            let [north, east] = wander.next(&mut random, 60.0);
            let astray = if random.unit() < 1.0 / 300.0 && minute > 0 { 200.0 } else { 0.0 };
            fix(minute * 60, [north + astray, east])
        });
        assert_eq!(told_of(fixes), [], "seed {seed}");
    }
}

/// A way that bends at random, by its true length: a fix each so many seconds, wandering by 4 m.
#[test]
fn a_trips_length_is_right_within_two_percent() {
    for (seed, every) in (0..40).flat_map(|seed| [(seed, 1), (seed, 10)]) {
        let mut random = Dice(seed);
        let mut wander = Wander::by(4.0, 120.0);
        let (mut at, mut heading, mut length) = ([0.0, 0.0], 0.0_f64, 0.0);
        let mut fixes = Vec::new();
        for second in 0..2400_i64 {
            let speed = if (300..1800).contains(&second) { 14.0 } else { 0.0 };
            heading += random.normal(1.0) * 0.02;
            at = [at[0] + speed * heading.sin(), at[1] + speed * heading.cos()];
            length += speed;
            let error = wander.next(&mut random, 1.0);
            if second % every == 0 {
                fixes.push(fix(second, [at[0] + error[0], at[1] + error[1]]));
            }
        }
        let told = told_of(fixes);
        let changes: Vec<_> = told.iter().map(|(_, motion)| motion.change).collect();
        assert_eq!(changes, [Moving, Stopped], "seed {seed}");
        let trip = told[1].1.trip.as_ref().unwrap();
        let share = trip.distance_m / length;
        assert!((0.98..1.02).contains(&share), "seed {seed}, every {every} s: {share}");
        let span = |at: Timestamp, second: i64| at.as_micros() / 1_000_000 - 1_700_000_000 - second;
        assert!((-30..60).contains(&span(trip.started_at, 300)), "{}", span(trip.started_at, 300));
        assert!((-30..30).contains(&span(trip.ended_at, 1800)), "{}", span(trip.ended_at, 1800));
    }
}

/// The last fixes at the place are of one that has set out already: a fix a second, and what it says of its speed.
#[test]
fn a_trip_begins_where_it_stood() {
    let (mut at, mut speed) = (0.0, 0.0_f64);
    let mut fixes: Vec<Fix> = (0..10).map(|minute| fix(minute * 60, [0.0, 0.0])).collect();
    for second in 600..1500 {
        let before = speed;
        speed = (speed + if second < 660 { 1.1 } else { -1.7 }).clamp(0.0, 14.0);
        at += (before + speed) / 2.0;
        let told = Fix { speed_mps: Some(speed), course_deg: Some(360.0), ..fix(second, [at, 0.0]) };
        fixes.push(told);
    }
    let told = told_of(fixes);
    let trip = told[1].1.trip.as_ref().unwrap();
    assert!((trip.distance_m - at).abs() < at * 0.01, "{} of {at}", trip.distance_m);
}

/// Along a straight road: (from second, to second, metres a second), a fix each 20 s.
fn drive(legs: &[(i64, i64, f64)]) -> Vec<Fix> {
    let last = legs.last().map_or(0, |leg| leg.1);
    let mut east = 0.0;
    let mut fixes = Vec::new();
    for second in 0..=last {
        if second % 20 == 0 {
            fixes.push(fix(second, [0.0, east]));
        }
        east += legs.iter().find(|leg| (leg.0..leg.1).contains(&second)).map_or(0.0, |leg| leg.2);
    }
    fixes
}

/// Seen at both ends alone: round three sides of a square, 9 km, of which it is 3 km as the crow flies.
fn round_by(odometer_m: impl Fn(f64) -> Option<f64>) -> Trip {
    let by = |second: i64, metres: f64| {
        let east = (metres / 9000.0) * 3000.0;
        Fix { odometer_m: odometer_m(metres), ..fix(second, [0.0, east]) }
    };
    let stands = (0..60).map(|nth| by(nth * 10, 0.0));
    let arrived = (0..60).map(|nth| by(1400 + nth * 10, 9000.0));
    let told = told_of(stands.chain(arrived));
    let trips: Vec<Trip> = told.iter().filter_map(|(_, motion)| motion.trip.clone()).collect();
    let [trip] = <[Trip; 1]>::try_from(trips).expect("one trip");
    trip
}

#[test]
fn a_trip_is_as_long_as_its_odometer_says_where_that_can_be() {
    let by = |start: f64, per_metre: f64| round_by(|metres| Some(start + metres * per_metre));
    let trip = by(123_456.4, 1.0);
    assert_eq!((trip.distance_m, trip.by_odometer, trip.odometer_m), (9000.0, true, Some(132_456.0)));
    // Hundreds of metres are fine for it, and kilometres are not.
    assert!(by(123_400.0, 1.0).by_odometer && !by(123_000.0, 1.0).by_odometer);
    // It stands still, goes backwards, or faster than anything.
    for wrong in [by(123_456.0, 0.0), by(123_456.0, -1.0), by(123_456.0, 100.0)] {
        assert!(!wrong.by_odometer && (wrong.distance_m - 3000.0).abs() < 30.0, "{wrong:?}");
    }
    // What was never told, or at one end alone.
    let silent = round_by(|_| None);
    let ended = round_by(|metres| (metres > 0.0).then_some(500.5));
    assert_eq!((silent.odometer_m, silent.by_odometer), (None, false));
    assert_eq!((ended.odometer_m, ended.by_odometer), (Some(501.0), false));
}

#[test]
fn a_red_light_is_no_stop_and_a_delivery_is_one() {
    let light = told_of(drive(&[(600, 900, 10.0), (1000, 1300, 10.0), (1300, 1600, 0.0)]));
    assert_eq!(seconds(&light), [(Moving, 600), (Stopped, 1300)]);
    let delivery = told_of(drive(&[(600, 900, 10.0), (1200, 1500, 10.0), (1500, 1800, 0.0)]));
    assert_eq!(seconds(&delivery), [(Moving, 600), (Stopped, 900), (Moving, 1200), (Stopped, 1500)]);
    assert_eq!(delivery[2].1.since, Some(delivery[1].0));
    let trips = delivery.iter().filter_map(|(_, motion)| motion.trip.as_ref());
    assert!(trips.map(|trip| trip.distance_m - 3000.0).all(|off| off.abs() <= 5.0), "{delivery:?}");
}

#[test]
fn a_trip_ends_where_nothing_more_came_for_long() {
    let mut fixes = drive(&[(600, 900, 10.0)]);
    fixes.extend((0..10).map(|nth| fix(8000 + nth * 20, [5000.0, 3000.0])));
    // Found elsewhere: it came there in a trip that nobody saw.
    let found = [(Moving, 600), (Stopped, 900), (Moving, 900), (Stopped, 8000)];
    assert_eq!(seconds(&told_of(fixes)), found);
    // It had come to rest before it fell silent.
    let mut parked = drive(&[(600, 900, 10.0), (900, 980, 0.0)]);
    parked.push(Fix { observed_at: fix(8000, [0.0, 0.0]).observed_at, ..parked[parked.len() - 1].clone() });
    assert_eq!(seconds(&told_of(parked)), [(Moving, 600), (Stopped, 900)]);
}

#[test]
fn speed_and_ignition_never_decide_alone() {
    let off = |fix: Fix| Fix { ignition: Some(false), speed_mps: Some(0.0), ..fix };
    let towed = told_of(drive(&[(600, 900, 10.0), (900, 1200, 0.0)]).into_iter().map(off));
    assert_eq!(towed.iter().map(|(_, motion)| motion.change).collect::<Vec<_>>(), [Moving, Stopped]);
    let on = |fix: Fix| Fix { ignition: Some(true), speed_mps: Some(9.0), ..fix };
    assert_eq!(told_of(drive(&[(0, 3600, 0.0)]).into_iter().map(on)), []);
    // Two fixes 180 m away and back, with the engine off: it stood.
    let strays = [(0, 0.0), (60, 0.0), (120, 250.0), (180, 250.0), (240, 250.0), (300, 0.0)];
    let strays = strays.map(|(second, north)| off(fix(second, [north, 0.0])));
    assert_eq!(told_of(strays), []);
}

/// A ferry, or an ignition that is not connected: a fix in five minutes is no end of the trip in between.
#[test]
fn who_goes_with_the_engine_off_has_not_come_to_rest() {
    let rules = TrackerRules::default();
    let off = |second: i64, east: f64| Moment::of(&Fix { ignition: Some(false), ..fix(second, [0.0, east]) });
    let (mut moves, mut told) = (Moves::begin(&fix(0, [0.0, 0.0])), Vec::new());
    for nth in 1..=6 {
        moves.take(&off(300 * nth, 3000.0 * nth as f64), &rules, &mut told);
    }
    assert_eq!(seconds(&told).len(), 1, "{told:?}");
    let silent = |moves: &Moves| moves.stop_due(&rules).map(|(_, silent)| silent);
    assert_eq!(silent(&moves), Some(rules.trip_gap * SILENT_GAPS));
    moves = serde_json::from_slice(&serde_json::to_vec(&moves).unwrap()).unwrap();
    assert_eq!(silent(&moves), Some(rules.trip_gap * SILENT_GAPS));
    // Ashore it stands where it was.
    moves.take(&off(2100, 18_010.0), &rules, &mut told);
    assert_ne!(silent(&moves), Some(rules.trip_gap * SILENT_GAPS));
    // Who parks and says so with the fix that has it there, has.
    let mut parks = Moves::begin(&fix(0, [0.0, 0.0]));
    for nth in 1..=3 {
        parks.take(&Moment::of(&fix(60 * nth, [0.0, 600.0 * nth as f64])), &rules, &mut told);
    }
    parks.take(&off(240, 2400.0), &rules, &mut told);
    assert_eq!(silent(&parks), Some(rules.stop_after));
}

#[test]
fn a_row_between_any_two_fixes_changes_nothing() {
    let fixes = drive(&[(600, 900, 10.0), (1200, 1500, 10.0), (1500, 1800, 0.0)]);
    let (mut moves, mut told) = (Moves::begin(&fixes[0]), Vec::new());
    for fix in &fixes[1..] {
        moves.take(&Moment::of(fix), &TrackerRules::default(), &mut told);
        moves = serde_json::from_slice(&serde_json::to_vec(&moves).unwrap()).unwrap();
    }
    assert_eq!(told, told_of(fixes));
}

#[test]
fn a_row_of_an_earlier_build_drives_on() {
    let fixes = drive(&[(600, 900, 10.0), (900, 1500, 0.0)]);
    let (before, after) =
        fixes.split_at(fixes.iter().position(|fix| fix.observed_at == fix_at(760)).unwrap());
    let (mut moves, mut told) = (Moves::begin(&before[0]), Vec::new());
    for fix in &before[1..] {
        moves.take(&Moment::of(fix), &TrackerRules::default(), &mut told);
    }
    let row = serde_json::to_value(&moves).unwrap();
    let mut moving = row["M"].as_object().expect("it drives").clone();
    // As it was: longer names, a length, and the last fix.
    for (long, short) in [("started_at", "t"), ("start", "s"), ("rest", "r")] {
        let value = moving.remove(short).expect("every row has it");
        moving.insert(long.to_owned(), value);
    }
    for new in ["w", "m", "n", "rolls", "place"] {
        moving.remove(new);
    }
    let (last, metres) = (moving["rest"].clone(), serde_json::json!(1500.0));
    for (old, value) in
        [("counted", last.clone()), ("last", last), ("metres", metres.clone()), ("metres_to_rest", metres)]
    {
        moving.insert(old.to_owned(), value);
    }
    let mut moves: Moves = serde_json::from_value(serde_json::json!({ "Moving": moving })).unwrap();
    let stopped = moves.clone().stop().expect("it drives").1.trip.unwrap();
    assert_eq!(stopped.distance_m, 1500.0, "where nothing more comes");
    for fix in after {
        moves.take(&Moment::of(fix), &TrackerRules::default(), &mut told);
    }
    assert_eq!(seconds(&told), [(Moving, 600), (Stopped, 900)]);
    let trip = told[1].1.trip.as_ref().unwrap();
    assert!((trip.distance_m - 3000.0).abs() <= 120.0, "{trip:?}");
    // What was leaving begins to leave again.
    let row = serde_json::to_string(&Moves::begin(&fixes[0])).unwrap();
    let place = &row[row.find("\"last\":").unwrap() + 7..row.len() - 2];
    let leaving = format!(
        "{},\"leaving\":{{\"first\":{place},\"last\":{place},\"metres\":3.0,\"count\":2}}}}}}",
        &row[..row.len() - 2]
    );
    let mut moves: Moves = serde_json::from_str(&leaving).unwrap();
    told.clear();
    for fix in &fixes[1..] {
        moves.take(&Moment::of(fix), &TrackerRules::default(), &mut told);
    }
    assert_eq!(seconds(&told), [(Moving, 600), (Stopped, 900)]);
}

/// A trailer that tells where it is once an hour: five kilometres further each time.
#[test]
fn who_is_elsewhere_each_hour_has_stopped_there_each_time() {
    let hourly = [0.0, 0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 25.0];
    let fixes = (0..).zip(hourly).map(|(hour, km)| fix(hour * 3600, [km * 1000.0, 0.0]));
    let told = told_of(fixes);
    let stops = seconds(&told).into_iter().filter(|(change, _)| *change == Stopped);
    assert_eq!(stops.map(|(_, at)| at / 3600).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
    let trips: Vec<&Trip> = told.iter().filter_map(|(_, motion)| motion.trip.as_ref()).collect();
    assert!(trips.iter().all(|trip| (trip.distance_m - 5000.0).abs() < 50.0), "{trips:?}");
    // One wrong fix a day is none.
    let strays = (0..200).map(|hour| fix(hour * 3600, [if hour % 24 == 7 { 900.0 } else { 0.0 }, 0.0]));
    assert_eq!(told_of(strays), []);
}
