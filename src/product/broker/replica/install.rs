//! Installing a base: what a blank or far lagging replica begins with (D8, D14), or
//! one that has a hole in what has expired.

use bytes::Bytes;

use crate::broker::base::Base;
use crate::broker::founding::Record;
use crate::broker::interruption::{Interruption, Renewal};
use crate::broker::server::{Broker, Serving};
use crate::env::Env;
use crate::raft::{Message, ReplicaId};

impl<E: Env> Broker<E> {
    /// Offers where this log begins, and what is before it.
    pub(super) fn send_base(
        &mut self,
        serving: &Serving<E>,
        to: ReplicaId,
        term: u64,
        request: u64,
    ) {
        let base = serving.store.base();
        let message = Message::Install {
            request,
            base: base.id(),
            configuration: base
                .state
                .configuration
                .clone()
                .expect("a base has a configuration"),
        };
        let piece = self.first_piece(serving);
        self.send_peer(serving, to, term, message, piece);
    }

    /// Stores the base durably; the store is then opened again, and its log begins
    /// there: with what follows the base in it, or anew where it does not hold the
    /// base. A crash in between is the same.
    pub(super) async fn install(
        &mut self,
        serving: &mut Serving<E>,
        (base, encoded): &(Base, Bytes),
    ) -> Result<(), Interruption> {
        if let Some(job) = serving.job.take() {
            serving.store.log.job_done(job.await)?;
        }
        // Two writers of one file would write each other's.
        if let Some(expiring) = serving.expiring.take() {
            expiring.settled().await?;
        }
        let replica = serving.replica.as_ref().expect("only replicas install");
        if serving.store.base.is_none() {
            // The cluster that this disk belongs to from now on, before it is anything.
            let record = Record {
                members: Vec::new(),
                epoch: replica.epoch,
            };
            record.store(&self.env.disk()).await?;
        }
        Base::store(&self.env.disk(), encoded).await?;
        Err(Renewal::BaseInstalled {
            address: base.position.address,
        }
        .into())
    }
}
