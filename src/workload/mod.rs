//! Clients that send and consume, and write down what they saw.
//!
//! Promise: the same drivers run on real sockets and in a simulation, and what
//! they record is what the checkers of [`crate::check`] read. They never judge.
//!
//! A producer sends three messages to a broker on this machine, and its history says how each
//! ended:
//!
//! ```
//! # use zeroloss::broker::{Broker, BrokerConfig};
//! use zeroloss::client::{ClientConfig, ProducerConfig, SendOutcome};
//! # use zeroloss::env::{Env, real::RealEnv};
//! use zeroloss::history::{Event, Recorder};
//! # use zeroloss::log::{Identity, format};
//! use zeroloss::workload::{Limits, Progress, SendPlan, send};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = std::env::temp_dir().join(format!("zeroloss-workload-{}", std::process::id()));
//! # let env = RealEnv::new(dir.clone())?;
//! # let identity = Identity { cluster_id: 1, node_id: 0, disk_id: 7, kind: None };
//! # format(&env.disk(), identity).await?;
//! # let listen = ([127, 0, 0, 1], 0).into();
//! # let config = BrokerConfig { listen, segment_bytes: 1 << 20, ..BrokerConfig::default() };
//! # let broker = Broker::bind(env.clone(), config).await?;
//! # let address = broker.address();
//! # let serving = tokio::spawn(broker.run(std::future::pending()));
//! let plan = SendPlan {
//!     client: 7, life: 0, topic: "orders".to_owned(), seed: 1,
//!     messages: Some(3), in_flight_max: 2, pause_ns: 0, stop_at_ns: u64::MAX,
//!     body_bytes: 64..=256, long: None, tags: 0, delays: Vec::new(), oneway_one_in: 0,
//!     limits: Limits::default(),
//! };
//! let config = ProducerConfig::new(ClientConfig::new("client-7", vec![address]), "orders");
//! let (recorder, progress) = (Recorder::default(), Progress::default());
//! send(env, plan, config, recorder.clone(), progress.clone()).await;
//!
//! assert_eq!((progress.acknowledged(), progress.in_flight()), (3, 0));
//! let history = recorder.take();
//! let ended = history.entries.iter().filter(|entry| {
//!     let is_stored = |outcome: &SendOutcome| matches!(outcome, SendOutcome::Acknowledged { .. });
//!     matches!(&entry.event, Event::SendEnded { outcome, .. } if is_stored(outcome))
//! });
//! assert_eq!((history.entries.len(), ended.count()), (6, 3));
//! # serving.abort();
//! # let _ = serving.await;
//! # std::fs::remove_dir_all(dir)?;
//! # Ok(())
//! # }
//! ```

mod consume;
mod database;
mod finish;
mod limits;
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
pub use limits::Limits;
pub use packets::{PACKETS_FILE, PacketPlan, issue_packets};
pub use pay::{PayPlan, pay};
pub use send::{SendPlan, send};
pub use stranger::{STRANGERS_TOPIC, StrangerPlan, Turned, stranger, strangers_requests};
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
