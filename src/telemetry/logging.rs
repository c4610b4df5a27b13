//! Log lines on standard error: for people, or as JSON objects.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// One line for a person.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Sets the process's log. `filter` as in `RUST_LOG`; a filter that is none is told and replaced by `info`.
pub fn init(format: LogFormat, filter: &str) {
    let (directives, problem) = match EnvFilter::try_new(filter) {
        Ok(directives) => (directives, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    let builder = fmt().with_env_filter(directives).with_writer(std::io::stderr);
    let installed = match format {
        LogFormat::Human => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Err(error) = installed {
        tracing::debug!(error, "the log is set already");
    }
    if let Some(problem) = problem {
        tracing::warn!(%problem, filter, "not a log filter; using `info`");
    }
}
