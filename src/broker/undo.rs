//! Taking back what was appended and is not committed: a new leader's entries
//! replace it (D6).
//!
//! Promise: afterwards topics and queues are as if what was cut had never been
//! appended, so that the offsets given to what replaces it are a function of the
//! log alone (D20).

use super::store::{Change, Store};
use crate::env::Disk;
use crate::log::LogError;

impl<D: Disk> Store<D> {
    /// Cuts the log before the entry that begins at `address`, and forgets what
    /// was to be applied from there on.
    ///
    /// # Errors
    /// The log's.
    ///
    /// # Panics
    /// What is cut was applied, or a job of the log is under way.
    pub(super) async fn truncate(&mut self, address: u64) -> Result<(), LogError> {
        assert!(
            address >= self.state.applied_address,
            "what is applied is committed, and never cut"
        );
        self.log.truncate(address).await?;
        while self
            .unapplied
            .back()
            .is_some_and(|last| last.end_address > address)
        {
            let last = self.unapplied.pop_back().expect("it was at the back");
            self.take_back(last.change);
        }
        Ok(())
    }

    /// Newest first: each change is undone in the state that it left.
    fn take_back(&mut self, change: Change) {
        match change {
            Change::Message {
                topic,
                queue_id,
                queue_offset,
                ..
            } => {
                let queue = self.topics.queue_mut(&topic, queue_id);
                queue
                    .expect("its topic was made by an entry before it")
                    .next_offset = queue_offset;
            }
            Change::Topic(config) => self.topics.remove(&config.topic),
            Change::Offset(_) | Change::Nothing => {}
        }
    }
}
