//! How our own text forms look to those who speak JSON with us: what `serde` cannot tell by itself.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::calendar::WorkingHours;
use super::epc::Epc;
use super::ids::{AssetId, EventId, PersonId, ZoneId};
use super::register::{Attachable, Attachment};
use super::time::Timestamp;

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "An instant, RFC 3339 with its offset.",
            "examples": ["2026-05-01T06:00:00Z"],
        })
    }
}

impl JsonSchema for EventId {
    fn schema_name() -> Cow<'static, str> {
        "EventId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9a-f]{32}$",
            "description": "48 bits of Unix milliseconds, then a hash of what makes the event the one it is.",
        })
    }
}

impl JsonSchema for Epc {
    fn schema_name() -> Cow<'static, str> {
        "Epc".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^([0-9a-fA-F]{2}){0,62}$",
            "description": "The code in a tag, as hex.",
            "examples": ["3034257bf7194e4000001a85"],
        })
    }
}

impl JsonSchema for WorkingHours {
    fn schema_name() -> Cow<'static, str> {
        "WorkingHours".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Days and hours.",
            "examples": ["mon-fri 07:00-17:00, sat 08:00-12:00"],
        })
    }
}

impl<K: Attachable + JsonSchema> JsonSchema for Attachment<K> {
    fn schema_name() -> Cow<'static, str> {
        format!("Attachment{}", K::schema_name()).into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        let time = schemas.subschema_for::<Option<Timestamp>>();
        json_schema!({
            "type": "object",
            "description": "What hangs on one of asset, person or zone, from when to when.",
            "properties": {
                (K::FIELD): schemas.subschema_for::<K>(),
                "asset": schemas.subschema_for::<Option<AssetId>>(),
                "person": schemas.subschema_for::<Option<PersonId>>(),
                "zone": schemas.subschema_for::<Option<ZoneId>>(),
                "from": time,
                "to": time,
            },
            "required": [K::FIELD],
            "additionalProperties": false,
        })
    }
}
