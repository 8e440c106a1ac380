//! The entries that a leader has sealed, in memory: the model that a replica's log is
//! held against.

use bytes::Bytes;
use zeroloss::env::Disk;
use zeroloss::log::{CommitLog, OpenError, Position, ReadError, Recovery, TailUncertain};
use zeroloss::record::{ENVELOPE_BYTES, EntryKind, LogPart, seal};

use crate::support::{ENTROPY, record, replica};

/// Where the log part begins.
const LOG_PART_FROM: usize = 32;

/// Entries and the places between them.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) base: Position,
    pub(crate) frames: Vec<Bytes>,
    pub(crate) ends: Vec<Position>,
}

impl Chain {
    pub(crate) fn from(base: Position) -> Self {
        Self {
            base,
            frames: Vec::new(),
            ends: Vec::new(),
        }
    }

    pub(crate) fn new() -> Self {
        Self::from(Position::START)
    }

    /// `count` entries of a term each, of lengths that differ.
    pub(crate) fn of(count: u64, length: impl Fn(u64) -> u64) -> Self {
        let mut chain = Self::new();
        for number in 0..count {
            chain.push(1 + number / 4, &record(number, length(number)));
        }
        chain
    }

    pub(crate) fn end(&self) -> Position {
        self.ends.last().copied().unwrap_or(self.base)
    }

    pub(crate) fn push(&mut self, term: u64, record: &[u8]) {
        let at = self.end();
        let mut frame = vec![0; ENVELOPE_BYTES];
        frame.extend_from_slice(record);
        let part = LogPart {
            kind: EntryKind::NoOp,
            index: at.next_index,
            term,
            address: at.address,
            record_bytes: 0,
            previous_hash: at.hash,
            hash: 0,
        };
        let part = seal(&mut frame, part);
        // Another disk's placement: no business of the receiver's.
        frame[..LOG_PART_FROM].fill(0xee);
        self.frames.push(frame.into());
        self.ends.push(Position {
            next_index: part.index + 1,
            term,
            address: part.end_address(),
            hash: part.hash,
        });
    }

    pub(crate) fn truncate(&mut self, count: usize) {
        self.frames.truncate(count);
        self.ends.truncate(count);
    }

    /// The log before the entry at `index`.
    pub(crate) fn at(&self, index: u64) -> Position {
        match (index - self.base.next_index).checked_sub(1) {
            None => self.base,
            Some(before) => self.ends[before as usize],
        }
    }

    /// The frames of these indices.
    pub(crate) fn range(&self, from: u64, upto: u64) -> &[Bytes] {
        let number = |index| (index - self.base.next_index) as usize;
        &self.frames[number(from)..number(upto)]
    }

    /// The runs of terms, counted the plain way.
    pub(crate) fn term_runs(&self) -> Vec<(u64, u64)> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for end in &self.ends {
            if runs.last().is_none_or(|(_, term)| *term != end.term) {
                runs.push((end.next_index - 1, end.term));
            }
        }
        runs
    }
}

/// Log part and record: what is equal on all replicas.
pub(crate) fn log_part(frame: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&frame[LOG_PART_FROM..])
}

/// The entries that can be read from the base on, by index; `None` for each entry
/// that is in a hole.
pub(crate) async fn holdings<D: Disk>(log: &CommitLog<D>) -> Vec<Option<Bytes>> {
    let mut found = Vec::new();
    let mut from = log.base().address;
    while from < log.appended().address {
        if let Some(hole) = log.holes().iter().find(|hole| hole.from.address == from) {
            let read = log.read_batch(from, u64::MAX, 1).await;
            assert!(matches!(read, Err(ReadError::Corrupt { .. })), "{read:?}");
            found.extend((hole.from.next_index..hole.upto.next_index).map(|_| None));
            from = hole.upto.address;
            continue;
        }
        let batch = log.read_batch(from, u64::MAX, 700).await.unwrap();
        from = batch.next_address;
        found.extend(
            batch
                .entries
                .iter()
                .map(|entry| Some(log_part(&entry.frame))),
        );
    }
    found
}

/// Everything that the log says of itself, against the chain that it holds: all
/// of it, or its first so many entries.
pub(crate) async fn assert_is<D: Disk>(log: &CommitLog<D>, chain: &Chain, context: &str) {
    let mut chain = chain.clone();
    let next_index = log.appended().next_index;
    chain.truncate((next_index - chain.base.next_index) as usize);
    assert_eq!(log.base(), chain.base, "{context}");
    assert_eq!(log.appended(), chain.end(), "{context}");
    let held = holdings(log).await;
    assert_eq!(held.len(), chain.frames.len(), "{context}");
    for (held, frame) in held.iter().zip(&chain.frames) {
        let same = held.as_ref().is_none_or(|held| *held == log_part(frame));
        assert!(same, "{context}: other entries");
    }
    if log.holes().is_empty() && log.tail() == log.appended() {
        assert_eq!(log.term_runs(), chain.term_runs(), "{context}");
    }
    for index in chain.base.next_index..next_index {
        assert_index(log, &chain, index, context).await;
    }
    let end = log.position_of(next_index).await.unwrap();
    assert_eq!(end, chain.end(), "{context}");
}

async fn assert_index<D: Disk>(log: &CommitLog<D>, chain: &Chain, index: u64, context: &str) {
    let context = format!("{context}, index {index}");
    let end = chain.at(index + 1);
    if let Some(term) = log.term_at(index) {
        assert_eq!(term, end.term, "{context}");
    }
    let holes = log.holes();
    let holed = |index| {
        let mut holes = holes.iter();
        holes.any(|hole| (hole.from.next_index..hole.upto.next_index).contains(&index))
    };
    let place = |at: Position| (at.next_index, at.address, at.hash);
    match log.position_of(index).await {
        Ok(position) => assert_eq!(place(position), place(chain.at(index)), "{context}"),
        Err(ReadError::Corrupt { .. }) if holed(index) => {}
        Err(error) => panic!("{context}: {error}"),
    }
    match log.read_indices(index, index + 3, u64::MAX).await {
        Ok(batch) => {
            assert!(!holed(index) && batch.entries.len() <= 3, "{context}");
            let first = &batch.entries[0];
            assert_eq!((first.index, first.hash), (index, end.hash), "{context}");
        }
        Err(ReadError::Corrupt { .. }) if holed(index) => {}
        Err(error) => panic!("{context}: {error}"),
    }
}

pub(crate) async fn try_open_at<D: Disk>(
    disk: &D,
    base: Position,
) -> Result<(CommitLog<D>, Recovery), OpenError> {
    CommitLog::open_at(disk.clone(), replica(disk), base, ENTROPY).await
}

/// Opens a replica's log as its owner does: it would store an uncertain tail first.
pub(crate) async fn open_at<D: Disk>(
    disk: &D,
    base: Position,
) -> Result<(CommitLog<D>, Recovery, Option<TailUncertain>), OpenError> {
    match try_open_at(disk, base).await {
        Err(OpenError::TailUncertain(uncertain_tail)) => {
            let (disk, config) = (disk.clone(), replica(disk));
            let cut = CommitLog::open_cutting_uncertain_tail(disk, config, base, ENTROPY + 1);
            let (log, recovery) = cut.await?;
            Ok((log, recovery, Some(*uncertain_tail)))
        }
        opened => opened.map(|(log, recovery)| (log, recovery, None)),
    }
}
