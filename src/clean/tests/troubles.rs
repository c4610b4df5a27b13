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
