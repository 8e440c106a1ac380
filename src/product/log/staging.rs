//! Entries in memory: sealed and chained, not yet written.
//!
//! Promise: an entry's log part is final once it is staged; what depends on
//! where it lands is filled in when a group of them is written.

use std::mem;

use bytes::Bytes;

use super::segment::SegmentHeader;
use super::{Position, RECORD_BYTES_MAX};
use crate::record::{
    ENVELOPE_BYTES, EncodeError, EntryKind, LogPart, Message, Placement, place, seal,
};

/// A staged entry's place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Staged {
    /// Its number in the log.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// Its log address.
    pub address: u64,
    /// The next entry's address. The entry is durable once
    /// [`super::CommitLog::flushed`] has reached *this*, not its own (S17).
    pub end_address: u64,
    /// Its hash: with the index, its identity on all replicas.
    pub hash: u64,
}

/// The staged entries, end to end as they will stand in the file.
#[derive(Debug, Default)]
pub(super) struct Staging {
    buffer: Vec<u8>,
    /// For each entry: where it ends in the buffer, and the log behind it.
    ends: Vec<(usize, Position)>,
}

/// Entries that go to the file in one write.
pub(super) struct Group {
    /// Sector-padded.
    pub(super) bytes: Bytes,
    /// The log behind the last entry.
    pub(super) end: Position,
}

impl Staging {
    /// Bytes of envelopes and records.
    pub(super) fn staged_bytes(&self) -> u64 {
        self.buffer.len() as u64
    }

    /// Bytes of the first entry; 0 where there is none.
    pub(super) fn first_bytes(&self) -> u64 {
        self.ends.first().map_or(0, |(end, _)| *end as u64)
    }

    /// Appends an entry behind `tail`; `encode` appends its record to the buffer
    /// that it is given. On an error, or where the record turns out too long, nothing
    /// has changed.
    pub(super) fn push(
        &mut self,
        (kind, term, tail): (EntryKind, u64, Position),
        encode: impl FnOnce(u64, &mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<Position, Refused> {
        let from = self.buffer.len();
        let record_from = from + ENVELOPE_BYTES;
        self.buffer.resize(record_from, 0);
        let encoded = encode(tail.address, &mut self.buffer).map_err(Refused::Encode);
        let record_bytes = (self.buffer.len() - record_from) as u64;
        let fits = match record_bytes <= RECORD_BYTES_MAX {
            true => Ok(()),
            false => Err(Refused::TooLong { record_bytes }),
        };
        if let Err(refused) = encoded.and(fits) {
            self.buffer.truncate(from);
            return Err(refused);
        }
        debug_assert!(
            kind != EntryKind::Message || Message::decode(&self.buffer[record_from..]).is_ok(),
            "recovery would take a malformed message for a damaged one"
        );
        let part = LogPart {
            kind,
            index: tail.next_index,
            term,
            address: tail.address,
            record_bytes: 0,
            previous_hash: tail.hash,
            hash: 0,
        };
        let part = seal(&mut self.buffer[from..], part);
        let end = Position {
            next_index: part.index + 1,
            term,
            address: part.end_address(),
            hash: part.hash,
        };
        self.ends.push((self.buffer.len(), end));
        Ok(end)
    }

    /// Appends an entry that another replica sealed, envelope and record, and
    /// behind which the log is `end`.
    pub(super) fn push_sealed(&mut self, frame: &[u8], end: Position) {
        self.buffer.extend_from_slice(frame);
        self.ends.push((self.buffer.len(), end));
    }

    /// The frame of the entry at `index`, if it is here.
    pub(super) fn frame(&self, index: u64) -> Option<&[u8]> {
        let number = self
            .ends
            .binary_search_by_key(&(index + 1), next_index)
            .ok()?;
        let from = number
            .checked_sub(1)
            .map_or(0, |before| self.ends[before].0);
        Some(&self.buffer[from..self.ends[number].0])
    }

    /// The log behind the entry before `index`, if that one is here.
    pub(super) fn position_of(&self, index: u64) -> Option<Position> {
        let number = self.ends.binary_search_by_key(&index, next_index).ok()?;
        Some(self.ends[number].1)
    }

    /// Drops the entries that end above `address`; gives the log behind the last
    /// one left, if there is one.
    pub(super) fn truncate(&mut self, address: u64) -> Option<Position> {
        let kept = self.ends.partition_point(|(_, end)| end.address <= address);
        self.ends.truncate(kept);
        let last = self.ends.last().copied();
        self.buffer.truncate(last.map_or(0, |(upto, _)| upto));
        last.map(|(_, end)| end)
    }

    /// Takes the entries that fit into `room_bytes` at file position `position`,
    /// placed there and padded; `None` where not even the first one fits.
    pub(super) fn take_group(
        &mut self,
        header: &SegmentHeader,
        position: u64,
        durable_address: u64,
    ) -> Option<Group> {
        // A segment is whole sectors, so the padding fits where the bytes do.
        let room_bytes = (header.segment_bytes - position) as usize;
        let count = self.ends.partition_point(|(end, _)| *end <= room_bytes);
        let (length, end) = *self.ends.get(count.checked_sub(1)?)?;
        // The next group will be about as long.
        let mut rest = Vec::with_capacity(2 * length);
        rest.extend_from_slice(&self.buffer[length..]);
        self.buffer.truncate(length);
        let mut group = mem::replace(&mut self.buffer, rest);
        let mut from = 0;
        for (upto, _) in self.ends.drain(..count) {
            let position = position + from as u64;
            let incarnation = header.incarnation;
            place(
                &mut group[from..],
                Placement {
                    incarnation,
                    position,
                    durable_address,
                },
            );
            from = upto;
        }
        for (end, _) in &mut self.ends {
            *end -= length;
        }
        group.resize(
            header.sector_up(position + length as u64) as usize - position as usize,
            0,
        );
        Some(Group {
            bytes: group.into(),
            end,
        })
    }
}

fn next_index((_, end): &(usize, Position)) -> u64 {
    end.next_index
}

/// Why an entry was not staged.
pub(super) enum Refused {
    Encode(EncodeError),
    TooLong { record_bytes: u64 },
}
