//! The company as its people would configure and import it.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tallyman::config::Config;
use tallyman_simulators::month::{Company, Docks, Door};
use tallyman_simulators::scenario::Coverage;

pub fn config(company: &Company) -> Result<Config> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("tallyman.toml");
    std::fs::write(&path, text(company)?)?;
    tallyman::config::load(&path).context("the configuration of the company")
}

fn text(company: &Company) -> Result<String> {
    let scenario = &company.scenario;
    let mut text = "node = \"month\"\n[journal]\npath = \"journal.db\"\n".to_owned();
    for (index, site) in scenario.sites.iter().enumerate() {
        let (name, timezone) = (&site.name, &site.timezone);
        writeln!(text, "[[site]]\nname = \"{name}\"\ntimezone = \"{timezone}\"")?;
        writeln!(text, "[[zone]]\nname = \"{}\"\nsite = \"{name}\"", company.outside(index))?;
        writeln!(text, "[[broker]]\nname = \"{}\"\nsite = \"{name}\"", company.broker(index))?;
        writeln!(text, "address = \"broker-{index}.example:1883\"\nclient_id = \"month-{index}\"")?;
        writeln!(text, "[[broker.topic]]\nfilter = \"owntracks/+/+\"\nformat = \"owntracks\"")?;
    }
    for zone in &company.zones {
        let coverage = match zone.coverage {
            Coverage::Continuous => "continuous",
            Coverage::PortalOnly => "portal-only",
            Coverage::None => "none",
        };
        let site = &scenario.sites[zone.site].name;
        writeln!(text, "[[zone]]\nname = \"{}\"\nsite = \"{site}\"\ncoverage = \"{coverage}\"", zone.name)?;
    }
    for (index, reader) in company.readers.iter().enumerate() {
        let site = &scenario.sites[reader.site].name;
        writeln!(text, "[[reader]]\nname = \"{}\"\nsite = \"{site}\"", reader.name)?;
        writeln!(text, "protocol = \"llrp\"\naddress = \"reader-{index}.example:5084\"")?;
    }
    read_points(company, &mut text)?;
    for class in &scenario.classes {
        let vehicle = scenario.vehicles.iter().any(|group| group.class == class.name);
        writeln!(text, "[[class]]\nname = \"{}\"\nvehicle = {vehicle}", class.name)?;
        writeln!(text, "overdue_grace = \"{}ms\"", (class.overdue_grace_s * 1e3) as u64)?;
        writeln!(text, "needs_checkout = {}", class.needs_checkout)?;
        for (key, value) in
            [("ghost_after", class.ghost_after_s), ("tracker_silent_after", class.tracker_silent_after_s)]
        {
            if let Some(seconds) = value {
                writeln!(text, "{key} = \"{}ms\"", (seconds * 1e3) as u64)?;
            }
        }
    }
    Ok(text)
}

fn read_points(company: &Company, text: &mut String) -> Result<()> {
    let listening = &company.scenario.listening;
    for shelf in &company.shelves {
        let reader = &company.readers[shelf.reader].name;
        let antennas: Vec<String> = (1..=shelf.antennas)
            .map(|antenna| format!("{{ reader = \"{reader}\", antenna = {antenna} }}"))
            .collect();
        writeln!(text, "[[read_point]]\nname = \"{}\"\nkind = \"presence\"", shelf.name)?;
        writeln!(
            text,
            "zone = \"{}\"\nantennas = [{}]",
            company.zones[shelf.zone].name,
            antennas.join(", ")
        )?;
        writeln!(text, "reference_tag = \"{}\"", hex(&shelf.reference))?;
        for (key, seconds) in [
            ("hearing_timeout", listening.hearing_timeout_s),
            ("lost_after", listening.lost_after_s),
            ("refresh", listening.refresh_s),
        ] {
            writeln!(text, "{key} = \"{}ms\"", (seconds * 1e3) as u64)?;
        }
    }
    for door in &company.doors {
        let reader = &company.readers[door.reader].name;
        let zone = &company.zones[door.zone];
        writeln!(text, "[[read_point]]\nname = \"{}\"\nkind = \"portal\"", door.name)?;
        writeln!(text, "inside = \"{}\"\noutside = \"{}\"", zone.name, company.outside(zone.site))?;
        writeln!(text, "antennas = [{{ reader = \"{reader}\", antenna = 1, side = \"outside\" }}, ")?;
        writeln!(text, "{{ reader = \"{reader}\", antenna = 2, side = \"inside\" }}]")?;
        if zone.docks != Docks::None {
            writeln!(text, "bay = \"{}\"", company.bay(door))?;
        }
    }
    company.doors.iter().try_for_each(|door| bay(company, door, text))
}

/// Where a vehicle stands that is at this door, and what tells that it does.
fn bay(company: &Company, door: &Door, text: &mut String) -> Result<()> {
    let (zone, bay) = (&company.zones[door.zone], company.bay(door));
    let site = &company.scenario.sites[zone.site].name;
    if zone.docks != Docks::None {
        writeln!(text, "[[zone]]\nname = \"{bay}\"\nsite = \"{site}\"")?;
    }
    match zone.docks {
        Docks::None => {}
        Docks::Fence => {
            let (lat, lon) = door.place;
            writeln!(text, "[[fence]]\nname = \"{bay}\"\nzone = \"{bay}\"\nsite = \"{site}\"")?;
            writeln!(
                text,
                "center = {{ lat = {lat:?}, lon = {lon:?} }}\nradius_m = 40.0\nhysteresis_m = 5.0"
            )?;
        }
        Docks::Tag => {
            let (reader, antenna) = (&company.readers[door.reader].name, Company::BAY_ANTENNA);
            writeln!(text, "[[read_point]]\nname = \"{bay}\"\nkind = \"presence\"\nzone = \"{bay}\"")?;
            let reference = hex(&door.reference.unwrap_or_default());
            let heard_every = (company.scenario.listening.reference_every_s * 2.5e3) as u64;
            writeln!(text, "reference_tag = \"{reference}\"\nhearing_timeout = \"{heard_every}ms\"")?;
            writeln!(
                text,
                "lost_after = \"2m\"\nantennas = [{{ reader = \"{reader}\", antenna = {antenna} }}]"
            )?;
        }
    }
    Ok(())
}

/// The register as an import's command.
pub fn register(company: &Company) -> Result<tallyman::domain::commands::Command> {
    let class = |index: usize| &company.scenario.classes[index].name;
    let mut records: Vec<Value> = Vec::new();
    for thing in &company.things {
        let zone = &company.zones[thing.zone].name;
        records.push(
            json!({ "table": "asset", "id": thing.id, "class": class(thing.class), "home_zone": zone }),
        );
        for tag in &thing.tags {
            records.push(json!({ "table": "tag", "epc": hex(tag), "asset": thing.id }));
        }
    }
    for vehicle in &company.vehicles {
        records.push(json!({ "table": "asset", "id": vehicle.id, "class": class(vehicle.class) }));
        records.push(json!({ "table": "tracker", "device": vehicle.tracker, "asset": vehicle.id }));
        if let Some(tag) = &vehicle.tag {
            records.push(json!({ "table": "tag", "epc": hex(tag), "asset": vehicle.id }));
        }
    }
    serde_json::from_value(json!({ "command": "import", "records": records })).context("the register")
}

pub fn hex(code: &[u8]) -> String {
    code.iter().map(|byte| format!("{byte:02x}")).collect()
}
