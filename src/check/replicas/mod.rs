//! Judgement of replicas: what a white-box tracker saw of their disks and of their
//! messages, against what replicas promise (guarantee.md, section 2: read
//! committed, Raft's five, promises kept, the acknowledgement oracle).
//!
//! Promise: pure; nothing of the product is asked, and nothing of a simulator. A
//! tracker turns bytes into [`Fact`]s, in the order in which things happened;
//! [`Cluster`] shows each to the checks that it concerns, one file per promise.
//! An entry costs a few looks into maps, whatever the length of the log.
//!
//! ```text
//!   disks ──▶ Appended, Cut, HardState ─┐           ┌─ committed[index]
//!             Based, Stands            ─┤           ├─ bases
//!                                       ├─ Cluster ─┼─ election safety, … : Raft's five
//!   peers ──▶ Leads, Voted, Answered ───┤           ├─ promises kept
//!                                       │           ├─ membership, halts
//!   clients ─▶ acknowledges, serves ────┘           └─ acknowledgement, read committed
//! ```
//!
//! The meaning of "holds" depends on the configuration: synced, or cached ([`Media`]).
//!
//! A leader answers its client, first when it alone of three has the entry on its disk:
//!
//! ```
//! use zeroloss::check::replicas::{Cause, Cluster, Fact, HardState, Head, LogEntry, Media, Medium};
//! use zeroloss::check::{Promise, replicas::Moment};
//!
//! let media = Media { log: Medium::Durable, hard_state: Medium::Durable };
//! let (mut cluster, moment) = (Cluster::new(3, 3, media), Moment::default());
//! let head = Head { index: 1, term: 1, hash: 7, end_address: 100 };
//! let entry = LogEntry { head, seats: None, expired_address: None };
//! for node in 0..2 {
//!     let state = Some(HardState { term: 1, vote: None });
//!     cluster.note(moment, Fact::HardState { node, state, cause: Cause::Replica });
//! }
//! cluster.note(moment, Fact::Leads { node: 0, term: 1 });
//! let mut after_a_sync_of = |node| {
//!     for medium in [Medium::Cached, Medium::Durable] {
//!         cluster.note(moment, Fact::Appended { node, medium, entry: entry.clone() });
//!     }
//!     cluster.acknowledges(moment, 0, 0, "order 1");
//!     cluster.take_findings()
//! };
//! assert_eq!(after_a_sync_of(0)[0].promise, Promise::Acknowledgement);
//! assert!(after_a_sync_of(1).is_empty());
//! ```

pub mod acknowledgement;
mod amnesia;
pub mod bases;
mod broken;
mod cluster;
mod committed;
pub mod election_safety;
mod fact;
mod founding;
pub mod halts;
pub mod leader_append_only;
pub mod leader_completeness;
mod log;
pub mod log_matching;
pub mod membership;
mod note;
pub mod promises_kept;
pub mod served;
pub mod state_machine_safety;
#[cfg(test)]
mod story;
mod unseen;

pub use amnesia::{Amnesia, Forgot};
pub use bases::Expiries;
pub use broken::Broken;
pub use cluster::{Cluster, Media};
pub use committed::{Committed, Conflict};
pub use fact::{Cause, Fact, HardState, Head, LogEntry, Medium, Moment, Replica, Seats};
pub use log::{Gone, Log};
