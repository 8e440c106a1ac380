//! One file: what is cached, what is durable, and what lies between.
//!
//! Invariants, as long as no fault of the medium struck:
//! 1. `cached` = `durable` + all of `pending`, in order.
//! 2. `pending` is sorted by sequence.
//! 3. Nothing at or below `durable_seq` is pending, but growth that only a full
//!    sync covers.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

use super::content::Content;
use super::sync::SyncKind;
use super::{Ino, Seq};

/// The fate of a write at the medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    /// Reported and never done.
    Lost,
    /// Done elsewhere.
    Misdirected {
        to: Ino,
        position: u64,
    },
}

/// A change to a file that is not durable yet.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// Whole sectors, as cached after the write; the file must reach `end` for
    /// the caller's bytes to be read back.
    Write {
        position: u64,
        sectors: Bytes,
        end: u64,
        fate: Fate,
    },
    Grow(u64),
    Shrink(u64),
}

/// A change and its place in the disk's order.
#[derive(Debug, Clone)]
pub(super) struct PendingOp {
    pub(super) seq: Seq,
    pub(super) change: Change,
}

/// Bytes that the medium puts into another file than was asked.
pub(super) struct Stray {
    pub(super) to: Ino,
    pub(super) position: u64,
    pub(super) sectors: Bytes,
}

/// One file.
#[derive(Debug, Clone, Default)]
pub(super) struct FileNode {
    pub(super) cached: Content,
    pub(super) durable: Content,
    pub(super) pending: VecDeque<PendingOp>,
    /// Numbers of sectors that cannot be read until rewritten.
    pub(super) unreadable: BTreeSet<u64>,
    /// Open descriptors.
    pub(super) opened: u32,
    /// Failed writebacks so far, and how many of them some descriptor was told.
    pub(super) errors: u64,
    pub(super) errors_reported: u64,
    /// Every change at or below this was covered by a sync that returned OK.
    synced_seq: Seq,
    /// The oldest change that an error or the medium dropped.
    first_lost: Option<Seq>,
    last_seq: Seq,
}

impl FileNode {
    /// Puts `bytes` into the cache and remembers what of the medium is behind.
    pub(super) fn write(
        &mut self,
        seq: Seq,
        position: u64,
        bytes: &Bytes,
        sector_bytes: u64,
        fate: Fate,
    ) {
        let end = position + bytes.len() as u64;
        self.cached.write(position, bytes, end);
        let first = position - position % sector_bytes;
        let last = end.next_multiple_of(sector_bytes);
        let sectors = match first == position && last == end {
            true => bytes.clone(),
            false => self.cached_sectors(first, last),
        };
        self.push(
            seq,
            Change::Write {
                position: first,
                sectors,
                end,
                fate,
            },
        );
    }

    fn cached_sectors(&self, first: u64, last: u64) -> Bytes {
        let mut sectors = vec![0; (last - first) as usize];
        self.cached.copy_to(first, &mut sectors);
        Bytes::from(sectors)
    }

    /// Sets the cached size; true where that changed it.
    pub(super) fn set_len(&mut self, seq: Seq, size_bytes: u64) -> bool {
        let old = self.cached.size_bytes();
        if size_bytes == old {
            return false;
        }
        if size_bytes > old {
            self.cached.grow(size_bytes);
            self.push(seq, Change::Grow(size_bytes));
        } else {
            self.cached.shrink(size_bytes);
            self.push(seq, Change::Shrink(size_bytes));
        }
        true
    }

    fn push(&mut self, seq: Seq, change: Change) {
        self.pending.push_back(PendingOp { seq, change });
        self.last_seq = seq;
    }

    /// The newest change of this file.
    pub(super) fn last_seq(&self) -> Seq {
        self.last_seq
    }

    /// Every change at or below this is durable.
    pub(super) fn durable_seq(&self) -> Seq {
        match self.first_lost {
            Some(lost) => self.synced_seq.min(lost - 1),
            None => self.synced_seq,
        }
    }

    /// True where a sync up to `upto` has something to do.
    pub(super) fn is_dirty(&self, upto: Seq) -> bool {
        self.pending.front().is_some_and(|op| op.seq <= upto)
    }

    /// The sectors' bytes that are pending.
    pub(super) fn pending_bytes(&self) -> u64 {
        let bytes = |op: &PendingOp| match &op.change {
            Change::Write { sectors, .. } => sectors.len() as u64,
            Change::Grow(_) | Change::Shrink(_) => 0,
        };
        self.pending.iter().map(bytes).sum()
    }

    /// Carries the changes up to `upto` to the medium.
    pub(super) fn sync(&mut self, upto: Seq, kind: SyncKind, sector_bytes: u64) -> Vec<Stray> {
        let mut strays = Vec::new();
        let mut growth = None;
        while let Some(op) = self.pop_upto(upto) {
            match op.change {
                Change::Grow(size) if kind == SyncKind::Data => growth = Some((op.seq, size)),
                Change::Shrink(size) => {
                    growth = growth.map(|(seq, grown): (Seq, u64)| (seq, grown.min(size)));
                    strays.extend(self.apply(op, sector_bytes));
                }
                _ => strays.extend(self.apply(op, sector_bytes)),
            }
        }
        // Growth that no byte needed waits for a full sync.
        if let Some((seq, size)) = growth.filter(|(_, size)| *size > self.durable.size_bytes()) {
            self.pending.push_front(PendingOp {
                seq,
                change: Change::Grow(size),
            });
        }
        self.synced_seq = self.synced_seq.max(upto.min(self.last_seq));
        strays
    }

    pub(super) fn pop_upto(&mut self, upto: Seq) -> Option<PendingOp> {
        match self.is_dirty(upto) {
            true => self.pending.pop_front(),
            false => None,
        }
    }

    /// Carries one change to the medium.
    fn apply(&mut self, op: PendingOp, sector_bytes: u64) -> Option<Stray> {
        match op.change {
            Change::Grow(size) => self.durable.grow(size),
            Change::Shrink(size) => self.shrink_durable(size, sector_bytes),
            Change::Write {
                position,
                sectors,
                end,
                fate: Fate::Done,
            } => {
                self.durable.write(position, &sectors, end);
                self.rewritten(position, sectors.len(), sector_bytes);
            }
            Change::Write {
                sectors, end, fate, ..
            } => {
                self.durable.grow(end);
                self.note_lost(op.seq);
                if let Fate::Misdirected { to, position } = fate {
                    return Some(Stray {
                        to,
                        position,
                        sectors,
                    });
                }
            }
        }
        None
    }

    /// A part that is cut off takes its bad sectors along.
    pub(super) fn shrink_durable(&mut self, size_bytes: u64, sector_bytes: u64) {
        self.durable.shrink(size_bytes);
        self.unreadable
            .split_off(&size_bytes.div_ceil(sector_bytes));
    }

    /// Remembers that the change `seq` never reaches the medium.
    pub(super) fn note_lost(&mut self, seq: Seq) {
        self.first_lost = Some(self.first_lost.map_or(seq, |first| first.min(seq)));
    }

    /// A sector that was written anew can be read again.
    pub(super) fn rewritten(&mut self, position: u64, length: usize, sector_bytes: u64) {
        if self.unreadable.is_empty() {
            return;
        }
        let first = position / sector_bytes;
        let end = (position + length as u64).div_ceil(sector_bytes);
        self.unreadable
            .retain(|sector| !(first..end).contains(sector));
    }

    /// True where the page cache holds a newer version of the sector than the
    /// medium.
    pub(super) fn is_sector_dirty(&self, sector: u64, sector_bytes: u64) -> bool {
        let at = sector * sector_bytes;
        self.pending.iter().any(|op| match &op.change {
            Change::Write {
                position, sectors, ..
            } => (*position..*position + sectors.len() as u64).contains(&at),
            Change::Grow(_) | Change::Shrink(_) => false,
        })
    }

    /// The first sector of the range that can be read neither from the cache
    /// nor from the medium.
    pub(super) fn unreadable_in(
        &self,
        position: u64,
        length: u64,
        sector_bytes: u64,
    ) -> Option<u64> {
        if self.unreadable.is_empty() || length == 0 {
            return None;
        }
        let end = (position + length).div_ceil(sector_bytes);
        let mut sectors = self.unreadable.range(position / sector_bytes..end);
        sectors
            .find(|sector| !self.is_sector_dirty(**sector, sector_bytes))
            .copied()
    }

    /// Drops every clean page: the cache becomes what the medium has, under
    /// what is pending.
    pub(super) fn evict_clean(&mut self) {
        self.cached = self.durable.clone();
        for op in &self.pending {
            match &op.change {
                Change::Write {
                    position,
                    sectors,
                    end,
                    ..
                } => self.cached.write(*position, sectors, *end),
                Change::Grow(size) => self.cached.grow(*size),
                Change::Shrink(size) => self.cached.shrink(*size),
            }
        }
    }

    /// The file as its medium has it: no cache, nothing pending.
    pub(super) fn medium(&self) -> FileNode {
        FileNode {
            cached: self.durable.clone(),
            durable: self.durable.clone(),
            unreadable: self.unreadable.clone(),
            synced_seq: self.last_seq,
            last_seq: self.last_seq,
            ..FileNode::default()
        }
    }

    /// After a power loss: the cache is gone, what is durable is all there is.
    pub(super) fn reboot(&mut self) {
        *self = self.medium();
    }

    /// The space that the file takes: what was ever written, whole sectors; a
    /// preallocated tail takes none.
    pub(super) fn allocated_bytes(&self, sector_bytes: u64) -> u64 {
        let cached_bytes = self.cached.written_bytes();
        let length = cached_bytes.max(self.durable.written_bytes());
        length.next_multiple_of(sector_bytes)
    }
}
