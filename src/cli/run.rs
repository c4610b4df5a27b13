//! `tallyman run`: the daemon, until SIGTERM or Ctrl-C; on SIGHUP it reads its tokens again.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config, TokenList};
use crate::pipeline;

/// `path`: of the configuration.
pub async fn run(config: Config, path: PathBuf) -> anyhow::Result<ExitCode> {
    let shutdown = CancellationToken::new();
    tokio::spawn(cancel_on_signal(shutdown.clone())?);
    tokio::spawn(read_tokens_on_signal(config.web.tokens.clone(), path)?);
    tracing::info!(node = %config.node, journal = %config.journal.path.display(), "starting");
    pipeline::run(config, shutdown).await?;
    tracing::info!("stopped cleanly");
    Ok(ExitCode::SUCCESS)
}

/// On SIGHUP the tokens of the API are read again; everything else waits for the next start.
fn read_tokens_on_signal(tokens: TokenList, path: PathBuf) -> anyhow::Result<impl Future<Output = ()>> {
    let mut hangup = signal(SignalKind::hangup()).context("failed to listen for SIGHUP")?;
    Ok(async move {
        while hangup.recv().await.is_some() {
            match config::load(&path) {
                Ok(read) => {
                    tokens.become_those_of(&read.web.tokens);
                    tracing::info!(
                        tokens = tokens.now().len(),
                        "the tokens were read again; what else changed waits for a restart"
                    );
                }
                Err(error) => {
                    tracing::error!(%error, "the configuration cannot be read; the tokens stay as they were")
                }
            }
        }
    })
}

/// Cancels on SIGTERM or Ctrl-C.
pub fn cancel_on_signal(shutdown: CancellationToken) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        shutdown.cancel();
    })
}
