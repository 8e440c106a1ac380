//! The next write lands elsewhere. Whether it could matter is known at the end: see
//! `entries.rs`.

use crate::scenario::FileClass;
use crate::sim::disk::DiskFault;
use crate::sim::run::phases::Run;

impl Run<'_> {
    pub(super) fn misdirect_write(&mut self, machine: usize, aim: (FileClass, u64), seed: u64) {
        self.arm_disk(machine, DiskFault::MisdirectedWrite, aim, seed);
    }
}
