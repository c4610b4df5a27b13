//! The addresses of a name, tried so that one that does not answer keeps nobody from the others.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, ToSocketAddrs, lookup_host};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// An address that has not answered by then is tried together with the next one (RFC 8305).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// No address answers after that: whoever waits for ten seconds hears which ones were tried.
const WITHIN: Duration = Duration::from_secs(8);

/// Connects to a name's first address that takes us.
///
/// # Errors
/// Where the name has no address, or what each of several ones said.
pub(crate) async fn connect(name: impl ToSocketAddrs) -> io::Result<TcpStream> {
    connect_any(lookup_host(name).await?.collect(), WITHIN).await
}

async fn connect_any(addresses: Vec<SocketAddr>, within: Duration) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    let mut waiting = addresses.iter().copied();
    let mut failed = BTreeMap::new();
    let end = sleep(within);
    tokio::pin!(end);
    loop {
        if let Some(address) = waiting.next() {
            attempts.spawn(async move { (address, TcpStream::connect(address).await) });
        }
        if attempts.is_empty() {
            break;
        }
        tokio::select! {
            Some(attempt) = attempts.join_next() => match attempt.map_err(io::Error::other)? {
                (_, Ok(stream)) => return Ok(stream),
                (address, Err(error)) => drop(failed.insert(address, error)),
            },
            () = sleep(NEXT_ADDRESS), if waiting.len() > 0 => {}
            () = &mut end => break,
        }
    }
    Err(unreached(addresses, &failed, within))
}

/// What each address said, in the same order whatever the resolver's.
fn unreached(
    mut addresses: Vec<SocketAddr>,
    failed: &BTreeMap<SocketAddr, io::Error>,
    within: Duration,
) -> io::Error {
    let why = |address: &SocketAddr| match failed.get(address) {
        Some(error) => error.to_string(),
        None => format!("no answer within {within:?}"),
    };
    addresses.sort_unstable();
    let kind = addresses.iter().find_map(|address| failed.get(address)).map(io::Error::kind);
    match &addresses[..] {
        [] => io::Error::new(io::ErrorKind::NotFound, "the name has no address"),
        [only] => io::Error::new(kind.unwrap_or(io::ErrorKind::TimedOut), why(only)),
        several => {
            let said = several.iter().map(|address| format!("{address}: {}", why(address)));
            let said = said.collect::<Vec<_>>().join(", ");
            io::Error::new(kind.unwrap_or(io::ErrorKind::TimedOut), said)
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};
    use tokio::time::timeout;

    use super::*;

    /// An address that does not answer: its queue is full, and the kernel says nothing to who comes then.
    async fn deaf() -> (TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(connected) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            queued.push(connected.unwrap());
        }
        (listener, queued)
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_keeps_nobody_from_the_others() {
        let (dead, _queued) = deaf().await;
        let lively = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (dead, lively) = (dead.local_addr().unwrap(), lively.local_addr().unwrap());
        let refused = "127.0.0.1:1".parse().unwrap();
        let stream = connect_any(vec![dead, refused, lively], WITHIN).await;
        assert_eq!(stream.unwrap().peer_addr().unwrap(), lively);
        // As the sources and their checks call it.
        let through_name = connect(&[dead, lively][..]).await;
        assert_eq!(through_name.unwrap().peer_addr().unwrap(), lively);
    }

    #[tokio::test]
    async fn what_each_address_said_is_told() {
        let (dead, _queued) = deaf().await;
        let dead = dead.local_addr().unwrap();
        let refused: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let within = Duration::from_millis(600);
        let error = connect_any(vec![dead, refused], within).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let text = error.to_string();
        assert!(text.starts_with("127.0.0.1:1: Connection refused"), "{text}");
        assert!(text.ends_with(&format!(", {dead}: no answer within 600ms")), "{text}");
        let alone = connect_any(vec![dead], within).await.unwrap_err().to_string();
        assert_eq!(alone, "no answer within 600ms");
        assert!(connect_any(Vec::new(), within).await.is_err());
    }
}
