//! The operator's unsafe recovery (D16), where it must cost nothing: the survivor
//! has all that any other member has, and the others, taken for lost, were only off.
//!
//! ```text
//!   all stop ─▶ survivor: recover, start ─▶ serves alone ─▶ old disks come back
//!               refused ─▶ started once more, refused ─▶ blank disks, let in
//! ```
//!
//! Where a majority of old disks comes back at once, the scenario has to see to it
//! that they meet the survivor: those that never do may serve (guarantee.md, D16).

use super::phases::{MS_NS, Run, RunStep};
use super::process::Operator;
use crate::check::replicas::{Cluster, Medium};
use crate::history::Happening;
use crate::scenario::{Operation, Victim};
use crate::sim::net::NodeId;
use crate::sim::world::TraceKind;

/// Pause between two looks for a moment at which nothing can be lost.
const LOOK_NS: u64 = MS_NS / 2;
/// From an operator's decision to the start of a process.
const AT_ONCE_NS: u64 = 10 * MS_NS;

/// A recovery, until the last old disk has come back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recovery {
    survivor: usize,
    /// Since when the others' disks are old.
    since_ns: u64,
    alone_ns: u64,
    one_by_one: bool,
}

impl Run<'_> {
    /// Stops everybody, and lets one go on alone; a little later where it is not up
    /// now, or somebody has what it has not.
    pub(super) fn recover(&mut self, number: usize, survivor: Victim) {
        let now_ns = self.world.now_ns();
        let Operation::Recover {
            alone_ns,
            one_by_one,
            ..
        } = self.plan.operations[number].operation
        else {
            return;
        };
        let Some(survivor) = self.may_go_on_alone(survivor) else {
            self.at(now_ns + LOOK_NS, RunStep::Operate(number));
            return;
        };
        for machine in 0..self.machines.len() {
            self.end_process(machine, false);
            self.world.lock().disks[machine].process_died();
            self.machines[machine].is_kept_away = machine != survivor;
        }
        self.machines[survivor].recovered_ns = None;
        self.has_been_recovered = true;
        self.recovering = Some(Recovery {
            survivor,
            since_ns: now_ns,
            alone_ns,
            one_by_one,
        });
        self.says(survivor, "the operator takes the others for lost");
        self.plan_start(survivor, now_ns + AT_ONCE_NS, Operator::Recover);
    }

    /// The machine that may go on alone, where that costs nothing now.
    fn may_go_on_alone(&mut self, survivor: Victim) -> Option<usize> {
        let Victim::Broker(node) = self.resolve(survivor)? else {
            return None;
        };
        let is_up = self.machines[node as usize].is_up();
        let has_duty = self.machines[node as usize].duty() != Operator::None;
        if !is_up || has_duty || self.recovering.is_some() || !self.outstanding().is_empty() {
            return None;
        }
        let inner = self.world.lock();
        let cluster = inner.tap.cluster()?;
        let machines = self.scenario.cluster.machines();
        has_everything(cluster, node, machines).then_some(node as usize)
    }

    /// Lets the old disks come back once the survivor has served alone for long
    /// enough.
    pub(super) fn watch_recovery(&mut self) {
        let Some(recovery) = self.recovering else {
            return;
        };
        self.machines[recovery.survivor].note_duty();
        if !self.has_served_alone(recovery) {
            return;
        }
        let away = |run: &Self| {
            let mut machines = 0..run.machines.len();
            machines.find(|machine| run.machines[*machine].is_kept_away)
        };
        while let Some(machine) = away(self) {
            if recovery.one_by_one && self.has_an_old_disk(recovery) {
                return;
            }
            self.machines[machine].is_kept_away = false;
            self.says(machine, "an old disk comes back");
            self.plan_start(machine, self.world.now_ns() + AT_ONCE_NS, Operator::None);
        }
        self.recovering = None;
        self.world.lock().tap.happens(Happening::Recovered);
    }

    fn has_served_alone(&self, recovery: Recovery) -> bool {
        let machine = &self.machines[recovery.survivor];
        let Some(recovered_ns) = machine.recovered_ns else {
            return false;
        };
        let inner = self.world.lock();
        let mut led = inner.tap.leaderships().iter().rev();
        let led = led.find(|led| led.node == machine.node && led.since_ns > recovered_ns);
        led.is_some_and(|led| self.world.now_ns() >= led.since_ns + recovery.alone_ns)
    }

    /// Whether a machine that is not kept away still has the disk that it had.
    fn has_an_old_disk(&self, recovery: Recovery) -> bool {
        let mut machines = self.machines.iter().enumerate();
        machines.any(|(number, machine)| {
            let is_other = number != recovery.survivor && !machine.is_kept_away;
            is_other && machine.formatted_ns <= recovery.since_ns
        })
    }

    /// A disk of an older epoch stopped. The operator does not believe it at once.
    pub(super) fn was_refused_as_old(&mut self, machine: usize) {
        let again = std::mem::replace(&mut self.machines[machine].was_refused_as_old, true);
        self.world.lock().tap.happens(match again {
            true => Happening::OldDiskRefusedAgain,
            false => Happening::OldDiskRefused,
        });
        let (operator, pause_ns) = match again {
            true => {
                self.machines[machine].was_refused_as_old = false;
                self.put_in_blank_disk(machine)
            }
            false => (Operator::None, AT_ONCE_NS),
        };
        let at_ns = self.world.now_ns() + pause_ns;
        self.plan_start(machine, at_ns, operator);
    }

    fn says(&self, machine: usize, text: &str) {
        let node = self.machines[machine].node;
        let bytes = text.as_bytes();
        self.world
            .note(TraceKind::Node, node, 0, bytes, || text.to_owned());
    }
}

/// Whether a node durably holds all that any other has: what was never committed
/// stays so.
fn has_everything(cluster: &Cluster, node: NodeId, machines: u32) -> bool {
    let end = |node, medium| {
        let last = cluster.log(node, medium).last();
        (last.term, last.index)
    };
    let (own, committed) = (end(node, Medium::Durable), cluster.committed());
    committed.index > 0
        && cluster.log(node, Medium::Durable).has(&committed)
        && (0..machines).all(|other| end(other, Medium::Cached) <= own)
}
