//! Filling a hole from another replica (D12).
//!
//! Never in place (D24): the segment is written anew aside, from what of it is
//! whole and from the frames, synced, and renamed over the old one; the one
//! rename is the repair. It has the same base and the same generation, so that
//! nothing else of the log depends on whether it happened, and an incarnation of
//! its own.

use std::io::{self, ErrorKind};

use bytes::Bytes;

use super::Position;
use super::commit_log::{CommitLog, incarnation};
use super::copy::Copy;
use super::error::LogError;
use super::hole::Hole;
use super::replicated::{FrameError, next_entry, parse_frame};
use super::segment::{Draft, Segment, SegmentHeader, header_bytes, remove_dead};
use super::walk::{Walk, WalkStep};
use crate::env::Disk;
use crate::record::LogPart;

/// Why a hole was not filled.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The log has no such hole (any more).
    #[error("the log has no such hole")]
    NoSuchHole,
    /// A frame that does not continue what is before it.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The frames do not end where the hole does, or other entries stood there.
    #[error("the frames do not fill the hole")]
    NotTheSame,
    /// Another entry of the segment does not verify any more: a case for
    /// [`CommitLog::mark_damaged`], and then for another attempt.
    #[error("the entry at log address {address} does not verify any more")]
    Damaged {
        /// Its address.
        address: u64,
    },
    /// The new segment could not be written, perhaps because the disk is full. Nothing
    /// has changed.
    #[error("writing the repaired segment failed: {0}")]
    AtomicFile(io::Error),
    /// The disk failed when the segment was renamed, or the log was poisoned
    /// before.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl<D: Disk> CommitLog<D> {
    /// Fills a hole with the frames of all of its entries, from any replica:
    /// they are proved by the chain on both sides. The segment is written anew
    /// aside, synced and renamed (D24: never in place), so a crash leaves the
    /// hole or the whole log. Where it is the last segment, everything cached is
    /// durable afterwards: [`CommitLog::flushed`] may have moved.
    ///
    /// # Errors
    /// See [`RepairError`].
    ///
    /// # Panics
    /// A job is under way.
    pub async fn repair(&mut self, hole: Hole, frames: &[Bytes]) -> Result<(), RepairError> {
        self.healthy()?;
        assert!(
            self.job.is_none(),
            "the owner waits for the job under way before it repairs"
        );
        let known = self.holes.iter().position(|known| *known == hole);
        let known = known.ok_or(RepairError::NoSuchHole)?;
        let filling = Filling::new(hole, frames)?;
        match self.target_of(hole) {
            Target::Rewrite { number } => self.rewrite(number, &filling).await?,
            Target::Insert { number } => self.insert(number, &filling).await?,
        }
        self.holes.remove(known);
        self.terms
            .splice(hole.from.next_index, hole.upto.next_index, &filling.parts);
        self.remove_lost(hole).await?;
        Ok(())
    }

    /// Where the entries of a hole belong: into the segment that begins below,
    /// or, where the room for another one's generation shows that it is missing,
    /// into one of their own.
    fn target_of(&self, hole: Hole) -> Target {
        let after = self
            .segments
            .partition_point(|segment| segment.header.base.address <= hole.from.address);
        let Some(number) = after.checked_sub(1) else {
            return Target::Insert { number: 0 };
        };
        let header = &self.segments[number].header;
        let missing = self.segments.get(after).is_some_and(|next| {
            hole.upto.address == next.header.base.address
                && hole.from.address > header.base.address
                && next.header.generation - header.generation > 1
        });
        match missing {
            true => Target::Insert { number: after },
            false => Target::Rewrite { number },
        }
    }

    /// The segment anew, with the hole filled and the others left.
    async fn rewrite(&mut self, number: usize, filling: &Filling<'_>) -> Result<(), RepairError> {
        let old = &self.segments[number];
        let end = self.end_of(number);
        let mut header = self.repaired_header(&old.header, old.header.base, end);
        if number + 1 == self.segments.len() {
            // The last one is copied by the next start, as long as nothing behind
            // speaks for its entries.
            header.durable_address = header.base.address;
        }
        let mut copy = self.draft(header).await?;
        let mut walk = Walk::of(
            old,
            self.holes.iter().copied(),
            self.config.sizes.window_bytes,
        );
        while walk.at.address < end.address {
            let before = walk.at;
            let step = walk.next().await.map_err(|source| match source.kind() {
                ErrorKind::InvalidData => RepairError::Damaged {
                    address: before.address,
                },
                _ => RepairError::AtomicFile(source),
            })?;
            let copied = match step {
                WalkStep::Entry(frame) => copy.push(before, &frame).await,
                WalkStep::Hole(hole) if hole == filling.hole => filling.copy_into(&mut copy).await,
                WalkStep::Hole(hole) => copy.leave(hole).await,
            };
            copied.map_err(RepairError::AtomicFile)?;
        }
        let (segment, write_position) = self.publish(copy).await?;
        let active = number + 1 == self.segments.len();
        self.segments[number] = segment;
        if active {
            self.write_position = write_position;
            self.flushed = self.appended;
            self.marked = false;
            self.mark_pending = false;
        }
        Ok(())
    }

    /// A segment that was missing, before the one of that number.
    async fn insert(&mut self, number: usize, filling: &Filling<'_>) -> Result<(), RepairError> {
        let Hole { from, upto } = filling.hole;
        let next = self.segments[number].header;
        let missing = SegmentHeader {
            generation: next.generation.saturating_sub(1),
            segment_bytes: self.config.segment_bytes,
            ..next
        };
        let header = self.repaired_header(&missing, from, upto);
        let mut copy = self.draft(header).await?;
        filling
            .copy_into(&mut copy)
            .await
            .map_err(RepairError::AtomicFile)?;
        let (segment, _) = self.publish(copy).await?;
        self.segments.insert(number, segment);
        Ok(())
    }

    /// The header of the segment that takes the place of `old`: of the same
    /// generation, so that it is as dead or alive, and of an incarnation of its
    /// own.
    fn repaired_header(&self, old: &SegmentHeader, base: Position, end: Position) -> SegmentHeader {
        let sector_bytes = self.disk.sector_bytes() as u64;
        let needed_bytes = header_bytes(sector_bytes) + (end.address - base.address);
        SegmentHeader {
            incarnation: incarnation(self.entropy ^ old.incarnation, old.generation),
            segment_bytes: old
                .segment_bytes
                .max(needed_bytes)
                .next_multiple_of(sector_bytes),
            sector_bytes: sector_bytes as u32,
            base,
            durable_address: end.address,
            ..*old
        }
    }

    async fn draft(&self, header: SegmentHeader) -> Result<Copy<D>, RepairError> {
        let draft = Draft::create(&self.disk, header).await;
        draft
            .map(|draft| Copy::into(draft, self.config.sizes))
            .map_err(RepairError::AtomicFile)
    }

    /// From here on a failure leaves the old segment or the new one, who knows.
    async fn publish(&mut self, copy: Copy<D>) -> Result<(Segment<D>, u64), LogError> {
        self.poison = Some("a repair was given up halfway".to_owned());
        let published = copy.publish().await;
        self.poison = None;
        published.map_err(|source| self.poisoned("repairing", source))
    }

    /// Removes the files that could not be read and whose entries are back.
    async fn remove_lost(&mut self, hole: Hole) -> Result<(), LogError> {
        let repaired = hole.from.address..hole.upto.address;
        let (mut gone, lost) = self
            .lost
            .iter()
            .partition::<Vec<u64>, _>(|address| repaired.contains(address));
        self.lost = lost;
        // The repaired one took the name of one of them.
        gone.retain(|address| {
            let mut bases = self.segments.iter().map(|s| s.header.base.address);
            bases.all(|base| base != *address)
        });
        let removed = remove_dead(&self.disk, &gone).await;
        removed.map_err(|source| self.poisoned("removing what was replaced beside", source))
    }
}

/// The file in which a hole is filled.
enum Target {
    Rewrite { number: usize },
    Insert { number: usize },
}

/// The entries that fill a hole, proved.
struct Filling<'a> {
    hole: Hole,
    frames: &'a [Bytes],
    parts: Vec<LogPart>,
}

impl<'a> Filling<'a> {
    /// Follows the chain through the frames from one side to the other.
    fn new(hole: Hole, frames: &'a [Bytes]) -> Result<Self, RepairError> {
        let mut at = hole.from;
        let mut parts = Vec::with_capacity(frames.len());
        for frame in frames {
            let part = parse_frame(frame)?;
            at = next_entry(at, &part)?;
            parts.push(part);
        }
        match at.is_same_place(&hole.upto) {
            true => Ok(Self {
                hole,
                frames,
                parts,
            }),
            false => Err(RepairError::NotTheSame),
        }
    }

    async fn copy_into<D: Disk>(&self, copy: &mut Copy<D>) -> io::Result<()> {
        let mut at = self.hole.from;
        for (frame, part) in self.frames.iter().zip(&self.parts) {
            copy.push(at, frame).await?;
            at = next_entry(at, part).expect("it was followed before");
        }
        Ok(())
    }
}
