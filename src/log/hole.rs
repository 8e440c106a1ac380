//! Entries that were there and cannot be read any more, between others that
//! can (D12, D28): a replica knows what they were and gets them back from any
//! other.
//!
//! Promise: a hole is as small as the damage. Its identity is known on both
//! sides from the chain, so that what fills it is proved to be what stood there;
//! nothing valid is ever given up for it.

use bytes::Bytes;

use super::Position;
use super::commit_log::CommitLog;
use super::error::{LogError, ReadError};
use super::foreign::FrameError;
use super::frames::Flaw;
use super::segment::{Segment, segment_path};
use crate::env::Disk;

/// Consecutive entries that do not verify, though they had been synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// The log before the first of them.
    pub from: Position,
    /// The log behind the last of them: what fills the hole ends in this hash.
    /// Its `term` is the last one's where that is known, otherwise that of the
    /// entry behind, which is not below it.
    pub upto: Position,
}

impl Hole {
    /// How many entries it took.
    pub(super) fn entries(&self) -> u64 {
        self.upto.next_index - self.from.next_index
    }

    /// Whether the entry at `index` is one of them.
    pub(super) fn holds_index(&self, index: u64) -> bool {
        (self.from.next_index..self.upto.next_index).contains(&index)
    }

    /// Whether the entry at `index` is elsewhere, or all terms in the hole are
    /// the same.
    pub(super) fn tells_term_of(&self, index: u64) -> bool {
        !self.holds_index(index) || self.from.term == self.upto.term
    }
}

/// Why a hole was not filled. The disk is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The log has no such hole (any more).
    #[error("the log has no such hole")]
    NoSuchHole,
    /// A frame that does not continue what is before it.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The frames do not end where the hole does, or other entries stood there.
    #[error("the frames do not fill the hole")]
    NotTheSame,
    /// The disk failed: the log is poisoned.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl<D: Disk> CommitLog<D> {
    /// The holes, in order.
    #[must_use]
    pub fn holes(&self) -> &[Hole] {
        &self.holes
    }

    /// The lowest hole.
    #[must_use]
    pub fn first_hole(&self) -> Option<Hole> {
        self.holes().first().copied()
    }

    /// The hole that `address` is in.
    pub(super) fn hole_at(&self, address: u64) -> Option<Hole> {
        let after = self
            .holes
            .partition_point(|hole| hole.from.address <= address);
        let hole = self.holes[after.checked_sub(1)?];
        (address < hole.upto.address).then_some(hole)
    }

    /// What a read in a hole is told.
    pub(super) fn in_hole(&self, hole: Hole) -> ReadError {
        let address = hole.from.address;
        let after = self
            .segments
            .partition_point(|segment| segment.header.base.address <= address);
        let segment = after.checked_sub(1).map(|number| &self.segments[number]);
        ReadError::Corrupt {
            path: segment.map_or_else(|| segment_path(address), Segment::path),
            position: 0,
            address,
            flaw: Flaw::Hole,
        }
    }

    /// Looks at the entry at `address`, which a read or a scrub found damaged
    /// ([`ReadError::Corrupt`] names the address), and makes a hole of what
    /// really does not verify there; `None` where it does, or where the hole is
    /// known.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn mark_damaged(&mut self, address: u64) -> Result<Option<Hole>, ReadError> {
        let _ = address;
        todo!()
    }

    /// Fills a hole with the frames of all of its entries, from any replica:
    /// they are proved by the chain on both sides. The segment is written anew
    /// aside, synced and renamed (D24: never in place), so a crash leaves the
    /// hole or the whole log.
    ///
    /// # Errors
    /// See [`RepairError`].
    ///
    /// # Panics
    /// A job is under way.
    pub async fn repair(&mut self, hole: Hole, frames: &[Bytes]) -> Result<(), RepairError> {
        let _ = (hole, frames);
        todo!()
    }
}
