//! Commands that change something: checkouts, alerts, the register. Each is an [`Order`]: arguments that
//! become one command.

use std::process::ExitCode;

use anyhow::Context;

use super::import::{self, Current, ImportArgs};
use super::{ConfigFile, control, with_config};
use crate::config::Config;
use crate::domain::alerts::AlertKey;
use crate::domain::commands::Command;
use crate::domain::epc::Epc;
use crate::domain::state::{AssetCurrent, StateKind};
use crate::domain::time::Timestamp;
use crate::journal::Reader;

#[derive(clap::Args)]
pub struct CheckoutArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// The asset's number on the register
    asset: String,
    /// A person, a team or a project
    #[arg(long, value_name = "HOLDER")]
    to: String,
    /// Due back, for instance 2026-05-01T17:00:00+02:00
    #[arg(long, value_name = "TIME", value_parser = instant)]
    due: Option<Timestamp>,
    #[arg(long)]
    note: Option<String>,
}

#[derive(clap::Args)]
pub struct CheckInArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// The asset's number on the register
    asset: String,
    #[arg(long)]
    note: Option<String>,
}

#[derive(clap::Args)]
pub struct AcknowledgeArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// `rule/subject`, as `tallyman alerts` lists it, for instance ghost/FL-07
    #[arg(value_parser = alert_key)]
    alert: AlertKey,
    #[arg(long)]
    note: Option<String>,
}

#[derive(clap::Args)]
pub struct AssignArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// `rule/subject`, as `tallyman alerts` lists it, for instance ghost/FL-07
    #[arg(value_parser = alert_key)]
    alert: AlertKey,
    /// A person or a team
    #[arg(long, value_name = "WHO")]
    to: String,
}

#[derive(clap::Args)]
pub struct SnoozeArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// `rule/subject`, as `tallyman alerts` lists it, for instance ghost/FL-07
    #[arg(value_parser = alert_key)]
    alert: AlertKey,
    /// Until when, for instance 2026-05-01T17:00:00Z; a past time ends a snooze
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Timestamp,
}

#[derive(clap::Args)]
pub struct RemoveArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// site, zone, class, person, asset, tag, tracker, sensor or maintenance
    table: String,
    key: String,
}

#[derive(clap::Args)]
pub struct CommissionArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// The tag's code, hex digits
    #[arg(value_parser = epc)]
    epc: Epc,
    /// The asset's number on the register
    asset: String,
    /// The tag that it takes the place of, lost or broken
    #[arg(long, value_name = "EPC", value_parser = epc)]
    replaces: Option<Epc>,
}

/// Arguments that become one command.
pub trait Order {
    fn file(&self) -> &ConfigFile;

    /// The command, and what to say when it is done.
    fn command(self) -> (Command, String);
}

impl Order for CheckoutArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self) -> (Command, String) {
        let Self { asset, to, due, note, .. } = self;
        let done = format!("{asset} is checked out to {to}");
        (Command::Checkout { asset: asset.into(), holder: to, due_back: due, note }, done)
    }
}

impl Order for CheckInArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self) -> (Command, String) {
        let done = format!("{} is checked in", self.asset);
        (Command::CheckIn { asset: self.asset.into(), note: self.note }, done)
    }
}

impl Order for AcknowledgeArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self) -> (Command, String) {
        let done = format!("{} is acknowledged", self.alert);
        (Command::Acknowledge { alert: self.alert, note: self.note }, done)
    }
}

impl Order for AssignArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self) -> (Command, String) {
        let done = format!("{} is assigned to {}", self.alert, self.to);
        (Command::Assign { alert: self.alert, to: self.to }, done)
    }
}

impl Order for SnoozeArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self) -> (Command, String) {
        let done = format!("{} is snoozed until {}", self.alert, self.until);
        (Command::Snooze { alert: self.alert, until: self.until }, done)
    }
}

impl Order for CommissionArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self) -> (Command, String) {
        let done = format!("tag {} is on {}", self.epc, self.asset);
        (Command::Commission { epc: self.epc, asset: self.asset.into(), replaces: self.replaces }, done)
    }
}

impl Order for RemoveArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self) -> (Command, String) {
        let done = format!("{} {} is off the register", self.table, self.key);
        (Command::Remove { table: self.table, key: self.key }, done)
    }
}

/// Has an order carried out.
pub async fn order(order: impl Order) -> anyhow::Result<ExitCode> {
    let file = order.file().clone();
    with_config(&file, async |config| {
        let (command, done) = order.command();
        control::carry_out(&config, command).await?;
        println!("{done}");
        Ok(ExitCode::SUCCESS)
    })
    .await
}

pub async fn import(args: ImportArgs) -> anyhow::Result<ExitCode> {
    import::run(args, current, async |config, command| control::carry_out(config, command).await).await
}

/// What the journal has on the register, and who has what.
async fn current(config: &Config) -> anyhow::Result<Current> {
    let mut current = Current::default();
    if !config.journal.path.exists() {
        return Ok(current);
    }
    let reader = Reader::open(&config.journal.path).await?;
    for (key, value) in reader.all_states(StateKind::Register).await? {
        current.register.insert(key, serde_json::from_slice(&value).context("failed to read a record")?);
    }
    for (_, value) in reader.all_states(StateKind::Asset).await? {
        let asset: AssetCurrent = serde_json::from_slice(&value).context("failed to read an asset")?;
        if let Some(checkout) = asset.checkout {
            current.held.insert(asset.asset, checkout);
        }
    }
    Ok(current)
}

pub fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text)
        .ok_or_else(|| "write a time with its offset, for instance 2026-05-01T17:00:00+02:00".to_owned())
}

fn alert_key(text: &str) -> Result<AlertKey, String> {
    AlertKey::parse(text).ok_or_else(|| "write rule/subject as `tallyman alerts` lists it".to_owned())
}

fn epc(text: &str) -> Result<Epc, String> {
    let epc = Epc::from_hex(text).filter(|epc| epc.bits() > 0);
    epc.ok_or_else(|| "write the EPC as hex digits, an even number, at most 124".to_owned())
}
