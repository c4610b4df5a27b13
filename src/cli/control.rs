//! How a subcommand reaches the daemon: over its control socket where it runs, else through the
//! journal itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

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
        let (path, body) = request(command);
        let sent = match body {
            Some(body) => self.client.post(url(&path)).json(&body).send().await,
            None => self.client.delete(url(&path)).send().await,
        };
        answer(sent).await
    }
}

fn url(path: &str) -> String {
    format!("http://control/api/v1/{path}")
}

/// The API's path and body for a command; no body means DELETE.
fn request(command: &Command) -> (String, Option<Value>) {
    match command {
        Command::Checkout { asset, holder, due_back, note } => (
            "checkouts".to_owned(),
            Some(json!({ "asset": asset, "holder": holder, "due_back": due_back, "note": note })),
        ),
        Command::CheckIn { asset, note } => {
            (format!("assets/{}/check-in", segment(asset.as_str())), Some(json!({ "note": note })))
        }
        Command::Acknowledge { alert, note } => (
            format!("alerts/{}/{}", alert.rule.as_str(), segment(&alert.subject)),
            Some(json!({ "action": "acknowledge", "note": note })),
        ),
        Command::Snooze { alert, until } => (
            format!("alerts/{}/{}", alert.rule.as_str(), segment(&alert.subject)),
            Some(json!({ "action": "snooze", "until": until })),
        ),
        Command::Import { records, checkouts } => {
            ("register".to_owned(), Some(json!({ "records": records, "checkouts": checkouts })))
        }
        Command::Remove { table, key } => (format!("register/{}/{}", segment(table), segment(key)), None),
    }
}

/// Percent-encodes everything but RFC 3986's unreserved characters and `/`.
fn segment(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_path() {
        assert_eq!(segment("FL 07/ä"), "FL%2007/%C3%A4");
        assert_eq!(segment("reader-1"), "reader-1");
    }
}
