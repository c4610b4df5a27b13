//! TLS from files: whom we trust when we connect, and the certificates that we show. What is here reads PEM files when
//! it is asked to, and keeps nothing; [`Followed`] keeps what it read, and reads it again.

mod followed;

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{AlertDescription, ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::config::TlsConfig;

pub use self::followed::Followed;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("failed to read the certificates in {path}: {source}")]
    Certificates { path: String, source: pem::Error },
    #[error("{path} holds no certificate that can be used")]
    NoCertificate { path: String },
    #[error("this machine trusts no certificate: install its CA certificates, or name a ca_file")]
    NoRoots,
    #[error("failed to read the private key in {path}: {source}")]
    Key { path: String, source: pem::Error },
    #[error("the certificate and the key do not go together, or are of a kind that is not known: {0}")]
    Unusable(#[source] rustls::Error),
    #[error("failed to set up TLS: {0}")]
    Setup(#[source] rustls::Error),
    #[error("failed to set up TLS: {0}")]
    Verifier(#[source] VerifierBuilderError),
}

/// Connects to what shows a certificate of the authorities in `ca_file`, else of those that the machine trusts;
/// shows `client` where the other side asks.
pub fn connector(ca_file: Option<&Path>, client: Option<&TlsConfig>) -> Result<TlsConnector, TrustError> {
    let roots = ca_file.map_or_else(machine_roots, roots)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(TrustError::Setup)?.with_root_certificates(roots);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let (chain, key) = chain_and_key(files)?;
            builder.with_client_auth_cert(chain, key).map_err(TrustError::Unusable)?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Accepts with the certificate of `files`. Where there is a `client_ca_file`, only whoever shows a certificate
/// of its authorities.
pub fn acceptor(
    files: &TlsConfig,
    client_ca_file: Option<&Path>,
    alpn: &[&[u8]],
) -> Result<TlsAcceptor, TrustError> {
    let (chain, key) = chain_and_key(files)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(TrustError::Setup)?;
    let builder = match client_ca_file {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(file)?), provider);
            builder.with_client_cert_verifier(clients.build().map_err(TrustError::Verifier)?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(TrustError::Unusable)?;
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The other side's certificate is not one that we trust, where that is why a handshake failed.
pub fn untrusted(error: &io::Error) -> Option<&rustls::Error> {
    let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    matches!(inner, rustls::Error::InvalidCertificate(_)).then_some(inner)
}

/// What the other side says of our certificate, where that is why it ends a connection: TLS 1.3 takes one first, and
/// looks at it while the first bytes are under way.
pub fn refusal_of_ours(error: &io::Error) -> Option<AlertDescription> {
    use AlertDescription as Alert;
    let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let rustls::Error::AlertReceived(alert) = inner else { return None };
    let of_certificates = [
        Alert::CertificateRequired,
        Alert::NoCertificate,
        Alert::BadCertificate,
        Alert::UnsupportedCertificate,
        Alert::CertificateRevoked,
        Alert::CertificateExpired,
        Alert::CertificateUnknown,
        Alert::UnknownCA,
        Alert::AccessDenied,
        // An authority of the same name and with another key.
        Alert::DecryptError,
    ];
    of_certificates.contains(alert).then_some(*alert)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let path = file.display().to_string();
    let failed = |source| TrustError::Certificates { path: path.clone(), source };
    let found = CertificateDer::pem_file_iter(file).map_err(failed)?.collect::<Result<Vec<_>, _>>();
    let found = found.map_err(failed)?;
    if found.is_empty() { Err(TrustError::NoCertificate { path }) } else { Ok(found) }
}

fn chain_and_key(
    files: &TlsConfig,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TrustError> {
    let chain = certificates(&files.cert_file)?;
    let path = files.key_file.display().to_string();
    let key = PrivateKeyDer::from_pem_file(&files.key_file);
    Ok((chain, key.map_err(|source| TrustError::Key { path, source })?))
}

fn roots(file: &Path) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(certificates(file)?) {
        (0, _) => Err(TrustError::NoCertificate { path: file.display().to_string() }),
        _ => Ok(roots),
    }
}

fn machine_roots() -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "a certificate of this machine could not be read");
    }
    match roots.add_parsable_certificates(found.certs) {
        (0, _) => Err(TrustError::NoRoots),
        _ => Ok(roots),
    }
}
