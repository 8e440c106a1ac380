//! The choices of a seed.
//!
//! Messages are lost, repeated and overtaken; syncs and saves end when they please;
//! replicas lose power, their log's end, entries in it, or their whole disk, within the
//! fault budget. Every step is checked; in the end all is healed and must work.
//! `ZEROLOSS_RAFT_SEEDS` says how many seeds run; with `ZEROLOSS_RAFT_BLACK_BOX=1`
//! only losses and contradictions count, and no message is asked about.

mod healing;

use super::cluster::{Cluster, Flight};
use crate::raft::rng::Rng;
use crate::raft::{Change, Configuration, Input, Role};

/// Steps of trouble in one run, for each replica.
const STEPS: u64 = 400;
/// Messages that wait to arrive late.
const LATE_MAX: usize = 20;

struct Run {
    cluster: Cluster,
    rng: Rng,
    /// Nodes whose messages are lost for now.
    cut: Option<u64>,
    /// Copies that will arrive when much else has happened, if ever.
    late: Vec<Flight>,
    next_disk: u64,
    next_read: u64,
    /// Members come and go, and leaders are cut off while they do.
    restless: bool,
    /// Node to the last index that its disk lost.
    lost: std::collections::BTreeMap<u64, u64>,
    /// How often each thing worth counting happened.
    seen: Seen,
}

/// Things that must have happened over an ensemble, or it proves nothing.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    commits: usize,
    crashes: usize,
    torn: usize,
    rotted: usize,
    replaced: usize,
    dropped: usize,
    reads: u64,
    late: usize,
}

impl Run {
    fn new(n: u64, seed: u64) -> Self {
        let mut cluster = Cluster::new(n, seed);
        cluster.check.black_box =
            std::env::var_os("ZEROLOSS_RAFT_BLACK_BOX").is_some_and(|it| it == "1");
        Self {
            cluster,
            rng: Rng::new(seed),
            cut: None,
            late: Vec::new(),
            next_disk: 100,
            next_read: 0,
            restless: seed % 2 == 1,
            lost: std::collections::BTreeMap::new(),
            seen: Seen::default(),
        }
    }

    fn pick(&mut self) -> u64 {
        let n = self.cluster.nodes.len() as u64;
        self.rng.below(n)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.rng.below(100) < percent
    }

    fn trouble(&mut self) {
        if self.restless && self.chance(2) {
            return self.unsettle();
        }
        match self.rng.below(1000) {
            0..560 => self.deliver(),
            560..680 => self.save_some(),
            680..840 => self.sync_some(),
            840..848 => self.pass_time(),
            848..910 => self.propose(),
            910..918 => self.fetch(),
            918..920 => self.propose_late(),
            920..925 => self.crash(),
            925..955 => self.restart(),
            955..957 => self.destroy(),
            957..961 => self.tear(),
            961..963 => self.rot(),
            963..970 => self.compact(),
            970..985 => self.read(),
            985..988 => self.hand_over(),
            988..994 => self.change(),
            _ => self.cut = (self.rng.below(3) == 0).then(|| self.rng.below(5)),
        }
    }

    fn deliver(&mut self) {
        if self.cluster.bag.is_empty() {
            return self.idle();
        }
        if self.chance(2) && !self.late.is_empty() {
            let at = self.rng.below(self.late.len() as u64) as usize;
            let flight = self.late.swap_remove(at);
            return self.cluster.arrive(flight);
        }
        // Mostly the oldest message arrives, sometimes any.
        let count = self.cluster.bag.len() as u64;
        let at = if self.chance(25) {
            self.rng.below(count)
        } else {
            0
        } as usize;
        let flight = if self.chance(8) {
            self.cluster.bag[at].clone()
        } else {
            self.cluster.bag.remove(at)
        };
        if self.late.len() < LATE_MAX && self.chance(3) {
            self.late.push(flight.clone());
        }
        let severed = self.cut == Some(flight.from.node) || self.cut == Some(flight.to.node);
        if !severed && !self.chance(4) {
            self.cluster.arrive(flight);
        }
        if self.cluster.bag.len() > 60 {
            let at = self.rng.below(60) as usize;
            self.cluster.bag.swap_remove(at);
        }
    }

    /// No message is under way: disks finish first, then time passes.
    fn idle(&mut self) {
        let nodes = self.cluster.nodes.values();
        let busy = nodes.filter(|node| {
            let disk = &node.disk;
            node.raft.is_some() && (disk.saving.is_some() || disk.durable_index < disk.last().index)
        });
        let Some(node) = busy.map(|node| node.me.node).next() else {
            return self.pass_time();
        };
        self.cluster.save(node);
        if !self.cluster.end_sync(node) {
            self.cluster.begin_sync(node);
        }
    }

    fn save_some(&mut self) {
        let node = self.pick();
        self.cluster.save(node);
    }

    fn sync_some(&mut self) {
        let node = self.pick();
        if !self.cluster.end_sync(node) {
            self.cluster.begin_sync(node);
        }
    }

    /// Mostly the next deadline comes; now and then a later one, as if the
    /// others had been paused.
    fn pass_time(&mut self) {
        let any = self.pick();
        let nodes = self.cluster.nodes.values();
        let deadlines =
            nodes.filter_map(|node| Some((node.raft.as_ref()?.deadline_ns(), node.me.node)));
        let next = deadlines.min().map(|(_, node)| node);
        let node = if self.chance(10) { Some(any) } else { next };
        if let Some(node) = node
            && self
                .cluster
                .raft(node)
                .is_some_and(|raft| raft.deadline_ns() < u64::MAX)
        {
            self.cluster.timeout(node);
        }
    }

    fn propose(&mut self) {
        let node = self.pick();
        for _ in 0..=self.rng.below(3) {
            self.cluster.propose(node);
        }
    }

    /// A leader stops in the middle of a step, and its clock goes on.
    fn propose_late(&mut self) {
        let leaders = self.cluster.nodes.keys().copied();
        let mut leaders = leaders.filter(|node| self.cluster.role(*node) == Some(Role::Leader));
        let Some(leader) = leaders.next() else {
            return;
        };
        let (entries, late_ms) = (2 + self.rng.below(3), self.rng.below(3_000));
        let late_ns = late_ms * 1_000_000;
        if self.cluster.propose_late(leader, entries, late_ns)
            && self.cluster.role(leader) != Some(Role::Leader)
        {
            self.seen.late += 1;
        }
    }

    fn crash(&mut self) {
        let node = self.pick();
        if self.cluster.raft(node).is_none() {
            return;
        }
        let disk = &self.cluster.nodes[&node].disk;
        let (last, durable) = (disk.last().index, disk.durable_index);
        let survives = durable + self.rng.below(last - durable + 1);
        let save_survives = self.chance(50);
        self.cluster.crash(node, survives, save_survives);
        self.seen.crashes += 1;
    }

    fn restart(&mut self) {
        let node = self.pick();
        if self.cluster.raft(node).is_none() {
            self.cluster.start(node);
        }
    }

    /// Replicas with an amnesia outstanding, the would-be one included.
    fn amnesiacs(&self, with: u64) -> usize {
        let outstanding = |node: u64| node == with || self.is_amnesiac(node);
        self.cluster
            .nodes
            .keys()
            .filter(|node| outstanding(**node))
            .count()
    }

    /// From the loss until it is a voter that durably holds everything that was
    /// lost and committed.
    fn is_amnesiac(&self, node: u64) -> bool {
        let place = &self.cluster.nodes[&node];
        if !place.disk.rotten.is_empty() {
            return true;
        }
        let voter = |configuration: &Configuration| configuration.is_voter(place.me);
        let configurations = place.disk.configurations();
        let promoted = configurations.iter().rev().find(|(index, _)| {
            *index <= place.disk.durable_index && self.cluster.check.committed.contains_key(index)
                || *index == 0
        });
        if !promoted.is_some_and(|(_, configuration)| voter(configuration)) {
            return true;
        }
        let Some(lost) = self.lost.get(&node) else {
            return false;
        };
        let committed = self.cluster.check.committed.range(..=lost).next_back();
        place.disk.hard.uncertain_tail.is_some()
            || committed.is_some_and(|(index, _)| *index > place.disk.durable_index)
    }

    /// The smallest minority of any configuration that anyone may be in.
    fn budget(&self) -> usize {
        let nodes = self.cluster.nodes.values();
        let all = nodes.flat_map(|node| node.disk.appended_configurations());
        let minority =
            |configuration: Configuration| configuration.seats.len() - configuration.quorum();
        all.map(|(_, it)| minority(it)).min().unwrap_or(0)
    }

    fn destroy(&mut self) {
        let node = self.pick();
        if self.amnesiacs(node) > self.budget() {
            return;
        }
        self.next_disk += 1;
        self.lost.remove(&node);
        self.cluster.replace(node, self.next_disk);
        self.cluster.start(node);
        self.seen.replaced += 1;
    }

    fn tear(&mut self) {
        let node = self.pick();
        self.crash(); // Often another one is off, too.
        let disk = &self.cluster.nodes[&node].disk;
        let (base, durable, last) = (disk.base.index, disk.durable_index, disk.last().index);
        if disk.base_configuration.is_none() || last == base {
            return;
        }
        // Some of what was durable, or only what was not.
        let fatal = self.amnesiacs(node) <= self.budget() && self.chance(60);
        let from = if fatal && durable > base {
            let depth = self.rng.below((durable - base).min(3));
            self.lost.insert(
                node,
                durable.max(self.lost.get(&node).copied().unwrap_or(0)),
            );
            durable - depth
        } else {
            durable + 1
        };
        let save_survives = self.chance(50);
        self.cluster.crash(node, last, save_survives);
        self.cluster.tear(node, from);
        self.cluster.start(node);
        self.seen.torn += 1;
    }

    /// A few entries rot; the replica finds that out when it starts. Often a torn tail,
    /// which is no amnesia, comes beside it.
    fn rot(&mut self) {
        let node = self.pick();
        let disk = &self.cluster.nodes[&node].disk;
        let (base, durable, last) = (disk.base.index, disk.durable_index, disk.last().index);
        if disk.base_configuration.is_none()
            || durable == base
            || self.amnesiacs(node) > self.budget()
        {
            return;
        }
        let save_survives = self.chance(50);
        self.cluster.crash(node, last, save_survives);
        for _ in 0..=self.rng.below(2) {
            let from = base + 1 + self.rng.below(durable - base);
            let upto = (from + self.rng.below(3)).min(durable);
            (from..=upto).for_each(|index| self.cluster.rot(node, index));
        }
        self.cluster.start(node);
        self.seen.rotted += 1;
        if self.chance(50) {
            self.tear();
        }
    }

    /// A hole is filled, maybe.
    fn fetch(&mut self) {
        let (node, peer) = (self.pick(), self.pick());
        if node != peer {
            self.cluster.fetch(node, peer);
        }
    }

    fn compact(&mut self) {
        let node = self.pick();
        let Some(raft) = self.cluster.raft(node) else {
            return;
        };
        let disk = &self.cluster.nodes[&node].disk;
        if !disk.rotten.is_empty() {
            return;
        }
        let upto = raft.commit_index().min(disk.durable_index);
        if upto > disk.base.index {
            let base = self.cluster.node(node).disk.drop_to(upto);
            self.cluster.step(node, Input::Dropped { base }, &[]);
            self.seen.dropped += 1;
        }
    }

    fn read(&mut self) {
        let node = self.pick();
        if self.cluster.raft(node).is_some() {
            self.next_read += 1;
            self.cluster.check.asked(self.next_read);
            self.cluster
                .step(node, Input::Read { id: self.next_read }, &[]);
        }
    }

    fn hand_over(&mut self) {
        let (from, to) = (self.pick(), self.pick());
        self.cluster.step(from, Input::Transfer { node: to }, &[]);
    }

    /// A leader that is about to be cut off changes its configuration.
    fn unsettle(&mut self) {
        let nodes = self.cluster.nodes.keys().copied();
        let leaders: Vec<u64> = nodes
            .filter(|node| self.cluster.role(*node) == Some(Role::Leader))
            .collect();
        for leader in leaders {
            let node = self.pick();
            self.change_at(leader, node);
            if self.chance(50) {
                self.cut = Some(leader);
            }
        }
    }

    fn change(&mut self) {
        let (leader, node) = (self.pick(), self.pick());
        self.change_at(leader, node);
    }

    /// A seat goes, and comes back by way of a learner's place.
    fn change_at(&mut self, leader: u64, node: u64) {
        let Some(raft) = self.cluster.raft(leader) else {
            return;
        };
        let disk = self.cluster.nodes[&node].me.disk;
        let configuration = raft.configuration();
        let change = if configuration.learners.contains_key(&node) {
            Change::Promote { node }
        } else if configuration.seats.contains_key(&node) {
            // One seat less must leave a minority for those who forgot.
            let left = configuration.seats.len() - 1;
            if self.amnesiacs(node) > left.saturating_sub(left / 2 + 1) {
                return;
            }
            Change::Remove { node }
        } else {
            Change::AddLearner { node, disk }
        };
        self.cluster.step(leader, Input::Change(change), &[]);
    }
}

fn run(n: u64, seed: u64) -> Seen {
    let mut run = Run::new(n, seed);
    for _ in 0..STEPS * n {
        run.trouble();
    }
    run.heal();
    let told = &run.cluster.told;
    assert!(
        !told.iter().any(|line| line.contains("rolled back")),
        "{told:?}"
    );
    let committed = &run.cluster.check.committed;
    run.seen.commits = committed.len();
    run.seen.reads = run.cluster.check.read_count;
    run.seen
}

/// Runs seeds and names the first that fails.
fn explore(n: u64, seeds: std::ops::Range<u64>) {
    let mut all = Seen::default();
    for seed in seeds {
        let seen = std::panic::catch_unwind(|| run(n, seed));
        let seen = seen.unwrap_or_else(|_| panic!("n={n}, seed {seed}"));
        all.commits += seen.commits;
        all.crashes += seen.crashes;
        all.torn += seen.torn;
        all.rotted += seen.rotted;
        all.replaced += seen.replaced;
        all.dropped += seen.dropped;
        all.reads += seen.reads;
        all.late += seen.late;
    }
    // An ensemble in which nothing happened proves nothing.
    let least = all.commits.min(all.crashes).min(all.torn).min(all.replaced);
    let least = least.min(all.dropped).min(all.late).min(all.rotted);
    assert!(least > 100 && all.reads > 100, "{all:?}");
    println!("{all:?}");
}

/// `ZEROLOSS_RAFT_SEEDS` runs more of them.
fn seeds(default: u64) -> std::ops::Range<u64> {
    let count = std::env::var("ZEROLOSS_RAFT_SEEDS").ok();
    0..count
        .and_then(|count| count.parse().ok())
        .unwrap_or(default)
}

#[test]
fn three_replicas_keep_every_promise() {
    explore(3, seeds(6_000));
}

#[test]
fn five_replicas_keep_every_promise() {
    explore(5, seeds(3_000));
}
