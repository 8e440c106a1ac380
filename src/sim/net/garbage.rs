//! Peer messages that no replica sends: bytes that are no message, messages that are
//! cut, and messages that name the right cluster and have numbers at the ends of
//! their ranges.
//!
//! No checksum guards a message's numbers, so what garbles one must leave none that
//! could be true: a number is replaced by one that no replica has. The words of a
//! stranger may be within every bound; then they say nothing that could be believed
//! of a member.

use bytes::Bytes;

use crate::raft::{
    Append, EntryId, Message, NUMBER_MAX, PeerMessage, ReplicaId, TERMS_AHEAD_MAX, UNASKED,
};
use crate::sim::random::Stream;

/// Numbers that no replica has.
const BEYOND: [u64; 6] = [
    u64::MAX,
    u64::MAX - 1,
    i64::MAX as u64 + 1,
    i64::MAX as u64,
    NUMBER_MAX + 2,
    NUMBER_MAX + 1,
];
/// Of no member of any cluster.
const STRANGER: ReplicaId = ReplicaId {
    node: u64::MAX,
    disk: u64::MAX,
};

/// Something that comes instead of, or beside, a message like `bytes`; `None` where
/// that is no message of a replica.
pub(super) fn of(bytes: &Bytes, stream: &mut Stream) -> Option<Bytes> {
    let mut packet = PeerMessage::decode(bytes.clone()).ok()?;
    Some(match stream.below(8) {
        0 => {
            let length = stream.below(200);
            (0..length).map(|_| stream.below(256) as u8).collect()
        }
        1 => bytes.slice(..stream.below(bytes.len() as u64) as usize),
        2 => {
            packet.frames = garbled(&packet.frames, stream)?;
            packet.encode()
        }
        3 => {
            packet.term = beyond(stream);
            packet.encode()
        }
        4 => of_stranger(packet, stream).encode(),
        _ => {
            let number = beyond(stream);
            replace(&mut packet.message, number, stream)?;
            packet.encode()
        }
    })
}

fn beyond(stream: &mut Stream) -> u64 {
    BEYOND[stream.below(BEYOND.len() as u64) as usize]
}

/// Frames with a byte changed, or with their end missing.
fn garbled(frames: &Bytes, stream: &mut Stream) -> Option<Bytes> {
    let at = match frames.len() {
        0 => return None,
        length => stream.below(length as u64) as usize,
    };
    if stream.chance(0.5) {
        return Some(frames.slice(..at));
    }
    let mut bytes = frames.to_vec();
    bytes[at] ^= 1 << stream.below(8);
    Some(bytes.into())
}

/// An append without entries: at the bound of terms, or beyond it.
fn of_stranger(packet: PeerMessage, stream: &mut Stream) -> PeerMessage {
    let term = match stream.below(4) {
        // A replica that takes it has used up a term of 2^30: seldom.
        0 if stream.chance(0.05) => packet.term.saturating_add(TERMS_AHEAD_MAX),
        0 | 1 => NUMBER_MAX,
        2 => packet.term.saturating_add(2 * TERMS_AHEAD_MAX),
        _ => packet.term,
    };
    let id = EntryId {
        term,
        index: NUMBER_MAX,
    };
    let message = match stream.below(4) {
        0 => Message::Ask {
            request: u64::MAX,
            previous: id,
            hash: u64::MAX,
        },
        1 => Message::Fetch {
            from: id,
            upto_index: NUMBER_MAX,
        },
        2 => Message::WantBase {
            base: id,
            digest: u64::MAX,
            offset: NUMBER_MAX,
        },
        _ => Message::Append(Append {
            request: UNASKED,
            prev: id,
            commit_index: NUMBER_MAX,
            heads: Vec::new(),
        }),
    };
    PeerMessage {
        from: STRANGER,
        term,
        message,
        frames: Bytes::new(),
        ..packet
    }
}

/// Puts a number that no replica has in one of a message's fields; `None` where it
/// has none.
fn replace(message: &mut Message, number: u64, stream: &mut Stream) -> Option<()> {
    let mut fields: Vec<&mut u64> = match message {
        Message::PreVote { next_term, last } => vec![next_term, &mut last.index, &mut last.term],
        Message::PreVoteAnswer { next_term, .. } => vec![next_term],
        Message::Vote { last, .. } => vec![&mut last.index, &mut last.term],
        Message::Append(append) => vec![
            &mut append.prev.index,
            &mut append.prev.term,
            &mut append.commit_index,
        ],
        Message::AppendAnswer(answer) => vec![
            &mut answer.matched_index,
            &mut answer.last_index,
            &mut answer.hint.index,
            &mut answer.hint.term,
        ],
        Message::Install { base, .. } | Message::Expired { base } | Message::BasePiece { base } => {
            vec![&mut base.index, &mut base.term]
        }
        Message::Ask { previous, .. } => vec![&mut previous.index, &mut previous.term],
        Message::Tail(tail) => vec![
            &mut tail.previous.index,
            &mut tail.last.index,
            &mut tail.last.term,
            &mut tail.base_index,
        ],
        Message::YouForgot { acknowledged_index } => vec![acknowledged_index],
        Message::Fetch { from, upto_index } => vec![&mut from.index, upto_index],
        Message::Fetched { from, committed } => {
            vec![&mut from.index, &mut committed.index, &mut committed.term]
        }
        Message::WantBase { base, offset, .. } => vec![&mut base.index, offset],
        Message::VoteAnswer { .. }
        | Message::TimeoutNow
        | Message::Join { .. }
        | Message::Challenge { .. } => return None,
    };
    let at = stream.below(fields.len() as u64) as usize;
    *fields[at] = number;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::Epoch;
    use crate::sim::random::Purpose;

    fn packet() -> PeerMessage {
        PeerMessage {
            cluster_id: 3,
            from: ReplicaId { node: 1, disk: 4 },
            to: ReplicaId { node: 2, disk: 5 },
            epoch: Epoch::default(),
            term: 7,
            message: Message::Append(Append {
                request: 1,
                prev: EntryId { term: 7, index: 9 },
                commit_index: 8,
                heads: Vec::new(),
            }),
            frames: Bytes::from_static(b"entries"),
        }
    }

    /// A garbled packet that can be read is a stranger's, or has other frames: a number
    /// of a member's that could be true would break what the replicas promise.
    #[test]
    fn nothing_is_garbled_into_what_could_be_true() {
        let mut stream = Stream::new(1, Purpose::Network);
        let (mut strangers, mut unread) = (0, 0);
        for _ in 0..2_000 {
            let garbage = of(&packet().encode(), &mut stream).unwrap();
            match PeerMessage::decode(garbage) {
                Err(_) => unread += 1,
                Ok(read) if read.from == STRANGER => strangers += 1,
                Ok(read) => {
                    let frames = packet().frames;
                    let same = PeerMessage { frames, ..read };
                    assert_eq!(same, packet());
                }
            }
        }
        assert!(strangers > 100 && unread > 1_000, "{strangers} {unread}");
    }
}
