//! Peer messages: whole, but late, lost, repeated, overtaken.

use std::net::SocketAddr;

use bytes::Bytes;

use super::{Arrival, EndpointId, Network, NodeId, garbage};
use crate::env::NetEvent;
use crate::sim::world::{Core, TraceKind, node_of};

impl Network {
    /// Sends one message; its fate is drawn now, a cut decides at arrival.
    pub(crate) fn send_peer(
        &mut self,
        core: &mut Core,
        endpoint: EndpointId,
        to: SocketAddr,
        bytes: Bytes,
    ) {
        let Some(from) = self.endpoints[endpoint].peer_address else {
            panic!("an endpoint sends peer messages only after listen_peers");
        };
        assert!(
            bytes.len() <= self.peer_bytes_max,
            "a peer message of {} bytes never comes: it is sent in pieces",
            bytes.len()
        );
        let from_node = self.endpoints[endpoint].node;
        let to_node = node_of(to);
        if self.lost(from_node, to_node) {
            self.fates.lost += 1;
            let sender = core.name_of(from_node);
            core.trace(TraceKind::NetworkFate, to_node, 0, &bytes, || {
                format!("peer message from {sender} lost")
            });
            return;
        }
        let link = *self.links.config(from_node, to_node);
        if link.garbage > 0.0
            && self.random.chance(link.garbage)
            && let Some(bytes) = garbage::of(&bytes, &mut self.random)
        {
            self.fates.garbled += 1;
            let at_ns = core.now_ns + self.latency_ns(from_node, to_node);
            let arrival = Arrival::Garbage {
                from_node,
                from,
                to,
                bytes,
            };
            Self::plan(core, at_ns, arrival);
        }
        self.peer_messages += 1;
        let mut copies = 1;
        if link.duplicate > 0.0 && self.random.chance(link.duplicate) {
            self.fates.repeated += 1;
            copies = 2;
        }
        for copy in 0..copies {
            let mut at_ns = core.here_ns(from_node) + self.latency_ns(from_node, to_node);
            let held = link.reorder > 0.0 && self.random.chance(link.reorder);
            if held {
                self.fates.overtaken += 1;
                let most_ns = link.held_back_ns_max;
                at_ns += self
                    .random
                    .below(most_ns.unwrap_or(10 * link.latency.max_ns));
            }
            let arrival = Arrival::Peer {
                from_node,
                from,
                to,
                bytes: bytes.clone(),
                number: self.peer_messages,
                again: copy > 0,
                held,
            };
            Self::plan(core, at_ns, arrival);
        }
    }

    /// Something came; whether somebody took it.
    pub(super) fn arrive_peer(
        &mut self,
        core: &mut Core,
        from_node: NodeId,
        from: SocketAddr,
        to: SocketAddr,
        bytes: Bytes,
    ) -> bool {
        let to_node = node_of(to);
        if self.cut_holds(from_node, to_node) {
            return false;
        }
        let Some(&endpoint) = self.peer_listeners.get(&to) else {
            return false;
        };
        self.fates.delivered += 1;
        self.fates.delivered_bytes += bytes.len() as u64;
        let sender = core.name_of(from_node);
        core.trace(
            TraceKind::Deliver,
            to_node,
            u64::from(from_node),
            &bytes,
            || format!("peer message from {sender}, {} bytes", bytes.len()),
        );
        self.deliver(endpoint, NetEvent::Peer { from, bytes });
        true
    }

    /// A peer message came: whether it is the second of two, or was held back until
    /// others had overtaken it.
    pub(super) fn count_order(
        &mut self,
        from_node: NodeId,
        to: SocketAddr,
        number: u64,
        (again, held): (bool, bool),
    ) {
        let newest = self.newest.entry((from_node, to)).or_default();
        self.fates.overtaken_delivered += u64::from(held && number < *newest);
        self.fates.repeats_delivered += u64::from(again);
        *newest = number.max(*newest);
    }
}
