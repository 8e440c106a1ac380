//! The messages between disks before there is a cluster, and the answers of a founded
//! one.
//!
//! ```text
//!  0 magic 4
//!  4 cluster id 8
//! 12 from: node 8, disk 8
//! 28 to: node 8
//! 36 question 8; of an epoch, the addressee's disk
//! 44 kind 1, the fields        (big-endian throughout)
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::First;
use crate::raft::{Epoch, ReplicaId};

const MAGIC: u32 = 0x7a6c_6601;
/// No list is longer.
const NODES_MAX: u32 = 1024;

/// One thing said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) enum Said {
    /// By a disk that is not founded: which are you, and do you know of a cluster?
    Ask {
        question: u64,
        /// With whom the asker's is to begin.
        members: Vec<u64>,
    },
    /// By one that is not, either.
    Unfounded { question: u64, members: Vec<u64> },
    /// By one that waits to be let in, and knows nothing.
    Blank { question: u64 },
    /// By a replica, to another: of which epoch it is. `to_disk` is 0 for any.
    Epoch { to_disk: u64, epoch: Epoch },
    /// By one of a cluster: with whom that began; empty where nobody may say any
    /// more that it was among them.
    Founded {
        question: u64,
        first: First,
        epoch: Epoch,
    },
}

/// A message, with its sender and its receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) struct FoundingMessage {
    pub(in crate::broker) cluster_id: u64,
    pub(in crate::broker) from: ReplicaId,
    pub(in crate::broker) to_node: u64,
    pub(in crate::broker) said: Said,
}

/// The replica that sends a peer message about the founding of a cluster; `None` for
/// any other message. Never panics.
#[must_use]
pub fn founding_speaker(bytes: &Bytes) -> Option<ReplicaId> {
    FoundingMessage::decode(bytes).map(|packet| packet.from)
}

impl FoundingMessage {
    pub(in crate::broker) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(128);
        out.put_u32(MAGIC);
        out.put_u64(self.cluster_id);
        out.put_u64(self.from.node);
        out.put_u64(self.from.disk);
        out.put_u64(self.to_node);
        match &self.said {
            Said::Ask { question, members } => {
                out.put_u64(*question);
                out.put_u8(1);
                put_list(&mut out, members);
            }
            Said::Unfounded { question, members } => {
                out.put_u64(*question);
                out.put_u8(2);
                put_list(&mut out, members);
            }
            Said::Blank { question } => {
                out.put_u64(*question);
                out.put_u8(3);
            }
            Said::Epoch { to_disk, epoch } => {
                out.put_u64(*to_disk);
                out.put_u8(5);
                put_epoch(&mut out, epoch);
            }
            Said::Founded {
                question,
                first,
                epoch,
            } => {
                out.put_u64(*question);
                out.put_u8(4);
                put_epoch(&mut out, epoch);
                let nodes: Vec<u64> = first.keys().copied().collect();
                let disks: Vec<u64> = first.values().copied().collect();
                put_list(&mut out, &nodes);
                put_list(&mut out, &disks);
            }
        }
        out.freeze()
    }

    /// `None` for anything else. Never panics.
    pub(in crate::broker) fn decode(bytes: &Bytes) -> Option<Self> {
        let mut bytes = &bytes[..];
        if bytes.try_get_u32().ok()? != MAGIC {
            return None;
        }
        let cluster_id = bytes.try_get_u64().ok()?;
        let from = ReplicaId {
            node: bytes.try_get_u64().ok()?,
            disk: bytes.try_get_u64().ok()?,
        };
        let to_node = bytes.try_get_u64().ok()?;
        let question = bytes.try_get_u64().ok()?;
        let said = match bytes.try_get_u8().ok()? {
            1 => Said::Ask {
                question,
                members: get_list(&mut bytes)?,
            },
            2 => Said::Unfounded {
                question,
                members: get_list(&mut bytes)?,
            },
            3 => Said::Blank { question },
            4 => {
                let epoch = get_epoch(&mut bytes)?;
                let nodes = get_list(&mut bytes)?;
                let disks = get_list(&mut bytes)?;
                let same = nodes.len() == disks.len();
                Said::Founded {
                    question,
                    first: same.then(|| nodes.into_iter().zip(disks).collect())?,
                    epoch,
                }
            }
            5 => Said::Epoch {
                to_disk: question,
                epoch: get_epoch(&mut bytes)?,
            },
            _ => return None,
        };
        bytes.is_empty().then_some(Self {
            cluster_id,
            from,
            to_node,
            said,
        })
    }
}

fn put_epoch(out: &mut BytesMut, epoch: &Epoch) {
    out.put_u64(epoch.founding);
    out.put_u64(epoch.number);
    out.put_u64(epoch.id);
}

fn get_epoch(bytes: &mut &[u8]) -> Option<Epoch> {
    Some(Epoch {
        founding: bytes.try_get_u64().ok()?,
        number: bytes.try_get_u64().ok()?,
        id: bytes.try_get_u64().ok()?,
    })
}

fn put_list(out: &mut BytesMut, list: &[u64]) {
    out.put_u32(list.len() as u32);
    list.iter().for_each(|number| out.put_u64(*number));
}

fn get_list(bytes: &mut &[u8]) -> Option<Vec<u64>> {
    let length = bytes.try_get_u32().ok()?;
    if length > NODES_MAX {
        return None;
    }
    (0..length).map(|_| bytes.try_get_u64().ok()).collect()
}
