//! The HTTP API `/api/v1`: reads the journal's database; commands go in through `track` and are
//! answered after their commit. Served on TCP behind bearer tokens, and on a Unix control socket beside
//! the journal, where the file's permissions are the authentication. Writes no event itself.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::config::{Rules, TokenConfig};
use crate::domain::commands::{Command, Outcome, Refused};
use crate::journal::Reader;
use crate::source::clock::WallClock;

mod assets;
mod auth;
mod commands;
mod events;
pub mod explain;
mod problem;
mod router;
mod status;

/// What the handlers work on.
pub struct Api {
    pub reader: Reader,
    /// What the configuration declares.
    pub rules: Arc<Rules>,
    pub commands: mpsc::Sender<CommandRequest>,
    pub tokens: Vec<TokenConfig>,
    pub clock: WallClock,
}

/// A command on its way to `track`; answered after the commit.
pub struct CommandRequest {
    /// Who gave it: the token's name, or `local` on the control socket.
    pub by: String,
    pub command: Command,
    pub reply: oneshot::Sender<Result<Outcome, Refused>>,
}

/// Serves the API behind bearer tokens until `shutdown`.
pub async fn serve_tcp(listener: TcpListener, api: Arc<Api>, shutdown: CancellationToken) {
    let router = router::behind_tokens(api);
    let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the API listener failed");
    }
}

/// Serves the API on the control socket until `shutdown`.
pub async fn serve_control(listener: UnixListener, api: Arc<Api>, shutdown: CancellationToken) {
    let router = router::trusted(api);
    let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the control socket failed");
    }
}

/// Where the control socket of the daemon with this journal is.
pub fn control_socket(journal: &Path) -> PathBuf {
    let mut path = journal.as_os_str().to_owned();
    path.push(".sock");
    path.into()
}

/// Binds the socket, readable and writable by the daemon's own user only. The journal's lock is held by
/// then, so a socket that is there already was left by a daemon that died.
pub fn bind_control_socket(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
