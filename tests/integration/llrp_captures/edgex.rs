//! Payloads that EdgeX recorded from readers, beside the fields as EdgeX reads them. EdgeX has names
//! of its own for many fields; `renamed` says which of the standard's they are.

use std::path::Path;

use serde_json::{Map, Value as Json};
use tallyman::decode::llrp::{Body, Message, Parameter, ReportDecoder, Value};
use tallyman::domain::ids::SourceId;
use tallyman::domain::readings::{DeviceTime, Reading, TagRead};

use crate::captures;

#[test]
fn every_payload_decodes_to_the_values_of_its_oracle() {
    let Some(folder) = captures::folder("llrp/edgex") else { return };
    for path in captures::files(&folder, "bytes") {
        let message = message(&path);
        let tree = Message::decode(&message).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut compared = Compared { path: &path, values: 0 };
        compared.object("", &oracle(&path), &tree.body);
        assert!(compared.values > 0, "{}: nothing was compared", path.display());
        assert_eq!(tree.encode().unwrap(), message, "{}: encoded again", path.display());
    }
}

#[test]
fn tag_reads_have_the_values_of_their_oracle() {
    let Some(folder) = captures::folder("llrp/edgex") else { return };
    let mut reports = 0;
    for path in captures::files(&folder, "bytes").iter().filter(|path| type_of(path) == 61) {
        let mut readings = Vec::new();
        ReportDecoder::new(SourceId::new("reader")).decode(&message(path), &mut readings).unwrap();
        let oracle = oracle(path);
        let expected = oracle["TagReportData"].as_array().unwrap();
        assert_eq!(readings.len(), expected.len());
        for (reading, expected) in readings.iter().zip(expected) {
            let Reading::Tag(read) = reading else { panic!("{reading:?}") };
            check_read(read, expected);
            reports += 1;
        }
    }
    assert!(reports > 0, "no tag report among the captures");
}

fn check_read(read: &TagRead, expected: &Json) {
    let code = expected["EPC96"]["EPC"].as_str().or(expected["EPCData"]["EPC"].as_str());
    assert_eq!(read.epc.bytes(), base64(code.unwrap()));
    assert_eq!(Some(u64::from(read.antenna)), expected["AntennaID"].as_u64());
    assert_eq!(read.peak_rssi_dbm.map(f64::from), expected["PeakRSSI"].as_f64());
    let micros = |time| match time {
        DeviceTime::Utc(time) => Some(time.as_micros()),
        _ => None,
    };
    assert_eq!(micros(read.first_seen), expected["FirstSeenUTC"].as_i64());
    let last = expected["LastSeenUTC"].as_i64().or(expected["FirstSeenUTC"].as_i64());
    assert_eq!(micros(read.last_seen), last);
    assert_eq!(u64::from(read.seen_count), expected["TagSeenCount"].as_u64().unwrap_or(1));
    assert_eq!(read.pc.map(u64::from), expected["C1G2PC"].as_u64());
    assert_eq!(read.crc.map(u64::from), expected["C1G2CRC"].as_u64());
}

fn oracle(path: &Path) -> Map<String, Json> {
    let text = std::fs::read(path.with_extension("json")).expect("every payload has its oracle");
    serde_json::from_slice(&text).expect("the oracle is JSON")
}

/// The recorded payload behind a header made from the file's name.
fn message(path: &Path) -> Vec<u8> {
    let payload = std::fs::read(path).unwrap();
    let mut message = (1u16 << 10 | type_of(path)).to_be_bytes().to_vec();
    message.extend((payload.len() as u32 + 10).to_be_bytes());
    message.extend(7u32.to_be_bytes());
    message.extend(payload);
    message
}

fn type_of(path: &Path) -> u16 {
    let name = path.file_name().unwrap().to_str().unwrap();
    match name.split('-').next().unwrap() {
        "CloseConnectionResponse" => 4,
        "GetReaderCapabilitiesResponse" => 11,
        "GetReaderConfigResponse" => 12,
        "GetROSpecsResponse" => 36,
        "GetAccessSpecsResponse" => 54,
        "ROAccessReport" => 61,
        "ReaderEventNotification" => 63,
        other => panic!("which message is a {other}?"),
    }
}

struct Compared<'a> {
    path: &'a Path,
    values: usize,
}

impl Compared<'_> {
    /// All that the oracle has is in the body, and the body has nothing else.
    fn object(&mut self, at: &str, oracle: &Map<String, Json>, body: &Body) {
        let mut found = Vec::new();
        for (key, expected) in oracle {
            let name = renamed(at, key);
            found.push(name);
            if let Some(value) = body.field(name) {
                self.value(key, expected, value);
            } else {
                let parameters: Vec<_> =
                    body.parameters().iter().filter(|p| p.name() == Some(name)).collect();
                self.parameters(key, expected, &parameters);
            }
        }
        let fields = body.fields().map(|(name, _)| name);
        for name in fields.chain(body.parameters().iter().map(|p| p.name().unwrap_or("unknown"))) {
            assert!(found.contains(&name), "{}: {at} has {name}, its oracle has not", self.path.display());
        }
    }

    fn parameters(&mut self, key: &str, expected: &Json, parameters: &[&Parameter]) {
        let at = format!("{}: {key}", self.path.display());
        match (expected, parameters) {
            (absent, []) => assert!(is_zero(absent), "{at} is missing, the oracle has {absent}"),
            (Json::Array(items), _) => {
                assert_eq!(items.len(), parameters.len(), "{at}");
                for (item, parameter) in items.iter().zip(parameters) {
                    self.object(key, item.as_object().unwrap(), &parameter.body);
                }
            }
            (Json::Object(object), [parameter]) => self.object(key, object, &parameter.body),
            (scalar, [parameter]) => {
                let fields: Vec<_> = parameter.body.fields().collect();
                assert_eq!(fields.len(), 1, "{at}");
                self.value(key, scalar, fields[0].1);
            }
            _ => panic!("{at} came {} times", parameters.len()),
        }
    }

    fn value(&mut self, key: &str, expected: &Json, value: &Value) {
        self.values += 1;
        let same = match (expected, value) {
            (Json::Bool(expected), Value::Unsigned(bit)) => u64::from(*expected) == *bit,
            (Json::Number(expected), Value::Unsigned(number)) => expected.as_u64() == Some(*number),
            (Json::Number(expected), Value::Signed(number)) => expected.as_i64() == Some(*number),
            (Json::Number(expected), Value::Bits { bits, .. }) => expected.as_u64() == Some(u64::from(*bits)),
            (Json::String(expected), Value::Text(text)) => expected.as_bytes() == text,
            (Json::String(expected), Value::Bytes(bytes) | Value::Bits { bytes, .. }) => {
                base64(expected) == *bytes
            }
            (Json::String(expected), Value::Array(items)) => {
                base64(expected).iter().map(|byte| u32::from(*byte)).eq(items.iter().copied())
            }
            (Json::Array(expected), Value::Array(items)) => {
                expected.iter().map(Json::as_u64).eq(items.iter().map(|item| Some(u64::from(*item))))
            }
            (Json::Null, Value::Array(items)) => items.is_empty(),
            (Json::Null, Value::Bytes(bytes) | Value::Bits { bytes, .. }) => bytes.is_empty(),
            _ => false,
        };
        assert!(same, "{}: {key} is {value:?}, the oracle says {expected}", self.path.display());
    }
}

/// EdgeX writes some absent parameters as their zero value.
fn is_zero(oracle: &Json) -> bool {
    match oracle {
        Json::Null => true,
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::Object(object) => !object.is_empty() && object.values().all(is_zero),
        _ => false,
    }
}

/// EdgeX's name of a field or parameter → the standard's. `at` is the EdgeX name of what holds it.
fn renamed<'a>(at: &str, key: &'a str) -> &'a str {
    match (at, key) {
        ("AntennaProperties", "AntennaID") => "AntennaID",
        ("GPIPortCurrentStates", "Port") => "GPIPortNum",
        ("GPIPortCurrentStates", "Enabled") => "Config",
        ("GPOWriteData", "Port") => "GPOPortNumber",
        ("GPOWriteData", "Data") => "GPOData",
        ("KeepAliveSpec", "Trigger") => "KeepaliveTriggerType",
        ("KeepAliveSpec", "Interval") => "PeriodicTriggerValue",
        ("ROReportSpec", "Trigger") => "ROReportTrigger",
        ("RFTransmitter", "TransmitPowerIndex") => "TransmitPower",
        ("ReceiveSensitivities", "ReceiveSensitivity") => "ReceiveSensitivityValue",
        ("EventNotificationStates", "ReaderEventType") => "EventType",
        ("EventNotificationStates", "NotificationEnabled") => "NotificationState",
        ("C1G2EPCMemorySelector", "CRCEnabled") => "EnableCRC",
        ("C1G2EPCMemorySelector", "PCBitsEnabled") => "EnablePCBits",
        ("C1G2EPCMemorySelector", "XPCBitsEnabled") => "EnableXPCBits",
        ("TagReportContentSelector", "EnableInventoryParamSpecID") => "EnableInventoryParameterSpecID",
        ("EPCData", "EPCNumBits") => "EPC",
        ("RFControl", "RFModeID") => "ModeIndex",
        _ => renamed_anywhere(key),
    }
}

fn renamed_anywhere(key: &str) -> &str {
    match key {
        "Status" => "StatusCode",
        "EPC96" => "EPC_96",
        "FirstSeenUTC" => "FirstSeenTimestampUTC",
        "FirstSeenUptime" => "FirstSeenTimestampUptime",
        "LastSeenUTC" => "LastSeenTimestampUTC",
        "LastSeenUptime" => "LastSeenTimestampUptime",
        "C1G2PC" => "C1G2_PC",
        "C1G2CRC" => "C1G2_CRC",
        "C1G2XPCW1" => "C1G2_XPCW1",
        "C1G2XPCW2" => "C1G2_XPCW2",
        "ROSpecs" => "ROSpec",
        "AccessSpecs" => "AccessSpec",
        "MaxSupportedAntennas" => "MaxNumberOfAntennaSupported",
        "HasUTCClock" => "HasUTCClockCapability",
        "DeviceManufacturer" => "DeviceManufacturerName",
        "Model" => "ModelName",
        "FirmwareVersion" => "ReaderFirmwareVersion",
        "ReceiveSensitivities" => "ReceiveSensitivityTableEntry",
        "PerAntennaReceiveSensitivityRanges" => "PerAntennaReceiveSensitivityRange",
        "PerAntennaAirProtocols" => "PerAntennaAirProtocol",
        "AirProtocolIDs" => "ProtocolID",
        "SupportsEventsAndReportHolding" => "SupportsEventAndReportHolding",
        "MaxPriorityLevelSupported" => "MaxNumPriorityLevelsSupported",
        "ClientRequestedOpSpecTimeout" => "ClientRequestOpSpecTimeout",
        "MaxROSpecs" => "MaxNumROSpecs",
        "MaxSpecsPerROSpec" => "MaxNumSpecsPerROSpec",
        "MaxInventoryParameterSpecsPerAISpec" => "MaxNumInventoryParameterSpecsPerAISpec",
        "MaxAccessSpecs" => "MaxNumAccessSpecs",
        "MaxOpSpecsPerAccessSpec" => "MaxNumOpSpecsPerAccessSpec",
        "SupportsBlockErase" => "CanSupportBlockErase",
        "SupportsBlockWrite" => "CanSupportBlockWrite",
        "SupportsBlockPermalock" => "CanSupportBlockPermalock",
        "SupportsTagRecommissioning" => "CanSupportTagRecommissioning",
        "SupportsUMIMethod2" => "CanSupportUMIMethod2",
        "SupportsXPC" => "CanSupportXPC",
        "MaxSelectFiltersPerQuery" => "MaxNumSelectFiltersPerQuery",
        "TransmitPowerLevels" => "TransmitPowerLevelTableEntry",
        "FrequencyHopTables" => "FrequencyHopTable",
        "Frequencies" => "Frequency",
        "C1G2RFModes" => "C1G2UHFRFModeTable",
        "UHFC1G2RFModeTableEntries" => "C1G2UHFRFModeTableEntry",
        "ModeID" => "ModeIdentifier",
        "DivideRatio" => "DRValue",
        "IsEPCHagConformant" => "EPCHAGTCConformance",
        "Modulation" => "MValue",
        "SpectralMask" => "SpectralMaskIndicator",
        "BackscatterDataRate" => "BDRValue",
        "PIERatio" => "PIEValue",
        "MinTariTime" => "MinTariValue",
        "MaxTariTime" => "MaxTariValue",
        "StepTariTime" => "StepTariValue",
        "AntennaConfigurations" => "AntennaConfiguration",
        "RFReceiver" => "RFReceiver",
        "RFControl" => "C1G2RFControl",
        "SingulationControl" => "C1G2SingulationControl",
        "InvAwareAction" => "C1G2TagInventoryStateAwareSingulationAction",
        "Filters" => "C1G2Filter",
        "EventNotificationStates" => "EventNotificationState",
        "KeepAliveSpec" => "KeepaliveSpec",
        "GPIPortCurrentStates" => "GPIPortCurrentState",
        same => same,
    }
}

/// RFC 4648 with padding.
fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0u32, 0);
    for symbol in text.bytes().filter(|symbol| *symbol != b'=') {
        let value = ALPHABET.iter().position(|known| *known == symbol).expect("base64");
        bits = bits << 6 | value as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}
