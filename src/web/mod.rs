//! The HTTP API `/api/v1`: reads the journal's database; commands go in through `track` and are
//! answered after their commit. Served on TCP behind bearer tokens, and on a Unix control socket beside
//! the journal, where the file's permissions are the authentication. Writes no event itself.
//!
//! ```text
//!  serve ──▶ router: who is it, may they, how often ──▶ routes: role ──▶ assets · alerts · events · …
//!  (TLS, limits)        (auth, limits, audit)             │
//!                                                         └──▶ openapi: the same list, described
//! ```
//!
//! A new resource is a module with `operations()`, named in [`operations`].

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::config::{Rules, WebConfig};
use crate::domain::orders::{Answer, Order};
use crate::journal::Reader;
use crate::live::Live;
use crate::notify::Receivers;
use crate::source::clock::WallClock;
use crate::trust::Followed;

mod alerts;
mod answers;
mod assets;
pub mod audits;
mod auth;
mod command;
mod custody;
mod dead_letters;
pub mod doors;
pub mod due;
pub mod epcis;
mod etag;
mod events;
pub mod explain;
mod extract;
mod limits;
mod lists;
mod openapi;
mod page;
mod people;
mod problem;
mod register;
mod router;
mod routes;
mod serve;
mod sites;
mod sse;
mod status;
mod stream;
pub mod walk;

/// Looks through more rows than usual that run at a time: each costs a core some milliseconds a window.
const LONG_LOOKS: usize = 2;

/// What the handlers work on.
pub struct Api {
    reader: Reader,
    /// What the configuration declares.
    rules: Arc<Rules>,
    commands: mpsc::Sender<CommandRequest>,
    clock: WallClock,
    config: WebConfig,
    /// Turns of those who look through many rows.
    scans: Semaphore,
    /// Number of the newest event.
    committed: watch::Receiver<u64>,
    /// Turns of those who listen to the stream of events.
    streams: Arc<Semaphore>,
    receivers: Receivers,
    /// What is heard at this moment.
    live: Live,
    stopping: CancellationToken,
}

/// What an [`Api`] is made of.
pub struct Parts {
    pub reader: Reader,
    pub rules: Arc<Rules>,
    pub commands: mpsc::Sender<CommandRequest>,
    pub clock: WallClock,
    pub config: WebConfig,
    pub committed: watch::Receiver<u64>,
    pub receivers: Receivers,
    pub live: Live,
    /// Ends streams, and then the connections.
    pub stopping: CancellationToken,
}

impl Api {
    pub fn new(parts: Parts) -> Self {
        let Parts { reader, rules, commands, clock, config, committed, receivers, live, stopping } = parts;
        let scans = Semaphore::new(LONG_LOOKS);
        let streams = Arc::new(Semaphore::new(config.max_streams));
        Self { reader, rules, commands, clock, config, scans, committed, streams, receivers, live, stopping }
    }
}

/// A command on its way to `track`; answered after the commit.
pub struct CommandRequest {
    pub order: Order,
    pub reply: oneshot::Sender<Answer>,
}

/// Everything the API can do, in the order of the document.
fn operations(config: &WebConfig) -> Vec<routes::Operation> {
    let mut operations = Vec::new();
    operations.extend(status::operations());
    operations.extend(assets::operations());
    operations.extend(command::operations(config.max_import_bytes));
    operations.extend(custody::operations());
    operations.extend(register::operations(config.max_import_bytes));
    operations.extend(people::operations());
    operations.extend(answers::operations());
    operations.extend(events::operations());
    operations.extend(stream::operations());
    operations.extend(walk::operations());
    operations.extend(alerts::operations());
    operations.extend(audits::operations());
    operations.extend(epcis::operations());
    operations.extend(dead_letters::operations());
    operations
}

/// Serves the API behind bearer tokens until it is stopping.
pub async fn serve_tcp(listener: TcpListener, api: Arc<Api>, tls: Option<Followed>) {
    let (stopping, connections) = (api.stopping.clone(), api.config.max_connections);
    let router = router::behind_tokens(api);
    serve::tcp(listener, tls.map(Arc::new), router, connections, stopping).await;
}

/// Serves the API on the control socket until it is stopping.
pub async fn serve_control(listener: UnixListener, api: Arc<Api>) {
    let stopping = api.stopping.clone();
    let router = router::trusted(api);
    serve::unix(listener, router, stopping).await;
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
