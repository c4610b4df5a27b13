//! One person's way out of the database: table after table, a stretch of each in a transaction of its own.
//!
//! It begins once the journal no longer names them and everything up to then is here: so nothing that was read from
//! the journal before brings them back. What came later is of whoever has the number by then, and stays (`after.rs`).
//! Rows are locked as they are read and counted as they are written, so what somebody else writes meanwhile is neither
//! lost nor overwritten. Where it ends early, it is begun again from the first table; what is done already is found
//! done.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Step;
use super::after::After;
use super::rewrite::{Part, Rewritten, Whom};
use super::span::{Pace, Span};
use super::tables::{self, Table};
use super::trace::{remove, trace};
use super::transaction::{Patience, transacted};
use crate::domain::erasure::{Eraser, Erasure};
use crate::journal::Reader;
use crate::store::timescale::batch::Lineage;
use crate::store::timescale::connection::Connection;
use crate::store::timescale::error::StoreError;

/// Rows of a table that is walked by its key, at first.
const FIRST_KEYS: i64 = 500;
/// Rows that are rewritten at once, at most; of a stretch with more, a part is taken.
const MOST: i64 = 2_000;

pub struct Walk {
    erasure: Erasure,
    after: After,
    patience: Patience,
    /// Not known yet.
    tables: Option<VecDeque<Table>>,
    /// Of the first of the tables.
    way: Option<Way>,
    /// Rows that named them.
    pub rows: u64,
}

/// How far a table is done.
enum Way {
    /// Of time, or of blocks.
    Range(Span),
    /// One moment, or one block, that is too much for once: what an import did has one time. As many rows next, behind
    /// those that are done.
    Crowd { span: Span, behind: Option<String>, rows: Pace },
    /// Up to a key; as many rows next.
    Keys { after: Option<Vec<String>>, rows: Pace },
}

/// What is next: the condition on its rows, and where it ends.
struct Stretch {
    within: String,
    to: Option<Vec<String>>,
    /// Where it has more than so many rows, it is not for once,
    most: i64,
    /// or the first of them are.
    in_order: bool,
}

impl Stretch {
    fn new(within: String) -> Self {
        Self { within, to: None, most: MOST, in_order: false }
    }
}

impl Way {
    async fn begin(table: &Table, connection: &mut Connection) -> Result<Self, StoreError> {
        if table.keyed() {
            return Ok(Self::Keys { after: None, rows: Pace::new(FIRST_KEYS) });
        }
        let (from, until) = table.range(connection).await?.unwrap_or_default();
        Ok(Self::Range(Span::new(from, until, table.first_width())))
    }

    async fn next(&self, table: &Table, connection: &mut Connection) -> Result<Option<Stretch>, StoreError> {
        match self {
            Self::Range(span) => Ok(span.stretch().map(|(from, to)| Stretch::new(table.within(from, to)))),
            Self::Crowd { span, behind, rows } => Ok(span.stretch().map(|(from, to)| {
                let within = table.within(from, to);
                let within = behind.iter().fold(within, |within, behind| format!("{within} AND {behind}"));
                Stretch { most: rows.width(), in_order: true, ..Stretch::new(within) }
            })),
            Self::Keys { after, rows } => {
                let to = table.key_after(connection, after.as_deref(), rows.width()).await?;
                let within = |to: &Vec<String>| table.within_keys(after.as_deref(), to);
                Ok(to.map(|to| Stretch { to: Some(to.clone()), ..Stretch::new(within(&to)) }))
            }
        }
    }

    /// `next`: the condition on what is left of it.
    fn passed(&mut self, stretch: Stretch, next: Option<String>, took: Duration) {
        match self {
            Self::Range(span) => span.passed(took),
            Self::Crowd { behind, rows, .. } if next.is_some() => {
                *behind = next;
                rows.passed(took);
                rows.at_most(MOST);
            }
            Self::Crowd { span, .. } => {
                let mut span = span.clone();
                span.passed(took);
                *self = Self::Range(span);
            }
            Self::Keys { after, rows } => {
                *after = stretch.to;
                rows.passed(took);
            }
        }
    }

    /// `false`: it cannot be shorter.
    fn shorten(&mut self) -> bool {
        match self {
            Self::Range(span) => {
                if !span.shorten() {
                    *self = Self::Crowd { span: span.clone(), behind: None, rows: Pace::new(MOST / 4) };
                }
                true
            }
            Self::Crowd { rows, .. } | Self::Keys { rows, .. } => rows.shorten(),
        }
    }
}

/// What came of a stretch.
enum Passed {
    /// There is none.
    End,
    Some(Stretch, Rewritten),
}

impl Walk {
    pub fn new(erasure: Erasure, lineage: &Lineage, journal: Reader, patience: Patience) -> Self {
        let after = After::new(&erasure, lineage, journal);
        Self { erasure, after, patience, tables: None, way: None, rows: 0 }
    }

    /// One bounded step. On an error nothing of the step is done.
    pub async fn step(&mut self, connection: &mut Connection) -> Result<Step, StoreError> {
        let outcome = self.try_step(connection).await;
        self.patience.after(&outcome);
        outcome
    }

    async fn try_step(&mut self, connection: &mut Connection) -> Result<Step, StoreError> {
        let (patience, after) = (self.patience, &self.after);
        let Some(tables) = &mut self.tables else {
            let erasure = &mut self.erasure;
            let tables = transacted(connection, patience, async |it| {
                trace(it, &after.node, &after.journal, erasure, &after.newer()).await?;
                tables::list(it).await
            });
            self.tables = Some(tables.await?.into());
            return Ok(Step::More);
        };
        let Some(table) = tables.front().cloned() else {
            let erasure = &self.erasure;
            let removed =
                transacted(connection, patience, async |it| remove(it, &after.journal, erasure).await);
            self.rows += removed.await?;
            return Ok(Step::Done);
        };
        let way = match &mut self.way {
            Some(way) => way,
            none => {
                none.insert(transacted(connection, patience, async |it| Way::begin(&table, it).await).await?)
            }
        };
        let (erasure, eraser) = (&self.erasure, &Eraser::new(&self.erasure));
        let whom = Whom { erasure, eraser, after };
        let began = Instant::now();
        let passed = transacted(connection, patience, async |it| {
            let Some(stretch) = way.next(&table, it).await? else { return Ok(Passed::End) };
            let most = usize::try_from(stretch.most).unwrap_or(1);
            let part = Part { within: &stretch.within, most, in_order: stretch.in_order };
            let rewritten = table.erase(it, &whom, &part).await?;
            Ok(Passed::Some(stretch, rewritten))
        });
        match passed.await {
            Ok(Passed::End) => {
                self.way = None;
                tables.pop_front();
            }
            Ok(Passed::Some(stretch, Rewritten::All(rows))) => {
                way.passed(stretch, None, began.elapsed());
                self.rows += rows;
            }
            Ok(Passed::Some(stretch, Rewritten::First(rows, behind))) => {
                way.passed(stretch, Some(behind), began.elapsed());
                self.rows += rows;
            }
            // A key alone has one row, and a crowd is taken in parts: there is always less than this.
            Ok(Passed::Some(_, Rewritten::Crowded)) => {
                way.shorten();
            }
            Err(error) if error.is_too_much_at_once() && way.shorten() => {}
            Err(error) => return Err(error),
        }
        Ok(Step::More)
    }
}
