//! A connection that we make: TCP, and TLS on it where the configuration says so.

use std::io;

use rustls::AlertDescription;
use rustls::pki_types::ServerName;

use super::addresses;
use super::line::Line;
use crate::config::ClientTls;
use crate::trust::{self, TrustError};

/// Why there is none. The text is what people read in the log, and in an alert.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("failed to connect: {0}")]
    Connect(#[source] io::Error),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(
        "the certificate shown there is not trusted: {0}; is ca_file the authority that issued it, and does it name \
         the address, or server_name?"
    )]
    NotTrusted(#[source] rustls::Error),
    #[error(
        "the other side does not take our certificate, or misses one ({0:?}): see cert_file and key_file of `tls`"
    )]
    Refused(AlertDescription),
    #[error(
        "what answers there does not speak TLS ({0}): is it the port without TLS? see `address` and `tls`"
    )]
    Plain(#[source] io::Error),
    #[error("failed to begin TLS: {0}")]
    Tls(#[source] io::Error),
}

/// Connects. Certificates are read each time: a file that was put right needs no restart.
pub(super) async fn dial(host: &str, port: u16, tls: Option<&ClientTls>) -> Result<Box<dyn Line>, DialError> {
    let stream = addresses::connect((host, port)).await.map_err(DialError::Connect)?;
    // Acknowledgements are small and must not wait for company.
    stream.set_nodelay(true).map_err(DialError::Connect)?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let connector = trust::connector(tls.ca_file.as_deref(), tls.client.as_ref())?;
    let name = tls.server_name.as_deref().unwrap_or(host).to_owned();
    let name = ServerName::try_from(name).map_err(|error| DialError::Tls(io::Error::other(error)))?;
    let stream = connector.connect(name, stream).await;
    Ok(Box::new(stream.map_err(of_handshake)?))
}

fn of_handshake(error: io::Error) -> DialError {
    match (trust::untrusted(&error), trust::refusal_of_ours(&error)) {
        (Some(untrusted), _) => DialError::NotTrusted(untrusted.clone()),
        (None, Some(alert)) => DialError::Refused(alert),
        (None, None) if is_plain(&error) => DialError::Plain(error),
        (None, None) => DialError::Tls(error),
    }
}

/// It answers something else, or hangs up over what it takes for nonsense.
fn is_plain(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(rustls::Error::InvalidMessage(_)))
        || matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_without_tls_is_told_as_one() {
        let garbage = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        for error in [
            io::Error::new(io::ErrorKind::InvalidData, garbage),
            io::ErrorKind::UnexpectedEof.into(),
            io::ErrorKind::ConnectionReset.into(),
        ] {
            let told = of_handshake(error).to_string();
            assert!(told.contains("is it the port without TLS? see `address` and `tls`"), "{told}");
        }
        let ours = rustls::Error::AlertReceived(AlertDescription::UnknownCA);
        let told = of_handshake(io::Error::new(io::ErrorKind::InvalidData, ours)).to_string();
        assert!(told.contains("does not take our certificate"), "{told}");
    }
}
