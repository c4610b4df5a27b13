//! Values as people write them: durations, sizes, addresses. Pure text → value.

use std::time::Duration;

/// Units of a duration, largest first, in milliseconds.
const DURATION_UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

const SIZE_UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

pub const DURATION_ALLOWED: &str = "a duration such as \"250ms\", \"5s\", \"10m\", \"36h\" or \"400d\"";

/// `250ms`, `5s`, `10m`, `36h`, `400d`, `2w`; parts may follow one another, largest first: `1h30m`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut millis: u64 = 0;
    let mut smallest = u64::MAX;
    while !rest.is_empty() || smallest == u64::MAX {
        let (amount, unit);
        (amount, rest) = split_number(rest)?;
        (unit, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len()));
        let factor = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?.1;
        if factor >= smallest {
            return None;
        }
        smallest = factor;
        millis = millis.checked_add(amount.checked_mul(factor)?)?;
    }
    Some(Duration::from_millis(millis))
}

/// As [`parse_duration`] reads it.
pub fn duration_text(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    // Weeks are read, not written: people think of retention in days.
    for (unit, factor) in &DURATION_UNITS[1..] {
        if millis / factor > 0 {
            text.push_str(&format!("{}{unit}", millis / factor));
            millis %= factor;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// `64KiB`, `512MiB`, `4GiB`.
pub fn parse_size(text: &str) -> Option<u64> {
    let (amount, unit) = split_number(text.trim())?;
    let factor = SIZE_UNITS.iter().find(|(name, _)| *name == unit.trim_start())?.1;
    amount.checked_mul(factor)
}

/// As [`parse_size`] reads it, in the largest unit that divides it.
pub fn size_text(bytes: u64) -> String {
    let fits = SIZE_UNITS.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    fits.map_or_else(|| "0B".to_owned(), |(unit, factor)| format!("{}{unit}", bytes / factor))
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// `host:port`, the host a name, an IPv4 address, or an IPv6 address in brackets. The error says what
/// is wrong.
pub fn parse_host_port(text: &str) -> Result<(String, u16), &'static str> {
    if text.contains('@') {
        return Err(
            "a login before the host: where one is wanted, `username` and `password_file` are keys of their own",
        );
    }
    if text.contains("://") {
        return Err("a URL");
    }
    if text.starts_with('[') && text.ends_with(']') {
        return Err("no port");
    }
    let (host, port) = text.rsplit_once(':').ok_or("no port")?;
    let bare = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or("a bracket that is not closed")?,
        None if host.contains(':') => return Err("an IPv6 address without brackets"),
        None => host,
    };
    if bare.is_empty() {
        return Err("no host");
    }
    if bare.contains(|c: char| c.is_whitespace() || c.is_control() || "/@?#".contains(c)) {
        return Err("not a host name");
    }
    match port.parse() {
        Ok(0) | Err(_) => Err("a port out of range"),
        Ok(port) => Ok((bare.to_owned(), port)),
    }
}

/// The text with the password of a URL, or of an address that has one before it, replaced by `***`, wherever it stands in
/// it.
pub fn mask_url(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", mask_query(&mask_login(rest))),
        None => mask_login(text),
    }
}

fn mask_login(rest: &str) -> String {
    // The last `@`: a password that was not percent-encoded may hold one itself.
    match rest.rsplit_once('@').map(|(login, host)| (login.split_once(':'), host)) {
        Some((Some((user, _)), host)) => format!("{user}:***@{host}"),
        Some((None, _)) | None => rest.to_owned(),
    }
}

fn mask_query(rest: &str) -> String {
    let Some((before, query)) = rest.split_once('?') else {
        return rest.to_owned();
    };
    let masked: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((key, _)) if key.to_ascii_lowercase().contains("pass") => format!("{key}=***"),
            _ => pair.to_owned(),
        })
        .collect();
    format!("{before}?{}", masked.join("&"))
}

/// The candidate that a mistyped name most likely meant.
pub fn nearest<'c>(typed: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let limit = (typed.chars().count() / 3).max(1);
    candidates
        .map(|candidate| (edit_distance(typed, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment).
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let substituted = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut cost = substituted.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                cost = cost.min(rows[i - 2][j - 2] + 1);
            }
            row.push(cost);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        let cases = [
            ("250ms", Some(250)),
            ("5s", Some(5000)),
            ("10m", Some(600_000)),
            ("36h", Some(129_600_000)),
            ("400d", Some(400 * 86_400_000)),
            ("1h30m", Some(5_400_000)),
            ("0s", Some(0)),
            ("30m1h", None),
            ("1s1s", None),
            ("5", None),
            ("", None),
            ("s", None),
            ("1.5h", None),
            ("-5s", None),
            ("5 s", None),
            ("99999999999999999999d", None),
            ("18446744073709551615w", None),
        ];
        for (text, millis) in cases {
            assert_eq!(parse_duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn sizes() {
        let cases = [
            ("4GiB", Some(4 << 30)),
            ("512 MiB", Some(512 << 20)),
            ("7B", Some(7)),
            ("4GB", None),
            ("4096", None),
            ("", None),
            ("18446744073709551615TiB", None),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(parse_host_port("10.0.0.5:5084"), Ok(("10.0.0.5".to_owned(), 5084)));
        assert_eq!(parse_host_port("[fe80::1]:502"), Ok(("fe80::1".to_owned(), 502)));
        for (text, wrong) in [
            ("10.0.0.5", "no port"),
            ("fe80::1:502", "an IPv6 address without brackets"),
            ("[::1]", "no port"),
            ("[::1:502", "a bracket that is not closed"),
            (":502", "no host"),
            ("a:0", "a port out of range"),
            ("a:65536", "a port out of range"),
            ("tcp://a:1", "a URL"),
            ("a b:1", "not a host name"),
        ] {
            assert_eq!(parse_host_port(text), Err(wrong), "{text}");
        }
    }

    #[test]
    fn passwords_in_urls_are_masked() {
        for (url, masked) in [
            ("postgres://u:secret@db/x", "postgres://u:***@db/x"),
            ("postgres://u:se@cr/et@db/x", "postgres://u:***@db/x"),
            ("postgres://u@db/x?password=secret&a=b", "postgres://u@db/x?password=***&a=b"),
            ("http://am:9093", "http://am:9093"),
            ("plain", "plain"),
            ("u:se@cr/et@broker:1883", "u:***@broker:1883"),
            ("u@broker:1883", "u@broker:1883"),
        ] {
            assert_eq!(mask_url(url), masked);
        }
    }

    #[test]
    fn typos_find_their_key() {
        let keys = || ["address", "antennas", "keepalive"].into_iter();
        assert_eq!(nearest("adress", keys()), Some("address"));
        assert_eq!(nearest("keepalvie", keys()), Some("keepalive"));
        assert_eq!(nearest("colour", keys()), None);
    }

    proptest! {
        #[test]
        fn durations_round_trip(millis in 0..u64::from(u32::MAX) * 1000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&duration_text(duration)), Some(duration));
        }

        #[test]
        fn sizes_round_trip(bytes: u64) {
            prop_assert_eq!(parse_size(&size_text(bytes)), Some(bytes));
        }

        #[test]
        fn nothing_panics(text in ".{0,40}") {
            parse_duration(&text);
            parse_size(&text);
            parse_host_port(&text).ok();
            mask_url(&text);
            nearest(&text, ["address"].into_iter());
        }
    }
}
