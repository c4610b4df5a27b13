//! `tallyman maintenance`: planned work on a reader, a read point, a zone or a site. What is planned is a
//! record of the register like any other; these are the short ways to make one, end one and see them.

use std::process::ExitCode;

use anyhow::{Context, bail};

use super::story::{self, WallClocks};
use super::{ConfigFile, commands, control};
use crate::config::Config;
use crate::domain::commands::Command;
use crate::domain::register::{Maintained, Maintenance, Record};
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::journal::{Reader, StateRows};
use crate::source::clock::WallClock;

/// Rows that are listed; of so many plans most are long over.
const LISTED: usize = 10_000;

#[derive(clap::Args)]
pub struct MaintenanceArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    #[command(subcommand)]
    act: Act,
}

#[derive(clap::Subcommand)]
enum Act {
    /// Plan work: while it lasts, clocks stand still and nobody is told that something does not hear
    Plan {
        /// What to call it, for instance M-1
        name: String,
        #[command(flatten)]
        of: Of,
        /// Since when; now where nothing is said
        #[arg(long, value_name = "TIME", value_parser = commands::instant)]
        from: Option<Timestamp>,
        /// Until when, for instance 2026-05-01T17:00:00+02:00
        #[arg(long, value_name = "TIME", value_parser = commands::instant)]
        to: Timestamp,
        #[arg(long)]
        reason: Option<String>,
    },
    /// List what is in force and what is to come
    List {
        /// What is over as well
        #[arg(long)]
        all: bool,
    },
    /// End it now; what has not begun is taken off the register
    End { name: String },
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Of {
    /// A reader, a broker or a Modbus device
    #[arg(long, visible_alias = "source", value_name = "NAME")]
    reader: Option<String>,
    #[arg(long, value_name = "NAME")]
    read_point: Option<String>,
    #[arg(long, value_name = "NAME")]
    zone: Option<String>,
    #[arg(long, value_name = "NAME")]
    site: Option<String>,
}

impl Of {
    fn maintained(self) -> Option<Maintained> {
        let reader = self.reader.map(|name| Maintained::Source(name.into()));
        let read_point = self.read_point.map(|name| Maintained::ReadPoint(name.into()));
        let zone = self.zone.map(|name| Maintained::Zone(name.into()));
        reader.or(read_point).or(zone).or(self.site.map(|name| Maintained::Site(name.into())))
    }
}

pub async fn run(config: &Config, args: MaintenanceArgs) -> anyhow::Result<ExitCode> {
    let now = WallClock::new().now();
    match args.act {
        Act::Plan { name, of, from, to, reason } => {
            let of = of.maintained().context("say what it is of")?;
            let planned = Maintenance { name, of, from: from.unwrap_or(now), to, reason };
            let clocks = WallClocks::of(&config.rules);
            let done = line(&planned, &clocks, now);
            control::carry_out(config, import(planned)).await?;
            println!("{done}");
        }
        Act::List { all } => {
            let reader = Reader::open(&config.journal.path).await?;
            let clocks = WallClocks::of(&config.rules);
            let planned = planned(&reader).await?;
            let shown = planned.iter().filter(|planned| all || now < planned.to);
            let lines: Vec<String> = shown.map(|planned| line(planned, &clocks, now)).collect();
            lines.iter().for_each(|line| println!("{line}"));
            if lines.is_empty() {
                println!("nothing is planned");
            }
        }
        Act::End { name } => {
            let reader = Reader::open(&config.journal.path).await?;
            let row = reader.state(StateKind::Register, &format!("maintenance/{name}")).await?;
            let Some(row) = row else { bail!("there is no maintenance `{name}`") };
            let Record::Maintenance(planned) = serde_json::from_slice(&row)? else {
                bail!("there is no maintenance `{name}`")
            };
            reader.close().await;
            let command = match now {
                now if planned.to <= now => bail!("maintenance `{name}` is over"),
                now if planned.from < now => import(Maintenance { to: now, ..planned }),
                _ => Command::Remove { table: "maintenance".to_owned(), key: name.clone() },
            };
            control::carry_out(config, command).await?;
            println!("maintenance {name} is over");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn import(planned: Maintenance) -> Command {
    Command::Import { records: vec![Record::Maintenance(planned)], checkouts: Vec::new() }
}

/// Every planned work on the register, by name.
async fn planned(reader: &Reader) -> anyhow::Result<Vec<Maintenance>> {
    let rows = StateRows::Of { kind: StateKind::Register, prefix: "maintenance/" };
    let mut planned = Vec::new();
    for row in reader.state_rows(rows, None, LISTED).await? {
        if let Record::Maintenance(one) = serde_json::from_slice(&row.value)? {
            planned.push(one);
        }
    }
    Ok(planned)
}

fn line(planned: &Maintenance, clocks: &WallClocks, now: Timestamp) -> String {
    let Maintenance { name, of, from, to, reason } = planned;
    let (of, site) = match of {
        Maintained::Source(source) => (format!("source {source}"), None),
        Maintained::ReadPoint(point) => (format!("read point {point}"), None),
        Maintained::Zone(zone) => (format!("zone {zone}"), None),
        Maintained::Site(site) => (format!("site {site}"), Some(site.as_str())),
    };
    let standing = match now {
        now if now < *from => format!("begins {}", story::distance(*from, now)),
        now if now < *to => format!("in force, ends {}", story::distance(*to, now)),
        _ => format!("over since {}", story::distance(*to, now)),
    };
    let (from, to) = (clocks.at(site, *from), clocks.at(site, *to));
    format!("{name}  {of}  {from} to {to}  {standing}{}", story::noted(reason.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_of_what_until_when() {
        let planned = Maintenance {
            name: "M-1".to_owned(),
            of: Maintained::ReadPoint("DOCK".into()),
            from: Timestamp::from_secs(0),
            to: Timestamp::from_secs(7200),
            reason: Some("new antenna".to_owned()),
        };
        let of = |now| line(&planned, &WallClocks::default(), Timestamp::from_secs(now));
        assert_eq!(
            of(3600),
            "M-1  read point DOCK  1970-01-01 00:00:00 UTC to 1970-01-01 02:00:00 UTC  in force, ends in 1 h \
             (\"new antenna\")"
        );
        assert!(of(-60).contains("begins in 1 min"));
        assert!(of(7260).contains("over since 1 min ago"));
    }
}
