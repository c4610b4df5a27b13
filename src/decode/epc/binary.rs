//! Bits ↔ the values of a scheme's parts, both ways along one table.

use super::EpcError;
use super::bits::{Bits, Writer};
use super::characters::{is_39, is_82, is_cage, of_six_bits};
use super::schemes::{COMPANY_PREFIX, COMPANY_PREFIX_BITS, FILTER, Form, Part, Scheme};
use crate::domain::epc::Epc;

/// Name and value, unescaped, in the order of the tag URI.
pub(super) type Fields = Vec<(&'static str, String)>;

/// `bits` stand behind the header.
pub(super) fn read(scheme: &Scheme, bits: &mut Bits<'_>) -> Result<Fields, EpcError> {
    let mut fields = Fields::new();
    for part in scheme.parts {
        match part {
            Part::Filter(count) => fields.push((FILTER, bits.take(*count).to_string())),
            Part::Key { name, bits: both, digits, form } => {
                read_key(name, *both, *digits, *form, bits, &mut fields)?;
            }
            Part::Number { name, bits: count, digits } => {
                fields.push((name, plain(name, bits.take(*count), *digits)?));
            }
            Part::Fixed { name, bits: count, digits } => {
                fields.push((name, padded(name, bits.take(*count), *digits)?));
            }
            Part::Digits { name, bits: count, .. } => {
                let text = bits.take(*count).to_string();
                let digits = text.strip_prefix('1').filter(|digits| !digits.is_empty());
                fields.push((name, digits.ok_or(EpcError::Characters { field: name })?.to_owned()));
            }
            Part::Text { name, bits: count } => {
                fields.push((name, read_text(name, bits, *count, u32::from(*count / 7))?));
            }
            Part::Ended { name, most, least } => {
                fields.push((name, read_ended(name, bits, *most, *least)?));
            }
            Part::Assigner { name, bits: count } => fields.push((name, read_assigner(name, bits, *count)?)),
            Part::Zero(count) => {
                if bits.take(*count) != 0 {
                    return Err(EpcError::NotZero);
                }
            }
        }
    }
    Ok(fields)
}

fn read_key(
    name: &'static str,
    both: u16,
    digits: u32,
    form: Form,
    bits: &mut Bits<'_>,
    fields: &mut Fields,
) -> Result<(), EpcError> {
    let partition = bits.take(3);
    let company_bits = usize::try_from(partition).ok().and_then(|p| COMPANY_PREFIX_BITS.get(p));
    let company_bits = *company_bits.ok_or(EpcError::Partition(partition as u64))?;
    let company_digits = 12 - partition as u32;
    fields.push((COMPANY_PREFIX, padded(COMPANY_PREFIX, bits.take(company_bits), company_digits)?));
    let digits = digits - company_digits;
    let reference = match form {
        Form::Padded => padded(name, bits.take(both - company_bits), digits)?,
        Form::Plain => plain(name, bits.take(both - company_bits), digits)?,
        Form::Text => read_text(name, bits, both - company_bits, digits)?,
        Form::Ended => read_ended(name, bits, digits, 1)?,
    };
    fields.push((name, reference));
    Ok(())
}

/// `value` with leading zeros; no digits at all for a part that the company prefix leaves no room for.
fn padded(field: &'static str, value: u128, digits: u32) -> Result<String, EpcError> {
    let text = plain(field, value, digits)?;
    Ok(if digits == 0 { String::new() } else { format!("{text:0>width$}", width = digits as usize) })
}

fn plain(field: &'static str, value: u128, digits: u32) -> Result<String, EpcError> {
    if value >= 10u128.pow(digits) {
        return Err(EpcError::TooManyDigits { field, value, digits });
    }
    Ok(value.to_string())
}

/// Seven bits a character up to a zero, then zeros.
fn read_text(field: &'static str, bits: &mut Bits<'_>, count: u16, most: u32) -> Result<String, EpcError> {
    let mut text = String::new();
    let mut ended = false;
    for _ in 0..count / 7 {
        match bits.take(7) as u8 {
            0 => ended = true,
            character if !ended && is_82(character) => text.push(char::from(character)),
            _ => return Err(EpcError::Characters { field }),
        }
    }
    if bits.take(count % 7) != 0 {
        return Err(EpcError::NotZero);
    }
    let found = text.len();
    match found {
        0 => Err(EpcError::Characters { field }),
        _ if found > most as usize => Err(EpcError::TooManyCharacters { field, expected: most, found }),
        _ => Ok(text),
    }
}

/// Six bits a character up to a zero.
fn read_ended(field: &'static str, bits: &mut Bits<'_>, most: u32, least: u32) -> Result<String, EpcError> {
    let mut text = String::new();
    while text.len() <= most as usize {
        match bits.take(6) as u8 {
            0 if text.len() < least as usize => return Err(EpcError::Characters { field }),
            0 => return Ok(text),
            six if is_39(of_six_bits(six)) => text.push(char::from(of_six_bits(six))),
            _ => return Err(EpcError::Characters { field }),
        }
    }
    Err(EpcError::TooManyCharacters { field, expected: most, found: text.len() })
}

fn read_assigner(field: &'static str, bits: &mut Bits<'_>, count: u16) -> Result<String, EpcError> {
    let mut text = String::new();
    for nth in 0..6 {
        let character = bits.take(count / 6) as u8;
        let character = if count == 36 { of_six_bits(character) } else { character };
        match character {
            b' ' if nth == 0 => {}
            character if is_cage(character) => text.push(char::from(character)),
            _ => return Err(EpcError::Characters { field }),
        }
    }
    Ok(text)
}

/// The code whose parts have these values, in the order of the tag URI, unescaped.
pub(super) fn write(scheme: &'static Scheme, values: &[&str]) -> Result<Epc, EpcError> {
    let expected = scheme.names().count();
    if values.len() != expected {
        return Err(EpcError::Parts { scheme: scheme.name, expected, found: values.len() });
    }
    let mut out = Writer::default();
    out.push(u128::from(scheme.header), 8);
    let mut values = values.iter().copied();
    for part in scheme.parts {
        write_part(part, || values.next().unwrap_or_default(), &mut out)?;
    }
    out.finish()
}

/// A part's bits; `next` gives its values.
pub(super) fn write_part<'v>(
    part: &Part,
    mut next: impl FnMut() -> &'v str,
    out: &mut Writer,
) -> Result<(), EpcError> {
    match part {
        Part::Filter(bits) => write_number(FILTER, next(), *bits, 2, out),
        Part::Key { name, bits, digits, form } => {
            let (company, reference) = (next(), next());
            write_key(name, (company, reference), *bits, *digits, *form, out)
        }
        Part::Number { name, bits, digits } => write_number(name, next(), *bits, *digits, out),
        Part::Fixed { name, bits, digits } => write_fixed(name, next(), *bits, *digits, out),
        Part::Digits { name, bits, digits } => {
            let value = next();
            let found = digits_of(name, value)?;
            if value.len() > *digits as usize {
                return Err(EpcError::TooManyDigits { field: name, value: found, digits: *digits });
            }
            out.push(10u128.pow(value.len() as u32) + found, *bits);
            Ok(())
        }
        Part::Text { name, bits } => write_text(name, next(), *bits, u32::from(*bits / 7), out),
        Part::Ended { name, most, least } => write_ended(name, next(), *most, *least, out),
        Part::Assigner { name, bits } => write_assigner(name, next(), *bits, out),
        Part::Zero(bits) => {
            out.push(0, *bits);
            Ok(())
        }
    }
}

/// The partition value that a company prefix of so many digits has.
pub(super) fn partition_of(company: &str) -> Result<usize, EpcError> {
    let fits = (6..=12).contains(&company.len()) && company.bytes().all(|c| c.is_ascii_digit());
    if fits { Ok(12 - company.len()) } else { Err(EpcError::CompanyPrefix(company.to_owned())) }
}

fn write_key(
    name: &'static str,
    (company, reference): (&str, &str),
    both: u16,
    digits: u32,
    form: Form,
    out: &mut Writer,
) -> Result<(), EpcError> {
    let partition = partition_of(company)?;
    let company_bits = COMPANY_PREFIX_BITS[partition];
    out.push(partition as u128, 3);
    write_fixed(COMPANY_PREFIX, company, company_bits, company.len() as u32, out)?;
    let digits = digits - company.len() as u32;
    match form {
        Form::Padded => write_fixed(name, reference, both - company_bits, digits, out),
        Form::Plain => write_number(name, reference, both - company_bits, digits, out),
        Form::Text => write_text(name, reference, both - company_bits, digits, out),
        Form::Ended => write_ended(name, reference, digits, 1, out),
    }
}

/// The number in decimal digits; 0 where there are none.
pub(super) fn digits_of(field: &'static str, text: &str) -> Result<u128, EpcError> {
    let is_number = text.len() <= 36 && text.bytes().all(|c| c.is_ascii_digit());
    if !is_number {
        return Err(EpcError::Characters { field });
    }
    Ok(text.bytes().fold(0, |number, digit| number * 10 + u128::from(digit - b'0')))
}

fn write_number(
    field: &'static str,
    text: &str,
    bits: u16,
    digits: u32,
    out: &mut Writer,
) -> Result<(), EpcError> {
    let value = digits_of(field, text)?;
    let most = ((1 << bits) - 1).min(10u128.pow(digits) - 1);
    if text.is_empty() {
        return Err(EpcError::Characters { field });
    }
    if text.len() > 1 && text.starts_with('0') {
        return Err(EpcError::LeadingZeros { field, value: text.to_owned() });
    }
    if value > most {
        return Err(EpcError::Range { field, value, most });
    }
    out.push(value, bits);
    Ok(())
}

fn write_fixed(
    field: &'static str,
    text: &str,
    bits: u16,
    digits: u32,
    out: &mut Writer,
) -> Result<(), EpcError> {
    let value = digits_of(field, text)?;
    if text.len() != digits as usize {
        return Err(EpcError::Digits { field, expected: digits, found: text.to_owned() });
    }
    out.push(value, bits);
    Ok(())
}

fn check_text(
    field: &'static str,
    text: &str,
    most: u32,
    least: u32,
    allowed: fn(u8) -> bool,
) -> Result<(), EpcError> {
    if text.len() < least as usize || !text.bytes().all(allowed) {
        return Err(EpcError::Characters { field });
    }
    if text.len() > most as usize {
        return Err(EpcError::TooManyCharacters { field, expected: most, found: text.len() });
    }
    Ok(())
}

fn write_text(
    field: &'static str,
    text: &str,
    bits: u16,
    most: u32,
    out: &mut Writer,
) -> Result<(), EpcError> {
    check_text(field, text, most, 1, is_82)?;
    text.bytes().for_each(|character| out.push(u128::from(character), 7));
    out.push(0, bits - 7 * text.len() as u16);
    Ok(())
}

fn write_ended(
    field: &'static str,
    text: &str,
    most: u32,
    least: u32,
    out: &mut Writer,
) -> Result<(), EpcError> {
    check_text(field, text, most, least, is_39)?;
    text.bytes().for_each(|character| out.push(u128::from(character), 6));
    out.push(0, 6);
    Ok(())
}

fn write_assigner(field: &'static str, text: &str, bits: u16, out: &mut Writer) -> Result<(), EpcError> {
    check_text(field, text, 6, 5, is_cage)?;
    let blank = (text.len() == 5).then_some(b' ');
    blank.into_iter().chain(text.bytes()).for_each(|character| out.push(u128::from(character), bits / 6));
    Ok(())
}
