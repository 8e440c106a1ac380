//! The last message that each broker took from each other one: whether it hears a
//! leader, by what arrived and not by what it says.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::raft::{Message, PeerMessage};
use crate::sim::net::NodeId;

/// The last messages.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// For so long at least, nanoseconds, a replica follows a leader that it has heard.
    follows_for_ns: u64,
    last: BTreeMap<(NodeId, SocketAddr), (u64, Bytes)>,
}

impl Heard {
    /// Nothing yet; of replicas that follow for so long at least, nanoseconds.
    pub(super) fn by_followers(follows_for_ns: u64) -> Self {
        Self {
            follows_for_ns,
            ..Self::default()
        }
    }

    /// A broker took a peer's message.
    pub(super) fn takes(&mut self, now_ns: u64, node: NodeId, from: SocketAddr, bytes: &Bytes) {
        self.last.insert((node, from), (now_ns, bytes.clone()));
    }

    /// The leader that a broker has to follow, and the term that it leads: of the highest
    /// term whose append was lately the last that it took of that peer.
    pub(super) fn leader(&self, now_ns: u64, node: NodeId) -> Option<(NodeId, u64)> {
        let since_ns = now_ns.saturating_sub(self.follows_for_ns);
        let own = self.last.iter().filter(|((to, _), _)| *to == node);
        let lately = own.filter(|(_, (at_ns, _))| *at_ns >= since_ns);
        let packets = lately.filter_map(|(_, (_, bytes))| PeerMessage::decode(bytes.clone()).ok());
        let appends = packets.filter(|packet| matches!(packet.message, Message::Append(_)));
        let last = appends.max_by_key(|packet| packet.term)?;
        Some((last.from.node as NodeId, last.term))
    }
}
