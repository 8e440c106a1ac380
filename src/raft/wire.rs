//! A message as bytes, with the frames that travel behind it.

use bytes::Bytes;

use super::{Message, ReplicaId};

/// What one replica's driver sends to another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Messages of another cluster are dropped (D27).
    pub cluster_id: u64,
    /// The sender.
    pub from: ReplicaId,
    /// The addressee; its disk may be [`super::ANY_DISK`].
    pub to: ReplicaId,
    /// The sender's term.
    pub term: u64,
    /// What it says; the heads of entries are not encoded.
    pub message: Message,
    /// What travels behind: frames of an append or a tail, the base of an
    /// install. Opaque here.
    pub frames: Bytes,
}

/// Bytes that are not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// They end too early.
    #[error("the packet is cut short")]
    Short,
    /// Another version's, or not a packet.
    #[error("not a packet of this version")]
    Unknown,
}

impl Packet {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        todo!()
    }

    /// From bytes; `frames` shares them. Never panics.
    ///
    /// # Errors
    /// Not a packet.
    pub fn decode(_bytes: Bytes) -> Result<Self, WireError> {
        todo!()
    }

    /// Whether this packet is for that replica of that cluster.
    #[must_use]
    pub fn is_for(&self, cluster_id: u64, me: ReplicaId) -> bool {
        self.cluster_id == cluster_id
            && self.to.node == me.node
            && (self.to.disk == me.disk || self.to.disk == super::ANY_DISK)
    }
}
