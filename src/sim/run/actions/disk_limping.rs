//! Every sync takes so many times as long.

use super::disk_slow::Slowed;
use crate::history::FaultKind;
use crate::sim::run::phases::Run;

impl Run<'_> {
    pub(super) fn limp_disk(&mut self, machine: usize, factor: u32, lasts_ns: u64) {
        let slowed = Slowed {
            extra_ns: 0,
            factor,
        };
        self.slow_disk(machine, FaultKind::DiskLimping, slowed, lasts_ns);
    }
}
