//! GS1 elements (application identifier and value) ↔ the parts of an EPC (GS1 EPC Tag Data Standard 2.3,
//! section 7), and their two spellings: element strings and Digital Link URIs.

use super::EpcError;
use super::binary::{Fields, partition_of};
use super::characters::{link_escaped, unescaped};
use super::plus::date_element;
use super::schemes::COMPANY_PREFIX;

/// The key first, then what qualifies it.
pub(super) type Elements = Vec<(&'static str, String)>;

/// Keys, each with what may qualify it and is part of the EPC.
const KEYS: [(&str, &str, &[&str]); 11] = [
    ("01", "sgtin", &["21"]),
    ("00", "sscc", &[]),
    ("414", "sgln", &["254"]),
    ("8003", "grai", &[]),
    ("8004", "giai", &[]),
    ("8018", "gsrn", &[]),
    ("8017", "gsrnp", &[]),
    ("253", "gdti", &[]),
    ("8010", "cpi", &["8011"]),
    ("255", "sgcn", &[]),
    ("8006", "itip", &["21"]),
];

/// What stands beside a key and names no single thing: variants, lots, places and services within.
const PASSED_OVER: [&str; 4] = ["22", "10", "235", "8019"];

/// The elements of an identity; `None` where its scheme has no GS1 key.
pub(super) fn of_fields(identity: &str, fields: &Fields) -> Option<Elements> {
    let of = |name: &str| fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    let company = of(COMPANY_PREFIX)?;
    // The first part behind the prefix is what the company counts.
    let at = fields.iter().position(|(name, _)| *name == COMPANY_PREFIX)?;
    let reference = fields.get(at + 1)?.1.as_str();
    let leading = || {
        let (digit, rest) = reference.split_at_checked(1)?;
        Some(checked(&format!("{digit}{company}{rest}")))
    };
    let key = checked(&format!("{company}{reference}"));
    let serial = |name| of(name).map(str::to_owned);
    Some(match identity {
        "sgtin" => vec![("01", leading()?), ("21", serial("serial")?)],
        "itip" => {
            let itip = format!("{}{}{}", leading()?, of("piece")?, of("total")?);
            vec![("8006", itip), ("21", serial("serial")?)]
        }
        "sscc" => vec![("00", leading()?)],
        "sgln" if of("extension") == Some("0") => vec![("414", key)],
        "sgln" => vec![("414", key), ("254", serial("extension")?)],
        "grai" => vec![("8003", format!("0{key}{}", of("serial")?))],
        "giai" => vec![("8004", format!("{company}{reference}"))],
        "gsrn" => vec![("8018", key)],
        "gsrnp" => vec![("8017", key)],
        "gdti" => vec![("253", format!("{key}{}", of("serial")?))],
        "sgcn" => vec![("255", format!("{key}{}", of("serial")?))],
        "cpi" => vec![("8010", format!("{company}{reference}")), ("8011", serial("serial")?)],
        _ => return None,
    })
}

/// Identity and values (in the order of its pure identity URI) of elements whose company prefix is one of
/// `prefixes`.
pub(super) fn to_values(
    elements: &Elements,
    prefixes: &[String],
) -> Result<(&'static str, Vec<String>), EpcError> {
    let (ai, value) = elements.first().ok_or(EpcError::Empty)?;
    has_check_digit(ai, value)?;
    if whole_length(ai).is_some_and(|digits| value.len() != digits) {
        return Err(EpcError::Text("there is more in it than its key"));
    }
    let identity = KEYS.iter().find(|(key, ..)| key == ai).map_or("", |(_, identity, _)| identity);
    let mut behind = elements.iter().skip(1).filter(|(ai, _)| date_element(ai).is_none());
    let qualifier = behind.next().map(|(_, value)| value.clone());
    let missing = EpcError::Text("it names a class and no single thing: the serial number is missing");
    let company = |digits: &str| company_of(digits, prefixes);
    let split = |digits: &str| -> Result<Vec<String>, EpcError> {
        let (prefix, reference) = digits.split_at(company(digits)?);
        Ok(vec![prefix.to_owned(), reference.to_owned()])
    };
    // A key of so many digits, the last of them its check digit, and what stands behind it.
    let key = |digits: usize| value.split_at_checked(digits).map(|(key, rest)| (&key[..digits - 1], rest));
    let short = EpcError::Text("the key has too few digits");
    let mut values = match *ai {
        "01" | "00" | "8006" => {
            let (digits, _) = key(if *ai == "00" { 18 } else { 14 }).ok_or(short)?;
            let (leading, rest) = digits.split_at(1);
            let (prefix, reference) = rest.split_at(company(rest)?);
            vec![prefix.to_owned(), format!("{leading}{reference}")]
        }
        "8004" | "8010" => split(value)?,
        "8003" => split(&key(14).ok_or(short)?.0[1..])?,
        "8017" | "8018" => split(key(18).ok_or(short)?.0)?,
        _ => split(key(13).ok_or(short)?.0)?,
    };
    match *ai {
        "01" | "8010" => values.push(qualifier.ok_or(missing)?),
        "414" => values.push(qualifier.unwrap_or_else(|| "0".to_owned())),
        "8006" => {
            let behind = key(14).map_or("", |(_, rest)| rest);
            let (piece, total) = behind.split_at_checked(2).unwrap_or_default();
            values.extend([piece.to_owned(), total.to_owned(), qualifier.ok_or(missing)?]);
        }
        "8003" | "253" | "255" => {
            let serial = value.get(if *ai == "8003" { 14 } else { 13 }..).unwrap_or_default();
            if serial.is_empty() {
                return Err(missing);
            }
            values.push(serial.to_owned());
        }
        _ => {}
    }
    Ok((identity, values))
}

/// Digits of the longest of the prefixes that the number begins with.
fn company_of(digits: &str, prefixes: &[String]) -> Result<usize, EpcError> {
    let mut longest = None;
    for prefix in prefixes {
        partition_of(prefix)?;
        if digits.starts_with(prefix.as_str()) {
            longest = longest.max(Some(prefix.len()));
        }
    }
    longest.ok_or_else(|| EpcError::NoCompanyPrefix(digits.to_owned()))
}

/// The check digit of digits without one: weights 3 and 1 in turn from the right.
pub(super) fn check_digit(digits: &str) -> char {
    let weighted = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(nth, digit)| u32::from(digit.wrapping_sub(b'0') % 10) * if nth % 2 == 0 { 3 } else { 1 });
    let sum = weighted.sum::<u32>() % 10;
    char::from(b'0' + ((10 - sum) % 10) as u8)
}

fn checked(digits: &str) -> String {
    format!("{digits}{}", check_digit(digits))
}

/// Digits at the beginning of each key's value that end in a check digit.
fn checked_digits(ai: &str) -> Option<usize> {
    match ai {
        "01" | "8003" | "8006" => Some(14),
        "00" | "8017" | "8018" => Some(18),
        "414" | "253" | "255" => Some(13),
        _ => None,
    }
}

/// Of the keys behind which nothing else stands in their element, and of a piece (a key, its number, their
/// count): characters in all.
fn whole_length(ai: &str) -> Option<usize> {
    match ai {
        "01" => Some(14),
        "00" | "8017" | "8018" | "8006" => Some(18),
        "414" => Some(13),
        _ => None,
    }
}

/// The check digit in an element's value, where it has one.
pub(super) fn check_digit_of(ai: &str, value: &str) -> Option<char> {
    value.get(..checked_digits(ai)?)?.chars().next_back()
}

pub(super) fn has_check_digit(ai: &str, value: &str) -> Result<(), EpcError> {
    let Some(count) = checked_digits(ai) else { return Ok(()) };
    let short = EpcError::Text("the key has too few digits, or others than digits");
    let digits = value.get(..count).filter(|digits| digits.bytes().all(|c| c.is_ascii_digit()));
    let digits = digits.ok_or(short)?;
    if ai == "8003" && !digits.starts_with('0') {
        return Err(EpcError::Text("a GRAI begins with a 0"));
    }
    let expected = check_digit(&digits[..count - 1]);
    if digits.ends_with(expected) {
        return Ok(());
    }
    Err(EpcError::CheckDigit { number: digits.to_owned(), expected })
}

/// `(01)80614141123458(21)6789`
pub(super) fn element_string(elements: &Elements) -> String {
    elements.iter().map(|(ai, value)| format!("({ai}){value}")).collect()
}

/// Canonical: `https://id.gs1.org/01/80614141123458/21/6789`, a date behind a question mark.
pub(super) fn digital_link(elements: &Elements) -> String {
    let mut link = "https://id.gs1.org".to_owned();
    for (ai, value) in elements.iter().filter(|(ai, _)| date_element(ai).is_none()) {
        link += &format!("/{ai}/{}", link_escaped(value));
    }
    for (ai, value) in elements.iter().filter(|(ai, _)| date_element(ai).is_some()) {
        link += &format!("?{ai}={value}");
    }
    link
}

pub(super) fn parse_element_string(text: &str) -> Result<Elements, EpcError> {
    let fault = || EpcError::Text("not an element string, such as (01)80614141123458(21)6789");
    let mut pairs = Vec::new();
    let mut rest = text.strip_prefix('(').ok_or_else(fault)?;
    loop {
        let (ai, behind) = rest.split_once(')').ok_or_else(fault)?;
        // A value may have brackets of its own; one with digits in it begins the next element.
        let end = behind.match_indices('(').map(|(at, _)| at).find(|at| begins_element(&behind[*at..]));
        let value = &behind[..end.unwrap_or(behind.len())];
        pairs.push((ai.to_owned(), value.to_owned()));
        match end {
            Some(end) => rest = &behind[end + 1..],
            None => return gather(pairs),
        }
    }
}

fn begins_element(text: &str) -> bool {
    let ai = text[1..].split_once(')').map_or("", |(ai, _)| ai);
    let is_qualifier = KEYS.iter().any(|(_, _, qualifiers)| qualifiers.contains(&ai));
    is_qualifier || PASSED_OVER.contains(&ai) || date_element(ai).is_some()
}

/// Of a GS1 Digital Link URI of any domain; what leads to its key is passed over.
pub(super) fn parse_digital_link(text: &str) -> Result<Elements, EpcError> {
    let fault =
        || EpcError::Text("not a GS1 Digital Link, such as https://id.gs1.org/01/80614141123458/21/6789");
    let (_, behind) = text.split_once("://").ok_or_else(fault)?;
    let behind = behind.split('#').next().unwrap_or_default();
    let (path, query) = behind.split_once('?').unwrap_or((behind, ""));
    let segments: Vec<&str> = path.trim_end_matches('/').split('/').skip(1).collect();
    let key = (0..segments.len()).find(|at| is_path(&segments[*at..])).ok_or_else(fault)?;
    let mut pairs = Vec::new();
    for pair in segments[key..].chunks(2) {
        let [ai, value] = pair else { return Err(fault()) };
        pairs.push(((*ai).to_owned(), unescaped(value)?));
    }
    for (ai, value) in query.split(['&', ';']).filter_map(|pair| pair.split_once('=')) {
        if date_element(ai).is_some() {
            pairs.push((ai.to_owned(), unescaped(value)?));
        }
    }
    gather(pairs)
}

/// A key and its value, and then nothing but what may qualify it.
fn is_path(segments: &[&str]) -> bool {
    let Some((_, _, qualifiers)) = KEYS.iter().find(|(key, ..)| segments.first() == Some(key)) else {
        return false;
    };
    let qualifies = |pair: &[&str]| qualifiers.contains(&pair[0]) || PASSED_OVER.contains(&pair[0]);
    segments.len().is_multiple_of(2) && segments[2..].chunks(2).all(qualifies)
}

/// The key, what qualifies it, and a date; nothing twice.
fn gather(pairs: Vec<(String, String)>) -> Result<Elements, EpcError> {
    let mut pairs = pairs.into_iter();
    let (ai, value) = pairs.next().ok_or(EpcError::Empty)?;
    let key = KEYS.iter().find(|(key, ..)| *key == ai);
    let (key, _, qualifiers) = key.ok_or(EpcError::Text("its key is of no scheme that tags carry"))?;
    // GTINs of 8, 12 and 13 digits are the same numbers with zeros in front.
    let value =
        if *key == "01" && [8, 12, 13].contains(&value.len()) { format!("{value:0>14}") } else { value };
    let mut elements = vec![(*key, value)];
    let mut dates = Elements::new();
    for (ai, value) in pairs {
        let known = qualifiers.iter().copied().find(|known| *known == ai);
        let (list, ai) = match (known, date_element(&ai)) {
            (Some(known), _) => (&mut elements, known),
            (None, Some(date)) => (&mut dates, date),
            (None, None) if PASSED_OVER.contains(&ai.as_str()) => continue,
            (None, None) => return Err(EpcError::Text("it has an element that no tag of this key carries")),
        };
        if list.iter().any(|(known, _)| *known == ai) {
            return Err(EpcError::Text("it has an element twice"));
        }
        list.push((ai, value));
    }
    elements.append(&mut dates);
    Ok(elements)
}
