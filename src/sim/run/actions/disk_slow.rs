//! Every sync takes longer.

use crate::history::FaultKind;
use crate::sim::run::phases::Run;
use crate::sim::run::windows::{Lasts, Needs};

/// Syncs that take longer than the disk's own.
#[derive(Debug)]
pub(super) struct Slowed {
    /// In addition, nanoseconds.
    pub(super) extra_ns: u64,
    /// How many times as long.
    pub(super) factor: u32,
}

impl Run<'_> {
    pub(super) fn slow_disk(
        &mut self,
        machine: usize,
        kind: FaultKind,
        slowed: Slowed,
        lasts_ns: u64,
    ) {
        {
            let disk = &mut self.world.lock().disks[machine];
            disk.extra_ns = disk.extra_ns.max(slowed.extra_ns);
            disk.factor = disk.factor.max(slowed.factor);
        }
        self.open_window(machine, kind, slowed, Some(lasts_ns));
    }
}

impl Lasts for Slowed {
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
        let extra_ns = run.open_on::<Self>(machine).map(|other| other.extra_ns);
        let extra_ns = extra_ns.max().unwrap_or(0);
        let factor = run.open_on::<Self>(machine).map(|other| other.factor);
        let factor = factor.max().unwrap_or(1);
        let disk = &mut run.world.lock().disks[machine];
        (disk.extra_ns, disk.factor) = (extra_ns, factor);
    }
}
