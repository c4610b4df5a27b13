//! `tallyman probe modbus`: what a device has, before there is a map of it. Only reads.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::config::{
    self, BackoffConfig, ByteOrder, Half, MAX_REGISTERS, ModbusConfig, ModbusTransport, Parity, RTU_BAUD,
    RTU_PAUSE, RegisterType, Rs485, SerialLine, values,
};
use crate::decode::modbus::{Raw, raw};
use crate::domain::frames::ModbusTable;
use crate::domain::ids::SourceId;
use crate::source::modbus::plan::PlannedRequest;
use crate::source::modbus::{Fault, Line, describe};

/// Modbus application protocol 1.1b3, section 7.
const ACKNOWLEDGED: u8 = 5;
const BUSY: u8 = 6;
const TRIES: u32 = 2;

#[derive(Args)]
pub struct ProbeArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// A block of registers under every type and byte order, and which registers there are
    ///
    /// Registers that the device refuses are looked for by halves and told as ranges. Addresses count from 0.
    Modbus(ModbusArgs),
}

#[derive(Args)]
struct ModbusArgs {
    /// host:port, a serial port such as /dev/ttyUSB0, or with --config a Modbus device's name
    address: String,
    /// Where the device is described: line, TLS and unit are taken from there
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["unit", "rtu_over_tcp", "baud", "parity", "stop_bits", "rs485"])]
    config: Option<PathBuf>,
    #[arg(long, default_value_t = 1)]
    unit: u8,
    #[arg(long, value_enum, default_value_t = Table::Holding)]
    table: Table,
    /// The first register, counted from 0
    #[arg(long, default_value_t = 0)]
    first: u16,
    /// How many registers
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    count: u16,
    /// Serial frames behind host:port
    #[arg(long)]
    rtu_over_tcp: bool,
    /// Of a serial port
    #[arg(long, default_value_t = RTU_BAUD)]
    baud: u32,
    /// Of a serial port
    #[arg(long, value_enum, default_value_t = ParityArg::Even)]
    parity: ParityArg,
    /// Of a serial port
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    stop_bits: u8,
    /// The port's driver is to switch the direction of an RS-485 line
    #[arg(long)]
    rs485: bool,
    /// How long an answer may take
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    timeout: Duration,
    /// Only say which registers there are
    #[arg(long)]
    ranges: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Table {
    Holding,
    Input,
    Coil,
    Discrete,
}

#[derive(Clone, Copy, ValueEnum)]
enum ParityArg {
    None,
    Even,
    Odd,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = values::parse_duration(text).filter(|timeout| !timeout.is_zero());
    parsed.ok_or_else(|| format!("write {}", values::DURATION_ALLOWED))
}

impl ModbusArgs {
    fn target(&self) -> anyhow::Result<Target> {
        let (config, unit) = match &self.config {
            Some(path) => configured(path, &self.address)?,
            None => (self.line(), self.unit),
        };
        Ok(Target { config: ModbusConfig { timeout: self.timeout, ..config }, unit, table: self.table() })
    }

    fn line(&self) -> ModbusConfig {
        let address = self.address.clone();
        let transport = if address.starts_with('/') {
            let parity = match self.parity {
                ParityArg::None => Parity::None,
                ParityArg::Even => Parity::Even,
                ParityArg::Odd => Parity::Odd,
            };
            let (path, baud) = (address.into(), self.baud);
            let rs485 = self.rs485.then(Rs485::default);
            ModbusTransport::Rtu(SerialLine::Port {
                path,
                baud,
                data_bits: 8,
                stop_bits: self.stop_bits,
                parity,
                rs485,
            })
        } else if self.rtu_over_tcp {
            ModbusTransport::RtuOverTcp(address)
        } else {
            ModbusTransport::Tcp { address, tls: None }
        };
        let second = Duration::from_secs(1);
        ModbusConfig {
            name: SourceId::new("probe"),
            pause: if transport.is_rtu() { RTU_PAUSE } else { Duration::ZERO },
            transport,
            timeout: self.timeout,
            pause_after_connect: Duration::ZERO,
            backoff: BackoffConfig { first: second, last: second },
            units: Vec::new(),
        }
    }

    fn table(&self) -> ModbusTable {
        match self.table {
            Table::Holding => ModbusTable::Holding,
            Table::Input => ModbusTable::Input,
            Table::Coil => ModbusTable::Coil,
            Table::Discrete => ModbusTable::Discrete,
        }
    }
}

/// What is asked, and how.
struct Target {
    config: ModbusConfig,
    unit: u8,
    table: ModbusTable,
}

/// A device of a configuration, and its number on its line.
fn configured(path: &Path, name: &str) -> anyhow::Result<(ModbusConfig, u8)> {
    let lines = config::load(path).map_err(|error| anyhow::anyhow!("{error}"))?.modbus;
    let devices = || lines.iter().flat_map(|line| line.units.iter().map(move |unit| (line, unit)));
    let found = devices().find(|(_, unit)| unit.device.as_str() == name);
    let names = || devices().map(|(_, unit)| unit.device.as_str()).collect::<Vec<_>>().join(", ");
    let (line, unit) = found.ok_or_else(|| {
        anyhow::anyhow!("{} has no Modbus device {name}; it has: {}", path.display(), names())
    })?;
    Ok((line.clone(), unit.unit))
}

/// Exit code 1 where the device does not answer, or has none of the registers.
pub async fn run(args: ProbeArgs) -> anyhow::Result<ExitCode> {
    let What::Modbus(args) = args.what;
    let target = args.target()?;
    let line = Line::open(target.config.clone()).await;
    let mut line = line.map_err(|failure| anyhow::anyhow!("{}: {}", args.address, describe(&failure)))?;
    let (found, wrong) = read(&mut line, &target, args.first, args.count).await;
    println!("{}", ranges(args.first, &found));
    if !args.ranges {
        print!("{}", shown(target.table, args.first, &found));
    }
    if let Some(failure) = wrong {
        anyhow::bail!("unit {} at {}: {failure}", target.unit, args.address);
    }
    Ok(if found.iter().any(Option::is_some) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every register that there is, and what ended it before its end; refused blocks are halved.
async fn read(
    line: &mut Line,
    target: &Target,
    first: u16,
    count: u16,
) -> (Vec<Option<u16>>, Option<String>) {
    let last = (u32::from(first) + u32::from(count) - 1).min(u16::MAX.into()) as u16;
    let blocks = (first..=last).step_by(usize::from(MAX_REGISTERS));
    let mut open: Vec<(u16, u16)> =
        blocks.map(|from| (from, (last - from).saturating_add(1).min(MAX_REGISTERS))).collect();
    let mut found = vec![None; usize::from(last - first) + 1];
    open.reverse();
    while let Some((address, count)) = open.pop() {
        let request = PlannedRequest { table: target.table, address, count };
        match patiently(line, target, request).await {
            Ok(values) => {
                for (place, value) in values.into_iter().enumerate() {
                    found[usize::from(address - first) + place] = Some(value);
                }
            }
            // Whatever a device says of registers that it has not.
            Err(Fault::Exception(_)) if count > 1 => {
                let half = count / 2;
                open.extend([(address + half, count - half), (address, half)]);
            }
            Err(Fault::Exception(_)) => {}
            Err(fault) => return (found, Some(describe(&fault.into()))),
        }
    }
    (found, None)
}

/// Asks again where the line, or a busy device, may be to blame.
async fn patiently(line: &mut Line, target: &Target, request: PlannedRequest) -> Result<Vec<u16>, Fault> {
    let mut answer = line.read(target.unit, request).await;
    for _ in 0..TRIES {
        match answer {
            Err(Fault::Exception(BUSY | ACKNOWLEDGED)) => {}
            Err(Fault::Timeout | Fault::Wrong(_)) => {
                let opened = Line::open(target.config.clone()).await;
                *line = opened.map_err(|failure| Fault::Closed(std::io::Error::other(describe(&failure))))?;
                line.settle().await?;
            }
            answer => return answer,
        }
        answer = line.read(target.unit, request).await;
    }
    answer
}

fn ranges(first: u16, found: &[Option<u16>]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for place in (0..found.len()).filter(|place| found[*place].is_some()) {
        match ranges.last_mut().filter(|(_, last)| last + 1 == place) {
            Some((_, last)) => *last = place,
            None => ranges.push((place, place)),
        }
    }
    let first = usize::from(first);
    let range = |(from, to): &(usize, usize)| match first + from {
        only if from == to => only.to_string(),
        begin => format!("{begin}-{}", first + to),
    };
    let told: Vec<String> = ranges.iter().map(range).collect();
    if told.is_empty() {
        "registers: none of these".to_owned()
    } else {
        format!("registers: {}", told.join(", "))
    }
}

/// As few digits as say which number of the type it is, and powers of ten where it is far from any that is measured.
fn figure(kind: RegisterType, bits: u64, number: f64) -> String {
    let exact = || match kind {
        RegisterType::F16 | RegisterType::F32 => (number as f32).to_string(),
        RegisterType::F64 => number.to_string(),
        RegisterType::I64 => bits.cast_signed().to_string(),
        RegisterType::U64 => bits.to_string(),
        _ => number.to_string(),
    };
    let is_usual = number == 0.0 || !number.is_finite() || (1e-4..1e9).contains(&number.abs());
    if kind.is_float() && !is_usual { format!("{number:.3e}") } else { exact() }
}

/// What each register would be the first of.
fn shown(table: ModbusTable, first: u16, found: &[Option<u16>]) -> String {
    use RegisterType::{F16, F32, F64, I8, I16, I32, I64, Text, U8, U16, U32, U64};
    let wide = [("u32", U32), ("i32", I32), ("f32", F32), ("u64", U64), ("i64", I64), ("f64", F64)];
    let narrow = [("u16", U16), ("i16", I16), ("f16", F16)];
    let halves = [
        ("u8-high", U8(Half::High)),
        ("u8-low", U8(Half::Low)),
        ("i8-high", I8(Half::High)),
        ("i8-low", I8(Half::Low)),
    ];
    let orders = [
        ("abcd", ByteOrder::Abcd),
        ("dcba", ByteOrder::Dcba),
        ("badc", ByteOrder::Badc),
        ("cdab", ByteOrder::Cdab),
    ];
    let mut out = String::new();
    for (place, word) in found.iter().enumerate() {
        let Some(word) = word else { continue };
        let address = usize::from(first) + place;
        if table.is_of_bits() {
            out += &format!("{address}: {word}\n");
            continue;
        }
        out += &format!("{address}: 0x{word:04x}, {word:016b}\n");
        let value = |kind: RegisterType, order| {
            let words: Option<Vec<u16>> =
                found.get(place..place + usize::from(kind.registers()))?.iter().copied().collect();
            match raw(kind, order, &words?)? {
                Raw::Number { bits, number } => Some(figure(kind, bits, number)),
                Raw::Text(text) => Some(format!("{text:?}")),
            }
        };
        let mut row = |name: &str, told: Vec<(&str, Option<String>)>| {
            let told = told.into_iter().filter_map(|(order, value)| Some(format!("{order} {}", value?)));
            let told: Vec<String> = told.collect();
            if !told.is_empty() {
                out += &format!("    {name:8}{}\n", told.join("  "));
            }
        };
        for (name, kind) in narrow {
            row(name, orders[..3].iter().step_by(2).map(|(order, of)| (*order, value(kind, *of))).collect());
        }
        for (name, kind) in halves {
            row(name, vec![("", value(kind, ByteOrder::Abcd))]);
        }
        for (name, kind) in wide {
            row(name, orders.iter().map(|(order, of)| (*order, value(kind, *of))).collect());
        }
        let text = |order| value(Text(4), order).filter(|text| text.len() > 2);
        row("string", vec![("abcd", text(ByteOrder::Abcd)), ("badc", text(ByteOrder::Badc))]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_where_a_register_is_missing() {
        let found = [Some(1), Some(2), None, Some(3), None];
        assert_eq!(ranges(100, &found), "registers: 100-101, 103");
        assert_eq!(ranges(100, &[None]), "registers: none of these");
    }

    #[test]
    fn figures_are_no_longer_than_they_need_be() {
        for (kind, bits, number, told) in [
            (RegisterType::F32, 0x4278_000a, f64::from(f32::from_bits(0x4278_000a)), "62.00004"),
            (RegisterType::F32, 0x0028_4278, f64::from(f32::from_bits(0x0028_4278)), "3.697e-39"),
            (RegisterType::F64, 1, f64::from_bits(1), "4.941e-324"),
            (RegisterType::F64, 0, f64::NAN, "NaN"),
            (RegisterType::U64, u64::MAX, u64::MAX as f64, "18446744073709551615"),
            (RegisterType::I64, u64::MAX - 1, -2.0, "-2"),
            (RegisterType::U32, 4_000_000_000, 4e9, "4000000000"),
        ] {
            assert_eq!(figure(kind, bits, number), told, "{kind:?}");
        }
    }

    #[test]
    fn a_block_is_shown_under_every_type_and_order() {
        // 21.5 as f32; then a register that is missing, so nothing longer begins before it.
        let found = [Some(0x41ac), Some(0), None, Some(0x4b4d)];
        let text = shown(ModbusTable::Holding, 7, &found);
        for line in [
            "7: 0x41ac, 0100000110101100",
            "    u16     abcd 16812  badc 44097",
            "    f32     abcd 21.5  dcba ",
            "    u8-high  65",
            "10: 0x4b4d, 0100101101001101",
        ] {
            assert!(text.lines().any(|found| found.starts_with(line)), "{line}\n{text}");
        }
        assert!(!text.contains("u64"), "{text}");
        assert_eq!(shown(ModbusTable::Coil, 0, &[Some(1), None, Some(0)]), "0: 1\n2: 0\n");
    }
}
