//! What single messages are, looked at as bytes or as a tree. Pure.

use crate::decode::llrp::framing::Header;
use crate::decode::llrp::numbers::{message, parameter as number};
use crate::decode::llrp::{Body, Message, definitions};
use crate::domain::time::Timestamp;

pub(super) fn is_for_the_pipeline(message: &[u8]) -> bool {
    matches!(type_of(message), message::RO_ACCESS_REPORT | message::READER_EVENT_NOTIFICATION)
}

pub(super) fn type_of(message: &[u8]) -> u16 {
    Header::read(message).map_or(u16::MAX, |header| header.message_type)
}

pub(super) fn name_of(message_type: u16) -> &'static str {
    definitions::message(message_type).map_or("a message", |definition| definition.name)
}

/// The reader's answer to a request of ours: the response to it, or an error that names it.
pub(super) fn is_answer(answer: &[u8], request: u16, id: u32) -> bool {
    let kinds = [response_to(request), message::ERROR_MESSAGE];
    Header::read(answer).is_some_and(|header| header.id == id && kinds.contains(&header.message_type))
}

/// Vendors' messages are answered with vendors' messages.
fn response_to(request: u16) -> u16 {
    if request == message::CUSTOM_MESSAGE { request } else { request + 10 }
}

/// The event of that type in a READER_EVENT_NOTIFICATION.
pub(super) fn event(message: &[u8], type_number: u16) -> Option<Body> {
    if type_of(message) != message::READER_EVENT_NOTIFICATION {
        return None;
    }
    let notification = Message::decode_what_is_known(message).ok()?;
    notification.body.first(number::READER_EVENT_NOTIFICATION_DATA)?.first(type_number).cloned()
}

pub(super) fn attempt_status(message: &[u8]) -> Option<u64> {
    event(message, number::CONNECTION_ATTEMPT_EVENT)?.number("Status")
}

/// The time of day at which a READER_EVENT_NOTIFICATION was, by the reader's clock.
pub(super) fn told_at(message: &[u8]) -> Option<Timestamp> {
    let micros = event(message, number::UTC_TIMESTAMP)?.number("Microseconds")?;
    i64::try_from(micros).ok().map(Timestamp::from_micros)
}

/// Code and text of a response's LLRPStatus.
pub(super) fn status_of(response: &Body) -> (u64, String) {
    let status = response.first(number::LLRP_STATUS);
    let code = status.and_then(|body| body.number("StatusCode")).unwrap_or(0);
    (code, status.and_then(|body| body.text("ErrorDescription")).unwrap_or_default())
}

/// An ERROR_MESSAGE that names our request is a refusal, whatever its status says; so is a vendor's answer that says
/// so in its first parameter.
pub(super) fn check_status(response: &Message) -> Result<(), (u64, String)> {
    let (status, description) = match response.message_type {
        message::CUSTOM_MESSAGE => status_in_data(&response.body),
        _ => status_of(&response.body),
    };
    match (status, response.message_type) {
        (0, kind) if kind != message::ERROR_MESSAGE => Ok(()),
        _ => Err((status, description)),
    }
}

/// The code of an LLRPStatus at the beginning of a vendor's message.
fn status_in_data(response: &Body) -> (u64, String) {
    let code = match response.bytes("Data") {
        Some([a, b, _, _, high, low, ..]) if u16::from_be_bytes([*a, *b]) == number::LLRP_STATUS => {
            u64::from(u16::from_be_bytes([*high, *low]))
        }
        _ => 0,
    };
    (code, String::new())
}
