//! Vendors' own parameters, which travel in Custom (1023): those that we ask for, or that people want to read.
//! What is not here is kept and shown as bytes. Never needed to give back what came: that is Custom's `Data`.

use super::{Field, s16, u16, u32, wordsv};

/// IANA enterprise numbers.
pub const IMPINJ: u32 = 25_882;
pub const ZEBRA: u32 = 161;

// Subtypes of Impinj's (Octane LLRP).
pub const IMPINJ_ENABLE_EXTENSIONS: u8 = 21;
pub const IMPINJ_ENABLE_EXTENSIONS_RESPONSE: u8 = 22;
pub const IMPINJ_REQUESTED_DATA: u32 = 21;
pub const IMPINJ_READER_TEMPERATURE: u32 = 37;
pub const IMPINJ_LINK_MONITOR: u32 = 38;
pub const IMPINJ_TAG_REPORT_CONTENT: u32 = 50;
pub const IMPINJ_ENABLE_SERIALIZED_TID: u32 = 51;
pub const IMPINJ_ENABLE_PHASE: u32 = 52;
pub const IMPINJ_ENABLE_PEAK_RSSI: u32 = 53;
pub const IMPINJ_ENABLE_DOPPLER: u32 = 67;
pub const IMPINJ_SERIALIZED_TID: u32 = 55;
pub const IMPINJ_PHASE: u32 = 56;
pub const IMPINJ_PEAK_RSSI: u32 = 57;
pub const IMPINJ_DOPPLER: u32 = 68;

// Subtypes of Zebra's (Interface Control Guide for fixed readers).
pub const ZEBRA_TAG_REPORT_CONTENT: u32 = 708;
pub const ZEBRA_PHASE: u32 = 709;

/// One parameter of a vendor.
#[derive(Debug)]
pub struct Extension {
    pub vendor: u32,
    pub subtype: u32,
    pub name: &'static str,
    pub fields: &'static [Field],
}

/// What a Custom of this vendor and subtype is.
pub fn extension(vendor: u64, subtype: u64) -> Option<&'static Extension> {
    EXTENSIONS.iter().find(|known| u64::from(known.vendor) == vendor && u64::from(known.subtype) == subtype)
}

const fn impinj(subtype: u32, name: &'static str, fields: &'static [Field]) -> Extension {
    Extension { vendor: IMPINJ, subtype, name, fields }
}

const EXTENSIONS: &[Extension] = &[
    impinj(IMPINJ_REQUESTED_DATA, "ImpinjRequestedData", &[u32("RequestedData")]),
    impinj(IMPINJ_READER_TEMPERATURE, "ImpinjReaderTemperature", &[s16("Temperature")]),
    impinj(
        IMPINJ_LINK_MONITOR,
        "ImpinjLinkMonitorConfiguration",
        &[u16("LinkMonitorMode"), u16("LinkDownThreshold")],
    ),
    impinj(IMPINJ_TAG_REPORT_CONTENT, "ImpinjTagReportContentSelector", &[]),
    impinj(IMPINJ_ENABLE_SERIALIZED_TID, "ImpinjEnableSerializedTID", &[u16("SerializedTIDMode")]),
    impinj(IMPINJ_ENABLE_PHASE, "ImpinjEnableRFPhaseAngle", &[u16("RFPhaseAngleMode")]),
    impinj(IMPINJ_ENABLE_PEAK_RSSI, "ImpinjEnablePeakRSSI", &[u16("PeakRSSIMode")]),
    impinj(IMPINJ_ENABLE_DOPPLER, "ImpinjEnableRFDopplerFrequency", &[u16("RFDopplerFrequencyMode")]),
    impinj(IMPINJ_SERIALIZED_TID, "ImpinjSerializedTID", &[wordsv("TID")]),
    impinj(IMPINJ_PHASE, "ImpinjRFPhaseAngle", &[u16("PhaseAngle")]),
    impinj(IMPINJ_PEAK_RSSI, "ImpinjPeakRSSI", &[s16("RSSI")]),
    impinj(IMPINJ_DOPPLER, "ImpinjRFDopplerFrequency", &[s16("DopplerFrequency")]),
    Extension {
        vendor: ZEBRA,
        subtype: ZEBRA_TAG_REPORT_CONTENT,
        name: "MotoTagReportContentSelector",
        fields: &[u32("Enabled")],
    },
    Extension { vendor: ZEBRA, subtype: ZEBRA_PHASE, name: "MotoTagPhase", fields: &[s16("Phase")] },
];
