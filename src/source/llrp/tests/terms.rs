//! An ROSpec in people's terms, as the reader is told it; and what a reader has not.

use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;
use crate::config::{GpiTrigger, Power, Report, Start, Stop};

/// GeneralDeviceCapabilities of a reader of `maker`: 4 antennas, 4 inputs. RegulatoryCapabilities: powers 1 to 3 of
/// 10, 20 and 30 dBm, hopping with table 1, mode 1000.
fn capabilities(maker: u32) -> String {
    let general = format!("0089 001a 0004 4000 {maker:08x} 00000007 0000 008d 0008 0004 0004");
    let powers = "0091 0008 0001 03e8 0091 0008 0002 07d0 0091 0008 0003 0bb8";
    let hops = "0092 0011 80 0093 000c 01 00 0001 000d4a20";
    let modes = "0148 0024 0149 0020 000003e8 80 00 00 02 00009c40 000007d0 00001388 00001388 00000000";
    let band = format!("0090 0051 {powers} {hops} {modes}");
    format!("{general} {CAPABILITIES} 008f 0059 0001 0001 {band}")
}

async fn told(adjust: impl FnOnce(&mut RoSpecConfig)) -> String {
    let bench = Bench::start(|config| adjust(&mut config.rospec)).await;
    let mut reader = bench.accept().await;
    reader.capabilities = capabilities(9);
    reader.announce(0).await;
    reader.answer_until_enabled().await;
    reader.content(20)
}

fn holds(rospec: &str, part: &str) {
    assert!(rospec.contains(&without_blanks(part)), "{part}\n{rospec}");
}

#[tokio::test]
async fn power_and_mode_are_what_the_reader_calls_them() {
    let rospec = told(|rospec| {
        rospec.power = Some(Power::Dbm(25.0));
        rospec.antenna_power = vec![(2, 30.0)];
        rospec.mode = Some(1000);
    })
    .await;
    // All antennas: hop table 1, no channel, power 2; then antenna 2 with power 3 and the same mode and session.
    let inventory = "014a 0018 00 014f 0008 03e8 0000 0150 000b 80 0020 00000000";
    holds(&rospec, &format!("00de 0028 0000 00e0 000a 0001 0000 0002 {inventory}"));
    holds(&rospec, &format!("00de 0028 0002 00e0 000a 0001 0000 0003 {inventory}"));
}

#[tokio::test]
async fn reading_starts_and_stops_as_it_is_told() {
    let second = Duration::from_secs(1);
    let rospec = told(|rospec| {
        rospec.start = Start::Periodic { period: 60 * second, offset: 5 * second };
        rospec.stop = Stop::After(10 * second);
    })
    .await;
    holds(&rospec, "00b3 0011 02 00b4 000c 00001388 0000ea60 00b6 0009 01 00002710");
    let rospec = told(|rospec| {
        rospec.start = Start::Gpi(GpiTrigger { port: 1, high: true });
        rospec.stop = Stop::Gpi { trigger: GpiTrigger { port: 2, high: false }, timeout: 30 * second };
    })
    .await;
    holds(
        &rospec,
        "00b3 0010 03 00b5 000b 0001 80 00000000 00b6 0014 02 00000000 00b5 000b 0002 00 00007530",
    );
}

#[tokio::test]
async fn reports_come_in_rounds_of_the_interval() {
    let rospec = told(|rospec| rospec.report = Report::Interval(Duration::from_millis(500))).await;
    holds(&rospec, "00b3 0005 01 00b6 0009 01 000001f4");
    holds(&rospec, "00ed 0012 02 0000");
}

#[tokio::test]
async fn inputs_with_light_barriers_are_switched_on_and_told_of() {
    let mut bench = Bench::start(|config| config.beams = vec![1, 3]).await;
    let mut reader = bench.accept().await;
    reader.capabilities = capabilities(9);
    reader.announce(0).await;
    reader.answer_until_enabled().await;
    let settings = reader.content(3);
    // GPI events beside the others, and each input, in the state that it is in.
    holds(&settings, "00f4 0020 00f5 0007 0001 80 00f5 0007 0003 80 00f5 0007 0004 80 00f5 0007 0008 80");
    holds(&settings, "00e1 0008 0001 80 02 00e1 0008 0003 80 02");
    bench.frame().await;
    assert_eq!(bench.link().await, LinkState::Up { replaying: false });
    // What changed while nobody listened is asked for, with whatever else it tells.
    let (kind, id, content) = reader.receive_any().await;
    assert_eq!((kind, &content[..]), (2, &[0; 7][..]));
    let told = message(12, id, &format!("{SUCCESS} 00e1 0008 0001 80 01 00e1 0008 0003 80 00"));
    reader.send(&told).await;
    assert_eq!(bench.frame().await, told);
}

/// An input that is switched off starts and stops nothing.
#[tokio::test]
async fn inputs_that_start_or_stop_reading_are_switched_on() {
    let bench = Bench::start(|config| {
        config.beams = vec![3];
        config.rospec.start = Start::Gpi(GpiTrigger { port: 2, high: true });
        config.rospec.stop =
            Stop::Gpi { trigger: GpiTrigger { port: 3, high: false }, timeout: Duration::from_secs(9) };
    })
    .await;
    let mut reader = bench.accept().await;
    reader.capabilities = capabilities(9);
    reader.announce(0).await;
    reader.answer_until_enabled().await;
    let settings = reader.content(3);
    holds(&settings, "00e1 0008 0002 80 02 00e1 0008 0003 80 02");
    assert_eq!(settings.matches("00e10008").count(), 2, "each once: {settings}");
}

#[tokio::test]
async fn what_the_reader_has_not_is_told_and_it_is_not_set() {
    let mut bench = Bench::start(|config| config.rospec.antennas = vec![1, 5]).await;
    let mut reader = bench.accept().await;
    reader.capabilities = capabilities(9);
    reader.announce(0).await;
    let (kind, id, _) = reader.receive().await;
    assert_eq!(kind, 1);
    let answer = format!("{SUCCESS}{}", reader.capabilities);
    reader.send(&message(11, id, &answer)).await;
    bench.frame().await;
    assert_eq!(
        bench.down().await,
        "the configuration does not fit the reader: antenna 5 is configured, and the reader has antennas 1 to 4"
    );
}

#[tokio::test]
async fn an_impinj_reader_is_asked_for_what_its_make_tells() {
    let mut bench = Bench::start(|_| {}).await;
    let mut reader = bench.accept().await;
    reader.capabilities = capabilities(25_882);
    reader.announce(0).await;
    assert_eq!(reader.answer_until_enabled().await, [1, 1023, 3, 26, 20, 24, 64]);
    assert_eq!(reader.content(1023), without_blanks("0000651a 15 00000000"));
    // Its link monitor: on, after three keepalives.
    holds(&reader.content(3), "03ff 0010 0000651a 00000026 0001 0003");
    let on = |subtype: &str| format!("03ff 000e 0000651a 000000{subtype} 0001");
    // Phase, signal and Doppler; and nothing of inputs, for no light barrier is on them.
    let wanted = ["34", "35", "43"].map(on).join(" ");
    holds(&reader.content(20), &format!("03ff 0036 0000651a 00000032 {wanted}"));
    let events = "00f4 0019 00f5 0007 0003 80 00f5 0007 0004 80 00f5 0007 0008 80";
    holds(&reader.content(3), &format!("00 {events}"));
    bench.frame().await;
    assert_eq!(bench.link().await, LinkState::Up { replaying: false });
}

#[tokio::test]
async fn an_impinj_reader_is_asked_for_its_temperature_and_read_on() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let shows = |line: &str| {
        let told = metrics.render();
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    };
    let mut bench = Bench::start(|_| {}).await;
    let mut reader = bench.accept().await;
    reader.capabilities = capabilities(25_882);
    reader.announce(0).await;
    reader.answer_until_enabled().await;
    bench.frame().await;
    bench.link().await;
    let (kind, id, content) = reader.receive().await;
    assert_eq!(kind, 2);
    let asked = without_blanks("0000 02 0000 0000 03ff 0010 0000651a 00000015 000007d4");
    assert_eq!(::hex::encode(content), asked);
    let answer = format!("{SUCCESS} 03ff 000e 0000651a 00000025 0029");
    reader.send(&message(12, id, &answer)).await;
    reader.send(&message(61, 1, TAG)).await;
    assert_eq!(bench.frame().await, message(61, 1, TAG));
    shows("tallyman_reader_temperature_celsius{source=\"dock\"} 41");
    shows("tallyman_source_up{source=\"dock\"} 1");
    shows("tallyman_source_connections_total{source=\"dock\"} 1");
    drop(reader);
    bench.down().await;
    shows("tallyman_reader_temperature_celsius{source=\"dock\"} NaN");
    shows("tallyman_source_up{source=\"dock\"} 0");
}

/// Of Zebra's extensions only the phase could be asked for.
#[tokio::test]
async fn a_zebra_reader_is_asked_for_nothing_of_its_make() {
    let bench = Bench::start(|_| {}).await;
    let mut reader = bench.accept().await;
    reader.capabilities = capabilities(161);
    reader.announce(0).await;
    assert_eq!(reader.answer_until_enabled().await, SET_UP);
    assert!(!reader.content(20).contains("03ff"), "{}", reader.content(20));
}

/// At ENABLE_EXTENSIONS, at SET_READER_CONFIG, at ADD_ROSPEC: it is read all the same.
#[tokio::test]
async fn a_reader_that_refuses_its_makers_extensions_is_read_without_them() {
    for refused in [1023, 3, 20] {
        let mut bench = Bench::start(|_| {}).await;
        let mut reader = bench.accept().await;
        reader.capabilities = capabilities(25_882);
        reader.announce(0).await;
        reader.refuse = Some(refused);
        reader.answer_until_enabled().await;
        reader.refuse = None;
        reader.answer_until_enabled().await;
        let (_, newest) = reader.seen.iter().rev().find(|(kind, _)| *kind == 20).unwrap();
        let newest = ::hex::encode(newest);
        assert!(!newest.contains("0000651a"), "{refused}: {newest}");
        bench.frame().await;
        assert_eq!(bench.link().await, LinkState::Up { replaying: false });
    }
}

/// An error, and an answer that makes no sense: in the next session it is not asked again.
#[tokio::test]
async fn a_reader_that_will_not_enable_its_makers_extensions_is_asked_once() {
    for (kind, answer) in [(100, "011f 0008 006d 0000"), (1023, "00")] {
        let mut bench = Bench::start(|_| {}).await;
        let mut reader = bench.accept().await;
        reader.capabilities = capabilities(25_882);
        reader.announce(0).await;
        let (_, id, _) = reader.receive().await;
        let told = format!("{SUCCESS}{}", reader.capabilities);
        reader.send(&message(11, id, &told)).await;
        let (asked, id, _) = reader.receive().await;
        assert_eq!(asked, 1023);
        reader.send(&message(kind, id, answer)).await;
        assert_eq!(reader.answer_until_enabled().await, SET_UP[1..]);
        bench.frame().await;
        bench.link().await;
        drop(reader);
        bench.down().await;
        let mut again = bench.accept().await;
        again.capabilities = capabilities(25_882);
        again.announce(0).await;
        assert_eq!(again.answer_until_enabled().await, SET_UP);
    }
}
