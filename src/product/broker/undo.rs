//! Taking back what was appended and is not committed: a new leader's entries
//! replace it (D6).
//!
//! Promise: afterwards topics and queues are as if what was cut had never been
//! appended, so that the offsets given to what replaces it are a function of the
//! log alone (D20).

use super::change::Change;
use super::error::StoreError;
use super::store::Store;
use crate::env::Disk;

impl<D: Disk> Store<D> {
    /// Cuts the log before the entry at `index`, and forgets what was to be
    /// applied from there on.
    ///
    /// # Errors
    /// The log's.
    ///
    /// # Panics
    /// An entry that is cut was applied, or a job of the log is under way.
    pub(super) async fn truncate(&mut self, index: u64) -> Result<(), StoreError> {
        assert!(
            index > self.state.applied_index,
            "what is applied is committed, and never cut"
        );
        // An entry that is only staged has no place to be looked up.
        let address = match self
            .unapplied
            .iter()
            .rev()
            .find(|entry| entry.index < index)
        {
            Some(before) => before.end_address,
            None if self.whole => self.state.applied_address,
            None => self.log.position_of(index).await?.address,
        };
        self.log.truncate(address).await?;
        while self
            .unapplied
            .back()
            .is_some_and(|last| last.index >= index)
        {
            let last = self.unapplied.pop_back().expect("it was at the back");
            self.take_back(last.change);
        }
        Ok(())
    }

    /// Newest first: each change is undone in the state that it left.
    fn take_back(&mut self, change: Change) {
        self.forget_tentative(&change);
        match change {
            Change::Message(message) => {
                let queue = self.topics.queue_mut(&message.topic, message.queue_id);
                queue
                    .expect("its topic was made by an entry before it")
                    .next_offset = message.queue_offset;
            }
            Change::Topic(config) => self.topics.remove(&config.topic),
            Change::Offset(_) | Change::Configuration(_) | Change::Expire(_) | Change::Nothing => {}
        }
    }
}
