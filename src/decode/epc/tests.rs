use super::*;

fn tag_uri(hex: &str) -> Result<String, EpcError> {
    decode(&Epc::from_hex(hex).unwrap()).map(|identity| identity.tag_uri)
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
    assert_eq!(identity.tag_uri, "urn:epc:tag:gid-96:95100000.12345.400");
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
