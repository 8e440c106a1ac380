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
//!     ├── background work        checkpoints, marks, clean stop
//!     └── replica       peers and the consensus core; base and expiry: where
//!                       the log begins
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
mod sessions;
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
pub use bounds::{BOUNDS, Beyond, Bound, Bounds, TakenBy};
pub use config::{BrokerConfig, FlushDiskType, Peer, RaftConfig, Replication};
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
pub use state::AppliedState;
pub use transactions::{DISCARD_TOPIC, Decision, HALF_TOPIC, Half, OP_TOPIC, Transactions};
