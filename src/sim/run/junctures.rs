//! At which junctures transactions are, for the process that may die: from what
//! clients recorded and from what brokers' logs say.

use super::follower::{Follower, Transaction};
use super::phases::Run;
use crate::history::{ClientId, Death, Juncture, Mortal};
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

    /// Whether a transaction that a victim has to do with is at a juncture.
    pub(super) fn is_at(&self, victim: Victim, juncture: Juncture) -> bool {
        let mut inner = self.world.lock();
        let mut look = Look {
            brokers: inner.tap.brokers(),
            follower: &self.follower,
            inner: &mut inner,
        };
        match victim {
            Victim::Broker(node) => look.broker_is_at(node, juncture),
            Victim::Client(client) => match (self.mortal(victim), juncture) {
                (Mortal::RedPacket, Juncture::ProcessedNotCommitted) => {
                    self.clients[client as usize].progress.uncommitted() > 0
                }
                (Mortal::OrderService, _) => look.service_is_at(&[client], juncture),
                (Mortal::Database, _) => {
                    let processes = self.follower.processes_of(client);
                    look.service_is_at(&processes, juncture)
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
        let at = Juncture::ALL.into_iter();
        Some(Death {
            who: self.mortal(victim),
            at: at
                .filter(|juncture| self.is_at(victim, *juncture))
                .collect(),
        })
    }

    /// The kind of process that a victim is.
    pub(super) fn mortal(&self, victim: Victim) -> Mortal {
        let Victim::Client(client) = victim else {
            return Mortal::Broker;
        };
        let mut first = 0;
        for workload in &self.scenario.workloads {
            first += workload.client_count();
            if client < first {
                return match workload {
                    Workload::Send(_) | Workload::Pay(_) => Mortal::OrderService,
                    Workload::Consume(_) | Workload::RedPacket(_) => Mortal::RedPacket,
                };
            }
        }
        Mortal::Database
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

    fn broker_is_at(&mut self, node: NodeId, juncture: Juncture) -> bool {
        let follower = self.follower;
        let Some(trail) = self.inner.tap.trail() else {
            return false;
        };
        let here = node..node + 1;
        let decides = |half: &u64| trail.decision(node, *half).is_some();
        match juncture {
            Juncture::HalfUnacknowledged => {
                let mut halves = follower.halves.values();
                halves.any(|order| trail.half(node, *order).is_some())
            }
            Juncture::PaidNotEnded => {
                let mut undecided = follower.undecided.iter();
                undecided.any(|(order, half)| {
                    let untouched = trail.any_decision(node, *half).is_none();
                    untouched && follower.paid.contains(order)
                })
            }
            Juncture::EndNotDurable => {
                let undecided = follower.undecided.values().copied();
                let decided: Vec<u64> = undecided.filter(decides).collect();
                let mut decided = decided.into_iter();
                decided.any(|half| !self.is_held(here.clone(), half))
            }
            Juncture::DecidedNotApplied => {
                let untold = |it: &&Transaction| it.ending || it.unread;
                let untold = follower.open.values().filter(untold);
                let untold = untold.filter_map(|it| it.half_address);
                let decided: Vec<u64> = untold.filter(decides).collect();
                let mut decided = decided.into_iter();
                decided.any(|half| self.is_held(here.clone(), half))
            }
            Juncture::CheckOpen => !trail.asked(node).is_empty(),
            Juncture::RollbackWhileRunning => follower.open.values().any(|it| it.barred),
            Juncture::ProcessedNotCommitted => false,
        }
    }

    /// `processes`: of one producer group, those whose transactions count.
    fn service_is_at(&mut self, processes: &[ClientId], juncture: Juncture) -> bool {
        let follower = self.follower;
        let own = |client: ClientId| processes.contains(&client);
        let open = || {
            let open = follower.open.iter();
            open.filter(|((client, _), _)| own(*client))
                .map(|(_, it)| it)
        };
        match juncture {
            Juncture::HalfUnacknowledged => {
                let mut halves = follower.halves.keys();
                halves.any(|(client, _)| own(*client))
            }
            Juncture::PaidNotEnded => open().any(|it| it.unended),
            Juncture::EndNotDurable | Juncture::DecidedNotApplied => {
                let held = juncture == Juncture::DecidedNotApplied;
                let ending = open().filter(|it| it.ending);
                let ending: Vec<u64> = ending.filter_map(|it| it.half_address).collect();
                let mut ending = ending.into_iter();
                ending.any(|half| self.is_held(0..self.brokers, half) == held)
            }
            Juncture::CheckOpen => {
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
            Juncture::RollbackWhileRunning => open().any(|it| it.barred),
            Juncture::ProcessedNotCommitted => false,
        }
    }
}
