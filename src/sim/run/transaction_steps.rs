//! The steps of transactions, for the process that may die: from what
//! clients recorded and from what brokers' logs say.

use super::follower::{Follower, Transaction};
use super::phases::Run;
use crate::history::{ClientId, Death, TransactionStep, VictimRole};
use crate::scenario::{Victim, Workload};
use crate::sim::net::NodeId;
use crate::sim::world::Inner;

impl Run<'_> {
    /// Takes note of what was recorded and decided since the last look.
    pub(super) fn follow(&mut self) {
        let follower = &mut self.follower;
        self.recorder.look(|history| follower.follow(history));
        let mut inner = self.world.lock();
        let Inner { tap, disks, .. } = &mut *inner;
        let brokers = tap.brokers();
        follower.forget_decided(|half| {
            let mut nodes = 0..brokers;
            nodes.any(|node| tap.is_decision_held(&disks[node as usize], node, half))
        });
    }

    /// Whether a transaction that a victim has to do with is at a transaction step.
    pub(super) fn is_at(&self, victim: Victim, transaction_step: TransactionStep) -> bool {
        let mut inner = self.world.lock();
        let mut look = Look {
            brokers: inner.tap.brokers(),
            follower: &self.follower,
            inner: &mut inner,
        };
        match victim {
            Victim::Broker(node) => look.broker_is_at(node, transaction_step),
            Victim::Client(client) => match (self.victim_role(victim), transaction_step) {
                (VictimRole::RedPacket, TransactionStep::ProcessedNotCommitted) => {
                    self.clients[client as usize].progress.uncommitted() > 0
                }
                (VictimRole::OrderService, _) => look.service_is_at(&[client], transaction_step),
                (VictimRole::Database, _) => {
                    let processes = self.follower.processes_of(client);
                    look.service_is_at(&processes, transaction_step)
                }
                _ => false,
            },
            Victim::Leader | Victim::Follower(_) | Victim::LivingProducer(_) => false,
        }
    }

    /// The death of a victim, just before it.
    pub(super) fn death_of(&mut self, victim: Victim) -> Option<Death> {
        // Where there are no transactions, nobody asks.
        self.world.lock().tap.trail()?;
        self.follow();
        let at = TransactionStep::ALL.into_iter();
        Some(Death {
            who: self.victim_role(victim),
            at: at
                .filter(|transaction_step| self.is_at(victim, *transaction_step))
                .collect(),
        })
    }

    /// The kind of process that a victim is.
    pub(super) fn victim_role(&self, victim: Victim) -> VictimRole {
        let Victim::Client(client) = victim else {
            return VictimRole::Broker;
        };
        let mut first = 0;
        for workload in &self.scenario.workloads {
            first += workload.client_count();
            if client < first {
                return match workload {
                    Workload::Send(_) | Workload::Pay(_) => VictimRole::OrderService,
                    Workload::Consume(_) | Workload::RedPacket(_) => VictimRole::RedPacket,
                };
            }
        }
        VictimRole::Database
    }
}

/// A look at one victim.
struct Look<'a> {
    follower: &'a Follower,
    inner: &'a mut Inner,
    brokers: u32,
}

impl Look<'_> {
    /// Whether one of these brokers' logs has a decision that is held.
    fn is_held(&mut self, mut nodes: std::ops::Range<NodeId>, half_address: u64) -> bool {
        let Inner { tap, disks, .. } = &mut *self.inner;
        nodes.any(|node| tap.is_decision_held(&disks[node as usize], node, half_address))
    }

    fn broker_is_at(&mut self, node: NodeId, transaction_step: TransactionStep) -> bool {
        let follower = self.follower;
        let Some(trail) = self.inner.tap.trail() else {
            return false;
        };
        let here = node..node + 1;
        let decides = |half: &u64| trail.decision(node, *half).is_some();
        match transaction_step {
            TransactionStep::HalfUnacknowledged => {
                let mut halves = follower.halves.values();
                halves.any(|order| trail.half(node, *order).is_some())
            }
            TransactionStep::PaidNotEnded => {
                let mut undecided = follower.undecided.iter();
                undecided.any(|(order, half)| {
                    let untouched = trail.any_decision(node, *half).is_none();
                    untouched && follower.paid.contains(order)
                })
            }
            TransactionStep::EndNotDurable => {
                let undecided = follower.undecided.values().copied();
                let decided: Vec<u64> = undecided.filter(decides).collect();
                let mut decided = decided.into_iter();
                decided.any(|half| !self.is_held(here.clone(), half))
            }
            TransactionStep::DecidedNotApplied => {
                let untold = |it: &&Transaction| it.ending || it.unread;
                let untold = follower.open.values().filter(untold);
                let untold = untold.filter_map(|it| it.half_address);
                let decided: Vec<u64> = untold.filter(decides).collect();
                let mut decided = decided.into_iter();
                decided.any(|half| self.is_held(here.clone(), half))
            }
            TransactionStep::CheckOpen => !trail.asked(node).is_empty(),
            TransactionStep::RollbackWhileRunning => follower.open.values().any(|it| it.barred),
            TransactionStep::ProcessedNotCommitted => false,
        }
    }

    /// `processes`: of one producer group, those whose transactions count.
    fn service_is_at(&mut self, processes: &[ClientId], transaction_step: TransactionStep) -> bool {
        let follower = self.follower;
        let own = |client: ClientId| processes.contains(&client);
        let open = || {
            let open = follower.open.iter();
            open.filter(|((client, _), _)| own(*client))
                .map(|(_, it)| it)
        };
        match transaction_step {
            TransactionStep::HalfUnacknowledged => {
                let mut halves = follower.halves.keys();
                halves.any(|(client, _)| own(*client))
            }
            TransactionStep::PaidNotEnded => open().any(|it| it.unended),
            TransactionStep::EndNotDurable | TransactionStep::DecidedNotApplied => {
                let held = transaction_step == TransactionStep::DecidedNotApplied;
                let ending = open().filter(|it| it.ending);
                let ending: Vec<u64> = ending.filter_map(|it| it.half_address).collect();
                let mut ending = ending.into_iter();
                ending.any(|half| self.is_held(0..self.brokers, half) == held)
            }
            TransactionStep::CheckOpen => {
                let Some(trail) = self.inner.tap.trail() else {
                    return false;
                };
                let group = processes.first().map(|process| follower.group(*process));
                let mut asked = (0..self.brokers).flat_map(|node| trail.asked(node));
                asked.any(|half| {
                    let order = follower.order_of.get(half);
                    order.map(|(client, _)| follower.group(*client)) == group
                })
            }
            TransactionStep::RollbackWhileRunning => open().any(|it| it.barred),
            TransactionStep::ProcessedNotCommitted => false,
        }
    }
}
