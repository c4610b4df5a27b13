//! Which tags concern us: lists of patterns, compiled as they are read.

use super::ReadRules;
use super::document::Section;
use crate::decode::epc::pattern;
use crate::domain::epc_pattern::EpcPattern;
use crate::domain::tag_filter::TagFilter;

/// The patterns of an array, each by name or by digits.
pub(super) fn patterns(section: &Section<'_>, key: &str) -> Option<Vec<EpcPattern>> {
    let lists = section.list(key, pattern::ALLOWED, |value| pattern::parse(value.as_str()?).ok());
    lists.map(|lists| lists.into_iter().flatten().collect())
}

/// `tags = { include = […], exclude = […] }`
pub(super) fn tag_filter(section: &Section<'_>) -> TagFilter {
    let Some(table) = section.table("tags") else { return TagFilter::default() };
    let list = |key| patterns(&table, key).unwrap_or_default();
    let filter = TagFilter { include: list("include"), exclude: list("exclude") };
    table.finish();
    filter
}

/// Of a reader.
pub(super) fn read_rules(section: &Section<'_>) -> ReadRules {
    ReadRules { tags: tag_filter(section), check_crc: section.flag("check_crc").unwrap_or(true) }
}
