//! The encoding schemes (GS1 EPC Tag Data Standard 1.13, sections 14.2 and 14.5).

pub(super) struct Scheme {
    /// The first eight bits.
    pub header: u8,
    pub name: &'static str,
    /// Namespace of the pure identity URI.
    pub identity: &'static str,
    /// In all, header included.
    pub bits: u16,
    pub reference: Reference,
    pub tail: Tail,
}

/// What follows the company prefix. `bits` and `digits` are of prefix and reference together: the
/// longer the one, the shorter the other.
pub(super) enum Reference {
    /// Decimal, with leading zeros.
    Numeric { name: &'static str, bits: u16, digits: u32 },
    /// Decimal, without leading zeros.
    Unpadded { name: &'static str, bits: u16, digits: u32 },
    /// Seven bits a character.
    Text { name: &'static str, bits: u16 },
    /// No company prefix at all: manager and object class of a general identifier.
    GeneralIdentifier,
}

pub(super) enum Tail {
    None,
    /// Reserved bits, zero.
    Zero(u16),
    Number {
        name: &'static str,
        bits: u16,
    },
    /// Seven bits a character.
    Text {
        name: &'static str,
        bits: u16,
    },
}

/// By partition value; the prefix has 12 digits at 0 and 6 at 6. The same in every partition table.
pub(super) const COMPANY_PREFIX_BITS: [u16; 7] = [40, 37, 34, 30, 27, 24, 20];

const ITEM: Reference = Reference::Numeric { name: "item_reference", bits: 44, digits: 13 };
const SHIPMENT: Reference = Reference::Numeric { name: "serial_reference", bits: 58, digits: 17 };
const LOCATION: Reference = Reference::Numeric { name: "location_reference", bits: 41, digits: 12 };
const ASSET_TYPE: Reference = Reference::Numeric { name: "asset_type", bits: 44, digits: 12 };
const DOCUMENT: Reference = Reference::Numeric { name: "document_type", bits: 41, digits: 12 };
const SERVICE: Reference = Reference::Numeric { name: "service_reference", bits: 58, digits: 17 };
const ASSET: Reference = Reference::Unpadded { name: "asset_reference", bits: 82, digits: 25 };
const ASSET_TEXT: Reference = Reference::Text { name: "asset_reference", bits: 188 };

pub(super) const SCHEMES: &[Scheme] = &[
    scheme(0x2c, "gdti-96", "gdti", 96, DOCUMENT, Tail::Number { name: "serial", bits: 41 }),
    scheme(0x2d, "gsrn-96", "gsrn", 96, SERVICE, Tail::Zero(24)),
    scheme(0x2e, "gsrnp-96", "gsrnp", 96, SERVICE, Tail::Zero(24)),
    scheme(0x30, "sgtin-96", "sgtin", 96, ITEM, Tail::Number { name: "serial", bits: 38 }),
    scheme(0x31, "sscc-96", "sscc", 96, SHIPMENT, Tail::Zero(24)),
    scheme(0x32, "sgln-96", "sgln", 96, LOCATION, Tail::Number { name: "extension", bits: 41 }),
    scheme(0x33, "grai-96", "grai", 96, ASSET_TYPE, Tail::Number { name: "serial", bits: 38 }),
    scheme(0x34, "giai-96", "giai", 96, ASSET, Tail::None),
    scheme(
        0x35,
        "gid-96",
        "gid",
        96,
        Reference::GeneralIdentifier,
        Tail::Number { name: "serial", bits: 36 },
    ),
    scheme(0x36, "sgtin-198", "sgtin", 198, ITEM, Tail::Text { name: "serial", bits: 140 }),
    scheme(0x37, "grai-170", "grai", 170, ASSET_TYPE, Tail::Text { name: "serial", bits: 112 }),
    scheme(0x38, "giai-202", "giai", 202, ASSET_TEXT, Tail::None),
    scheme(0x39, "sgln-195", "sgln", 195, LOCATION, Tail::Text { name: "extension", bits: 140 }),
    scheme(0x3e, "gdti-174", "gdti", 174, DOCUMENT, Tail::Text { name: "serial", bits: 119 }),
];

const fn scheme(
    header: u8,
    name: &'static str,
    identity: &'static str,
    bits: u16,
    reference: Reference,
    tail: Tail,
) -> Scheme {
    Scheme { header, name, identity, bits, reference, tail }
}
