//! The OpenAPI 3.1 document, made of the operations that are served.

use axum::http::Method;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::extract::MAX_KEY_CHARS;
use super::problem::{PROBLEM_JSON, ProblemBody};
use super::routes::{Answer, BASE, Operation};

/// What a path's parameters are, with an example.
const PATH_PARAMETERS: [(&str, &str, &str); 9] = [
    ("asset", "The asset's number on the register.", "FL-07"),
    ("table", "zone, class, asset, tag, tracker, sensor and so on.", "asset"),
    ("key", "The record's key in its table.", "FL-07"),
    ("rule", "The rule of an alert.", "ghost"),
    ("subject", "What an alert is about.", "FL-07"),
    ("id", "An id as a list gives it.", "0"),
    ("audit", "The name of an audit.", "crib-2026-05"),
    ("event", "The id of an event.", "0196889f2c00a1b2c3d4e5f60718293a"),
    ("read_point", "The name of a read point.", "dock-3"),
];

const PROBLEMS: [(u16, &str); 13] = [
    (400, "Not understood: the path, the query, a header, or a body that is no JSON."),
    (401, "No token, or none of ours, or one that has expired."),
    (403, "The token's role or sites do not allow it."),
    (404, "There is no such thing, or not for this token."),
    (408, "The body did not arrive in time."),
    (409, "It clashes with how things stand."),
    (412, "The record is not as `If-Match` or `If-None-Match` says."),
    (413, "The body is too large."),
    (415, "The body is not application/json."),
    (422, "Understood, and it makes no sense; or the idempotency key was used for something else."),
    (429, "Too many requests of this token, or refused ones of this address: wait `Retry-After` seconds."),
    (500, "A fault of the daemon's."),
    (503, "Not now: the daemon is stopping, overloaded, or its journal cannot be read."),
];

const DESCRIPTION: &str = "What tallyman knows, and what it can be told. Lists come in pages: give `next` as `cursor` \
    to read on. Commands may carry an `Idempotency-Key`: given again, they are answered as they were the first \
    time. Errors are problem documents (RFC 9457).";

/// The document for these operations.
pub(super) fn document(operations: &[Operation]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let problem = schemas.subschema_for::<ProblemBody>();
    let mut paths = Map::new();
    for operation in operations {
        let path = format!("{BASE}{}", operation.path.replace("{*", "{"));
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = methods {
            let method = operation.method.as_str().to_ascii_lowercase();
            methods.insert(method, describe(operation, &mut schemas));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "tallyman",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "`tallyman token` makes one." },
            },
            "responses": PROBLEMS.iter().map(|(status, what)| {
                (status.to_string(), problem_response(*status, what, problem.as_value()))
            }).collect::<Map<_, _>>(),
            "schemas": schemas.take_definitions(true),
        },
    })
}

fn describe(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.path.split('/').nth(1).unwrap_or_default()],
        "summary": operation.summary,
        "description": format!("Takes the role `{}`.", operation.role.as_str()),
        "parameters": parameters(operation, schemas),
        "responses": responses(operation, schemas),
    });
    if let Some((schema, example)) = &operation.body {
        described["requestBody"] = json!({
            "required": operation.needs_body,
            "content": { "application/json": { "schema": schema(schemas), "example": example } },
        });
    }
    described
}

fn parameters(operation: &Operation, schemas: &mut SchemaGenerator) -> Vec<Value> {
    let mut parameters = Vec::new();
    for part in operation.path.split('/') {
        if let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            parameters.push(path_parameter(name.trim_start_matches('*')));
        }
    }
    if let Some(query) = operation.query {
        let schema = query(schemas);
        let fields = schema.get("properties").and_then(Value::as_object);
        parameters.extend(fields.into_iter().flatten().map(|(name, schema)| query_parameter(name, schema)));
    }
    if let Some((name, description, pattern)) = operation.header {
        parameters.push(header(name, description, json!({ "type": "string", "pattern": pattern })));
    }
    if operation.once {
        let description = "Chosen by the client, for instance a random UUID: the command given again with it is \
                           answered as it was the first time.";
        let schema = json!({ "type": "string", "pattern": format!("^[!-~]{{1,{MAX_KEY_CHARS}}}$") });
        parameters.push(header("Idempotency-Key", description, schema));
    }
    if operation.conditional {
        let description = "The ETag of the record as it was read: carried out only if it is still so.";
        parameters.push(header("If-Match", description, json!({ "type": "string" })));
    }
    if operation.conditional && operation.method == Method::PUT {
        let description = "`*`: carried out only if there is no such record yet.";
        parameters.push(header("If-None-Match", description, json!({ "type": "string", "enum": ["*"] })));
    }
    if operation.tagged {
        let description = "ETags that were seen: one of them still holds → 304.";
        parameters.push(header("If-None-Match", description, json!({ "type": "string" })));
    }
    parameters
}

fn path_parameter(name: &str) -> Value {
    let known = PATH_PARAMETERS.iter().find(|(known, ..)| *known == name);
    let (description, example) = known.map_or(("", name), |(_, description, example)| (description, example));
    json!({
        "name": name, "in": "path", "required": true, "description": description, "example": example,
        "schema": { "type": "string", "minLength": 1 },
    })
}

/// A field of a filter. What is absent is not null: a query has no null.
fn query_parameter(name: &str, schema: &Value) -> Value {
    let mut schema = without_null(schema);
    let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    let mut parameter = json!({
        "name": name, "in": "query", "required": false, "description": description.unwrap_or(json!("")),
    });
    if schema["type"] == "array" {
        parameter["style"] = json!("form");
        parameter["explode"] = json!(false);
    }
    parameter["schema"] = schema;
    parameter
}

fn without_null(schema: &Value) -> Value {
    let Value::Object(schema) = schema else { return schema.clone() };
    let mut schema = schema.clone();
    schema.remove("default");
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            schema.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(choices)) = schema.remove("anyOf") {
        let mut choices: Vec<Value> = choices.into_iter().filter(|choice| choice["type"] != "null").collect();
        match (choices.len(), choices.pop()) {
            (1, Some(Value::Object(only))) => schema.extend(only),
            (_, last) => {
                choices.extend(last);
                schema.insert("anyOf".to_owned(), Value::Array(choices));
            }
        }
    }
    Value::Object(schema)
}

fn header(name: &str, description: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "header", "required": false, "description": description, "schema": schema })
}

fn responses(operation: &Operation, schemas: &mut SchemaGenerator) -> Map<String, Value> {
    let mut responses = Map::new();
    for answer in &operation.answers {
        responses.insert(answer.status.as_u16().to_string(), success(operation, answer, schemas));
    }
    if operation.tagged {
        responses.insert("304".to_owned(), json!({ "description": "As it was seen.", "headers": etag() }));
    }
    for status in &operation.problems {
        let reference = format!("#/components/responses/{status}");
        responses.insert(status.to_string(), json!({ "$ref": reference }));
    }
    responses
}

fn success(operation: &Operation, answer: &Answer, schemas: &mut SchemaGenerator) -> Value {
    let mut content = json!({ "schema": (answer.schema)(schemas) });
    if !answer.example.is_null() {
        content["example"] = answer.example.clone();
    }
    let mut response =
        json!({ "description": answer.description, "content": { answer.media_type: content } });
    if operation.tagged {
        response["headers"] = etag();
    }
    if operation.once {
        response["headers"] = json!({ "Idempotency-Replayed": {
            "description": "`true` where this is the answer to an earlier command with this key.",
            "schema": { "type": "string", "enum": ["true"] },
        } });
    }
    response
}

fn etag() -> Value {
    json!({ "ETag": { "description": "Strong: of the very bytes.", "schema": { "type": "string" } } })
}

fn problem_response(status: u16, what: &str, schema: &Value) -> Value {
    let example = json!({
        "type": "urn:tallyman:problem:…", "title": "…", "status": status, "detail": what,
    });
    let mut response = json!({
        "description": what,
        "content": { PROBLEM_JSON: { "schema": schema, "example": example } },
    });
    if status == 429 {
        response["headers"] =
            json!({ "Retry-After": { "description": "Seconds.", "schema": { "type": "integer" } } });
    }
    response
}

/// A text that is no JSON: an event stream.
pub(super) struct EventStream;

impl JsonSchema for EventStream {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EventStream".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "Server-sent events: `id` is the number of the event, `data` the event as in a list.",
        })
    }
}

/// The answer of `GET /read-points/{read_point}/stream`.
pub(super) struct ReadStream;

impl JsonSchema for ReadStream {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ReadStream".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "Server-sent events without ids: `data` is JSON as `x-data` says.",
            "x-data": schemas.subschema_for::<super::walk::Told>(),
        })
    }
}
