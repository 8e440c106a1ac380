//! The disk is set back to an image that was taken of it earlier.

use crate::history::FaultKind;
use crate::sim::disk::DiskImage;
use crate::sim::run::phases::Run;
use crate::sim::run::process::Operator;
use crate::sim::tap::Taken;

impl Run<'_> {
    pub(super) fn roll_back(&mut self, machine: usize, image: &DiskImage, down_ns: u64) {
        let dirty = self.dirty(machine as u32);
        self.end_process(machine, true);
        let (eligible, held_before, held_after) = {
            let mut inner = self.world.lock();
            let inner = &mut *inner;
            let disk = &mut inner.disks[machine];
            let held_before = inner.tap.durable_end(disk, machine as u32);
            disk.model.roll_back(image);
            disk.machine_died();
            inner
                .tap
                .lost_cache(&inner.core, disk, machine as u32, Taken::Newer);
            let held_after = inner.tap.durable_end(disk, machine as u32);
            let own = inner.tap.take_acknowledged(machine as u32, held_after);
            let eligible = own || inner.tap.was_relied_on(held_before, held_after);
            (eligible, held_before, held_after)
        };
        let note = "disk set back to an older image".to_owned();
        self.enter(
            FaultKind::DiskRolledBack,
            machine as u32,
            eligible,
            dirty,
            note,
        );
        self.is_observed(held_after < held_before);
        self.leaves(held_after);
        self.start_later(machine, down_ns, Operator::None);
        self.forgot_unawares(machine);
    }
}
