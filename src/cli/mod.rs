//! The command line, one file a subcommand. Exit codes: 0 done, 1 failed, 2 wrong usage, 64 bad
//! configuration.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, Config};
use crate::telemetry::logging::{self, LogFormat};

mod alerts;
mod audit;
pub mod check;
mod commands;
mod control;
pub mod dead_letters;
pub mod decode;
#[cfg(feature = "demo")]
pub mod demo;
mod doors;
mod erase;
mod explain;
mod export;
pub mod import;
mod maintenance;
mod probe;
mod register;
mod run;
mod story;
pub mod token;
mod trackers;
mod vehicles;
mod watch;

/// Hears RFID gates, GPS trackers and condition sensors, works out what really happened, keeps it, and
/// says so when an asset that should be there is not.
#[derive(Parser)]
#[command(name = "tallyman", version, about, long_about = None, arg_required_else_help = true)]
#[command(
    after_help = "Start with `tallyman demo`. Then copy config/minimal.toml, `tallyman check -c FILE --connect`, \
`tallyman import -c FILE assets.csv tags.csv`, `tallyman run -c FILE`."
)]
struct Cli {
    #[command(subcommand)]
    command: Sub,
    /// What is logged, as in RUST_LOG: `info`, `debug`, `tallyman::source=debug`
    #[arg(long, global = true, value_name = "FILTER", env = "RUST_LOG", hide_env_values = true)]
    log: Option<String>,
    /// How it is logged
    #[arg(long, global = true, value_enum, default_value_t)]
    log_format: LogFormat,
}

#[derive(Subcommand)]
enum Sub {
    /// Run the daemon until SIGTERM or Ctrl-C, then drain and stop; SIGHUP reads the API's tokens again
    Run(ConfigFile),
    /// See the whole system at work on this machine: simulated devices, a broker, the daemon
    #[cfg(feature = "demo")]
    Demo(demo::DemoArgs),
    /// Say what is wrong with a configuration, or what it means; --connect tries every device
    Check(check::CheckArgs),
    Import(import::ImportArgs),
    /// Write the register, or events as EPCIS 2.0, to files
    Export(export::ExportArgs),
    /// Tell everything behind what is said of one asset
    Explain(explain::ExplainArgs),
    /// List which vehicle stands at which door, and since when
    Doors(doors::DoorsArgs),
    /// List the trackers that are on the register or heard, and whether what they say counts
    Trackers(trackers::TrackersArgs),
    /// Stand before a read point's antennas and see what they hear, how loud, and who else does: the walk test
    Watch(watch::WatchArgs),
    /// See what a device has before there is a map of it
    Probe(probe::ProbeArgs),
    /// Hand an asset to somebody
    Checkout(commands::CheckoutArgs),
    /// Take an asset back
    CheckIn(commands::CheckInArgs),
    /// Hand an asset over from whoever has it to somebody else
    HandOver(commands::HandOverArgs),
    /// Take a hand-over that was sensed for true
    Accept(commands::AcceptArgs),
    /// Take a hand-over that was sensed for false
    Reject(commands::NotedArgs),
    /// Say how an asset's inspection went
    Inspect(commands::InspectArgs),
    /// Keep an asset from going out until it is released
    Quarantine(commands::HoldArgs),
    /// Say that an asset is being worked on, until it is released
    Maintain(commands::HoldArgs),
    /// Lift an asset's quarantine or maintenance
    Release(commands::NotedArgs),
    /// Say that an asset is in a vehicle
    Load(vehicles::LoadArgs),
    /// Say that an asset is in its vehicle no longer
    Unload(vehicles::UnloadArgs),
    /// Say that a vehicle stands at a door: what passes out there is in it
    Dock(vehicles::DockArgs),
    /// Say that a vehicle stands at no door
    Undock(vehicles::UndockArgs),
    /// List the alerts that are open
    Alerts(alerts::AlertsArgs),
    /// Say that somebody is on an alert
    Acknowledge(commands::AcknowledgeArgs),
    /// Say who is to see to an alert
    Assign(commands::AssignArgs),
    /// Keep an alert quiet until a time
    Snooze(commands::SnoozeArgs),
    /// Put a tag on an asset, whatever it was on before
    Commission(commands::CommissionArgs),
    /// Count what is there: open, count, close, report
    Audit(audit::AuditArgs),
    /// Plan work on readers and zones, during which nobody is told that they do not hear
    Maintenance(maintenance::MaintenanceArgs),
    /// Take a record out of the register
    Remove(commands::RemoveArgs),
    /// Take somebody out of everything that is kept
    ErasePerson(erase::EraseArgs),
    /// Say whose register holds
    Register(register::RegisterArgs),
    /// Look at what could not be decoded, and try it again
    DeadLetters(DeadLetters),
    /// Turn captured bytes into JSON, one object a line
    Decode(Box<decode::DecodeArgs>),
    /// Make a token for the HTTP API
    Token(token::TokenArgs),
}

impl Sub {
    /// What is logged unless asked otherwise.
    fn default_log(&self) -> &'static str {
        match self {
            Self::Run(_) => "info",
            // The story is told on standard output; its embedded broker logs every connection.
            #[cfg(feature = "demo")]
            Self::Demo(_) => "error,rumqttd=off",
            _ => "warn",
        }
    }
}

/// Which configuration.
#[derive(clap::Args, Clone)]
struct ConfigFile {
    /// The configuration file
    #[arg(short, long, global = true, value_name = "FILE", default_value = "/etc/tallyman/tallyman.toml")]
    config: PathBuf,
}

#[derive(clap::Args)]
struct DeadLetters {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    args: dead_letters::DeadLettersArgs,
}

/// The whole program: parses arguments, sets the log, runs the subcommand.
pub fn main() -> ExitCode {
    end_with_the_reader();
    let cli = Cli::parse();
    logging::init(cli.log_format, cli.log.as_deref().unwrap_or(cli.command.default_log()));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: failed to start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(dispatch(cli.command)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Of what only reads and prints: whoever reads that has seen enough of it, as `head` has.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// As a shell tells of a program that SIGPIPE ended.
const EXIT_NOBODY_READS: i32 = 128 + 13;

/// `println!` panics where nobody reads any more: it ends quietly, and does not claim that all was done.
fn end_with_the_reader() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload().downcast_ref::<String>();
        if said
            .is_some_and(|said| said.starts_with("failed printing to stdout") && said.contains("Broken pipe"))
        {
            std::process::exit(EXIT_NOBODY_READS);
        }
        report(panic);
    }));
}

/// Whether these arguments, without the program's name, are a command line of this program; nothing is done.
///
/// # Errors
/// What the person who typed it would read.
pub fn parses(arguments: &[&str]) -> Result<(), String> {
    let line = std::iter::once("tallyman").chain(arguments.iter().copied());
    Cli::try_parse_from(line).map(drop).map_err(|error| error.to_string())
}

async fn dispatch(command: Sub) -> anyhow::Result<ExitCode> {
    match command {
        Sub::Run(file) => {
            let path = file.config.clone();
            with_config(&file, async |config| run::run(config, path).await).await
        }
        #[cfg(feature = "demo")]
        Sub::Demo(args) => demo::run(args).await,
        Sub::Check(args) => check::run(args).await,
        Sub::Import(args) => commands::import(args).await,
        Sub::Export(args) => {
            let file = args.file.clone();
            with_config(&file, async |config| export::run(&config, args).await).await
        }
        Sub::Explain(args) => {
            let file = args.file.clone();
            with_config(&file, async |config| explain::run(&config, args).await).await
        }
        Sub::Doors(args) => {
            let file = args.file.clone();
            with_config(&file, async |config| doors::run(&config, args).await).await
        }
        Sub::Trackers(args) => {
            let file = args.file.clone();
            with_config(&file, async |config| trackers::run(&config, args).await).await
        }
        Sub::Probe(args) => probe::run(args).await,
        Sub::Watch(args) => {
            let file = args.file.clone();
            with_config(&file, async |config| watch::run(&config, args).await).await
        }
        Sub::Checkout(args) => commands::order(args).await,
        Sub::CheckIn(args) => commands::order(args).await,
        Sub::HandOver(args) => commands::order(args).await,
        Sub::Accept(args) => commands::order(args).await,
        Sub::Reject(args) => commands::order(commands::Reject(args)).await,
        Sub::Inspect(args) => commands::order(args).await,
        Sub::Quarantine(args) => commands::order(commands::Quarantine(args)).await,
        Sub::Maintain(args) => commands::order(commands::Maintain(args)).await,
        Sub::Release(args) => commands::order(commands::Release(args)).await,
        Sub::Load(args) => commands::order(args).await,
        Sub::Unload(args) => commands::order(args).await,
        Sub::Dock(args) => commands::order(args).await,
        Sub::Undock(args) => commands::order(args).await,
        Sub::Alerts(args) => {
            let file = args.file.clone();
            with_config(&file, async |config| alerts::run(&config, args).await).await
        }
        Sub::Acknowledge(args) => commands::order(args).await,
        Sub::Assign(args) => commands::order(args).await,
        Sub::Snooze(args) => commands::order(args).await,
        Sub::Commission(args) => commands::order(args).await,
        Sub::Audit(args) => {
            let file = args.file.clone();
            with_config(&file, async |config| audit::run(&config, args).await).await
        }
        Sub::Maintenance(args) => {
            let file = args.file.clone();
            with_config(&file, async |config| maintenance::run(&config, args).await).await
        }
        Sub::Remove(args) => commands::order(args).await,
        Sub::ErasePerson(args) => {
            let file = args.file.clone();
            with_config(&file, async |config| erase::run(&config, args).await).await
        }
        Sub::DeadLetters(DeadLetters { file, args }) => {
            with_config(&file, async |config| dead_letters::run(args, &config.journal.path).await).await
        }
        Sub::Register(args) => register::run(args).await,
        Sub::Decode(args) => decode::run(*args),
        Sub::Token(args) => token::run(&args),
    }
}

/// Loads the configuration; one with problems prints them all, a line each.
async fn with_config(
    file: &ConfigFile,
    act: impl AsyncFnOnce(Config) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    match config::load(&file.config) {
        Ok(config) => act(config).await,
        Err(error) => {
            eprintln!("{error}");
            Ok(ExitCode::from(check::EXIT_BAD_CONFIG))
        }
    }
}
