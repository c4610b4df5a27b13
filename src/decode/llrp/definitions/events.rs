//! What readers tell of themselves: events, errors, times; vendor extensions (LLRP 1.0.1, sections 7, 8,
//! 13.2 and 14).

use super::*;

pub(super) const PARAMETERS: &[Definition] = &[
    tlv(128, "UTCTimestamp", &[u64("Microseconds")], LEAF),
    tlv(129, "Uptime", &[u64("Microseconds")], LEAF),
    tlv(244, "ReaderEventNotificationSpec", &[], holds(&[], &[245])),
    tlv(245, "EventNotificationState", &[u16("EventType"), u1("NotificationState"), reserved(7)], LEAF),
    tlv(
        246,
        "ReaderEventNotificationData",
        &[],
        holds(&[128, 129, 247, 248, 249, 250, 251, 252, 253, 254, 255, 256, 257, 356], &[1023]),
    ),
    tlv(247, "HoppingEvent", &[u16("HopTableID"), u16("NextChannelIndex")], LEAF),
    tlv(248, "GPIEvent", &[u16("GPIPortNumber"), u1("GPIEvent"), reserved(7)], LEAF),
    tlv(249, "ROSpecEvent", &[u8("EventType"), u32("ROSpecID"), u32("PreemptingROSpecID")], LEAF),
    tlv(250, "ReportBufferLevelWarningEvent", &[u8("ReportBufferPercentageFull")], LEAF),
    tlv(251, "ReportBufferOverflowErrorEvent", &[], LEAF),
    tlv(252, "ReaderExceptionEvent", &[utf8v("Message")], holds(&[9, 14, 10, 1, 16, 17], &[1023])),
    tlv(253, "RFSurveyEvent", &[u8("EventType"), u32("ROSpecID"), u16("SpecIndex")], LEAF),
    tlv(254, "AISpecEvent", &[u8("EventType"), u32("ROSpecID"), u16("SpecIndex")], holds(&[18], &[])),
    tlv(255, "AntennaEvent", &[u8("EventType"), u16("AntennaID")], LEAF),
    tlv(256, "ConnectionAttemptEvent", &[u16("Status")], LEAF),
    tlv(257, "ConnectionCloseEvent", &[], LEAF),
    tlv(356, "SpecLoopEvent", &[u32("ROSpecID"), u32("LoopCount")], LEAF),
    tlv(287, "LLRPStatus", &[u16("StatusCode"), utf8v("ErrorDescription")], holds(&[288, 289], &[])),
    tlv(288, "FieldError", &[u16("FieldNum"), u16("ErrorCode")], LEAF),
    tlv(289, "ParameterError", &[u16("ParameterType"), u16("ErrorCode")], holds(&[288, 289], &[])),
    tlv(1023, "Custom", &[u32("VendorIdentifier"), u32("ParameterSubtype"), rest("Data")], LEAF),
];
