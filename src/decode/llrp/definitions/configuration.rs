//! A reader's settings (LLRP 1.0.1, section 12).

use super::*;

pub(super) const PARAMETERS: &[Definition] = &[
    tlv(217, "LLRPConfigurationStateValue", &[u32("LLRPConfigurationStateValue")], LEAF),
    tlv(218, "Identification", &[u8("IDType"), bytesv("ReaderID")], LEAF),
    tlv(219, "GPOWriteData", &[u16("GPOPortNumber"), u1("GPOData"), reserved(7)], LEAF),
    tlv(220, "KeepaliveSpec", &[u8("KeepaliveTriggerType"), u32("PeriodicTriggerValue")], LEAF),
    tlv(
        221,
        "AntennaProperties",
        &[u1("AntennaConnected"), reserved(7), u16("AntennaID"), s16("AntennaGain")],
        LEAF,
    ),
    tlv(222, "AntennaConfiguration", &[u16("AntennaID")], holds(&[223, 224], &[330])),
    tlv(223, "RFReceiver", &[u16("ReceiverSensitivity")], LEAF),
    tlv(224, "RFTransmitter", &[u16("HopTableID"), u16("ChannelIndex"), u16("TransmitPower")], LEAF),
    tlv(225, "GPIPortCurrentState", &[u16("GPIPortNum"), u1("Config"), reserved(7), u8("State")], LEAF),
    tlv(226, "EventsAndReports", &[u1("HoldEventsAndReportsUponReconnect"), reserved(7)], LEAF),
];
