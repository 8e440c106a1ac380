//! Doing what the core says, in its order.

use bytes::Bytes;

use super::peer_messages::Payload;
use super::quarantined::Quarantined;
use super::saving::save;
use crate::broker::change::Unapplied;
use crate::broker::error::StoreError;
use crate::broker::interruption::{Interruption, Renewal};
use crate::broker::server::{Broker, Serving};
use crate::broker::store::Fresh;
use crate::env::{Env, Notice};
use crate::log::{Entry, Position};
use crate::raft::{Configuration, EntryHead, EntryId, Input, Message, Output};
use crate::record::{EntryKind, LogPart};

/// The hash of the log's last entry, if it still is the one that is asked about.
fn hash_at(end: Position, last: EntryId) -> u64 {
    match (end.next_index - 1, end.term) == (last.index, last.term) {
        true => end.hash,
        false => 0,
    }
}

impl<E: Env> Broker<E> {
    /// Tells the core what happened, and does what follows. `payload` came with
    /// the message, where it is one.
    pub(super) async fn consensus(
        &mut self,
        serving: &mut Serving<E>,
        input: Input,
        payload: &Payload,
    ) -> Result<(), Interruption> {
        self.propose(serving);
        let now_ns = self.env.now_ns();
        if let Some(replica) = &mut serving.replica {
            replica.raft.step(now_ns, input);
        }
        self.drive(serving, payload).await
    }

    /// As [`Broker::consensus`], of what is no message.
    pub(in crate::broker) async fn happened(
        &mut self,
        serving: &mut Serving<E>,
        input: Input,
    ) -> Result<(), Interruption> {
        self.consensus(serving, input, &Payload::default()).await
    }

    /// Does everything that the core wants done of what it was told before.
    pub(in crate::broker) async fn pursue(
        &mut self,
        serving: &mut Serving<E>,
    ) -> Result<(), Interruption> {
        self.propose(serving);
        self.drive(serving, &Payload::default()).await
    }

    async fn drive(
        &mut self,
        serving: &mut Serving<E>,
        payload: &Payload,
    ) -> Result<(), Interruption> {
        while let Some(output) = serving
            .replica
            .as_mut()
            .and_then(|replica| replica.raft.next_output())
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
        match output {
            Output::Send {
                to,
                term,
                mut message,
            } => {
                if let Message::Ask { previous, hash, .. } = &mut message {
                    *hash = hash_at(serving.store.log.appended(), *previous);
                }
                self.send_peer(serving, to, term, message, Bytes::new());
            }
            Output::Replicate {
                to,
                term,
                append,
                upto_index,
            } => {
                self.replicate(serving, (to, term), append, upto_index)
                    .await?;
            }
            Output::SendTail {
                to,
                term,
                tail,
                upto_index,
            } => {
                let frames = self
                    .frames(serving, tail.previous.index + 1..=upto_index)
                    .await?;
                self.send_peer(serving, to, term, Message::Tail(tail), frames);
            }
            Output::SendBase { to, term, request } => self.send_base(serving, to, term, request),
            Output::SaveHardState(hard) => {
                let disk = self.env.disk();
                let replica = serving.replica.as_mut().expect("it was just asked");
                let sync = replica.hard_state_sync;
                replica.saving = Some(Box::pin(save(disk, hard, sync)));
            }
            Output::Truncate { from_index } => self.cut(serving, from_index).await?,
            Output::Store {
                from_index,
                upto_index,
            } => {
                for index in from_index..=upto_index {
                    self.store_frame(serving, payload.frame(index)).await?;
                }
            }
            Output::InstallBase { .. } => {
                let base = payload.base.as_ref().expect("a base came with the message");
                return self.install(serving, base).await;
            }
            Output::AppendNoOp { term } => {
                serving.store.term = term;
                self.append_own(serving, EntryKind::NoOp, None)?;
            }
            Output::AppendConfiguration {
                term,
                configuration,
            } => {
                serving.store.term = term;
                self.append_own(serving, EntryKind::Configuration, Some(configuration))?;
            }
            Output::Committed { index } => serving.store.commit(index),
            Output::BecameLeader { term } => {
                self.env.report(Notice::LeaderElected { term });
            }
            Output::SteppedDown { term, unheard } => self.stepped_down(serving, term, unheard),
            Output::ReadReady { id, .. } => serving.reads.ready(id),
            Output::ReadFailed { id } => self.refuse_read(serving, id),
            Output::ChangeRefused(change) => self.change_refused(serving, change),
            Output::AlreadyChanged(_) => self.already_changed(serving),
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

    /// Stages an entry of the broker's own, and tells the core at once.
    fn append_own(
        &mut self,
        serving: &mut Serving<E>,
        kind: EntryKind,
        configuration: Option<Configuration>,
    ) -> Result<(), StoreError> {
        let changes = configuration.is_some();
        let staged = serving.store.append_own(kind, configuration)?;
        self.propose(serving);
        if changes {
            self.change_taken_up(serving, staged);
        }
        Ok(())
    }

    /// Tells the core of the entries that were staged since it was told last. The outputs
    /// of the core are carried out by the next [`Broker::happened`].
    pub(in crate::broker) fn propose(&mut self, serving: &mut Serving<E>) {
        let now_ns = self.env.now_ns();
        let Some(replica) = &mut serving.replica else {
            return;
        };
        for Fresh {
            staged,
            configuration,
        } in serving.store.fresh.drain(..)
        {
            let log = &serving.store.log;
            let frame = Bytes::copy_from_slice(log.staged_frame(&staged));
            let unwritten_index = log.appended().next_index;
            replica.recent.push(staged.index, frame, unwritten_index);
            let id = EntryId {
                term: staged.term,
                index: staged.index,
            };
            let head = EntryHead { id, configuration };
            replica.raft.step(now_ns, Input::Proposed(head));
        }
    }

    /// A follower's append: the leader's frame as it is.
    async fn store_frame(
        &mut self,
        serving: &mut Serving<E>,
        (part, frame): &(LogPart, Bytes),
    ) -> Result<(), StoreError> {
        let store = &mut serving.store;
        let staged = store.log.stage_frame(frame)?;
        let replica = serving
            .replica
            .as_mut()
            .expect("only replicas store frames");
        let unwritten_index = store.log.appended().next_index;
        replica
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
    async fn cut(&mut self, serving: &mut Serving<E>, from_index: u64) -> Result<(), StoreError> {
        if let Some(job) = serving.job.take() {
            serving.store.log.job_done(job.await)?;
        }
        serving.store.truncate(from_index).await?;
        let replica = serving.replica.as_mut().expect("only replicas are cut");
        replica.recent.truncate(from_index);
        replica.cursors.truncate(from_index);
        Ok(())
    }
}
