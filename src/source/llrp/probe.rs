//! Asks a reader once what it is, for `tallyman check --connect`. Changes nothing in it.

use std::fmt::Write;
use std::time::Duration;

use tokio::time::timeout;

use super::capabilities::Capabilities;
use super::dial::dial;
use super::guest::{Guest, GuestError};
use super::loss::Loss;
use super::vendors;
use super::versions::V1_1;
use crate::config::{LlrpVersion, Reach, ReaderConfig};
use crate::decode::llrp::numbers::{message, parameter as number};
use crate::decode::llrp::{Body, Message};

/// Longest message that is believed of it.
const MAX_KEPT: usize = 64 << 10;

/// What the reader says of itself, on one line; or why it will not do. `within`: for the connection, and for each
/// of its answers.
pub async fn probe(config: &ReaderConfig, within: Duration) -> Result<String, String> {
    let Reach::ToReader { address, tls } = &config.reach else {
        return Err("it connects by itself".to_owned());
    };
    let connection = dial(address, tls.as_ref(), within, MAX_KEPT).await.map_err(|loss| match loss {
        Loss::Connect(error) => format!("cannot connect: {error}"),
        loss => loss.to_string(),
    })?;
    let mut guest = Guest::new(connection);
    answer(within, guest.announced()).await.map_err(|why| format!("connected, but {why}"))?;
    let found = ask(&mut guest, config, within).await;
    let left = timeout(within, guest.dismiss()).await;
    match (&found, left) {
        (Ok(_), Ok(Err(error))) => Err(format!("it answers, but does not let us go: {error}")),
        _ => found.map_err(|why| format!("the connection was accepted, but {why}")),
    }
}

async fn ask(guest: &mut Guest, config: &ReaderConfig, within: Duration) -> Result<String, String> {
    let mut found = String::new();
    let version = if negotiate(guest, config, within).await? { "1.1" } else { "1.0.1" };
    let identity = answer(within, guest.identity()).await?;
    let all = vec![0u8.into()];
    let told = answer(within, guest.ask(message::GET_READER_CAPABILITIES, all, vec![])).await?;
    let capabilities = Capabilities::of(&told.body);
    let identity = identity.map_or("nothing".to_owned(), |identity| identity.to_string());
    // Writing into a string does not fail.
    write!(found, "LLRP {version}, it calls itself {identity}, {capabilities}").unwrap_or_default();
    if let Some(settings) = settings(guest, &capabilities, within).await? {
        found.push_str(&antennas(&settings.body));
        if let Some(celsius) = vendors::temperature(&settings.body) {
            write!(found, "; {celsius} °C").unwrap_or_default();
        }
    }
    let misfits: Vec<String> = capabilities.misfits(&config.rospec).iter().map(ToString::to_string).collect();
    if misfits.is_empty() { Ok(found) } else { Err(format!("{}; it is: {found}", misfits.join("; "))) }
}

/// Whether it speaks 1.1; it is asked for it then.
async fn negotiate(guest: &mut Guest, config: &ReaderConfig, within: Duration) -> Result<bool, String> {
    if config.version == LlrpVersion::V1_0_1 {
        return Ok(false);
    }
    let told = match timeout(within, guest.ask(message::GET_SUPPORTED_VERSION, vec![], vec![])).await {
        Ok(Ok(told)) => told,
        Ok(Err(GuestError::Rejected { .. })) => return Ok(false),
        Ok(Err(error)) => {
            return Err(format!("{error}, when asked for its versions: try version = \"1.0.1\""));
        }
        Err(_) => return Ok(false),
    };
    if told.body.number("SupportedVersion").unwrap_or(0) < u64::from(V1_1) {
        return Ok(false);
    }
    answer(within, guest.ask(message::SET_PROTOCOL_VERSION, vec![V1_1.into()], vec![])).await?;
    guest.version = V1_1;
    Ok(true)
}

/// Its settings; `None` where it does not tell them, which keeps nobody from using it.
async fn settings(
    guest: &mut Guest,
    capabilities: &Capabilities,
    within: Duration,
) -> Result<Option<Message>, String> {
    let mut extended = false;
    if let Some((values, parameters)) = vendors::enabling(capabilities) {
        let enabled = timeout(within, guest.ask(message::CUSTOM_MESSAGE, values, parameters)).await;
        extended = matches!(enabled, Ok(Ok(_)));
    }
    let wanted = if extended { vec![vendors::temperature_request()] } else { vec![] };
    let all = vec![0u16.into(), 0u8.into(), 0u16.into(), 0u16.into()];
    match timeout(within, guest.ask(message::GET_READER_CONFIG, all, wanted)).await {
        Ok(Ok(settings)) => Ok(Some(settings)),
        Ok(Err(GuestError::Rejected { .. })) | Err(_) => Ok(None),
        Ok(Err(error)) => Err(error.to_string()),
    }
}

/// Which antennas are there, where it tells.
fn antennas(settings: &Body) -> String {
    let all: Vec<(u64, bool)> = settings
        .all(number::ANTENNA_PROPERTIES)
        .filter_map(|antenna| Some((antenna.number("AntennaID")?, antenna.number("AntennaConnected")? == 1)))
        .collect();
    let of = |connected| {
        let numbers = all.iter().filter(|(_, is)| *is == connected).map(|(antenna, _)| antenna.to_string());
        numbers.collect::<Vec<_>>().join(", ")
    };
    match (of(true), of(false)) {
        (yes, no) if yes.is_empty() && no.is_empty() => String::new(),
        (yes, no) if no.is_empty() => format!("; antennas connected: {yes}"),
        (yes, no) if yes.is_empty() => format!("; no antenna is connected of {no}"),
        (yes, no) => format!("; antennas connected: {yes}; not connected: {no}"),
    }
}

async fn answer<T>(
    within: Duration,
    asked: impl Future<Output = Result<T, GuestError>>,
) -> Result<T, String> {
    match timeout(within, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("it did not answer within {within:?}")),
    }
}
