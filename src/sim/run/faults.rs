//! Planned faults: waited for, fired, followed by a second action, taken back.

use std::collections::BTreeSet;

use super::actions::Strike;
use super::phases::{Phase, Run, RunStep};
use super::process::Operator;
use crate::scenario::{Condition, FaultAction, Hit, PlannedFault, Then, ThenOn, Victim};
use crate::sim::net::NodeId;

/// Pause between two looks at a condition, nanoseconds.
const LOOK_NS: u64 = 500_000;
/// Pause between two looks at a budget without room: disks are read for it.
pub(super) const LOOK_AT_BUDGET_NS: u64 = 20_000_000;
/// For so long a disk that is to be destroyed has the first turn.
const PATIENCE_NS: u64 = 800_000_000;
/// The part that survives a fault that takes nothing from the disk.
pub(super) const TAKES_NOTHING: u64 = u64::MAX;
/// Where the commit log's files are.
pub(super) const COMMIT_LOG: &str = "commitlog/";

impl Run<'_> {
    /// Plans a fault, and what has to be done ahead of it.
    pub(super) fn arm(&mut self, fault: usize) {
        let planned = self.plan.faults[fault].clone();
        let from_ns = planned.trigger.from_ns;
        for (number, hit) in planned.hits.iter().enumerate() {
            *self.ledger.armed.entry(hit.action.kind()).or_default() += 1;
            if let Some(then) = &hit.then {
                let count = self.hit_by(then, 0).len() as u64;
                *self.ledger.armed.entry(then.action.kind()).or_default() += count;
            }
            if let FaultAction::DiskRolledBack { age, .. } = hit.action {
                let at_ns = from_ns.saturating_sub(age.ns());
                self.at(at_ns, RunStep::TakeImages(fault, number));
            }
        }
        self.at(from_ns, RunStep::Fault(fault));
    }

    /// Takes images of every disk that a hit may roll back.
    pub(super) fn take_images(&mut self, fault: usize, number: usize) {
        let of_all = match self.plan.faults[fault].hits[number].victim {
            Victim::Broker(broker) => broker as usize..broker as usize + 1,
            _ => 0..self.machines.len(),
        };
        let inner = self.world.lock();
        for machine in of_all {
            let image = inner.disks[machine].model.image();
            self.images.insert((fault, number, machine), image);
        }
    }

    /// Fires a fault if its condition holds and the budget has room, or looks
    /// again a little later.
    pub(super) fn try_fault(&mut self, fault: usize) {
        if self.phase != Phase::Safety {
            return;
        }
        let planned = self.plan.faults[fault].clone();
        if let Some(at) = planned.trigger.at_event {
            self.set_trap(fault, &planned, at);
            return;
        }
        if matches!(planned.trigger.when, Condition::At(_)) {
            self.follow();
        }
        let pause_ns = match self.victims_of(&planned) {
            None => LOOK_NS,
            Some(victims) if self.has_to_wait(fault, &planned, &victims) => {
                self.is_postponed(fault);
                LOOK_AT_BUDGET_NS
            }
            Some(victims) => {
                // What armed faults have done until now come before it in the ledger.
                self.note_fired();
                self.waiting.remove(&fault);
                self.fire(fault, &planned, &victims);
                return;
            }
        };
        let next_ns = self.world.now_ns() + pause_ns;
        // Room may come late: it is waited for as long as anything fires.
        let waits = self.postponed.contains(&(fault, None));
        if waits || next_ns <= planned.trigger.until_ns {
            self.at(next_ns, RunStep::Fault(fault));
        }
    }

    /// Whether a fault has no room now, or would take nothing, while its window
    /// lasts.
    fn has_to_wait(&mut self, fault: usize, planned: &PlannedFault, victims: &[Victim]) -> bool {
        let looks_again = self.world.now_ns() + LOOK_AT_BUDGET_NS <= planned.trigger.until_ns;
        self.is_not_its_turn(fault, planned)
            || !self.fits_budget(fault, planned, victims)
            || looks_again && !self.have_something_to_lose(planned, victims)
    }

    /// Whether a disk is to be destroyed as soon as there is room: what harms one
    /// sector would take that room again and again.
    fn is_not_its_turn(&self, fault: usize, planned: &PlannedFault) -> bool {
        let now_ns = self.world.now_ns();
        let is_small = |hit: &Hit| {
            matches!(
                hit.action,
                FaultAction::Rot { .. } | FaultAction::ReadError { .. }
            )
        };
        let mut waiting = self.waiting.iter();
        planned.trigger.within_budget
            && planned.hits.iter().all(is_small)
            && waiting.any(|(other, since_ns)| {
                let mut hits = self.plan.faults[*other].hits.iter();
                *other != fault
                    && now_ns < since_ns + PATIENCE_NS
                    && hits.any(|hit| matches!(hit.action, FaultAction::DiskDestroyed { .. }))
            })
    }

    /// A planned fault has to wait.
    pub(super) fn is_postponed(&mut self, fault: usize) {
        let now_ns = self.world.now_ns();
        self.waiting.entry(fault).or_insert(now_ns);
        if self.postponed.insert((fault, None)) {
            for hit in &self.plan.faults[fault].hits {
                let kind = hit.action.kind();
                *self.ledger.postponed.entry(kind).or_default() += 1;
            }
        }
    }

    pub(super) fn fire(&mut self, fault: usize, planned: &PlannedFault, victims: &[Victim]) {
        let brokers = victims.iter().filter_map(|victim| match victim {
            Victim::Broker(broker) => Some(*broker),
            _ => None,
        });
        let group: Vec<u32> = brokers.collect();
        for (number, (hit, victim)) in planned.hits.iter().zip(victims).enumerate() {
            let node = match *victim {
                Victim::Client(client) => self.clients[client as usize].node,
                Victim::Broker(broker) => broker,
                Victim::Leader | Victim::Follower(_) | Victim::LivingProducer(_) => {
                    panic!("roles are resolved by now")
                }
            };
            let machine = node as usize;
            let strike = Strike {
                node: machine,
                draw: hit.draw,
                image: self.images.remove(&(fault, number, machine)),
                group: &group,
            };
            self.act(&hit.action, &strike);
            if let Some(then) = &hit.then {
                let at_ns = self.world.now_ns() + then.after_ns;
                self.at(at_ns, RunStep::Then(fault, number, machine));
            }
        }
        self.images.retain(|(of, _, _), _| *of != fault);
    }

    /// The machines that a second action hits, of one whose first hit `machine`.
    fn hit_by(&self, then: &Then, machine: usize) -> Vec<usize> {
        match then.on {
            ThenOn::Same => vec![machine],
            ThenOn::All => (0..self.scenario.cluster.brokers as usize).collect(),
        }
    }

    /// The second action of a fault whose first hit `machine`, up or not; one without
    /// room in the budget waits for it.
    pub(super) fn then(&mut self, fault: usize, number: usize, machine: usize) {
        let planned = &self.plan.faults[fault];
        let (bound, until_ns) = (planned.trigger.within_budget, planned.trigger.until_ns);
        let (Phase::Safety, Some(then)) = (self.phase, &planned.hits[number].then) else {
            return;
        };
        let machines = self.hit_by(then, machine);
        let group: Vec<u32> = machines.iter().map(|machine| *machine as u32).collect();
        let kind = then.action.kind();
        let again = RunStep::Then(fault, number, machine);
        let is_met = |broker: &u32| self.meets(Victim::Broker(*broker), then.when);
        if !group.iter().any(is_met) {
            let next_ns = self.world.now_ns() + LOOK_NS;
            if next_ns <= until_ns {
                self.at(next_ns, again);
            }
            return;
        }
        let then = then.clone();
        if bound && kind.takes_what_was_synced() && !self.has_room_for(&group) {
            if self.postponed.insert((fault, Some(number))) {
                *self.ledger.postponed.entry(kind).or_default() += group.len() as u64;
            }
            self.at(self.world.now_ns() + LOOK_AT_BUDGET_NS, again);
        } else {
            self.note_fired();
            for (further, node) in (0..).zip(machines) {
                let draw = match then.action.leaves_to_chance() {
                    true => then.draw.wrapping_add(further),
                    false => 0,
                };
                let strike = Strike {
                    node,
                    draw,
                    image: None,
                    group: &group,
                };
                self.act(&then.action, &strike);
            }
        }
    }

    /// The place of the client on a node.
    pub(super) fn client_on(&self, node: usize) -> Option<usize> {
        let mut clients = self.clients.iter();
        clients.position(|client| client.node as usize == node)
    }

    pub(super) fn is_broker_s(&self, node: usize) -> bool {
        node < self.machines.len()
    }

    /// Whether a client has something under way, or is a database; of a broker, whether
    /// any request is.
    pub(super) fn has_work(&self, node: usize) -> bool {
        if self.is_broker_s(node) {
            return self.sends_in_flight() > 0;
        }
        let own = self.client_on(node).map(|index| &self.clients[index]);
        own.is_some_and(|own| own.is_at_work() || own.is_database())
    }

    /// The operations that a client has begun and not ended; those of all clients, where
    /// it is a database.
    pub(super) fn asked_of_client(&self, index: usize) -> u64 {
        let client = &self.clients[index];
        match client.is_database() {
            true => self.sends_in_flight(),
            false => client.progress.in_flight() + client.progress.uncommitted(),
        }
    }

    /// Whether a process has something to lose: bytes that are not durable yet, or
    /// requests, if it leads.
    pub(super) fn is_at_work(&self, machine: usize, (dirty_log, dirty_other): (u64, u64)) -> bool {
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

    /// The safety phase is over: nothing harms any more, except machines that
    /// stay as they are.
    pub(super) fn take_back_everything(&mut self, stay: &BTreeSet<NodeId>) {
        self.world.lock().traps.clear();
        self.note_waited();
        self.note_fired();
        self.close_windows(stay);
        for machine in 0..self.machines.len() {
            if !stay.contains(&(machine as NodeId)) {
                self.world.lock().disks[machine].model.disarm();
            }
        }
    }
}
