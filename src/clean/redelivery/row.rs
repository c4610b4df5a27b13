//! A chunk in a row: its times and its messages as one text.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Chunk;
use crate::clean::packed;
use crate::clean::rows::micros;
use crate::domain::time::Timestamp;

impl Serialize for Chunk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let times = [self.oldest, self.newest, self.received].map(|at| at.as_micros().to_be_bytes());
        let messages = self.messages.iter().map(|message| message.to_be_bytes());
        let words: Vec<[u8; 8]> = times.into_iter().chain(messages).collect();
        packed::serialize(words.as_flattened(), serializer)
    }
}

impl<'de> Deserialize<'de> for Chunk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Packed(words) = match Row::deserialize(deserializer)? {
            Row::Packed(words) => words,
            Row::Apart { oldest, newest, received, messages } => {
                return Ok(Self { oldest, newest, received, messages: messages.0 });
            }
        };
        let [oldest, newest, received, ref messages @ ..] = words[..] else {
            return Err(D::Error::custom("a chunk without its times"));
        };
        let [oldest, newest, received] =
            [oldest, newest, received].map(|us| Timestamp::from_micros(us.cast_signed()));
        Ok(Self { oldest, newest, received, messages: messages.to_vec() })
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Row {
    Packed(Packed),
    /// As older builds wrote it.
    Apart {
        #[serde(with = "micros")]
        oldest: Timestamp,
        #[serde(with = "micros")]
        newest: Timestamp,
        #[serde(with = "micros")]
        received: Timestamp,
        messages: Packed,
    },
}

struct Packed(Vec<u64>);

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = packed::deserialize(deserializer)?;
        let (words, []) = bytes.as_chunks() else { return Err(D::Error::custom("half a message")) };
        Ok(Self(words.iter().copied().map(u64::from_be_bytes).collect()))
    }
}
