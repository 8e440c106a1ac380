//! The simulated world: disks, network, clocks, faults, workloads, and one run
//! of one scenario with one seed.
//!
//! ```text
//!   scenario × seed ──▶ run ─┬─ world    one clock, one agenda
//!                            ├─ env      a process' view of it
//!                            ├─ net      streams and peer messages
//!                            ├─ disk, disk_io   what survives what, and when
//!                            ├─ boundary crashes between two disk operations
//!                            └─ tap      what brokers write and answer
//!                                  └──▶ history, ledger ──▶ check
//! ```
//!
//! One seed, one run. [`run_once`](crate::explore::run_once) gives it the fresh thread that it
//! needs:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use zeroloss::check::Verdict;
//! use zeroloss::explore::{Runner, run_once};
//! use zeroloss::scenario::{RunOptions, load};
//!
//! let scenario = Arc::new(load("scenarios/sweep/single-sync.toml".as_ref())?);
//! let runner: Arc<dyn Runner> = Arc::new(zeroloss::sim::run);
//! let run = |seed| {
//!     let options = RunOptions { oracle: true, timeline: false };
//!     run_once(&runner, &scenario, seed, options, Duration::from_secs(60))
//! };
//! let first = run(12)?;
//! assert_eq!(first.verdict, Verdict::Pass);
//! assert!(first.counts.acknowledged > 0 && first.simulated_ns > 0);
//! assert_eq!(run(12)?.trace_hash, first.trace_hash);
//! assert_ne!(run(13)?.trace_hash, first.trace_hash);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(not(madsim))]
compile_error!(
    "the simulation is not selected.

  In the checkout .cargo/config.toml selects it, and a variable with flags for the
  compiler, even an empty one, switches it off:
      unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS

  From elsewhere that file is not read, and the flag must be given:
      RUSTFLAGS=\"--cfg madsim\" cargo install --git URL zeroloss
"
);

mod boundary;
mod costs;
pub mod disk;
mod disk_io;
mod env;
mod files;
mod latency;
mod net;
mod run;
mod skeleton;
mod tap;
mod world;

pub use crate::scenario::random;
pub use boundary::{Boundary, DiskAt};
pub use costs::RunCosts;
pub use disk_io::{DiskCounts, DiskLatency, SimDisk, SimFile};
pub use env::{SimEnv, SimNet, SimTimer};
pub use latency::Latency;
pub use net::{LinkConfig, NetworkFates, NodeId};
pub use run::{SweepOptions, Swept, run, run_measured, run_recorded, run_swept, transcript_of};
pub use skeleton::{Script, run_skeleton};
pub use world::{TraceLine, World, address};
