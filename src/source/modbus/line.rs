//! The connection to one Modbus TCP device: connecting, asking, and what an answer must be to count.
//!
//! tokio-modbus checks transaction, unit and function of an answer, and nothing else: it takes any
//! number of registers, and a closed connection for whatever the system's last error was. Both are
//! checked here. A connection on which anything was wrong is never used again, because an answer may
//! still be under way on it that would be taken for the next one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_modbus::client::{Client, tcp};
use tokio_modbus::{ProtocolError, Request, Response, Slave};

use super::plan::PlannedRequest;
use crate::domain::frames::{ModbusFailure, ModbusTable};

pub struct Line {
    device: tokio_modbus::client::Context,
    timeout: Duration,
}

impl Line {
    pub async fn connect(address: String, unit: u8, limit: Duration) -> Result<Self, ModbusFailure> {
        let stream = match timeout(limit, TcpStream::connect(&address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                return Err(ModbusFailure::Transport(format!("failed to connect to {address}: {error}")));
            }
            Err(_) => return Err(ModbusFailure::Timeout),
        };
        stream.set_nodelay(true).map_err(|error| ModbusFailure::Transport(error.to_string()))?;
        let device = tcp::attach_slave(EndIsError(stream), Slave(unit));
        Ok(Self { device, timeout: limit })
    }

    /// One request. After any failure but an exception the line must be dropped.
    pub async fn read(&mut self, request: PlannedRequest) -> Result<Vec<u16>, ModbusFailure> {
        let PlannedRequest { table, address, count } = request;
        let asked = match table {
            ModbusTable::Holding => Request::ReadHoldingRegisters(address, count),
            ModbusTable::Input => Request::ReadInputRegisters(address, count),
            ModbusTable::Coil => Request::ReadCoils(address, count),
            ModbusTable::Discrete => Request::ReadDiscreteInputs(address, count),
        };
        let registers = match timeout(self.timeout, self.device.call(asked)).await {
            Err(_) => return Err(ModbusFailure::Timeout),
            Ok(Err(error)) => return Err(ModbusFailure::Transport(mismatch(&error))),
            Ok(Ok(Err(exception))) => return Err(ModbusFailure::Exception(exception.into())),
            Ok(Ok(Ok(
                Response::ReadHoldingRegisters(registers) | Response::ReadInputRegisters(registers),
            ))) => registers,
            // They come in whole bytes, and the library does not know how many were asked for.
            Ok(Ok(Ok(Response::ReadCoils(mut bits) | Response::ReadDiscreteInputs(mut bits)))) => {
                if bits.len() == usize::from(count).next_multiple_of(8) {
                    bits.truncate(usize::from(count));
                }
                bits.into_iter().map(u16::from).collect()
            }
            Ok(Ok(Ok(_))) => return Err(ModbusFailure::Transport("an answer to another question".into())),
        };
        if registers.len() != usize::from(count) {
            let message = format!("{} registers instead of {count}", registers.len());
            return Err(ModbusFailure::Transport(message));
        }
        Ok(registers)
    }
}

/// Without the values that the library's own text would quote.
fn mismatch(error: &tokio_modbus::Error) -> String {
    match error {
        tokio_modbus::Error::Protocol(ProtocolError::HeaderMismatch { message, .. }) => {
            format!("the answer belongs to another request: {message}")
        }
        tokio_modbus::Error::Protocol(ProtocolError::FunctionCodeMismatch { request, .. }) => {
            format!("the answer is not to function {}", request.value())
        }
        tokio_modbus::Error::Transport(error) => error.to_string(),
    }
}

/// A stream whose end is an error that says so.
#[derive(Debug)]
struct EndIsError(TcpStream);

impl AsyncRead for EndIsError {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = std::task::ready!(Pin::new(&mut self.0).poll_read(cx, buf));
        Poll::Ready(match read {
            Ok(()) if buf.filled().len() == before && buf.remaining() > 0 => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the device closed the connection"))
            }
            other => other,
        })
    }
}

impl AsyncWrite for EndIsError {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
