//! A wire between the forwarder and the server that a test can cut or hold still.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wire {
    Up,
    /// Connections are closed, new ones too.
    Cut,
    /// Connections stay and nothing moves.
    Frozen,
}

#[derive(Clone)]
pub struct Proxy {
    pub address: SocketAddr,
    wire: Arc<watch::Sender<Wire>>,
}

impl Proxy {
    pub async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (wire, state) = watch::channel(Wire::Up);
        tokio::spawn(accept(listener, server, state));
        Self { address, wire: Arc::new(wire) }
    }

    pub fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }
}

async fn accept(listener: TcpListener, server: String, state: watch::Receiver<Wire>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(carry(client, server.clone(), state.clone()));
    }
}

async fn carry(mut client: TcpStream, server: String, mut state: watch::Receiver<Wire>) {
    loop {
        let wire = *state.borrow_and_update();
        match wire {
            Wire::Cut => return,
            Wire::Frozen => state.changed().await.unwrap_or(()),
            Wire::Up => break,
        }
    }
    let Ok(mut upstream) = TcpStream::connect(&server).await else { return };
    loop {
        let wire = *state.borrow_and_update();
        match wire {
            Wire::Cut => return,
            Wire::Frozen => {
                if state.changed().await.is_err() {
                    return;
                }
            }
            Wire::Up => tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut client, &mut upstream) => {
                    upstream.shutdown().await.unwrap_or(());
                    return;
                }
                changed = state.changed() => if changed.is_err() { return },
            },
        }
    }
}
