//! The schemes with a plus: GS1 keys as they stand in a barcode, whatever their company prefix (GS1 EPC Tag
//! Data Standard 2.3, sections 14.5 and 14.6). Data that follow the code in the same memory are not read.

use super::EpcError;
use super::alphanumeric;
use super::binary::{Fields, digits_of};
use super::bits::{Bits, Writer};
use super::elements::{Elements, has_check_digit};
use super::schemes::FILTER;
use crate::domain::epc::Epc;

pub(super) struct PlusScheme {
    pub header: u8,
    pub name: &'static str,
    /// A date that stands in front, so that a reader can select by it.
    dated: bool,
    pub values: &'static [Value],
}

/// The value of one application identifier.
pub(super) struct Value {
    pub ai: &'static str,
    pub name: &'static str,
    /// Digits of four bits that there always are.
    digits: usize,
    rest: Rest,
}

enum Rest {
    None,
    /// At most so many characters, behind an indicator of their encoding.
    Alphanumeric(usize),
    /// Digits of four bits, as many as there are, and perhaps characters behind them; at most so many.
    Delimited(usize),
    /// At most so many digits, without an indicator.
    Digits(usize),
}

const GTIN: Value = fixed("01", "gtin", 14);
const SERIAL: Value = Value { ai: "21", name: "serial", digits: 0, rest: Rest::Alphanumeric(20) };

pub(super) const PLUS: &[PlusScheme] = &[
    plus(
        0xf0,
        "cpi+",
        &[
            Value { ai: "8010", name: "component", digits: 0, rest: Rest::Delimited(30) },
            Value { ai: "8011", name: "serial", digits: 0, rest: Rest::Digits(12) },
        ],
    ),
    plus(0xf1, "grai+", &[Value { ai: "8003", name: "grai", digits: 14, rest: Rest::Alphanumeric(16) }]),
    plus(
        0xf2,
        "sgln+",
        &[
            fixed("414", "gln", 13),
            Value { ai: "254", name: "extension", digits: 0, rest: Rest::Alphanumeric(20) },
        ],
    ),
    plus(0xf3, "itip+", &[fixed("8006", "itip", 18), SERIAL]),
    plus(0xf4, "gsrn+", &[fixed("8018", "gsrn", 18)]),
    plus(0xf5, "gsrnp+", &[fixed("8017", "gsrnp", 18)]),
    plus(0xf6, "gdti+", &[Value { ai: "253", name: "gdti", digits: 13, rest: Rest::Alphanumeric(17) }]),
    plus(0xf7, "sgtin+", &[GTIN, SERIAL]),
    plus(0xf8, "sgcn+", &[Value { ai: "255", name: "gcn", digits: 13, rest: Rest::Digits(12) }]),
    plus(0xf9, "sscc+", &[fixed("00", "sscc", 18)]),
    plus(0xfa, "giai+", &[Value { ai: "8004", name: "giai", digits: 0, rest: Rest::Delimited(30) }]),
    PlusScheme { header: 0xfb, name: "dsgtin+", dated: true, values: &[GTIN, SERIAL] },
];

const fn plus(header: u8, name: &'static str, values: &'static [Value]) -> PlusScheme {
    PlusScheme { header, name, dated: false, values }
}

const fn fixed(ai: &'static str, name: &'static str, digits: usize) -> Value {
    Value { ai, name, digits, rest: Rest::None }
}

/// What the date of a DSGTIN+ may mean: the application identifier of each date type.
const DATES: [(&str, &str); 7] = [
    ("11", "production_date"),
    ("13", "packaging_date"),
    ("15", "best_before_date"),
    ("16", "sell_by_date"),
    ("17", "expiration_date"),
    ("7006", "first_freeze_date"),
    ("7007", "harvest_date"),
];

impl PlusScheme {
    /// Bits between header and company prefix: toggle, filter, date, and the digit in front of the prefix.
    pub fn before_company(&self) -> u16 {
        let leading = ["01", "00", "8003", "8006"].contains(&self.values[0].ai);
        4 + if self.dated { 20 } else { 0 } + if leading { 4 } else { 0 }
    }
}

/// Parts and elements of a code; `bits` stand behind the header.
pub(super) fn read(scheme: &PlusScheme, bits: &mut Bits<'_>) -> Result<(Fields, Elements), EpcError> {
    let has_more = bits.take(1) == 1;
    let mut fields = vec![(FILTER, bits.take(3).to_string())];
    let mut elements = Elements::new();
    let mut dates = Elements::new();
    if scheme.dated {
        let (ai, name, date) = read_date(bits)?;
        fields.push((name, date.clone()));
        dates.push((ai, date));
    }
    for value in scheme.values {
        let text = value.read(bits)?;
        has_check_digit(value.ai, &text)?;
        fields.push((value.name, text.clone()));
        elements.push((value.ai, text));
    }
    elements.append(&mut dates);
    if !has_more && !bits.rest_is_zero() {
        return Err(EpcError::NotZero);
    }
    Ok((fields, elements))
}

impl Value {
    fn read(&self, bits: &mut Bits<'_>) -> Result<String, EpcError> {
        let mut text = String::new();
        for _ in 0..self.digits {
            let digit = bits.take(4) as u8;
            if digit > 9 {
                return Err(EpcError::Characters { field: self.name });
            }
            text.push(char::from(b'0' + digit));
        }
        match self.rest {
            Rest::None => {}
            Rest::Alphanumeric(most) => text += &alphanumeric::read(self.name, bits, most)?,
            Rest::Delimited(most) => text = read_delimited(self.name, bits, most)?,
            Rest::Digits(most) => {
                let length = bits.take(4) as usize;
                text += &alphanumeric::read_digits(self.name, bits, length, most)?;
            }
        }
        Ok(text)
    }

    fn write(&self, text: &str, out: &mut Writer) -> Result<(), EpcError> {
        let (digits, rest) =
            text.split_at_checked(self.digits).ok_or(EpcError::Characters { field: self.name })?;
        write_digits(self.name, digits, out)?;
        match self.rest {
            Rest::None if rest.is_empty() => Ok(()),
            Rest::None => Err(EpcError::TooManyCharacters {
                field: self.name,
                expected: self.digits as u32,
                found: text.len(),
            }),
            Rest::Alphanumeric(most) => alphanumeric::write(self.name, rest, most, out),
            Rest::Delimited(most) => write_delimited(self.name, rest, most, out),
            Rest::Digits(most) => {
                digits_of(self.name, rest)?;
                alphanumeric::check_length(self.name, rest.len(), most)?;
                out.push(rest.len() as u128, 4);
                alphanumeric::write_digits(self.name, rest, out)
            }
        }
    }
}

fn write_digits(field: &'static str, digits: &str, out: &mut Writer) -> Result<(), EpcError> {
    digits_of(field, digits)?;
    digits.bytes().for_each(|digit| out.push(u128::from(digit - b'0'), 4));
    Ok(())
}

/// Behind the digits of a delimited value: more than digits follow, or nothing does.
const DELIMITER: u128 = 0xe;
const TERMINATOR: u128 = 0xf;

fn read_delimited(field: &'static str, bits: &mut Bits<'_>, most: usize) -> Result<String, EpcError> {
    let mut text = String::new();
    while text.len() <= most {
        match bits.take(4) {
            TERMINATOR => {
                alphanumeric::check_length(field, text.len(), most)?;
                return Ok(text);
            }
            DELIMITER => {
                text += &alphanumeric::read(field, bits, most - text.len())?;
                return Ok(text);
            }
            digit if digit <= 9 => text.push(char::from(b'0' + digit as u8)),
            _ => return Err(EpcError::Characters { field }),
        }
    }
    Err(EpcError::TooManyCharacters { field, expected: most as u32, found: text.len() })
}

fn write_delimited(field: &'static str, text: &str, most: usize, out: &mut Writer) -> Result<(), EpcError> {
    alphanumeric::check_length(field, text.len(), most)?;
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    write_digits(field, digits, out)?;
    if rest.is_empty() {
        out.push(TERMINATOR, 4);
        return Ok(());
    }
    out.push(DELIMITER, 4);
    alphanumeric::write(field, rest, most - end, out)
}

fn read_date(bits: &mut Bits<'_>) -> Result<(&'static str, &'static str, String), EpcError> {
    let kind = bits.take(4) as usize;
    let (year, month, day) = (bits.take(7), bits.take(4), bits.take(5));
    let text = format!("{year:02}{month:02}{day:02}");
    let (ai, name) = *DATES.get(kind).ok_or_else(|| EpcError::Date(format!("date type {kind}")))?;
    check_date(&text)?;
    Ok((ai, name, text))
}

/// YYMMDD; day 00 is the month as a whole.
fn check_date(text: &str) -> Result<(u128, u128, u128), EpcError> {
    let fault = || EpcError::Date(text.to_owned());
    if text.len() != 6 {
        return Err(fault());
    }
    let all = digits_of("date", text).map_err(|_| fault())?;
    let (year, month, day) = (all / 10_000, all / 100 % 100, all % 100);
    let days = match month {
        2 if year.is_multiple_of(4) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return Err(fault()),
    };
    if day > days { Err(fault()) } else { Ok((year, month, day)) }
}

/// The code of elements, by the scheme that has just these; a date that may stand in front makes it a DSGTIN+.
pub(super) fn write(elements: &[(&'static str, String)], filter: u8) -> Result<Epc, EpcError> {
    let of = |ai: &str| elements.iter().find(|(known, _)| *known == ai).map(|(_, value)| value.as_str());
    let date = DATES.iter().position(|(ai, _)| of(ai).is_some());
    let primary = elements.first().map_or("", |(ai, _)| *ai);
    let mut schemes = PLUS.iter().filter(|scheme| scheme.values[0].ai == primary);
    let scheme = schemes.find(|scheme| scheme.dated == date.is_some());
    let scheme = scheme.ok_or(EpcError::Text("the element is of no scheme that tags carry"))?;
    let mut out = Writer::default();
    out.push(u128::from(scheme.header), 8);
    out.push(0, 1);
    out.push(u128::from(filter.min(7)), 3);
    if let Some(kind) = date {
        let (year, month, day) = check_date(of(DATES[kind].0).unwrap_or_default())?;
        out.push(kind as u128, 4);
        out.push(year << 9 | month << 5 | day, 16);
    }
    for value in scheme.values {
        // A location without an extension has "0" for one, as it has in the other schemes.
        let text = of(value.ai).or((value.ai == "254").then_some("0"));
        let text = text.ok_or(EpcError::Characters { field: value.name })?;
        value.write(text, &mut out)?;
    }
    out.finish()
}

/// Whether the name is of a date that a DSGTIN+ may carry.
pub(super) fn date_element(ai: &str) -> Option<&'static str> {
    DATES.iter().find(|(known, _)| *known == ai).map(|(known, _)| *known)
}
