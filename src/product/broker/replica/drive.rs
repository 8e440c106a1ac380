//! Doing what the core says, in its order.

use bytes::Bytes;

use super::behind::Appending;
use super::peer_messages::{Payload, Told};
use super::quarantined::Quarantined;
use super::saving::save;
use super::view::ReplicaView;
use crate::broker::change::Unapplied;
use crate::broker::error::StoreError;
use crate::broker::interruption::{Interruption, Renewal};
use crate::broker::server::{Broker, Serving};
use crate::broker::store::Fresh;
use crate::env::{Env, Notice};
use crate::log::{Entry, Position, Staged};
use crate::raft::{Configuration, EntryHead, EntryId, HardState, Input, Message, Output};
use crate::record::{EntryKind, LogPart};

/// The hash of the log's last entry, if it still is the one that is asked about.
fn hash_at(end: Position, last: EntryId) -> u64 {
    match (end.next_index - 1, end.term) == (last.index, last.term) {
        true => end.hash,
        false => 0,
    }
}

impl<E: Env> Broker<E> {
    /// Tells the core of a message, if there is one, with what came behind it, and does
    /// what follows.
    pub(super) async fn consensus(
        &mut self,
        serving: &mut Serving<E>,
        told: Told,
    ) -> Result<(), Interruption> {
        let (Some(mut view), Some((input, payload))) = (self.as_replica(serving), told) else {
            return Ok(());
        };
        view.propose();
        view.replica.raft.step(view.broker.env.now_ns(), input);
        self.drive(serving, &payload).await
    }

    /// Tells the core of what is no message, and does what follows.
    pub(in crate::broker) async fn happened(
        &mut self,
        serving: &mut Serving<E>,
        input: Input,
    ) -> Result<(), Interruption> {
        self.consensus(serving, Some((input, Payload::default())))
            .await
    }

    /// A hard state is on the disk. The core may have waited for its term: a base that is
    /// whole is offered to it once more.
    pub(in crate::broker) async fn hard_state_saved(
        &mut self,
        serving: &mut Serving<E>,
        saved: HardState,
    ) -> Result<(), Interruption> {
        self.happened(serving, Input::HardStateSaved(saved)).await?;
        let Some(mut view) = self.as_replica(serving) else {
            return Ok(());
        };
        let told = view.base_has_come().await?;
        self.consensus(serving, told).await
    }

    /// Does everything that the core wants done of what it was told before.
    pub(in crate::broker) async fn pursue(
        &mut self,
        serving: &mut Serving<E>,
    ) -> Result<(), Interruption> {
        if let Some(mut view) = self.as_replica(serving) {
            view.propose();
        }
        self.drive(serving, &Payload::default()).await?;
        if let Some(mut view) = self.as_replica(serving) {
            view.serve_those_behind().await?;
        }
        Ok(())
    }

    async fn drive(
        &mut self,
        serving: &mut Serving<E>,
        payload: &Payload,
    ) -> Result<(), Interruption> {
        while let Some(replica) = &mut serving.replica
            && let Some(output) = replica.raft.next_output()
        {
            self.obey(serving, output, payload).await?;
        }
        Ok(())
    }

    async fn obey(
        &mut self,
        serving: &mut Serving<E>,
        output: Output,
        payload: &Payload,
    ) -> Result<(), Interruption> {
        let Some(mut view) = self.as_replica(serving) else {
            return Ok(());
        };
        match output {
            Output::Send {
                to,
                term,
                mut message,
            } => {
                if let Message::Ask { previous, hash, .. } = &mut message {
                    *hash = hash_at(view.store.log.appended(), *previous);
                }
                view.send_peer(to, term, message, Bytes::new());
            }
            Output::Replicate {
                to,
                term,
                append,
                upto_index,
            } => {
                let appending = Appending {
                    to,
                    term,
                    append,
                    upto_index,
                };
                view.replicate(appending).await?;
            }
            Output::SendTail {
                to,
                term,
                tail,
                upto_index,
            } => {
                let frames = view.frames(tail.previous.index + 1..=upto_index).await?;
                view.send_peer(to, term, Message::Tail(tail), frames);
            }
            Output::SendBase { to, term, request } => view.send_base(to, term, request),
            Output::SaveHardState(hard) => {
                let disk = view.broker.env.disk();
                let sync = view.replica.hard_state_sync;
                view.replica.saving = Some(Box::pin(save(disk, hard, sync)));
            }
            Output::Truncate { from_index } => view.cut(from_index).await?,
            Output::Store {
                from_index,
                upto_index,
            } => {
                for index in from_index..=upto_index {
                    view.store_frame(payload.frame(index)).await?;
                }
            }
            Output::InstallBase { .. } => {
                let base = payload.base.as_ref().expect("a base came with the message");
                return view.install(base).await;
            }
            Output::AppendNoOp { term } => {
                view.append_own(term, EntryKind::NoOp, None)?;
            }
            Output::AppendConfiguration {
                term,
                configuration,
            } => {
                let kind = EntryKind::Configuration;
                let staged = view.append_own(term, kind, Some(configuration))?;
                self.change_taken_up(serving, staged);
            }
            Output::Committed { index } => serving.store.commit(index),
            Output::BecameLeader { term } => {
                self.env.report(Notice::LeaderElected { term });
            }
            Output::SteppedDown { term, unheard } => self.stepped_down(serving, term, unheard),
            Output::ReadReady { id, .. } => serving.reads.ready(id),
            Output::ReadFailed { id } => view.refuse_read(id),
            Output::ChangeRefused(change) => view.change_refused(change),
            Output::AlreadyChanged(_) => view.already_changed(),
            Output::TailCertain => self.env.report(Notice::TailCertain),
            Output::Halted {
                blank_nodes,
                configuration_index,
            } => self.env.report(Notice::Halted {
                blank_nodes,
                configuration_index,
            }),
            Output::Diverged(found) => {
                let quarantined = Quarantined::Diverged(found);
                return Err(quarantined.store(&self.env.disk()).await.into());
            }
            Output::Overruled(found) => return Err(Renewal::Overruled(found).into()),
            Output::RolledBack { acknowledged, last } => {
                let quarantined = Quarantined::RolledBack { acknowledged, last };
                return Err(quarantined.store(&self.env.disk()).await.into());
            }
        }
        Ok(())
    }
}

impl<E: Env> ReplicaView<'_, E> {
    /// Stages an entry of the broker's own, and tells the core at once.
    fn append_own(
        &mut self,
        term: u64,
        kind: EntryKind,
        configuration: Option<Configuration>,
    ) -> Result<Staged, StoreError> {
        self.store.term = term;
        let staged = self.store.append_own(kind, configuration)?;
        self.propose();
        Ok(staged)
    }

    /// Tells the core of the entries that were staged since it was told last. The outputs
    /// of the core are carried out by the next [`Broker::happened`].
    pub(super) fn propose(&mut self) {
        let now_ns = self.broker.env.now_ns();
        for Fresh {
            staged,
            configuration,
        } in self.store.fresh.drain(..)
        {
            let log = &self.store.log;
            let frame = Bytes::copy_from_slice(log.staged_frame(&staged));
            let unwritten_index = log.appended().next_index;
            self.replica
                .recent
                .push(staged.index, frame, unwritten_index);
            let id = EntryId {
                term: staged.term,
                index: staged.index,
            };
            let head = EntryHead { id, configuration };
            self.replica.raft.step(now_ns, Input::Proposed(head));
        }
    }

    /// A follower's append: the leader's frame as it is.
    async fn store_frame(&mut self, (part, frame): &(LogPart, Bytes)) -> Result<(), StoreError> {
        let store = &mut *self.store;
        let staged = store.log.stage_frame(frame)?;
        let unwritten_index = store.log.appended().next_index;
        self.replica
            .recent
            .push(part.index, frame.clone(), unwritten_index);
        if store.whole {
            let change = store
                .change_of(&Entry::from_frame(part, frame.clone()))
                .await?;
            store.awaits_commit(Unapplied::new(staged, change));
        }
        Ok(())
    }

    /// Durable before anything behind it is stored (D6). A sync under way began
    /// before the cut and must not speak for what replaces it: it is waited for
    /// (D25).
    async fn cut(&mut self, from_index: u64) -> Result<(), StoreError> {
        if let Some(job) = self.job.take() {
            self.store.log.job_done(job.await)?;
        }
        self.store.truncate(from_index).await?;
        self.replica.recent.truncate(from_index);
        self.replica.cursors.truncate(from_index);
        Ok(())
    }
}
