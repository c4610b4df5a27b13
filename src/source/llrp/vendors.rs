//! What we ask of readers by their makers' own extensions, where the reader is of that make.
//!
//! A reader that refuses an extension is read without it: all of them make things better, none is needed.

use tracing::warn;

use super::capabilities::Capabilities;
use super::loss::{Ended, Loss};
use super::session::Session;
use crate::decode::llrp::build::parameter;
use crate::decode::llrp::definitions::vendor::{self, IMPINJ};
use crate::decode::llrp::numbers::{message, parameter as number};
use crate::decode::llrp::{Body, Parameter, Value};

/// Of keepalives that we did not answer, Impinj's readers give up after so many; as many as we wait for.
const LINK_DOWN_THRESHOLD: u16 = 3;
/// Impinj's ImpinjRequestedData: the temperature alone.
const READER_TEMPERATURE: u32 = 2004;

/// Makes the reader take its maker's extensions, where they must be switched on. One that will not is asked no more.
pub(super) async fn enable(session: &mut Session<'_>, capabilities: &Capabilities) -> Result<(), Ended> {
    session.extended = false;
    if session.refuses_extensions {
        return Ok(());
    }
    let Some((values, parameters)) = enabling(capabilities) else { return Ok(()) };
    match session.request(message::CUSTOM_MESSAGE, values, parameters).await {
        Ok(_) => session.extended = true,
        Err(Ended::Lost(loss)) if loss.is_refusal() => refused(session, &loss),
        Err(ended) => return Err(ended),
    }
    Ok(())
}

/// From here on the reader is read without them, in later sessions too.
pub(super) fn refused(session: &mut Session<'_>, loss: &Loss) {
    warn!(reader = %session.config.name, "the reader is read without its maker's extensions: {loss}");
    session.refuses_extensions = true;
    session.extended = false;
}

/// The custom message that switches extensions on, where there is one.
pub(super) fn enabling(capabilities: &Capabilities) -> Option<(Vec<Value>, Vec<Parameter>)> {
    let reserved = Value::Bytes(0u32.to_be_bytes().to_vec());
    let values = vec![IMPINJ.into(), vendor::IMPINJ_ENABLE_EXTENSIONS.into(), reserved];
    capabilities.is_impinj().then(|| (values, vec![]))
}

/// Custom parameters of SET_READER_CONFIG. Impinj's readers keep a session for ever whose client is gone, and turn
/// the next one away; their link monitor ends it.
pub(super) fn settings(capabilities: &Capabilities) -> Option<Parameter> {
    let values = [1u16, LINK_DOWN_THRESHOLD].map(u16::to_be_bytes).concat();
    capabilities.is_impinj().then(|| custom(IMPINJ, vendor::IMPINJ_LINK_MONITOR, values))
}

/// The custom parameter of ROReportSpec: signal strength to the hundredth, Doppler and phase. The chip's serial number
/// would make reports longer, and nothing here uses it.
pub(super) fn report_content(capabilities: &Capabilities) -> Option<Parameter> {
    if !capabilities.is_impinj() {
        return None;
    }
    let wanted =
        [vendor::IMPINJ_ENABLE_PHASE, vendor::IMPINJ_ENABLE_PEAK_RSSI, vendor::IMPINJ_ENABLE_DOPPLER];
    // In a parameter's data its nested parameters are bytes like any other.
    let nested = wanted.iter().flat_map(|subtype| switched_on(*subtype)).collect();
    Some(custom(IMPINJ, vendor::IMPINJ_TAG_REPORT_CONTENT, nested))
}

/// A Custom of Impinj that holds one u16: 1.
fn switched_on(subtype: u32) -> Vec<u8> {
    const LENGTH: u16 = 14;
    let head = [number::CUSTOM, LENGTH].map(u16::to_be_bytes).concat();
    let body = [IMPINJ, subtype].map(u32::to_be_bytes).concat();
    [head, body, 1u16.to_be_bytes().to_vec()].concat()
}

/// Custom parameters of GET_READER_CONFIG by which the temperature is asked for.
pub(super) fn temperature_request() -> Parameter {
    custom(IMPINJ, vendor::IMPINJ_REQUESTED_DATA, READER_TEMPERATURE.to_be_bytes().to_vec())
}

/// The temperature in a GET_READER_CONFIG_RESPONSE, in degrees Celsius.
pub(super) fn temperature(settings: &Body) -> Option<i16> {
    let is_it = |custom: &&Body| {
        custom.number("VendorIdentifier") == Some(IMPINJ.into())
            && custom.number("ParameterSubtype") == Some(vendor::IMPINJ_READER_TEMPERATURE.into())
    };
    let data = settings.all(number::CUSTOM).find(is_it)?.bytes("Data")?;
    data.first_chunk().copied().map(i16::from_be_bytes)
}

fn custom(vendor: u32, subtype: u32, data: Vec<u8>) -> Parameter {
    parameter(number::CUSTOM, [vendor.into(), subtype.into(), Value::Bytes(data)], vec![])
}
