//! Ways of known length.

use super::row::{EACH, HEAD, WHOLE_FLAG};
use super::*;
use crate::clean::tests::dice::Dice;
use crate::domain::ids::Digest;
use crate::domain::readings::Fix;

const START: Position = Position { lat: 50.0, lon: 8.0 };

/// Metres east and north of the start; the velocity that is told, where it is.
fn moment(second: i64, at: Metres, velocity: Option<Metres>) -> Moment {
    let at_time = Timestamp::from_secs(1_700_000_000 + second);
    let course = velocity.map(|[east, north]| east.atan2(north).to_degrees().rem_euclid(360.0).max(0.01));
    Moment::of(&Fix {
        accuracy_m: Some(5.0),
        speed_mps: velocity.map(length),
        course_deg: course,
        ..Fix::bare("truck".into(), at_time, START.moved_m(at), Digest(0))
    })
}

fn metres(moments: &[Moment]) -> f64 {
    let mut way = Way::begin(START, 3.0, 0.1, Timestamp::from_secs(1_700_000_000), 0.0);
    moments.iter().for_each(|moment| way.goes(moment));
    way.metres_but(0)
}

#[test]
fn a_bend_between_two_fixes_is_not_cut() {
    // Round a circle of 200 m at 10 m/s, a fix each 20 s: a straight line cuts 4 %.
    let bend = |tells: bool| {
        let moments = (1..=30).map(|nth| {
            let (sin, cos) = f64::from(nth).sin_cos();
            let goes = [10.0 * sin, 10.0 * cos];
            moment(i64::from(nth) * 20, [200.0 * (1.0 - cos), 200.0 * sin], tells.then_some(goes))
        });
        metres(&moments.collect::<Vec<_>>()) / 6000.0
    };
    for tells in [true, false] {
        assert!((0.985..1.015).contains(&bend(tells)), "{} where a course is told: {tells}", bend(tells));
    }
}

#[test]
fn places_alone_tell_a_bend_where_they_are_not_too_near_in_time() {
    let corner = |seconds| by_places_m([100.0, 100.0], [[200.0, 0.0], [0.0, 200.0]], seconds, BY_LINE_S);
    let straight = length([100.0, 100.0]);
    assert!((corner(1.0) - straight).abs() < 0.2, "{}", corner(1.0));
    assert!(corner(30.0) > straight * 1.1, "{}", corner(30.0));
}

#[test]
fn what_wavers_before_a_red_light_goes_nowhere() {
    let mut random = Dice(7);
    let mut wavers = |second: i64| {
        let at = [random.normal(10.0), random.normal(10.0)];
        moment(second, at, Some([0.0; 2]))
    };
    let stands: Vec<Moment> = (1..=30).map(|nth| wavers(nth * 10)).collect();
    let place = |moment: &Moment| moment.place.position();
    let lines: f64 = stands.windows(2).map(|ends| place(&ends[0]).distance_m(place(&ends[1]))).sum();
    assert!(metres(&stands) < lines / 5.0, "{} of {lines}", metres(&stands));
}

#[test]
fn one_reflected_signal_makes_no_detour() {
    let north = |nth: i64| moment(nth * 10, [0.0, nth as f64 * 100.0], Some([0.0, 10.0]));
    let mut way: Vec<Moment> = (1..=30).map(north).collect();
    way[14] = moment(150, [200.0, 1500.0], Some([0.0, 10.0]));
    assert!((metres(&way) - 3000.0).abs() < 30.0, "{}", metres(&way));
}

#[test]
fn speeds_that_do_not_go_with_the_places_are_not_believed() {
    // Kilometres an hour, knots, none at all. It takes some hundred metres to find out.
    for (every, told) in [1, 10].into_iter().flat_map(|every| [(every, 54.0), (every, 29.2), (every, 0.0)]) {
        let fixes = 1..=600 / every;
        let way = fixes.map(|nth| moment(nth * every, [0.0, (nth * every * 15) as f64], Some([0.0, told])));
        let metres = metres(&way.collect::<Vec<_>>());
        assert!((metres - 9000.0).abs() < 500.0, "{metres} by {told} m/s each {every} s");
    }
}

/// A light between high buildings that lasts for ten minutes.
#[test]
fn speeds_are_believed_however_long_it_stands_and_wavers() {
    let (mut random, mut error) = (Dice(2), [0.0; 2]);
    let mut speeds = Speeds::default();
    let before = moment(0, [0.0; 2], Some([0.0, 10.0]));
    (0..10).for_each(|_| speeds.hears([0.0, 10.0], 1.0, &before));
    for second in 0..600 {
        let last: Metres = error;
        error = error.map(|error: f64| error * 0.96 + random.normal(4.0));
        let stands = moment(second, error, Some([random.normal(0.5), random.normal(0.5)]));
        speeds.hears([error[0] - last[0], error[1] - last[1]], 1.0, &stands);
        assert!(speeds.hold(), "{speeds:?} at {second} s");
    }
}

/// Between high buildings: up to a light and on, a fix a second.
#[test]
fn where_places_waver_it_is_as_long_as_its_speed() {
    let mut random = Dice(11);
    let (mut error, mut north, mut lines) = ([0.0; 2], 0.0, 0.0);
    let mut before = [0.0; 2];
    let way = (1..=340).map(|second| {
        let speed = if (150..190).contains(&second) { 0.0 } else { 10.0 };
        north += speed;
        error = error.map(|error: f64| error * 0.96 + random.normal(4.0));
        let at = [error[0], north + error[1]];
        lines += length([at[0] - before[0], at[1] - before[1]]);
        before = at;
        moment(second, at, Some([random.normal(0.3), speed + random.normal(0.3)]))
    });
    let (metres, truly) = (metres(&way.collect::<Vec<_>>()), 3000.0);
    assert!((metres - truly).abs() < truly * 0.01, "{metres} of {truly}");
    assert!(lines > truly * 1.1, "{lines}");
}

#[test]
fn a_silence_between_two_stands_may_hide_a_drive() {
    let stands =
        |from: i64, north: f64| (0..4).map(move |nth| moment(from + nth * 10, [0.0, north], Some([0.0; 2])));
    for silence in [25, 40] {
        let way: Vec<_> = stands(10, 0.0).chain(stands(40 + silence, 250.0).take(1)).collect();
        assert!((metres(&way) - 250.0).abs() < 15.0, "{} in {silence} s", metres(&way));
    }
    // In ten seconds it cannot have gone there and stand again.
    let jumps: Vec<_> = stands(10, 0.0).chain([moment(50, [0.0, 250.0], Some([0.0; 2]))]).collect();
    assert!(metres(&jumps) < 150.0, "{}", metres(&jumps));
}

/// Through streets with a turn at one of five corners, where it goes slowest, by a fix in 27 s.
#[test]
fn turns_that_no_fix_tells_of_are_part_of_the_way_in_the_mean() {
    let mut random = Dice(5);
    let (mut said, mut lines, mut truly) = (0.0, 0.0, 0.0);
    for _ in 0..100 {
        let (mut at, mut last, mut heading, mut fixes) = ([0.0_f64; 2], [0.0; 2], [0.0, 1.0], Vec::new());
        for second in 1..=1350 {
            let speed = 10.0 - 6.0 * (f64::from(second % 20) / 20.0 * std::f64::consts::TAU).cos();
            at = [at[0] + speed * heading[0], at[1] + speed * heading[1]];
            truly += speed;
            if second % 27 == 0 {
                fixes.push(moment(second.into(), at, Some(heading.map(|share| share * speed))));
                lines += length([at[0] - last[0], at[1] - last[1]]);
                last = at;
            }
            if second % 20 == 0 {
                heading = match random.normal(1.0) {
                    left if left < -1.3 => [-heading[1], heading[0]],
                    right if right > 1.3 => [heading[1], -heading[0]],
                    _ => heading,
                };
            }
        }
        said += metres(&fixes);
    }
    let off = [said, lines].map(|metres| metres / truly - 1.0);
    assert!(off[0].abs() < 0.01 && off[1] < -0.04, "{off:?}");
}

#[test]
fn a_length_that_is_known_counts_for_what_lay_between() {
    let mut way: Vec<Moment> =
        (1..=10).map(|nth| moment(nth * 10, [0.0, nth as f64 * 100.0], None)).collect();
    let straight = metres(&way);
    way[3].way_m = NonZeroU16::new(350);
    assert!((metres(&way) - straight - 250.0).abs() < 5.0, "{} and {straight}", metres(&way));
}

#[test]
fn a_row_is_exact_and_what_is_none_is_refused() {
    let mut way = Way::begin(START, 3.0, 0.1, Timestamp::from_secs(1_700_000_000), 12.5);
    for nth in 1..10 {
        let row = serde_json::to_string(&way).unwrap();
        assert_eq!(serde_json::from_str::<Way>(&row).unwrap(), way);
        assert!(serde_json::from_str::<Way>(&format!("\"{}\"", &row[1..row.len() - 3])).is_err());
        way.goes(&moment(nth * 10, [nth as f64 * 30.0, nth as f64 * 40.0], Some([3.0, 4.0])));
    }
}

#[test]
fn a_silence_of_decades_is_survived() {
    let way = [moment(0, [0.0; 2], Some([0.0; 2])), moment(900_000_000, [500.0, 0.0], Some([1.0, 0.0]))];
    let way = way.into_iter().chain((1..9).map(|nth| moment(900_000_000 + nth * 10, [500.0, 0.0], None)));
    let metres = metres(&way.collect::<Vec<_>>());
    assert!((450.0..1100.0).contains(&metres), "{metres}");
}

/// A fix in five minutes: who goes as fast as the line is long has not turned.
#[test]
fn a_motorway_is_no_longer_than_its_speed() {
    let way: Vec<_> =
        (1..20).map(|nth| moment(nth * 300, [0.0, nth as f64 * 7500.0], Some([0.0, 25.5]))).collect();
    let share = metres(&way) / 142_500.0;
    assert!((0.995..1.025).contains(&share), "{share}");
}

/// Those of an earlier build hold neither what became of speeds nor how much velocities may have changed.
#[test]
fn a_row_of_an_earlier_build_is_read() {
    let mut way = Way::begin(START, 3.0, 0.1, Timestamp::from_secs(1_700_000_000), 12.5);
    (1..7).for_each(|nth| way.goes(&moment(nth * 10, [0.0, nth as f64 * 100.0], Some([0.0, 10.0]))));
    let bytes = way.bytes();
    let (head, estimates) = bytes.split_at(HEAD);
    let mut earlier = head[..HEAD - 8].to_vec();
    earlier[26] &= !WHOLE_FLAG;
    estimates.chunks(EACH).for_each(|estimate| earlier.extend(&estimate[..EACH - 4]));
    let mut read = Way::read(&earlier).unwrap();
    assert_eq!((read.held.len(), read.last, read.metres), (way.held.len(), way.last, way.metres));
    for way in [&mut way, &mut read] {
        (7..30).for_each(|nth| way.goes(&moment(nth * 10, [0.0, nth as f64 * 100.0], Some([0.0, 10.0]))));
    }
    assert!((read.metres_but(0) - way.metres_but(0)).abs() < 1.0);
}
