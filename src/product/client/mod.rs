//! Producer, consumer, and a reader of everything.
//!
//! Promise: what is reported is what is known. A send ends as acknowledged,
//! rejected or unknown, and silence is always unknown (guarantee.md, section
//! 1); a group's offset never passes a message that was not processed (D22); a
//! record that cannot be read is reported, never skipped.
//!
//! ```text
//!   Producer   Consumer   FullReader     what the application sees
//!   ────────────────────────────────
//!              Session                   routes, heartbeats
//!   ────────────────────────────────
//!               Wire                     streams, requests, deadlines
//!   ────────────────────────────────
//!           env::Net  env::Timer         one of each per client
//! ```
//!
//! Completion style: requests are submitted without waiting, and one `next()`
//! drives everything and reports one thing at a time. There is no task, channel
//! or timeout per request. Dropping a `next()` that has not resolved loses
//! nothing, so it can stand in a select.

mod config;
mod consumer;
mod convert;
mod full_reader;
mod outcome;
mod producer;
mod progress;
mod records;
mod send_op;
mod session;
mod transactions;
mod wire;

#[cfg(test)]
mod fake;

/// How a client's heartbeats are written.
pub use crate::remoting::heartbeat::Spelling;
pub use config::{
    ClientConfig, ConsumeFrom, ConsumerConfig, EndNaming, GroupConfig, LockConfig, ProducerConfig,
    Share,
};
pub use consumer::{Consumer, ConsumerEvent, PullEnd};
pub use full_reader::{FullReader, QueueContents, ReadError};
pub use outcome::{EndOutcome, OpId, Queue, SendOutcome};
pub use producer::Producer;
pub use records::{BadRecord, Received};
pub use transactions::{HalfName, ProducerEvent, Question};
