//! A sensor that speaks Modbus over TCP (Modbus Application Protocol V1.1b3, Messaging on TCP/IP V1.0b).

pub mod adu;
mod cold_room;
mod device;
mod registers;

pub use cold_room::ColdRoom;
pub use device::{Device, DeviceOptions};
pub use registers::{POINTS, PointSpec, Quantity, RegisterKind, Table, WordOrder};
