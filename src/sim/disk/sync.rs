//! Syncs: begun, then finished. Bytes that were pending at the beginning are durable
//! at the end, and no others.

use std::collections::BTreeMap;
use std::io;

use super::error::{DiskError, medium};
use super::fault::{CacheAfterError, DiskFault, Trigger};
use super::model::{DiskModel, Handle};
use super::row::Row;
use super::{Ino, Seq};
use crate::sim::random::Stream;

/// A sync that began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyncId(u64);

/// The part of a file that a sync covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncKind {
    /// The data, a truncation, and the size needed to read the data back
    /// (fdatasync). Growth by [`DiskModel::set_len`] past the last written byte
    /// is not covered.
    Data,
    /// And all metadata (fsync).
    All,
}

/// A file sync that returned OK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncDone {
    /// The file.
    pub ino: Ino,
    /// The caller may believe that every change of the file up to here is
    /// durable.
    pub upto_seq: Seq,
    /// False where the disk lied. (What an *earlier* sync lost stays lost:
    /// [`DiskModel::durable_seq`] tells.)
    pub honest: bool,
}

/// A directory sync that returned OK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirSyncDone {
    /// The directory.
    pub ino: Ino,
    /// The caller may believe that every change of its entries up to here is
    /// durable, the other half of a rename across directories aside.
    pub upto_seq: Seq,
    /// False where the disk lied.
    pub honest: bool,
}

#[derive(Debug, Clone)]
struct FileSync {
    ino: Ino,
    fd: u64,
    upto: Seq,
    kind: SyncKind,
    fault: Option<(DiskFault, Stream)>,
}

#[derive(Debug, Clone)]
struct DirSync {
    ino: Ino,
    upto: Seq,
    fault: Option<(DiskFault, Stream)>,
}

/// The syncs in flight.
#[derive(Debug, Clone, Default)]
pub(super) struct Syncs {
    files: BTreeMap<SyncId, FileSync>,
    directories: BTreeMap<SyncId, DirSync>,
    next: u64,
}

impl Syncs {
    fn next_id(&mut self) -> SyncId {
        self.next += 1;
        SyncId(self.next)
    }

    /// Whether any is in flight.
    pub(super) fn are_under_way(&self) -> bool {
        !(self.files.is_empty() && self.directories.is_empty())
    }

    /// Nothing that was in flight ends any more.
    pub(super) fn abandon(&mut self) {
        self.files.clear();
        self.directories.clear();
    }
}

impl DiskModel {
    /// Begins a sync of what is pending now. It fails only for a dead handle;
    /// what the disk has to say comes at the end.
    pub fn begin_sync(&mut self, handle: Handle, kind: SyncKind) -> io::Result<SyncId> {
        let ino = self.live(handle)?;
        // With nothing to write back nothing can fail: faults wait.
        let fault = match self.file(ino).is_dirty(Seq::MAX) {
            true => self.trip_file(Trigger::Sync, ino),
            false => None,
        };
        if let Some((fault, _)) = fault {
            self.record_fired(fault, ino);
        }
        let id = self.syncs.next_id();
        let sync = FileSync {
            ino,
            fd: handle.fd,
            upto: self.seq,
            kind,
            fault,
        };
        self.syncs.files.insert(id, sync);
        Ok(id)
    }

    /// Finishes a sync, even of a process that was killed since. `Writeback`
    /// after a failure, once for each descriptor; `Stale` where the power went
    /// since it began, or it has finished before.
    pub fn finish_sync(&mut self, id: SyncId) -> io::Result<SyncDone> {
        let sync = self.syncs.files.remove(&id).ok_or(DiskError::Stale)?;
        let FileSync {
            ino,
            fd,
            upto,
            kind,
            fault,
        } = sync;
        if !self.files.contains_key(&ino) {
            // Removed, and its process dead: nobody can tell any more.
            return Ok(SyncDone {
                ino,
                upto_seq: upto,
                honest: true,
            });
        }
        match fault {
            Some((DiskFault::LyingSync, _)) => {
                return Ok(SyncDone {
                    ino,
                    upto_seq: upto,
                    honest: false,
                });
            }
            Some((DiskFault::SyncError { cache }, dice)) => {
                self.fail_writeback(ino, upto, cache, dice)
            }
            _ => self.write_back(ino, upto, kind),
        }
        self.report_error(ino, fd)?;
        Ok(SyncDone {
            ino,
            upto_seq: upto,
            honest: true,
        })
    }

    fn write_back(&mut self, ino: Ino, upto: Seq, kind: SyncKind) {
        let sector_bytes = self.config.sector_bytes;
        let file = self.file(ino);
        let (was_dirty, size_bytes) = (file.is_dirty(upto), file.durable.size_bytes());
        let strays = self.file_mut(ino).sync(upto, kind, sector_bytes);
        if was_dirty {
            self.note_written_back(ino, kind, size_bytes);
        }
        for stray in strays {
            self.land(stray);
        }
    }

    /// A sync that had something to do did it; the durable size was so much before.
    fn note_written_back(&mut self, ino: Ino, kind: SyncKind, size_bytes: u64) {
        let file = self.file(ino);
        let goes_on = file.is_dirty(Seq::MAX);
        let grew = file.durable.size_bytes() > size_bytes;
        let had_failed = file.errors > 0;
        let is_named = self.is_linked_durably(ino);
        let (done, size, name) = match kind {
            SyncKind::Data => (Row::SyncDataCompletes, Row::SyncDataSize, Row::SyncDataName),
            SyncKind::All => (Row::SyncAllSize, Row::SyncAllSize, Row::SyncAllName),
        };
        let shown = [
            (true, done),
            (grew, size),
            (!is_named, name),
            (goes_on, Row::SyncDataSince),
            (had_failed, Row::SyncFailureRetry),
        ];
        let shown = shown.into_iter().filter(|(is_shown, _)| *is_shown);
        shown.for_each(|(_, row)| self.met.row(row));
    }

    /// Some of the pending changes reach the medium, the others never will, and
    /// the cache counts all of them as clean.
    pub(super) fn fail_writeback(
        &mut self,
        ino: Ino,
        upto: Seq,
        cache: CacheAfterError,
        mut dice: Stream,
    ) {
        self.scatter(ino, upto, &mut dice);
        let file = self.file_mut(ino);
        file.errors += 1;
        if cache == CacheAfterError::Reverts {
            file.evict_clean();
            self.reverts += 1;
        }
    }

    /// The first sync of each descriptor after a failure says so.
    fn report_error(&mut self, ino: Ino, fd: u64) -> io::Result<()> {
        let errors = self.file(ino).errors;
        if errors > 0 && self.file(ino).errors_reported == errors {
            self.met.row(Row::SyncFailureOnce);
        }
        match self.descriptors.get_mut(&fd) {
            Some(descriptor) if descriptor.errors_seen < errors => descriptor.errors_seen = errors,
            _ => return Ok(()),
        }
        self.file_mut(ino).errors_reported = errors;
        Err(medium())
    }

    /// Begins a sync of the directory's entries as they are now. `NotFound`.
    pub fn begin_sync_dir(&mut self, directory: &str) -> io::Result<SyncId> {
        let (ino, upto) = (self.directory(directory)?, self.seq);
        let mut fault = None;
        if !self.faults.is_quiet() && self.names.is_dirty(ino, upto) {
            let names = self.names.pending_in(ino, upto);
            let prefix = match directory {
                "" => String::new(),
                directory => format!("{directory}/"),
            };
            let mut paths: Vec<String> = names.map(|name| format!("{prefix}{name}")).collect();
            paths.push(prefix);
            fault = self.faults.trip_any(Trigger::SyncDir, &paths);
        }
        if let Some((fault, _)) = fault {
            let pending_bytes = self.pending("").bytes;
            self.met.fault(fault);
            self.faults
                .record(fault, directory.to_owned(), pending_bytes);
        }
        let id = self.syncs.next_id();
        self.syncs
            .directories
            .insert(id, DirSync { ino, upto, fault });
        Ok(id)
    }

    /// Finishes a directory sync; errors as [`DiskModel::finish_sync`].
    pub fn finish_sync_dir(&mut self, id: SyncId) -> io::Result<DirSyncDone> {
        let sync = self.syncs.directories.remove(&id).ok_or(DiskError::Stale)?;
        let DirSync { ino, upto, fault } = sync;
        match fault {
            Some((DiskFault::LyingSync, _)) => {
                return Ok(DirSyncDone {
                    ino,
                    upto_seq: upto,
                    honest: false,
                });
            }
            Some((_, mut dice)) => {
                self.names.scatter(ino, upto, &mut dice);
                return Err(medium());
            }
            None => {
                if self.names.is_dirty(ino, upto) {
                    self.met.row(Row::SyncDir);
                }
                self.names.sync(ino, upto);
            }
        }
        self.reap_all();
        Ok(DirSyncDone {
            ino,
            upto_seq: upto,
            honest: true,
        })
    }
}
