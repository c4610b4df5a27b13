//! Names of things, one type a kind, so that a reader's name cannot be passed for a zone's.
//!
//! Names come from the configuration, the register or the wire, are shared rather than copied
//! (`Arc<str>`), and order as text, which is what keeps replays identical.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn new(name: impl AsRef<str>) -> Self {
                Self(Arc::from(name.as_ref()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub fn shared(&self) -> Arc<str> {
                self.0.clone()
            }

            /// Whether both share one text in memory; `false` says nothing of whether they are equal.
            pub fn is(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0, &other.0)
            }

            /// Lets the text be the pool's, so that equal names are held once.
            pub fn share(&mut self, pool: &mut Pool) {
                self.0 = pool.take(&self.0);
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self::new(name)
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self(Arc::from(name))
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// The daemon's own name: one node, one journal.
    NodeId
);
name!(
    /// A configured connection: a reader, a broker or a Modbus device.
    SourceId
);
name!(
    /// A device behind a source: the reader itself, a tracker's `user/device`, a Modbus device.
    DeviceId
);
name!(
    /// One value of a sensor, for instance `temperature`.
    PointId
);
name!(
    /// What an antenna, or a set of them, watches (EPCIS readPoint).
    ReadPointId
);
name!(ZoneId);
name!(SiteId);
name!(ClassId);
name!(AssetId);
name!(
    /// Somebody who takes things: the company's own number for them, better than a name.
    PersonId
);
name!(
    /// A cycle count: a name that people give it.
    AuditId
);
name!(FenceId);
name!(
    /// A condition limit of one sensor point, for instance `hi`.
    LimitId
);

/// Texts that are held once, however many names are the same. For the time of reading many rows.
#[derive(Debug, Default)]
pub struct Pool(std::collections::HashSet<Arc<str>>);

impl Pool {
    /// The pool's own text of this content.
    pub fn take(&mut self, text: &Arc<str>) -> Arc<str> {
        if let Some(held) = self.0.get(text) {
            return held.clone();
        }
        self.0.insert(text.clone());
        text.clone()
    }
}

impl ReadPointId {
    /// The share of one antenna in a read point that has several: `NAME#2`, or `NAME#READER/2` where they are
    /// not all of one reader.
    pub fn of_antenna(&self, reader: Option<&SourceId>, antenna: Antenna) -> Self {
        match reader {
            Some(reader) => Self::from(format!("{self}#{reader}/{antenna}")),
            None => Self::from(format!("{self}#{antenna}")),
        }
    }
}

/// Number of an antenna port as the reader counts it (LLRP: from 1).
pub type Antenna = u16;

/// Identity of an event: 48 bits of Unix milliseconds, then 80 bits of a hash over what makes the
/// event the one it is. Nearly ordered by time, and the same whenever the same input is seen again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub [u8; 16]);

impl EventId {
    /// `parts` are device, kind, discriminator (fence, limit, rule, episode) and payload digest.
    pub fn derive(observed_at: super::time::Timestamp, parts: &[&[u8]]) -> Self {
        use siphasher::sip128::{Hasher128, SipHasher13};
        use std::hash::Hasher;
        let mut hasher = SipHasher13::new();
        for part in parts {
            hasher.write_u64(part.len() as u64);
            hasher.write(part);
        }
        let hash = hasher.finish128().as_bytes();
        let millis = observed_at.as_micros().max(0).div_euclid(1000) as u64;
        let mut id = [0; 16];
        id[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        id[6..].copy_from_slice(&hash[..10]);
        Self(id)
    }

    pub fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 16];
        hex::decode_to_slice(text, &mut id).ok()?;
        Some(Self(id))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for EventId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("an event id is 32 hex digits"))
    }
}

/// 64-bit digest of a payload, used to recognise a message that is delivered again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, JsonSchema, Serialize, Deserialize)]
pub struct Digest(pub u64);

impl Digest {
    pub fn of(payload: &[u8]) -> Self {
        use std::hash::Hasher;
        let mut hasher = siphasher::sip::SipHasher13::new();
        hasher.write(payload);
        Self(hasher.finish())
    }

    pub fn bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}
