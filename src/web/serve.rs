//! Connections: how many, how long, how large; nothing of what is asked over them.
//!
//! ```text
//!  accept ──▶ a turn ──▶ (TLS handshake) ──▶ headers, in time and within bounds ──▶ router
//! ```
//! A client that is slow, or says nothing, holds one turn until it runs out of time, and nobody else up.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

use crate::trust::Followed;

/// From the connection, or the answer before, to the last header of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HEADERS: usize = 64;
/// All headers of a request together.
const MAX_HEADER_BYTES: usize = 32 << 10;
/// Where the machine has no descriptor left for a connection, the next try is this much later.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);
/// Answers under way at a stop may take so long.
const FAREWELL: Duration = Duration::from_secs(3);
/// Commands from shells; each is one connection.
const CONTROL_CONNECTIONS: usize = 64;

/// Who is at the other end; `None` on the control socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub Option<IpAddr>);

/// What goes for every connection of a listener.
struct Line {
    router: Router,
    turns: Arc<Semaphore>,
    tasks: TaskTracker,
    stopping: CancellationToken,
    /// Ends what is still open after the farewell.
    over: CancellationToken,
}

pub(super) async fn tcp(
    listener: TcpListener,
    tls: Option<Arc<Followed>>,
    router: Router,
    connections: usize,
    stopping: CancellationToken,
) {
    let line = Line::new(router, connections, stopping);
    if let Some(tls) = &tls {
        line.tasks.spawn(tls.clone().follow(line.stopping.clone()));
    }
    while let Some(turn) = line.turn().await {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = line.stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, address)) => {
                let peer = Peer(Some(address.ip()));
                match &tls {
                    Some(tls) => line.serve(handshake(tls.acceptor(), stream), peer, turn),
                    None => line.serve(async { Some(stream) }, peer, turn),
                }
            }
            Err(error) => refused(&error).await,
        }
    }
    line.end().await;
}

pub(super) async fn unix(listener: UnixListener, router: Router, stopping: CancellationToken) {
    let line = Line::new(router, CONTROL_CONNECTIONS, stopping);
    while let Some(turn) = line.turn().await {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = line.stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => line.serve(async { Some(stream) }, Peer(None), turn),
            Err(error) => refused(&error).await,
        }
    }
    line.end().await;
}

async fn handshake(acceptor: TlsAcceptor, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake with the API failed");
            None
        }
        Err(_) => None,
    }
}

async fn refused(error: &std::io::Error) {
    tracing::warn!(%error, "the API could not take a connection");
    tokio::time::sleep(ACCEPT_AGAIN).await;
}

impl Line {
    fn new(router: Router, connections: usize, stopping: CancellationToken) -> Self {
        let turns = Arc::new(Semaphore::new(connections));
        Self { router, turns, tasks: TaskTracker::new(), stopping, over: CancellationToken::new() }
    }

    /// `None` when it is time to stop.
    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            turn = self.turns.clone().acquire_owned() => turn.ok(),
            () = self.stopping.cancelled() => None,
        }
    }

    fn serve<S>(
        &self,
        stream: impl Future<Output = Option<S>> + Send + 'static,
        peer: Peer,
        turn: OwnedSemaphorePermit,
    ) where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (router, stopping, over) = (self.router.clone(), self.stopping.clone(), self.over.clone());
        self.tasks.spawn(async move {
            let served = async {
                if let Some(stream) = stream.await {
                    speak(stream, router, peer, stopping).await;
                }
            };
            tokio::select! {
                () = served => {}
                () = over.cancelled() => {}
            }
            drop(turn);
        });
    }

    async fn end(self) {
        self.tasks.close();
        if tokio::time::timeout(FAREWELL, self.tasks.wait()).await.is_err() {
            tracing::info!("connections to the API that do not end are cut");
            self.over.cancel();
            self.tasks.wait().await;
        }
    }
}

/// Answers requests until the connection ends; at a stop, until the answer under way is given.
async fn speak<S>(stream: S, router: Router, peer: Peer, stopping: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut router = router.clone();
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        async move { router.call(request).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the API ended early");
    }
}
