//! TLS of the API: a certificate and its key from PEM files, read again when they change, so that a
//! renewal needs no restart. What cannot be read leaves the one before in use, and is told.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::config::TlsConfig;

/// Between two looks at whether the files have changed.
const LOOK: Duration = Duration::from_secs(10);

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("failed to read the certificates in {path}")]
    Certificate { path: String, source: pem::Error },
    #[error("{path} holds no certificate")]
    NoCertificate { path: String },
    #[error("failed to read the private key in {path}")]
    Key { path: String, source: pem::Error },
    #[error("the certificate and the key do not go together, or are of a kind that is not known")]
    Unusable(#[source] rustls::Error),
}

/// What connections are accepted with.
pub struct Tls {
    files: TlsConfig,
    current: RwLock<TlsAcceptor>,
}

/// When both files were written, as far as that can be told.
type Written = (Option<SystemTime>, Option<SystemTime>);

impl Tls {
    pub fn load(files: &TlsConfig) -> Result<Self, TlsError> {
        Ok(Self { files: files.clone(), current: RwLock::new(acceptor(files)?) })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks after the files until `stopping`.
    pub(super) async fn follow(self: Arc<Self>, stopping: CancellationToken) {
        let mut seen = written(&self.files).await;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stopping.cancelled() => return,
            }
            let found = written(&self.files).await;
            if found != seen {
                seen = found;
                self.reload();
            }
        }
    }

    fn reload(&self) {
        match acceptor(&self.files) {
            Ok(acceptor) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = acceptor;
                tracing::info!("the API's certificate has changed; new connections get the new one");
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(
                    error,
                    "the API's certificate has changed and cannot be used; the old one stays"
                );
            }
        }
    }
}

async fn written(files: &TlsConfig) -> Written {
    async fn of(path: &Path) -> Option<SystemTime> {
        tokio::fs::metadata(path).await.and_then(|metadata| metadata.modified()).ok()
    }
    (of(&files.cert_file).await, of(&files.key_file).await)
}

fn acceptor(files: &TlsConfig) -> Result<TlsAcceptor, TlsError> {
    let (cert, key) = (files.cert_file.display().to_string(), files.key_file.display().to_string());
    let failed = |source| TlsError::Certificate { path: cert.clone(), source };
    let chain = CertificateDer::pem_file_iter(&files.cert_file).map_err(failed)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: cert });
    }
    let key = PrivateKeyDer::from_pem_file(&files.key_file)
        .map_err(|source| TlsError::Key { path: key, source })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unusable)?;
    let mut config =
        builder.with_no_client_auth().with_single_cert(chain, key).map_err(TlsError::Unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
