//! The brokers' machines: started, killed, and what is on their disks.

use std::sync::{Arc, PoisonError};

use madsim::runtime::Handle;

use super::process::{self, Exit, ExitSlot, Operator, StopSignal};
use crate::broker::BrokerConfig;
use crate::scenario::{Scenario, Workload};
use crate::sim::disk::{DiskConfig, DiskModel};
use crate::sim::disk_io::{DiskIo, DiskLatency};
use crate::sim::env::SimEnv;
use crate::sim::latency::Latency;
use crate::sim::net::NodeId;
use crate::sim::random::{Purpose, Stream};
use crate::sim::world::{World, address};

/// RocketMQ's default port.
const PORT: u16 = 10911;

/// A broker's machine.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) node: NodeId,
    config: BrokerConfig,
    life: Option<Life>,
    /// Why it last refused to serve.
    pub(super) refused: Option<String>,
    /// How long it stays down after a clean stop, nanoseconds.
    pub(super) down_ns: u64,
    /// A start is planned.
    pub(super) start_planned: bool,
}

#[derive(Debug)]
struct Life {
    madsim: madsim::task::NodeId,
    stop: StopSignal,
    exit: ExitSlot,
}

impl Machine {
    /// A machine with a blank disk and no process.
    pub(super) fn new(world: &World, scenario: &Scenario, seed: u64, broker: u32) -> Self {
        let node = world.add_node(disk(scenario, seed, broker));
        let mut config = scenario.cluster.broker.clone();
        config.listen = address(node, PORT);
        config.default_topic_queue_nums = queues(scenario);
        config.broker_name = format!("broker-{broker}");
        Self {
            node,
            config,
            life: None,
            refused: None,
            down_ns: 0,
            start_planned: false,
        }
    }

    /// Where its broker listens.
    pub(super) fn address(&self) -> std::net::SocketAddr {
        self.config.listen
    }

    /// Whether a process runs on it.
    pub(super) fn is_up(&self) -> bool {
        self.life.is_some()
    }

    /// Starts the broker.
    pub(super) fn start(&mut self, world: &Arc<World>, handle: &Handle, operator: Operator) {
        assert!(self.life.is_none(), "a machine runs one broker");
        self.start_planned = false;
        self.refused = None;
        let incarnation = world.process_starts(self.node);
        let env = SimEnv::new(Arc::clone(world), self.node, incarnation);
        let (stop, exit) = (StopSignal::default(), ExitSlot::default());
        // A new madsim node for each life: a killed one takes no more tasks.
        let madsim = handle.create_node().build();
        let process = process::broker(
            env,
            self.config.clone(),
            operator,
            stop.clone(),
            exit.clone(),
        );
        drop(madsim.spawn(process));
        self.life = Some(Life {
            madsim: madsim.id(),
            stop,
            exit,
        });
    }

    /// Ends the process, if there is one, without a word to it.
    pub(super) fn kill(&mut self, handle: &Handle) {
        if let Some(life) = self.life.take() {
            handle.kill(life.madsim);
        }
    }

    /// Asks the broker to stop cleanly.
    pub(super) fn stop(&self) {
        if let Some(life) = &self.life {
            life.stop.raise();
        }
    }

    /// How the process ended by itself, if it did since the last call.
    pub(super) fn take_exit(&mut self, handle: &Handle) -> Option<Exit> {
        let exit = self
            .life
            .as_ref()?
            .exit
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(exit) = &exit {
            self.kill(handle);
            if let Exit::Refused(why) = exit {
                self.refused = Some(why.clone());
            }
        }
        exit
    }
}

/// A topic gets its queues from its first send, so from the broker's default.
pub(super) fn queues(scenario: &Scenario) -> u32 {
    let sends = scenario
        .workloads
        .iter()
        .filter_map(|workload| match workload {
            Workload::Send(send) => Some(send.queues),
            Workload::Consume(_) => None,
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
    let sync = scenario.disk.sync_us;
    let latency = DiskLatency {
        sync: Latency::uniform(sync.low * 1_000, sync.high * 1_000),
    };
    let random = Stream::lane(seed, Purpose::Disk, broker);
    DiskIo::new(broker, DiskModel::new(shape), latency, random)
}

/// A client's machine has a disk that nothing is ever written to.
pub(super) fn client_disk(node: NodeId, seed: u64) -> DiskIo {
    let latency = DiskLatency {
        sync: Latency::uniform(1_000_000, 1_000_000),
    };
    let random = Stream::lane(seed, Purpose::Disk, node);
    DiskIo::new(node, DiskModel::new(DiskConfig::default()), latency, random)
}
