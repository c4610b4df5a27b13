//! The trail's probabilities in a row of the journal: the bits of each in hex, so that a restart changes nothing.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

use super::CELLS;

pub fn serialize<S: Serializer>(cells: &[f32; CELLS], serializer: S) -> Result<S::Ok, S::Error> {
    let mut bytes = [0; CELLS * 4];
    for (to, cell) in bytes.chunks_exact_mut(4).zip(cells) {
        to.copy_from_slice(&cell.to_be_bytes());
    }
    serializer.serialize_str(&hex::encode(bytes))
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[f32; CELLS], D::Error> {
    let text = String::deserialize(deserializer)?;
    let mut bytes = [0; CELLS * 4];
    hex::decode_to_slice(&text, &mut bytes).map_err(D::Error::custom)?;
    let (words, _) = bytes.as_chunks::<4>();
    let mut cells = [0.0; CELLS];
    for (cell, word) in cells.iter_mut().zip(words) {
        *cell = f32::from_be_bytes(*word);
    }
    Ok(cells)
}
