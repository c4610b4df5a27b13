//! Any bits and any text: an answer, never a panic; what a code is called leads back to the same thing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tallyman::decode::epc::{Hints, decode, parse, pattern};
use tallyman::domain::epc::Epc;

fuzz_target!(|input: (u16, &[u8], &str)| {
    let (bits, bytes, text) = input;
    if let Some(identity) = Epc::new(bits, bytes).and_then(|code| decode(&code).ok())
        && let Some(tag) = &identity.tag_uri
    {
        let again = parse(tag, &Hints::default()).expect("a tag URI that was written is read");
        assert_eq!(decode(&again).expect("and is what it was"), identity);
    }
    let hints = Hints { filter: Some(1), company_prefixes: vec!["0614141".into()], plus: true };
    if let Ok(code) = parse(text, &hints) {
        assert!(code.bits() > 0);
    }
    drop(pattern::parse(text));
});
