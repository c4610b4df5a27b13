//! Which codes are meant, by name: compiled once into bits and numbers that are compared.
//!
//! | text | means |
//! | --- | --- |
//! | `scheme:giai-96` | every code of the scheme; `scheme:giai`: of any scheme of the key |
//! | `company:0614141` | every code of a GS1 key with this company prefix |
//! | `urn:epc:pat:sgtin-96:*.0614141.*.[1-99]` | EPC pattern URI: scheme, filter value and parts; `*` is anything |
//! | `urn:epc:idpat:sgtin:0614141.*.*` | pure identity pattern: in any scheme, with any filter value |
//! | `urn:epc:tag:…`, `urn:epc:id:…` | just that one |
//! | anything else | digits or bits, as in [`crate::domain::epc_pattern`] |

use super::EpcError;
use super::binary::{digits_of, partition_of, write_part};
use super::bits::Writer;
use super::names::{scheme_named, values};
use super::plus::PLUS;
use super::schemes::{COMPANY_PREFIX_BITS, Form, Part, SCHEMES, Scheme};
use crate::domain::epc_pattern::EpcPattern;

pub const ALLOWED: &str = "\"scheme:giai-96\", \"company:0614141\", an EPC pattern URI such as \
    \"urn:epc:pat:sgtin-96:*.0614141.*.[1-99]\" or \"urn:epc:idpat:giai:0614141.*\", or digits of an EPC in \
    hexadecimal, or in bits behind \"0b\": ? for a digit that may be anything, * at the end for any rest";

/// A code is meant where it matches one of these.
///
/// # Errors
/// The text is no pattern; says what is wrong.
pub fn parse(text: &str) -> Result<Vec<EpcPattern>, String> {
    let (kind, rest) = text.split_once(':').unwrap_or(("", text));
    let named = match kind {
        "scheme" => of_scheme(rest),
        "company" => of_company(rest),
        "urn" => of_urn(rest),
        _ => return EpcPattern::parse(text).map(|pattern| vec![pattern]).map_err(str::to_owned),
    };
    named.map_err(|error| error.to_string())
}

/// Header alone.
fn of_scheme(name: &str) -> Result<Vec<EpcPattern>, EpcError> {
    let is_meant = |scheme: &str, identity: &str| scheme == name || identity == name;
    let plain = SCHEMES.iter().filter(|s| is_meant(s.name, s.identity)).map(|s| s.header);
    let plus = PLUS.iter().filter(|s| is_meant(s.name, s.name.trim_start_matches('d').trim_end_matches('+')));
    let patterns: Vec<_> = plain.chain(plus.map(|s| s.header)).map(headed).collect();
    if patterns.is_empty() { Err(EpcError::UnknownScheme(name.to_owned())) } else { Ok(patterns) }
}

fn headed(header: u8) -> EpcPattern {
    let mut pattern = EpcPattern::any();
    pattern.fix(u128::from(header), 8);
    pattern
}

fn of_company(prefix: &str) -> Result<Vec<EpcPattern>, EpcError> {
    partition_of(prefix)?;
    let keyed =
        SCHEMES.iter().filter(|scheme| scheme.parts.iter().any(|part| matches!(part, Part::Key { .. })));
    let mut patterns = Vec::new();
    for scheme in keyed {
        let count = scheme.names().count();
        let parts = (0..count).map(|at| if at == 1 { prefix } else { "*" }).collect::<Vec<_>>();
        patterns.push(of_parts(scheme, &parts)?);
    }
    for scheme in PLUS {
        let mut pattern = headed(scheme.header);
        pattern.skip(scheme.before_company());
        prefix.bytes().for_each(|digit| pattern.fix(u128::from(digit - b'0'), 4));
        patterns.push(pattern);
    }
    Ok(patterns)
}

fn of_urn(rest: &str) -> Result<Vec<EpcPattern>, EpcError> {
    let fault = EpcError::Text("not urn:epc:pat:…, urn:epc:idpat:…, urn:epc:tag:… or urn:epc:id:…");
    let parts: Vec<&str> = rest.splitn(4, ':').collect();
    let ["epc", kind, name, body] = parts[..] else { return Err(fault) };
    let of = |scheme: &'static Scheme, any_filter: bool| {
        let any_filter = any_filter && scheme.has_filter();
        let mut parts = values(scheme.names().count() - usize::from(any_filter), body)?;
        if any_filter {
            parts.insert(0, "*".to_owned());
        }
        of_parts(scheme, &parts.iter().map(String::as_str).collect::<Vec<_>>())
    };
    match kind {
        "pat" | "tag" => Ok(vec![of(scheme_named(name)?, false)?]),
        "idpat" | "id" => {
            let meant = SCHEMES.iter().filter(|scheme| scheme.identity == name);
            let patterns: Vec<_> = meant.map(|scheme| of(scheme, true)).collect();
            // A serial number may be one that only some of the schemes can hold.
            let last = patterns.last().cloned().ok_or_else(|| EpcError::UnknownScheme(name.to_owned()))?;
            let held: Vec<_> = patterns.into_iter().filter_map(Result::ok).collect();
            if held.is_empty() { last.map(|pattern| vec![pattern]) } else { Ok(held) }
        }
        _ => Err(fault),
    }
}

/// One part of a pattern.
enum Wanted<'p> {
    Any,
    Between(u128, u128),
    Just(&'p str),
}

impl<'p> Wanted<'p> {
    fn new(text: &'p str) -> Result<Self, EpcError> {
        let range = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let Some((least, most)) = range.and_then(|range| range.split_once('-')) else {
            return Ok(if text == "*" { Self::Any } else { Self::Just(text) });
        };
        let (least, most) = (digits_of("range", least)?, digits_of("range", most)?);
        if least > most {
            return Err(EpcError::Text("a range whose end lies before its beginning"));
        }
        Ok(Self::Between(least, most))
    }
}

fn of_parts(scheme: &'static Scheme, parts: &[&str]) -> Result<EpcPattern, EpcError> {
    let expected = scheme.names().count();
    if parts.len() != expected {
        return Err(EpcError::Parts { scheme: scheme.name, expected, found: parts.len() });
    }
    let mut pattern = headed(scheme.header);
    let mut parts = parts.iter().copied();
    // Behind text that ends somewhere, nothing has a place that is known.
    let mut lost = false;
    for part in scheme.parts {
        let mut next = || parts.next().unwrap_or_default();
        if lost {
            let all_any = part.names().iter().all(|_| next() == "*");
            if !all_any {
                return Err(EpcError::Text("behind a * of no fixed length there can only be further ones"));
            }
            continue;
        }
        lost = add(part, &mut next, &mut pattern)?;
    }
    Ok(pattern)
}

/// Returns whether the place of what follows is unknown.
fn add<'p>(
    part: &Part,
    next: &mut impl FnMut() -> &'p str,
    pattern: &mut EpcPattern,
) -> Result<bool, EpcError> {
    match part {
        Part::Key { bits, digits, form, .. } => {
            let (company, reference) = (next(), next());
            add_key(part, (company, reference), *bits, *digits, *form, pattern)
        }
        Part::Filter(bits) | Part::Number { bits, .. } | Part::Fixed { bits, .. } => {
            add_field(part, next(), *bits, true, pattern).map(|()| false)
        }
        Part::Digits { bits, .. } | Part::Text { bits, .. } | Part::Assigner { bits, .. } => {
            add_field(part, next(), *bits, false, pattern).map(|()| false)
        }
        Part::Ended { .. } => {
            let text = next();
            if text == "*" {
                return Ok(true);
            }
            add_field(part, text, 0, false, pattern).map(|()| false)
        }
        Part::Zero(bits) => {
            pattern.skip(*bits);
            Ok(false)
        }
    }
}

fn add_field(
    part: &Part,
    text: &str,
    bits: u16,
    is_number: bool,
    pattern: &mut EpcPattern,
) -> Result<(), EpcError> {
    match Wanted::new(text)? {
        Wanted::Any => pattern.skip(bits),
        Wanted::Between(least, most) if is_number => pattern.within(least, most, bits),
        Wanted::Between(..) => return Err(EpcError::Text("a range of what is no number")),
        Wanted::Just(value) => {
            let mut out = Writer::default();
            write_part(part, || value, &mut out)?;
            fix(&out, pattern);
        }
    }
    Ok(())
}

fn fix(out: &Writer, pattern: &mut EpcPattern) {
    (0..out.len()).for_each(|at| pattern.fix(u128::from(out.bit(at)), 1));
}

fn add_key(
    part: &Part,
    (company, reference): (&str, &str),
    bits: u16,
    digits: u32,
    form: Form,
    pattern: &mut EpcPattern,
) -> Result<bool, EpcError> {
    if company == "*" {
        if reference != "*" {
            return Err(EpcError::Text(
                "where the company prefix may be any, so may what the company counts",
            ));
        }
        pattern.skip(if form == Form::Ended { 0 } else { 3 + bits });
        return Ok(form == Form::Ended);
    }
    let partition = partition_of(company)?;
    let company_bits = COMPANY_PREFIX_BITS[partition];
    let wanted = Wanted::new(reference)?;
    if matches!(wanted, Wanted::Just(_)) {
        let mut both = [company, reference].into_iter();
        let mut out = Writer::default();
        write_part(part, || both.next().unwrap_or_default(), &mut out)?;
        fix(&out, pattern);
        return Ok(false);
    }
    pattern.fix(partition as u128, 3);
    pattern.fix(digits_of("company_prefix", company)?, company_bits);
    match wanted {
        _ if form == Form::Ended && reference == "*" => return Ok(true),
        Wanted::Between(least, most) if matches!(form, Form::Padded | Form::Plain) => {
            let limit = 10u128.pow(digits - company.len() as u32) - 1;
            pattern.within(least, most.min(limit), bits - company_bits);
        }
        Wanted::Between(..) => return Err(EpcError::Text("a range of what is no number")),
        _ => pattern.skip(bits - company_bits),
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::epc::Epc;

    /// Codes of the standard's examples by number, and a neighbour.
    const CODES: [&str; 6] = [
        "urn:epc:tag:sgtin-96:3.0614141.812345.6789",
        "urn:epc:tag:sgtin-198:3.0614141.712345.32a%2Fb",
        "urn:epc:tag:giai-96:3.0614141.5678",
        "urn:epc:tag:giai-96:1.061414.15678",
        "urn:epc:tag:cpi-var:3.9521141.5PQ7%2FZ43.12345",
        "urn:epc:tag:adi-var:3.35962.PQ7VZ4.M37GXB92",
    ];

    fn meant(text: &str) -> Vec<usize> {
        let patterns = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let code = |name: &&str| super::super::parse(name, &Default::default()).unwrap();
        let codes = CODES.iter().map(code).enumerate();
        codes
            .filter(|(_, code)| patterns.iter().any(|pattern| pattern.matches(code)))
            .map(|(nth, _)| nth)
            .collect()
    }

    #[test]
    fn patterns_mean_what_the_table_says() {
        for (text, expected) in [
            ("scheme:giai-96", vec![2, 3]),
            ("scheme:sgtin", vec![0, 1]),
            ("company:0614141", vec![0, 1, 2]),
            ("company:061414", vec![3]),
            ("company:9521141", vec![4]),
            ("urn:epc:pat:sgtin-96:*.*.*.*", vec![0]),
            ("urn:epc:pat:sgtin-96:3.0614141.812345.6789", vec![0]),
            ("urn:epc:pat:sgtin-96:1.0614141.812345.6789", vec![]),
            ("urn:epc:pat:sgtin-96:[0-3].0614141.*.[6700-6789]", vec![0]),
            ("urn:epc:pat:sgtin-96:*.0614141.*.[0-6788]", vec![]),
            ("urn:epc:pat:sgtin-96:*.0614141.[812300-812345].*", vec![0]),
            ("urn:epc:pat:sgtin-96:*.0614141.[812300-812344].*", vec![]),
            ("urn:epc:pat:sgtin-198:*.0614141.712345.32a%2Fb", vec![1]),
            ("urn:epc:idpat:sgtin:0614141.*.*", vec![0, 1]),
            ("urn:epc:idpat:giai:0614141.*", vec![2]),
            ("urn:epc:id:giai:0614141.5678", vec![2]),
            ("urn:epc:tag:giai-96:3.0614141.5678", vec![2]),
            ("urn:epc:tag:giai-96:2.0614141.5678", vec![]),
            ("urn:epc:pat:cpi-var:*.9521141.*.*", vec![4]),
            ("urn:epc:pat:cpi-var:*.9521141.5PQ7%2FZ43.[1-12345]", vec![4]),
            ("urn:epc:pat:cpi-var:*.9521141.5PQ7%2FZ43.[1-12344]", vec![]),
            ("urn:epc:pat:adi-var:*.35962.*.*", vec![5]),
            ("urn:epc:pat:adi-var:*.35962.PQ7VZ4.M37GXB92", vec![5]),
            ("urn:epc:pat:adi-var:*.35962.PQ7VZ5.*", vec![]),
            ("3074*", vec![0]),
            ("0b0011_1???*", vec![4, 5]),
        ] {
            assert_eq!(meant(text), expected, "{text}");
        }
    }

    #[test]
    fn a_company_prefix_is_found_in_every_scheme_that_has_one() {
        let hints = super::super::Hints { filter: Some(3), plus: true, ..Default::default() };
        let patterns = parse("company:9521141").unwrap();
        for link in [
            "01/79521141123453/21/32a%2Fb",
            "01/79521141123453/21/32a%2Fb?17=220630",
            "414/9521141123454/254/32a%2Fb",
            "8003/0952114112345432a%2Fb",
            "8004/952114132a%2Fb",
            "8010/95211415PQ7%2FZ43/8011/12345",
            "8018/952114112345678906",
            "8006/095211411234540102/21/rif981",
        ] {
            let code: Epc = super::super::parse(&format!("https://id.gs1.org/{link}"), &hints).unwrap();
            assert!(patterns.iter().any(|pattern| pattern.matches(&code)), "{link}");
            assert!(
                !parse("company:9521142").unwrap().iter().any(|pattern| pattern.matches(&code)),
                "{link}"
            );
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in [
            "scheme:sgtin-95",
            "company:12345",
            "company:",
            "urn:epc:pat:sgtin-96:*.*.812345.*",
            "urn:epc:pat:sgtin-96:*.0614141.*",
            "urn:epc:pat:sgtin-96:*.0614141.*.[9-1]",
            "urn:epc:pat:sgtin-198:*.0614141.*.[1-9]",
            "urn:epc:pat:cpi-var:*.9521141.*.12345",
            "urn:epc:idpat:nothing:1.2",
            "urn:epc:raw:96.x30",
            "nonsense",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
