//! Consumer groups: who is in one, and who holds which queue.
//!
//! ```text
//!   heartbeat ──▶ members ──┬─ list (38) ──▶ each member shares the queues out
//!   unregister, stream gone │                for itself
//!                           └─ changed (40) ─▶ every member asks again
//!   lock, unlock (41, 42) ──▶ locks: one holder of a queue at a time
//! ```
//!
//! Nothing of this is in the log. Members say again and again who they are, so a new
//! leader learns them; meanwhile two may read one queue, which repeats messages and
//! skips none: a group's offset says only what was processed from its recorded one
//! on. The durable parts of a group are its offsets (D22) and its retries (see
//! `retry`).

mod locks;
mod members;
mod requests;

pub(super) use locks::{LOCKS_MAX, Locks};
pub(super) use members::{MEMBERS_MAX, Members, SEATS_MAX};
pub(super) use requests::{BODY_BYTES_MAX, GROUPS_MAX, QUEUES_MAX};

/// Longest name of a group or a client, bytes (RocketMQ's
/// `CHARACTER_MAX_LENGTH`).
pub(super) const NAME_BYTES_MAX: usize = 255;

/// Whether a group or a client may be called so.
pub(super) fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
}
