//! A tag's own check of what was read of it (EPC Gen2 air interface, section 6.3.1.5): protocol control word
//! and code are sent with a CRC-16 over both.

use super::epc::Epc;

/// The bit of the protocol control word that says: further words stand between it and the code. They are in
/// the CRC, and readers leave them out.
const EXTENDED: u16 = 0x0200;

/// Whether the tag's CRC is that of what was read; `None` where that cannot be told.
pub fn passes(epc: &Epc, pc: u16, crc: u16) -> Option<bool> {
    Some(crc_of(epc, pc)? == crc)
}

fn crc_of(epc: &Epc, pc: u16) -> Option<u16> {
    if pc & EXTENDED != 0 || !epc.bits().is_multiple_of(16) {
        return None;
    }
    let start = pc.to_be_bytes().into_iter().fold(0xffff, step);
    Some(!epc.bytes().iter().copied().fold(start, step))
}

/// Polynomial 0x1021, a nibble at a time: 32 bytes of table, and no loop over bits.
fn step(crc: u16, byte: u8) -> u16 {
    let nibble = |crc: u16, nibble: u8| crc << 4 ^ TABLE[usize::from((crc >> 12) as u8 ^ nibble)];
    nibble(nibble(crc, byte >> 4), byte & 0xf)
}

const TABLE: [u16; 16] = table();

const fn table() -> [u16; 16] {
    let mut table = [0; 16];
    let mut nibble = 0;
    while nibble < 16 {
        let mut crc = (nibble as u16) << 12;
        let mut bit = 0;
        while bit < 4 {
            crc = if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 };
            bit += 1;
        }
        table[nibble] = crc;
        nibble += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_readers_have_reported() {
        for (pc, epc, crc) in
            [(0x3000, "000000000000000000001545", 0xe94a), (0x3400, "30751feb705c5904e3d50d70", 0x3a76)]
        {
            let epc = Epc::from_hex(epc).unwrap();
            assert_eq!(passes(&epc, pc, crc), Some(true));
            assert_eq!(passes(&epc, pc ^ 1, crc), Some(false));
            // With further words that are not known, and a code cut off within a word.
            assert_eq!(passes(&epc, pc | EXTENDED, crc), None);
            assert_eq!(passes(&Epc::new(95, epc.bytes()).unwrap(), pc, crc), None);
        }
    }

    proptest! {
        #[test]
        fn a_flipped_bit_or_a_burst_is_always_found(bytes in prop::collection::vec(any::<u8>(), 1..31), burst in 1_u16.., at: u16) {
            let bytes: Vec<u8> = bytes.iter().flat_map(|byte| [*byte, !byte]).collect();
            let epc = Epc::new(bytes.len() as u16 * 8, &bytes).unwrap();
            let crc = crc_of(&epc, 0x3000).unwrap();
            prop_assert_eq!(passes(&epc, 0x3000, crc), Some(true));
            let mut other = bytes.clone();
            let at = usize::from(at) % (bytes.len() / 2) * 2;
            other[at] ^= burst.to_be_bytes()[0];
            other[at + 1] ^= burst.to_be_bytes()[1];
            let other = Epc::new(epc.bits(), &other).unwrap();
            prop_assert_eq!(passes(&other, 0x3000, crc), Some(false));
        }
    }
}
