//! The faults that fired, put into the ledger.

use super::faults::{COMMIT_LOG, TAKES_NOTHING};
use super::phases::Run;
use crate::history::{Death, FaultEvent, FaultKind};
use crate::sim::disk::{DiskFault, FiredFault};
use crate::sim::world::{Inner, TraceKind};

impl Run<'_> {
    /// Enters what armed disk faults did since the last look.
    pub(super) fn note_fired(&mut self) {
        for machine in 0..self.machines.len() {
            for entry in self.world.lock().disks[machine].model.take_met() {
                self.ledger.fired[entry].observed = true;
            }
            let fired = self.world.lock().disks[machine].model.take_fired();
            for fault in fired {
                // These two were entered when their window began.
                if !matches!(fault.fault, DiskFault::LyingSync | DiskFault::NoSpace) {
                    self.note_disk_fault(machine, &fault);
                }
            }
        }
    }

    fn note_disk_fault(&mut self, machine: usize, fault: &FiredFault) {
        let (kind, node) = (fault.fault.kind(), machine as u32);
        let in_log = format!("{}/", fault.path).starts_with(COMMIT_LOG);
        let (held_before, held_after, on_lies) = {
            let mut inner = self.world.lock();
            let Inner {
                core, tap, disks, ..
            } = &mut *inner;
            let held_before = tap.durable_end(&disks[machine], node);
            if matches!(kind, FaultKind::Rot | FaultKind::ReadError) {
                tap.damaged(core, &disks[machine], node);
            }
            if kind == FaultKind::SyncError && in_log {
                tap.sync_failed(node);
            }
            (
                held_before,
                tap.held_now(&disks[machine]),
                tap.acknowledged_on_lies(node),
            )
        };
        let damages_medium = matches!(kind, FaultKind::Rot | FaultKind::ReadError);
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
        // The process that asked is told, unless it died meanwhile.
        self.is_observed(kind == FaultKind::SyncError && self.machines[machine].is_up());
        match kind {
            FaultKind::LostWrite | FaultKind::MisdirectedWrite => {
                self.unseen.push((entry, machine, on_lies));
            }
            // One that met no record took nothing, and may not be blamed.
            _ if damages_medium && in_log && eligible => self.leaves(held_after),
            // What was pending is in the page cache at best. Replicas are counted by what
            // they cut.
            FaultKind::SyncError
                if in_log && eligible && !self.scenario.cluster.is_replicated() =>
            {
                self.leaves(held_after);
            }
            _ => {}
        }
    }

    /// The run is over: whether acknowledged bytes depended on writes that never
    /// arrived.
    pub(super) fn judge_unseen(&mut self) {
        for (entry, machine, before) in std::mem::take(&mut self.unseen) {
            let now = self.world.lock().tap.acknowledged_on_lies(machine as u32);
            self.ledger.fired[entry].eligible = now > before;
            self.ledger.fired[entry].observed = now > before;
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
        let (hit, held_by) = {
            let inner = self.world.lock();
            let tap = &inner.tap;
            (tap.outstanding().len() as u32, tap.hold_committed())
        };
        self.ledger.fired.push(FaultEvent {
            at_ns: self.world.now_ns(),
            event: self.world.trace_state().1,
            kind,
            node,
            eligible,
            observed: false,
            dirty_log_bytes,
            dirty_other_bytes,
            sends_in_flight: self.sends_in_flight(),
            held_after: TAKES_NOTHING,
            hit,
            held_by,
            death: None,
            note,
        });
    }

    /// The newest fault changed something, or did not.
    pub(super) fn is_observed(&mut self, observed: bool) {
        let newest = self.ledger.fired.last_mut();
        newest.expect("it was just entered").observed = observed;
    }

    /// The newest fault was somebody's death.
    pub(super) fn is_death(&mut self, death: Option<Death>) {
        let newest = self.ledger.fired.last_mut();
        newest.expect("it was just entered").death = death;
    }

    /// The newest fault left so much.
    pub(super) fn leaves(&mut self, held_after: u64) {
        let newest = self.ledger.fired.last_mut();
        newest.expect("it was just entered").held_after = held_after;
    }
}
