//! What the database knows of a person beside what the journal says: earlier names and badges; and, in the end, the
//! register's own rows of them.

use crate::domain::epc::Epc;
use crate::domain::erasure::Erasure;
use crate::domain::state::StateKind;
use crate::journal::Reader;
use crate::store::timescale::connection::{Connection, column};
use crate::store::timescale::error::StoreError;

/// Adds what they were called and carried before the journal began to remember: the database may reach further back.
/// That is looked for once, while nothing is rewritten yet, and noted there for a walk that is begun again: what tells
/// of them is gone by then. `newer`: the condition on an event of table `t` that it is of whoever has the number by now.
pub async fn trace(
    connection: &mut Connection,
    node: &str,
    journal: &Reader,
    erasure: &mut Erasure,
    newer: &str,
) -> Result<(), StoreError> {
    const NOTED: &str = "read whom to erase";
    let noted = sqlx::query("UPDATE tallyman.erasure SET node = $2 WHERE label = $1 RETURNING texts, badges");
    let noted = noted.bind(erasure.label.clone()).bind(node.to_owned());
    if let Some(row) = connection.row(NOTED, noted).await? {
        erasure.texts = column(&row, NOTED, "texts")?;
        erasure.badges = codes(column(&row, NOTED, "badges")?);
        return Ok(());
    }
    look(connection, journal, erasure, newer).await?;
    let note =
        sqlx::query("INSERT INTO tallyman.erasure (label, texts, badges, node) VALUES ($1, $2, $3, $4)");
    let badges: Vec<String> = erasure.badges.iter().map(Epc::to_string).collect();
    let note = note.bind(erasure.label.clone()).bind(erasure.texts.clone()).bind(badges);
    connection.run("note whom to erase", note.bind(node.to_owned())).await.map(drop)
}

/// Removes what was noted for erasures that no journal knows of any more: nobody would go on with them, and what is
/// noted there names people.
pub async fn forget_forsaken(
    connection: &mut Connection,
    node: &str,
    journal: &Reader,
) -> Result<u64, StoreError> {
    let known = journal.all_states(StateKind::Erasure).await?.into_iter().map(|(label, _)| label);
    let known: Vec<String> = known.collect();
    // Of an earlier version's it is not known whose it is: it is ours where there is nobody else.
    let forsaken = sqlx::query(
        "DELETE FROM tallyman.erasure WHERE label <> ALL ($1) AND (node = $2 OR node IS NULL
           AND NOT EXISTS (SELECT FROM tallyman.forward_watermark w WHERE w.node <> $2))",
    );
    let forsaken = forsaken.bind(known).bind(node.to_owned());
    connection.run("forget erasures that nobody knows of", forsaken).await
}

async fn look(
    connection: &mut Connection,
    journal: &Reader,
    erasure: &mut Erasure,
    newer: &str,
) -> Result<(), StoreError> {
    const OPERATION: &str = "look for earlier names and badges";
    let subject = format!("person:{}", erasure.person);
    let names = format!(
        "SELECT DISTINCT name FROM tallyman.command_log t,
           LATERAL (VALUES (t.body #>> '{{before,name}}'), (t.body #>> '{{after,name}}')) n(name)
         WHERE t.subject = $1 AND t.kind = 'register' AND name IS NOT NULL AND {newer} IS NOT TRUE"
    );
    let names = sqlx::query(sqlx::AssertSqlSafe(names)).persistent(false);
    for row in connection.rows(OPERATION, names.bind(subject.clone())).await? {
        erasure.texts.push(column(&row, OPERATION, "name")?);
    }
    erasure.texts.sort_unstable();
    erasure.texts.dedup();
    let known = erasure.badges.iter().map(Epc::to_string);
    let left = of_nobody_else(connection, journal, &erasure.person).await?;
    let known: Vec<String> = known.chain(left.into_iter().map(|badge| badge.epc)).collect();
    // A tag that somebody or something else had too by then is not theirs alone: by the register as it stands and by
    // its changes, which are events of the tag, each found by its key.
    let badges = format!(
        "SELECT c.epc FROM (
             SELECT epc FROM tallyman.location_event t
               WHERE subject = $1 AND epc IS NOT NULL AND {newer} IS NOT TRUE
             UNION SELECT unnest($3::text[])) c(epc)
         WHERE NOT EXISTS (SELECT FROM tallyman.tag o WHERE o.epc = c.epc AND o.person IS DISTINCT FROM $2
             AND NOT EXISTS (SELECT FROM tallyman.command_log t
               WHERE t.subject = 'tag:' || tallyman.record_key(tallyman.as_record(o))
                 AND t.kind = 'register' AND {newer}))
           AND NOT EXISTS (SELECT FROM tallyman.command_log t
             CROSS JOIN LATERAL (VALUES (t.body -> 'before'), (t.body -> 'after')) r(record)
             WHERE (t.subject = 'tag:' || c.epc
                 OR (t.subject > 'tag:' || c.epc || '@' AND t.subject < 'tag:' || c.epc || '@z'
                   AND starts_with(t.subject, 'tag:' || c.epc || '@')))
               AND t.kind = 'register' AND jsonb_typeof(r.record) = 'object'
               AND r.record ->> 'person' IS DISTINCT FROM $2 AND {newer} IS NOT TRUE)"
    );
    let badges = sqlx::query(sqlx::AssertSqlSafe(badges)).persistent(false);
    let badges = badges.bind(subject).bind(erasure.person.clone()).bind(known);
    let badges = connection.rows(OPERATION, badges).await?;
    let badges = badges.iter().map(|row| column::<String>(row, OPERATION, "epc"));
    let badges = badges.collect::<Result<Vec<String>, _>>()?;
    erasure.badges = codes(badges);
    erasure.badges.sort_unstable();
    erasure.badges.dedup();
    Ok(())
}

fn codes(hex: Vec<String>) -> Vec<Epc> {
    hex.iter().filter_map(|epc| Epc::from_hex(epc)).collect()
}

/// Their record and badges, where the register is here, and what was noted of them: nothing else names them any more.
pub async fn remove(
    connection: &mut Connection,
    journal: &Reader,
    erasure: &Erasure,
) -> Result<u64, StoreError> {
    const OPERATION: &str = "remove a person";
    let person = erasure.person.as_str();
    let noted = sqlx::query("DELETE FROM tallyman.erasure WHERE label = $1").bind(erasure.label.clone());
    connection.run(OPERATION, noted).await?;
    let left = of_nobody_else(connection, journal, person).await?;
    let keys: Vec<String> = left.into_iter().map(|badge| badge.key).collect();
    let badges = sqlx::query(
        "DELETE FROM tallyman.tag t WHERE person = $1
           AND tallyman.record_key(tallyman.as_record(t)) = ANY ($2::text[])",
    );
    let mut rows = connection.run(OPERATION, badges.bind(person.to_owned()).bind(keys)).await?;
    if journal.state(StateKind::Register, &format!("person/{person}")).await?.is_none() {
        let record = sqlx::query("DELETE FROM tallyman.person WHERE id = $1").bind(person.to_owned());
        rows += connection.run(OPERATION, record).await?;
    }
    Ok(rows)
}

struct Badge {
    key: String,
    epc: String,
}

/// Badges of the number, but for those that the journal's register has by now: they are of somebody who came after.
async fn of_nobody_else(
    connection: &mut Connection,
    journal: &Reader,
    person: &str,
) -> Result<Vec<Badge>, StoreError> {
    const OPERATION: &str = "look for a person's badges";
    let query = sqlx::query(
        "SELECT epc, tallyman.record_key(tallyman.as_record(t)) AS key FROM tallyman.tag t WHERE person = $1",
    );
    let mut left = Vec::new();
    for row in connection.rows(OPERATION, query.bind(person.to_owned())).await? {
        let badge = Badge { key: column(&row, OPERATION, "key")?, epc: column(&row, OPERATION, "epc")? };
        if journal.state(StateKind::Register, &format!("tag/{}", badge.key)).await?.is_none() {
            left.push(badge);
        }
    }
    Ok(left)
}
