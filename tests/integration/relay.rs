//! A TCP relay that writes down what passes, and can be cut like a cable.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What one side sent in one piece.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The how-manieth connection through the relay.
    pub connection: usize,
    pub from_client: bool,
    pub bytes: Vec<u8>,
}

pub struct Relay {
    pub address: SocketAddr,
    target: SocketAddr,
    passed: Arc<Mutex<Passed>>,
    task: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Passed {
    connections: usize,
    pieces: Vec<Piece>,
}

impl Relay {
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let mut relay = Self { address, target, passed: Arc::default(), task: None };
        relay.carry(listener);
        relay
    }

    /// Ends every connection; nobody gets through any more.
    pub async fn cut(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            assert!(task.await.is_err_and(|error| error.is_cancelled()));
        }
    }

    pub async fn mend(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the port is still ours");
        self.carry(listener);
    }

    /// Everything that passed so far, in the order in which it came.
    pub fn pieces(&self) -> Vec<Piece> {
        locked(&self.passed).pieces.clone()
    }

    fn carry(&mut self, listener: TcpListener) {
        self.task = Some(tokio::spawn(accept(listener, self.target, self.passed.clone())));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

fn locked(passed: &Mutex<Passed>) -> MutexGuard<'_, Passed> {
    passed.lock().expect("nobody panics with it")
}

async fn accept(listener: TcpListener, target: SocketAddr, passed: Arc<Mutex<Passed>>) {
    // Dropped with this task, and every connection with it.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("a listener accepts");
        let Ok(server) = TcpStream::connect(target).await else { continue };
        let connection = {
            let mut passed = locked(&passed);
            passed.connections += 1;
            passed.connections - 1
        };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        connections.spawn(pump(from_client, to_server, connection, true, passed.clone()));
        connections.spawn(pump(from_server, to_client, connection, false, passed.clone()));
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    connection: usize,
    from_client: bool,
    passed: Arc<Mutex<Passed>>,
) {
    let mut buffer = vec![0; 32 * 1024];
    while let Ok(count) = from.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        let bytes = buffer[..count].to_vec();
        locked(&passed).pieces.push(Piece { connection, from_client, bytes });
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    // The other side may have gone first; then there is nobody to tell.
    to.shutdown().await.unwrap_or_default();
}
