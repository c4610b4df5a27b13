//! `tallyman import`: CSV and JSON files into the register, all of them or nothing.
//!
//! Reading and checking are pure (`parse`, `references`); how the import reaches the daemon is the
//! caller's.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use crate::cli::check::EXIT_BAD_CONFIG;
use crate::config::{self, Config};
use crate::domain::commands::{Command, Outcome};
use crate::domain::ids::AssetId;
use crate::domain::register::{Checkout, Record};
use crate::source::clock::WallClock;

mod diff;
mod json;
mod parse;
mod problem;
mod references;
mod rows;
mod tables;
mod write;

pub use diff::{Diff, changes, diff};
pub use parse::{CsvFile, Import, Known, parse_files};
pub use problem::ImportProblem;
pub use tables::Kind;
pub use write::{header, kind_of, row};

/// Files whose content cannot be used (`EX_DATAERR`).
pub const EXIT_BAD_DATA: u8 = 65;

/// More problems than this are counted, not printed.
const PRINTED_PROBLEMS: usize = 1000;

/// Bring the register and checkouts in from CSV and JSON files
///
/// All files are checked together, and imported together or not at all. Each problem is printed with
/// file, line and column; the exit code is then 65. Importing the same files again changes nothing.
///
/// What a file holds is told by its name (assets.csv, assets-2026.csv), by its header, or by --kind.
/// The first row names the columns (* is needed):
///
///   sites        name* timezone* working_hours (mon-fri 07:00-17:00, sat 08:00-12:00) holidays
///   zones        name* site* coverage (continuous, portal-only or none)
///   classes      name*, and what a [[class]] of the configuration has: ghost_after overdue_grace (such
///                as 4h) criticality (low, normal or high) needs_checkout vehicle inspect_every …
///   people       id* name team site
///   assets       id* class* name home_zone lifecycle (ordered, in-service, in-maintenance, quarantined,
///                retired or disposed) part_of (its kit) number (GIAI, GRAI or your own) owner cost_centre
///                acquired_on warranty_until retired_on (2026-12-25) limits (in place of its class's), and
///                any attributes.NAME
///   tags         epc* (hex digits), and asset, or person for a badge; from to
///   trackers     device* (OwnTracks: user/device) asset*; from to
///   sensors      device*, and asset or zone; from to
///   maintenance  name*, one of source read_point zone site, from* to* reason
///   checkouts    asset* holder* due_back checked_out_at note
///
/// Lists stand in one cell, separated by |.
///
/// Times: 2026-05-01T17:00:00+02:00; those of checkouts also 2026-05-01 17:00, by the clock of the asset's
/// site. Commas, semicolons or tabs separate; UTF-8.
///
/// A file whose name ends in .json, .jsonl or .ndjson holds an array of records in the API's shape, or one a
/// line: {"table": "asset", "id": "FL-07", "class": "forklift"}; a checkout has the table `checkout`. This is
/// what `tallyman export register` writes, in either format.
#[derive(clap::Args, Clone, Debug)]
#[command(verbatim_doc_comment)]
pub struct ImportArgs {
    /// The configuration, TOML
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// What all of the CSV files hold
    #[arg(long)]
    pub kind: Option<Kind>,
    /// Print what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// CSV and JSON files
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// What the daemon has now.
#[derive(Clone, Debug, Default)]
pub struct Current {
    /// By [`Record::state_key`].
    pub register: BTreeMap<String, Record>,
    /// Open checkouts.
    pub held: BTreeMap<AssetId, Checkout>,
}

/// `load` reads what is there, `send` has the daemon carry out the import; a refusal is an error.
/// Problems go to standard error.
pub async fn run(
    args: ImportArgs,
    load: impl AsyncFnOnce(&Config) -> anyhow::Result<Current>,
    send: impl AsyncFnOnce(&Config, Command) -> anyhow::Result<Outcome>,
) -> anyhow::Result<ExitCode> {
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return Ok(ExitCode::from(EXIT_BAD_CONFIG));
        }
    };
    let current = load(&config).await?;
    let import = match read(&args, &config, &current)? {
        Ok(import) => import,
        Err(problems) => {
            problems.iter().take(PRINTED_PROBLEMS).for_each(|problem| eprintln!("{problem}"));
            if problems.len() > PRINTED_PROBLEMS {
                eprintln!("and {} more", problems.len() - PRINTED_PROBLEMS);
            }
            eprintln!("nothing was imported");
            return Ok(ExitCode::from(EXIT_BAD_DATA));
        }
    };
    if args.dry_run {
        print!("{}", diff(&import, &current.register, &current.held));
        return Ok(ExitCode::SUCCESS);
    }
    let outcome = send(&config, import.into()).await?;
    let Outcome { created, updated, unchanged, .. } = outcome;
    println!("{created} created, {updated} updated, {unchanged} unchanged");
    Ok(ExitCode::SUCCESS)
}

fn read(
    args: &ImportArgs,
    config: &Config,
    current: &Current,
) -> anyhow::Result<Result<Import, Vec<ImportProblem>>> {
    let mut contents = Vec::with_capacity(args.files.len());
    for path in &args.files {
        let bytes = std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
        contents.push((path.display().to_string(), bytes));
    }
    let files: Vec<CsvFile<'_>> =
        contents.iter().map(|(name, bytes)| CsvFile { name: name.clone(), kind: args.kind, bytes }).collect();
    let known = Known {
        rules: &config.rules,
        register: &current.register,
        held: &current.held,
        now: WallClock::new().now(),
    };
    Ok(parse_files(&files, &known, &mut |file, rows| eprintln!("{file}: {rows} rows")))
}

#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;
