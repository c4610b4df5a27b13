//! Opening a serial port, or the TCP connection that stands for one.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_serial::SerialPortBuilderExt;

use crate::config::{Parity, SerialLine};
use crate::source::line::Line;

/// A command of a few bytes that is not gone by then does not go.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// # Errors
/// Why there is no line, in words.
pub async fn open(line: &SerialLine, limit: Duration) -> Result<Box<dyn Line>, String> {
    match line {
        SerialLine::Tcp(address) => match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|error| error.to_string())?;
                Ok(Box::new(stream))
            }
            Ok(Err(error)) => Err(format!("failed to connect: {error}")),
            Err(_) => Err("failed to connect: no answer in time".to_owned()),
        },
        SerialLine::Port { path, baud, data_bits, stop_bits, parity } => {
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
            port.map(|port| Box::new(port) as Box<dyn Line>).map_err(|error| in_words(&error))
        }
    }
}

fn in_words(error: &tokio_serial::Error) -> String {
    match error.kind() {
        tokio_serial::ErrorKind::NoDevice => "there is no such port, or somebody else has it".to_owned(),
        tokio_serial::ErrorKind::Io(std::io::ErrorKind::NotFound) => {
            "there is no such port: is it plugged in?".to_owned()
        }
        tokio_serial::ErrorKind::Io(std::io::ErrorKind::PermissionDenied) => {
            "no permission to open the port: add our user to the group that owns it (dialout)".to_owned()
        }
        _ => format!("failed to open the port: {error}"),
    }
}
