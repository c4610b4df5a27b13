//! The simulated company as tallyman is told of it: a configuration, as an engineer would have written
//! it, and a register, as an import would have brought it.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tallyman_simulators::Plant;
use tallyman_simulators::world::plant::ReadPointKind;

use crate::domain::commands::Command;
use crate::domain::epc::Epc;
use crate::domain::ids::{AssetId, DeviceId, ZoneId};
use crate::domain::register::{
    Asset, Carrier, Checkout, Record, SensorAttachment, TagAttachment, TrackerAttachment,
};
use crate::domain::time::Timestamp;

/// Where the daemon is to find and put things.
pub struct Surroundings<'a> {
    pub node: &'a str,
    pub journal: &'a Path,
    pub broker: SocketAddr,
    pub timescale: Option<&'a str>,
    /// The address of a simulated device, by name.
    pub address: &'a dyn Fn(&str) -> Option<SocketAddr>,
    /// The serial line of a simulated reader, by name.
    pub line: &'a dyn Fn(&str) -> Option<PathBuf>,
}

/// The output of a door's reader that its light hangs on.
pub const LIGHT: u16 = 1;

/// The configuration file's text.
///
/// # Errors
/// Never in practice: writing to a string does not fail.
pub fn config(plant: &Plant, around: &Surroundings<'_>) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let out = &mut text;
    writeln!(
        out,
        "node = {:?}\n\n[journal]\npath = {:?}\n",
        around.node,
        around.journal.display().to_string()
    )?;
    if let Some(url) = around.timescale {
        writeln!(out, "[store.timescale]\nurl = {url:?}\n")?;
    }
    writeln!(out, "[metrics]\nlisten = \"127.0.0.1:0\"\n")?;
    writeln!(out, "[alerts]\nreader_down_after = \"2s\"\nsensor_bad_after = \"5s\"\n")?;
    places(out, plant)?;
    read_points(out, plant)?;
    devices(out, plant, around)?;
    lights(out, plant)?;
    Ok(text)
}

fn places(out: &mut String, plant: &Plant) -> std::fmt::Result {
    for site in &plant.sites {
        writeln!(out, "[[site]]\nname = {:?}\ntimezone = {:?}\n", site.name, site.timezone)?;
    }
    for zone in &plant.zones {
        let coverage = json!(zone.coverage);
        writeln!(out, "[[zone]]\nname = {:?}\nsite = {:?}\ncoverage = {coverage}\n", zone.name, zone.site)?;
    }
    for class in &plant.classes {
        writeln!(out, "[[class]]\nname = {:?}", class.name)?;
        if let Some(seconds) = class.ghost_after_s {
            writeln!(out, "ghost_after = {:?}", duration(seconds))?;
        }
        if let Some(seconds) = class.overdue_grace_s {
            writeln!(out, "overdue_grace = {:?}", duration(seconds))?;
        }
        if class.needs_checkout {
            writeln!(out, "needs_checkout = true")?;
        }
        if class.vehicle {
            writeln!(out, "vehicle = true")?;
        }
        writeln!(out)?;
    }
    for fence in &plant.fences {
        writeln!(out, "[[fence]]\nname = {:?}", fence.name)?;
        if let Some(site) = &fence.site {
            writeln!(out, "site = {site:?}")?;
        }
        if let Some(zone) = &fence.zone {
            writeln!(out, "zone = {zone:?}")?;
        }
        writeln!(
            out,
            "center = {{ lat = {:?}, lon = {:?} }}\nradius_m = {:?}\nhysteresis_m = {:?}\n",
            fence.lat, fence.lon, fence.radius_m, fence.hysteresis_m
        )?;
    }
    Ok(())
}

fn read_points(out: &mut String, plant: &Plant) -> std::fmt::Result {
    for point in &plant.read_points {
        writeln!(out, "[[read_point]]\nname = {:?}", point.name)?;
        let reader = &point.reader;
        match &point.kind {
            ReadPointKind::Portal { outside, inside, outside_antenna, inside_antenna, bay } => {
                writeln!(out, "kind = \"portal\"\noutside = {outside:?}\ninside = {inside:?}")?;
                if let Some(bay) = bay {
                    writeln!(out, "bay = {bay:?}")?;
                }
                writeln!(
                    out,
                    "antennas = [\n  {{ reader = {reader:?}, antenna = {outside_antenna}, side = \"outside\" }},\n  \
                     {{ reader = {reader:?}, antenna = {inside_antenna}, side = \"inside\" }},\n]\n"
                )?;
            }
            ReadPointKind::Presence { zone, antennas, reference_tag, longest_silence_s } => {
                writeln!(out, "kind = \"presence\"\nzone = {zone:?}\nreference_tag = {reference_tag:?}")?;
                writeln!(out, "lost_after = {:?}\nrefresh = \"1s\"", duration(*longest_silence_s + 1.0))?;
                writeln!(out, "hearing_timeout = \"2s\"")?;
                let antennas = antennas.iter().map(|n| format!("{{ reader = {reader:?}, antenna = {n} }}"));
                writeln!(out, "antennas = [{}]\n", antennas.collect::<Vec<_>>().join(", "))?;
            }
        }
    }
    Ok(())
}

/// A stack light at the first output of every door's reader.
fn lights(out: &mut String, plant: &Plant) -> std::fmt::Result {
    let llrp = |name: &str| plant.readers.iter().any(|reader| reader.name == name && reader.serial.is_none());
    for point in &plant.read_points {
        if let ReadPointKind::Portal { .. } = point.kind
            && llrp(&point.reader)
        {
            let light = format!("{}-light", point.name);
            writeln!(out, "[[output]]\nname = {light:?}\nreader = {:?}\ngpo = {LIGHT}\n", point.reader)?;
            writeln!(out, "[[door]]\nread_point = {:?}\noutputs = [{light:?}]\nfor = \"3s\"\n", point.name)?;
        }
    }
    Ok(())
}

fn devices(out: &mut String, plant: &Plant, around: &Surroundings<'_>) -> std::fmt::Result {
    let address = |name: &str| (around.address)(name).map(|at| at.to_string()).unwrap_or_default();
    let backoff = "backoff = { first = \"200ms\", last = \"1s\" }";
    for reader in &plant.readers {
        writeln!(out, "[[reader]]\nname = {:?}\nsite = {:?}", reader.name, reader.site)?;
        if let Some(protocol) = reader.serial {
            let line = (around.line)(&reader.name).unwrap_or_default();
            writeln!(out, "protocol = {}\nport = {line:?}\n{backoff}\n", json!(protocol))?;
            continue;
        }
        writeln!(out, "protocol = \"llrp\"")?;
        writeln!(out, "address = {:?}\nkeepalive = \"2s\"\n{backoff}\n", address(&reader.name))?;
    }
    if let Some(site) = plant.sites.first() {
        writeln!(out, "[[broker]]\nsite = {:?}", site.name)?;
    }
    writeln!(out, "name = \"fleet\"\naddress = {:?}", around.broker.to_string())?;
    writeln!(out, "client_id = {:?}\n{backoff}\n", around.node)?;
    writeln!(out, "  [[broker.topic]]\n  filter = \"owntracks/+/+\"\n  format = \"owntracks\"\n")?;
    for device in &plant.modbus {
        writeln!(out, "[[modbus]]\nname = {:?}\nsite = {:?}", device.name, device.site)?;
        writeln!(out, "address = {:?}\nunit = {}\nbase = 0", address(&device.name), device.unit)?;
        writeln!(out, "poll = \"500ms\"\ntimeout = \"400ms\"\n{backoff}\n")?;
        for point in &device.points {
            writeln!(out, "  [[modbus.point]]\n  name = {:?}", point.name)?;
            writeln!(out, "  table = {}\n  address = {}", json!(point.table), point.address)?;
            writeln!(out, "  type = {}\n  order = {}", json!(point.kind), json!(point.order))?;
            writeln!(out, "  scale = {:?}", point.scale)?;
            if !point.unit.is_empty() {
                writeln!(out, "  unit = {:?}", point.unit)?;
            }
            writeln!(out)?;
        }
        for limit in &device.limits {
            writeln!(
                out,
                "[[limit]]\ndevice = {:?}\npoint = {:?}\nname = {:?}\nhigh = {:?}\ndeadband = {:?}\n\
                 on_delay = {:?}\noff_delay = {:?}\n",
                device.name,
                limit.point,
                limit.name,
                limit.threshold,
                limit.deadband,
                duration(limit.on_delay_s),
                duration(limit.off_delay_s)
            )?;
        }
    }
    Ok(())
}

/// A duration as the configuration writes it.
fn duration(seconds: f64) -> String {
    format!("{}ms", (seconds * 1000.0).round())
}

/// What the company owns, and how it is tagged.
pub fn register(plant: &Plant) -> Command {
    let mut records = Vec::new();
    for asset in &plant.assets {
        let id = AssetId::new(&asset.id);
        let home_zone = asset.home_zone.as_deref().map(ZoneId::from);
        records
            .push(Record::Asset(Asset { home_zone, ..Asset::new(id.clone(), asset.class.as_str().into()) }));
        let tags = asset.epcs.iter().filter_map(|epc| Epc::from_hex(epc));
        records.extend(tags.map(|epc| Record::Tag(TagAttachment::on_asset(epc, id.clone()))));
    }
    records.extend(plant.trackers.iter().map(|tracker| {
        let device = DeviceId::from(format!("{}/{}", tracker.user, tracker.device));
        Record::Tracker(TrackerAttachment::on_asset(device, tracker.asset.as_str()))
    }));
    records.extend(plant.modbus.iter().map(|device| {
        let zone = Carrier::Zone(ZoneId::new(&device.zone));
        Record::Sensor(SensorAttachment::new(DeviceId::new(&device.name), zone))
    }));
    Command::Import { records, checkouts: Vec::new() }
}

/// How long before the story those went out that are out when it begins.
const OUT_SINCE: Duration = Duration::from_secs(3600);

/// Who has what when the story begins.
pub fn checkouts(plant: &Plant, begin: Timestamp) -> Command {
    let checkouts = plant.checkouts.iter().map(|checkout| Checkout {
        asset: AssetId::new(&checkout.asset),
        holder: checkout.holder.clone(),
        checked_out_at: begin - OUT_SINCE,
        due_back: Some(begin.offset((checkout.due_s * 1e6) as i64)),
        note: None,
        waived: Vec::new(),
    });
    Command::Import { records: Vec::new(), checkouts: checkouts.collect() }
}
