//! A reader of the world, however it is spoken to.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::sync::watch;

use crate::faults::FaultSwitch;
use crate::llrp::{Reader, TagObservation};
use crate::serial::SerialReader;
use crate::truth::ReadCount;

#[derive(Debug)]
pub(super) enum AnyReader {
    Llrp(Reader),
    Serial(SerialReader),
}

impl AnyReader {
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Llrp(reader) => Some(reader.address()),
            Self::Serial(_) => None,
        }
    }

    pub fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Llrp(_) => None,
            Self::Serial(reader) => Some(reader.path().to_owned()),
        }
    }

    pub fn read(&self, observation: TagObservation) {
        match self {
            Self::Llrp(reader) => drop(reader.read(observation)),
            Self::Serial(reader) => drop(reader.read(observation)),
        }
    }

    pub fn faults(&self) -> &FaultSwitch {
        match self {
            Self::Llrp(reader) => reader.faults(),
            Self::Serial(reader) => reader.faults(),
        }
    }

    /// Outputs that are on, where it has any.
    pub fn outputs(&self) -> Option<watch::Receiver<BTreeSet<u16>>> {
        match self {
            Self::Llrp(reader) => Some(reader.outputs()),
            Self::Serial(_) => None,
        }
    }

    pub fn counts(&self) -> ReadCount {
        match self {
            Self::Llrp(reader) => reader.counts(),
            Self::Serial(reader) => reader.counts(),
        }
    }

    pub fn held(&self) -> usize {
        match self {
            Self::Llrp(reader) => reader.held(),
            Self::Serial(reader) => reader.held(),
        }
    }

    pub async fn listening(&self) {
        match self {
            Self::Llrp(reader) => reader.listening().await,
            Self::Serial(reader) => reader.listening().await,
        }
    }

    pub async fn stop(self) {
        match self {
            Self::Llrp(reader) => reader.stop().await,
            Self::Serial(reader) => reader.stop().await,
        }
    }
}
