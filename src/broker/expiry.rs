//! What is older than the retention goes: decided once, by the leader, as an
//! entry of the log (D30); done by each replica for itself.
//!
//! ```text
//!   base ───────── expired ──────────────── applied ─── end
//!    │  folded into   │                        │
//!    │  the new base  │ every unexpired record is here (D8)
//!    └ stored first, then segments wholly below go
//! ```

use super::base::Base;
use super::config::Replication;
use super::entries::{BadEntry, Expire, OffsetCommit, TopicConfig};
use super::error::StoreError;
use super::producers::{Origin, Stored};
use super::server::{Broker, Serving};
use super::state::AppliedState;
use super::store::Store;
use super::transactions::Effect;
use crate::env::{Disk, Env};
use crate::log::{Entry, Position};
use crate::raft::{Configuration, Input};
use crate::record::{EntryKind, Message};

/// Bytes of the log that are looked at in one step.
const STEP_BYTES: u64 = 1 << 20;

impl<E: Env> Broker<E> {
    /// The leader decides what has expired; every replica does what was decided.
    pub(super) async fn expire(&mut self, serving: &mut Serving<E>) -> Result<(), StoreError> {
        if let Some(before_ms) = self.expired_before_ms(serving) {
            let from = serving.store.unexpired();
            let upto = serving.store.expired_upto(from, before_ms).await?;
            // A whole segment's worth at least: less frees nothing.
            if upto.address - from.address >= self.config.segment_bytes {
                serving.store.append_expire(upto)?;
            }
        }
        let Some(base) = serving.store.next_base().await? else {
            return Ok(());
        };
        if let Some(job) = serving.job.take() {
            let flushed = serving.store.log.job_done(job.await)?;
            self.held(serving, flushed).await?;
        }
        let (encoded, id) = (base.encode(), base.id());
        Base::store(&self.env.disk(), &encoded).await?;
        let position = base.position;
        serving.store.log.drop_below(position).await?;
        serving.store.base = Some(base);
        if let Some(replica) = &mut serving.replica {
            replica.set_base(encoded.into());
        }
        self.happened(serving, Input::Dropped { base: id }).await
    }

    /// What was stored before this has expired; `None` where nothing does, or it
    /// is not this replica's to say.
    fn expired_before_ms(&self, serving: &Serving<E>) -> Option<u64> {
        let Replication::Raft(raft) = &self.config.replication else {
            return None;
        };
        let replica = serving.replica.as_ref()?;
        let leads = replica.serves && replica.raft.accepts_proposals();
        let retention_ms = raft.retention_ms.filter(|_| leads)?;
        Some(self.env.wall_ms().saturating_sub(retention_ms))
    }
}

impl<D: Disk> Store<D> {
    /// Where the first entry begins that was not said to have expired.
    fn unexpired(&self) -> Expire {
        let base = self.base().position;
        match self.state.expired_address > base.address {
            true => Expire {
                address: self.state.expired_address,
                next_index: self.state.expired_index,
            },
            false => Expire {
                address: base.address,
                next_index: base.next_index,
            },
        }
    }

    /// The first applied entry from `from` on that is a message stored at or
    /// after `before_ms`, or the end of what is applied.
    async fn expired_upto(&self, from: Expire, before_ms: u64) -> Result<Expire, StoreError> {
        let mut at = from;
        while at.address < self.state.applied_address {
            let end = self.state.applied_address;
            let batch = self.log.read_batch(at.address, end, STEP_BYTES).await?;
            for entry in &batch.entries {
                if entry.kind == EntryKind::Message {
                    let message = Message::decode(entry.record())
                        .map_err(|why| StoreError::undecodable(entry.address, why))?;
                    if message.store_timestamp_ms >= before_ms {
                        return Ok(at);
                    }
                }
                at = Expire {
                    address: entry.end_address,
                    next_index: entry.index + 1,
                };
            }
        }
        Ok(at)
    }

    /// The base that what has expired amounts to, where that is further than
    /// the present one.
    async fn next_base(&self) -> Result<Option<Base>, StoreError> {
        let Some(base) = &self.base else {
            return Ok(None);
        };
        let target = self.state.expired_address;
        if target <= base.position.address || target > self.log.flushed().address || !self.whole {
            return Ok(None);
        }
        let mut next = base.clone();
        while next.position.address < target {
            let from = next.position.address;
            let batch = self.log.read_batch(from, target, STEP_BYTES).await?;
            for entry in &batch.entries {
                next.fold(entry)?;
            }
        }
        Ok(Some(next))
    }
}

impl Base {
    /// The base one entry further.
    fn fold(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.state.fold(entry)?;
        self.position = Position {
            next_index: entry.index + 1,
            term: entry.term,
            address: entry.end_address,
            hash: entry.hash,
        };
        Ok(())
    }
}

impl AppliedState {
    /// Applies an entry as it stands in the log.
    fn fold(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let bad = |why| StoreError::bad_entry(entry.address, why);
        match entry.kind {
            EntryKind::Message => {
                let message = Message::decode(entry.record())
                    .map_err(|why| StoreError::undecodable(entry.address, why))?;
                if !self.apply_message(message.topic, message.queue_id, message.queue_offset) {
                    return Err(StoreError::Inconsistent {
                        address: entry.address,
                        what: format!("offset {} is not due", message.queue_offset),
                    });
                }
                let record_bytes = entry.record().len() as u32;
                if let Some(effect) = Effect::of(&message, entry.address, record_bytes)
                    && !self.transactions.apply(effect)
                {
                    return Err(StoreError::Inconsistent {
                        address: entry.address,
                        what: "its half message is not pending".to_owned(),
                    });
                }
                if let Some(origin) = Origin::of(message.properties) {
                    let stored = Stored {
                        queue_id: message.queue_id,
                        queue_offset: message.queue_offset,
                        address: entry.address,
                    };
                    self.producers.note(origin, stored);
                }
            }
            EntryKind::OffsetCommit => {
                self.apply_offset(OffsetCommit::decode(entry.record()).map_err(bad)?);
            }
            EntryKind::TopicConfig => {
                self.apply_topic(TopicConfig::decode(entry.record()).map_err(bad)?);
            }
            EntryKind::Configuration => {
                let decoded = Configuration::decode(entry.record());
                self.configuration = Some(decoded.ok_or(bad(BadEntry))?);
            }
            EntryKind::Expire => self.apply_expire(Expire::decode(entry.record()).map_err(bad)?),
            EntryKind::NoOp => {}
        }
        self.applied_index = entry.index;
        self.applied_address = entry.end_address;
        Ok(())
    }
}
