use super::schemes::COMPANY_PREFIX_BITS;
use super::*;

fn tag_uri(hex: &str) -> Result<String, EpcError> {
    decode(&Epc::from_hex(hex).unwrap()).map(|identity| identity.tag_uri.unwrap())
}

/// A code written as bit fields: (value, bits).
fn code(fields: &[(u64, u16)]) -> Epc {
    let digits: String =
        fields.iter().map(|(value, bits)| format!("{value:0width$b}", width = usize::from(*bits))).collect();
    let bytes: Vec<u8> = digits
        .as_bytes()
        .chunks(8)
        .map(|byte| byte.iter().fold(0, |n, b| n << 1 | (b - b'0')) << (8 - byte.len()))
        .collect();
    Epc::new(digits.len() as u16, &bytes).unwrap()
}

#[test]
fn the_standards_own_examples() {
    for (hex, expected) in [
        ("3074257bf7194e4000001a85", "sgtin-96:3.0614141.812345.6789"),
        ("3674257bf6b7a659b2c2bf1000000000000000000000000000", "sgtin-198:3.0614141.712345.32a%2Fb"),
        ("3174257bf4499602d2000000", "sscc-96:3.0614141.1234567890"),
        ("3274257bf46072000000162e", "sgln-96:3.0614141.12345.5678"),
        ("3974257bf46072cd9615f8800000000000000000000000000000", "sgln-195:3.0614141.12345.32a%2Fb"),
        ("3374257bf40c0e400000162e", "grai-96:3.0614141.12345.5678"),
        ("3774257bf40c0e59b2c2bf100000000000000000000000", "grai-170:3.0614141.12345.32a%2Fb"),
        ("3474257bf40000000000162e", "giai-96:3.0614141.5678"),
        ("3874257bf59b2c2bf1000000000000000000000000000000000000", "giai-202:3.0614141.32a%2Fb"),
        ("2d74257bf4499602d2000000", "gsrn-96:3.0614141.1234567890"),
        ("2c74257bf46072000000162e", "gdti-96:3.0614141.12345.5678"),
    ] {
        assert_eq!(tag_uri(hex), Ok(format!("urn:epc:tag:{expected}")), "{hex}");
    }
}

#[test]
fn an_identity_has_its_parts() {
    let identity = decode(&Epc::from_hex("3074257bf7194e4000001a85").unwrap()).unwrap();
    assert_eq!(identity.scheme, "sgtin-96");
    assert_eq!(identity.uri, "urn:epc:id:sgtin:0614141.812345.6789");
    let fields: Vec<_> = identity.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let expected =
        [("filter", "3"), ("company_prefix", "0614141"), ("item_reference", "812345"), ("serial", "6789")];
    assert_eq!(fields, expected);
}

#[test]
fn a_general_identifier_has_no_filter() {
    let identity = decode(&code(&[(0x35, 8), (95_100_000, 28), (12345, 24), (400, 36)])).unwrap();
    assert_eq!(identity.tag_uri.unwrap(), "urn:epc:tag:gid-96:95100000.12345.400");
    assert_eq!(identity.uri, "urn:epc:id:gid:95100000.12345.400");
}

#[test]
fn every_partition_splits_prefix_and_reference() {
    for (partition, company_bits) in COMPANY_PREFIX_BITS.iter().enumerate() {
        let fields =
            [(0x30, 8), (1, 3), (partition as u64, 3), (7, *company_bits), (3, 44 - company_bits), (5, 38)];
        let company = format!("{:0width$}", 7, width = 12 - partition);
        let item = format!("{:0width$}", 3, width = 1 + partition);
        let uri = decode(&code(&fields)).unwrap().uri;
        assert_eq!(uri, format!("urn:epc:id:sgtin:{company}.{item}.5"));
    }
}

#[test]
fn a_location_reference_may_have_no_digits() {
    let fields = |reference| [(0x32, 8), (0, 3), (0, 3), (614_141_000_001, 40), (reference, 1), (0, 41)];
    assert_eq!(decode(&code(&fields(0))).unwrap().uri, "urn:epc:id:sgln:614141000001..0");
    let error = decode(&code(&fields(1))).unwrap_err();
    assert_eq!(error, EpcError::TooManyDigits { field: "location_reference", value: 1, digits: 0 });
}

#[test]
fn what_breaks_a_rule_is_refused_with_its_reason() {
    for (hex, reason) in [
        ("", "empty"),
        ("e20034120123456789abcdef", "unknown-header"),
        ("000000000000000000000000", "unknown-header"),
        ("3074257bf7194e4000001a", "too-short"),
        ("307c257bf7194e4000001a85", "partition"),
        ("3067ffffffffffffffffffff", "too-many-digits"),
        ("3174257bf4499602d2000001", "not-zero"),
        ("3074257bf7194e4000001a850001", "not-zero"),
        // Serials of an SGTIN-198: none; one that goes on behind its end; a bit behind the last character.
        ("3674257bf6b7a6000000000000000000000000000000000000", "characters"),
        ("3674257bf6b7a659b2c2bf1000000000000000000001000000", "characters"),
        ("3674257bf6b7a659b2c2bf1000000000000000000000000001", "not-zero"),
        // A space.
        ("3674257bf6b7a610000000000000000000000000000000000000", "characters"),
    ] {
        assert_eq!(tag_uri(hex).map_err(|e| e.reason()), Err(reason), "{hex}");
    }
}

#[test]
fn memory_longer_than_the_scheme_is_padded_with_zeros() {
    assert_eq!(tag_uri("3074257bf7194e4000001a850000"), tag_uri("3074257bf7194e4000001a85"));
}

/// Of the standard's release 2.3, annex E.3: scheme and values as they stand behind `urn:epc:tag:`, element
/// string, Digital Link behind the domain.
const EXAMPLES: [(&str, &str, &str, &str); 19] = [
    (
        "3076451fd40c0e400000162e",
        "sgtin-96:3.9521141.012345.5678",
        "(01)09521141123454(21)5678",
        "01/09521141123454/21/5678",
    ),
    (
        "3376451fd40c0e400000162e",
        "grai-96:3.9521141.12345.5678",
        "(8003)095211411234545678",
        "8003/095211411234545678",
    ),
    (
        "3776451fd40c0e59b2c2bf1000000000000000000000",
        "grai-170:3.9521141.12345.32a%2Fb",
        "(8003)0952114112345432a/b",
        "8003/0952114112345432a%2Fb",
    ),
    ("3476451fd40000000000162e", "giai-96:3.9521141.5678", "(8004)95211415678", "8004/95211415678"),
    (
        "3876451fd59b2c2bf10000000000000000000000000000000000",
        "giai-202:3.9521141.32a%2Fb",
        "(8004)952114132a/b",
        "8004/952114132a%2Fb",
    ),
    (
        "2d76451fd4499602d2000000",
        "gsrn-96:3.9521141.1234567890",
        "(8018)952114112345678906",
        "8018/952114112345678906",
    ),
    (
        "2e76451fd4499602d2000000",
        "gsrnp-96:3.9521141.1234567890",
        "(8017)952114112345678906",
        "8017/952114112345678906",
    ),
    (
        "2c76451fd46072000000162e",
        "gdti-96:3.9521141.12345.5678",
        "(253)95211411234545678",
        "253/95211411234545678",
    ),
    (
        "3e76451fd7039b061438997367d0c18b266d1ab66ee0",
        "gdti-174:3.9521141.98765.ABCDefgh012345678",
        "(253)9521141987650ABCDefgh012345678",
        "253/9521141987650ABCDefgh012345678",
    ),
    (
        "3c76451fd400c0e680003039",
        "cpi-96:3.9521141.98765.12345",
        "(8010)952114198765(8011)12345",
        "8010/952114198765/8011/12345",
    ),
    (
        "3d76451fd75411def6b4cc00000003039000",
        "cpi-var:3.9521141.5PQ7%2FZ43.12345",
        "(8010)95211415PQ7/Z43(8011)12345",
        "8010/95211415PQ7%2FZ43/8011/12345",
    ),
    (
        "3f76451fd612640000019907",
        "sgcn-96:3.9521141.67890.04711",
        "(255)952114167890904711",
        "255/952114167890904711",
    ),
    (
        "4076451fd40c0e40820000000f54",
        "itip-110:3.9521141.012345.01.02.981",
        "(8006)095211411234540102(21)981",
        "8006/095211411234540102/21/981",
    ),
    (
        "4176451fd40c0e4082dbdd8b36600000000000000000000000000000",
        "itip-212:3.9521141.012345.01.02.mw133",
        "(8006)095211411234540102(21)mw133",
        "8006/095211411234540102/21/mw133",
    ),
    (
        "3174257bf4499602d2000000",
        "sscc-96:3.0614141.1234567890",
        "(00)106141412345678908",
        "00/106141412345678908",
    ),
    (
        "3274257bf46072000000162e",
        "sgln-96:3.0614141.12345.5678",
        "(414)0614141123452(254)5678",
        "414/0614141123452/254/5678",
    ),
    ("3500e86f8000a9e000000586", "gid-96:952056.2718.1414", "", ""),
    ("2f320434147455900000162e", "usdod-96:3.CAGEY.5678", "", ""),
    ("3b0e0cf5e76c9047759ad00373dc7602e7200000", "adi-var:3.35962.PQ7VZ4.M37GXB92", "", ""),
];

#[test]
fn codes_elements_and_links_say_the_same() {
    for (hex, tag, elements, link) in EXAMPLES {
        let hints = Hints {
            filter: Some(3),
            company_prefixes: vec!["0614141".into(), "9521141".into()],
            plus: false,
        };
        let code = Epc::from_hex(hex).unwrap();
        let identity = decode(&code).unwrap();
        let tag = format!("urn:epc:tag:{tag}");
        assert_eq!(identity.tag_uri.as_deref(), Some(tag.as_str()), "{hex}");
        let said =
            (identity.element_string().unwrap_or_default(), identity.digital_link().unwrap_or_default());
        let link = if link.is_empty() { String::new() } else { format!("https://id.gs1.org/{link}") };
        assert_eq!(said, (elements.to_owned(), link.clone()));
        // All of its names lead back to it, with zeros up to a whole word.
        let code = parse(&tag, &Hints::default()).unwrap();
        assert_eq!(code.bits() % 16, 0);
        assert!(code.to_string().starts_with(hex) || hex.starts_with(&code.to_string()), "{hex} {code}");
        assert_eq!(parse(&identity.uri, &hints), Ok(code), "{}", identity.uri);
        for name in [elements, link.as_str()].iter().filter(|name| !name.is_empty()) {
            assert_eq!(parse(name, &hints), Ok(code), "{name}");
        }
    }
}

/// The standard's own codes of the schemes with a plus (annex E.3): element string and Digital Link.
const PLUS_EXAMPLES: [(&str, &str, &str); 12] = [
    ("f73795211411234538566cb0afc4", "(01)79521141123453(21)32a/b", "01/79521141123453/21/32a%2Fb"),
    (
        "fb342cde795211411234538566cb0afc40",
        "(01)79521141123453(21)32a/b(17)220630",
        "01/79521141123453/21/32a%2Fb?17=220630",
    ),
    ("f900952012345678912350", "(00)095201234567891235", "00/095201234567891235"),
    ("f2395211411234548566cb0afc40", "(414)9521141123454(254)32a/b", "414/9521141123454/254/32a%2Fb"),
    ("f13095211411234548566cb0afc4", "(8003)0952114112345432a/b", "8003/0952114112345432a%2Fb"),
    ("fa3952114132e83c2bf100", "(8004)952114132a/b", "8004/952114132a%2Fb"),
    ("f439521141123456789060", "(8018)952114112345678906", "8018/952114112345678906"),
    ("f539521141123456789060", "(8017)952114112345678906", "8017/952114112345678906"),
    ("f6395211411234540458b8", "(253)95211411234545678", "253/95211411234545678"),
    (
        "f0395211415e87a145bafb4d19a8c0e4",
        "(8010)95211415PQ7/Z43(8011)12345",
        "8010/95211415PQ7%2FZ43/8011/12345",
    ),
    ("f839521141678909509338", "(255)952114167890904711", "255/952114167890904711"),
    (
        "f3309521141123454010266ae27fdf35",
        "(8006)095211411234540102(21)rif981",
        "8006/095211411234540102/21/rif981",
    ),
];

#[test]
fn keys_of_any_company_prefix() {
    for (hex, elements, link) in PLUS_EXAMPLES {
        let code = Epc::from_hex(hex).unwrap();
        let identity = decode(&code).unwrap();
        let link = format!("https://id.gs1.org/{link}");
        let said = (identity.element_string(), identity.digital_link(), identity.tag_uri);
        assert_eq!(said, (Some(elements.to_owned()), Some(link.clone()), None), "{hex}");
        assert_eq!(identity.uri, link);
        let filter = identity.fields[0].1.parse().ok();
        let hints = Hints { filter, plus: true, ..Hints::default() };
        for name in [elements, link.as_str()] {
            let again = parse(name, &hints).unwrap().to_string();
            assert!(again.starts_with(hex), "{name}: {again}");
            assert!(again[hex.len()..].bytes().all(|digit| digit == b'0'));
        }
    }
}

#[test]
fn what_breaks_a_rule_of_the_schemes_with_a_plus_is_refused() {
    for (hex, reason) in [
        // A check digit; a digit that is none; a length of no characters; a reserved encoding; a month 13.
        ("f73795211411234528566cb0afc4", "check-digit"),
        ("f737952114112345a8566cb0afc4", "characters"),
        ("f737952114112345380000000000", "characters"),
        ("f7379521141123453c1000000000", "encoding-indicator"),
        ("fb342dbe795211411234538566cb0afc40", "date"),
        // Too short for what it says; a bit behind it; the domain of a Digital Link.
        ("f73795211411234538566cb0", "too-short"),
        ("f73795211411234538566cb0afc5", "not-zero"),
        ("fd3795211411234538566cb0afc525065f1876f0d996d800", "not-covered"),
    ] {
        assert_eq!(decode(&Epc::from_hex(hex).unwrap()).map_err(|e| e.reason()).err(), Some(reason), "{hex}");
    }
    // The toggle says that data follow the code; they are not looked at.
    assert!(decode(&Epc::from_hex("f7b795211411234538566cb0afc5ffff").unwrap()).is_ok());
}

#[test]
fn names_that_name_nothing_are_refused_with_their_reason() {
    let hints = Hints { filter: Some(3), company_prefixes: vec!["0614141".into()], plus: false };
    for (name, reason) in [
        ("urn:epc:tag:sgtin-96:3.0614141.812345.0789", "leading-zeros"),
        ("urn:epc:tag:sgtin-96:3.0614141.81234.6789", "digits"),
        ("urn:epc:tag:sgtin-96:8.0614141.812345.6789", "out-of-range"),
        ("urn:epc:tag:sgtin-96:3.0614141.812345.274877906944", "out-of-range"),
        ("urn:epc:tag:sgtin-96:3.06141.81234567.6789", "company-prefix"),
        ("urn:epc:tag:sgtin-96:3.0614141.812345", "parts"),
        ("urn:epc:tag:sgtin-97:3.0614141.812345.6789", "unknown-scheme"),
        ("urn:epc:tag:sgtin-198:3.0614141.712345.32a%2", "text"),
        ("urn:epc:tag:sgtin-198:3.0614141.712345.a b", "characters"),
        ("urn:epc:tag:sgtin-198:3.0614141.712345.123456789012345678901", "too-many-characters"),
        ("urn:epc:id:sgtin:0614141.812345", "parts"),
        ("urn:epc:id:nothing:0614141.812345", "unknown-scheme"),
        ("urn:isbn:0614141", "text"),
        ("ftp://id.gs1.org/01/80614141123458/21/6789", "text"),
        ("https://id.gs1.org/01/80614141123458", "text"),
        ("https://id.gs1.org/shop", "text"),
        ("https://id.gs1.org/01/80614141123457/21/6789", "check-digit"),
        ("https://id.gs1.org/01/09521141123454/21/6789", "no-company-prefix"),
        ("(01)80614141123458(21)1(21)2", "text"),
        ("(01)806141411234587(21)6789", "text"),
        ("(00)1061414112345678978", "text"),
        ("(02)80614141123458", "text"),
        ("(01", "text"),
        ("307", "text"),
        ("", "text"),
        ("é", "text"),
    ] {
        assert_eq!(parse(name, &hints).map_err(|e| e.reason()).err(), Some(reason), "{name}");
    }
    let id = "urn:epc:id:sgtin:0614141.812345.6789";
    assert_eq!(parse(id, &Hints::default()), Err(EpcError::NoFilter));
}

#[test]
fn a_serial_number_that_96_bits_cannot_hold_takes_the_longer_scheme() {
    let hints = Hints { filter: Some(1), ..Hints::default() };
    for (serial, scheme) in
        [("6789", "sgtin-96"), ("06789", "sgtin-198"), ("274877906944", "sgtin-198"), ("a.b", "sgtin-198")]
    {
        let id = format!("urn:epc:id:sgtin:0614141.812345.{serial}");
        let identity = decode(&parse(&id, &hints).unwrap()).unwrap();
        assert_eq!((identity.scheme, identity.uri), (scheme, id));
    }
    assert_eq!(parse("urn:epc:id:gdti:0614141.12345.007", &hints).map(|code| code.bytes()[0]), Ok(0x3e));
}

#[test]
fn links_of_shops_lead_to_the_same_code() {
    let hints =
        Hints { filter: Some(3), company_prefixes: vec!["0614141".into(), "061".into()], plus: false };
    assert_eq!(parse("(01)80614141123458(21)1", &hints).map_err(|e| e.reason()), Err("company-prefix"));
    let hints = Hints { company_prefixes: vec!["0614141".into(), "061414".into()], ..hints };
    let code = Epc::from_hex("3074257bf7194e4000001a85").unwrap();
    for link in [
        "HTTPS://example.com/a/b/01/80614141123458/22/V/10/L%2F1/21/6789/?17=270101&linkType=gs1:pip#top",
        "http://example.com/01/80614141123458/10/01/21/6789",
    ] {
        assert_eq!(parse(link, &hints), Ok(code), "{link}");
    }
    let short = parse("https://id.gs1.org/01/614141123452/21/1", &hints).unwrap();
    assert_eq!(decode(&short).unwrap().digital_link().unwrap(), "https://id.gs1.org/01/00614141123452/21/1");
}
