//! The open log: its three positions, and what moves them.
//!
//! ```text
//!  0 ──────────── flushed() ──────── appended() ──────── tail()
//!    durable        │  page cache      │  memory           │
//!                   job_done           write               stage
//! ```
//!
//! 1. flushed ≤ appended ≤ tail.
//! 2. A [`Done`] moves `flushed` on, and so does a repair of the last segment,
//!    which makes all that is cached durable. A cut below `appended`, and a reset,
//!    set all three positions to where a new, durable segment begins.
//! 3. At most one job is under way.
//! 4. A write or sync that failed, or was given up halfway, poisons: nothing is
//!    known of what was pending, and a retry that succeeds would prove nothing
//!    (D23). A poisoned log still reads.

use std::fmt;
use std::future::Future;
use std::io;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::checkpoint::{self, Checkpoint};
use super::error::LogError;
use super::hole::Hole;
use super::identity::Identity;
use super::index::TermRuns;
use super::job::{Done, Job, JobKind};
use super::segment::{Group, Segment, SegmentHeader, header_bytes};
use super::staging::{Refused, Staged, Staging};
use super::{LogConfig, Position};
use crate::env::{Disk, File};
use crate::record::{EncodeError, EntryKind, Mark, Placement, encode_mark};

/// The result of a [`CommitLog::write`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The log is cached up to here.
    pub appended: Position,
    /// Whether the entries that are still staged do not fit the segment: they are written
    /// after the [`JobKind::Roll`] that [`CommitLog::next_job`] now gives.
    pub roll_needed: bool,
}

/// An open commit log.
pub struct CommitLog<D: Disk> {
    pub(super) disk: D,
    pub(super) config: LogConfig,
    pub(super) identity: Identity,
    /// Random, of this opening; makes the incarnations of its segments.
    pub(super) entropy: u64,
    /// Live segments by first address; the last one is appended to.
    pub(super) segments: Vec<Segment<D>>,
    /// Where the next group or mark goes in the last segment: a sector boundary.
    pub(super) write_position: u64,
    pub(super) staging: Staging,
    /// Nothing below is needed: the owner's word.
    pub(super) base: Position,
    /// The terms up to `tail`.
    pub(super) terms: TermRuns,
    /// Entries that cannot be read; see [`super::Hole`].
    pub(super) holes: Vec<Hole>,
    /// First addresses of the files in holes whose header does not verify.
    pub(super) lost: Vec<u64>,
    pub(super) tail: Position,
    pub(super) appended: Position,
    pub(super) flushed: Position,
    /// Something in the last segment says that all before it was durable.
    pub(super) marked: bool,
    /// A mark was written and not yet synced.
    pub(super) mark_pending: bool,
    pub(super) job: Option<JobKind>,
    pub(super) poison: Option<String>,
}

impl<D: Disk> CommitLog<D> {
    /// The end of what is staged: where the next entry goes.
    #[must_use]
    pub fn tail(&self) -> Position {
        self.tail
    }

    /// The end of what is cached.
    #[must_use]
    pub fn appended(&self) -> Position {
        self.appended
    }

    /// The end of what is durable.
    #[must_use]
    pub fn flushed(&self) -> Position {
        self.flushed
    }

    /// The identity of the disk.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Bytes that the next [`CommitLog::write`] has before it.
    #[must_use]
    pub fn staged_bytes(&self) -> u64 {
        self.staging.staged_bytes()
    }

    /// Stages one entry, in memory. `encode` is given the entry's log address
    /// and appends its record to the buffer, which holds other bytes before it.
    ///
    /// # Errors
    /// The record does not fit, or the log is poisoned; nothing was staged.
    ///
    /// # Panics
    /// `term` is below the last entry's. In builds with debug assertions also where a
    /// record of kind [`EntryKind::Message`] is no message: recovery would take it for a
    /// damaged one.
    pub fn stage(
        &mut self,
        kind: EntryKind,
        term: u64,
        encode: impl FnOnce(u64, &mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<Staged, LogError> {
        self.healthy()?;
        assert!(term >= self.tail.term, "terms never fall along a log");
        let entry = (kind, term, self.tail);
        let end = match self.staging.push(entry, encode) {
            Ok(end) => end,
            Err(Refused::Encode(error)) => return Err(error.into()),
            Err(Refused::TooLong { record_bytes }) => {
                return Err(LogError::RecordTooLong { record_bytes });
            }
        };
        Ok(self.staged(end))
    }

    /// The entry that was just staged, behind which the log is `end`.
    pub(super) fn staged(&mut self, end: Position) -> Staged {
        let Position {
            next_index: index,
            address,
            ..
        } = self.tail;
        self.terms.push(index, end.term);
        self.tail = end;
        Staged {
            index,
            term: end.term,
            address,
            end_address: end.address,
            hash: end.hash,
        }
    }

    /// Caches what is staged, as far as the segment has room, in one write.
    /// Durable it is not.
    ///
    /// # Errors
    /// The write failed, maybe halfway (S28): the log is poisoned.
    pub async fn write(&mut self) -> Result<Written, LogError> {
        self.healthy()?;
        let position = self.write_position;
        let header = self.active().header;
        if let Some(group) = self
            .staging
            .take_group(&header, position, self.flushed.address)
        {
            self.write_sectors("writing a group to", group.bytes)
                .await?;
            let place = Group {
                index: self.appended.next_index,
                address: self.appended.address,
                position,
            };
            self.segments
                .last_mut()
                .expect("a log has a segment")
                .groups
                .push(place);
            self.appended = group.end;
            self.marked = false;
        }
        Ok(Written {
            appended: self.appended,
            roll_needed: self.roll_needed(),
        })
    }

    /// Writes a durable mark behind the last group, for idle time: it keeps the
    /// tail short whose last batch could be taken for a torn write (D12). Does
    /// nothing, and says so, where the log is not idle and durable, where such a
    /// mark stands already, or where the segment has no room for one.
    /// [`CommitLog::next_job`] then syncs it.
    ///
    /// # Errors
    /// As [`CommitLog::write`].
    pub async fn write_mark(&mut self) -> Result<bool, LogError> {
        self.healthy()?;
        let header = self.active().header;
        let idle = self.job.is_none() && self.flushed == self.tail;
        if self.marked || !idle || self.write_position == header.segment_bytes {
            return Ok(false);
        }
        let placement = Placement {
            incarnation: header.incarnation,
            position: self.write_position,
            durable_address: self.flushed.address,
        };
        let Position {
            next_index,
            term,
            hash,
            ..
        } = self.flushed;
        let mut sector = Vec::new();
        encode_mark(
            &mut sector,
            Mark {
                placement,
                next_index,
                term,
                hash,
            },
        );
        sector.resize(header.sector_bytes as usize, 0);
        self.write_sectors("writing a mark to", sector.into())
            .await?;
        self.marked = true;
        self.mark_pending = true;
        Ok(true)
    }

    /// Whether what is staged waits for a roll.
    #[must_use]
    pub fn roll_needed(&self) -> bool {
        self.staging.first_bytes() > self.active().header.segment_bytes - self.write_position
    }

    /// The next thing that would make more of the log durable: a roll where one
    /// is needed, a sync where something is cached. `None` while a job is under
    /// way, when there is nothing to do, and once the log is poisoned.
    pub fn next_job(&mut self) -> Option<Job<D>> {
        if self.job.is_some() || self.poison.is_some() {
            return None;
        }
        let job = if self.roll_needed() {
            let old = self.active().file.clone();
            Job::roll(self.disk.clone(), old, self.next_header())
        } else if self.flushed != self.appended || self.mark_pending {
            Job::sync(self.active().file.clone(), self.appended)
        } else {
            return None;
        };
        self.job = Some(job.kind());
        Some(job)
    }

    /// Takes a job's outcome and gives the flushed position.
    ///
    /// # Errors
    /// The job failed: the log is poisoned.
    ///
    /// # Panics
    /// It is not the outcome of the job that is under way.
    pub fn job_done(&mut self, done: Done<D>) -> Result<Position, LogError> {
        assert_eq!(
            self.job.take(),
            Some(done.kind),
            "an outcome belongs to the job under way"
        );
        let doing = match done.kind {
            JobKind::Sync { .. } => "syncing",
            JobKind::Roll { .. } => "rolling over from",
        };
        let rolled = done
            .outcome
            .map_err(|source| self.poisoned(doing, source))?;
        self.healthy()?;
        let (JobKind::Sync { upto } | JobKind::Roll { upto }) = done.kind;
        self.flushed = upto;
        self.mark_pending = false;
        if let Some(segment) = rolled {
            self.go_on_in(segment);
        }
        Ok(self.flushed)
    }

    /// Bytes that may still be appended to the disk, beyond what is staged and
    /// the reserve (D31). No reservation: ask again from time to time, and
    /// subtract what was staged since, padding included.
    ///
    /// # Errors
    /// The disk's; the log is as it was.
    pub async fn room_bytes(&self) -> io::Result<u64> {
        let kept = self
            .config
            .reserve_bytes
            .saturating_add(self.staged_bytes());
        Ok(self.disk.free_bytes().await?.saturating_sub(kept))
    }

    /// Writes down how far the log is durable, so that rot below is told from a
    /// torn tail. Stands alone; one at a time.
    pub fn checkpoint(&self) -> impl Future<Output = io::Result<()>> + Send + use<D> {
        let disk = self.disk.clone();
        let checkpoint = self.checkpoint_now(false);
        async move { checkpoint::write(&disk, checkpoint).await }
    }

    /// Stops cleanly: everything staged becomes durable, and the next opening
    /// trusts it without copying. The owner sees to it first that all dispatch
    /// has caught up (Q03).
    ///
    /// # Errors
    /// Something failed: the next opening is as after a crash.
    ///
    /// # Panics
    /// A job is under way.
    pub async fn close(mut self) -> Result<(), LogError> {
        assert!(
            self.job.is_none(),
            "the owner waits for the job under way before it closes"
        );
        self.write().await?;
        while let Some(job) = self.next_job() {
            self.job_done(job.await)?;
            self.write().await?;
        }
        let clean = self.checkpoint_now(true);
        let stopped = async {
            checkpoint::write(&self.disk, clean).await?;
            checkpoint::lower_abort(&self.disk).await
        };
        let stopped = stopped.await;
        stopped.map_err(|source| self.poisoned("recording the clean stop of", source))
    }

    fn checkpoint_now(&self, clean: bool) -> Checkpoint {
        let generation = self.active().header.generation;
        Checkpoint {
            durable: self.flushed,
            generation,
            clean,
        }
    }

    /// Appends to a new segment from here on.
    pub(super) fn go_on_in(&mut self, segment: Segment<D>) {
        self.write_position = segment.header.data_from();
        // One without an entry has given its name away.
        let address = segment.header.base.address;
        self.segments
            .retain(|old| old.header.base.address != address);
        self.segments.push(segment);
        // Its header says that everything before it was durable.
        self.marked = true;
        self.mark_pending = false;
    }

    /// The header of the segment that a roll makes: one of the usual size, or of the
    /// size of the entry that waits for it.
    pub(super) fn next_header(&self) -> SegmentHeader {
        let generation = self.active().header.generation + 1;
        let sector_bytes = self.sector_bytes();
        let first_bytes = self.staging.first_bytes().next_multiple_of(sector_bytes);
        let needed_bytes = header_bytes(sector_bytes) + first_bytes;
        SegmentHeader {
            cluster_id: self.identity.cluster_id,
            disk_id: self.identity.disk_id,
            incarnation: incarnation(self.entropy, generation),
            generation,
            segment_bytes: self.config.segment_bytes.max(needed_bytes),
            sector_bytes: self.disk.sector_bytes() as u32,
            base: self.appended,
            durable_address: self.appended.address,
        }
    }

    pub(super) fn active(&self) -> &Segment<D> {
        self.segments.last().expect("a log has a segment")
    }

    fn sector_bytes(&self) -> u64 {
        self.disk.sector_bytes() as u64
    }

    /// Writes whole sectors at the write position. Given up halfway (the future
    /// is dropped), it leaves the log poisoned as a failure does.
    async fn write_sectors(&mut self, doing: &str, sectors: Bytes) -> Result<(), LogError> {
        let end = self.write_position + sectors.len() as u64;
        self.poison = Some(format!("{doing} a segment was given up halfway"));
        let written = self
            .active()
            .file
            .write_at(self.write_position, sectors)
            .await;
        self.poison = None;
        written.map_err(|source| self.poisoned(doing, source))?;
        self.write_position = end;
        Ok(())
    }

    pub(super) fn healthy(&self) -> Result<(), LogError> {
        match &self.poison {
            None => Ok(()),
            Some(cause) => Err(LogError::Poisoned {
                cause: cause.clone(),
            }),
        }
    }

    pub(super) fn poisoned(&mut self, doing: &str, source: io::Error) -> LogError {
        let doing = format!("{doing} {}", self.active().path());
        self.poison.get_or_insert(format!("{doing}: {source}"));
        LogError::Io { doing, source }
    }
}

impl<D: Disk> fmt::Debug for CommitLog<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitLog")
            .field("flushed", &self.flushed)
            .field("appended", &self.appended)
            .field("tail", &self.tail)
            .field("job", &self.job)
            .field("poison", &self.poison)
            .finish_non_exhaustive()
    }
}

/// A segment's incarnation: random with the opening's entropy, distinct within
/// the opening.
pub(super) fn incarnation(entropy: u64, generation: u64) -> u64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&entropy.to_be_bytes());
    bytes[8..].copy_from_slice(&generation.to_be_bytes());
    xxh3_64(&bytes)
}
