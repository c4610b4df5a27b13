//! Telegraf's `mqtt_consumer` and `outputs.postgresql` under the load of the bench of fixes: it decodes and writes, and judges
//! nothing.
//!
//! Configured as the READMEs of the two plugins ask for: a persistent session with QoS 1; as many messages that are not
//! written yet as a batch has, so that a batch goes when it is full; a hypertable.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::daemon::{self, PATIENCE};

/// How often the rows are counted: once more is more of what it takes.
const LOOK: Duration = Duration::from_secs(1);

pub struct Telegraf(Child);

impl Telegraf {
    /// Whether there is one on the path, or in `TALLYMAN_TEST_TELEGRAF`.
    pub fn is_there() -> Result<bool> {
        match command().arg("--version").output() {
            Ok(said) => Ok(said.status.success()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).context("ask telegraf for its version"),
        }
    }

    pub fn start(folder: &Path, broker: u16, client: &str, in_flight: u16, url: &str) -> Result<Self> {
        let file = folder.join("telegraf.conf");
        std::fs::write(&file, text(broker, client, in_flight, url))?;
        let mut command = command();
        command.arg("--config").arg(file).stdin(Stdio::null()).stdout(Stdio::null());
        Ok(Self(command.spawn().context("start telegraf")?))
    }

    /// Until all fixes are there: rows a second from the first that were seen on.
    pub async fn rate(&mut self, fixes: u64, database: &PgConnectOptions) -> Result<f64> {
        let mut own = database.connect().await?;
        let (mut first, mut last, mut came) = (None, 0, Instant::now());
        while last < fixes {
            tokio::time::sleep(LOOK).await;
            ensure!(self.0.try_wait()?.is_none(), "telegraf has ended by itself: see what it said");
            let rows = rows(&mut own).await?;
            ensure!(rows > last || came.elapsed() < PATIENCE, "{rows} of {fixes} rows, and no more come");
            if rows > last {
                (last, came) = (rows, Instant::now());
                first.get_or_insert((rows, came));
            }
        }
        own.close().await?;
        let (before, began) = first.context("nothing came")?;
        ensure!(before < last, "all {fixes} rows were there at the first look: ask for more fixes");
        Ok((last - before) as f64 / came.duration_since(began).as_secs_f64())
    }

    /// The most that it ever had, in MiB.
    pub fn memory(&self) -> Result<u64> {
        daemon::most_memory(self.0.id())
    }
}

impl Drop for Telegraf {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn command() -> Command {
    Command::new(std::env::var("TALLYMAN_TEST_TELEGRAF").unwrap_or_else(|_| "telegraf".to_owned()))
}

/// None while it has not made its table.
async fn rows(own: &mut PgConnection) -> Result<u64> {
    let there: bool =
        sqlx::query_scalar("SELECT to_regclass('public.fix') IS NOT NULL").fetch_one(&mut *own).await?;
    if !there {
        return Ok(0);
    }
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM public.fix").fetch_one(own).await?;
    Ok(rows.unsigned_abs())
}

fn text(broker: u16, client: &str, in_flight: u16, url: &str) -> String {
    format!(
        r#"[agent]
interval = "1s"
flush_interval = "1s"
metric_batch_size = {in_flight}
metric_buffer_limit = 100000
omit_hostname = true
quiet = true

[[inputs.mqtt_consumer]]
servers = ["tcp://127.0.0.1:{broker}"]
topics = ["owntracks/#"]
qos = 1
persistent_session = true
client_id = "{client}"
max_undelivered_messages = {in_flight}
name_override = "fix"
data_format = "json"
json_time_key = "tst"
json_time_format = "unix"

[[outputs.postgresql]]
connection = "{url}?sslmode=disable"
create_templates = [
  '''CREATE TABLE {{{{ .table }}}} ({{{{ .columns }}}})''',
  '''SELECT create_hypertable({{{{ .table|quoteLiteral }}}}, 'time')''',
]
"#
    )
}
