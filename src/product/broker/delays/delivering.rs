//! The leader delivers what is due.

use super::keeping::Destination;
use crate::broker::error::StoreError;
use crate::broker::server::{Broker, Serving};
use crate::broker::store::{Appended, Store};
use crate::env::{Disk, Env, Notice};
use crate::log::Staged;
use crate::record::Message;

impl<E: Env> Broker<E> {
    /// Follows what waits: what was newly applied begins to age. On every replica, so
    /// that the next leader knows.
    pub(in crate::broker) fn watch_delays(&self, serving: &mut Serving<E>) {
        let state = &serving.store.state;
        if state.delays.is_empty() {
            return;
        }
        let at = (self.env.now_ns(), self.env.wall_ms());
        let levels_ms = &self.config.delay_levels_ms;
        serving
            .delay_clock
            .follow(&state.delays, levels_ms, state.applied_address, at);
    }

    /// Delivers what is due, where this broker may append; what is not delivered
    /// is looked at again.
    pub(in crate::broker) async fn deliver_due(
        &mut self,
        serving: &mut Serving<E>,
    ) -> Result<(), StoreError> {
        let now_ns = self.env.now_ns();
        let delays = &serving.store.state.delays;
        // Each is read whole, and nobody is served meanwhile.
        let most = (
            self.config.sizes.delivered_per_step,
            self.config.slice_bytes,
        );
        for address in serving.delay_clock.take_due(delays, now_ns, most) {
            if !self.accepts_own(serving) {
                return Ok(());
            }
            if serving.store.delivering.contains(&address) {
                continue;
            }
            let now_ms = self.env.wall_ms();
            match serving.store.deliver(address, now_ms).await? {
                Ok(staged) => serving.takes_room(staged, self.env.now_ns()),
                Err(why) => {
                    serving.delay_clock.gives_up(address);
                    self.env.report(Notice::NotDelivered { address, why });
                }
            }
        }
        Ok(())
    }
}

impl<D: Disk> Store<D> {
    /// Appends the entry that delivers a message that waits; or why it cannot be
    /// appended. (It fitted the schedule topic with more properties, its queue was
    /// there when it was taken in, and no setting makes a log take less.)
    async fn deliver(
        &mut self,
        address: u64,
        now_ms: u64,
    ) -> Result<Result<Staged, String>, StoreError> {
        let delayed = self.state.delays.get(address);
        let record_bytes = delayed.expect("only what waits is delivered").record_bytes;
        let entry = self.log.read(address, record_bytes).await?;
        let scheduled =
            Message::decode(entry.record()).map_err(|why| StoreError::undecodable(address, why))?;
        let to = Destination::of(&scheduled).ok_or_else(|| StoreError::Inconsistent {
            address,
            what: "a scheduled message that does not say where it is to go".to_owned(),
        })?;
        let message = to.delivered(&scheduled, address, now_ms);
        match self.append_message(message).await {
            Ok(Appended { staged, .. }) => Ok(Ok(staged)),
            Err(error) => {
                let why = error.to_string();
                error.into_fatal().map_or(Ok(Err(why)), Err)
            }
        }
    }
}
