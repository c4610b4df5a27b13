//! What the documentation of Telegraf's `inputs.modbus` says of `optimization = "max_insert"`: values go into the same
//! request as long as the hole between them is not larger than `optimization_max_register_fill`, and a request is as long as
//! it may be. It says nothing of ranges that a device refuses; here a hole with one is too large, or its requests would not
//! be answered at all.

use super::{Span, TableMap};

pub fn requests(table: &TableMap) -> Vec<Span> {
    let (together, alone) = table.split();
    let mut requests: Vec<Span> = Vec::new();
    for (first, end) in together {
        if let Some(open) = requests.last_mut() {
            let hole = open.1..first;
            let is_small = hole.len() <= table.max_gap as usize && !hole.clone().any(|at| table.refuses(at));
            let longer = open.1.max(end);
            if is_small && longer - open.0 <= table.max_length {
                open.1 = longer;
                continue;
            }
        }
        requests.push((first, end));
    }
    requests.extend(alone);
    requests
}
