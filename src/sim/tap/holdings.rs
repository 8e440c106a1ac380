//! What one broker's disk holds of the log.
//!
//! Kept as a watermark, so O(entry): an entry is durable once its file's writes
//! up to its own are, the file's name is, and so is every entry before it. Where
//! files change names with entries in them (recovery's copies), the watermark is
//! taken anew from the durable image.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::log::{COMMIT_LOG_DIR, CommitLog, LogConfig, OpenError};
use crate::record::{ENVELOPE_BYTES, EntryKind, Parsed, parse};
use crate::sim::disk::{DiskModel, Ino, Seq, StepDisk, block_on};

/// An entry as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WrittenEntry {
    pub(crate) address: u64,
    pub(crate) end_address: u64,
    pub(crate) written_ns: u64,
}

#[derive(Debug)]
struct Undurable {
    ino: Ino,
    seq: Seq,
    end_address: u64,
}

/// One broker's holdings.
///
/// Invariant: `entries` are in the order of their addresses, without overlap;
/// writing at an address forgets what stood at or above it.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    entries: Vec<WrittenEntry>,
    undurable: VecDeque<Undurable>,
    durable_end: u64,
    /// The watermark has to be taken anew.
    stale: bool,
    /// Entries were written to a file that has no segment's name yet.
    written_aside: bool,
    /// Where the newest entry with these bytes ends: offset commits.
    commits: BTreeMap<u64, u64>,
}

impl Holdings {
    pub(super) fn written(
        &mut self,
        now_ns: u64,
        (ino, seq): (Ino, Seq),
        path: &str,
        position: u64,
        bytes: &Bytes,
    ) {
        let Some(name) = path.strip_prefix(COMMIT_LOG_DIR) else {
            return;
        };
        let named = name.bytes().skip(1).all(|byte| byte.is_ascii_digit());
        let mut at = 0;
        while let Some((entry, record)) = entry_at(&bytes[at..], position + at as u64) {
            at += ENVELOPE_BYTES + record.len();
            if !named {
                self.written_aside = true;
                continue;
            }
            let entry = WrittenEntry {
                written_ns: now_ns,
                ..entry
            };
            self.add(entry, ino, seq);
            if entry_kind(&bytes[at - record.len() - ENVELOPE_BYTES..]) == EntryKind::OffsetCommit {
                self.commits.insert(xxh3_64(record), entry.end_address);
            }
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
        while self
            .undurable
            .back()
            .is_some_and(|last| last.end_address > entry.address)
        {
            self.undurable.pop_back();
        }
        self.entries.push(entry);
        self.undurable.push_back(Undurable {
            ino,
            seq,
            end_address: entry.end_address,
        });
    }

    pub(super) fn renamed(&mut self, to: &str) {
        if self.written_aside && to.starts_with(COMMIT_LOG_DIR) {
            self.written_aside = false;
            self.stale = true;
        }
    }

    /// Moves the watermark over what has become durable.
    pub(super) fn settle(&mut self, disk: &DiskModel) {
        while let Some(oldest) = self.undurable.front() {
            let durable = disk
                .durable_seq(oldest.ino)
                .is_none_or(|seq| seq >= oldest.seq)
                && disk.is_linked_durably(oldest.ino);
            if !durable {
                return;
            }
            self.durable_end = self.durable_end.max(oldest.end_address);
            self.undurable.pop_front();
        }
    }

    /// What was cached only is gone, and maybe more.
    pub(super) fn lost_cache(&mut self, disk: &DiskModel, config: LogConfig) {
        self.undurable.clear();
        self.durable_end = held_address(disk, config);
        self.stale = false;
        self.written_aside = false;
        let end = self.durable_end;
        self.entries.retain(|entry| entry.end_address <= end);
        self.commits.retain(|_, end_address| *end_address <= end);
    }

    /// One past the last log address held durably.
    pub(super) fn durable_end(&mut self, disk: &DiskModel, config: LogConfig) -> u64 {
        if std::mem::take(&mut self.stale) {
            self.durable_end = held_address(disk, config);
            let end = self.durable_end;
            self.undurable.retain(|entry| entry.end_address > end);
        }
        self.settle(disk);
        self.durable_end
    }

    /// One past the last log address written.
    pub(super) fn cached_end(&self) -> u64 {
        self.entries
            .last()
            .map_or(0, |entry| entry.end_address)
            .max(self.durable_end)
    }

    /// The entry at an address.
    pub(super) fn entry(&self, address: u64) -> Option<WrittenEntry> {
        let found = self
            .entries
            .binary_search_by_key(&address, |entry| entry.address);
        found.ok().map(|index| self.entries[index])
    }

    /// Where the newest entry ends whose record has that digest.
    pub(super) fn commit_end(&self, digest: u64) -> Option<u64> {
        self.commits.get(&digest).copied()
    }
}

/// The entry that `bytes` begin with, and its record.
fn entry_at(bytes: &[u8], position: u64) -> Option<(WrittenEntry, &[u8])> {
    let incarnation = u64::from_be_bytes(*bytes.get(8..)?.first_chunk()?);
    let Parsed::Entry(envelope) = parse(bytes, incarnation, position) else {
        return None;
    };
    let entry = WrittenEntry {
        address: envelope.log.address,
        end_address: envelope.log.end_address(),
        written_ns: 0,
    };
    Some((
        entry,
        &bytes[ENVELOPE_BYTES..envelope.log.framed_bytes() as usize],
    ))
}

fn entry_kind(envelope: &[u8]) -> EntryKind {
    match envelope[76] {
        2 => EntryKind::OffsetCommit,
        3 => EntryKind::TopicConfig,
        4 => EntryKind::NoOp,
        _ => EntryKind::Message,
    }
}

/// How far a disk's durable bytes hold the log, as its recovery finds them: the
/// deep form of the oracle (guarantee.md, section 2).
pub(crate) fn held_address(disk: &DiskModel, config: LogConfig) -> u64 {
    let fork = StepDisk::new(Arc::new(Mutex::new(disk.fork_durable())));
    match block_on(CommitLog::open(fork, config, 1)) {
        Ok((log, _)) => log.flushed().address,
        Err(OpenError::Corrupt(corruption)) => corruption.address,
        Err(_) => 0,
    }
}
