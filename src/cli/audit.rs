//! `tallyman audit`: cycle counts, from the opening to the report.

use std::process::ExitCode;

use anyhow::bail;

use super::story::{self, WallClocks};
use super::{ConfigFile, commands, control};
use crate::config::Config;
use crate::domain::audits::{Audit, AuditPlan, AuditState, Item, Scope, Standing};
use crate::domain::commands::{Command, HandCount};
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::journal::Reader;
use crate::source::clock::WallClock;
use crate::web::audits::{Report, report};

#[derive(clap::Args)]
pub struct AuditArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    #[command(subcommand)]
    act: Act,
}

#[derive(clap::Subcommand)]
enum Act {
    /// Begin a count; what is expected in these zones is frozen now
    Open {
        /// What to call it, for instance crib-2026-05
        audit: String,
        #[arg(long, value_name = "NAME")]
        zone: Vec<String>,
        /// All zones of a site
        #[arg(long, value_name = "NAME")]
        site: Vec<String>,
        /// Only assets of this class
        #[arg(long, value_name = "NAME")]
        class: Vec<String>,
        /// When it ends if nobody ends it; otherwise after seven days
        #[arg(long, value_name = "TIME", value_parser = commands::instant)]
        expires: Option<Timestamp>,
        #[arg(long)]
        note: Option<String>,
    },
    /// Count an asset by hand
    Count {
        audit: String,
        /// The asset's number on the register
        asset: String,
        /// Where it is; needed where the audit counts several zones
        #[arg(long, value_name = "NAME")]
        zone: Option<String>,
        /// You looked for it, and it is not there
        #[arg(long)]
        missing: bool,
    },
    /// Say that the count is complete: what was not found is missing
    Close { audit: String },
    /// Give the count up; nothing follows from it
    Cancel { audit: String },
    /// List audits, and when which class is counted next
    List,
    /// What an audit says: its figures, and everything that is not as it was expected
    Report {
        audit: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

pub async fn run(config: &Config, args: AuditArgs) -> anyhow::Result<ExitCode> {
    match args.act {
        Act::List => {
            for line in list(config).await? {
                println!("{line}");
            }
        }
        Act::Report { audit, json } => {
            let reader = Reader::open(&config.journal.path).await?;
            let Some(report) = report(&reader, &audit).await? else { bail!("there is no audit `{audit}`") };
            if json {
                println!("{}", serde_json::to_string_pretty(&report)?);
            } else {
                table(&report, &WallClocks::of(&config.rules)).iter().for_each(|line| println!("{line}"));
            }
        }
        act => {
            let (command, done) = order(act)?;
            control::carry_out(config, command).await?;
            println!("{done}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The command, and what to say when it is done.
fn order(act: Act) -> anyhow::Result<(Command, String)> {
    Ok(match act {
        Act::Open { audit, zone, site, class, expires, note } => {
            let scope = Scope {
                zones: zone.into_iter().map(Into::into).collect(),
                sites: site.into_iter().map(Into::into).collect(),
                classes: class.into_iter().map(Into::into).collect(),
            };
            let done = format!("audit {audit} is open");
            (Command::AuditOpen { audit: audit.into(), scope, expires_at: expires, note }, done)
        }
        Act::Count { audit, asset, zone, missing } => {
            let done = format!("{asset} is {} in {audit}", if missing { "missing" } else { "counted" });
            let (audit, asset, zone) = (audit.into(), asset.into(), zone.map(Into::into));
            (Command::Count(HandCount { audit, asset, zone, missing }), done)
        }
        Act::Close { audit } => {
            let done =
                format!("audit {audit} is closed; `tallyman audit report {audit}` tells what it found");
            (Command::AuditClose { audit: audit.into() }, done)
        }
        Act::Cancel { audit } => {
            let done = format!("audit {audit} is given up");
            (Command::AuditCancel { audit: audit.into() }, done)
        }
        Act::List | Act::Report { .. } => bail!("it changes nothing"),
    })
}

async fn list(config: &Config) -> anyhow::Result<Vec<String>> {
    let reader = Reader::open(&config.journal.path).await?;
    let clocks = WallClocks::of(&config.rules);
    let now = WallClock::new().now();
    let mut lines = Vec::new();
    for (_, row) in reader.all_states(StateKind::Audit).await? {
        let audit: Audit = serde_json::from_slice(&row)?;
        lines.push(format!("{}  {}", audit.id, summary(&audit, &clocks)));
    }
    for (_, row) in reader.all_states(StateKind::AuditPlan).await? {
        let plan: AuditPlan = serde_json::from_slice(&row)?;
        let (at, distance) = (clocks.at(None, plan.next_at), story::distance(plan.next_at, now));
        lines.push(format!("class {} is counted next {at} ({distance})", plan.class));
    }
    if lines.is_empty() {
        lines.push("there is no audit, and no class sets `audit_every`".to_owned());
    }
    Ok(lines)
}

fn summary(audit: &Audit, clocks: &WallClocks) -> String {
    let figures = &audit.figures;
    let state = match audit.state {
        AuditState::Open => format!("open until {}", clocks.at(None, audit.expires_at)),
        AuditState::Closed => "closed".to_owned(),
        AuditState::Cancelled => "given up".to_owned(),
        AuditState::Expired => "ran out".to_owned(),
    };
    let accuracy = figures.accuracy().map(|share| format!(", {:.1} %", share * 100.0)).unwrap_or_default();
    format!("{state}, {} of {} found{accuracy}", figures.found, figures.expected)
}

fn table(report: &Report, clocks: &WallClocks) -> Vec<String> {
    let Report { audit, accuracy, differences, pending } = report;
    let figures = &audit.figures;
    let zones: Vec<&str> = audit.zones.iter().map(|zone| zone.as_str()).collect();
    let mut lines = vec![
        format!("audit {} of {}: {}", audit.id, zones.join(", "), summary(audit, clocks)),
        format!("  opened      {} by {}", clocks.at(None, audit.opened_at), audit.opened_by),
    ];
    if let (Some(at), Some(by)) = (audit.ended_at, &audit.ended_by) {
        lines.push(format!("  ended       {} by {by}", clocks.at(None, at)));
    }
    for (label, figure) in [
        ("expected", figures.expected),
        ("found", figures.found),
        ("missing", figures.missing),
        ("elsewhere", figures.elsewhere),
        ("pending", figures.pending()),
        ("unexpected", figures.unexpected),
        ("out", figures.out_at_start),
    ] {
        lines.push(format!("  {label:<11} {figure:>7}"));
    }
    if let Some(accuracy) = accuracy {
        lines.push(format!("  {:<11} {:>6.1} %", "accuracy", accuracy * 100.0));
    }
    lines.extend(differences.iter().map(|item| difference(item, clocks)));
    lines.extend(pending.iter().map(|asset| format!("  pending     {asset}")));
    lines
}

fn difference(item: &Item, clocks: &WallClocks) -> String {
    let standing = match item.standing {
        Standing::Found => "found",
        Standing::Missing => "missing",
        Standing::Elsewhere => "elsewhere",
        Standing::Unexpected => "unexpected",
    };
    let what = item.what.to_string();
    let what = what.strip_prefix("asset:").unwrap_or(&what);
    let zone = item.zone.as_ref().map(|zone| format!(" in {zone}")).unwrap_or_default();
    format!("  {standing:<11} {what}{zone}  {}: {}", clocks.at(None, item.at), item.how)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audits::{Counted, Figures};

    #[test]
    fn a_report_as_a_table() {
        let at = Timestamp::parse("2026-05-01T06:00:00Z").unwrap();
        let figures =
            Figures { expected: 4, found: 2, missing: 1, elsewhere: 1, unexpected: 1, out_at_start: 1 };
        let audit = Audit {
            id: "A".into(),
            scope: Scope::default(),
            zones: vec!["crib".into()],
            state: AuditState::Closed,
            opened_at: at,
            opened_by: "ada".to_owned(),
            expires_at: at,
            ended_at: Some(at),
            ended_by: Some("bob".to_owned()),
            note: None,
            figures,
            parts: 1,
        };
        let item = Item {
            what: Counted::Asset("FL-07".into()),
            standing: Standing::Missing,
            at,
            zone: None,
            how: "never sensed".to_owned(),
        };
        let report =
            Report { accuracy: figures.accuracy(), audit, differences: vec![item], pending: Vec::new() };
        let lines = table(&report, &WallClocks::default());
        assert_eq!(lines[0], "audit A of crib: closed, 2 of 4 found, 66.7 %");
        assert!(lines.contains(&"  missing           1".to_owned()), "{lines:?}");
        assert_eq!(lines[lines.len() - 1], "  missing     FL-07  2026-05-01 06:00:00 UTC: never sensed");
    }
}
