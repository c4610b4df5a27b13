//! A device on a line that is opened again whenever it is lost; and devices that connect to us.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::line::Line;
use super::serial;
use super::standing::Standing;
use crate::config::SerialLine;

/// Before a connection is accepted again where none can be: the process has no descriptors left, for instance.
const RETRY: Duration = Duration::from_millis(200);

/// What is heard on a line.
pub(super) trait Listener {
    fn standing(&mut self) -> &mut Standing;

    /// Where the line is, and how long opening it may take.
    fn line(&self) -> (&SerialLine, Duration);

    /// One open line, to its end.
    async fn listen(&mut self, line: &mut dyn Line, shutdown: &CancellationToken) -> Ended;
}

/// Why nobody listens to a line any more.
pub(super) enum Ended {
    Shutdown,
    Lost(String),
}

/// Runs until `shutdown` is cancelled, or the pipeline is gone.
pub(super) async fn keep_listening(mut listener: impl Listener, shutdown: CancellationToken) {
    while !listener.standing().outbox.is_closed() {
        let (line, connect_timeout) = listener.line();
        let opened = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            opened = serial::open(line, connect_timeout) => opened,
        };
        let ended = match opened {
            Ok(mut line) => listener.listen(&mut *line, &shutdown).await,
            Err(error) => Ended::Lost(error.to_string()),
        };
        let Ended::Lost(reason) = ended else { break };
        let delay = listener.standing().lost(reason);
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(delay) => {}
        }
    }
    listener.standing().ended();
}

/// The next connection of a device. May be cancelled.
pub(super) async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                let at = listener.local_addr().ok();
                tracing::warn!(?at, %error, "a device that wants to connect could not be accepted");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
