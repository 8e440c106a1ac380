//! zeroloss: a message broker in the manner of RocketMQ, and the simulation
//! that tests, seed by seed, that it never loses an acknowledged message.
//!
//! The data's path, and who watches it:
//!
//! ```text
//!      client ── remoting ──▶ broker ──▶ log ──▶ record ──▶ the disk
//!   producer, consumer   requests  │  commit log     checked
//!        │               waiters   │  consume queues envelope
//!        │                  │      │
//!        │                 raft: what leaves when, what is committed
//!        │                         └──────────┬──────────┘
//!        │                                    │
//!        └─────────────── env: clock, disk, network ───────────────┐
//!                           │                                      │
//!                       env::real                                 sim
//!                    tokio, std::fs                   simulated disks, network,
//!                    (zeroloss serve)                 faults; one run = scenario × seed
//!                                                                  │
//!      workload ── what clients did and saw ──▶ history ◀── ledger of faults
//!                                                  │
//!                                                check ── one file per promise
//!                                                  │
//!      scenario ──▶ explore ──────────────────▶ report ──▶ cli
//!      a file; of a swarm, what a seed draws;
//!      faults as a plan      many seeds; a sweep of crash points
//! ```
//!
//! Product: [`record`], [`mod@env`], [`remoting`], [`log`], [`raft`], [`broker`],
//! [`client`], and the operator's commands: the crate `zeroloss-broker`, in `src/product`,
//! which knows nothing of the simulation. Judgement: [`history`] and
//! [`check`], which do not know the simulator either; [`workload`] feeds them
//! on real sockets as in a simulation. Only `sim` and what is above it know
//! everything. A test keeps the layers (`sim-tests/tests/layers.rs`).
//!
#![doc = include_str!("guarantee.md")]

/// Pages for contributors.
pub mod pages {
    #[doc = include_str!("architecture.md")]
    pub mod architecture {}
    #[doc = include_str!("contributing.md")]
    pub mod contributing {}
    #[doc = include_str!("glossary.md")]
    pub mod glossary {}
}

pub mod check;
pub mod cli;
pub mod explore;
pub mod history;
pub mod report;
pub mod scenario;
pub mod sim;
pub mod workload;

#[doc(no_inline)]
pub use zeroloss_broker::{broker, client, env, log, raft, record, remoting};
