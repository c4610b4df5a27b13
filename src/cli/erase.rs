//! `tallyman erase-person`: takes somebody out of everything that is kept.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::{ConfigFile, commands, control};
use crate::config::Config;
use crate::domain::commands::Command;
use crate::domain::epc::Epc;
use crate::domain::erasure::{Erase, Erasure, Stage};
use crate::domain::state::StateKind;
use crate::journal::Reader;

/// Asked for and durable, and not done everywhere (`EX_TEMPFAIL` of sysexits).
const NOT_YET: u8 = 75;
/// Between two looks at how far it has come.
const LOOK: Duration = Duration::from_millis(250);

#[derive(clap::Args)]
#[command(
    after_help = "Replaced by a label that leads nowhere, in the journal, in TimescaleDB and in what has not been \
told to receivers yet: the person's number and name, their badges' codes, and those words wherever they stand in notes and \
reasons. Dead letters that hold any of it are dropped. What an asset's history says of when somebody had it stays.\n\
Exit code 75: it goes on by itself, and is not done everywhere yet.\n\
Not reached: what was sent out before (webhooks, Alertmanager, exports), logs, and backups; with several nodes on one \
database, run it at each. Take the badge away: heard again, it is a tag that nobody knows."
)]
pub struct EraseArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// The person's number on the register
    person: String,
    /// Whatever else they were called: an earlier name, an address
    #[arg(long, value_name = "TEXT")]
    also: Vec<String>,
    /// A badge that they had and that the register no longer has, hex digits
    #[arg(long, value_name = "EPC", value_parser = commands::epc)]
    badge: Vec<Epc>,
    /// Seconds to wait until it is done everywhere
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
    /// It cannot be undone: say that it is meant
    #[arg(long)]
    yes: bool,
}

pub async fn run(config: &Config, args: EraseArgs) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(args.yes, "it cannot be undone: say --yes to erase `{}`", args.person);
    let before = pending(config).await.unwrap_or_default();
    let (person, label) = (args.person.as_str().into(), String::new());
    let erase = Erase { person, also: args.also, badges: args.badge, label };
    let outcome = control::carry_out(config, Command::ErasePerson(erase)).await?;
    println!("{} records of theirs are off the register; erasing the rest", outcome.removed);
    let until = Instant::now() + Duration::from_secs(args.wait);
    loop {
        let mut left = pending(config).await?;
        left.retain(|erasure| before.iter().all(|old| old.label != erasure.label));
        let Some(erasure) = left.first() else {
            println!("they are erased");
            return Ok(ExitCode::SUCCESS);
        };
        if until <= Instant::now() {
            println!(
                "not done yet: {}. It goes on by itself, also after a restart",
                waits_for(&erasure.stage)
            );
            return Ok(ExitCode::from(NOT_YET));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn waits_for(stage: &Stage) -> &'static str {
    match stage {
        Stage::Events { .. } | Stage::DeadLetters { .. } | Stage::State { .. } => {
            "the journal is being rewritten"
        }
        Stage::Database { .. } => "the database has to take it up, by a daemon that runs",
        Stage::File => "the journal's file is being rewritten",
    }
}

async fn pending(config: &Config) -> anyhow::Result<Vec<Erasure>> {
    let reader = Reader::open(&config.journal.path).await?;
    let rows = reader.all_states(StateKind::Erasure).await?;
    let pending = rows.iter().map(|(_, row)| serde_json::from_slice(row)).collect::<Result<_, _>>()?;
    reader.close().await;
    Ok(pending)
}
