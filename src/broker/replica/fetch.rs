//! Filling a hole in the log from other replicas (D12): by the identity that
//! the chain gives it, from any of them, no leader needed.

use bytes::Bytes;

use super::packets::Cargo;
use crate::broker::error::StoreError;
use crate::broker::server::{Broker, Serving};
use crate::env::Env;
use crate::log::{Hole, RepairError};
use crate::raft::{EntryId, Message, ReplicaId};

/// Pause between two rounds of asking.
const ASK_AGAIN_NS: u64 = 200_000_000;

/// What came so far of a hole's entries.
#[derive(Debug)]
pub(in crate::broker) struct Fetching {
    hole: Hole,
    frames: Vec<Bytes>,
    /// The entry before the next one wanted: index and hash.
    at: (u64, u64),
    ask_at_ns: u64,
}

/// What an answer brought.
enum Took {
    Nothing,
    Some,
    /// The hole can be filled now.
    TheLast,
}

impl Fetching {
    pub(super) fn new(hole: Hole) -> Self {
        Self {
            at: (hole.from.next_index - 1, hole.from.hash),
            hole,
            frames: Vec::new(),
            ask_at_ns: 0,
        }
    }

    /// When the peers are asked again.
    pub(in crate::broker) fn ask_at_ns(&self) -> u64 {
        self.ask_at_ns
    }

    /// Takes what continues the chain.
    fn take(&mut self, cargo: &Cargo) -> Took {
        let before = self.frames.len();
        for (part, frame) in &cargo.frames {
            let (index, hash) = self.at;
            let wanted = part.index == index + 1 && part.previous_hash == hash;
            if wanted && part.index < self.hole.upto.next_index {
                self.at = (part.index, part.hash);
                self.frames.push(frame.clone());
            }
        }
        if self.at == (self.hole.upto.next_index - 1, self.hole.upto.hash) {
            Took::TheLast
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

impl<E: Env> Broker<E> {
    /// Asks every peer for what is missing, when it is time.
    pub(in crate::broker) fn fetch(&mut self, serving: &mut Serving<E>) {
        let now_ns = self.env.now_ns();
        let Some(fetching) = serving
            .replica
            .as_mut()
            .and_then(|replica| replica.fetching.as_mut())
        else {
            return;
        };
        if fetching.ask_at_ns > now_ns {
            return;
        }
        fetching.ask_at_ns = now_ns + ASK_AGAIN_NS;
        let message = fetching.question();
        self.send_all(serving, &message);
    }

    /// Sends a peer the entries that it lacks, as far as this log has them.
    pub(super) async fn answer_fetch(
        &mut self,
        serving: &mut Serving<E>,
        to: ReplicaId,
        from: EntryId,
        upto_index: u64,
    ) -> Result<(), StoreError> {
        let log = &serving.store.log;
        let hole = log.first_hole().map(|hole| hole.from.next_index);
        let end = hole.unwrap_or(log.flushed().next_index);
        if from.index < log.base().next_index || from.index >= end {
            return Ok(());
        }
        let frames = self
            .frames(serving, from.index..=upto_index.min(end - 1))
            .await?;
        let replica = serving.replica.as_ref().expect("only replicas have peers");
        let term = replica.raft.term();
        self.send_peer(serving, to, term, Message::Fetched { from }, frames);
        Ok(())
    }

    /// Entries for the hole: once they are all there, it is filled, and the
    /// store is opened again to apply what it hid.
    pub(super) async fn fetched(
        &mut self,
        serving: &mut Serving<E>,
        from: ReplicaId,
        cargo: Cargo,
    ) -> Result<(), StoreError> {
        let replica = serving.replica.as_mut().expect("only replicas have peers");
        let Some(fetching) = replica.fetching.as_mut() else {
            return Ok(());
        };
        match fetching.take(&cargo) {
            Took::TheLast => {}
            // Whoever has these has more, maybe. Who brought nothing is asked
            // again when everybody is.
            Took::Some => {
                let (question, term) = (fetching.question(), replica.raft.term());
                self.send_peer(serving, from, term, question, Bytes::new());
                return Ok(());
            }
            Took::Nothing => return Ok(()),
        }
        let (hole, frames) = (fetching.hole, std::mem::take(&mut fetching.frames));
        *fetching = Fetching::new(hole);
        fetching.ask_at_ns = self.env.now_ns() + ASK_AGAIN_NS;
        if let Some(job) = serving.job.take() {
            serving.store.log.job_done(job.await)?;
        }
        match serving.store.log.repair(hole, &frames).await {
            Ok(()) => Err(StoreError::Repaired {
                address: hole.from.address,
            }),
            Err(RepairError::Log(error)) => Err(error.into()),
            // More has gone bad meanwhile: opening finds all of it.
            Err(RepairError::Damaged { address }) => Err(StoreError::Damaged { address }),
            Err(RepairError::Aside(source)) => Err(StoreError::Io {
                doing: "writing a repaired segment",
                source,
            }),
            // Of other entries than those that stood there: asked for again.
            Err(_) => Ok(()),
        }
    }
}
