//! The product: a message broker in the manner of RocketMQ, and its clients.
//!
//! ```text
//!      client ── remoting ──▶ broker ──▶ log ──▶ record ──▶ the disk
//!   producer, consumer   requests  │  commit log     checked
//!        │               waiters   │  consume queues envelope
//!        │                  │      │
//!        │                 raft: what leaves when, what is committed
//!        │                         └──────────┬──────────┘
//!        └─────────────── env: clock, disk, network ───────────────
//!                           │
//!                       env::real
//!                    tokio, std::fs
//! ```
//!
//! Nothing here knows that it may be simulated: the simulation is another [`env::Env`],
//! in a crate that uses this one.

pub mod broker;
pub mod client;
pub mod env;
pub mod log;
pub mod operator;
pub mod raft;
pub mod record;
pub mod remoting;
