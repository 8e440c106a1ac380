//! The broker.

mod config;

pub use config::{BrokerConfig, FlushDiskType};
