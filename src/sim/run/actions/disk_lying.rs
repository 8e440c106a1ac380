//! Syncs return OK and do nothing.

use crate::history::FaultKind;
use crate::sim::disk::{ArmedFault, DiskFault};
use crate::sim::run::phases::Run;
use crate::sim::run::windows::{Lasts, Needs};

/// Syncs lie.
#[derive(Debug)]
struct DiskLying;

impl Run<'_> {
    pub(super) fn let_disk_lie(&mut self, machine: usize, lasts_ns: u64, seed: u64) {
        let lie = ArmedFault {
            times: u64::MAX,
            ..ArmedFault::next(DiskFault::LyingSync, "", seed)
        };
        self.world.lock().disks[machine].model.arm(lie);
        self.open_window(machine, FaultKind::DiskLying, DiskLying, Some(lasts_ns));
    }
}

impl Lasts for DiskLying {
    /// Something was acknowledged that is not there.
    fn traces(&self, run: &Run<'_>, machine: usize) -> u64 {
        run.world.lock().tap.acknowledged_on_lies(machine as u32)
    }

    fn needs(&self) -> Needs {
        Needs::Traces
    }

    fn end(&self, run: &mut Run<'_>, machine: usize) {
        if run.open_on::<Self>(machine).next().is_none() {
            let disk = &mut run.world.lock().disks[machine];
            disk.model.disarm_kind(FaultKind::DiskLying);
        }
    }
}
