//! Why there is no line, and why there is no answer. The texts are what people read in the log and in alerts.

use std::io;

use rustls::AlertDescription;
use tokio_modbus::ProtocolError;

use crate::domain::frames::ModbusFailure;
use crate::source::dial::DialError;
use crate::source::serial::OpenError;
use crate::trust;

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error("no answer in time")]
    Timeout,
    #[error("{address} is no address: {reason}")]
    Address { address: String, reason: &'static str },
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error(transparent)]
    Serial(#[from] OpenError),
}

impl From<LineError> for ModbusFailure {
    fn from(error: LineError) -> Self {
        match error {
            LineError::Timeout => Self::Timeout,
            other => Self::Transport(other.to_string()),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The device said no.
    #[error("exception {0}")]
    Exception(u8),
    #[error("no answer in time")]
    Timeout,
    /// Something came, and it was not the answer.
    #[error(transparent)]
    Wrong(#[from] WrongAnswer),
    /// It said so behind the handshake, where TLS 1.3 has it look at what we showed.
    #[error(
        "the device does not take our certificate, or misses one ({0:?}): see cert_file and key_file of `tls`"
    )]
    Certificate(AlertDescription),
    /// The line is gone.
    #[error(transparent)]
    Closed(io::Error),
}

/// What came instead of the answer. Never says which values.
#[derive(Debug, thiserror::Error)]
pub enum WrongAnswer {
    #[error("{found} registers instead of {asked}")]
    Registers { found: usize, asked: usize },
    #[error("{found} bits instead of {asked}")]
    Bits { found: usize, asked: usize },
    #[error("an answer to another question")]
    Question,
    #[error("the answer belongs to another request: {mismatch}")]
    Request { mismatch: String },
    #[error("the answer is not to function {0}")]
    Function(u8),
    #[error("more came than the answer")]
    InCompany,
    #[error(transparent)]
    Frame(io::Error),
}

impl From<tokio_modbus::Error> for Fault {
    /// Without the values that the library's own text would quote.
    fn from(error: tokio_modbus::Error) -> Self {
        match error {
            tokio_modbus::Error::Protocol(ProtocolError::HeaderMismatch { message, .. }) => {
                WrongAnswer::Request { mismatch: message }.into()
            }
            tokio_modbus::Error::Protocol(ProtocolError::FunctionCodeMismatch { request, .. }) => {
                WrongAnswer::Function(request.value()).into()
            }
            tokio_modbus::Error::Transport(error) => error.into(),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match trust::refusal_of_ours(&error) {
            Some(alert) => Self::Certificate(alert),
            None if error.kind() == io::ErrorKind::InvalidData => WrongAnswer::Frame(error).into(),
            None => Self::Closed(error),
        }
    }
}

impl From<Fault> for ModbusFailure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Exception(code) => Self::Exception(code),
            Fault::Timeout => Self::Timeout,
            Fault::Wrong(_) | Fault::Certificate(_) | Fault::Closed(_) => Self::Transport(fault.to_string()),
        }
    }
}
