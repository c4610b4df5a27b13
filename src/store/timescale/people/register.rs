//! Whether the register in the database is one to judge by.
//!
//! It may be another node's mirror, one that this journal never took up, or one that was put back and is not adopted
//! yet. What it does not say then means nothing.

use super::span;
use crate::config::RegisterOwner;
use crate::domain::register::Reached;
use crate::domain::state::StateKind;
use crate::journal::Reader;
use crate::store::timescale::batch::Lineage;
use crate::store::timescale::connection::{Connection, column};
use crate::store::timescale::error::StoreError;

pub struct Register {
    /// To whom it belongs, as the configuration says.
    pub owner: RegisterOwner,
    pub journal: Reader,
}

impl Register {
    /// The condition that it mirrors our journal, or is the one that our journal follows.
    pub async fn is_ours(&self, lineage: &Lineage) -> Result<String, StoreError> {
        let ours = match self.owner {
            RegisterOwner::Journal => format!(
                "o.owner = 'journal' AND o.node = {} AND o.epoch = '{}'::uuid",
                span::quoted(&lineage.node),
                lineage.epoch
            ),
            RegisterOwner::Database => match self.journal.state(StateKind::Followed, "seen").await? {
                Some(seen) => {
                    let seen: Reached = serde_json::from_slice(&seen).map_err(StoreError::Current)?;
                    format!("o.owner = 'database' AND o.id::text = {}", span::quoted(&seen.register))
                }
                None => "false".to_owned(),
            },
        };
        Ok(format!("EXISTS (SELECT FROM tallyman.register_owner o WHERE {ours})"))
    }
}

/// Whether a condition holds that speaks of no row.
pub async fn holds(connection: &mut Connection, condition: &str) -> Result<bool, StoreError> {
    const OPERATION: &str = "ask whose the register is";
    let sql = format!("SELECT {condition} AS holds");
    let row = connection.row(OPERATION, sqlx::query(sqlx::AssertSqlSafe(sql)).persistent(false)).await?;
    row.map_or(Ok(false), |row| column(&row, OPERATION, "holds"))
}
