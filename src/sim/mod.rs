//! The simulated world: disks, network, clocks, faults, workloads, and one run
//! of one scenario with one seed.

pub mod disk;
pub mod random;
