//! Planned faults: waited for, fired, taken back, and put into the ledger.

use super::phases::{Run, Step};
use super::process::Operator;
use super::windows::Lasting;
use crate::history::{FaultEvent, FaultKind};
use crate::scenario;
use crate::scenario::{Condition, CutDirection, Effect, FileClass, SyncErrorCache, Victim};
use crate::sim::disk::{
    ArmedFault, CacheAfterError, DiskFault, DiskSpeed, FiredFault, Pending, Survival,
};
use crate::sim::world::{Inner, TraceKind};

/// Pause between two looks at a condition, nanoseconds.
const LOOK_NS: u64 = 500_000;
/// What survives a fault that takes nothing from the disk.
const TAKES_NOTHING: u64 = u64::MAX;
/// Where the commit log's files are.
const COMMIT_LOG: &str = "commitlog/";

impl Run<'_> {
    /// Plans a fault, and what has to be done ahead of it.
    pub(super) fn arm(&mut self, fault: usize) {
        let planned = &self.plan.faults[fault];
        let from_ns = planned.trigger.from_ns;
        *self.ledger.armed.entry(planned.effect.kind()).or_default() += 1;
        let image_ns = match &planned.effect {
            Effect::DiskRolledBack { age_ns, .. } => Some(from_ns.saturating_sub(*age_ns)),
            _ => None,
        };
        if let Some(at_ns) = image_ns {
            self.at(at_ns, Step::TakeImage(fault));
        }
        self.at(from_ns, Step::Fault(fault));
    }

    pub(super) fn take_image(&mut self, fault: usize) {
        if let Victim::Broker(broker) = self.plan.faults[fault].victim {
            let inner = self.world.lock();
            let image = inner.disks[broker as usize].model.image();
            self.images.insert(fault, image);
        }
    }

    /// Fires a fault if its condition holds, or looks again a little later.
    pub(super) fn try_fault(&mut self, fault: usize) {
        let planned = self.plan.faults[fault].clone();
        let now_ns = self.world.now_ns();
        if self.holds(planned.victim, planned.trigger.when) {
            // What armed faults did before comes before it in the ledger.
            self.note_fired();
            self.fire(fault, planned.victim, &planned.effect);
        } else if now_ns + LOOK_NS <= planned.trigger.until_ns {
            self.at(now_ns + LOOK_NS, Step::Fault(fault));
        }
    }

    fn holds(&self, victim: Victim, when: Condition) -> bool {
        match victim {
            Victim::Broker(broker) => {
                let up = self.machines[broker as usize].is_up();
                let met = match when {
                    Condition::Always => true,
                    Condition::Dirty => self.dirty(broker).0 > 0,
                    Condition::InFlight => self.sends_in_flight() > 0,
                };
                up && met
            }
            Victim::Client(client) => {
                let client = &self.clients[client as usize];
                let idle = client.progress.in_flight() + client.progress.uncommitted() == 0;
                client.is_up() && !(when == Condition::InFlight && idle)
            }
        }
    }

    /// Bytes pending in the commit log, and in all other files.
    pub(super) fn dirty(&self, broker: u32) -> (u64, u64) {
        let inner = self.world.lock();
        let disk = &inner.disks[broker as usize].model;
        let log = disk.pending_bytes(COMMIT_LOG);
        (log, disk.pending_bytes("") - log)
    }

    fn fire(&mut self, fault: usize, victim: Victim, effect: &Effect) {
        match victim {
            Victim::Client(client) => self.kill_client(client as usize, effect),
            Victim::Broker(broker) => self.harm_broker(fault, broker, effect),
        }
    }

    fn kill_client(&mut self, index: usize, effect: &Effect) {
        let Effect::ClientKill { down_ns } = *effect else {
            panic!("the reader of scenarios gives clients this fault alone")
        };
        let client = &mut self.clients[index];
        let eligible = client.progress.in_flight() + client.progress.uncommitted() > 0;
        let node = client.node;
        client.kill(&self.handle);
        self.world.process_dies(node, false);
        let note = "killed".to_owned();
        self.enter(FaultKind::ClientKill, node, eligible, (0, 0), note);
        self.at(self.world.now_ns() + down_ns, Step::StartClient(index));
    }

    fn harm_broker(&mut self, fault: usize, broker: u32, effect: &Effect) {
        let machine = broker as usize;
        match *effect {
            Effect::Kill { down_ns } => self.kill(machine, down_ns),
            Effect::Restart { down_ns } => self.restart(machine, down_ns),
            Effect::PowerLoss { survival, down_ns } => self.power_loss(machine, survival, down_ns),
            Effect::DiskDestroyed { down_ns } => self.destroy(machine, down_ns),
            Effect::DiskRolledBack { down_ns, .. } => self.roll_back(fault, machine, down_ns),
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
            Effect::Partition { cut, lasts_ns } => {
                self.cut(machine, cut);
                self.open_window(machine, Lasting::Cut(cut), lasts_ns);
            }
            Effect::ClientKill { .. } => {
                panic!("the reader of scenarios gives brokers no such fault")
            }
        }
    }

    fn kill(&mut self, machine: usize, down_ns: u64) {
        let dirty = self.dirty(machine as u32);
        let eligible = self.sends_in_flight() > 0;
        self.end_process(machine, false);
        self.world.lock().disks[machine].process_died();
        let note = "killed".to_owned();
        self.enter(FaultKind::Kill, machine as u32, eligible, dirty, note);
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

    fn power_loss(&mut self, machine: usize, survival: scenario::Survival, down_ns: u64) {
        let dirty = self.dirty(machine as u32);
        let pending = self.world.lock().disks[machine].model.pending(COMMIT_LOG);
        let eligible = pending != Pending::default() || self.sends_in_flight() > 0;
        self.end_process(machine, true);
        let (held_after, believed) = {
            let mut inner = self.world.lock();
            let inner = &mut *inner;
            let disk = &mut inner.disks[machine];
            let believed = inner.tap.believed_end(disk, machine as u32);
            disk.model
                .power_loss(survival_of(survival), &mut self.survival);
            disk.machine_died();
            inner.tap.lost_cache(disk, machine as u32);
            (inner.tap.durable_end(disk, machine as u32), believed)
        };
        let note = format!("power lost, survival {survival:?}");
        self.enter(FaultKind::PowerLoss, machine as u32, eligible, dirty, note);
        self.leaves(held_after);
        self.believed.insert(self.ledger.fired.len() - 1, believed);
        self.start_later(machine, down_ns, Operator::None);
    }

    fn destroy(&mut self, machine: usize, down_ns: u64) {
        let dirty = self.dirty(machine as u32);
        self.end_process(machine, true);
        let eligible = {
            let mut inner = self.world.lock();
            let inner = &mut *inner;
            let disk = &mut inner.disks[machine];
            disk.model.replace();
            disk.machine_died();
            inner.tap.lost_cache(disk, machine as u32);
            inner.tap.take_acknowledged(machine as u32, 0)
        };
        let note = "disk destroyed, a blank one put in".to_owned();
        self.enter(
            FaultKind::DiskDestroyed,
            machine as u32,
            eligible,
            dirty,
            note,
        );
        self.leaves(0);
        self.start_later(machine, down_ns, Operator::Format);
    }

    fn roll_back(&mut self, fault: usize, machine: usize, down_ns: u64) {
        let Some(image) = self.images.remove(&fault) else {
            return;
        };
        let dirty = self.dirty(machine as u32);
        self.end_process(machine, true);
        let (eligible, held_after) = {
            let mut inner = self.world.lock();
            let inner = &mut *inner;
            let disk = &mut inner.disks[machine];
            disk.model.roll_back(&image);
            disk.machine_died();
            inner.tap.lost_cache(disk, machine as u32);
            let held_after = inner.tap.durable_end(disk, machine as u32);
            let eligible = inner.tap.take_acknowledged(machine as u32, held_after);
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
    }

    fn end_process(&mut self, machine: usize, machine_too: bool) {
        self.machines[machine].kill(&self.handle);
        self.world.process_dies(machine as u32, machine_too);
    }

    fn start_later(&mut self, machine: usize, down_ns: u64, operator: Operator) {
        // madsim wants a millisecond between a death and the next life.
        let down_ns = down_ns.max(2_000_000);
        self.machines[machine].start_planned = true;
        self.at(
            self.world.now_ns() + down_ns,
            Step::StartBroker(machine, operator),
        );
    }

    /// A sector goes bad where it lies; who reads it will know.
    fn harm_sector(&mut self, machine: usize, kind: FaultKind, file: FileClass) {
        let seed = self.survival.next_u64();
        let dirty = self.dirty(machine as u32);
        let harmed = {
            let mut inner = self.world.lock();
            let inner = &mut *inner;
            let disk = &mut inner.disks[machine];
            let unreadable = kind == FaultKind::ReadError;
            let harmed = disk
                .model
                .harm_some_sector(files_of(file), unreadable, seed);
            harmed.map(|place| (place, inner.tap.held_now(disk)))
        };
        let Some(((path, position), held_after)) = harmed else {
            return;
        };
        let note = format!("b{machine} {kind} in {path} at {position}");
        self.enter(kind, machine as u32, true, dirty, note);
        self.leaves(held_after);
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

    pub(super) fn cut(&mut self, machine: usize, cut: CutDirection) {
        let mut inner = self.world.lock();
        let others = inner.core.node_count();
        for other in (0..others).filter(|other| *other != machine as u32) {
            if cut != CutDirection::Outbound {
                inner.net.cut(other, machine as u32);
            }
            if cut != CutDirection::Inbound {
                inner.net.cut(machine as u32, other);
            }
        }
    }

    pub(super) fn heal_links(&mut self, machine: usize) {
        let mut inner = self.world.lock();
        let inner = &mut *inner;
        for other in 0..inner.core.node_count() {
            inner.net.heal(&mut inner.core, other, machine as u32);
            inner.net.heal(&mut inner.core, machine as u32, other);
        }
    }

    /// The safety phase is over: nothing harms any more.
    pub(super) fn take_back_everything(&mut self) {
        self.note_fired();
        self.close_windows();
        for machine in 0..self.machines.len() {
            self.world.lock().disks[machine].model.disarm();
        }
        for fault in &mut self.plan.faults {
            fault.trigger.until_ns = 0;
            fault.trigger.when = Condition::Dirty;
        }
    }

    /// Enters what armed disk faults did since the last look.
    pub(super) fn note_fired(&mut self) {
        for machine in 0..self.machines.len() {
            let fired = self.world.lock().disks[machine].model.take_fired();
            for fault in fired {
                // These two were entered when their window began.
                if !matches!(fault.fault, DiskFault::LyingSync | DiskFault::NoSpace) {
                    self.note_harm(machine, &fault);
                }
            }
        }
    }

    fn note_harm(&mut self, machine: usize, fault: &FiredFault) {
        let (kind, node) = (fault.fault.kind(), machine as u32);
        let in_log = fault.path.starts_with(COMMIT_LOG);
        let (held_before, held_after, on_lies) = {
            let mut inner = self.world.lock();
            let Inner { tap, disks, .. } = &mut *inner;
            let held_before = tap.durable_end(&disks[machine], node);
            (
                held_before,
                tap.held_now(&disks[machine]),
                tap.acknowledged_on_lies(node),
            )
        };
        let harms_medium = matches!(kind, FaultKind::Rot | FaultKind::ReadError);
        let eligible = match kind {
            // A live record in the sector: recovery would miss it.
            FaultKind::Rot | FaultKind::ReadError if in_log => held_after < held_before,
            // Known at the end: whether acknowledged bytes depended on it.
            FaultKind::LostWrite | FaultKind::MisdirectedWrite => false,
            FaultKind::SyncError => fault.pending_bytes > 0,
            _ => true,
        };
        let pending = fault.pending_bytes;
        let dirty = if in_log { (pending, 0) } else { (0, pending) };
        let note = format!("{kind} in {}", fault.path);
        self.enter(kind, node, eligible, dirty, note);
        let entry = self.ledger.fired.len() - 1;
        match kind {
            FaultKind::LostWrite | FaultKind::MisdirectedWrite => {
                self.unseen.push((entry, machine, on_lies));
            }
            // One that met no record took nothing, and may not be blamed.
            _ if harms_medium && in_log && eligible => self.leaves(held_after),
            _ => {}
        }
    }

    /// The run is over: whether acknowledged bytes depended on writes that never
    /// arrived.
    pub(super) fn judge_unseen(&mut self) {
        for (entry, machine, before) in std::mem::take(&mut self.unseen) {
            let now = self.world.lock().tap.acknowledged_on_lies(machine as u32);
            self.ledger.fired[entry].eligible = now > before;
        }
    }

    pub(super) fn note_end(&self, node: u32, kind: FaultKind) {
        let text = format!("{kind} ends");
        self.world
            .note(TraceKind::Fault, node, 0, text.as_bytes(), || text.clone());
    }

    pub(super) fn enter(
        &mut self,
        kind: FaultKind,
        node: u32,
        eligible: bool,
        (dirty_log_bytes, dirty_other_bytes): (u64, u64),
        note: String,
    ) {
        self.world.note(
            TraceKind::Fault,
            node,
            dirty_log_bytes,
            note.as_bytes(),
            || note.clone(),
        );
        self.ledger.fired.push(FaultEvent {
            at_ns: self.world.now_ns(),
            kind,
            node,
            eligible,
            dirty_log_bytes,
            dirty_other_bytes,
            sends_in_flight: self.sends_in_flight(),
            held_after: TAKES_NOTHING,
            note,
        });
    }

    /// The newest fault left so much.
    fn leaves(&mut self, held_after: u64) {
        let newest = self.ledger.fired.last_mut();
        newest.expect("it was just entered").held_after = held_after;
    }
}

/// Where the files of a class are: how their paths begin.
fn files_of(class: FileClass) -> &'static str {
    match class {
        FileClass::CommitLog => COMMIT_LOG,
        FileClass::Any => "",
    }
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
