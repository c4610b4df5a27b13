//! `tallyman watch --read-point NAME`: the walk test. Somebody walks with a tag before the antennas, and sees who hears
//! it, how loud, and whether a neighbour does.
//!
//! The daemon tells what it hears over its control socket; here it is counted (`tally`) and shown (`table`, `screen`).

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use self::grid::{Line, Style};
use self::screen::Screen;
use self::table::View;
use self::tally::{Levels, Tally, Whose, louder_by, whose};
use super::ConfigFile;
use super::control::Daemon;
use super::run::cancel_on_signal;
use crate::config::{Config, values};
use crate::domain::register::Record;
use crate::domain::state::StateKind;
use crate::journal::Reader;
use crate::source::clock::WallClock;
use crate::web::walk::{About, Told};

mod grid;
mod screen;
mod table;
mod tally;

/// Between two looks at the table.
const REFRESH: Duration = Duration::from_millis(500);
/// Lines of the table that are not tags, more or less.
const AROUND: usize = 14;
/// Tags that are looked up on the register.
const LOOKED_UP: usize = 500;

#[derive(clap::Args)]
pub struct WatchArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// The read point to stand before, as the configuration names it
    #[arg(long, value_name = "NAME")]
    read_point: String,
    /// End by itself after so long [default: at Ctrl-C]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    length: Option<Duration>,
    /// One JSON object a line: each read as it comes (`read`), and a `summary` at the end
    #[arg(long)]
    json: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    values::parse_duration(text).ok_or_else(|| format!("write {}", values::DURATION_ALLOWED))
}

pub async fn run(config: &Config, args: WatchArgs) -> anyhow::Result<ExitCode> {
    let daemon = Daemon::reach(&config.journal.path, &args.file.config).await?;
    let name = utf8_percent_encode(&args.read_point, NON_ALPHANUMERIC);
    let stream = daemon.stream(&format!("read-points/{name}/stream")).await?;
    let stop = CancellationToken::new();
    tokio::spawn(cancel_on_signal(stop.clone())?);
    let walk = Walk {
        screen: Screen::of_stdout(),
        json: args.json,
        tally: Tally::default(),
        about: None,
        assets: BTreeMap::new(),
        register: Reader::open(&config.journal.path).await?,
        clock: WallClock::new(),
        began: Instant::now(),
    };
    match walk.go(stream, args.length, &stop).await {
        // Whoever read our lines has enough.
        Err(error) if super::is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        done => done.map(|()| ExitCode::SUCCESS),
    }
}

struct Walk {
    screen: Screen,
    json: bool,
    tally: Tally,
    about: Option<About>,
    assets: BTreeMap<String, Option<String>>,
    register: Reader,
    clock: WallClock,
    began: Instant,
}

impl Walk {
    async fn go(
        mut self,
        mut stream: reqwest::Response,
        length: Option<Duration>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let ends = length.map(|length| self.began + length);
        let mut refresh = interval(REFRESH);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut rest = Vec::new();
        let broken = loop {
            tokio::select! {
                chunk = stream.chunk() => match chunk {
                    Ok(Some(chunk)) => {
                        rest.extend_from_slice(&chunk);
                        self.take(&mut rest)?;
                    }
                    Ok(None) => break Some("it was stopped".to_owned()),
                    Err(error) => break Some(error.to_string()),
                },
                _ = refresh.tick() => self.show().await?,
                () = until(ends) => break None,
                () = stop.cancelled() => break None,
            }
        };
        self.end().await?;
        match broken {
            Some(why) => bail!("the daemon tells no more: {why}"),
            None => Ok(()),
        }
    }

    /// Takes whole events off what came.
    fn take(&mut self, rest: &mut Vec<u8>) -> anyhow::Result<()> {
        let Some(end) = rest.windows(2).rposition(|two| two == b"\n\n") else { return Ok(()) };
        let whole: Vec<u8> = rest.drain(..end + 2).collect();
        let text = std::str::from_utf8(&whole).context("the daemon's answer is not text")?;
        for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
            self.hear(data)?;
        }
        Ok(())
    }

    fn hear(&mut self, data: &str) -> anyhow::Result<()> {
        let told = serde_json::from_str(data)
            .context("what the daemon tells could not be read; is it of another version?")?;
        if self.json {
            self.screen.line(data)?;
        }
        match told {
            Told::ReadPoint(about) => self.about = Some(about),
            Told::Read(read) => self.tally.read(&read),
            Told::Missed { count } => self.tally.missed += count,
        }
        Ok(())
    }

    async fn show(&mut self) -> anyhow::Result<()> {
        if self.json || !self.screen.is_terminal() {
            return Ok(());
        }
        let (_, height) = self.screen.size();
        let antennas = self.about.as_ref().map_or(0, |about| about.antennas.len());
        let mut lines = self.lines(height.saturating_sub(AROUND + antennas).max(3)).await;
        lines.push((Style::Faint, "  Ctrl-C ends".to_owned()));
        Ok(self.screen.draw(&lines)?)
    }

    async fn end(&mut self) -> anyhow::Result<()> {
        if self.json {
            return Ok(self.screen.line(&self.summary().to_string())?);
        }
        let tags =
            if self.screen.is_terminal() { self.screen.size().1.saturating_sub(AROUND) } else { usize::MAX };
        let lines = self.lines(tags.max(3)).await;
        Ok(self.screen.end(&lines)?)
    }

    async fn lines(&mut self, tags: usize) -> Vec<Line> {
        self.look_up(tags).await;
        let Some(about) = &self.about else { return Vec::new() };
        let (now, length) = (self.clock.now(), self.began.elapsed());
        let (width, _) = self.screen.size();
        View { about, tally: &self.tally, assets: &self.assets, now, length, tags, width }.lines()
    }

    /// What the tags that are shown hang on. A register that cannot be read says nothing.
    async fn look_up(&mut self, tags: usize) {
        let now = self.clock.now();
        for (epc, _) in self.tally.tags(now).into_iter().take(tags.min(LOOKED_UP)) {
            if self.assets.contains_key(epc) {
                continue;
            }
            let row = self.register.state(StateKind::Register, &format!("tag/{epc}")).await;
            let record = row.ok().flatten().and_then(|row| serde_json::from_slice::<Record>(&row).ok());
            let asset = record.as_ref().and_then(Record::asset).map(ToString::to_string);
            self.assets.insert(epc.to_owned(), asset);
        }
    }

    /// How it ended, for a script: what an acceptance test of a door asks for.
    fn summary(&self) -> Value {
        let tally = &self.tally;
        let ears = self.about.iter().flat_map(|about| &about.antennas);
        let antennas: Vec<Value> = ears
            .map(|ear| {
                let key = (ear.reader.clone(), ear.antenna);
                let levels = tally.antenna(&key).map(|heard| heard.levels.clone()).unwrap_or_default();
                let mut value = levels_json(&levels);
                value["reader"] = json!(ear.reader);
                value["antenna"] = json!(ear.antenna);
                value["tags"] = json!(tally.tags_of(&key));
                value
            })
            .collect();
        let tags: Vec<Value> = tally
            .tags(self.clock.now())
            .into_iter()
            .map(|(epc, tag)| {
                let elsewhere: Vec<Value> = tag
                    .elsewhere
                    .iter()
                    .map(|(place, there)| {
                        let mut value = levels_json(there);
                        value["read_point"] = json!(place);
                        value["louder_db"] = json!(louder_by(&tag.here, there));
                        value["whose"] = json!(word(whose(&tag.here, there)));
                        value
                    })
                    .collect();
                let mut value = levels_json(&tag.here);
                value["epc"] = json!(epc);
                value["whose"] = json!(word(tag.whose()));
                value["elsewhere"] = json!(elsewhere);
                value
            })
            .collect();
        json!({
            "type": "summary", "read_point": self.about.as_ref().map(|about| &about.read_point),
            "seconds": self.began.elapsed().as_secs_f64(), "reads": tally.reads, "held": tally.held,
            "missed": tally.missed, "cross_read_tags": tally.count(Whose::Theirs),
            "unclear_tags": tally.count(Whose::Unclear), "antennas": antennas, "tags": tags,
        })
    }
}

fn levels_json(levels: &Levels) -> Value {
    json!({
        "reads": levels.reads, "weakest_dbm": levels.weakest_dbm, "mean_dbm": levels.mean_dbm(),
        "strongest_dbm": levels.strongest_dbm,
    })
}

fn word(whose: Whose) -> &'static str {
    match whose {
        Whose::Ours => "ours",
        Whose::Unclear => "unclear",
        Whose::Theirs => "theirs",
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
