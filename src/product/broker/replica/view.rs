//! A broker as a replica: what only a replica does is a method of [`ReplicaView`], so no
//! broker that stands alone gets there.

use super::{Reads, Replica};
use crate::broker::expiry::Expiring;
use crate::broker::interruption::Interruption;
use crate::broker::server::{Broker, Serving, StoreDisk};
use crate::broker::store::Store;
use crate::env::Env;
use crate::log::Job;

/// A broker, its replica, and the parts of [`Serving`] that both have to do with.
pub(in crate::broker) struct ReplicaView<'a, E: Env> {
    pub(in crate::broker) broker: &'a mut Broker<E>,
    pub(in crate::broker) replica: &'a mut Replica,
    pub(in crate::broker) store: &'a mut Store<StoreDisk<E>>,
    pub(super) job: &'a mut Option<Job<StoreDisk<E>>>,
    pub(super) expiring: &'a mut Option<Expiring>,
    pub(super) reads: &'a mut Reads,
}

impl<E: Env> ReplicaView<'_, E> {
    /// Does what is due beside the core's own.
    pub(in crate::broker) async fn handle_deadlines(&mut self) -> Result<(), Interruption> {
        self.fetch();
        self.tell_waits();
        self.ask_for_base();
        let scrubbed = self.scrub().await;
        self.broker.put_off(scrubbed)
    }
}

impl<E: Env> Broker<E> {
    /// This broker as a replica; `None`: it stands alone.
    pub(in crate::broker) fn as_replica<'a>(
        &'a mut self,
        serving: &'a mut Serving<E>,
    ) -> Option<ReplicaView<'a, E>> {
        Some(ReplicaView {
            broker: self,
            replica: serving.replica.as_mut()?,
            store: &mut serving.store,
            job: &mut serving.job,
            expiring: &mut serving.expiring,
            reads: &mut serving.reads,
        })
    }
}
