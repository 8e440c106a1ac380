//! Followers that are behind: the entries that they lack are read from the log.
//!
//! Promise: no step reads much more than [`slice_bytes`](crate::broker::BrokerConfig) for
//! them. An append whose turn does not come is put off until the next step, and dropped once
//! the term has changed (rule 5 of [`crate::raft`]). Each follower has its appends in order.
//! What has expired by then is not sent. The answer to a question, for a tail or for lost entries,
//! is one message, and read at once.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use bytes::{Bytes, BytesMut};

use super::peer_messages::split_frame;
use super::view::ReplicaView;
use crate::broker::interruption::Interruption;
use crate::env::Env;
use crate::log::Batch;
use crate::raft::{Append, EntryId, Message, ReplicaId};
use crate::record::parse_sealed;

/// An append that a follower is to have, up to an entry.
#[derive(Debug)]
pub(super) struct Appending {
    pub(super) to: ReplicaId,
    pub(super) term: u64,
    pub(super) append: Append,
    pub(super) upto_index: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// Bytes of log files that were read for others in this step.
    read_bytes: u64,
    put_off: VecDeque<Appending>,
}

impl Behind {
    /// Appends wait for the next step.
    pub(super) fn has_more(&self) -> bool {
        !self.put_off.is_empty()
    }

    /// Whether the follower has an append that waits, which this one goes on behind. One
    /// that does not go on there takes the place of what waits: the core begins anew.
    fn joins(&mut self, appending: &Appending) -> bool {
        let of_it = |it: &&Appending| it.to == appending.to && it.term == appending.term;
        let last = self.put_off.iter().rfind(of_it);
        match last.map(|last| last.upto_index) {
            Some(upto_index) if upto_index == appending.append.prev.index => true,
            Some(_) => {
                self.put_off.retain(|it| it.to != appending.to);
                false
            }
            None => false,
        }
    }
}

impl<E: Env> ReplicaView<'_, E> {
    /// Sends what was put off, as far as the step has room for it, and begins the next
    /// step's.
    pub(super) async fn serve_those_behind(&mut self) -> Result<(), Interruption> {
        for appending in std::mem::take(&mut self.replica.behind.put_off) {
            if appending.term == self.replica.raft.term() {
                self.replicate(appending).await?;
            }
        }
        self.replica.behind.read_bytes = 0;
        Ok(())
    }

    /// Sends an append, in several messages where its entries do not fit one. Each is an
    /// append of its own, behind the last entry of the one before, and all are the same
    /// request: the core counts on all that it asked for being under way, and would
    /// find out otherwise one message and one round trip at a time.
    pub(super) async fn replicate(&mut self, mut appending: Appending) -> Result<(), Interruption> {
        if self.replica.behind.joins(&appending) {
            self.replica.behind.put_off.push_back(appending);
            return Ok(());
        }
        for _ in 0..self.broker.config.sizes.appends_at_once {
            let prev_index = appending.append.prev.index;
            let indices = prev_index + 1..=appending.upto_index;
            if self.is_put_off(&indices) {
                self.replica.behind.put_off.push_back(appending);
                return Ok(());
            }
            let frames = self.frames(indices).await?;
            let behind = left_behind(&frames, prev_index, appending.upto_index);
            let message = Message::Append(appending.append.clone());
            self.send_peer(appending.to, appending.term, message, frames);
            match behind {
                Some(last) => appending.append.prev = last,
                None => break,
            }
        }
        Ok(())
    }

    /// The entries would have to be read, and this step has read enough.
    fn is_put_off(&self, indices: &RangeInclusive<u64>) -> bool {
        let (from, upto) = (*indices.start(), *indices.end());
        self.replica.behind.read_bytes >= self.broker.config.slice_bytes
            && !indices.is_empty()
            && self.replica.recent.get(from, upto).is_none()
    }

    /// The frames of a run of entries, or of as many as fit a message: from
    /// memory where they are recent, otherwise from the log, verified (D28).
    pub(super) async fn frames(
        &mut self,
        indices: RangeInclusive<u64>,
    ) -> Result<Bytes, Interruption> {
        let (from, upto) = (*indices.start(), *indices.end());
        if indices.is_empty() {
            return Ok(Bytes::new());
        }
        // It has expired since it was wanted: an output may wait for a slice's turn, or for
        // the hard state. As if it were lost on its way: the core begins anew.
        if from < self.store.log.base().next_index {
            return Ok(Bytes::new());
        }
        let bytes_max = self.broker.config.bounds.peer_message_bytes;
        if let Some(recent) = self.replica.recent.get(from, upto) {
            return Ok(concat(recent, bytes_max));
        }
        // An entry that is not written yet is recent; what is read is.
        let log = &self.store.log;
        let batch = match self.replica.cursors.address_of(from) {
            Some(address) => log.read_batch(address, u64::MAX, bytes_max as u64).await,
            None => log.read_indices(from, upto + 1, bytes_max as u64).await,
        };
        match batch {
            Ok(batch) => {
                self.replica.behind.read_bytes += batch.read_bytes;
                let wanted = batch.entries.iter().take_while(|it| it.index <= upto);
                let bytes = concat(wanted.map(|entry| &entry.frame), bytes_max);
                // A frame that is lost on its way is asked for again.
                let first = batch
                    .entries
                    .first()
                    .map(|first| (first.index, first.address));
                for (index, address) in first.into_iter().chain(behind(&batch, bytes.len())) {
                    self.replica.cursors.leave(index, address);
                }
                Ok(bytes)
            }
            // As if they were lost on their way: they are asked for again.
            Err(failed) => self.broker.put_off(Err(failed)).map(|()| Bytes::new()),
        }
    }
}

/// The last entry of frames that begin behind `prev_index`, where they end before
/// `upto_index`. Their checksums are looked at only there: most appends fit a message.
fn left_behind(frames: &Bytes, prev_index: u64, upto_index: u64) -> Option<EntryId> {
    let mut rest = frames.clone();
    let (count, last) = std::iter::from_fn(|| split_frame(&mut rest))
        .fold((0, None), |(count, _), frame| (count + 1, Some(frame)));
    let last = last.filter(|_| prev_index + count < upto_index)?;
    let part = parse_sealed(&last).ok()?;
    Some(EntryId {
        term: part.term,
        index: part.index,
    })
}

/// Index and address of the entry behind the first so many bytes of a batch.
fn behind(batch: &Batch, bytes: usize) -> Option<(u64, u64)> {
    let mut taken = 0;
    for entry in &batch.entries {
        if taken == bytes {
            return Some((entry.index, entry.address));
        }
        taken += entry.frame.len();
    }
    let last = batch.entries.last()?;
    Some((last.index + 1, batch.next_address))
}

/// As many frames as fit one message; the first one goes however long it is.
fn concat<'a>(frames: impl Iterator<Item = &'a Bytes>, bytes_max: usize) -> Bytes {
    let mut bytes = BytesMut::new();
    for frame in frames {
        if !bytes.is_empty() && bytes.len() + frame.len() > bytes_max {
            break;
        }
        bytes.extend_from_slice(frame);
    }
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::{Append, Appending, Behind, EntryId, ReplicaId};

    /// Entries `from..=upto_index` for the replica on a node.
    fn appending(node: u64, from: u64, upto_index: u64) -> Appending {
        Appending {
            to: ReplicaId { node, disk: 1 },
            term: 3,
            append: Append {
                request: 1,
                prev: EntryId {
                    term: 3,
                    index: from - 1,
                },
                commit_index: 0,
                heads: Vec::new(),
            },
            upto_index,
        }
    }

    #[test]
    fn an_append_waits_behind_the_one_that_it_goes_on_from() {
        let mut behind = Behind::default();
        assert!(!behind.joins(&appending(1, 5, 9)), "nothing waits");
        behind.put_off.push_back(appending(1, 5, 9));
        assert!(behind.joins(&appending(1, 10, 12)));
        assert!(!behind.joins(&appending(2, 10, 12)), "another follower's");
        assert!(behind.has_more());
    }

    #[test]
    fn an_append_that_begins_anew_takes_the_place_of_what_waits() {
        let mut behind = Behind::default();
        behind
            .put_off
            .extend([appending(1, 5, 9), appending(2, 7, 8), appending(1, 10, 12)]);
        assert!(!behind.joins(&appending(1, 5, 6)));
        let left: Vec<u64> = behind.put_off.iter().map(|it| it.to.node).collect();
        assert_eq!(left, [2]);
    }
}
