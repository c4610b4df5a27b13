//! Tags by number, and an order that has nothing to do with the one in which they came.

use tallyman::domain::epc::Epc;

pub fn epc(number: u32) -> Epc {
    let mut bytes = [0x34, 0x17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    Epc::of_96(&bytes)
}

pub fn shuffled(count: u32) -> Vec<u32> {
    let mut random = 0x9e37_79b9_u32;
    let mut order: Vec<u32> = (0..count).collect();
    for last in (1..order.len()).rev() {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        order.swap(last, random as usize % (last + 1));
    }
    order
}
