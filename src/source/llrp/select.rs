//! What is included at a reader, as the reader itself can choose it: C1G2Filters, which are Select commands of
//! the air interface. Tags that are not selected do not answer, so they take no time from those that are.
//!
//! A Select compares one row of bits, so it lets through what is meant and perhaps more; the daemon filters in
//! any case. Never keeps a tag away that is meant.

use std::collections::BTreeSet;

use crate::decode::llrp::Parameter;
use crate::decode::llrp::Value;
use crate::decode::llrp::build::parameter;
use crate::decode::llrp::numbers::parameter as number;
use crate::domain::epc::Epc;
use crate::domain::epc_pattern::{EpcPattern, Mask};
use crate::domain::tag_filter::TagFilter;

/// Why a reader is not told whom to choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum NotSelected {
    #[error("nothing is included, and what is excluded is no single row of bits")]
    Nothing,
    #[error("a pattern leaves every bit open")]
    Open,
    #[error("it takes {needed} filters, and the reader has {most}")]
    TooMany { needed: usize, most: u64 },
}

/// The memory bank of the code, and where the code begins in it: behind CRC and protocol control word.
const EPC_BANK: u8 = 1;
const CODE_AT: u16 = 32;
/// Do not truncate the answer.
const WHOLE: u8 = 1;

// Actions of C1G2TagInventoryStateUnawareFilterAction (LLRP 1.0.1, section 15.2.1.2.1.1.3).
const SELECT_ONLY_THESE: u8 = 0;
const SELECT_THESE_TOO: u8 = 1;
const UNSELECT_THESE: u8 = 3;
const SELECT_ALL_BUT_THESE: u8 = 4;

/// The filters of a reader that has room for `most`, in the order in which they are applied. `always` are tags
/// that must answer whatever is included: reference tags, by which a reader is known to hear. One that answers
/// anyway takes no filter.
pub(super) fn filters(tags: &TagFilter, always: &[Epc], most: u64) -> Result<Vec<Parameter>, NotSelected> {
    let mut included: Vec<Mask> = Vec::new();
    for pattern in &tags.include {
        let mask = pattern.mask().ok_or(NotSelected::Open)?;
        if !included.iter().any(|known| covers(known, &mask)) {
            included.retain(|known| !covers(&mask, known));
            included.push(mask);
        }
    }
    // What is excluded only in part must not be unselected as a whole.
    let excluded: Vec<Mask> = tags.exclude.iter().filter_map(EpcPattern::mask).filter(|m| m.is_all).collect();
    let Some(first) = included.first().or(excluded.first()) else { return Err(NotSelected::Nothing) };
    let first_action = if included.is_empty() { SELECT_ALL_BUT_THESE } else { SELECT_ONLY_THESE };
    let mut needed = vec![(first.clone(), first_action)];
    needed.extend(included.iter().skip(1).map(|mask| (mask.clone(), SELECT_THESE_TOO)));
    let always: BTreeSet<&Epc> = always.iter().collect();
    let kept_away = |mask: &Mask| {
        let chosen = included.is_empty() || included.iter().any(|known| covers(known, mask));
        !chosen || excluded.iter().any(|known| covers(known, mask))
    };
    let always: Vec<_> = always.into_iter().map(whole).filter(kept_away).collect();
    let room = usize::try_from(most).unwrap_or(usize::MAX);
    let rest =
        excluded.iter().skip(usize::from(included.is_empty())).cloned().map(|mask| (mask, UNSELECT_THESE));
    let needed_in_all = needed.len() + always.len();
    if needed_in_all > room {
        return Err(NotSelected::TooMany { needed: needed_in_all, most });
    }
    needed.extend(rest.take(room - needed_in_all));
    needed.extend(always.into_iter().map(|mask| (mask, SELECT_THESE_TOO)));
    Ok(needed.iter().map(|(mask, action)| filter(mask, *action)).collect())
}

/// Whether every code that `narrow` lets through, `wide` does.
fn covers(wide: &Mask, narrow: &Mask) -> bool {
    let bit = |mask: &Mask, at: u16| mask.bytes[usize::from(at / 8)] >> (7 - at % 8) & 1;
    wide.at >= narrow.at
        && wide.at + wide.bits <= narrow.at + narrow.bits
        && (0..wide.bits).all(|at| bit(wide, at) == bit(narrow, at + wide.at - narrow.at))
}

fn whole(epc: &Epc) -> Mask {
    Mask { at: 0, bits: epc.bits(), bytes: epc.bytes().to_vec(), is_all: true }
}

fn filter(mask: &Mask, action: u8) -> Parameter {
    let bits = Value::Bits { bits: mask.bits, bytes: mask.bytes.clone() };
    let values = [EPC_BANK.into(), (CODE_AT + mask.at).into(), bits];
    let parts = vec![
        parameter(number::C1G2_TAG_INVENTORY_MASK, values, vec![]),
        parameter(number::C1G2_STATE_UNAWARE_FILTER_ACTION, [action.into()], vec![]),
    ];
    parameter(number::C1G2_FILTER, [WHOLE.into()], parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::epc::pattern;

    fn tags(include: &[&str], exclude: &[&str]) -> TagFilter {
        let patterns = |texts: &[&str]| texts.iter().flat_map(|text| pattern::parse(text).unwrap()).collect();
        TagFilter { include: patterns(include), exclude: patterns(exclude) }
    }

    /// Action, pointer, bits and mask of each filter.
    fn told(
        tags: &TagFilter,
        always: &[Epc],
        most: u64,
    ) -> Result<Vec<(u64, u64, u16, String)>, NotSelected> {
        let filters = filters(tags, always, most)?;
        let one = |filter: &Parameter| {
            let mask = filter.body.first(number::C1G2_TAG_INVENTORY_MASK).unwrap();
            assert_eq!((filter.body.number("T"), mask.number("MB")), (Some(1), Some(1)));
            let action = filter.body.first(number::C1G2_STATE_UNAWARE_FILTER_ACTION).unwrap();
            let Some(Value::Bits { bits, bytes }) = mask.field("TagMask").cloned() else { panic!("no mask") };
            (action.number("Action").unwrap(), mask.number("Pointer").unwrap(), bits, hex::encode(bytes))
        };
        Ok(filters.iter().map(one).collect())
    }

    #[test]
    fn what_is_included_is_selected() {
        let reference = Epc::from_hex("e2003412").unwrap();
        // Partition 5 and 0614141 in 24 bits, behind header and filter value.
        let company = "urn:epc:pat:sgtin-96:*.0614141.*.*";
        assert_eq!(told(&tags(&[company], &[]), &[], 2), Ok(vec![(0, 43, 27, "a12bdfa0".into())]));
        assert_eq!(
            told(&tags(&["scheme:giai-96", "scheme:grai-96"], &["3474*"]), &[reference], 4),
            Ok(vec![
                (0, 32, 8, "34".into()),
                (1, 32, 8, "33".into()),
                (3, 32, 16, "3474".into()),
                (1, 32, 32, "e2003412".into()),
            ])
        );
        // A reference tag takes none where it is chosen already, and one where it is excluded.
        let chosen = Epc::from_hex("34740001").unwrap();
        let two = [chosen, reference, chosen, reference];
        assert_eq!(
            told(&tags(&["34*"], &[]), &two, 2),
            Ok(vec![(0, 32, 8, "34".into()), (1, 32, 32, "e2003412".into())])
        );
        assert_eq!(
            told(&tags(&["34*"], &["3474*"]), &[chosen], 3),
            Ok(vec![(0, 32, 8, "34".into()), (3, 32, 16, "3474".into()), (1, 32, 32, "34740001".into())])
        );
        assert_eq!(
            told(&tags(&[], &["3475*"]), &[chosen, reference], 1),
            Ok(vec![(4, 32, 16, "3475".into())])
        );
        // What another pattern lets through already takes no filter of its own.
        assert_eq!(told(&tags(&["3474*", "34*", "3475*"], &[]), &[], 1), Ok(vec![(0, 32, 8, "34".into())]));
        // Of what is excluded as much as there is room for; in part it is the daemon's.
        assert_eq!(told(&tags(&["34*"], &["3474*", "3475"]), &[], 1), Ok(vec![(0, 32, 8, "34".into())]));
        assert_eq!(
            told(&tags(&[], &["3474*", "3475*"]), &[], 2),
            Ok(vec![(4, 32, 16, "3474".into()), (3, 32, 16, "3475".into())])
        );
    }

    #[test]
    fn what_a_reader_cannot_choose_is_said() {
        let reference = [Epc::from_hex("e2003412").unwrap()];
        let found = |include, exclude, always, most| told(&tags(include, exclude), always, most).unwrap_err();
        assert_eq!(found(&["34*", "33*"], &[], &[], 1), NotSelected::TooMany { needed: 2, most: 1 });
        assert_eq!(found(&["34*"], &[], &reference, 1), NotSelected::TooMany { needed: 2, most: 1 });
        assert_eq!(found(&["34*", "????"], &[], &[], 9), NotSelected::Open);
        assert_eq!(found(&[], &["3475"], &[], 9), NotSelected::Nothing);
        assert_eq!(found(&[], &[], &[], 9), NotSelected::Nothing);
    }
}
