//! Raft, without a clock, a disk or a network: [`Raft::step`] takes what
//! happened, [`Raft::next_output`] says what to do about it.
//!
//! Promise: whatever an output tells another replica is already true of this
//! disk. The core gates itself: a message that rests on a term or a vote is
//! handed out once [`Input::HardStateSaved`] has come for it (D1), an answer
//! that rests on entries once [`Input::Durable`] has (D2). So "acknowledged
//! before synced" is a visible line in a transcript of inputs and outputs.
//!
//! ```text
//!                 Input                                  Output
//!   peers ────── Message ─────▶ ┌──────────────────┐ ──── Send, Replicate ────▶ peers
//!   clock ────── Timeout ─────▶ │ gate             │ ──── SaveHardState ──────▶ disk
//!   disk ─ HardStateSaved ────▶ │ election         │ ──── Truncate, Store ────▶ log
//!   log ──────── Durable ─────▶ │ replication      │ ──── AppendNoOp … ───────▶ log
//!   log ──────── Proposed ────▶ │ follower         │ ──── Committed ──────────▶ state
//!   clients ──── Read ────────▶ │ membership       │ ──── ReadReady ──────────▶ clients
//!                               │ reads, transfer  │
//!                               │ uncertain tail            │
//!                               └──────────────────┘
//! ```
//!
//! The core knows entries by index and term only; the Raft log *is* the commit log,
//! and its driver moves the bytes. After every [`Raft::step`] the driver takes
//! outputs until there is none, in order:
//!
//! 1. `Truncate` is durable before any `Store` behind it is begun (D6).
//! 2. `AppendNoOp` and `AppendConfiguration` are staged and answered by
//!    [`Input::Proposed`] before anything else is stepped.
//! 3. `Durable` is reported for what a sync covered that began after the last
//!    truncation, and for nothing else (D25).
//! 4. `Store` and `InstallBase` take their bytes from the message that was just
//!    stepped; no other is stepped before they are carried out.
//! 5. A `Replicate` whose entries are read later than it was taken is dropped
//!    once the term has changed: the log may have, too. Outputs wait for the hard state:
//!    what they name may have expired by then, and is left out.
//!
//! Sources: Ongaro and Ousterhout, "In Search of an Understandable Consensus
//! Algorithm" (the Raft paper); Ongaro's thesis, "Consensus: Bridging Theory
//! and Practice". Rule numbers (D1, D2, …) are those of guarantee.md.
//!
//! A replica that has the only seat elects itself. It leads once its vote is durable, and not
//! before:
//!
//! ```
//! use zeroloss_broker::raft::{Configuration, EntryId, HardState, Input, LogView, Output, Raft};
//! use zeroloss_broker::raft::{ReplicaId, Role, Settings, Start};
//!
//! let me = ReplicaId { node: 0, disk: 10 };
//! let mut raft = Raft::new(Start {
//!     me,
//!     settings: Settings::default(),
//!     hard: HardState::default(),
//!     log: LogView::new(EntryId::ZERO, Vec::new(), 0),
//!     configurations: vec![(0, Configuration::of_voters([me]))],
//! #     commit_index: 0,
//! #     durable_index: 0,
//! #     holes: Vec::new(),
//! #     peers: [0].into(),
//! #     now_ns: 0,
//! #     entropy: 7,
//!     // … and a disk on which nothing else is.
//! });
//! raft.step(raft.deadline_ns(), Input::Timeout);
//! let Some(Output::SaveHardState(hard)) = raft.next_output() else { panic!("a vote to save") };
//! assert_eq!((hard.term, hard.vote, raft.role()), (1, Some(me), Role::Candidate));
//!
//! raft.step(raft.deadline_ns(), Input::HardStateSaved(hard));
//! assert_eq!(raft.role(), Role::Leader);
//! assert_eq!(raft.next_output(), Some(Output::BecameLeader { term: 1 }));
//! ```

mod codec;
mod configuration;
mod digest;
mod election;
mod follower;
mod gate;
mod input;
mod log_view;
mod membership;
mod message;
mod output;
mod progress;
mod queries;
mod reads;
mod replica;
mod replication;
mod rng;
mod terms;
#[cfg(test)]
mod testing;
mod transfer;
mod types;
mod uncertain_tail;
mod wire;

pub use configuration::{Change, Configuration, Seat, SeatState};
pub use digest::{Names, Words};
pub use input::{Input, Start, Unreadable};
pub use log_view::LogView;
pub use message::{Append, AppendAnswer, Message, Tail, UNASKED};
pub use output::Output;
pub use replica::{Raft, Role};
pub use terms::TERMS_AHEAD_MAX;
pub use types::{
    ANY_DISK, Divergence, EntryHead, EntryId, Epoch, HARD_STATE_FILE, HardState, ReplicaId,
    Settings, UncertainTail,
};
pub use wire::{NUMBER_MAX, PeerMessage, WireError};
