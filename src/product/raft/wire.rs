//! A message as bytes, with the frames that travel behind it.
//!
//! ```text
//!  0 magic 3, version 1
//!  4 cluster id 8
//! 12 from: node 8, disk 8
//! 28 to: node 8, disk 8
//! 44 epoch: founding 8, number 8, id 8
//! 68 term 8
//! 76 kind 1, the message's fields        (big-endian throughout)
//!  … frames: the rest
//! ```
//!
//! Heads of entries are not encoded: they are in the frames. The frames carry
//! checksums of their own; what comes before them is small, and the transport's
//! checksum is trusted with it.

use bytes::{Buf, BufMut, Bytes, BytesMut, TryGetError};

use super::codec::{get_configuration, put_configuration};
use super::{Append, AppendAnswer, EntryId, Epoch, Message, ReplicaId, Tail};

const MAGIC: u32 = u32::from_be_bytes(*b"ZLR2");

/// No term and no index of a message is above this: no log and no row of
/// elections ever reaches it, and what is added to it here still fits 64 bits.
pub const NUMBER_MAX: u64 = 1 << 62;

/// A packet from one replica's driver to another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerMessage {
    /// Messages of another cluster are dropped (D27).
    pub cluster_id: u64,
    /// The sender.
    pub from: ReplicaId,
    /// The addressee; its disk may be [`super::ANY_DISK`].
    pub to: ReplicaId,
    /// The sender's epoch.
    pub epoch: Epoch,
    /// The sender's term.
    pub term: u64,
    /// The message; the heads of entries are not encoded.
    pub message: Message,
    /// The bytes that travel behind the message: frames of an append, a tail or a repair,
    /// or a piece of a base. Opaque here.
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
    /// A term or an index that no replica can have.
    #[error("the packet has a term or an index above {NUMBER_MAX}")]
    Beyond,
}

impl From<TryGetError> for WireError {
    fn from(_: TryGetError) -> Self {
        Self::Short
    }
}

impl PeerMessage {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(128 + self.frames.len());
        out.put_u32(MAGIC);
        out.put_u64(self.cluster_id);
        put_replica(&mut out, self.from);
        put_replica(&mut out, self.to);
        out.put_u64(self.epoch.founding);
        out.put_u64(self.epoch.number);
        out.put_u64(self.epoch.id);
        out.put_u64(self.term);
        put_message(&mut out, &self.message);
        out.put_slice(&self.frames);
        out.freeze()
    }

    /// From bytes; `frames` shares them. Never panics.
    ///
    /// # Errors
    /// Not a packet.
    pub fn decode(mut bytes: Bytes) -> Result<Self, WireError> {
        if bytes.try_get_u32()? != MAGIC {
            return Err(WireError::Unknown);
        }
        Ok(Self {
            cluster_id: bytes.try_get_u64()?,
            from: get_replica(&mut bytes)?,
            to: get_replica(&mut bytes)?,
            epoch: Epoch {
                founding: bytes.try_get_u64()?,
                number: bytes.try_get_u64()?,
                id: bytes.try_get_u64()?,
            },
            term: get_number(&mut bytes)?,
            message: get_message(&mut bytes)?,
            frames: bytes,
        })
    }

    /// Whether this packet is for that replica of that cluster.
    #[must_use]
    pub fn is_for(&self, cluster_id: u64, me: ReplicaId) -> bool {
        self.is_for_node(cluster_id, me.node)
            && (self.to.disk == me.disk || self.to.disk == super::ANY_DISK)
    }

    /// Whether this packet is for that node of that cluster, whatever its disk.
    #[must_use]
    pub fn is_for_node(&self, cluster_id: u64, node: u64) -> bool {
        self.cluster_id == cluster_id && self.to.node == node
    }
}

fn put_message(out: &mut BytesMut, message: &Message) {
    match message {
        Message::PreVote { next_term, last } => {
            out.put_u8(1);
            out.put_u64(*next_term);
            put_id(out, *last);
        }
        Message::PreVoteAnswer { next_term, granted } => {
            out.put_u8(2);
            out.put_u64(*next_term);
            out.put_u8(u8::from(*granted));
        }
        Message::Vote { last, transfer } => {
            out.put_u8(3);
            put_id(out, *last);
            out.put_u8(u8::from(*transfer));
        }
        Message::VoteAnswer { granted } => {
            out.put_u8(4);
            out.put_u8(u8::from(*granted));
        }
        Message::Append(append) => {
            out.put_u8(5);
            out.put_u64(append.request);
            put_id(out, append.prev);
            out.put_u64(append.commit_index);
        }
        Message::AppendAnswer(answer) => {
            out.put_u8(6);
            out.put_u64(answer.request);
            out.put_u8(u8::from(answer.accepted));
            out.put_u64(answer.matched_index);
            out.put_u64(answer.last_index);
            put_id(out, answer.hint);
            out.put_u8(u8::from(answer.is_uncertain));
        }
        Message::TimeoutNow => out.put_u8(7),
        Message::Join { challenge } => {
            out.put_u8(8);
            out.put_u64(*challenge);
        }
        Message::Challenge { challenge } => {
            out.put_u8(9);
            out.put_u64(*challenge);
        }
        Message::Install {
            request,
            base,
            configuration,
        } => {
            out.put_u8(10);
            out.put_u64(*request);
            put_id(out, *base);
            put_configuration(out, configuration);
        }
        Message::Ask {
            request,
            previous,
            hash,
        } => {
            out.put_u8(11);
            out.put_u64(*request);
            put_id(out, *previous);
            out.put_u64(*hash);
        }
        Message::Tail(tail) => {
            out.put_u8(12);
            put_tail(out, tail);
        }
        Message::YouForgot { acknowledged_index } => {
            out.put_u8(13);
            out.put_u64(*acknowledged_index);
        }
        Message::Fetch { from, upto_index } => {
            out.put_u8(14);
            put_id(out, *from);
            out.put_u64(*upto_index);
        }
        Message::Fetched { from, committed } => {
            out.put_u8(15);
            put_id(out, *from);
            put_id(out, *committed);
        }
        Message::Expired { base } => {
            out.put_u8(16);
            put_id(out, *base);
        }
        Message::WantBase {
            base,
            digest,
            offset,
        } => {
            out.put_u8(17);
            put_id(out, *base);
            out.put_u64(*digest);
            out.put_u64(*offset);
        }
        Message::BasePiece { base } => {
            out.put_u8(18);
            put_id(out, *base);
        }
    }
}

fn get_message(bytes: &mut Bytes) -> Result<Message, WireError> {
    Ok(match bytes.try_get_u8()? {
        1 => Message::PreVote {
            next_term: get_number(bytes)?,
            last: get_id(bytes)?,
        },
        2 => Message::PreVoteAnswer {
            next_term: get_number(bytes)?,
            granted: get_bool(bytes)?,
        },
        3 => Message::Vote {
            last: get_id(bytes)?,
            transfer: get_bool(bytes)?,
        },
        4 => Message::VoteAnswer {
            granted: get_bool(bytes)?,
        },
        5 => Message::Append(Append {
            request: bytes.try_get_u64()?,
            prev: get_id(bytes)?,
            commit_index: get_number(bytes)?,
            heads: Vec::new(),
        }),
        6 => Message::AppendAnswer(AppendAnswer {
            request: bytes.try_get_u64()?,
            accepted: get_bool(bytes)?,
            matched_index: get_number(bytes)?,
            last_index: get_number(bytes)?,
            hint: get_id(bytes)?,
            is_uncertain: get_bool(bytes)?,
        }),
        7 => Message::TimeoutNow,
        8 => Message::Join {
            challenge: bytes.try_get_u64()?,
        },
        9 => Message::Challenge {
            challenge: bytes.try_get_u64()?,
        },
        10 => Message::Install {
            request: bytes.try_get_u64()?,
            base: get_id(bytes)?,
            configuration: get_configuration(bytes)?,
        },
        11 => Message::Ask {
            request: bytes.try_get_u64()?,
            previous: get_id(bytes)?,
            hash: bytes.try_get_u64()?,
        },
        12 => Message::Tail(get_tail(bytes)?),
        13 => Message::YouForgot {
            acknowledged_index: get_number(bytes)?,
        },
        14 => Message::Fetch {
            from: get_id(bytes)?,
            upto_index: get_number(bytes)?,
        },
        15 => Message::Fetched {
            from: get_id(bytes)?,
            committed: get_id(bytes)?,
        },
        16 => Message::Expired {
            base: get_id(bytes)?,
        },
        17 => Message::WantBase {
            base: get_id(bytes)?,
            digest: bytes.try_get_u64()?,
            offset: get_number(bytes)?,
        },
        18 => Message::BasePiece {
            base: get_id(bytes)?,
        },
        _ => return Err(WireError::Unknown),
    })
}

fn put_tail(out: &mut BytesMut, tail: &Tail) {
    out.put_u64(tail.request);
    put_id(out, tail.previous);
    out.put_u8(u8::from(tail.chained));
    put_id(out, tail.last);
    out.put_u64(tail.base_index);
    out.put_u64(tail.uncertain_from.unwrap_or(0));
    out.put_u64(tail.silent_from.unwrap_or(0));
}

fn get_tail(bytes: &mut Bytes) -> Result<Tail, WireError> {
    Ok(Tail {
        request: bytes.try_get_u64()?,
        previous: get_id(bytes)?,
        chained: get_bool(bytes)?,
        last: get_id(bytes)?,
        base_index: get_number(bytes)?,
        uncertain_from: get_index(bytes)?,
        silent_from: get_index(bytes)?,
        heads: Vec::new(),
    })
}

/// A term or an index.
fn get_number(bytes: &mut Bytes) -> Result<u64, WireError> {
    match bytes.try_get_u64()? {
        number @ ..=NUMBER_MAX => Ok(number),
        _ => Err(WireError::Beyond),
    }
}

/// No entry has index 0, so it stands for none.
fn get_index(bytes: &mut Bytes) -> Result<Option<u64>, WireError> {
    Ok(Some(get_number(bytes)?).filter(|index| *index > 0))
}

fn get_bool(bytes: &mut Bytes) -> Result<bool, WireError> {
    match bytes.try_get_u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(WireError::Unknown),
    }
}

fn put_replica(out: &mut BytesMut, replica: ReplicaId) {
    out.put_u64(replica.node);
    out.put_u64(replica.disk);
}

fn get_replica(bytes: &mut Bytes) -> Result<ReplicaId, WireError> {
    Ok(ReplicaId {
        node: bytes.try_get_u64()?,
        disk: bytes.try_get_u64()?,
    })
}

fn put_id(out: &mut BytesMut, id: EntryId) {
    out.put_u64(id.index);
    out.put_u64(id.term);
}

fn get_id(bytes: &mut Bytes) -> Result<EntryId, WireError> {
    Ok(EntryId {
        index: get_number(bytes)?,
        term: get_number(bytes)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::raft::Configuration;

    const ME: ReplicaId = ReplicaId { node: 1, disk: 11 };
    const ID: EntryId = EntryId { term: 3, index: 70 };

    fn messages() -> Vec<Message> {
        let configuration = Configuration::of_voters([ME]);
        let tail = Tail {
            request: 9,
            previous: ID,
            chained: true,
            last: ID,
            base_index: 4,
            uncertain_from: None,
            silent_from: Some(12),
            heads: Vec::new(),
        };
        vec![
            Message::PreVote {
                next_term: 4,
                last: ID,
            },
            Message::PreVoteAnswer {
                next_term: 4,
                granted: true,
            },
            Message::Vote {
                last: ID,
                transfer: false,
            },
            Message::VoteAnswer { granted: true },
            Message::Append(Append {
                request: 5,
                prev: ID,
                commit_index: 69,
                heads: Vec::new(),
            }),
            Message::AppendAnswer(AppendAnswer {
                request: 5,
                accepted: true,
                matched_index: 70,
                last_index: 71,
                hint: ID,
                is_uncertain: false,
            }),
            Message::TimeoutNow,
            Message::Join { challenge: 8 },
            Message::Challenge { challenge: 8 },
            Message::Install {
                request: 6,
                base: ID,
                configuration,
            },
            Message::Ask {
                request: 7,
                previous: ID,
                hash: 7,
            },
            Message::Tail(tail),
            Message::YouForgot {
                acknowledged_index: 70,
            },
            Message::Fetch {
                from: ID,
                upto_index: 90,
            },
            Message::Fetched {
                from: ID,
                committed: ID,
            },
            Message::Expired { base: ID },
            Message::WantBase {
                base: ID,
                digest: u64::MAX,
                offset: 300,
            },
            Message::BasePiece { base: ID },
        ]
    }

    fn packet(message: Message) -> PeerMessage {
        PeerMessage {
            cluster_id: 77,
            from: ME,
            to: ReplicaId { node: 2, disk: 0 },
            epoch: Epoch {
                founding: 5,
                number: 2,
                id: 6,
            },
            term: 3,
            message,
            frames: Bytes::from_static(b"frames"),
        }
    }

    #[test]
    fn every_message_comes_back_as_it_was() {
        for message in messages() {
            let packet = packet(message);
            assert_eq!(PeerMessage::decode(packet.encode()), Ok(packet));
        }
    }

    #[test]
    fn a_packet_cut_short_before_its_frames_is_none() {
        for message in messages() {
            let bytes = packet(message).encode();
            let fields = bytes.len() - b"frames".len();
            for length in 0..fields {
                assert_eq!(
                    PeerMessage::decode(bytes.slice(..length)),
                    Err(WireError::Short)
                );
            }
        }
    }

    #[test]
    fn a_packet_is_for_the_disk_it_names_or_for_any() {
        let mut packet = packet(Message::TimeoutNow);
        let disk = |disk| ReplicaId { node: 2, disk };
        assert!(packet.is_for(77, disk(5)));
        assert!(!packet.is_for(78, disk(5)));
        assert!(!packet.is_for(77, ME));
        packet.to = disk(6);
        assert!(packet.is_for(77, disk(6)) && !packet.is_for(77, disk(5)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = PeerMessage::decode(Bytes::from(bytes));
        }

        /// Random bytes seldom get past the magic: these do.
        #[test]
        fn arbitrary_messages_never_panic(kind in 0u8..19, rest in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut bytes = packet(Message::TimeoutNow).encode()[..76].to_vec();
            bytes.push(kind);
            bytes.extend(rest);
            if let Ok(packet) = PeerMessage::decode(Bytes::from(bytes)) {
                prop_assert_eq!(PeerMessage::decode(packet.encode()), Ok(packet));
            }
        }
    }
}
