//! What readers say is wrong with them is said on, of every source, whatever it reads.

use super::*;
use crate::domain::sightings::Trouble;

#[test]
fn each_trouble_is_said_once_for_each_time_that_it_is_told() {
    let mut cleaner = Cleaner::new(&rules(), &intake());
    let mut out = Cleaned::default();
    let too_hot = ReaderEventKind::Exception { message: "too hot".to_owned() };
    let kinds = [
        (ReaderEventKind::BufferLevel { percent: 90 }, Some(Trouble::BufferFilling { percent: 90 })),
        (ReaderEventKind::BufferOverflow, Some(Trouble::BufferOverflow)),
        (too_hot, Some(Trouble::Exception { message: "too hot".to_owned() })),
        (ReaderEventKind::Contended, Some(Trouble::Contended)),
        (ReaderEventKind::Other { name: "round-end" }, None),
    ];
    for (kind, expected) in kinds {
        let event = ReaderEvent { source: "cabinet".into(), time: DeviceTime::None, kind };
        cleaner.reading(Reading::Reader(event), &"cabinet".into(), at(1000), &mut out);
        let said: Vec<Seen> = out.sightings.drain(..).map(|sighting| sighting.what).collect();
        assert_eq!(said, expected.map(Seen::Trouble).into_iter().collect::<Vec<_>>());
    }
    assert_eq!((out.used, out.filtered.len()), (5, 0));
}

/// What a reader does not say: its calendar is a day off. Told as long as it is so, for nothing else says that it still is.
#[test]
fn a_clock_that_is_far_off_is_said_again_until_it_is_right() {
    let told = |lead_ms: i64, steps: &[Step]| {
        let mut cleaner = Cleaner::new(&rules(), &intake());
        let mut out = Cleaned::default();
        run(&mut cleaner, &[Step::Up(0)], &mut out);
        let time = DeviceTime::Utc(at(lead_ms));
        let event = ReaderEvent { source: "reader".into(), time, kind: ReaderEventKind::Connected };
        cleaner.reading(Reading::Reader(event), &"reader".into(), at(0), &mut out);
        run(&mut cleaner, steps, &mut out);
        let troubles = out.sightings.iter().filter_map(|sighting| match &sighting.what {
            Seen::Trouble(trouble) => {
                Some((sighting.received_at.micros_after(at(0)) / 1000, trouble.clone()))
            }
            _ => None,
        });
        (troubles.collect::<Vec<_>>(), cleaner.next_deadline())
    };
    let off = || Trouble::ClockOff { ahead_s: -86_400 };
    let ticks = [100, 299_000, 300_100, 450_000].map(Step::Tick);
    let (said, next) = told(-86_400_000, &ticks);
    assert_eq!(said, [(0, off()), (300_000, off())]);
    assert_eq!(next, Some(at(600_000)));
    assert_eq!(told(-299_000, &ticks), (vec![], None));
    // Put right over a new connection, and away.
    let put_right =
        [Step::Tick(100), Step::Down(1000), Step::Connected(2000), Step::Up(2000), Step::Tick(301_000)];
    assert_eq!(told(-86_400_000, &put_right).0, [(0, off())]);
    let away = [Step::Tick(100), Step::Down(1000), Step::Tick(301_000)];
    assert_eq!(told(-86_400_000, &away).0, [(0, off())]);
}
