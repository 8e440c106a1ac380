//! Looking for rot before somebody needs the bytes (D28).

use std::future::Future;

use super::commit_log::CommitLog;
use super::error::ReadError;
use crate::env::Disk;

/// What a stretch of the log looked like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scrubbed {
    /// Where the next step begins: the log's base once the end was reached.
    pub next_address: u64,
    /// An entry that does not verify, for [`CommitLog::mark_damaged`].
    pub damaged: Option<u64>,
}

impl<D: Disk> CommitLog<D> {
    /// Verifies about `bytes` of the durable log from `from_address` on, at most
    /// to the end of a segment: `next_address` of the step before, or 0. Known
    /// holes are passed over. Stands alone.
    ///
    /// # Errors
    /// A read failed for a reason other than the medium.
    pub fn scrub_step(
        &self,
        from_address: u64,
        bytes: u64,
    ) -> impl Future<Output = Result<Scrubbed, ReadError>> + Send + use<D> {
        let _ = (from_address, bytes);
        async move { todo!() }
    }
}
