//! How a subcommand reaches the daemon: over its control socket where it runs, else through the
//! journal itself.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
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

/// A stream that says nothing for longer, not even that it is alive, has ended.
const SILENCE: Duration = Duration::from_secs(45);

/// A running daemon, by its control socket.
pub struct Daemon {
    client: reqwest::Client,
    socket: PathBuf,
}

impl Daemon {
    /// `None` where no daemon answers there.
    pub async fn find(journal: &Path) -> Option<Self> {
        let socket: PathBuf = web::control_socket(journal);
        tokio::net::UnixStream::connect(&socket).await.ok()?;
        Self::at(socket).ok()
    }

    /// Says why not, where none can be reached. `config`: what it would be started with.
    pub async fn reach(journal: &Path, config: &Path) -> anyhow::Result<Self> {
        let socket: PathBuf = web::control_socket(journal);
        match tokio::net::UnixStream::connect(&socket).await {
            Ok(_) => Self::at(socket),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => bail!(
                "{} may not be opened: the daemon serves its own user there; run this as that user",
                socket.display()
            ),
            Err(_) => bail!(
                "no daemon runs on the journal {}: start it with `tallyman run -c {}`",
                journal.display(),
                config.display()
            ),
        }
    }

    fn at(socket: PathBuf) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().unix_socket(socket.clone()).timeout(TIMEOUT);
        let client = client.build().context("failed to prepare the way to the daemon")?;
        Ok(Self { client, socket })
    }

    /// An answer that goes on, of this path below the API's.
    pub async fn stream(&self, path: &str) -> anyhow::Result<reqwest::Response> {
        let client = reqwest::Client::builder().unix_socket(self.socket.clone()).read_timeout(SILENCE);
        let client = client.build().context("failed to prepare the way to the daemon")?;
        let url = format!("http://control/api/v1/{path}");
        let response =
            client.get(url).send().await.context("failed to reach the daemon on its control socket")?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refused(&response.bytes().await.context("the daemon's answer broke off")?))
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
        return Err(refused(&body));
    }
    serde_json::from_slice(&body).context("the daemon's answer could not be read; is it of another version?")
}

fn refused(body: &[u8]) -> anyhow::Error {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    anyhow!("{}", problem["detail"].as_str().unwrap_or("the daemon refused and did not say why"))
}
