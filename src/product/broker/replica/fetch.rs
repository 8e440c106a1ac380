//! Filling a hole in the log from other replicas (D12): by the identity that
//! the chain gives it, from any of them, no leader needed.
//!
//! ```text
//!   hole ─▶ everyone is asked ─┬─ its entries came ─▶ filled
//!                              ├─ they have expired: a base came that stands for
//!                              │  them ─▶ stored, the log begins behind it
//!                              └─ another entry is committed in it or below:
//!                                 what stands behind it never was ─▶ uncertain, cut
//! ```
//!
//! A replica with a hole applies nothing behind it, so nothing expires there; with
//! the others it does, and they cannot send what they do not have any more
//! (reports/findings/026-a-hole-in-what-has-expired.md).
//!
//! A hole in entries that nobody else has (a leader wrote them while it was cut
//! off) would otherwise be asked for for ever
//! (reports/findings/024-a-hole-that-nobody-can-fill.md).

use bytes::Bytes;

use super::peer_messages::Payload;
use super::saving::{load, load_or_begin_anew, save};
use super::view::ReplicaView;
use crate::broker::error::StoreError;
use crate::broker::interruption::{Interruption, Renewal};
use crate::env::{Disk, Env};
use crate::log::{Hole, RepairError};
use crate::raft::{EntryId, HardState, Message, ReplicaId};
use crate::record::LogPart;

/// Pause between two rounds of asking.
const ASK_AGAIN_NS: u64 = 200_000_000;

/// The entries of a hole that came so far.
#[derive(Debug)]
pub(in crate::broker) struct Fetching {
    hole: Hole,
    frames: Vec<Bytes>,
    /// The entry before the next one wanted: index and hash.
    at: (u64, u64),
    ask_at_ns: u64,
}

/// The use of an answer.
enum Took {
    Nothing,
    Some,
    /// The hole can be filled now.
    TheLast,
}

impl Fetching {
    /// The entries that are asked for: the first, and one past the last.
    pub(super) fn wanted(&self) -> (u64, u64) {
        (self.hole.from.next_index, self.hole.upto.next_index)
    }

    pub(super) fn new(hole: Hole) -> Self {
        Self {
            at: (hole.from.next_index - 1, hole.from.hash),
            hole,
            frames: Vec::new(),
            ask_at_ns: 0,
        }
    }

    /// The first index that is missing.
    pub(super) fn first_missing(&self) -> u64 {
        self.hole.from.next_index
    }

    /// When the peers are asked again.
    pub(in crate::broker) fn ask_at_ns(&self) -> u64 {
        self.ask_at_ns
    }

    /// Takes what continues the chain.
    fn take(&mut self, payload: &Payload) -> Took {
        let before = self.frames.len();
        for (part, frame) in &payload.frames {
            let (index, hash) = self.at;
            let wanted = part.index == index + 1 && part.previous_hash == hash;
            if wanted && part.index < self.hole.upto.next_index {
                self.at = (part.index, part.hash);
                self.frames.push(frame.clone());
            }
        }
        if self.at == (self.hole.upto.next_index - 1, self.hole.upto.hash) {
            Took::TheLast
        } else if self.at.0 + 1 == self.hole.upto.next_index {
            // It leads elsewhere; somebody else may have the right ones.
            let ask_at_ns = self.ask_at_ns;
            *self = Self::new(self.hole);
            self.ask_at_ns = ask_at_ns;
            Took::Nothing
        } else if self.frames.len() > before {
            Took::Some
        } else {
            Took::Nothing
        }
    }

    fn question(&self) -> Message {
        Message::Fetch {
            from: EntryId {
                term: 0,
                index: self.at.0 + 1,
            },
            upto_index: self.hole.upto.next_index - 1,
        }
    }
}

/// Whether what a peer holds shows that nothing behind the hole was ever
/// committed: at an index in the hole or below, another entry is.
///
/// `own_term`: of the entry at an index, in the log that has the hole. `frames`:
/// consecutive entries of the peer's log.
fn is_superseded(
    hole: &Hole,
    own_term: impl Fn(u64) -> Option<u64>,
    frames: &[LogPart],
    committed: EntryId,
) -> bool {
    let last_index = hole.upto.next_index - 1;
    let term_differs = if committed.index < hole.from.next_index {
        own_term(committed.index).is_some_and(|own| own != committed.term)
    } else {
        // Terms ascend: no entry in the hole has a higher one.
        committed.index <= last_index && committed.term > hole.upto.term
    };
    let frame_differs = frames.iter().any(|part| {
        let parts_below = part.index == hole.from.next_index
            && part.index <= committed.index + 1
            && part.previous_hash != hole.from.hash;
        let ends_otherwise = part.index == last_index
            && part.index <= committed.index
            && part.hash != hole.upto.hash;
        parts_below || ends_otherwise
    });
    // Terms never fall along a log: a base has taken the place of what was before
    // the hole, and what is behind never followed it.
    let parts_here = hole.from.term > hole.upto.term;
    parts_here || committed != EntryId::ZERO && (term_differs || frame_differs)
}

/// One past the last entry that can be read from `index` on without a gap; `index`
/// itself where it cannot.
fn readable_end(holes: &[Hole], index: u64, end_index: u64) -> u64 {
    let behind = |hole: &&Hole| index < hole.upto.next_index;
    let next = holes.iter().find(behind);
    next.map_or(end_index, |hole| hole.from.next_index.max(index))
}

/// The hard state; `sync`: whether it has to be there.
async fn stored<D: Disk>(disk: &D, sync: bool) -> Result<HardState, StoreError> {
    match sync {
        true => load(disk).await,
        false => load_or_begin_anew(disk).await,
    }
}

/// A replica with a hole follows nobody, and may not have heard of the term of what it is
/// given: no entry is taken of a later term than the one that is stored (D1).
async fn reach_term<D: Disk>(disk: D, term: u64, sync: bool) -> Result<(), StoreError> {
    let hard = stored(&disk, sync).await?;
    if hard.term < term {
        save(disk, hard.in_term(term), sync).await?;
    }
    Ok(())
}

impl<E: Env> ReplicaView<'_, E> {
    /// Asks every peer for what is missing, when it is time.
    pub(super) fn fetch(&mut self) {
        let now_ns = self.broker.env.now_ns();
        let Some(fetching) = &mut self.replica.fetching else {
            return;
        };
        if fetching.ask_at_ns > now_ns {
            return;
        }
        fetching.ask_at_ns = now_ns + ASK_AGAIN_NS;
        let message = fetching.question();
        self.send_all(&message);
    }

    /// Sends a peer the entries that it lacks, as far as this log has them, and
    /// says what is committed.
    pub(super) async fn answer_fetch(
        &mut self,
        to: ReplicaId,
        from: EntryId,
        upto_index: u64,
    ) -> Result<(), Interruption> {
        if from.index < self.store.log.base().next_index {
            self.answer_expired(to);
            return Ok(());
        }
        let log = &self.store.log;
        let end = readable_end(log.holes(), from.index, log.flushed().next_index);
        let has_it = from.index < end;
        let frames = match has_it {
            true => self.frames(from.index..=upto_index.min(end - 1)).await?,
            false => Bytes::new(),
        };
        let (term, index) = (self.replica.raft.term(), self.replica.raft.commit_index());
        let committed = self.store.log.term_at(index);
        let committed = committed.map_or(EntryId::ZERO, |term| EntryId { term, index });
        let message = Message::Fetched { from, committed };
        self.send_peer(to, term, message, frames);
        Ok(())
    }

    /// Entries for the hole, and what is committed: once they are all there, it is
    /// filled, and the store is opened again to apply what it hid; where others are
    /// committed, it is given up.
    pub(super) async fn fetched(
        &mut self,
        from: ReplicaId,
        (payload, committed): (Payload, EntryId),
    ) -> Result<(), Interruption> {
        let Some(fetching) = self.replica.fetching.as_mut() else {
            return Ok(());
        };
        let parts: Vec<LogPart> = payload.frames.iter().map(|(part, _)| *part).collect();
        let log = &self.store.log;
        if is_superseded(
            &fetching.hole,
            |index| log.term_at(index),
            &parts,
            committed,
        ) {
            let hole = fetching.hole;
            return self.give_up_hole(hole).await;
        }
        match fetching.take(&payload) {
            Took::TheLast => {}
            // A peer that has these may have more. One that brought nothing is asked
            // again when everybody is.
            Took::Some => {
                let (question, term) = (fetching.question(), self.replica.raft.term());
                self.send_peer(from, term, question, Bytes::new());
                return Ok(());
            }
            Took::Nothing => return Ok(()),
        }
        let (hole, frames) = (fetching.hole, std::mem::take(&mut fetching.frames));
        *fetching = Fetching::new(hole);
        fetching.ask_at_ns = self.broker.env.now_ns() + ASK_AGAIN_NS;
        if let Some(job) = self.job.take() {
            self.store.log.job_done(job.await)?;
        }
        self.replica.saved().await?;
        match self.store.log.repair(hole, &frames).await {
            Ok(()) => Err(Renewal::Repaired {
                address: hole.from.address,
            }
            .into()),
            Err(RepairError::Log(error)) => Err(error.into()),
            // More has gone bad meanwhile: opening finds all of it.
            Err(RepairError::Damaged { address }) => Err(Renewal::Damaged { address }.into()),
            Err(RepairError::AtomicFile(source)) => Err(StoreError::Io {
                doing: "writing a repaired segment",
                source,
            }
            .into()),
            // Of other entries than those that stood there: asked for again.
            Err(_) => Ok(()),
        }
    }

    /// Sends a peer what stands for the entries that it lacks.
    fn answer_expired(&mut self, to: ReplicaId) {
        let (term, base) = (self.replica.raft.term(), self.store.base().id());
        let message = Message::Expired { base };
        let piece = self.first_piece();
        self.send_peer(to, term, message, piece);
    }

    /// A base, for the hole is in what has expired elsewhere. All that it stands for is
    /// committed, so it may take the place of the hole, whatever its sender; the entries
    /// that follow it in this log stay, and the rest of the hole is asked for.
    pub(super) async fn expired_there(&mut self, payload: &Payload) -> Result<(), Interruption> {
        let hole = self.replica.fetching.as_ref().map(|fetching| fetching.hole);
        match (hole, &payload.base) {
            (Some(hole), Some(base)) if base.0.position.next_index > hole.from.next_index => {
                self.replica.saved().await?;
                let sync = self.replica.hard_state_sync;
                reach_term(self.broker.env.disk(), base.0.id().term, sync).await?;
                self.install(base).await
            }
            _ => Ok(()),
        }
    }

    /// Cuts the log where the hole begins. The entries in the hole may have been
    /// acknowledged: until others have said what is there, this replica is uncertain about
    /// them.
    async fn give_up_hole(&mut self, hole: Hole) -> Result<(), Interruption> {
        if let Some(job) = self.job.take() {
            self.store.log.job_done(job.await)?;
        }
        self.replica.saved().await?;
        let (disk, sync) = (self.broker.env.disk(), self.replica.hard_state_sync);
        let hard = stored(&disk, sync).await?;
        let hard = hard.is_uncertain(hole.from.next_index, hole.from.address);
        save(disk, hard, sync).await?;
        self.store.log.truncate(hole.from.address).await?;
        Err(Renewal::Superseded {
            address: hole.from.address,
        }
        .into())
    }
}

#[cfg(test)]
mod tests {
    use super::{EntryId, Hole, LogPart, is_superseded, readable_end};
    use crate::log::Position;
    use crate::record::EntryKind;

    /// Entries 5 and 6 are damaged; 1 to 4 are of term 1, 5 to 8 of term 3 at most.
    fn is_given_up(frames: &[LogPart], committed: (u64, u64)) -> bool {
        let at = |next_index, hash| Position {
            next_index,
            hash,
            term: 3,
            ..Position::START
        };
        let hole = Hole {
            from: at(5, 44),
            upto: at(7, 66),
        };
        let own_term = |index| match index {
            1..=4 => Some(1),
            7 | 8 => Some(3),
            _ => None,
        };
        let (term, index) = committed;
        is_superseded(&hole, own_term, frames, EntryId { term, index })
    }

    fn part(index: u64, previous_hash: u64, hash: u64) -> LogPart {
        LogPart {
            kind: EntryKind::Message,
            index,
            term: 3,
            address: 0,
            record_bytes: 0,
            previous_hash,
            hash,
        }
    }

    #[test]
    fn entries_are_sent_from_between_holes() {
        let at = |next_index| Position {
            next_index,
            ..Position::START
        };
        let hole = |from, upto| Hole {
            from: at(from),
            upto: at(upto),
        };
        let holes = [hole(5, 7), hole(9, 10)];
        let ends = [4, 5, 6, 7, 8, 9, 10, 11].map(|index| readable_end(&holes, index, 12));
        assert_eq!(ends, [5, 5, 6, 9, 9, 9, 12, 12]);
    }

    #[test]
    fn an_entry_behind_a_base_and_of_an_earlier_term_never_followed_it() {
        let at = |next_index, term| Position {
            next_index,
            term,
            ..Position::START
        };
        let hole = Hole {
            from: at(5, 6),
            upto: at(7, 3),
        };
        assert!(is_superseded(&hole, |_| None, &[], EntryId::ZERO));
    }

    #[test]
    fn a_hole_stays_while_its_entries_may_be_committed() {
        for committed in [(0, 0), (1, 4), (3, 5), (2, 6), (9, 8), (9, 20)] {
            assert!(!is_given_up(&[], committed), "{committed:?}");
        }
        let right = [part(5, 44, 55), part(6, 55, 66)];
        assert!(!is_given_up(&right, (9, 20)));
        let uncommitted = [part(5, 43, 55), part(6, 55, 65)];
        assert!(!is_given_up(&uncommitted, (1, 3)), "of the peer alone");
    }

    #[test]
    fn another_entry_that_is_committed_in_it_or_below_ends_the_wait() {
        assert!(is_given_up(&[], (2, 4)), "below");
        assert!(is_given_up(&[], (4, 5)), "in it");
        assert!(
            is_given_up(&[part(5, 43, 55)], (9, 20)),
            "it follows another"
        );
        assert!(is_given_up(&[part(5, 44, 54), part(6, 54, 65)], (9, 20)));
    }
}
