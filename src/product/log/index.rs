//! Entries by index, and the terms along the log.
//!
//! The group map leads from an index to a group, as it does from an address
//! (D20); within the group the entries are gone through one by one. The terms
//! are few: they are kept as runs, up to date with every entry staged, cut and
//! dropped.

use std::future::Future;

use super::Position;
use super::commit_log::CommitLog;
use super::error::ReadError;
use super::read::{Batch, Place, Upto};
use crate::env::Disk;
use crate::record::LogPart;

/// The terms of consecutive entries: each with the index of its first one.
///
/// 1. Indices and terms both ascend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TermRuns(Vec<(u64, u64)>);

impl TermRuns {
    /// Goes on with an entry at `index`.
    pub(super) fn push(&mut self, index: u64, term: u64) {
        if self.0.last().is_none_or(|(_, last)| *last != term) {
            self.0.push((index, term));
        }
    }

    /// Forgets the entries from `index` on.
    pub(super) fn truncate(&mut self, index: u64) {
        let kept = self.0.partition_point(|(first, _)| *first < index);
        self.0.truncate(kept);
    }

    /// Forgets the entries below `index`, of those below `next_index`.
    pub(super) fn raise(&mut self, index: u64, next_index: u64) {
        if index == next_index {
            return self.0.clear();
        }
        let below = self.0.partition_point(|(first, _)| *first <= index);
        if let Some(run) = below.checked_sub(1) {
            self.0[run].0 = index;
            self.0.drain(..run);
        }
    }

    /// Puts `inner`, which begin at `from_index`, in place of what is known of
    /// the entries up to `upto_index`.
    pub(super) fn splice(&mut self, from_index: u64, upto_index: u64, inner: &[LogPart]) {
        let behind = self.at(upto_index).map(|term| (upto_index, term));
        let above = self.0.partition_point(|(first, _)| *first <= upto_index);
        let above = self.0.split_off(above);
        self.truncate(from_index);
        let inner = inner.iter().map(|part| (part.index, part.term));
        for (index, term) in inner.chain(behind).chain(above) {
            self.push(index, term);
        }
    }

    /// The term of the entry at `index`, which is one of these.
    pub(super) fn at(&self, index: u64) -> Option<u64> {
        let after = self.0.partition_point(|(first, _)| *first <= index);
        self.0.get(after.checked_sub(1)?).map(|(_, term)| *term)
    }
}

impl<D: Disk> CommitLog<D> {
    /// Where the log begins: nothing below is needed any more, and nothing below
    /// is read.
    #[must_use]
    pub fn base(&self) -> Position {
        self.base
    }

    /// The terms along the log, up to [`CommitLog::tail`]: each with the index
    /// of its first entry, both ascending, none below [`CommitLog::base`].
    ///
    /// Within a [`super::Hole`] whose entries' terms nothing tells, the term
    /// before it is taken to go on; [`CommitLog::term_at`] is stricter.
    #[must_use]
    pub fn term_runs(&self) -> Vec<(u64, u64)> {
        self.terms.0.clone()
    }

    /// The term of the entry at `index`; of the one just below the base, too.
    /// `None` outside, and in a hole whose terms nothing tells.
    #[must_use]
    pub fn term_at(&self, index: u64) -> Option<u64> {
        if index + 1 == self.base.next_index {
            return Some(self.base.term);
        }
        let inside = (self.base.next_index..self.tail.next_index).contains(&index);
        let told = |index: &u64| self.holes.iter().all(|hole| hole.tells_term_of(*index));
        Some(index)
            .filter(|_| inside)
            .filter(told)
            .and_then(|index| self.terms.at(index))
    }

    /// The log before the entry at `index`, which is below [`CommitLog::tail`]
    /// or just behind it: its `address` is where that entry begins, so where a
    /// cut before it is made. (Its `term` is not below the true one where the
    /// entry below is in a hole.)
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn position_of(
        &self,
        index: u64,
    ) -> impl Future<Output = Result<Position, ReadError>> + Send + use<D> {
        let known = self.known_position(index);
        let place = match known {
            Some(_) => None,
            None => Some(self.place_of(index)),
        };
        let term = index.checked_sub(1).and_then(|below| self.term_at(below));
        async move {
            let Some(place) = place else {
                return Ok(known.expect("one of the two"));
            };
            let (entry, _) = place?.seek(index).await?;
            Ok(Position {
                next_index: index,
                term: term.unwrap_or(entry.term),
                address: entry.address,
                hash: entry.previous_hash,
            })
        }
    }

    /// As [`CommitLog::read_batch`], by index: entries from `from_index` on,
    /// below `upto_index` (and below [`CommitLog::appended`]), those in about
    /// `bytes_max` of the file, at least one, and not beyond the end of a segment or into a
    /// hole. To go on, [`CommitLog::read_batch`] from `next_address` is cheaper.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read_indices(
        &self,
        from_index: u64,
        upto_index: u64,
        bytes_max: u64,
    ) -> impl Future<Output = Result<Batch, ReadError>> + Send + use<D> {
        let end = self.appended;
        let place = (from_index != end.next_index).then(|| self.place_of(from_index));
        let behind = self
            .holes
            .partition_point(|h| h.from.next_index <= from_index);
        let hole_address = self.holes.get(behind).map(|hole| hole.from.address);
        async move {
            let Some(place) = place else {
                return Ok(Batch {
                    entries: Vec::new(),
                    next_address: end.address,
                    read_bytes: 0,
                });
            };
            let mut place = place?;
            let (entry, position) = place.seek(from_index).await?;
            place.position = position;
            let upto = Upto {
                address: hole_address.unwrap_or(end.address),
                index: upto_index,
            };
            place.read_batch(entry.address, upto, bytes_max).await
        }
    }

    /// The position that memory alone knows.
    fn known_position(&self, index: u64) -> Option<Position> {
        let ends = [self.base, self.appended, self.tail];
        let holes = self.holes.iter().flat_map(|hole| [hole.from, hole.upto]);
        ends.into_iter()
            .chain(holes)
            .find(|position| position.next_index == index)
            .or_else(|| self.staging.position_of(index))
    }

    /// The group that holds the entry at `index`.
    fn place_of(&self, index: u64) -> Result<Place<D>, ReadError> {
        let nowhere = || ReadError::NoSuchIndex {
            index,
            first_index: self.base.next_index,
            next_index: self.appended.next_index,
        };
        if !(self.base.next_index..self.appended.next_index).contains(&index) {
            return Err(nowhere());
        }
        if let Some(hole) = self.holes().iter().find(|hole| hole.holds_index(index)) {
            return Err(self.in_hole(*hole));
        }
        let after = self
            .segments
            .partition_point(|segment| segment.header.base.next_index <= index);
        let number = after.checked_sub(1).ok_or_else(nowhere)?;
        let group = self.segments[number]
            .group_of_index(index)
            .ok_or_else(nowhere)?;
        Ok(self.place_in(number, group, group.position))
    }
}
