//! `tallyman export`: the register as files that `tallyman import` reads, and events as EPCIS 2.0. Both
//! stream: what is in memory is a page, however much there is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::import::{Kind, header, kind_of, row};
use super::{ConfigFile, commands};
use crate::config::Config;
use crate::domain::register::{Checkout, Record};
use crate::domain::state::{AssetCurrent, StateKind};
use crate::domain::time::Timestamp;
use crate::epcis::{CONTEXT, DEFAULT_BASE, KINDS, Translator};
use crate::journal::{EventQuery, Reader, StateRows};
use crate::source::clock::WallClock;

/// Rows read by one statement.
const PAGE: usize = 5000;

#[derive(clap::Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// The register and the open checkouts, as files that `tallyman import` reads; what the configuration
    /// file declares is not among them
    Register {
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        /// A folder; made where it is not there
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Location, count and condition events as an EPCIS 2.0 document (JSON-LD), oldest first
    Epcis {
        /// Observed at or after this
        #[arg(long, value_name = "TIME", value_parser = commands::instant)]
        from: Option<Timestamp>,
        /// Observed before this
        #[arg(long, value_name = "TIME", value_parser = commands::instant)]
        to: Option<Timestamp>,
        /// A URI of your own under which places, devices and assets are named
        #[arg(long, value_name = "URI", default_value = DEFAULT_BASE)]
        base: String,
        /// Standard output where nothing is said
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Format {
    /// A file a table
    #[default]
    Csv,
    /// One file, one record a line
    Json,
}

pub async fn run(config: &Config, args: ExportArgs) -> anyhow::Result<ExitCode> {
    let reader = Reader::open(&config.journal.path).await?;
    match args.what {
        What::Register { format, out } => {
            std::fs::create_dir_all(&out).with_context(|| format!("failed to make {}", out.display()))?;
            let written = match format {
                Format::Csv => register_csv(&reader, &out).await?,
                Format::Json => register_json(&reader, &out).await?,
            };
            println!("{written} records in {}", out.display());
        }
        What::Epcis { from, to, base, out } => {
            if !crate::web::epcis::is_base(&base) {
                bail!("`{base}` is no http or https URI of at most 200 characters");
            }
            let translator = Translator::new(&config.rules, &base);
            let now = WallClock::new().now();
            match out {
                Some(path) => {
                    let count = epcis(&reader, &translator, (from, to), now, create(&path)?).await?;
                    println!("{count} events in {}", path.display());
                }
                None => drop(epcis(&reader, &translator, (from, to), now, stdout()).await?),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(BufWriter::new(file))
}

/// Writes the document; gives the number of events in it.
pub async fn epcis(
    reader: &Reader,
    translator: &Translator,
    (observed_from, observed_until): (Option<Timestamp>, Option<Timestamp>),
    now: Timestamp,
    mut out: impl Write,
) -> anyhow::Result<u64> {
    let query = EventQuery {
        kinds: KINDS.map(str::to_owned).to_vec(),
        observed_from,
        observed_until,
        limit: PAGE,
        ..EventQuery::default()
    };
    let created = json!(crate::epcis::time(now));
    write!(
        out,
        "{{\"@context\":[\"{CONTEXT}\"],\"type\":\"EPCISDocument\",\"schemaVersion\":\"2.0\",\
         \"creationDate\":{created},\"epcisBody\":{{\"eventList\":["
    )?;
    let until = reader.meta().await?.last_seq;
    let (mut after, mut count) = (0, 0u64);
    while after < until {
        let found = reader.following_events(&query, after, until).await?;
        for event in found.events.iter().filter_map(|event| translator.translate(event)) {
            out.write_all(if count == 0 { b"\n" } else { b",\n" })?;
            serde_json::to_writer(&mut out, &event)?;
            count += 1;
        }
        after = found.looked_to.unwrap_or(until);
    }
    out.write_all(b"\n]}}\n")?;
    out.flush()?;
    Ok(count)
}

async fn register_json(reader: &Reader, out: &Path) -> anyhow::Result<u64> {
    let mut file = create(&out.join("register.json"))?;
    let mut count = 0;
    for table in Record::TABLES {
        let mut after = None;
        while let Some(page) = records(reader, table, &mut after).await? {
            for record in page {
                serde_json::to_writer(&mut file, &record)?;
                file.write_all(b"\n")?;
                count += 1;
            }
        }
    }
    let mut after = None;
    while let Some(page) = checkouts(reader, &mut after).await? {
        for checkout in page {
            let mut line = serde_json::to_value(&checkout)?;
            if let Value::Object(fields) = &mut line {
                fields.insert("table".to_owned(), json!("checkout"));
            }
            serde_json::to_writer(&mut file, &line)?;
            file.write_all(b"\n")?;
            count += 1;
        }
    }
    file.flush()?;
    Ok(count)
}

async fn register_csv(reader: &Reader, out: &Path) -> anyhow::Result<u64> {
    let attributes = attributes(reader).await?;
    let mut files: BTreeMap<Kind, csv::Writer<BufWriter<File>>> = BTreeMap::new();
    let mut count = 0;
    for table in Record::TABLES {
        let mut after = None;
        while let Some(page) = records(reader, table, &mut after).await? {
            for record in page {
                let kind = kind_of(&record);
                let columns = header(kind, &attributes);
                let cells = row(&record, &columns).map_err(anyhow::Error::msg)?;
                writer(&mut files, kind, &columns, out)?.write_record(&cells)?;
                count += 1;
            }
        }
    }
    let mut after = None;
    while let Some(page) = checkouts(reader, &mut after).await? {
        for checkout in page {
            let columns = header(Kind::Checkouts, &attributes);
            let text = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
            let cells = columns.iter().map(|column| match column.as_str() {
                "asset" => checkout.asset.to_string(),
                "holder" => checkout.holder.clone(),
                "due_back" => text(checkout.due_back),
                "checked_out_at" => text(Some(checkout.checked_out_at)),
                _ => checkout.note.clone().unwrap_or_default(),
            });
            let cells: Vec<String> = cells.collect();
            writer(&mut files, Kind::Checkouts, &columns, out)?.write_record(&cells)?;
            count += 1;
        }
    }
    for file in files.values_mut() {
        file.flush()?;
    }
    Ok(count)
}

fn writer<'a>(
    files: &'a mut BTreeMap<Kind, csv::Writer<BufWriter<File>>>,
    kind: Kind,
    columns: &[String],
    out: &Path,
) -> anyhow::Result<&'a mut csv::Writer<BufWriter<File>>> {
    use std::collections::btree_map::Entry;
    Ok(match files.entry(kind) {
        Entry::Occupied(open) => open.into_mut(),
        Entry::Vacant(place) => {
            let file = create(&out.join(format!("{}.csv", kind.name())))?;
            let mut writer = csv::Writer::from_writer(file);
            writer.write_record(columns)?;
            place.insert(writer)
        }
    })
}

/// The names of all free attributes.
async fn attributes(reader: &Reader) -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut after = None;
    while let Some(page) = records(reader, "asset", &mut after).await? {
        for record in page {
            if let Record::Asset(asset) = record {
                names.extend(asset.attributes.into_keys());
            }
        }
    }
    Ok(names)
}

/// The next page of a table; `None` at its end.
async fn records(
    reader: &Reader,
    table: &str,
    after: &mut Option<String>,
) -> anyhow::Result<Option<Vec<Record>>> {
    let prefix = format!("{table}/");
    let rows = StateRows::Of { kind: StateKind::Register, prefix: &prefix };
    let page = reader.state_rows(rows, after.as_deref(), PAGE).await?;
    let Some(last) = page.last() else { return Ok(None) };
    *after = Some(last.key.clone());
    let records = page.iter().map(|row| serde_json::from_slice(&row.value)).collect::<Result<_, _>>();
    Ok(Some(records.context("failed to read a record")?))
}

/// The next page of open checkouts; `None` at the end.
async fn checkouts(reader: &Reader, after: &mut Option<String>) -> anyhow::Result<Option<Vec<Checkout>>> {
    let page = reader.states(StateKind::Asset, after.as_deref(), PAGE).await?;
    let Some((last, _)) = page.last() else { return Ok(None) };
    *after = Some(last.clone());
    let mut open = Vec::new();
    for (_, row) in &page {
        let current: AssetCurrent = serde_json::from_slice(row).context("failed to read an asset")?;
        open.extend(current.checkout.map(|checkout| *checkout));
    }
    Ok(Some(open))
}

#[cfg(test)]
mod tests;
