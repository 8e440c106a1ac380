//! Where the log begins: what is below goes (D8, D30), or everything does (an
//! installed base).
//!
//! The owner keeps the base in a file of its own and stores it *first*; the log
//! then follows. [`CommitLog::open_at`] finishes what a crash in between left.

use super::Position;
use super::commit_log::CommitLog;
use super::error::LogError;
use crate::env::Disk;

impl<D: Disk> CommitLog<D> {
    /// Removes the segments that are wholly below `base`, which the owner has
    /// stored durably and which is a place in this log, not above
    /// [`CommitLog::flushed`].
    ///
    /// # Errors
    /// The disk failed: the log is poisoned.
    ///
    /// # Panics
    /// `base` is below the log's base, or above what is durable.
    pub async fn drop_below(&mut self, base: Position) -> Result<(), LogError> {
        let _ = base;
        todo!()
    }

    /// Discards everything and begins anew at `base`, which the owner has stored
    /// durably. Where the log holds `base`, [`CommitLog::drop_below`] is called
    /// instead: a matching suffix is kept (N03).
    ///
    /// # Errors
    /// The disk failed: the log is poisoned.
    ///
    /// # Panics
    /// A job is under way.
    pub async fn reset_to(&mut self, base: Position) -> Result<(), LogError> {
        let _ = base;
        todo!()
    }
}
