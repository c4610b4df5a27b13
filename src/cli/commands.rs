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
use crate::domain::register::Record;
use crate::domain::state::{AssetCurrent, StateKind};
use crate::domain::time::Timestamp;
use crate::journal::Reader;
use crate::source::clock::WallClock;
use crate::web::due;

#[derive(clap::Args)]
pub struct CheckoutArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// The asset's number on the register
    asset: String,
    /// A person, a team or a project
    #[arg(long, value_name = "HOLDER")]
    to: String,
    /// Due back: 2026-05-01T17:00:00+02:00, "2026-05-01 17:00" by the site's clock, 2026-05-01 for the end
    /// of that working day, "+3 working days", +8h
    #[arg(long, value_name = "WHEN")]
    due: Option<String>,
    /// Why it has to go out although it is not ready
    #[arg(long = "override", value_name = "REASON")]
    override_reason: Option<String>,
    #[arg(long)]
    note: Option<String>,
}

#[derive(clap::Args)]
pub struct HandOverArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// The asset's number on the register
    asset: String,
    /// A person, a team or a project
    #[arg(long, value_name = "HOLDER")]
    to: String,
    /// Who has it now; refused where somebody else does
    #[arg(long, value_name = "HOLDER")]
    from: Option<String>,
    /// Due back, as for a checkout; not given, it stays as it was
    #[arg(long, value_name = "WHEN")]
    due: Option<String>,
    #[arg(long)]
    note: Option<String>,
}

#[derive(clap::Args)]
pub struct AcceptArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// The asset's number on the register
    asset: String,
    /// Who took it, where several passed with it
    #[arg(long, value_name = "PERSON")]
    to: Option<String>,
    /// Why it has to go out although it is not ready
    #[arg(long = "override", value_name = "REASON")]
    override_reason: Option<String>,
    #[arg(long)]
    note: Option<String>,
}

#[derive(clap::Args)]
pub struct NotedArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// The asset's number on the register
    asset: String,
    #[arg(long)]
    note: Option<String>,
}

#[derive(clap::Args)]
pub struct InspectArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// The asset's number on the register
    asset: String,
    /// It is fit for use
    #[arg(long, conflicts_with = "failed", required_unless_present = "failed")]
    passed: bool,
    /// It is not, and is quarantined
    #[arg(long)]
    failed: bool,
    /// When it was inspected, if not now
    #[arg(long, value_name = "TIME", value_parser = instant)]
    at: Option<Timestamp>,
    #[arg(long)]
    note: Option<String>,
}

#[derive(clap::Args)]
pub struct HoldArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// The asset's number on the register
    asset: String,
    #[arg(long)]
    reason: String,
}

#[derive(clap::Args)]
pub struct CheckInArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// The asset's number on the register
    asset: String,
    /// What is broken; it is quarantined for it
    #[arg(long, value_name = "TEXT")]
    damage: Option<String>,
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
    /// What it is
    #[arg(value_parser = Record::TABLES)]
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

    /// The command, and what to say when it is done. A due date is told by [`Self::due`].
    fn command(self, due: Option<Timestamp>) -> (Command, String);

    /// When which asset is due back, as it was written.
    fn due(&self) -> Option<(&str, &str)> {
        None
    }
}

impl Order for CheckoutArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self, due_back: Option<Timestamp>) -> (Command, String) {
        let Self { asset, to, override_reason, note, .. } = self;
        let done = format!("{asset} is checked out to {to}{}", until(due_back));
        (Command::Checkout { asset: asset.into(), holder: to, due_back, note, override_reason }, done)
    }

    fn due(&self) -> Option<(&str, &str)> {
        Some((&self.asset, self.due.as_deref()?))
    }
}

impl Order for HandOverArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self, due_back: Option<Timestamp>) -> (Command, String) {
        let Self { asset, to, from, note, .. } = self;
        let done = format!("{asset} is handed over to {to}{}", until(due_back));
        (Command::HandOver { asset: asset.into(), holder: to, from, due_back, note }, done)
    }

    fn due(&self) -> Option<(&str, &str)> {
        Some((&self.asset, self.due.as_deref()?))
    }
}

impl Order for AcceptArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self, _: Option<Timestamp>) -> (Command, String) {
        let Self { asset, to, override_reason, note, .. } = self;
        let done = format!("the hand-over of {asset} is accepted");
        (Command::Accept { asset: asset.into(), to: to.map(Into::into), override_reason, note }, done)
    }
}

/// Says that a proposed hand-over is not true.
pub struct Reject(pub NotedArgs);

impl Order for Reject {
    fn file(&self) -> &ConfigFile {
        &self.0.file
    }

    fn command(self, _: Option<Timestamp>) -> (Command, String) {
        let done = format!("the hand-over of {} is rejected", self.0.asset);
        (Command::Reject { asset: self.0.asset.into(), note: self.0.note }, done)
    }
}

/// Lifts quarantine and maintenance.
pub struct Release(pub NotedArgs);

impl Order for Release {
    fn file(&self) -> &ConfigFile {
        &self.0.file
    }

    fn command(self, _: Option<Timestamp>) -> (Command, String) {
        let done = format!("{} is released", self.0.asset);
        (Command::Release { asset: self.0.asset.into(), note: self.0.note }, done)
    }
}

impl Order for InspectArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self, _: Option<Timestamp>) -> (Command, String) {
        let Self { asset, passed, at, note, .. } = self;
        let done = if passed { "passed its inspection" } else { "failed its inspection and is quarantined" };
        let done = format!("{asset} {done}");
        (Command::Inspect { asset: asset.into(), passed, at, note }, done)
    }
}

/// Puts an asset in quarantine.
pub struct Quarantine(pub HoldArgs);

impl Order for Quarantine {
    fn file(&self) -> &ConfigFile {
        &self.0.file
    }

    fn command(self, _: Option<Timestamp>) -> (Command, String) {
        let done = format!("{} is quarantined", self.0.asset);
        (Command::Quarantine { asset: self.0.asset.into(), reason: self.0.reason }, done)
    }
}

/// Takes an asset into maintenance.
pub struct Maintain(pub HoldArgs);

impl Order for Maintain {
    fn file(&self) -> &ConfigFile {
        &self.0.file
    }

    fn command(self, _: Option<Timestamp>) -> (Command, String) {
        let done = format!("{} is in maintenance", self.0.asset);
        (Command::Maintain { asset: self.0.asset.into(), reason: self.0.reason }, done)
    }
}

impl Order for CheckInArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self, _: Option<Timestamp>) -> (Command, String) {
        let done = format!("{} is checked in", self.asset);
        (Command::CheckIn { asset: self.asset.into(), note: self.note, damage: self.damage }, done)
    }
}

impl Order for AcknowledgeArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self, _: Option<Timestamp>) -> (Command, String) {
        let done = format!("{} is acknowledged", self.alert);
        (Command::Acknowledge { alert: self.alert, note: self.note }, done)
    }
}

impl Order for AssignArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self, _: Option<Timestamp>) -> (Command, String) {
        let done = format!("{} is assigned to {}", self.alert, self.to);
        (Command::Assign { alert: self.alert, to: self.to }, done)
    }
}

impl Order for SnoozeArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self, _: Option<Timestamp>) -> (Command, String) {
        let done = format!("{} is snoozed until {}", self.alert, self.until);
        (Command::Snooze { alert: self.alert, until: self.until }, done)
    }
}

impl Order for CommissionArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self, _: Option<Timestamp>) -> (Command, String) {
        let done = format!("tag {} is on {}", self.epc, self.asset);
        (Command::Commission { epc: self.epc, asset: self.asset.into(), replaces: self.replaces }, done)
    }
}

impl Order for RemoveArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self, _: Option<Timestamp>) -> (Command, String) {
        let done = format!("{} {} is off the register", self.table, self.key);
        (Command::Remove { table: self.table, key: self.key }, done)
    }
}

/// Has an order carried out.
pub async fn order(order: impl Order) -> anyhow::Result<ExitCode> {
    let file = order.file().clone();
    with_config(&file, async |config| {
        let due = match order.due() {
            Some((asset, text)) => Some(due_back(&config, asset, text).await?),
            None => None,
        };
        let (command, done) = order.command(due);
        control::carry_out(&config, command).await?;
        println!("{done}");
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// A due date by the clock and the calendar of the asset's site.
async fn due_back(config: &Config, asset: &str, text: &str) -> anyhow::Result<Timestamp> {
    let reader = Reader::open(&config.journal.path).await?;
    let now = WallClock::new().now();
    due::due_back(&reader, &config.rules, &asset.into(), text, now)
        .await
        .context("failed to read when it is due back")
}

fn until(due: Option<Timestamp>) -> String {
    due.map(|due| format!(", due back {due}")).unwrap_or_default()
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
            current.held.insert(asset.asset, *checkout);
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

pub fn epc(text: &str) -> Result<Epc, String> {
    crate::decode::epc::parse(text, &Default::default()).map_err(|error| {
        format!("{error}; write the EPC as hex digits, an even number, at most 124, or as urn:epc:tag:…")
    })
}
