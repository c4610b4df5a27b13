//! What is in which vehicle, and which vehicle stands at which door, where nothing senses it.

use super::ConfigFile;
use super::commands::Order;
use crate::domain::commands::Command;
use crate::domain::time::Timestamp;

#[derive(clap::Args)]
pub struct LoadArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// The asset's number on the register
    asset: String,
    #[arg(long, value_name = "VEHICLE")]
    into: String,
    #[arg(long)]
    note: Option<String>,
}

#[derive(clap::Args)]
pub struct UnloadArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// The asset's number on the register
    asset: String,
    /// Where it is instead; not given, where the vehicle is
    #[arg(long)]
    zone: Option<String>,
    #[arg(long)]
    note: Option<String>,
}

#[derive(clap::Args)]
pub struct DockArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// The vehicle's number on the register
    vehicle: String,
    /// A read point of kind "portal"
    #[arg(long, value_name = "READ_POINT")]
    door: String,
}

#[derive(clap::Args)]
pub struct UndockArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// The vehicle's number on the register
    vehicle: String,
}

impl Order for LoadArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self, _: Option<Timestamp>) -> (Command, String) {
        let Self { asset, into, note, .. } = self;
        let done = format!("{asset} is in {into}");
        (Command::Load { asset: asset.into(), vehicle: into.into(), note }, done)
    }
}

impl Order for UnloadArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self, _: Option<Timestamp>) -> (Command, String) {
        let Self { asset, zone, note, .. } = self;
        let done = format!("{asset} is unloaded");
        (Command::Unload { asset: asset.into(), zone: zone.map(Into::into), note }, done)
    }
}

impl Order for DockArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self, _: Option<Timestamp>) -> (Command, String) {
        let Self { vehicle, door, .. } = self;
        let done = format!("{vehicle} stands at {door}");
        (Command::Dock { vehicle: vehicle.into(), door: door.into() }, done)
    }
}

impl Order for UndockArgs {
    fn file(&self) -> &ConfigFile {
        &self.file
    }

    fn command(self, _: Option<Timestamp>) -> (Command, String) {
        let done = format!("{} stands at no door", self.vehicle);
        (Command::Undock { vehicle: self.vehicle.into() }, done)
    }
}
