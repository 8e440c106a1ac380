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
//!
//! A broker and a producer in one process, on a directory and a socket of this machine:
//!
//! ```
//! use zeroloss_broker::broker::{Broker, BrokerConfig};
//! use zeroloss_broker::client::{ClientConfig, Producer, ProducerConfig, SendOutcome};
//! use zeroloss_broker::env::{Env, real::RealEnv};
//! use zeroloss_broker::log::{Identity, format};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = std::env::temp_dir().join(format!("zeroloss-crate-{}", std::process::id()));
//! let env = RealEnv::new(dir.clone())?;
//! let identity = Identity { cluster_id: 1, node_id: 0, disk_id: env.random_u64(), kind: None };
//! format(&env.disk(), identity).await?;
//!
//! let listen = ([127, 0, 0, 1], 0).into();
//! let config = BrokerConfig { listen, segment_bytes: 1 << 20, ..BrokerConfig::default() };
//! let broker = Broker::bind(env.clone(), config).await?;
//! let client = ClientConfig::new("client-1", vec![broker.address()]);
//! let serving = tokio::spawn(broker.run(std::future::pending()));
//!
//! let mut producer = Producer::new(env, ProducerConfig::new(client, "orders"));
//! let op = producer.submit("OrderPaySuccessTopic", None, "order 1".into(), "");
//! let (ended, outcome) = producer.next().await;
//! // It is synced by now: a power loss would not take it.
//! assert!(ended == op && matches!(outcome, SendOutcome::Acknowledged { offset: 0, .. }));
//! # serving.abort();
//! # let _ = serving.await;
//! # std::fs::remove_dir_all(dir)?;
//! # Ok(())
//! # }
//! ```

pub mod broker;
pub mod client;
pub mod env;
pub mod log;
pub mod operator;
pub mod raft;
pub mod record;
pub mod remoting;
