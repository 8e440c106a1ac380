//! The second phase: a core heals for good, and has to serve again.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::consumers;
use super::phases::{MS_NS, Phase, Run, SECOND_NS};
use super::process::Operator;
use crate::broker::DISCARD_TOPIC;
use crate::check::replicas::Cluster;
use crate::check::{Ending, Liveness};
use crate::scenario::{Core, Need, Operation, Rest, Workload};
use crate::sim::net::NodeId;
use crate::sim::random::{Purpose, Stream};
use crate::sim::tap::Happened;
use crate::sim::world::{Inner, TraceKind};

/// How long a cluster that says that it has lost its majority may still change
/// its mind, nanoseconds.
const HALTED_FOR_NS: u64 = 5 * SECOND_NS;

impl Run<'_> {
    /// The end of the safety phase: every fault on the core is taken back, every
    /// process of it runs again, and of the others none is started any more.
    pub(super) fn heal(&mut self, now_ns: u64) {
        self.phase = Phase::Healing;
        self.healed_ns = now_ns;
        let core = self.core();
        let stay = match self.scenario.expect.rest {
            Rest::AsItIs => self.others_than(&core),
            Rest::Down => BTreeSet::new(),
        };
        self.take_back_everything(&stay);
        for machine in 0..self.machines.len() {
            let node = machine as NodeId;
            if stay.contains(&node) {
                self.machines[machine].retired = true;
            } else if !core.contains(&node) {
                self.retire(machine);
            } else if self.machines[machine].is_up()
                || self.machines[machine].start_planned
                || self.machines[machine].is_kept_away
            {
                // It is back, or about to be.
            } else if self.machines[machine].refused.is_some() {
                self.call_operator(machine);
            } else {
                self.plan_start(machine, now_ns + MS_NS, Operator::None);
            }
        }
        self.start_probe();
    }

    fn others_than(&self, core: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        let machines = 0..self.machines.len() as NodeId;
        machines.filter(|node| !core.contains(node)).collect()
    }

    /// The machines that heal: every machine, or a smallest majority of members "with no
    /// outstanding amnesia and no unrepaired or ambiguous record", any of them. Where
    /// there is no such majority, all.
    fn core(&mut self) -> BTreeSet<NodeId> {
        let cluster = &self.scenario.cluster;
        let (brokers, machines) = (cluster.brokers, cluster.machines());
        let quorum = cluster.quorum() as usize;
        let everyone = (0..machines).collect();
        // Where members change, a request without an answer leaves open who has a
        // seat, and so what a majority is.
        let mut operations = self.plan.operations.iter();
        let members_stay =
            operations.all(|it| matches!(it.operation, Operation::TransferLeadership { .. }));
        // As many must know that there is a cluster that one of them is in the core.
        let founded = self
            .world
            .lock()
            .tap
            .cluster()
            .map_or(0, Cluster::founded_nodes);
        let founded_late = founded <= cluster.minority() as usize;
        if self.scenario.expect.core == Core::All || !members_stay || founded_late {
            return everyone;
        }
        let outstanding = self.outstanding();
        let is_whole = |node: &NodeId| {
            let inner = self.world.lock();
            let disk = &inner.disks[*node as usize];
            !outstanding.contains(node) && !inner.tap.is_ambiguous(disk)
        };
        let mut whole: Vec<NodeId> = (0..brokers).filter(is_whole).collect();
        if whole.len() < quorum {
            return everyone;
        }
        let mut dice = Stream::new(self.seed, Purpose::Core);
        let mut pick = |_| whole.remove(dice.below(whole.len() as u64) as usize);
        let core: BTreeSet<NodeId> = (0..quorum).map(&mut pick).collect();
        let names: Vec<String> = core.iter().map(|node| format!("b{node}")).collect();
        let text = format!("the core heals: {}", names.join(" "));
        for node in &core {
            self.world
                .note(TraceKind::Node, *node, 0, text.as_bytes(), || text.clone());
        }
        core
    }

    /// Why nothing is due after healing, where nothing is: in words.
    pub(super) fn why_nothing_is_due(&self) -> Option<String> {
        let inner = self.world.lock();
        let cluster = inner.tap.cluster().filter(|it| it.has_lost_majority())?;
        let gone: Vec<String> = cluster
            .outstanding()
            .iter()
            .map(|node| format!("b{node}"))
            .collect();
        let quorum = self.scenario.cluster.quorum();
        Some(format!(
            "no majority can ever be whole again: the disks of {} are gone, and it takes {quorum} \
             of {} to know what was promised (D16)",
            gone.join(", "),
            self.scenario.cluster.brokers
        ))
    }

    /// A machine that does not come back.
    fn retire(&mut self, machine: usize) {
        self.machines[machine].retired = true;
        if self.machines[machine].is_up() {
            self.machines[machine].kill(&self.handle);
            self.world.process_dies(machine as NodeId, true);
        }
    }

    /// Whether something did not happen that the scenario is there for.
    pub(super) fn lacks(&self) -> bool {
        let mut needs = self.scenario.expect.needs.iter();
        needs.any(|need| match need {
            Need::BaseInstalled => {
                let inner = self.world.lock();
                let cluster = inner.tap.cluster();
                cluster.is_none_or(|cluster| cluster.bases_installed() == 0)
            }
            Need::DeathAt(who, transaction_step) => {
                let mut deaths = self.ledger.fired.iter().filter_map(|it| it.death.as_ref());
                !deaths.any(|death| death.who == *who && death.at.contains(transaction_step))
            }
            Need::Happening(what) => self.happened().get(what).is_none_or(|it| *it == 0),
        })
    }

    /// The happenings, as clients and brokers let them be seen.
    pub(super) fn happened(&self) -> Happened {
        let mut happened = self.world.lock().tap.happened();
        let followed = self.follower.happened.iter();
        let followed = followed.map(|(what, times)| (*what, *times));
        for (what, times) in followed.chain(self.strangers_fate()) {
            *happened.entry(what).or_default() += times;
        }
        happened
    }

    pub(super) fn start_probe(&mut self) {
        let topic = self.probe_topic();
        let tags = self
            .scenario
            .workloads
            .iter()
            .map(|workload| match workload {
                Workload::Send(send) if send.topic == topic => send.tags,
                _ => 0,
            });
        let tags = tags.max().unwrap_or(0);
        self.probe.start(&self.setting, (topic, tags));
    }

    pub(super) fn watch_healing(&mut self, now_ns: u64) -> ControlFlow<()> {
        let late = now_ns > self.healed_ns + self.bound_ns();
        match self.probe.outcome() {
            Some(true) if self.probed_ns.is_none() => self.probed_ns = Some(now_ns),
            Some(false) if !late => self.start_probe(),
            _ => {}
        }
        if self.probed_ns.is_none() && self.has_halted(now_ns) {
            self.ending = Ending::Halted;
            return ControlFlow::Break(());
        }
        let sending = self.clients.iter().any(|client| client.is_sending());
        let served = self.probed_ns.is_some() && self.is_all_decided();
        if (served && !sending) || late {
            self.phase = Phase::Reading;
            let bound_ms = self.scenario.expect.converge_within_ms;
            let settle_ms = consumers::settle_ms(self.scenario);
            let mut topics = self.topics();
            topics.extend(consumers::topics(self.scenario));
            let pays = !self.scenario.producer_groups().is_empty();
            let discards = pays.then(|| DISCARD_TOPIC.to_owned());
            self.last_reader
                .start(&self.setting, topics, discards, (bound_ms, settle_ms));
        }
        ControlFlow::Continue(())
    }

    /// Whether the leader has decided every half message in its log: those of services
    /// that live, since they were asked; the others, since they were discarded.
    fn is_all_decided(&self) -> bool {
        let inner = self.world.lock();
        let Some(trail) = inner.tap.trail() else {
            return true;
        };
        let leader = inner.tap.leader();
        leader.is_some_and(|leader| trail.is_all_decided(leader))
    }

    /// While the last reader is at work, and until the replicas are level.
    pub(super) fn watch_reading(&mut self, now_ns: u64) -> ControlFlow<()> {
        if self.level_ns.is_none() && self.is_level() {
            self.level_ns = Some(now_ns);
        }
        let patience_ns = 3 * self.bound_ns() + 60 * SECOND_NS;
        let out_of_patience = now_ns > self.healed_ns + patience_ns;
        let late = now_ns > self.healed_ns + self.bound_ns();
        let level = self.level_ns.is_some() || late;
        match (self.last_reader.finished().is_some() && level) || out_of_patience {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Whether the cluster refuses to serve, as it has to (D16): a majority's
    /// disks are gone, it says so, and nothing was acknowledged since.
    fn has_halted(&mut self, now_ns: u64) -> bool {
        now_ns > self.healed_ns + HALTED_FOR_NS
            && self.world.lock().tap.says_halted()
            && self.majority_is_gone()
    }

    /// Whether all members that came back hold the same, durably, or as far as
    /// their disks let them know, and no bad sector of it is left (D28).
    fn is_level(&self) -> bool {
        let held = self.held();
        let mut ends = held.iter().map(|(_, end)| *end);
        let first = ends.next();
        ends.all(|end| Some(end) == first) && held == self.verified(&held)
    }

    /// The same as far as it verifies: what is rotten and was not found is not held.
    fn verified(&self, held: &[(NodeId, u64)]) -> Vec<(NodeId, u64)> {
        let inner = self.world.lock();
        let verified = held.iter().map(|(node, end)| {
            let disk = &inner.disks[*node as usize];
            match disk.model.lies() {
                0 => (*node, inner.tap.held_now(disk).min(*end)),
                _ => (*node, *end),
            }
        });
        verified.collect()
    }

    /// How far each member that came back holds the log, by node.
    fn held(&self) -> Vec<(NodeId, u64)> {
        let members = self.sure_members();
        let mut inner = self.world.lock();
        let Inner { tap, disks, .. } = &mut *inner;
        let back = members
            .into_iter()
            .filter(|member| !self.machines[*member as usize].retired);
        back.map(|member| (member, tap.level_end(&disks[member as usize], member)))
            .collect()
    }

    /// How the second phase went.
    pub(super) fn liveness(&self) -> Liveness {
        let finished = self.last_reader.finished().unwrap_or_default();
        let inner = self.world.lock();
        let has_lost_majority = inner.tap.has_lost_majority();
        let leaderships = inner.tap.leaderships().iter().map(|it| it.since_ns);
        let leaderships_ns = leaderships.filter(|it| *it > self.healed_ns).collect();
        drop(inner);
        Liveness {
            leaderships_ns,
            operations_ns: self.done_ns(),
            core: !has_lost_majority,
            healed_ns: self.healed_ns,
            bound_ns: self.bound_ns(),
            probed_ns: self.probed_ns,
            caught_up_ns: finished.caught_up_ns,
            level_ns: self.level_ns,
            held_in_the_end: self.verified(&self.held()),
        }
    }
}
