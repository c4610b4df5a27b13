//! Opening a serial port, or the TCP connection that stands for one.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;
use tokio_serial::SerialPortBuilderExt;

use crate::config::{Parity, Rs485, SerialLine};
use crate::source::addresses;
use crate::source::line::Line;

/// A command of a few bytes that is not gone by then does not go.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no line. The text is what people read in the log, and in an alert.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("failed to connect: {0}")]
    Connect(#[source] io::Error),
    #[error("failed to connect: no answer in time")]
    Timeout,
    #[error("there is no such port, or somebody else has it")]
    NoDevice,
    #[error("there is no such port: is it plugged in?")]
    NotFound,
    #[error("no permission to open the port: add our user to the group that owns it (dialout)")]
    NoPermission,
    #[error("failed to open the port: {0}")]
    Port(#[source] tokio_serial::Error),
    #[error(
        "the port's driver does not switch the direction of an RS-485 line ({0}): leave out `rs485` where the adapter \
         does so by itself"
    )]
    Rs485(#[source] io::Error),
}

/// For callers who only tell people.
impl From<OpenError> for String {
    fn from(error: OpenError) -> Self {
        error.to_string()
    }
}

pub async fn open(line: &SerialLine, limit: Duration) -> Result<Box<dyn Line>, OpenError> {
    match line {
        SerialLine::Tcp(address) => {
            let connecting = timeout(limit, addresses::connect(address)).await;
            let stream = connecting.map_err(|_| OpenError::Timeout)?.map_err(OpenError::Connect)?;
            stream.set_nodelay(true).map_err(OpenError::Connect)?;
            Ok(Box::new(stream))
        }
        SerialLine::Port { path, baud, data_bits, stop_bits, parity, rs485 } => {
            // Kept open until the port is open for us: the last one to close a port may take its settings away.
            let _switched = rs485.map(|rs485| switch_by_driver(path, rs485)).transpose()?;
            let port = tokio_serial::new(path.to_string_lossy(), *baud)
                .data_bits(match data_bits {
                    7 => tokio_serial::DataBits::Seven,
                    _ => tokio_serial::DataBits::Eight,
                })
                .stop_bits(match stop_bits {
                    2 => tokio_serial::StopBits::Two,
                    _ => tokio_serial::StopBits::One,
                })
                .parity(match parity {
                    Parity::None => tokio_serial::Parity::None,
                    Parity::Even => tokio_serial::Parity::Even,
                    Parity::Odd => tokio_serial::Parity::Odd,
                })
                .open_native_async();
            Ok(Box::new(port.map_err(of_port)?))
        }
    }
}

/// Before we have the port to ourselves, since nobody else may open it then.
fn switch_by_driver(path: &Path, rs485: Rs485) -> Result<serial2::SerialPort, OpenError> {
    let port =
        serial2::SerialPort::open(path, serial2::KeepSettings).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => OpenError::NotFound,
            io::ErrorKind::PermissionDenied => OpenError::NoPermission,
            _ => OpenError::Rs485(error),
        })?;
    let mut how = serial2::rs4xx::Rs485Config::new();
    how.set_delay_before_send(rs485.before);
    how.set_delay_after_send(rs485.after);
    how.set_invert_rts(rs485.inverted);
    port.set_rs4xx_mode(how).map_err(OpenError::Rs485)?;
    Ok(port)
}

fn of_port(error: tokio_serial::Error) -> OpenError {
    match error.kind() {
        tokio_serial::ErrorKind::NoDevice => OpenError::NoDevice,
        tokio_serial::ErrorKind::Io(io::ErrorKind::NotFound) => OpenError::NotFound,
        tokio_serial::ErrorKind::Io(io::ErrorKind::PermissionDenied) => OpenError::NoPermission,
        _ => OpenError::Port(error),
    }
}
