//! A line to one device or many: opening it, asking, and what an answer must be to count.
//!
//! tokio-modbus checks transaction, unit and function of an answer, and nothing else: it takes any number of
//! registers. That is checked here. RTU has no transactions: what else arrives there is listened to before a
//! request and behind an answer, and an answer in company is none.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_modbus::client::{Client, Context, rtu, tcp};
use tokio_modbus::slave::SlaveContext;
use tokio_modbus::{ProtocolError, Request, Response, Slave};

use super::plan::PlannedRequest;
use super::wire::Wire;
use crate::config::values::parse_host_port;
use crate::config::{ModbusConfig, ModbusTransport, SerialLine};
use crate::domain::frames::{ModbusFailure, ModbusTable};
use crate::source::dial::dial;
use crate::source::line::Line as Bytes;
use crate::source::serial;

/// No byte within an answer comes later than this after the one before it.
const QUIET: Duration = Duration::from_millis(30);

/// Why there is no answer.
#[derive(Clone, PartialEq, Debug)]
pub enum Fault {
    /// The device said no.
    Exception(u8),
    Timeout,
    /// Something came, and it was not the answer.
    Wrong(String),
    /// The line is gone.
    Closed(String),
}

impl From<Fault> for ModbusFailure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Exception(code) => Self::Exception(code),
            Fault::Timeout => Self::Timeout,
            Fault::Wrong(reason) | Fault::Closed(reason) => Self::Transport(reason),
        }
    }
}

pub struct Line {
    wire: Wire,
    client: Context,
    is_rtu: bool,
    timeout: Duration,
    /// Between the end of an answer and the next request.
    pause: Duration,
}

impl Line {
    pub async fn open(config: ModbusConfig) -> Result<Self, ModbusFailure> {
        let opening = bytes(&config.transport, config.timeout);
        let bytes = match timeout(config.timeout, opening).await {
            Ok(bytes) => bytes.map_err(ModbusFailure::Transport)?,
            Err(_) => return Err(ModbusFailure::Timeout),
        };
        sleep(config.pause_after_connect).await;
        let wire = Wire::new(bytes);
        let is_rtu = config.transport.is_rtu();
        let client = attached(&wire, is_rtu);
        Ok(Self { wire, client, is_rtu, timeout: config.timeout, pause: config.pause })
    }

    /// One request. After a timeout or a wrong answer [`Self::settle`] comes before the next one.
    pub async fn read(&mut self, unit: u8, request: PlannedRequest) -> Result<Vec<u16>, Fault> {
        if self.is_rtu {
            self.strays().await?;
            self.wire.count_from_here();
        }
        self.client.set_slave(Slave(unit));
        let answer = match timeout(self.timeout, self.client.call(asked(request))).await {
            Err(_) => return Err(Fault::Timeout),
            Ok(Err(error)) => return Err(fault(&error)),
            Ok(Ok(Err(exception))) => Err(Fault::Exception(exception.into())),
            Ok(Ok(Ok(response))) => values(request, response),
        };
        if !self.pause.is_zero() {
            sleep(self.pause).await;
        }
        if self.is_rtu {
            // What came in one read with the answer the library keeps to itself.
            let answer_bytes =
                answer.as_ref().map_or(EXCEPTION_BYTES, |_| FRAME_BYTES + request.value_bytes());
            if self.wire.count() != answer_bytes || self.strays().await? > 0 {
                return Err(Fault::Wrong("more came than the answer".into()));
            }
        }
        answer
    }

    /// Whether the next answer belongs to the next request once more. Over TCP that needs a new connection,
    /// because an answer may still be under way on this one.
    pub async fn settle(&mut self) -> Result<(), Fault> {
        let drained = self.wire.drain(QUIET.max(self.pause), self.timeout).await;
        drained.map_err(|error| Fault::Closed(error.to_string()))?;
        self.client = attached(&self.wire, self.is_rtu);
        Ok(())
    }

    /// Throws away what is there already.
    async fn strays(&mut self) -> Result<usize, Fault> {
        let drained = self.wire.drain(Duration::ZERO, Duration::ZERO).await;
        drained.map_err(|error| Fault::Closed(error.to_string()))
    }
}

fn attached(wire: &Wire, is_rtu: bool) -> Context {
    if is_rtu { rtu::attach(wire.clone()) } else { tcp::attach(wire.clone()) }
}

async fn bytes(transport: &ModbusTransport, limit: Duration) -> Result<Box<dyn Bytes>, String> {
    match transport {
        ModbusTransport::Rtu(line) => serial::open(line, limit).await,
        ModbusTransport::RtuOverTcp(address) => serial::open(&SerialLine::Tcp(address.clone()), limit).await,
        ModbusTransport::Tcp { address, tls } => {
            let (host, port) = parse_host_port(address)?;
            dial(&host, port, tls.as_ref()).await.map_err(|error| error.to_string())
        }
    }
}

fn asked(request: PlannedRequest) -> Request<'static> {
    let PlannedRequest { table, address, count } = request;
    match table {
        ModbusTable::Holding => Request::ReadHoldingRegisters(address, count),
        ModbusTable::Input => Request::ReadInputRegisters(address, count),
        ModbusTable::Coil => Request::ReadCoils(address, count),
        ModbusTable::Discrete => Request::ReadDiscreteInputs(address, count),
    }
}

/// Of a serial frame: unit, function, code, checksum.
const EXCEPTION_BYTES: usize = 5;

/// Of a serial frame beside the values: unit, function, number of bytes, checksum.
const FRAME_BYTES: usize = 5;

fn values(request: PlannedRequest, response: Response) -> Result<Vec<u16>, Fault> {
    let count = usize::from(request.count);
    match response {
        Response::ReadHoldingRegisters(registers) | Response::ReadInputRegisters(registers)
            if registers.len() == count =>
        {
            Ok(registers)
        }
        // They come in whole bytes, and the library does not know how many were asked for.
        Response::ReadCoils(bits) | Response::ReadDiscreteInputs(bits)
            if bits.len() == count.next_multiple_of(8) =>
        {
            Ok(bits.into_iter().take(count).map(u16::from).collect())
        }
        Response::ReadHoldingRegisters(values) | Response::ReadInputRegisters(values) => {
            Err(Fault::Wrong(format!("{} registers instead of {count}", values.len())))
        }
        Response::ReadCoils(bits) | Response::ReadDiscreteInputs(bits) => {
            Err(Fault::Wrong(format!("{} bits instead of {count}", bits.len())))
        }
        _ => Err(Fault::Wrong("an answer to another question".into())),
    }
}

/// Without the values that the library's own text would quote.
fn fault(error: &tokio_modbus::Error) -> Fault {
    match error {
        tokio_modbus::Error::Protocol(ProtocolError::HeaderMismatch { message, .. }) => {
            Fault::Wrong(format!("the answer belongs to another request: {message}"))
        }
        tokio_modbus::Error::Protocol(ProtocolError::FunctionCodeMismatch { request, .. }) => {
            Fault::Wrong(format!("the answer is not to function {}", request.value()))
        }
        tokio_modbus::Error::Transport(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Fault::Wrong(error.to_string())
        }
        tokio_modbus::Error::Transport(error) => Fault::Closed(error.to_string()),
    }
}
