//! Which tags concern us at a reader or a read point: those that are included and not excluded (GS1 ALE's
//! include and exclude patterns). Compiled with the configuration; a read costs no more than the list.

use super::epc::Epc;
use super::epc_pattern::EpcPattern;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TagFilter {
    /// Empty: all of them.
    pub include: Vec<EpcPattern>,
    pub exclude: Vec<EpcPattern>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    Excluded,
    NotIncluded,
}

impl TagFilter {
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Exclusion wins.
    pub fn refuses(&self, epc: &Epc) -> Option<Refused> {
        if self.exclude.iter().any(|pattern| pattern.matches(epc)) {
            return Some(Refused::Excluded);
        }
        (!self.include.is_empty() && !self.names(epc)).then_some(Refused::NotIncluded)
    }

    /// Whether somebody wrote down that such tags are expected.
    pub fn names(&self, epc: &Epc) -> bool {
        self.include.iter().any(|pattern| pattern.matches(epc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclusion_wins_and_an_empty_list_includes_all() {
        let patterns = |texts: &[&str]| texts.iter().map(|text| EpcPattern::parse(text).unwrap()).collect();
        let filter = |include: &[&str], exclude: &[&str]| TagFilter {
            include: patterns(include),
            exclude: patterns(exclude),
        };
        let epc = |hex| Epc::from_hex(hex).unwrap();
        for (include, exclude, hex, expected) in [
            (&[][..], &[][..], "3034", None),
            (&["30*"], &[], "3034", None),
            (&["30*"], &[], "3134", Some(Refused::NotIncluded)),
            (&["30*", "31*"], &[], "3134", None),
            (&["30*"], &["3034*"], "3034", Some(Refused::Excluded)),
            (&[], &["3034*"], "3035", None),
            (&["31*"], &["3034*"], "3034", Some(Refused::Excluded)),
        ] {
            assert_eq!(
                filter(include, exclude).refuses(&epc(hex)),
                expected,
                "{include:?} {exclude:?} {hex}"
            );
        }
    }
}
