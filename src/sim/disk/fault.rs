//! Faults as data: armed ahead, aimed at a path and a count, fired by the
//! operation that matches.
//!
//! A fault brings its own seed, so that one fault more or less changes nothing
//! of the others: a plan can be cut down and still mean the same.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Ino;
use crate::history::FaultKind;
use crate::sim::random::{Purpose, Stream};

/// The content that the page cache shows after a failed writeback (ATC'20, "Can
/// Applications Recover from fsync Failures?").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheAfterError {
    /// The new bytes, marked clean (ext4, XFS).
    KeepsNew,
    /// The content of the medium (btrfs).
    Reverts,
}

/// How a sector decays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotKind {
    /// One bit flips.
    Bit,
    /// All of it reads zero.
    Zeros,
    /// All of it reads random bytes.
    Garbage,
}

/// The fault, and the operation that it hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// A file sync with something pending fails. A random part of what was
    /// pending has reached the medium, the rest never will; all of it counts
    /// as clean, so a retry succeeds and writes nothing.
    SyncError {
        /// The content that reads show afterwards.
        cache: CacheAfterError,
    },
    /// Right after a write, the file's pending bytes are written back in the
    /// background, and that fails as above; each descriptor's next sync says
    /// so, once.
    WritebackError {
        /// The content that reads show afterwards.
        cache: CacheAfterError,
    },
    /// A directory sync with something pending fails, where a file that it is aimed
    /// at got or lost its name; as `SyncError`, the cache keeps the new names.
    DirSyncError,
    /// A read meets an unreadable sector, and every later read of it does,
    /// until the sector is rewritten.
    ReadError,
    /// A sector has changed by the time it is read.
    Rot(RotKind),
    /// The write's data goes to another sector of the disk; its own place
    /// keeps the old bytes.
    MisdirectedWrite,
    /// The write's data is reported durable by the sync, and never written.
    LostWrite,
    /// A sync, of a file or a directory, returns OK and does nothing.
    LyingSync,
    /// A write ends in `StorageFull` after a random number of whole sectors.
    NoSpace,
}

/// The operation that a fault waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trigger {
    Write,
    Read,
    Sync,
    SyncDir,
}

impl DiskFault {
    /// The kind under which the ledger counts it.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::SyncError { .. } | Self::WritebackError { .. } | Self::DirSyncError => {
                FaultKind::SyncError
            }
            Self::ReadError => FaultKind::ReadError,
            Self::Rot(_) => FaultKind::Rot,
            Self::MisdirectedWrite => FaultKind::MisdirectedWrite,
            Self::LostWrite => FaultKind::LostWrite,
            Self::LyingSync => FaultKind::DiskLying,
            Self::NoSpace => FaultKind::DiskFull,
        }
    }

    fn waits_for(&self, trigger: Trigger) -> bool {
        match self {
            Self::SyncError { .. } => trigger == Trigger::Sync,
            Self::DirSyncError => trigger == Trigger::SyncDir,
            Self::LyingSync => matches!(trigger, Trigger::Sync | Trigger::SyncDir),
            Self::ReadError | Self::Rot(_) => trigger == Trigger::Read,
            Self::WritebackError { .. }
            | Self::MisdirectedWrite
            | Self::LostWrite
            | Self::NoSpace => trigger == Trigger::Write,
        }
    }
}

/// A fault and its aim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArmedFault {
    /// The fault.
    pub fault: DiskFault,
    /// Where: the beginning of the path, as text (`"commitlog/"`); `""` is all.
    pub under: String,
    /// Matching operations that pass unharmed before it.
    pub skip: u64,
    /// How many matching operations it hits, then it is gone.
    pub times: u64,
    /// Decides what the fault leaves to chance.
    pub seed: u64,
}

impl ArmedFault {
    /// The next matching operation, once.
    pub fn next(fault: DiskFault, under: &str, seed: u64) -> Self {
        Self {
            fault,
            under: under.to_owned(),
            skip: 0,
            times: 1,
            seed,
        }
    }
}

/// A fault that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiredFault {
    /// The fault.
    pub fault: DiskFault,
    /// The file or directory it hit.
    pub path: String,
    /// Bytes of that file that were pending, of all files for a directory.
    pub pending_bytes: u64,
}

/// How fast the disk answers. The model only remembers it: the code that adds
/// latencies asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DiskSpeed {
    /// As configured.
    #[default]
    Normal,
    /// Every latency times this.
    Slow {
        /// At least 1.
        latency_factor: u32,
    },
    /// Nothing ends until the speed is set again; then it does.
    Stalled,
    /// An operation that is begun now never ends, whatever comes later.
    Hung,
}

/// The faults that wait, and those that fired.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    armed: Vec<ArmedFault>,
    fired: Vec<FiredFault>,
    lies: u64,
    damages: u64,
    /// Sectors that were harmed and that nobody has read since, by the mark of the fault
    /// that did it.
    unmet: BTreeMap<(Ino, u64), usize>,
    /// Files that somebody else left, and that no process has touched since, by the mark of
    /// the fault that did it.
    untouched: BTreeMap<Ino, usize>,
    met: Vec<usize>,
}

impl Faults {
    /// How often the disk said that something was durable that was not, without
    /// an error ever.
    pub(super) fn lies(&self) -> u64 {
        self.lies
    }

    pub(super) fn arm(&mut self, fault: ArmedFault) {
        if fault.times > 0 {
            self.armed.push(fault);
        }
    }

    pub(super) fn disarm(&mut self) {
        self.armed.clear();
    }

    pub(super) fn disarm_kind(&mut self, kind: FaultKind) {
        self.armed.retain(|armed| armed.fault.kind() != kind);
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.armed.is_empty()
    }

    /// The fault that this operation sets off, with its dice. Every matching
    /// fault counts the operation; the first that is due fires.
    pub(super) fn trip(&mut self, trigger: Trigger, path: &str) -> Option<(DiskFault, Stream)> {
        self.trip_any(trigger, &[path])
    }

    /// As [`Faults::trip`], of an operation that concerns several paths.
    pub(super) fn trip_any(
        &mut self,
        trigger: Trigger,
        paths: &[impl AsRef<str>],
    ) -> Option<(DiskFault, Stream)> {
        let mut due = None;
        for (index, armed) in self.armed.iter_mut().enumerate() {
            let mut aimed = paths.iter().map(|path| path.as_ref());
            let is_aimed = aimed.any(|path| path.starts_with(&armed.under));
            if !armed.fault.waits_for(trigger) || !is_aimed {
                continue;
            }
            if armed.skip > 0 {
                armed.skip -= 1;
            } else if due.is_none() {
                due = Some(index);
            }
        }
        let index = due?;
        let armed = &mut self.armed[index];
        armed.times -= 1;
        // A fault that hits several operations rolls anew for each.
        let dice = Stream::lane(armed.seed, Purpose::Faults, armed.times as u32);
        let fault = armed.fault;
        if armed.times == 0 {
            self.armed.remove(index);
        }
        Some((fault, dice))
    }

    pub(super) fn record(&mut self, fault: DiskFault, path: String, pending_bytes: u64) {
        let is_lie = matches!(
            fault,
            DiskFault::LyingSync | DiskFault::LostWrite | DiskFault::MisdirectedWrite
        );
        self.lies += u64::from(is_lie);
        self.fired.push(FiredFault {
            fault,
            path,
            pending_bytes,
        });
    }

    /// Sectors that were harmed.
    pub(super) fn damages(&self) -> u64 {
        self.damages
    }

    /// A sector was harmed.
    pub(super) fn damaged(&mut self, ino: Ino, sector: u64, mark: usize) {
        self.damages += 1;
        self.unmet.insert((ino, sector), mark);
    }

    /// Sectors of a file are read.
    pub(super) fn meets(&mut self, ino: Ino, sectors: Range<u64>) {
        if self.unmet.is_empty() {
            return;
        }
        let here = self.unmet.range((ino, sectors.start)..(ino, sectors.end));
        for place in here.map(|(place, _)| *place).collect::<Vec<_>>() {
            self.met.extend(self.unmet.remove(&place));
        }
    }

    /// Somebody else left a file or a directory.
    pub(super) fn left(&mut self, ino: Ino, mark: usize) {
        self.untouched.insert(ino, mark);
    }

    /// A process opens, renames, replaces or removes a file or a directory.
    pub(super) fn touches(&mut self, ino: Ino) {
        self.met.extend(self.untouched.remove(&ino));
    }

    /// The marks of harmed sectors that were read, and of files left by somebody else that
    /// were touched, since the last call.
    pub(super) fn take_met(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.met)
    }

    pub(super) fn take_fired(&mut self) -> Vec<FiredFault> {
        std::mem::take(&mut self.fired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fires_at_the_aimed_operation_and_at_no_other() {
        let mut faults = Faults::default();
        let aimed = ArmedFault {
            skip: 1,
            times: 2,
            ..ArmedFault::next(DiskFault::LyingSync, "commitlog/", 7)
        };
        faults.arm(aimed);
        assert!(
            faults.trip(Trigger::Sync, "queue/0").is_none(),
            "another path"
        );
        assert!(
            faults.trip(Trigger::Write, "commitlog/0").is_none(),
            "another operation"
        );
        assert!(
            faults.trip(Trigger::Sync, "commitlog/0").is_none(),
            "skipped"
        );
        assert!(faults.trip(Trigger::Sync, "commitlog/0").is_some());
        assert!(faults.trip(Trigger::SyncDir, "commitlog/").is_some());
        assert!(
            faults.trip(Trigger::Sync, "commitlog/0").is_none(),
            "used up"
        );
        assert!(faults.is_quiet());
    }

    #[test]
    fn equal_seeds_roll_equal_dice() {
        let roll = |seed| {
            let mut faults = Faults::default();
            faults.arm(ArmedFault::next(DiskFault::ReadError, "", seed));
            faults.trip(Trigger::Read, "x").unwrap().1.next_u64()
        };
        assert_eq!(roll(1), roll(1));
        assert_ne!(roll(1), roll(2));
    }
}
