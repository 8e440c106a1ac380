//! What each fault does to a broker's machine.

use super::cuts::Partition;
use super::faults::COMMIT_LOG;
use super::phases::Run;
use super::process::Operator;
use super::windows::Lasting;
use crate::history::FaultKind;
use crate::scenario;
use crate::scenario::{Effect, Fate, FileClass, Kept, SyncErrorCache, Victim};
use crate::sim::disk::{
    ArmedFault, CacheAfterError, DiskFault, DiskImage, DiskSpeed, Pending, Survival,
};
use crate::sim::net::NodeId;
use crate::sim::tap::Taken;

/// Who says what a power loss leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// It is drawn.
    Drawn(scenario::Survival),
    /// A crash point.
    Told(Kept),
}

impl Run<'_> {
    /// Harms one machine. `image` is what a rollback sets its disk back to; all
    /// machines that are hit at this instant are in `group`.
    pub(super) fn harm_broker(
        &mut self,
        machine: usize,
        effect: &Effect,
        image: Option<DiskImage>,
        group: &[NodeId],
    ) {
        match *effect {
            Effect::Kill { down_ns } => self.kill(machine, down_ns),
            Effect::Restart { down_ns } => self.restart(machine, down_ns),
            Effect::PowerLoss { survival, down_ns } => {
                self.power_loss(machine, Left::Drawn(survival), down_ns);
            }
            Effect::DiskDestroyed { down_ns } => self.destroy(machine, down_ns),
            Effect::DiskRolledBack { down_ns, .. } => {
                if let Some(image) = image {
                    self.roll_back(machine, &image, down_ns);
                }
            }
            Effect::SyncError { file, cache } => {
                let cache = match cache {
                    SyncErrorCache::Keeps => CacheAfterError::KeepsNew,
                    SyncErrorCache::Reverts => CacheAfterError::Reverts,
                };
                self.arm_disk(machine, DiskFault::SyncError { cache }, file);
            }
            Effect::ReadError { file } => self.harm_sector(machine, FaultKind::ReadError, file),
            Effect::Rot { file } => self.harm_sector(machine, FaultKind::Rot, file),
            Effect::MisdirectedWrite { file } => {
                self.arm_disk(machine, DiskFault::MisdirectedWrite, file);
            }
            Effect::LostWrite { file } => self.arm_disk(machine, DiskFault::LostWrite, file),
            Effect::DiskFull { lasts_ns } => self.fill_disk(machine, lasts_ns),
            Effect::DiskSlow { extra_ns, lasts_ns } => {
                {
                    let disk = &mut self.world.lock().disks[machine];
                    disk.extra_ns = disk.extra_ns.max(extra_ns);
                }
                self.open_window(machine, Lasting::Slow(extra_ns), lasts_ns);
            }
            Effect::DiskHung { lasts_ns } => {
                self.set_speed(machine, DiskSpeed::Stalled);
                self.open_window(machine, Lasting::Hung, lasts_ns);
            }
            Effect::DiskLying { lasts_ns } => {
                let lie = ArmedFault {
                    times: u64::MAX,
                    ..ArmedFault::next(DiskFault::LyingSync, "", self.survival.next_u64())
                };
                self.world.lock().disks[machine].model.arm(lie);
                self.open_window(machine, Lasting::Lying, lasts_ns);
            }
            Effect::Partition {
                shape,
                links,
                cut,
                lasts_ns,
            } => {
                let partition = Partition { shape, links, cut };
                let links = self.links_of(partition, machine as u32, group);
                self.open_window(machine, Lasting::Cut(links), lasts_ns);
                self.renew_cuts();
            }
            Effect::ClientKill { .. } | Effect::ClientPower { .. } => {
                panic!("the reader of scenarios gives brokers no such fault")
            }
        }
    }

    pub(super) fn kill(&mut self, machine: usize, down_ns: u64) {
        let death = self.death_of(Victim::Broker(machine as u32));
        let dirty = self.dirty(machine as u32);
        let eligible = self.sends_in_flight() > 0;
        self.end_process(machine, false);
        self.world.lock().disks[machine].process_died();
        let note = "killed".to_owned();
        self.enter(FaultKind::Kill, machine as u32, eligible, dirty, note);
        self.is_death(death);
        self.start_later(machine, down_ns, Operator::None);
    }

    fn restart(&mut self, machine: usize, down_ns: u64) {
        let dirty = self.dirty(machine as u32);
        let eligible = self.sends_in_flight() > 0;
        let note = "asked to stop".to_owned();
        self.enter(FaultKind::Restart, machine as u32, eligible, dirty, note);
        self.machines[machine].down_ns = down_ns;
        self.machines[machine].stop();
    }

    pub(super) fn power_loss(&mut self, machine: usize, left: Left, down_ns: u64) {
        let death = self.death_of(Victim::Broker(machine as u32));
        let dirty = self.dirty(machine as u32);
        let pending = self.world.lock().disks[machine].model.pending(COMMIT_LOG);
        let eligible = pending != Pending::default() || self.sends_in_flight() > 0;
        self.end_process(machine, true);
        let (held_after, believed) = {
            let mut inner = self.world.lock();
            let inner = &mut *inner;
            let disk = &mut inner.disks[machine];
            let believed = inner.tap.believed_end(disk, machine as u32);
            match left {
                Left::Drawn(survival) => {
                    let dice = &mut self.survival;
                    disk.model.power_loss(survival_of(survival), dice);
                }
                Left::Told(kept) => {
                    let boundaries = inner.boundaries.as_ref().expect("they told");
                    let left = boundaries.takes(&mut disk.model, machine as u32, kept);
                    self.left.push(left);
                }
            }
            disk.machine_died();
            inner
                .tap
                .lost_cache(&inner.core, disk, machine as u32, Taken::Cache);
            (inner.tap.durable_end(disk, machine as u32), believed)
        };
        let note = match left {
            Left::Drawn(survival) => format!("power lost, survival {survival:?}"),
            Left::Told(kept) => format!("power lost, left: {}", Fate::Power(kept)),
        };
        self.enter(FaultKind::PowerLoss, machine as u32, eligible, dirty, note);
        self.is_death(death);
        self.leaves(held_after);
        self.believed.insert(self.ledger.fired.len() - 1, believed);
        self.start_later(machine, down_ns, Operator::None);
    }

    fn destroy(&mut self, machine: usize, down_ns: u64) {
        let death = self.death_of(Victim::Broker(machine as u32));
        let dirty = self.dirty(machine as u32);
        self.end_process(machine, true);
        let eligible = {
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
            own || inner.tap.was_relied_on(held_before, 0)
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
        self.leaves(0);
        self.start_later(machine, down_ns, Operator::Format(self.new_disk()));
        self.forgot(machine);
    }

    fn roll_back(&mut self, machine: usize, image: &DiskImage, down_ns: u64) {
        let dirty = self.dirty(machine as u32);
        self.end_process(machine, true);
        let (eligible, held_after) = {
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
            (eligible, held_after)
        };
        let note = "disk set back to an older image".to_owned();
        self.enter(
            FaultKind::DiskRolledBack,
            machine as u32,
            eligible,
            dirty,
            note,
        );
        self.leaves(held_after);
        self.start_later(machine, down_ns, Operator::None);
        self.forgot_unawares(machine);
    }

    fn end_process(&mut self, machine: usize, machine_too: bool) {
        self.machines[machine].kill(&self.handle);
        self.world.process_dies(machine as u32, machine_too);
    }

    fn start_later(&mut self, machine: usize, down_ns: u64, operator: Operator) {
        // madsim wants a millisecond between a death and the next life.
        let at_ns = self.world.now_ns() + down_ns.max(2_000_000);
        self.plan_start(machine, at_ns, operator);
    }

    /// A sector goes bad where it lies; who reads it will know.
    fn harm_sector(&mut self, machine: usize, kind: FaultKind, file: FileClass) {
        let seed = self.survival.next_u64();
        let dirty = self.dirty(machine as u32);
        let (held_before, harmed) = {
            let mut inner = self.world.lock();
            let inner = &mut *inner;
            let disk = &mut inner.disks[machine];
            let held_before = inner.tap.durable_end(disk, machine as u32);
            let unreadable = kind == FaultKind::ReadError;
            let harmed = disk
                .model
                .harm_some_sector(files_of(file), unreadable, seed);
            let harmed = harmed.map(|place| (place, inner.tap.held_now(disk)));
            inner.tap.harmed(&inner.core, disk, machine as u32);
            (held_before, harmed)
        };
        let Some(((path, position), held_after)) = harmed else {
            return;
        };
        let note = format!("b{machine} {kind} in {path} at {position}");
        self.enter(kind, machine as u32, true, dirty, note);
        self.leaves(held_after);
        self.was_damaged(machine, &path, held_before);
    }

    fn arm_disk(&mut self, machine: usize, fault: DiskFault, file: FileClass) {
        let armed = ArmedFault::next(fault, files_of(file), self.survival.next_u64());
        self.world.lock().disks[machine].model.arm(armed);
    }

    fn fill_disk(&mut self, machine: usize, lasts_ns: u64) {
        {
            let mut inner = self.world.lock();
            let disk = &mut inner.disks[machine].model;
            // Somebody else took the space: a write that began may still end
            // in the middle.
            let seed = self.survival.next_u64();
            disk.arm(ArmedFault::next(DiskFault::NoSpace, COMMIT_LOG, seed));
            disk.set_capacity(0);
        }
        self.open_window(machine, Lasting::Full, lasts_ns);
    }

    pub(super) fn set_speed(&mut self, machine: usize, speed: DiskSpeed) {
        let mut inner = self.world.lock();
        let inner = &mut *inner;
        inner.disks[machine].set_speed(&mut inner.core, speed);
    }
}

/// Where the files of a class are: how their paths begin.
fn files_of(class: FileClass) -> &'static str {
    match class {
        FileClass::CommitLog => COMMIT_LOG,
        FileClass::Any => "",
    }
}

pub(super) fn survival_of(survival: scenario::Survival) -> Survival {
    match survival {
        scenario::Survival::None => Survival::None,
        scenario::Survival::All => Survival::All,
        scenario::Survival::Prefix => Survival::Prefix,
        scenario::Survival::SectorSubset => Survival::SectorSubset,
        scenario::Survival::Torn => Survival::Torn,
        scenario::Survival::Garbage => Survival::Garbage,
        scenario::Survival::SizeWithoutData => Survival::SizeWithoutData,
        scenario::Survival::DataWithoutSize => Survival::DataWithoutSize,
        scenario::Survival::EntrySubset => Survival::EntrySubset,
    }
}
