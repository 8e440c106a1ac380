//! Planned faults that come with an event: their traps set, given room by the
//! budget, sprung.

use super::faults::LOOK_AT_BUDGET_NS;
use super::phases::{Phase, Run, RunStep};
use crate::history::FaultKind;
use crate::scenario::{AtEvent, FaultAction, PlannedFault, Victim};
use crate::sim::world::{Room, Trap};

/// Whether a fault ends the process of its victim at once.
fn is_deadly(action: &FaultAction) -> bool {
    matches!(
        action.kind(),
        FaultKind::Kill | FaultKind::PowerLoss | FaultKind::DiskDestroyed | FaultKind::StrayFile
    )
}

impl Run<'_> {
    /// Sets the trap of a fault: from now on events are counted.
    pub(super) fn set_trap(&mut self, fault: usize, planned: &PlannedFault, at: AtEvent) {
        let step = self.number(RunStep::Sprung(fault));
        let bound = planned.trigger.within_budget;
        let trap = Trap {
            step,
            at,
            victims: planned.hits.iter().map(|hit| hit.victim).collect(),
            until_ns: planned.trigger.until_ns,
            is_deadly: planned.hits.iter().all(|hit| is_deadly(&hit.action)),
            room: match bound {
                true => Room::None,
                false => Room::Unbound,
            },
            seen: 0,
        };
        {
            let mut inner = self.world.lock();
            let committed_end = inner.tap.committed_end();
            let members = self.scenario.cluster.brokers;
            inner.traps.set(trap, members, committed_end);
        }
        if bound {
            self.look_for_room(step);
        }
    }

    /// Tells a trap what the budget says, for a while.
    pub(super) fn look_for_room(&mut self, trap: u64) {
        let room = Room::Beside(self.outstanding(), self.minority() as usize);
        let is_set = self.world.lock().traps.give_room(trap, room);
        if is_set {
            let at_ns = self.world.now_ns() + LOOK_AT_BUDGET_NS;
            self.at(at_ns, RunStep::Room(trap));
        }
    }

    /// Enters the faults whose events came while there was no room.
    pub(super) fn note_waited(&mut self) {
        let waited = self.world.lock().traps.take_waited();
        for step in waited {
            if let RunStep::Sprung(fault) = self.step_of(step) {
                self.is_postponed(fault);
            }
        }
    }

    /// A trap was sprung: its fault fires, on those whom the event found.
    pub(super) fn sprung(&mut self, fault: usize) {
        let victims = self.world.lock().traps.take_sprung();
        if self.phase != Phase::Safety {
            return;
        }
        let planned = self.plan.faults[fault].clone();
        let victims: Vec<Victim> = victims.into_iter().map(Victim::Broker).collect();
        self.note_fired();
        self.fire(fault, &planned, &victims);
    }
}
