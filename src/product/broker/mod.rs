//! The broker: RocketMQ's requests on top of the commit log.
//!
//! ```text
//!   server ── requests ─┬─ send ──▶ store.append ──▶ log ──▶ waiters ──▶ answer
//!     │                 ├─ pull ──▶ queue ──▶ log, up to the read limit
//!     │                 ├─ end transaction, check-back
//!     │                 ├─ delays: later · retry: sent back, given up
//!     │                 ├─ groups: heartbeat, members, queue locks
//!     │                 └─ offsets, route
//!     ├── bounds        what all of that may take
//!     ├── open          log recovery, snapshot, replay; closed: no store yet
//!     ├── services      what is due in time: check-backs, delays
//!     ├── background work        checkpoints, marks, clean stop
//!     └── replica       peers and the consensus core; base and expiry: where
//!                       the log begins
//! ```
//!
//! A broker is bound, serves until it is told to stop, and says what it found on its disk:
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! use zeroloss_broker::broker::{Broker, BrokerConfig};
//! use zeroloss_broker::env::{Env, Notice, Stop, real::RealEnv};
//! # use zeroloss_broker::log::{Identity, format};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = std::env::temp_dir().join(format!("zeroloss-broker-{}", std::process::id()));
//! let (told, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(tokio::sync::Notify::new()));
//! let (tell, opened) = (told.clone(), stop.clone());
//! let env = RealEnv::new(dir.clone())?.reporting_to(move |notice| {
//!     tell.lock().unwrap().push(notice.clone());
//!     opened.notify_one();
//! });
//! # let identity = Identity { cluster_id: 1, node_id: 0, disk_id: env.random_u64(), kind: None };
//! # format(&env.disk(), identity).await?;
//! let listen = ([127, 0, 0, 1], 0).into();
//! let config = BrokerConfig { listen, segment_bytes: 1 << 20, ..BrokerConfig::default() };
//! for _ in 0..2 {
//!     let broker = Broker::bind(env.clone(), config.clone()).await?;
//!     // It is stopped as soon as it says that its log is open.
//!     broker.run(stop.notified()).await?;
//! }
//! let again = told.lock().unwrap().last().cloned();
//! assert!(matches!(again, Some(Notice::LogOpened { stop: Stop::Clean, .. })));
//! # std::fs::remove_dir_all(dir)?;
//! # Ok(())
//! # }
//! ```

mod ages;
mod background;
mod backlog;
mod base;
mod bounds;
mod change;
mod chunked;
mod closed;
mod config;
mod delays;
mod effect;
mod entries;
mod error;
mod events;
mod expiry;
mod founding;
mod groups;
mod held_pulls;
mod interruption;
mod kind;
mod names;
mod open;
mod outbox;
mod producers;
mod pull;
mod refusals;
mod replica;
mod requests;
mod reserve;
mod retry;
mod send;
mod server;
mod services;
mod sessions;
mod sizes;
mod snapshot;
mod state;
mod store;
mod tags;
mod times;
mod topics;
mod transactions;
mod trouble;
mod undo;
mod waiters;

pub use ages::AGES_FILE;
pub use base::BASE_FILE;
pub use bounds::{BOUNDS, Beyond, Bound, TakenBy};
pub use config::{Bounds, BrokerConfig, FlushDiskType, Peer, RaftConfig, Replication};
pub use delays::{DEFAULT_LEVELS_MS, Delayed, Delays, LEVELS_MAX};
pub use entries::{BadEntry, Expire, OffsetCommit, TopicConfig};
pub use error::{BrokerError, StoreError};
pub use founding::{FOUNDING_FILE, founding_speaker};
pub use kind::disk_kind;
pub use open::{STATE_FILE, salvage};
pub use pull::suspended_ms;
pub use replica::{FirstMembers, QUARANTINE_FILE, Survivor, format_replica};
pub use replica::{recover_unsafe, survivor};
pub use requests::served_requests;
pub use reserve::RESERVE_FILE;
pub use server::Broker;
pub use sizes::Sizes;
pub use state::AppliedState;
pub use transactions::{DISCARD_TOPIC, Decision, HALF_TOPIC, Half, OP_TOPIC, Transactions};
