//! Which decoder takes the frames of which source.

use std::collections::BTreeMap;

use super::letters::too_long;
use crate::config::Config;
use crate::decode::gps::message::{Message, MessageDecoder};
use crate::decode::gps::nmea::NmeaStream;
use crate::decode::gps::teltonika;
use crate::decode::llrp::ReportDecoder;
use crate::decode::modbus::PointDecoder;
use crate::decode::serial::SerialDecoder;
use crate::decode::{DecodeError, Decoded};
use crate::domain::frames::{Frame, Payload, Request};
use crate::domain::ids::{DeviceId, SourceId};
use crate::domain::state::{StateKind, StateRow};

pub(super) struct Decoders {
    by_source: BTreeMap<SourceId, Decoder>,
    /// Rows of sources that there are no more.
    orphans: Vec<StateRow>,
}

enum Decoder {
    Llrp(Box<ReportDecoder>),
    Serial(SerialDecoder),
    Mqtt(MessageDecoder),
    /// By device.
    Modbus(BTreeMap<DeviceId, PointDecoder>),
    Nmea(NmeaStream),
    Teltonika,
}

impl Decoders {
    pub fn new(config: &Config) -> Self {
        let llrp = config
            .readers
            .iter()
            .map(|reader| (&reader.name, Decoder::Llrp(Box::new(ReportDecoder::new(reader.name.clone())))));
        let serial = config.serial_readers.iter().map(|reader| {
            let decoder = SerialDecoder::new(reader.name.clone(), reader.protocol.clone());
            (&reader.name, Decoder::Serial(decoder))
        });
        let mqtt = config
            .brokers
            .iter()
            .map(|broker| (&broker.name, Decoder::Mqtt(MessageDecoder::new(&broker.topics, &config.intake))));
        let modbus = config.modbus.iter().map(|line| {
            let units = line.units.iter();
            let decoders =
                units.map(|unit| (unit.device.clone(), PointDecoder::new(&unit.points, unit.poll)));
            (&line.name, Decoder::Modbus(decoders.collect()))
        });
        let nmea = config.receivers.iter().map(|receiver| {
            let stream = NmeaStream::new(receiver.device.clone(), receiver.dating);
            (&receiver.name, Decoder::Nmea(stream))
        });
        let teltonika = config.teltonika.iter().map(|listener| (&listener.name, Decoder::Teltonika));
        let all = llrp.chain(serial).chain(mqtt).chain(modbus).chain(nmea).chain(teltonika);
        let by_source = all.map(|(name, decoder)| (name.clone(), decoder)).collect();
        Self { by_source, orphans: Vec::new() }
    }

    /// Rows of what decoding rests on that changed since the last call.
    pub fn take_dirty(&mut self, rows: &mut Vec<StateRow>) {
        rows.append(&mut self.orphans);
        for (source, decoder) in &mut self.by_source {
            if let Decoder::Mqtt(decoder) = decoder {
                decoder.take_dirty(source.as_str(), rows);
            }
        }
    }

    /// Messages of ours to those behind a source, since the last call.
    pub fn take_requests(&mut self) -> Vec<(SourceId, Request)> {
        let decoders = self.by_source.iter_mut().filter_map(|(source, decoder)| match decoder {
            Decoder::Mqtt(decoder) => Some((source, decoder.take_requests())),
            _ => None,
        });
        decoders
            .flat_map(|(source, requests)| requests.into_iter().map(|request| (source.clone(), request)))
            .collect()
    }

    /// Takes up rows of an earlier run. Those of brokers that are configured no more are deleted.
    pub fn restore(&mut self, mut rows: Vec<(String, Vec<u8>)>) -> Result<(), (String, serde_json::Error)> {
        // A node before its devices.
        rows.sort();
        for (key, value) in rows {
            let (source, name) = key.rsplit_once('#').unwrap_or_default();
            match self.by_source.get_mut(source) {
                Some(Decoder::Mqtt(decoder)) => {
                    decoder.restore(name, &value).map_err(|error| (key.clone(), error))?;
                }
                _ => self.orphans.push(StateRow::delete(StateKind::Sparkplug, key)),
            }
        }
        Ok(())
    }

    /// `max_payload`: what was too long went beyond it.
    pub fn decode(
        &mut self,
        frame: &Frame,
        max_payload: usize,
        out: &mut Decoded,
    ) -> Result<(), DecodeError> {
        match (self.by_source.get_mut(&frame.source), &frame.payload) {
            (Some(Decoder::Llrp(decoder)), Payload::Llrp(message)) => {
                decoder.decode(message, &mut out.readings)
            }
            (Some(Decoder::Serial(_)), Payload::Serial { bytes, fault: Some(reason) }) => {
                Err(error(reason, 0, format!("{} bytes that are no frame", bytes.len())))
            }
            (Some(Decoder::Serial(decoder)), Payload::Serial { bytes, fault: None }) => {
                decoder.decode(bytes, &mut out.readings)
            }
            (Some(Decoder::Mqtt(decoder)), Payload::Mqtt { topic, payload, retained, redelivered }) => {
                let (received, retained, redelivered) = (frame.received_at, *retained, *redelivered);
                decoder.decode(Message { topic, payload, received, retained, redelivered }, out)
            }
            (Some(Decoder::Nmea(stream)), Payload::Nmea { lines, flow }) => {
                stream.decode(lines, *flow, frame.received_at, out)
            }
            (Some(Decoder::Teltonika), Payload::Teltonika { bytes, fault: Some(reason), .. }) => {
                Err(error(reason, 0, format!("{} bytes that are no packet", bytes.len())))
            }
            (Some(Decoder::Teltonika), Payload::Teltonika { imei, bytes, fault: None }) => {
                teltonika::decode_packet(imei, bytes, out)
            }
            (Some(Decoder::Modbus(decoders)), Payload::Modbus(answer)) => {
                if let Some(decoder) = decoders.get(&answer.device) {
                    decoder.decode(answer, frame.received_at, &mut out.readings);
                }
                Ok(())
            }
            (_, Payload::TooLong { message, .. }) => Err(error("too-long", max_payload, too_long(message))),
            _ => {
                let message = format!("the configuration has no source `{}` of this kind", frame.source);
                Err(error("no-decoder", 0, message))
            }
        }
    }
}

fn error(reason: &'static str, offset: usize, message: String) -> DecodeError {
    DecodeError { reason, offset, message }
}
