//! The running stages by name: who ends early, and how a stop drains.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::RunError;

/// Stages by name, and the token that ends those behind the journal.
#[derive(Default)]
pub(super) struct Stages {
    sources: JoinSet<()>,
    stages: JoinSet<&'static str>,
    /// Cancelled when the pipeline has drained.
    pub tail: CancellationToken,
    grace: Duration,
}

impl Stages {
    /// No stages yet; a stop is to take no longer than `grace`.
    pub fn within(grace: Duration) -> Self {
        Self { grace, ..Self::default() }
    }

    pub fn spawn(&mut self, name: &'static str, stage: impl Future<Output = ()> + Send + 'static) {
        self.stages.spawn(async move {
            stage.await;
            name
        });
    }

    pub fn spawn_source(&mut self, source: impl Future<Output = ()> + Send + 'static) {
        self.sources.spawn(source);
    }

    pub async fn supervise(mut self, shutdown: CancellationToken) -> Result<(), RunError> {
        let early = tokio::select! {
            biased;
            () = shutdown.cancelled() => None,
            Some(ended) = self.stages.join_next() => Some(ended),
            Some(ended) = self.sources.join_next() => Some(ended.map(|()| "source")),
        };
        if let Some(ended) = early {
            // A stop may end the first stages before we hear of the stop itself.
            if !shutdown.is_cancelled() {
                shutdown.cancel();
                return Err(RunError::StageEnded(ended.unwrap_or("unknown (it panicked)")));
            }
            self.ended(&ended)?;
        }
        tracing::info!("stopping: sources first, then what they sent is committed");
        let grace = self.grace;
        match tokio::time::timeout(grace, self.drain()).await {
            Ok(drained) => drained,
            Err(_) => Err(RunError::GraceExceeded(grace)),
        }
    }

    async fn drain(&mut self) -> Result<(), RunError> {
        let mut panicked = false;
        while let Some(ended) = self.sources.join_next().await {
            panicked |= ended.is_err();
        }
        while let Some(ended) = self.stages.join_next().await {
            panicked |= self.ended(&ended).is_err();
        }
        if panicked { Err(RunError::StageEnded("unknown (it panicked)")) } else { Ok(()) }
    }

    /// Those behind the journal end with the writer; and with a stage that panicked, which the writer may
    /// have been.
    fn ended(&self, ended: &Result<&'static str, tokio::task::JoinError>) -> Result<(), RunError> {
        if matches!(ended, Ok("writer") | Err(_)) {
            self.tail.cancel();
        }
        if ended.is_err() { Err(RunError::StageEnded("unknown (it panicked)")) } else { Ok(()) }
    }
}
