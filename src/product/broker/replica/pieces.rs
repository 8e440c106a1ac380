//! A base in pieces (D8): it is as large as the state is, and no message is.
//!
//! ```text
//!   offers (Install, Expired) ─── with the first piece ──▶ begun, or known
//!            ◀── WantBase: which base, from which byte ──── as each piece came,
//!            ─── BasePiece ──▶ checked, in order             and after a while
//!                                  ⋮
//!                      whole, its digest right ──▶ as if the offer had come now,
//!                                                  with all of the base behind it
//! ```
//!
//! Promise: nothing is installed that is not whole, byte for byte the base that
//! was offered; until then nothing has changed here. A piece counts only of the
//! base that is under way (its entry, its digest) and only where the last one
//! ended, so one that is late, repeated or another transfer's does nothing. The
//! transfer belongs to the base and not to its sender: who offers the same base
//! goes on with it, as the leader after the one that began. An offer of a later
//! term takes its place; so does any, once nothing more has come for a while.
//!
//! Memory: [`BASE_BYTES_MAX`] at most, and no more than has come.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::peer_messages::{Payload, Told, told};
use super::view::ReplicaView;
use crate::broker::base::Base;
use crate::broker::interruption::Interruption;
use crate::env::{Env, Notice};
use crate::raft::{EntryId, Message, ReplicaId};

/// Longest base that is sent or taken, bytes.
pub(in crate::broker) const BASE_BYTES_MAX: u64 = 512 << 20;
/// Pause before a piece that did not come is asked for again.
const ASK_AGAIN_NS: u64 = 200_000_000;
/// A transfer of which nothing came for so long gives way to any other.
const STALLED_NS: u64 = 2_000_000_000;
/// One of which nothing came for so long is given up.
const GIVEN_UP_NS: u64 = 20_000_000_000;
/// The header before a piece's bytes: total, digest, offset, checksum of it all.
const HEAD_BYTES: usize = 32;

/// A base in the form in which it is sent.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: Bytes,
    digest: u64,
}

impl Outgoing {
    pub(super) fn new(bytes: Bytes) -> Self {
        let digest = xxh3_64(&bytes);
        Self { bytes, digest }
    }

    /// All of it; `None` of a disk that has no base yet.
    pub(super) fn whole(&self) -> Option<Bytes> {
        (!self.bytes.is_empty()).then(|| self.bytes.clone())
    }

    /// The piece that begins at `offset`; an empty one beyond the end.
    fn piece(&self, offset: u64, bytes_max: usize) -> Piece {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let from = from.min(self.bytes.len());
        let upto = from.saturating_add(bytes_max.max(1)).min(self.bytes.len());
        Piece {
            total_bytes: self.bytes.len() as u64,
            digest: self.digest,
            offset: from as u64,
            bytes: self.bytes.slice(from..upto),
        }
    }
}

/// A part of a base, and what it is a part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    total_bytes: u64,
    /// Of the whole base.
    digest: u64,
    offset: u64,
    bytes: Bytes,
}

impl Piece {
    fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(HEAD_BYTES + self.bytes.len());
        out.put_u64(self.total_bytes);
        out.put_u64(self.digest);
        out.put_u64(self.offset);
        out.put_u64(self.checksum());
        out.put_slice(&self.bytes);
        out.freeze()
    }

    /// Of the bytes, and of what they are said to be.
    fn checksum(&self) -> u64 {
        let head = self.total_bytes ^ self.digest.rotate_left(21) ^ self.offset.rotate_left(42);
        xxh3_64_with_seed(&self.bytes, head)
    }

    /// `None` for what does not verify, is longer than any base, or lies outside
    /// its own.
    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        let total_bytes = bytes.try_get_u64().ok()?;
        let digest = bytes.try_get_u64().ok()?;
        let offset = bytes.try_get_u64().ok()?;
        let checksum = bytes.try_get_u64().ok()?;
        let end = offset.checked_add(bytes.len() as u64)?;
        let piece = Self {
            total_bytes,
            digest,
            offset,
            bytes,
        };
        let is_whole = total_bytes <= BASE_BYTES_MAX
            && end <= total_bytes
            && !piece.bytes.is_empty()
            && piece.checksum() == checksum;
        is_whole.then_some(piece)
    }
}

/// An offer: what is to be done with the base once it is whole.
#[derive(Debug)]
struct Offer {
    from: ReplicaId,
    term: u64,
    message: Message,
}

/// A base that is under way to this replica.
#[derive(Debug)]
pub(in crate::broker) struct Incoming {
    base: EntryId,
    total_bytes: u64,
    digest: u64,
    offer: Offer,
    /// From the beginning, without a gap.
    bytes: BytesMut,
    /// Once it is whole and verified.
    whole: Option<(Base, Bytes)>,
    ask_at_ns: u64,
    came_ns: u64,
}

impl Incoming {
    fn new(base: EntryId, piece: &Piece, offer: Offer, now_ns: u64) -> Self {
        Self {
            base,
            total_bytes: piece.total_bytes,
            digest: piece.digest,
            offer,
            bytes: BytesMut::new(),
            whole: None,
            ask_at_ns: now_ns,
            came_ns: now_ns,
        }
    }

    fn is_of(&self, base: EntryId, piece: &Piece) -> bool {
        self.base == base && self.digest == piece.digest && self.total_bytes == piece.total_bytes
    }

    /// Whether an offer of another base may take its place.
    fn gives_way(&self, offer: &Offer, now_ns: u64) -> bool {
        let newer = offer.term > self.offer.term;
        let own = offer.from == self.offer.from && offer.term == self.offer.term;
        newer || own || now_ns >= self.came_ns.saturating_add(STALLED_NS)
    }

    /// Takes a piece that continues it.
    fn take(&mut self, piece: &Piece, now_ns: u64) -> bool {
        let continues = piece.offset == self.bytes.len() as u64 && self.whole.is_none();
        if continues {
            self.bytes.extend_from_slice(&piece.bytes);
            self.came_ns = now_ns;
        }
        continues
    }

    fn has_come(&self) -> bool {
        self.whole.is_some() || self.bytes.len() as u64 == self.total_bytes
    }

    /// The base, once all of it has come; the error says why it is none.
    fn finish(&mut self) -> Result<&(Base, Bytes), String> {
        if self.whole.is_none() {
            let bytes = std::mem::take(&mut self.bytes).freeze();
            if xxh3_64(&bytes) != self.digest {
                return Err("its digest is another one".to_owned());
            }
            let base = Base::decode_of_replica(&bytes)?;
            if base.id() != self.base {
                return Err(format!("it is that of entry {}", base.id()));
            }
            self.whole = Some((base, bytes));
        }
        Ok(self.whole.as_ref().expect("it is whole"))
    }

    /// When the next piece is to be asked for again; `None` where none is missing.
    pub(super) fn ask_at_ns(&self) -> Option<u64> {
        (!self.has_come()).then_some(self.ask_at_ns)
    }
}

impl<E: Env> ReplicaView<'_, E> {
    /// The first piece of this replica's base, for an offer of it.
    pub(super) fn first_piece(&self) -> Bytes {
        self.piece_of_base(0).encode()
    }

    fn piece_of_base(&self, offset: u64) -> Piece {
        let bytes_max = self.broker.config.bounds.peer_message_bytes;
        self.replica.base.piece(offset, bytes_max)
    }

    /// Sends a piece of this replica's base, if it still is the one that is wanted.
    pub(super) fn answer_want(
        &mut self,
        to: ReplicaId,
        (base, digest, offset): (EntryId, u64, u64),
    ) {
        let term = self.replica.raft.term();
        let is_mine = self.store.base.as_ref().map(Base::id) == Some(base)
            && self.replica.base.digest == digest
            && offset < self.replica.base.bytes.len() as u64;
        if is_mine {
            let piece = self.piece_of_base(offset).encode();
            let message = Message::BasePiece { base };
            self.send_peer(to, term, message, piece);
        }
    }

    /// A base is offered: its first piece came with the offer. The core is told of the
    /// offer alone, where it does not need the base.
    pub(super) async fn base_offered(
        &mut self,
        (from, term): (ReplicaId, u64),
        message: Message,
        piece: &Piece,
    ) -> Result<Told, Interruption> {
        let now_ns = self.broker.env.now_ns();
        let base = match &message {
            Message::Install { base, .. } if !self.replica.wants_base(*base, term) => {
                return Ok(told((from, term), message, Payload::default()));
            }
            Message::Expired { base } if !self.replica.lost_before(*base) => return Ok(None),
            Message::Install { base, .. } | Message::Expired { base } => *base,
            _ => unreachable!("only these offer a base"),
        };
        let offer = Offer {
            from,
            term,
            message,
        };
        match &mut self.replica.incoming {
            Some(incoming) if incoming.is_of(base, piece) => {
                if offer.term >= incoming.offer.term {
                    incoming.offer = offer;
                }
            }
            Some(incoming) if !incoming.gives_way(&offer, now_ns) => return Ok(None),
            _ => self.replica.incoming = Some(Incoming::new(base, piece, offer, now_ns)),
        }
        self.base_piece(base, piece).await
    }

    /// A piece came. Once the base is whole, what it was offered for is done; until
    /// then the next piece is asked for.
    pub(super) async fn base_piece(
        &mut self,
        base: EntryId,
        piece: &Piece,
    ) -> Result<Told, Interruption> {
        let now_ns = self.broker.env.now_ns();
        let Some(incoming) = &mut self.replica.incoming else {
            return Ok(None);
        };
        if !incoming.is_of(base, piece) {
            return Ok(None);
        }
        let took = incoming.take(piece, now_ns);
        if incoming.has_come() {
            return self.base_has_come().await;
        }
        if took {
            incoming.ask_at_ns = now_ns;
            self.ask_for_base();
        }
        Ok(None)
    }

    /// Does what the base was offered for, once it has come. The core may not be ready for
    /// it (its term is not durable yet): then it stays here.
    pub(super) async fn base_has_come(&mut self) -> Result<Told, Interruption> {
        let incoming = self.replica.incoming.as_ref();
        let Some(incoming) = incoming.filter(|it| it.has_come()) else {
            return Ok(None);
        };
        let Offer {
            from,
            term,
            message,
        } = &incoming.offer;
        let (from, term, message, base) = (*from, *term, message.clone(), incoming.base);
        if matches!(message, Message::Install { .. }) && !self.replica.wants_base(base, term) {
            if !self.replica.raft.lacks(base) {
                self.replica.incoming = None;
            }
            return Ok(None);
        }
        let Some(incoming) = &mut self.replica.incoming else {
            return Ok(None);
        };
        let whole = match incoming.finish() {
            Ok(whole) => whole.clone(),
            Err(why) => {
                self.replica.incoming = None;
                let node = from.node;
                self.broker.env.report(Notice::BaseRefused { node, why });
                return Ok(None);
            }
        };
        let payload = Payload {
            base: Some(whole),
            ..Payload::default()
        };
        if matches!(message, Message::Expired { .. }) {
            self.expired_there(&payload).await?;
            Ok(None)
        } else {
            Ok(told((from, term), message, payload))
        }
    }

    /// Asks for the piece that is missing, when it is time.
    pub(super) fn ask_for_base(&mut self) {
        let now_ns = self.broker.env.now_ns();
        let Some(incoming) = &mut self.replica.incoming else {
            return;
        };
        if now_ns >= incoming.came_ns.saturating_add(GIVEN_UP_NS) {
            self.replica.incoming = None;
            return;
        }
        if incoming
            .ask_at_ns()
            .is_none_or(|ask_at_ns| ask_at_ns > now_ns)
        {
            return;
        }
        incoming.ask_at_ns = now_ns + ASK_AGAIN_NS;
        let message = Message::WantBase {
            base: incoming.base,
            digest: incoming.digest,
            offset: incoming.bytes.len() as u64,
        };
        let (to, term) = (incoming.offer.from, self.replica.raft.term());
        self.send_peer(to, term, message, Bytes::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::state::AppliedState;
    use crate::log::Position;
    use crate::raft::Configuration;

    const FROM: ReplicaId = ReplicaId { node: 1, disk: 9 };

    fn base(index: u64) -> Base {
        let state = AppliedState {
            configuration: Some(Configuration::of_voters([FROM])),
            ..AppliedState::default()
        };
        let position = Position {
            next_index: index + 1,
            term: 3,
            address: 700,
            hash: 5,
        };
        Base { position, state }
    }

    fn offer(from: ReplicaId, term: u64) -> Offer {
        let base = EntryId::ZERO;
        Offer {
            from,
            term,
            message: Message::Expired { base },
        }
    }

    fn begun(base: &Base, outgoing: &Outgoing) -> Incoming {
        Incoming::new(base.id(), &outgoing.piece(0, 7), offer(FROM, 3), 0)
    }

    #[test]
    fn pieces_come_back_and_what_lies_outside_its_base_is_none() {
        let outgoing = Outgoing::new(Bytes::from_static(b"a base of some length"));
        for offset in [0, 7, 14] {
            let piece = outgoing.piece(offset, 7);
            assert_eq!((piece.offset, piece.bytes.len()), (offset, 7));
            assert_eq!(Piece::decode(piece.encode()), Some(piece.clone()));
            let beyond = |change: fn(&mut Piece)| {
                let mut piece = piece.clone();
                change(&mut piece);
                Piece::decode(piece.encode())
            };
            assert_eq!(beyond(|piece| piece.offset = 15), None);
            assert_eq!(beyond(|piece| piece.offset = u64::MAX), None);
            assert_eq!(beyond(|piece| piece.total_bytes = piece.offset + 6), None);
            assert_eq!(beyond(|piece| piece.total_bytes = BASE_BYTES_MAX + 1), None);
            assert!(beyond(|piece| piece.total_bytes = BASE_BYTES_MAX).is_some());
            for at in 0..piece.encode().len() {
                let mut bytes = BytesMut::from(&piece.encode()[..]);
                bytes[at] ^= 1;
                assert_eq!(Piece::decode(bytes.freeze()), None, "bit 0 of byte {at}");
            }
        }
        assert_eq!(Piece::decode(outgoing.piece(21, 7).encode()), None, "empty");
        assert!(outgoing.piece(u64::MAX, usize::MAX).bytes.is_empty());
    }

    #[test]
    fn a_base_is_whole_when_each_piece_came_in_its_place() {
        let base = base(8);
        let outgoing = Outgoing::new(base.encode().into());
        let mut incoming = begun(&base, &outgoing);
        let other = Outgoing::new(Bytes::from_static(b"another"));
        assert!(!incoming.is_of(base.id(), &other.piece(0, 7)));
        let mut offset = 0;
        while !incoming.has_come() {
            let piece = outgoing.piece(offset, 7);
            assert!(incoming.is_of(base.id(), &piece));
            assert!(!incoming.take(&outgoing.piece(offset + 7, 7), 0), "early");
            assert!(incoming.take(&piece, 0));
            assert!(!incoming.take(&piece, 0), "again");
            offset += 7;
        }
        assert_eq!(incoming.finish().map(|whole| &whole.0), Ok(&base));
        assert!(incoming.has_come() && incoming.ask_at_ns().is_none());
        assert!(!incoming.take(&outgoing.piece(0, 7), 0), "late");
    }

    #[test]
    fn pieces_that_make_another_base_make_none() {
        let (said, sent) = (base(8), base(9));
        let outgoing = Outgoing::new(sent.encode().into());
        let mut incoming = begun(&said, &outgoing);
        assert!(incoming.take(&outgoing.piece(0, usize::MAX), 0));
        assert!(incoming.finish().is_err());
        let mut incoming = begun(&said, &outgoing);
        let long = outgoing.piece(0, usize::MAX);
        let garbled = Piece {
            bytes: vec![b' '; long.bytes.len()].into(),
            ..long
        };
        assert!(incoming.take(&garbled, 0));
        assert!(incoming.finish().is_err());
    }

    #[test]
    fn a_transfer_gives_way_to_a_later_term_its_own_sender_and_time() {
        let outgoing = Outgoing::new(base(8).encode().into());
        let incoming = begun(&base(8), &outgoing);
        let other = ReplicaId { node: 2, disk: 8 };
        assert!(incoming.gives_way(&offer(other, 4), 0), "a later leader");
        assert!(incoming.gives_way(&offer(FROM, 3), 0), "its base moved on");
        assert!(!incoming.gives_way(&offer(other, 3), STALLED_NS - 1));
        assert!(!incoming.gives_way(&offer(FROM, 2), STALLED_NS - 1), "late");
        assert!(incoming.gives_way(&offer(other, 2), STALLED_NS));
    }
}
