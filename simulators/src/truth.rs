//! What really happened, as values and as JSON lines, and how many raw readings left each device.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Mutex;

use jiff::Timestamp;
use serde::Serialize;

use crate::sync::locked;

/// One thing that really happened. All times are true times, whatever a device's clock said.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "truth", rename_all = "lowercase")]
pub enum Truth {
    /// `at`: when the asset was in the door.
    Passage {
        asset: String,
        portal: String,
        direction: Direction,
        at: Timestamp,
    },
    /// `at`: when the vehicle was on the fence's line.
    Geofence {
        device: String,
        fence: String,
        change: Crossing,
        at: Timestamp,
    },
    /// `at`: when the value passed the threshold, or came back over the deadband. Delays are not in it.
    Condition {
        device: String,
        point: String,
        limit: String,
        change: Change,
        at: Timestamp,
    },
    Ghost {
        asset: String,
        gone_at: Timestamp,
    },
    Overdue {
        asset: String,
        due_at: Timestamp,
    },
    /// An asset is in a vehicle from here on, or no longer. `at`: when it was in the door.
    Carried {
        asset: String,
        vehicle: String,
        change: Change,
        at: Timestamp,
    },
    /// A vehicle stands at a door, or no longer. `at`: when it was on the line of the bay's fence.
    Docked {
        vehicle: String,
        door: String,
        change: Change,
        at: Timestamp,
    },
    Outage {
        source: String,
        from: Timestamp,
        to: Timestamp,
    },
    /// An output of a reader, a light or a buzzer, was switched.
    Output {
        reader: String,
        port: u16,
        on: bool,
        at: Timestamp,
    },
    /// One raw read. `at` is unique among a reader's reads; `wire_us` is what the report said (UTC, or since
    /// boot); `sent_at` is when its report had been written to a socket whole.
    Read {
        reader: String,
        epc: String,
        antenna: u16,
        at: Timestamp,
        wire_us: u64,
        sent_at: Option<Timestamp>,
    },
    /// One published position. `tst` is what the payload said; `payload` is the payload's FNV-1a 64.
    Fix {
        device: String,
        tst: i64,
        lat: f64,
        lon: f64,
        payload: String,
        published_at: Option<Timestamp>,
        puback_at: Option<Timestamp>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    In,
    Out,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Crossing {
    Entered,
    Exited,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    Began,
    Ended,
}

/// Raw readings that left each device.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Emitted {
    pub tag_reads: BTreeMap<String, ReadCount>,
    /// By tracker, `user/device`.
    pub fixes: BTreeMap<String, FixCount>,
    /// Registers of answers written, by Modbus device.
    pub samples: BTreeMap<String, u64>,
}

impl Emitted {
    pub fn total_tag_reads(&self) -> u64 {
        self.tag_reads.values().map(|count| count.sent).sum()
    }

    pub fn total_fixes(&self) -> u64 {
        self.fixes.values().map(|count| count.acknowledged).sum()
    }

    pub fn total_samples(&self) -> u64 {
        self.samples.values().sum()
    }
}

/// `taken` = `sent` + `dropped` + what is still held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct ReadCount {
    /// Reads made while an ROSpec was active.
    pub taken: u64,
    /// Reads whose report was written to a socket whole.
    pub sent: u64,
    /// Reads that found the reader's buffer full, or that a power cut wiped.
    pub dropped: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct FixCount {
    pub taken: u64,
    /// PUBLISH packets written, deliberate doubles and re-sent ones included.
    pub published: u64,
    /// Messages (deliberate doubles included) whose PUBACK came.
    pub acknowledged: u64,
}

/// Where the truth is written down as it happens.
#[derive(Debug, Default)]
pub struct TruthLog {
    inner: Mutex<Lines>,
    /// Raw reads and fixes are written down too.
    raw: bool,
    /// …and kept in memory, not only in the file.
    keep_raw: bool,
}

#[derive(Debug, Default)]
struct Lines {
    kept: Vec<Truth>,
    file: Option<BufWriter<File>>,
    failed: Option<std::io::Error>,
}

impl TruthLog {
    pub fn new(file: Option<&Path>, raw: bool, keep_raw: bool) -> std::io::Result<Self> {
        let file = file.map(File::create).transpose()?.map(BufWriter::new);
        Ok(Self { inner: Mutex::new(Lines { file, ..Lines::default() }), raw, keep_raw })
    }

    pub fn record(&self, truth: Truth) {
        self.record_all([truth]);
    }

    /// In order; raw entries only where the log was made for them.
    pub fn record_all(&self, truths: impl IntoIterator<Item = Truth>) {
        let mut lines = locked(&self.inner);
        for truth in truths {
            let is_raw = matches!(truth, Truth::Read { .. } | Truth::Fix { .. });
            if is_raw && !self.raw {
                continue;
            }
            lines.write(&truth);
            if !is_raw || self.keep_raw {
                lines.kept.push(truth);
            }
        }
    }

    /// Whether raw reads and fixes are written down.
    pub fn raw(&self) -> bool {
        self.raw
    }

    pub fn kept(&self) -> Vec<Truth> {
        locked(&self.inner).kept.clone()
    }

    /// Puts everything on disk. The first write that failed, if one did, is told here.
    pub fn flush(&self) -> std::io::Result<()> {
        let mut lines = locked(&self.inner);
        if let Some(error) = lines.failed.take() {
            return Err(error);
        }
        lines.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Lines {
    fn write(&mut self, truth: &Truth) {
        let Some(file) = self.file.as_mut() else { return };
        let written =
            serde_json::to_writer(&mut *file, truth).map_err(Into::into).and_then(|()| file.write_all(b"\n"));
        if let Err(error) = written {
            self.failed.get_or_insert(error);
        }
    }
}

/// FNV-1a, 64 bits: a digest that anyone can compute from a payload.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::micros;

    #[test]
    fn a_truth_is_one_json_object_tagged_with_its_kind() {
        let truth = Truth::Passage {
            asset: "CG-001".into(),
            portal: "dock-1".into(),
            direction: Direction::In,
            at: micros(1_700_000_000_250_000),
        };
        assert_eq!(
            serde_json::to_string(&truth).unwrap(),
            r#"{"truth":"passage","asset":"CG-001","portal":"dock-1","direction":"in","at":"2023-11-14T22:13:20.25Z"}"#
        );
    }

    #[test]
    fn raw_entries_are_kept_only_where_they_are_wanted() {
        let read = Truth::Read {
            reader: "r".into(),
            epc: "00".into(),
            antenna: 1,
            at: micros(0),
            wire_us: 0,
            sent_at: None,
        };
        for (raw, keep, want) in [(false, true, 0), (true, false, 0), (true, true, 1)] {
            let log = TruthLog::new(None, raw, keep).unwrap();
            log.record(read.clone());
            assert_eq!(log.kept().len(), want, "raw {raw}, keep {keep}");
        }
    }

    #[test]
    fn fnv1a_of_the_published_vectors() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
