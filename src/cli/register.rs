//! `tallyman register adopt`: says which of two registers holds, where database and journal differ.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::control::Daemon;
use super::{ConfigFile, with_config};
use crate::config::{Config, RegisterOwner};
use crate::store::timescale::ask_to_adopt;

/// A register of a million assets is compared in less.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(clap::Args)]
pub struct RegisterArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(clap::Subcommand)]
enum Act {
    /// Say whose register holds, where the database's is not the one that this journal follows
    Adopt(AdoptArgs),
}

#[derive(clap::Args)]
struct AdoptArgs {
    #[command(flatten)]
    file: ConfigFile,
    /// db: the journal takes the database's register. journal: the database's tables take the journal's
    #[arg(long, value_parser = ["db", "journal"])]
    from: String,
}

pub async fn run(args: RegisterArgs) -> anyhow::Result<ExitCode> {
    let Act::Adopt(args) = args.act;
    with_config(&args.file, async |config| adopt(&config, &args.from).await).await
}

async fn adopt(config: &Config, source: &str) -> anyhow::Result<ExitCode> {
    let owned = config.timescale.as_ref().filter(|it| it.register == RegisterOwner::Database);
    let Some(timescale) = owned else {
        anyhow::bail!(
            "the register belongs to the journal: set register = \"database\" in [store.timescale] first"
        );
    };
    let mut adoption = ask_to_adopt(timescale.url.reveal(), &config.node, source).await?;
    if Daemon::find(&config.journal.path).await.is_none() {
        println!("no daemon runs here; the next one that starts adopts the register from the {source}");
        return Ok(ExitCode::SUCCESS);
    }
    let began = Instant::now();
    while !adoption.is_done().await? {
        anyhow::ensure!(
            began.elapsed() < PATIENCE,
            "the daemon has not adopted it yet; see `tallyman alerts`"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("the register is adopted from the {source}");
    Ok(ExitCode::SUCCESS)
}
