//! Due dates as people write them → moments, by the clock and the calendar of the asset's site. Commands
//! carry moments only, so that a replay does not depend on a calendar that changed since.

use super::explain::{ExplainError, record};
use crate::config::Rules;
use crate::config::times::{DUE_ALLOWED, TimeFault, parse_due};
use crate::domain::ids::{AssetId, SiteId};
use crate::domain::register::{Record, Site};
use crate::domain::time::Timestamp;
use crate::journal::Reader;

/// Why a text is no due date.
#[derive(Debug, thiserror::Error)]
pub enum DueError {
    #[error("`{text}`: {wrong}; {allowed}")]
    Text { text: String, wrong: String, allowed: String },
    #[error(transparent)]
    Journal(#[from] ExplainError),
}

/// When an asset is due back. Of an asset that is not on the register, only what needs no site is read;
/// the command then says that it is not there.
pub async fn due_back(
    reader: &Reader,
    rules: &Rules,
    asset: &AssetId,
    text: &str,
    now: Timestamp,
) -> Result<Timestamp, DueError> {
    let site = site_of(reader, rules, asset).await?;
    parse_due(text, now, site.as_ref()).map_err(|fault| {
        let (wrong, mut allowed) = fault.in_words(site.as_ref().map(|site| &site.timezone));
        if fault == TimeFault::Unreadable {
            allowed = format!("write {DUE_ALLOWED}");
        }
        DueError::Text { text: text.to_owned(), wrong, allowed }
    })
}

/// The site where an asset is at home, or the only one of the configuration.
async fn site_of(reader: &Reader, rules: &Rules, asset: &AssetId) -> Result<Option<Site>, ExplainError> {
    let held = match record(reader, &format!("asset/{asset}")).await? {
        Some(Record::Asset(held)) => held,
        _ => return Ok(None),
    };
    let Some(zone) = held.home_zone else {
        return Ok(rules.sites.first().filter(|_| rules.sites.len() == 1).cloned());
    };
    let site: Option<SiteId> = match rules.zones.iter().find(|declared| declared.name == zone) {
        Some(zone) => Some(zone.site.clone()),
        None => match record(reader, &format!("zone/{zone}")).await? {
            Some(Record::Zone(zone)) => Some(zone.site),
            _ => None,
        },
    };
    let Some(site) = site else { return Ok(None) };
    match rules.sites.iter().find(|declared| declared.name == site) {
        Some(site) => Ok(Some(site.clone())),
        None => Ok(match record(reader, &format!("site/{site}")).await? {
            Some(Record::Site(site)) => Some(site),
            _ => None,
        }),
    }
}
