//! Entries that were there and cannot be read any more, between others that
//! can (D12, D28): a replica knows what they were and gets them back from any
//! other.
//!
//! Promise: a hole is as small as the damage. Its identity is known on both
//! sides from the chain, so that what fills it is proved to be what stood there;
//! nothing valid is ever given up for it.

use std::io::ErrorKind;

use super::Position;
use super::commit_log::CommitLog;
use super::error::ReadError;
use super::frames::Flaw;
use super::recovery::before;
use super::segment::{Group, Segment, segment_path};
use super::walk::Walk;
use crate::env::Disk;
use crate::record::LogPart;

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

/// Parts the hole that reaches over `base`: what is below is not needed.
pub(super) fn split_at(holes: &mut Vec<Hole>, base: Position) {
    let over =
        |hole: &&mut Hole| hole.from.address < base.address && base.address < hole.upto.address;
    if let Some(below) = holes.iter_mut().find(over) {
        let above = Hole {
            from: base,
            upto: below.upto,
        };
        below.upto = base;
        holes.push(above);
        holes.sort_by_key(|hole| hole.from.address);
    }
}

/// The holes that are not below `base`.
pub(super) fn from_base(holes: &[Hole], base: Position) -> &[Hole] {
    let below = holes.partition_point(|hole| hole.from.address < base.address);
    &holes[below..]
}

impl<D: Disk> CommitLog<D> {
    /// The holes, in order.
    #[must_use]
    pub fn holes(&self) -> &[Hole] {
        from_base(&self.holes, self.base)
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

    /// The error of a read in a hole.
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
    /// ([`ReadError::Corrupt`] names the address), and makes a hole of the first
    /// damage in its group up to there; `None` where there is none, or where
    /// the hole is known. Reads the group up to there; where its beginning is not
    /// whole, the segment.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn mark_damaged(&mut self, address: u64) -> Result<Option<Hole>, ReadError> {
        if self.hole_at(address).is_some() {
            return Ok(None);
        }
        let number = self.locate(address)?.number;
        let end = self.end_of(number);
        let segment = &self.segments[number];
        let failed = |source| ReadError::Io {
            path: segment.path(),
            source,
        };
        let holes = self.holes.iter().copied();
        let term_of = |index| self.term_at(index);
        let window_bytes = self.config.sizes.window_bytes;
        let mut walk = Walk::near(segment, holes, address, term_of, window_bytes)
            .await
            .map_err(failed)?;
        while walk.at.address <= address {
            match walk.next().await {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    let from = walk.at;
                    let behind =
                        |log: &LogPart| log.index > from.next_index && log.address < end.address;
                    let found = walk.find_behind(behind).await.map_err(failed)?;
                    return Ok(Some(self.leave_hole(number, from, found)));
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(None)
    }

    /// Makes a hole from `from` to the entry that was found behind, or to the
    /// end of the segment.
    fn leave_hole(&mut self, number: usize, from: Position, found: Option<(u64, LogPart)>) -> Hole {
        let mut upto = self.end_of(number);
        if let Some((position, entry)) = found {
            upto = Position {
                term: self.term_at(entry.index - 1).unwrap_or(entry.term),
                ..before(&entry)
            };
            self.segments[number].add_group(Group {
                index: entry.index,
                address: entry.address,
                position,
            });
        }
        let hole = Hole { from, upto };
        // It may reach over others, which nothing whole parts from it.
        self.holes
            .retain(|old| old.upto.address <= from.address || upto.address <= old.from.address);
        let place = self
            .holes
            .partition_point(|old| old.from.address < from.address);
        self.holes.insert(place, hole);
        hole
    }

    /// Where the log stands at the end of a segment's part of it.
    pub(super) fn end_of(&self, number: usize) -> Position {
        let next = self.segments.get(number + 1);
        next.map_or(self.appended, |next| next.header.base)
    }
}
