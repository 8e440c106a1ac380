//! Entries by index, and the terms along the log.

use std::future::Future;

use super::Position;
use super::commit_log::CommitLog;
use super::error::ReadError;
use super::read::Batch;
use crate::env::Disk;

impl<D: Disk> CommitLog<D> {
    /// Where the log begins: nothing below is needed any more, and nothing below
    /// is read.
    #[must_use]
    pub fn base(&self) -> Position {
        todo!()
    }

    /// The terms along the log, up to [`CommitLog::tail`]: each with the index
    /// of its first entry, both ascending, none below [`CommitLog::base`].
    ///
    /// Within a [`super::Hole`] whose entries' terms nothing tells, the term
    /// before it is taken to go on; [`CommitLog::term_at`] is stricter.
    #[must_use]
    pub fn term_runs(&self) -> Vec<(u64, u64)> {
        todo!()
    }

    /// The term of the entry at `index`; of the one just below the base, too.
    /// `None` outside, and in a hole whose terms nothing tells.
    #[must_use]
    pub fn term_at(&self, index: u64) -> Option<u64> {
        let _ = index;
        todo!()
    }

    /// The log before the entry at `index`, which is below
    /// [`CommitLog::appended`] or just behind it: its `address` is where that
    /// entry begins, so where a cut before it is made.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn position_of(
        &self,
        index: u64,
    ) -> impl Future<Output = Result<Position, ReadError>> + Send + use<D> {
        let _ = index;
        async move { todo!() }
    }

    /// As [`CommitLog::read_batch`], by index: entries from `from_index` on,
    /// below `upto_index` (and below [`CommitLog::appended`]), about `bytes_max`
    /// of them, at least one, and not beyond the end of a segment.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read_indices(
        &self,
        from_index: u64,
        upto_index: u64,
        bytes_max: u64,
    ) -> impl Future<Output = Result<Batch, ReadError>> + Send + use<D> {
        let _ = (from_index, upto_index, bytes_max);
        async move { todo!() }
    }
}
