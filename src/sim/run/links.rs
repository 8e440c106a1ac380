//! The scenario's settings of links, on the run's machines.

use crate::record::PROPERTIES_BYTES_MAX;
use crate::scenario::{LinkEnd, NetworkSettings, Scenario};
use crate::sim::latency::Latency;
use crate::sim::net::{HeldMax, LinkConfig, NodeId};
use crate::sim::world::World;

/// Bytes at most that a peer message has beside the bodies of messages or a piece of a
/// base: its own header, and what an entry has around its body.
const HEADERS_BYTES: usize = (16 << 10) + PROPERTIES_BYTES_MAX;

/// One direction of a link as the scenario describes it.
pub(super) fn config(network: &NetworkSettings) -> LinkConfig {
    let latency = network.latency_us;
    LinkConfig {
        latency: Latency::uniform(latency.low * 1_000, latency.high * 1_000),
        loss: network.loss,
        retransmit_ns: network.retransmit_ms * 1_000_000,
        connect_ns: network.connect_ms * 1_000_000,
        duplicate: network.duplicate,
        reorder: network.reorder,
        held_back_ns_max: network.reorder_ms.map(|ms| ms * 1_000_000),
        garbage: network.garbage,
        split: network.split,
    }
}

/// Gives the links that differ their character, once every machine is there; and
/// carries no peer message that is longer than this broker's are.
pub(super) fn set_up(world: &World, scenario: &Scenario) {
    let mut inner = world.lock();
    let broker = &scenario.cluster.broker;
    // An entry goes however long it is, and no segment is too short for it.
    let longest = broker
        .bounds
        .peer_message_bytes
        .max(broker.max_message_bytes);
    inner
        .net
        .bound_peer_messages(longest.saturating_add(HEADERS_BYTES));
    inner.net.bound_held(HeldMax {
        streams: broker.bounds.connections,
        partial_bytes: broker.bounds.partial_bytes,
    });
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
