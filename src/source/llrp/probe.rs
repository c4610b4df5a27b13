//! Asks a reader once what it is, for `tallyman check --connect`. Changes nothing in it.

use std::time::Duration;

use tokio::time::timeout;

use super::capabilities::Capabilities;
use super::connection::Connection;
use super::found::Found;
use super::guest::{Guest, unless_refused};
use super::loss::{Ended, Loss};
use super::vendors;
use super::versions::{V1_1, negotiate};
use crate::config::{LlrpVersion, Reach, ReaderConfig};
use crate::decode::llrp::Message;
use crate::decode::llrp::numbers::message;

/// A message that is too long to be taken is read so far before it is refused.
const MAX_KEPT: usize = 64 << 10;

/// What the reader says of itself, a line for each thing; or why it will not do. `within`: for the connection, and for each
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
    if asks_versions {
        negotiate(guest, &config.name).await.map_err(lost)?;
    }
    let identity = guest.identity(within).await?;
    let all = vec![0u8.into()];
    let told = guest.ask(within, message::GET_READER_CAPABILITIES, all, vec![]).await?;
    let capabilities = Capabilities::of(&told.body);
    let settings = settings(guest, &capabilities, within).await?;
    let found = Found {
        version: if guest.talk.version() == V1_1 { "1.1" } else { "1.0.1" },
        identity: identity.map(|identity| identity.to_string()),
        capabilities: &capabilities,
        settings: settings.as_ref().map(|settings| &settings.body),
        clock_ahead_ms: guest.clock_ahead_ms,
    };
    let found = found.lines(&config.rospec).join("\n");
    let misfits: Vec<String> =
        capabilities.misfits(&config.rospec, &config.beams).iter().map(ToString::to_string).collect();
    match misfits.is_empty() {
        true => Ok(found),
        false => Err(Loss::Configuration(format!("{}\nit is: {found}", misfits.join("; ")))),
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
