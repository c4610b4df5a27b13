//! The event tables: their names, their columns, and how an event becomes a row of its one.
//!
//! The columns stand in the order of `migrations/`; COPY names them, so a table that differs is refused
//! by PostgreSQL rather than filled wrongly.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::encode::CopyBuffer;
use super::{bodies, rest};
use crate::domain::events::EventClass;
use crate::domain::time::Timestamp;
use crate::journal::StoredEvent;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Table {
    Location,
    Condition,
    Fix,
    Sample,
    TagRead,
    Alert,
    Command,
    Gap,
}

const ENVELOPE: &str = "event_id,node,epoch,seq,version,kind,site,subject,source,\
                        observed_at,received_at,recorded_at,late,confidence";
const ENVELOPE_FIELDS: i16 = 14;

impl Table {
    pub const HYPERTABLES: [Self; 5] =
        [Self::Location, Self::Condition, Self::Fix, Self::Sample, Self::TagRead];

    /// Where events of this kind go; a kind that this build does not know has no table.
    pub fn of_kind(kind: &str) -> Option<Self> {
        Some(match EventClass::of_kind(kind)? {
            EventClass::Location => Self::Location,
            EventClass::Condition => Self::Condition,
            EventClass::Fix => Self::Fix,
            EventClass::Sample => Self::Sample,
            EventClass::Read => Self::TagRead,
            EventClass::Alert => Self::Alert,
            EventClass::Command => Self::Command,
            EventClass::Gap => Self::Gap,
        })
    }

    /// With its schema.
    pub fn name(self) -> &'static str {
        match self {
            Self::Location => "tallyman.location_event",
            Self::Condition => "tallyman.condition_event",
            Self::Fix => "tallyman.fix",
            Self::Sample => "tallyman.sample",
            Self::TagRead => "tallyman.tag_read",
            Self::Alert => "tallyman.alert_event",
            Self::Command => "tallyman.command_log",
            Self::Gap => "tallyman.gap",
        }
    }

    /// The columns of a row, `body` last.
    pub fn columns(self) -> String {
        format!("{ENVELOPE},{},body", self.own_columns())
    }

    fn own_columns(self) -> &'static str {
        match self {
            Self::Location => {
                "asset,epc,change,direction,zone,from_zone,read_point,fence,lat,lon,holder,due_back,vehicle"
            }
            Self::Condition => "asset,device,point,limit_name,change,began_at,value,threshold,quality,zone",
            Self::Fix => {
                "asset,device,lat,lon,accuracy_m,altitude_m,speed_mps,course_deg,battery_percent,odometer_m,ignition"
            }
            Self::Sample => "asset,device,point,value,quality",
            Self::TagRead => "asset,epc,antenna,seen_count,peak_rssi_dbm",
            Self::Alert => "rule,about,transition,state,severity,incident,summary",
            Self::Command => "given_by,command",
            Self::Gap => "gap_from,gap_to,up,reason",
        }
    }

    fn fields(self) -> i16 {
        let own = self.own_columns().bytes().filter(|byte| *byte == b',').count() as i16 + 1;
        ENVELOPE_FIELDS + own + 1
    }

    /// Appends `event` as a row.
    pub fn encode(self, node: &str, epoch: &[u8; 16], event: &StoredEvent, row: &mut CopyBuffer) {
        row.row(self.fields());
        envelope(node, epoch, event, row);
        match self {
            Self::Location => location(event, row),
            Self::Condition => condition(event, row),
            Self::Fix => return fix(event, row),
            Self::Sample => return sample(event, row),
            Self::TagRead => return tag_read(event, row),
            Self::Alert => alert(event, row),
            Self::Command => command(event, row),
            Self::Gap => gap(event, row),
        }
        row.jsonb(&event.body);
    }
}

/// The asset that an event is about, where it is about one.
pub fn asset_of(event: &StoredEvent) -> Option<&str> {
    event.subject.strip_prefix("asset:")
}

/// The fields of a body; all of them absent where it does not read as one.
pub fn read<'a, T: Deserialize<'a> + Default>(event: &'a StoredEvent) -> T {
    serde_json::from_str(&event.body).unwrap_or_default()
}

fn text(row: &mut CopyBuffer, value: &Option<String>) {
    row.optional(value.as_deref(), CopyBuffer::text);
}

fn envelope(node: &str, epoch: &[u8; 16], event: &StoredEvent, row: &mut CopyBuffer) {
    row.uuid(&event.id.0);
    row.text(node);
    row.uuid(epoch);
    row.int8(i64::try_from(event.seq).unwrap_or(i64::MAX));
    row.int2(i16::try_from(event.version).unwrap_or(i16::MAX));
    row.text(&event.kind);
    row.optional(event.site.as_deref(), CopyBuffer::text);
    row.text(&event.subject);
    row.text(&event.source);
    row.timestamptz(event.observed_at);
    row.timestamptz(event.received_at);
    row.timestamptz(event.recorded_at);
    row.bool(event.late);
    row.optional(event.confidence, CopyBuffer::float4);
}

/// The columns of [`Table::Location`] that the five kinds fill differently.
#[derive(Default)]
struct Location {
    epc: Option<String>,
    change: Option<String>,
    direction: Option<String>,
    zone: Option<String>,
    from_zone: Option<String>,
    read_point: Option<String>,
    fence: Option<String>,
    fix: bodies::Fix,
    checkout: bodies::Checkout,
    vehicle: Option<String>,
}

fn location(event: &StoredEvent, row: &mut CopyBuffer) {
    let columns = location_columns(event);
    row.optional(asset_of(event), CopyBuffer::text);
    text(row, &columns.epc);
    text(row, &columns.change);
    text(row, &columns.direction);
    text(row, &columns.zone);
    text(row, &columns.from_zone);
    text(row, &columns.read_point);
    text(row, &columns.fence);
    row.optional(columns.fix.lat, CopyBuffer::float8);
    row.optional(columns.fix.lon, CopyBuffer::float8);
    text(row, &columns.checkout.holder);
    row.optional(columns.checkout.due_back, CopyBuffer::timestamptz);
    text(row, &columns.vehicle);
}

fn location_columns(event: &StoredEvent) -> Location {
    let empty = Location::default();
    match &*event.kind {
        "presence" => {
            let bodies::Presence { change, epc, read_point, zone, .. } = read(event);
            Location { change, epc, read_point, zone, ..empty }
        }
        "passage" => {
            let bodies::Passage { direction, epc, portal, from, to } = read(event);
            Location { direction, epc, read_point: portal, from_zone: from, zone: to, ..empty }
        }
        "geofence" => {
            let bodies::Geofence { change, fence, fix, .. } = read(event);
            Location { change, fence, fix, ..empty }
        }
        "motion" => {
            let bodies::Motion { change, lat, lon } = read(event);
            Location { change, fix: bodies::Fix { lat, lon, ..bodies::Fix::default() }, ..empty }
        }
        "loaded" | "unloaded" => Location { vehicle: read::<bodies::Vehicle>(event).vehicle, ..empty },
        "docked" | "undocked" => Location { read_point: read::<bodies::Door>(event).door, ..empty },
        "counted" => {
            let bodies::Counted { standing, epc, zone } = read(event);
            Location { change: standing, epc, zone, ..empty }
        }
        "checked-out" | "handed-over" => Location { checkout: read(event), ..empty },
        "checked-in" => Location { checkout: read::<bodies::CheckedIn>(event).checkout, ..empty },
        _ => empty,
    }
}

fn condition(event: &StoredEvent, row: &mut CopyBuffer) {
    let body: bodies::Sensor = read(event);
    let (change, began_at, value, threshold) = match (&body.began, &body.ended) {
        (Some(began), _) => (Some("began"), Some(began.began_at), Some(began.value), Some(began.threshold)),
        (None, Some(ended)) => (Some("ended"), Some(ended.began_at), Some(ended.peak), None),
        (None, None) => (None, None, None, None),
    };
    row.optional(asset_of(event), CopyBuffer::text);
    text(row, &body.device);
    text(row, &body.point);
    text(row, &body.limit);
    row.optional(change, CopyBuffer::text);
    row.optional(began_at, CopyBuffer::timestamptz);
    row.optional(value, CopyBuffer::float8);
    row.optional(threshold, CopyBuffer::float8);
    text(row, &body.quality);
    text(row, &body.zone);
}

/// The body in columns, and what of it neither they nor the envelope have.
fn parted<T: DeserializeOwned + Default>(event: &StoredEvent) -> (T, Cow<'_, str>) {
    rest::parted(&event.body, |name, value| match name {
        "kind" => true,
        "observed_at" => serde_json::from_str(value.get()).is_ok_and(|at: Timestamp| at == event.observed_at),
        // The event's id is made of it.
        "digest" => true,
        _ => false,
    })
}

fn fix(event: &StoredEvent, row: &mut CopyBuffer) {
    let (body, rest) = parted::<bodies::Fix>(event);
    row.optional(asset_of(event), CopyBuffer::text);
    text(row, &body.device);
    for value in [
        body.lat,
        body.lon,
        body.accuracy_m,
        body.altitude_m,
        body.speed_mps,
        body.course_deg,
        body.battery_percent,
        body.odometer_m,
    ] {
        row.optional(value, CopyBuffer::float8);
    }
    row.optional(body.ignition, CopyBuffer::bool);
    row.jsonb(&rest);
}

fn sample(event: &StoredEvent, row: &mut CopyBuffer) {
    let (body, rest) = parted::<bodies::Sample>(event);
    row.optional(asset_of(event), CopyBuffer::text);
    text(row, &body.device);
    text(row, &body.point);
    row.optional(body.value, CopyBuffer::float8);
    text(row, &body.quality);
    row.jsonb(&rest);
}

fn tag_read(event: &StoredEvent, row: &mut CopyBuffer) {
    let (body, rest) = parted::<bodies::TagRead>(event);
    row.optional(asset_of(event), CopyBuffer::text);
    text(row, &body.epc);
    row.optional(body.antenna, CopyBuffer::int4);
    row.optional(body.seen_count, CopyBuffer::int4);
    row.optional(body.peak_rssi_dbm, CopyBuffer::float4);
    row.jsonb(&rest);
}

fn alert(event: &StoredEvent, row: &mut CopyBuffer) {
    let Ok(body) = serde_json::from_str::<bodies::Alert>(&event.body) else {
        (0..7).for_each(|_| row.null());
        return;
    };
    row.text(body.alert.key.rule.as_str());
    row.text(&body.alert.key.subject);
    row.text(word(&body.transition).as_str());
    row.text(word(&body.alert.state).as_str());
    row.text(body.alert.severity.as_str());
    row.uuid(&body.alert.incident.0);
    row.text(&body.alert.summary);
}

/// The word that a unit variant is written as.
pub fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => String::new(),
    }
}

fn command(event: &StoredEvent, row: &mut CopyBuffer) {
    let body: bodies::Command = read(event);
    text(row, &body.by);
    text(row, &body.command);
}

fn gap(event: &StoredEvent, row: &mut CopyBuffer) {
    let body: bodies::Gap = read(event);
    row.optional(body.from, CopyBuffer::timestamptz);
    row.optional(body.to, CopyBuffer::timestamptz);
    row.optional(body.up, CopyBuffer::bool);
    text(row, &body.reason);
}
