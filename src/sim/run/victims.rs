//! The victims of a fault: roles resolved, conditions looked at.

use super::actions::{aim_of, is_broker_s};
use super::faults::COMMIT_LOG;
use super::phases::Run;
use super::process::Operator;
use crate::scenario::{Condition, FaultAction, Hit, PlannedFault, Victim};
use crate::sim::world::{Inner, follower};

impl Run<'_> {
    /// The victims of a fault by their numbers, where all of them are known and
    /// up and the condition holds of one of them; `None`: not now.
    pub(super) fn victims_of(&self, planned: &PlannedFault) -> Option<Vec<Victim>> {
        let victims = planned.hits.iter().map(|hit| self.resolve(hit.victim));
        let victims: Vec<Victim> = victims.collect::<Option<_>>()?;
        // A machine has clocks whether or not a process runs on it.
        let needs_process = |hit: &Hit| !hit.action.kind().is_of_clocks();
        let mut hits = planned.hits.iter().zip(&victims);
        let up = hits.all(|(hit, victim)| !needs_process(hit) || self.is_up(*victim));
        let met = victims
            .iter()
            .any(|victim| self.meets(*victim, planned.trigger.when));
        (up && met).then_some(victims)
    }

    /// The victim that has that role now; a number is itself.
    pub(super) fn resolve(&self, victim: Victim) -> Option<Victim> {
        let leader = || self.world.lock().tap.leader();
        let led = |leader: u32| self.machines[leader as usize].is_up();
        match victim {
            Victim::Leader => Some(Victim::Broker(leader().filter(|leader| led(*leader))?)),
            Victim::Follower(place) => {
                let members = self.scenario.cluster.brokers;
                Some(Victim::Broker(follower(members, leader()?, place)?))
            }
            Victim::LivingProducer(place) => {
                let groups = self.scenario.producer_groups().into_iter();
                let others_live = |process: &u32| !self.is_last_of_its_group(*process);
                let living = groups.flatten().filter(|process| {
                    self.clients[*process as usize].is_up() && others_live(process)
                });
                let living: Vec<u32> = living.collect();
                Some(Victim::Client(nth(&living, place)?))
            }
            Victim::Broker(_) | Victim::Client(_) => Some(victim),
        }
    }

    /// Whether a fault that takes something from disks finds something there: what
    /// it would take from a disk that holds nothing nobody misses.
    pub(super) fn have_something_to_lose(
        &self,
        planned: &PlannedFault,
        victims: &[Victim],
    ) -> bool {
        let mut inner = self.world.lock();
        let Inner { tap, disks, .. } = &mut *inner;
        let mut hits = planned.hits.iter().zip(victims);
        hits.all(|(hit, victim)| match (&hit.action, *victim) {
            (FaultAction::DiskDestroyed { .. }, Victim::Broker(broker)) => {
                let held = tap.durable_end(&disks[broker as usize], broker);
                tap.would_be_missed(broker, held)
            }
            (
                FaultAction::Rot { file, .. } | FaultAction::ReadError { file },
                Victim::Broker(broker),
            ) => {
                let disk = &disks[broker as usize].model;
                // Until it is formatted nobody has stored anything there.
                let is_formatted = self.machines[broker as usize].duty() == Operator::None;
                is_formatted && disk.has_sector_with_data(aim_of(file.class()))
            }
            (FaultAction::StrayFile { .. }, Victim::Broker(broker)) => {
                is_broker_s(&disks[broker as usize].model)
            }
            _ => true,
        })
    }

    fn is_up(&self, victim: Victim) -> bool {
        match victim {
            Victim::Broker(broker) => self.machines[broker as usize].is_up(),
            Victim::Client(client) => self.clients[client as usize].is_up(),
            Victim::Leader | Victim::Follower(_) | Victim::LivingProducer(_) => false,
        }
    }

    /// Whether no other process of an order service's group is up.
    fn is_last_of_its_group(&self, process: u32) -> bool {
        let groups = self.scenario.producer_groups().into_iter();
        let own = groups.filter(|group| group.contains(&process)).flatten();
        let mut others = own.filter(|other| *other != process);
        !others.any(|other| self.clients[other as usize].is_up())
    }

    pub(super) fn meets(&self, victim: Victim, when: Condition) -> bool {
        match (when, victim) {
            (Condition::Always, _) => true,
            (Condition::HasLeader, _) => self.resolve(Victim::Leader).is_some(),
            (Condition::InFlight, Victim::Client(client)) => {
                self.asked_of_client(client as usize) > 0
            }
            (Condition::InFlight, _) => self.sends_in_flight() > 0,
            (Condition::Dirty, Victim::Broker(broker)) => self.dirty(broker).0 > 0,
            (Condition::Rolling, Victim::Broker(broker)) => self.is_rolling(broker),
            (Condition::Recovering, Victim::Broker(broker)) => {
                !self.world.lock().core.serves(broker)
            }
            (Condition::Dirty | Condition::Rolling | Condition::Recovering, _) => false,
            (Condition::At(transaction_step), victim) => self.is_at(victim, transaction_step),
        }
    }

    /// Bytes pending in the commit log, and in all other files.
    pub(super) fn dirty(&self, broker: u32) -> (u64, u64) {
        let inner = self.world.lock();
        let disk = &inner.disks[broker as usize].model;
        let log = disk.pending_bytes(COMMIT_LOG);
        (log, disk.pending_bytes("") - log)
    }

    /// Whether a segment is coming or going: its directory has changes that are
    /// not durable yet.
    fn is_rolling(&self, broker: u32) -> bool {
        let inner = self.world.lock();
        let pending = inner.disks[broker as usize].model.pending(COMMIT_LOG);
        pending.entries > 0
    }
}

/// One of several, by a number without a bound.
fn nth(among: &[u32], place: u32) -> Option<u32> {
    let index = place.checked_rem(among.len() as u32)?;
    Some(among[index as usize])
}

#[cfg(test)]
mod tests {
    use super::nth;

    #[test]
    fn a_place_without_a_bound_finds_somebody_unless_there_is_nobody() {
        let found = [0, 1, 2, u32::MAX].map(|place| nth(&[3, 5], place));
        assert_eq!(found, [Some(3), Some(5), Some(3), Some(5)]);
        assert_eq!(nth(&[], 7), None);
    }
}
