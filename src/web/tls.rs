//! TLS of the API: a certificate and its key from PEM files, read again when they change, so that a
//! renewal needs no restart. What cannot be read leaves the one before in use, and is told.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::config::TlsConfig;
use crate::trust::{self, TrustError};

/// Between two looks at whether the files have changed.
const LOOK: Duration = Duration::from_secs(10);

/// What connections are accepted with.
pub struct Tls {
    files: TlsConfig,
    current: RwLock<TlsAcceptor>,
}

/// When both files were written, as far as that can be told.
type Written = (Option<SystemTime>, Option<SystemTime>);

impl Tls {
    pub fn load(files: &TlsConfig) -> Result<Self, TrustError> {
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

fn acceptor(files: &TlsConfig) -> Result<TlsAcceptor, TrustError> {
    trust::acceptor(files, None, &[b"http/1.1"])
}
