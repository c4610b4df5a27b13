//! What a tracker that is on no asset takes of the memory of all stages.

use super::*;

const TRACKERS: u64 = 200;

/// In and out of the fence for three hours, each minute a fix: everything that one may hold is full, the fixes and visits
/// that late ones are judged by as well. Counted is what its messages leave in the decoders, in cleaning and in tracking, but
/// for older messages of it, which are remembered within `intake.redelivery_memory` for all together.
#[test]
fn a_tracker_takes_a_kibibyte_of_all_stages() {
    let mut core = core(Vec::new());
    let give = |core: &mut Core, minute: u64| {
        let lat = if minute % 30 < 20 { 52.01 } else { 52.0 };
        for tracker in 0..TRACKERS {
            let tst = NOON as u64 + minute * 60;
            let payload = format!(r#"{{"_type":"location","lat":{lat},"lon":13.0,"tst":{tst},"acc":5}}"#);
            core.intake(Intake::Frame(Frame {
                source: "fleet".into(),
                received_at: Timestamp::from_secs(tst as i64),
                payload: Payload::Mqtt {
                    topic: format!("owntracks/fleet/truck-{tracker:06}"),
                    payload: payload.into(),
                    retained: false,
                    redelivered: false,
                },
                ack: None,
            }));
        }
        drop(core.take_group());
    };
    let held = allocation_counter::measure(|| (0..191).for_each(|minute| give(&mut core, minute)));
    let remembered = core.cleaner.remembered();
    assert_eq!(remembered.trackers, TRACKERS as usize);
    let beside = held.bytes_current - i64::try_from(remembered.redelivery_bytes).unwrap();
    let each = beside / TRACKERS as i64;
    assert!((600..=1024).contains(&each), "{each} bytes");
}
