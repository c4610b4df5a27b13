//! `tallyman probe modbus`: what a device has, before there is a map of it. Only reads.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::config::{
    BackoffConfig, ByteOrder, Half, MAX_REGISTERS, ModbusConfig, ModbusTransport, Parity, RTU_BAUD,
    RTU_PAUSE, RegisterType, SerialLine, values,
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
    /// host:port, or a serial port such as /dev/ttyUSB0
    address: String,
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
    fn config(&self) -> ModbusConfig {
        let address = self.address.clone();
        let transport = if address.starts_with('/') {
            let parity = match self.parity {
                ParityArg::None => Parity::None,
                ParityArg::Even => Parity::Even,
                ParityArg::Odd => Parity::Odd,
            };
            let (path, baud) = (address.into(), self.baud);
            ModbusTransport::Rtu(SerialLine::Port { path, baud, data_bits: 8, stop_bits: 1, parity })
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

/// Exit code 1 where the device does not answer, or has none of the registers.
pub async fn run(args: ProbeArgs) -> anyhow::Result<ExitCode> {
    let What::Modbus(args) = args.what;
    let line = Line::open(args.config()).await;
    let mut line = line.map_err(|failure| anyhow::anyhow!("{}: {}", args.address, describe(&failure)))?;
    let (found, wrong) = read(&mut line, &args).await;
    println!("{}", ranges(args.first, &found));
    if !args.ranges {
        print!("{}", shown(args.table(), args.first, &found));
    }
    if let Some(failure) = wrong {
        anyhow::bail!("unit {} at {}: {failure}", args.unit, args.address);
    }
    Ok(if found.iter().any(Option::is_some) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every register that there is, and what ended it before its end; refused blocks are halved.
async fn read(line: &mut Line, args: &ModbusArgs) -> (Vec<Option<u16>>, Option<String>) {
    let last = (u32::from(args.first) + u32::from(args.count) - 1).min(u16::MAX.into()) as u16;
    let blocks = (args.first..=last).step_by(usize::from(MAX_REGISTERS));
    let mut open: Vec<(u16, u16)> =
        blocks.map(|from| (from, (last - from).saturating_add(1).min(MAX_REGISTERS))).collect();
    let mut found = vec![None; usize::from(last - args.first) + 1];
    open.reverse();
    while let Some((address, count)) = open.pop() {
        let request = PlannedRequest { table: args.table(), address, count };
        match patiently(line, args, request).await {
            Ok(values) => {
                for (place, value) in values.into_iter().enumerate() {
                    found[usize::from(address - args.first) + place] = Some(value);
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
async fn patiently(line: &mut Line, args: &ModbusArgs, request: PlannedRequest) -> Result<Vec<u16>, Fault> {
    let mut answer = line.read(args.unit, request).await;
    for _ in 0..TRIES {
        match answer {
            Err(Fault::Exception(BUSY | ACKNOWLEDGED)) => {}
            Err(Fault::Timeout | Fault::Wrong(_)) => {
                let opened = Line::open(args.config()).await;
                *line = opened.map_err(|failure| Fault::Closed(std::io::Error::other(describe(&failure))))?;
                line.settle().await?;
            }
            answer => return answer,
        }
        answer = line.read(args.unit, request).await;
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
    let told: Vec<String> =
        ranges.iter().map(|(from, to)| format!("{}-{}", first + from, first + to)).collect();
    if told.is_empty() {
        "registers: none of these".to_owned()
    } else {
        format!("registers: {}", told.join(", "))
    }
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
                Raw::Number { number, .. } => Some(number.to_string()),
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
        assert_eq!(ranges(100, &found), "registers: 100-101, 103-103");
        assert_eq!(ranges(100, &[None]), "registers: none of these");
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
