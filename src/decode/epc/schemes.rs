//! The encoding schemes whose company prefix stands by itself, a row each (GS1 EPC Tag Data Standard 2.3,
//! sections 14.2 and 14.6). The schemes with a plus are in [`super::plus`].

pub(super) struct Scheme {
    /// The first eight bits.
    pub header: u8,
    pub name: &'static str,
    /// Namespace of the pure identity URI.
    pub identity: &'static str,
    /// In all, header included; 0 where the content says it.
    pub bits: u16,
    /// What follows the header, in the order of the wire, which is that of the tag URI too.
    pub parts: &'static [Part],
}

pub(super) enum Part {
    /// So many bits.
    Filter(u16),
    /// Partition, company prefix, and what the company counts. `bits` and `digits` are of prefix and
    /// reference together: the longer the one, the shorter the other.
    Key { name: &'static str, bits: u16, digits: u32, form: Form },
    /// Decimal, without leading zeros.
    Number { name: &'static str, bits: u16, digits: u32 },
    /// Decimal, always of so many digits.
    Fixed { name: &'static str, bits: u16, digits: u32 },
    /// Decimal, its leading zeros kept by a 1 in front of them.
    Digits { name: &'static str, bits: u16, digits: u32 },
    /// Seven bits a character.
    Text { name: &'static str, bits: u16 },
    /// Six bits a character, a zero behind the last one.
    Ended { name: &'static str, most: u32, least: u32 },
    /// Who assigned it, in six characters of so many bits; one of five stands behind a blank.
    Assigner { name: &'static str, bits: u16 },
    /// Reserved bits.
    Zero(u16),
}

/// How what follows the company prefix is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Decimal, with leading zeros.
    Padded,
    /// Decimal, without leading zeros.
    Plain,
    /// Seven bits a character.
    Text,
    /// Six bits a character, a zero behind the last one.
    Ended,
}

impl Part {
    /// The values that it stands for in a URI, by name.
    pub fn names(&self) -> Vec<&'static str> {
        match self {
            Self::Filter(_) => vec![FILTER],
            Self::Key { name, .. } => vec![COMPANY_PREFIX, name],
            Self::Number { name, .. }
            | Self::Fixed { name, .. }
            | Self::Digits { name, .. }
            | Self::Text { name, .. }
            | Self::Ended { name, .. }
            | Self::Assigner { name, .. } => vec![name],
            Self::Zero(_) => Vec::new(),
        }
    }
}

impl Scheme {
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.parts.iter().flat_map(Part::names)
    }

    pub fn has_filter(&self) -> bool {
        matches!(self.parts.first(), Some(Part::Filter(_)))
    }
}

pub(super) const FILTER: &str = "filter";
pub(super) const COMPANY_PREFIX: &str = "company_prefix";

/// By partition value; the prefix has 12 digits at 0 and 6 at 6. The same in every partition table.
pub(super) const COMPANY_PREFIX_BITS: [u16; 7] = [40, 37, 34, 30, 27, 24, 20];

const F: Part = Part::Filter(3);
const ITEM: Part = key("item_reference", 44, 13, Form::Padded);
const SHIPMENT: Part = key("serial_reference", 58, 17, Form::Padded);
const LOCATION: Part = key("location_reference", 41, 12, Form::Padded);
const ASSET_TYPE: Part = key("asset_type", 44, 12, Form::Padded);
const DOCUMENT: Part = key("document_type", 41, 12, Form::Padded);
const COUPON: Part = key("coupon_reference", 41, 12, Form::Padded);
const SERVICE: Part = key("service_reference", 58, 17, Form::Padded);
const ASSET: Part = key("asset_reference", 82, 25, Form::Plain);
const ASSET_TEXT: Part = key("asset_reference", 188, 30, Form::Text);
const COMPONENT: Part = key("component_reference", 51, 15, Form::Plain);
const COMPONENT_TEXT: Part = key("component_reference", 0, 30, Form::Ended);
const PIECE: Part = Part::Fixed { name: "piece", bits: 7, digits: 2 };
const TOTAL: Part = Part::Fixed { name: "total", bits: 7, digits: 2 };

/// Since release 1.9; on tags all the same, and so it is read, and written where it is named.
pub(super) const DEPRECATED: &str = "gdti-113";

/// By identity; of those of one identity the one that is to be preferred comes first.
pub(super) const SCHEMES: &[Scheme] = &[
    scheme(0x30, "sgtin-96", "sgtin", 96, &[F, ITEM, number("serial", 38)]),
    scheme(0x36, "sgtin-198", "sgtin", 198, &[F, ITEM, text("serial", 140)]),
    scheme(0x31, "sscc-96", "sscc", 96, &[F, SHIPMENT, Part::Zero(24)]),
    scheme(0x32, "sgln-96", "sgln", 96, &[F, LOCATION, number("extension", 41)]),
    scheme(0x39, "sgln-195", "sgln", 195, &[F, LOCATION, text("extension", 140)]),
    scheme(0x33, "grai-96", "grai", 96, &[F, ASSET_TYPE, number("serial", 38)]),
    scheme(0x37, "grai-170", "grai", 170, &[F, ASSET_TYPE, text("serial", 112)]),
    scheme(0x34, "giai-96", "giai", 96, &[F, ASSET]),
    scheme(0x38, "giai-202", "giai", 202, &[F, ASSET_TEXT]),
    scheme(0x2d, "gsrn-96", "gsrn", 96, &[F, SERVICE, Part::Zero(24)]),
    scheme(0x2e, "gsrnp-96", "gsrnp", 96, &[F, SERVICE, Part::Zero(24)]),
    scheme(0x2c, "gdti-96", "gdti", 96, &[F, DOCUMENT, number("serial", 41)]),
    scheme(0x3e, "gdti-174", "gdti", 174, &[F, DOCUMENT, text("serial", 119)]),
    scheme(
        0x3a,
        DEPRECATED,
        "gdti",
        113,
        &[F, DOCUMENT, Part::Digits { name: "serial", bits: 58, digits: 17 }],
    ),
    scheme(0x3c, "cpi-96", "cpi", 96, &[F, COMPONENT, number("serial", 31)]),
    scheme(
        0x3d,
        "cpi-var",
        "cpi",
        0,
        &[F, COMPONENT_TEXT, Part::Number { name: "serial", bits: 40, digits: 12 }],
    ),
    scheme(0x3f, "sgcn-96", "sgcn", 96, &[F, COUPON, Part::Digits { name: "serial", bits: 41, digits: 12 }]),
    scheme(0x40, "itip-110", "itip", 110, &[F, ITEM, PIECE, TOTAL, number("serial", 38)]),
    scheme(0x41, "itip-212", "itip", 212, &[F, ITEM, PIECE, TOTAL, text("serial", 140)]),
    scheme(
        0x35,
        "gid-96",
        "gid",
        96,
        &[number("manager", 28), number("object_class", 24), number("serial", 36)],
    ),
    scheme(
        0x2f,
        "usdod-96",
        "usdod",
        96,
        &[Part::Filter(4), Part::Assigner { name: "cage", bits: 48 }, number("serial", 36)],
    ),
    scheme(
        0x3b,
        "adi-var",
        "adi",
        0,
        &[
            Part::Filter(6),
            Part::Assigner { name: "cage", bits: 36 },
            Part::Ended { name: "part_number", most: 32, least: 0 },
            Part::Ended { name: "serial", most: 30, least: 1 },
        ],
    ),
];

/// The schemes of EPC Tag Data Standard 2.3 that add the domain of a Digital Link, which are told by name and
/// not decoded.
pub(super) const WITH_DOMAIN: [(u8, &str); 12] = [
    (0xe6, "cpi++"),
    (0xe7, "gsrn++"),
    (0xe8, "gsrnp++"),
    (0xe9, "sgln++"),
    (0xea, "gdti++"),
    (0xeb, "grai++"),
    (0xec, "sgcn++"),
    (0xed, "itip++"),
    (0xee, "giai++"),
    (0xef, "sscc++"),
    (0xfc, "dsgtin++"),
    (0xfd, "sgtin++"),
];

const fn scheme(
    header: u8,
    name: &'static str,
    identity: &'static str,
    bits: u16,
    parts: &'static [Part],
) -> Scheme {
    Scheme { header, name, identity, bits, parts }
}

const fn key(name: &'static str, bits: u16, digits: u32, form: Form) -> Part {
    Part::Key { name, bits, digits, form }
}

const fn number(name: &'static str, bits: u16) -> Part {
    Part::Number { name, bits, digits: 13 }
}

const fn text(name: &'static str, bits: u16) -> Part {
    Part::Text { name, bits }
}
