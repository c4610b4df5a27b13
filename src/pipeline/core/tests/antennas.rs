//! What a reader says of its antennas is known as long as it is there.

use metrics_exporter_prometheus::PrometheusBuilder;

use super::live::{frame, micros, up, watched};
use super::*;

/// AntennaEvent: antenna 2 was plugged in.
fn plugged_in(second: i64) -> Intake {
    let told =
        format!("043f 00000021 00000000 00f6 0017 0080 000c {:016x} 00ff 0007 01 0002", micros(second));
    frame(hex::decode(told.replace(' ', "")).unwrap(), second)
}

#[test]
fn it_is_unknown_while_the_reader_is_away() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let told = || {
        let all = metrics.render();
        let line = all.lines().find_map(|line| line.strip_prefix("tallyman_reader_antenna_connected{"));
        line.unwrap_or_default().to_owned()
    };
    let (mut core, _) = watched();
    core.intake(up(false, 0));
    core.intake(plugged_in(1));
    assert_eq!(told(), "source=\"dock\",antenna=\"2\"} 1");
    let at = Timestamp::from_secs(NOON + 2);
    let state = LinkState::Down { reason: "closed".to_owned() };
    core.intake(Intake::Link(LinkChange { source: "dock".into(), at, state }));
    assert_eq!(told(), "source=\"dock\",antenna=\"2\"} NaN");
}
