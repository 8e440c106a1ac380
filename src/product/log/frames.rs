//! The frame at a position of a segment file, judged on its own.
//!
//! Promise: every byte that the log hands out, at recovery or later, came
//! through [`Frames::at`], and so through both checksums of its envelope.

use std::io;

use bytes::Bytes;

use super::Position;
use super::segment::{HeaderFlaw, SegmentHeader};
use crate::env::failure::medium_lost_data;
use crate::env::{File, yield_once};
use crate::record::{
    DecodeError, Defect, ENTRY_MAGIC, ENVELOPE_BYTES, Envelope, LogPart, Mark, Parsed, parse,
};

/// Why bytes are not the log's next entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The segment's own header.
    #[error(transparent)]
    Header(#[from] HeaderFlaw),
    /// The envelope, or the record in it, does not verify.
    #[error(transparent)]
    Envelope(#[from] Defect),
    /// Nothing was ever written here, or it never arrived.
    #[error("there are only zeros")]
    Blank,
    /// The bytes belong to another segment, from an earlier use of the medium.
    #[error("the bytes belong to another segment")]
    OtherIncarnation,
    /// The file ends within the record.
    #[error("the file ends within the record")]
    CutShort,
    /// The medium does not give the bytes back.
    #[error("the bytes cannot be read: {0}")]
    Unreadable(String),
    /// A whole record that does not follow the one before it.
    #[error("the record does not continue the chain")]
    Unchained,
    /// A whole mark that says something else than the log before it.
    #[error("the mark does not belong to the log before it")]
    MarkMismatch,
    /// The message in a whole envelope does not decode.
    #[error("the message is malformed: {0}")]
    Message(#[from] DecodeError),
    /// Known not to verify since it was last looked at.
    #[error("the entry is waiting to be repaired from another replica")]
    Hole,
    /// The log's directory lacks the segment.
    #[error("the segment is missing")]
    Missing,
}

/// The content of a position.
#[derive(Debug, Clone)]
pub(super) enum Frame {
    /// A whole entry; envelope and record together.
    Entry { envelope: Envelope, frame: Bytes },
    /// A whole mark.
    Mark(Mark),
    /// Zeros to the end of a sector that something else begins.
    Padding,
    /// Zeros.
    Blank,
    /// The header of another incarnation's record.
    OtherIncarnation { framed_bytes: u64 },
    /// None of these; with what a header that verifies calls durable.
    Bad {
        flaw: Flaw,
        durable_address: Option<u64>,
    },
}

/// Reads a segment's frames through a window over its file.
pub(super) struct Frames<F: File> {
    file: F,
    incarnation: u64,
    sector_bytes: u64,
    /// Reads stop here: what is behind is not written or not of interest.
    end: u64,
    window_bytes: u64,
    window: Bytes,
    window_from: u64,
    /// The end of the shortest read ahead that failed, once one did: what the medium
    /// lost is before it.
    lost_before: u64,
    read_bytes: u64,
}

impl<F: File> Frames<F> {
    /// Frames below file position `end`, read `window_bytes` at a time.
    pub(super) fn new(file: F, header: &SegmentHeader, end: u64, window_bytes: u64) -> Self {
        Self {
            file,
            incarnation: header.incarnation,
            sector_bytes: u64::from(header.sector_bytes),
            end,
            window_bytes,
            window: Bytes::new(),
            window_from: 0,
            lost_before: 0,
            read_bytes: 0,
        }
    }

    /// From here on so many bytes are read at a time.
    pub(super) fn read_ahead(&mut self, window_bytes: u64) {
        self.window_bytes = window_bytes;
    }

    /// Bytes of the file that were read so far.
    pub(super) fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// One past the last position that is read.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The first sector boundary above `position`.
    pub(super) fn next_sector(&self, position: u64) -> u64 {
        (position + 1).next_multiple_of(self.sector_bytes)
    }

    /// The first sector boundary at or behind `position`, itself one, from which on
    /// anything but zeros may stand: a preallocated file is not read where nobody
    /// has written. The end where there is nothing.
    ///
    /// # Errors
    /// The disk's.
    pub(super) async fn skip_hole(&self, position: u64) -> io::Result<u64> {
        let in_window = position.checked_sub(self.window_from);
        if in_window.is_some_and(|at| at < self.window.len() as u64) || position >= self.end {
            return Ok(position);
        }
        let data = self.file.data_from(position).await?;
        let data = data.map_or(self.end, |data| {
            data / self.sector_bytes * self.sector_bytes
        });
        Ok(data.clamp(position, self.end))
    }

    /// The entry at `position` by its header alone, where more of it would have to be
    /// read: its checksum verifies, its record's is not looked at.
    ///
    /// # Errors
    /// As [`Frames::at`].
    pub(super) async fn long_at(&mut self, position: u64) -> io::Result<Option<LogPart>> {
        if self.see(position, ENVELOPE_BYTES as u64).await?.is_err() {
            return Ok(None);
        }
        Ok(
            match parse(self.seen(position), self.incarnation, position) {
                Parsed::Short {
                    header: Some(header),
                    ..
                } => Some(header.log),
                _ => None,
            },
        )
    }

    /// The frame at `position`.
    ///
    /// # Errors
    /// The disk's, except what the medium alone is to blame for.
    pub(super) async fn at(&mut self, position: u64) -> io::Result<Frame> {
        let in_sector = self.next_sector(position) - position;
        let at_boundary = in_sector == self.sector_bytes;
        let head_bytes = in_sector.max(ENVELOPE_BYTES as u64);
        if let Err(why) = self.see(position, head_bytes).await? {
            return Ok(bad(Flaw::Unreadable(why), None));
        }
        let seen = self.seen(position);
        let Some(rest) = seen.get(..in_sector as usize) else {
            return Ok(bad(Flaw::CutShort, None));
        };
        if !at_boundary && is_zero(rest) {
            return Ok(Frame::Padding);
        }
        match parse(seen, self.incarnation, position) {
            Parsed::Short {
                header: Some(header),
                ..
            } => self.long_entry(position, header).await,
            parsed => Ok(self.frame(parsed, position)),
        }
    }

    /// The first whole entry at or behind `from` that `is_wanted`, and its
    /// position: any byte may be its first one. For what stands behind damage.
    ///
    /// # Errors
    /// As [`Frames::at`].
    pub(super) async fn find_entry(
        &mut self,
        from: u64,
        is_wanted: impl Fn(&LogPart) -> bool,
    ) -> io::Result<Option<(u64, LogPart)>> {
        let mut position = from;
        while position < self.end {
            let next = self.next_sector(position);
            // A magic may reach into the next sector.
            let length = next - position + ENTRY_MAGIC.len() as u64 - 1;
            let sector = match self.bytes(position, length).await? {
                Ok(sector) => sector,
                Err(_) => self
                    .bytes(position, next - position)
                    .await?
                    .unwrap_or_default(),
            };
            for at in magics(&sector) {
                let candidate = position + at as u64;
                if let Frame::Entry { envelope, .. } = self.at(candidate).await?
                    && is_wanted(&envelope.log)
                {
                    return Ok(Some((candidate, envelope.log)));
                }
            }
            position = match is_zero(&sector) {
                true => self.skip_hole(next).await?,
                false => next,
            };
        }
        Ok(None)
    }

    /// An entry whose record reaches beyond its first sector.
    async fn long_entry(&mut self, position: u64, header: Envelope) -> io::Result<Frame> {
        let length = header.log.framed_bytes();
        if length > self.end - position {
            return Ok(bad(Flaw::CutShort, Some(header)));
        }
        Ok(match self.see(position, length).await? {
            Err(why) => bad(Flaw::Unreadable(why), Some(header)),
            Ok(()) => {
                let parsed = parse(self.seen(position), self.incarnation, position);
                self.frame(parsed, position)
            }
        })
    }

    /// `length` bytes from `position` on, fewer at an end; or why not.
    async fn bytes(&mut self, position: u64, length: u64) -> io::Result<Result<Bytes, String>> {
        let seen = self.see(position, length).await?;
        Ok(seen.map(|()| {
            let from = (position - self.window_from) as usize;
            let upto = self.window.len().min(from + length as usize);
            self.window.slice(from..upto)
        }))
    }

    /// Brings `length` bytes from `position` into the window, fewer at the end of
    /// the segment or of the file; or says why the medium does not give them back.
    async fn see(&mut self, position: u64, length: u64) -> io::Result<Result<(), String>> {
        let length = length.min(self.end.saturating_sub(position));
        if self.is_seen(position, length) {
            return Ok(Ok(()));
        }
        let kept = self.kept(position);
        if !kept.is_empty() {
            return self.see_the_rest(position, length, kept).await;
        }
        let ahead = self.ahead(position, length);
        let read = match self.file.read_at(position, ahead as usize).await {
            // A bad sector further on must not hide the good ones before it.
            Err(error) if medium_lost_data(&error) && ahead > length => {
                self.lost_before = position + ahead;
                self.file.read_at(position, length as usize).await
            }
            read => read,
        };
        match read {
            Ok(bytes) => {
                let is_long = bytes.len() as u64 >= LONG_BYTES;
                self.read_bytes += bytes.len() as u64;
                self.window = bytes;
                self.window_from = position;
                if is_long {
                    yield_once().await;
                }
                Ok(Ok(()))
            }
            Err(error) if medium_lost_data(&error) => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// The part that the window has from `position` on, where it is long.
    fn kept(&self, position: u64) -> Bytes {
        let at = position.checked_sub(self.window_from);
        let at = at.and_then(|at| usize::try_from(at).ok());
        let has = at.filter(|at| self.window.len().saturating_sub(*at) as u64 >= LONG_BYTES);
        has.map_or(Bytes::new(), |at| self.window.slice(at..))
    }

    /// As [`Frames::see`], where the window has the first part: that is not read again,
    /// and nothing is read ahead. A long entry is gone through once.
    async fn see_the_rest(
        &mut self,
        position: u64,
        length: u64,
        kept: Bytes,
    ) -> io::Result<Result<(), String>> {
        let rest_bytes = length - kept.len() as u64;
        let behind = position + kept.len() as u64;
        match self.file.read_at(behind, rest_bytes as usize).await {
            Ok(rest) => {
                self.read_bytes += rest.len() as u64;
                self.window = [kept, rest].concat().into();
                self.window_from = position;
                yield_once().await;
                Ok(Ok(()))
            }
            Err(error) if medium_lost_data(&error) => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// How much to read at `position`, of which `length` bytes are needed: half of the
    /// way to where a read failed, so that not each of those before it fails again
    /// and the bytes are gone through about twice.
    fn ahead(&self, position: u64, length: u64) -> u64 {
        let ahead = self.window_bytes.clamp(length, self.end - position);
        match self.lost_before.saturating_sub(position) {
            0 => ahead,
            near => ahead.min(near / 2).max(length),
        }
    }

    fn is_seen(&self, position: u64, length: u64) -> bool {
        let upto = position.saturating_add(length);
        position >= self.window_from && upto - self.window_from <= self.window.len() as u64
    }

    /// All that the window has from `position` on, which is in it or at its end.
    fn seen(&self, position: u64) -> &[u8] {
        &self.window[(position - self.window_from) as usize..]
    }

    /// The frame that was parsed at a position within the window.
    fn frame(&mut self, parsed: Parsed, position: u64) -> Frame {
        match parsed {
            Parsed::Entry(envelope) => {
                let from = (position - self.window_from) as usize;
                let upto = from + envelope.log.framed_bytes() as usize;
                // A window that is one frame is not needed any more.
                let frame = match (from, upto) == (0, self.window.len()) {
                    true => std::mem::take(&mut self.window),
                    false => self.window.slice(from..upto),
                };
                Frame::Entry { envelope, frame }
            }
            Parsed::Mark(mark) => Frame::Mark(mark),
            Parsed::Blank => Frame::Blank,
            Parsed::OtherIncarnation { framed_bytes, .. } => {
                Frame::OtherIncarnation { framed_bytes }
            }
            Parsed::Short { header, .. } => bad(Flaw::CutShort, header),
            Parsed::Bad { defect, header } => bad(defect.into(), header),
        }
    }
}

/// Bytes of a read that is gone through, too: others have their turn first.
const LONG_BYTES: u64 = 64 << 10;

/// The incarnation that the entries of a file speak of, and the first of them
/// that is whole: for a file whose header has rotted. `header` says how to read
/// it; entries below `address` are not the file's.
pub(super) async fn find_incarnation<F: File>(
    file: F,
    header: &SegmentHeader,
    address: u64,
    window_bytes: u64,
) -> io::Result<Option<(u64, LogPart)>> {
    let mut raw = Frames::new(file.clone(), header, header.segment_bytes, window_bytes);
    let mut position = 0;
    while position < raw.end() {
        let next = raw.next_sector(position);
        let sector = raw
            .bytes(position, next - position)
            .await?
            .unwrap_or_default();
        for at in magics(&sector) {
            let candidate = position + at as u64;
            let head = raw.bytes(candidate, ENVELOPE_BYTES as u64).await?;
            let incarnation = match parse(&head.unwrap_or_default(), 0, candidate) {
                Parsed::OtherIncarnation { incarnation, .. } => incarnation,
                _ => continue,
            };
            let header = SegmentHeader {
                incarnation,
                ..*header
            };
            let mut frames = Frames::new(file.clone(), &header, raw.end(), window_bytes);
            if let Frame::Entry { envelope, .. } = frames.at(candidate).await?
                && envelope.log.address >= address
            {
                return Ok(Some((incarnation, envelope.log)));
            }
        }
        position = match is_zero(&sector) {
            true => raw.skip_hole(next).await?,
            false => next,
        };
    }
    Ok(None)
}

/// A group's padding is half a sector of zeros: whole words at a time.
fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

/// Where an entry may begin.
fn magics(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let windows = bytes.windows(ENTRY_MAGIC.len()).enumerate();
    windows.filter_map(|(at, window)| (window == ENTRY_MAGIC).then_some(at))
}

fn bad(flaw: Flaw, header: Option<Envelope>) -> Frame {
    let durable_address = header.map(|header| header.placement.durable_address);
    Frame::Bad {
        flaw,
        durable_address,
    }
}

/// The log behind an entry, if the entry is the next one at `at`.
pub(super) fn follow(at: Position, log: &LogPart) -> Result<Position, Flaw> {
    let here = (log.index, log.address, log.previous_hash);
    if here != (at.next_index, at.address, at.hash) || log.term < at.term {
        return Err(Flaw::Unchained);
    }
    Ok(Position {
        next_index: log.index + 1,
        term: log.term,
        address: log.end_address(),
        hash: log.hash,
    })
}
