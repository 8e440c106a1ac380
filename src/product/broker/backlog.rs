//! The time that the oldest entry has been waiting to be applied: for the disk, for a
//! majority.
//!
//! A client that waits for an answer slows down with its broker; one that sends
//! one-way does not. Without a bound, what it sent would keep everybody else waiting
//! long after their requests have timed out, and each of them would ask again.

use std::collections::VecDeque;

use crate::log::Staged;

/// Entries that are appended within so long of each other count as one.
const STEP_NS: u64 = 20_000_000;

/// When the entries were appended that may still wait.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    term: u64,
    /// Index of an entry, and when it was appended; both rise.
    marks: VecDeque<(u64, u64)>,
}

impl Backlog {
    /// An entry was appended; those below `first_waiting` are applied.
    pub(super) fn appended(&mut self, staged: &Staged, first_waiting: Option<u64>, now_ns: u64) {
        if self.term != staged.term {
            (self.term, self.marks) = (staged.term, VecDeque::new());
        }
        let first_waiting = first_waiting.unwrap_or(u64::MAX);
        while self
            .marks
            .get(1)
            .is_some_and(|(index, _)| *index <= first_waiting)
        {
            self.marks.pop_front();
        }
        let last = self.marks.back();
        if last.is_none_or(|(_, at_ns)| now_ns.saturating_sub(*at_ns) >= STEP_NS) {
            self.marks.push_back((staged.index, now_ns));
        }
    }

    /// For how long that entry has been waiting, nanoseconds; 0 where it was not
    /// appended in this term.
    pub(super) fn waits_ns(&self, first_waiting: Option<u64>, now_ns: u64) -> u64 {
        let Some(first_waiting) = first_waiting else {
            return 0;
        };
        let behind = self
            .marks
            .partition_point(|(index, _)| *index <= first_waiting);
        let mark = behind.checked_sub(1).and_then(|at| self.marks.get(at));
        mark.map_or(0, |(_, at_ns)| now_ns.saturating_sub(*at_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::{Backlog, STEP_NS};
    use crate::log::Staged;

    fn staged(term: u64, index: u64) -> Staged {
        Staged {
            address: index * 100,
            end_address: (index + 1) * 100,
            index,
            term,
            hash: 0,
        }
    }

    #[test]
    fn the_oldest_entry_that_waits_counts() {
        let mut backlog = Backlog::default();
        for index in 1..=100 {
            backlog.appended(&staged(1, index), Some(1), index * STEP_NS);
        }
        let now_ns = 200 * STEP_NS;
        assert_eq!(backlog.waits_ns(None, now_ns), 0);
        assert_eq!(backlog.waits_ns(Some(1), now_ns), 199 * STEP_NS);
        assert_eq!(backlog.waits_ns(Some(100), now_ns), 100 * STEP_NS);
        // Applied entries are forgotten.
        backlog.appended(&staged(1, 101), Some(101), now_ns);
        assert_eq!(backlog.waits_ns(Some(101), now_ns), 0);
        assert!(backlog.marks.len() <= 2);
    }

    #[test]
    fn entries_of_another_term_do_not_count() {
        let mut backlog = Backlog::default();
        backlog.appended(&staged(1, 1), Some(1), 0);
        assert_eq!(backlog.waits_ns(Some(1), 5), 5);
        backlog.appended(&staged(3, 9), Some(4), 1_000);
        assert_eq!(backlog.waits_ns(Some(4), 2_000), 0, "the other leader's");
        assert_eq!(backlog.waits_ns(Some(9), 2_000), 1_000);
    }
}
