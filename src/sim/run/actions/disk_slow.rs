//! Every sync takes longer.

use std::any::Any;

use crate::history::FaultKind;
use crate::sim::run::phases::Run;
use crate::sim::run::windows::{Lasts, Needs};

/// So much longer, nanoseconds.
#[derive(Debug)]
struct DiskSlow(u64);

impl Run<'_> {
    pub(super) fn slow_disk(&mut self, machine: usize, extra_ns: u64, lasts_ns: u64) {
        {
            let disk = &mut self.world.lock().disks[machine];
            disk.extra_ns = disk.extra_ns.max(extra_ns);
        }
        self.open_window(machine, DiskSlow(extra_ns), Some(lasts_ns));
    }
}

impl Lasts for DiskSlow {
    fn kind(&self) -> FaultKind {
        FaultKind::DiskSlow
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
        let extra_ns = run.lasts::<Self>(machine).map(|other| other.0).max();
        run.world.lock().disks[machine].extra_ns = extra_ns.unwrap_or(0);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
