//! Whoever has the number after a person who is erased: what is theirs stays.
//!
//! An event is theirs where it is newer than the erasure was when it was asked for: one of our journal by its number, as
//! the journal itself has it, and any other by when its own journal recorded it. A row of the current state, or of the
//! register, has come together from older and newer events; but our journal no longer names who was erased. So whoever
//! is named in the journal's own row of the same came after them, and what calls that person so stays; and so does who
//! was given a thing by another node since, and an alert of its own that began since.

use serde_json::{Map, Value, json};

use super::span;
use super::tables::Table;
use crate::domain::erasure::{Eraser, Erasure, Stage};
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::journal::Reader;
use crate::store::timescale::batch::Lineage;
use crate::store::timescale::error::StoreError;

pub struct After {
    pub journal: Reader,
    pub node: String,
    /// The condition on a row of table `t` that it is of our journal.
    ours: String,
    /// The newest number of ours when it was asked for.
    newest: i64,
    asked_at: Timestamp,
}

impl After {
    pub fn new(erasure: &Erasure, lineage: &Lineage, journal: Reader) -> Self {
        let newest = match erasure.stage {
            Stage::Database { seq, until } => i64::try_from(until.unwrap_or(seq)).unwrap_or(i64::MAX),
            _ => i64::MAX,
        };
        let node = lineage.node.clone();
        let ours = format!("t.node = {} AND t.epoch = '{}'::uuid", span::quoted(&node), lineage.epoch);
        Self { journal, node, ours, newest, asked_at: erasure.asked_at }
    }

    /// The condition on an event of table `t` that it is newer than the erasure.
    pub fn newer(&self) -> String {
        let Self { ours, newest, asked_at, .. } = self;
        format!("(CASE WHEN {ours} THEN t.seq > {newest} ELSE t.recorded_at > timestamptz '{asked_at}' END)")
    }

    /// The same of a table that does not say when an event was recorded: of other journals, none counts as newer.
    pub fn newer_by_number(&self) -> String {
        format!("({} AND t.seq > {})", self.ours, self.newest)
    }

    /// What is to be erased of a row, where somebody else is called some of it by now; `None`: all.
    pub async fn rest(
        &self,
        table: &Table,
        row: &Map<String, Value>,
        erasure: &Erasure,
    ) -> Result<Option<Erasure>, StoreError> {
        let said = match self.in_journal(table, row) {
            Some((kind, key)) => self.journal.state(kind, &key).await?,
            None => None,
        };
        let said = said.map(|said| serde_json::from_slice(&said)).transpose().map_err(StoreError::Current)?;
        let said: Vec<Value> = said.into_iter().chain(self.said_elsewhere(table, row)).collect();
        Ok(without_what_is_said(Value::Array(said), erasure))
    }

    /// What another node wrote into the current state since it was asked for: our journal may not know of it.
    fn said_elsewhere(&self, table: &Table, row: &Map<String, Value>) -> Option<Value> {
        let text = |column: &str| row.get(column).and_then(Value::as_str);
        let came_since =
            |column| text(column).and_then(Timestamp::parse).is_some_and(|at| at > self.asked_at);
        match table.name.as_str() {
            _ if text("node") == Some(&self.node) => None,
            r#"tallyman."asset_current""# if came_since("custody_at") => {
                Some(json!({ "holder": text("holder") }))
            }
            r#"tallyman."alert_current""# if came_since("pending_since") => Some(Value::Object(row.clone())),
            _ => None,
        }
    }

    /// The journal's row of the same; an event has none.
    fn in_journal(&self, table: &Table, row: &Map<String, Value>) -> Option<(StateKind, String)> {
        let text = |column: &str| row.get(column).and_then(Value::as_str);
        match (table.name.as_str(), table.record, table.key.as_slice()) {
            (r#"tallyman."asset_current""#, ..) => Some((StateKind::Asset, text("asset")?.to_owned())),
            (r#"tallyman."alert_current""#, ..) if text("node")? == self.node => {
                Some((StateKind::Alert, format!("{}/{}", text("rule")?, text("about")?)))
            }
            (_, Some(record), [(key, _)]) => Some((StateKind::Register, format!("{record}/{}", text(key)?))),
            _ => None,
        }
    }
}

/// An erasure of what `now` does not say; `None` where it says none of it.
fn without_what_is_said(mut now: Value, erasure: &Erasure) -> Option<Erasure> {
    let mut rest = erasure.clone();
    // The longest first, as they are replaced: a name is said, and no part of it.
    rest.texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
    let mut is_said = |texts: &[String], badges: &[_]| {
        let (texts, badges) = (texts.to_vec(), badges.to_vec());
        Eraser::new(&Erasure { texts, badges, ..erasure.clone() }).json(&mut now)
    };
    rest.texts.retain(|text| !is_said(std::slice::from_ref(text), &[]));
    rest.badges.retain(|epc| !is_said(&[], std::slice::from_ref(epc)));
    if rest.texts.len() == erasure.texts.len() && rest.badges.len() == erasure.badges.len() {
        return None;
    }
    if !rest.texts.contains(&rest.person) {
        rest.person.clear();
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_is_called_by_now_is_not_erased_and_the_rest_is() {
        let texts = ["P-7", "Ada", "Ada King"].map(str::to_owned).to_vec();
        let at = Timestamp::from_secs(1);
        let erasure = Erasure::new("erased-1".to_owned(), "P-7".to_owned(), texts, Vec::new(), at);
        assert_eq!(without_what_is_said(json!({ "checkout": { "holder": "Bo" } }), &erasure), None);
        let number = without_what_is_said(json!({ "checkout": { "holder": "P-7" } }), &erasure).unwrap();
        assert_eq!(
            (number.person.as_str(), number.texts),
            ("", vec!["Ada King".to_owned(), "Ada".to_owned()])
        );
        let name = without_what_is_said(json!({ "checkout": { "holder": "Ada King" } }), &erasure).unwrap();
        assert_eq!((name.person.as_str(), name.texts), ("P-7", vec!["P-7".to_owned(), "Ada".to_owned()]));
    }
}
