//! Commands that change something: checkouts, alerts, the register.

use std::process::ExitCode;

use anyhow::Context;

use super::import::{self, Current, ImportArgs};
use super::{ConfigFile, control};
use crate::config::Config;
use crate::domain::alerts::AlertKey;
use crate::domain::commands::Command;
use crate::domain::ids::AssetId;
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
    /// zone, class, asset, tag, tracker or sensor
    table: String,
    key: String,
}

pub async fn checkout(config: &Config, args: CheckoutArgs) -> anyhow::Result<ExitCode> {
    let CheckoutArgs { asset, to, due, note, .. } = args;
    let done = format!("{asset} is checked out to {to}");
    let asset = AssetId::from(asset);
    control::carry_out(config, Command::Checkout { asset, holder: to, due_back: due, note }).await?;
    println!("{done}");
    Ok(ExitCode::SUCCESS)
}

pub async fn check_in(config: &Config, args: CheckInArgs) -> anyhow::Result<ExitCode> {
    let asset = AssetId::from(args.asset);
    control::carry_out(config, Command::CheckIn { asset: asset.clone(), note: args.note }).await?;
    println!("{asset} is checked in");
    Ok(ExitCode::SUCCESS)
}

pub async fn acknowledge(config: &Config, args: AcknowledgeArgs) -> anyhow::Result<ExitCode> {
    let done = format!("{} is acknowledged", args.alert);
    control::carry_out(config, Command::Acknowledge { alert: args.alert, note: args.note }).await?;
    println!("{done}");
    Ok(ExitCode::SUCCESS)
}

pub async fn snooze(config: &Config, args: SnoozeArgs) -> anyhow::Result<ExitCode> {
    let done = format!("{} is snoozed until {}", args.alert, args.until);
    control::carry_out(config, Command::Snooze { alert: args.alert, until: args.until }).await?;
    println!("{done}");
    Ok(ExitCode::SUCCESS)
}

pub async fn remove(config: &Config, args: RemoveArgs) -> anyhow::Result<ExitCode> {
    let done = format!("{} {} is off the register", args.table, args.key);
    control::carry_out(config, Command::Remove { table: args.table, key: args.key }).await?;
    println!("{done}");
    Ok(ExitCode::SUCCESS)
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

fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text)
        .ok_or_else(|| "write a time with its offset, for instance 2026-05-01T17:00:00+02:00".to_owned())
}

fn alert_key(text: &str) -> Result<AlertKey, String> {
    AlertKey::parse(text).ok_or_else(|| "write rule/subject as `tallyman alerts` lists it".to_owned())
}
