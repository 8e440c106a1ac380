//! Every sync takes so many times as long.

use std::any::Any;

use crate::history::FaultKind;
use crate::sim::run::phases::Run;
use crate::sim::run::windows::{Lasts, Needs};

/// So many times.
#[derive(Debug)]
struct DiskLimping(u32);

impl Run<'_> {
    pub(super) fn limp_disk(&mut self, machine: usize, factor: u32, lasts_ns: u64) {
        {
            let disk = &mut self.world.lock().disks[machine];
            disk.factor = disk.factor.max(factor);
        }
        self.open_window(machine, DiskLimping(factor), Some(lasts_ns));
    }
}

impl Lasts for DiskLimping {
    fn kind(&self) -> FaultKind {
        FaultKind::DiskLimping
    }

    fn traces(&self, run: &Run<'_>, machine: usize) -> u64 {
        run.late_syncs(machine)
    }

    fn needs(&self) -> Needs {
        Needs::TracesWhileAsked
    }

    fn is_seen_at_the_end(&self) -> bool {
        true
    }

    fn end(&self, run: &mut Run<'_>, machine: usize) {
        let factor = run.lasts::<Self>(machine).map(|other| other.0).max();
        run.world.lock().disks[machine].factor = factor.unwrap_or(1);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
