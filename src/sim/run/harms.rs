//! The effect of each fault on a broker's machine.

use super::cuts::Partition;
use super::faults::COMMIT_LOG;
use super::phases::Run;
use super::process::Operator;
use super::windows::Lasting;
use crate::history::FaultKind;
use crate::scenario;
use crate::scenario::{
    Fate, FaultAction, FileClass, Kept, PartitionShape, RotForm, Survivors, SyncErrorCache,
    SyncForm, Victim,
};
use crate::sim::disk::{
    ArmedFault, CacheAfterError, DiskFault, DiskImage, DiskModel, DiskSpeed, Pending, RotKind,
    Survival,
};
use crate::sim::disk_io::Refused;
use crate::sim::files::paths_of;
use crate::sim::net::NodeId;
use crate::sim::random::{Purpose, Stream};
use crate::sim::tap::Taken;

/// The effect on one machine.
#[derive(Debug)]
pub(super) struct Blow<'a> {
    pub(super) action: &'a FaultAction,
    /// The number that decides everything that is left to chance.
    pub(super) draw: u32,
    /// The image that a rollback sets the disk back to.
    pub(super) image: Option<DiskImage>,
    /// All machines that are hit at this instant.
    pub(super) group: &'a [NodeId],
}

/// Takes the power from a disk: what became of what was pending, in words.
pub(super) fn cut_power(disk: &mut DiskModel, survivors: &Survivors, draw: u32) -> String {
    let (report, how) = match survivors {
        Survivors::InThisWay(survival) => {
            let mut dice = Stream::new(u64::from(draw), Purpose::Survival);
            let report = disk.power_loss(survival_of(*survival), &mut dice);
            (report, format!("survival {survival:?}"))
        }
        Survivors::Kept(keep_pending) => {
            let report = disk.power_loss_keeping(keep_pending);
            (report, "survival as planned".to_owned())
        }
        Survivors::Any => panic!("a plan has drawn it"),
    };
    let (whole, all) = (report.survived(), report.pieces());
    format!("power lost, {how}: {whole} of {all} pending whole")
}

/// The source that decides what a power loss leaves.
#[derive(Debug, Clone, Copy)]
pub(super) enum Left<'a> {
    /// The plan, and the hit's draw.
    Planned(&'a Survivors, u32),
    /// A crash point.
    Told(Kept),
}

impl Run<'_> {
    /// Harms one machine.
    pub(super) fn harm_broker(&mut self, machine: usize, blow: Blow<'_>) {
        let (draw, seed) = (blow.draw, u64::from(blow.draw));
        match *blow.action {
            FaultAction::Kill { down } => self.kill(machine, down.ns()),
            FaultAction::Restart { down } => self.restart(machine, down.ns()),
            FaultAction::PowerLoss { down, ref survival } => {
                self.power_loss(machine, Left::Planned(survival, draw), down.ns());
            }
            FaultAction::DiskDestroyed { down } => self.destroy(machine, down.ns()),
            FaultAction::DiskRolledBack { down, .. } => {
                if let Some(image) = blow.image {
                    self.roll_back(machine, &image, down.ns());
                }
            }
            FaultAction::SyncError { cache, file, form } => {
                let cache = match cache.get() {
                    SyncErrorCache::Keeps => CacheAfterError::KeepsNew,
                    SyncErrorCache::Reverts => CacheAfterError::Reverts,
                };
                let fault = match form.get() {
                    SyncForm::File => DiskFault::SyncError { cache },
                    SyncForm::Writeback => DiskFault::WritebackError { cache },
                    SyncForm::Directory => DiskFault::DirSyncError,
                };
                self.arm_disk(machine, fault, file.class(), seed);
            }
            FaultAction::ReadError { file } => self.harm_sector(machine, None, file.class(), seed),
            FaultAction::Rot { file, form } => {
                let rot = match form.get() {
                    RotForm::Bit => RotKind::Bit,
                    RotForm::Zeros => RotKind::Zeros,
                    RotForm::Garbage => RotKind::Garbage,
                };
                self.harm_sector(machine, Some(rot), file.class(), seed);
            }
            FaultAction::MisdirectedWrite { file } => {
                self.arm_disk(machine, DiskFault::MisdirectedWrite, file.class(), seed);
            }
            FaultAction::LostWrite { file } => {
                self.arm_disk(machine, DiskFault::LostWrite, file.class(), seed);
            }
            FaultAction::DiskFull { lasts } => self.fill_disk(machine, lasts.ns(), seed),
            FaultAction::DiskError {
                lasts,
                error,
                operation,
                file,
            } => {
                let refused = Refused {
                    error: error.get(),
                    operation: operation.get(),
                    file: file.class(),
                };
                self.world.lock().disks[machine].refuse(refused);
                let what = Lasting::Refusing(refused);
                self.open_window(machine, what, Some(lasts.ns()));
            }
            FaultAction::DiskSlow { extra, lasts } => {
                let extra_ns = extra.ns();
                {
                    let disk = &mut self.world.lock().disks[machine];
                    disk.extra_ns = disk.extra_ns.max(extra_ns);
                }
                self.open_window(machine, Lasting::Slow(extra_ns), Some(lasts.ns()));
            }
            FaultAction::DiskLimping { lasts, factor } => {
                let factor = factor.low as u32;
                {
                    let disk = &mut self.world.lock().disks[machine];
                    disk.factor = disk.factor.max(factor);
                }
                self.open_window(machine, Lasting::Limping(factor), Some(lasts.ns()));
            }
            FaultAction::DiskHung { lasts } => {
                let speed = match seed % 2 {
                    0 => DiskSpeed::Stalled,
                    _ => DiskSpeed::Hung,
                };
                self.set_speed(machine, speed);
                self.open_window(machine, Lasting::Hung, Some(lasts.ns()));
            }
            FaultAction::DiskLying { lasts } => {
                let lie = ArmedFault {
                    times: u64::MAX,
                    ..ArmedFault::next(DiskFault::LyingSync, "", seed)
                };
                self.world.lock().disks[machine].model.arm(lie);
                self.open_window(machine, Lasting::Lying, Some(lasts.ns()));
            }
            FaultAction::Partition {
                lasts,
                shape,
                links,
                cut,
            } => {
                let partition = Partition {
                    shape: shape.get(),
                    links: links.get(),
                    cut: cut.get(),
                };
                let links = self.links_of(partition, machine as u32, blow.group);
                self.open_window(machine, Lasting::Cut(links), Some(lasts.ns()));
                self.renew_cuts();
            }
            FaultAction::LinkLimping {
                links,
                lasts,
                way,
                factor,
            } => {
                let limping = Partition {
                    shape: PartitionShape::Isolate,
                    links: links.get(),
                    cut: way.get(),
                };
                let links = self.links_of(limping, machine as u32, blow.group);
                let what = Lasting::LinksLimping(links, factor.low as u32);
                self.open_window(machine, what, Some(lasts.ns()));
                self.renew_limping();
            }
            FaultAction::ClockSkew { by, way } => self.skew(machine, way.signed(by.ns())),
            FaultAction::ClockJump { lasts, by, way } => {
                self.jump(machine, way.signed(by.ns()), lasts.ns());
            }
            FaultAction::ClockDrift { lasts, by_ppm, way } => {
                self.drift(machine, way.signed(by_ppm.low), lasts.ns());
            }
            FaultAction::Pause { lasts, reading } => {
                self.pause(machine, lasts.ns(), reading.or_0() as u32);
            }
            FaultAction::ClientKill { .. }
            | FaultAction::ClientPower { .. }
            | FaultAction::ClientPause { .. }
            | FaultAction::ClientClockDrift { .. } => {
                panic!("the reader of scenarios gives brokers no such fault")
            }
        }
    }

    pub(super) fn kill(&mut self, machine: usize, down_ns: u64) {
        let death = self.death_of(Victim::Broker(machine as u32));
        let dirty = self.dirty(machine as u32);
        let eligible = self.sends_in_flight() > 0;
        let worked = self.is_at_work(machine, dirty);
        self.end_process(machine, false);
        self.world.lock().disks[machine].process_died();
        let note = "killed".to_owned();
        self.enter(FaultKind::Kill, machine as u32, eligible, dirty, note);
        self.is_observed(worked);
        self.is_death(death);
        self.start_later(machine, down_ns, Operator::None);
    }

    fn restart(&mut self, machine: usize, down_ns: u64) {
        let dirty = self.dirty(machine as u32);
        let eligible = self.sends_in_flight() > 0;
        let note = "asked to stop".to_owned();
        let worked = self.is_at_work(machine, dirty);
        self.enter(FaultKind::Restart, machine as u32, eligible, dirty, note);
        self.is_observed(worked);
        self.machines[machine].down_ns = down_ns;
        self.machines[machine].stop();
    }

    pub(super) fn power_loss(&mut self, machine: usize, left: Left<'_>, down_ns: u64) {
        let death = self.death_of(Victim::Broker(machine as u32));
        let dirty = self.dirty(machine as u32);
        let pending = self.world.lock().disks[machine].model.pending(COMMIT_LOG);
        let eligible = pending != Pending::default() || self.sends_in_flight() > 0;
        let worked = self.is_at_work(machine, dirty);
        self.end_process(machine, true);
        let (held_after, believed, note) = {
            let mut inner = self.world.lock();
            let inner = &mut *inner;
            let disk = &mut inner.disks[machine];
            let believed = inner.tap.believed_end(disk, machine as u32);
            let note = match left {
                Left::Planned(survival, draw) => cut_power(&mut disk.model, survival, draw),
                Left::Told(kept) => {
                    let boundaries = inner.boundaries.as_ref().expect("they told");
                    let left = boundaries.takes(&mut disk.model, machine as u32, kept);
                    self.left.push(left);
                    format!("power lost, left: {}", Fate::Power(kept))
                }
            };
            disk.machine_died();
            inner
                .tap
                .lost_cache(&inner.core, disk, machine as u32, Taken::Cache);
            (inner.tap.durable_end(disk, machine as u32), believed, note)
        };
        self.enter(FaultKind::PowerLoss, machine as u32, eligible, dirty, note);
        self.is_observed(worked);
        self.is_death(death);
        self.leaves(held_after);
        self.believed.insert(self.ledger.fired.len() - 1, believed);
        self.start_later(machine, down_ns, Operator::None);
    }

    fn destroy(&mut self, machine: usize, down_ns: u64) {
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

    fn roll_back(&mut self, machine: usize, image: &DiskImage, down_ns: u64) {
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

    /// Whether a process has something to lose: bytes that are not durable yet, or
    /// requests, if it leads.
    fn is_at_work(&self, machine: usize, (dirty_log, dirty_other): (u64, u64)) -> bool {
        let leads = self.world.lock().tap.leader() == Some(machine as NodeId);
        dirty_log + dirty_other > 0 || (leads && self.sends_in_flight() > 0)
    }

    pub(super) fn end_process(&mut self, machine: usize, machine_too: bool) {
        self.close_pauses(machine);
        self.machines[machine].kill(&self.handle);
        self.world.process_dies(machine as u32, machine_too);
    }

    pub(super) fn start_later(&mut self, machine: usize, down_ns: u64, operator: Operator) {
        // madsim wants a millisecond between a death and the next life.
        let at_ns = self.world.now_ns() + down_ns.max(2_000_000);
        self.plan_start(machine, at_ns, operator);
    }

    /// A sector goes bad where it lies; who reads it will know.
    fn harm_sector(&mut self, machine: usize, rot: Option<RotKind>, file: FileClass, seed: u64) {
        let kind = match rot {
            Some(_) => FaultKind::Rot,
            None => FaultKind::ReadError,
        };
        let dirty = self.dirty(machine as u32);
        let entry = self.ledger.fired.len();
        let (reached, harmed) = {
            let mut inner = self.world.lock();
            let inner = &mut *inner;
            let disk = &mut inner.disks[machine];
            // Otherwise the account would hold it for durable after it is gone.
            inner.tap.settles(&inner.core, disk, machine as u32);
            // The durable log ends before its first hole. What was synced behind that
            // one can be lost as well.
            let reached = inner.tap.believed_end(disk, machine as u32);
            let harmed = disk.model.harm_some_sector(aim_of(file), rot, seed, entry);
            let harmed = harmed.map(|place| (place, inner.tap.held_now(disk)));
            inner.tap.harmed(&inner.core, disk, machine as u32);
            (reached, harmed)
        };
        let Some(((path, position), held_after)) = harmed else {
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

    fn arm_disk(&mut self, machine: usize, fault: DiskFault, file: FileClass, seed: u64) {
        let armed = ArmedFault::next(fault, paths_of(file), seed);
        self.world.lock().disks[machine].model.arm(armed);
    }

    fn fill_disk(&mut self, machine: usize, lasts_ns: u64, seed: u64) {
        {
            let mut inner = self.world.lock();
            let disk = &mut inner.disks[machine].model;
            // Somebody else took the space: a write that began may still end
            // in the middle.
            disk.arm(ArmedFault::next(DiskFault::NoSpace, COMMIT_LOG, seed));
            disk.fill();
        }
        self.open_window(machine, Lasting::Full, Some(lasts_ns));
    }

    pub(super) fn set_speed(&mut self, machine: usize, speed: DiskSpeed) {
        let mut inner = self.world.lock();
        let inner = &mut *inner;
        inner.disks[machine].set_speed(&mut inner.core, speed);
    }
}

/// Where the sectors of a class are: how their files' paths begin, and whether
/// only the first one of each is meant.
pub(super) fn aim_of(class: FileClass) -> (&'static str, bool) {
    (paths_of(class), class == FileClass::SegmentHeader)
}

fn survival_of(survival: scenario::Survival) -> Survival {
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
