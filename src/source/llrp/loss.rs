//! How a connection ends.

use std::io;
use std::time::Duration;

use crate::decode::DecodeError;
use crate::decode::llrp::EncodeError;
use crate::decode::llrp::framing::FramingError;
use crate::source::dial::DialError;

/// Why the session is over.
#[derive(Debug)]
pub(super) enum Ended {
    /// We were asked to stop, and took leave.
    Shutdown,
    /// Nobody takes frames any more.
    PipelineGone,
    /// To be tried again.
    Lost(Loss),
}

impl From<Loss> for Ended {
    fn from(loss: Loss) -> Self {
        Self::Lost(loss)
    }
}

/// The text is what people read in the log, and in an alert.
#[derive(Debug, thiserror::Error)]
pub(super) enum Loss {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("failed to connect within {0:?}")]
    ConnectTimeout(Duration),
    #[error("the reader has not connected to us for {0:?}")]
    NotCalled(Duration),
    #[error(
        "the reader closed the connection when it was asked for its protocol versions; it is asked no more, and spoken to in LLRP 1.0.1"
    )]
    VersionsUnknown,
    #[error("the reader did not announce the connection within {0:?}")]
    NotAnnounced(Duration),
    #[error("the reader refused the connection: {}", refusal(*.0))]
    Refused(u64),
    #[error("failed to read: {0}")]
    Read(#[source] io::Error),
    #[error("failed to write: {0}")]
    Write(#[source] io::Error),
    #[error("the reader takes no more bytes")]
    WriteTimeout,
    #[error("the reader closed the connection")]
    Closed,
    #[error("the reader sent what is no LLRP: {0}")]
    Framing(#[source] FramingError),
    #[error("nothing heard for {0:?}, three keepalives are missing")]
    Silent(Duration),
    #[error("the reader connected once more, and nothing was heard here for {0:?}")]
    Replaced(Duration),
    #[error("the configuration does not fit the reader: {0}")]
    Configuration(String),
    #[error("{request} was not answered within {within:?}")]
    NoResponse { request: &'static str, within: Duration },
    #[error("{request} failed with status {status}: {description}")]
    Rejected { request: &'static str, status: u64, description: String },
    #[error("the answer to {request} did not decode: {error}")]
    Undecodable { request: &'static str, error: DecodeError },
    #[error("failed to encode {request}: {error}")]
    Encode { request: &'static str, error: EncodeError },
}

impl Loss {
    /// The reader does not know, or will not do, what it was asked, and lives: it may be done without.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Rejected { .. } | Self::Undecodable { .. } | Self::NoResponse { .. })
    }

    /// The line is gone, or was not there: of a reader that connects by itself, the next try is its own. Whatever
    /// else went wrong would only go wrong again at once.
    pub fn is_of_the_line(&self) -> bool {
        match self {
            Self::NotCalled(_) | Self::Closed | Self::Read(_) | Self::Silent(_) | Self::Replaced(_) => true,
            Self::Write(_) | Self::WriteTimeout => true,
            // It is asked no more.
            Self::VersionsUnknown => true,
            _ => false,
        }
    }

    /// A short stable word for the metric's label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Dial(DialError::Connect(_)) | Self::ConnectTimeout(_) => "connect",
            Self::NotCalled(_) => "not-called",
            Self::Dial(_) => "tls",
            Self::VersionsUnknown => "version",
            Self::NotAnnounced(_) => "not-announced",
            Self::Refused(_) => "refused",
            Self::Read(_) | Self::Closed => "closed",
            Self::Write(_) | Self::WriteTimeout => "write",
            Self::Framing(_) => "framing",
            Self::Silent(_) => "silent",
            Self::Replaced(_) => "replaced",
            Self::NoResponse { .. } => "no-response",
            Self::Configuration(_) => "configuration",
            Self::Rejected { .. } | Self::Undecodable { .. } | Self::Encode { .. } => "set-up",
        }
    }
}

/// ConnectionAttemptEvent's status (LLRP 1.0.1, section 13.2.6.11).
pub(super) fn refusal(status: u64) -> String {
    match status {
        1 => "it is connected to a client that it called itself".to_owned(),
        2 => "another client is connected, or it still believes so of an earlier session of ours".to_owned(),
        3 => "it gives no reason".to_owned(),
        other => format!("status {other}"),
    }
}
