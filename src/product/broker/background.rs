//! The work of a broker besides answering: checkpoints, durable marks, deadlines, and
//! leaving cleanly.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use super::config::{FlushDiskType, Replication};
use super::error::StoreError;
use super::interruption::Interruption;
use super::open::STATE_FILE;
use super::replica::Replica;
use super::server::{Broker, Serving};
use super::snapshot::Lines;
use super::state::QueueTails;
use super::store::Store;
use crate::env::{Disk, Env};
use crate::log::{LogError, replace_atomic_file_in_pieces};
use crate::raft::Input;

const NS_PER_MS: u64 = 1_000_000;

/// A snapshot that waits until the log is durable up to its address.
pub(super) struct Snapshot {
    applied_address: u64,
    write: BackgroundWork,
}

/// Something durable to do beside serving.
pub(super) type BackgroundWork = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

impl<E: Env> Broker<E> {
    /// The earliest moment at which something is due.
    pub(super) fn next_deadline_ns(&self, serving: &Serving<E>) -> u64 {
        let flush = match self.config.flush_disk_type {
            // While a job is under way its end is what is waited for: a deadline
            // that has passed and cannot be met would fire for ever.
            FlushDiskType::Async if serving.flush_may_start() => Some(serving.flush_due_ns),
            _ => None,
        };
        [
            Some(serving.checkpoint_due_ns),
            serving.waiters.deadline_ns(),
            serving.held_pulls.deadline_ns(),
            self.refusals.deadline_ns(),
            serving.mark_due_ns,
            serving.service_due_ns(),
            self.members.deadline_ns(),
            self.sessions.deadline_ns(),
            flush,
            serving.replica.as_ref().map(Replica::deadline_ns),
        ]
        .into_iter()
        .flatten()
        .min()
        .expect("a checkpoint is always due some time")
    }

    pub(super) async fn handle_deadlines(
        &mut self,
        serving: &mut Serving<E>,
    ) -> Result<(), Interruption> {
        self.expire_waiters(serving);
        self.expire_held_pulls(serving).await?;
        self.release_refusals();
        self.expire_members();
        self.expire_streams(serving);
        let now_ns = self.env.now_ns();
        let replica = serving.replica.as_ref();
        if replica.is_some_and(|it| it.raft.deadline_ns() <= now_ns) {
            self.happened(serving, Input::Timeout).await?;
        }
        self.serve_due(serving).await?;
        if let Some(mut view) = self.as_replica(serving) {
            view.handle_deadlines().await?;
        }
        if serving.mark_due_ns.is_some_and(|due_ns| due_ns <= now_ns) {
            serving.mark_due_ns = None;
            // It may wait: a write that fails would close the store.
            if serving.own_room_bytes > 0 {
                serving.store.log.write_mark().await?;
            }
        }
        if serving.checkpoint_due_ns <= now_ns {
            serving.checkpoint_due_ns = now_ns + self.config.checkpoint_interval_ms * NS_PER_MS;
            self.expire(serving)?;
            serving.take_snapshot();
            self.look_for_room(serving).await;
            self.fill_reserve(true).await;
        }
        Ok(())
    }

    /// A snapshot that failed because something ran out, and that poisoned nothing, is tried
    /// again when the next one is due: the log has it all.
    pub(super) fn background_done(
        &mut self,
        serving: &mut Serving<E>,
        done: Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match done {
            Err(failed) if failed.leaves_a_snapshot_undone() => {
                serving.snapshot_address = 0;
                self.tell(&failed);
                Ok(())
            }
            done => done,
        }
    }

    /// Whenever the log became durable: the mark is due after a while without
    /// more, and a snapshot may be written.
    pub(super) fn became_durable(&mut self, serving: &mut Serving<E>) {
        serving.mark_due_ns = Some(self.env.now_ns() + self.config.idle_mark_ms * NS_PER_MS);
        serving.start_checkpoint();
    }
}

impl<E: Env> Serving<E> {
    fn flush_may_start(&self) -> bool {
        self.job.is_none() && self.store.log.flushed() != self.store.log.tail()
    }

    pub(super) fn take_snapshot(&mut self) {
        let applied_address = self.store.state.applied_address;
        // One at a time: a snapshot holds its queues' syncs, and a sync that is
        // given up leaves its queue poisoned.
        let under_way = self.background.is_some() || self.snapshot.is_some();
        if under_way || applied_address == self.snapshot_address {
            return;
        }
        let write = Box::pin(self.store.snapshot());
        self.snapshot = Some(Snapshot {
            applied_address,
            write,
        });
        self.start_checkpoint();
    }

    /// Ends the store as the next start wants it. A snapshot that waits is written
    /// before the last one: what it took of the queues to sync, nothing later syncs.
    pub(super) async fn close(mut self) -> Result<(), StoreError> {
        if let Some(snapshot) = self.snapshot.take() {
            snapshot.write.await?;
        }
        self.store.close().await
    }

    /// Writes the snapshot that waits, once the log is durable up to it: first
    /// what it describes, then itself (S21).
    pub(super) fn start_checkpoint(&mut self) {
        let flushed = self.store.log.flushed().address;
        let ready = |snapshot: &mut Snapshot| snapshot.applied_address <= flushed;
        if self.background.is_some() {
            return;
        }
        let Some(snapshot) = self.snapshot.take_if(ready) else {
            return;
        };
        self.snapshot_address = snapshot.applied_address;
        let checkpoint = self.store.log.checkpoint();
        self.background = Some(Box::pin(async move {
            snapshot.write.await?;
            checkpoint.await.map_err(|source| StoreError::Io {
                doing: "a checkpoint",
                source,
            })
        }));
    }
}

impl<D: Disk> Store<D> {
    /// Makes everything staged durable.
    pub(super) async fn make_durable(&mut self) -> Result<(), LogError> {
        loop {
            self.log.write().await?;
            match self.log.next_job() {
                Some(job) => self.log.job_done(job.await)?,
                None => return Ok(()),
            };
        }
    }

    /// Leaves a store that the next start trusts: everything applied, queues
    /// and state durable, and only then the clean stop recorded (Q03).
    pub(super) async fn close(mut self) -> Result<(), StoreError> {
        self.make_durable().await?;
        while self.has_more() {
            self.apply()?;
        }
        assert!(
            self.unapplied.is_empty() || matches!(self.config.replication, Replication::Raft(_)),
            "what is durable is applied, but for what is not known to be committed"
        );
        self.snapshot().await?;
        self.log.close().await?;
        Ok(())
    }

    /// Makes the queues durable as they are now, and then the state that
    /// describes them. Stands alone.
    fn snapshot(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send + use<D> {
        let (disk, state) = (self.disk.clone(), self.state.clone());
        let mut syncs = BTreeMap::new();
        self.unwritten = 0;
        for topic in self.topics.iter_mut() {
            let queues = topic.queues.iter_mut().map(|queue| queue.entries.sync());
            syncs.insert(topic.name.to_string(), queues.collect::<Vec<_>>());
        }
        let ages = self.ages.store(disk.clone());
        async move {
            let mut tails = QueueTails::new();
            for (topic, queues) in syncs {
                let tails = tails.entry(topic).or_default();
                for queue in queues {
                    tails.push(queue.await?);
                }
            }
            let lines = Lines::of(&state, tails);
            let written = replace_atomic_file_in_pieces(&disk, STATE_FILE, lines).await;
            written.map_err(|source| StoreError::Io {
                doing: "writing the state",
                source,
            })?;
            ages.await
        }
    }
}
