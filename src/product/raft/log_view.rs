//! The log as the core sees it: which term each index has.

use super::EntryId;

/// Index to term, kept as runs: a term's entries are contiguous.
///
/// 1. `base` is the last entry below the log; what is at or below it is
///    committed.
/// 2. Runs ascend strictly in index and in term, the first begins at
///    `base.index + 1`, and the last at or below `last_index`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogView {
    base: EntryId,
    /// (first index, term).
    runs: Vec<(u64, u64)>,
    last_index: u64,
}

impl LogView {
    /// The log behind `base`, up to `last_index`; `runs` are (first index,
    /// term), ascending.
    ///
    /// # Panics
    /// The runs break invariant 2.
    #[must_use]
    pub fn new(base: EntryId, runs: Vec<(u64, u64)>, last_index: u64) -> Self {
        let view = Self {
            base,
            runs,
            last_index,
        };
        assert!(view.valid(), "not a log: {view:?}");
        view
    }

    /// Invariant 2.
    fn valid(&self) -> bool {
        let ascending = self
            .runs
            .windows(2)
            .all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1);
        let bounded = match (self.runs.first(), self.runs.last()) {
            (Some(first), Some(last)) => {
                first.0 == self.base.index + 1
                    && first.1 >= self.base.term
                    && last.0 <= self.last_index
            }
            _ => self.last_index == self.base.index,
        };
        ascending && bounded
    }

    /// The last entry below the log.
    #[must_use]
    pub fn base(&self) -> EntryId {
        self.base
    }

    /// The last entry; the base where the log is empty.
    #[must_use]
    pub fn last(&self) -> EntryId {
        let term = self.runs.last().map_or(self.base.term, |(_, term)| *term);
        EntryId {
            term,
            index: self.last_index,
        }
    }

    /// The entry at `index`, the base included; `None` below and beyond.
    #[must_use]
    pub fn id_at(&self, index: u64) -> Option<EntryId> {
        if index == self.base.index {
            return Some(self.base);
        }
        if index < self.base.index || index > self.last_index {
            return None;
        }
        let behind = self.runs.partition_point(|(first, _)| *first <= index);
        let (_, term) = self.runs[behind - 1];
        Some(EntryId { term, index })
    }

    /// Whether this log has that very entry: if so it equals any other log that
    /// has it, up to there (Log Matching).
    #[must_use]
    pub fn contains(&self, id: EntryId) -> bool {
        self.id_at(id.index) == Some(id)
    }

    /// The last entry that is neither behind `bound` nor of a later term; at least the
    /// base. The part that matches another log that ends with `bound` lies at or below
    /// it, so both sides use it to step back over whole terms at once (Raft paper, §5.3,
    /// the end).
    #[must_use]
    pub fn last_within(&self, bound: EntryId) -> EntryId {
        let behind = self.runs.partition_point(|(_, term)| *term <= bound.term);
        let end = self
            .runs
            .get(behind)
            .map_or(self.last_index, |(first, _)| first - 1);
        let index = end.min(bound.index).max(self.base.index);
        self.id_at(index).expect("an index within the log")
    }

    /// Appends an entry.
    ///
    /// # Panics
    /// It does not follow the last one.
    pub fn push(&mut self, id: EntryId) {
        let last = self.last();
        assert!(
            id.index == last.index + 1 && id.term >= last.term,
            "{id} cannot follow {last}"
        );
        if self.runs.last().is_none_or(|(_, term)| *term < id.term) {
            self.runs.push((id.index, id.term));
        }
        self.last_index = id.index;
    }

    /// Cuts the log before `from_index`.
    ///
    /// # Panics
    /// That is at or below the base.
    pub fn truncate(&mut self, from_index: u64) {
        assert!(from_index > self.base.index, "the base is committed");
        self.runs.retain(|(first, _)| *first < from_index);
        self.last_index = self.last_index.min(from_index - 1);
    }

    /// Drops everything up to `base`, which the log has, from its front.
    ///
    /// # Panics
    /// The log does not have it.
    pub fn drop_to(&mut self, base: EntryId) {
        assert!(self.contains(base), "{base} is not in the log");
        let next_index = base.index + 1;
        let behind = self.runs.partition_point(|(first, _)| *first <= next_index);
        // The run that holds the first entry left, if one is left.
        self.runs.drain(..behind.saturating_sub(1));
        if base.index == self.last_index {
            self.runs.clear();
        } else if let Some(first) = self.runs.first_mut() {
            first.0 = next_index;
        }
        self.base = base;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: u64, term: u64) -> EntryId {
        EntryId { term, index }
    }

    /// Entries 4 to 9 behind 3/1, of terms 1 1 2 2 2 5.
    fn view() -> LogView {
        LogView::new(id(3, 1), vec![(4, 1), (6, 2), (9, 5)], 9)
    }

    #[test]
    fn every_index_has_the_term_of_its_run() {
        let terms: Vec<_> = (2..=10)
            .map(|index| view().id_at(index).map(|id| id.term))
            .collect();
        let (one, two, five) = (Some(1), Some(2), Some(5));
        assert_eq!(
            terms,
            [None, one, one, one, two, two, two, five, None],
            "2 lies below the base, 10 beyond the end"
        );
    }

    #[test]
    fn the_last_entry_within_a_bound() {
        for (bound, expected) in [
            (id(9, 5), id(9, 5)),
            (id(20, 9), id(9, 5)),
            (id(20, 4), id(8, 2)),
            (id(7, 4), id(7, 2)),
            (id(20, 1), id(5, 1)),
            (id(1, 9), id(3, 1)),
            (id(9, 0), id(3, 1)),
        ] {
            assert_eq!(view().last_within(bound), expected, "within {bound}");
        }
    }

    #[test]
    fn cut_entries_are_gone_and_those_that_follow_are_of_their_own_term() {
        let mut view = view();
        view.truncate(7);
        assert_eq!(view.last(), id(6, 2));
        view.push(id(7, 4));
        assert_eq!(
            view,
            LogView::new(id(3, 1), vec![(4, 1), (6, 2), (7, 4)], 7)
        );
        view.truncate(4);
        assert_eq!(view, LogView::new(id(3, 1), vec![], 3));
    }

    #[test]
    fn dropping_keeps_what_is_behind() {
        for (upto, runs) in [
            (3, vec![(4, 1), (6, 2), (9, 5)]),
            (4, vec![(5, 1), (6, 2), (9, 5)]),
            (5, vec![(6, 2), (9, 5)]),
            (6, vec![(7, 2), (9, 5)]),
            (8, vec![(9, 5)]),
            (9, vec![]),
        ] {
            let mut dropped = view();
            let base = dropped.id_at(upto).expect("within the log");
            dropped.drop_to(base);
            assert_eq!(dropped, LogView::new(base, runs, 9), "up to {upto}");
        }
    }

    #[test]
    #[should_panic(expected = "cannot follow")]
    fn a_gap_is_no_log() {
        view().push(id(11, 5));
    }
}
