//! Doing what the core says, in its order.

use bytes::Bytes;

use super::super::error::StoreError;
use super::super::server::{Broker, Serving};
use super::super::store::Unapplied;
use super::packets::Frames;
use super::save;
use crate::env::{Disk, Env};
use crate::log::{Entry, Position, Staged};
use crate::raft::{EntryHead, Input, Output};
use crate::record::EntryKind;

impl<E: Env> Broker<E> {
    /// Hands the core an input and does what follows from it.
    pub(in crate::broker) async fn consensus(
        &mut self,
        serving: &mut Serving<E>,
        input: Input,
    ) -> Result<(), StoreError> {
        let now_ns = self.env.now_ns();
        if let Some(replica) = &mut serving.replica {
            replica.raft.step(now_ns, input);
        }
        self.drive(serving, &Frames::default()).await
    }

    /// Does everything that the core wants done. `frames` came with the message
    /// that it was given last.
    pub(super) async fn drive(
        &mut self,
        serving: &mut Serving<E>,
        frames: &Frames,
    ) -> Result<(), StoreError> {
        while let Some(output) = serving
            .replica
            .as_mut()
            .and_then(|replica| replica.raft.next_output())
        {
            self.obey(serving, output, frames).await?;
        }
        Ok(())
    }

    async fn obey(
        &mut self,
        serving: &mut Serving<E>,
        output: Output,
        frames: &Frames,
    ) -> Result<(), StoreError> {
        match output {
            Output::Send { to, message } => self.send_peer(serving, to, message, Bytes::new()),
            Output::Replicate { to, append, from_index, upto_index } => {
                self.replicate(serving, to, append, from_index..=upto_index).await?;
            }
            Output::SaveHardState(hard) => self.save_hard_state(serving, hard),
            Output::Truncate { from_index } => self.cut(serving, from_index).await?,
            Output::Store { from_index, upto_index } => {
                for index in from_index..=upto_index {
                    self.store_frame(serving, frames.of(index)).await?;
                }
            }
            Output::AppendNoOp { term } => {
                serving.store.term = term;
                self.append_own(serving, EntryKind::NoOp, &[], None).await?;
            }
        }
        Ok(())
    }
}
