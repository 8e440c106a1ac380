//! Transactional messages (RocketMQ's half message, commit, rollback, check).
//!
//! ```text
//!   send TRAN_MSG ──▶ half topic ──▶ pending ─┬─ commit ────▶ the real topic
//!                                       ▲     ├─ rollback ──▶ operation topic
//!                        check-back ────┘     └─ given up ──▶ discard topic
//!                        (operation topic)
//! ```
//!
//! Promise (D21): every step is a log entry, so what is pending and what was decided
//! is a function of the log. A transaction is decided once, at append, from the log
//! before it; the first decision in the log is the only one. The published message
//! *is* the commit, so there is no moment between the two. A client that asks is
//! answered once the deciding entry is as durable as a message.

mod book;
mod buffered;
mod checking;
mod ending;
mod halves;

pub(super) use book::{Decided, TransactionEffect};
pub use book::{Decision, Half, Transactions};
pub(super) use buffered::Operations;
pub(super) use checking::Checks;

/// Where half messages wait, all in one queue
/// (`RMQ_SYS_TRANS_HALF_TOPIC`).
pub const HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
/// Where rollbacks and checks are noted (`RMQ_SYS_TRANS_OP_HALF_TOPIC`).
pub const OP_TOPIC: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
/// Where half messages go that nobody decided
/// (`TRANS_CHECK_MAX_TIME_TOPIC`).
pub const DISCARD_TOPIC: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
