//! Why a code, or the text of one, identifies nothing.

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EpcError {
    #[error("the code is empty")]
    Empty,
    #[error("header {0:02x} is of no scheme that is known here")]
    UnknownHeader(u8),
    #[error("{0} is not decoded here")]
    NotCovered(&'static str),
    #[error("{scheme} has at least {expected} bits, the code {bits}")]
    TooShort { scheme: &'static str, expected: u16, bits: u16 },
    #[error("{bits} bits are more than any tag holds")]
    TooLong { bits: u16 },
    #[error("partition value {0} is reserved")]
    Partition(u64),
    #[error("{field} {value} has more than {digits} digits")]
    TooManyDigits { field: &'static str, value: u128, digits: u32 },
    #[error("{field} takes {expected} characters at most, not {found}")]
    TooManyCharacters { field: &'static str, expected: u32, found: usize },
    #[error("{field} takes {expected} digits, not {found:?}")]
    Digits { field: &'static str, expected: u32, found: String },
    #[error("{field} {value} does not fit, it may be {most} at most")]
    Range { field: &'static str, value: u128, most: u128 },
    #[error("{field} {value:?} has leading zeros, which this scheme cannot keep")]
    LeadingZeros { field: &'static str, value: String },
    #[error("{field} has a character that the standard does not allow, or none")]
    Characters { field: &'static str },
    #[error("bits that must be zero are not")]
    NotZero,
    #[error("encoding indicator {0} is reserved")]
    EncodingIndicator(u8),
    #[error("{0} is no date that may stand here")]
    Date(String),
    #[error("the check digit of {number} is {expected}")]
    CheckDigit { number: String, expected: char },
    #[error("{0}")]
    Text(&'static str),
    #[error("there is no scheme {0:?}")]
    UnknownScheme(String),
    #[error("{scheme} has {expected} parts, not {found}")]
    Parts { scheme: &'static str, expected: usize, found: usize },
    #[error("a company prefix has 6 to 12 digits, not {0:?}")]
    CompanyPrefix(String),
    #[error("it does not say where the company prefix of {0} ends")]
    NoCompanyPrefix(String),
    #[error("it does not say the filter value that its tag carries")]
    NoFilter,
}

impl EpcError {
    /// A short stable word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::UnknownHeader(_) => "unknown-header",
            Self::NotCovered(_) => "not-covered",
            Self::TooShort { .. } => "too-short",
            Self::TooLong { .. } => "too-long",
            Self::Partition(_) => "partition",
            Self::TooManyDigits { .. } => "too-many-digits",
            Self::TooManyCharacters { .. } => "too-many-characters",
            Self::Digits { .. } => "digits",
            Self::Range { .. } => "out-of-range",
            Self::LeadingZeros { .. } => "leading-zeros",
            Self::Characters { .. } => "characters",
            Self::NotZero => "not-zero",
            Self::EncodingIndicator(_) => "encoding-indicator",
            Self::Date(_) => "date",
            Self::CheckDigit { .. } => "check-digit",
            Self::Text(_) => "text",
            Self::UnknownScheme(_) => "unknown-scheme",
            Self::Parts { .. } => "parts",
            Self::CompanyPrefix(_) => "company-prefix",
            Self::NoCompanyPrefix(_) => "no-company-prefix",
            Self::NoFilter => "no-filter",
        }
    }
}
