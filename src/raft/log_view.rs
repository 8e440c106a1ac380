//! The log as the core sees it: which term each index has.

use super::EntryId;

/// Index to term, kept as runs: a term's entries are contiguous.
///
/// 1. `base` is the last entry below the log; what is at or below it is
///    committed.
/// 2. Runs ascend in index and in term, and the first begins at
///    `base.index + 1`.
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
        Self {
            base,
            runs,
            last_index,
        }
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
}
