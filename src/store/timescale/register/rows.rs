//! Records ↔ rows of the register's tables: one statement a table for many records at once.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::domain::register::{Record, split_key};
use crate::domain::time::Timestamp;
use crate::store::timescale::connection::Connection;
use crate::store::timescale::encode::without_nul;
use crate::store::timescale::error::StoreError;

/// Records in one statement.
pub const PAGE: usize = 5000;

/// What is to be written, by the place of the table in [`Record::TABLES`].
#[derive(Debug, Default)]
pub struct Writes {
    puts: BTreeMap<usize, Vec<Value>>,
    removals: BTreeMap<usize, Vec<RowKey>>,
    len: usize,
}

/// The key of a row: attachments have their beginning in a column of its own.
#[derive(Debug, Serialize)]
struct RowKey {
    key: String,
    from: Option<Timestamp>,
}

impl Writes {
    pub fn put(&mut self, table: &str, record: Value) {
        if let Some(place) = place(table) {
            self.puts.entry(place).or_default().push(record);
            self.len += 1;
        }
    }

    pub fn remove(&mut self, table: &str, key: &str) {
        let Some(place) = place(table) else { return };
        let (key, from) = if is_attachment(table) { split_key(key) } else { (key, None) };
        self.removals.entry(place).or_default().push(RowKey { key: key.to_owned(), from });
        self.len += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Each write by itself.
    pub fn apart(&self) -> Vec<Self> {
        let puts = self.puts.iter().flat_map(|(place, records)| {
            records.iter().map(|record| Self {
                puts: BTreeMap::from([(*place, vec![record.clone()])]),
                len: 1,
                ..Self::default()
            })
        });
        let removals = self.removals.iter().flat_map(|(place, keys)| {
            keys.iter().map(|key| {
                let key = RowKey { key: key.key.clone(), from: key.from };
                Self { removals: BTreeMap::from([(*place, vec![key])]), len: 1, ..Self::default() }
            })
        });
        puts.chain(removals).collect()
    }
}

/// Whether rows of this table hang something on something.
pub fn is_attachment(table: &str) -> bool {
    matches!(table, "tag" | "tracker" | "sensor")
}

fn place(table: &str) -> Option<usize> {
    Record::TABLES.iter().position(|known| *known == table)
}

/// Writes within the transaction that is open. `declared_by`: the node whose configuration file says so.
pub async fn write(
    connection: &mut Connection,
    writes: &Writes,
    declared_by: Option<&str>,
) -> Result<(), StoreError> {
    for (place, keys) in writes.removals.iter().rev() {
        let query = sqlx::query(REMOVE[*place]).bind(json(keys)?);
        connection.run("remove register rows", query).await?;
    }
    for (place, records) in &writes.puts {
        let query = sqlx::query(PUT[*place]).bind(json(records)?).bind(declared_by.map(str::to_owned));
        connection.run("write register rows", query).await?;
    }
    Ok(())
}

fn json(rows: &impl Serialize) -> Result<String, StoreError> {
    let json = serde_json::to_string(rows).map_err(StoreError::Current)?;
    Ok(without_nul(&json).into_owned())
}

/// In the order of [`Record::TABLES`]. Each takes the records as a JSON array ($1) and who declares them ($2).
/// What a configuration file declares and what people wrote do not overwrite each other, except that in
/// a mirror the file wins, as it does in the journal.
const PUT: [&str; 9] = [
    "INSERT INTO tallyman.site AS t (name, timezone, working_hours, holidays, declared_by)
     SELECT name, timezone, calendar ->> 'working_hours',
       ARRAY(SELECT day::date FROM jsonb_array_elements_text(calendar -> 'holidays') AS day), $2
     FROM jsonb_to_recordset($1::jsonb) AS r(name text, timezone text, calendar jsonb)
     ON CONFLICT (name) DO UPDATE SET timezone = excluded.timezone, working_hours = excluded.working_hours,
       holidays = excluded.holidays, declared_by = excluded.declared_by
     WHERE (t.declared_by IS NULL) = (excluded.declared_by IS NULL)
       OR (t.declared_by IS NULL AND (SELECT owner FROM tallyman.register_owner) = 'journal')",
    "INSERT INTO tallyman.zone AS t (name, site, coverage, declared_by)
     SELECT name, site, coalesce(coverage, 'none'), $2
     FROM jsonb_to_recordset($1::jsonb) AS r(name text, site text, coverage text)
     ON CONFLICT (name) DO UPDATE SET site = excluded.site, coverage = excluded.coverage,
       declared_by = excluded.declared_by
     WHERE (t.declared_by IS NULL) = (excluded.declared_by IS NULL)
       OR (t.declared_by IS NULL AND (SELECT owner FROM tallyman.register_owner) = 'journal')",
    "INSERT INTO tallyman.asset_class AS t (name, criticality, ghost_after, ghost_after_in_maintenance, overdue_grace,
       tracker_silent_after, low_battery_percent, idle_after, utilisation, utilisation_point, inspect_every,
       inspect_on_return, returns, handover, needs_checkout, vehicle, allowed_zones, needs, audit_every, limits,
       declared_by)
     SELECT name, coalesce(criticality, 'normal'), make_interval(secs => ghost_after),
       make_interval(secs => ghost_after_in_maintenance), make_interval(secs => overdue_grace),
       make_interval(secs => tracker_silent_after), low_battery_percent, make_interval(secs => idle_after),
       CASE jsonb_typeof(utilisation) WHEN 'object' THEN 'sensor' ELSE coalesce(utilisation #>> '{}', 'movement') END,
       CASE jsonb_typeof(utilisation) WHEN 'object' THEN utilisation ->> 'sensor' END,
       make_interval(secs => inspect_every), coalesce(inspect_on_return, false), coalesce(returns, 'sensed'),
       coalesce(handover, 'propose'), coalesce(needs_checkout, false), coalesce(vehicle, false),
       coalesce(allowed_zones, '{}'), coalesce(needs, '{}'), make_interval(secs => audit_every), coalesce(limits, '[]'), $2
     FROM jsonb_to_recordset($1::jsonb) AS r(name text, criticality text, ghost_after double precision,
       ghost_after_in_maintenance double precision, overdue_grace double precision,
       tracker_silent_after double precision, low_battery_percent double precision, idle_after double precision,
       utilisation jsonb, inspect_every double precision, inspect_on_return boolean, returns text, handover text,
       needs_checkout boolean, vehicle boolean, allowed_zones text[], needs text[], audit_every double precision,
       limits jsonb)
     ON CONFLICT (name) DO UPDATE SET criticality = excluded.criticality, ghost_after = excluded.ghost_after,
       ghost_after_in_maintenance = excluded.ghost_after_in_maintenance, overdue_grace = excluded.overdue_grace,
       tracker_silent_after = excluded.tracker_silent_after, low_battery_percent = excluded.low_battery_percent,
       idle_after = excluded.idle_after, utilisation = excluded.utilisation,
       utilisation_point = excluded.utilisation_point, inspect_every = excluded.inspect_every,
       inspect_on_return = excluded.inspect_on_return, returns = excluded.returns, handover = excluded.handover,
       needs_checkout = excluded.needs_checkout, vehicle = excluded.vehicle, allowed_zones = excluded.allowed_zones, needs = excluded.needs,
       audit_every = excluded.audit_every, limits = excluded.limits, declared_by = excluded.declared_by
     WHERE (t.declared_by IS NULL) = (excluded.declared_by IS NULL)
       OR (t.declared_by IS NULL AND (SELECT owner FROM tallyman.register_owner) = 'journal')",
    "INSERT INTO tallyman.person (id, name, team, site)
     SELECT id, name, team, site FROM jsonb_to_recordset($1::jsonb) AS r(id text, name text, team text, site text)
     WHERE $2::text IS NULL
     ON CONFLICT (id) DO UPDATE SET name = excluded.name, team = excluded.team, site = excluded.site",
    "INSERT INTO tallyman.asset (id, class, name, home_zone, lifecycle, part_of, number, owner, cost_centre,
       acquired_on, warranty_until, retired_on, limits, attributes)
     SELECT id, class, name, home_zone,
       coalesce(lifecycle, CASE WHEN retired THEN 'retired' ELSE 'in-service' END), part_of, number, owner,
       cost_centre, acquired_on, warranty_until, retired_on, coalesce(limits, '[]'), coalesce(attributes, '{}')
     FROM jsonb_to_recordset($1::jsonb) AS r(id text, class text, name text, home_zone text, lifecycle text,
       retired boolean, part_of text, number text, owner text, cost_centre text, acquired_on date,
       warranty_until date, retired_on date, limits jsonb, attributes jsonb)
     WHERE $2::text IS NULL
     ON CONFLICT (id) DO UPDATE SET class = excluded.class, name = excluded.name, home_zone = excluded.home_zone,
       lifecycle = excluded.lifecycle, part_of = excluded.part_of, number = excluded.number,
       owner = excluded.owner, cost_centre = excluded.cost_centre, acquired_on = excluded.acquired_on,
       warranty_until = excluded.warranty_until, retired_on = excluded.retired_on,
       limits = excluded.limits, attributes = excluded.attributes",
    "INSERT INTO tallyman.tag (epc, asset, person, valid_from, valid_to)
     SELECT epc, asset, person, coalesce(\"from\", '-infinity'), coalesce(\"to\", 'infinity')
     FROM jsonb_to_recordset($1::jsonb)
       AS r(epc text, asset text, person text, \"from\" timestamptz, \"to\" timestamptz)
     WHERE $2::text IS NULL
     ON CONFLICT (epc, valid_from) DO UPDATE SET asset = excluded.asset, person = excluded.person,
       valid_to = excluded.valid_to",
    "INSERT INTO tallyman.tracker (device, asset, valid_from, valid_to)
     SELECT device, asset, coalesce(\"from\", '-infinity'), coalesce(\"to\", 'infinity')
     FROM jsonb_to_recordset($1::jsonb) AS r(device text, asset text, \"from\" timestamptz, \"to\" timestamptz)
     WHERE $2::text IS NULL
     ON CONFLICT (device, valid_from) DO UPDATE SET asset = excluded.asset, valid_to = excluded.valid_to",
    "INSERT INTO tallyman.sensor (device, asset, zone, valid_from, valid_to)
     SELECT device, asset, zone, coalesce(\"from\", '-infinity'), coalesce(\"to\", 'infinity')
     FROM jsonb_to_recordset($1::jsonb)
       AS r(device text, asset text, zone text, \"from\" timestamptz, \"to\" timestamptz)
     WHERE $2::text IS NULL
     ON CONFLICT (device, valid_from) DO UPDATE SET asset = excluded.asset, zone = excluded.zone,
       valid_to = excluded.valid_to",
    "INSERT INTO tallyman.maintenance (name, of_kind, of_name, starts_at, ends_at, reason)
     SELECT r.name, o.key, o.value, r.\"from\", r.\"to\", r.reason
     FROM jsonb_to_recordset($1::jsonb)
       AS r(name text, of jsonb, \"from\" timestamptz, \"to\" timestamptz, reason text),
       jsonb_each_text(r.of) AS o
     WHERE $2::text IS NULL
     ON CONFLICT (name) DO UPDATE SET of_kind = excluded.of_kind, of_name = excluded.of_name,
       starts_at = excluded.starts_at, ends_at = excluded.ends_at, reason = excluded.reason",
];

/// In the order of [`Record::TABLES`]. Each takes the keys as a JSON array ($1).
const REMOVE: [&str; 9] = [
    "DELETE FROM tallyman.site t USING jsonb_to_recordset($1::jsonb) AS k(key text)
     WHERE t.name = k.key AND t.declared_by IS NULL",
    "DELETE FROM tallyman.zone t USING jsonb_to_recordset($1::jsonb) AS k(key text)
     WHERE t.name = k.key AND t.declared_by IS NULL",
    "DELETE FROM tallyman.asset_class t USING jsonb_to_recordset($1::jsonb) AS k(key text)
     WHERE t.name = k.key AND t.declared_by IS NULL",
    "DELETE FROM tallyman.person t USING jsonb_to_recordset($1::jsonb) AS k(key text) WHERE t.id = k.key",
    "DELETE FROM tallyman.asset t USING jsonb_to_recordset($1::jsonb) AS k(key text) WHERE t.id = k.key",
    "DELETE FROM tallyman.tag t USING jsonb_to_recordset($1::jsonb) AS k(key text, \"from\" timestamptz)
     WHERE t.epc = k.key AND t.valid_from = coalesce(k.\"from\", '-infinity')",
    "DELETE FROM tallyman.tracker t USING jsonb_to_recordset($1::jsonb) AS k(key text, \"from\" timestamptz)
     WHERE t.device = k.key AND t.valid_from = coalesce(k.\"from\", '-infinity')",
    "DELETE FROM tallyman.sensor t USING jsonb_to_recordset($1::jsonb) AS k(key text, \"from\" timestamptz)
     WHERE t.device = k.key AND t.valid_from = coalesce(k.\"from\", '-infinity')",
    "DELETE FROM tallyman.maintenance t USING jsonb_to_recordset($1::jsonb) AS k(key text) WHERE t.name = k.key",
];
