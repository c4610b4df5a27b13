//! `tallyman check`: what is wrong with a configuration, what was understood of it, and, on request,
//! whether everything that it names answers.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::config::{self, values};

mod connect;
mod probes;
mod summary;
mod warnings;

pub use connect::{Finding, try_all};
pub use summary::summary;
pub use warnings::warnings;

/// A configuration that cannot be used (`EX_USAGE`).
pub const EXIT_BAD_CONFIG: u8 = 64;

/// Check a configuration.
///
/// Every problem is printed on a line of its own, as `path: value: what is wrong; what is allowed`, and
/// the exit code is 64. Without problems, what was understood is printed, then what looks unintended.
///
/// With --connect every reader, broker, Modbus device, database and Alertmanager is tried; the exit
/// code is 1 where one of them does not answer as it should. A reader serves one client: while the
/// daemon is connected to it, it turns this check away, and says so.
#[derive(clap::Args, Clone, Debug)]
pub struct CheckArgs {
    /// The configuration, TOML
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// Try each device, broker, database and Alertmanager
    #[arg(long)]
    pub connect: bool,
    /// How long each of them may take
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = timeout)]
    pub timeout: Duration,
}

fn timeout(text: &str) -> Result<Duration, String> {
    let parsed = values::parse_duration(text).filter(|timeout| !timeout.is_zero());
    parsed.ok_or_else(|| format!("write {}", values::DURATION_ALLOWED))
}

/// Problems go to standard error, everything else to standard output.
pub async fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return Ok(ExitCode::from(EXIT_BAD_CONFIG));
        }
    };
    println!("{}: no problems", args.config.display());
    print!("{}", summary(&config));
    for warning in warnings(&config) {
        println!("warning: {warning}");
    }
    if !args.connect {
        return Ok(ExitCode::SUCCESS);
    }
    let findings = try_all(&config, args.timeout).await;
    for finding in &findings {
        println!("{finding}");
    }
    let failed = findings.iter().filter(|finding| finding.found.is_err()).count();
    println!("{} of {} answer as they should", findings.len() - failed, findings.len());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests;
