//! Clients that send and consume, and write down what they saw.
//!
//! Promise: the same drivers run on real sockets and in a simulation, and what
//! they record is what the checkers of [`crate::check`] read. They never judge.

mod consume;
mod database;
mod finish;
mod packets;
mod pay;
mod send;
mod stranger;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use consume::{ConsumePlan, Failing, Stays, Wanted, consume, share_of_queues};
pub use database::{ORDERS_FILE, keep_orders};
pub use finish::{FinalPlan, Finished, read_everything};
pub use packets::{PACKETS_FILE, PacketPlan, issue_packets};
pub use pay::{PayPlan, pay};
pub use send::{SendPlan, send};
pub use stranger::{STRANGERS_TOPIC, StrangerPlan, Turned, stranger};
pub use table::rows_in;

/// The state that a workload lets others see while it runs.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    in_flight: AtomicU64,
    begun: AtomicU64,
    acknowledged: AtomicU64,
    processed: AtomicU64,
    uncommitted: AtomicU64,
    finished: AtomicU64,
}

impl Progress {
    /// Sends begun and not ended.
    pub fn in_flight(&self) -> u64 {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// Sends begun.
    pub fn begun(&self) -> u64 {
        self.0.begun.load(Ordering::Relaxed)
    }

    /// Sends acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.0.acknowledged.load(Ordering::Relaxed)
    }

    /// Messages processed, repeats included.
    pub fn processed(&self) -> u64 {
        self.0.processed.load(Ordering::Relaxed)
    }

    /// Messages processed whose offset is not committed yet.
    pub fn uncommitted(&self) -> u64 {
        self.0.uncommitted.load(Ordering::Relaxed)
    }

    /// Whether the workload came to its end.
    pub fn is_finished(&self) -> bool {
        self.0.finished.load(Ordering::Relaxed) > 0
    }

    /// The process that carried the workload died: nothing is in flight.
    pub fn died(&self) {
        self.0.in_flight.store(0, Ordering::Relaxed);
        self.0.uncommitted.store(0, Ordering::Relaxed);
    }
}
