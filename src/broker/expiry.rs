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
use super::change::{Change, Unapplied};
use super::config::Replication;
use super::entries::Expire;
use super::error::StoreError;
use super::replica::BASE_BYTES_MAX;
use super::server::{Broker, Serving};
use super::store::Store;
use crate::env::{Disk, Env, Notice};
use crate::log::{Entry, Position};
use crate::raft::Input;

/// How finely a replica notes when it got what.
const MARKS_PER_SEGMENT: u64 = 8;
/// Bytes of the log that are looked at in one step.
const STEP_BYTES: u64 = 1 << 20;

impl<E: Env> Broker<E> {
    /// The leader decides what has expired; every replica notes what it has, and
    /// does what was decided.
    pub(super) async fn expire(&mut self, serving: &mut Serving<E>) -> Result<(), StoreError> {
        if let Some(upto) = self.has_expired(serving) {
            serving.store.append_expire(upto)?;
        }
        let base = match serving.store.next_base().await {
            Ok(Some(base)) => base,
            Ok(None) => return Ok(()),
            Err(failed) => return self.put_off(Err(failed)),
        };
        if let Some(job) = serving.job.take() {
            let flushed = serving.store.log.job_done(job.await)?;
            self.held(serving, flushed).await?;
        }
        let (encoded, id) = (base.encode(), base.id());
        if encoded.len() as u64 > BASE_BYTES_MAX {
            self.env.report(Notice::StateTooLong {
                state_bytes: encoded.len() as u64,
                base_bytes_max: BASE_BYTES_MAX,
            });
            return Ok(());
        }
        Base::store(&self.env.disk(), &encoded).await?;
        let position = base.position;
        serving.store.log.drop_below(position).await?;
        serving.store.base = Some(base);
        serving.store.drop_queues();
        if let Some(replica) = &mut serving.replica {
            replica.set_base(encoded.into());
        }
        self.happened(serving, Input::Dropped { base: id }).await
    }

    /// How far the log has expired beyond what was said before, by a segment's
    /// worth at least: less frees nothing. `None` where it has not, or it is not
    /// this replica's to say.
    fn has_expired(&self, serving: &mut Serving<E>) -> Option<Expire> {
        let Replication::Raft(raft) = &self.config.replication else {
            return None;
        };
        let retention_ms = raft.retention_ms?;
        let replica = serving.replica.as_ref()?;
        let leads = replica.serves && replica.raft.accepts_proposals();
        let store = &mut serving.store;
        let base_address = store.base.as_ref()?.position.address;
        let said_address = store.state.expired_address.max(base_address);
        let applied = Expire {
            address: store.state.applied_address,
            next_index: store.state.applied_index + 1,
        };
        let apart_bytes = self.config.segment_bytes / MARKS_PER_SEGMENT;
        store
            .ages
            .look(self.env.now_ns(), applied, apart_bytes, base_address);
        // A half message stays until it is decided, however old, and what waits
        // until it is delivered.
        let oldest_half = store.state.transactions.pending().next();
        let oldest_half = oldest_half.map(|(address, _)| address);
        let oldest_delayed = store.state.delays.oldest();
        let needed = oldest_half.into_iter().chain(oldest_delayed).min();
        let needed_address = needed.unwrap_or(u64::MAX);
        let upto = store.ages.older_than(retention_ms, needed_address)?;
        (leads && upto.address >= said_address + self.config.segment_bytes).then_some(upto)
    }
}

impl<D: Disk> Store<D> {
    /// What leads to dropped entries goes, too, whole files at a time.
    fn drop_queues(&mut self) {
        let base = self.base.as_ref();
        for topic in self.topics.iter_mut() {
            let starts = base.and_then(|base| base.state.topic(&topic.name));
            for (queue, start) in topic.queues.iter_mut().zip(starts.unwrap_or_default()) {
                queue.entries.drop_below(*start);
            }
        }
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
        let change = Change::of(entry, |topic| topic.into())?;
        self.state.apply(Unapplied {
            index: entry.index,
            end_address: entry.end_address,
            change,
        })?;
        self.position = Position {
            next_index: entry.index + 1,
            term: entry.term,
            address: entry.end_address,
            hash: entry.hash,
        };
        Ok(())
    }
}
