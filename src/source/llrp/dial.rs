//! A connection that we make: TCP, and TLS on it where the configuration says so.

use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connection::Connection;
use super::loss::Loss;
use crate::config::ReaderTls;
use crate::config::values::parse_host_port;
use crate::trust;

/// Connects to `host:port`. Certificates are read each time: a file that was put right needs no restart.
pub(super) async fn dial(
    address: &str,
    tls: Option<&ReaderTls>,
    within: Duration,
    max_kept: usize,
) -> Result<Connection, Loss> {
    let connected = async {
        let stream = TcpStream::connect(address).await.map_err(Loss::Connect)?;
        // Acknowledgements are small and must not wait for company.
        stream.set_nodelay(true).map_err(Loss::Connect)?;
        let Some(tls) = tls else { return Ok(Connection::new(Box::new(stream), max_kept)) };
        let connector = trust::connector(tls.ca_file.as_deref(), tls.client.as_ref())?;
        let name = server_name(address, tls).map_err(Loss::Tls)?;
        let stream = connector.connect(name, stream).await;
        let stream = stream.map_err(|error| match trust::untrusted(&error) {
            Some(untrusted) => Loss::NotTrusted(untrusted.clone()),
            None => Loss::Tls(error),
        })?;
        Ok(Connection::new(Box::new(stream), max_kept))
    };
    timeout(within, connected).await.unwrap_or(Err(Loss::ConnectTimeout(within)))
}

fn server_name(address: &str, tls: &ReaderTls) -> std::io::Result<ServerName<'static>> {
    let host = match &tls.server_name {
        Some(name) => name.clone(),
        None => parse_host_port(address).map_err(std::io::Error::other)?.0,
    };
    ServerName::try_from(host).map_err(std::io::Error::other)
}
