//! EPC URIs → canonical GS1 Digital Link URIs (GS1 Digital Link URI Syntax, section on canonical URIs;
//! EPC Tag Data Standard for the parts of the keys).

/// `None`: the scheme has no GS1 key, or the URI is none of an EPC.
pub fn digital_link(uri: &str) -> Option<String> {
    let (scheme, parts) = uri.strip_prefix("urn:epc:id:")?.split_once(':')?;
    let mut parts = parts.splitn(3, '.');
    let (company, reference, serial) = (parts.next()?, parts.next()?, parts.next());
    let path = match (scheme, serial) {
        ("sgtin", Some(serial)) => {
            let (indicator, item) = reference.split_at_checked(1)?;
            format!("01/{}/21/{serial}", checked(&format!("{indicator}{company}{item}"))?)
        }
        ("sscc", None) => {
            let (extension, number) = reference.split_at_checked(1)?;
            format!("00/{}", checked(&format!("{extension}{company}{number}"))?)
        }
        ("sgln", Some("0")) => format!("414/{}", checked(&format!("{company}{reference}"))?),
        ("sgln", Some(extension)) => {
            format!("414/{}/254/{extension}", checked(&format!("{company}{reference}"))?)
        }
        ("grai", Some(serial)) => format!("8003/0{}{serial}", checked(&format!("{company}{reference}"))?),
        ("giai", _) => format!("8004/{company}{}", parts_behind(uri)?),
        ("gdti", Some(serial)) => format!("253/{}{serial}", checked(&format!("{company}{reference}"))?),
        ("gsrn", None) => format!("8018/{}", checked(&format!("{company}{reference}"))?),
        ("gsrnp", None) => format!("8017/{}", checked(&format!("{company}{reference}"))?),
        _ => return None,
    };
    Some(format!("https://id.gs1.org/{path}"))
}

/// An individual asset reference may have dots of its own.
fn parts_behind(uri: &str) -> Option<&str> {
    uri.strip_prefix("urn:epc:id:")?.split_once(':')?.1.split_once('.').map(|(_, rest)| rest)
}

/// With its check digit: weights 3 and 1 in turn from the right.
fn checked(digits: &str) -> Option<String> {
    let mut sum = 0;
    for (nth, digit) in digits.chars().rev().enumerate() {
        sum += digit.to_digit(10)? * if nth % 2 == 0 { 3 } else { 1 };
    }
    Some(format!("{digits}{}", (10 - sum % 10) % 10))
}
