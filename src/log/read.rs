//! Entries by log address, verified at every use (D28).
//!
//! An address leads to a segment (they are sorted by first address), to a group
//! (each segment's sparse map), and from the group's beginning straight to the
//! position: within a group address and position advance alike. The futures
//! stand alone, so the owner's loop may poll them beside its other work.

use std::future::Future;
use std::io;

use bytes::Bytes;

use super::Position;
use super::commit_log::CommitLog;
use super::error::ReadError;
use super::frames::{Flaw, Frame, Frames, follow};
use super::segment::{Group, SegmentHeader, segment_path};
use crate::env::Disk;
use crate::record::{ENVELOPE_BYTES, EntryKind, Envelope};

/// An entry as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the record is.
    pub kind: EntryKind,
    /// Its number in the log.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// Its log address.
    pub address: u64,
    /// The next entry's address.
    pub end_address: u64,
    /// Its hash: with the index, its identity on all replicas.
    pub hash: u64,
    /// Envelope and record, as another replica's log takes them.
    pub frame: Bytes,
    /// The record, without its envelope.
    pub record: Bytes,
}

impl Entry {
    fn new(envelope: &Envelope, frame: &Bytes) -> Self {
        let log = &envelope.log;
        Self {
            kind: log.kind,
            index: log.index,
            term: log.term,
            address: log.address,
            end_address: log.end_address(),
            hash: log.hash,
            frame: frame.clone(),
            record: frame.slice(ENVELOPE_BYTES..),
        }
    }
}

/// Consecutive entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// In log order; empty only at the end that was asked for.
    pub entries: Vec<Entry>,
    /// Where the next batch begins.
    pub next_address: u64,
}

impl<D: Disk> CommitLog<D> {
    /// Reads the entry that begins at `address`, which must be below
    /// [`CommitLog::appended`]. `record_bytes` is how long the caller believes
    /// its record to be: right, it saves a read; wrong, it does no harm.
    ///
    /// # Errors
    /// See [`ReadError`]; a wrong address is told from a damaged entry.
    pub fn read(
        &self,
        address: u64,
        record_bytes: u32,
    ) -> impl Future<Output = Result<Entry, ReadError>> + Send + use<D> {
        let place = self.place(address);
        async move { place?.read(address, record_bytes).await }
    }

    /// Reads entries from the one that begins at `from_address` on, below
    /// `upto_address` (and below [`CommitLog::appended`]): about `bytes_max` of
    /// them, at least one, and not beyond the end of a segment.
    ///
    /// # Errors
    /// See [`ReadError`]; nothing of a batch with a damaged entry is handed out.
    pub fn read_batch(
        &self,
        from_address: u64,
        upto_address: u64,
        bytes_max: u64,
    ) -> impl Future<Output = Result<Batch, ReadError>> + Send + use<D> {
        let upto_address = upto_address.min(self.appended.address);
        let place = (from_address < upto_address).then(|| self.place(from_address));
        async move {
            match place {
                None => Ok(Batch {
                    entries: Vec::new(),
                    next_address: from_address,
                }),
                Some(place) => {
                    place?
                        .read_batch(from_address, upto_address, bytes_max)
                        .await
                }
            }
        }
    }

    fn place(&self, address: u64) -> Result<Place<D>, ReadError> {
        let end_address = self.appended.address;
        if address >= end_address {
            return Err(ReadError::BeyondEnd {
                address,
                end_address,
            });
        }
        let first_address = |number: usize| {
            self.segments
                .get(number)
                .map(|segment| segment.header.base.address)
        };
        let after = self
            .segments
            .partition_point(|segment| segment.header.base.address <= address);
        let number = after
            .checked_sub(1)
            .ok_or(ReadError::NotAnEntry { address })?;
        let segment = &self.segments[number];
        let group = segment
            .group_of(address)
            .ok_or(ReadError::NotAnEntry { address })?;
        let written_to = match first_address(after) {
            Some(_) => segment.header.segment_bytes,
            None => self.write_position,
        };
        Ok(Place {
            file: segment.file.clone(),
            header: segment.header,
            group,
            position: group.position + (address - group.address),
            written_to,
            segment_end_address: first_address(after).unwrap_or(end_address),
        })
    }
}

/// Where an entry should be.
struct Place<D: Disk> {
    file: D::File,
    header: SegmentHeader,
    group: Group,
    position: u64,
    /// File position that reads need not go beyond.
    written_to: u64,
    /// The first address that is not this segment's.
    segment_end_address: u64,
}

impl<D: Disk> Place<D> {
    async fn read(&self, address: u64, record_bytes: u32) -> Result<Entry, ReadError> {
        let mut frames = self.frames(ENVELOPE_BYTES as u64 + u64::from(record_bytes));
        let (envelope, frame) = self.first(&mut frames, address).await?;
        Ok(Entry::new(&envelope, &frame))
    }

    async fn read_batch(
        &self,
        from_address: u64,
        upto_address: u64,
        bytes_max: u64,
    ) -> Result<Batch, ReadError> {
        let upto_address = upto_address.min(self.segment_end_address);
        // Enough for all that is asked for, unless groups are small and padded.
        let wanted_bytes = bytes_max.min(upto_address - from_address);
        let mut frames = self.frames(wanted_bytes);
        let (envelope, frame) = self.first(&mut frames, from_address).await?;
        let mut at = behind(&envelope);
        let mut position = self.position + envelope.log.framed_bytes();
        let mut entries = vec![Entry::new(&envelope, &frame)];
        while at.address < upto_address && at.address - from_address < bytes_max {
            match self.frame_at(&mut frames, position).await? {
                Frame::Padding | Frame::Mark(_) => position = frames.next_sector(position),
                Frame::Entry { envelope, frame } => {
                    at = follow(at, &envelope.log)
                        .map_err(|flaw| self.corrupt(position, at.address, flaw))?;
                    position += envelope.log.framed_bytes();
                    entries.push(Entry::new(&envelope, &frame));
                }
                other => return Err(self.corrupt(position, at.address, flaw_of(other))),
            }
        }
        Ok(Batch {
            entries,
            next_address: at.address,
        })
    }

    fn frames(&self, window_bytes: u64) -> Frames<D::File> {
        Frames::new(
            self.file.clone(),
            &self.header,
            self.written_to,
            window_bytes,
        )
    }

    /// The entry that was asked for.
    async fn first(
        &self,
        frames: &mut Frames<D::File>,
        address: u64,
    ) -> Result<(Envelope, Bytes), ReadError> {
        if self.position >= self.written_to {
            return Err(ReadError::NotAnEntry { address });
        }
        match self.frame_at(frames, self.position).await? {
            Frame::Entry { envelope, frame } if envelope.log.address == address => {
                Ok((envelope, frame))
            }
            other => Err(self.diagnose(address, flaw_of(other)).await?),
        }
    }

    /// Why there is no entry: from the group's beginning, which is one, the
    /// entries are gone through one by one. An address out of a client's
    /// message id must not look like damage.
    async fn diagnose(&self, address: u64, flaw: Flaw) -> Result<ReadError, ReadError> {
        let mut frames = self.frames(0);
        let (mut at, mut position) = (self.group.address, self.group.position);
        while at < address {
            match self.frame_at(&mut frames, position).await? {
                Frame::Entry { envelope, .. } if envelope.log.address == at => {
                    at = envelope.log.end_address();
                    position += envelope.log.framed_bytes();
                }
                other => return Ok(self.corrupt(position, at, flaw_of(other))),
            }
        }
        Ok(match at == address {
            true => self.corrupt(position, address, flaw),
            false => ReadError::NotAnEntry { address },
        })
    }

    async fn frame_at(
        &self,
        frames: &mut Frames<D::File>,
        position: u64,
    ) -> Result<Frame, ReadError> {
        let failed = |source: io::Error| ReadError::Io {
            path: self.path(),
            source,
        };
        frames.at(position).await.map_err(failed)
    }

    fn corrupt(&self, position: u64, address: u64, flaw: Flaw) -> ReadError {
        ReadError::Corrupt {
            path: self.path(),
            position,
            address,
            flaw,
        }
    }

    fn path(&self) -> String {
        segment_path(self.header.base.address)
    }
}

fn behind(envelope: &Envelope) -> Position {
    Position {
        next_index: envelope.log.index + 1,
        term: envelope.log.term,
        address: envelope.log.end_address(),
        hash: envelope.log.hash,
    }
}

/// What is wrong with a frame where an entry should be.
fn flaw_of(frame: Frame) -> Flaw {
    match frame {
        Frame::Bad { flaw, .. } => flaw,
        Frame::Padding | Frame::Blank => Flaw::Blank,
        Frame::OtherIncarnation { .. } => Flaw::OtherIncarnation,
        Frame::Entry { .. } | Frame::Mark(_) => Flaw::Unchained,
    }
}
