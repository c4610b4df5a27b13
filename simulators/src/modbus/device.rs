//! The sensor itself: a register map over a cold room, served over TCP.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::adu::{self, Request};
use super::cold_room::ColdRoom;
use super::registers::{POINTS, Quantity, Table};
use crate::clock::wall_now;
use crate::faults::{self, Fault, FaultSwitch, Faults};
use crate::listening::Gate;
use crate::sync::locked;

#[derive(Clone, Debug)]
pub struct DeviceOptions {
    pub name: String,
    pub unit: u8,
    pub room: ColdRoom,
    /// Port 0: any that is free.
    pub listen: SocketAddr,
}

/// A running device.
#[derive(Debug)]
pub struct Device {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    options: DeviceOptions,
    started: Timestamp,
    world: Mutex<World>,
    faults: FaultSwitch,
    /// Registers of answers that were written whole.
    answered: AtomicU64,
    polled: watch::Sender<bool>,
}

#[derive(Debug)]
struct World {
    /// When second 0 of the room's time is; `None` before that.
    begun: Option<Timestamp>,
    room: ColdRoom,
}

impl Device {
    pub async fn start(options: DeviceOptions) -> std::io::Result<Self> {
        let faults = FaultSwitch::default();
        let gate = Gate::open(options.listen, faults.watch()).await?;
        let address = gate.address();
        let shared = Arc::new(Shared {
            started: wall_now(),
            world: Mutex::new(World { begun: None, room: options.room.clone() }),
            options,
            faults,
            answered: AtomicU64::new(0),
            polled: watch::Sender::new(false),
        });
        let stop = CancellationToken::new();
        let task = tokio::spawn(accept(shared.clone(), gate, stop.clone()));
        Ok(Self { shared, address, stop, task })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn faults(&self) -> &FaultSwitch {
        &self.shared.faults
    }

    /// From here on the room's seconds count.
    pub fn begin(&self, at: Timestamp) {
        locked(&self.shared.world).begun = Some(at);
    }

    /// Opens or shuts the room's door, `at` seconds since it began.
    pub fn set_door(&self, open: bool, at: f64) {
        locked(&self.shared.world).room.set_door(open, at);
    }

    pub fn registers_answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Returns when a client has had an answer.
    pub async fn polled(&self) {
        if self.shared.polled.subscribe().wait_for(|polled| *polled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(device = %self.shared.options.name, %error, "the device's task failed");
        }
    }
}

async fn accept(shared: Arc<Shared>, mut gate: Gate, stop: CancellationToken) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = clients.join_next() => {}
            stream = gate.accept() => {
                clients.spawn(serve(shared.clone(), stream));
            }
        }
    }
}

async fn serve(shared: Arc<Shared>, stream: TcpStream) {
    let mut faults = shared.faults.watch();
    tokio::select! {
        ended = answer_all(&shared, stream) => if let Err(error) = ended {
            tracing::debug!(device = %shared.options.name, %error, "connection over");
        },
        () = faults::until(&mut faults, Faults::unreachable) => {}
    }
}

async fn answer_all(shared: &Shared, mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let length = match adu::split(&buffer) {
            Ok(Some(request)) => {
                let answer = shared.answer(&request);
                let going_on = shared.write(&mut stream, &answer).await?;
                if !going_on {
                    return stream.shutdown().await;
                }
                request.length
            }
            Ok(None) => {
                if stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
                continue;
            }
            Err(error) => return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, error)),
        };
        buffer.drain(..length);
    }
}

struct Answer {
    bytes: Vec<u8>,
    registers: u64,
}

impl Shared {
    fn answer(&self, request: &Request<'_>) -> Answer {
        let faults = self.faults.now();
        let wrong = faults.has(Fault::WrongTransaction);
        let transaction = if wrong { request.transaction ^ 0x5555 } else { request.transaction };
        let asked = match faults.exception() {
            Some(code) => Err(code),
            None => self.registers(request),
        };
        match asked {
            Ok(values) => Answer {
                bytes: adu::registers(request, transaction, &values),
                registers: if wrong { 0 } else { values.len() as u64 },
            },
            Err(code) => Answer { bytes: adu::exception(request, transaction, code), registers: 0 },
        }
    }

    fn registers(&self, request: &Request<'_>) -> Result<Vec<u16>, u8> {
        let table = match request.function {
            adu::READ_HOLDING_REGISTERS => Table::Holding,
            adu::READ_INPUT_REGISTERS => Table::Input,
            _ => return Err(adu::ILLEGAL_FUNCTION),
        };
        let &[a1, a0, c1, c0] = request.data else { return Err(adu::ILLEGAL_DATA_VALUE) };
        let (first, count) = (u16::from_be_bytes([a1, a0]), u16::from_be_bytes([c1, c0]));
        if count == 0 || count > adu::MAX_REGISTERS {
            return Err(adu::ILLEGAL_DATA_VALUE);
        }
        let end = u32::from(first) + u32::from(count);
        let map = self.map(table);
        let value = |address: u32| map.iter().find(|(known, _)| u32::from(*known) == address);
        (u32::from(first)..end)
            .map(|address| value(address).map(|(_, word)| *word).ok_or(adu::ILLEGAL_DATA_ADDRESS))
            .collect()
    }

    /// Every register of a table, with its address.
    fn map(&self, table: Table) -> Vec<(u16, u16)> {
        let now = wall_now();
        let points = POINTS.iter().filter(|point| point.table == table);
        points
            .flat_map(|point| (point.address..).zip(point.encode(self.value(point.quantity, now))))
            .collect()
    }

    fn value(&self, quantity: Quantity, now: Timestamp) -> f64 {
        let world = locked(&self.world);
        let seconds = |since: Timestamp| (now.as_microsecond() - since.as_microsecond()) as f64 / 1e6;
        let temperature = world.room.temperature(world.begun.map_or(0.0, seconds).max(0.0));
        match quantity {
            Quantity::Temperature => temperature + self.noise(now),
            Quantity::Humidity => 62.0 + 1.5 * (temperature - world.room.set_point),
            Quantity::Door => f64::from(u8::from(world.room.door_open())),
            Quantity::SetPoint => world.room.set_point,
            Quantity::RunningSeconds => seconds(self.started).max(0.0),
        }
    }

    /// A measuring error of at most 0.04 K, the same for the same device and instant.
    fn noise(&self, now: Timestamp) -> f64 {
        let hash = crate::truth::fnv1a(&now.as_microsecond().to_le_bytes()) ^ u64::from(self.options.unit);
        ((hash >> 40) as f64 / f64::from(1 << 24) - 0.5) * 0.08
    }

    /// Writes as the device's faults allow; whether the connection goes on.
    async fn write(&self, stream: &mut TcpStream, answer: &Answer) -> std::io::Result<bool> {
        let faults = self.faults.now();
        if let Some(delay) = faults.delay() {
            tokio::time::sleep(delay).await;
        }
        if faults.has(Fault::Silent) {
            return Ok(true);
        }
        if faults.has(Fault::Garbage) {
            let noise: Vec<u8> = answer.bytes.iter().map(|byte| byte.wrapping_mul(167) ^ 0xa5).collect();
            stream.write_all(&noise).await?;
            return Ok(true);
        }
        if faults.has(Fault::Truncated) {
            stream.write_all(&answer.bytes[..answer.bytes.len() / 2]).await?;
            return Ok(false);
        }
        stream.write_all(&answer.bytes).await?;
        if faults.has(Fault::Duplicate) {
            stream.write_all(&answer.bytes).await?;
        }
        self.answered.fetch_add(answer.registers, Ordering::Relaxed);
        self.polled.send_replace(true);
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
