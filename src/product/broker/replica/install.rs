//! Installing a base: what a blank or far lagging replica begins with (D8, D14), or
//! one that has a hole in what has expired.

use bytes::Bytes;

use super::view::ReplicaView;
use crate::broker::base::Base;
use crate::broker::founding::Record;
use crate::broker::interruption::{Interruption, Renewal};
use crate::env::Env;
use crate::raft::{Message, ReplicaId};

impl<E: Env> ReplicaView<'_, E> {
    /// Offers where this log begins, and what is before it.
    pub(super) fn send_base(&mut self, to: ReplicaId, term: u64, request: u64) {
        let base = self.store.base();
        let message = Message::Install {
            request,
            base: base.id(),
            configuration: base
                .state
                .configuration
                .clone()
                .expect("a base has a configuration"),
        };
        let piece = self.first_piece();
        self.send_peer(to, term, message, piece);
    }

    /// Stores the base durably; the store is then opened again, and its log begins
    /// there: with what follows the base in it, or anew where it does not hold the
    /// base. A crash in between is the same.
    pub(super) async fn install(
        &mut self,
        (base, encoded): &(Base, Bytes),
    ) -> Result<(), Interruption> {
        if let Some(job) = self.job.take() {
            self.store.log.job_done(job.await)?;
        }
        // Two writers of one file would write each other's.
        if let Some(expiring) = self.expiring.take() {
            expiring.settled().await?;
        }
        if self.store.base.is_none() {
            // The cluster that this disk belongs to from now on, before it is anything.
            let record = Record {
                members: Vec::new(),
                epoch: self.replica.epoch,
            };
            record.store(&self.broker.env.disk()).await?;
        }
        Base::store(&self.broker.env.disk(), encoded).await?;
        Err(Renewal::BaseInstalled {
            address: base.position.address,
        }
        .into())
    }
}
