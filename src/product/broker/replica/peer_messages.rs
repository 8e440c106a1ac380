//! Peer messages, and the frames of entries that travel behind them.

use bytes::Bytes;

use super::epochs::{Relation, relation};
use super::pieces::Piece;
use super::view::ReplicaView;
use crate::broker::base::Base;
use crate::broker::interruption::Interruption;
use crate::broker::server::{Broker, Serving};
use crate::env::{Env, Net, PEER_MESSAGE_BYTES_MAX};
use crate::log::RECORD_BYTES_MAX;
use crate::raft::{
    ANY_DISK, Configuration, EntryHead, EntryId, Epoch, Input, Message, NUMBER_MAX, PeerMessage,
    ReplicaId,
};
use crate::record::{ENVELOPE_BYTES, EntryKind, LogPart, parse_sealed};

/// A message that carries the longest entry of all still comes: else no follower
/// would ever have it.
const _: () = assert!(
    RECORD_BYTES_MAX as usize + ENVELOPE_BYTES + HEADER_BYTES_MAX <= PEER_MESSAGE_BYTES_MAX
);

/// Bytes of a packet before its entries: all fields of fixed size, far fewer.
const HEADER_BYTES_MAX: usize = 4 << 10;

/// The entries that came with a message, verified; or a base, or a piece of one.
#[derive(Debug, Default)]
pub(super) struct Payload {
    pub(super) frames: Vec<(LogPart, Bytes)>,
    pub(super) base: Option<(Base, Bytes)>,
    pub(super) piece: Option<Piece>,
}

/// An input for the core, with the payload that came behind it; `None`: there is none.
pub(super) type Told = Option<(Input, Payload)>;

/// The input that a message came.
pub(super) fn told((from, term): (ReplicaId, u64), message: Message, payload: Payload) -> Told {
    let input = Input::Message {
        from,
        term,
        message,
    };
    Some((input, payload))
}

impl Payload {
    /// Takes apart what stands behind a message, and tells the message what it
    /// is. `None` where any of it does not verify: then the message is as good
    /// as lost.
    pub(super) fn load(message: &mut Message, bytes: Bytes) -> Option<Self> {
        let mut payload = Self::default();
        match message {
            Message::Append(append) => {
                payload.frames = parse_frames(bytes)?;
                append.heads = heads(&payload.frames)?;
            }
            Message::Tail(tail) => {
                payload.frames = parse_frames(bytes)?;
                tail.heads = heads(&payload.frames)?;
            }
            Message::Fetched { .. } => payload.frames = parse_frames(bytes)?,
            Message::Install { .. } | Message::Expired { .. } | Message::BasePiece { .. } => {
                payload.piece = Some(Piece::decode(bytes)?);
            }
            _ => {}
        }
        Some(payload)
    }

    /// The entry at `index`.
    ///
    /// # Panics
    /// It did not come with the message.
    pub(super) fn frame(&self, index: u64) -> &(LogPart, Bytes) {
        let first = self.frames.first().map_or(0, |(part, _)| part.index);
        &self.frames[(index - first) as usize]
    }
}

fn parse_frames(mut bytes: Bytes) -> Option<Vec<(LogPart, Bytes)>> {
    let mut frames: Vec<(LogPart, Bytes)> = Vec::new();
    while !bytes.is_empty() {
        let frame = split_frame(&mut bytes)?;
        let part = parse_sealed(&frame).ok()?;
        if [part.index, part.term, part.address]
            .iter()
            .any(|number| *number > NUMBER_MAX)
        {
            return None;
        }
        if frames.last().is_some_and(|(last, _)| {
            last.index + 1 != part.index || last.hash != part.previous_hash
        }) {
            return None;
        }
        frames.push((part, frame));
    }
    Some(frames)
}

/// Takes the first frame off, by its length alone; `None`: it is cut short.
pub(super) fn split_frame(bytes: &mut Bytes) -> Option<Bytes> {
    let length = bytes.get(72..76)?.first_chunk::<4>()?;
    let framed_bytes = ENVELOPE_BYTES + u32::from_be_bytes(*length) as usize;
    (framed_bytes <= bytes.len()).then(|| bytes.split_to(framed_bytes))
}

fn heads(frames: &[(LogPart, Bytes)]) -> Option<Vec<EntryHead>> {
    let head = |(part, frame): &(LogPart, Bytes)| {
        let configuration = match part.kind {
            EntryKind::Configuration => Some(Configuration::decode(&frame[ENVELOPE_BYTES..])?),
            _ => None,
        };
        let id = EntryId {
            term: part.term,
            index: part.index,
        };
        Some(EntryHead { id, configuration })
    };
    frames.iter().map(head).collect()
}

impl<E: Env> Broker<E> {
    /// A message from a peer, or something that pretends to be one.
    pub(in crate::broker) async fn peer_message(
        &mut self,
        serving: &mut Serving<E>,
        bytes: Bytes,
    ) -> Result<(), Interruption> {
        let Some(mut view) = self.as_replica(serving) else {
            return Ok(());
        };
        let told = view.hears(bytes).await?;
        self.consensus(serving, told).await
    }
}

impl<E: Env> ReplicaView<'_, E> {
    /// Does what a peer asks for. Gives what the core is to be told.
    async fn hears(&mut self, bytes: Bytes) -> Result<Told, Interruption> {
        if self.about_the_cluster(&bytes).await? {
            return Ok(None);
        }
        let Ok(packet) = PeerMessage::decode(bytes) else {
            return Ok(None);
        };
        let (is_blank, replica) = (self.store.base.is_none(), &mut *self.replica);
        if !packet.is_for_node(replica.cluster_id, replica.me.node) {
            return Ok(None);
        }
        match relation(replica.epoch, packet.epoch) {
            Relation::Same => {}
            // A blank disk goes by the newest epoch that it has heard of.
            Relation::Newer if is_blank => replica.epoch = packet.epoch,
            Relation::Older | Relation::Foreign if is_blank => return Ok(None),
            _ => {
                let (to_disk, epoch) = (packet.to.disk, packet.epoch);
                self.meets_epoch(packet.from, to_disk, epoch).await?;
                return Ok(None);
            }
        }
        if !packet.is_for(replica.cluster_id, replica.me) {
            return Ok(None);
        }
        if is_blank && packet.epoch.number > 0 {
            replica.epoch = packet.epoch;
        }
        let PeerMessage {
            from,
            term,
            mut message,
            frames,
            ..
        } = packet;
        let Some(payload) = Payload::load(&mut message, frames) else {
            return Ok(None);
        };
        match message {
            Message::Fetch {
                from: first,
                upto_index,
            } => self.answer_fetch(from, first, upto_index).await?,
            Message::Fetched { committed, .. } => self.fetched(from, (payload, committed)).await?,
            Message::WantBase {
                base,
                digest,
                offset,
            } => self.answer_want(from, (base, digest, offset)),
            Message::BasePiece { base } => {
                let piece = payload.piece.expect("it was loaded");
                return self.base_piece(base, &piece).await;
            }
            Message::Install { .. } | Message::Expired { .. } => {
                let piece = payload.piece.expect("it was loaded");
                return self.base_offered((from, term), message, &piece).await;
            }
            message => return Ok(told((from, term), message, payload)),
        }
        Ok(None)
    }

    /// Sends a message, with what is to travel behind it.
    pub(super) fn send_peer(&mut self, to: ReplicaId, term: u64, message: Message, frames: Bytes) {
        let Some(peer) = self.replica.peers.get(&to.node) else {
            return;
        };
        let packet = PeerMessage {
            cluster_id: self.replica.cluster_id,
            from: self.replica.me,
            to,
            epoch: match self.store.base {
                Some(_) => self.replica.epoch,
                None => Epoch::default(),
            },
            term,
            message,
            frames,
        };
        self.broker.net.send(peer.peer, packet.encode());
    }

    /// Sends one to every other node, whatever its disk.
    pub(super) fn send_all(&mut self, message: &Message) {
        let (me, term) = (self.replica.me.node, self.replica.raft.term());
        let others: Vec<u64> = self.replica.peers.keys().copied().collect();
        for node in others.into_iter().filter(|node| *node != me) {
            let to = ReplicaId {
                node,
                disk: ANY_DISK,
            };
            self.send_peer(to, term, message.clone(), Bytes::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::seal;

    /// A frame that verifies: any sender can make its hash.
    fn frame(index: u64, term: u64, address: u64, previous_hash: u64) -> (u64, Vec<u8>) {
        let mut frame = vec![0; ENVELOPE_BYTES];
        let part = LogPart {
            kind: EntryKind::NoOp,
            index,
            term,
            address,
            record_bytes: 0,
            previous_hash,
            hash: 0,
        };
        let part = seal(&mut frame, part);
        (part.hash, frame)
    }

    fn parsed(numbers: [(u64, u64, u64); 2]) -> bool {
        let mut bytes = Vec::new();
        let mut hash = 0;
        for (index, term, address) in numbers {
            let (next, frame) = frame(index, term, address, hash);
            bytes.extend(frame);
            hash = next;
        }
        parse_frames(bytes.into()).is_some()
    }

    /// Two frames of the last index of all have no next one: that once overflowed.
    #[test]
    fn frames_of_numbers_that_no_log_has_are_none() {
        assert!(parsed([(7, 3, 100), (8, 3, 200)]));
        assert!(parsed([
            (NUMBER_MAX - 1, NUMBER_MAX, 1),
            (NUMBER_MAX, NUMBER_MAX, NUMBER_MAX)
        ]));
        assert!(!parsed([(u64::MAX, 3, 100), (0, 3, 200)]));
        assert!(!parsed([(u64::MAX, 3, 100), (u64::MAX, 3, 200)]));
        assert!(!parsed([(7, u64::MAX, 100), (8, u64::MAX, 200)]));
        assert!(!parsed([(7, 3, 100), (8, 3, u64::MAX)]));
    }
}
