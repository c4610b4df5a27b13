//! Ways of known length.

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
    assert!((0.985..1.015).contains(&bend(true)), "{}", bend(true));
    assert!(bend(false) < 0.97, "{} where no course is told", bend(false));
}

#[test]
fn what_wavers_before_a_red_light_goes_nowhere() {
    let mut random = Dice(7);
    let mut wavers = |second: i64| {
        let at = [random.normal(10.0), random.normal(10.0)];
        moment(second, at, Some([0.0; 2]))
    };
    let stands: Vec<Moment> = (1..=30).map(|nth| wavers(nth * 10)).collect();
    let lines: f64 = stands.windows(2).map(|ends| between_m(&ends[0], &ends[1])).sum();
    assert!(metres(&stands) < lines / 2.0, "{} of {lines}", metres(&stands));
}

#[test]
fn one_reflected_signal_makes_no_detour() {
    let north = |nth: i64| moment(nth * 10, [0.0, nth as f64 * 100.0], Some([0.0, 10.0]));
    let mut way: Vec<Moment> = (1..=30).map(north).collect();
    way[14] = moment(150, [200.0, 1500.0], Some([0.0, 10.0]));
    assert!((metres(&way) - 3000.0).abs() < 30.0, "{}", metres(&way));
    // Speeds that are told in other units are not believed against all positions.
    let wrong: Vec<Moment> =
        (1..=30).map(|nth| moment(nth * 10, [0.0, nth as f64 * 100.0], Some([0.0, 36.0]))).collect();
    assert!((metres(&wrong) - 3000.0).abs() < 150.0, "{}", metres(&wrong));
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
