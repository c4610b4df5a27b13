//! A reader that calls its client (reader-initiated connections, section 8), again and again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::connection;
use super::reader::Shared;
use crate::sync::locked;

/// Between two calls.
const RETRY: Duration = Duration::from_millis(50);

pub(super) async fn keep_calling(shared: Arc<Shared>, client: SocketAddr, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = call(&shared, client) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn call(shared: &Shared, client: SocketAddr) {
    let stream = match TcpStream::connect(client).await.and_then(|it| it.set_nodelay(true).map(|()| it)) {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!(%client, %error, "nobody answers the reader's call"),
    };
    let (read, write) = connection::serve(shared, stream).await;
    locked(&shared.state).disconnected();
    connection::close(read, write).await;
}
