//! The last message that each broker took from each other one: whether it hears a
//! leader, by what arrived and not by what it says.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::raft::{Message, Packet};
use crate::sim::net::NodeId;

/// A leader that a replica heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeardLeader {
    /// The leader's node.
    pub(super) node: NodeId,
    /// The term that it leads.
    pub(super) term: u64,
}

/// The last messages.
#[derive(Debug, Default)]
pub(super) struct Heard {
    last: BTreeMap<(NodeId, SocketAddr), (u64, Bytes)>,
}

impl Heard {
    /// A broker took a peer's message.
    pub(super) fn takes(&mut self, now_ns: u64, node: NodeId, from: SocketAddr, bytes: &Bytes) {
        self.last.insert((node, from), (now_ns, bytes.clone()));
    }

    /// The leader of the highest term whose append a broker took since then, and after
    /// which it took nothing else of that peer.
    pub(super) fn leader(&self, node: NodeId, since_ns: u64) -> Option<HeardLeader> {
        let own = self.last.iter().filter(|((to, _), _)| *to == node);
        let lately = own.filter(|(_, (at_ns, _))| *at_ns >= since_ns);
        let packets = lately.filter_map(|(_, (_, bytes))| Packet::decode(bytes.clone()).ok());
        let appends = packets.filter(|packet| matches!(packet.message, Message::Append(_)));
        let last = appends.max_by_key(|packet| packet.term)?;
        Some(HeardLeader {
            node: last.from.node as NodeId,
            term: last.term,
        })
    }
}
