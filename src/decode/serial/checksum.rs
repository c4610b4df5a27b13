//! Check sums of the serial protocols.

/// ThingMagic Mercury: polynomial 0x1021 fed a nibble at a time *into* the register (not augmented), from
/// 0xFFFF. Not any of the named CRC-16s: those fold the input in at the top.
pub fn mercury(bytes: &[u8]) -> u16 {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
    nibbles.fold(0xffff, |crc: u16, nibble| {
        let out = crc >> 12;
        // The register's four top bits, times the polynomial; no carry reaches beyond sixteen bits.
        ((crc << 4) | u16::from(nibble)) ^ (out ^ (out << 5) ^ (out << 12))
    })
}

/// Chafon: CRC-16/MCRF4XX (reflected, polynomial 0x8408, from 0xFFFF, nothing at the end).
pub fn chafon(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc: u16, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x8408 } else { 0 })
    })
}

/// R200: the sum of all bytes.
pub fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// R2000: what makes the sum of all bytes 0.
pub fn complement(bytes: &[u8]) -> u8 {
    sum(bytes).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of CRC-16/MCRF4XX in the catalogue of parametrised CRC algorithms.
    #[test]
    fn chafon_is_mcrf4xx() {
        assert_eq!(chafon(b"123456789"), 0x6f91);
    }

    /// By the definition, bit by bit.
    #[test]
    fn the_nibble_form_is_a_division_without_augmentation() {
        let slow = |bytes: &[u8]| {
            let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
            bits.fold(0xffff_u16, |crc, bit| {
                ((crc << 1) | u16::from(bit)) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
            })
        };
        for length in 0..40u8 {
            let bytes: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(37) ^ length).collect();
            assert_eq!(mercury(&bytes), slow(&bytes), "{bytes:02x?}");
        }
    }
}
