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
