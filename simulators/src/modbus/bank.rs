//! Several slaves on one line, with registers of any content, and faults of the wire that are told in advance:
//! answers that come late, twice, swapped, cut off, from somebody else, or never.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::adu::{self, ILLEGAL_DATA_ADDRESS, ILLEGAL_DATA_VALUE, ILLEGAL_FUNCTION};
use super::registers::Table;
use super::rtu;
use crate::serial::Line;
use crate::sync::locked;

/// Bits in one request.
const MAX_BITS: u16 = 2000;
/// "Gateway target device failed to respond."
const NO_TARGET: u8 = 11;

/// One slave's registers; what is not there is refused with exception 2.
#[derive(Clone, Debug, Default)]
pub struct Slave {
    /// Bits are 0 or 1.
    pub registers: BTreeMap<(Table, u16), u16>,
    /// Registers in one request, where fewer than the protocol allows; refused with exception 3.
    pub max_registers: Option<u16>,
    /// Nobody answers for it.
    pub dead: bool,
}

/// What becomes of one answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    Right,
    /// It never comes.
    Lost,
    /// So much later; the next request may be there by then, and is answered behind it.
    Late(Duration),
    /// It is kept back until the next request, and comes before that one's answer.
    WithTheNext,
    /// The next request's answer comes first.
    Swapped,
    Twice,
    /// Half of it.
    Truncated,
    /// Another slave's answer comes before it.
    Foreign,
    /// What the same slave told another master comes before it, in one piece with it, and is as long.
    BehindAnothers,
    /// A wrong check sum; over TCP another transaction.
    Spoilt,
    /// One byte after the other.
    ByteByByte,
    Exception(u8),
}

/// A line with its slaves, running.
#[derive(Debug)]
pub struct Bank {
    shared: Arc<Shared>,
    address: Option<SocketAddr>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    slaves: Mutex<BTreeMap<u8, Slave>>,
    deliveries: Mutex<VecDeque<Delivery>>,
    asked: Mutex<Vec<Asked>>,
    connections: Mutex<usize>,
    /// Answered with exception 11 instead of silence: a gateway.
    tells_of_the_dead: bool,
}

/// A request as it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    pub at: Instant,
    pub unit: u8,
    pub function: u8,
    pub address: u16,
    pub count: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Framing {
    Tcp,
    Rtu,
}

impl Bank {
    /// Modbus TCP on a free port of the loopback. `tells_of_the_dead`: as a gateway does, with exception 11.
    pub async fn tcp(slaves: BTreeMap<u8, Slave>, tells_of_the_dead: bool) -> io::Result<Self> {
        Self::listen(slaves, Framing::Tcp, tells_of_the_dead).await
    }

    /// Serial frames on a free port.
    pub async fn rtu_over_tcp(slaves: BTreeMap<u8, Slave>) -> io::Result<Self> {
        Self::listen(slaves, Framing::Rtu, false).await
    }

    async fn listen(slaves: BTreeMap<u8, Slave>, framing: Framing, tells: bool) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { slaves: Mutex::new(slaves), tells_of_the_dead: tells, ..Shared::default() });
        let stop = CancellationToken::new();
        let (here, stopped) = (shared.clone(), stop.clone());
        let task = tokio::spawn(async move {
            loop {
                let stream = tokio::select! {
                    () = stopped.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                let Ok((stream, _)) = stream else { continue };
                *locked(&here.connections) += 1;
                let (shared, stopped) = (here.clone(), stopped.clone());
                tokio::spawn(async move {
                    let (read, write) = stream.into_split();
                    tokio::select! {
                        () = stopped.cancelled() => {}
                        _ = shared.serve(read, write, framing) => {}
                    }
                });
            }
        });
        Ok(Self { shared, address: Some(address), stop, task })
    }

    /// A serial line behind `path`.
    pub fn terminal(slaves: BTreeMap<u8, Slave>, path: &Path) -> io::Result<Self> {
        let path: PathBuf = path.to_owned();
        let mut line = Line::open(&path)?;
        let shared = Arc::new(Shared { slaves: Mutex::new(slaves), ..Shared::default() });
        let stop = CancellationToken::new();
        let (here, stopped) = (shared.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let mut slave_end = Wire::default();
            let mut buffer = [0; 256];
            loop {
                let read = tokio::select! {
                    () = stopped.cancelled() => return,
                    read = line.read(&mut buffer) => read,
                };
                match read {
                    Ok(Some(count)) => slave_end.bytes.extend(&buffer[..count]),
                    // Nobody has it open; that is not told in any other way than by asking.
                    Ok(None) => tokio::time::sleep(Duration::from_millis(5)).await,
                    Err(_) => return,
                }
                while let Some(pieces) = here.next(&mut slave_end, Framing::Rtu) {
                    for piece in pieces {
                        tokio::time::sleep(piece.after).await;
                        if line.write(&piece.bytes).await.is_err() {
                            return;
                        }
                    }
                }
            }
        });
        Ok(Self { shared, address: None, stop, task })
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// What becomes of the next answers, one after the other; of those behind them nothing out of the way.
    pub fn deliver(&self, deliveries: &[Delivery]) {
        locked(&self.shared.deliveries).extend(deliveries);
    }

    /// Deliveries that are still to come.
    pub fn undelivered(&self) -> usize {
        locked(&self.shared.deliveries).len()
    }

    pub fn change(&self, unit: u8, change: impl FnOnce(&mut Slave)) {
        change(locked(&self.shared.slaves).entry(unit).or_default());
    }

    /// Every request so far, taken away.
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut locked(&self.shared.asked))
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        *locked(&self.shared.connections)
    }

    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the bank's task failed");
        }
    }
}

/// What a line remembers between two requests.
#[derive(Default)]
struct Wire {
    bytes: Vec<u8>,
    /// Kept back for the next request, and whether it then comes first.
    kept: Option<(Vec<u8>, bool)>,
}

struct Piece {
    after: Duration,
    bytes: Vec<u8>,
}

impl From<Vec<u8>> for Piece {
    fn from(bytes: Vec<u8>) -> Self {
        Self { after: Duration::ZERO, bytes }
    }
}

impl Shared {
    async fn serve(
        &self,
        mut read: impl AsyncRead + Unpin,
        mut write: impl AsyncWrite + Unpin,
        framing: Framing,
    ) -> io::Result<()> {
        let mut wire = Wire::default();
        loop {
            while let Some(pieces) = self.next(&mut wire, framing) {
                for piece in pieces {
                    tokio::time::sleep(piece.after).await;
                    write.write_all(&piece.bytes).await?;
                }
            }
            if read.read_buf(&mut wire.bytes).await? == 0 {
                return Ok(());
            }
        }
    }

    /// What goes out for the next request that is all there.
    fn next(&self, wire: &mut Wire, framing: Framing) -> Option<Vec<Piece>> {
        let (transaction, unit, pdu, length) = match framing {
            Framing::Tcp => {
                let request = adu::split(&wire.bytes).ok().flatten()?;
                let pdu = [&[request.function], request.data].concat();
                (request.transaction, request.unit, pdu, request.length)
            }
            Framing::Rtu => {
                let (body, length) = rtu::split(&wire.bytes)?;
                (0, body[0], body[1..].to_vec(), length)
            }
        };
        wire.bytes.drain(..length);
        let framed = |transaction: u16, unit: u8, pdu: &[u8]| match framing {
            Framing::Tcp => adu::frame(transaction, unit, pdu),
            Framing::Rtu => rtu::frame(unit, pdu),
        };
        let delivery = locked(&self.deliveries).pop_front().unwrap_or(Delivery::Right);
        let Some(answer) = self.answer(unit, &pdu) else { return Some(Vec::new()) };
        let right = framed(transaction, unit, &answer);
        let mut pieces: Vec<Piece> = match delivery {
            Delivery::Right => vec![right.into()],
            Delivery::Lost => Vec::new(),
            Delivery::Late(after) => vec![Piece { after, bytes: right }],
            Delivery::WithTheNext | Delivery::Swapped => Vec::new(),
            Delivery::Twice => vec![right.repeat(2).into()],
            Delivery::Truncated => vec![right[..right.len() / 2].to_vec().into()],
            Delivery::Foreign => {
                let foreign = framed(transaction.wrapping_sub(1), unit.wrapping_add(1), &answer);
                vec![[foreign, right].concat().into()]
            }
            Delivery::BehindAnothers => {
                let mut others = answer.clone();
                others.iter_mut().skip(2).for_each(|byte| *byte ^= 0x11);
                vec![[framed(transaction.wrapping_sub(1), unit, &others), right].concat().into()]
            }
            Delivery::Spoilt => {
                let mut spoilt = framed(transaction ^ 0x5555, unit, &answer);
                if let (Framing::Rtu, Some(last)) = (framing, spoilt.last_mut()) {
                    *last ^= 0x5a;
                }
                vec![spoilt.into()]
            }
            Delivery::ByteByByte => right
                .iter()
                .map(|byte| Piece { after: Duration::from_millis(1), bytes: vec![*byte] })
                .collect(),
            Delivery::Exception(code) => vec![framed(transaction, unit, &[pdu[0] | 0x80, code]).into()],
        };
        match (wire.kept.take(), delivery) {
            (Some((kept, true)), _) => pieces.insert(0, kept.into()),
            (Some((kept, false)), _) => pieces.push(kept.into()),
            (None, Delivery::WithTheNext) => {
                wire.kept = Some((framed(transaction, unit, &answer), true));
            }
            (None, Delivery::Swapped) => wire.kept = Some((framed(transaction, unit, &answer), false)),
            (None, _) => {}
        }
        Some(pieces)
    }

    /// The PDU of an answer; `None`: nobody answers.
    fn answer(&self, unit: u8, pdu: &[u8]) -> Option<Vec<u8>> {
        let function = pdu[0];
        let exception = |code| Some(vec![function | 0x80, code]);
        let slaves = locked(&self.slaves);
        let slave = slaves.get(&unit).filter(|slave| !slave.dead);
        let &[_, a1, a0, c1, c0] = pdu else { return exception(ILLEGAL_DATA_VALUE) };
        let (address, count) = (u16::from_be_bytes([a1, a0]), u16::from_be_bytes([c1, c0]));
        locked(&self.asked).push(Asked { at: Instant::now(), unit, function, address, count });
        let Some(slave) = slave else {
            return if self.tells_of_the_dead { exception(NO_TARGET) } else { None };
        };
        let (table, most) = match function {
            1 => (Table::Coil, MAX_BITS),
            2 => (Table::Discrete, MAX_BITS),
            3 => (Table::Holding, slave.max_registers.unwrap_or(adu::MAX_REGISTERS)),
            4 => (Table::Input, slave.max_registers.unwrap_or(adu::MAX_REGISTERS)),
            _ => return exception(ILLEGAL_FUNCTION),
        };
        if count == 0 || count > most {
            return exception(ILLEGAL_DATA_VALUE);
        }
        let addresses = u32::from(address)..u32::from(address) + u32::from(count);
        let values: Option<Vec<u16>> =
            addresses.map(|at| slave.registers.get(&(table, u16::try_from(at).ok()?)).copied()).collect();
        let Some(values) = values else { return exception(ILLEGAL_DATA_ADDRESS) };
        let data: Vec<u8> = match table {
            Table::Coil | Table::Discrete => values
                .chunks(8)
                .map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit != 0)))
                .collect(),
            Table::Holding | Table::Input => values.iter().flat_map(|word| word.to_be_bytes()).collect(),
        };
        Some([&[function, u8::try_from(data.len()).unwrap_or(u8::MAX)], &data[..]].concat())
    }
}

/// Registers whose content says whose they are: no two slaves, tables or addresses have the same. Of the bits, every
/// third is unlike the others, and which value it has changes from slave to slave.
pub fn telling(unit: u8, table: Table, addresses: impl IntoIterator<Item = u16>) -> Slave {
    let mark = |address: u16| match table {
        Table::Coil | Table::Discrete => u16::from(address.is_multiple_of(3) == unit.is_multiple_of(2)),
        Table::Holding => u16::from(unit) * 1000 + address,
        Table::Input => u16::from(unit) * 1000 + 500 + address,
    };
    let addresses: BTreeSet<u16> = addresses.into_iter().collect();
    let registers = addresses.into_iter().map(|address| ((table, address), mark(address))).collect();
    Slave { registers, ..Slave::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;

    async fn ask(bank: &Bank, request: &[u8], answer: usize) -> Vec<u8> {
        let mut stream = TcpStream::connect(bank.address().unwrap()).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut found = vec![0; answer];
        stream.read_exact(&mut found).await.unwrap();
        found
    }

    #[tokio::test]
    async fn bits_stand_in_bytes_from_the_lowest() {
        let mut slave = Slave::default();
        for (address, bit) in (20..).zip([1, 0, 1, 1, 0, 0, 0, 1, 1, 1]) {
            slave.registers.insert((Table::Coil, address), bit);
        }
        let bank = Bank::tcp(BTreeMap::from([(1, slave)]), false).await.unwrap();
        let answer = ask(&bank, &[0, 1, 0, 0, 0, 6, 1, 1, 0, 20, 0, 10], 11).await;
        assert_eq!(answer, [0, 1, 0, 0, 0, 5, 1, 1, 2, 0b1000_1101, 0b11]);
        bank.stop().await;
    }

    #[tokio::test]
    async fn serial_frames_and_one_that_is_kept_back() {
        let bank = Bank::rtu_over_tcp(BTreeMap::from([(2, telling(2, Table::Input, 0..4))])).await.unwrap();
        let request = |address: u8| rtu::frame(2, &[4, 0, address, 0, 1]);
        let answer = |value: u16| rtu::frame(2, &[4, 2, (value >> 8) as u8, value as u8]);
        assert_eq!(ask(&bank, &request(3), 7).await, answer(2503));
        bank.deliver(&[Delivery::WithTheNext]);
        let both = ask(&bank, &[request(0), request(1)].concat(), 14).await;
        assert_eq!(both, [answer(2500), answer(2501)].concat());
        bank.deliver(&[Delivery::Swapped]);
        let both = ask(&bank, &[request(0), request(1)].concat(), 14).await;
        assert_eq!(both, [answer(2501), answer(2500)].concat());
        bank.stop().await;
    }
}
