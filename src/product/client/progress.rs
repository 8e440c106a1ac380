//! How far a group has come in one queue.

use std::collections::BTreeSet;

/// The messages that were served and not processed yet, and the offset that serving
/// has reached.
///
/// Invariant: every message of the queue from the start on and below
/// [`Progress::commit_offset`] was processed, or was not served though its
/// offset was passed (filtered, expired).
#[derive(Debug)]
pub(super) struct Progress {
    /// The next offset to pull.
    next: u64,
    unprocessed: BTreeSet<u64>,
}

impl Progress {
    pub(super) fn from(start: u64) -> Self {
        Self {
            next: start,
            unprocessed: BTreeSet::new(),
        }
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Messages in hand.
    pub(super) fn unprocessed(&self) -> usize {
        self.unprocessed.len()
    }

    /// Messages were served; the next pull is from `next`.
    pub(super) fn served(&mut self, offsets: impl Iterator<Item = u64>, next: u64) {
        self.unprocessed.extend(offsets);
        self.next = next;
    }

    /// The queue does not have what was served from `next` on, any more: what is
    /// there later are other messages.
    pub(super) fn moved_back(&mut self, next: u64) {
        self.unprocessed.split_off(&next);
        self.next = next;
    }

    /// A message was processed. One that was not served changes nothing.
    pub(super) fn processed(&mut self, offset: u64) {
        self.unprocessed.remove(&offset);
    }

    /// The group's offset: the lowest unprocessed. Processing out of order must
    /// not pass a message that a crash would then skip (D22).
    pub(super) fn commit_offset(&self) -> u64 {
        self.unprocessed.first().copied().unwrap_or(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::Progress;

    #[test]
    fn the_lowest_unprocessed_is_committed_whatever_the_order() {
        let mut progress = Progress::from(10);
        assert_eq!(progress.commit_offset(), 10);
        progress.served(10..14, 14);
        for (processed, committed) in [(13, 10), (11, 10), (10, 12), (12, 14)] {
            progress.processed(processed);
            assert_eq!(progress.commit_offset(), committed);
        }
    }

    #[test]
    fn a_lost_message_is_in_nobodys_hand() {
        let mut progress = Progress::from(0);
        progress.served(0..5, 5);
        progress.moved_back(3);
        assert_eq!((progress.next(), progress.unprocessed()), (3, 3));
        for offset in 0..3 {
            progress.processed(offset);
        }
        assert_eq!(progress.commit_offset(), 3);
    }

    #[test]
    fn a_message_that_was_not_served_is_passed_with_the_rest() {
        let mut progress = Progress::from(0);
        progress.served([0, 3].into_iter(), 5);
        progress.processed(0);
        assert_eq!(progress.commit_offset(), 3);
        progress.processed(3);
        assert_eq!(progress.commit_offset(), 5);
    }
}
