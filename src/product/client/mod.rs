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
//!
//! A message that was sent is consumed, and the group's offset follows:
//!
//! ```
//! # use zeroloss_broker::broker::{Broker, BrokerConfig};
//! use zeroloss_broker::client::{ClientConfig, Consumer, ConsumerConfig, ConsumerEvent};
//! use zeroloss_broker::client::{Producer, ProducerConfig};
//! # use zeroloss_broker::env::{Env, real::RealEnv};
//! # use zeroloss_broker::log::{Identity, format};
//! #
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = std::env::temp_dir().join(format!("zeroloss-client-{}", std::process::id()));
//! # let env = RealEnv::new(dir.clone())?;
//! # let identity = Identity { cluster_id: 1, node_id: 0, disk_id: 7, kind: None };
//! # format(&env.disk(), identity).await?;
//! # let listen = ([127, 0, 0, 1], 0).into();
//! # let config = BrokerConfig { listen, segment_bytes: 1 << 20, ..BrokerConfig::default() };
//! # let broker = Broker::bind(env.clone(), config).await?;
//! # let address = broker.address();
//! # let serving = tokio::spawn(broker.run(std::future::pending()));
//!
//! let client = |name: &str| ClientConfig::new(name, vec![address]);
//! let mut producer = Producer::new(env.clone(), ProducerConfig::new(client("p"), "orders"));
//! producer.submit("paid", Some(0), "order 1".into(), "");
//! producer.next().await;
//!
//! let mut consumer = Consumer::new(env, ConsumerConfig::new(client("c"), "red-packet", "paid"));
//! loop {
//!     match consumer.next().await {
//!         ConsumerEvent::Pulled { queue, messages, .. } if !messages.is_empty() => {
//!             assert_eq!(messages[0].body, "order 1");
//!             consumer.processed(&queue, messages[0].offset);
//!             consumer.commit_now();
//!         }
//!         ConsumerEvent::CommitEnded { offset: 1, acknowledged: true, .. } => break,
//!         _ => {}
//!     }
//! }
//! # serving.abort();
//! # let _ = serving.await;
//! # std::fs::remove_dir_all(dir)?;
//! # Ok(())
//! # }
//! ```

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
