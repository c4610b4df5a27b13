//! A syscall trace as `strace -f -yy -xx` writes it, and what it says about acknowledgements. Pure.
//!
//! ```text
//! lines → calls, each with the lines it began and ended on → MQTT bytes in and out, writes, syncs
//!       → for every PUBACK: its message was written to the journal, after that a sync began, and it ended
//!         before the PUBACK left
//! ```
//! A line is written before the traced thread goes on, so the order of lines is an order of events: what
//! caused something else stands before it.

use std::collections::{BTreeMap, VecDeque};

use tallyman::domain::ids::Digest;

/// What was done to one socket and to files, in the order of the lines.
#[derive(Debug, Default, PartialEq)]
pub struct Trace {
    /// PUBLISH packets with QoS 1.
    pub publishes: Vec<Publish>,
    /// Packet ids of PUBACK packets, with the line on which writing began.
    pub pubacks: Vec<(usize, u16)>,
    /// `fsync` and `fdatasync` of files whose name ends as asked: first and last line.
    pub syncs: Vec<(usize, usize)>,
    /// By message, the last line of the first write to the journal that holds it.
    pub written: BTreeMap<u64, usize>,
}

#[derive(Debug, PartialEq)]
pub struct Publish {
    /// On which the last byte was in.
    pub line: usize,
    pub packet_id: u16,
    pub digest: u64,
}

/// One finished system call.
#[derive(Debug)]
struct Call {
    began: usize,
    ended: usize,
    name: String,
    /// What `-yy` says of the first argument, strings decoded.
    file: String,
    /// The strings among the arguments, joined.
    bytes: Vec<u8>,
    result: i64,
}

impl Trace {
    /// `port`: the broker's. `journal`: how the names of the journal's files end.
    pub fn parse(text: &str, port: u16, journal: &[&str]) -> Self {
        let calls = calls(text);
        let mut trace = Self::default();
        let broker = format!(":{port}]");
        // By socket: a reconnection is another one.
        let (mut incoming, mut outgoing) = (BTreeMap::new(), BTreeMap::new());
        for call in by_key(&calls, |call| call.ended) {
            let of_journal = journal.iter().any(|name| call.file.ends_with(name));
            if is_sync(call) && of_journal {
                trace.syncs.push((call.began, call.ended));
            } else if of_journal && call.name.starts_with("pwrite") && call.result > 0 {
                for digest in digests(transferred(call)) {
                    trace.written.entry(digest).or_insert(call.ended);
                }
            } else if call.file.ends_with(&broker) && is_read(call) {
                let stream: &mut Vec<u8> = incoming.entry(call.file.clone()).or_default();
                stream.extend(transferred(call));
                let packets = packets(stream);
                trace.publishes.extend(packets.iter().filter_map(|it| publish(it, call.ended)));
            }
        }
        for call in by_key(&calls, |call| call.began) {
            if call.file.ends_with(&broker) && is_write(call) {
                let stream: &mut Vec<u8> = outgoing.entry(call.file.clone()).or_default();
                stream.extend(transferred(call));
                let packets = packets(stream);
                trace.pubacks.extend(packets.iter().filter_map(|it| Some((call.began, puback_id(it)?))));
            }
        }
        trace
    }

    /// Acknowledgements that left before their message was durable, in words.
    pub fn early(&self) -> Vec<String> {
        let mut waiting: BTreeMap<u16, VecDeque<&Publish>> = BTreeMap::new();
        let mut publishes = self.publishes.iter().peekable();
        let mut early = Vec::new();
        for (left, id) in &self.pubacks {
            while let Some(publish) = publishes.next_if(|publish| publish.line < *left) {
                waiting.entry(publish.packet_id).or_default().push_back(publish);
            }
            // An id is given out again only after its acknowledgement: the oldest is the one meant.
            let Some(publish) = waiting.get_mut(id).and_then(VecDeque::pop_front) else {
                early.push(format!("line {left}: PUBACK {id}, and no such PUBLISH had come"));
                continue;
            };
            let written = self.written.get(&publish.digest).filter(|written| *written < left);
            let Some(written) = written else {
                early.push(format!(
                    "line {left}: PUBACK {id}, and the journal had not been given the message"
                ));
                continue;
            };
            if !self.syncs.iter().any(|(began, ended)| written < began && ended < left) {
                early.push(format!(
                    "line {left}: PUBACK {id} without a sync since the write of line {written}"
                ));
            }
        }
        early
    }
}

fn by_key(calls: &[Call], key: impl Fn(&Call) -> usize) -> Vec<&Call> {
    let mut calls: Vec<_> = calls.iter().collect();
    calls.sort_by_key(|call| key(call));
    calls
}

fn is_sync(call: &Call) -> bool {
    matches!(call.name.as_str(), "fsync" | "fdatasync") && call.result == 0
}

fn is_read(call: &Call) -> bool {
    matches!(call.name.as_str(), "read" | "readv" | "recvfrom" | "recvmsg") && call.result > 0
}

fn is_write(call: &Call) -> bool {
    matches!(call.name.as_str(), "write" | "writev" | "sendto" | "sendmsg") && call.result > 0
}

fn transferred(call: &Call) -> &[u8] {
    let count = usize::try_from(call.result).expect("a call that went well");
    call.bytes.get(..count).expect("strace was told to show strings whole")
}

/// Whole calls: one that is interrupted by another thread's line is put together again.
fn calls(text: &str) -> Vec<Call> {
    const UNFINISHED: &str = "<unfinished ...>";
    let mut begun: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    let mut calls = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix(UNFINISHED) {
            begun.insert(thread, (number, start));
        } else if let Some(resumed) = rest.strip_prefix("<... ") {
            let Some((_, end)) = resumed.split_once(" resumed>") else { continue };
            if let Some((began, start)) = begun.remove(thread) {
                calls.extend(call(began, number, &format!("{start}{end}")));
            }
        } else {
            calls.extend(call(number, number, rest));
        }
    }
    calls
}

/// `name(3<file>, "\x00…", …) = 2`; `None` for lines that are no call (signals, exits).
fn call(began: usize, ended: usize, text: &str) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(") ")?;
    let result = result.trim_start().strip_prefix('=')?.split_whitespace().next()?.parse().ok()?;
    // A socket's description has an arrow in it; what follows the file is a comma or nothing. A device's
    // has another pair of brackets behind its name.
    let file = arguments.split_once('<').map_or("", |(_, rest)| {
        let end = rest.find(">,").or_else(|| rest.rfind('>'));
        end.map_or(rest, |end| &rest[..end])
    });
    let quoted = arguments.split('"').skip(1).step_by(2);
    let bytes = quoted.flat_map(unescape).collect();
    let file = file.split_once('<').map_or(file, |(name, _)| name);
    let file = match file.starts_with("\\x") {
        true => String::from_utf8_lossy(&unescape(file)).into_owned(),
        false => file.to_owned(),
    };
    Some(Call { began, ended, name: name.to_owned(), file, bytes, result })
}

/// `\x2f\x74` as bytes.
fn unescape(text: &str) -> Vec<u8> {
    let digits = text.split("\\x").skip(1);
    digits
        .map(|two| {
            u8::from_str_radix(two, 16)
                .unwrap_or_else(|_| panic!("not two hexadecimal digits: {two} in {text}"))
        })
        .collect()
}

/// Takes the whole packets from the front of a stream (MQTT 3.1.1, section 2.2).
fn packets(stream: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    while let Some(length) = packet_length(stream).filter(|length| *length <= stream.len()) {
        packets.push(stream.drain(..length).collect());
    }
    packets
}

fn packet_length(stream: &[u8]) -> Option<usize> {
    let mut length = 0;
    for (place, byte) in stream.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(length + place + 2);
        }
    }
    None
}

/// The payload's digest is what a fix is found by in the journal: its event says it.
fn publish(packet: &[u8], line: usize) -> Option<Publish> {
    if packet[0] & 0xf6 != 0x32 {
        return None;
    }
    let head = 1 + packet[1..].iter().take_while(|byte| *byte & 0x80 != 0).count() + 1;
    let topic = usize::from(u16::from_be_bytes([packet[head], packet[head + 1]]));
    let place = head + 2 + topic;
    let packet_id = u16::from_be_bytes([packet[place], packet[place + 1]]);
    Some(Publish { line, packet_id, digest: Digest::of(&packet[place + 2..]).0 })
}

/// Of the events in a page: `"digest":123`.
fn digests(page: &[u8]) -> Vec<u64> {
    const KEY: &[u8] = b"\"digest\":";
    let mut digests = Vec::new();
    let mut rest = page;
    while let Some(place) = rest.windows(KEY.len()).position(|window| window == KEY) {
        rest = &rest[place + KEY.len()..];
        let digits: Vec<u8> = rest.iter().copied().take_while(u8::is_ascii_digit).collect();
        digests.extend(String::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok()));
    }
    digests
}

fn puback_id(packet: &[u8]) -> Option<u16> {
    match packet {
        [0x40, 2, high, low] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKET: &str = "9<TCP:[127.0.0.1:40000->127.0.0.1:1883]>";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect()
    }

    /// A PUBLISH with QoS 1, topic `t`, payload `p`.
    fn publish(id: u8) -> Vec<u8> {
        vec![0x32, 6, 0, 1, b't', 0, id, b'p']
    }

    fn written() -> String {
        let page = format!("..{{\"digest\":{}}}..", Digest::of(b"p").0);
        let (text, length) = (hex(page.as_bytes()), page.len());
        format!("8 pwrite64(5</tmp/journal.db-wal>, \"{text}\", {length}, 0) = {length}\n")
    }

    fn received(bytes: &[u8]) -> String {
        format!("7 recvfrom({SOCKET}, \"{}\", 8192, 0, NULL, NULL) = {}\n", hex(bytes), bytes.len())
    }

    fn acknowledged(id: u8) -> String {
        let bytes = [0x40, 2, 0, id];
        format!("7 sendto({SOCKET}, \"{}\", 4, MSG_NOSIGNAL, NULL, 0) = 4\n", hex(&bytes))
    }

    fn synced() -> String {
        format!("8 fsync(5<{}>) = 0\n", hex(b"/tmp/journal.db-wal"))
    }

    fn parse(text: &str) -> Trace {
        Trace::parse(text, 1883, &["journal.db-wal"])
    }

    #[test]
    fn an_acknowledgement_after_its_sync_is_well() {
        let trace = parse(&[received(&publish(1)), written(), synced(), acknowledged(1)].concat());
        assert_eq!((trace.publishes.len(), trace.pubacks.len(), trace.syncs.len()), (1, 1, 1));
        assert_eq!(trace.early(), [] as [String; 0]);
    }

    #[test]
    fn an_acknowledgement_before_the_sync_is_early() {
        let trace = parse(&[received(&publish(1)), written(), acknowledged(1), synced()].concat());
        assert_eq!(trace.early(), ["line 2: PUBACK 1 without a sync since the write of line 1"]);
    }

    #[test]
    fn a_sync_of_what_was_written_before_is_not_its_own() {
        let trace = parse(&[received(&publish(1)), synced(), acknowledged(1), written(), synced()].concat());
        assert_eq!(trace.early(), ["line 2: PUBACK 1, and the journal had not been given the message"]);
    }

    #[test]
    fn a_sync_that_was_under_way_when_the_message_was_written_is_not_its_own() {
        let text = [
            received(&publish(1)),
            "8 fsync(5</tmp/journal.db-wal> <unfinished ...>\n".to_owned(),
            written().replace("8 ", "9 "),
            "8 <... fsync resumed>) = 0\n".to_owned(),
            acknowledged(1),
        ];
        let trace = parse(&text.concat());
        assert_eq!(trace.syncs, [(1, 3)]);
        assert_eq!(trace.early().len(), 1);
    }

    #[test]
    fn a_sync_that_ends_only_after_the_acknowledgement_is_too_late() {
        let text = [
            received(&publish(1)),
            written(),
            "8 fdatasync(5</tmp/journal.db-wal> <unfinished ...>\n".to_owned(),
            acknowledged(1),
            "8 <... fdatasync resumed>) = 0\n".to_owned(),
        ];
        assert_eq!(parse(&text.concat()).early().len(), 1);
    }

    #[test]
    fn a_sync_of_another_file_does_not_count() {
        let other = synced().replace(&hex(b"wal"), &hex(b"log"));
        let trace = parse(&[received(&publish(1)), written(), other, acknowledged(1)].concat());
        assert_eq!(trace.early().len(), 1);
    }

    #[test]
    fn packets_are_found_however_the_calls_cut_them() {
        let both = [publish(1), publish(2)].concat();
        let resumed = format!(
            "7 recvfrom({SOCKET},  <unfinished ...>\n8 fsync(5</tmp/journal.db-wal>) = 0\n\
             7 <... recvfrom resumed>\"{}\", 8192, 0, NULL, NULL) = 6\n",
            hex(&both[3..9])
        );
        let nothing = format!("7 recvfrom({SOCKET}, 0x55, 8192, 0, NULL, NULL) = -1 EAGAIN (Resource)\n");
        let text = [received(&both[..3]), resumed, nothing, received(&both[9..])].concat();
        let found = parse(&text).publishes;
        let found: Vec<_> = found.iter().map(|publish| (publish.line, publish.packet_id)).collect();
        assert_eq!(found, [(3, 1), (5, 2)]);
    }

    #[test]
    fn an_id_is_matched_each_time_it_is_given_out() {
        let once = [received(&publish(1)), written(), synced(), acknowledged(1)].concat();
        let other = [0x32, 6, 0, 1, b't', 0, 1, b'q'];
        let again = [received(&other), synced(), acknowledged(1)].concat();
        let early = parse(&(once + &again)).early();
        assert_eq!(early, ["line 6: PUBACK 1, and the journal had not been given the message"]);
    }

    #[test]
    fn an_acknowledgement_of_nothing_is_told() {
        assert_eq!(parse(&acknowledged(3)).early(), ["line 0: PUBACK 3, and no such PUBLISH had come"]);
    }
}
