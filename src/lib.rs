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
//!
//!      raft ◀── interleavings: every order of a few replicas' steps, without the rest
//! ```
//!
//! Product: [`record`], [`mod@env`], [`remoting`], [`log`], [`raft`], [`broker`],
//! [`client`], and the operator's commands: the crate `zeroloss-broker`, in `src/product`,
//! which knows nothing of the simulation. Judgement: [`history`] and
//! [`check`], which do not know the simulator either; [`workload`] feeds them
//! on real sockets as in a simulation. Only `sim` and what is above it know
//! everything. A test keeps the layers (`sim-tests/tests/layers.rs`).
//!
//! The power fails while a broker takes messages. With synchronous flush nothing that it
//! acknowledged is lost, with asynchronous flush some of it is:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use zeroloss::check::Verdict;
//! use zeroloss::explore::{Runner, run_once};
//! use zeroloss::scenario::{RunOptions, parse};
//!
//! let verdict = |flush: &str| {
//!     let scenario = parse("example", "example.toml", &format!(r#"
//! title = "the power fails"
//! why = "Flush decides what that takes."
//! cluster = {{ brokers = 1, flush = "{flush}" }}
//! workload = [{{ kind = "send", rate_per_s = 1_000 }}]
//! fault = [{{ kind = "power-loss", target = 0, at_ms = 300, survival = "none" }}]
//! run = {{ seeds = "0..1", duration_ms = 600 }}
//! expect = {{ outcome = "zero-loss" }}
//! "#)).unwrap();
//!     let runner: Arc<dyn Runner> = Arc::new(zeroloss::sim::run);
//!     let (scenario, options) = (Arc::new(scenario), RunOptions::default());
//!     run_once(&runner, &scenario, 0, options, Duration::from_secs(60)).unwrap().verdict
//! };
//! assert_eq!((verdict("sync"), verdict("async")), (Verdict::Pass, Verdict::ExpectedLoss));
//! ```
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
pub mod interleavings;
pub mod report;
pub mod scenario;
pub mod sim;
pub mod workload;

#[doc(no_inline)]
pub use zeroloss_broker::{broker, client, env, log, raft, record, remoting};
