//! Whatever the parts are, they come back; whatever the bits or the text are, there is an answer.

use proptest::prelude::*;

use super::schemes::{Form, Part};
use super::*;

const SET_82: &str = "[!\"%&'()*+,./0-9:;<=>?A-Z_a-z-]";

/// Digits of a number without leading zeros that `bits` hold.
fn number(bits: u16, digits: u32) -> BoxedStrategy<String> {
    let most = ((1u128 << bits) - 1).min(10u128.pow(digits) - 1);
    (0..=most).prop_map(|number| number.to_string()).boxed()
}

fn text(set: &str, least: u32, most: u32) -> BoxedStrategy<String> {
    proptest::string::string_regex(&format!("{set}{{{least},{most}}}")).unwrap().boxed()
}

/// Values of a part, for a company prefix of so many digits.
fn values(part: &Part, company: u32) -> Vec<BoxedStrategy<String>> {
    match part {
        Part::Filter(bits) => vec![number(*bits, 2)],
        Part::Key { bits, digits, form, .. } => {
            let left = digits - company;
            let reference = match form {
                Form::Padded => text("[0-9]", left, left),
                Form::Plain => number(bits - schemes::COMPANY_PREFIX_BITS[12 - company as usize], left),
                Form::Text => text(SET_82, 1, left),
                Form::Ended => text("[#/0-9A-Z-]", 1, left),
            };
            vec![text("[0-9]", company, company), reference]
        }
        Part::Number { bits, digits, .. } => vec![number(*bits, *digits)],
        Part::Fixed { digits, .. } => vec![text("[0-9]", *digits, *digits)],
        Part::Digits { digits, .. } => vec![text("[0-9]", 1, *digits)],
        Part::Text { bits, .. } => vec![text(SET_82, 1, u32::from(bits / 7))],
        Part::Ended { most, least, .. } => vec![text("[/0-9A-Z-]", *least, *most)],
        Part::Assigner { .. } => vec![text("[0-9A-HJ-NP-Z]", 5, 6)],
        Part::Zero(_) => Vec::new(),
    }
}

fn any_identity() -> impl Strategy<Value = (usize, Vec<String>)> {
    (0..SCHEMES.len(), 6..=12_u32).prop_flat_map(|(scheme, company)| {
        let all: Vec<_> = SCHEMES[scheme].parts.iter().flat_map(|part| values(part, company)).collect();
        (Just(scheme), all)
    })
}

/// Whether a scheme in front of this one, which is then the one to be meant, holds the values too.
fn is_first(scheme: &Scheme, values: &[&str]) -> bool {
    let mut same = SCHEMES.iter().filter(|other| other.identity == scheme.identity);
    scheme.name != schemes::DEPRECATED
        && same
            .find(|other| binary::write(other, values).is_ok())
            .is_some_and(|first| first.name == scheme.name)
}

proptest! {
    #[test]
    fn every_name_leads_back((scheme, values) in any_identity()) {
        let scheme = &SCHEMES[scheme];
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let code = binary::write(scheme, &values).unwrap();
        prop_assert_eq!(code.bits() % 16, 0);
        let identity = decode(&code).unwrap();
        prop_assert_eq!(identity.scheme, scheme.name);
        let read: Vec<&str> = identity.fields.iter().map(|(_, value)| value.as_str()).collect();
        prop_assert_eq!(&read, &values);
        let tag = identity.tag_uri.clone().unwrap();
        prop_assert_eq!(parse(&tag, &Hints::default()), Ok(code));
        if !is_first(scheme, &values) {
            return Ok(());
        }
        let of = |name: &str| identity.fields.iter().find(|(known, _)| *known == name).map(|(_, v)| v.clone());
        let filter = of("filter").and_then(|filter| filter.parse().ok());
        let hints = Hints { filter, company_prefixes: of("company_prefix").into_iter().collect(), plus: false };
        prop_assert_eq!(parse(&identity.uri, &hints), Ok(code));
        // A location "0" is one without an extension: the text of the longer scheme says so too.
        if let Some(link) = identity.digital_link() {
            prop_assert_eq!(parse(&link, &hints), Ok(code), "{}", link);
        }
        // Brackets within a value may look like the next element's.
        if let Some(elements) = identity.element_string().filter(|_| !values.iter().any(|v| v.contains('('))) {
            prop_assert_eq!(parse(&elements, &hints), Ok(code), "{}", elements);
        }
        if let Some(link) = identity.digital_link() {
            let plus = parse(&link, &Hints { filter: Some(5), plus: true, ..Hints::default() }).unwrap();
            prop_assert_eq!(decode(&plus).unwrap().elements, identity.elements);
        }
    }

    #[test]
    fn any_bits_are_answered(header in prop::sample::select(headers()), rest in prop::collection::vec(any::<u8>(), 0..62)) {
        let bytes: Vec<u8> = std::iter::once(header).chain(rest).take(62).collect();
        for bits in [bytes.len() * 8, bytes.len() * 8 - 3] {
            let code = Epc::new(bits as u16, &bytes).unwrap();
            let Ok(identity) = decode(&code) else { continue };
            if let Some(tag) = &identity.tag_uri {
                let again = parse(tag, &Hints::default()).unwrap();
                prop_assert_eq!(decode(&again).unwrap(), identity);
            }
        }
    }

    #[test]
    fn any_text_is_answered(text in "(urn:epc:(tag|id|raw|pat|idpat):[a-z0-9-]{0,9}:|https://a/|\\(01\\)|0b|company:|)[\\PC]{0,40}") {
        let hints = Hints { filter: Some(0), company_prefixes: vec!["0614141".into()], plus: true };
        if let Ok(code) = parse(&text, &hints) {
            prop_assert!(code.bits() > 0);
        }
        drop(pattern::parse(&text));
    }
}

fn headers() -> Vec<u8> {
    SCHEMES.iter().map(|s| s.header).chain(PLUS.iter().map(|s| s.header)).chain([0, 0xe2, 0xfd]).collect()
}
