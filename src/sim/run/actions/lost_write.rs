//! The next write is reported and never done. Whether it could matter is known at the
//! end: see `entries.rs`.

use crate::scenario::FileClass;
use crate::sim::disk::DiskFault;
use crate::sim::run::phases::Run;

impl Run<'_> {
    pub(super) fn lose_write(&mut self, machine: usize, aim: (FileClass, u64), seed: u64) {
        self.arm_disk(machine, DiskFault::LostWrite, aim, seed);
    }
}
