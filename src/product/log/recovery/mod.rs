//! From what a crash left to a log that may be built on.
//!
//! Promise: what comes back is a prefix of what was appended and holds every
//! entry that was flushed; where a fault of the medium makes that impossible,
//! the log does not open, and says where and why (D11). The entries that come back
//! are *durable*, not merely readable (D24). Recovery may itself crash anywhere and
//! be repeated.
//!
//! ```text
//!  survey   read only: the live segments, the chain as far as it verifies, what
//!           stands behind it, and what is proved durable
//!  verdict  clean end │ ambiguous: cut and reported │ corrupt: refused
//!  renew    after anything but a clean stop: all that is not proved durable is
//!           copied into a new segment, which takes over from there
//! ```

mod chain;
mod corrupt_header;
mod damage;
mod judge;
mod renew;
pub(super) mod strays;
mod survey;
mod tail;
mod uncertain_tail;

use std::io;

use super::checkpoint::{self, Checkpoint, CheckpointState};
use super::commit_log::{CommitLog, incarnation};
use super::error::{Doing, OpenError};
use super::frames::Flaw;
use super::identity::{self, Identity, read_identity};
use super::segment::{SegmentHeader, finish_naming, header_bytes, remove_dead, segment_path};
use super::staging::Staging;
use super::{Hole, LogConfig, Position, hole};
use crate::env::Disk;
use crate::record::ENVELOPE_BYTES;

use uncertain_tail::Uncertain;

pub(super) use chain::before;
pub use strays::Stray;
pub(super) use survey::{EndVerdict, Survey, survey};
pub use uncertain_tail::TailUncertain;

/// How the log ended when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEnd {
    /// Behind the last entry there was nothing.
    Clean,
    /// Behind the last entry there was something that does not verify, and
    /// nothing says that it had been synced: a torn write, as a rule, but rot
    /// of the last synced batch looks the same. It was cut off, durably.
    Ambiguous {
        /// Where the log was cut: the last entry's end.
        address: u64,
        /// The segment's file.
        path: String,
        /// Where in it the first such bytes stand.
        position: u64,
        /// The flaw in them.
        flaw: Flaw,
    },
}

/// The entries that were copied because nothing proved them durable (D24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopiedTail {
    /// Log address of the first entry copied.
    pub from_address: u64,
    /// The last one's end.
    pub upto_address: u64,
    /// How many.
    pub entries: u64,
}

/// The findings and the actions of an opening of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The last stop was clean: nothing was copied.
    pub clean: bool,
    /// How the log ended.
    pub end: LogEnd,
    /// The address up to which entries were proved durable before anything was copied.
    pub proved_address: u64,
    /// The entries that were copied.
    pub copied: Option<CopiedTail>,
    /// The checkpoint as found. Unreadable, it is replaced.
    pub checkpoint: CheckpointState,
    /// Of a replica's log: damage that valid entries follow, in order.
    pub holes: Vec<Hole>,
    /// Files among the segments that are none of this log's: left alone, but for
    /// their names where a segment may want them.
    pub strays: Vec<Stray>,
}

impl<D: Disk> CommitLog<D> {
    /// Opens the log of a formatted disk. `entropy` is random: it makes the
    /// incarnations of the segments of this opening.
    ///
    /// Everything that comes back is durable: `flushed()` is the log's end.
    ///
    /// # Errors
    /// The disk is not ours, or synced bytes are gone, or the disk fails; the
    /// log is then as it was, but for what may be repeated.
    pub async fn open(
        disk: D,
        config: LogConfig,
        entropy: u64,
    ) -> Result<(Self, Recovery), OpenError> {
        Self::open_at(disk, config, Position::START, entropy).await
    }

    async fn open_with(
        disk: D,
        config: LogConfig,
        base: Position,
        entropy: u64,
        uncertain: Uncertain,
    ) -> Result<(Self, Recovery), OpenError> {
        let config = checked(&disk, config)?;
        let identity = read_identity(&disk).await?;
        identity::renew(&disk, identity)
            .await
            .doing("writing the identity once more")?;
        finish_naming(&disk)
            .await
            .doing("finishing to name a segment")?;
        let mut survey = survey(&disk, identity, base, config).await?;
        let opening = Opening {
            disk,
            config,
            identity,
            entropy,
        };
        if let Some(address) = survey.unrecognizable.first() {
            let path = segment_path(*address);
            return Err(OpenError::Unrecognizable { path });
        }
        let end = match config.replicated {
            true => survey.replica_end(uncertain)?,
            false => survey.log_end()?,
        };
        if !config.replicated && survey.end.address < base.address {
            return Err(OpenError::BelowBase {
                end_address: survey.end.address,
                base_address: base.address,
            });
        }
        let strays = strays::move_aside(&opening.disk, &survey.strays).await?;
        opening.remove_drafts(&survey).await?;
        opening.remake_headers(&mut survey).await?;
        let clean = opening.stopped_cleanly(&survey, &end).await?;
        let copied = match clean {
            true => None,
            false => {
                opening.name_again(&survey).await?;
                opening.renew(&mut survey).await?
            }
        };
        remove_dead(&opening.disk, &survey.dead)
            .await
            .doing("removing dead segments")?;
        checkpoint::raise_abort(&opening.disk)
            .await
            .doing("making the abort file")?;
        let recovery = Recovery {
            clean,
            end,
            proved_address: survey.proved_address,
            copied,
            checkpoint: survey.checkpoint.clone(),
            holes: Vec::new(),
            strays,
        };
        let log = opening.log(survey);
        let holes = log.holes().to_vec();
        Ok((log, Recovery { holes, ..recovery }))
    }
}

/// The context of an opening.
pub(super) struct Opening<D: Disk> {
    pub(super) disk: D,
    pub(super) config: LogConfig,
    pub(super) identity: Identity,
    pub(super) entropy: u64,
}

impl<D: Disk> Opening<D> {
    /// Whether everything found is durable by the word of a clean stop, and may
    /// be appended to where it stands.
    async fn stopped_cleanly(&self, survey: &Survey<D>, end: &LogEnd) -> Result<bool, OpenError> {
        let Some(active) = survey.segments.last() else {
            return Ok(false);
        };
        let clean_stop = Checkpoint {
            durable: survey.end,
            generation: active.header.generation,
            clean: true,
        };
        let aborted = checkpoint::is_aborted(&self.disk)
            .await
            .doing("looking for abort")?;
        Ok(!aborted
            && *end == LogEnd::Clean
            && survey.checkpoint == CheckpointState::Whole(clean_stop)
            && !active.corrupt_header
            && active.header.sector_bytes as usize == self.disk.sector_bytes())
    }

    /// The drafts: segments that a crash left before they were named. A directory of such
    /// a name is none, and stays until the name is wanted.
    pub(super) async fn remove_drafts(&self, survey: &Survey<D>) -> Result<(), OpenError> {
        for path in &survey.drafts {
            match self.disk.remove(path).await {
                Err(error) if error.kind() == io::ErrorKind::IsADirectory => {}
                removed => removed.doing("removing an unfinished segment")?,
            }
        }
        Ok(())
    }

    /// The header of a new segment that takes over from `base` on, and is born
    /// with everything below `durable_address`.
    pub(super) fn header(
        &self,
        generation: u64,
        base: Position,
        durable_address: u64,
    ) -> SegmentHeader {
        let sector_bytes = self.disk.sector_bytes() as u64;
        let needed_bytes = header_bytes(sector_bytes) + (durable_address - base.address);
        SegmentHeader {
            cluster_id: self.identity.cluster_id,
            disk_id: self.identity.disk_id,
            incarnation: incarnation(self.entropy, generation),
            generation,
            segment_bytes: self
                .config
                .segment_bytes
                .max(needed_bytes.next_multiple_of(sector_bytes)),
            sector_bytes: sector_bytes as u32,
            base,
            durable_address,
        }
    }

    fn log(self, survey: Survey<D>) -> CommitLog<D> {
        let mut holes = survey.known_holes().collect();
        hole::split_at(&mut holes, survey.base);
        CommitLog {
            disk: self.disk,
            config: self.config,
            identity: self.identity,
            entropy: self.entropy,
            write_position: survey.write_position,
            holes,
            staging: Staging::default(),
            base: survey.base,
            terms: survey.terms,
            segments: survey.segments,
            lost: survey.lost,
            tail: survey.end,
            appended: survey.end,
            flushed: survey.end,
            marked: survey.marked,
            mark_pending: false,
            job: None,
            poison: None,
        }
    }
}

/// The configuration in whole sectors.
pub(super) fn checked<D: Disk>(disk: &D, config: LogConfig) -> Result<LogConfig, OpenError> {
    let sector_bytes = disk.sector_bytes() as u64;
    let segment_bytes = config.segment_bytes / sector_bytes * sector_bytes;
    let frame_bytes_min = (ENVELOPE_BYTES as u64).next_multiple_of(sector_bytes);
    let segment_bytes_min = header_bytes(sector_bytes) + frame_bytes_min;
    if segment_bytes < segment_bytes_min {
        return Err(OpenError::SegmentTooSmall {
            segment_bytes,
            segment_bytes_min,
        });
    }
    Ok(LogConfig {
        segment_bytes,
        ..config
    })
}
