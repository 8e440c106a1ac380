//! A sector of the disk goes bad.

use crate::history::FaultKind;
use crate::scenario::FileClass;
use crate::sim::disk::RotKind;
use crate::sim::files::paths_of;
use crate::sim::run::faults::COMMIT_LOG;
use crate::sim::run::phases::Run;

impl Run<'_> {
    /// A sector goes bad where it lies: a read of it shows that.
    pub(super) fn damage_sector(
        &mut self,
        machine: usize,
        rot: Option<RotKind>,
        file: FileClass,
        seed: u64,
    ) {
        let kind = match rot {
            Some(_) => FaultKind::Rot,
            None => FaultKind::ReadError,
        };
        let dirty = self.dirty(machine as u32);
        let entry = self.ledger.fired.len();
        let (reached, damaged) = {
            let mut inner = self.world.lock();
            let inner = &mut *inner;
            let disk = &mut inner.disks[machine];
            // Otherwise the account would hold it for durable after it is gone.
            inner.tap.settles(&inner.core, disk, machine as u32);
            // The durable log ends before its first hole. What was synced behind that
            // one can be lost as well.
            let reached = inner.tap.believed_end(disk, machine as u32);
            let damaged = disk
                .model
                .damage_some_sector(aim_of(file), rot, seed, entry);
            let damaged = damaged.map(|place| (place, inner.tap.held_now(disk)));
            inner.tap.damaged(&inner.core, disk, machine as u32);
            (reached, damaged)
        };
        let Some(((path, position), held_after)) = damaged else {
            return;
        };
        let note = format!("b{machine} {kind} in {path} at {position}");
        self.enter(kind, machine as u32, true, dirty, note);
        // A bad sector elsewhere took no entry, and may not be blamed for one.
        if path.starts_with(COMMIT_LOG) {
            self.leaves(held_after);
        }
        self.was_damaged(machine, &path, reached);
    }
}

/// Where the sectors of a class are: how their files' paths begin, and whether
/// only the first one of each is meant.
pub(in crate::sim::run) fn aim_of(class: FileClass) -> (&'static str, bool) {
    (paths_of(class), class == FileClass::SegmentHeader)
}
