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
