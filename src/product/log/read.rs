//! Entries by log address, verified at every use (D28).
//!
//! An address leads to a segment (they are sorted by first address), to a group
//! (each segment's sparse map), and from the group's beginning straight to the
//! position: within a group address and position advance alike. The futures
//! stand alone, so the owner's loop may poll them beside its other work.

use std::future::Future;
use std::io;

use bytes::{Buf, Bytes};

use super::Position;
use super::commit_log::CommitLog;
use super::error::ReadError;
use super::frames::{Flaw, Frame, Frames, follow};
use super::segment::{Group, SegmentHeader, segment_path};
use crate::env::Disk;
use crate::record::{ENVELOPE_BYTES, EntryKind, Envelope, LogPart};

/// Looking for an index reads ahead so many bytes.
const SEEK_BYTES: u64 = 16 << 10;

/// An entry as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The kind of the record.
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
}

impl Entry {
    /// The entry of a sealed frame, whose log part was verified.
    #[must_use]
    pub fn from_frame(log: &LogPart, frame: Bytes) -> Self {
        Self {
            kind: log.kind,
            index: log.index,
            term: log.term,
            address: log.address,
            end_address: log.end_address(),
            hash: log.hash,
            frame,
        }
    }

    /// The record, without its envelope.
    #[must_use]
    pub fn record(&self) -> &[u8] {
        &self.frame[ENVELOPE_BYTES..]
    }

    /// As [`Entry::record`], of an entry that nobody else needs.
    #[must_use]
    pub fn into_record(self) -> Bytes {
        let mut record = self.frame;
        record.advance(ENVELOPE_BYTES);
        record
    }
}

/// Consecutive entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// In log order; empty only at the end that was asked for.
    pub entries: Vec<Entry>,
    /// Where the next batch begins.
    pub next_address: u64,
    /// Bytes of the file that were read for it, padding included.
    pub read_bytes: u64,
}

/// A length that is told is believed so far: it may come from a queue's entry, which
/// carries no checksum. Where more is told, the entry's own header is asked first.
const BELIEVED_BYTES_MAX: u64 = 1 << 20;

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
    /// `upto_address` (and below [`CommitLog::appended`]): those in about `bytes_max` of
    /// the file (where each was written alone, padding is most of it), at least one, and
    /// not beyond the end of a segment.
    ///
    /// # Errors
    /// See [`ReadError`]: the first entry does not verify. A batch ends before
    /// one further on that does not.
    pub fn read_batch(
        &self,
        from_address: u64,
        upto_address: u64,
        bytes_max: u64,
    ) -> impl Future<Output = Result<Batch, ReadError>> + Send + use<D> {
        let upto_address = self.readable_upto(from_address, upto_address);
        let place = (from_address < upto_address).then(|| self.place(from_address));
        let upto = Upto {
            address: upto_address,
            index: u64::MAX,
        };
        async move {
            match place {
                None => Ok(Batch {
                    entries: Vec::new(),
                    next_address: from_address,
                    read_bytes: 0,
                }),
                Some(place) => place?.read_batch(from_address, upto, bytes_max).await,
            }
        }
    }

    /// Where a batch from `from_address` ends at the latest: the whole entries
    /// before a hole are handed out.
    pub(super) fn readable_upto(&self, from_address: u64, upto_address: u64) -> u64 {
        let behind = self
            .holes
            .partition_point(|hole| hole.from.address <= from_address);
        let hole_address = self.holes.get(behind).map_or(u64::MAX, |h| h.from.address);
        upto_address.min(self.appended.address).min(hole_address)
    }

    pub(super) fn place(&self, address: u64) -> Result<Place<D>, ReadError> {
        match address < self.base.address {
            true => Err(ReadError::NotAnEntry { address }),
            false => self.locate(address),
        }
    }

    /// As `place`, also for what still stands below the base.
    pub(super) fn locate(&self, address: u64) -> Result<Place<D>, ReadError> {
        let end_address = self.appended.address;
        if address >= end_address {
            return Err(ReadError::BeyondEnd {
                address,
                end_address,
            });
        }
        if let Some(hole) = self.hole_at(address) {
            return Err(self.in_hole(hole));
        }
        let after = self
            .segments
            .partition_point(|segment| segment.header.base.address <= address);
        let number = after
            .checked_sub(1)
            .ok_or(ReadError::NotAnEntry { address })?;
        let group = self.segments[number]
            .group_of(address)
            .ok_or(ReadError::NotAnEntry { address })?;
        let position = group.position + (address - group.address);
        Ok(self.place_in(number, group, position))
    }

    /// A place in a segment.
    pub(super) fn place_in(&self, number: usize, group: Group, position: u64) -> Place<D> {
        let segment = &self.segments[number];
        let next = self.segments.get(number + 1);
        let written_to = match next {
            Some(_) => segment.header.segment_bytes,
            None => self.write_position,
        };
        Place {
            file: segment.file.clone(),
            header: segment.header,
            number,
            group,
            position,
            written_to,
            segment_end_address: next
                .map_or(self.appended.address, |next| next.header.base.address),
        }
    }
}

/// Where a batch ends at the latest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Upto {
    pub(super) address: u64,
    pub(super) index: u64,
}

/// Where an entry should be.
pub(super) struct Place<D: Disk> {
    file: D::File,
    header: SegmentHeader,
    /// The segment's number among the live ones.
    pub(super) number: usize,
    pub(super) group: Group,
    pub(super) position: u64,
    /// File position that reads need not go beyond.
    written_to: u64,
    /// The first address that is not this segment's.
    segment_end_address: u64,
}

impl<D: Disk> Place<D> {
    async fn read(&self, address: u64, record_bytes: u32) -> Result<Entry, ReadError> {
        let told_bytes = match u64::from(record_bytes) {
            believed @ ..=BELIEVED_BYTES_MAX => believed,
            _ => 0,
        };
        let mut frames = self.frames(ENVELOPE_BYTES as u64 + told_bytes);
        let (envelope, frame) = self.first(&mut frames, address).await?;
        Ok(Entry::from_frame(&envelope.log, frame))
    }

    pub(super) async fn read_batch(
        &self,
        from_address: u64,
        upto: Upto,
        bytes_max: u64,
    ) -> Result<Batch, ReadError> {
        let upto_address = upto.address.min(self.segment_end_address);
        let wanted_bytes = bytes_max.min(upto_address - from_address);
        let mut frames = self.frames(wanted_bytes);
        let (envelope, frame) = self.first(&mut frames, from_address).await?;
        let mut at = behind(&envelope);
        let mut position = self.position + envelope.log.framed_bytes();
        let mut entries = vec![Entry::from_frame(&envelope.log, frame)];
        while at.address < upto_address
            && at.next_index < upto.index
            && position - self.position < bytes_max
        {
            // Where groups are padded the window ends before the batch: the next one
            // reads what is left of that, and not as much again.
            let of_entries = wanted_bytes.saturating_sub(at.address - from_address);
            let of_file = bytes_max - (position - self.position);
            frames.read_ahead(of_entries.min(of_file));
            // One that does not fit any more is not read to be left out.
            let long = self.long_at(&mut frames, position).await?;
            let fits = |part: &LogPart| position - self.position + part.framed_bytes() <= bytes_max;
            if long.is_some_and(|part| !fits(&part)) {
                break;
            }
            match self.frame_at(&mut frames, position).await? {
                Frame::Padding | Frame::Mark(_) => position = frames.next_sector(position),
                Frame::Entry { envelope, frame } => {
                    at = follow(at, &envelope.log)
                        .map_err(|flaw| self.corrupt(position, at.address, flaw))?;
                    position += envelope.log.framed_bytes();
                    entries.push(Entry::from_frame(&envelope.log, frame));
                }
                // An entry, or only the padding before it: who asks for it next
                // is told.
                _ => break,
            }
        }
        Ok(Batch {
            entries,
            next_address: at.address,
            read_bytes: frames.read_bytes(),
        })
    }

    pub(super) fn frames(&self, window_bytes: u64) -> Frames<D::File> {
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

    /// The log part of the entry at `address`, which is this place's.
    pub(super) async fn entry(&self, address: u64) -> Result<LogPart, ReadError> {
        let mut frames = self.frames(ENVELOPE_BYTES as u64);
        let (envelope, _) = self.first(&mut frames, address).await?;
        Ok(envelope.log)
    }

    /// The entry at `index`, which is in the group, and its file position.
    pub(super) async fn seek(&self, index: u64) -> Result<(LogPart, u64), ReadError> {
        let mut frames = self.frames(SEEK_BYTES);
        let (mut at, mut position) = (self.group.address, self.group.position);
        loop {
            // The records of long entries before it are not read.
            if let Some(part) = self.long_at(&mut frames, position).await?
                && part.address == at
            {
                if part.index == index {
                    return Ok((part, position));
                }
                at = part.end_address();
                position += part.framed_bytes();
                continue;
            }
            match self.frame_at(&mut frames, position).await? {
                Frame::Entry { envelope, .. } if envelope.log.address == at => {
                    if envelope.log.index == index {
                        return Ok((envelope.log, position));
                    }
                    at = envelope.log.end_address();
                    position += envelope.log.framed_bytes();
                }
                other => return Err(self.corrupt(position, at, flaw_of(other))),
            }
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

    async fn long_at(
        &self,
        frames: &mut Frames<D::File>,
        position: u64,
    ) -> Result<Option<LogPart>, ReadError> {
        let long = frames.long_at(position).await;
        long.map_err(|source| self.failed(source))
    }

    pub(super) async fn frame_at(
        &self,
        frames: &mut Frames<D::File>,
        position: u64,
    ) -> Result<Frame, ReadError> {
        let frame = frames.at(position).await;
        frame.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> ReadError {
        ReadError::Io {
            path: self.path(),
            source,
        }
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

/// The flaw of a frame that stands where an entry should be.
pub(super) fn flaw_of(frame: Frame) -> Flaw {
    match frame {
        Frame::Bad { flaw, .. } => flaw,
        Frame::Padding | Frame::Blank => Flaw::Blank,
        Frame::OtherIncarnation { .. } => Flaw::OtherIncarnation,
        Frame::Entry { .. } | Frame::Mark(_) => Flaw::Unchained,
    }
}
