//! The brokers' machines: started, killed, and what is on their disks.

use std::sync::Arc;

use madsim::runtime::Handle;

use super::process::{self, Blames, Ear, Exit, Life, NewDisk, Operator, StopSignal};
use crate::broker::{BrokerConfig, Peer, RaftConfig, Replication};
use crate::scenario::{Between, Cluster, RestartWith, Scenario, Workload};
use crate::sim::disk::{DiskConfig, DiskModel};
use crate::sim::disk_io::{DiskIo, DiskLatency};
use crate::sim::env::SimEnv;
use crate::sim::latency::Latency;
use crate::sim::net::NodeId;
use crate::sim::random::{Purpose, Stream};
use crate::sim::world::{World, address};

/// RocketMQ's default port.
const PORT: u16 = 10911;
/// Where peers listen.
const PEER_PORT: u16 = 10912;

/// A broker's machine.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) node: NodeId,
    config: BrokerConfig,
    /// Settings for later lives, and what decides about them.
    settings: (RestartWith, Stream),
    has_lived: bool,
    /// Whether the number of queues of new topics may change.
    queues_may_change: bool,
    members: u32,
    refuses_commands: bool,
    process: Option<Process>,
    /// The duty of its operator before it starts.
    duty: Operator,
    /// Why it last refused to serve.
    pub(super) refused: Option<String>,
    /// The party that it then blamed.
    pub(super) blames: Blames,
    /// How long it stays down after a clean stop, nanoseconds.
    pub(super) down_ns: u64,
    /// The newest planned start; earlier ones are void.
    start: u64,
    /// Whether that one is still to come.
    pub(super) start_planned: bool,
    /// When its disk was put in, or taken, blank; nanoseconds since the start of the run.
    pub(super) blank_ns: u64,
    /// When its disk was last formatted, nanoseconds since the start of the run.
    pub(super) formatted_ns: u64,
    /// The name that it then got.
    pub(super) disk_id: u64,
    /// When it was last made the only member of its cluster.
    pub(super) recovered_ns: Option<u64>,
    /// It stays down until a recovery without it is over.
    pub(super) is_kept_away: bool,
    /// It was refused once, as of an older epoch.
    pub(super) was_refused_as_old: bool,
    /// It is left out of the core that heals, and stays down.
    pub(super) retired: bool,
}

#[derive(Debug)]
struct Process {
    madsim: madsim::task::NodeId,
    stop: StopSignal,
    ear: Ear,
}

impl Machine {
    /// A machine with a blank disk and no process.
    pub(super) fn new(world: &World, scenario: &Scenario, seed: u64, broker: u32) -> Self {
        let cluster = &scenario.cluster;
        let node = world.add_node(disk(scenario, seed, broker));
        let mut config = cluster.broker.clone();
        config.listen = address(node, PORT);
        config.default_topic_queue_nums = queues(scenario);
        if let Replication::Raft(raft) = &mut config.replication {
            *raft = raft_config(raft, cluster, seed, broker);
        }
        let as_what = match broker < cluster.brokers {
            true => NewDisk::First,
            false => NewDisk::Replacement,
        };
        Self {
            node,
            config,
            settings: (
                cluster.restart_with,
                Stream::lane(seed, Purpose::Settings, broker),
            ),
            has_lived: false,
            queues_may_change: false,
            members: cluster.brokers,
            refuses_commands: scenario.disk.refuses_commands,
            process: None,
            duty: Operator::Format(as_what),
            refused: None,
            blames: Blames::Nobody,
            down_ns: 0,
            start: 0,
            start_planned: false,
            blank_ns: 0,
            formatted_ns: 0,
            disk_id: 0,
            recovered_ns: None,
            is_kept_away: false,
            was_refused_as_old: false,
            retired: false,
        }
    }

    /// Where its broker listens.
    pub(super) fn address(&self) -> std::net::SocketAddr {
        self.config.listen
    }

    /// Whether a process runs on it.
    pub(super) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// The duty of its operator before it starts.
    pub(super) fn duty(&self) -> Operator {
        self.duty
    }

    /// Plans a start, and with it the operator's work: what was owed before and
    /// is not done stays owed. Returns the start's number.
    pub(super) fn plan_start(&mut self, operator: Operator) -> u64 {
        if operator != Operator::None {
            self.duty = operator;
        }
        self.start += 1;
        self.start_planned = true;
        self.start
    }

    /// Whether the start of that number is to be made.
    pub(super) fn is_due(&self, start: u64) -> bool {
        start == self.start && !self.is_up() && !self.retired && !self.is_kept_away
    }

    /// Says whether the number of queues of new topics may change at the next start.
    pub(super) fn settings_may_change(&mut self, queues: bool) {
        self.queues_may_change = queues;
    }

    /// The broker that starts gets other settings, or not; says whether it did.
    fn settle(&mut self) -> bool {
        let before = self.config.clone();
        let (with, stream) = &mut self.settings;
        if !std::mem::replace(&mut self.has_lived, true) || !stream.chance(0.5) {
            return false;
        }
        let (config, cluster) = (&mut self.config, with);
        if let Some(bytes) = cluster.segment_bytes {
            config.segment_bytes = power_of_two(bytes, stream);
        }
        if let Some(events) = cluster.events_per_step {
            config.events_per_step = power_of_two(events, stream) as usize;
        }
        if let Some(queues) = cluster.queues.filter(|_| self.queues_may_change) {
            config.default_topic_queue_nums = queues.draw(stream) as u32;
        }
        if let (Some(retention_ms), Some(_)) = (cluster.retention_ms, config.retention_ms) {
            config.retention_ms = Some(retention_ms.draw(stream));
        }
        self.config != before
    }

    /// Starts the broker; says whether its settings are others than before.
    pub(super) fn start(&mut self, world: &Arc<World>, handle: &Handle) -> bool {
        assert!(!self.is_up(), "a machine runs one broker");
        let has_changed = self.settle();
        self.start_planned = false;
        self.refused = None;
        let incarnation = world.process_starts(self.node);
        let env = SimEnv::new(Arc::clone(world), self.node, incarnation);
        let (stop, ear) = (StopSignal::default(), Ear::default());
        // A new madsim node for each life: a killed one takes no more tasks.
        let madsim = handle.create_node().build();
        let life = Life {
            config: self.config.clone(),
            operator: self.duty,
            members: self.members,
            refuses_commands: self.refuses_commands,
        };
        drop(madsim.spawn(process::broker(env, life, stop.clone(), ear.clone())));
        self.process = Some(Process {
            madsim: madsim.id(),
            stop,
            ear,
        });
        has_changed
    }

    /// Ends the process, if there is one, without a word to it.
    pub(super) fn kill(&mut self, handle: &Handle) {
        self.note_duty();
        if let Some(process) = self.process.take() {
            end(handle, process.madsim);
        }
    }

    /// The process that runs on it, for madsim.
    pub(super) fn life(&self) -> Option<madsim::task::NodeId> {
        self.process.as_ref().map(|process| process.madsim)
    }

    /// Asks the broker to stop cleanly.
    pub(super) fn stop(&self) {
        if let Some(process) = &self.process {
            process.stop.raise();
        }
    }

    /// Looks whether the operator's work is done.
    pub(super) fn note_duty(&mut self) {
        let Some(process) = &self.process else {
            return;
        };
        let mut said = process.ear.said();
        self.disk_id = said.disk_id.take().unwrap_or(self.disk_id);
        if let Some(done_ns) = said.operator_done_ns.take() {
            match self.duty {
                Operator::Format(_) => self.formatted_ns = done_ns,
                Operator::Recover => self.recovered_ns = Some(done_ns),
                Operator::None | Operator::Salvage => {}
            }
            self.duty = Operator::None;
        }
    }

    /// How the process ended by itself, if it did since the last call.
    pub(super) fn take_exit(&mut self, handle: &Handle) -> Option<Exit> {
        let exit = self.process.as_ref()?.ear.said().exit.take()?;
        self.kill(handle);
        if let Exit::Refused { why, .. } = &exit {
            self.refused = Some(why.clone());
        }
        Some(exit)
    }
}

/// Each power of two about as likely as the next.
fn power_of_two(range: Between, stream: &mut Stream) -> u64 {
    1 << stream.between(range.low.ilog2().into(), range.high.ilog2().into())
}

/// Kills a process, stopped or not. madsim drops what a stopped one was about to
/// do at once, before the world knows of the death, unless it goes on first.
pub(super) fn end(handle: &Handle, life: madsim::task::NodeId) {
    handle.resume(life);
    handle.kill(life);
}

/// The address book of all machines, and this broker's own election timeout.
fn raft_config(raft: &RaftConfig, cluster: &Cluster, seed: u64, broker: u32) -> RaftConfig {
    let peers = (0..cluster.machines()).map(|node| {
        let peer = Peer {
            peer: address(node, PEER_PORT),
            client: address(node, PORT),
        };
        (u64::from(node), peer)
    });
    let mut own = Stream::lane(seed, Purpose::Cluster, broker);
    let others = u64::from(if cluster.preferences_differ {
        broker
    } else {
        0
    });
    let preferred = raft.preferred_leader;
    RaftConfig {
        preferred_leader: preferred.map(|node| (node + others) % u64::from(cluster.brokers)),
        peers: peers.collect(),
        election_timeout_ms: cluster.election_timeout_ms.draw(&mut own),
        node_id: u64::from(broker),
        ..raft.clone()
    }
}

/// A topic gets its queues from its first send, so from the broker's default.
pub(super) fn queues(scenario: &Scenario) -> u32 {
    let sends = scenario
        .workloads
        .iter()
        .filter_map(|workload| match workload {
            Workload::Send(send) => Some(send.queues),
            Workload::Pay(pay) => Some(pay.queues),
            Workload::Consume(_) | Workload::RedPacket(_) => None,
        });
    sends
        .max()
        .unwrap_or(scenario.cluster.broker.default_topic_queue_nums)
}

pub(super) fn disk(scenario: &Scenario, seed: u64, broker: u32) -> DiskIo {
    let shape = DiskConfig {
        sector_bytes: u64::from(scenario.disk.sector_bytes),
        capacity_bytes: scenario.disk.capacity_bytes,
    };
    let settings = scenario.disk;
    let sync = settings.sync_us;
    let latency = DiskLatency {
        sync: Latency {
            min_ns: sync.low * 1_000,
            max_ns: sync.high * 1_000,
            tail_share: settings.sync_tail,
            tail_max_ns: 1_000
                * match settings.sync_tail > 0.0 {
                    true => settings.sync_tail_max_us,
                    false => sync.high,
                },
        },
    };
    let random = Stream::lane(seed, Purpose::Disk, broker);
    DiskIo::new(broker, DiskModel::new(shape), latency, random)
}

/// The disk of a client's machine: an order service has its database there.
pub(super) fn client_disk(node: NodeId, seed: u64) -> DiskIo {
    let latency = DiskLatency {
        sync: Latency::uniform(1_000_000, 1_000_000),
    };
    let random = Stream::lane(seed, Purpose::Disk, node);
    DiskIo::new(node, DiskModel::new(DiskConfig::default()), latency, random)
}
