//! A sensor that speaks Modbus over TCP (Modbus Application Protocol V1.1b3, Messaging on TCP/IP V1.0b), and lines
//! with many slaves, over TCP, serial frames over TCP, and a pseudo-terminal.

pub mod adu;
pub mod bank;
mod cold_room;
mod device;
mod registers;
pub mod rtu;

pub use cold_room::ColdRoom;
pub use device::{Device, DeviceOptions};
pub use registers::{POINTS, PointSpec, Quantity, RegisterKind, Table, WordOrder};
