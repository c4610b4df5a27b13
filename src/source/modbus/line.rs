//! A line to one device or many: opening it, asking, and what an answer must be to count.
//!
//! tokio-modbus checks transaction, unit and function of an answer, and nothing else: it takes any number of
//! registers. That is checked here. RTU has no transactions: what else arrives there is listened to before a
//! request and behind an answer, and an answer in company is none.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_modbus::client::{Client, Context, rtu, tcp};
use tokio_modbus::slave::SlaveContext;
use tokio_modbus::{Request, Response, Slave};

use super::fault::{Fault, LineError, WrongAnswer};
use super::plan::PlannedRequest;
use super::timing::Timing;
use super::wire::Wire;
use crate::config::values::parse_host_port;
use crate::config::{ModbusConfig, ModbusTransport, SerialLine};
use crate::domain::frames::{ModbusFailure, ModbusTable};
use crate::source::dial::dial;
use crate::source::line::Line as ByteStream;
use crate::source::serial;

/// Adapters and networks hand bytes of one answer on in pieces, none later than this after the one before it.
const HANDED_ON_WITHIN: Duration = Duration::from_millis(30);
/// Bytes of a serial frame, at most; a request and its answer are no more than two.
const LONGEST_FRAME: usize = 256;
/// Unit, function, address, count, checksum.
const REQUEST_BYTES: usize = 8;
/// Of a serial frame: unit, function, code, checksum.
const EXCEPTION_BYTES: usize = 5;
/// Of a serial frame beside the values: unit, function, number of bytes, checksum.
const FRAME_BYTES: usize = 5;

pub struct Line {
    wire: Wire,
    client: Context,
    is_rtu: bool,
    timing: Timing,
    /// For the device to answer; what its bytes take on a serial line comes on top.
    timeout: Duration,
    /// Between the end of an answer and the next request.
    pause: Duration,
}

impl Line {
    pub async fn open(config: ModbusConfig) -> Result<Self, ModbusFailure> {
        let opening = timeout(config.timeout, byte_stream(&config.transport, config.timeout));
        let stream = opening.await.unwrap_or(Err(LineError::Timeout)).map_err(ModbusFailure::from)?;
        sleep(config.pause_after_connect).await;
        let timing = Timing::of(&config.transport);
        let wire = Wire::new(stream);
        let is_rtu = config.transport.is_rtu();
        let client = client_on(&wire, is_rtu);
        let pause = config.pause.max(timing.silence());
        Ok(Self { wire, client, is_rtu, timing, timeout: config.timeout, pause })
    }

    /// One request. After a timeout or a wrong answer [`Self::settle`] comes before the next one.
    pub async fn read(&mut self, unit: u8, request: PlannedRequest) -> Result<Vec<u16>, Fault> {
        if self.is_rtu {
            self.throw_away_strays().await?;
            self.wire.count_from_here();
        }
        self.client.set_slave(Slave(unit));
        let under_way = self.timing.bytes(REQUEST_BYTES + FRAME_BYTES + request.value_bytes());
        let answer = match timeout(self.timeout + under_way, self.client.call(pdu(request))).await {
            Err(_) => return Err(Fault::Timeout),
            Ok(Err(error)) => return Err(error.into()),
            Ok(Ok(Err(exception))) => Err(Fault::Exception(exception.into())),
            Ok(Ok(Ok(response))) => registers(request, response).map_err(Fault::from),
        };
        if !self.pause.is_zero() {
            sleep(self.pause).await;
        }
        if self.is_rtu {
            // What came in one read with the answer the library keeps to itself.
            let answer_bytes =
                answer.as_ref().map_or(EXCEPTION_BYTES, |_| FRAME_BYTES + request.value_bytes());
            if self.wire.count() != answer_bytes || self.throw_away_strays().await? > 0 {
                return Err(WrongAnswer::InCompany.into());
            }
        }
        answer
    }

    /// No answer comes later than this after its request, but from a device that was late already.
    pub fn patience(&self) -> Duration {
        self.timeout + self.timing.bytes(2 * LONGEST_FRAME)
    }

    /// Whether the next answer belongs to the next request once more. Over TCP that needs a new connection,
    /// because an answer may still be under way on this one.
    pub async fn settle(&mut self) -> Result<(), Fault> {
        let quiet = self.pause.max(self.timing.silence() + HANDED_ON_WITHIN);
        self.wire.drain(quiet, self.patience()).await?;
        self.client = client_on(&self.wire, self.is_rtu);
        Ok(())
    }

    /// What is there already; how many bytes that were.
    async fn throw_away_strays(&mut self) -> Result<usize, Fault> {
        Ok(self.wire.drain(Duration::ZERO, Duration::ZERO).await?)
    }
}

fn client_on(wire: &Wire, is_rtu: bool) -> Context {
    if is_rtu { rtu::attach(wire.clone()) } else { tcp::attach(wire.clone()) }
}

async fn byte_stream(transport: &ModbusTransport, limit: Duration) -> Result<Box<dyn ByteStream>, LineError> {
    match transport {
        ModbusTransport::Rtu(line) => Ok(serial::open(line, limit).await?),
        ModbusTransport::RtuOverTcp(address) => {
            Ok(serial::open(&SerialLine::Tcp(address.clone()), limit).await?)
        }
        ModbusTransport::Tcp { address, tls } => {
            let (host, port) = parse_host_port(address)
                .map_err(|reason| LineError::Address { address: address.clone(), reason })?;
            Ok(dial(&host, port, tls.as_ref()).await?)
        }
    }
}

/// As the library writes it.
fn pdu(request: PlannedRequest) -> Request<'static> {
    let PlannedRequest { table, address, count } = request;
    match table {
        ModbusTable::Holding => Request::ReadHoldingRegisters(address, count),
        ModbusTable::Input => Request::ReadInputRegisters(address, count),
        ModbusTable::Coil => Request::ReadCoils(address, count),
        ModbusTable::Discrete => Request::ReadDiscreteInputs(address, count),
    }
}

/// As many as were asked for; bits are 0 or 1.
fn registers(request: PlannedRequest, response: Response) -> Result<Vec<u16>, WrongAnswer> {
    let asked = usize::from(request.count);
    match response {
        Response::ReadHoldingRegisters(registers) | Response::ReadInputRegisters(registers) => {
            match registers.len() {
                found if found == asked => Ok(registers),
                found => Err(WrongAnswer::Registers { found, asked }),
            }
        }
        // They come in whole bytes, and the library does not know how many were asked for.
        Response::ReadCoils(bits) | Response::ReadDiscreteInputs(bits) => match bits.len() {
            found if found == asked.next_multiple_of(8) => {
                Ok(bits.into_iter().take(asked).map(u16::from).collect())
            }
            found => Err(WrongAnswer::Bits { found, asked }),
        },
        _ => Err(WrongAnswer::Question),
    }
}
