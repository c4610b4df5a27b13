//! What decoding a tag report costs.
//!
//! `cargo bench --bench decode [-- SECONDS]`; default 2 seconds a measurement. Reports of 20 tags, each with all the
//! optional parameters of LLRP 1.0.1, the result of a read of its TID, and Impinj's phase and fine signal. From frames
//! in memory, to tags a second of a core and heap allocations a tag; and from a loopback socket, by the clock on the
//! wall, beside a loop that reads the same bytes and decodes nothing.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clock::median;
use tallyman::decode::llrp::ReportDecoder;
use tallyman::decode::llrp::framing::{MAX_MESSAGE_BYTES, message_length};
use tallyman::domain::readings::Reading;

mod clock;

const TAGS_A_REPORT: u32 = 20;
/// Different reports, so that no value is the last one's.
const REPORTS: u32 = 512;
/// What one read of the socket makes room for.
const READ_BYTES: usize = 64 * 1024;
const ROUNDS: usize = 5;

fn main() -> Result<()> {
    let seconds = std::env::args().skip(1).find(|word| !word.starts_with("--"));
    let seconds = seconds.map_or(Ok(2.0), |word| word.parse::<f64>()).context("how many seconds")?;
    let span = Duration::from_secs_f64(seconds);
    let reports: Vec<Vec<u8>> = (0..REPORTS).map(report).collect();
    let bytes: usize = reports.iter().map(Vec::len).sum();
    let tags = f64::from(REPORTS * TAGS_A_REPORT);
    println!("reports of {TAGS_A_REPORT} tags, {:.0} bytes a tag", bytes as f64 / tags);

    let per_s = median((0..ROUNDS).map(|_| in_memory(&reports, span)).collect::<Result<_>>()?);
    println!("  from frames in memory: {:.2} million tags/s, {:.0} ns a tag", per_s / 1e6, 1e9 / per_s);
    println!("  heap allocations a tag: {:.4}", allocations(&reports)?);

    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        rates[0].push(over_socket(&reports, span, |_| Ok(0))?);
        let (mut decoder, mut out) = (ReportDecoder::new("bench".into()), Vec::new());
        let decoded = over_socket(&reports, span, |waiting| decode_whole(waiting, &mut decoder, &mut out))?;
        rates[1].push(decoded);
    }
    let [bare, decoded] = rates.map(median);
    let per_tag = bytes as f64 / tags;
    println!(
        "  from a loopback socket: {:.2} million tags/s, {:.2} × a loop that decodes nothing ({:.2} million)",
        decoded / per_tag / 1e6,
        decoded / bare,
        bare / per_tag / 1e6
    );
    Ok(())
}

/// Tags a second of a core.
fn in_memory(reports: &[Vec<u8>], span: Duration) -> Result<f64> {
    let mut decoder = ReportDecoder::new("bench".into());
    let mut out = Vec::with_capacity(TAGS_A_REPORT as usize);
    let (began, mut tags) = (Instant::now(), 0);
    let before = clock::of_a_core()?;
    while began.elapsed() < span {
        for report in reports {
            decoder.decode(black_box(report), &mut out)?;
            tags += out.len();
            black_box(&out);
            out.clear();
        }
    }
    Ok(tags as f64 / (clock::of_a_core()? - before).as_secs_f64())
}

fn allocations(reports: &[Vec<u8>]) -> Result<f64> {
    let mut decoder = ReportDecoder::new("bench".into());
    let mut out = Vec::with_capacity(TAGS_A_REPORT as usize);
    let (mut tags, mut failed) = (0, None);
    let counted = allocation_counter::measure(|| {
        for report in reports {
            failed = decoder.decode(report, &mut out).err();
            tags += out.len();
            out.clear();
        }
    });
    ensure!(
        failed.is_none() && tags == (REPORTS * TAGS_A_REPORT) as usize,
        "not all was decoded: {failed:?}"
    );
    Ok(counted.count_total as f64 / tags as f64)
}

/// Bytes a second that `take` takes of a stream that another thread writes as fast as it can. `take` says how many of
/// the waiting bytes are left.
fn over_socket(
    reports: &[Vec<u8>],
    span: Duration,
    mut take: impl FnMut(&[u8]) -> Result<usize>,
) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut writing = TcpStream::connect(listener.local_addr()?)?;
    let (mut reading, _) = listener.accept()?;
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, stream) = (stop.clone(), reports.concat());
    let writer =
        std::thread::spawn(
            move || {
                while !stopped.load(Ordering::Relaxed) && writing.write_all(&stream).is_ok() {}
            },
        );
    let mut buffer = vec![0; READ_BYTES + MAX_MESSAGE_BYTES];
    let (mut left, mut taken) = (0, 0);
    let began = Instant::now();
    while began.elapsed() < span {
        let read = reading.read(&mut buffer[left..left + READ_BYTES])?;
        ensure!(read > 0, "the writer closed");
        let waiting = left + read;
        left = take(&buffer[..waiting])?;
        taken += read;
        buffer.copy_within(waiting - left..waiting, 0);
    }
    let rate = taken as f64 / began.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    drop(reading);
    ensure!(writer.join().is_ok(), "the writer failed");
    Ok(rate)
}

/// Decodes every whole message; gives how many bytes are left.
fn decode_whole(mut waiting: &[u8], decoder: &mut ReportDecoder, out: &mut Vec<Reading>) -> Result<usize> {
    while let Some(length) = message_length(waiting, MAX_MESSAGE_BYTES)? {
        decoder.decode(&waiting[..length], out)?;
        black_box(&*out);
        out.clear();
        waiting = &waiting[length..];
    }
    Ok(waiting.len())
}

/// An RO_ACCESS_REPORT (LLRP 1.0.1, section 16.1.34).
fn report(number: u32) -> Vec<u8> {
    let mut message = vec![0x04, 61, 0, 0, 0, 0];
    message.extend(number.to_be_bytes());
    for tag in 0..TAGS_A_REPORT {
        message.extend(tag_report(number * TAGS_A_REPORT + tag));
    }
    let length = message.len() as u32;
    message[2..6].copy_from_slice(&length.to_be_bytes());
    message
}

/// TagReportData (section 16.2.7.3) with everything that may be in it.
fn tag_report(tag: u32) -> Vec<u8> {
    let micros = 1_780_000_000_000_000_u64 + u64::from(tag) * 1000;
    let mut data = vec![0x80 | 13, 0x30, 0x34, 0x25, 0x7b, 0xf7, 0x19, 0x4e, 0x40];
    data.extend(tag.to_be_bytes());
    let mut value = |number: u8, bytes: &[u8]| {
        data.push(0x80 | number);
        data.extend(bytes);
    };
    value(9, &1_u32.to_be_bytes()); // ROSpecID
    value(14, &1_u16.to_be_bytes()); // SpecIndex
    value(10, &1_u16.to_be_bytes()); // InventoryParameterSpecID
    value(1, &(1 + tag as u16 % 4).to_be_bytes()); // AntennaID
    value(6, &[(-40 - (tag % 30) as i8).cast_unsigned()]); // PeakRSSI
    value(7, &(1 + tag as u16 % 50).to_be_bytes()); // ChannelIndex
    value(2, &micros.to_be_bytes()); // FirstSeenTimestampUTC
    value(3, &(micros % 1_000_000_000).to_be_bytes()); // FirstSeenTimestampUptime
    value(4, &(micros + 200).to_be_bytes()); // LastSeenTimestampUTC
    value(5, &(micros % 1_000_000_000 + 200).to_be_bytes()); // LastSeenTimestampUptime
    value(8, &(1 + tag as u16 % 9).to_be_bytes()); // TagSeenCount
    value(12, &0x3000_u16.to_be_bytes()); // C1G2_PC
    value(11, &(tag as u16).to_be_bytes()); // C1G2_CRC
    value(16, &0_u32.to_be_bytes()); // AccessSpecID
    // C1G2ReadOpSpecResult: success, of OpSpec 1, six words of a TID.
    data.extend([0x01, 0x5d, 0, 21, 0, 0, 1, 0, 6, 0xe2, 0x80, 0x11, 0x05, 0x20, 0, 0x7d, 0x1f, 0, 0, 0, 0]);
    // Custom of Impinj (25882): RFPhaseAngle, PeakRSSI.
    for (subtype, value) in [(56_u32, (tag % 4096) as u16), (57, (-5000_i16).cast_unsigned())] {
        data.extend([0x03, 0xff, 0, 14]);
        data.extend(25_882_u32.to_be_bytes());
        data.extend(subtype.to_be_bytes());
        data.extend(value.to_be_bytes());
    }
    let mut report = vec![0, 240];
    report.extend((4 + data.len() as u16).to_be_bytes());
    report.extend(data);
    report
}
