//! What a scenario says of links, on the run's machines.

use crate::scenario::{LinkEnd, NetworkSettings, Scenario};
use crate::sim::latency::Latency;
use crate::sim::net::{LinkConfig, NodeId};
use crate::sim::world::World;

/// One direction of a link as the scenario describes it.
pub(super) fn config(network: &NetworkSettings) -> LinkConfig {
    let latency = network.latency_us;
    LinkConfig {
        latency: Latency::uniform(latency.low * 1_000, latency.high * 1_000),
        loss: network.loss,
        retransmit_ns: network.retransmit_ms * 1_000_000,
        duplicate: network.duplicate,
        reorder: network.reorder,
        split: network.split,
    }
}

/// Gives the links that differ their character, once every machine is there.
pub(super) fn set_up(world: &World, scenario: &Scenario) {
    let mut inner = world.lock();
    let nodes = inner.core.node_count();
    let brokers = scenario.cluster.machines();
    for rule in &scenario.links {
        for from in (0..nodes).filter(|node| is_at(rule.from, *node, brokers)) {
            for to in (0..nodes).filter(|node| is_at(rule.to, *node, brokers)) {
                inner.net.set_link(from, to, config(&rule.network));
            }
        }
    }
}

fn is_at(end: LinkEnd, node: NodeId, brokers: u32) -> bool {
    match end {
        LinkEnd::Broker(broker) => node == broker,
        LinkEnd::Brokers => node < brokers,
        LinkEnd::Clients => node >= brokers,
        LinkEnd::Any => true,
    }
}
