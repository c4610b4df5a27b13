//! Asks a reader once what it is, for `tallyman check --connect`. Changes nothing in it.

use std::fmt::Write;
use std::time::Duration;

use tokio::time::timeout;

use super::capabilities::Capabilities;
use super::connection::Connection;
use super::guest::{Guest, unless_refused};
use super::loss::{Ended, Loss};
use super::vendors;
use super::versions::{V1_1, negotiate};
use crate::config::{LlrpVersion, Reach, ReaderConfig};
use crate::decode::llrp::numbers::{message, parameter as number};
use crate::decode::llrp::{Body, Message};

/// A message that is too long to be taken is read so far before it is refused.
const MAX_KEPT: usize = 64 << 10;

/// What the reader says of itself, on one line; or why it will not do. `within`: for the connection, and for each
/// of its answers.
pub async fn probe(config: &ReaderConfig, within: Duration) -> Result<String, String> {
    let asks_versions = config.version == LlrpVersion::Negotiated;
    let mut guest = meet(config, within).await?;
    let mut found = ask(&mut guest, config, asks_versions, within).await;
    if matches!(found, Err(Loss::VersionsUnknown)) {
        // A session would not ask again either.
        let again = meet(config, within).await;
        guest = again.map_err(|why| {
            format!("the connection was accepted, but {}; then: {why}", Loss::VersionsUnknown)
        })?;
        found = ask(&mut guest, config, false, within).await;
    }
    let left = timeout(within, guest.dismiss()).await;
    match (found, left) {
        (Ok(_), Ok(Err(error))) => Err(format!("it answers, but does not let us go: {error}")),
        (found, _) => found.map_err(|why| format!("the connection was accepted, but {why}")),
    }
}

/// A connection that the reader has announced.
async fn meet(config: &ReaderConfig, within: Duration) -> Result<Guest, String> {
    let Reach::ToReader { address, tls } = &config.reach else {
        return Err("it connects by itself".to_owned());
    };
    let connection = Connection::open(address, tls.as_ref(), within, MAX_KEPT).await;
    let mut guest = Guest::passing(connection.map_err(|loss| format!("cannot connect: {loss}"))?);
    let announced = timeout(within, guest.announced()).await;
    let announced = announced.unwrap_or(Err(Loss::NotAnnounced(within)));
    announced.map_err(|why| format!("connected, but {why}"))?;
    Ok(guest)
}

async fn ask(
    guest: &mut Guest,
    config: &ReaderConfig,
    asks_versions: bool,
    within: Duration,
) -> Result<String, Loss> {
    let mut found = String::new();
    if asks_versions {
        negotiate(guest, &config.name).await.map_err(lost)?;
    }
    let version = if guest.talk.version() == V1_1 { "1.1" } else { "1.0.1" };
    let identity = guest.identity(within).await?;
    let all = vec![0u8.into()];
    let told = guest.ask(within, message::GET_READER_CAPABILITIES, all, vec![]).await?;
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
    let misfits: Vec<String> =
        capabilities.misfits(&config.rospec, &config.beams).iter().map(ToString::to_string).collect();
    match misfits.is_empty() {
        true => Ok(found),
        false => Err(Loss::Configuration(format!("{}; it is: {found}", misfits.join("; ")))),
    }
}

/// Its settings; `None` where it does not tell them, which keeps nobody from using it.
async fn settings(
    guest: &mut Guest,
    capabilities: &Capabilities,
    within: Duration,
) -> Result<Option<Message>, Loss> {
    let mut extended = false;
    if let Some((values, parameters)) = vendors::enabling(capabilities) {
        let enabled = guest.ask(within, message::CUSTOM_MESSAGE, values, parameters).await;
        extended = unless_refused(enabled)?.is_some();
    }
    let wanted = if extended { vec![vendors::temperature_request()] } else { vec![] };
    let all = vec![0u16.into(), 0u8.into(), 0u16.into(), 0u16.into()];
    unless_refused(guest.ask(within, message::GET_READER_CONFIG, all, wanted).await)
}

/// A guest has no pipeline, and nobody stops it: it only ever ends so.
fn lost(ended: Ended) -> Loss {
    match ended {
        Ended::Lost(loss) => loss,
        Ended::Shutdown | Ended::PipelineGone => Loss::Closed,
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
