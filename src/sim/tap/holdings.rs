//! The part of the log that one broker's disk holds.
//!
//! Kept as a watermark, so O(entry): an entry is durable once its file's writes
//! up to its own are, the file's name is, and so is every entry before it. An
//! entry in a file that has no segment's name yet (recovery's copies) counts
//! from when it is given one, and takes the place of what stood there. Where the
//! power goes, the watermark is taken anew from what is left; of a replica, also
//! where such a file is given its name, and where its base is.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::damage::Damage;
use super::image::{Image, View, head_of};
use crate::broker::BASE_FILE;
use crate::check::replicas::Head;
use crate::log::COMMIT_LOG_DIR;
use crate::record::{ENVELOPE_BYTES, EntryKind, LogPart, Message, Parsed, parse};
use crate::remoting::transaction::sys_flag;
use crate::sim::disk::{DiskModel, DiskSurvival, Ino, Seq};
use crate::sim::disk_io::Synced;
use crate::sim::random::{Purpose, Stream};

/// An entry as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WrittenEntry {
    pub(crate) address: u64,
    pub(crate) end_address: u64,
    pub(crate) written_ns: u64,
    /// Of a message: its queue's number and its offset there.
    pub(crate) place: Option<(u32, u64)>,
    /// Of an offset commit: the digest of its record.
    pub(crate) commit_digest: Option<u64>,
    /// Of what decides a transaction: its half message's log address.
    pub(crate) decides: Option<u64>,
    /// The entry's term and index, where there are replicas.
    pub(crate) head: Head,
}

/// Where an entry stands.
#[derive(Debug)]
struct Extent {
    address: u64,
    end_address: u64,
}

#[derive(Debug)]
struct Undurable {
    ino: Ino,
    seq: Seq,
    end_address: u64,
}

/// The beginning of an entry.
#[derive(Debug)]
struct Piece {
    position: u64,
    bytes: Vec<u8>,
}

/// One broker's holdings.
///
/// Invariant: `entries` are in the order of their addresses, without overlap;
/// writing at an address forgets what stood at or above it.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    entries: Vec<Extent>,
    /// Every entry ever written, in the order of the writes.
    everything: Vec<WrittenEntry>,
    undurable: VecDeque<Undurable>,
    /// As `undurable`, of what the disk's answers to syncs let one believe.
    unbelieved: VecDeque<Undurable>,
    believed_end: u64,
    /// How far syncs of each file were answered with OK.
    file_synced: BTreeMap<Ino, Seq>,
    /// How far syncs of the log's directory were.
    names_synced: Seq,
    /// Lies that the disk had told when the power last went.
    lies_before: u64,
    /// Files that have a segment's name, and since which change.
    segments: BTreeMap<Ino, Seq>,
    durable_end: u64,
    /// The entries that were written to files that have no segment's name yet.
    unnamed: BTreeMap<Ino, Vec<(WrittenEntry, Seq)>>,
    /// Beginnings of entries whose ends were not written yet: a long one comes in
    /// pieces.
    pieces: BTreeMap<Ino, Piece>,
    /// Offset commits, by the digest of their bytes and where they end: when each
    /// was written, nanoseconds.
    commits: BTreeMap<(u64, u64), u64>,
    /// One of several replicas: its log is read off the bytes, entry by entry,
    /// where the watermark is taken anew.
    by_image: bool,
    /// The log as it was last read off the bytes.
    image: Option<Image>,
    /// The watermark has to be taken anew.
    stale: bool,
    /// The files that made it stale, until their names are durable.
    renamed: Vec<Ino>,
    /// The segments that are removed, and of which a power loss brings the names back.
    removed: Vec<String>,
}

impl Holdings {
    /// The holdings of one of several replicas.
    pub(super) fn of_a_replica() -> Self {
        Self {
            by_image: true,
            ..Self::default()
        }
    }

    /// Bytes were written; `seen` is shown every entry in them that is part of
    /// the log, with its log part and its record.
    pub(super) fn written(
        &mut self,
        now_ns: u64,
        (ino, seq): (Ino, Seq),
        path: &str,
        position: u64,
        bytes: &Bytes,
        mut seen: impl FnMut(&LogPart, &[u8]),
    ) {
        if !path.starts_with(COMMIT_LOG_DIR) {
            return;
        }
        let joined = self.pieces.remove(&ino).and_then(|piece| {
            let goes_on = piece.position + piece.bytes.len() as u64 == position;
            goes_on.then(|| (piece.position, [&piece.bytes[..], bytes].concat()))
        });
        let (position, bytes) = match &joined {
            Some((position, bytes)) => (*position, &bytes[..]),
            None => (position, &bytes[..]),
        };
        // By its number: a file keeps it when it is given its name.
        let named = self.segments.contains_key(&ino);
        let mut at = 0;
        for (part, entry, record) in entries_in(bytes, position) {
            at += part.framed_bytes() as usize;
            let entry = WrittenEntry {
                written_ns: now_ns,
                ..entry
            };
            if named {
                seen(&part, record);
                self.everything.push(entry);
                self.add(entry, ino, seq);
            } else {
                self.unnamed.entry(ino).or_default().push((entry, seq));
            }
        }
        if begins_entry(&bytes[at..], position + at as u64) {
            let piece = Piece {
                position: position + at as u64,
                bytes: bytes[at..].to_vec(),
            };
            self.pieces.insert(ino, piece);
        }
    }

    fn add(&mut self, entry: WrittenEntry, ino: Ino, seq: Seq) {
        while self
            .entries
            .last()
            .is_some_and(|last| last.end_address > entry.address)
        {
            self.entries.pop();
        }
        // Entries that were cut off are not held any more, durable as they were.
        self.durable_end = self.durable_end.min(entry.address);
        self.believed_end = self.believed_end.min(entry.address);
        for waiting in [&mut self.undurable, &mut self.unbelieved] {
            while waiting
                .back()
                .is_some_and(|last| last.end_address > entry.address)
            {
                waiting.pop_back();
            }
            waiting.push_back(Undurable {
                ino,
                seq,
                end_address: entry.end_address,
            });
        }
        self.entries.push(Extent {
            address: entry.address,
            end_address: entry.end_address,
        });
        if let Some(digest) = entry.commit_digest {
            let place = (digest, entry.end_address);
            self.commits.insert(place, entry.written_ns);
        }
    }

    /// A file got a name: whether a replica may now read another log.
    pub(super) fn renamed(&mut self, ino: Ino, seq: Seq, to: &str) -> bool {
        if to == BASE_FILE && self.by_image {
            self.stale = true;
            self.renamed.push(ino);
            return false;
        }
        let Some(name) = to.strip_prefix(COMMIT_LOG_DIR) else {
            return false;
        };
        self.segments.insert(ino, seq);
        self.removed
            .retain(|removed| name.strip_prefix('/') != Some(removed));
        let unnamed = self.unnamed.remove(&ino).unwrap_or_default();
        if !self.by_image {
            for (entry, seq) in unnamed {
                self.add(entry, ino, seq);
            }
            return false;
        }
        let first = name.strip_prefix('/').and_then(|name| name.parse().ok());
        let cuts = first.is_some_and(|first: u64| first < self.cached_end());
        let is_new = !unnamed.is_empty() || cuts;
        if is_new {
            self.stale = true;
            self.renamed.push(ino);
        }
        is_new
    }

    /// A file lost its name: whether a replica may now read another log.
    pub(super) fn removed(&mut self, path: &str) -> bool {
        let name = path.strip_prefix(COMMIT_LOG_DIR);
        let name = name.and_then(|name| name.strip_prefix('/'));
        let Some(name) = name.filter(|name| self.by_image && name.parse::<u64>().is_ok()) else {
            return false;
        };
        self.removed.push(name.to_owned());
        self.stale = true;
        true
    }

    /// The log as it was read off the bytes since the last call.
    pub(super) fn take_image(&mut self) -> Option<Image> {
        self.image.take()
    }

    /// A sync was answered with OK.
    pub(super) fn synced(&mut self, synced: Synced) {
        match synced {
            Synced::File { ino, upto } => {
                self.file_synced.insert(ino, upto);
            }
            Synced::Directory { upto } => self.names_synced = self.names_synced.max(upto),
        }
        let Self {
            file_synced,
            segments,
            names_synced,
            ..
        } = self;
        let believed = |ino: Ino, seq: Seq| {
            let upto = file_synced.get(&ino).filter(|upto| **upto >= seq)?;
            let named = segments.get(&ino).is_some_and(|seq| seq <= names_synced);
            named.then_some(*upto)
        };
        let end = pop_while(&mut self.unbelieved, believed);
        self.believed_end = self.believed_end.max(end);
    }

    /// One past the last log address that a disk which lies said it holds; 0
    /// where it told no lie.
    pub(super) fn believed_end(&self, disk: &DiskModel) -> u64 {
        match disk.lies() > self.lies_before {
            true => self.believed_end,
            false => 0,
        }
    }

    /// Moves the watermark over what has become durable.
    pub(super) fn settle(&mut self, disk: &DiskModel) {
        let durable = |ino, seq| {
            let upto = disk.durable_seq(ino).unwrap_or(Seq::MAX);
            (upto >= seq && disk.is_linked_durably(ino)).then_some(upto)
        };
        let end = pop_while(&mut self.undurable, durable);
        self.durable_end = self.durable_end.max(end);
    }

    /// The entries that were cached only are gone, and maybe more.
    pub(super) fn lost_cache(&mut self, disk: &DiskModel, damage: Damage<'_>) {
        self.undurable.clear();
        self.unbelieved.clear();
        self.lies_before = disk.lies();
        self.durable_end = self.measure(disk, damage);
        self.believed_end = self.durable_end;
        self.stale = false;
        self.renamed.clear();
        self.removed.clear();
        self.unnamed.clear();
        self.pieces.clear();
        let end = self.durable_end;
        self.entries.retain(|entry| entry.end_address <= end);
        self.commits
            .retain(|(_, end_address), _| *end_address <= end);
    }

    /// One past the last log address held durably.
    pub(super) fn durable_end(&mut self, disk: &DiskModel) -> u64 {
        self.settle(disk);
        self.durable_end
    }

    /// As [`Holdings::durable_end`], of a replica, whose log may have to be read
    /// off the bytes.
    pub(super) fn look(&mut self, disk: &DiskModel, damage: Damage<'_>) -> u64 {
        if std::mem::take(&mut self.stale) {
            self.durable_end = self.measure(disk, damage);
            // Every sync is another look, until the names are durable.
            self.renamed.retain(|ino| !disk.is_linked_durably(*ino));
            // A segment without its header stands in the way of what a repair put in
            // its place, until its file is gone.
            let has_corrupt_header = self
                .image
                .as_ref()
                .is_some_and(|image| image.corrupt_header_address.is_some());
            let names = disk.durable_list(COMMIT_LOG_DIR).unwrap_or_default();
            self.removed.retain(|name| names.contains(name));
            self.stale =
                !(self.renamed.is_empty() && self.removed.is_empty()) || has_corrupt_header;
            let end = self.durable_end;
            self.undurable.retain(|entry| entry.end_address > end);
            if disk.lies() > self.lies_before {
                self.believed_end = self.believed_end.max(told_address(disk));
            }
        }
        self.durable_end(disk)
    }

    fn measure(&mut self, disk: &DiskModel, damage: Damage<'_>) -> u64 {
        let image = match self.by_image {
            true => Image::of(disk, View::Durable, damage),
            false => Image::alone(disk),
        };
        self.image.insert(image).end_address()
    }

    /// One past the last log address written.
    pub(super) fn cached_end(&self) -> u64 {
        self.entries
            .last()
            .map_or(0, |entry| entry.end_address)
            .max(self.durable_end)
    }

    /// Every entry ever written, in the order of the writes.
    pub(super) fn everything_written(&self) -> impl Iterator<Item = &WrittenEntry> {
        self.everything.iter()
    }

    /// Where the entry at an address ends.
    pub(super) fn end_of(&self, address: u64) -> Option<u64> {
        let found = self
            .entries
            .binary_search_by_key(&address, |entry| entry.address);
        found.ok().map(|index| self.entries[index].end_address)
    }

    /// Where the first entry ends whose record has that digest, of those written
    /// since then.
    pub(super) fn commit_end(&self, digest: u64, since_ns: u64) -> Option<u64> {
        let mut alike = self.commits.range((digest, 0)..=(digest, u64::MAX));
        alike
            .find(|(_, written_ns)| **written_ns >= since_ns)
            .map(|((_, end_address), _)| *end_address)
    }
}

/// Of entries that replicas wrote in one place, the one that most of them did.
pub(super) fn most_written<'a>(
    entries: impl Iterator<Item = &'a WrittenEntry>,
) -> Option<WrittenEntry> {
    let mut copies = BTreeMap::<(u64, u64), (u64, u64, WrittenEntry)>::new();
    for entry in entries {
        let key = (entry.head.term, entry.head.hash);
        let (count, newest_ns, _) = copies.entry(key).or_insert((0, 0, *entry));
        *count += 1;
        *newest_ns = entry.written_ns.max(*newest_ns);
    }
    let most = copies
        .into_values()
        .max_by_key(|(count, newest_ns, _)| (*count, *newest_ns));
    most.map(|(_, _, entry)| entry)
}

/// Takes from the front what has arrived, and gives the end of the furthest of
/// it. `arrived` says up to which change a file has, unless that is before the
/// one given; it is asked once about entries of one file in a row.
fn pop_while(
    waiting: &mut VecDeque<Undurable>,
    mut arrived: impl FnMut(Ino, Seq) -> Option<Seq>,
) -> u64 {
    let (mut end, mut known) = (0, None);
    while let Some(&Undurable {
        ino,
        seq,
        end_address,
    }) = waiting.front()
    {
        if !known.is_some_and(|(file, upto)| file == ino && upto >= seq) {
            match arrived(ino, seq) {
                Some(upto) => known = Some((ino, upto)),
                None => break,
            }
        }
        end = end.max(end_address);
        waiting.pop_front();
    }
    end
}

/// Whether an entry begins there whose end is not there.
fn begins_entry(bytes: &[u8], position: u64) -> bool {
    let incarnation = bytes.get(8..).and_then(|rest| rest.first_chunk());
    let incarnation = incarnation.map_or(0, |word| u64::from_be_bytes(*word));
    let is_cut = matches!(parse(bytes, incarnation, position), Parsed::Short { .. });
    is_cut && bytes.iter().any(|byte| *byte != 0)
}

/// The entries that `bytes` begin with, each with its record.
pub(super) fn entries_in(
    bytes: &[u8],
    position: u64,
) -> impl Iterator<Item = (LogPart, WrittenEntry, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (part, entry) = entry_at(&bytes[at..], position + at as u64)?;
        let record_at = at + ENVELOPE_BYTES;
        at += part.framed_bytes() as usize;
        Some((part, entry, &bytes[record_at..at]))
    })
}

/// The entry that `bytes` begin with.
fn entry_at(bytes: &[u8], position: u64) -> Option<(LogPart, WrittenEntry)> {
    let incarnation = u64::from_be_bytes(*bytes.get(8..)?.first_chunk()?);
    let Parsed::Entry(envelope) = parse(bytes, incarnation, position) else {
        return None;
    };
    let framed_bytes = envelope.log.framed_bytes() as usize;
    let record = &bytes[ENVELOPE_BYTES..framed_bytes];
    let is_message = envelope.log.kind == EntryKind::Message;
    let is_commit = envelope.log.kind == EntryKind::OffsetCommit;
    let entry = WrittenEntry {
        address: envelope.log.address,
        end_address: envelope.log.end_address(),
        written_ns: 0,
        place: is_message.then(|| place_of(record)).flatten(),
        commit_digest: is_commit.then(|| xxh3_64(record)),
        decides: is_message.then(|| decided_by(record)).flatten(),
        head: head_of(&envelope.log),
    };
    Some((envelope.log, entry))
}

/// The half message that a record decides. Looks at the rare ones only: those
/// with a transaction's bits.
fn decided_by(record: &[u8]) -> Option<u64> {
    let flags = i32::from_be_bytes(*record.get(36..)?.first_chunk()?);
    if flags & sys_flag::TRANSACTION == 0 {
        return None;
    }
    let message = Message::decode_enveloped(record).ok()?;
    Some(message.prepared_transaction_offset)
}

/// QUEUEID and QUEUEOFFSET of a message record.
fn place_of(record: &[u8]) -> Option<(u32, u64)> {
    let queue_id = u32::from_be_bytes(*record.get(12..)?.first_chunk()?);
    let queue_offset = u64::from_be_bytes(*record.get(20..)?.first_chunk()?);
    Some((queue_id, queue_offset))
}

/// How far the durable bytes of a disk hold the log, were the disk one that told
/// the truth: recovery's copies that it lied about are there.
fn told_address(disk: &DiskModel) -> u64 {
    let mut arrived = disk.clone();
    arrived.power_loss(DiskSurvival::All, &mut Stream::new(0, Purpose::Survival));
    Image::of(&arrived, View::Durable, Damage::None).end_address()
}
