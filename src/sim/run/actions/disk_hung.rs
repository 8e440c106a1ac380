//! Syncs do not return until the disk comes back, or never.

use crate::history::FaultKind;
use crate::sim::disk::DiskSpeed;
use crate::sim::run::phases::Run;
use crate::sim::run::process::Operator;
use crate::sim::run::windows::{Lasts, Needs};

/// No sync returns.
#[derive(Debug)]
struct DiskHung;

impl Run<'_> {
    pub(super) fn hang_disk(&mut self, machine: usize, lasts_ns: u64, seed: u64) {
        let speed = match seed % 2 {
            0 => DiskSpeed::Stalled,
            _ => DiskSpeed::Hung,
        };
        self.set_speed(machine, speed);
        self.open_window(machine, FaultKind::DiskHung, DiskHung, Some(lasts_ns));
    }

    /// Syncs of a machine that were not back when a healthy disk's would have been.
    pub(super) fn late_syncs(&self, machine: usize) -> u64 {
        let inner = self.world.lock();
        inner.disks[machine].late_syncs(inner.core.now_ns)
    }

    fn set_speed(&mut self, machine: usize, speed: DiskSpeed) {
        let mut inner = self.world.lock();
        let inner = &mut *inner;
        inner.disks[machine].set_speed(&mut inner.core, speed);
    }
}

impl Lasts for DiskHung {
    fn traces(&self, run: &Run<'_>, machine: usize) -> u64 {
        run.late_syncs(machine)
    }

    fn needs(&self) -> Needs {
        Needs::TracesWhileAsked
    }

    fn is_seen_at_the_end(&self) -> bool {
        true
    }

    /// The disk answers again. The operation that it swallowed never comes back: nobody
    /// but the operator helps a process that waits for it.
    fn end(&self, run: &mut Run<'_>, machine: usize) {
        if run.open_on::<Self>(machine).next().is_some() {
            return;
        }
        run.set_speed(machine, DiskSpeed::Normal);
        // Another hang may have come in between, and that one only stalled.
        let in_vain = run.world.lock().disks[machine].is_awaited_in_vain();
        if in_vain && run.machines[machine].is_up() {
            run.end_process(machine, false);
            run.world.lock().disks[machine].process_died();
            run.start_later(machine, 0, Operator::None);
        }
    }
}
