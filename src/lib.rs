//! zeroloss: a message broker in the manner of RocketMQ, and the simulation
//! that proves it never loses an acknowledged message.

pub mod broker;
pub mod check;
pub mod client;
pub mod env;
pub mod history;
pub mod log;
pub mod record;
pub mod remoting;
pub mod report;
pub mod workload;

#[cfg(feature = "sim")]
pub mod cli;
#[cfg(feature = "sim")]
pub mod explore;
#[cfg(feature = "sim")]
pub mod scenario;
#[cfg(feature = "sim")]
pub mod sim;
