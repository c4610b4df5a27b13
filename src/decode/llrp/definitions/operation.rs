//! Reader operations: which antennas inventory, when and how (LLRP 1.0.1, sections 10 and 15.2.1.2).

use super::*;

pub(super) const PARAMETERS: &[Definition] = &[
    tlv(
        177,
        "ROSpec",
        &[u32("ROSpecID"), u8("Priority"), u8("CurrentState")],
        holds(&[178, 237], &[183, 187, 355, 1023]),
    ),
    tlv(178, "ROBoundarySpec", &[], holds(&[179, 182], &[])),
    tlv(179, "ROSpecStartTrigger", &[u8("ROSpecStartTriggerType")], holds(&[180, 181], &[])),
    tlv(180, "PeriodicTriggerValue", &[u32("Offset"), u32("Period")], holds(&[128], &[])),
    tlv(181, "GPITriggerValue", &[u16("GPIPortNum"), u1("GPIEvent"), reserved(7), u32("Timeout")], LEAF),
    tlv(
        182,
        "ROSpecStopTrigger",
        &[u8("ROSpecStopTriggerType"), u32("DurationTriggerValue")],
        holds(&[181], &[]),
    ),
    tlv(183, "AISpec", &[u16v("AntennaIDs")], holds(&[184], &[186, 1023])),
    tlv(
        184,
        "AISpecStopTrigger",
        &[u8("AISpecStopTriggerType"), u32("DurationTrigger")],
        holds(&[181, 185], &[]),
    ),
    tlv(
        185,
        "TagObservationTrigger",
        &[
            u8("TriggerType"),
            reserved(8),
            u16("NumberOfTags"),
            u16("NumberOfAttempts"),
            u16("T"),
            u32("Timeout"),
        ],
        LEAF,
    ),
    tlv(
        186,
        "InventoryParameterSpec",
        &[u16("InventoryParameterSpecID"), u8("ProtocolID")],
        holds(&[], &[222, 1023]),
    ),
    tlv(
        187,
        "RFSurveySpec",
        &[u16("AntennaID"), u32("StartFrequency"), u32("EndFrequency")],
        holds(&[188], &[1023]),
    ),
    tlv(188, "RFSurveySpecStopTrigger", &[u8("StopTriggerType"), u32("DurationPeriod"), u32("N")], LEAF),
    tlv(355, "LoopSpec", &[u32("LoopCount")], LEAF),
    tlv(
        330,
        "C1G2InventoryCommand",
        &[u1("TagInventoryStateAware"), reserved(7)],
        holds(&[335, 336], &[331, 1023]),
    ),
    tlv(331, "C1G2Filter", &[u2("T"), reserved(6)], holds(&[332, 333, 334], &[])),
    tlv(332, "C1G2TagInventoryMask", &[u2("MB"), reserved(6), u16("Pointer"), u1v("TagMask")], LEAF),
    tlv(333, "C1G2TagInventoryStateAwareFilterAction", &[u8("Target"), u8("Action")], LEAF),
    tlv(334, "C1G2TagInventoryStateUnawareFilterAction", &[u8("Action")], LEAF),
    tlv(335, "C1G2RFControl", &[u16("ModeIndex"), u16("Tari")], LEAF),
    tlv(
        336,
        "C1G2SingulationControl",
        &[u2("Session"), reserved(6), u16("TagPopulation"), u32("TagTransitTime")],
        holds(&[337], &[]),
    ),
    tlv(
        337,
        "C1G2TagInventoryStateAwareSingulationAction",
        &[u1("I"), u1("S"), u1("S_All"), reserved(5)],
        LEAF,
    ),
];
