//! The daemon's cleaning, on the fixes as its decoders give them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use tallyman::clean::{Cleaned, Cleaner};
use tallyman::config::{self, Config};
use tallyman::domain::frames::{LinkChange, LinkState};
use tallyman::domain::geodesy::Position;
use tallyman::domain::ids::{DeviceId, Digest, SourceId};
use tallyman::domain::motion::Motion;
use tallyman::domain::readings::{Fix, Reading};
use tallyman::domain::sightings::{FenceChange, Seen};
use tallyman::domain::time::Timestamp;
use tallyman_simulators::fleet::{self, Run, Shape, degrees};

use super::{Said, SaidTrip};

/// When the run begins.
const BEGINS_US: i64 = 1_772_409_600_000_000;

pub fn judge(run: &Run) -> (Vec<Said>, Vec<SaidTrip>) {
    let config = configured(run);
    let mut cleaner = Cleaner::new(&config.rules, &config.intake);
    let source = SourceId::new("fleet");
    let mut out = Cleaned::default();
    let at = Timestamp::from_micros(BEGINS_US);
    cleaner.link(
        &LinkChange { source: source.clone(), at, state: LinkState::Up { replaying: false } },
        &mut out,
    );
    let fences: BTreeMap<&str, usize> =
        run.fences.iter().enumerate().map(|(nth, fence)| (fence.name.as_str(), nth)).collect();
    let (mut said, mut trips) = (Vec::new(), Vec::new());
    let since_us = |at: Timestamp| at.as_micros() - BEGINS_US;
    let number =
        |device: &DeviceId| device.as_str().trim_start_matches('v').parse().expect("a device of ours");
    for fix in &run.fixes {
        let received_at = Timestamp::from_micros(BEGINS_US + fix.arrives_us);
        cleaner.reading(Reading::Fix(reading(fix)), &source, received_at, &mut out);
        for sighting in out.sightings.drain(..) {
            match &sighting.what {
                // A late visit is told when what came with it is over, whoever speaks then.
                Seen::Fence { device, fence, change, inferred, .. } => {
                    let enters = match change {
                        FenceChange::Entered => true,
                        FenceChange::Exited => false,
                        FenceChange::Dwelt => continue,
                    };
                    let (vehicle, fence) = (number(device), fences[fence.as_str()]);
                    let (at_us, inferred) = (since_us(sighting.observed_at), *inferred);
                    said.push(Said { vehicle, fence, enters, at_us, inferred });
                }
                Seen::Motion { device, motion: Motion { trip: Some(trip), .. } } => trips.push(SaidTrip {
                    vehicle: number(device),
                    from_us: since_us(trip.started_at),
                    until_us: since_us(trip.ended_at),
                    distance_m: trip.distance_m,
                }),
                _ => {}
            }
        }
    }
    (said, trips)
}

fn reading(fix: &fleet::Fix) -> Fix {
    let (lat, lon) = degrees(fix.place);
    let mut reading = Fix {
        accuracy_m: fix.told_accuracy_m,
        speed_mps: fix.velocity.map(|(speed, _)| speed),
        course_deg: fix.velocity.map(|(_, course)| course),
        ignition: fix.ignition,
        ..Fix::bare(
            DeviceId::new(format!("v{}", fix.vehicle)),
            // Trackers tell milliseconds.
            Timestamp::from_micros(BEGINS_US + fix.at_us / 1000 * 1000),
            Position::new(lat, lon).expect("a place on Earth"),
            Digest::of(&[]),
        )
    };
    reading.digest = reading.said();
    reading
}

/// As people would write it.
fn configured(run: &Run) -> Config {
    let mut text = "node = \"n\"\n[[site]]\nname = \"town\"\ntimezone = \"Europe/Berlin\"\n".to_owned();
    let point = |place| {
        let (lat, lon) = degrees(place);
        format!("{{ lat = {lat:?}, lon = {lon:?} }}")
    };
    for fence in &run.fences {
        let shape = match &fence.shape {
            Shape::Circle { centre, radius_m } => {
                format!("center = {}\nradius_m = {radius_m:?}", point(*centre))
            }
            Shape::Polygon(corners) => {
                let corners: Vec<String> = corners.iter().map(|corner| point(*corner)).collect();
                format!("polygon = [{}]", corners.join(", "))
            }
        };
        writeln!(text, "[[fence]]\nname = \"{}\"\n{shape}", fence.name).expect("a string takes it");
    }
    config::parse(&text, Path::new("/"), &|_| None).unwrap_or_else(|error| panic!("{error}"))
}
