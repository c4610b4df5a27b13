//! What is held of a gap: bounded, in any order, and told whole.

use super::*;
use crate::clean::tests::dice::Dice;
use crate::domain::geodesy::Position;
use crate::domain::ids::Digest;
use crate::domain::readings::Fix;

/// Round a square of 300 m by a fix in ten seconds, and a stop of ten minutes.
fn moment(nth: i64) -> Moment {
    let second = nth * 10;
    let metres = (second.min(600) + (second - 1200).max(0)) as f64 * 10.0;
    let (at, position) = (Timestamp::from_secs(1_700_000_000 + second), round(metres));
    Moment::of(&Fix { accuracy_m: Some(4.0), ..Fix::bare("truck".into(), at, position, Digest(0)) })
}

/// So far round the square.
fn round(metres: f64) -> Position {
    let (side, along) = (metres.div_euclid(300.0) as i64 % 4, metres.rem_euclid(300.0));
    let at = [[0.0, along], [along, 300.0], [300.0, 300.0 - along], [300.0 - along, 0.0]][side as usize];
    Position { lat: 50.0, lon: 8.0 }.moved_m(at)
}

/// A late one as if others had come in between that were older, so that all are held until the end.
fn in_no_order(held: &mut Held, late: &Moment, by: (&SourceId, Timestamp)) {
    held.climbs = 0;
    assert!(held.arrives(late, &[], by, &TrackerRules::default()).is_empty());
}

fn held(order: impl Iterator<Item = i64>) -> Box<Held> {
    let (via, received) = ("broker".into(), Timestamp::from_secs(1_700_010_000));
    let before =
        Fix::bare("truck".into(), Timestamp::from_secs(1_699_999_000), moment(0).place.position(), Digest(0));
    let mut held = Held::new(Moves::begin(&before), vec![moment(240)], (&via, received));
    order.for_each(|nth| in_no_order(&mut held, &moment(nth), (&via, received)));
    held
}

#[test]
fn what_is_dropped_leaves_its_length_whatever_the_order() {
    let all: Vec<Moment> = (0..=240).map(moment).collect();
    let truly: f64 = all.windows(2).map(|ends| piece_m(&ends[0], &ends[1], true)).sum();
    for held in [held(0..240), held((0..240).rev()), held((120..240).rev().chain(0..120))] {
        assert!(held.way.len() == MOST && held.way.is_sorted_by_key(|moment| moment.place.at));
        let kept: f64 = held.way.windows(2).map(|ends| piece_m(&ends[0], &ends[1], true)).sum();
        assert!((kept - truly).abs() < truly * 0.02, "{kept} of {truly}");
        let fixes: u32 = held.way.iter().map(|moment| u32::from(moment.place.count)).sum();
        assert_eq!(fixes, 241);
        // It stood for ten minutes, and that is still there.
        let longest = held.way.windows(2).map(|ends| {
            let apart = ends[0].place.position().distance_m(ends[1].place.position());
            if apart < 1.0 { ends[1].place.at.since(ends[0].place.at) } else { Duration::ZERO }
        });
        let stood: Duration = longest.sum();
        assert!(stood >= Duration::from_secs(500), "{stood:?}");
    }
}

/// Half an hour round the square with a fix a second, a stop of eight minutes in which one comes, and as long again.
#[test]
fn a_stop_is_not_lost_among_many_fixes() {
    let stop = 1800..2280;
    let at = |second: i64| {
        let position = round((second.min(stop.start) + (second - stop.end).max(0)) as f64 * 4.0);
        let (mut random, at) = (Dice(second as u64 + 7), Timestamp::from_secs(1_700_000_000 + second));
        let position = position.moved_m([random.normal(4.0), random.normal(4.0)]);
        Moment::of(&Fix { accuracy_m: Some(4.0), ..Fix::bare("truck".into(), at, position, Digest(0)) })
    };
    let seconds: Vec<i64> = (0..=stop.start).chain([2100]).chain(stop.end..4080).collect();
    let mut of = [seconds.clone(), seconds];
    of[1].reverse();
    for order in of {
        let mut held = held(0..0);
        held.way = vec![at(5000)];
        let by = ("broker".into(), held.since);
        for second in order {
            in_no_order(&mut held, &at(second), (&by.0, by.1));
        }
        let place = at(2100).place.position();
        let there = |moment: &&Moment| moment.place.position().distance_m(place) < 60.0;
        let during = at(stop.start - 20).place.at..=at(stop.end + 20).place.at;
        let stays: Vec<Timestamp> = held
            .way
            .iter()
            .filter(there)
            .map(|moment| moment.place.at)
            .filter(|at| during.contains(at))
            .collect();
        let stood = stays.iter().max().zip(stays.iter().min()).map(|(until, since)| until.since(*since));
        assert!(stood > Some(Duration::from_secs(400)), "{stood:?}");
    }
}

/// How long an hour to the north is by what is held of it, as a share: a fix each so many seconds, what it tells of its
/// speed, and how sure it is, which is by how much it errs.
fn hour(every: i64, told_mps: f64, accuracy_m: f64) -> f64 {
    let (mut random, mut held) = (Dice(3), held(0..0));
    held.way.clear();
    let start = Position { lat: 50.0, lon: 8.0 };
    for second in (0..3600).step_by(every as usize) {
        let [east, north] = [0.0, 10.0 * second as f64].map(|metres| metres + random.normal(accuracy_m));
        let at = Timestamp::from_secs(1_700_000_000 + second);
        let late = Moment::of(&Fix {
            accuracy_m: Some(accuracy_m),
            speed_mps: Some(told_mps),
            course_deg: Some(360.0),
            ..Fix::bare("truck".into(), at, start.moved_m([east, north]), Digest(0))
        });
        let since = held.since;
        in_no_order(&mut held, &late, (&"broker".into(), since));
    }
    let pieces = held.way.windows(2).map(|ends| piece_m(&ends[0], &ends[1], held.speeds.hold()));
    pieces.sum::<f64>() / 36_000.0
}

#[test]
fn what_is_dropped_makes_the_way_no_longer_by_wavering() {
    let shares = [hour(10, 10.0, 12.0), hour(1, 10.0, 4.0)];
    assert!(shares.iter().all(|share| (share - 1.0).abs() < 0.01), "{shares:?}");
}

#[test]
fn what_is_dropped_goes_by_no_speed_that_cannot_be() {
    let shares = [hour(2, 0.0, 0.5), hour(2, 36.0, 0.5)];
    assert!(shares.iter().all(|share| (0.97..1.05).contains(share)), "{shares:?}");
}

/// While what was kept still comes, what is new comes too: between them nothing is known of the way.
#[test]
fn what_is_new_takes_no_length_from_what_still_comes() {
    let rules = TrackerRules::default();
    let (all, news): (Vec<Moment>, i64) = ((0..=320).map(moment).collect(), 240);
    let mut held = held(0..0);
    for nth in 0..news {
        let since = held.since;
        in_no_order(&mut held, &all[nth as usize], (&"broker".into(), since));
        if nth % 3 == 2 {
            let by = (&"broker".into(), held.since);
            held.follows(&all[(news + 1 + nth / 3) as usize], by, &rules);
        }
    }
    let length = |way: &[Moment]| way.windows(2).map(|ends| piece_m(&ends[0], &ends[1], true)).sum::<f64>();
    let (kept, truly) = (length(&held.way), length(&all));
    assert!((kept - truly).abs() < truly * 0.02, "{kept} of {truly}");
}

#[test]
fn a_tracker_that_is_never_in_order_is_told_all_the_same() {
    let via: SourceId = "broker".into();
    let mut held = held(0..1);
    let since = held.since;
    for minute in 0..120 {
        let received = since + Duration::from_secs(60) * minute as u32;
        in_no_order(&mut held, &moment(1 + minute), (&via, received));
    }
    assert_eq!(held.due, since + AT_MOST);
}

/// Stands, and is this many metres to the north at these seconds.
fn northward(way: &[(i64, f64)]) -> Box<Held> {
    let (via, received) = ("broker".into(), Timestamp::from_secs(1_700_100_000));
    let start = Position { lat: 50.0, lon: 8.0 };
    let begins = Fix::bare("truck".into(), Timestamp::from_secs(1_699_999_000), start, Digest(0));
    let way = way.iter().map(|(second, north)| north_of(start, *second, *north)).collect();
    Held::new(Moves::begin(&begins), way, (&via, received))
}

fn north_of(start: Position, second: i64, north: f64) -> Moment {
    let (at, position) = (Timestamp::from_secs(1_700_000_000 + second), start.moved_m([0.0, north]));
    Moment::of(&Fix { accuracy_m: Some(4.0), ..Fix::bare("truck".into(), at, position, Digest(0)) })
}

fn late(held: &mut Held, second: i64, north: f64) {
    let (via, received) = ("broker".into(), Timestamp::from_secs(1_700_100_000));
    let late = north_of(Position { lat: 50.0, lon: 8.0 }, second, north);
    in_no_order(held, &late, (&via, received));
}

fn told(held: Held) -> Vec<Told> {
    let mut moves = held.before.clone();
    held.settle(&mut moves, &TrackerRules::default()).0
}

#[test]
fn what_cannot_be_believed_takes_no_length_with_it() {
    let rests = (20..40).map(|minute| (minute * 60, 6000.0));
    let way: Vec<(i64, f64)> = [(0, 0.0), (600, 3000.0)].into_iter().chain(rests).collect();
    let trips = [false, true].map(|astray| {
        let mut held = northward(&way);
        // Others lay on the way between these.
        held.way[1].way_m = NonZeroU16::new(5000);
        late(&mut held, 1230, 6000.0);
        if astray {
            late(&mut held, 900, 500_000.0);
        }
        told(*held).into_iter().filter_map(|(_, motion)| motion.trip).collect::<Vec<_>>()
    });
    assert_eq!(trips[0], trips[1]);
    assert!((trips[0][0].distance_m - 8000.0).abs() < 200.0, "{trips:?}");
}

/// Others lay between the last fix at the place and the first on the way.
#[test]
fn what_lay_between_counts_from_where_it_stood() {
    let rests = (20..40).map(|minute| (minute * 60, 3000.0));
    let way: Vec<(i64, f64)> = [(0, 0.0), (600, 3000.0)].into_iter().chain(rests).collect();
    let mut held = northward(&way);
    held.way[0].way_m = NonZeroU16::new(5000);
    late(&mut held, 1230, 3000.0);
    let trips: Vec<_> = told(*held).into_iter().filter_map(|(_, motion)| motion.trip).collect();
    assert!(trips.len() == 1 && (trips[0].distance_m - 5000.0).abs() < 200.0, "{trips:?}");
}

#[test]
fn leaving_out_what_lies_on_the_way_ends_no_trip() {
    // Faster and slower, but as fast all the time for three hours in the middle.
    let uneven = |nth: i64| if !(20..110).contains(&nth) && nth % 2 == 0 { 600.0 } else { 0.0 };
    let drives = (0..150).map(|nth| (nth * 120, nth as f64 * 1200.0 + uneven(nth)));
    let rests = (150..155).map(|nth| (nth * 120, 150.0 * 1200.0));
    let all: Vec<(i64, f64)> = drives.chain(rests).collect();
    let mut held = northward(&all[154..]);
    all[..154].iter().for_each(|(second, north)| late(&mut held, *second, *north));
    assert_eq!(held.way.len(), MOST);
    let told = told(*held);
    assert_eq!(told.len(), 2, "{told:?}");
    let metres = told[1].1.trip.as_ref().unwrap().distance_m;
    assert!((metres - 180_000.0).abs() < 500.0, "{metres}");
}

#[test]
fn one_in_order_that_is_left_out_confirms_no_late_one() {
    let mut held = northward(&[(0, 0.0), (60, 0.0), (120, 0.0), (180, 400.0)]);
    late(&mut held, 30, 400_000.0);
    // The one behind it is the first to go.
    held.way[2].place = held.way[1].place;
    held.way[2].place.at = Timestamp::from_secs(1_700_000_060);
    assert!(held.drop_one(0, &TrackerRules::default()));
    let counts: Vec<_> = held.way.iter().map(|moment| (moment.is_late, moment.place.count)).collect();
    assert_eq!(counts[..2], [(false, 1), (true, 1)]);
}

/// It is told when it has been heard again for a while, or after an hour.
#[test]
fn what_breaks_off_waits_until_it_is_heard_again() {
    let (via, rules) = ("broker".into(), TrackerRules::default());
    let second = |nth: u64| Timestamp::from_secs(1_700_010_000) + Duration::from_secs(nth);
    let mut held = held(200..240);
    assert_eq!(held.due(), (second(3600), &via), "of 33 minutes nothing has come");
    held.follows(&moment(242), (&via, second(29)), &rules);
    assert_eq!(held.due().0, second(3600), "it may be about to send them");
    held.follows(&moment(420), (&via, second(1900)), &rules);
    assert_eq!(held.due().0, second(1930), "it sends nothing more");
    (0..200).for_each(|nth| in_no_order(&mut held, &moment(nth), (&via, second(1910))));
    assert_eq!(held.due().0, second(3600), "nor of the second outage");
    (243..420).for_each(|nth| in_no_order(&mut held, &moment(nth), (&via, second(1920))));
    assert_eq!(held.due().0, second(1950), "all of it is there");
}
