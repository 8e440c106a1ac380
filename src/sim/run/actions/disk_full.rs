//! No space is left: somebody else took it.

use crate::history::FaultKind;
use crate::sim::disk::{ArmedFault, DiskFault};
use crate::sim::run::faults::COMMIT_LOG;
use crate::sim::run::phases::Run;
use crate::sim::run::windows::{Lasts, Needs};

/// The disk takes no more bytes.
#[derive(Debug)]
struct DiskFull;

impl Run<'_> {
    pub(super) fn fill_disk(&mut self, machine: usize, lasts_ns: u64, seed: u64) {
        {
            let mut inner = self.world.lock();
            let disk = &mut inner.disks[machine].model;
            // A write that began may still end in the middle.
            disk.arm(ArmedFault::next(DiskFault::NoSpace, COMMIT_LOG, seed));
            disk.fill();
        }
        self.open_window(machine, FaultKind::DiskFull, DiskFull, Some(lasts_ns));
    }
}

impl Lasts for DiskFull {
    /// An append was cut short, or refused.
    fn traces(&self, run: &Run<'_>, machine: usize) -> u64 {
        let inner = run.world.lock();
        inner.disks[machine].counts.full + inner.tap.refusals(machine as u32)
    }

    fn needs(&self) -> Needs {
        Needs::Traces
    }

    fn end(&self, run: &mut Run<'_>, machine: usize) {
        if run.open_on::<Self>(machine).next().is_some() {
            return;
        }
        let capacity_bytes = run.scenario.disk.capacity_bytes;
        let mut inner = run.world.lock();
        let disk = &mut inner.disks[machine].model;
        disk.set_capacity(capacity_bytes);
        disk.disarm_kind(FaultKind::DiskFull);
    }
}
