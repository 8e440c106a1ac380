//! The log that the bytes of a disk hold, read without the product: the
//! "contiguous valid prefix" of guarantee.md, section 1.
//!
//! Segments are named by their first log address, and each takes over every
//! address from there on from those of a lower generation. Within one, entries
//! follow each other, zero-padded to a sector where a write ended. The prefix ends
//! where an entry does not verify or does not continue the chain. Where a bad sector
//! is known to have taken entries from between others, it goes on behind them, so
//! that a replica's own cut is told from the fault's doing: [`Damage`].
//!
//! A base in a file of its own stands for all up to an entry (D8). The bytes on the
//! disk below it need not verify; where the chain does not lead up to it, the log is
//! that base and what follows it.

use std::collections::BTreeMap;
use std::ops::Range;

use super::codecs::{Base, base, expired_address_of, seats_of};
use super::damage::Damage;
use crate::check::replicas::{Head, LogEntry};
use crate::log::COMMIT_LOG_DIR;
use crate::record::{ENVELOPE_BYTES, EntryKind, LogPart, Parsed, parse};
use crate::sim::disk::DiskModel;

/// The one of a disk's two states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// As a process sees it.
    Cached,
    /// As a power loss would leave it in which nothing unsynced survives.
    Durable,
}

/// A log.
#[derive(Debug, Clone, Default)]
pub(super) struct Image {
    /// The entry before the first.
    pub(super) base: Head,
    pub(super) entries: Vec<LogEntry>,
    /// Log addresses between which entries do not verify any more. They are among
    /// the entries as they were.
    pub(super) holes: Vec<Range<u64>>,
    /// The base that the disk says that it begins with.
    pub(super) stands: Option<Base>,
    /// Something stands behind the last entry that does not verify: whether it had
    /// been synced, the bytes do not say (D11).
    pub(super) has_ragged_end: bool,
    /// The log address of the first segment whose header does not verify: what
    /// stands in the segment, a replica that opens it cannot say, and whether
    /// something was meant to.
    pub(super) corrupt_header_address: Option<u64>,
}

impl Image {
    /// One past its last log address.
    pub(super) fn end_address(&self) -> u64 {
        self.last().end_address
    }

    /// One past the last log address of which a replica that opens it can be sure. An
    /// older segment may still have what the one without a header took over; nothing
    /// says that this is all.
    pub(super) fn certain_end(&self) -> u64 {
        let end = self.end_address();
        self.corrupt_header_address
            .map_or(end, |address| end.min(address))
    }

    /// The last entry, or the base.
    pub(super) fn last(&self) -> Head {
        self.entries.last().map_or(self.base, |last| last.head)
    }

    /// The part before the first hole.
    pub(super) fn prefix(&self) -> Self {
        let mut prefix = self.clone();
        if let Some(hole) = prefix.holes.first() {
            prefix
                .entries
                .retain(|entry| entry.head.end_address <= hole.start);
            prefix.holes.clear();
        }
        prefix
    }

    /// Log addresses of the entries that do not verify any more. A repair may make a
    /// hole whole from its beginning on, in part: the rest is a hole as well.
    pub(super) fn damaged_addresses(&self) -> Vec<u64> {
        let ends = self.entries.iter().map(|entry| entry.head.end_address);
        let begins = std::iter::once(self.base.end_address).chain(ends);
        let is_damaged = |address: &u64| self.holes.iter().any(|hole| hole.contains(address));
        begins.filter(is_damaged).collect()
    }

    /// The durable log of a broker that stands alone. Without the segment that it
    /// begins with, or the one that has its base, nothing chains to anything.
    pub(super) fn alone(disk: &DiskModel) -> Self {
        let image = Self::of(disk, View::Durable, Damage::None);
        match image.base.end_address == 0 || image.stands.is_some() {
            true => image,
            false => Self::default(),
        }
    }

    /// The log that the disk holds; `damage`: what is known of its bad sectors.
    pub(super) fn of(disk: &DiskModel, view: View, damage: Damage<'_>) -> Self {
        let mut image = Self {
            stands: base(disk, view),
            ..Self::default()
        };
        let (segments, corrupt_header_address) = live(disk, view, damage);
        image.corrupt_header_address = corrupt_header_address;
        let mut successors = segments.keys().copied().skip(1);
        for (number, segment) in segments.values().enumerate() {
            let successor = successors.next();
            if number == 0 {
                image.base = segment.base;
            } else if !image.reaches(&segment.base, damage) {
                if !image.is_below_base(&segment.base, damage) {
                    image.begin_at_base();
                    return image;
                }
                image.begin(segment.base);
            }
            image.follow(segment, successor, damage);
        }
        if let Some(last) = damage.uncut_end(image.end_address()) {
            image.reaches(&last, damage);
        }
        image.begin_at_base();
        image
    }

    /// Whether the log goes on behind that entry: it is the last one, or what is
    /// missing up to it was harmed.
    fn reaches(&mut self, entry: &Head, damage: Damage<'_>) -> bool {
        let last = self.last();
        // A segment that was made while the entry before it was bad does not know
        // that one's term; hash and place say which it was.
        if (entry.index, entry.hash, entry.end_address) == (last.index, last.hash, last.end_address)
        {
            return true;
        }
        match self.stands.as_ref().map(|stands| stands.head) {
            Some(base) if last.index < base.index && base.index < entry.index => {
                self.bridges_from_base(base, entry, damage)
            }
            _ => self.bridges(last, entry, self.known(damage)),
        }
    }

    /// Where holes may be from here on: below the base, nobody misses what is
    /// missing, and they are not kept account of.
    fn known<'a>(&self, damage: Damage<'a>) -> Damage<'a> {
        let last = self.last();
        let stands = self.stands.as_ref();
        let is_below = stands.is_some_and(|stands| last.index < stands.head.index);
        if is_below { damage.anywhere() } else { damage }
    }

    /// Whether what a hole behind `last` took is known, up to `entry`.
    fn bridges(&mut self, last: Head, entry: &Head, damage: Damage<'_>) -> bool {
        let Some(missing) = damage.between(last, entry) else {
            return false;
        };
        self.holes.push(last.end_address..entry.end_address);
        self.entries.extend(missing);
        true
    }

    /// The log begins at the base, and goes on up to that entry.
    fn bridges_from_base(&mut self, base: Head, entry: &Head, damage: Damage<'_>) -> bool {
        let before = self.clone();
        self.begin(base);
        let goes_on = self.bridges(base, entry, damage);
        if !goes_on {
            *self = before;
        }
        goes_on
    }

    fn begin(&mut self, base: Head) {
        self.base = base;
        self.entries.clear();
        self.holes.clear();
    }

    /// Whether the base stands for that entry. Where a bad sector took its file, what
    /// the file said is remembered.
    fn is_below_base(&self, head: &Head, damage: Damage<'_>) -> bool {
        let stands = self.stands.as_ref().map(|stands| stands.head);
        let base = stands.or_else(|| damage.base());
        base.is_some_and(|base| head.index <= base.index)
    }

    /// Where the chain does not lead up to the base, it is of another log. Nothing
    /// below it is missed.
    fn begin_at_base(&mut self) {
        let Some(Base { head, .. }) = self.stands else {
            return;
        };
        let place = head.index.checked_sub(self.base.index + 1);
        let found = match place {
            Some(place) => self.entries.get(place as usize).map(|entry| entry.head),
            None => Some(self.base),
        };
        if !found.is_some_and(|found| found.is(&head)) {
            self.begin(head);
        }
        self.holes.retain(|hole| hole.start >= head.end_address);
    }

    fn follow(&mut self, segment: &Segment, successor: Option<u64>, damage: Damage<'_>) {
        let mut position = segment.data_from();
        self.has_ragged_end = false;
        let written_end = segment.written_end();
        while let Some(bytes) = segment.bytes.get(position..)
            && position < written_end
            && successor.is_none_or(|address| self.end_address() < address)
        {
            let next_sector = (position + 1).next_multiple_of(segment.sector_bytes);
            // Behind a hole may stand what a newer segment took the place of.
            let counts = |part: &LogPart| successor.is_none_or(|address| part.address < address);
            match parse(bytes, segment.incarnation, position as u64) {
                Parsed::Entry(envelope)
                    if counts(&envelope.log) && self.is_next(&envelope.log, damage) =>
                {
                    let framed_bytes = envelope.log.framed_bytes() as usize;
                    let record = &bytes[ENVELOPE_BYTES..framed_bytes];
                    self.entries.push(entry_of(&envelope.log, record));
                    self.has_ragged_end = false;
                    position += framed_bytes;
                }
                Parsed::Entry(envelope) if self.is_behind_base(&envelope.log) => {
                    let stands = self.stands.as_ref().expect("it is behind it");
                    self.begin(stands.head);
                }
                Parsed::Mark(_) => position = next_sector,
                // Rotten bytes of a mark, of padding or of an entry: the chain goes on
                // behind it, or nowhere.
                _ => {
                    let sector = &bytes[..bytes.len().min(next_sector - position)];
                    self.has_ragged_end |= sector.iter().any(|byte| *byte != 0);
                    let resumed = self.known(damage).resumes(self.last(), segment, position);
                    // The base may end within a sector, and rot below it is nobody's loss.
                    let rest = position + 1..next_sector.min(segment.bytes.len());
                    let resumed = resumed.or_else(|| self.first_behind_base(segment, rest));
                    position = resumed.unwrap_or(next_sector);
                }
            }
        }
    }

    /// Whether the chain, broken below the base, goes on there.
    fn is_behind_base(&self, part: &LogPart) -> bool {
        self.stands.as_ref().is_some_and(|Base { head, .. }| {
            self.last().index < head.index
                && (part.index, part.address, part.previous_hash)
                    == (head.index + 1, head.end_address, head.hash)
        })
    }

    /// Where the first entry behind the base begins, in bytes that the chain does not
    /// lead through.
    fn first_behind_base(&self, segment: &Segment, mut positions: Range<usize>) -> Option<usize> {
        let base = self.stands.as_ref()?.head;
        let begins = |position: &usize| {
            let part = segment.part_at(*position);
            part.is_some_and(|part| self.is_behind_base(&part))
        };
        (self.last().index < base.index).then(|| positions.find(begins))?
    }

    fn is_next(&mut self, part: &LogPart, damage: Damage<'_>) -> bool {
        let last = self.last();
        if part.index > last.index + 1
            && let Some(before) = damage.before(part)
        {
            return self.reaches(&before, damage);
        }
        follows(&last, part)
    }
}

/// Whether an entry continues the log that ends with another.
pub(super) fn follows(last: &Head, part: &LogPart) -> bool {
    (part.index, part.address, part.previous_hash) == (last.index + 1, last.end_address, last.hash)
        && part.term >= last.term
}

/// The part of an entry that a checker needs.
pub(super) fn entry_of(part: &LogPart, record: &[u8]) -> LogEntry {
    let is_configuration = part.kind == EntryKind::Configuration;
    let is_expiry = part.kind == EntryKind::Expire;
    LogEntry {
        head: head_of(part),
        seats: is_configuration.then(|| seats_of(record)).flatten(),
        expired_address: is_expiry.then(|| expired_address_of(record)).flatten(),
    }
}

pub(super) fn head_of(part: &LogPart) -> Head {
    Head {
        index: part.index,
        term: part.term,
        hash: part.hash,
        end_address: part.end_address(),
    }
}

/// A segment's file.
pub(super) struct Segment {
    incarnation: u64,
    generation: u64,
    sector_bytes: usize,
    base: Head,
    bytes: Vec<u8>,
}

/// Bytes of a file that are looked at together for anything but zeros.
const BLANK_PIECE_BYTES: usize = 256;

/// Sizes of segments are whole multiples of this.
const SECTOR_BYTES_MIN: usize = 512;

/// Bytes of a header that carry something.
const HEADER_BYTES: usize = 96;

impl Segment {
    /// A file whose header verifies; without its bytes.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut header = *bytes.first_chunk::<HEADER_BYTES>()?;
        let crc = std::mem::take(header[4..8].first_chunk_mut::<4>()?);
        if header[..4] != *b"ZLS1" || crc32fast::hash(&header) != u32::from_be_bytes(crc) {
            return None;
        }
        let word = |at: usize| {
            header[at..]
                .first_chunk()
                .map(|word| u64::from_be_bytes(*word))
        };
        let sector_bytes = u32::from_be_bytes(*header[48..].first_chunk()?) as usize;
        let base = Head {
            end_address: word(56)?,
            index: word(64)?.checked_sub(1)?,
            term: word(72)?,
            hash: word(80)?,
        };
        (sector_bytes > 0).then_some(Self {
            incarnation: word(24)?,
            generation: word(32)?,
            sector_bytes,
            base,
            bytes: Vec::new(),
        })
    }

    /// A file whose header does not verify, by what stands behind it and by the
    /// entry that it is known to follow.
    fn corrupt_header(bytes: Vec<u8>, base: Head, sector_bytes: usize) -> Self {
        let sectors = (sector_bytes..bytes.len()).step_by(sector_bytes);
        let mut incarnations = sectors.filter_map(|position| {
            let told = *bytes[position..].get(8..)?.first_chunk()?;
            let incarnation = u64::from_be_bytes(told);
            let parsed = parse(&bytes[position..], incarnation, position as u64);
            matches!(parsed, Parsed::Entry(_)).then_some(incarnation)
        });
        Self {
            incarnation: incarnations.next().unwrap_or(0),
            generation: 0,
            sector_bytes,
            base,
            bytes,
        }
    }

    /// The entry that begins there.
    pub(super) fn part_at(&self, position: usize) -> Option<LogPart> {
        let bytes = self.bytes.get(position..)?;
        match parse(bytes, self.incarnation, position as u64) {
            Parsed::Entry(envelope) => Some(envelope.log),
            _ => None,
        }
    }

    fn data_from(&self) -> usize {
        HEADER_BYTES.next_multiple_of(self.sector_bytes)
    }

    /// The end of the last piece that has a byte other than zero: a file is allocated
    /// long before it is written, and zeros say nothing.
    fn written_end(&self) -> usize {
        // All bytes of a piece are looked at together, which is many at a time.
        let is_blank = |piece: &&[u8]| piece.iter().fold(0, |all, byte| all | byte) == 0;
        let pieces = self.bytes.rchunks(BLANK_PIECE_BYTES);
        self.bytes.len() - pieces.take_while(is_blank).map(<[u8]>::len).sum::<usize>()
    }
}

/// The segments that count, by first address: the newest, and below it what the
/// older ones still have. One whose header has gone bad takes nothing with it, where
/// it is known what it follows; and whether there is one.
fn live(disk: &DiskModel, view: View, damage: Damage<'_>) -> (BTreeMap<u64, Segment>, Option<u64>) {
    let names = match view {
        View::Cached => disk.list(COMMIT_LOG_DIR).unwrap_or_default(),
        View::Durable => disk.durable_list(COMMIT_LOG_DIR).unwrap_or_default(),
    };
    let (mut whole, mut corrupt_headers) = (Vec::new(), Vec::new());
    for name in &names {
        let path = format!("{COMMIT_LOG_DIR}/{name}");
        // A whole one that was getting its name once more when the power went.
        let again = name.strip_suffix(".again");
        let is_named = |named: &str| names.iter().any(|other| other == named);
        let address = segment_named(again.unwrap_or(name));
        let (Some(address), Some(bytes)) = (address, readable(disk, &path, view)) else {
            continue;
        };
        match Segment::read(&bytes) {
            Some(read) if read.base.end_address == address => {
                whole.push((address, Segment { bytes, ..read }));
            }
            _ if again.is_some_and(is_named) => {}
            read if is_stray(&bytes, read.as_ref(), disk.sector_bytes() as usize) => {}
            _ => corrupt_headers.push((address, bytes)),
        }
    }
    whole.sort_by_key(|(_, segment)| std::cmp::Reverse(segment.generation));
    let mut live = BTreeMap::<u64, Segment>::new();
    for (address, segment) in whole {
        if live
            .first_key_value()
            .is_none_or(|(floor, _)| address < *floor)
        {
            live.insert(address, segment);
        }
    }
    let corrupt_header_address = corrupt_headers.iter().map(|(address, _)| *address).min();
    for (address, bytes) in corrupt_headers {
        if let Some(base) = damage.ends_at(address) {
            let sector_bytes = disk.sector_bytes() as usize;
            live.insert(address, Segment::corrupt_header(bytes, base, sector_bytes));
        }
    }
    (live, corrupt_header_address)
}

/// The first log address of the segment whose header these bytes begin with.
pub(crate) fn segment_address(bytes: &[u8]) -> Option<u64> {
    Some(Segment::read(bytes)?.base.end_address)
}

/// The first log address of a segment of that name.
pub(crate) fn segment_named(name: &str) -> Option<u64> {
    let is_one = name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit());
    is_one.then(|| name.parse().ok()).flatten()
}

/// Whether a file that has a segment's name, and a header that does not go with it, proves
/// nothing: no segment has its size, or it is a copy of another (D11).
fn is_stray(bytes: &[u8], header: Option<&Segment>, sector_bytes: usize) -> bool {
    let has_size =
        bytes.len() >= 2 * SECTOR_BYTES_MIN && bytes.len().is_multiple_of(SECTOR_BYTES_MIN);
    let is_copy = header.is_some_and(|header| {
        let behind = Segment::corrupt_header(bytes.to_vec(), Head::default(), sector_bytes);
        [0, header.incarnation].contains(&behind.incarnation)
    });
    !has_size || is_copy
}

/// A file's bytes; a sector that the medium does not give back holds nothing that
/// verifies.
fn readable(disk: &DiskModel, path: &str, view: View) -> Option<Vec<u8>> {
    let content = match view {
        View::Cached => disk.cached_file(path)?,
        View::Durable => disk.durable_file(path)?,
    };
    let mut bytes = content.to_vec();
    for range in disk.unreadable_ranges(path, view == View::Durable) {
        let upto = range.end.min(bytes.len());
        if let Some(lost) = bytes.get_mut(range.start..upto) {
            lost.fill(0xff);
        }
    }
    Some(bytes)
}
