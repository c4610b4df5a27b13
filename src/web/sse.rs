//! A stream of server-sent events to one client, as the HTML standard has them: a task writes chunks, the connection
//! takes them. A client that takes none for [`SLOW`] is cut off, and so is one whose token ends.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::Api;
use super::auth::Caller;
use super::problem::Problem;

/// Chunks on their way to a client, beside what its connection holds. When full, its stream waits.
const CHUNKS: usize = 4;
/// How long a stream waits for its client.
const SLOW: Duration = Duration::from_secs(60);
/// A client that heard nothing for longer may believe that nobody is there.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);

/// The way to one client.
pub(super) struct Client {
    pub api: Arc<Api>,
    pub caller: Caller,
    chunks: mpsc::Sender<Bytes>,
    _turn: OwnedSemaphorePermit,
}

impl Client {
    /// Takes one of the turns that there are for streams; gives the answer too.
    pub fn connect(api: Arc<Api>, caller: Caller) -> Result<(Self, Response), Problem> {
        let turn = api.streams.clone().try_acquire_owned().map_err(|_| Problem::NoStreamLeft)?;
        let (chunks, body) = mpsc::channel(CHUNKS);
        let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
        let response = (headers, Body::new(Chunks(body))).into_response();
        Ok((Self { api, caller, chunks, _turn: turn }, response))
    }

    /// False when the stream is to end.
    pub async fn send(&self, text: String) -> bool {
        if !self.caller.is_still_let_in(&self.api.config.tokens, self.api.clock.now()) {
            return false;
        }
        tokio::select! {
            sent = self.chunks.send(Bytes::from(text)) => sent.is_ok(),
            () = tokio::time::sleep(SLOW) => false,
            () = self.api.stopping.cancelled() => false,
        }
    }

    /// Until the client has gone, or we stop.
    pub async fn ended(&self) {
        tokio::select! {
            () = self.api.stopping.cancelled() => {}
            () = self.chunks.closed() => {}
        }
    }
}

/// The body of the answer: chunks as they come.
struct Chunks(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}
