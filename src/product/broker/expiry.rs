//! Expiry of entries that are older than the retention: decided once, by the leader or
//! the only broker, as an entry of the log (D30); done by each replica for itself.
//!
//! ```text
//!   base ───────── expired ──────────────── applied ─── end
//!    │  folded into   │                        │
//!    │  the new base  │ every unexpired record is here (D8)
//!    └ stored first, then segments wholly below go
//! ```
//!
//! An expired range is as long as a segment, so it is read, folded and stored in
//! parts, and between two parts the loop serves the waiting requests.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::base::{BASE_FILE, Base};
use super::change::{Change, Unapplied};
use super::entries::Expire;
use super::error::StoreError;
use super::interruption::Interruption;
use super::replica::{BASE_BYTES_MAX, Replica};
use super::server::{Broker, Serving};
use super::store::Store;
use crate::env::{Disk, Env, Notice, yield_once};
use crate::log::{Batch, Entry, Position, ReadError, replace_atomic_file_in_pieces};
use crate::raft::Input;

/// A base is encoded and stored in parts of so many bytes.
const PART_BYTES: usize = 64 << 10;
/// How finely a replica notes when it got what.
const MARKS_PER_SEGMENT: u64 = 8;

/// An expired range, on its way into a base.
pub(super) struct Expiring {
    next: Base,
    /// The address up to which it has expired.
    target: u64,
    doing: Doing,
}

enum Doing {
    Reading(Pin<Box<dyn Future<Output = Result<Batch, ReadError>> + Send>>),
    Storing(Pin<Box<dyn Future<Output = Result<Stored, StoreError>> + Send>>),
    /// The base is stored; what is below it goes once no job has to do with it.
    Stored(Bytes),
}

/// A part of it that is done.
pub(super) enum Part {
    Read(Result<Batch, ReadError>),
    Stored(Result<Stored, StoreError>),
}

/// A base that is to be stored.
pub(super) enum Stored {
    /// It is, in this form.
    Whole(Bytes),
    /// Nobody could be given it: it is not stored, and nothing goes.
    TooLong {
        /// Its length, bytes.
        state_bytes: u64,
    },
}

impl Expiring {
    /// Polls for the next part.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Part> {
        match &mut self.doing {
            Doing::Reading(reading) => reading.as_mut().poll(context).map(Part::Read),
            Doing::Storing(storing) => storing.as_mut().poll(context).map(Part::Stored),
            Doing::Stored(_) => Poll::Pending,
        }
    }

    /// Waits until it writes to no file any more.
    pub(super) async fn settled(self) -> Result<(), StoreError> {
        match self.doing {
            Doing::Storing(storing) => storing.await.map(drop),
            Doing::Reading(_) | Doing::Stored(_) => Ok(()),
        }
    }
}

impl<E: Env> Broker<E> {
    /// The leader decides what has expired; every replica notes what it has, and
    /// begins to do what was decided.
    pub(super) fn expire(&mut self, serving: &mut Serving<E>) -> Result<(), StoreError> {
        if let Some(upto) = self.has_expired(serving) {
            serving.store.append_expire(upto)?;
        }
        if serving.expiring.is_none() {
            serving.expiring = serving.store.begin_expiring();
        }
        Ok(())
    }

    /// A part is done: what was read is folded in, and the next one begins.
    pub(super) async fn expire_further(
        &mut self,
        serving: &mut Serving<E>,
        part: Part,
    ) -> Result<(), Interruption> {
        let Some(expiring) = &mut serving.expiring else {
            return Ok(());
        };
        match part {
            Part::Read(Err(failed)) => {
                serving.expiring = None;
                return self.put_off(Err(failed));
            }
            Part::Read(Ok(batch)) => {
                for entry in &batch.entries {
                    expiring.next.fold(entry)?;
                }
                expiring.doing = match expiring.next.position.address < expiring.target {
                    true => serving.store.read_expired(&expiring.next, expiring.target),
                    false => Doing::Storing(Box::pin(store(self.env.disk(), &expiring.next))),
                };
            }
            Part::Stored(stored) => match stored? {
                Stored::Whole(encoded) => expiring.doing = Doing::Stored(encoded),
                Stored::TooLong { state_bytes } => {
                    serving.expiring = None;
                    self.env.report(Notice::StateTooLong {
                        state_bytes,
                        base_bytes_max: BASE_BYTES_MAX,
                    });
                    return Ok(());
                }
            },
        }
        self.drop_expired(serving).await
    }

    /// Entries that a stored base stands for go.
    pub(super) async fn drop_expired(
        &mut self,
        serving: &mut Serving<E>,
    ) -> Result<(), Interruption> {
        let is_stored = |it: &mut Expiring| matches!(it.doing, Doing::Stored(_));
        if serving.job.is_some() {
            return Ok(());
        }
        let Some(expiring) = serving.expiring.take_if(is_stored) else {
            return Ok(());
        };
        let (id, base) = (expiring.next.id(), expiring.next);
        serving.store.log.drop_below(base.position).await?;
        serving.store.base = Some(base);
        serving.store.drop_queues();
        if let (Some(replica), Doing::Stored(encoded)) = (&mut serving.replica, expiring.doing) {
            replica.set_base(encoded);
        }
        match serving.replica {
            Some(_) => self.happened(serving, Input::Dropped { base: id }).await,
            None => Ok(()),
        }
    }

    /// How far the log has expired beyond what was said before, by a segment's
    /// worth at least: less frees nothing. `None` where it has not, or it is not
    /// this replica's to say.
    fn has_expired(&self, serving: &mut Serving<E>) -> Option<Expire> {
        let retention_ms = self.config.retention_ms?;
        let decides = serving.replica.as_ref().is_none_or(Replica::leads);
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
        (decides
            && serving.own_room_bytes > 0
            && upto.address >= said_address + self.config.segment_bytes)
            .then_some(upto)
    }
}

impl<D: Disk> Store<D> {
    /// Queue files that lead to dropped entries go, too, whole files at a time.
    fn drop_queues(&mut self) {
        let base = self.base.as_ref();
        for topic in self.topics.iter_mut() {
            let starts = base.and_then(|base| base.state.topic(&topic.name));
            for (queue, start) in topic.queues.iter_mut().zip(starts.unwrap_or_default()) {
                queue.entries.drop_below(*start);
            }
        }
    }

    /// The beginning of a base that what has expired amounts to, where that is
    /// further than the present one. What was decided rests on the entries before the
    /// decision: a delivery, the end of a transaction. While a power loss may take them,
    /// nothing that they need goes.
    fn begin_expiring(&self) -> Option<Expiring> {
        let base = self.base.as_ref()?;
        let target = self.state.expired_address;
        let rests_on = target.max(self.expire_end_address);
        let is_durable = rests_on <= self.log.flushed().address;
        if target <= base.position.address || !is_durable || !self.whole {
            return None;
        }
        Some(Expiring {
            next: base.clone(),
            target,
            doing: self.read_expired(base, target),
        })
    }

    /// Reads what comes next behind a base.
    fn read_expired(&self, base: &Base, target: u64) -> Doing {
        let from = base.position.address;
        let batch = self.log.read_batch(from, target, self.config.slice_bytes);
        Doing::Reading(Box::pin(batch))
    }
}

/// Stores a base, and gives it as it is stored. Stands alone.
fn store<D: Disk>(
    disk: D,
    base: &Base,
) -> impl Future<Output = Result<Stored, StoreError>> + Send + use<D> {
    let lines = base.lines();
    async move {
        let (mut encoded, mut rested) = (Vec::new(), 0);
        for line in lines {
            encoded.extend_from_slice(&line);
            if encoded.len() - rested >= PART_BYTES {
                rested = encoded.len();
                yield_once().await;
            }
        }
        let state_bytes = encoded.len() as u64;
        if state_bytes > BASE_BYTES_MAX {
            return Ok(Stored::TooLong { state_bytes });
        }
        let pieces = encoded.chunks(PART_BYTES).map(<[u8]>::to_vec);
        let stored = replace_atomic_file_in_pieces(&disk, BASE_FILE, pieces).await;
        stored.map_err(|source| StoreError::Io {
            doing: "storing the base",
            source,
        })?;
        Ok(Stored::Whole(encoded.into()))
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
