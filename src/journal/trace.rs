//! What the journal knows of a person beside the register as it stands: earlier names and badges.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::error::JournalError;
use super::reader::Reader;
use crate::domain::commands::Command;
use crate::domain::epc::Epc;
use crate::domain::erasure::Erase;

/// Where a command erases somebody, it with everything that the journal's events say they were called or carried, and
/// with a label that nobody could guess or lead back.
pub async fn whole_erasure(reader: &Reader, command: Command) -> Result<Command, JournalError> {
    let Command::ErasePerson(mut erase) = command else { return Ok(command) };
    erase.label = format!("erased-{:016x}", rand::random::<u64>());
    reader.trace(&mut erase).await?;
    Ok(Command::ErasePerson(erase))
}

impl Reader {
    /// Adds the names and badges of a person that events tell of.
    async fn trace(&self, erase: &mut Erase) -> Result<(), JournalError> {
        let person = erase.person.as_str().to_owned();
        let sql = "SELECT DISTINCT json_extract(body, '$.before.name'), json_extract(body, '$.after.name'), \
                     json_extract(body, '$.epc') FROM event WHERE class < 5 AND subject = 'person:' || ?1 \
                   UNION SELECT NULL, NULL, coalesce(json_extract(body, '$.after.epc'), json_extract(body, '$.before.epc')) \
                     FROM event WHERE class < 5 AND kind = 'register' AND json_extract(body, '$.table') = 'tag' \
                     AND ?1 IN (json_extract(body, '$.before.person'), json_extract(body, '$.after.person'))";
        let rows = sqlx::query(sql).bind(&person).fetch_all(self.pool()).await;
        let rows: Vec<SqliteRow> = rows.map_err(|source| self.failed(source))?;
        for row in rows {
            let text = |at: usize| row.try_get::<Option<String>, _>(at).map_err(|source| self.failed(source));
            let (before, after) = (text(0)?, text(1)?);
            let epc: Option<String> = text(2)?;
            // That there is an event of theirs at all says that they were here.
            erase.also.push(person.clone());
            erase.also.extend(before.into_iter().chain(after));
            erase.badges.extend(epc.and_then(|epc| Epc::from_hex(&epc)));
        }
        erase.also.sort_unstable();
        erase.also.dedup();
        erase.badges.sort_unstable();
        erase.badges.dedup();
        Ok(())
    }
}
