//! What is said between the announcement of a connection and its first report.

use metrics::counter;
use tracing::{debug, info, warn};

use super::capabilities::Capabilities;
use super::loss::{Ended, Loss};
use super::messages;
use super::select;
use super::session::Session;
use super::vendors;
use crate::config::{Power, ReaderConfig, Start};
use crate::decode::llrp::numbers::{message, parameter as number};
use crate::decode::llrp::{Body, Parameter};
use crate::telemetry::names;

/// Checks what is asked of the reader against what it has, then settings and ROSpec; the reader is then ready to be
/// told to report.
///
/// A reader goes on reading while we are away, and holds what it reads. An ROSpec that is there already, at work, and
/// what we would add, is therefore left alone; any other one of our number is replaced.
///
/// Gives back whether the reader may now send what it held for us: it holds, and had our ROSpec
/// (also an older version of it) when we came.
pub(super) async fn set_up(session: &mut Session<'_>) -> Result<bool, Ended> {
    let config = session.config;
    let response = session.request(message::GET_READER_CAPABILITIES, vec![0u8.into()], vec![]).await?;
    let capabilities = Capabilities::of(&response.body);
    info!(reader = %config.name, "{capabilities}");
    check(session, &capabilities)?;
    let hold = config.rospec.hold_on_disconnect;
    if hold && !capabilities.holds_events_and_reports {
        warn!(reader = %config.name, "the reader cannot hold reports while we are away");
    }
    vendors::enable(session, &capabilities).await?;
    configure(session, &capabilities).await?;
    session.tells_temperature = session.extended;

    let filters = if session.refuses_filters { Vec::new() } else { filters(config, &capabilities) };
    let ours = messages::rospec(&config.rospec, &filters, &capabilities, session.extended);
    let had_ours = match held(session).await? {
        Some(held) => bring_in(session, &held, ours, &filters, &capabilities).await?,
        None => {
            delete(session, config.rospec.id).await?;
            add_what_it_takes(session, ours, &filters, &capabilities).await?;
            // It may have.
            true
        }
    };
    Ok(hold && capabilities.holds_events_and_reports && had_ours)
}

/// The ROSpecs that the reader has; `None` where it does not say so that it could be understood.
async fn held(session: &mut Session<'_>) -> Result<Option<Body>, Ended> {
    match session.request(message::GET_ROSPECS, vec![], vec![]).await {
        Ok(held) => Ok(Some(held.body)),
        Err(Ended::Lost(loss)) if loss.is_refusal() => {
            warn!(reader = %session.config.name, "what the reader does already is not known: {loss}");
            Ok(None)
        }
        Err(ended) => Err(ended),
    }
}

/// Keeps our ROSpec where it is at work, else puts it in its place. Gives whether it was there.
async fn bring_in(
    session: &mut Session<'_>,
    held: &Body,
    ours: Parameter,
    filters: &[Parameter],
    capabilities: &Capabilities,
) -> Result<bool, Ended> {
    let config = session.config;
    silence_others(session, held).await?;
    let had_ours = held.all(number::ROSPEC).any(|body| id_of(body) == u64::from(config.rospec.id));
    if held.all(number::ROSPEC).any(|body| is_at_work(body, &ours.body, config.rospec.start)) {
        info!(reader = %config.name, rospec = config.rospec.id, "the reader went on reading; its ROSpec is kept");
    } else {
        make_room(session, held, capabilities).await?;
        add_what_it_takes(session, ours, filters, capabilities).await?;
    }
    Ok(had_ours)
}

/// What the reader has not is told as such: from it alone comes a number.
fn check(session: &Session<'_>, capabilities: &Capabilities) -> Result<(), Loss> {
    let config = session.config;
    let misfits: Vec<String> =
        capabilities.misfits(&config.rospec, &config.beams).iter().map(ToString::to_string).collect();
    if !misfits.is_empty() {
        return Err(Loss::Configuration(misfits.join("; ")));
    }
    let single = match config.rospec.power {
        Some(Power::Dbm(dbm)) => Some(dbm),
        Some(Power::Index(_)) | None => None,
    };
    for dbm in single.into_iter().chain(config.rospec.antenna_power.iter().map(|(_, dbm)| *dbm)) {
        let Some((index, power)) = capabilities.power_index(dbm) else { continue };
        // The steps of a table are a decibel at most.
        if (power - dbm).abs() >= 1.0 {
            warn!(reader = %config.name, asked_dbm = dbm, power_dbm = power, index, "the reader has no such power");
        }
    }
    Ok(())
}

/// Sets the reader; without its maker's extensions where it refuses them.
async fn configure(session: &mut Session<'_>, capabilities: &Capabilities) -> Result<(), Ended> {
    let settings = messages::settings(session.config, capabilities, session.extended);
    let set = session.request(message::SET_READER_CONFIG, vec![false.into()], settings).await;
    match set {
        Err(Ended::Lost(loss @ Loss::Rejected { .. })) if session.extended => {
            vendors::refused(session, &loss);
            let settings = messages::settings(session.config, capabilities, false);
            session.request(message::SET_READER_CONFIG, vec![false.into()], settings).await.map(drop)
        }
        set => set.map(drop),
    }
}

/// Some readers tell of more than they take: what they need not do for us is left out bit by bit, its maker's
/// extensions first.
async fn add_what_it_takes(
    session: &mut Session<'_>,
    ours: Parameter,
    filters: &[Parameter],
    capabilities: &Capabilities,
) -> Result<(), Ended> {
    let rospec = &session.config.rospec;
    let with = |filters, extended| messages::rospec(rospec, filters, capabilities, extended);
    let (chooses, extended) = (!filters.is_empty(), session.extended);
    let mut refused = match add(session, ours).await {
        Err(Ended::Lost(loss @ Loss::Rejected { .. })) => loss,
        added => return added,
    };
    let tries = [(filters, false, extended), (&[], extended, chooses), (&[], false, extended && chooses)];
    for (filters, is_extended, _) in tries.into_iter().filter(|(.., helps)| *helps) {
        let (drops_filters, drops_extensions) = (chooses && filters.is_empty(), extended && !is_extended);
        // It may stand there and not have been enabled.
        delete(session, session.config.rospec.id).await?;
        match add(session, with(filters, is_extended)).await {
            Err(Ended::Lost(loss @ Loss::Rejected { .. })) => refused = loss,
            added => {
                added?;
                if drops_filters {
                    filters_refused(session, &refused);
                }
                if drops_extensions {
                    vendors::refused(session, &refused);
                }
                return Ok(());
            }
        }
    }
    Err(refused.into())
}

/// What the reader can choose of the tags that concern us; the daemon filters the rest.
fn filters(config: &ReaderConfig, capabilities: &Capabilities) -> Vec<Parameter> {
    if config.select.is_empty() {
        return Vec::new();
    }
    match select::filters(&config.select, &config.references, capabilities.max_filters) {
        Ok(filters) => filters,
        Err(why) => {
            info!(reader = %config.name, "every tag is reported and filtered here: {why}");
            Vec::new()
        }
    }
}

/// Some readers tell of room for filters, and take none. What they would have kept away costs time in the field,
/// and nothing else: the daemon filters in any case.
fn filters_refused(session: &mut Session<'_>, loss: &Loss) {
    let reader = &session.config.name;
    warn!(%reader, "the reader does not choose tags as it is told; every tag is reported and filtered here: {loss}");
    counter!(names::LLRP_FILTERS_REFUSED, "source" => reader.as_str().to_owned()).increment(1);
    session.refuses_filters = true;
}

/// From here on reports come; what the reader held comes first.
pub(super) async fn enable_events_and_reports(session: &mut Session<'_>) -> Result<(), Ended> {
    session.send(message::ENABLE_EVENTS_AND_REPORTS, vec![], vec![]).await.map(drop)
}

fn id_of(rospec: &Body) -> u64 {
    rospec.number("ROSpecID").unwrap_or(0)
}

/// It is ours, and reads, or will when its start trigger says so. One that starts at once and does not read was
/// stopped, and would stay so.
fn is_at_work(held: &Body, ours: &Body, start: Start) -> bool {
    let at_work = match held.number("CurrentState") {
        Some(messages::ROSPEC_ACTIVE) => true,
        Some(messages::ROSPEC_INACTIVE) => start != Start::Immediate,
        _ => false,
    };
    at_work && messages::is_same_rospec(held, ours)
}

/// Removes the ROSpec of our number; the others only where the reader has no room for ours.
async fn make_room(session: &mut Session<'_>, held: &Body, capabilities: &Capabilities) -> Result<(), Ended> {
    let config = session.config;
    let (ours, others): (Vec<u64>, Vec<u64>) =
        held.all(number::ROSPEC).map(id_of).partition(|id| *id == u64::from(config.rospec.id));
    if !ours.is_empty() {
        delete(session, config.rospec.id).await?;
    }
    if others.len() as u64 >= capabilities.max_rospecs {
        warn!(reader = %config.name, rospecs = ?others, "no room for our ROSpec; those of others are removed");
        delete(session, ALL_ROSPECS).await?;
    }
    Ok(())
}

/// Disables what others left at work. One client at a time has a reader: whoever added it is gone, its reports would
/// come to us, and ours may have to wait for as long as it runs.
async fn silence_others(session: &mut Session<'_>, held: &Body) -> Result<(), Ended> {
    let ours = u64::from(session.config.rospec.id);
    let others = held.all(number::ROSPEC).filter(|body| id_of(body) != ours);
    let at_work = others.filter(|body| body.number("CurrentState") == Some(messages::ROSPEC_ACTIVE));
    for rospec in at_work.filter_map(|body| u32::try_from(id_of(body)).ok()) {
        let reader = &session.config.name;
        warn!(%reader, rospec, "the reader is at work for somebody who left; that ROSpec is disabled");
        match session.request(message::DISABLE_ROSPEC, vec![rospec.into()], vec![]).await {
            Err(Ended::Lost(loss @ Loss::Rejected { .. })) => {
                warn!(reader = %session.config.name, rospec, "it works on, and ours may wait for it: {loss}");
            }
            disabled => drop(disabled?),
        }
    }
    Ok(())
}

/// Stands for every ROSpec in DELETE_ROSPEC (LLRP 1.0.1, section 10.1.2).
const ALL_ROSPECS: u32 = 0;

/// A reader that says there was nothing to delete has done what we want.
async fn delete(session: &mut Session<'_>, id: u32) -> Result<(), Ended> {
    match session.request(message::DELETE_ROSPEC, vec![id.into()], vec![]).await {
        Err(Ended::Lost(Loss::Rejected { status, description, .. })) => {
            debug!(reader = %session.config.name, rospec = id, status, description, "nothing deleted");
            Ok(())
        }
        deleted => deleted.map(drop),
    }
}

/// Adds the ROSpec and enables it; its start trigger does the rest.
async fn add(session: &mut Session<'_>, rospec: Parameter) -> Result<(), Ended> {
    let id = session.config.rospec.id;
    session.request(message::ADD_ROSPEC, vec![], vec![rospec]).await?;
    session.request(message::ENABLE_ROSPEC, vec![id.into()], vec![]).await?;
    info!(reader = %session.config.name, rospec = id, "ROSpec added");
    Ok(())
}
