//! A certificate and its key that are read again when their files change, so that a renewal needs no restart. What
//! cannot be read leaves the one before in use, and is told.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::TrustError;
use crate::config::TlsConfig;

/// Between two looks at whether the files have changed.
const LOOK: Duration = Duration::from_secs(10);

/// What connections are accepted with.
pub struct Followed {
    /// Whose certificate it is, for people.
    whose: &'static str,
    files: TlsConfig,
    client_ca_file: Option<PathBuf>,
    alpn: &'static [&'static [u8]],
    current: RwLock<TlsAcceptor>,
}

/// When each file was written, as far as that can be told.
type Written = [Option<SystemTime>; 3];

impl Followed {
    /// With a `client_ca_file`, only whoever shows a certificate of its authorities is accepted.
    pub fn load(
        whose: &'static str,
        files: &TlsConfig,
        client_ca_file: Option<&Path>,
        alpn: &'static [&'static [u8]],
    ) -> Result<Self, TrustError> {
        let current = RwLock::new(super::acceptor(files, client_ca_file, alpn)?);
        let client_ca_file = client_ca_file.map(Path::to_owned);
        Ok(Self { whose, files: files.clone(), client_ca_file, alpn, current })
    }

    pub fn acceptor(&self) -> TlsAcceptor {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks after the files until `stopping`.
    pub async fn follow(self: Arc<Self>, stopping: CancellationToken) {
        let mut seen = self.written().await;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stopping.cancelled() => return,
            }
            let found = self.written().await;
            if found != seen {
                seen = found;
                self.reload();
            }
        }
    }

    fn reload(&self) {
        let whose = self.whose;
        match super::acceptor(&self.files, self.client_ca_file.as_deref(), self.alpn) {
            Ok(acceptor) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = acceptor;
                tracing::info!(whose, "a certificate has changed; new connections get the new one");
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(
                    whose,
                    error,
                    "a certificate has changed and cannot be used; the old one stays"
                );
            }
        }
    }

    async fn written(&self) -> Written {
        async fn of(path: Option<&Path>) -> Option<SystemTime> {
            tokio::fs::metadata(path?).await.and_then(|metadata| metadata.modified()).ok()
        }
        [
            of(Some(&self.files.cert_file)).await,
            of(Some(&self.files.key_file)).await,
            of(self.client_ca_file.as_deref()).await,
        ]
    }
}
