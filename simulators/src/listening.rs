//! A listening socket that goes away and comes back as its device's faults say.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::faults::{self, Faults};

/// How long to wait before the port is tried again, where something else has it.
const RETRY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Gate {
    listener: Option<TcpListener>,
    address: SocketAddr,
    faults: watch::Receiver<Faults>,
}

impl Gate {
    /// Port 0 becomes the port that was free, and stays it.
    pub async fn open(address: SocketAddr, faults: watch::Receiver<Faults>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener: Some(listener), address, faults })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next client. While the device refuses connections there is no listening socket at all.
    pub async fn accept(&mut self) -> TcpStream {
        loop {
            let Some(listener) = &self.listener else {
                faults::until(&mut self.faults, |faults| !faults.refusing()).await;
                self.reopen().await;
                continue;
            };
            let accepted = tokio::select! {
                () = faults::until(&mut self.faults, Faults::refusing) => {
                    self.listener = None;
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            match accepted.and_then(|(stream, _)| stream.set_nodelay(true).map(|()| stream)) {
                Ok(stream) => return stream,
                Err(error) => {
                    tracing::warn!(address = %self.address, %error, "a client was lost while it connected");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn reopen(&mut self) {
        match TcpListener::bind(self.address).await {
            Ok(listener) => self.listener = Some(listener),
            Err(error) => {
                tracing::warn!(address = %self.address, %error, "cannot listen again yet");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
