//! How a subcommand reaches the daemon: over its control socket where it runs, else through the
//! journal itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::Config;
use crate::domain::commands::{Command, Outcome};
use crate::pipeline;
use crate::web;

/// An import of a million records takes seconds; more than this means that the daemon is stuck.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Has `command` carried out, by the daemon or, where none runs, on its journal.
pub async fn carry_out(config: &Config, command: Command) -> anyhow::Result<Outcome> {
    match Daemon::find(&config.journal.path).await {
        Some(daemon) => daemon.command(&command).await,
        None => {
            tracing::debug!("no daemon runs on this journal; working on the file");
            Ok(pipeline::offline(config, "local", command).await??)
        }
    }
}

/// A running daemon, by its control socket.
pub struct Daemon {
    client: reqwest::Client,
}

impl Daemon {
    /// `None` where no daemon answers there.
    pub async fn find(journal: &Path) -> Option<Self> {
        let socket: PathBuf = web::control_socket(journal);
        tokio::net::UnixStream::connect(&socket).await.ok()?;
        let client = reqwest::Client::builder().unix_socket(socket).timeout(TIMEOUT).build().ok()?;
        Some(Self { client })
    }

    pub async fn command(&self, command: &Command) -> anyhow::Result<Outcome> {
        let sent = self.client.post("http://control/api/v1/commands").json(command).send().await;
        answer(sent).await
    }
}

async fn answer<T: DeserializeOwned>(sent: reqwest::Result<reqwest::Response>) -> anyhow::Result<T> {
    let response = sent.context("failed to reach the daemon on its control socket")?;
    let status = response.status();
    let body = response.bytes().await.context("the daemon's answer broke off")?;
    if !status.is_success() {
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        bail!("{}", problem["detail"].as_str().unwrap_or("the daemon refused and did not say why"));
    }
    serde_json::from_slice(&body).context("the daemon's answer could not be read; is it of another version?")
}
