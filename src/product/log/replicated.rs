//! Entries as another replica sealed them: a frame is staged as it is, or not
//! at all.
//!
//! Promise: what is staged here is, byte for byte, the log part and the record
//! that the leader sealed; only the placement part is made anew (D10).

use super::commit_log::CommitLog;
use super::error::LogError;
use super::frames::follow;
use super::staging::Staged;
use super::{Position, RECORD_BYTES_MAX};
use crate::env::Disk;
use crate::record::{
    DecodeError, Defect, ENVELOPE_BYTES, EntryKind, LogPart, Message, parse_sealed,
};

/// Why another replica's frame is not this log's next entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It does not verify: length, kind or hash.
    #[error("the frame does not verify: {0}")]
    Damaged(#[from] Defect),
    /// The message in it does not decode; recovery would take it for rot.
    #[error("the frame's message is malformed: {0}")]
    Message(#[from] DecodeError),
    /// Not the next index.
    #[error("the frame has index {found}; index {expected} comes next")]
    Index {
        /// The log's next.
        expected: u64,
        /// The frame's.
        found: u64,
    },
    /// The right index behind other entries: the logs differ below it.
    #[error("the frame of index {index} does not continue the chain")]
    Unchained {
        /// The frame's.
        index: u64,
    },
    /// Its term is below that of the entry before it.
    #[error("the frame has term {found}, the entry before it {last}")]
    Term {
        /// The last entry's.
        last: u64,
        /// The frame's.
        found: u64,
    },
}

impl<D: Disk> CommitLog<D> {
    /// Stages an entry as the leader sealed it: `frame` is its envelope and
    /// record, of which the placement part is ignored. It must be the log's next
    /// one: index, address, previous hash, and a term not below the last one's.
    ///
    /// # Errors
    /// [`LogError::Frame`] and the others; nothing was staged.
    pub fn stage_frame(&mut self, frame: &[u8]) -> Result<Staged, LogError> {
        self.healthy()?;
        let part = parse_frame(frame)?;
        let end = next_entry(self.tail, &part)?;
        let record_bytes = u64::from(part.record_bytes);
        if record_bytes > RECORD_BYTES_MAX {
            return Err(LogError::RecordTooLong { record_bytes });
        }
        self.staging.push_sealed(frame, end);
        Ok(self.staged(end))
    }

    /// The frame of an entry that is staged and not yet written, for those who
    /// send it on: envelope (without a placement) and record.
    ///
    /// # Panics
    /// The entry is not staged any more: a write took it, or a cut.
    #[must_use]
    pub fn staged_frame(&self, staged: &Staged) -> &[u8] {
        let frame = self.staging.frame(staged.index);
        frame.expect("a frame is asked for before it is written")
    }
}

/// A frame's log part, if both verify, frame and record.
pub(super) fn parse_frame(frame: &[u8]) -> Result<LogPart, FrameError> {
    let part = parse_sealed(frame)?;
    if part.kind == EntryKind::Message {
        Message::decode(&frame[ENVELOPE_BYTES..])?;
    }
    Ok(part)
}

/// The log behind an entry, if the entry is the next one at `at`; otherwise what
/// is wrong with it.
pub(super) fn next_entry(at: Position, part: &LogPart) -> Result<Position, FrameError> {
    if part.index != at.next_index {
        return Err(FrameError::Index {
            expected: at.next_index,
            found: part.index,
        });
    }
    if part.term < at.term {
        return Err(FrameError::Term {
            last: at.term,
            found: part.term,
        });
    }
    follow(at, part).map_err(|_| FrameError::Unchained { index: part.index })
}
