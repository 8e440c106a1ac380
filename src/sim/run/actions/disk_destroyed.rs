//! The disk is gone; the operator puts in a formatted blank one.

use crate::history::FaultKind;
use crate::scenario::Victim;
use crate::sim::run::phases::Run;
use crate::sim::run::process::Operator;
use crate::sim::tap::Taken;

impl Run<'_> {
    pub(super) fn destroy(&mut self, machine: usize, down_ns: u64) {
        let death = self.death_of(Victim::Broker(machine as u32));
        let dirty = self.dirty(machine as u32);
        self.end_process(machine, true);
        let (eligible, held_anything) = {
            let mut inner = self.world.lock();
            let inner = &mut *inner;
            let disk = &mut inner.disks[machine];
            let held_before = inner.tap.durable_end(disk, machine as u32);
            disk.model.replace();
            disk.machine_died();
            inner
                .tap
                .lost_cache(&inner.core, disk, machine as u32, Taken::Disk);
            let own = inner.tap.take_acknowledged(machine as u32, 0);
            let eligible = own || inner.tap.was_relied_on(held_before, 0);
            (eligible, held_before > 0)
        };
        let note = "disk destroyed, a blank one put in".to_owned();
        self.enter(
            FaultKind::DiskDestroyed,
            machine as u32,
            eligible,
            dirty,
            note,
        );
        self.is_death(death);
        self.is_observed(held_anything);
        self.leaves(0);
        self.start_later(machine, down_ns, Operator::Format(self.new_disk(machine)));
        self.was_blanked(machine);
    }
}
