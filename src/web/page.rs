//! Pages of lists: the same envelope, the same parameters everywhere.
//!
//! A cursor names the row a page ended at, so what is added or goes meanwhile moves nothing. Pages in the
//! middle are never empty, however little a filter lets through, and a look through the rows is bounded:
//! once something was found, it goes no further than [`LOOK_ROWS`]; until then, it goes to the end of the
//! list, and no more than [`super::Api::scans`] of these long looks run at a time.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use super::Api;
use super::problem::Problem;
use crate::journal::StateRows;

/// Rows in one answer, at most and by default.
const MAX_PAGE: usize = 1000;
const DEFAULT_PAGE: usize = 100;
/// Rows read by one statement.
const WINDOW: usize = 1000;
/// Rows looked through once something was found; also the bound beyond which a look is a long one.
const LOOK_ROWS: usize = 20_000;

#[derive(Serialize, JsonSchema)]
pub(super) struct Page<T> {
    pub items: Vec<T>,
    /// Give it as `cursor` to read on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}

/// Where a page ended. Opaque to clients: they give back what they were given.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Cursor(pub String);

impl Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let key = hex::decode(&text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        key.map(Self).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a cursor of ours")))
    }
}

impl JsonSchema for Cursor {
    fn schema_name() -> Cow<'static, str> {
        "Cursor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^([0-9a-f]{2})*$",
            "description": "`next` of the page before; opaque.",
        })
    }
}

/// How many items an answer has; never more than [`MAX_PAGE`].
#[derive(Clone, Copy, Deserialize)]
pub(super) struct Limit(u32);

impl Limit {
    /// Where an item costs more than a look at its row.
    pub fn at_most(given: Option<Self>, most: u32) -> Self {
        Self(given.map_or(most, |limit| limit.0.min(most)))
    }

    pub fn of(given: Option<Self>) -> usize {
        given.map_or(DEFAULT_PAGE, |limit| limit.0 as usize).clamp(1, MAX_PAGE)
    }
}

impl JsonSchema for Limit {
    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "integer",
            "minimum": 0,
            "maximum": u32::MAX,
            "default": DEFAULT_PAGE,
            "description": format!("At most so many items; more than {MAX_PAGE} are not given at once."),
        })
    }
}

impl<T> Page<T> {
    /// A page of what was read in one go; `read` may hold one more than `limit`, which says that there is more.
    pub fn cut(mut read: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Self {
        let more = read.len() > limit;
        read.truncate(limit);
        let next = read.last().filter(|_| more).map(|last| Cursor(cursor(last)));
        Self { items: read, next }
    }
}

/// Looks through rows of state in the order of their keys, from the cursor on, for those that `view` keeps.
pub(super) async fn look<T>(
    api: &Api,
    rows: StateRows<'_>,
    cursor: Option<Cursor>,
    limit: Option<Limit>,
    mut view: impl FnMut(&str, &[u8], Option<&[u8]>) -> Result<Option<T>, Problem> + Send,
) -> Result<Page<T>, Problem> {
    let limit = Limit::of(limit);
    let mut page = Page { items: Vec::new(), next: None };
    let mut after = cursor.map(|cursor| cursor.0);
    let mut looked = 0;
    let mut turn = None;
    loop {
        let window = api.reader.state_rows(rows, after.as_deref(), WINDOW).await?;
        let end = window.len() < WINDOW;
        for row in window {
            let item = view(&row.key, &row.value, row.record.as_deref())?;
            if item.is_some() && page.items.len() == limit {
                page.next = after.map(Cursor);
                return Ok(page);
            }
            page.items.extend(item);
            after = Some(row.key);
        }
        looked += WINDOW;
        if end {
            return Ok(page);
        }
        if looked >= LOOK_ROWS && !page.items.is_empty() {
            page.next = after.map(Cursor);
            return Ok(page);
        }
        if looked >= LOOK_ROWS && turn.is_none() {
            turn = Some(api.scans.acquire().await.map_err(|_| Problem::Stopping)?);
        }
    }
}
